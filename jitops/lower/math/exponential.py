"""exp and its kin: Cody-Waite reduction by ln 2, a minimax polynomial.

One scaling by a power of two.

Method: W. J. Cody and W. Waite, "Software Manual for the Elementary Functions" (1980), ch. 6, with
fused multiply-adds in the reduction; polynomials by the Remez exchange with rounded coefficients.
``x = n ln 2 + r``, ``|r| <= ln(2)/2``.
"""

from __future__ import annotations

from jitops.lower.math.code import Code
from jitops.lower.scalar import Expr

LOG2_E = 1.4426950408889634
LN2_64 = (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56"))
LN2_32 = (float.fromhex("0x1.62e43p-1"), float.fromhex("-0x1.05c61p-29"))

# (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2; the error of exp is below 2^-28.2, 2^-57.2.
EXP_32 = (
    0.0013838002923876047,
    0.00836916547268629,
    0.04166810214519501,
    0.16666516661643982,
    0.4999999403953552,
)
EXP_32_LONG = (  # one more term: below 2^-31.1
    0.00017331395065411925,
    0.0013933278387412429,
    0.00833787489682436,
    0.041666481643915176,
    0.16666647791862488,
    0.5,
)
EXP_64 = (
    2.500852179562728e-08,
    2.7630853270831133e-07,
    2.7557565889397903e-06,
    2.4801491538789443e-05,
    0.00019841269523012577,
    0.0013888888945012324,
    0.008333333333489594,
    0.041666666666525465,
    0.16666666666666416,
    0.5000000000000011,
)
# The same with one more term, for expm1; below 2^-63.5.
EXPM1_64 = (
    2.097891160831623e-09,
    2.5113983098405555e-08,
    2.755706607864602e-07,
    2.7557228602253485e-06,
    2.4801587559581743e-05,
    0.00019841269903394596,
    0.0013888888888777832,
    0.00833333333331389,
    0.041666666666666824,
    0.16666666666666688,
    0.5,
)
# (2^r - 1) / r on |r| <= 1/2; the error is below 2^-27.5.
EXP2_32 = (
    0.00015819531108718365,
    0.0013418239541351795,
    0.009617063216865063,
    0.05550272390246391,
    0.24022655189037323,
    0.6931472420692444,
)


def reduce_by_ln2(c: Code, x: Expr, biases: int = 1) -> tuple[Expr, Expr, Expr]:
    """``x = n ln 2 + r + r_low`` in float64.

    Gives r, r_low, and n (with so many exponent biases) in an integer's low bits.
    """
    high, low = LN2_64
    n, n_bits = c.round_scaled(x, LOG2_E, biases)
    first = c.fma(n, -high, x)
    r = c.fma(n, -low, first)
    r_low = c.fma(n, -low, c.sub(first, r))
    return r, r_low, n_bits


def exp_float32(c: Code, x: Expr) -> Expr:
    """e**x in float32, polynomial of degree 7; below 1 ULP."""
    high, low = LN2_32
    x = c.clamp(x, -105.0, 89.0)
    n, n_bits = c.round_scaled(x, LOG2_E, biases=2)
    r = c.fma(n, -low, c.fma(n, -high, x))
    near = c.fma(c.mul(r, r), c.polynomial(r, EXP_32_LONG), r)
    return c.scale_by_power(c.add(near, 1.0), n_bits)


def exp_float64(c: Code, x: Expr) -> Expr:
    """e**x in float64, polynomial of degree 11 with a compensated last step; below 0.8 ULP."""
    x = c.clamp(x, -746.0, 710.0)
    r, r_low, n_bits = reduce_by_ln2(c, x, biases=2)
    square = c.mul(r, r)
    tail = c.fma(square, c.polynomial_by_halves(r, square, EXP_64), r_low)
    total, error = c.ordered_sum(1.0, r)
    return c.scale_by_power(c.add(total, c.add(error, tail)), n_bits)


def exp_of_reduced(c: Code, r: Expr, r_low: Expr) -> tuple[Expr, Expr]:
    """``exp(r + r_low)`` in float64 for |r| <= ln(2)/2 as a value and its error."""
    r, r_low = c.ordered_sum(r, r_low)
    square = c.mul(r, r)
    tail = c.fma(square, c.polynomial_by_halves(r, square, EXP_64), r_low)
    total, error = c.ordered_sum(1.0, r)
    return c.ordered_sum(total, c.add(error, tail))


def exp_kernel(c: Code, x: Expr) -> Expr:
    """e**x in float64 to 2^-28 for |x| < 700: what float32 functions need."""
    n, n_bits = c.round_scaled(x, LOG2_E)
    r = c.fma(n, -LN2_64[0], x)
    one = c.fma(c.mul(r, r), c.polynomial(r, EXP_32), c.add(r, 1.0))
    return c.mul(one, c.power_of_two(n_bits, "float64"))


def exp2_float32(c: Code, x: Expr) -> Expr:
    """2**x in float32, polynomial of degree 6; below 0.9 ULP."""
    x = c.clamp(x, -151.0, 129.0)
    n, n_bits = c.round_scaled(x, 1.0, biases=2)
    r = c.sub(x, n)
    return c.scale_by_power(c.fma(r, c.polynomial(r, EXP2_32), 1.0), n_bits)


def exp2_float64(c: Code, x: Expr) -> Expr:
    """2**x in float64 through e**(r ln 2) with the product in two parts; below 0.8 ULP."""
    x = c.clamp(x, -1076.0, 1025.0)
    n, n_bits = c.round_scaled(x, 1.0, biases=2)
    r, error = c.product(c.sub(x, n), LN2_64[0])
    value, _ = exp_of_reduced(c, r, c.fma(c.sub(x, n), LN2_64[1], error))
    return c.scale_by_power(value, n_bits)


def expm1_float32(c: Code, x: Expr) -> Expr:
    """exp(x) - 1 in float32: ``(2**n - 1) + 2**n (exp(r) - 1)``, the sum and r in two parts.

    Below 0.95 ULP.
    """
    high, low = LN2_32
    y = c.clamp(x, -30.0, 89.0)
    n, n_bits = c.round_scaled(y, LOG2_E)
    first = c.fma(n, -high, y)
    r = c.fma(n, -low, first)
    r_low = c.fma(n, -low, c.sub(first, r))
    tail = c.fma(c.mul(r, r), c.polynomial(r, EXP_32_LONG), r_low)
    half = c.power_of_two(c.sub(n_bits, 1), "float32")  # 2**n / 2: 2**128 is too large
    less, more = c.sub(half, 0.5), c.mul(half, r)
    less_low = c.sub(c.sub(half, less), 0.5)
    total, error = c.ordered_sum(less, more)
    error = c.fma(half, tail, c.add(error, less_low))
    result = c.mul(c.add(total, error), 2.0)
    return c.select(c.lt(c.fabs(x), 2.0**-25), x, result)


def expm1_float64(c: Code, x: Expr) -> Expr:
    """exp(x) - 1 in float64: ``(2**n - 1) + 2**n (exp(r) - 1)`` with the sum compensated.

    The error is below 0.9 ULP.
    """
    y = c.clamp(x, -45.0, 710.0)
    r, r_low, n_bits = reduce_by_ln2(c, y)
    half = c.power_of_two(c.sub(n_bits, 1), "float64")  # 2**n / 2: 2**1024 is too large
    less = c.sub(half, 0.5)
    total = c.fma(half, r, less)
    less_low = c.sub(c.sub(half, less), 0.5)
    error = c.add(c.fma(half, r, c.sub(less, total)), less_low)
    square, square_low = c.product(r, r)
    total, more = c.ordered_sum(total, c.mul(c.mul(half, 0.5), square))
    cubic = c.fma(c.mul(square, r), c.polynomial(r, EXPM1_64[:-1]), c.fma(square_low, 0.5, r_low))
    result = c.mul(c.add(total, c.add(more, c.fma(half, cubic, error))), 2.0)
    return c.select(c.lt(c.fabs(x), 2.0**-54), x, result)


def sigmoid_wide(c: Code, x: Expr) -> Expr:
    """1 / (1 + exp(-x)) computed in float64 and rounded once; below 0.55 ULP."""
    e = exp_kernel(c, c.neg(c.clamp(x, -110.0, 110.0)))
    return c.div(1.0, c.add(e, 1.0))


def sigmoid_float64(c: Code, x: Expr) -> Expr:
    """1 / (1 + exp(-x)) in float64 as exp(min(x, 0)) / (1 + exp(-|x|)), compensated.

    The error is below 0.8 ULP.
    """
    low = c.neg(c.fabs(c.clamp(x, -746.0, 746.0)))
    r, r_low, n_bits = reduce_by_ln2(c, low, biases=2)
    e, e_low = exp_of_reduced(c, r, r_low)
    # 1 + 2**n (e + e_low), then its inverse; n is at most 0, and a vanished 2**n does no harm.
    scaled = c.scale_by_power(e, n_bits)
    bottom, bottom_low = c.ordered_sum(1.0, scaled)
    bottom_low = c.add(bottom_low, c.scale_by_power(e_low, n_bits))
    positive = c.ge(x, 0.0)
    top = c.select(positive, 1.0, e)
    top_low = c.select(positive, 0.0, e_low)
    inverse = c.div(1.0, bottom)
    q = c.mul(top, inverse)
    residual = c.add(c.fma(c.neg(q), bottom, top), c.fma(c.neg(q), bottom_low, top_low))
    q = c.fma(residual, inverse, q)
    small = c.scale_by_power(q, n_bits)
    return c.select(positive, q, c.select(c.lt(x, 0.0), small, x))
