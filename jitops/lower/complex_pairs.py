"""Complex numbers as pairs of floats: how each map primitive computes one element of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jitops.lower import scalar as sc
from jitops.lower.elementwise import cast, nonzero, register_dtype
from jitops.lower.scalar import Body, Expr


class Pair(NamedTuple):
    """A complex value: its real and imaginary parts."""

    re: Expr
    im: Expr


def is_complex(dtype: str) -> bool:
    return dtype.startswith("complex")


def part_dtype(dtype: str) -> str:
    """The float dtype of a complex dtype's parts."""
    return "float32" if dtype == "complex64" else "float64"


def lower_complex(
    body: Body, op: str, dtype: str, result: str, operands: list[Any], attrs: dict[str, Any]
) -> Any:
    """One element of ``op`` where the operands or the result are complex."""
    if op == "cast":
        return _bound(body, _cast(body, operands[0], dtype, attrs["dtype"]))
    if op == "bitcast":
        return _bound(body, _bitcast(body, operands[0], dtype, attrs["dtype"]))
    return _bound(body, RULES[op](body, *operands))


def _bound(body: Body, value: Any) -> Any:
    return Pair(*map(body.let, value)) if isinstance(value, Pair) else body.let(value)


def _cast(body: Body, x: Any, source: str, target: str) -> Any:
    if not is_complex(source):
        part = part_dtype(target)
        return Pair(cast(body, x, source, part), sc.const(0.0, part))
    part = part_dtype(source)
    if is_complex(target):
        return Pair(*(cast(body, p, part, part_dtype(target)) for p in x))
    if target == "bool":
        return sc.either(nonzero(x.re, part), nonzero(x.im, part))
    return cast(body, x.re, part, register_dtype(target))  # NumPy discards the imaginary part


def _bitcast(body: Body, x: Any, source: str, target: str) -> Any:
    """The real part comes first in memory, that is, in the low half."""
    if source == target:
        return x
    width = sc.const(32, "uint64")
    if is_complex(source):
        low, high = (sc.cast(body.let(sc.bitcast(p, "uint32")), "uint64") for p in x)
        return sc.bitcast(body.let(sc.bit_or(low, sc.shl(high, width))), target)
    whole = body.let(sc.bitcast(x, "uint64"))
    halves = (sc.cast(body.let(part), "uint32") for part in (whole, sc.shr(whole, width)))
    return Pair(*(sc.bitcast(body.let(half), "float32") for half in halves))


def _mul(body: Body, x: Pair, y: Pair) -> Pair:
    """One product of each sum is rounded, the other fused into it, as in NumPy's vector loops."""
    imaginary = body.let(sc.product(body, x.im, y.im))
    crossed = body.let(sc.product(body, x.im, y.re))
    return Pair(sc.fma(x.re, y.re, body.let(sc.neg(imaginary))), sc.fma(x.re, y.im, crossed))


def _div(body: Body, x: Pair, y: Pair) -> Pair:
    """Smith's method (1962), with NumPy's result for a zero divisor, branch-free."""
    dtype = sc.dtype_of(y.re)
    real_larger = body.let(sc.ge(sc.fabs(y.re), sc.fabs(y.im)))
    big = body.let(sc.select(real_larger, y.re, y.im))
    small = body.let(sc.select(real_larger, y.im, y.re))
    zero = body.let(sc.both(sc.eq(y.re, sc.const(0.0, dtype)), sc.eq(y.im, sc.const(0.0, dtype))))
    ratio = body.let(sc.select(zero, sc.const(0.0, dtype), sc.div(small, big)))
    part = body.let(sc.product(body, small, ratio))
    scale = body.let(sc.div(sc.const(1.0, dtype), body.let(sc.add(big, part))))
    a = body.let(sc.select(real_larger, x.re, x.im))
    real_part = body.let(sc.product(body, x.re, ratio))
    imaginary_part = body.let(sc.product(body, x.im, ratio))
    beside = body.let(sc.select(real_larger, imaginary_part, real_part))
    re = body.let(sc.product(body, body.let(sc.add(a, beside)), scale))
    along = body.let(sc.product(body, body.let(sc.sub(x.im, real_part)), scale))
    across = body.let(sc.product(body, body.let(sc.sub(imaginary_part, x.re)), scale))
    im = sc.select(real_larger, along, across)
    by_zero = Pair(sc.div(x.re, sc.fabs(y.re)), sc.div(x.im, sc.fabs(y.re)))
    return Pair(sc.select(zero, by_zero.re, re), sc.select(zero, by_zero.im, im))


def _select(body: Body, cond: Expr, x: Pair, y: Pair) -> Pair:
    return Pair(sc.select(cond, x.re, y.re), sc.select(cond, x.im, y.im))


RULES: dict[str, Callable[..., Any]] = {
    "neg": lambda body, x: Pair(sc.neg(x.re), sc.neg(x.im)),
    "square": lambda body, x: _mul(body, x, x),
    "add": lambda body, x, y: Pair(sc.add(x.re, y.re), sc.add(x.im, y.im)),
    "sub": lambda body, x, y: Pair(sc.sub(x.re, y.re), sc.sub(x.im, y.im)),
    "mul": _mul,
    "div": _div,
    "eq": lambda body, x, y: sc.both(sc.eq(x.re, y.re), sc.eq(x.im, y.im)),
    "ne": lambda body, x, y: sc.either(sc.ne(x.re, y.re), sc.ne(x.im, y.im)),
    "real": lambda body, x: x.re,
    "imag": lambda body, x: x.im,
    "complex": lambda body, re, im: Pair(re, im),
    "select": _select,
}
