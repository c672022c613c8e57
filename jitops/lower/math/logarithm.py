"""Logarithms: ``x = 2**k * (1 + f)``, a series in f or in ``s = f / (2 + f)``.

And ``k ln 2`` added in two parts.

Method: W. J. Cody and W. Waite (1980), ch. 5, and the arrangement ``f - (f^2/2 - s (f^2/2 +
R(s^2)))`` of K.-C. Ng (fdlibm, 1993); polynomials by the Remez exchange with rounded coefficients.
The few leading bits of f join ``k ln 2``, whose head is short, so that their sum is exact.
"""

from __future__ import annotations

from jitops.lower import scalar
from jitops.lower.math.code import FORMATS, Code
from jitops.lower.scalar import Expr

LN2_SPLIT_32 = (float.fromhex("0x1.62e4p-1"), float.fromhex("0x1.7f7d1cp-20"))  # 15 bits + rest
LN2_SPLIT_64 = (float.fromhex("0x1.62e42fefa4p-1"), float.fromhex("-0x1.8432a1b0e2634p-43"))
LOG10_2_SPLIT = (float.fromhex("0x1.34413509f6p-2"), float.fromhex("0x1.9fef311f12b36p-42"))
LOG2_E = (float.fromhex("0x1.71547652b82fep+0"), float.fromhex("0x1.777d0ffda0d24p-56"))
LOG10_E = (float.fromhex("0x1.bcb7b1526e50ep-2"), float.fromhex("0x1.95355baaafad3p-57"))
LOG2_E_32 = (float.fromhex("0x1.715476p+0"), float.fromhex("0x1.4ae0cp-26"))
LOG10_E_32 = (float.fromhex("0x1.bcb7b2p-2"), float.fromhex("-0x1.5b235ep-27"))
LOG10_2_SPLIT_32 = (float.fromhex("0x1.344p-2"), float.fromhex("0x1.3509f8p-18"))  # 11 bits + rest
TWO_THIRDS = float.fromhex("0x1.555556p-1")
LOWEST_32 = float.fromhex("0x1.570a3ep-1")  # log10 of twice that is above 1/8: a larger unit
SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")

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
# The same on -1/4 <= f <= 1/2; below 2^-29.2.
LOG1P_32 = (
    0.038578540086746216,
    -0.09225478768348694,
    0.11728578060865402,
    -0.12716493010520935,
    0.14271247386932373,
    -0.16655515134334564,
    0.19999821484088898,
    -0.2500016689300537,
    0.3333333730697632,
)
# (log2(1 + f) - f log2(e)) / f^2 on -0.33 <= f <= 0.34; below 2^-27.6. Likewise log10; 2^-27.5.
LOG2_32 = (
    -0.175103560090065,
    0.2019491195678711,
    -0.17816272377967834,
    0.20200537145137787,
    -0.24048371613025665,
    0.28869396448135376,
    -0.36067453026771545,
    0.480896532535553,
    -0.7213475108146667,
)
LOG10_32 = (
    -0.053406912833452225,
    0.060820624232292175,
    -0.05344182252883911,
    0.06080394610762596,
    -0.07241085171699524,
    0.08690590411424637,
    -0.10857317596673965,
    0.1447642743587494,
    -0.21714724600315094,
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
    """``x = 2**k * m`` with m in [lowest, 2 lowest), for normal x > 0: k and m as floats."""
    dtype = scalar.dtype_of(x)
    f = FORMATS[dtype]
    bits = c.bits(x)
    shift = c.sub(bits, c.bits(scalar.const(lowest, dtype)))
    k = c.shr(shift, f.mantissa)
    m = c.bitcast(c.sub(bits, c.shl(k, f.mantissa)), dtype)
    if dtype == "float32":
        return c.cast(k, dtype), m
    # Through the rounding constant: AVX2 has no conversion from 64-bit integers.
    planted = c.bitcast(c.add(k, c.bits(scalar.const(f.round_magic, dtype))), dtype)
    return c.sub(planted, f.round_magic), m


def split_any(c: Code, x: Expr, lowest: float) -> tuple[Expr, Expr]:
    """As `split_exponent`, subnormals included."""
    f = FORMATS[scalar.dtype_of(x)]
    small = c.lt(x, f.tiny)
    k, m = split_exponent(c, c.select(small, c.mul(x, 2.0 ** (f.mantissa + 1)), x), lowest)
    return c.select(small, c.sub(k, f.mantissa + 1.0), k), m


def log_specials(c: Code, x: Expr, result: Expr, pole: float = 0.0) -> Expr:
    """-inf at the pole, NaN below, inf at inf; NaN stays."""
    result = c.select(c.lt(x, float("inf")), result, x)
    result = c.select(c.eq(x, pole), float("-inf"), result)
    return c.select(c.lt(x, pole), float("nan"), result)


def log_float32(c: Code, x: Expr) -> Expr:
    """Natural logarithm in float32, degree 11 in f; below 1 ULP."""
    k, m = split_any(c, x, TWO_THIRDS)
    return log_specials(c, x, _log_of_parts(c, k, c.sub(m, 1.0), LOG_32))


def _log_terms(c: Code, f: Expr) -> tuple[Expr, Expr, Expr]:
    """Give ``(s, t, -f/2)`` with log(1 + f) = f - f^2/2 + s t in float64.

    1 + f is in [sqrt(1/2), sqrt(2)).
    """
    s = c.div(f, c.add(f, 2.0))
    z = c.mul(s, s)
    minus_half = c.mul(f, -0.5)
    square = c.neg(c.mul(minus_half, f))
    series = c.polynomial_by_halves(z, c.mul(z, z), LOG_64)
    return s, c.fma(z, series, square), minus_half


def log_mantissa(c: Code, f: Expr, f_low: Expr | None = None) -> tuple[Expr, Expr]:
    """log(1 + f + f_low) in float64 as a head of 40 bits after the point, and the rest."""
    head = c.sub(c.add(f, 6144.0), 6144.0)
    rest = c.sub(f, head)
    if f_low is not None:
        slope = c.fma(f, f, c.sub(1.0, f))  # 1 / (1 + f), nearly
        rest = c.fma(f_low, slope, rest)
    s, series, minus_half = _log_terms(c, f)
    return head, c.fma(s, series, c.fma(minus_half, f, rest))


def log_float64(c: Code, x: Expr) -> Expr:
    """Natural logarithm in float64, seven terms in s^2; below 0.8 ULP."""
    k, m = split_any(c, x, SQRT_HALF)
    head, tail = log_mantissa(c, c.sub(m, 1.0))
    total = c.fma(k, LN2_SPLIT_64[0], head)
    return log_specials(c, x, c.add(total, c.fma(k, LN2_SPLIT_64[1], tail)))


def _log_times(c: Code, m: Expr, factor: tuple[float, float]) -> tuple[Expr, Expr]:
    """log(m) times a constant given in two parts, as a value and its error."""
    f = c.sub(m, 1.0)
    s, series, minus_half = _log_terms(c, f)
    high, low = c.ordered_sum(f, c.fma(s, series, c.mul(minus_half, f)))
    product, error = c.product(high, factor[0])
    return product, c.add(error, c.fma(high, factor[1], c.mul(low, factor[0])))


def log2_float64(c: Code, x: Expr) -> Expr:
    """Base-2 logarithm in float64; exact at powers of two, below 0.8 ULP."""
    k, m = split_any(c, x, SQRT_HALF)
    product, error = _log_times(c, m, LOG2_E)
    total, rest = c.ordered_sum(k, product)
    return log_specials(c, x, c.add(total, c.add(rest, error)))


def log10_float64(c: Code, x: Expr) -> Expr:
    """Base-10 logarithm in float64; below 0.8 ULP."""
    k, m = split_any(c, x, SQRT_HALF)
    product, error = _log_times(c, m, LOG10_E)
    total, rest = c.ordered_sum(c.mul(k, LOG10_2_SPLIT[0]), product)
    return log_specials(c, x, c.add(total, c.add(rest, c.fma(k, LOG10_2_SPLIT[1], error))))


def log1p_sum(c: Code, x: Expr, x_low: Expr | None = None, doublings: Expr | None = None) -> Expr:
    """log(1 + x + x_low) + doublings ln 2 in float64 for -1 < x < inf."""
    u, u_low = c.sum(1.0, x)
    x_low = c.mul(u_low, 0.0) if x_low is None else x_low
    k, m = split_exponent(c, u, SQRT_HALF)
    one = c.bits(scalar.const(1.0, "float64"))
    scale = c.bitcast(c.sub(one, c.sub(c.bits(u), c.bits(m))), "float64")
    scaled_low = c.select(c.lt(u, 2.0**900), c.mul(c.add(u_low, x_low), scale), 0.0)
    same = c.eq(k, 0.0)
    f, f_low = c.select(same, x, c.sub(m, 1.0)), c.select(same, x_low, scaled_low)
    head, tail = log_mantissa(c, f, f_low)
    if doublings is not None:
        k = c.add(k, doublings)
    total = c.fma(k, LN2_SPLIT_64[0], head)
    return c.add(total, c.fma(k, LN2_SPLIT_64[1], tail))


def log1p_float64(c: Code, x: Expr) -> Expr:
    """log(1 + x) in float64, the rounding error of 1 + x carried along; below 0.95 ULP."""
    result = log_specials(c, x, log1p_sum(c, x), -1.0)
    return c.select(c.eq(x, 0.0), x, result)


def _log_in_unit_float32(
    c: Code,
    x: Expr,
    unit: tuple[float, float],
    series: tuple[float, ...],
    of_two: tuple[float, float],
) -> Expr:
    """log(x) times a unit in float32: ``k log(2) + f unit + f^2 series(f)``, log(2) in that unit.

    The first product is exact, and the second one carries its error along.
    """
    k, m = split_any(c, x, LOWEST_32)
    f = c.sub(m, 1.0)
    product, error = c.product(f, unit[0])
    whole = k if of_two == (1.0, 0.0) else c.mul(k, of_two[0])
    total, rest = c.ordered_sum(whole, product)
    small = c.fma(f, unit[1], error)
    if of_two[1]:
        small = c.fma(k, of_two[1], small)
    tail = c.fma(c.mul(f, f), c.polynomial(f, series), c.add(rest, small))
    return log_specials(c, x, c.add(total, tail))


def log2_float32(c: Code, x: Expr) -> Expr:
    """Base-2 logarithm in float32, degree 10 in f; exact at powers of two, below 0.95 ULP."""
    return _log_in_unit_float32(c, x, LOG2_E_32, LOG2_32, (1.0, 0.0))


def log10_float32(c: Code, x: Expr) -> Expr:
    """Base-10 logarithm in float32, degree 10 in f; below 0.9 ULP."""
    return _log_in_unit_float32(c, x, LOG10_E_32, LOG10_32, LOG10_2_SPLIT_32)


def log1p_float32(c: Code, x: Expr) -> Expr:
    """log(1 + x) in float32: ``f = 2**-k x + (2**-k - 1)`` is exact where it matters.

    Degree 11 in f; below 0.95 ULP.
    """
    u_bits = c.bits(c.add(x, 1.0))
    k_bits = c.bit_and(c.sub(u_bits, c.bits(scalar.const(0.75, "float32"))), -(2**23))
    k = c.mul(c.cast(k_bits, "float32"), 2.0**-23)
    scale = c.bitcast(c.sub(c.bits(scalar.const(4.0, "float32")), k_bits), "float32")
    f = c.add(c.bitcast(c.sub(c.bits(x), k_bits), "float32"), c.fma(scale, 0.25, -1.0))
    result = _log_of_parts(c, k, f, LOG1P_32)
    result = log_specials(c, x, result, -1.0)
    return c.select(c.eq(x, 0.0), x, result)


def _log_of_parts(
    c: Code, k: Expr, f: Expr, series: tuple[float, ...], f_low: Expr | None = None
) -> Expr:
    """``k ln 2 + log(1 + f + f_low)`` in float32; the leading bits of f join the first term."""
    head = c.sub(c.add(f, 192.0), 192.0)  # f to 16 bits after the point
    rest = c.sub(f, head)
    if f_low is not None:
        rest = c.add(rest, c.fma(c.neg(f), f_low, f_low))
    square = c.mul(f, f)
    tail = c.fma(square, c.polynomial(f, (*series, -0.5)), rest)
    total = c.fma(k, LN2_SPLIT_32[0], head)
    return c.add(total, c.fma(k, LN2_SPLIT_32[1], tail))


def log_of_pair_float32(c: Code, u: Expr, u_low: Expr, doublings: Expr | None = None) -> Expr:
    """``log(u + u_low) + doublings ln 2`` in float32 for normal u < 2^126, u_low its error."""
    k, m = split_exponent(c, u, TWO_THIRDS)
    one = c.bits(scalar.const(1.0, "float32"))
    scale = c.bitcast(c.sub(one, c.sub(c.bits(u), c.bits(m))), "float32")
    k = k if doublings is None else c.add(k, doublings)
    return _log_of_parts(c, k, c.sub(m, 1.0), LOG_32, c.mul(u_low, scale))
