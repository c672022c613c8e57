"""Complex functions on pairs of real and imaginary parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jitops.graph.graph import Literal
from jitops.trace.recorder import Recorder

__all__ = [
    "FUNCTIONS",
    "absolute",
    "by_part",
    "conjugate",
    "extreme",
    "ordered",
    "power",
    "reciprocal",
    "sign",
    "test",
]

Rule = Callable[..., Any]


def parts(f: Recorder, z: Any) -> tuple[Any, Any]:
    """Real and imaginary part."""
    return f.real(z), f.imag(z)


def test(flag: str) -> Rule:
    """Isnan and isinf: of either part; isfinite: of both."""
    join = "and" if flag == "isfinite" else "or"
    return lambda f, z: f.emit(join, f.emit(flag, f.real(z)), f.emit(flag, f.imag(z)))


def by_part(op: str) -> Rule:
    """The function of each part."""
    return lambda f, z: f.complex(f.emit(op, f.real(z)), f.emit(op, f.imag(z)))


def conjugate(f: Recorder, z: Any) -> Any:
    """The imaginary part negated."""
    re, im = parts(f, z)
    return f.complex(re, f.neg(im))


def absolute(f: Recorder, z: Any) -> Any:
    """The modulus, without overflow."""
    return f.hypot(*parts(f, z))


def reciprocal(f: Recorder, z: Any) -> Any:
    """Smith's algorithm, as NumPy's loop."""
    re, im = parts(f, z)
    wide = f.le(f.abs(im), f.abs(re))
    r = f.select(wide, f.div(im, re), f.div(re, im))
    d = f.select(wide, f.add(re, f.mul(im, r)), f.add(f.mul(re, r), im))
    one = Literal(1, re.type.dtype)
    real = f.div(f.select(wide, one, r), d)
    imag = f.div(f.neg(f.select(wide, r, one)), d)
    return f.complex(real, imag)


def sign(f: Recorder, z: Any) -> Any:
    """``z / abs(z)``, 0 at 0; an infinite part alone decides, two give NaN (NumPy 2)."""
    re, im = parts(f, z)
    size = absolute(f, z)
    zero = f.eq(size, 0)
    endless = f.xor(f.isinf(re), f.isinf(im))

    def part(x: Any) -> Any:
        unit = f.select(f.isinf(x), f.copysign(Literal(1, x.type.dtype), x), 0)
        return f.select(endless, unit, f.select(zero, 0, f.div(x, size)))

    return f.complex(part(re), part(im))


def ordered(strict: str, last: str) -> Rule:
    """Lexicographic comparison: by real part, then by imaginary part."""

    def run(f: Recorder, a: Any, b: Any) -> Any:
        (ar, ai), (br, bi) = parts(f, a), parts(f, b)
        equal = f.and_(f.eq(ar, br), f.emit(last, ai, bi))
        nan = f.or_(f.isnan(ai), f.isnan(bi))
        return f.or_(f.and_(f.emit(strict, ar, br), f.invert(nan)), equal)

    return run


def extreme(strict: str, *, ignore_nan: bool = False) -> Rule:
    """Maximum (gt) or minimum (lt) in lexicographic order; the first NaN wins, or is ignored."""
    last = "ge" if strict == "gt" else "le"
    nan = test("isnan")

    def run(f: Recorder, a: Any, b: Any) -> Any:
        first = ordered(strict, last)(f, a, b)
        if ignore_nan:
            return f.select(f.or_(nan(f, b), f.and_(first, f.invert(nan(f, a)))), a, b)
        return f.select(f.or_(nan(f, a), first), a, b)

    return run


def exp(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    size = f.exp(re)
    real = f.mul(size, f.cos(im))
    imag = f.select(f.eq(im, 0), im, f.mul(size, f.sin(im)))
    return f.complex(real, imag)


def log(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    return f.complex(f.log(absolute(f, z)), f.atan2(im, re))


def _scaled_log(factor: float) -> Rule:
    def run(f: Recorder, z: Any) -> Any:
        re, im = parts(f, log(f, z))
        return f.complex(f.mul(re, factor), f.mul(im, factor))

    return run


def sqrt(f: Recorder, z: Any) -> Any:
    """Of the half-plane with a positive real part, by the stable formula for each sign of it."""
    re, im = parts(f, z)
    t = f.sqrt(f.mul(f.add(absolute(f, z), f.abs(re)), 0.5))
    other = f.div(f.abs(im), f.mul(t, 2))
    zero = f.eq(t, 0)
    positive = f.invert(f.signbit(re))
    real = f.select(zero, 0, f.select(positive, t, other))
    imag = f.select(zero, im, f.copysign(f.select(positive, other, t), im))
    return f.complex(real, imag)


def power(f: Recorder, z: Any, w: Any) -> Any:
    """``exp(w * log(z))``; exact where the exponent is a small whole literal."""
    if type(w) is Literal and w.value.imag == 0 and w.value.real in (0, 1, 2, 3):
        return _whole_power(f, z, int(w.value.real))
    zero = f.and_(f.eq(f.real(z), 0), f.eq(f.imag(z), 0))
    none = f.and_(f.eq(f.real(w), 0), f.eq(f.imag(w), 0))
    at_zero = f.select(f.gt(f.real(w), 0), 0.0, Literal(math.nan, f.real(w).type.dtype))
    value = f.select(zero, f.complex(at_zero, at_zero), exp(f, f.mul(w, log(f, z))))
    return f.select(none, 1, value)


def _whole_power(f: Recorder, z: Any, n: int) -> Any:
    if n == 0:
        return f.broadcast(Literal(1, z.type.dtype), z.type.shape)
    out = z
    for _ in range(n - 1):
        out = f.mul(out, z)
    return out


def sin(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    return f.complex(f.mul(f.sin(re), f.cosh(im)), f.mul(f.cos(re), f.sinh(im)))


def cos(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    return f.complex(f.mul(f.cos(re), f.cosh(im)), f.neg(f.mul(f.sin(re), f.sinh(im))))


def sinh(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    return f.complex(f.mul(f.sinh(re), f.cos(im)), f.mul(f.cosh(re), f.sin(im)))


def cosh(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    return f.complex(f.mul(f.cosh(re), f.cos(im)), f.mul(f.sinh(re), f.sin(im)))


def tanh(f: Recorder, z: Any) -> Any:
    """Kahan's form: finite for large arguments."""
    re, im = parts(f, z)
    t = f.tan(im)
    s = f.sinh(re)
    b = f.add(f.square(t), 1)
    rho = f.sqrt(f.add(f.square(s), 1))
    d = f.add(f.mul(b, f.square(s)), 1)
    real = f.div(f.mul(f.mul(b, rho), s), d)
    large = f.gt(f.abs(re), 11.0 if re.type.dtype.itemsize == 4 else 22.0)
    one = f.copysign(f.broadcast(Literal(1, re.type.dtype), re.type.shape), re)
    return f.complex(f.select(large, one, real), f.select(large, 0, f.div(t, d)))


def tan(f: Recorder, z: Any) -> Any:
    """``-i tanh(i z)``."""
    re, im = parts(f, z)
    turned = tanh(f, f.complex(f.neg(im), re))
    return f.complex(f.imag(turned), f.neg(f.real(turned)))


def exp2(f: Recorder, z: Any) -> Any:
    return exp(f, f.mul(z, math.log(2)))


def expm1(f: Recorder, z: Any) -> Any:
    """By ``cos(y) = 1 - 2 sin(y/2)**2``, as NumPy's loop."""
    re, im = parts(f, z)
    half = f.sin(f.mul(im, 0.5))
    real = f.sub(f.mul(f.expm1(re), f.cos(im)), f.mul(f.square(half), 2))
    return f.complex(real, f.mul(f.exp(re), f.sin(im)))


def log1p(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    return log(f, f.complex(f.add(re, 1), im))


# The inverse functions: W. Kahan, "Branch cuts for complex elementary functions", 1987. What is
# squared or doubled on the way is scaled first, so that only results overflow.


def _shifted_roots(f: Recorder, z: Any) -> tuple[Any, Any]:
    """``sqrt(1 - z)`` and ``sqrt(1 + z)``; signed zeros of the imaginary part stay."""
    re, im = parts(f, z)
    one = Literal(1, re.type.dtype)
    below = sqrt(f, f.complex(f.sub(one, re), f.neg(im)))
    return below, sqrt(f, f.complex(f.add(re, 1), im))


def _imaginary_product(f: Recorder, a: Any, b: Any) -> Any:
    """The imaginary part of ``conj(a) * b``."""
    (ar, ai), (br, bi) = parts(f, a), parts(f, b)
    return f.sub(f.mul(ar, bi), f.mul(ai, br))


def arcsin(f: Recorder, z: Any) -> Any:
    below, above = _shifted_roots(f, z)
    (br, bi), (ar, ai) = parts(f, below), parts(f, above)
    real = f.atan2(f.real(z), f.sub(f.mul(br, ar), f.mul(bi, ai)))
    return f.complex(real, f.asinh(_imaginary_product(f, below, above)))


def arccos(f: Recorder, z: Any) -> Any:
    below, above = _shifted_roots(f, z)
    real = f.mul(f.atan2(f.real(below), f.real(above)), 2)
    return f.complex(real, f.asinh(_imaginary_product(f, above, below)))


def arccosh(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    below, above = sqrt(f, f.complex(f.sub(re, 1), im)), sqrt(f, f.complex(f.add(re, 1), im))
    (br, bi), (ar, ai) = parts(f, below), parts(f, above)
    real = f.asinh(f.add(f.mul(br, ar), f.mul(bi, ai)))
    return f.complex(real, f.mul(f.atan2(bi, ar), 2))


def arcsinh(f: Recorder, z: Any) -> Any:
    """``-i arcsin(i z)``."""
    re, im = parts(f, z)
    turned = arcsin(f, f.complex(f.neg(im), re))
    return f.complex(f.imag(turned), f.neg(f.real(turned)))


def arctanh(f: Recorder, z: Any) -> Any:
    """By ``log1p(4 x / ((1 - x)**2 + y**2)) / 4``, and for large arguments by its limit."""
    re, im = parts(f, z)
    one = Literal(1, re.type.dtype)
    x, y = f.abs(re), im
    large = f.or_(f.gt(x, 1e9), f.gt(f.abs(y), 1e9))
    x, y = f.select(large, one, x), f.select(large, one, y)
    away = f.sub(one, x)
    real = f.mul(f.log1p(f.div(f.mul(x, 4), f.add(f.square(away), f.square(y)))), 0.25)
    angle = f.sub(f.mul(away, f.add(x, 1)), f.square(y))
    imag = f.mul(f.atan2(f.mul(y, 2), angle), 0.5)
    endless = f.or_(f.isinf(re), f.isinf(im))
    far = f.select(endless, 0, f.div(f.abs(re), _square_sum(f, re, im)))
    zero = f.and_(f.eq(re, 0), f.isnan(im))
    real = f.select(f.or_(large, endless), far, f.select(zero, 0, real))
    half_turn = f.copysign(f.broadcast(Literal(math.pi / 2, im.type.dtype), im.type.shape), im)
    unknown = f.or_(f.isnan(im), f.and_(f.isnan(re), f.invert(f.isinf(im))))
    imag = f.select(unknown, Literal(math.nan, im.type.dtype), f.select(large, half_turn, imag))
    return f.complex(f.copysign(real, re), imag)


def _square_sum(f: Recorder, re: Any, im: Any) -> Any:
    """``re**2 + im**2`` of large numbers, infinite rather than NaN."""
    size = f.hypot(re, im)
    return f.mul(size, size)


def arctan(f: Recorder, z: Any) -> Any:
    """``-i arctanh(i z)``."""
    re, im = parts(f, z)
    turned = arctanh(f, f.complex(f.neg(im), re))
    return f.complex(f.imag(turned), f.neg(f.real(turned)))


FUNCTIONS: dict[str, Rule] = {
    "arcsin": arcsin,
    "arccos": arccos,
    "arctan": arctan,
    "arcsinh": arcsinh,
    "arccosh": arccosh,
    "arctanh": arctanh,
    "exp": exp,
    "log": log,
    "log2": _scaled_log(1 / math.log(2)),
    "log10": _scaled_log(1 / math.log(10)),
    "sqrt": sqrt,
    "sin": sin,
    "cos": cos,
    "sinh": sinh,
    "cosh": cosh,
    "tan": tan,
    "tanh": tanh,
    "exp2": exp2,
    "expm1": expm1,
    "log1p": log1p,
}
