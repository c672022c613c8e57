"""pow, cbrt, hypot and the float32 remainder.

pow: the logarithm and its product with y in two parts each, as in P. T. P. Tang's and fdlibm's
(K.-C. Ng, 1993) accounts, with the arithmetic of T. J. Dekker, "A floating-point technique for
extending the available precision" (1971). cbrt: a guess from the exponent (W. Kahan, "Computing a
real cube root", 1991), then division-free iterations for the inverse root.
"""

from __future__ import annotations

import math

from tvm import tirx

from jitops.lower import scalar
from jitops.lower.math.code import FORMATS, Code
from jitops.lower.math.exponential import EXP2_32, exp_of_reduced, reduce_by_ln2
from jitops.lower.math.logarithm import (
    LN2_SPLIT_64,
    LOG2_E_32,
    SQRT_HALF,
    split_any,
    split_exponent,
)
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
# (log2(1 + r) - r log2(e) + r^2 log2(e) / 2) / r^3 on |r| <= 0.0911; the error of log2 is below
# 2^-35 of r.
POW_LOG2_32 = (
    -0.20347610116004944,
    0.20760048925876617,
    -0.24023672938346863,
    0.28853487968444824,
    -0.3606742322444916,
    0.48089835047721863,
)
# From which mantissa on, a factor, and its -log2 as 14 bits and the rest; they make |r| least.
LOWEST_32 = 0.9412
SEGMENTS_32 = (
    (1.0666667, 14 / 16, float.fromhex("0x1.8a8p-3"), float.fromhex("0x1.30158p-16")),
    (1.2307693, 12 / 16, float.fromhex("0x1.a9p-2"), float.fromhex("-0x1.a39fbep-20")),
    (1.4545455, 10 / 16, float.fromhex("0x1.5b3p-1"), float.fromhex("-0x1.e12f34p-16")),
    (1.6842106, 9 / 16, float.fromhex("0x1.a9p-1"), float.fromhex("-0x1.a39fbep-19")),
)
INVERSE_CUBE_ROOT = (35 / 243, 14 / 81, 2 / 9, 1 / 3)  # ((1 - h)**(-1/3) - 1) / h, Taylor's
CBRT_GUESS_32 = 0x54A1F600  # its bits less a third of m's are those of m**(-1/3), to 3.4 %
TWO_THIRDS = (2.0 / 3.0, float.fromhex("0x1.5555555555555p-55"))


def pow_float32(c: Code, x: Expr, y: Expr) -> Expr:
    """x**y in float32 as 2**(y log2 |x|), the logarithm and the product in two parts.

    Below 1.2 ULP; C99's special cases.
    """
    magnitude, infinity = c.fabs(x), float("inf")
    log, log_low = _log2_pair(c, *split_any(c, magnitude, LOWEST_32))
    log = c.select(c.eq(magnitude, 0.0), -infinity, log)
    log = c.select(c.eq(magnitude, infinity), infinity, log)
    bounded = c.clamp(y, -(2.0**60), 2.0**60)
    exponent, error = c.product(bounded, log)
    error = c.fma(bounded, log_low, error)
    near = c.clamp(exponent, -151.0, 129.0)
    error = c.select(c.eq(near, exponent), error, 0.0)
    n, n_bits = c.round_scaled(c.add(near, error), 1.0, biases=2)
    r = c.add(c.sub(near, n), error)
    value = c.fma(r, c.polynomial(r, EXP2_32), 1.0)
    return _pow_signs(c, x, y, c.scale_by_power(value, n_bits))


def pow_ordinary_float32(c: Code, x: Expr, y: Expr) -> Expr:
    """As `pow_float32`, where `pow_is_rare` does not hold."""
    log, log_low = _log2_pair(c, *split_exponent(c, x, LOWEST_32))
    exponent, error = c.product(y, log)
    error = c.fma(y, log_low, error)
    n, n_bits = c.round_scaled(c.add(exponent, error), 1.0)
    r = c.add(c.sub(exponent, n), error)
    value = c.fma(r, c.polynomial(r, EXP2_32), 1.0)
    return c.mul(value, c.power_of_two(n_bits, "float32"))


def pow_is_rare(c: Code, x: Expr, y: Expr) -> Expr:
    """Whether x is not positive and normal, or |y log2 x| may be in the exponents' outer quarter.

    The logarithm is read off the bits: right to 2^-18 and a factor of 1.45.
    """
    dtype = scalar.dtype_of(x)
    bits = c.bits(x)
    lowest, infinity = (c.bits(scalar.const(v, dtype)) for v in (FORMATS[dtype].tiny, math.inf))
    if dtype == "float32":
        octaves = c.fma(c.cast(bits, dtype), 2.0**-23, -127.0)
    else:
        octaves = c.fma(_upper_half(c, x), 2.0**-20, -1023.0)
    octaves = c.fabs(octaves)
    octaves = c.select(c.gt(octaves, 2.0**-16), octaves, 2.0**-16)
    near = c.lt(c.mul(c.fabs(y), octaves), FORMATS[dtype].bias * 0.5)
    return c.body.let(scalar.not_(c.both(near, c.both(c.ge(bits, lowest), c.lt(bits, infinity)))))


def _log2_pair(c: Code, k: Expr, m: Expr) -> tuple[Expr, Expr]:
    """log2(2**k m) in float32 as a value and its error, to 2^-31.

    A factor near 1/m of four bits leaves r = m factor - 1, which is exact and below 0.0911; the
    first two terms of its logarithm are carried in two parts.
    """
    factor, base, low = (scalar.const(value, "float32") for value in (1.0, 0.0, 0.0))
    for start, *values in SEGMENTS_32:
        beyond = c.ge(m, start)
        chosen = zip(values, (factor, base, low), strict=True)
        factor, base, low = (c.select(beyond, value, other) for value, other in chosen)
    r = c.fma(m, factor, -1.0)
    second, error = c.product(r, -0.5 * LOG2_E_32[0])
    slope, slope_error = c.ordered_sum(scalar.const(LOG2_E_32[0], "float32"), second)
    rest = c.fma(r, -0.5 * LOG2_E_32[1], LOG2_E_32[1])
    small = c.add(slope_error, c.add(error, rest))
    square = c.mul(r, r)
    slope_low = c.fma(square, c.polynomial_by_halves(r, square, POW_LOG2_32), small)
    product, product_low = c.product(r, slope)
    head, error = c.ordered_sum(c.add(k, base), product)
    return head, c.add(c.add(error, low), c.fma(r, slope_low, product_low))


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


def pow_ordinary_float64(c: Code, x: Expr, y: Expr) -> Expr:
    """As `pow_float64`, where `pow_is_rare` does not hold."""
    log, log_low = _log_of_split(c, *split_exponent(c, x, SQRT_HALF))
    exponent, error = c.product(y, log)
    error = c.fma(y, log_low, error)
    r, r_low, n_bits = reduce_by_ln2(c, exponent)
    value, low = exp_of_reduced(c, r, c.add(r_low, error))
    return c.mul(c.add(value, low), c.power_of_two(n_bits, "float64"))


def log_double(c: Code, x: Expr) -> tuple[Expr, Expr]:
    """log(x) for finite x > 0 as a value and its error, together to 2^-66."""
    return _log_of_split(c, *split_any(c, x, SQRT_HALF))


def _log_of_split(c: Code, k: Expr, m: Expr) -> tuple[Expr, Expr]:
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
    return _pow_signs(c, x, y, c.select(pole, infinity, value))


def _pow_signs(c: Code, x: Expr, y: Expr, value: Expr) -> Expr:
    """C99's special cases, F.9.4.4, around |x|**y for every x but NaN, and y != 0."""
    integral = c.eq(c.trunc(y), y)
    half = c.mul(y, 0.5)
    odd = c.both(integral, scalar.not_(c.eq(c.trunc(half), half)))
    signed = c.select(odd, c.copysign(value, x), value)
    opposite = c.bits(c.neg(x))  # as an integer: negative for positive x, then zero, then large
    finite_negative = c.both(
        c.gt(opposite, 0), c.lt(opposite, c.bits(scalar.const(float("inf"), scalar.dtype_of(x))))
    )
    signed = c.select(c.both(finite_negative, scalar.not_(integral)), float("nan"), signed)
    known = c.both(c.eq(x, x), c.eq(y, y))
    signed = c.select(known, signed, float("nan"))
    return c.select(c.either(c.eq(y, 0.0), c.eq(x, 1.0)), 1.0, signed)


def _upper_half(c: Code, x: Expr) -> Expr:
    """The upper half of a float64's bits as a number."""
    top = c.bit_or(c.shr(c.bitcast(x, "uint64"), 32), 0x4330 << 48)
    return c.sub(c.bitcast(top, "float64"), 2.0**52)


def _inverse_cube_root(c: Code, m: Expr) -> Expr:
    """m**(-1/3) to 2^-31 for normal m > 0 in float64."""
    guess = c.bits(c.fma(_upper_half(c, m), -1.0 / 3.0, 1.5 * 2.0**52 + 1430186325.0))
    y = c.bitcast(c.shl(guess, 32), "float64")
    for _ in range(2):
        h = c.fma(c.neg(m), c.mul(c.mul(y, y), y), 1.0)
        y = c.fma(c.mul(y, h), c.fma(h, 2.0 / 9.0, 1.0 / 3.0), y)
    return y


def _cube_root_step(c: Code, m: Expr, y: Expr) -> Expr:
    """The cube root of m from its inverse y, with the error of its cube taken off."""
    inverse_square = c.mul(y, y)
    root = c.mul(m, inverse_square)
    square, square_low = c.product(root, root)
    residual = c.fma(c.neg(square), root, m)
    residual = c.fma(c.neg(square_low), root, residual)
    return c.fma(c.mul(residual, 1.0 / 3.0), inverse_square, root)


def cbrt_float32(c: Code, x: Expr) -> Expr:
    """Cube root in float32: one corrected step from m y^2 with y = m**(-1/3); below 0.7 ULP.

    The inverse root is a guess from the bits times five terms of the series in its error.
    """
    magnitude = c.fabs(x)
    small = c.lt(magnitude, 2.0**-100)  # its square's error would vanish
    m = c.select(small, c.mul(magnitude, 2.0**72), magnitude)
    guess = c.fma(c.cast(c.bits(m), "float32"), -1.0 / 3.0, float(CBRT_GUESS_32))
    y = c.bitcast(c.cast(guess, "int32"), "float32")
    h = c.fma(c.neg(c.mul(m, y)), c.mul(y, y), 1.0)
    y = c.fma(c.mul(y, h), c.polynomial(h, INVERSE_CUBE_ROOT), y)
    root = _cube_root_step(c, m, y)
    root = c.copysign(c.select(small, c.mul(root, 2.0**-24), root), x)
    return c.select(c.lt(magnitude, float("inf")), root, x)


def cbrt_float64(c: Code, x: Expr) -> Expr:
    """Cube root in float64: one corrected step from m y^2 with y = m**(-1/3); below 0.6 ULP."""
    m = c.fabs(x)
    small = c.lt(m, 2.0**-700)  # its square's error would vanish
    scaled = c.select(small, c.mul(m, 2.0**300), m)
    y = _inverse_cube_root(c, scaled)
    root = _cube_root_step(c, scaled, y)
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
