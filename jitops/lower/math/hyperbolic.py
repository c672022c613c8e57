"""Hyperbolic functions from ``cosh r`` and ``sinh r`` on a small interval and powers of two.

With ``x = n ln 2 + r``: ``sinh x = A cosh r + B sinh r`` and ``cosh x = B cosh r + A sinh r`` where ``A = (2**n - 2**-n) / 2`` and
``B = (2**n + 2**-n) / 2``, so that no cancelling difference of exponentials is ever formed. Polynomials by the Remez exchange with
rounded coefficients.
"""

from __future__ import annotations

from jitops.lower.math.code import FLOAT64, Code
from jitops.lower.math.exponential import EXP_32, LN2_32, LOG2_E, reduce_by_ln2
from jitops.lower.scalar import Expr

# (sinh(r) - r) / r^3 and (cosh(r) - 1 - r^2/2) / r^4 in r^2 on |r| <= ln(2)/2; below 2^-61.6, 2^-69.9.
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
# (tanh(x) - x) / x^3 in x^2 on |x| <= 0.7; below 2^-25.9.
TANH_32 = (
    -0.0051404633559286594,
    0.020094335079193115,
    -0.053559962660074234,
    0.1332913190126419,
    -0.3333319127559662,
)
# (exp(2r) - 1 - 2r) / r^2 from the polynomial for exp: scaling by powers of two is exact.
_EXP_TWICE_32 = tuple(q * 2.0 ** (6 - i) for i, q in enumerate(EXP_32))


def tanh_float32(c: Code, x: Expr) -> Expr:
    """tanh in float32: odd polynomial below 0.7, ``1 - 2 / (exp(2|x|) + 1)`` above; below 1 ULP."""
    magnitude = c.fabs(x)
    square = c.mul(x, x)
    small = c.fma(c.mul(square, magnitude), c.polynomial(square, TANH_32), magnitude)
    bounded = c.select(c.gt(magnitude, 10.0), 10.0, magnitude)
    n, biased = c.round_scaled(bounded, 2 * LOG2_E)
    r = c.fma(n, -LN2_32[1] / 2, c.fma(n, -LN2_32[0] / 2, bounded))
    e = c.fma(r, c.mul(r, c.polynomial(r, _EXP_TWICE_32)), c.add(r, r))
    power = c.power_of_two(biased, "float32")
    denominator = c.fma(e, power, c.add(power, 1.0))
    large = c.sub(1.0, c.div(2.0, denominator))
    return c.copysign(c.select(c.lt(magnitude, 0.7), small, large), x)


def cosh_sinh_parts(c: Code, r: Expr, r_low: Expr) -> tuple[Expr, Expr]:
    """``cosh(r + r_low) - 1`` and ``sinh(r + r_low) - r`` for |r| <= ln(2)/2, in float64."""
    z = c.mul(r, r)
    half = c.fma(r, r_low, c.mul(z, 0.5))
    cosh_tail = c.fma(c.mul(z, z), c.polynomial(z, COSH_64), half)
    sinh_tail = c.fma(c.mul(z, r), c.polynomial(z, SINH_64), r_low)
    return cosh_tail, sinh_tail


def half_powers(c: Code, biased: Expr) -> tuple[Expr, Expr, Expr, Expr]:
    """``A = (2**n - 2**-n) / 2`` and ``B = (2**n + 2**-n) / 2``, each as value and error, for n >= 0 in float64."""
    grow = c.power_of_two(c.sub(biased, 1), "float64")
    shrink = c.power_of_two(c.sub(2 * FLOAT64.bias - 1, biased), "float64")
    a = c.sub(grow, shrink)
    b = c.add(grow, shrink)
    return a, c.sub(c.sub(grow, a), shrink), b, c.add(c.sub(grow, b), shrink)


def tanh_float64(c: Code, x: Expr) -> Expr:
    """tanh in float64 as a compensated quotient sinh / cosh; below 0.7 ULP."""
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


def quotient(c: Code, top: Expr, top_low: Expr, bottom: Expr, bottom_low: Expr) -> Expr:
    """``(top + top_low) / (bottom + bottom_low)`` with one division, for quantities near 1."""
    high, rest = c.ordered_sum(bottom, bottom_low)
    inverse = c.div(1.0, high)
    q = c.mul(c.add(top, top_low), inverse)
    residual = c.fma(c.neg(q), high, top)
    residual = c.add(residual, c.fma(c.neg(q), rest, top_low))
    return c.fma(residual, inverse, q)
