"""Argument reduction for sin, cos and tan, for every finite x: turns and an exact remainder.

For ordinary arguments, W. J. Cody and W. Waite (1980), ch. 8, with pi/2 in three parts. For all,
M. Payne and R. Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter 18
(1983): only a window of the bits of 1/pi or 2/pi matters for a given exponent, since the higher
ones contribute whole turns. The window is chosen by selects, because a gather from a table is
slower.
"""

from __future__ import annotations

import math
from itertools import pairwise

from jitops.lower import scalar
from jitops.lower.math.code import FLOAT64, Code
from jitops.lower.scalar import Expr

# (smallest |x|, high part, low part) of 1/pi without the bits that give even multiples for float32
# arguments. The bounds are those that make the products with the low parts least, 0.0411 half
# turns. The first high part is rounded down: its low part is positive, so that -0.0 stays what it
# is.
_WINDOWS_32 = (
    (2.0**49, "0x1.b9391054a7f0ap-27", "-0x1.505c1596447e5p-82"),
    (2.0**77, "0x1.4a7f09d5f47d5p-55", "-0x1.6447e493ad4cep-110"),
    (2.0**103, "0x1.abe8fa9a6ee07p-80", "-0x1.275a99b0ef1bfp-135"),
)
_ONE_OVER_PI = ("0x1.45f306dc9c882p-2", "0x1.4a7f09d5f47d5p-55")


def half_turn_float32(c: Code, x: Expr) -> tuple[Expr, Expr]:
    """Reduce ``x / pi = 2 m + n + y``, |y| < 0.5412.

    Gives y as float64 (error below 2^-54) and n in the low bits of an int32.

    A float32 has 24 bits and its product with a float64 less than 2^51 here, so that the fused
    multiply-adds cancel exactly. NaN and infinity give NaN.
    """
    magnitude = c.fabs(x)
    high = scalar.const(float.fromhex(_ONE_OVER_PI[0]), "float64")
    low = scalar.const(float.fromhex(_ONE_OVER_PI[1]), "float64")
    for start, window_high, window_low in _WINDOWS_32:
        beyond = c.ge(magnitude, start)
        high = c.select(beyond, float.fromhex(window_high), high)
        low = c.select(beyond, float.fromhex(window_low), low)
    wide = c.cast(x, "float64")
    shifted = c.fma(wide, high, FLOAT64.round_magic)
    n = c.sub(shifted, FLOAT64.round_magic)
    y = c.fma(wide, low, c.fma(wide, high, c.neg(n)))
    return y, c.cast(c.bits(shifted), "int32")


# pi/2 in three parts. Up to the bound, the number of quadrants times the first part is taken off
# exactly, and what the parts lack is below 2^-56 of the least remainder.
_PI_HALF_PARTS = {
    "float32": ("0x1.921fb6p+0", "-0x1.777a5cp-25", "-0x1.ee59dap-50"),
    "float64": ("0x1.921fb54442d18p+0", "0x1.1a62633145c07p-54", "-0x1.f1976b7ed8fbcp-110"),
}
ORDINARY = {"float32": 2.0**17, "float64": 2.0**30}


def ordinary_quadrant(c: Code, magnitude: Expr) -> tuple[Expr, Expr, Expr]:
    """Reduce ``|x| = (4 m + q) pi/2 + r + r_low``, |r| < 1.006 pi/4, for |x| < ORDINARY.

    Gives r, r_low, and q in the low two bits of an integer; infinities and NaN give NaN.
    """
    high, middle, low = map(float.fromhex, _PI_HALF_PARTS[scalar.dtype_of(magnitude)])
    n, q = c.round_scaled(magnitude, 2.0 / math.pi, biases=0)
    product, error = c.product(n, middle)
    r, r_low = c.sum(c.fma(n, -high, magnitude), c.neg(product))
    return r, c.add(r_low, c.fma(n, -low, c.neg(error))), q


def angle_is_rare(c: Code, x: Expr) -> Expr:
    """Whether ORDINARY <= |x| < inf: every form gives NaN for infinities and NaN."""
    dtype = scalar.dtype_of(x)
    bits = c.bits(c.fabs(x))
    low, high = (c.bits(scalar.const(v, dtype)) for v in (ORDINARY[dtype], math.inf))
    return c.both(c.ge(bits, low), c.lt(bits, high))


# The bits of 2/pi, 64 at a time from the binary point on.
_TWO_OVER_PI_WORDS = (
    0xA2F9836E4E441529,
    0xFC2757D1F534DDC0,
    0xDB6295993C439041,
    0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0,
    0x06492EEA09D1921C,
    0xFE1DEB1CB129A73E,
    0xE88235F52EBB4484,
    0xE99C7026B45F7E41,
    0x3991D639835339F4,
    0x9C845F8BBDF9283B,
    0x1FF897FFDE05980F,
    0xEF2F118B5A0A6D1F,
    0x6D367ECF27CB09B7,
    0x4F463F669E5FEA2D,
    0x7527BAC7EBE5F17B,
    0x3D0739F78A5292EA,
    0x6BFB5FB11F8D5D08,
    0x56033046FC7B6BAB,
)
_PI_HALF = (float.fromhex("0x1.921fb54442d18p+0"), float.fromhex("0x1.1a62633145c07p-54"))
_LOW_32 = 2**32 - 1


def quadrant_float64(c: Code, magnitude: Expr) -> tuple[Expr, Expr, Expr]:
    """Reduce ``|x| = (4 m + q) pi/2 + r + r_low``, |r| <= pi/4, for 2^-30 <= |x| < inf.

    Gives r, r_low (together to 2^-120), and q in the low two bits of a uint64. Smaller, infinite
    and NaN arguments give finite nonsense.
    """
    window = _window_of_two_over_pi(c, c.bitcast(magnitude, "uint64"))
    high, low = _product_mod_4(c, c.bitcast(magnitude, "uint64"), window)
    q = c.shr(c.add(c.shr(high, 61), 1), 1)
    y, y_low = _signed_fraction(c, c.bit_or(c.shl(high, 2), c.shr(low, 62)), c.shl(low, 2))
    r, r_error = c.product(y, _PI_HALF[0])
    r_low = c.fma(y_low, _PI_HALF[0], c.fma(y, _PI_HALF[1], r_error))
    return r, r_low, q


def _window_of_two_over_pi(c: Code, bits: Expr) -> list[Expr]:
    """Select the 192 bits of 2/pi, in three words, that matter for the exponent in ``bits``.

    The first has weight 2 once multiplied by the mantissa's lowest bit.
    """
    exponent = c.shr(bits, 52)
    start = c.sub(c.select(c.lt(exponent, 993), scalar.const(993, "uint64"), exponent), 949)
    # Selected as floats: TVM's analyser takes minutes over nested selects of integers.
    words = [scalar.const(0.0, "float64")] * 2
    words += [
        scalar.bitcast(scalar.const(word, "uint64"), "float64") for word in _TWO_OVER_PI_WORDS
    ]
    for step in (16, 8, 4, 2, 1):  # a barrel shifter by whole words
        stay = c.eq(c.bit_and(start, 64 * step), 0)
        needed = words[: 3 + step]
        words = [
            c.select(stay, word, words[i + step]) if i + step < len(words) else word
            for i, word in enumerate(needed)
        ]
    words = [c.bitcast(word, "uint64") for word in words]
    left = c.bit_and(start, 63)
    right = c.sub(63, left)
    return [
        c.bit_or(c.shl(word, left), c.shr(c.shr(following, 1), right))
        for word, following in pairwise(words)
    ]


def _product_mod_4(c: Code, bits: Expr, window: list[Expr]) -> tuple[Expr, Expr]:
    """Multiply the mantissa by the window, modulo 4, in quadrants.

    2 integer and 126 fraction bits, two words.

    Schoolbook multiplication by halves of words; what is left out is below 2^-120.
    """
    mantissa = c.bit_or(c.bit_and(bits, 2**52 - 1), 2**52)
    m_high, m_low = c.shr(mantissa, 32), c.bit_and(mantissa, _LOW_32)
    halves = [
        part for word in reversed(window) for part in (c.bit_and(word, _LOW_32), c.shr(word, 32))
    ]
    products = [c.mul(m_low, half) for half in halves[1:]]
    carry = c.add(c.bit_and(products[0], _LOW_32), c.mul(m_high, halves[0]))
    columns = []
    for (below, here), half in zip(pairwise(products), halves[1:], strict=False):
        column = c.add(c.bit_and(here, _LOW_32), c.shr(below, 32))
        column = c.add(c.add(column, c.mul(m_high, half)), c.shr(carry, 32))
        columns.append(column)
        carry = column
    join = [c.bit_or(c.shl(columns[i + 1], 32), c.bit_and(columns[i], _LOW_32)) for i in (0, 2)]
    return join[1], join[0]


def _signed_fraction(c: Code, high: Expr, low: Expr) -> tuple[Expr, Expr]:
    """Convert the two's complement fraction ``high:low`` in [-1/2, 1/2) as a float64 and its error.

    Each 32 bits are planted into the mantissa of a constant of the right exponent, which is then
    taken off.
    """
    top = c.shr(c.bitcast(high, "int64"), 32)
    anchor = scalar.const(1.5 * 2.0**20, "float64")
    parts = [c.sub(c.bitcast(c.add(top, c.bits(anchor)), "float64"), 1.5 * 2.0**20)]
    for half, exponent in (
        (c.bit_and(high, _LOW_32), -12),
        (c.shr(low, 32), -44),
        (c.bit_and(low, _LOW_32), -76),
    ):
        anchor_bits = (exponent + 1023) << 52
        planted = c.bitcast(c.bit_or(half, anchor_bits), "float64")
        parts.append(c.sub(planted, 2.0**exponent))
    total, error = c.ordered_sum(parts[0], parts[1])
    return c.ordered_sum(total, c.add(error, c.add(parts[2], parts[3])))
