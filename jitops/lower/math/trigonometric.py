"""sin, cos and tan.

Exact reduction, then minimax polynomials (Remez exchange, rounded coefficients).
"""

from __future__ import annotations

from jitops.lower import scalar
from jitops.lower.math.code import Code, quotient
from jitops.lower.math.reduction import half_turn_float32, ordinary_quadrant, quadrant_float64
from jitops.lower.scalar import Expr

# sin(pi y) / y and cos(pi y) / (1/4 - y^2) in y^2 on |y| <= 0.5412; below 2^-26.3, 2^-28.7.
SIN_HALF_TURN_32 = (
    0.07677595942824628,
    -0.5978565375084681,
    2.550010926091295,
    -5.167706838543689,
    3.1415926155091394,
)
COS_HALF_TURN_32 = (
    0.02395468578914502,
    -0.228642085920922,
    1.2779753655906232,
    -3.7392073710218408,
    3.999999991207922,
)


def sin_float32(c: Code, x: Expr) -> Expr:
    """Sine in float32 for every finite x, computed in float64 and rounded once; below 0.8 ULP."""
    y, n = half_turn_float32(c, x)
    value = c.mul(y, c.polynomial(c.mul(y, y), SIN_HALF_TURN_32))
    return _with_parity(c, value, n)


def cos_float32(c: Code, x: Expr) -> Expr:
    """Cosine in float32 for every finite x, computed in float64 and rounded once; below 1 ULP."""
    y, n = half_turn_float32(c, x)
    value = c.mul(c.fma(c.neg(y), y, 0.25), c.polynomial(c.mul(y, y), COS_HALF_TURN_32))
    return _with_parity(c, value, n)


def tan_float32(c: Code, x: Expr) -> Expr:
    """Tangent in float32 for every finite x, computed in float64 and rounded once.

    The error is below 0.8 ULP.
    """
    y, _ = half_turn_float32(c, x)
    z = c.mul(y, y)
    sine = c.mul(y, c.polynomial(z, SIN_HALF_TURN_32))
    cosine = c.mul(c.fma(c.neg(y), y, 0.25), c.polynomial(z, COS_HALF_TURN_32))
    return c.cast(c.div(sine, cosine), "float32")


def _with_parity(c: Code, value: Expr, n: Expr) -> Expr:
    """``value`` as float32, negated for odd n."""
    return c.bitcast(c.bit_xor(c.bits(c.cast(value, "float32")), c.shl(n, 31)), "float32")


# (sin(r) - r) / r^3, (cos(r) - 1 + r^2/2) / r^4 and (tan(r) - r) / r^3 in r^2 on |r| < 1.006 pi/4;
# below 2^-27.8, 2^-33.1, 2^-29.3.
SIN_32 = (-0.00019507884280756116, 0.008332106284797192, -0.16666653752326965)
COS_32 = (2.4430670237052254e-05, -0.00138873013202101, 0.04166664555668831)
TAN_32 = (
    0.004470524378120899,
    -9.783067071111873e-05,
    0.010980453342199326,
    0.02122771553695202,
    0.054070182144641876,
    0.1333257555961609,
    0.3333335220813751,
)


def sin_ordinary_float32(c: Code, x: Expr) -> Expr:
    """Sine in float32 arithmetic for |x| < 2^17; below 0.9 ULP."""
    return _with_sign(c, _wave_float32(c, c.fabs(x), 0), x)


def cos_ordinary_float32(c: Code, x: Expr) -> Expr:
    """Cosine in float32 arithmetic for |x| < 2^17; below 0.9 ULP."""
    return _wave_float32(c, c.fabs(x), 1)


def _wave_float32(c: Code, magnitude: Expr, turn: int) -> Expr:
    """sin(|x| + turn pi/2); the tails of both series are small against their heads."""
    r, r_low, q = ordinary_quadrant(c, magnitude)
    z = c.mul(r, r)
    sine = c.add(r, c.fma(c.mul(z, r), c.polynomial(z, SIN_32), r_low))
    one = c.fma(z, -0.5, 1.0)
    error = c.fma(z, -0.5, c.sub(1.0, one))
    tail = c.fma(c.mul(z, z), c.polynomial(z, COS_32), c.fma(c.neg(r), r_low, error))
    return _by_quadrant(c, sine, c.add(one, tail), c.add(q, turn) if turn else q)


def tan_ordinary_float32(c: Code, x: Expr) -> Expr:
    """Tangent in float32 arithmetic for |x| < 2^17, its inverse compensated; below 1 ULP."""
    r, r_low, q = ordinary_quadrant(c, c.fabs(x))
    z, z_low = c.product(r, r)
    low = c.fma(c.mul(z, 1.6), r_low, r_low)  # nearly times 1 + tan(r)^2
    low = c.fma(c.mul(r, 1.0 / 3.0), z_low, low)
    tail = c.fma(c.mul(z, r), c.polynomial(z, TAN_32), low)
    high, low = c.ordered_sum(r, tail)
    inverse = c.div(-1.0, high)
    rest = c.fma(inverse, low, c.fma(inverse, high, 1.0))
    odd = c.eq(c.bit_and(q, 1), 1)
    value = c.select(odd, c.fma(inverse, rest, inverse), c.add(high, low))
    return _with_sign(c, value, x)


def _by_quadrant(c: Code, sine: Expr, cosine: Expr, q: Expr) -> Expr:
    """sin(r + q pi/2) from sin r and cos r; q in the low two bits of a signed integer."""
    value = c.select(c.eq(c.bit_and(q, 1), 0), sine, cosine)
    dtype = scalar.dtype_of(value)
    sign = c.shl(c.bit_and(q, 2), scalar.bits_of(dtype) - 2)
    return c.bitcast(c.bit_xor(c.bits(value), sign), dtype)


def _with_sign(c: Code, value: Expr, x: Expr) -> Expr:
    """An odd function of x from its value at |x|."""
    dtype = scalar.dtype_of(x)
    negative = c.bit_and(c.bits(x), -(2 ** (scalar.bits_of(dtype) - 1)))
    return c.bitcast(c.bit_xor(c.bits(value), negative), dtype)


# (sin(r) - r) / r^3 and (cos(r) - 1 + r^2/2) / r^4 in r^2 on |r| <= pi/4; below 2^-58, 2^-63.9.
SIN_64 = (
    1.5896886410299434e-10,
    -2.505075988843994e-08,
    2.755731370506122e-06,
    -0.00019841269829853366,
    0.008333333333322486,
    -0.16666666666666632,
)
COS_64 = (
    -1.1358732811099388e-11,
    2.087570511548505e-09,
    -2.755731421530137e-07,
    2.4801587288997485e-05,
    -0.0013888888888873338,
    0.041666666666666595,
)


def sin_float64(c: Code, x: Expr) -> Expr:
    """Sine in float64 for every finite x; below 0.8 ULP."""
    magnitude = c.fabs(x)
    value = _with_sign(c, _wave_float64(c, magnitude, 0), x)
    return c.select(c.lt(magnitude, 2.0**-27), x, value)


def cos_float64(c: Code, x: Expr) -> Expr:
    """Cosine in float64 for every finite x; below 0.8 ULP."""
    return _wave_float64(c, c.fabs(x), 1)


def _wave_float64(c: Code, magnitude: Expr, turn: int) -> Expr:
    """sin(|x| + turn pi/2) for |x| >= 2^-27, NaN at infinity; cosine also for smaller ones."""
    r, r_low, q = quadrant_float64(c, magnitude)
    value = _wave_of_reduced(c, r, r_low, c.bitcast(q, "int64"), turn)
    return c.fma(magnitude, 0.0, value)  # NaN and infinity become NaN


def _wave_of_reduced(c: Code, r: Expr, r_low: Expr, q: Expr, turn: int) -> Expr:
    _, sine_tail, one, cosine_tail = sin_cos_parts(c, r, r_low)
    sine, cosine = c.add(r, sine_tail), c.add(one, cosine_tail)
    return _by_quadrant(c, sine, cosine, c.add(q, turn) if turn else q)


def sin_ordinary_float64(c: Code, x: Expr) -> Expr:
    """Sine in float64 for |x| < 2^30; below 0.8 ULP."""
    return _with_sign(c, _wave_of_reduced(c, *ordinary_quadrant(c, c.fabs(x)), 0), x)


def cos_ordinary_float64(c: Code, x: Expr) -> Expr:
    """Cosine in float64 for |x| < 2^30; below 0.8 ULP."""
    return _wave_of_reduced(c, *ordinary_quadrant(c, c.fabs(x)), 1)


def sin_cos_parts(c: Code, r: Expr, r_low: Expr) -> tuple[Expr, Expr, Expr, Expr]:
    """Give r^2, t with sin(r + r_low) = r + t, and u, v with cos(r + r_low) = u + v.

    |r| <= pi/4, in float64.
    """
    z, z_low = c.product(r, r)
    sine_tail = c.fma(c.mul(z, r), c.polynomial(z, SIN_64), c.fma(c.mul(z, -0.5), r_low, r_low))
    one = c.fma(z, -0.5, 1.0)
    error = c.fma(z, -0.5, c.sub(1.0, one))
    slope = c.fma(c.neg(r), r_low, c.fma(z_low, -0.5, error))
    cosine_tail = c.fma(c.mul(z, z), c.polynomial(z, COS_64), slope)
    return z, sine_tail, one, cosine_tail


def tan_float64(c: Code, x: Expr) -> Expr:
    """Tangent in float64 for every finite x, a compensated quotient; below 0.95 ULP."""
    magnitude = c.fabs(x)
    r, r_low, q = quadrant_float64(c, magnitude)
    value = _tan_of_reduced(c, r, r_low, c.bitcast(q, "int64"))
    value = _with_sign(c, c.fma(magnitude, 0.0, value), x)
    return c.select(c.lt(magnitude, 2.0**-27), x, value)


def tan_ordinary_float64(c: Code, x: Expr) -> Expr:
    """Tangent in float64 for |x| < 2^30, a compensated quotient; below 0.95 ULP."""
    return _with_sign(c, _tan_of_reduced(c, *ordinary_quadrant(c, c.fabs(x))), x)


def _tan_of_reduced(c: Code, r: Expr, r_low: Expr, q: Expr) -> Expr:
    _, sine_tail, one, cosine_tail = sin_cos_parts(c, r, r_low)
    even = c.eq(c.bit_and(q, 1), 0)
    top = c.select(even, r, one)
    top_low = c.select(even, sine_tail, cosine_tail)
    bottom = c.select(even, one, r)
    bottom_low = c.select(even, cosine_tail, sine_tail)
    value = quotient(c, top, top_low, bottom, bottom_low)
    return c.bitcast(c.bit_xor(c.bits(value), c.shl(q, 63)), "float64")
