"""np.pad: constants by the primitive, repeated elements by an index, computed ones by joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace.raising import unsupported
from jitops.trace.tracer import Tracer
from jitops.trace.ufunc import cast_atom
from jitops.trace.weak import Weak

__all__ = ["TABLE"]

Pairs = list[tuple[int, int]]

# What a mode takes besides the widths, and the defaults.
MODES: dict[str, dict[str, Any]] = {
    "constant": {"constant_values": 0},
    "empty": {},
    "edge": {},
    "wrap": {},
    "reflect": {"reflect_type": "even"},
    "symmetric": {"reflect_type": "even"},
    "linear_ramp": {"end_values": 0},
    "maximum": {"stat_length": None},
    "minimum": {"stat_length": None},
    "mean": {"stat_length": None},
    "median": {"stat_length": None},
}
BY_INDEX = ("edge", "wrap", "reflect", "symmetric")


def pad(t: Any, array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """The array with more elements before and after it along its axes."""
    x = t.array(array)
    widths = _widths(x, pad_width)
    options = _options(mode, kwargs)
    if mode in ("constant", "empty"):
        return _constant(t, x, widths, options.get("constant_values", 0))
    if not x.size:
        for axis, pair in enumerate(widths):
            if not x.shape[axis] and any(pair):
                raise ValueError(
                    f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'"
                )
        return _constant(t, x, widths, 0)
    if mode in BY_INDEX:
        return _repeated(t, array, x, widths, mode, options)
    ends = _ramps if mode == "linear_ramp" else _statistics(mode)
    (given,) = options.values()
    pairs = [(None, None)] * x.ndim if given is None else _pairs(given, x.ndim)
    if mode != "linear_ramp" and any(n is not None and n < 0 for pair in pairs for n in pair):
        raise ValueError("index can't contain negative values")
    for axis, (low, high) in enumerate(widths):
        first, last = ends(t, x, axis, (low, high), pairs[axis])
        x = t.array(np.concatenate([first, x, last], axis=axis))
    return x.copy() if x is array else x


def _options(mode: Any, given: dict[str, Any]) -> dict[str, Any]:
    if callable(mode):
        raise unsupported(
            "np.pad with a function that writes into each line is not supported",
            f"Use one of the modes {', '.join(MODES)}.",
        )
    if mode not in MODES:
        raise ValueError(f"mode '{mode}' is not supported")
    extra = set(given) - set(MODES[mode])
    if extra:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {extra}")
    return {**MODES[mode], **given}


def _pairs(value: Any, ndim: int) -> list[Any]:
    """A value for each side of each axis, as NumPy broadcasts it."""
    return [tuple(pair) for pair in np.broadcast_to(np.asarray(value), (ndim, 2)).tolist()]


def _widths(x: Tracer, pad_width: Any) -> Pairs:
    if isinstance(pad_width, dict):
        both = {a: w if isinstance(w, tuple) else (w, w) for a, w in pad_width.items()}
        given = {a + x.ndim if a < 0 else a: pair for a, pair in both.items()}
        pad_width = [given.get(a, (0, 0)) for a in range(x.ndim)] or 0
    wanted = np.asarray(pad_width)
    if wanted.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    widths = np.broadcast_to(wanted, (x.ndim, 2)).tolist()
    if any(n < 0 for pair in widths for n in pair):
        raise ValueError("index can't contain negative values")
    return [(int(a), int(b)) for a, b in widths]


def _constant(t: Any, x: Tracer, widths: Any, values: Any) -> Any:
    plain = type(values) is Tracer or type(values) is Weak or not np.ndim(values)
    if plain:
        low, high = zip(*widths) if widths else ((), ())
        value = t.operand(values)
        value = value if type(value) is not Tracer else value.astype(x.dtype)
        return t.wrap(t.emit("pad", x.read(), cast_atom(t, value, x.dtype), low=low, high=high))
    for axis, ((low, high), pair) in enumerate(zip(widths, np.broadcast_to(values, (x.ndim, 2)))):
        for n, value, before in ((low, pair[0], True), (high, pair[1], False)):
            ends = [(0, 0)] * x.ndim
            ends[axis] = (n, 0) if before else (0, n)
            x = _constant(t, x, ends, value)
    return x


def _repeated(
    t: Any, array: Any, x: Tracer, widths: Pairs, mode: Any, options: dict[str, Any]
) -> Any:
    odd = options.get("reflect_type", "even") == "odd"
    for axis, (low, high) in enumerate(widths):
        n = x.shape[axis]
        if (low or high) and odd and n > 1:
            x = _mirrored(t, x, axis, (low, high), mode)
        elif low or high:
            x = t.array(np.take(x, np.pad(np.arange(n), (low, high), mode), axis))
    return x.copy() if x is array else x


def _mirrored(t: Any, x: Tracer, axis: int, widths: tuple[int, int], mode: str) -> Tracer:
    """Reflections through the first and the last element as points."""
    n, skip = x.shape[axis], int(mode == "reflect")
    if max(widths) > n - skip:
        raise unsupported(
            f"np.pad with reflect_type='odd' by more than {n - skip} elements is not supported",
            "Pad in several steps.",
        )
    ends = []
    for width, edge, start in zip(widths, (0, n - 1), (skip, n - skip - widths[1])):
        chunk = np.flip(np.take(x, np.arange(start, start + width), axis), axis)
        ends.append(2 * np.take(x, [edge], axis) - chunk)
    return t.array(np.concatenate([ends[0], x, ends[1]], axis=axis))  # type: ignore[no-any-return]


def _ramps(t: Any, x: Any, axis: int, widths: tuple[int, int], ends: tuple[Any, Any]) -> Any:
    """Lines from the end values to the first and the last element."""
    edges = np.take(x, 0, axis), np.take(x, x.shape[axis] - 1, axis)
    first, last = (
        np.linspace(end, edge, num=n, endpoint=False, dtype=x.dtype, axis=axis)
        for end, edge, n in zip(ends, edges, widths)
    )
    return first, np.flip(last, axis)


def _statistics(mode: str) -> Callable[..., Any]:
    fold: Any = {"maximum": np.max, "minimum": np.min}.get(mode) or getattr(np, mode)

    def run(t: Any, x: Any, axis: int, widths: tuple[int, int], lengths: tuple[Any, Any]) -> Any:
        n = x.shape[axis]
        sizes = [n if length is None else min(int(length), n) for length in lengths]
        if 0 in sizes and mode in ("maximum", "minimum"):
            raise ValueError("stat_length of 0 yields no value for padding")
        parts = []
        for size, start, width in zip(sizes, (0, n - sizes[1]), widths):
            chunk = np.take(x, np.arange(start, start + size), axis)
            value = t.array(fold(chunk, axis=axis, keepdims=True))
            if x.dtype.kind in "iu":
                value = t.array(np.round(value))
            shape = [*x.shape[:axis], width, *x.shape[axis + 1 :]]
            parts.append(np.broadcast_to(value.astype(x.dtype), shape))
        return parts

    return run


TABLE: dict[str, Callable[..., Any]] = {"pad": pad}
