"""The error function and its complement.

Method: one polynomial where the function is small, ``exp(-x^2) g(x)`` elsewhere with ``(1 + 2x)
g(x)`` a polynomial in ``t = (x - 4) / (x + 4)``, after M. Shepherd and J. Laframboise, "Chebyshev
approximation of (1 + 2x) exp(x^2) erfc x", Math. Comp. 36 (1981); coefficients by the Remez
exchange.
"""

from __future__ import annotations

from jitops.lower.math.code import Code
from jitops.lower.math.exponential import EXP2_32, exp_kernel, exp_of_reduced, reduce_by_ln2
from jitops.lower.scalar import Expr

# erf(x) / x - 1 in x^2 on |x| <= 0.8, and -log2(erfc(x)) - 13 x / 8 on 0.8 <= x <= 4; the error of
# erf is below 2^-28.0, 2^-28.5.
ERF_32 = (
    -0.0006543375202454627,
    0.005086925812065601,
    -0.026822242885828018,
    0.11283162236213684,
    -0.37612608075141907,
    0.12837916612625122,
)
ERFC_LOG2_32 = (
    -0.0003010743239428848,
    0.004565849434584379,
    -0.03274499624967575,
    0.1513039916753769,
    0.9177596569061279,
    0.0027512311935424805,
    8.205723133869469e-05,
)
# (1 + 2x) exp(x^2) erfc(x) in (x - 2) / (x + 2) on 0 <= x <= 10.2; below 2^-29.9.
ERFC_KERNEL = (
    7.935269482375571e-05,
    0.00016925515655274884,
    -0.000400719502206621,
    -0.001420634991550669,
    0.001252716183913531,
    0.008709028561556087,
    -0.008030875249979797,
    -0.05421781592875372,
    0.1640510405686461,
    -0.16603052239590466,
    -0.09276382066180819,
    1.2769783826871668,
)
# erf(x) / x - 1 in x^2 on |x| <= 1; below 2^-56.9.
ERF_64 = (
    -7.779133938404536e-10,
    1.3710803301612156e-08,
    -1.6206273329499698e-07,
    1.644712636286196e-06,
    -1.4924711885961788e-05,
    0.00012055293555581559,
    -0.0008548325928613748,
    0.005223977606104121,
    -0.02686617064310975,
    0.11283791670944174,
    -0.3761263890318352,
    0.12837916709551256,
)
# (1 + 2x) exp(x^2) erfc(x) in (x - 4) / (x + 4) on 0 <= x <= 27.3; below 2^-59.5.
ERFC_64 = (
    1.1850620530992781e-09,
    1.6316199423314906e-09,
    -1.4090816912871833e-08,
    -1.737116003187055e-08,
    1.104413147715606e-07,
    7.403087485153162e-08,
    -8.261103230473833e-07,
    2.9417467362562786e-07,
    5.71029389650984e-06,
    -1.1222168502912245e-05,
    -2.4399480784418562e-05,
    0.00015062171280946725,
    -0.00019925661613467524,
    -0.0007577732959316824,
    0.005031969963485615,
    -0.01619773405676269,
    0.03716751553909975,
    -0.06633036581230968,
    0.09373283499825054,
    -0.10103906603629997,
    0.06809705425469545,
    0.01537965210261966,
    -0.13962111684056253,
    1.2329951186255526,
)


def erf_float32(c: Code, x: Expr) -> Expr:
    """Error function in float32: polynomial below 0.8, 1 - 2**-p(|x|) above; below 1 ULP."""
    magnitude = c.fabs(x)
    bounded = c.select(c.gt(magnitude, 4.0), 4.0, magnitude)
    small = c.fma(bounded, c.polynomial(c.mul(bounded, bounded), ERF_32), bounded)
    bend = c.polynomial(bounded, ERFC_LOG2_32)
    n, biased = c.round_scaled(c.fma(bounded, -1.625, c.neg(bend)), 1.0)
    r = c.sub(c.fma(bounded, -1.625, c.neg(n)), bend)
    power = c.power_of_two(biased, "float32")
    near = c.mul(r, c.polynomial(r, EXP2_32))
    large = c.fma(c.neg(power), near, c.sub(1.0, power))
    return c.copysign(c.select(c.lt(magnitude, 0.8), small, large), x)


def erfc_wide(c: Code, x: Expr) -> Expr:
    """Complementary error function of a float32, computed in float64 and rounded once.

    The error is below 0.6 ULP.
    """
    y = c.fabs(c.clamp(x, -10.2, 10.2))
    inverse = c.div(1.0, c.mul(c.add(y, 2.0), c.fma(y, 2.0, 1.0)))
    t = c.mul(c.sub(y, 2.0), c.mul(inverse, c.fma(y, 2.0, 1.0)))
    scale = c.mul(inverse, c.add(y, 2.0))
    tail = c.mul(c.polynomial(t, ERFC_KERNEL), scale)
    value = c.mul(exp_kernel(c, c.neg(c.mul(y, y))), tail)
    return c.select(c.lt(x, 0.0), c.sub(2.0, value), value)


def _erfc_positive(c: Code, y: Expr) -> Expr:
    """erfc(y) in float64 for 0 <= y <= 27.3, the product of its factors rounded nearly once."""
    square, square_low = c.product(y, y)
    r, r_low, n_bits = reduce_by_ln2(c, c.neg(square), biases=2)
    above, above_low = c.sum(c.add(y, y), c.fma(y, 0.0, 1.0))
    top, top_low = c.sum(-4.0, y)
    total, total_low = c.sum(4.0, y)
    inverse = c.div(1.0, c.mul(total, above))
    over = c.mul(inverse, above)
    t = c.mul(top, over)
    rest = c.fma(c.neg(t), total_low, c.add(c.fma(c.neg(t), total, top), top_low))
    t = c.fma(rest, over, t)
    series = c.polynomial(t, ERFC_64[:-1])
    head, error = c.ordered_sum(ERFC_64[-1], c.mul(series, t))
    first = c.mul(c.mul(inverse, total), head)
    residual = c.add(c.fma(c.neg(first), above, head), c.fma(c.neg(first), above_low, error))
    first_low = c.mul(residual, c.mul(inverse, total))
    return _times_exp(c, first, first_low, r, c.sub(r_low, square_low), n_bits)


def _times_exp(c: Code, a: Expr, a_low: Expr, r: Expr, r_low: Expr, n_bits: Expr) -> Expr:
    """Return ``(a + a_low) 2**n exp(r + r_low)``, rounded nearly once."""
    total, total_low = exp_of_reduced(c, r, r_low)
    product, error = c.product(a, total)
    error = c.add(error, c.fma(a, total_low, c.mul(a_low, total)))
    return c.scale_by_power(c.add(product, error), n_bits)


def erfc_float64(c: Code, x: Expr) -> Expr:
    """Complementary error function in float64; below 1.2 ULP."""
    y = c.fabs(c.clamp(x, -27.3, 27.3))
    value = c.select(c.lt(y, 0.45), c.sub(1.0, _erf_small(c, y)), _erfc_positive(c, y))
    return c.select(c.lt(x, 0.0), c.sub(2.0, value), value)


def erf_float64(c: Code, x: Expr) -> Expr:
    """Error function in float64: polynomial below 0.75, ``1 - erfc`` above; below 0.9 ULP."""
    y = c.fabs(c.clamp(x, -6.0, 6.0))
    large = c.sub(1.0, _erfc_positive(c, y))
    return c.copysign(c.select(c.lt(y, 0.75), _erf_small(c, y), large), x)


def _erf_small(c: Code, y: Expr) -> Expr:
    """erf(y) in float64 for |y| <= 1."""
    return c.fma(y, c.polynomial(c.mul(y, y), ERF_64), y)
