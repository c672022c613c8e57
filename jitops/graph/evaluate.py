"""Evaluate a graph with NumPy: each primitive's meaning, and the compiled code's reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitops.failures import error as failure_error
from jitops.graph import control
from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var
from jitops.graph.types import strides_of
from jitops.host import Step

Array = Any


def evaluate(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The graph's results for these inputs, equation by equation."""
    values: dict[Var, Array] = dict(zip(graph.params, map(np.asarray, inputs)))

    def read(atom: Atom) -> Array:
        return atom.value if isinstance(atom, Literal) else values[atom]

    with np.errstate(all="ignore"):
        for eqn in graph.eqns:
            operands = [read(a) for a in eqn.inputs]
            if eqn.op in control.EVALUATE:
                found = control.EVALUATE[eqn.op](evaluate, eqn, operands)
                values.update(zip(eqn.outputs, found))
            elif eqn.op == "host":
                values.update(zip(eqn.outputs, host_step(eqn)(operands)))
            else:
                values[eqn.output] = apply(eqn, operands)
    return [np.asarray(read(atom)) for atom in graph.results]


def apply(eqn: Eqn, operands: Sequence[Array]) -> Array:
    """One equation on NumPy values, in the dtype and shape its type rule names."""
    wanted = eqn.output.type
    value = np.asarray(EVALUATE[eqn.op](*operands, **eqn.attrs))
    if value.shape != wanted.shape:  # map operands may all be scalars, or one of them
        value = np.broadcast_to(value, wanted.shape)
    return value.astype(wanted.dtype, copy=False)


def host_step(eqn: Eqn) -> Step:
    """What a host equation runs."""
    attrs = eqn.attrs
    return Step(attrs["function"], attrs["call"], attrs["results"], len(eqn.inputs))


def _broadcast(x: Array, *, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    expanded = [1] * len(shape)
    for extent, axis in zip(x.shape, axes):
        expanded[axis] = extent
    return np.broadcast_to(x.reshape(expanded), shape)


def _iota(*, shape: tuple[int, ...], axis: int, dtype: str) -> Array:
    line = np.arange(shape[axis]).astype(dtype)
    return _broadcast(line, shape=shape, axes=(axis,))


def _index(start: Sequence[int], step: Sequence[int], size: Sequence[int]) -> tuple[Any, ...]:
    return np.ix_(*(s + d * np.arange(n) for s, d, n in zip(start, step, size)))


def _slice(x: Array, *, start: Any, step: Any, size: Any) -> Array:
    return x[_index(start, step, size)] if x.ndim else x


def _update(x: Array, new: Array, *, start: Any, step: Any) -> Array:
    x = x.copy()
    if x.ndim:
        x[_index(start, step, new.shape)] = new
        return x
    return new


def _scatter(x: Array, index: Array, new: Array, *, axes: Any, join: str) -> Array:
    first, stop = axes
    shape = (*x.shape[:first], int(np.prod(x.shape[first:stop])), *x.shape[stop:])
    out = x.reshape(shape).copy()
    new = np.broadcast_to(new, (*x.shape[:first], *index.shape, *x.shape[stop:]))
    lead = (slice(None),) * first
    for at in np.ndindex(index.shape):
        place = lead + (min(max(index[at], -shape[first]), shape[first] - 1),)  # noqa: RUF005
        value = new[lead + at]
        joined = value if join == "set" else EVALUATE[join](out[place], value)
        out[place] = np.asarray(joined).astype(x.dtype)
    return out.reshape(x.shape)


def _locate(*indices: Array, shape: tuple[int, ...]) -> Array:
    wrapped = [np.where(i < 0, i + n, i) for i, n in zip(indices, shape)]
    return sum(i * n for i, n in zip(wrapped, strides_of(shape)))


def _pad(x: Array, value: Array, *, low: Any, high: Any) -> Array:
    return np.pad(x, list(zip(low, high)), constant_values=value) if x.ndim else x


def _dot_panels(x: Array, y: Array, *, columns: int) -> Array:
    batch, panels, depth, width = y.shape
    whole = y.transpose(0, 2, 1, 3).reshape(batch, depth, panels * width)
    return np.matmul(x, whole[:, :, :columns])


def _reducer(fold: Callable[..., Array]) -> Callable[..., Array]:
    def run(x: Array, *, axes: tuple[int, ...]) -> Array:
        with np.errstate(all="ignore"):
            return fold(x, axis=axes, dtype=x.dtype)

    return run


def _check(x: Array, bad: Array, *, failure: str) -> Array:
    if bad:
        raise failure_error(failure, "evaluate")
    return x


def _extreme(fold: Callable[..., Array]) -> Callable[..., Array]:
    return lambda x, *, axes: fold(x, axis=axes)


def _arg(fold: Callable[..., Array]) -> Callable[..., Array]:
    return lambda x, *, axes: fold(x, axis=axes[0])


def _scan(fold: Callable[..., Array]) -> Callable[..., Array]:
    def run(x: Array, *, axis: int, reverse: bool) -> Array:
        if reverse:
            return np.flip(fold(np.flip(x, axis), axis=axis, dtype=x.dtype), axis)
        return fold(x, axis=axis, dtype=x.dtype)

    return run


def _sorter(order: Callable[..., Array]) -> Callable[..., Array]:
    def run(x: Array) -> Array:
        comparable = x.astype("float32") if x.dtype.kind == "V" else x  # bfloat16
        return order(comparable, axis=-1, kind="stable")

    return run


def _sigmoid(x: Array) -> Array:
    return (1 / (1 + np.exp(-x.astype("float64")))).astype(x.dtype)


def _special(name: str) -> Callable[[Array], Array]:
    def run(x: Array) -> Array:
        import math

        return np.vectorize(getattr(math, name), otypes=["float64"])(x).astype(x.dtype)

    return run


def _lgamma(x: Array) -> Array:
    import math

    def one(value: float) -> float:
        try:
            return math.lgamma(value)
        except (ValueError, OverflowError):  # a pole, or beyond the largest float
            return math.inf

    return np.vectorize(one, otypes=["float64"])(x).astype(x.dtype)


def _cast(x: Array, *, dtype: str) -> Array:
    x = np.asarray(x)
    if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cb":
        x = x.real  # as NumPy does, but for the warning
    return x.astype(dtype)


def _complex(re: Array, im: Array) -> Array:
    """Not ``re + 1j * im``, which makes NaN of infinities and loses signed zeros."""
    out = np.empty(np.broadcast(re, im).shape, np.result_type(re, np.complex64))
    out.real, out.imag = re, im
    return out


def _pow(x: Array, y: Array) -> Array:
    """Negative powers of integers, where NumPy raises, are not looked at: a select drops them."""
    return np.power(x, y if x.dtype.kind not in "iu" else np.maximum(y, 0))


_UFUNCS = {
    "neg": "negative", "abs": "absolute", "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh", "atan2": "arctan2",
    "sub": "subtract", "mul": "multiply", "div": "divide", "floordiv": "floor_divide",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "shl": "left_shift", "shr": "right_shift", "eq": "equal", "ne": "not_equal", "lt": "less",
    "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}  # fmt: skip

_SAME_NAME = """square sign floor ceil trunc rint sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin
cos tan sinh cosh tanh invert isnan isinf isfinite signbit add mod fmod hypot copysign nextafter
maximum minimum fmax fmin gcd"""


def _table() -> dict[str, Callable[..., Array]]:
    table: dict[str, Callable[..., Array]] = {
        name: getattr(np, name) for name in _SAME_NAME.split()
    }
    table.update({name: getattr(np, ufunc) for name, ufunc in _UFUNCS.items()})
    return table


EVALUATE: dict[str, Callable[..., Array]] = {
    **_table(),
    "pow": _pow,
    "sigmoid": _sigmoid,
    "erf": _special("erf"),
    "erfc": _special("erfc"),
    "lgamma": _lgamma,
    "real": np.real,
    "imag": np.imag,
    "complex": _complex,
    "select": np.where,
    "cast": _cast,
    "bitcast": lambda x, *, dtype: np.asarray(x).view(dtype),
    "full": lambda value, *, shape: np.full(shape, value),
    "iota": _iota,
    "broadcast": _broadcast,
    "reshape": lambda x, *, shape: np.reshape(x, shape),
    "transpose": lambda x, *, perm: np.transpose(x, perm),
    "slice": _slice,
    "update": _update,
    "pad": _pad,
    "scatter": _scatter,
    "locate": _locate,
    "concatenate": lambda *xs, axis: np.concatenate(xs, axis),
    "take": lambda x, index, *, axis: np.take(x, index, axis, mode="wrap"),
    "check": _check,
    "dot": np.matmul,
    "dot_panels": _dot_panels,
    "dot_outer": np.matmul,
    "dot_lines": lambda x, *parts: np.matmul(x, np.concatenate(parts, 1)),
    "dot_inner": lambda x, y: np.matmul(x, y.swapaxes(1, 2)),
    "reduce_sum": _reducer(np.sum),
    "reduce_prod": _reducer(np.prod),
    "reduce_max": _extreme(np.max),
    "reduce_min": _extreme(np.min),
    "reduce_or": _reducer(np.bitwise_or.reduce),
    "reduce_and": _reducer(np.bitwise_and.reduce),
    "reduce_xor": _reducer(np.bitwise_xor.reduce),
    "argmax": _arg(np.argmax),
    "argmin": _arg(np.argmin),
    "sort": _sorter(np.sort),
    "argsort": _sorter(np.argsort),
    "kth": lambda x, *, k, count: _sorter(np.sort)(x)[..., k : k + count],
    "cumsum": _scan(np.cumsum),
    "cumprod": _scan(np.cumprod),
}
