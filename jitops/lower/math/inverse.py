"""Inverse trigonometric functions.

asin and acos: W. J. Cody and W. Waite (1980), ch. 10, with the square root carried in two parts.
atan: reduction to |t| <= tan(pi/8) by one quotient, as in the Cephes library (S. L. Moshier, 1984).
Polynomials by the Remez exchange with rounded coefficients.
"""

from __future__ import annotations

from jitops.lower import scalar
from jitops.lower.math.code import Code, reciprocal_guess
from jitops.lower.scalar import Expr

PI_HALF = (float.fromhex("0x1.921fb54442d18p+0"), float.fromhex("0x1.1a62633145c07p-54"))
PI_QUARTER = (PI_HALF[0] / 2, PI_HALF[1] / 2)
PI_HALF_32 = (float.fromhex("0x1.921fb6p+0"), float.fromhex("-0x1.777a5cp-25"))
PI_QUARTER_22 = (float.fromhex("0x1.921fbp-1"), float.fromhex("0x1.5110b4p-23"))  # short: exact x 3
PI_QUARTER_32 = (PI_HALF_32[0] / 2, PI_HALF_32[1] / 2)
TAN_EIGHTH = 0.4142135623730951
TINY = 2.0**-1022

# (asin(x) - x) / x^3 in x^2 on |x| <= 1/2; below 2^-27.6, 2^-59.8.
ASIN_32 = (
    0.04216025024652481,
    0.024183807894587517,
    0.04546930268406868,
    0.07495308667421341,
    0.16666752099990845,
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
# (atan(t) - t) / t^3 in t^2 on |t| <= tan(pi/8); below 2^-59.4.
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


def _asin_parts_float32(c: Code, magnitude: Expr) -> tuple[Expr, Expr, Expr]:
    """As `_asin_parts`, in float32; the root's error is known to 5 %, enough to round it."""
    large = c.gt(magnitude, 0.5)
    z = c.select(large, c.fma(magnitude, -0.5, 0.5), c.mul(magnitude, magnitude))
    root = c.sqrt(z)
    rest = c.mul(c.fma(c.neg(root), root, z), 0.5)
    error = c.select(large, c.mul(rest, reciprocal_guess(c, root)), 0.0)
    t = c.select(large, root, magnitude)
    return large, t, c.fma(c.mul(t, z), c.polynomial(z, ASIN_32), error)


def asin_float32(c: Code, x: Expr) -> Expr:
    """Arc sine in float32; below 0.9 ULP; NaN outside [-1, 1]."""
    large, t, tail = _asin_parts_float32(c, c.fabs(x))
    head, error = c.ordered_sum(PI_HALF_32[0], c.mul(t, -2.0))
    far = c.add(head, c.add(error, c.fma(tail, -2.0, PI_HALF_32[1])))
    return c.copysign(c.select(large, far, c.add(t, tail)), x)


def acos_float32(c: Code, x: Expr) -> Expr:
    """Arc cosine in float32: 0, pi/2 or pi, and a multiple of an arc sine; below 0.9 ULP.

    NaN outside [-1, 1].
    """
    large, t, tail = _asin_parts_float32(c, c.fabs(x))
    negative = c.lt(x, 0.0)
    turned = c.select(negative, 2 * PI_HALF_32[0], c.mul(t, 0.0))
    base = c.select(large, turned, PI_HALF_32[0])
    factor = c.select(large, 2.0, scalar.const(-1.0, "float32"))
    factor = c.select(negative, c.neg(factor), factor)
    head, error = c.ordered_sum(base, c.mul(t, factor))
    low = c.fma(base, PI_HALF_32[1] / PI_HALF_32[0], error)
    return c.add(head, c.fma(tail, factor, low))


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


def atan2_float32(c: Code, y: Expr, x: Expr) -> Expr:
    """Angle of (x, y) in float32 from the quotient t = a/b of the lesser and the greater one.

    Or (a - b) / (a + b) and pi/4 for t > 1/2; turned into its octant by multiples of pi/4, the
    errors of the sum and of the quotient carried along. Below 0.9 ULP; C99's special cases.
    """
    near_y, near_x = _finite_quadrant(c, y, x)
    swap = c.gt(near_y, near_x)
    a, b = c.select(swap, near_x, near_y), c.select(swap, near_y, near_x)
    scale = c.select(c.lt(b, 2.0**-60), 2.0**64, scalar.const(1.0, "float32"))
    scale = c.select(c.gt(b, 2.0**100), 2.0**-64, scale)
    a, b = c.mul(a, scale), c.mul(b, scale)
    flat = c.le(c.add(a, a), b)
    total = c.add(b, a)
    total_low = c.sub(a, c.sub(total, b))
    top, bottom = c.select(flat, a, c.sub(a, b)), c.select(flat, b, total)
    t = c.div(top, bottom)
    rest = c.fma(c.neg(t), bottom, top)
    rest = c.select(flat, rest, c.fma(c.neg(t), total_low, rest))
    rest = c.mul(rest, reciprocal_guess(c, bottom))
    octant = c.select(flat, 0.0, scalar.const(1.0, "float32"))
    octant = c.select(swap, c.sub(2.0, octant), octant)
    left = c.lt(c.bits(x), 0)
    octant = c.select(left, c.sub(4.0, octant), octant)
    turn = c.select(swap, -1.0, scalar.const(1.0, "float32"))
    turn = c.select(left, c.neg(turn), turn)
    z = c.mul(t, t)
    tail = c.fma(c.mul(z, t), c.polynomial(z, ATAN_32), rest)
    head, error = c.ordered_sum(c.mul(octant, PI_QUARTER_22[0]), c.mul(t, turn))
    low = c.fma(octant, PI_QUARTER_22[1], error)
    angle = c.add(head, c.fma(tail, turn, low))
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
