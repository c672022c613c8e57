"""Histograms with a number of bins known while tracing, and piecewise linear interpolation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from jitops.trace.raising import unsupported
from jitops.trace.recorder import INT64
from jitops.trace.tracer import Tracer
from jitops.trace.weak import Weak

__all__ = ["TABLE"]

Rule = Callable[..., Any]


def _values(t: Any, a: Any, weights: Any) -> tuple[Any, Any]:
    x: Any = np.ravel(t.array(a))
    x = x.astype("uint8") if x.dtype.kind == "b" else x
    if weights is None:
        return x, None
    w = t.array(weights)
    if w.shape != t.array(a).shape:
        raise ValueError("weights should have the same shape as a.")
    return x, np.ravel(w)


def _guarded(t: Any, x: Any, bad: Any, failure: str) -> Any:
    """The array; a call raises this failure where any of ``bad`` holds."""
    return t.wrap(t.checked(t.array(x).read(), t.array(bad).read(), failure))


def _outer_edges(t: Any, x: Any, limits: Any) -> tuple[Any, Any]:
    """The first and the last edge: given, or the extremes, and apart from each other."""
    if limits is not None:
        first, last = limits
        if all(type(v) not in (Tracer, Weak) for v in (first, last)):
            return _known_edges(first, last)
        first = _guarded(t, first, np.greater(first, last), "crossed range")
        infinite = "endless range"
    elif not x.size:
        return 0, 1
    else:
        first, last, infinite = x.min(), x.max(), "endless data"
    if x.dtype.kind in "iu" and limits is None:  # NumPy's own edges are integers, unless equal
        first, last = first.astype(float), last.astype(float)
    else:
        finite = np.logical_and(np.isfinite(first), np.isfinite(last))
        first = _guarded(t, first, np.logical_not(finite), infinite)
    same = first == last
    return np.where(same, first - 0.5, first), np.where(same, last + 0.5, last)


def _known_edges(first: Any, last: Any) -> tuple[Any, Any]:
    if first > last:
        raise ValueError("max must be larger than min in range parameter.")
    if not (np.isfinite(first) and np.isfinite(last)):
        raise ValueError(f"supplied range of [{first}, {last}] is not finite")
    return (first - 0.5, last + 0.5) if first == last else (first, last)


def _edges(t: Any, x: Any, bins: Any, limits: Any) -> tuple[Any, bool]:
    """The edges of the bins, and whether they are evenly spaced."""
    if isinstance(bins, str):
        raise unsupported(
            f"bins={bins!r} gives a number of bins that depends on values",
            "Give the number of bins, or their edges.",
        )
    if np.ndim(bins) > 1:
        raise ValueError("`bins` must be 1d, when an array")
    if np.ndim(bins) == 1:
        return _increasing(t, bins), False
    if not hasattr(bins, "__index__"):
        raise TypeError("`bins` must be an integer, a string, or an array")
    count = bins.__index__()
    if count < 1:
        raise ValueError("`bins` must be positive, when an integer")
    first, last = _outer_edges(t, x, limits)
    dtype = np.result_type(*(getattr(v, "dtype", v) for v in (first, last)), x.dtype)
    if dtype.kind in "iu":
        dtype = np.result_type(dtype, float)
    edges = _spaced(t, first, last, count, dtype)
    return _guarded(t, edges, edges[:-1] >= edges[1:], "too many bins"), True


def _increasing(t: Any, bins: Any) -> Any:
    """Edges that are given."""
    edges = t.array(bins)
    return _guarded(t, edges, edges[:-1] > edges[1:], "falling bins")


def _spaced(t: Any, first: Any, last: Any, count: int, dtype: Any) -> Any:
    made: Any = np.linspace(first, last, count + 1, dtype=dtype)
    return made if type(made) is Tracer else t.wrap_known(made)


def _bins_of(x: Any, edges: Any) -> Any:
    """The bin of each value; those outside of all bins get the number of bins."""
    count = edges.size - 1
    place = np.searchsorted(edges, x, "right") - 1
    place = np.where(x == edges[-1], count - 1, place)
    outside = (x < edges[0]) | (x > edges[-1]) | ((x != x) if x.dtype.kind in "fV" else False)
    return np.where(outside, count, place)


def _even_bins_of(x: Any, edges: Any) -> Any:
    """As `_bins_of`, by NumPy's arithmetic, then its corrections of a step up or down."""
    count = edges.size - 1
    keep = (x >= edges[0]) & (x <= edges[-1])
    at = np.where(keep, x.astype(edges.dtype), edges[0])
    width = edges[-1] - edges[0]
    index = ((at - edges[0]) / width * count).astype(np.intp)
    index = np.where(index >= count, count - 1, index)
    index = np.where(at < np.take(edges, index), index - 1, index)
    up = (at >= np.take(edges, index + 1)) & (index != count - 1)
    return np.where(keep, np.where(up, index + 1, index), count)


def _counts(t: Any, place: Any, count: int, weights: Any, dtype: Any) -> Any:
    if weights is not None and weights.dtype.kind == "c":
        parts = [_counts(t, place, count, w, float) for w in (weights.real, weights.imag)]
        return (parts[0] + 1j * parts[1]).astype(dtype)
    return np.bincount(place, weights, count + 1)[:count].astype(dtype)


def histogram(
    t: Any, a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """The counts, or sums of weights, and the edges; values outside of all bins are not counted."""
    x, w = _values(t, a, weights)
    if x.dtype.kind == "c":
        raise unsupported("np.histogram of complex values is not supported in a traced function")
    edges, even = _edges(t, x, bins, range)
    place = (_even_bins_of if even else _bins_of)(x, edges)
    n = _counts(t, place, edges.size - 1, w, INT64 if w is None else w.dtype)
    if density:
        n = n / np.diff(edges).astype(float) / n.sum()
    return n, edges


def histogram_bin_edges(
    t: Any, a: Any, bins: Any = 10, range: Any = None, weights: Any = None
) -> Any:
    """The edges that `histogram` would use."""
    return _edges(t, _values(t, a, weights)[0], bins, range)[0]


def _columns(t: Any, sample: Any) -> list[Any]:
    """The coordinates along each dimension: rows of a list, columns of an array."""
    if isinstance(sample, (list, tuple)):
        sample = np.transpose(np.atleast_2d(sample))
    x = t.array(sample)
    return list(np.transpose(x if x.ndim > 1 else x[:, None]))


def _edges_along(t: Any, axis: int, x: Any, bins: Any, limits: Any) -> Any:
    if np.ndim(bins) > 1:
        raise ValueError(f"`bins[{axis}]` must be a scalar or 1d array")
    if np.ndim(bins) == 1:
        return _increasing(t, bins)
    if type(bins) not in (Tracer, Weak) and bins < 1:
        raise ValueError(f"`bins[{axis}]` must be positive, when an integer")
    if not hasattr(bins, "__index__"):
        raise TypeError(f"`bins[{axis}]` must be an integer, when a scalar")
    return _spaced(t, *_outer_edges(t, x, limits), bins.__index__(), None)


def histogramdd(
    t: Any, sample: Any, bins: Any = 10, range: Any = None, density: Any = None,
    weights: Any = None,
) -> Any:  # fmt: skip
    """Counts in boxes, and the edges along each dimension."""
    columns = _columns(t, sample)
    depth = len(columns)
    several = isinstance(bins, (list, tuple)) or np.ndim(bins) > 0
    counts = list(bins) if several else [bins] * depth
    if len(counts) != depth:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    limits: Sequence[Any] = [None] * depth if range is None else range
    if len(limits) != depth:
        raise ValueError("range argument must have one entry per dimension")
    edges = [
        _edges_along(t, axis, *given) for axis, given in enumerate(zip(columns, counts, limits))
    ]
    sizes = [e.size - 1 for e in edges]
    place: Any = 0
    outside: Any = False
    for x, e, size in zip(columns, edges, sizes):
        one = _bins_of(x, e)
        outside = outside | (one == size)
        place = place * size + one
    total = prod(sizes)
    w = None if weights is None else t.array(weights)
    hist = _counts(t, np.where(outside, total, place), total, w, float).reshape(sizes)
    if density:
        scale = hist.sum()
        for axis, e in enumerate(edges):
            hist = hist / np.diff(e).reshape([-1 if n == axis else 1 for n in np.arange(depth)])
        hist = hist / scale
    return hist, edges


def histogram2d(
    t: Any, x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None,
    weights: Any = None,
) -> Any:  # fmt: skip
    """`histogramdd` of two columns."""
    if len(x) != len(y):
        raise ValueError("x and y must have the same length.")
    several = isinstance(bins, (list, tuple)) or np.ndim(bins) > 0
    both = bins if several and len(bins) in (1, 2) else [bins, bins]
    hist, edges = histogramdd(t, [x, y], both, range, density, weights)
    return hist, edges[0], edges[1]


def interp(
    t: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Piecewise linear interpolation between points in increasing order, found by halving."""
    at, points, values = t.array(x).astype(float), t.array(xp).astype(float), t.array(fp)
    values = values.astype(complex if values.dtype.kind == "c" else float)
    if points.ndim != 1 or values.ndim != 1:
        raise ValueError("object too deep for desired array")
    if not points.size:
        raise ValueError("array of sample points is empty")
    if points.size != values.size:
        raise ValueError("fp and xp are not of the same length.")
    if period is not None:
        left = right = None
        at, points, values = _periodic(t, at, points, values, period)
    if values.dtype.kind == "c":
        sides = [(None if v is None else np.real(v), None if v is None else np.imag(v))
                 for v in (left, right)]  # fmt: skip
        parts = [_between(at, points, part, sides[0][n], sides[1][n])
                 for n, part in enumerate((values.real, values.imag))]  # fmt: skip
        out = t.wrap(t.complex(*(t.array(p).read() for p in parts)))
    else:
        out = _between(at, points, values, left, right)
    return out if at.ndim else out[()]


def _periodic(t: Any, at: Any, points: Any, values: Any, period: Any) -> tuple[Any, Any, Any]:
    """One period, with a point of the next one at each end."""
    if type(period) in (int, float) and period == 0:
        raise ValueError("period must be a non-zero value")
    period = np.abs(period)
    points = points % period
    order = np.argsort(points)
    points, values = np.take(points, order), np.take(values, order)
    points = np.concatenate([points[-1:] - period, points, points[:1] + period])
    return at % period, points, np.concatenate([values[-1:], values, values[:1]])


def _between(at: Any, points: Any, values: Any, left: Any, right: Any) -> Any:
    n = points.size
    place = np.searchsorted(points, at, "right") - 1
    i = np.clip(place, 0, max(n - 2, 0))
    j = np.minimum(i + 1, n - 1)
    x0, y0, x1, y1 = (np.take(v, k) for k in (i, j) for v in (points, values))
    slope = (y1 - y0) / (x1 - x0)
    inner = slope * (at - x0) + y0
    again = slope * (at - x1) + y1  # for an infinite point at the left
    again = np.where(np.isnan(again) & (y0 == y1), y0, again)
    inner = np.where(np.isnan(inner), again, inner)
    inner = np.where(at == x0, y0, inner)
    inner = np.where(place >= n - 1, values[-1], inner)
    out = np.where(at < points[0], values[0] if left is None else left, inner)
    out = np.where(at > points[-1], values[-1] if right is None else right, out)
    return np.where(np.isnan(at), at, out)


TABLE: dict[str, Rule] = {
    "histogram": histogram,
    "histogram_bin_edges": histogram_bin_edges,
    "histogramdd": histogramdd,
    "histogram2d": histogram2d,
    "interp": interp,
}
