"""Array types: a shape and a dtype, with their text form ``float32[3,4]``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

Shape = tuple[int, ...]


class ArrayType:
    """The static type of an array value: its shape and its NumPy dtype.

    ``str()`` gives ``float32[3,4]``, and ``float32[]`` for a 0-d value.
    """

    __slots__ = ("shape", "dtype")

    shape: Shape
    dtype: np.dtype[Any]

    def __init__(self, shape: Iterable[int], dtype: Any) -> None:
        self.shape = tuple(map(int, shape))
        self.dtype = dtype if isinstance(dtype, np.dtype) else np.dtype(dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        n = 1
        for extent in self.shape:
            n *= extent
        return n

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def with_shape(self, shape: Iterable[int]) -> ArrayType:
        return ArrayType(shape, self.dtype)

    def with_dtype(self, dtype: Any) -> ArrayType:
        return ArrayType(self.shape, dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrayType):
            return NotImplemented
        return self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype.name))

    def __str__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"

    __repr__ = __str__


class Spec:
    """Stands for an array argument that is not there yet: a shape and a dtype.

    shape: sizes of the axes; an int for one axis.
    dtype: anything that `numpy.dtype` accepts.
    """

    __slots__ = ("shape", "dtype")

    __jitops_spec__ = True  # how the native dispatcher tells it from a static argument

    shape: Shape
    dtype: np.dtype[Any]

    def __init__(self, shape: int | Iterable[int], dtype: Any = "float64") -> None:
        self.shape = (shape,) if isinstance(shape, int) else tuple(map(int, shape))
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec):
            return NotImplemented
        return self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype.name))

    def __repr__(self) -> str:
        return f"spec({self.dtype.name}[{','.join(map(str, self.shape))}])"


def strides_of(shape: Shape, itemsize: int = 1) -> Shape:
    """C-order strides of a shape, in units of ``itemsize``."""
    strides = []
    step = itemsize
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))
