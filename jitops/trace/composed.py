"""Functions made of other NumPy functions, and NumPy's own Python implementations where those trace as they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace.promotion import result_dtype
from jitops.trace.raising import unsupported
from jitops.trace.recorder import BOOL
from jitops.trace.tracer import Tracer
from jitops.trace.ufunc import common_shape
from jitops.trace.weak import Weak

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
    atoms = [mask, t.atom(operands[1], dtype), t.atom(operands[2], dtype)]
    atoms = [t.broadcast(a, shape) if a.type.shape else a for a in atoms]
    return t.wrap(t.broadcast(t.emit("select", *atoms), shape))


def clip(
    t: Any, a: Any, a_min: Any = np._NoValue, a_max: Any = np._NoValue, out: Any = None,  # type: ignore[attr-defined]
    *, min: Any = np._NoValue, max: Any = np._NoValue, **kwargs: Any,  # type: ignore[attr-defined]
) -> Any:  # fmt: skip
    """Limits as in NumPy: the upper one wins, NaN stays."""
    low, high = (
        None if v is np._NoValue else v  # type: ignore[attr-defined]
        for v in (min if a_min is np._NoValue else a_min, max if a_max is np._NoValue else a_max)  # type: ignore[attr-defined]
    )
    if low is None and high is None:
        return np.positive(a, out=out, **kwargs)
    if low is None:
        return np.minimum(a, high, out=out, **kwargs)
    if high is None:
        return np.maximum(a, low, out=out, **kwargs)
    return np._core.umath.clip(a, low, high, out=out, **kwargs)  # type: ignore[attr-defined]


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


def copyto(t: Any, dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
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


def putmask(t: Any, a: Any, mask: Any, values: Any) -> None:
    """Write values (of the array's own size, or one) where the mask holds."""
    x = t.array(values)
    if x.size != 1 and x.shape != a.shape:
        raise unsupported(
            "np.putmask with values that repeat is not supported in a traced function",
            "Use np.copyto(a, values, where=mask) with values of the array's shape.",
        )
    copyto(t, a, x if x.size != 1 else x.reshaped(()), "unsafe", t.array(mask).reshaped(a.shape))


def select(t: Any, condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The choice of the first condition that holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    dtype = result_dtype([t.operand(c) for c in choicelist] + [t.operand(default)])
    out: Any = t.wrap(t.atom(default, dtype))
    for condition, choice in zip(condlist[::-1], choicelist[::-1]):
        if t.array(condition).dtype.kind != "b":
            raise TypeError("invalid entry in condlist: should be boolean ndarray")
        out = where(t, condition, t.wrap(t.atom(choice, dtype)), out)
    return out


def choose(t: Any, a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """The element of the choice that the index names."""
    index = t.array(a)
    parts = [t.array(c) for c in (choices if isinstance(choices, (list, tuple)) else list(choices))]
    dtype = result_dtype(parts)
    if mode == "wrap":
        index = index % len(parts)
    value = parts[-1].astype(dtype)
    for i, part in reversed(list(enumerate(parts[:-1]))):
        value = where(t, index <= i, part.astype(dtype), value)
    return _given(t, value, out)


def interp(
    t: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Piecewise linear interpolation, by counting the points at or before each x."""
    if period is not None:
        raise unsupported("np.interp with period= is not supported in a traced function")
    at, points, values = (t.array(v).astype(float) for v in (x, xp, fp))
    n = points.size
    if points.ndim != 1 or values.ndim != 1 or n != values.size or not n:
        raise ValueError("fp and xp are not of the same length.")
    before = np.sum(points <= at[..., None], axis=-1)
    i = np.clip(before - 1, 0, max(n - 2, 0))
    x0, y0 = np.take(points, i), np.take(values, i)
    if n > 1:
        slope = (np.take(values, i + 1) - y0) / (np.take(points, i + 1) - x0)
        inner = slope * (at - x0) + y0
    else:
        inner = y0
    inner = np.where(before == n, values[-1], inner)
    out = np.where(at < points[0], values[0] if left is None else left, inner)
    out = np.where(at > points[-1], values[-1] if right is None else right, out)
    out = np.where(np.isnan(at), at, out)
    return out[()] if not at.ndim else out


def searchsorted(t: Any, a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """By comparing with every element: n comparisons for each value."""
    if sorter is not None:
        raise unsupported("np.searchsorted with sorter= is not supported in a traced function")
    x, y = t.array(a), t.array(v)
    less = np.less if side == "left" else np.less_equal
    out = np.sum(less(x, y[..., None]), axis=-1)
    return out[()] if not y.ndim else out


def digitize(t: Any, x: Any, bins: Any, right: bool = False) -> Any:
    """For increasing bins."""
    return searchsorted(t, bins, x, "left" if right else "right")


def _windows(t: Any, a: Tracer, v: Tracer) -> Any:
    """The full correlation of the longer a with the shorter v."""
    n, m = a.size, v.size
    dtype = result_dtype([a, v])
    padded = np.pad(a.astype(dtype), (m - 1, m - 1))
    total: Any = None
    for k in range(m):
        term = padded[k : k + n + m - 1] * v[k]
        total = term if total is None else total + term
    return total


LIMIT = 256  # elements of a convolution kernel, one multiply-add each


def convolve(t: Any, a: Any, v: Any, mode: str = "full") -> Any:
    """By shifted sums over the shorter operand."""
    x, y = (t.array(q) for q in (a, v))
    x, y = (q if q.ndim else q.reshaped((1,)) for q in (x, y))
    if y.size > x.size:
        x, y = y, x
    return _sliding(t, x, y[::-1], mode)


def correlate(t: Any, a: Any, v: Any, mode: str = "valid") -> Any:
    """By shifted sums over the shorter operand."""
    x, y = (t.array(q) for q in (a, v))
    y = np.conjugate(y) if y.dtype.kind == "c" else y
    if y.size > x.size:
        return _sliding(t, y, x, mode)[::-1]
    return _sliding(t, x, y, mode)


def _sliding(t: Any, x: Tracer, y: Tracer, mode: str) -> Any:
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError("object too deep for desired array")
    if not y.size:
        raise ValueError("v cannot be empty")
    if y.size > LIMIT:
        raise unsupported(
            f"a convolution with more than {LIMIT} elements is not supported in a traced function",
            "Use a shorter kernel, or np.fft outside the op.",
        )
    out, n, m = _windows(t, x, y), x.size, y.size
    cut = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}
    first, size = cut[{"v": "valid", "s": "same", "f": "full"}.get(mode, mode)]
    if mode.startswith("s"):
        first = (m - 1) - (m - 1 - (m - 1) // 2) if True else first
    return out[first : first + size]


def pad(t: Any, array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Constants by the primitive; edge, reflect, symmetric and wrap by an index along each axis."""
    x = t.array(array)
    widths = _widths(x, pad_width)
    if mode == "constant":
        return _pad_constant(t, x, widths, kwargs.get("constant_values", 0))
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise unsupported(
            f"np.pad with mode={mode!r} is not supported in a traced function",
            "Use constant, edge, reflect, symmetric or wrap.",
        )
    for axis, (low, high) in enumerate(widths):
        if low or high:
            index = np.pad(np.arange(x.shape[axis]), (low, high), mode, **kwargs)
            x = t.array(np.take(x, index, axis))
    return x.copy() if x is array else x


def _widths(x: Tracer, pad_width: Any) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        given = {a % x.ndim: w if isinstance(w, tuple) else (w, w) for a, w in pad_width.items()}
        return [given.get(a, (0, 0)) for a in range(x.ndim)]
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    if any(n < 0 for pair in widths for n in pair):
        raise ValueError("index can't contain negative values")
    return [(int(a), int(b)) for a, b in widths]


def _pad_constant(t: Any, x: Tracer, widths: Any, values: Any) -> Any:
    plain = type(values) is Tracer or type(values) is Weak or not np.ndim(values)
    if plain:
        low, high = zip(*widths) if widths else ((), ())
        value = t.operand(values)
        value = value if type(value) is not Tracer else value.astype(x.dtype)
        return t.wrap(t.emit("pad", x.read(), t.atom(value, x.dtype), low=low, high=high))
    for axis, ((low, high), pair) in enumerate(zip(widths, np.broadcast_to(values, (x.ndim, 2)))):
        for n, value, before in ((low, pair[0], True), (high, pair[1], False)):
            ends = [(0, 0)] * x.ndim
            ends[axis] = (n, 0) if before else (0, n)
            x = _pad_constant(t, x, ends, value)
    return x


def fill_diagonal(t: Any, a: Any, val: Any, wrap: bool = False) -> None:
    """Write along the main diagonal of a matrix or of a hypercube."""
    if wrap or a.ndim < 2:
        raise unsupported("np.fill_diagonal needs two or more axes and wrap=False")
    n = min(a.shape)
    index = np.arange(n)
    a[(index,) * a.ndim] = val


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
    high, low = _as(info.max if posinf is None else posinf, kind), _as(info.min if neginf is None else neginf, kind)
    out = np.where(a == np.inf, high, out)
    out = np.where(a == -np.inf, low, out)
    if not copy and not a.scalar:
        return t.assign(a, out)
    return out[()] if a.scalar else out


def _as(x: Any, kind: Any) -> Any:
    return x if type(x) in (Tracer, Weak) or np.ndim(x) else kind(x)


def numpys(name: str) -> Rule:
    """NumPy's own Python implementation, with its helpers seeing tracers."""

    def run(t: Any, *args: Any, **kwargs: Any) -> Any:
        from jitops.trace.functions import find
        from jitops.trace.intercept import rebound

        function = find(name)
        inner = getattr(function, "_implementation", function)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return rebound(t, inner, own=False)(*args, **kwargs)

    return run


def _static(name: str) -> Rule:
    """Facts about types and shapes alone."""
    return {
        "shape": lambda t, a: t.array(a).shape,
        "ndim": lambda t, a: t.array(a).ndim,
        "size": lambda t, a, axis=None: _size(t.array(a), axis),
        "iscomplexobj": lambda t, x: t.array(x).dtype.kind == "c",
        "isrealobj": lambda t, x: t.array(x).dtype.kind != "c",
        "result_type": lambda t, *a: result_dtype([_type_operand(t, v) for v in a]),
        "can_cast": lambda t, f, to, casting="safe": np.can_cast(f.dtype, to, casting),
        "common_type": lambda t, *a: _common_type([t.array(v).dtype for v in a]),
        "min_scalar_type": lambda t, a: t.array(a).dtype,
        "may_share_memory": lambda t, a, b, *_: _share(a, b),
        "shares_memory": lambda t, a, b, *_: _share(a, b),
    }[name]


def _size(x: Tracer, axis: Any) -> int:
    if axis is None:
        return x.size
    axes = axis if isinstance(axis, tuple) else (axis,)
    return int(np.prod([x.shape[a] for a in axes]))


def _type_operand(t: Any, x: Any) -> Any:
    return np.dtype(x) if isinstance(x, (type, str, np.dtype)) else t.operand(x)


def _common_type(dtypes: list[np.dtype[Any]]) -> Any:
    kinds = [np.dtype("float64") if d.kind in "iu" else d for d in dtypes]
    return np.result_type(np.float16, *kinds).type


def _share(a: Any, b: Any) -> bool:
    return type(a) is Tracer and type(b) is Tracer and a.cell is b.cell


FACTS = """shape ndim size iscomplexobj isrealobj result_type can_cast common_type min_scalar_type
may_share_memory shares_memory""".split()

NUMPYS = """isclose allclose array_equal array_equiv sinc angle diff ediff1d gradient trapezoid trapz cross
linalg.cross kron meshgrid unwrap vander polyval fix isposinf isneginf iscomplex isreal cov corrcoef
append block apply_along_axis apply_over_axes linalg.norm linalg.vector_norm linalg.matrix_norm i0 delete insert
resize trim_zeros take_along_axis compress extract polyadd polysub polymul polyder polyint
nan_to_num cumulative_sum cumulative_prod piecewise tril_indices_from triu_indices_from
diag_indices_from iscomplexobj vecdot linalg.cond diagflat ix_ place put put_along_axis""".split()

TABLE: dict[str, Rule] = {
    **{name: numpys(name) for name in NUMPYS},
    **{name: _static(name) for name in FACTS},
    "where": where,
    "clip": clip,
    "round": round_,
    "around": round_,
    "select": select,
    "choose": choose,
    "interp": interp,
    "searchsorted": searchsorted,
    "digitize": digitize,
    "convolve": convolve,
    "correlate": correlate,
    "pad": pad,
    "nan_to_num": nan_to_num,
}

MUTATING: dict[str, Rule] = {
    "copyto": copyto,
    "putmask": putmask,
    "fill_diagonal": fill_diagonal,
}

HINTS: dict[str, Any] = {
    "sort": "Sorting is not compiled yet: sort outside the op and pass the result.",
    "argsort": "Sorting is not compiled yet: sort outside the op and pass the result.",
    "median": "Sorting is not compiled yet: compute the median outside the op.",
    "percentile": "Sorting is not compiled yet: compute it outside the op.",
    "quantile": "Sorting is not compiled yet: compute it outside the op.",
    "unique": "The result's shape depends on values: compute it outside the op.",
    "nonzero": "The result's shape depends on values: use np.where(mask, x, other).",
    "flatnonzero": "The result's shape depends on values: use np.where(mask, x, other).",
    "argwhere": "The result's shape depends on values: use np.where(mask, x, other).",
}
