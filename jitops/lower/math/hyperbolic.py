"""Hyperbolic functions from ``cosh r`` and ``sinh r`` on a small interval and powers of two.

With ``x = n ln 2 + r``: ``sinh x = A cosh r + B sinh r`` and ``cosh x = B cosh r + A sinh r`` where
``A = (2**n - 2**-n) / 2`` and ``B = (2**n + 2**-n) / 2``, so that no cancelling difference of
exponentials is ever formed. Polynomials by the Remez exchange with rounded coefficients.
"""

from __future__ import annotations

from jitops.lower.math.code import FLOAT64, Code, quotient
from jitops.lower.math.exponential import EXP_32, LN2_32, LN2_64, LOG2_E, reduce_by_ln2
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
# The same to 2^-37.4, 2^-33.2, for float32 functions.
SINH_KERNEL = (0.0001990501167517835, 0.008333288883562679, 0.16666666754761306)
COSH_KERNEL = (0.0013935441909920178, 0.041666459148544645)
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


def _sinh_cosh_kernel(c: Code, x: Expr) -> tuple[Expr, Expr, Expr, Expr]:
    """Give ``a, b, sinh r, cosh r`` in float64 to 2^-33.

    sinh x = a cosh r + b sinh r and cosh x = b cosh r + a sinh r.
    """
    x = c.clamp(x, -110.0, 110.0)
    n, biased = c.round_scaled(x, LOG2_E)
    r = c.fma(n, -LN2_64[0], x)
    z = c.mul(r, r)
    sinh = c.fma(c.mul(z, r), c.polynomial(z, SINH_KERNEL), r)
    cosh = c.fma(z, c.fma(z, c.polynomial(z, COSH_KERNEL), 0.5), 1.0)
    grow = c.power_of_two(c.sub(biased, 1), "float64")
    shrink = c.power_of_two(c.sub(2 * FLOAT64.bias - 1, biased), "float64")
    return c.sub(grow, shrink), c.add(grow, shrink), sinh, cosh


def sinh_wide(c: Code, x: Expr) -> Expr:
    """Sinh of a float32, computed in float64 and rounded once; below 0.51 ULP."""
    a, b, sinh, cosh = _sinh_cosh_kernel(c, x)
    return c.copysign(c.fma(b, sinh, c.mul(a, cosh)), x)


def cosh_wide(c: Code, x: Expr) -> Expr:
    """Cosh of a float32, computed in float64 and rounded once; below 0.51 ULP."""
    a, b, sinh, cosh = _sinh_cosh_kernel(c, x)
    return c.fma(a, sinh, c.mul(b, cosh))
