"""The logarithm of the absolute value of the gamma function.

Method: below 8.5, one polynomial on [1.5, 2.5] and the recurrence ``gamma(x + 1) = x gamma(x)``,
whose factors are multiplied in two parts before the one logarithm is taken; above, Stirling's
series; below -8.5 the reflection ``gamma(x) gamma(-x) = -pi / (x sin(pi x))``. (See Abramowitz and
Stegun, "Handbook of Mathematical Functions", 6.1.15, 6.1.17 and 6.1.41.) Coefficients by
interpolation at Chebyshev points.
"""

from __future__ import annotations

from jitops.lower.math.code import Code
from jitops.lower.math.logarithm import log_float64
from jitops.lower.math.power import log_double
from jitops.lower.scalar import Expr

# lgamma(2 + u) = u (SLOPE + u (CURVE + u p(u))) on |u| <= 1/2; the error is below 2^-58.8.
SHIFTED = (
    -1.2842552562592766e-07,
    2.708245957688481e-07,
    -4.364131898732528e-07,
    9.282109272701004e-07,
    -2.042263423666873e-06,
    4.381261405000474e-06,
    -9.439080055177794e-06,
    2.0506356296054763e-05,
    -4.4926267601823265e-05,
    9.945757753419642e-05,
    -0.00022315475721987853,
    0.0005096695221547781,
    -0.0011927539117253553,
    0.0028905103307878756,
    -0.00738555102867387,
    0.020580808427784307,
    -0.0673523010531981,
)
SLOPE = (0.42278433509846713, 4.942915152430645e-18)
CURVE = (0.3224670334241132, 1.520336175199238e-17)
# x (lgamma(x) - (x - 1/2) (log(x) - 1) - OFFSET) in 1 / x^2 for x >= 8.5; below 2^-60.7.
STIRLING = (
    0.0051960407044899315,
    -0.0018956627504426728,
    0.0008415498752803656,
    -0.0005952371356577832,
    0.000793650791455217,
    -0.002777777777775886,
    0.08333333333333333,
)
OFFSET = (0.4189385332046727, 1.6728209650585413e-17)
# sin(pi u) / (pi u) in u^2 on |u| <= 1/2; below 2^-54.3.
SINE = (
    2.4502943624556595e-07,
    -6.972099660851165e-06,
    0.00014842784141891026,
    -0.0023460808954639607,
    0.02614784780555096,
    -0.19075182412149616,
    0.8117424252833393,
    -1.6449340668482264,
    1.0,
)
INVERSE_PI = 0.3183098861837907
LARGEST = 2.5599833278516383e+305  # beyond, the result is infinite
STIRLING_FROM = 8.5


def lgamma_float64(c: Code, x: Expr) -> Expr:
    """Logarithm of |gamma(x)| in float64; infinite at 0, -1, -2 and so on.

    Below 0.6 ULP for x > 0, below 1 ULP + 2^-58 for -8.5 < x < 0, where the function has zeros
    between its poles; further down below 1 ULP + 2^-52 lgamma(-x).
    """
    size = c.fabs(x)
    n = c.rint(x)
    u = c.sub(x, n)
    large = c.ge(size, STIRLING_FROM)
    z, z_low = _factors(c, u, n)
    tiny = c.lt(size, 2.0**-70)  # products of two parts need normal numbers
    z, z_low = c.select(tiny, size, z), c.select(tiny, 0.0, z_low)
    log, log_low = log_double(c, c.select(large, size, c.fabs(z)))
    near = _recurrence(c, u, c.ge(n, 2.0), log, c.add(log_low, c.div(z_low, z)))
    far = _stirling(c, size, log, log_low)
    sine = c.mul(c.fabs(u), c.polynomial(c.mul(u, u), SINE))  # sin(pi x) / pi
    reflected = c.neg(c.add(far, log_float64(c, c.mul(size, sine))))
    result = c.select(large, c.select(c.lt(x, 0.0), reflected, far), near)
    pole = c.both(c.le(x, 0.0), c.eq(u, 0.0))
    result = c.select(c.either(pole, c.gt(size, LARGEST)), float("inf"), result)
    return c.select(c.eq(x, x), result, x)


def lgamma_wide(c: Code, x: Expr) -> Expr:
    """Logarithm of |gamma(x)| of a float32, by way of float64; below 0.51 ULP."""
    return lgamma_float64(c, x)


def _factors(c: Code, u: Expr, n: Expr) -> tuple[Expr, Expr]:
    """What separates gamma(u + n) from gamma(u + 2): the product of u + j, in two parts.

    j runs from n to 1, or from 2 to n - 1. Every u + j is exact but u + 1 next to it.
    """
    z, z_low = c.sum(1.0, u)
    use = c.le(n, 1.0)
    z, z_low = c.select(use, z, 1.0), c.select(use, z_low, 0.0)
    for j in (*range(0, -9, -1), *range(2, 8)):
        factor = c.add(u, float(j))
        product, error = c.product(z, factor)
        low = c.fma(z_low, factor, error)
        use = c.le(n, float(j)) if j < 2 else c.ge(n, j + 1.0)
        z, z_low = c.select(use, product, z), c.select(use, low, z_low)
    return z, z_low


def _recurrence(c: Code, u: Expr, above: Expr, log: Expr, log_low: Expr) -> Expr:
    """lgamma(2 + u), with the logarithm of the factors added or taken away."""
    series = c.mul(u, c.polynomial(u, SHIFTED))
    curve, low = c.ordered_sum(CURVE[0], series)
    inner, inner_low = c.product(u, curve)
    inner_low = c.fma(u, c.add(low, CURVE[1]), inner_low)
    slope, low = c.ordered_sum(SLOPE[0], inner)
    value, value_low = c.product(u, slope)
    value_low = c.fma(u, c.add(c.add(low, inner_low), SLOPE[1]), value_low)
    log = c.select(above, log, c.neg(log))
    log_low = c.select(above, log_low, c.neg(log_low))
    total, error = c.sum(value, log)
    return c.add(total, c.add(error, c.add(value_low, log_low)))


def _stirling(c: Code, x: Expr, log: Expr, log_low: Expr) -> Expr:
    """``(x - 1/2) (log(x) - 1)``, a constant and a series in 1 / x."""
    inverse = c.div(1.0, x)
    rest = c.fma(inverse, c.polynomial(c.mul(inverse, inverse), STIRLING), OFFSET[0])
    factor, factor_low = c.ordered_sum(log, c.fma(x, 0.0, -1.0))
    weight = c.sub(x, 0.5)
    product, error = c.product(weight, factor)
    error = c.fma(weight, c.add(factor_low, log_low), error)
    return c.add(product, c.add(error, rest))
