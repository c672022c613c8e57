"""Hyperbolic functions from ``cosh r`` and ``sinh r`` on a small interval and powers of two.

With ``x = n ln 2 + r``: ``sinh x = A cosh r + B sinh r`` and ``cosh x = B cosh r + A sinh r`` where
``A = (2**n - 2**-n) / 2`` and ``B = (2**n + 2**-n) / 2``, so that no cancelling difference of
exponentials is ever formed. Polynomials by the Remez exchange with rounded coefficients.
"""

from __future__ import annotations

from jitops.lower.math.code import FLOAT32, FLOAT64, Code, quotient
from jitops.lower.math.exponential import EXP_32, LN2_32, LOG2_E, reduce_by_ln2
from jitops.lower.scalar import Expr

# (sinh(r) - r) / r^3 and (cosh(r) - 1 - r^2/2) / r^4 in r^2 on |r| <= ln(2)/2; below 2^-61.6,
# 2^-69.9.
SINH_64 = (
    2.5109318815184444e-08,
    2.7557243455043914e-06,
    0.00019841269886814713,
    0.008333333333321386,
    0.16666666666666677,
)
COSH_64 = (
    2.092176602266863e-09,
    2.755725182389358e-07,
    2.4801587349202154e-05,
    0.0013888888888873283,
    0.041666666666666685,
)
# The same to 2^-28.2, 2^-33.2; and the first on |r| <= 1, below 2^-31.6.
EXP_ODD_32 = (0.00836897175759077, 0.166665181517601)
COSH_32 = (0.0013935437891632318, 0.041666459292173386)
SINH_32 = (
    2.7822131869470468e-06,
    0.00019842895562760532,
    0.00833331048488617,
    0.1666666716337204,
)
# (tanh(x) - x) / x^3 in x^2 on |x| <= 0.98; below 2^-28.
TANH_32 = (
    -0.0003772270283661783,
    0.002360951155424118,
    -0.008019798435270786,
    0.021531343460083008,
    -0.05389346927404404,
    0.13332536816596985,
    -0.3333330452442169,
)
# (exp(2r) - 1 - 2r) / r^2 from the polynomial for exp: scaling by powers of two is exact.
_EXP_TWICE_32 = tuple(q * 2.0 ** (6 - i) for i, q in enumerate(EXP_32))


def tanh_float32(c: Code, x: Expr) -> Expr:
    """Tanh in float32: odd polynomial below 0.98, ``1 - 2 / (exp(2|x|) + 1)`` above.

    The error is below 1 ULP.
    """
    magnitude = c.fabs(x)
    square = c.mul(x, x)
    small = c.fma(c.mul(square, magnitude), c.polynomial(square, TANH_32), magnitude)
    bounded = c.select(c.gt(magnitude, 10.0), 10.0, magnitude)
    n, biased = c.round_scaled(bounded, 2 * LOG2_E)
    r = c.fma(n, -LN2_32[0] / 2, bounded)
    e = c.fma(r, c.mul(r, c.polynomial(r, _EXP_TWICE_32)), c.add(r, r))
    power = c.power_of_two(biased, "float32")
    denominator = c.fma(e, power, c.add(power, 1.0))
    large = c.sub(1.0, c.div(2.0, denominator))
    return c.copysign(c.select(c.lt(magnitude, 0.98), small, large), x)


def cosh_sinh_parts(c: Code, r: Expr, r_low: Expr) -> tuple[Expr, Expr]:
    """``cosh(r + r_low) - 1`` and ``sinh(r + r_low) - r`` for |r| <= ln(2)/2, in float64."""
    z = c.mul(r, r)
    half = c.fma(r, r_low, c.mul(z, 0.5))
    cosh_tail = c.fma(c.mul(z, z), c.polynomial(z, COSH_64), half)
    sinh_tail = c.fma(c.mul(z, r), c.polynomial(z, SINH_64), r_low)
    return cosh_tail, sinh_tail


def half_powers(c: Code, biased: Expr, halvings: int = 1) -> tuple[Expr, Expr, Expr, Expr]:
    """Give ``A = (2**n - 2**-n) / 2**halvings``, ``B = (2**n + 2**-n) / 2**halvings`` for n >= 0.

    Each comes as a value and its error.
    """
    grow = c.power_of_two(c.sub(biased, halvings), "float64")
    shrink = c.power_of_two(c.sub(2 * FLOAT64.bias - halvings, biased), "float64")
    shrink = c.select(c.lt(grow, 2.0**60), shrink, 0.0)  # beyond, its bits may have wrapped
    a = c.sub(grow, shrink)
    b = c.add(grow, shrink)
    return a, c.sub(c.sub(grow, a), shrink), b, c.add(c.sub(grow, b), shrink)


def tanh_float64(c: Code, x: Expr) -> Expr:
    """Tanh in float64 as a compensated quotient sinh / cosh; below 0.7 ULP."""
    magnitude = c.fabs(x)
    magnitude = c.select(c.gt(magnitude, 22.0), 22.0, magnitude)
    r, r_low, biased = reduce_by_ln2(c, magnitude)
    cosh_tail, sinh_tail = cosh_sinh_parts(c, r, r_low)
    a, a_low, b, b_low = half_powers(c, biased)
    top = c.fma(b, r, a)
    top_low = c.fma(b_low, r, c.fma(b, r, c.sub(a, top)))
    top_low = c.fma(a, cosh_tail, c.fma(b, sinh_tail, c.add(top_low, a_low)))
    bottom = c.fma(a, r, b)
    bottom_low = c.fma(a_low, r, c.fma(a, r, c.sub(b, bottom)))
    bottom_low = c.fma(b, cosh_tail, c.fma(a, sinh_tail, c.add(bottom_low, b_low)))
    return c.copysign(quotient(c, top, top_low, bottom, bottom_low), x)


def _sinh_cosh_float64(c: Code, magnitude: Expr) -> tuple[Expr, Expr]:
    """Sinh and cosh of 0 <= |x| <= 710.6, each divided by two."""
    r, r_low, biased = reduce_by_ln2(c, magnitude)
    cosh_tail, sinh_tail = cosh_sinh_parts(c, r, r_low)
    a, a_low, b, b_low = half_powers(c, biased, halvings=2)
    sinh = c.fma(b, r, a)
    sinh_low = c.fma(b_low, r, c.fma(b, r, c.sub(a, sinh)))
    sinh_low = c.fma(a, cosh_tail, c.fma(b, sinh_tail, c.add(sinh_low, a_low)))
    cosh = c.fma(a, r, b)
    cosh_low = c.fma(a_low, r, c.fma(a, r, c.sub(b, cosh)))
    cosh_low = c.fma(b, cosh_tail, c.fma(a, sinh_tail, c.add(cosh_low, b_low)))
    return c.add(sinh, sinh_low), c.add(cosh, cosh_low)


def sinh_float64(c: Code, x: Expr) -> Expr:
    """Sinh in float64; below 0.7 ULP."""
    magnitude = c.fabs(x)
    bounded = c.select(c.gt(magnitude, 710.6), 710.6, magnitude)
    sinh, _ = _sinh_cosh_float64(c, bounded)
    result = c.copysign(c.add(sinh, sinh), x)
    return c.select(c.lt(magnitude, 2.0**-28), x, result)


def cosh_float64(c: Code, x: Expr) -> Expr:
    """Cosh in float64; below 0.7 ULP."""
    magnitude = c.fabs(x)
    bounded = c.select(c.gt(magnitude, 710.6), 710.6, magnitude)
    _, cosh = _sinh_cosh_float64(c, bounded)
    return c.add(cosh, cosh)


def _exp_quarters_float32(c: Code, magnitude: Expr) -> tuple[Expr, Expr, Expr]:
    """exp(|x|)/4 as a value and its error, and exp(-|x|)/4, in float32."""
    bounded = c.select(c.gt(magnitude, 89.5), 89.5, magnitude)
    n, biased = c.round_scaled(bounded, LOG2_E)
    r = c.fma(n, -LN2_32[1], c.fma(n, -LN2_32[0], bounded))
    z = c.mul(r, r)
    cube, series = c.mul(z, r), c.polynomial(z, EXP_ODD_32)
    even = c.fma(c.mul(z, z), c.polynomial(z, COSH_32), c.mul(z, 0.5))
    power = c.power_of_two(c.sub(biased, 2), "float32")
    total, error = c.ordered_sum(power, c.mul(power, r))
    error = c.fma(power, c.fma(cube, series, even), error)
    inverse = c.power_of_two(c.sub(2 * FLOAT32.bias - 2, biased), "float32")
    inverse = c.select(c.lt(power, 2.0**30), inverse, 0.0)  # beyond, its bits may have wrapped
    falling = c.add(c.sub(c.fma(c.neg(cube), series, even), r), 1.0)
    return total, error, c.mul(inverse, falling)


def sinh_float32(c: Code, x: Expr) -> Expr:
    """Sinh in float32: odd polynomial below 1, (exp(|x|) - exp(-|x|)) / 2 above; below 1 ULP."""
    magnitude = c.fabs(x)
    square = c.mul(x, x)
    small = c.fma(c.mul(square, magnitude), c.polynomial(square, SINH_32), magnitude)
    rising, error, falling = _exp_quarters_float32(c, magnitude)
    large = c.add(rising, c.sub(error, falling))
    large = c.add(large, large)
    return c.copysign(c.select(c.lt(magnitude, 1.0), small, large), x)


def cosh_float32(c: Code, x: Expr) -> Expr:
    """Cosh in float32 as (exp(|x|) + exp(-|x|)) / 2; below 1 ULP."""
    rising, error, falling = _exp_quarters_float32(c, c.fabs(x))
    half = c.add(rising, c.add(error, falling))
    return c.add(half, half)
