"""How elements lie in memory: in which order NumPy reads them, and where it puts a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitops.graph.types import Shape, same_shape, strides_of
from jitops.trace.tracer import Tracer


def in_order(x: Tracer, order: str) -> bool:
    """Whether the elements lie in C or Fortran order, without gaps."""
    shape, strides = x.shape, x.strides
    if order == "F":
        shape, strides = shape[::-1], strides[::-1]
    pairs = zip(shape, strides, strides_of(shape, x.itemsize))
    return all(have == wanted or n == 1 for n, have, wanted in pairs) or 0 in shape


def resolved(x: Tracer, order: str) -> str:
    """The order meant by A: Fortran's for what lies in it, and else C."""
    if order != "A":
        return order
    return "F" if in_order(x, "F") and not in_order(x, "C") else "C"


def read_axes(x: Tracer) -> list[int]:
    """The axes as NumPy reads them in order K, the outermost first."""
    strides = result_strides(x.shape, x.itemsize, [x])
    if strides is None or in_order(x, "C"):
        return list(range(x.ndim))
    return sorted(range(x.ndim), key=lambda axis: -strides[axis])


def copy_strides(x: Tracer, order: str, itemsize: int) -> Shape | None:
    """The strides of NumPy's copy in this order, or None for C order."""
    order = resolved(x, order)
    if order == "C" or x.ndim < 2 or (order == "K" and in_order(x, "C")):
        return None
    inner = list(range(x.ndim))
    if order == "K":  # axes of equal strides keep their order
        inner = sorted(inner, key=lambda axis: -abs(x.strides[axis]))[::-1]
    strides, step = [0] * x.ndim, itemsize
    for axis in inner:
        strides[axis] = step
        step *= max(x.shape[axis], 1)
    return tuple(strides)


def result_strides(shape: Shape, itemsize: int, operands: Sequence[Any]) -> Shape | None:
    """The strides of NumPy's fresh result (order K), or None for C order; nditer's axis sorting."""
    views = [
        x.strides
        for x in operands
        if type(x) is Tracer
        and same_shape(x.shape, shape)
        and (x.parent is not None or x.cell.strides)
    ]
    if not views:
        return None
    views = [x.strides for x in operands if type(x) is Tracer and same_shape(x.shape, shape)]
    perm = list(range(len(shape)))[::-1]
    for i in range(1, len(perm)):
        position = i
        for j in range(i - 1, -1, -1):
            verdict = _inner(views, perm[i], perm[j])
            if verdict is None:
                continue
            if not verdict:
                break
            position = j
        perm.insert(position, perm.pop(i))
    strides, step = [0] * len(shape), itemsize
    for axis in perm:
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def _inner(views: list[Shape], a: int, b: int) -> bool | None:
    """Whether axis a lies inside axis b; None where no operand tells."""
    verdict: bool | None = None
    for strides in views:
        if strides[a] and strides[b]:
            if abs(strides[b]) <= abs(strides[a]):
                verdict = False
            elif verdict is None:
                verdict = True
    return verdict
