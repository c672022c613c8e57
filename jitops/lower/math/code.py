"""Writing straight-line numeric code: each operation is bound at once.

Python numbers become constants.

Error-free transforms (Dekker 1971, Knuth TAOCP 2, Muller et al. "Handbook of Floating-Point
Arithmetic" ch. 4) must survive a compiler that fuses ``a * b + c`` into one rounding. A rounded
product that is used again is therefore never an ``fmul``: `Code.product` writes it as ``fma(a, b,
tiny)``, which no later addition can be fused with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jitops.lower import scalar
from jitops.lower.scalar import Body, Expr

Number = float | int


class Format(NamedTuple):
    """What the algorithms need to know of an IEEE format."""

    dtype: str
    integer: str  # the signed integer of the same width
    mantissa: int  # explicit mantissa bits
    bias: int
    round_magic: float  # adding it rounds to an integer that then stands in the low bits
    tiny: float  # the smallest normal number


FLOAT32 = Format("float32", "int32", 23, 127, 1.5 * 2.0**23, 2.0**-126)
FLOAT64 = Format("float64", "int64", 52, 1023, 1.5 * 2.0**52, 2.0**-1022)
FORMATS = {f.dtype: f for f in (FLOAT32, FLOAT64)}


class Code:
    """Operations on a `Body`.

    Operands are expressions of one dtype or Python numbers, results are bound variables.
    """

    __slots__ = ("body",)

    def __init__(self, body: Body) -> None:
        self.body = body

    def _binary(
        self, build: Callable[[Expr, Expr], Expr], a: Expr | Number, b: Expr | Number
    ) -> Expr:
        dtype = scalar.dtype_of(b if isinstance(a, (int, float)) else a)
        return self.body.let(build(_literal(a, dtype), _literal(b, dtype)))

    def add(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a + b``."""
        return self._binary(scalar.add, a, b)

    def sub(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a - b``."""
        return self._binary(scalar.sub, a, b)

    def mul(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a * b``; a later sum may fuse with it, see `product`."""
        return self._binary(scalar.mul, a, b)

    def div(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a / b``."""
        return self._binary(scalar.div, a, b)

    def bit_and(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a & b``."""
        return self._binary(scalar.bit_and, a, b)

    def bit_or(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a | b``."""
        return self._binary(scalar.bit_or, a, b)

    def bit_xor(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a ^ b``."""
        return self._binary(scalar.bit_xor, a, b)

    def shl(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a << b``."""
        return self._binary(scalar.shl, a, b)

    def shr(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a >> b``, arithmetic for signed integers."""
        return self._binary(scalar.shr, a, b)

    def eq(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a == b``, false for NaN."""
        return self._binary(scalar.eq, a, b)

    def lt(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a < b``, false for NaN."""
        return self._binary(scalar.lt, a, b)

    def le(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a <= b``, false for NaN."""
        return self._binary(scalar.le, a, b)

    def gt(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a > b``, false for NaN."""
        return self._binary(scalar.gt, a, b)

    def ge(self, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a >= b``, false for NaN."""
        return self._binary(scalar.ge, a, b)

    def both(self, a: Expr, b: Expr) -> Expr:
        """Return whether both hold."""
        return self.body.let(scalar.both(a, b))

    def either(self, a: Expr, b: Expr) -> Expr:
        """Return whether one holds."""
        return self.body.let(scalar.either(a, b))

    def select(self, condition: Expr, a: Expr | Number, b: Expr | Number) -> Expr:
        """Return ``a`` where the condition holds, else ``b``; both are computed."""
        return self._binary(lambda p, q: scalar.select(condition, p, q), a, b)

    def fma(self, a: Expr | Number, b: Expr | Number, c: Expr | Number) -> Expr:
        """Return ``a * b + c`` rounded once; at least one operand is an expression."""
        dtype = next(scalar.dtype_of(v) for v in (a, b, c) if not isinstance(v, (int, float)))
        return self.body.let(scalar.fma(*(_literal(v, dtype) for v in (a, b, c))))

    def neg(self, a: Expr) -> Expr:
        """Return ``-a``."""
        return self.body.let(scalar.neg(a))

    def fabs(self, a: Expr) -> Expr:
        """Return ``|a|``."""
        return self.body.let(scalar.fabs(a))

    def sqrt(self, a: Expr) -> Expr:
        """Return the square root."""
        return self.body.let(scalar.sqrt(a))

    def rint(self, a: Expr) -> Expr:
        """Return ``a`` rounded to an integer, ties to even."""
        return self.body.let(scalar.rint(a))

    def floor(self, a: Expr) -> Expr:
        """Return ``a`` rounded down."""
        return self.body.let(scalar.floor(a))

    def trunc(self, a: Expr) -> Expr:
        """Return ``a`` rounded toward zero."""
        return self.body.let(scalar.trunc(a))

    def copysign(self, magnitude: Expr | Number, sign: Expr) -> Expr:
        """Return a value with the sign of another."""
        return self._binary(scalar.copysign, magnitude, sign)

    def cast(self, a: Expr, dtype: str) -> Expr:
        """Return the value in another dtype."""
        return self.body.let(scalar.cast(a, dtype))

    def bitcast(self, a: Expr, dtype: str) -> Expr:
        """Return the bits as another dtype of that width."""
        return self.body.let(scalar.bitcast(a, dtype))

    def bits(self, a: Expr) -> Expr:
        """Return the bits as a signed integer."""
        return self.body.let(scalar.bits(a))

    def polynomial(self, x: Expr, coefficients: Sequence[float]) -> Expr:
        """Horner's rule with fused steps; coefficients from the highest power down."""
        return scalar.horner(x, tuple(coefficients), self.body)

    def polynomial_by_halves(self, x: Expr, square: Expr, coefficients: Sequence[float]) -> Expr:
        """Evaluate even and odd powers side by side, given x^2: half the latency, no more work."""
        count = len(coefficients)
        odd = self.polynomial(square, coefficients[count % 2 :: 2])
        even = self.polynomial(square, coefficients[1 - count % 2 :: 2])
        return self.fma(odd, x, even)

    def clamp(self, x: Expr, low: float, high: float) -> Expr:
        """``x`` kept within [low, high]; NaN passes."""
        x = self.select(self.gt(x, high), high, x)
        return self.select(self.lt(x, low), low, x)

    # -- integers hidden in floats -------------------------------------------------------------

    def round_scaled(self, x: Expr, scale: float | Expr, biases: int = 1) -> tuple[Expr, Expr]:
        """Round ``x * scale`` to n: a float, and an integer with low bits ``n + biases * bias``.

        No float-to-integer conversion is used: AVX2 has none for 64 bits. The exponent bias comes
        with the rounding constant, so that a shift makes ``2**n``.
        """
        f = FORMATS[scalar.dtype_of(x)]
        magic = f.round_magic + biases * f.bias
        shifted = self.fma(x, scale, magic)
        return self.sub(shifted, magic), self.bits(shifted)

    def power_of_two(self, biased: Expr, dtype: str) -> Expr:
        """``2.0 ** n`` for an integer whose low bits are n + bias, in normal range."""
        return self.bitcast(self.shl(biased, FORMATS[dtype].mantissa), dtype)

    def scale_by_power(self, x: Expr, twice_biased: Expr) -> Expr:
        """Return ``x * 2**n`` rounded once; ``|x|`` near 1, n up to twice the exponent range.

        The integer's low bits are ``n + 2 bias``.
        """
        dtype = scalar.dtype_of(x)
        half = self.shr(twice_biased, 1)
        x = self.mul(x, self.power_of_two(half, dtype))
        return self.mul(x, self.power_of_two(self.sub(twice_biased, half), dtype))

    # -- error-free transforms
    # ----------------------------------------------------------------------------------

    def product(self, a: Expr, b: Expr | Number) -> tuple[Expr, Expr]:
        """Return ``a * b`` as a rounded value and its error."""
        high = self.fma(a, b, FORMATS[scalar.dtype_of(a)].tiny)
        return high, self.fma(a, b, self.neg(high))

    def sum(self, a: Expr | Number, b: Expr) -> tuple[Expr, Expr]:
        """Return ``a + b`` as a rounded value and its error."""
        total = self.add(a, b)
        part = self.sub(total, a)
        return total, self.add(self.sub(a, self.sub(total, part)), self.sub(b, part))

    def ordered_sum(self, a: Expr | Number, b: Expr) -> tuple[Expr, Expr]:
        """As `sum`, for ``|a| >= |b|`` or ``a == 0``."""
        total = self.add(a, b)
        return total, self.sub(b, self.sub(total, a))


def _literal(value: Expr | Number, dtype: str) -> Expr:
    return scalar.const(value, dtype) if isinstance(value, (int, float)) else value


def quotient(c: Code, top: Expr, top_low: Expr, bottom: Expr, bottom_low: Expr) -> Expr:
    """``(top + top_low) / (bottom + bottom_low)`` with one division, for quantities near 1."""
    high, rest = c.ordered_sum(bottom, bottom_low)
    inverse = c.div(1.0, high)
    q = c.mul(c.add(top, top_low), inverse)
    residual = c.fma(c.neg(q), high, top)
    residual = c.add(residual, c.fma(c.neg(q), rest, top_low))
    return c.fma(residual, inverse, q)


def reciprocal_guess(c: Code, x: Expr) -> Expr:
    """1 / x to 5 % for normal float32 x > 0, from its bits; for the errors of roots and quotients.

    The exponent changes sign, and so does the mantissa, as a linear function of it.
    """
    return c.bitcast(c.sub(scalar.const(0x7EF31000, "int32"), c.bits(x)), "float32")


def widened(function: Callable[..., Expr]) -> Callable[..., Expr]:
    """Make the float32 function that computes in float64 and rounds once at the end."""

    def narrow(code: Code, *args: Expr) -> Expr:
        wide = [code.cast(a, "float64") for a in args]
        return code.cast(function(code, *wide), "float32")

    narrow.__name__ = function.__name__
    narrow.__doc__ = function.__doc__
    return narrow
