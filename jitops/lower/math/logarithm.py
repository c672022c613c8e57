"""Logarithms: ``x = 2**k * (1 + f)``, a series in f or in ``s = f / (2 + f)``, and ``k ln 2`` added in two parts.

Method: W. J. Cody and W. Waite (1980), ch. 5, and the argument ``f - (f^2/2 - s (f^2/2 + R(s^2)))`` of K.-C. Ng (fdlibm, 1993);
polynomials by the Remez exchange with rounded coefficients.
"""

from __future__ import annotations

from jitops.lower import scalar
from jitops.lower.math.code import FORMATS, Code
from jitops.lower.scalar import Expr

LN2_SPLIT_32 = (float.fromhex("0x1.62e4p-1"), float.fromhex("0x1.7f7d1cp-20"))  # 15 bits + rest
LN2_SPLIT_64 = (float.fromhex("0x1.62e42fefa4p-1"), float.fromhex("-0x1.8432a1b0e2634p-43"))

# (log(1 + f) - f + f^2/2) / f^3 on |f| <= 1/3; the error of log is below 2^-29.3.
LOG_32 = (
    0.11729797720909119,
    -0.1288386881351471,
    0.10822119563817978,
    -0.12187863886356354,
    0.14298953115940094,
    -0.166800856590271,
    0.1999976485967636,
    -0.24999810755252838,
    0.3333333432674408,
)
# (log((1+s)/(1-s)) - 2s) / s^3 in s^2 on |s| <= 0.1716; the error of log is below 2^-59.4.
LOG_64 = (
    0.14795862790739675,
    0.15314064219947132,
    0.1818356355667992,
    0.2222219859370597,
    0.28571428742112687,
    0.39999999999416413,
    0.6666666666666734,
)


def split_exponent(c: Code, x: Expr, lowest: float) -> tuple[Expr, Expr]:
    """``x = 2**k * m`` with m in [lowest, 2 lowest), for x > 0: k and m as floats; subnormals included."""
    dtype = scalar.dtype_of(x)
    f = FORMATS[dtype]
    scale = float(2 ** (f.mantissa + 1))
    small = c.lt(x, f.tiny)
    x = c.select(small, c.mul(x, scale), x)
    lowest_bits = c.bits(scalar.const(lowest, dtype))
    shift = c.sub(c.bits(x), lowest_bits)
    k = c.shr(shift, f.mantissa)
    m = c.bitcast(c.sub(c.bits(x), c.shl(k, f.mantissa)), dtype)
    # The exponent through the rounding constant: AVX2 has no conversion from 64-bit integers.
    k_float = c.sub(c.bitcast(c.add(k, c.bits(scalar.const(f.round_magic, dtype))), dtype), f.round_magic)
    return c.sub(k_float, c.select(small, scalar.const(f.mantissa + 1.0, dtype), 0.0)), m


def log_specials(c: Code, x: Expr, result: Expr) -> Expr:
    """-inf at zero, NaN below, inf at inf; NaN stays."""
    result = c.select(c.lt(x, float("inf")), result, x)
    result = c.select(c.eq(x, 0.0), float("-inf"), result)
    return c.select(c.lt(x, 0.0), float("nan"), result)


def log_float32(c: Code, x: Expr) -> Expr:
    """Natural logarithm in float32, degree 11 in f; below 0.7 ULP."""
    high, low = LN2_SPLIT_32
    k, m = split_exponent(c, x, float.fromhex("0x1.555556p-1"))
    f = c.sub(m, 1.0)
    square = c.mul(f, f)
    tail = c.mul(square, c.fma(f, c.polynomial(f, LOG_32), -0.5))
    total, error = c.ordered_sum(c.mul(k, high), f)
    total = c.add(total, c.add(error, c.fma(k, low, tail)))
    return log_specials(c, x, total)


def log_float64(c: Code, x: Expr) -> Expr:
    """Natural logarithm in float64, seven terms in s^2; below 0.7 ULP."""
    high, low = LN2_SPLIT_64
    k, m = split_exponent(c, x, float.fromhex("0x1.6a09e667f3bcdp-1"))
    f = c.sub(m, 1.0)
    s = c.div(f, c.add(f, 2.0))
    z = c.mul(s, s)
    half_square = c.mul(c.mul(f, f), 0.5)
    series = c.mul(z, c.polynomial(z, LOG_64))
    tail = c.fma(s, c.add(half_square, series), c.fma(k, low, c.neg(half_square)))
    total, error = c.ordered_sum(c.mul(k, high), f)
    return log_specials(c, x, c.add(total, c.add(error, tail)))
