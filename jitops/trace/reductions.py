"""Reductions and scans: ufunc.reduce, accumulate and outer, and the functions made of them."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np

from jitops.graph.graph import Literal
from jitops.graph.ops import JOINS
from jitops.trace import folds
from jitops.trace.functions import room
from jitops.trace.raising import misfit, unsupported
from jitops.trace.recorder import BOOL, FLOAT32, FLOAT64, INT64
from jitops.trace.tracer import Tracer

NoValue: Any = np._NoValue
UINT64 = np.dtype("uint64")

PARITY = "parity"  # of bools: whether an odd number of them is true

# ufunc: primitive of numbers, primitive of bools, identity
FOLDS: dict[str, tuple[str | None, str, Any]] = {
    "add": ("reduce_sum", "reduce_or", 0),
    "multiply": ("reduce_prod", "reduce_and", 1),
    "maximum": ("reduce_max", "reduce_or", None),
    "minimum": ("reduce_min", "reduce_and", None),
    "fmax": ("reduce_max", "reduce_or", None),
    "fmin": ("reduce_min", "reduce_and", None),
    "logical_or": (None, "reduce_or", False),
    "logical_and": (None, "reduce_and", True),
    "bitwise_or": ("reduce_or", "reduce_or", 0),
    "bitwise_and": ("reduce_and", "reduce_and", -1),
    "bitwise_xor": ("reduce_xor", PARITY, 0),
    "logical_xor": (None, PARITY, False),
}


def normal_axes(x: Tracer, axis: Any) -> tuple[int, ...]:
    """The axes as sorted, non-negative ints; None is all of them."""
    if axis is None:
        return tuple(range(x.ndim))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if not x.ndim and all(a in (0, -1) for a in axes):
        return ()  # NumPy lets scalars be reduced along an axis that they do not have
    out = sorted(normal_axis(x.ndim, a) for a in axes)
    if len(set(out)) != len(out):
        raise ValueError("duplicate value in 'axis'")
    return tuple(out)


def normal_axis(ndim: int, axis: Any, role: str | None = None) -> int:
    """The axis as a non-negative int; role: what it is called in the error."""
    if type(axis) is bool:
        raise TypeError("an integer is required for the axis, not a bool")
    n = index(axis)
    if not -ndim <= n < ndim:
        raise np.exceptions.AxisError(n, ndim, role)
    return n % ndim


def kept_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with the axes of size 1 (keepdims)."""
    return tuple(1 if a in axes else n for a, n in enumerate(shape))


def reduce(
    t: Any,
    ufunc: Any,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = NoValue,
    where: Any = True,
) -> Any:
    """``ufunc.reduce``: NumPy's result dtype, identity, ``where`` and ``initial``."""
    x = t.array(array)
    name = ufunc.__name__
    axes = normal_axes(x, axis)
    target(t, out)
    kind = fold_dtype(ufunc, x, dtype, out) if name in FOLDS else None
    if kind is None or (kind.kind == "c" and FOLDS[name][2] is None):
        atom = t.array(folds.reduced(t, ufunc, x, axes, dtype, initial, where)).read()
    else:
        atom = _fold(t, name, x, axes, kind, initial, where)
    if keepdims:
        atom = t.reshape(atom, kept_shape(x.shape, axes))
    return finish(t, atom, out)


def finish(t: Any, atom: Any, out: Any, *, exact: bool = True) -> Any:
    """A fresh result, a scalar where it has no axes; or the content of ``out``.

    exact: whether ``out`` has the very shape, instead of one that the result broadcasts to.
    """
    result = t.wrap(atom, scalar=not atom.type.shape)
    out = target(t, out)
    if out is None:
        return result
    if exact and out.shape != result.shape:
        raise misfit(
            f"the output {out.type} has the wrong shape or number of dimensions",
            str(result.type.shape),
        )
    return t.assign(out, result)


def target(t: Any, out: Any) -> Any:
    """The array of an ``out=``, which may be in a tuple; None for none."""
    if type(out) is tuple and len(out) == 1:
        out = out[0]
        if out is Ellipsis:
            raise TypeError("must use `...` as `out=...` and not per-operand/in a tuple")
    if out is None:
        return None
    if type(out) is not Tracer:
        t.refuse_write(out)
    return out


def fold_dtype(ufunc: Any, x: Tracer, dtype: Any, out: Any) -> np.dtype[Any]:
    """The dtype of the steps of a reduction; raises what NumPy raises."""
    name = ufunc.__name__
    if dtype is not None:
        return folds.loop_dtype(ufunc, x, dtype)  # which refuses what NumPy refuses
    if name.startswith("logical"):
        return BOOL
    place = out[0] if type(out) is tuple else out
    if type(place) is Tracer and name in ("add", "multiply"):
        return np.promote_types(x.dtype, place.dtype)
    if name in ("add", "multiply"):
        return sum_dtype(x.dtype)
    return folds.loop_dtype(ufunc, x, None)


def sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What NumPy sums in: 64-bit integers for bools and smaller integers."""
    if dtype.kind in "bi":
        return INT64
    return UINT64 if dtype.kind == "u" else dtype


def wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What is accumulated in: float32 for the 16-bit floats."""
    return FLOAT32 if dtype.name in ("float16", "bfloat16") else dtype


def _fold(
    t: Any, name: str, x: Tracer, axes: Any, dtype: np.dtype[Any], initial: Any, where: Any
) -> Any:
    numbers, bools, identity = FOLDS[name]
    op = bools if dtype.kind == "b" else numbers
    if op is None or (dtype.kind == "c" and identity is None):
        raise unsupported(f"np.{name}.reduce of {x.dtype} is not supported in a traced function")
    if initial is None:
        initial, identity = NoValue, None
    if identity is not None:
        identity = np.asarray(identity).astype(dtype)[()]
    start = identity if initial is NoValue else initial
    _check_start(name, x, axes, start, where)
    accumulator = wide(dtype) if identity is not None else dtype
    atom = t.cast(t.cast(x.read(), dtype), accumulator)
    if where is not True:
        fill = start if identity is None else identity
        mask = t.broadcast(t.cast(t.array(where).read(), BOOL), x.shape)
        atom = t.emit("select", mask, atom, t.atom(fill, accumulator))
    source = atom
    if axes and 0 in (x.shape[a] for a in axes):
        shape = tuple(n for a, n in enumerate(x.shape) if a not in axes)
        return t.broadcast(t.atom(start, dtype), shape)
    if name in ("fmax", "fmin") and dtype.kind == "f":
        atom = _fold_ignoring_nan(t, op, atom, axes, start)
    elif axes and op == PARITY:
        count = t.emit("reduce_sum", t.cast(atom, INT64), axes=axes)
        atom = t.cast(t.emit("and", count, 1), BOOL)
    elif axes:
        atom = t.emit(op, atom, axes=axes)
    if initial is not NoValue and name == "add" and dtype.kind in "fc":
        atom = _sum_from(t, source, atom, axes, t.atom(initial, accumulator))
    elif initial is not NoValue:
        atom = t.emit(_joiner(name, op), atom, t.atom(initial, accumulator))
    return t.cast(atom, dtype)


def _sum_from(t: Any, source: Any, total: Any, axes: Any, start: Any) -> Any:
    """The sum of the elements, and the start; sums begin with +0.0, which is no identity of -0.0.

    So where all elements are -0.0, the sum is the start.
    """
    if source.type.dtype.kind == "c":
        parts = [[t.emit(part, x) for x in (source, total, start)] for part in ("real", "imag")]
        return t.emit("complex", *(_sum_from(t, x, y, axes, z) for x, y, z in parts))
    joined = t.emit("add", total, start)
    if type(start) is Literal and (start.value != 0 or not np.signbit(start.value)):
        return joined
    zeros = t.emit("and", t.emit("eq", source, 0), t.emit("signbit", source))
    none = t.emit("reduce_and", zeros, axes=axes) if axes else zeros
    return t.emit("select", none, start, joined)


def _joiner(name: str, op: str) -> str:
    """What joins the fold with its initial value."""
    if name in ("fmax", "fmin"):
        return name
    return "xor" if op == PARITY else JOINS[op]


def _check_start(name: str, x: Tracer, axes: Any, start: Any, where: Any) -> None:
    if start is not None:
        return
    if where is not True:
        raise ValueError(
            f"reduction operation '{name}' does not have an identity,"
            " so to use a where mask one has to specify 'initial'"
        )
    if 0 in (x.shape[a] for a in axes):
        raise ValueError(f"zero-size array to reduction operation {name} which has no identity")


def _fold_ignoring_nan(t: Any, op: str, atom: Any, axes: Any, start: Any) -> Any:
    ignore, worst = ("fmax", -np.inf) if op == "reduce_max" else ("fmin", np.inf)
    # Not a choice where NaN is: LLVM finds no lanes in a fold of that.
    numbers = t.emit(ignore, atom, Literal(worst, atom.type.dtype))
    best = t.emit(op, numbers, axes=axes)
    none = t.emit("reduce_and", t.emit("isnan", atom), axes=axes)
    return t.emit("select", none, Literal(np.nan, atom.type.dtype), best)


def accumulate(
    t: Any, ufunc: Any, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    """``ufunc.accumulate``: sums and products as scans, the others by calls of the ufunc."""
    x = t.array(array)
    name = ufunc.__name__
    if not x.ndim:
        raise TypeError("cannot accumulate on a scalar")
    at = normal_axis(x.ndim, axis)
    if dtype is not None:
        dtype = folds.loop_dtype(ufunc, x, dtype)
    elif name in ("add", "multiply"):
        dtype = sum_dtype(x.dtype)
    if name in RUNNING_TRUTHS and (dtype == BOOL or name.startswith("logical")):
        result = _running_truth(t, RUNNING_TRUTHS[name], t.cast(x.read(), BOOL), at)
    elif name in ("add", "multiply"):
        op = "cumsum" if name == "add" else "cumprod"
        result = t.wrap(t.emit(op, t.cast(x.read(), dtype), axis=at, reverse=False))
    else:
        line: Any = np.moveaxis(x, at, 0)
        line = line.astype(folds.loop_dtype(ufunc, x, dtype))
        result = np.moveaxis(folds.running(t, ufunc, line), 0, at)
        result = t.wrap(result.read())
    return finish(t, result.read(), out)


# What a running fold of bools is.
RUNNING_TRUTHS = {
    "add": "logical_or",
    "multiply": "logical_and",
    "logical_or": "logical_or",
    "logical_and": "logical_and",
    "logical_xor": "logical_xor",
}


def _running_truth(t: Any, name: str, flag: Any, axis: int) -> Any:
    """By the number of true (for "and", false) elements so far."""
    flag = t.invert(flag) if name == "logical_and" else flag
    count = t.emit("cumsum", t.cast(flag, INT64), axis=axis, reverse=False)
    if name == "logical_xor":
        return t.wrap(t.cast(t.emit("and", count, 1), BOOL))
    return t.wrap(t.emit("eq" if name == "logical_and" else "gt", count, 0))


def outer(t: Any, ufunc: Any, a: Any, b: Any, **kwargs: Any) -> Any:
    """``ufunc.outer``: every element of a with every element of b."""
    a, b = t.array(a), t.array(b)
    return ufunc(a.reshaped(a.shape + (1,) * b.ndim), b, **kwargs)


def at(t: Any, ufunc: Any, array: Any, indices: Any, *values: Any) -> None:
    """``ufunc.at``: unbuffered, each index in turn."""
    from jitops.trace import scattering

    scattering.at(t, ufunc, array, indices, *values)


def reduceat(t: Any, ufunc: Any, *args: Any, **kwargs: Any) -> Any:
    """``ufunc.reduceat``."""
    return room("pieces").reduceat(t, ufunc, *args, **kwargs)


# --- functions ----------------------------------------------------------------------------------


def _function(ufunc: Any) -> Callable[..., Any]:
    def run(
        t: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
        initial: Any = NoValue, where: Any = True,
    ) -> Any:  # fmt: skip
        flags = keepdims is not NoValue and keepdims
        where = True if where is NoValue else where
        return reduce(t, ufunc, a, axis, dtype, out, flags, initial, where)

    return run


def _extreme(ufunc: Any) -> Callable[..., Any]:
    def run(
        t: Any, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False,
        initial: Any = NoValue, where: Any = True,
    ) -> Any:  # fmt: skip
        flags = keepdims is not NoValue and keepdims
        return reduce(t, ufunc, a, axis, None, out, flags, initial, where)

    return run


def _truth(ufunc: Any) -> Callable[..., Any]:
    def run(
        t: Any,
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        *,
        where: Any = True,
    ) -> Any:
        flags = keepdims is not NoValue and keepdims
        where = True if where is NoValue else where
        return reduce(t, ufunc, a, axis, None, out, flags, NoValue, where)

    return run


def _position(op: str) -> Callable[..., Any]:
    def run(t: Any, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        x = t.array(a)
        flat = x.reshaped((x.size,)) if axis is None or not x.ndim else x
        at = 0 if axis is None else normal_axis(flat.ndim, axis)
        if flat.ndim == 0:
            flat, at = flat.reshaped((1,)), 0
        if not flat.shape[at]:
            raise ValueError(f"attempt to get {op} of an empty sequence")
        if x.dtype.kind == "c":  # the first that equals the extreme
            extreme = (np.maximum if op == "argmax" else np.minimum).reduce
            best = extreme(flat, axis=at, keepdims=True)
            found = (flat == best) | np.where(np.isnan(best), np.isnan(flat), False)
            atom = t.emit("argmax", t.array(found).read(), axes=(at,))
        else:
            atom = t.emit(op, flat.read(), axes=(at,))
        if keepdims is True:
            shape = (1,) * x.ndim if axis is None else kept_shape(x.shape, (at,))
            atom = t.reshape(atom, shape)
        return finish(t, atom, out)

    return run


def _running(ufunc: Any) -> Callable[..., Any]:
    def run(t: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x = t.array(a)
        if axis is None or not x.ndim:
            axis = 0 if axis is None else normal_axis(1, axis)
            x = x.reshaped((x.size,))
        return accumulate(t, ufunc, x, axis, dtype, out)

    return run


def count_nonzero(t: Any, a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """The number of elements that are not zero."""
    return np.sum(t.array(a).astype(bool), axis=axis, dtype=np.intp, keepdims=keepdims)


def ptp(t: Any, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    """The largest minus the smallest element."""
    flags = keepdims is not NoValue and keepdims
    high = np.max(a, axis=axis, keepdims=flags)
    return np.subtract(high, np.min(a, axis=axis, keepdims=flags), out=out)


def mean_dtype(x: Tracer, dtype: Any) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The dtype that means are accumulated in, and that of the result, as in NumPy's `_mean`."""
    if dtype is not None:
        return np.dtype(dtype), np.dtype(dtype)
    if x.dtype.kind in "iub":
        return FLOAT64, FLOAT64
    return wide(x.dtype), x.dtype


TABLE: dict[str, Callable[..., Any]] = {
    "sum": _function(np.add),
    "prod": _function(np.multiply),
    "max": _extreme(np.maximum),
    "amax": _extreme(np.maximum),
    "min": _extreme(np.minimum),
    "amin": _extreme(np.minimum),
    "any": _truth(np.logical_or),
    "all": _truth(np.logical_and),
    "argmax": _position("argmax"),
    "argmin": _position("argmin"),
    "cumsum": _running(np.add),
    "cumprod": _running(np.multiply),
    "count_nonzero": count_nonzero,
    "ptp": ptp,
}

UFUNC_METHODS: dict[str, Callable[..., Any]] = {
    "reduce": reduce,
    "accumulate": accumulate,
    "outer": outer,
    "reduceat": reduceat,
    "at": at,
}
