"""Means, variances and the nan-family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace.reductions import NoValue, finish, mean_dtype, normal_axes
from jitops.trace.tracer import Tracer

__all__ = ["TABLE"]


def _flag(keepdims: Any) -> bool:
    return keepdims is not NoValue and bool(keepdims)


def _count(t: Any, x: Tracer, axes: Any, keepdims: bool, where: Any) -> Any:
    """How many elements are folded: an int, or an array where a mask decides."""
    if where is True:
        count = 1
        for a in axes:
            count *= x.shape[a]
        return count
    mask = t.array(where).astype(bool)
    return np.sum(np.broadcast_to(mask, x.shape), axis=tuple(axes), keepdims=keepdims)


def _quotient(t: Any, total: Tracer, count: Any) -> Tracer:
    """``total / count`` in the dtype of the total."""
    dtype = total.dtype
    real = np.dtype(f"float{dtype.itemsize * 4}") if dtype.kind == "c" else dtype
    if type(count) is int:
        divisor: Any = t.atom(real.type(count), real)
    else:
        divisor = t.cast(count.read(), real)
    atom = total.read()
    divisor = t.broadcast(divisor, atom.type.shape) if divisor.type.shape else divisor
    if dtype.kind == "c":
        atom = t.complex(t.div(t.real(atom), divisor), t.div(t.imag(atom), divisor))
        return t.wrap(atom, scalar=total.scalar)  # type: ignore[no-any-return]
    return t.wrap(t.div(atom, divisor), scalar=total.scalar)  # type: ignore[no-any-return]


def _degrees(ddof: Any, correction: Any) -> Any:
    """What is subtracted from the count, under either of its names."""
    if correction is NoValue:
        return ddof
    if ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


def mean(
    t: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
    *, where: Any = True,
) -> Any:  # fmt: skip
    """As NumPy's `_mean`: integers in float64, float16 in float32."""
    x = t.array(a)
    where = True if where is NoValue else where
    inner, result = mean_dtype(x, dtype)
    axes = normal_axes(x, axis)
    total = np.sum(x, axis=axes, dtype=inner, keepdims=_flag(keepdims), where=where)
    if inner.kind not in "fcV":
        value = np.true_divide(total, _count(t, x, axes, _flag(keepdims), where))
    else:
        value = _quotient(t, total, _count(t, x, axes, _flag(keepdims), where))
    return finish(t, t.cast(value.read(), result), out)


def var(
    t: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
    keepdims: Any = False, *, where: Any = True, mean: Any = NoValue, correction: Any = NoValue,
) -> Any:  # fmt: skip
    """As NumPy's `_var`: the mean of the squared distances to the mean, in two passes."""
    x = t.array(a)
    where = True if where is NoValue else where
    ddof = _degrees(ddof, correction)
    inner, result = mean_dtype(x, dtype)
    axes = normal_axes(x, axis)
    if dtype is None and x.dtype.itemsize == 2 and x.dtype.kind in "fV":
        inner = x.dtype  # each step is rounded, and may overflow
    values = x.astype(inner)
    if mean is NoValue:
        total = np.sum(values, axis=axes, keepdims=True, where=where)
        center = _quotient(t, total, _count(t, x, axes, True, where))
    else:
        center = t.array(mean)
    distance = values - center
    if distance.dtype.kind == "c":
        distance = np.square(distance.real) + np.square(distance.imag)
    else:
        distance = np.square(distance)
    total = np.sum(distance, axis=axes, keepdims=_flag(keepdims), where=where)
    count = np.maximum(_count(t, x, axes, _flag(keepdims), where) - ddof, 0)
    value = np.true_divide(total, count).astype(total.dtype)
    if result.kind == "c" and dtype is None:
        result = total.dtype
    return finish(t, t.cast(value.read(), result), out)


def std(t: Any, a: Any, *args: Any, out: Any = None, **kwargs: Any) -> Any:
    """The square root of the variance."""
    x = t.array(a)
    if len(args) > 2:  # out by position
        args, out = (*args[:2], None, *args[3:]), args[2]
    root = np.sqrt(var(t, x, *args, **kwargs))
    return finish(t, root.read(), out)


def average(
    t: Any, a: Any, axis: Any = None, weights: Any = None, returned: bool = False,
    *, keepdims: Any = False,
) -> Any:  # fmt: skip
    """The weighted mean."""
    x = t.array(a)
    keep = _flag(keepdims)
    if weights is None:
        value = np.mean(x, axis=axis, keepdims=keep)
        scale: Any = value.dtype.type(x.size / max(value.size, 1))
    else:
        w = t.array(weights)
        dtype = np.result_type(x, w, "f8") if x.dtype.kind in "iub" else np.result_type(x, w)
        if w.shape != x.shape:
            if axis is None:
                raise TypeError("Axis must be specified when shapes of a and weights differ.")
            axes = axis if isinstance(axis, tuple) else (axis,)
            if w.shape != tuple(x.shape[ax] for ax in axes):
                raise ValueError(
                    "Shape of weights must be consistent with shape of a along specified axis."
                )
            shape = [1] * x.ndim
            for i, ax in enumerate(axes):
                shape[ax] = w.shape[i]
            order = np.argsort([ax % x.ndim for ax in axes]).tolist()
            w = np.transpose(w, order).reshape(shape)
        scale = np.sum(np.broadcast_to(w, x.shape), axis=axis, dtype=dtype, keepdims=keep)
        nothing = t.array(scale == 0)
        atom = t.checked(t.array(scale).read(), nothing.read(), "useless sum of weights")
        scale = t.wrap(atom, scalar=scale.scalar)
        value = np.sum(np.multiply(x, w, dtype=dtype), axis=axis, keepdims=keep) / scale
    if not returned:
        return value
    return value, np.broadcast_to(t.array(scale), value.shape).copy() if value.shape else scale


# --- the nan-family -----------------------------------------------------------------------------


def _missing(t: Any, a: Any) -> tuple[Tracer, Any]:
    """The array, and where it is NaN (None for dtypes without NaN)."""
    x = t.array(a)
    return x, np.isnan(x) if x.dtype.kind in "fcV" else None


def _filled(t: Any, a: Any, value: Any) -> Tracer:
    x, nan = _missing(t, a)
    if nan is None:
        return x
    return t.array(np.where(nan, x.dtype.type(value), x))  # type: ignore[no-any-return]


def _with_filling(name: str, value: Any) -> Callable[..., Any]:
    def run(t: Any, a: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(np, name)(_filled(t, a, value), *args, **kwargs)

    return run


def _require_inexact(dtype: Any, out: Any) -> None:
    """What may hold NaN takes the result of what does."""
    for name, kind in (("dtype", dtype), ("out", None if out is None else out.dtype)):
        if kind is not None and np.dtype(kind).kind not in "fcV":
            raise TypeError(f"If a is inexact, then {name} must be inexact")


def nanmean(
    t: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False,
    *, where: Any = True,
) -> Any:  # fmt: skip
    """The mean of the elements that are not NaN."""
    x, nan = _missing(t, a)
    there = True if where is NoValue else where
    if nan is not None:
        there = ~nan if there is True else np.logical_and(~nan, there)
    if nan is None:
        return mean(t, x, axis, dtype, out, keepdims, where=there)
    _require_inexact(dtype, out)
    keep = _flag(keepdims)
    total = np.sum(x, axis=axis, dtype=dtype, keepdims=keep, where=there)
    count = np.sum(np.broadcast_to(there, x.shape), axis=axis, keepdims=keep, dtype=np.intp)
    value = _quotient(t, total, count)
    return finish(t, value.read(), out)


def nanvar(
    t: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
    keepdims: Any = False, *, where: Any = True, mean: Any = NoValue, correction: Any = NoValue,
) -> Any:  # fmt: skip
    """The variance of the elements that are not NaN; NaN where ``ddof`` leaves nothing."""
    x: Any
    x, nan = _missing(t, a)
    ddof = _degrees(ddof, correction)
    where = True if where is NoValue else where
    if nan is None:
        return var(t, x, axis, dtype, out, ddof, keepdims, where=where, mean=mean)
    _require_inexact(dtype, out)
    there = ~nan if where is True else np.logical_and(~nan, where)
    count = np.sum(there, axis=axis, keepdims=True, dtype=np.intp)
    if mean is NoValue:
        center = _quotient(t, np.sum(x, axis=axis, dtype=dtype, keepdims=True, where=there), count)
    else:
        center = t.array(mean)
    distance: Any = np.where(there, x - center, x.dtype.type(0))
    if distance.dtype.kind == "c":
        square = np.square(distance.real) + np.square(distance.imag)
    else:
        square = np.square(distance)
    keep = _flag(keepdims)
    total = np.sum(square, axis=axis, dtype=dtype, keepdims=keep)
    count = np.sum(there, axis=axis, keepdims=keep, dtype=np.intp)
    value: Any = _quotient(t, total, count - ddof)
    value = np.where(count - ddof <= 0, value.dtype.type(np.nan), value)
    return finish(t, t.array(value).read(), out)


def nanstd(t: Any, a: Any, *args: Any, out: Any = None, **kwargs: Any) -> Any:
    """The square root of `nanvar`."""
    if t.array(a).dtype.kind in "fcV":
        _require_inexact(None, out)
    return finish(t, np.sqrt(nanvar(t, a, *args, **kwargs)).read(), out)


def _nan_extreme(ufunc: Any) -> Callable[..., Any]:
    def run(
        t: Any, a: Any, axis: Any = None, out: Any = None, keepdims: Any = False,
        initial: Any = NoValue, where: Any = True,
    ) -> Any:  # fmt: skip
        kwargs = {} if initial is NoValue else {"initial": initial}
        if where is not True and where is not NoValue:
            kwargs["where"] = where
        return ufunc.reduce(a, axis=axis, out=out, keepdims=_flag(keepdims), **kwargs)

    return run


def _nan_position(name: str, ignore: Any, worst: float) -> Callable[..., Any]:
    def run(
        t: Any, a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NoValue
    ) -> Any:
        x, nan = _missing(t, a)
        keep = _flag(keepdims)
        if nan is None:
            return getattr(np, name)(x, axis=axis, out=out, keepdims=keep)
        number = x.dtype.type(worst)
        numbers = np.where(nan, number, x) if x.dtype.kind == "c" else ignore(x, number)
        found = t.array(getattr(np, name)(numbers, axis=axis, keepdims=keep))
        nothing = t.array(np.all(nan, axis=axis))
        return finish(t, t.checked(found.read(), nothing.read(), "all NaN"), out)

    return run


TABLE: dict[str, Callable[..., Any]] = {
    "mean": mean,
    "var": var,
    "std": std,
    "average": average,
    "nansum": _with_filling("sum", 0),
    "nanprod": _with_filling("prod", 1),
    "nancumsum": _with_filling("cumsum", 0),
    "nancumprod": _with_filling("cumprod", 1),
    "nanmean": nanmean,
    "nanvar": nanvar,
    "nanstd": nanstd,
    "nanmax": _nan_extreme(np.fmax),
    "nanmin": _nan_extreme(np.fmin),
    "nanargmax": _nan_position("argmax", np.fmax, -np.inf),
    "nanargmin": _nan_position("argmin", np.fmin, np.inf),
}
