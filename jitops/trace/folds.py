"""Reductions by calls of the ufunc itself: what has no reduction primitive of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from jitops.trace.functions import room
from jitops.trace.recorder import BOOL
from jitops.trace.tracer import Tracer

NoValue: Any = np._NoValue

UNROLLED = 16  # calls that are written one after the other; more are a loop

# Ufuncs whose steps may be regrouped: halves are combined, in as many kernels as bits of the size.
REGROUPED = {
    "add", "multiply", "maximum", "minimum", "fmax", "fmin", "bitwise_and", "bitwise_or",
    "bitwise_xor", "logical_and", "logical_or", "logical_xor", "gcd", "hypot", "logaddexp",
    "logaddexp2",
}  # fmt: skip
ROUNDED = {"hypot", "logaddexp", "logaddexp2"}  # whose running results regrouping would change
WIDE = {"subtract", "divide"}
SUMS = {"add", "multiply", "logical_and", "logical_or", "logical_xor"}


def loop_dtype(ufunc: Any, x: Tracer, dtype: Any) -> np.dtype[Any]:
    """The dtype of the steps, by NumPy's own resolution for reductions; raises what it raises."""
    options: dict[str, Any] = {"reduction": True, "casting": "unsafe"}
    if dtype is not None:
        options["signature"] = (np.dtype(dtype), None, None)
    loop = ufunc.resolve_dtypes((None, x.dtype, None), **options)
    return loop[0]  # type: ignore[no-any-return]


def reduced(
    t: Any, ufunc: Any, x: Tracer, axes: tuple[int, ...], dtype: Any, initial: Any, where: Any
) -> Any:
    """``ufunc.reduce`` without the axes, by calls of the ufunc."""
    name = ufunc.__name__
    if len(axes) > 1 and name not in REGROUPED:
        raise ValueError(
            f"reduction operation '{name}' is not reorderable, so at most one axis may be specified"
        )
    wanted = loop_dtype(ufunc, x, dtype)
    # NumPy's loops of float16 along a row keep the running value of these in float32.
    wide = wanted == np.float16 and name in WIDE and axes == (x.ndim - 1,)
    inner = np.dtype("float32") if wide else wanted
    start = ufunc.identity if initial is NoValue else initial
    line = _leading(x, axes).astype(inner)
    mask = None
    if where is not True:
        if start is None:
            raise ValueError(
                f"reduction operation '{name}' does not have an identity,"
                " so to use a where mask one has to specify 'initial'"
            )
        mask = _leading(np.broadcast_to(t.array(where).astype(BOOL), x.shape), axes)
    if start is None and not line.shape[0]:
        raise ValueError(f"zero-size array to reduction operation {name} which has no identity")
    first = None if start is None else np.full(line.shape[1:], start, inner)
    fold = _halved if name in REGROUPED else partial(_stepped, t)
    return fold(ufunc, line, mask, first).astype(wanted)


def _leading(x: Any, axes: tuple[int, ...]) -> Any:
    """The axes in front, as one."""
    moved: Any = np.moveaxis(x, axes, range(len(axes)))
    count = 1
    for n in moved.shape[: len(axes)]:
        count *= n
    return moved.reshape((count, *moved.shape[len(axes) :]))


def _halved(ufunc: Any, line: Any, mask: Any, first: Any) -> Any:
    if mask is not None:
        neutral = first if ufunc.identity is None else np.asarray(ufunc.identity, line.dtype)
        line = np.where(mask, line, neutral)
    while line.shape[0] > 1:
        half = line.shape[0] // 2
        both = ufunc(line[:half], line[half : 2 * half])
        line = both if 2 * half == line.shape[0] else np.concatenate([both, line[2 * half :]])
    if not line.shape[0]:
        return first
    return line[0] if first is None else ufunc(first, line[0])


def _stepped(t: Any, ufunc: Any, line: Any, mask: Any, first: Any) -> Any:
    if first is None:
        first, line = line[0], line[1:]
    rows = (line,) if mask is None else (line, mask)
    if line.shape[0] > UNROLLED:
        step = partial(_folded, ufunc)
        return room("control").scan(t, step, first, rows, int(line.shape[0]), False)[0]
    for row in zip(*rows):
        first, _ = _folded(ufunc, first, row)
    return first


def _folded(ufunc: Any, carry: Any, row: Any) -> tuple[Any, None]:
    """A step of a reduction: the carry with one more row, where its mask is set."""
    new = ufunc(carry, row[0]).astype(row[0].dtype)
    return (new if len(row) == 1 else np.where(row[1], new, carry)), None


def running(t: Any, ufunc: Any, line: Any) -> Any:
    """``ufunc.accumulate`` along the first axis of an array of the steps' dtype."""
    count = line.shape[0]
    if ufunc.__name__ not in REGROUPED - ROUNDED:
        return np.concatenate(_steps(t, ufunc, line))
    step = 1
    while step < count:  # after k rounds an element has seen the 2**k elements before it
        line = np.concatenate([line[:step], ufunc(line[:-step], line[step:])])
        step *= 2
    return line


def _steps(t: Any, ufunc: Any, line: Any) -> list[Any]:
    """The first row, and each row after it joined to all before, in order."""
    parts, count = [line[:1]], line.shape[0]
    if count > UNROLLED:
        step = partial(_joined, ufunc)
        rows = room("control").scan(t, step, line[0], line[1:], int(count) - 1, False)[1]
        return [*parts, rows]
    for i in range(1, count):
        parts.append(ufunc(parts[-1], line[i : i + 1]).astype(line.dtype))
    return parts


def _joined(ufunc: Any, carry: Any, row: Any) -> tuple[Any, Any]:
    new = ufunc(carry, row).astype(row.dtype)
    return new, new
