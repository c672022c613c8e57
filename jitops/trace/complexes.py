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


def clip(f: Recorder, x: Any, low: Any, high: Any) -> Any:
    """Limits in lexicographic order; the upper one wins."""
    return extreme("lt")(f, extreme("gt")(f, x, low), high)


def _same_sign(f: Recorder, magnitude: float, like: Any) -> Any:
    """``magnitude`` with the signs of ``like``."""
    return f.copysign(f.broadcast(Literal(magnitude, like.type.dtype), like.type.shape), like)


def _grown(f: Recorder, size: Any, im: Any) -> tuple[Any, Any]:
    """``exp(size)`` times cos(im) and sin(im), where exp(size) alone may overflow."""
    half = f.exp(f.mul(size, 0.5))
    return f.mul(f.mul(half, f.cos(im)), half), f.mul(f.mul(half, f.sin(im)), half)


def _large(x: Any) -> float:
    """Above it, exp overflows or nearly so; cosh and sinh are half of exp long before."""
    return 88.0 if x.type.dtype.itemsize == 4 else 709.0


def exp(f: Recorder, z: Any) -> Any:
    """C99's cexp: no direction at 0 and infinity needs none of cos and sin."""
    re, im = parts(f, z)
    size, lost = f.exp(re), f.invert(f.isfinite(im))
    large = f.gt(re, _large(re))
    grown = _grown(f, re, im)
    real = f.select(large, grown[0], f.mul(size, f.cos(im)))
    imag = f.select(large, grown[1], f.mul(size, f.sin(im)))
    nothing, endless = f.eq(re, -math.inf), f.eq(re, math.inf)
    real = f.select(f.and_(lost, nothing), 0, f.select(f.and_(lost, endless), re, real))
    imag = f.select(f.and_(lost, nothing), _same_sign(f, 0, im), imag)
    flat = f.eq(im, 0)
    return f.complex(f.select(flat, size, real), f.select(flat, im, imag))


def log(f: Recorder, z: Any) -> Any:
    """The modulus scaled where it overflows or is subnormal; by log1p where it is near 1."""
    re, im = parts(f, z)
    scale, back = _scales(f, re, im)
    large = f.maximum(f.abs(re), f.abs(im))
    small = f.minimum(f.abs(re), f.abs(im))
    size = f.hypot(f.mul(re, scale), f.mul(im, scale))
    far = f.add(f.log(size), f.log(back))
    excess = f.add(f.mul(f.sub(large, 1), f.add(large, 1)), f.square(small))
    close = f.and_(f.gt(size, 0.7), f.lt(size, 1.4))
    return f.complex(f.select(close, f.mul(f.log1p(excess), 0.5), far), f.atan2(im, re))


def _scales(f: Recorder, re: Any, im: Any) -> tuple[Any, Any]:
    """A power of two that brings the modulus into the range of its square, and its inverse."""
    single = _single(re)
    size = f.maximum(f.abs(re), f.abs(im))
    big = f.gt(size, 2.0**126 if single else 2.0**1022)
    small = f.lt(size, 2.0**-100 if single else 2.0**-960)
    up = 2.0**52 if single else 2.0**108

    def pick(for_big: float, for_small: float) -> Any:
        rest = f.select(small, _number(for_small, re), _number(1, re))
        return f.select(big, _number(for_big, re), rest)

    return pick(0.25, up), pick(4, 1 / up)


def _number(value: float, like: Any) -> Literal:
    return Literal(value, like.type.dtype)


def _scaled_log(factor: float) -> Rule:
    def run(f: Recorder, z: Any) -> Any:
        re, im = parts(f, log(f, z))
        return f.complex(f.mul(re, factor), f.mul(im, factor))

    return run


def sqrt(f: Recorder, z: Any) -> Any:
    """Of the half-plane with a positive real part, by the stable formula for each sign of it.

    Scaled by a power of four where the modulus or its square root would leave the normal range.
    """
    re, im = parts(f, z)
    scale, back = _scales(f, re, im)
    back = f.sqrt(back)
    x, y = f.mul(re, scale), f.mul(im, scale)
    t = f.sqrt(f.mul(f.add(f.hypot(x, y), f.abs(x)), 0.5))
    other = f.mul(f.div(f.abs(y), f.mul(t, 2)), back)
    t = f.mul(t, back)
    zero = f.eq(t, 0)
    positive = f.invert(f.signbit(re))
    real = f.select(zero, 0, f.select(positive, t, other))
    imag = f.select(zero, im, f.copysign(f.select(positive, other, t), im))
    return _sqrt_endless(f, re, im, real, imag)


def _sqrt_endless(f: Recorder, re: Any, im: Any, real: Any, imag: Any) -> Any:
    """The root with an infinite part, which may have a NaN beside it (C99, G.6.4.2)."""
    upright = f.isinf(im)
    right, left = f.eq(re, math.inf), f.eq(re, -math.inf)
    nan = f.isnan(im)
    real = f.select(right, re, f.select(left, f.select(nan, im, 0), real))
    imag = f.select(right, f.select(nan, im, _same_sign(f, 0, im)), imag)
    imag = f.select(left, _same_sign(f, math.inf, im), imag)
    return f.complex(f.select(upright, f.abs(im), real), f.select(upright, im, imag))


def _single(x: Any) -> bool:
    return bool(x.type.dtype.itemsize == 4)


def power(f: Recorder, z: Any, w: Any) -> Any:
    """By squaring for whole exponents below 100, as NumPy does; else ``exp(w * log(z))``."""
    if type(w) is Literal and w.value.imag == 0 and w.value.real in (0, 1, 2, 3):
        return _whole_power(f, z, int(w.value.real))
    wr, wi = parts(f, w)
    zero = f.and_(f.eq(f.real(z), 0), f.eq(f.imag(z), 0))
    real = f.eq(wi, 0)
    at_zero = f.select(f.gt(wr, 0), 0.0, Literal(math.nan, wr.type.dtype))
    value = exp(f, _product(f, w, log(f, z)))
    whole = f.and_(real, f.and_(f.eq(f.rint(wr), wr), f.lt(f.abs(wr), 100)))
    value = f.select(whole, _small_power(f, z, wr), value)
    value = f.select(zero, f.complex(at_zero, at_zero), value)
    return f.select(f.and_(real, f.eq(wr, 0)), 1, value)


def _product(f: Recorder, a: Any, b: Any) -> Any:
    """``a * b`` with C99's infinities (G.5.1), which NumPy's power has and its product has not."""
    plain = f.mul(a, b)
    (ar, ai), (br, bi) = _boxed(f, a), _boxed(f, b)
    infinite = f.or_(f.or_(*map(f.isinf, parts(f, a))), f.or_(*map(f.isinf, parts(f, b))))
    lost = f.and_(infinite, f.and_(*map(f.isnan, parts(f, plain))))
    re = f.mul(f.sub(f.mul(ar, br), f.mul(ai, bi)), math.inf)
    im = f.mul(f.add(f.mul(ar, bi), f.mul(ai, br)), math.inf)
    return f.select(lost, f.complex(re, im), plain)


def _boxed(f: Recorder, z: Any) -> tuple[Any, Any]:
    """The direction of an infinite value: its infinite parts 1, the others 0; else without NaN."""
    endless = f.or_(*map(f.isinf, parts(f, z)))

    def boxed(x: Any) -> Any:
        unit = f.copysign(f.select(f.isinf(x), _number(1, x), _number(0, x)), x)
        rest = f.select(f.isnan(x), _same_sign(f, 0, x), x)
        return f.select(endless, unit, rest)

    re, im = parts(f, z)
    return boxed(re), boxed(im)


def _small_power(f: Recorder, z: Any, n: Any) -> Any:
    """``z ** n`` for a whole n with ``0 < |n| < 100``, the squares of z multiplied together."""
    left, square = f.abs(n), z
    result = f.broadcast(Literal(1, z.type.dtype), z.type.shape)
    for _ in range(7):
        half = f.floor(f.mul(left, 0.5))
        odd = f.ne(left, f.mul(half, 2))
        result = f.select(odd, f.mul(result, square), result)
        left, square = half, f.mul(square, square)
    inverse = f.div(Literal(1, z.type.dtype), result)
    result = f.select(f.lt(n, 0), inverse, result)
    for few in (1, 2, 3):
        result = f.select(f.eq(n, few), _whole_power(f, z, few), result)
    return result


def _whole_power(f: Recorder, z: Any, n: int) -> Any:
    if n == 0:
        return f.broadcast(Literal(1, z.type.dtype), z.type.shape)
    out = z
    for _ in range(n - 1):
        out = f.mul(out, z)
    return out


def sinh(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    size = f.abs(re)
    grown, flat = _grown(f, f.sub(size, math.log(2)), im), f.eq(im, 0)
    large = f.gt(size, _large(re))
    real = f.mul(f.sinh(re), f.cos(im))
    real = f.select(large, f.copysign(grown[0], f.mul(re, f.cos(im))), real)
    imag = f.select(large, grown[1], f.mul(f.cosh(re), f.sin(im)))
    lost, endless = f.invert(f.isfinite(im)), f.isinf(re)
    real = f.select(f.or_(f.and_(lost, f.eq(re, 0)), f.and_(flat, endless)), re, real)
    real = f.select(f.and_(lost, endless), size, real)
    return f.complex(real, f.select(flat, im, imag))


def cosh(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    size = f.abs(re)
    grown, flat = _grown(f, f.sub(size, math.log(2)), im), f.eq(im, 0)
    large = f.gt(size, _large(re))
    real = f.select(large, grown[0], f.mul(f.cosh(re), f.cos(im)))
    imag = f.mul(f.sinh(re), f.sin(im))
    imag = f.select(large, f.copysign(grown[1], f.mul(re, f.sin(im))), imag)
    lost = f.invert(f.isfinite(im))
    real = f.select(f.and_(f.isinf(re), f.or_(lost, flat)), size, real)
    level = f.mul(im, f.copysign(f.broadcast(Literal(1, re.type.dtype), re.type.shape), re))
    imag = f.select(flat, level, f.select(f.and_(f.eq(re, 0), lost), 0, imag))
    return f.complex(real, imag)


def tanh(f: Recorder, z: Any) -> Any:
    """Kahan's form: finite for large arguments."""
    re, im = parts(f, z)
    t, s = f.tan(im), f.sinh(re)
    b = f.add(f.square(t), 1)
    rho = f.sqrt(f.add(f.square(s), 1))
    d = f.add(f.mul(b, f.square(s)), 1)
    real = f.div(f.mul(f.mul(b, rho), s), d)
    imag = f.div(t, d)
    large = f.gt(f.abs(re), 11.0 if _single(re) else 22.0)
    far = f.exp(f.mul(f.abs(re), -2))
    waves = f.mul(f.mul(f.sin(im), f.cos(im)), 4)
    lost, endless = f.invert(f.isfinite(im)), f.isinf(re)
    beyond = f.select(f.and_(lost, endless), _same_sign(f, 0, im), f.mul(waves, far))
    settled = f.or_(endless, f.and_(large, f.invert(lost)))
    real = f.select(settled, _same_sign(f, 1, re), real)
    imag = f.select(large, beyond, imag)
    real = f.select(f.eq(re, 0), re, real)
    return f.complex(real, f.select(f.eq(im, 0), im, imag))


def mirrored(rule: Rule) -> Rule:
    """The function with the roles of the two axes exchanged: sin of sinh, arctan of arctanh."""

    def run(f: Recorder, z: Any) -> Any:
        re, im = parts(f, z)
        value = rule(f, f.complex(im, re))
        return f.complex(f.imag(value), f.real(value))

    return run


def cos(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    return cosh(f, f.complex(f.neg(im), re))


def exp2(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    return exp(f, f.complex(f.mul(re, math.log(2)), f.mul(im, math.log(2))))


def expm1(f: Recorder, z: Any) -> Any:
    """By ``cos(y) = 1 - 2 sin(y/2)**2``, as NumPy's loop."""
    re, im = parts(f, z)
    half = f.sin(f.mul(im, 0.5))
    real = f.sub(f.mul(f.expm1(re), f.cos(im)), f.mul(f.square(half), 2))
    return f.complex(real, f.mul(f.exp(re), f.sin(im)))


def log1p(f: Recorder, z: Any) -> Any:
    """As NumPy's loop: not more exact than log(1 + z)."""
    re, im = parts(f, z)
    moved = f.add(re, 1)
    return f.complex(f.log(f.hypot(moved, im)), f.atan2(im, moved))


FUNCTIONS: dict[str, Rule] = {
    "exp": exp,
    "log": log,
    "log2": _scaled_log(1 / math.log(2)),
    "log10": _scaled_log(1 / math.log(10)),
    "sqrt": sqrt,
    "sin": mirrored(sinh),
    "cos": cos,
    "sinh": sinh,
    "cosh": cosh,
    "tan": mirrored(tanh),
    "tanh": tanh,
    "exp2": exp2,
    "expm1": expm1,
    "log1p": log1p,
}
