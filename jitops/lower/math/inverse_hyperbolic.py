"""Inverse hyperbolic functions: the logarithm of a value in two parts.

And polynomials where the logarithm would cancel, by the Remez exchange with rounded coefficients.
"""

from __future__ import annotations

from jitops.lower import scalar
from jitops.lower.math.code import Code, reciprocal_guess
from jitops.lower.math.logarithm import (
    LN2_SPLIT_64,
    LOG_64,
    SQRT_HALF,
    log1p_sum,
    log_of_pair_float32,
    split_exponent,
)
from jitops.lower.scalar import Expr

TINY = 2.0**-1022

# (asinh(x) - x) / x^3 and (atanh(x) - x) / x^3 in x^2 on |x| <= 1/2; below 2^-29.5, 2^-29.4.
ASINH_32 = (
    -0.013222113251686096,
    0.02816065400838852,
    -0.04438292980194092,
    0.07498640567064285,
    -0.1666664332151413,
)
ATANH_32 = (
    0.1764068603515625,
    0.051585759967565536,
    0.11816823482513428,
    0.14223742485046387,
    0.2000245451927185,
    0.33333301544189453,
)
# (acosh(1 + t) / sqrt(2 t) - 1) / t on 0 <= t <= 1/2; below 2^-29.5.
ACOSH_32 = (
    -0.00041293897083960474,
    0.0017598080448806286,
    -0.005547800101339817,
    0.018746595829725266,
    -0.08333321660757065,
)


def _root_sum(c: Code, w: Expr, w_low: Expr) -> tuple[Expr, Expr]:
    """sqrt(w + w_low) as a value and its error."""
    root = c.sqrt(w)
    rest = c.add(c.fma(c.neg(root), root, w), w_low)
    return root, c.div(c.mul(rest, 0.5), c.add(root, TINY))


def asinh_float64(c: Code, x: Expr) -> Expr:
    """Inverse sinh in float64 as log1p(|x| + (sqrt(1 + x^2) - 1)) with both sums in two parts.

    The error is below 0.95 ULP.
    """
    magnitude = c.fabs(x)
    large = c.gt(magnitude, 2.0**60)
    y = c.select(large, 1.0, magnitude)
    square, square_low = c.product(y, y)
    w, w_low = c.sum(1.0, square)
    root, root_low = _root_sum(c, w, c.add(w_low, square_low))
    z, z_low = c.sum(y, c.sub(root, 1.0))
    z = c.select(large, magnitude, z)
    z_low = c.select(large, 0.0, c.add(z_low, root_low))
    result = log1p_sum(c, z, z_low, c.select(large, 1.0, c.mul(z_low, 0.0)))
    result = c.select(c.lt(magnitude, float("inf")), result, magnitude)
    return c.select(c.lt(magnitude, 2.0**-28), x, c.copysign(result, x))


def acosh_float64(c: Code, x: Expr) -> Expr:
    """Inverse cosh in float64 as log1p(t + sqrt(t (t + 2))), t = x - 1, in two parts.

    The error is below 0.95 ULP; NaN below 1.
    """
    large = c.gt(x, 2.0**60)
    t = c.sub(c.select(large, 2.0, x), 1.0)
    sum_, sum_low = c.sum(t, c.add(c.mul(t, 0.0), 2.0))
    w, w_low = c.product(t, sum_)
    root, root_low = _root_sum(c, w, c.fma(t, sum_low, w_low))
    z, z_low = c.sum(root, t)
    z = c.select(large, x, z)
    z_low = c.select(large, 0.0, c.add(z_low, root_low))
    result = log1p_sum(c, z, z_low, c.select(large, 1.0, c.mul(z_low, 0.0)))
    result = c.select(c.lt(x, float("inf")), result, x)
    result = c.select(c.eq(x, 1.0), 0.0, result)
    return c.select(c.lt(x, 1.0), float("nan"), result)


def atanh_float64(c: Code, x: Expr) -> Expr:
    """Inverse tanh in float64.

    ``log((1 + x) / (1 - x)) / 2`` with ``s = (1 + x - 2**k (1 - x)) / (1 + x + 2**k (1 - x))``;
    below 0.8 ULP.
    """
    magnitude = c.fabs(x)
    up, up_low = c.ordered_sum(1.0, magnitude)
    down, down_low = c.ordered_sum(1.0, c.neg(magnitude))
    ratio = c.div(up, c.add(down, TINY))
    k, m = split_exponent(c, ratio, SQRT_HALF)
    one = c.bits(c.add(c.mul(m, 0.0), 1.0))
    power = c.bitcast(c.add(one, c.sub(c.bits(ratio), c.bits(m))), "float64")
    down, down_low = c.mul(down, power), c.mul(down_low, power)
    top, top_low = c.sum(up, c.neg(down))
    bottom, bottom_low = c.sum(up, down)
    top_low = c.add(top_low, c.sub(up_low, down_low))
    bottom_low = c.add(bottom_low, c.add(up_low, down_low))
    inverse = c.div(1.0, bottom)
    s = c.mul(top, inverse)
    residual = c.add(c.fma(c.neg(s), bottom, top), c.fma(c.neg(s), bottom_low, top_low))
    same = c.eq(k, 0.0)
    s_low = c.select(same, 0.0, c.mul(residual, inverse))
    s = c.select(same, magnitude, s)
    z = c.mul(s, s)
    tail = c.fma(c.mul(c.mul(z, s), 0.5), c.polynomial(z, LOG_64), s_low)
    head, error = c.ordered_sum(c.mul(k, LN2_SPLIT_64[0] / 2), s)
    result = c.add(head, c.add(error, c.fma(k, LN2_SPLIT_64[1] / 2, tail)))
    result = c.select(c.eq(magnitude, 1.0), float("inf"), result)
    result = c.select(c.gt(magnitude, 1.0), float("nan"), result)
    return c.select(c.lt(magnitude, 2.0**-28), x, c.copysign(result, x))


def _root_pair_float32(c: Code, w: Expr, w_low: Expr) -> tuple[Expr, Expr]:
    """sqrt(w + w_low) in float32 as a value and its error to 5 %, which is enough to round it."""
    root = c.sqrt(w)
    rest = c.mul(c.add(c.fma(c.neg(root), root, w), w_low), 0.5)
    return root, c.mul(rest, reciprocal_guess(c, root))


def _log_of_sum_float32(c: Code, x: Expr, high: Expr, low: Expr, error: Expr) -> Expr:
    """log(high + low + error) in float32 for |high| >= |low|; log(2 x) beyond 2^40."""
    u, u_low = c.ordered_sum(high, low)
    far = c.gt(x, 2.0**40)
    u = c.select(far, c.mul(x, 2.0**-64), u)
    u_low = c.select(far, 0.0, c.add(u_low, error))
    result = log_of_pair_float32(c, u, u_low, c.select(far, 65.0, scalar.const(0.0, "float32")))
    return c.select(c.lt(x, float("inf")), result, x)


def asinh_float32(c: Code, x: Expr) -> Expr:
    """Inverse sinh in float32: odd polynomial below 1/2, log(|x| + sqrt(1 + x^2)) above.

    The square and the root carry their errors along; below 0.9 ULP.
    """
    magnitude = c.fabs(x)
    y = c.select(c.gt(magnitude, 2.0**50), 2.0**50, magnitude)
    square = c.mul(x, x)
    small = c.fma(c.mul(square, magnitude), c.polynomial(square, ASINH_32), magnitude)
    w = c.fma(y, y, 1.0)
    w_low = c.fma(y, y, c.sub(1.0, w))
    root, root_low = _root_pair_float32(c, w, w_low)
    large = _log_of_sum_float32(c, magnitude, root, y, root_low)
    return c.copysign(c.select(c.lt(magnitude, 0.5), small, large), x)


def acosh_float32(c: Code, x: Expr) -> Expr:
    """Inverse cosh in float32: sqrt(2 t) times a polynomial in t = x - 1 below 1/2.

    log(x + sqrt(x^2 - 1)) above, the square and the root with their errors; below 0.9 ULP; NaN
    below 1.
    """
    t = c.sub(x, 1.0)
    near = c.lt(t, 0.5)
    y = c.select(c.gt(x, 2.0**50), 2.0**50, x)
    square, square_low = c.product(y, y)
    w = c.select(near, c.add(t, t), c.sub(square, 1.0))
    root, root_low = _root_pair_float32(c, w, c.select(near, 0.0, square_low))
    small = c.add(root, c.fma(c.mul(root, t), c.polynomial(t, ACOSH_32), root_low))
    return c.select(near, small, _log_of_sum_float32(c, x, y, root, root_low))


def atanh_float32(c: Code, x: Expr) -> Expr:
    """Inverse tanh in float32: odd polynomial below 1/2, log((1 + |x|) / (1 - |x|)) / 2 above.

    The quotient carries its error along; below 0.9 ULP; NaN beyond [-1, 1].
    """
    magnitude = c.fabs(x)
    square = c.mul(x, x)
    small = c.fma(c.mul(square, magnitude), c.polynomial(square, ATANH_32), magnitude)
    up, up_low = c.ordered_sum(1.0, magnitude)
    down = c.sub(1.0, magnitude)
    ratio = c.div(up, down)
    rest = c.add(c.fma(c.neg(ratio), down, up), up_low)
    large = log_of_pair_float32(c, ratio, c.mul(rest, reciprocal_guess(c, down)))
    beyond = c.select(c.gt(magnitude, 1.0), float("nan"), c.mul(ratio, float("inf")))
    large = c.select(c.lt(magnitude, 1.0), c.mul(large, 0.5), beyond)
    return c.copysign(c.select(c.lt(magnitude, 0.5), small, large), x)
