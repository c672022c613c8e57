"""Functions made of other NumPy functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace.indexing import clip_mode
from jitops.trace.promotion import result_dtype
from jitops.trace.raising import unsupported
from jitops.trace.recorder import BOOL
from jitops.trace.reductions import NoValue
from jitops.trace.tracer import Tracer
from jitops.trace.ufunc import cast_atom, common_shape
from jitops.trace.weak import Weak

__all__ = ["MUTATING", "TABLE"]

Rule = Callable[..., Any]


def where(t: Any, condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """The choice by element; with one argument the result's shape would depend on values."""
    if x is None and y is None:
        raise unsupported(
            "np.where with one argument gives positions whose count depends on values",
            "Use np.where(condition, x, y).",
        )
    operands = [t.array(condition), t.operand(x), t.operand(y)]
    dtype = result_dtype(operands[1:])
    shape = common_shape("where", operands)
    mask = t.cast(operands[0].read(), BOOL)
    atoms = [mask, cast_atom(t, operands[1], dtype), cast_atom(t, operands[2], dtype)]
    atoms = [t.broadcast(a, shape) if a.type.shape else a for a in atoms]
    return t.wrap(t.broadcast(t.emit("select", *atoms), shape))


# The ufunc behind ndarray.clip; its module has a new name since NumPy 2.
_CLIP: Any = (getattr(np, "_core", None) or np.core).umath.clip


def clip(
    t: Any, a: Any, a_min: Any = NoValue, a_max: Any = NoValue, out: Any = None,
    *, min: Any = NoValue, max: Any = NoValue, **kwargs: Any,
) -> Any:  # fmt: skip
    """Limits as in NumPy: the upper one wins, NaN stays."""
    if a_min is not NoValue or a_max is not NoValue:
        if min is not NoValue or max is not NoValue:
            raise ValueError(
                "Passing `min` or `max` keyword argument when `a_min` and `a_max` are provided is"
                " forbidden."
            )
        for name, given in (("a_min", a_min), ("a_max", a_max)):
            if given is NoValue:
                raise TypeError(f"clip() missing 1 required positional argument: {name!r}")
        min, max = a_min, a_max
    low, high = (None if v is NoValue else v for v in (min, max))
    dtype = t.array(a).dtype
    if dtype.kind in "iu":  # limits that no element is beyond
        info = np.iinfo(dtype)
        low = None if type(low) is int and low <= info.min else low
        high = None if type(high) is int and high >= info.max else high
    if low is None and high is None:
        return np.positive(a, out=out, **kwargs)
    if low is None:
        return np.minimum(a, high, out=out, **kwargs)  # type: ignore[arg-type]
    if high is None:
        return np.maximum(a, low, out=out, **kwargs)
    return _CLIP(a, low, high, out=out, **kwargs)


def round_(t: Any, a: Any, decimals: int = 0, out: Any = None) -> Any:
    """As NumPy: scale by a power of ten, round to even, scale back."""
    x = t.array(a)
    places = decimals.__index__()
    if x.dtype.kind in "iub":
        if x.dtype.kind == "b":
            return _given(t, np.rint(x.astype("float16")), out)
        if places >= 0:
            return _given(t, np.positive(x), out)
        return _given(t, _rounded_int(x, 10**-places), out)
    if x.dtype.kind == "c":
        real, imag = round_(t, x.real, places), round_(t, x.imag, places)
        return _given(t, real + imag * x.dtype.type(1j), out)
    if places == 0:
        return np.rint(x, out=out)
    scale = 10.0 ** abs(places)
    if places > 0:
        return np.divide(np.rint(np.multiply(x, scale)), scale, out=out)
    return np.multiply(np.rint(np.divide(x, scale)), scale, out=out)


def _rounded_int(x: Tracer, scale: int) -> Any:
    return (np.rint(np.divide(x, scale)) * scale).astype(x.dtype)


def _given(t: Any, value: Any, out: Any) -> Any:
    return value if out is None else t.assign(out, value, "same_kind")


def copyto(t: Any, dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Write into an array, where the mask holds."""
    value = t.operand(src)
    if where is True:
        t.assign(dst, value, casting)
        return
    if type(dst) is not Tracer:
        t.refuse_write(dst)
    if type(value) is Tracer and not np.can_cast(value.dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast array data from {value.dtype!r} to {dst.dtype!r}")
    new = t.broadcast(t.atom(value, dst.dtype), dst.shape)
    mask = t.broadcast(t.cast(t.array(where).read(), BOOL), dst.shape)
    dst.write(t.emit("select", mask, new, dst.read()))


def select(t: Any, condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The choice of the first condition that holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    dtype = result_dtype([t.operand(c) for c in choicelist] + [t.operand(default)])
    out: Any = t.wrap(cast_atom(t, default, dtype))
    for condition, choice in zip(condlist[::-1], choicelist[::-1]):
        if t.array(condition).dtype.kind != "b":
            raise TypeError("invalid entry in condlist: should be boolean ndarray")
        out = where(t, condition, t.wrap(cast_atom(t, choice, dtype)), out)
    return out


def choose(t: Any, a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """The element of the choice that the index names."""
    index = t.array(a)
    mode = clip_mode(mode)
    given = choices if isinstance(choices, (list, tuple)) else list(choices)
    dtype = result_dtype([t.operand(c) for c in given])
    parts = [t.wrap(cast_atom(t, c, dtype)) for c in given]
    if mode == "wrap":
        index = index % len(parts)
    elif mode == "raise":
        outside = t.array((index < 0) | (index >= len(parts)))
        known = outside.known()
        if known is not None and known.any():
            raise ValueError("invalid entry in choice array")
        index = t.wrap(t.checked(index.read(), outside.read(), "choice"))
    value = parts[-1]
    for i, part in reversed(list(enumerate(parts[:-1]))):
        value = where(t, index <= i, part, value)
    return _given(t, value, out)


def _windows(t: Any, a: Tracer, v: Tracer) -> Any:
    """The full correlation of the longer a with the shorter v."""
    m = v.size
    dtype = result_dtype([a, v])
    line: Any = a.astype(dtype)
    total: Any = None
    for k in range(m):  # zeros around the products: those around a would make NaN of infinities
        term = np.pad(line * v[k], (m - 1 - k, k))
        total = term if total is None else total + term
    return total


LIMIT = 256  # elements of a convolution kernel, one multiply-add each


def convolve(t: Any, a: Any, v: Any, mode: str = "full") -> Any:
    """By shifted sums over the shorter operand."""
    x, y = (t.array(q) for q in (a, v))
    x, y = (q if q.ndim else q.reshaped((1,)) for q in (x, y))
    _refuse_empty("{} cannot be empty", ("a", x), ("v", y))
    if y.size > x.size:
        x, y = y, x
    return _sliding(t, x, y[::-1], mode)


def correlate(t: Any, a: Any, v: Any, mode: str = "valid") -> Any:
    """By shifted sums over the shorter operand."""
    x, y = (t.array(q) for q in (a, v))
    _refuse_empty("{} array argument cannot be empty", ("first", x), ("second", y))
    y = np.conjugate(y) if y.dtype.kind == "c" else y
    if y.size > x.size:
        return _sliding(t, y, x, mode)[::-1]
    return _sliding(t, x, y, mode)


def _sliding(t: Any, x: Tracer, y: Tracer, mode: str) -> Any:
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError("object too deep for desired array")
    if y.size > LIMIT:
        raise unsupported(
            f"a convolution with more than {LIMIT} elements is not supported in a traced function",
            "Use a shorter kernel, or np.fft outside the op.",
        )
    n, m = x.size, y.size
    cut = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}
    first, size = cut[_mode(mode)]
    sums = _windows(t, x, y)[first : first + size]
    return sums + 0.0 if sums.dtype.kind in "fc" else sums  # NumPy's begin with 0: none is -0.0


def _refuse_empty(message: str, *arrays: tuple[str, Tracer]) -> None:
    for name, x in arrays:
        if not x.size:
            raise ValueError(message.format(name))


MODES = ("valid", "same", "full")


def _mode(mode: Any) -> str:
    """The name of a mode, which NumPy takes by its number too."""
    if isinstance(mode, str):
        if mode not in MODES:
            raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
        return mode
    if not hasattr(mode, "__index__"):
        raise TypeError("convolve/correlate mode not understood")
    if mode not in (0, 1, 2):
        raise ValueError("integer convolve/correlate mode must be 0, 1, or 2")
    return MODES[mode]


def compress(t: Any, condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    """The slices where a condition holds that is known while tracing."""
    known = t.array(condition).known()
    if known is None:
        raise unsupported(
            "np.compress with a traced condition gives a shape that depends on values",
            "Use np.where(mask, x, other), or a reduction with where=mask.",
        )
    return np.take(t.array(a), np.flatnonzero(known), axis=axis, out=out)


def fill_diagonal(t: Any, a: Any, val: Any, wrap: bool = False) -> None:
    """Write along the main diagonal of a matrix or of a hypercube; wrapped: again below it."""
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    columns = a.shape[1]
    if wrap and a.ndim == 2:
        places = np.unravel_index(np.arange(0, a.size, columns + 1), a.shape)
    else:
        places = (np.arange(min(a.shape)),) * a.ndim
    values = t.array(val)
    if values.ndim:  # as through a.flat: in order, from the start again where they end
        values = np.ravel(values)[np.arange(len(places[0])) % max(values.size, 1)]
    a[places] = values


def nan_to_num(
    t: Any, x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """NaN and the infinities replaced."""
    a = t.array(x)
    if a.dtype.kind == "c":
        real = nan_to_num(t, a.real, True, nan, posinf, neginf)
        return real + nan_to_num(t, a.imag, True, nan, posinf, neginf) * a.dtype.type(1j)
    if a.dtype.kind not in "fV":
        return a.copy()
    info = np.finfo(a.dtype)
    kind = a.dtype.type
    out = np.where(np.isnan(a), _as(nan, kind), a)
    high, low = (
        _as(info.max if posinf is None else posinf, kind),
        _as(info.min if neginf is None else neginf, kind),
    )
    out = np.where(a == np.inf, high, out)
    out = np.where(a == -np.inf, low, out)
    if not copy and not a.scalar:
        return t.assign(a, out)
    return out[()] if a.scalar else out


def _as(x: Any, kind: Any) -> Any:
    return x if type(x) in (Tracer, Weak) or np.ndim(x) else kind(x)


def cross(
    t: Any, a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Any:
    """The vector product; vectors of two elements have none along the third axis."""
    if axis is not None:
        axisa, axisb, axisc = (axis,) * 3
    x, y = np.moveaxis(t.array(a), axisa, -1), np.moveaxis(t.array(b), axisb, -1)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ValueError(
            "incompatible dimensions for cross product\n(dimension must be 2 or 3)"
        )
    u, v = ([w[..., i] for i in range(w.shape[-1])] for w in (x, y))
    last = u[0] * v[1] - u[1] * v[0]
    if len(u) == len(v) == 2:
        return last
    if len(u) == len(v):
        parts = [u[i] * v[j] - u[j] * v[i] for i, j in ((1, 2), (2, 0))]
    else:
        parts = [u[1] * v[2], -(u[0] * v[2])] if len(v) == 3 else [-(u[2] * v[1]), u[2] * v[0]]
    parts.append(last)
    return np.moveaxis(np.stack(parts, axis=-1), -1, axisc)


def linalg_cross(t: Any, x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The vector product of vectors of three elements."""
    x, y = t.array(x1), t.array(x2)
    n, m = x.shape[axis], y.shape[axis]
    if (n, m) != (3, 3):
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are"
            f" {n} and {m} dimensional instead."
        )
    return cross(t, x, y, axis=axis)


def piecewise(t: Any, x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Every function is computed on all elements; the last condition that holds chooses."""
    a = t.array(x)
    single = not isinstance(condlist, (list, tuple)) or (not np.ndim(condlist[0]) and a.ndim)
    conditions = [t.array(c) for c in ([condlist] if single else condlist)]
    if len(funclist) == len(conditions) + 1:
        rest = ~conditions[0]
        for c in conditions[1:]:
            rest = rest & ~c
        conditions.append(rest)
    out = np.zeros_like(a)
    for condition, function in zip(conditions, funclist):
        value = function(a, *args, **kw) if callable(function) else function
        out = where(t, condition, t.wrap(t.atom(value, a.dtype)), out)
    return out


def meshgrid(
    t: Any, *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Any, ...]:
    """Coordinate arrays of a grid."""
    lines = [np.ravel(t.array(x)) for x in xi]
    n = len(lines)
    places = list(range(n))
    if indexing == "xy" and n > 1:
        places[:2] = [1, 0]
    grids = [x.reshape([-1 if a == p else 1 for a in range(n)]) for x, p in zip(lines, places)]
    if not sparse:
        grids = list(np.broadcast_arrays(*grids))
    return tuple(g.copy() for g in grids) if copy else tuple(grids)


def kron(t: Any, a: Any, b: Any) -> Any:
    """The Kronecker product."""
    x, y = t.array(a), t.array(b)
    n = max(x.ndim, y.ndim)
    x, y = (v.reshaped((1,) * (n - v.ndim) + v.shape) for v in (x, y))
    inner = [size for pair in zip(x.shape, (1,) * n) for size in pair]
    outer = [size for pair in zip((1,) * n, y.shape) for size in pair]
    out = np.multiply(x.reshape(inner), y.reshape(outer))
    return out.reshape([i * j for i, j in zip(x.shape, y.shape)])


def block(t: Any, arrays: Any) -> Any:
    """Nested lists of blocks, joined from the innermost list (last axis) outwards."""

    def depth(x: Any) -> int:
        return 1 + max(map(depth, x)) if isinstance(x, list) else 0

    def leaves(x: Any) -> list[Any]:
        return [v for item in x for v in leaves(item)] if isinstance(x, list) else [t.array(x)]

    levels = depth(arrays)
    ndim = max(levels, *(v.ndim for v in leaves(arrays)))

    def joined(x: Any, level: int) -> Any:
        if isinstance(x, list):
            return np.concatenate([joined(v, level + 1) for v in x], axis=-(levels - level))
        v = t.array(x)
        return v.reshaped((1,) * (ndim - v.ndim) + v.shape)

    out = joined(arrays, 0)
    return out.copy() if not levels else out


TABLE: dict[str, Rule] = {
    "where": where,
    "clip": clip,
    "round": round_,
    "around": round_,
    "select": select,
    "choose": choose,
    "convolve": convolve,
    "correlate": correlate,
    "nan_to_num": nan_to_num,
    "piecewise": piecewise,
    "meshgrid": meshgrid,
    "kron": kron,
    "block": block,
    "cross": cross,
    "linalg.cross": linalg_cross,
    "compress": compress,
}

MUTATING: dict[str, Rule] = {
    "copyto": copyto,
    "fill_diagonal": fill_diagonal,
}
