"""Array types: a shape and a dtype, with their text form ``float32[3,4]``."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from jitops.graph.sizes import is_open

Shape = tuple[int, ...]  # a traced shape may hold a `Size` for an int


SAMPLE = 1024


def same_shape(a: Shape, b: Shape) -> bool:
    """Equality that asks for the number of axes first: asking for an open size narrows it."""
    return len(a) == len(b) and a == b


def _extents(extents: Iterable[Any]) -> Shape:
    shape = tuple(extents)
    for n in shape:
        if type(n) is not int:
            return tuple(n if is_open(n) else int(n) for n in shape)  # type: ignore[misc]
    return shape


@functools.cache
def name_of(dtype: np.dtype[Any]) -> str:
    """``dtype.name``, which NumPy puts together anew each time, in some microseconds."""
    return str(dtype.name)


class ArrayType:
    """The static type of an array value: its shape and its NumPy dtype.

    ``str()`` gives ``float32[3,4]``, and ``float32[]`` for a 0-d value.
    """

    __slots__ = ("shape", "dtype")

    shape: Shape
    dtype: np.dtype[Any]

    def __init__(self, shape: Iterable[int], dtype: Any) -> None:
        self.shape = _extents(shape)
        self.dtype = dtype if isinstance(dtype, np.dtype) else np.dtype(dtype)

    @property
    def dtype_name(self) -> str:
        return name_of(self.dtype)

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
        return hash((self.shape, self.dtype))

    def __str__(self) -> str:
        return f"{self.dtype_name}[{','.join(map(repr, self.shape))}]"

    __repr__ = __str__


class Spec:
    """Stands for an array argument that is not there yet: a shape and a dtype.

    shape: sizes of the axes; an int for one axis. A text such as "n" or "*" stands for an axis
        whose size stays open (`open`); "n=300" also says for which size to trace.
    dtype: anything that `numpy.dtype` accepts.
    """

    __slots__ = ("dtype", "open", "shape")

    __jitops_spec__ = True  # how the native dispatcher tells it from a static argument

    shape: Shape
    dtype: np.dtype[Any]

    def __init__(self, shape: int | str | Iterable[int | str], dtype: Any = "float64") -> None:
        extents = (shape,) if isinstance(shape, (int, str)) else tuple(shape)
        self.shape = tuple(map(_sample, extents))
        self.open = tuple(axis for axis, n in enumerate(extents) if isinstance(n, str))
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec):
            return NotImplemented
        return (self.shape, self.open, self.dtype) == (other.shape, other.open, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype.name))

    def __repr__(self) -> str:
        return f"spec({self.dtype.name}[{','.join(map(str, self.shape))}])"


def _sample(extent: int | str) -> int:
    """The size to trace for: of an open axis one that depends on its name only."""
    if not isinstance(extent, str):
        return int(extent)
    name, equals, size = extent.partition("=")
    return int(size) if equals else SAMPLE + sum(map(ord, name))


def strides_of(shape: Shape, itemsize: int = 1) -> Shape:
    """C-order strides of a shape, in units of ``itemsize``."""
    strides = []
    step = itemsize
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))
