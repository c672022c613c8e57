"""pow, cbrt, hypot and the float32 remainder.

pow: the logarithm and its product with y in two parts each, as in P. T. P. Tang's and fdlibm's
(K.-C. Ng, 1993) accounts, with the arithmetic of T. J. Dekker, "A floating-point technique for
extending the available precision" (1971). cbrt: a guess from the exponent (W. Kahan, "Computing a
real cube root", 1991), then division-free iterations for the inverse root.
"""

from __future__ import annotations

from tvm import tirx

from jitops.lower import scalar
from jitops.lower.math.code import Code
from jitops.lower.math.exponential import exp2_kernel, exp_of_reduced, reduce_by_ln2
from jitops.lower.math.logarithm import LN2_SPLIT_64, SQRT_HALF, log2_kernel, split_any
from jitops.lower.scalar import Expr

# ((log((1+s)/(1-s)) - 2s) / s^3 - 2/3) / s^2 in s^2 on |s| <= 0.1716; the error of log is below
# 2^-73.5.
POW_LOG = (
    0.11989169873612207,
    0.11674799716737118,
    0.13336318343709377,
    0.15384556846976927,
    0.18181818870666813,
    0.2222222221753359,
    0.28571428571445123,
    0.3999999999999998,
)
TWO_THIRDS = (2.0 / 3.0, float.fromhex("0x1.5555555555555p-55"))


def pow_float32(c: Code, x: Expr, y: Expr) -> Expr:
    """x**y in float32 as 2**(y log2 |x|), in float64 rounded once; below 0.7 ULP.

    C99's special cases.
    """
    log = log2_kernel(c, c.cast(c.fabs(x), "float64"))
    exponent = c.mul(c.cast(c.clamp(y, -(2.0**60), 2.0**60), "float64"), log)
    value = exp2_kernel(c, c.clamp(exponent, -300.0, 300.0))
    return _pow_specials(c, x, y, c.cast(value, "float32"))


def pow_float64(c: Code, x: Expr, y: Expr) -> Expr:
    """x**y in float64, log |x| to 2^-66; below 1 ULP; C99's special cases."""
    log, log_low = log_double(c, c.fabs(x))
    bounded = c.clamp(y, -(2.0**66), 2.0**66)
    exponent, error = c.product(bounded, log)
    error = c.fma(bounded, log_low, error)
    bounded = c.clamp(exponent, -746.0, 710.0)
    error = c.select(c.eq(bounded, exponent), error, 0.0)
    r, r_low, n_bits = reduce_by_ln2(c, bounded, biases=2)
    value, low = exp_of_reduced(c, r, c.add(r_low, error))
    return _pow_specials(c, x, y, c.scale_by_power(c.add(value, low), n_bits))


def log_double(c: Code, x: Expr) -> tuple[Expr, Expr]:
    """log(x) for finite x > 0 as a value and its error, together to 2^-66."""
    k, m = split_any(c, x, SQRT_HALF)
    f = c.sub(m, 1.0)
    bottom, bottom_low = c.ordered_sum(2.0, f)
    inverse = c.div(1.0, bottom)
    s = c.mul(f, inverse)
    s_low = c.mul(c.fma(c.neg(s), bottom_low, c.fma(c.neg(s), bottom, f)), inverse)
    z, z_low = c.product(s, s)
    z_low = c.fma(c.add(s, s), s_low, z_low)
    factor, factor_low = c.ordered_sum(TWO_THIRDS[0], c.mul(z, c.polynomial(z, POW_LOG)))
    factor_low = c.add(factor_low, TWO_THIRDS[1])
    cube, cube_low = c.product(s, z)
    cube_low = c.fma(s, z_low, c.fma(s_low, z, cube_low))
    term, term_low = c.product(cube, factor)
    term_low = c.fma(cube, factor_low, c.fma(cube_low, factor, term_low))
    series, error = c.ordered_sum(c.add(s, s), term)
    low = c.add(c.fma(s_low, 2.0, error), term_low)
    head, error = c.ordered_sum(c.mul(k, LN2_SPLIT_64[0]), series)
    return c.ordered_sum(head, c.add(error, c.fma(k, LN2_SPLIT_64[1], low)))


def _pow_specials(c: Code, x: Expr, y: Expr, value: Expr) -> Expr:
    """C99's special cases, F.9.4.4, around |x|**y for finite x != 0."""
    infinity = float("inf")
    magnitude = c.fabs(x)
    zero = c.eq(magnitude, 0.0)
    pole = c.either(c.both(zero, c.lt(y, 0.0)), c.both(c.eq(magnitude, infinity), c.gt(y, 0.0)))
    value = c.select(c.either(zero, c.eq(magnitude, infinity)), 0.0, value)
    value = c.select(pole, infinity, value)
    integral = c.eq(c.trunc(y), y)
    half = c.mul(y, 0.5)
    odd = c.both(integral, scalar.not_(c.eq(c.trunc(half), half)))
    signed = c.select(odd, c.copysign(value, x), value)
    finite_negative = c.both(c.lt(x, 0.0), c.lt(magnitude, infinity))
    signed = c.select(c.both(finite_negative, scalar.not_(integral)), float("nan"), signed)
    known = c.both(c.eq(x, x), c.eq(y, y))
    signed = c.select(known, signed, float("nan"))
    unit = c.either(c.eq(y, 0.0), c.eq(x, 1.0))
    unit = c.either(unit, c.both(c.eq(x, -1.0), c.eq(c.fabs(y), infinity)))
    return c.select(unit, 1.0, signed)


def _inverse_cube_root(c: Code, m: Expr) -> Expr:
    """m**(-1/3) to 2^-31 for normal m > 0 in float64."""
    top = c.bit_or(c.shr(c.bitcast(m, "uint64"), 32), 0x4330 << 48)
    exponent = c.sub(c.bitcast(top, "float64"), 2.0**52)  # the upper half of the bits as a number
    guess = c.bits(c.fma(exponent, -1.0 / 3.0, 1.5 * 2.0**52 + 1430186325.0))
    y = c.bitcast(c.shl(guess, 32), "float64")
    for _ in range(2):
        h = c.fma(c.neg(m), c.mul(c.mul(y, y), y), 1.0)
        y = c.fma(c.mul(y, h), c.fma(h, 2.0 / 9.0, 1.0 / 3.0), y)
    return y


def cbrt_wide(c: Code, x: Expr) -> Expr:
    """Cube root of a float32, computed in float64 and rounded once; below 0.51 ULP."""
    m = c.fabs(x)
    y = _inverse_cube_root(c, m)
    root = c.copysign(c.mul(m, c.mul(y, y)), x)
    return c.select(c.both(c.gt(m, 0.0), c.lt(m, float("inf"))), root, x)


def cbrt_float64(c: Code, x: Expr) -> Expr:
    """Cube root in float64: one corrected step from m y^2 with y = m**(-1/3); below 0.6 ULP."""
    m = c.fabs(x)
    small = c.lt(m, 2.0**-700)  # its square's error would vanish
    scaled = c.select(small, c.mul(m, 2.0**300), m)
    y = _inverse_cube_root(c, scaled)
    inverse_square = c.mul(y, y)
    root = c.mul(scaled, inverse_square)
    square, square_low = c.product(root, root)
    residual = c.fma(c.neg(square), root, scaled)
    residual = c.fma(c.neg(square_low), root, residual)
    root = c.fma(c.mul(residual, 1.0 / 3.0), inverse_square, root)
    root = c.copysign(c.select(small, c.mul(root, 2.0**-100), root), x)
    return c.select(c.both(c.gt(m, 0.0), c.lt(m, float("inf"))), root, x)


def hypot_wide(c: Code, x: Expr, y: Expr) -> Expr:
    """sqrt(x^2 + y^2) of float32, computed in float64 and rounded once; below 0.51 ULP.

    Infinity beats NaN.
    """
    return _inf_first(c, x, y, c.sqrt(c.fma(x, x, c.mul(y, y))))


def hypot_float64(c: Code, x: Expr, y: Expr) -> Expr:
    """sqrt(x^2 + y^2) in float64, scaled by a power of two, squares in two parts; below 0.6 ULP.

    Infinity beats NaN.
    """
    x, y = c.fabs(x), c.fabs(y)
    swap = c.lt(x, y)
    high, low = c.select(swap, y, x), c.select(swap, x, y)
    exponent = c.bit_and(c.bits(c.clamp(high, 2.0**-1022, 2.0**1022)), 0x7FF << 52)
    down = c.bitcast(c.sub(2046 << 52, exponent), "float64")
    a, b = c.mul(high, down), c.mul(low, down)
    a_square, a_low = c.product(a, a)
    b_square, b_low = c.product(b, b)
    total, total_low = c.ordered_sum(a_square, b_square)
    root = c.sqrt(total)
    rest = c.add(c.fma(c.neg(root), root, total), c.add(total_low, c.add(a_low, b_low)))
    root = c.add(root, c.div(c.mul(rest, 0.5), c.add(root, 2.0**-1022)))
    return _inf_first(c, x, y, c.mul(root, c.bitcast(exponent, "float64")))


def _inf_first(c: Code, x: Expr, y: Expr, value: Expr) -> Expr:
    infinity = float("inf")
    far = c.either(c.eq(c.fabs(x), infinity), c.eq(c.fabs(y), infinity))
    return c.select(far, infinity, value)


def fmod_wide(c: Code, x: Expr, y: Expr) -> Expr:
    """C's fmod of float32, exact: six quotients of at most 48 bits each, in float64."""
    rest, divisor = c.fabs(x), c.fabs(y)
    for step in range(5, -1, -1):
        scaled = c.mul(divisor, 2.0 ** (48 * step))
        left = c.fma(c.neg(c.trunc(c.div(rest, scaled))), scaled, rest)
        rest = c.select(c.lt(left, 0.0), c.add(left, scaled), left)
    rest = c.select(c.eq(divisor, float("inf")), c.fabs(x), rest)
    rest = c.select(c.eq(c.fabs(x), float("inf")), float("nan"), rest)
    return c.copysign(rest, x)


def fmod_float64(c: Code, x: Expr, y: Expr) -> Expr:
    """Call the C library's fmod: a quotient may have 2098 bits, which takes a loop."""
    return c.body.let(tirx.call_pure_extern("float64", "fmod", x, y))
