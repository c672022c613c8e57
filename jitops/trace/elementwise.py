"""NumPy's ufuncs in primitives; the rules get operands cast to the loop's dtypes and broadcast."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.graph.graph import Literal
from jitops.graph.ops import kind_of
from jitops.trace.functions import room
from jitops.trace.recorder import BOOL, FLOAT32, Recorder

Rule = Callable[..., Any]


def _kind(x: Any) -> str:
    return kind_of(x.type.dtype)


def _direct(op: str) -> Rule:
    return lambda f, *operands: f.emit(op, *operands)


def _complex(name: str, *parameters: Any, **options: Any) -> Rule:
    """A rule for complex numbers; those are imported when the first one is used."""

    def run(f: Recorder, *operands: Any) -> Any:
        complexes = room("complex_inverse" if name.startswith("arc") else "complexes")
        rule = complexes.FUNCTIONS.get(name) or getattr(complexes, name)
        if parameters:
            rule = rule(*parameters, **options)
        return rule(f, *operands)

    return run


def _by_kind(**rules: str | Rule) -> Rule:
    """The rule for the first operand's kind: f, c, i, u or b; ``n`` serves the kinds not named."""
    table = {k: _direct(r) if isinstance(r, str) else r for k, r in rules.items()}

    def run(f: Recorder, *operands: Any) -> Any:
        kind = _kind(operands[0])
        rule = table.get(kind) or table.get("n")
        if rule is None:
            raise NotImplementedError(str(operands[0].type.dtype))
        return rule(f, *operands)

    return run


def _same(f: Recorder, x: Any) -> Any:
    return x


def _constant(value: Any) -> Rule:
    return lambda f, x: f.broadcast(Literal(value, BOOL), x.type.shape)


def _truth(f: Recorder, x: Any) -> Any:
    return f.cast(x, BOOL)


def _logical(op: str) -> Rule:
    return lambda f, x, y: f.emit(op, _truth(f, x), _truth(f, y))


def _scaled(factor: float) -> Rule:
    return lambda f, x: f.mul(x, factor)


def _heaviside(f: Recorder, x: Any, h: Any) -> Any:
    sign = f.select(f.lt(x, 0), 0, f.select(f.gt(x, 0), 1, x))
    return f.select(f.eq(x, 0), h, sign)


def _reciprocal_int(f: Recorder, x: Any) -> Any:
    one = f.eq(x, 1)
    if _kind(x) == "i":
        one = f.or_(one, f.eq(x, -1))
    with np.errstate(all="ignore"):
        zero = np.reciprocal(np.zeros(1, x.type.dtype))[0]  # what the machine's division gives
    return f.select(one, x, f.select(f.eq(x, 0), Literal(zero, x.type.dtype), 0))


def _logaddexp(log1p: str, exp: str, at_equal: float, scale: float) -> Rule:
    def run(f: Recorder, x: Any, y: Any) -> Any:
        small = f.emit(exp, f.neg(f.abs(f.sub(x, y))))
        tail = f.emit(log1p, small)
        if scale != 1:
            tail = f.mul(tail, scale)
        return f.select(f.eq(x, y), f.add(x, at_equal), f.add(f.maximum(x, y), tail))

    return run


def _spacing(f: Recorder, x: Any) -> Any:
    """The distance to the next value away from zero; NumPy's float16 loop goes up always."""
    away = f.broadcast(Literal(math.inf, x.type.dtype), x.type.shape)
    if x.type.dtype.itemsize > 2:
        away = f.select(f.eq(x, 0), away, f.copysign(away, x))  # up from both zeros
    step = f.sub(f.nextafter(x, away), x)
    return f.select(f.isfinite(x), step, Literal(math.nan, x.type.dtype))


# per bits of a float: integer bits, explicit mantissa bits, exponent bias, scale for subnormals
FORMATS = {4: ("int32", 23, 127, 24), 8: ("int64", 52, 1023, 53)}


def _by_float32(rule: Rule) -> Rule:
    """float16 by way of float32, where its values and scales are exact."""

    def run(f: Recorder, x: Any, *rest: Any) -> Any:
        dtype = x.type.dtype
        if dtype.itemsize > 2:
            return rule(f, x, *rest)
        wide = [f.cast(y, FLOAT32) if y.type.dtype == dtype else y for y in rest]
        out = rule(f, f.cast(x, FLOAT32), *wide)
        return (f.cast(out[0], dtype), out[1]) if isinstance(out, tuple) else f.cast(out, dtype)

    return run


def _ldexp(f: Recorder, x: Any, n: Any) -> Any:
    """Three exact scalings, so that only the last one rounds (musl's scalbn)."""
    bits, mantissa, bias, extra = FORMATS[x.type.dtype.itemsize]
    shape = max(x.type.shape, n.type.shape, key=len)
    x = f.broadcast(x, shape)
    n = f.cast(f.maximum(f.minimum(n, 4 * bias), -4 * bias), np.dtype(bits))
    down, up = bias - 1 - extra, bias
    for _ in range(2):
        low, high = f.lt(n, 1 - bias), f.gt(n, bias)
        x = f.select(low, f.mul(x, 2.0**-down), f.select(high, f.mul(x, 2.0**up), x))
        n = f.select(low, f.add(n, down), f.select(high, f.sub(n, up), n))
    n = f.maximum(f.minimum(n, bias), 1 - bias)
    scale = f.bitcast(f.shl(f.add(n, bias), mantissa), dtype=x.type.dtype_name)
    return f.mul(x, scale)


def _frexp(f: Recorder, x: Any) -> tuple[Any, Any]:
    bits, mantissa, bias, _ = FORMATS[x.type.dtype.itemsize]
    tiny = f.lt(f.abs(x), float(np.finfo(x.type.dtype).tiny))
    scaled = f.select(tiny, f.mul(x, 2.0 ** (mantissa + 2)), x)
    word = f.bitcast(scaled, dtype=bits)
    field = (1 << (bias.bit_length() + 1)) - 1
    exponent = f.sub(f.and_(f.shr(word, mantissa), field), bias - 1)
    exponent = f.select(tiny, f.sub(exponent, mantissa + 2), exponent)
    word = f.or_(f.and_(word, ~(field << mantissa)), (bias - 1) << mantissa)
    plain = f.or_(f.eq(x, 0), f.invert(f.isfinite(x)))
    fraction = f.select(plain, x, f.bitcast(word, dtype=x.type.dtype_name))
    return fraction, f.cast(f.select(plain, 0, exponent), np.dtype("int32"))


def _modf(f: Recorder, x: Any) -> tuple[Any, Any]:
    whole = f.trunc(x)
    fraction = f.select(f.isinf(x), 0, f.sub(x, whole))
    return f.copysign(fraction, x), whole


def _bitcount(f: Recorder, x: Any) -> Any:
    """Population count of the magnitude: sums of neighbouring bit fields (Hacker's Delight 5-1)."""
    dtype = x.type.dtype
    bits = dtype.itemsize * 8
    unsigned = np.dtype(f"uint{bits}")
    x = f.cast(f.abs(x) if dtype.kind == "i" else x, unsigned)
    full = (1 << bits) - 1
    x = f.sub(x, f.and_(f.shr(x, 1), full // 3))
    x = f.add(f.and_(x, full // 15 * 3), f.and_(f.shr(x, 2), full // 15 * 3))
    x = f.and_(f.add(x, f.shr(x, 4)), full // 255 * 15)
    if bits > 8:
        x = f.shr(f.mul(x, full // 255), bits - 8)
    return f.cast(x, np.dtype("uint8"))


def _divmod(f: Recorder, x: Any, y: Any) -> tuple[Any, Any]:
    return f.floordiv(x, y), f.mod(x, y)


def _lcm(f: Recorder, x: Any, y: Any) -> Any:
    """The magnitude of ``x / gcd * y``; 0 where either is 0."""
    if x.type.dtype.kind == "i":
        x, y = f.abs(x), f.abs(y)
    divisor = f.gcd(x, y)
    # floordiv by 0 is 0, which is what is wanted
    return f.mul(f.floordiv(x, divisor), y)


def _clip(f: Recorder, x: Any, low: Any, high: Any) -> Any:
    return f.minimum(f.maximum(x, low), high)


def _power_int(f: Recorder, x: Any, y: Any) -> Any:
    result = f.pow(x, y)
    if type(y) is Literal and int(y.value) >= 0:
        return result
    if y.type.dtype.kind == "u" or result.type.size == 0:
        return result
    return f.checked(result, f.lt(y, 0), "negative power")


def _compare(op: str) -> Rule:
    """Of one dtype; or exactly, of int64 with uint64 (NumPy's mixed loops)."""

    def run(f: Recorder, x: Any, y: Any) -> Any:
        if x.type.dtype == y.type.dtype:
            return f.emit(op, x, y)
        signed, below = (x, ("lt", "le", "ne")) if _kind(x) == "i" else (y, ("gt", "ge", "ne"))
        unsigned = np.dtype("uint64")
        result = f.emit(op, f.cast(x, unsigned), f.cast(y, unsigned))
        negative = f.lt(signed, 0)
        return f.or_(result, negative) if op in below else f.and_(result, f.invert(negative))

    return run


def _sign_test(flags: str) -> Rule:
    return _by_kind(f=flags, c=_complex("test", flags), n=_constant(flags == "isfinite"))


RULES: dict[str, Rule] = {
    "add": _by_kind(b="or", n="add"),
    "subtract": _direct("sub"),
    "multiply": _by_kind(b="and", n="mul"),
    "divide": _direct("div"),
    "floor_divide": _direct("floordiv"),
    "remainder": _direct("mod"),
    "fmod": _direct("fmod"),
    "divmod": _divmod,
    "power": _by_kind(f="pow", c=_complex("power"), n=_power_int),
    "float_power": _by_kind(f="pow", c=_complex("power")),
    "negative": _direct("neg"),
    "positive": _same,
    "absolute": _by_kind(f="abs", i="abs", c=_complex("absolute"), n=_same),
    "fabs": _direct("abs"),
    "rint": _by_kind(f="rint", c=_complex("by_part", "rint"), n=_same),
    "floor": _by_kind(f="floor", n=_same),
    "ceil": _by_kind(f="ceil", n=_same),
    "trunc": _by_kind(f="trunc", n=_same),
    "sign": _by_kind(c=_complex("sign"), n="sign"),
    "heaviside": _heaviside,
    "conjugate": _by_kind(c=_complex("conjugate"), n=_same),
    "square": _direct("square"),
    "reciprocal": _by_kind(
        f=lambda f, x: f.div(f.cast(Literal(1, x.type.dtype), x.type.dtype), x),
        c=_complex("reciprocal"),
        n=_reciprocal_int,
    ),
    "degrees": _scaled(180 / math.pi),
    "rad2deg": _scaled(180 / math.pi),
    "radians": _scaled(math.pi / 180),
    "deg2rad": _scaled(math.pi / 180),
    "arctan2": _direct("atan2"),
    "hypot": _direct("hypot"),
    "copysign": _direct("copysign"),
    "nextafter": _direct("nextafter"),
    "spacing": _spacing,
    "modf": _modf,
    "ldexp": _by_float32(_ldexp),
    "frexp": _by_float32(_frexp),
    "logaddexp": _by_float32(_logaddexp("log1p", "exp", math.log(2), 1)),
    "logaddexp2": _by_float32(_logaddexp("log1p", "exp2", 1, 1 / math.log(2))),
    "bitwise_and": _direct("and"),
    "bitwise_or": _direct("or"),
    "bitwise_xor": _direct("xor"),
    "invert": _direct("invert"),
    "left_shift": _direct("shl"),
    "right_shift": _direct("shr"),
    "bitwise_count": _bitcount,
    "equal": _compare("eq"),
    "not_equal": _compare("ne"),
    "less": _by_kind(c=_complex("ordered", "lt", "lt"), n=_compare("lt")),
    "less_equal": _by_kind(c=_complex("ordered", "lt", "le"), n=_compare("le")),
    "greater": _by_kind(c=_complex("ordered", "gt", "gt"), n=_compare("gt")),
    "greater_equal": _by_kind(c=_complex("ordered", "gt", "ge"), n=_compare("ge")),
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": _logical("xor"),
    "logical_not": lambda f, x: f.invert(_truth(f, x)),
    "maximum": _by_kind(c=_complex("extreme", "gt"), n="maximum"),
    "minimum": _by_kind(c=_complex("extreme", "lt"), n="minimum"),
    "fmax": _by_kind(c=_complex("extreme", "gt", ignore_nan=True), n="fmax"),
    "fmin": _by_kind(c=_complex("extreme", "lt", ignore_nan=True), n="fmin"),
    "isnan": _sign_test("isnan"),
    "isinf": _sign_test("isinf"),
    "isfinite": _sign_test("isfinite"),
    "signbit": _direct("signbit"),
    "_ones_like": lambda f, x: f.broadcast(Literal(1, x.type.dtype), x.type.shape),
    "clip": _by_kind(c=_complex("clip"), n=_clip),
    "gcd": _direct("gcd"),
    "lcm": _lcm,
}

FLOAT_UFUNCS = {
    "sqrt": "sqrt", "cbrt": "cbrt", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log",
    "log2": "log2", "log10": "log10", "log1p": "log1p", "sin": "sin", "cos": "cos", "tan": "tan",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip

for _name, _op in FLOAT_UFUNCS.items():
    RULES[_name] = _by_kind(f=_op, **({} if _name == "cbrt" else {"c": _complex(_name)}))


def rule_of(ufunc: Any) -> Rule | None:
    """The rule of a ufunc of NumPy or of a loaded `scipy.special`, or None."""
    name = ufunc.__name__
    if vars(np).get(name) is ufunc or name in ("clip", "_ones_like"):  # these have no public name
        return RULES.get(name)
    special = sys.modules.get("scipy.special")
    if special is not None and getattr(special, name, None) is ufunc:
        rules: dict[str, Rule] = room("special").RULES
        return rules.get(name)
    return None


COMPARISONS = frozenset(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"))
