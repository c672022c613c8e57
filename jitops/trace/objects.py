"""NumPy's objects that stand for functions: `np.r_`, `np.c_`, `np.vectorize`, `np.ndenumerate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jitops.trace.functions import room
from jitops.trace.promotion import result_dtype
from jitops.trace.raising import unsupported

__all__ = [
    "Grid", "Joiner", "MaskedArrays", "WithClasses", "ndenumerate", "vectorize", "vectorized",
]  # fmt: skip


class Joiner:
    """``np.r_[...]`` (rows) and ``np.c_[...]`` (columns): slices are ranges, the rest is joined."""

    def __init__(self, t: Any, columns: bool) -> None:
        self._t = t
        self._columns = columns

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        if any(isinstance(item, str) for item in items):
            raise unsupported(
                "np.r_ with a string of axes is not supported in a traced function",
                "Use np.concatenate or np.stack.",
            )
        operands = [_ranged(v) if isinstance(v, slice) else self._t.operand(v) for v in items]
        dtype = result_dtype([self._t.operand(v) for v in operands])
        parts = [self._part(v, dtype) for v in operands]
        return np.concatenate(parts, axis=-1 if self._columns else 0)

    def _part(self, x: Any, dtype: Any) -> Any:
        a: Any = self._t.wrap(self._t.atom(x, dtype))
        if self._columns:
            return a.reshape((-1, 1)) if a.ndim < 2 else a
        return np.atleast_1d(a)


_MATRICES = "Use arrays of two axes, and @ for products."
_MASKED = "Pass values and mask as two arrays: np.where, reductions with where=mask, x[mask] = v."


class Grid:
    """``np.mgrid[...]``, and ``np.ogrid[...]``, whose results are not repeated (sparse)."""

    def __init__(self, t: Any, sparse: bool) -> None:
        self._t = t
        self._sparse = sparse

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return self._axis(key)
        axes = [self._axis(part) for part in key]
        dtype = result_dtype([self._t.operand(axis) for axis in axes])
        rank = len(axes)
        axes = [
            axis.astype(dtype).reshape((1,) * n + (-1,) + (1,) * (rank - n - 1))
            for n, axis in enumerate(axes)
        ]
        if self._sparse:
            return tuple(axes)
        shape = tuple(axis.size for axis in axes)
        return np.stack([np.broadcast_to(axis, shape) for axis in axes])

    def _axis(self, key: slice) -> Any:
        return self._t.wrap_known(_ranged(key))


class WithClasses:
    """NumPy as a traced function sees it that names a class of arrays.

    Calling ``np.ndarray`` makes an array; matrices and masked arrays are refused.
    """

    def __init__(self, t: Any) -> None:
        def make(
            shape: Any, dtype: Any = float, buffer: Any = None, *rest: Any, **more: Any
        ) -> Any:
            if buffer is not None or rest or more:
                raise unsupported(
                    "np.ndarray with buffer=, offset=, strides= or order= is not supported in a"
                    " traced function",
                    "Use np.empty, or a view of an array.",
                )
            return room("creation").MAKERS["empty"](t, shape, dtype)

        self.ndarray = _class_of(np.ndarray, make)
        self.matrix = _class_of(np.matrix, _refusal("np.matrix", _MATRICES))
        self.ma = MaskedArrays()

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


class MaskedArrays:
    """The module ``np.ma`` as a traced function sees it: there to ask, not to make."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(np.ma, name)
        refused = _refusal(f"np.ma.{name}", _MASKED)
        if isinstance(value, type):
            return _class_of(value, refused)
        asks = name in ("isMA", "isMaskedArray", "isarray", "is_masked") or not callable(value)
        return value if asks else refused


def _refusal(name: str, way_out: str) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        raise unsupported(f"{name} is not supported in a traced function", way_out)

    return run


def _class_of(original: type, make: Callable[..., Any]) -> type:
    """Stands for an array class: what is one of it still is, and calling it calls `make`."""
    members = {"original": original, "make": staticmethod(make)}
    return _ArrayClass(original.__name__, (), members)


class _ArrayClass(type):
    original: type
    make: Callable[..., Any]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.make(*args, **kwargs)

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, cls.original)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.original)


def _ranged(key: slice) -> Any:
    start, step = key.start or 0, 1 if key.step is None else key.step
    if isinstance(step, complex):
        return np.linspace(start, key.stop, int(abs(step)))
    return np.arange(start, key.stop, step)


def vectorized(t: Any, function: Any) -> Any:
    """A `np.vectorize` object, called on whole arrays: its function must take them."""
    if function.signature is not None or function.excluded:
        raise unsupported(
            "np.vectorize with signature= or excluded= is not supported in a traced function",
            "Write the loop over the leading axes.",
        )
    return vectorize(t, function.pyfunc, function.otypes)


def vectorize(t: Any, pyfunc: Any = None, otypes: Any = None, **options: Any) -> Any:
    """`np.vectorize` of a function that does not branch on the elements."""
    from jitops.trace.intercept import rebound

    if options.get("signature") is not None or options.get("excluded"):
        raise unsupported(
            "np.vectorize with signature= or excluded= is not supported in a traced function",
            "Write the loop over the leading axes.",
        )
    inner = rebound(t, pyfunc)

    def run(*args: Any, **kwargs: Any) -> Any:
        arrays = np.broadcast_arrays(*(t.array(a) for a in args)) if args else ()
        out = inner(*arrays, **kwargs)
        several = out if isinstance(out, tuple) else (out,)
        shape = arrays[0].shape if arrays else ()
        made = []
        for i, value in enumerate(several):
            x: Any = np.broadcast_to(t.array(value), shape)
            made.append(x.astype(otypes[i]) if otypes else x * 1 if value is not out else x)
        return tuple(made) if isinstance(out, tuple) else made[0]

    return run


def ndenumerate(t: Any, arr: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Indices and elements, one at a time: for small arrays."""
    x = t.array(arr)
    return ((index, x[index]) for index in np.ndindex(x.shape))
