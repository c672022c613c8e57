"""Medians and quantiles, read from sorted lines (methods: Hyndman and Fan, 1996)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from jitops.failures import error
from jitops.trace.ordering import along
from jitops.trace.reductions import finish, kept_shape, normal_axes
from jitops.trace.statistics import _flag
from jitops.trace.tracer import Tracer
from jitops.trace.weak import Weak

__all__ = ["TABLE"]

Rule = Callable[..., Any]


class Lines:
    """An array with the reduced axes joined into a last one; ``shape``: the other axes."""

    def __init__(self, t: Any, a: Any, axis: Any) -> None:
        self.x: Tracer = t.array(a)
        self.axes = normal_axes(self.x, axis)
        kept = [n for n in range(self.x.ndim) if n not in self.axes]
        self.shape = tuple(self.x.shape[n] for n in kept)
        self.length = prod(self.x.shape[n] for n in self.axes)
        self._order = [*kept, *self.axes]

    def of(self, x: Tracer) -> Any:
        """An array of the same shape, arranged likewise."""
        return x.transposed(self._order).reshape((*self.shape, self.length))

    def finish(self, t: Any, result: Any, lead: tuple[int, ...], keepdims: Any, out: Any) -> Any:
        """The result, of shape ``lead + shape``."""
        if _flag(keepdims):
            result = result.reshape((*lead, *kept_shape(self.x.shape, self.axes)))
        return finish(t, t.array(result).read(), out, exact=False)


def median(
    t: Any, a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    keepdims: Any = False,
) -> Any:  # fmt: skip
    """The mean of the one or two middle elements; NaN where there is one."""
    lines = Lines(t, a, axis)
    line, n = np.sort(lines.of(lines.x), axis=-1), lines.length
    middle = line[..., (n - 1) // 2 : n // 2 + 1] if n else line
    result = np.mean(middle, axis=-1)
    if n and line.dtype.kind in "fcV":
        result = np.where(np.isnan(line[..., -1]), line[..., -1], result)
    return lines.finish(t, result, (), keepdims, out)


def nanmedian(
    t: Any, a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    keepdims: Any = False,
) -> Any:  # fmt: skip
    """The median of what is not NaN; NaN where nothing is left."""
    lines = Lines(t, a, axis)
    if lines.x.dtype.kind not in "fcV" or not lines.length:
        return median(t, a, axis, out, overwrite_input, keepdims)
    line = np.sort(lines.of(lines.x), axis=-1)
    count = np.sum(~np.isnan(line), axis=-1, keepdims=True)
    low, high = (_along(t, line, np.maximum(i // 2, 0)) for i in (count - 1, count))
    pair = np.mean(np.concatenate([low, high], axis=-1), axis=-1)
    result = np.where(count[..., 0] % 2 == 1, low[..., 0], pair)
    return lines.finish(t, result, (), keepdims, out)


def _along(t: Any, line: Any, index: Any) -> Any:
    return t.wrap(along(t, line.read(), t.array(index).read()))


# --- quantiles: a place between two elements of the sorted line -----------------------------------


def _between(alpha: float, beta: float) -> Rule:
    return lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


def _rounded(rounding: Rule) -> Rule:
    return lambda n, q: rounding((n - 1) * q).astype(np.intp)


def _nearest_even(n: Any, q: Any) -> Any:
    place = n * q - 1 - 0.5
    low = np.floor(place)
    return np.maximum(np.where((place == low) & (low % 2 == 1), low, low + 1).astype(np.intp), 0)


def _inverted(n: Any, q: Any) -> Any:
    place = n * q - 1
    low = np.floor(place)
    return np.maximum(np.where(place == low, low, low + 1).astype(np.intp), 0)


def _same(gamma: Any, place: Any) -> Any:
    return gamma


# Method: the place for n elements and a quantile, and how the part after the point weighs; None
# where the place is an integer.
METHODS: dict[str, tuple[Rule, Rule | None]] = {
    "inverted_cdf": (_inverted, None),
    "averaged_inverted_cdf": (
        lambda n, q: n * q - 1,
        lambda gamma, place: np.where(gamma == 0, 0.5, 1.0),
    ),
    "closest_observation": (_nearest_even, None),
    "interpolated_inverted_cdf": (_between(0, 1), _same),
    "hazen": (_between(0.5, 0.5), _same),
    "weibull": (_between(0, 0), _same),
    "linear": (lambda n, q: (n - 1) * q, _same),
    "median_unbiased": (_between(1 / 3.0, 1 / 3.0), _same),
    "normal_unbiased": (_between(3 / 8.0, 3 / 8.0), _same),
    "lower": (_rounded(np.floor), None),
    "higher": (_rounded(np.ceil), None),
    "midpoint": (
        lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
        lambda gamma, place: np.where(place % 1 == 0, 0.0, 0.5),
    ),
    "nearest": (_rounded(np.around), None),
}


def _quantiles(name: str, scale: float, ignore_nan: bool) -> Rule:
    def run(
        t: Any, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
        method: str = "linear", keepdims: Any = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        lines = Lines(t, a, axis)
        if lines.x.dtype.kind == "c":
            raise TypeError("a must be an array of real numbers")
        if ignore_nan and not lines.x.size:  # as NumPy: NaN, whatever the quantiles are
            return np.nanmean(lines.x, axis=axis, out=out, keepdims=keepdims)
        weak = type(q) in (int, float) or type(q) is Weak
        at: Any = t.array(q)
        at = at if scale == 1 else np.true_divide(at, scale)
        known = at.known()
        if known is not None and not ((known >= 0) & (known <= 1)).all():
            raise error(name, "")
        if known is None:
            within = np.logical_and(np.greater_equal(at, 0), np.less_equal(at, 1))
            at = t.wrap(t.checked(at.read(), np.logical_not(within).read(), name), scalar=at.scalar)
        if at.ndim > 2:
            raise ValueError("q must be a scalar or 1d")
        if method not in METHODS:
            raise ValueError(f"{method!r} is not a valid method. Use one of: {METHODS.keys()}")
        flat = np.ravel(at)
        if weights is not None:
            result = _weighted(t, lines, flat, method, weights, axis, ignore_nan)
        else:
            result = _unweighted(t, lines, flat, method, weak, ignore_nan)
        result = np.moveaxis(result, -1, 0).reshape((*at.shape, *lines.shape))
        result = lines.finish(t, result, at.shape, keepdims, out)
        if weights is not None and out is None and not result.shape:
            return t.wrap(result.read())  # NumPy's is an array of no axes
        return result

    return run


def _unweighted(
    t: Any, lines: Lines, q: Any, method: str, weak: bool, ignore_nan: bool
) -> Any:
    """Quantiles along a new last axis."""
    line = np.sort(lines.of(lines.x), axis=-1)
    nans = line.dtype.kind in "fV"
    if not lines.length:
        raise IndexError("index -1 is out of bounds for axis 0 with size 0")
    n: Any = lines.length
    if nans and ignore_nan:
        n = np.sum(~np.isnan(line), axis=-1, keepdims=True)
    find, weigh = METHODS[method]
    place = find(n, q)
    if weigh is None or (method == "linear" and place.dtype.kind in "iu"):
        result = _taken(t, line, np.clip(place, 0, np.maximum(n - 1, 0)))
    else:
        result = _interpolated(t, line, place, n, weigh, weak)
    if nans and not ignore_nan:
        last = line[..., -1:]
        result = np.where(np.isnan(last), last.astype(result.dtype), result)
    return result


def _taken(t: Any, line: Any, index: Any) -> Any:
    if index.ndim == 1:
        return np.take(line, index, axis=-1)
    return _along(t, line, np.broadcast_to(index, (*line.shape[:-1], index.shape[-1])))


def _interpolated(t: Any, line: Any, place: Any, n: Any, weigh: Rule, weak: bool) -> Any:
    """Between the elements before and after a place; from the nearer one, as NumPy does."""
    low = np.floor(place)
    high = low + 1
    above, below = place >= n - 1, place < 0
    first = np.where(below, 0, np.where(above, n - 1, low)).astype(np.intp)
    second = np.where(below, 0, np.where(above, n - 1, high)).astype(np.intp)
    # NumPy's -1, the last element, stands where it looks for the part after the point.
    start = np.where(below, 0, np.where(above, -1, low))
    gamma = weigh(place - start, place).astype(place.dtype)
    a, b = (_taken(t, line, np.maximum(i, 0)) for i in (first, second))
    rest, nearer = 1 - gamma, gamma >= 0.5
    if weak and line.dtype.kind in "fV":  # Python numbers, rounded where they meet the elements
        gamma, rest = gamma.astype(line.dtype), rest.astype(line.dtype)
    distance = b - a
    before = a + distance * gamma
    return np.where(nearer, (b - distance * rest).astype(before.dtype), before)


def _weighted(
    t: Any, lines: Lines, q: Any, method: str, weights: Any, axis: Any, ignore_nan: bool
) -> Any:
    """The element at which the weights, summed in order, reach the quantile."""
    if method != "inverted_cdf":
        raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
    w: Any = t.array(weights)
    x = lines.x
    if w.shape != x.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        given = [int(n) % x.ndim for n in (axis if isinstance(axis, tuple) else (axis,))]
        if w.shape != tuple(x.shape[n] for n in given):
            raise ValueError(
                "Shape of weights must be consistent with shape of a along specified axis."
            )
        w = np.transpose(w, np.argsort(given).tolist())
        w = w.reshape([x.shape[n] if n in given else 1 for n in range(x.ndim)])
        w = np.broadcast_to(w, x.shape)
    line = lines.of(x)
    floats = line.dtype.kind in "fV"
    if ignore_nan and floats:
        w = np.where(np.isnan(x), 0, w)
    order = np.argsort(line, axis=-1)
    line, w = _along(t, line, order), _along(t, lines.of(w), order)
    reached = np.cumsum(w, axis=-1, dtype=np.float64)
    reached = t.array(reached / reached[..., -1:])
    useless = np.logical_not(np.isfinite(reached[..., -1:]))
    if ignore_nan and floats:  # where nothing is left, the answer is NaN
        useless = np.logical_and(useless, np.logical_not(np.isnan(line[..., :1])))
    atom = t.checked(reached.read(), np.less(w, 0).read(), "negative weights")
    reached = t.wrap(t.checked(atom, t.array(useless).read(), "useless weights"))
    reached = reached.astype(q.dtype) if q.dtype.kind == "f" else reached
    reached = np.where(reached == 0, -1.0, reached)
    before = np.sum(reached[..., None] < q, axis=-2)
    result = _taken(t, line, np.minimum(before, lines.length - 1))
    if floats and not ignore_nan:
        result = np.where(np.isnan(line[..., -1:]), line[..., -1:], result)
    return result


TABLE: dict[str, Rule] = {
    "median": median,
    "nanmedian": nanmedian,
    "quantile": _quantiles("quantile", 1, False),
    "nanquantile": _quantiles("quantile", 1, True),
    "percentile": _quantiles("percentile", 100, False),
    "nanpercentile": _quantiles("percentile", 100, True),
}
