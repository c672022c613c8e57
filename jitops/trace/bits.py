"""``x.view(dtype)``: the bytes of an array under another dtype, read and written through.

Bytes are little-endian, as on every machine jitops runs on. Between dtypes of different sizes the
way leads over unsigned integers: shifts take an element apart, and put one together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.graph.types import ArrayType
from jitops.trace.recorder import PARTS, Recorder
from jitops.trace.views import Shape, View

WIDEST = 8  # bytes of an integer


class Bits(View):
    """A view of the same bytes; of another item size along the last axis, which is contiguous."""

    __slots__ = ("base",)

    def __init__(self, base: ArrayType, dtype: np.dtype[Any]) -> None:
        self.base = base
        shape = base.shape
        if dtype.itemsize != base.dtype.itemsize:
            last = shape[-1] * base.dtype.itemsize // dtype.itemsize
            shape = (*shape[:-1], last)
        self.type = ArrayType(shape, dtype)

    def of(self, array: Any) -> Any:
        return array.view(self.type.dtype)

    def read(self, f: Recorder, base: Atom) -> Atom:
        return _bits(f, base, self.type.dtype)

    def write(self, f: Recorder, base: Atom, new: Atom) -> Atom:
        return _bits(f, new, self.base.dtype)

    def strides(self, strides: Shape) -> Shape:
        if self.type.dtype.itemsize == self.base.dtype.itemsize:
            return strides
        return (*strides[:-1], self.type.dtype.itemsize)


def view(x: Any, dtype: np.dtype[Any]) -> Any:
    """The view, or NumPy's error where there is none."""
    old, new = x.itemsize, dtype.itemsize
    if old != new:
        if not x.ndim:
            raise ValueError(
                "Changing the dtype of a 0d array is only supported if the itemsize is unchanged"
            )
        if x.shape[-1] > 1 and x.strides[-1] != old:
            raise ValueError(
                "To change to a dtype of a different size, the last axis must be contiguous"
            )
        if new > old and x.shape[-1] * old % new:
            raise ValueError(
                "When changing to a larger dtype, its size must be a divisor of the total size in"
                " bytes of the last axis of the array."
            )
    return x.seen(Bits(x.type, dtype))


def _bits(f: Recorder, x: Atom, dtype: np.dtype[Any]) -> Atom:
    old, new = x.type.dtype.itemsize, dtype.itemsize
    if old > WIDEST:  # complex128
        return _bits(f, _side_by_side(f, [f.emit("real", x), f.emit("imag", x)]), dtype)
    if new > WIDEST:
        part: Any = PARTS[dtype.name]
        parts = _apart(f, _bits(f, x, part), 2)
        return f.emit("complex", *parts)  # type: ignore[no-any-return]
    if old == new:
        return f.emit("bitcast", x, dtype=dtype.name)  # type: ignore[no-any-return]
    wide, narrow = (np.dtype(f"uint{8 * n}") for n in (max(old, new), min(old, new)))
    count = max(old, new) // min(old, new)
    shifts = [8 * narrow.itemsize * i for i in range(count)]
    if new < old:
        whole = f.emit("bitcast", x, dtype=wide.name)
        pieces = [f.cast(f.shr(whole, n), narrow) for n in shifts]
        found = _side_by_side(f, pieces)
    else:
        pieces = _apart(f, f.emit("bitcast", x, dtype=narrow.name), count)
        found = pieces[0] = f.cast(pieces[0], wide)
        for piece, n in zip(pieces[1:], shifts[1:]):
            found = f.or_(found, f.shl(f.cast(piece, wide), n))
    return f.emit("bitcast", found, dtype=dtype.name)  # type: ignore[no-any-return]


def _side_by_side(f: Recorder, parts: list[Atom]) -> Atom:
    """Elements of equal arrays in turn, along the last axis."""
    shape = parts[0].type.shape
    columns = [f.reshape(part, (*shape, 1)) for part in parts]
    whole = f.emit("concatenate", *columns, axis=len(shape))
    return f.reshape(whole, (*shape[:-1], shape[-1] * len(parts)))


def _apart(f: Recorder, x: Atom, count: int) -> list[Atom]:
    """Every ``count``-th element along the last axis, from each of the first ones on."""
    *lead, n = x.type.shape
    first, step = (0,) * len(lead), (*(1,) * len(lead), count)
    return [
        f.emit("slice", x, start=(*first, i if n else 0), step=step, size=(*lead, n // count))
        for i in range(count)
    ]
