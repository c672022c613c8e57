"""Creation functions inside a traced function: tracers with a value known while tracing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.graph.graph import Literal
from jitops.graph.sizes import as_extent, is_open
from jitops.trace.foreign import array_of
from jitops.trace.joining import stacked
from jitops.trace.manipulation import copied
from jitops.trace.numpys import Broadcast
from jitops.trace.objects import ndenumerate, vectorize
from jitops.trace.orders import copy_strides, in_order
from jitops.trace.promotion import DTYPES, contains_traced, result_dtype, supported
from jitops.trace.tracer import KNOWN_LIMIT, Tracer
from jitops.trace.weak import Weak

__all__ = ["MAKERS", "TABLE"]

Maker = Callable[..., Any]


def sizes(shape: Any) -> tuple[int, ...]:
    """A shape argument as a tuple of ints; a runtime int in it asks for a static one."""
    if hasattr(shape, "__index__") and not (isinstance(shape, np.ndarray) and shape.ndim):
        return (as_extent(shape),)
    return tuple(map(as_extent, shape))


def _count(shape: tuple[int, ...]) -> int:
    n = 1
    for extent in shape:
        n *= extent
    return n


def _filled_with(value: int) -> Maker:
    def run(t: Any, shape: Any, dtype: Any = None, order: str = "C", **_: Any) -> Tracer:
        wanted = supported(np.dtype(float if dtype is None else dtype), "the new array")
        return t.filled(value, sizes(shape), wanted)  # type: ignore[no-any-return]

    return run


def full(t: Any, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", **_: Any) -> Any:
    value = t.operand(fill_value)
    wanted = np.dtype(dtype) if dtype is not None else result_dtype([value], arrays=False)
    shape = sizes(shape)
    if (type(value) is Tracer and value.known() is None) or type(value) is Weak:
        return t.wrap(t.broadcast(t.atom(value, wanted), shape))
    known = value.known() if type(value) is Tracer else value
    if np.ndim(known):
        return t.wrap(t.broadcast(t.atom(value, wanted), shape))
    return t.filled(np.asarray(known).astype(wanted)[()], shape, wanted)


def _like(value: int) -> Maker:
    def run(
        t: Any, a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None,
        **_: Any,
    ) -> Tracer:  # fmt: skip
        x = t.array(a)
        wanted = x.dtype if dtype is None else np.dtype(dtype)
        if shape is not None:
            return t.filled(value, sizes(shape), wanted)  # type: ignore[no-any-return]
        return _laid_out_as(x, t.filled(value, x.shape, wanted), order)

    return run


def _laid_out_as(x: Tracer, out: Tracer, order: str) -> Tracer:
    if out.cell.known is None:
        out.cell.strides = copy_strides(x, order, out.itemsize)
    return out


def full_like(
    t: Any, a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True,
    shape: Any = None, **_: Any,
) -> Tracer:  # fmt: skip
    x = t.array(a)
    wanted = x.dtype if dtype is None else np.dtype(dtype)
    return full(t, x.shape if shape is None else shape, fill_value, wanted)  # type: ignore[no-any-return]


def _integers(values: Any) -> bool:
    return all(type(v) is int or isinstance(v, np.integer) for v in values)


def arange(t: Any, *args: Any, dtype: Any = None, **kwargs: Any) -> Any:
    """Large ranges of integers are computed by the op."""
    if len(args) == 1 and is_open(args[0]) and dtype in (None, int, np.int64):
        return t.wrap(t.progression(0, 1, args, 0))
    limits = [a for a in (*args, *kwargs.values()) if a is not None]
    if _integers(limits) and not kwargs and len(args) <= 3:
        span = range(*(int(a) for a in args if a is not None))
        wanted = np.dtype(np.int64 if dtype is None else dtype)
        if len(span) > KNOWN_LIMIT:
            line = t.progression(span.start, span.step, (len(span),), 0)
            return t.wrap(t.cast(line, wanted))
    plain = [plain_value(a, "arange") for a in args]
    named = {k: plain_value(v, "arange") for k, v in kwargs.items()}
    return t.wrap_result(np.arange(*plain, dtype=dtype, **named))


def plain_value(x: Any, name: str) -> Any:
    """A Python or NumPy value of an argument that decides shapes."""
    if type(x) is Tracer:
        return x.needed(f"np.{name}")[()]
    return x.static(f"np.{name}") if type(x) is Weak else x


def _diagonals(relation: str, numpys: Callable[..., Any]) -> Callable[..., Any]:
    """`np.eye` or `np.tri`: where ``column - row`` is, or is at most, `k`."""

    def run(
        t: Any, N: Any, M: Any = None, k: Any = 0, dtype: Any = float, order: str = "C", **_: Any
    ) -> Any:
        rows = N.__index__()
        columns = rows if M is None else M.__index__()
        offset, wanted, shape = k.__index__(), np.dtype(dtype), (rows, columns)

        def recipe() -> Any:
            row, column = t.progression(offset, 1, shape, 0), t.progression(0, 1, shape, 1)
            return t.cast(t.emit(relation, row, column), wanted)

        if rows * columns > KNOWN_LIMIT:
            return t.wrap(recipe())
        return t.lazy(numpys(rows, columns, offset, dtype=wanted), recipe)

    return run


eye, tri = _diagonals("eq", np.eye), _diagonals("ge", np.tri)


def indices(t: Any, dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    shape = sizes(dimensions)
    wanted = np.dtype(dtype)
    if sparse:
        return t.wrap_result(np.indices(shape, dtype, sparse=True))
    if len(shape) * _count(shape) <= KNOWN_LIMIT:
        return t.wrap_known(np.indices(shape, dtype))
    lines = [t.wrap(t.cast(t.progression(0, 1, shape, a), wanted)) for a in range(len(shape))]
    return np.stack(lines)


def linspace(
    t: Any, start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0, **_: Any,
) -> Any:  # fmt: skip
    """As NumPy's, for traced ends too: ``start + step * i``, the last one exact."""
    count = num.__index__()
    known: Any = [_real(t, v) for v in (start, stop)]
    if all(v is not None for v in known) and count <= KNOWN_LIMIT:
        made = np.linspace(known[0], known[1], count, endpoint, retstep, dtype, axis)  # type: ignore[call-overload]
        return t.wrap_result(made)
    begin, end = (t.array(v) * 1.0 for v in (start, stop))
    kind = result_dtype([t.operand(start), t.operand(stop)])
    kind = kind if kind.kind in "fcV" else np.dtype(float)
    wanted = kind if dtype is None else np.dtype(dtype)
    div = count - 1 if endpoint else count
    delta = end - begin
    ramp = t.cast(t.progression(0, 1, (count,) + (1,) * delta.ndim, 0), kind)
    line = t.wrap(ramp)
    step = delta / div if div > 0 else delta * np.nan
    out = line * step + begin if div > 0 else line * delta + begin
    if endpoint and count > 1:
        out[-1, ...] = end
    if wanted.kind in "iu":
        out = np.floor(out)
    out = np.moveaxis(out, 0, axis).astype(wanted)
    return (out, step) if retstep else out


def _real(t: Any, x: Any) -> Any:
    """The value of a number or a known tracer; None for what the op gets at run time."""
    if type(x) is Tracer:
        return x.known()
    if type(x) is Weak or (type(x) in (list, tuple) and contains_traced(x)):
        return None
    return x


def logspace(
    t: Any, start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    known: Any = [_real(t, v) for v in (start, stop, base)]
    if all(v is not None for v in known):
        return t.wrap_known(np.logspace(known[0], known[1], num, endpoint, known[2], dtype, axis))
    line = linspace(t, start, stop, num, endpoint, axis=axis)
    out = np.power(base, line)
    return out if dtype is None else out.astype(dtype)


def array(
    t: Any, object: Any, dtype: Any = None, *, copy: Any = True, order: Any = "K",
    subok: bool = False, ndmin: int = 0, **_: Any,
) -> Any:  # fmt: skip
    """A fresh tracer of anything array-like; lists may hold traced values."""
    x = _converted(t, object, dtype)
    if type(x) is not Tracer:
        return x
    if (x is object and copy is True) or x.scalar:
        fresh = copied(t, x, "C" if order is None else order)
        x = Tracer(t, fresh.type, fresh.cell)
    if x.ndim < ndmin:
        x = x.reshaped((1,) * (ndmin - x.ndim) + x.shape)
    return x


def _converted(t: Any, x: Any, dtype: Any) -> Any:
    kind = type(x)
    wanted = None if dtype is None else np.dtype(dtype)
    if kind is Tracer:
        return x if wanted is None or wanted == x.dtype else x.astype(wanted)
    if kind is Weak:
        return t.wrap(x.atom if wanted is None else t.atom(x, wanted))
    if kind in (list, tuple) and contains_traced(x):
        return stacked(t, x, wanted)
    gives_array = hasattr(kind, "__array__") and not isinstance(x, np.generic)
    if gives_array or hasattr(kind, "traced_line"):
        foreign = gives_array and kind is not np.ndarray
        made = array_of(t, x, plain=True) if foreign else t.array(x)
        return made if wanted is None or wanted == made.dtype else made.astype(wanted)
    made = np.array(x, dtype=wanted)
    return t.wrap_known(made) if made.dtype.name in DTYPES else made


def _as_array(t: Any, a: Any, dtype: Any = None, order: Any = None, **_: Any) -> Any:
    return array(t, a, dtype, copy=False) if order not in ("F",) else array(t, a, dtype).T.copy().T


def asarray(
    t: Any, a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, **_: Any
) -> Any:
    """The same tracer where nothing changes; a fresh one otherwise."""
    x = _converted(t, a, dtype)
    if type(x) is not Tracer:
        return x
    if x.scalar:
        return Tracer(t, x.type, x.cell)
    if order in ("C", "F") and not in_order(x, order):
        return copied(t, x, order)
    return copied(t, x) if copy and x is a else x


def contiguous(t: Any, a: Any, dtype: Any = None, **_: Any) -> Any:
    """`np.ascontiguousarray`: a copy where NumPy's array would not be in C order."""
    x = asarray(t, a, dtype)
    return asarray(t, x if x.ndim else x.reshaped((1,)), order="C")


def require(t: Any, a: Any, dtype: Any = None, requirements: Any = None, **_: Any) -> Any:
    """`np.require`: the order that is asked for; all else holds for every array of an op."""
    asked = {str(r).upper()[0] for r in requirements or ()}
    return asarray(t, a, dtype, next((order for order in "CF" if order in asked), None))


def plain(name: str) -> Maker:
    """NumPy's own function on values known while tracing, with a known result."""

    def run(t: Any, *args: Any, **kwargs: Any) -> Any:
        args = tuple(plain_value(a, name) for a in args)
        named = {k: plain_value(v, name) for k, v in kwargs.items()}
        return t.wrap_result(getattr(np, name)(*args, **named))

    return run


def scalar_like(t: Any, value: Any, dtype: Any) -> Any:
    """A known NumPy scalar."""
    return t.wrap(Literal(value, dtype), scalar=True)


def fromiter(t: Any, iter: Any, dtype: Any, count: Any = -1, *, like: Any = None) -> Any:
    """The values of an iterator, some of them perhaps traced, in an array of one axis."""
    most = count.__index__()
    values = list(iter if most < 0 else itertools.islice(iter, most))
    if not contains_traced(values):
        return t.wrap_known(np.fromiter(values, dtype, most))
    if len(values) < most:
        found = f"Expected {most} but iterator had only {len(values)} items."
        raise ValueError(f"iterator too short: {found}")
    return stacked(t, values, dtype)


MAKERS: dict[str, Maker] = {
    "broadcast": Broadcast,
    "zeros": _filled_with(0),
    "ones": _filled_with(1),
    "empty": _filled_with(0),
    "full": full,
    "zeros_like": _like(0),
    "ones_like": _like(1),
    "empty_like": _like(0),
    "full_like": full_like,
    "arange": arange,
    "eye": eye,
    "identity": lambda t, n, dtype=None, **_: eye(t, n, dtype=float if dtype is None else dtype),
    "tri": tri,
    "indices": indices,
    "linspace": linspace,
    "logspace": logspace,
    "geomspace": plain("geomspace"),
    "array": array,
    "asarray": asarray,
    "asanyarray": asarray,
    "ascontiguousarray": contiguous,
    "asfortranarray": lambda t, a, dtype=None, **_: asarray(t, a, dtype, "F"),
    "asarray_chkfinite": asarray,
    "require": require,
    "vectorize": vectorize,
    "ndenumerate": ndenumerate,
    "fromiter": fromiter,
    "hanning": plain("hanning"),
    "hamming": plain("hamming"),
    "blackman": plain("blackman"),
    "bartlett": plain("bartlett"),
    "kaiser": plain("kaiser"),
}

# Those that dispatch by themselves where an argument is traced.
DISPATCHED = [
    "zeros_like",
    "ones_like",
    "empty_like",
    "full_like",
    "linspace",
    "logspace",
    "geomspace",
]
TABLE: dict[str, Maker] = {name: MAKERS[name] for name in DISPATCHED}
