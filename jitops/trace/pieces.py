"""``ufunc.reduceat``: a reduction for each index, from there to the next index."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from jitops.failures import INDEX
from jitops.trace import control
from jitops.trace.folds import SUMS, UNROLLED
from jitops.trace.manipulation import normal_axis
from jitops.trace.recorder import INT64
from jitops.trace.reductions import finish, fold_dtype, wide

__all__ = ["reduceat"]

BLOCK = 128  # elements of a sum that are added before their sum is


def reduceat(
    t: Any, ufunc: Any, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    """For each index the reduction up to the next one; of the element alone where that is smaller.

    array: (..., n, ...). indices: (m,), integers of 0 to n - 1; others are an IndexError. The
    result is (..., m, ...).
    """
    x = t.array(array)
    first = _indices(t, indices)
    at = normal_axis(x.ndim, axis)
    line: Any = np.moveaxis(x, at, 0)
    known = first.known()
    if known is not None and known.size <= UNROLLED:
        result = _sliced(ufunc, line, known, dtype)
    else:
        wanted = fold_dtype(ufunc, x, dtype, out)
        inner = wide(wanted) if ufunc.__name__ in SUMS else wanted
        body = partial(_piece, t, ufunc, line.astype(inner))
        bounds = _bounds(t, first, line.shape[0])
        result = control.scan(t, body, (), bounds, first.shape[0], False)[1].astype(wanted)
    return finish(t, t.array(np.moveaxis(result, 0, at)).read(), out)


def _indices(t: Any, indices: Any) -> Any:
    first = t.array(indices)
    if not first.size and first.known() is not None:
        first = t.wrap_known(np.zeros(first.shape, int))
    if first.ndim != 1:
        depth = "too deep" if first.ndim else "of too small depth"
        raise ValueError(f"object {depth} for desired array")
    if not np.can_cast(first.dtype, INT64, "safe"):
        raise TypeError(
            f"Cannot cast array data from {first.dtype!r} to {INT64!r} according to the rule 'safe'"
        )
    return first.astype(INT64) if first.size else t.wrap_known(np.zeros(0, int))


def _sliced(ufunc: Any, line: Any, first: Any, dtype: Any) -> Any:
    """Known indices: a reduction of its own for each piece."""
    count = line.shape[0]
    if first.size and not 0 <= first.min() <= first.max() < count:
        bad = first[(first < 0) | (first >= count)][0]
        raise IndexError(f"index {bad} out-of-bounds in {ufunc.__name__}.reduceat [0, {count})")
    # A piece starts with its first element; where sums are made, from the identity as elsewhere.
    start = {} if ufunc.__name__ in SUMS else {"initial": None}
    parts = []
    for begin, end in zip(first, [*first[1:], count]):
        part = line[begin : max(end, begin + 1)]
        parts.append(ufunc.reduce(part, axis=0, dtype=dtype, keepdims=True, **start))
    if not parts:
        return ufunc.reduce(line[:1], axis=0, dtype=dtype, keepdims=True)[:0]
    return np.concatenate(parts)


def _bounds(t: Any, first: Any, count: int) -> tuple[Any, Any]:
    """Where each piece begins, and how many elements it has."""
    bad = np.logical_or(first < 0, first >= count)
    begin: Any = t.wrap(t.checked(first.read(), t.array(bad).read(), INDEX))
    begin = np.clip(begin, 0, max(count - 1, 0))
    end = np.concatenate([begin[1:], t.wrap_known(np.array([count]))])
    return begin, np.maximum(end - begin, 1)


def _piece(t: Any, ufunc: Any, line: Any, carry: Any, bounds: Any) -> Any:
    """One element after the other; sums of floats in blocks, which keeps rounding errors small."""
    begin, length = bounds
    step = partial(_step, ufunc, line)
    end = begin + length
    if ufunc is not np.add or line.dtype.kind not in "fc":
        return carry, control.fori_loop(t, begin + 1, end, step, line[begin])
    first = control.fori_loop(t, begin + 1, np.minimum(begin + BLOCK, end), step, line[begin])
    blocks = (length + BLOCK - 1) // BLOCK
    more = partial(_block, t, step, line, begin, end)
    return carry, control.fori_loop(t, 1, blocks, more, first)


def _step(ufunc: Any, line: Any, i: Any, out: Any) -> Any:
    return ufunc(out, line[i]).astype(line.dtype)


def _block(t: Any, step: Any, line: Any, begin: Any, end: Any, i: Any, out: Any) -> Any:
    """The sum so far and that of block i."""
    at = begin + i * BLOCK
    return out + control.fori_loop(t, at + 1, np.minimum(at + BLOCK, end), step, line[at])
