"""The primitives, in terms of which NumPy's functions are written: name, kind and type rule.

A type rule maps operand types and attributes to the result types and rejects what does not fit; the
tables of the other stages (NumPy evaluation, lowering, derivatives) are keyed by the same names.

Kinds:
  map     the result at an index depends on the operands there; an operand of shape () broadcasts
  index   moves elements: the result at an index is an operand's element at a computed index
  reduce  folds axes away;  scan  accumulates along an axis;  dot  contracts axes of two operands
  sort    orders the elements along the last axis;  scatter  writes at computed places
  control runs the graphs it holds (`jitops.graph.control`)
  host    a function of NumPy, run between kernels; it may have several results
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitops.errors import GraphError
from jitops.failures import FAILURES
from jitops.graph.control import RULES as CONTROL_RULES
from jitops.graph.types import ArrayType
from jitops.host import check_call

Rule = Callable[..., "tuple[ArrayType, ...]"]

FLOAT, COMPLEX, INT, BOOL = "f", "c", "iu", "b"
NUMBER = FLOAT + COMPLEX + INT
ORDERED = FLOAT + INT + BOOL
ANY = NUMBER + BOOL


class Primitive:
    """A primitive operation: its name, its kind and its type rule."""

    __slots__ = ("name", "kind", "rule")

    def __init__(self, name: str, kind: str, rule: Rule) -> None:
        self.name = name
        self.kind = kind
        self.rule = rule

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def kind_of(dtype: np.dtype[Any]) -> str:
    """NumPy's kind letter, with bfloat16 counted among the floats."""
    kind = dtype.kind  # the name is slow to ask for
    return "f" if kind == "V" and dtype.name == "bfloat16" else kind


def _reject(op: str, types: Sequence[ArrayType], expected: str) -> GraphError:
    found = ", ".join(map(str, types))
    return GraphError(f"{op}({found}): {expected}")


def _map_shape(op: str, types: Sequence[ArrayType]) -> tuple[int, ...]:
    shapes = {t.shape for t in types if t.shape}
    if len(shapes) > 1:
        raise _reject(op, types, "operands must have one shape, or shape ()")
    return shapes.pop() if shapes else ()


def _map_rule(op: str, kinds: str, result: str | None = None) -> Rule:
    """Operands of one dtype among ``kinds``; the result has that dtype or the one named."""

    def rule(*types: ArrayType) -> tuple[ArrayType, ...]:
        dtype = types[0].dtype
        if any(t.dtype != dtype for t in types) or kind_of(dtype) not in kinds:
            raise _reject(op, types, f"operands must share one dtype of kind {kinds!r}")
        return (ArrayType(_map_shape(op, types), result or dtype),)

    return rule


def _real_rule(op: str) -> Rule:
    def rule(x: ArrayType) -> tuple[ArrayType, ...]:
        if x.dtype.kind != "c":
            raise _reject(op, [x], "operand must be complex")
        return (ArrayType(x.shape, "float32" if x.dtype.itemsize == 8 else "float64"),)

    return rule


def _complex(re: ArrayType, im: ArrayType) -> tuple[ArrayType, ...]:
    if re.dtype != im.dtype or re.dtype.name not in ("float32", "float64"):
        raise _reject("complex", [re, im], "operands must be float32 or float64 alike")
    dtype = "complex64" if re.dtype.itemsize == 4 else "complex128"
    return (ArrayType(_map_shape("complex", [re, im]), dtype),)


def _select(cond: ArrayType, a: ArrayType, b: ArrayType) -> tuple[ArrayType, ...]:
    if cond.dtype.kind != "b" or a.dtype != b.dtype:
        raise _reject("select", [cond, a, b], "needs a bool and two operands of one dtype")
    return (ArrayType(_map_shape("select", [cond, a, b]), a.dtype),)


def _cast(x: ArrayType, *, dtype: str) -> tuple[ArrayType, ...]:
    return (x.with_dtype(dtype),)


def _bitcast(x: ArrayType, *, dtype: str) -> tuple[ArrayType, ...]:
    if np.dtype(dtype).itemsize != x.dtype.itemsize:
        raise _reject("bitcast", [x], f"{dtype} has another size")
    return (x.with_dtype(dtype),)


def _full(value: ArrayType, *, shape: tuple[int, ...]) -> tuple[ArrayType, ...]:
    if value.shape:
        raise _reject("full", [value], "the value must have shape ()")
    return (value.with_shape(shape),)


def _iota(*, shape: tuple[int, ...], axis: int, dtype: str) -> tuple[ArrayType, ...]:
    if not 0 <= axis < len(shape):
        raise GraphError(f"iota: axis {axis} is not an axis of shape {shape}")
    return (ArrayType(shape, dtype),)


def _broadcast(
    x: ArrayType, *, shape: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[ArrayType, ...]:
    fits = len(axes) == x.ndim and list(axes) == sorted(set(axes))
    if not fits or any(n not in (1, shape[a]) for n, a in zip(x.shape, axes)):
        raise _reject("broadcast", [x], f"does not fit shape {shape} at axes {axes}")
    return (x.with_shape(shape),)


def _reshape(x: ArrayType, *, shape: tuple[int, ...]) -> tuple[ArrayType, ...]:
    result = x.with_shape(shape)
    if result.size != x.size:
        raise _reject("reshape", [x], f"cannot become shape {shape}")
    return (result,)


def _transpose(x: ArrayType, *, perm: tuple[int, ...]) -> tuple[ArrayType, ...]:
    if sorted(perm) != list(range(x.ndim)):
        raise _reject("transpose", [x], f"{perm} is not a permutation of its axes")
    return (x.with_shape(x.shape[a] for a in perm),)


def _in_bounds(
    x: ArrayType, start: Sequence[int], step: Sequence[int], size: Sequence[int]
) -> bool:
    if not len(start) == len(step) == len(size) == x.ndim:
        return False
    return all(
        n == 0 or (0 <= s < extent and 0 <= s + (n - 1) * d < extent)
        for extent, s, d, n in zip(x.shape, start, step, size)
    )


def _slice(
    x: ArrayType, *, start: tuple[int, ...], step: tuple[int, ...], size: tuple[int, ...]
) -> tuple[ArrayType, ...]:
    if not _in_bounds(x, start, step, size):
        raise _reject("slice", [x], f"start {start} step {step} size {size} leaves the array")
    return (x.with_shape(size),)


def _update(
    x: ArrayType, new: ArrayType, *, start: tuple[int, ...], step: tuple[int, ...]
) -> tuple[ArrayType, ...]:
    if new.dtype != x.dtype or not _in_bounds(x, start, step, new.shape):
        raise _reject("update", [x, new], f"start {start} step {step} leaves the array")
    return (x,)


def _pad(
    x: ArrayType, value: ArrayType, *, low: tuple[int, ...], high: tuple[int, ...]
) -> tuple[ArrayType, ...]:
    fits = len(low) == len(high) == x.ndim and min((*low, *high), default=0) >= 0
    if value.shape or value.dtype != x.dtype or not fits:
        raise _reject("pad", [x, value], f"needs a scalar and widths, got {low} and {high}")
    return (x.with_shape(lo + n + hi for lo, n, hi in zip(low, x.shape, high)),)


def _concatenate(*types: ArrayType, axis: int) -> tuple[ArrayType, ...]:
    first = types[0]
    rest = {(t.shape[:axis], t.shape[axis + 1 :], t.dtype) for t in types}
    if len(rest) != 1 or not 0 <= axis < first.ndim:
        raise _reject("concatenate", types, f"must agree in dtype and all axes but {axis}")
    total = sum(t.shape[axis] for t in types)
    return (first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :])),)


def _take(x: ArrayType, index: ArrayType, *, axis: int) -> tuple[ArrayType, ...]:
    if index.dtype != np.dtype("int64") or not 0 <= axis < x.ndim:
        raise _reject("take", [x, index], f"needs an int64 index and an axis, got axis {axis}")
    return (x.with_shape(x.shape[:axis] + index.shape + x.shape[axis + 1 :]),)


def _scatter(
    x: ArrayType, index: ArrayType, new: ArrayType, *, axes: tuple[int, int], join: str
) -> tuple[ArrayType, ...]:
    """``x[..., index, ...] = join(x[..., index, ...], new)`` in the order of the index.

    ``axes``: the first and the end of the axes that the index addresses, as one in C order.
    ``join``: "set", or a map primitive of two operands.
    """
    first, stop = axes
    if index.dtype != np.dtype("int64") or not 0 <= first < stop <= x.ndim:
        raise _reject("scatter", [x, index, new], f"needs an int64 index and axes, got {axes}")
    shape = x.shape[:first] + index.shape + x.shape[stop:]
    joined = (x,) if join == "set" else PRIMITIVES[join].rule(x, x)
    if new.dtype != x.dtype or new.shape not in (shape, ()) or joined != (x,):
        raise _reject("scatter", [x, index, new], f"needs new values of shape {shape} for {join}")
    return (x,)


def _locate(*indices: ArrayType, shape: tuple[int, ...]) -> tuple[ArrayType, ...]:
    """The position in C order of a multi-index; negative ones count from the end of their axis."""
    if len(indices) != len(shape) or any(i.dtype != np.dtype("int64") for i in indices):
        raise _reject("locate", indices, f"needs an int64 index for each axis of {shape}")
    return (ArrayType(_map_shape("locate", indices), "int64"),)


def _reduce_rule(op: str, kinds: str, result: str | None = None) -> Rule:
    def rule(x: ArrayType, *, axes: tuple[int, ...]) -> tuple[ArrayType, ...]:
        if kind_of(x.dtype) not in kinds or list(axes) != sorted(set(axes)):
            raise _reject(op, [x], f"needs a dtype of kind {kinds!r} and sorted axes, got {axes}")
        if axes and not 0 <= axes[0] <= axes[-1] < x.ndim:
            raise _reject(op, [x], f"axes {axes} are not all axes of the operand")
        kept = (n for a, n in enumerate(x.shape) if a not in axes)
        return (ArrayType(kept, result or x.dtype),)

    return rule


def _scan_rule(op: str) -> Rule:
    def rule(x: ArrayType, *, axis: int, reverse: bool) -> tuple[ArrayType, ...]:
        if not 0 <= axis < x.ndim:
            raise _reject(op, [x], f"axis {axis} is not an axis of the operand")
        return (x,)

    return rule


def _sort_rule(op: str, result: str | None = None) -> Rule:
    def rule(x: ArrayType) -> tuple[ArrayType, ...]:
        if not x.ndim or kind_of(x.dtype) not in ORDERED:
            raise _reject(op, [x], "needs an axis, and elements that have an order")
        return (ArrayType(x.shape, result or x.dtype),)

    return rule


def _kth(x: ArrayType, *, k: int, count: int) -> tuple[ArrayType, ...]:
    """The one or two elements that sorting puts from ``k`` on along the last axis."""
    ordered = x.ndim and kind_of(x.dtype) in ORDERED
    if not ordered or count not in (1, 2) or not 0 <= k <= x.shape[-1] - count:
        raise _reject("kth", [x], f"needs an order, and {count} elements from {k} on")
    return (x.with_shape((*x.shape[:-1], count)),)


def _dot(x: ArrayType, y: ArrayType) -> tuple[ArrayType, ...]:
    """``x[b, m, k] @ y[b, k, n]``; the trace brings every contraction into this form."""
    fits = x.ndim == y.ndim == 3 and x.shape[0] == y.shape[0] and x.shape[2] == y.shape[1]
    if not fits or x.dtype != y.dtype:
        raise _reject("dot", [x, y], "needs x[b,m,k] and y[b,k,n] of one dtype")
    return (x.with_shape((x.shape[0], x.shape[1], y.shape[2])),)


def _dot_panels(x: ArrayType, y: ArrayType, *, columns: int) -> tuple[ArrayType, ...]:
    """``dot`` whose right operand is cut into panels: ``y[b, n // w, k, n % w]``, padded."""
    fits = x.ndim == 3 and y.ndim == 4 and x.shape[0] == y.shape[0] and x.shape[2] == y.shape[2]
    if not fits or x.dtype != y.dtype or columns > y.shape[1] * y.shape[3]:
        raise _reject("dot_panels", [x, y], "needs x[b,m,k] and y[b,p,k,w] of one dtype")
    return (x.with_shape((*x.shape[:2], columns)),)


def _dot_inner(x: ArrayType, y: ArrayType) -> tuple[ArrayType, ...]:
    """``dot`` whose right operand is transposed: ``y[b, n, k]``."""
    fits = x.ndim == y.ndim == 3 and x.shape[0] == y.shape[0] and x.shape[2] == y.shape[2]
    if not fits or x.dtype != y.dtype:
        raise _reject("dot_inner", [x, y], "needs x[b,m,k] and y[b,n,k] of one dtype")
    return (x.with_shape((*x.shape[:2], y.shape[1])),)


def _dot_lines(x: ArrayType, *parts: ArrayType) -> tuple[ArrayType, ...]:
    """``dot`` whose right operand is in parts along k: ``y[b, k, n]`` is their concatenation."""
    fits = x.ndim == 3 and x.shape[2] == sum(y.shape[1] for y in parts)
    outer = {(x.dtype, x.shape[0], parts[0].shape[2]), *((y.dtype, *y.shape[::2]) for y in parts)}
    if not fits or len(outer) > 1:
        raise _reject("dot_lines", [x, *parts], "needs x[b,m,k] and parts of y[b,k,n]")
    return (x.with_shape((*x.shape[:2], parts[0].shape[2])),)


def _check(x: ArrayType, bad: ArrayType, *, failure: str) -> tuple[ArrayType, ...]:
    """``x``; where ``bad`` holds, the call raises the failure of `jitops.failures`."""
    if bad != ArrayType((), "bool") or failure not in FAILURES:
        raise _reject("check", [x, bad], f"needs a bool[] and a known failure, not {failure!r}")
    return (x,)


def _host(
    *types: ArrayType,
    function: str,
    call: str,
    results: tuple[tuple[str, tuple[int, ...]] | None, ...],
    draw: int = 0,
) -> tuple[ArrayType, ...]:
    """A step of `jitops.host`.

    results: dtype and shape of each, or None: not used. draw: tells draws of random numbers apart.
    """
    check_call(function, call, len(types))
    return tuple(ArrayType(r[1], r[0]) for r in results if r is not None)


MAP_RULES: tuple[tuple[str, str, str | None], ...] = (
    # names, kinds of the operands, dtype of the result (None: theirs)
    ("neg square", NUMBER, None),
    ("abs sign", FLOAT + INT, None),
    ("floor ceil trunc rint sqrt cbrt", FLOAT, None),
    ("exp exp2 expm1 log log2 log10 log1p sigmoid", FLOAT, None),
    ("sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh", FLOAT, None),
    ("erf erfc lgamma", FLOAT, None),
    ("invert", INT + BOOL, None),
    ("isnan isinf isfinite signbit", FLOAT, "bool"),
    ("add sub mul", NUMBER, None),
    ("div", FLOAT + COMPLEX, None),
    ("floordiv mod fmod", FLOAT + INT, None),
    ("pow", FLOAT + INT, None),
    ("atan2 hypot copysign nextafter", FLOAT, None),
    ("maximum minimum fmax fmin", ORDERED, None),
    ("and or xor", INT + BOOL, None),
    ("shl shr gcd", INT, None),
    ("eq ne", ANY, "bool"),
    ("lt le gt ge", ORDERED, "bool"),
)

REDUCTIONS: tuple[tuple[str, str, str | None], ...] = (
    ("reduce_sum reduce_prod", NUMBER, None),
    ("reduce_max reduce_min", ORDERED, None),
    ("reduce_or reduce_and", INT + BOOL, None),
    ("reduce_xor", INT, None),
    ("argmax argmin", ORDERED, "int64"),  # over exactly one axis: the first extreme, NaN wins
)

SCANS = "cumsum cumprod"

OTHERS: tuple[tuple[str, str, Rule], ...] = (
    ("real", "map", _real_rule("real")),
    ("imag", "map", _real_rule("imag")),
    ("complex", "map", _complex),
    ("select", "map", _select),
    ("cast", "map", _cast),
    ("bitcast", "map", _bitcast),
    ("locate", "map", _locate),
    ("full", "index", _full),
    ("iota", "index", _iota),
    ("broadcast", "index", _broadcast),
    ("reshape", "index", _reshape),
    ("transpose", "index", _transpose),
    ("slice", "index", _slice),
    ("update", "index", _update),
    ("pad", "index", _pad),
    ("concatenate", "index", _concatenate),
    ("take", "index", _take),
    ("scatter", "scatter", _scatter),
    ("sort", "sort", _sort_rule("sort")),  # ascending, NaN last
    ("argsort", "sort", _sort_rule("argsort", "int64")),  # stable
    ("kth", "sort", _kth),
    ("dot", "dot", _dot),
    ("dot_panels", "dot", _dot_panels),
    ("dot_outer", "dot", _dot),
    ("dot_inner", "dot", _dot_inner),
    ("dot_lines", "dot", _dot_lines),
    ("check", "check", _check),
    ("host", "host", _host),
)


def _table() -> dict[str, Primitive]:
    table = {name: Primitive(name, kind, rule) for name, kind, rule in OTHERS}
    for names, kinds, result in MAP_RULES:
        for name in names.split():
            table[name] = Primitive(name, "map", _map_rule(name, kinds, result))
    for names, kinds, result in REDUCTIONS:
        for name in names.split():
            table[name] = Primitive(name, "reduce", _reduce_rule(name, kinds, result))
    for name in SCANS.split():
        table[name] = Primitive(name, "scan", _scan_rule(name))
    for name, rule in CONTROL_RULES.items():
        table[name] = Primitive(name, "control", rule)
    return table


PRIMITIVES: dict[str, Primitive] = _table()

# The map primitive that joins two partial results of a reduction.
JOINS: dict[str, str] = {
    "reduce_sum": "add",
    "reduce_prod": "mul",
    "reduce_max": "maximum",
    "reduce_min": "minimum",
    "reduce_or": "or",
    "reduce_and": "and",
    "reduce_xor": "xor",
}
