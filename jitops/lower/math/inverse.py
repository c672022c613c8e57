"""Inverse trigonometric and hyperbolic functions.

asin and acos: W. J. Cody and W. Waite (1980), ch. 10, with the square root carried in two parts.
atan: reduction to |t| <= tan(pi/8) by one quotient, as in the Cephes library (S. L. Moshier, 1984).
The hyperbolic ones through log1p of a value in two parts. Polynomials by the Remez exchange with
rounded coefficients.
"""

from __future__ import annotations

from jitops.lower import scalar
from jitops.lower.math.code import Code
from jitops.lower.math.logarithm import (
    LN2_SPLIT_64,
    LOG_64,
    SQRT_HALF,
    log1p_kernel,
    log1p_sum,
    split_exponent,
)
from jitops.lower.scalar import Expr

PI_HALF = (float.fromhex("0x1.921fb54442d18p+0"), float.fromhex("0x1.1a62633145c07p-54"))
PI_QUARTER = (PI_HALF[0] / 2, PI_HALF[1] / 2)
PI_HALF_32 = (float.fromhex("0x1.921fb6p+0"), float.fromhex("-0x1.777a5cp-25"))
PI_QUARTER_32 = (PI_HALF_32[0] / 2, PI_HALF_32[1] / 2)
TAN_EIGHTH = 0.4142135623730951
TINY = 2.0**-1022

# (asin(x) - x) / x^3 in x^2 on |x| <= 1/2; below 2^-31.7, 2^-59.8.
ASIN_KERNEL = (
    0.037566518042800826,
    0.01440170926808227,
    0.03181783722519289,
    0.044515694686159395,
    0.07500511043096726,
    0.16666659869916858,
)
ASIN_64 = (
    0.032697111822662446,
    -0.021108856424325365,
    0.021785245788074954,
    0.003674339171102103,
    0.010788769022275437,
    0.011397388164233718,
    0.013981007347140674,
    0.01735159639491371,
    0.022372215858362552,
    0.03038194267688078,
    0.044642857175254645,
    0.07499999999970129,
    0.16666666666666763,
)
# (atan(t) - t) / t^3 in t^2 on |t| <= tan(pi/8); below 2^-35.3, 2^-59.4.
ATAN_KERNEL = (
    0.04748235228964247,
    -0.08478387783846499,
    0.11045090418219924,
    -0.14282041836538184,
    0.19999905179022295,
    -0.3333333251452633,
)
ATAN_64 = (
    -0.017912859428074374,
    0.038069892441463755,
    -0.05039521017224348,
    0.05847938617561486,
    -0.06663110976201152,
    0.07692060833645144,
    -0.09090897792762104,
    0.11111110784675432,
    -0.1428571428022053,
    0.19999999999953819,
    -0.333333333333332,
)
# And on |t| <= 1/2; the error of atan is below 2^-31.7.
ATAN_32 = (
    0.03901360183954239,
    -0.08007165044546127,
    0.10947956144809723,
    -0.14273062348365784,
    0.19999553263187408,
    -0.333333283662796,
)


def _asin_parts(
    c: Code, magnitude: Expr, coefficients: tuple[float, ...]
) -> tuple[Expr, Expr, Expr]:
    """Whether |x| > 1/2, and asin(t) as a value and its tail.

    t is sqrt((1 - |x|) / 2) there, else |x|.
    """
    large = c.gt(magnitude, 0.5)
    z = c.select(large, c.fma(magnitude, -0.5, 0.5), c.mul(magnitude, magnitude))
    root = c.sqrt(z)
    t = c.select(large, root, magnitude)
    error = c.div(c.mul(c.fma(c.neg(root), root, z), 0.5), c.add(root, TINY))
    tail = c.fma(c.mul(t, z), c.polynomial(z, coefficients), c.select(large, error, 0.0))
    return large, t, tail


def asin_float64(c: Code, x: Expr) -> Expr:
    """Arc sine in float64; below 0.8 ULP; NaN outside [-1, 1]."""
    large, t, tail = _asin_parts(c, c.fabs(x), ASIN_64)
    head, error = c.ordered_sum(PI_HALF[0], c.mul(t, -2.0))
    far = c.add(head, c.add(error, c.fma(tail, -2.0, PI_HALF[1])))
    return c.copysign(c.select(large, far, c.add(t, tail)), x)


def acos_float64(c: Code, x: Expr) -> Expr:
    """Arc cosine in float64; below 0.8 ULP; NaN outside [-1, 1]."""
    large, t, tail = _asin_parts(c, c.fabs(x), ASIN_64)
    negative = c.lt(x, 0.0)
    near, error = c.ordered_sum(PI_HALF[0], c.neg(c.copysign(t, x)))
    near = c.add(near, c.add(error, c.sub(PI_HALF[1], c.copysign(c.fabs(tail), x))))
    twice = c.mul(c.add(t, tail), 2.0)
    head, error = c.ordered_sum(2 * PI_HALF[0], c.mul(t, -2.0))
    opposite = c.add(head, c.add(error, c.fma(tail, -2.0, 2 * PI_HALF[1])))
    return c.select(large, c.select(negative, opposite, twice), near)


def _asin_kernel(c: Code, x: Expr) -> tuple[Expr, Expr, Expr]:
    """Whether |x| > 1/2, |x|, and asin(|x|) or asin(sqrt((1 - |x|) / 2)) to 2^-31, in float64."""
    magnitude = c.fabs(x)
    large = c.gt(magnitude, 0.5)
    z = c.select(large, c.fma(magnitude, -0.5, 0.5), c.mul(x, x))
    t = c.select(large, c.sqrt(z), magnitude)
    return large, magnitude, c.fma(c.mul(t, z), c.polynomial(z, ASIN_KERNEL), t)


def asin_wide(c: Code, x: Expr) -> Expr:
    """Arc sine of a float32, computed in float64 and rounded once; below 0.51 ULP.

    NaN outside [-1, 1].
    """
    large, _, t = _asin_kernel(c, x)
    return c.copysign(c.select(large, c.fma(t, -2.0, PI_HALF[0]), t), x)


def acos_wide(c: Code, x: Expr) -> Expr:
    """Arc cosine of a float32, computed in float64 and rounded once; below 0.51 ULP.

    NaN outside [-1, 1].
    """
    large, _, t = _asin_kernel(c, x)
    twice = c.add(t, t)
    far = c.select(c.lt(x, 0.0), c.sub(2 * PI_HALF[0], twice), twice)
    return c.select(large, far, c.sub(PI_HALF[0], c.copysign(t, x)))


def _atan_ratio(c: Code, y: Expr, x: Expr, coefficients: tuple[float, ...]) -> tuple[Expr, Expr]:
    """atan(y / x) for y, x >= 0 not both 0, of moderate size: a value and its tail, in float64."""
    steep = c.gt(c.mul(y, TAN_EIGHTH), x)
    middle = c.gt(y, c.mul(x, TAN_EIGHTH))
    difference, difference_low = c.sum(y, c.neg(x))
    total, total_low = c.sum(y, x)
    top = c.select(steep, c.neg(x), c.select(middle, difference, y))
    bottom = c.select(steep, y, c.select(middle, total, x))
    between = c.both(middle, c.le(c.mul(y, TAN_EIGHTH), x))
    top_low = c.select(between, difference_low, 0.0)
    bottom_low = c.select(between, total_low, 0.0)
    inverse = c.div(1.0, bottom)
    t = c.mul(top, inverse)
    residual = c.add(c.fma(c.neg(t), bottom, top), c.fma(c.neg(t), bottom_low, top_low))
    z = c.mul(t, t)
    tail = c.fma(c.mul(z, t), c.polynomial(z, coefficients), c.mul(residual, inverse))
    base = c.select(steep, PI_HALF[0], c.select(middle, PI_QUARTER[0], c.mul(t, 0.0)))
    base_low = c.select(steep, PI_HALF[1], c.select(middle, PI_QUARTER[1], c.mul(t, 0.0)))
    head, error = c.ordered_sum(base, t)
    return head, c.add(error, c.add(tail, base_low))


def atan_float64(c: Code, x: Expr) -> Expr:
    """Arc tangent in float64; below 0.9 ULP."""
    magnitude = c.fabs(x)
    bounded = c.select(c.gt(magnitude, 2.0**70), 2.0**70, magnitude)
    head, tail = _atan_ratio(c, bounded, c.fma(bounded, 0.0, 1.0), ATAN_64)
    return c.select(c.lt(magnitude, 2.0**-28), x, c.copysign(c.add(head, tail), x))


def _atan_kernel(c: Code, y: Expr, x: Expr) -> Expr:
    """atan(y / x) for y, x >= 0 to 2^-35, in float64."""
    steep = c.gt(c.mul(y, TAN_EIGHTH), x)
    middle = c.gt(y, c.mul(x, TAN_EIGHTH))
    top = c.select(steep, c.neg(x), c.select(middle, c.sub(y, x), y))
    bottom = c.select(steep, y, c.select(middle, c.add(y, x), x))
    t = c.div(top, bottom)
    z = c.mul(t, t)
    angle = c.fma(c.mul(z, t), c.polynomial(z, ATAN_KERNEL), t)
    far = c.select(steep, c.add(angle, PI_HALF[0]), c.add(angle, PI_QUARTER[0]))
    return c.select(middle, far, angle)


def atan_float32(c: Code, x: Expr) -> Expr:
    """Arc tangent in float32 of t = |x| up to 1/2, (|x| - 1) / (|x| + 1) up to 2, or -1 / |x|.

    The errors of the sum and of the quotient are carried along; below 0.8 ULP.
    """
    magnitude = c.fabs(x)
    magnitude = c.select(c.gt(magnitude, 2.0**70), 2.0**70, magnitude)
    steep, flat = c.gt(magnitude, 2.0), c.lt(magnitude, 0.5)
    total = c.add(magnitude, 1.0)
    above = c.select(steep, -1.0, c.sub(magnitude, 1.0))
    top = c.select(flat, magnitude, above)
    bottom = c.select(flat, 1.0, c.select(steep, magnitude, total))
    t = c.div(top, bottom)
    minus_t = c.neg(t)
    # The reciprocal of the bottom: 1/|x|, or 1 / (1 + |x|) = (1 - t) / 2; no matter where flat.
    inverse = c.select(steep, minus_t, c.fma(t, -0.5, 0.5))
    bottom_low = c.select(steep, 0.0, c.sub(magnitude, c.sub(total, 1.0)))
    rest = c.fma(minus_t, bottom_low, c.fma(minus_t, bottom, top))
    rest = c.select(flat, 0.0, c.mul(rest, inverse))
    z = c.mul(t, t)
    base, base_low = (
        c.select(flat, 0.0, c.select(steep, half, scalar.const(quarter, "float32")))
        for half, quarter in zip(PI_HALF_32, PI_QUARTER_32, strict=True)
    )
    head, error = c.ordered_sum(base, t)
    small = c.add(error, c.add(rest, base_low))
    tail = c.fma(c.mul(z, t), c.polynomial(z, ATAN_32), small)
    return c.copysign(c.add(head, tail), x)


def _finite_quadrant(c: Code, y: Expr, x: Expr) -> tuple[Expr, Expr]:
    """Replace infinities and double zeros by finite values of the same direction; drop signs."""
    y, x = c.fabs(y), c.fabs(x)
    y_far, x_far = c.eq(y, float("inf")), c.eq(x, float("inf"))
    near_y, near_x = c.select(x_far, 0.0, y), c.select(y_far, 0.0, x)
    x = c.select(x_far, 1.0, near_x)
    y = c.select(y_far, 1.0, near_y)
    return y, c.select(c.both(c.eq(x, 0.0), c.eq(y, 0.0)), 1.0, x)


def atan2_wide(c: Code, y: Expr, x: Expr) -> Expr:
    """Angle of (x, y) given as float32, computed in float64 and rounded once; below 0.51 ULP.

    C99's special cases.
    """
    angle = _atan_kernel(c, *_finite_quadrant(c, y, x))
    left = c.lt(c.copysign(1.0, x), 0.0)
    angle = c.select(left, c.sub(2 * PI_HALF[0], angle), angle)
    return _nan_of(c, y, x, c.copysign(angle, y))


def atan2_float64(c: Code, y: Expr, x: Expr) -> Expr:
    """Angle of (x, y) in float64; below 0.8 ULP; C99's special cases."""
    near_y, near_x = _finite_quadrant(c, y, x)
    largest = c.select(c.gt(near_y, near_x), near_y, near_x)
    scale = c.select(c.lt(largest, 2.0**-800), 2.0**200, scalar.const(1.0, "float64"))
    scale = c.select(c.gt(largest, 2.0**900), 2.0**-100, scale)
    head, tail = _atan_ratio(c, c.mul(near_y, scale), c.mul(near_x, scale), ATAN_64)
    left = c.lt(c.copysign(1.0, x), 0.0)
    turned, error = c.ordered_sum(2 * PI_HALF[0], c.neg(head))
    turned = c.add(turned, c.add(error, c.sub(2 * PI_HALF[1], tail)))
    return _nan_of(c, y, x, c.copysign(c.select(left, turned, c.add(head, tail)), y))


def _nan_of(c: Code, y: Expr, x: Expr, result: Expr) -> Expr:
    """NaN if either argument is."""
    return c.select(c.both(c.eq(x, x), c.eq(y, y)), result, float("nan"))


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


def asinh_wide(c: Code, x: Expr) -> Expr:
    """Inverse sinh of a float32, computed in float64 and rounded once; below 0.51 ULP."""
    magnitude = c.fabs(x)
    root = c.sqrt(c.fma(magnitude, magnitude, 1.0))
    above = c.div(c.mul(magnitude, magnitude), c.add(root, 1.0))
    z = c.select(c.lt(magnitude, float("inf")), c.add(magnitude, above), magnitude)
    return c.copysign(log1p_kernel(c, z), x)


def acosh_wide(c: Code, x: Expr) -> Expr:
    """Inverse cosh of a float32, computed in float64 and rounded once; below 0.51 ULP.

    NaN below 1.
    """
    t = c.sub(x, 1.0)
    root = c.sqrt(c.mul(t, c.add(t, 2.0)))
    return c.select(c.lt(x, 1.0), float("nan"), log1p_kernel(c, c.add(t, root)))


def atanh_wide(c: Code, x: Expr) -> Expr:
    """Inverse tanh of a float32, computed in float64 and rounded once; below 0.51 ULP.

    NaN beyond [-1, 1].
    """
    magnitude = c.fabs(x)
    z = c.div(c.add(magnitude, magnitude), c.sub(1.0, magnitude))
    return c.copysign(c.mul(log1p_kernel(c, z), 0.5), x)
