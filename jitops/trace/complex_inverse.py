"""Inverse trigonometric and hyperbolic functions of complex arguments.

arcsinh and arccosine follow T. E. Hull, T. F. Fairgrieve and P. T. P. Tang, "Implementing the
complex arcsine and arccosine functions using exception handling", ACM TOMS 23 (1997); arctanh W.
Kahan, "Branch cuts for complex elementary functions" (1987). The others are these with the axes
exchanged. Special values are C99's, annex G.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jitops.graph.graph import Literal
from jitops.trace.complexes import Rule, mirrored, parts
from jitops.trace.recorder import Recorder

__all__ = ["FUNCTIONS"]

_FAR = 10.0  # from this mean distance on, the logarithm loses nothing
_STEEP = 0.6417  # from this ratio on, arcsin loses digits and atan2 does not


def _number(value: float, like: Any) -> Literal:
    return Literal(value, like.type.dtype)


def _epsilon(x: Any) -> float:
    return float(np.finfo(x.type.dtype).eps)


def _excess(f: Recorder, a: Any, b: Any, size: Any) -> Any:
    """``(hypot(a, b) - b) / 2`` without cancellation; ``size`` is the hypot."""
    near = f.div(f.square(a), f.mul(f.add(size, b), 2))
    near = f.select(f.eq(b, 0), f.mul(a, 0.5), near)
    return f.select(f.lt(b, 0), f.mul(f.sub(size, b), 0.5), near)


class _Distances:
    """What arcsinh and arccos of x + iy (x, y >= 0) share: distances from i and -i.

    half: the mean distance. ratio: y over it. rest: ``half - 1`` and ``sqrt(half**2 - y**2)``, by
    ways that lose no digits.
    """

    def __init__(self, f: Recorder, x: Any, y: Any) -> None:
        self.f, self.x, self.y = f, x, y
        upper, lower = f.hypot(x, f.add(y, 1)), f.hypot(x, f.sub(y, 1))
        mean = f.mul(f.add(upper, lower), 0.5)
        self.half = f.select(f.lt(mean, 1), _number(1, x), mean)
        self.ratio = f.div(y, self.half)
        self.ends = upper, lower
        # So close to the cut between the two points that x is lost beside y - 1.
        self.thin = f.lt(x, f.mul(f.abs(f.sub(y, 1)), _epsilon(x)))

    def logarithm(self) -> Any:
        """The real part of arcsinh."""
        f, x, y, half = self.f, self.x, self.y, self.half
        upper, lower = self.ends
        over = f.add(
            _excess(f, x, f.add(y, 1), upper), _excess(f, x, f.sub(_number(1, x), y), lower)
        )
        outside = f.mul(f.sub(y, 1), f.add(y, 1))
        inner = f.log1p(f.add(over, f.sqrt(f.mul(over, f.add(half, 1)))))
        above = f.log1p(f.add(f.sub(y, 1), f.sqrt(outside)))
        below = f.div(x, f.sqrt(f.neg(outside)))
        near = f.select(self.thin, f.select(f.lt(y, 1), below, above), inner)
        tip = f.and_(f.eq(y, 1), f.lt(x, _epsilon(x) ** 2 / 128))
        near = f.select(tip, f.sqrt(x), near)
        far = f.log(f.add(half, f.sqrt(f.sub(f.square(half), 1))))
        return f.select(f.lt(half, _FAR), near, far)

    def leg(self) -> tuple[Any, Any]:
        """``sqrt(half**2 - y**2)`` and y, both scaled alike where the first would underflow."""
        f, x, y, half = self.f, self.x, self.y, self.half
        upper, lower = self.ends
        rest = f.add(
            _excess(f, x, f.add(y, 1), upper), _excess(f, x, f.sub(y, 1), lower)
        )
        inner = f.sqrt(f.mul(rest, f.add(half, y)))
        up = 4 / _epsilon(x) ** 2
        above = f.div(f.mul(f.mul(x, up), y), f.sqrt(f.mul(f.add(y, 1), f.sub(y, 1))))
        below = f.sqrt(f.mul(f.sub(_number(1, x), y), f.add(y, 1)))
        leg = f.select(self.thin, f.select(f.gt(y, 1), above, below), inner)
        scaled = f.select(f.and_(self.thin, f.gt(y, 1)), f.mul(y, up), y)
        tip = f.and_(f.eq(y, 1), f.lt(x, _epsilon(x) / 128))
        short = f.mul(f.sqrt(x), f.sqrt(f.mul(f.add(half, y), 0.5)))
        return f.select(tip, short, leg), f.select(tip, y, scaled)


def _far_log(f: Recorder, x: Any, y: Any) -> Any:
    """``log(2 hypot(x, y))`` for large moduli, which may overflow."""
    return f.add(f.log(f.hypot(f.mul(x, 0.5), f.mul(y, 0.5))), 2 * math.log(2))


def arcsinh(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    x, y = f.abs(re), f.abs(im)
    d = _Distances(f, x, y)
    leg, scaled = d.leg()
    real = d.logarithm()
    imag = f.select(f.gt(d.ratio, _STEEP), f.atan2(scaled, leg), f.asin(d.ratio))
    far = f.gt(f.maximum(x, y), 1 / _epsilon(x))
    real = f.select(far, _far_log(f, x, y), real)
    imag = f.select(far, f.atan2(y, x), imag)
    tiny = f.lt(f.maximum(x, y), _epsilon(x) ** 0.5 / 64)
    real, imag = f.select(tiny, x, real), f.select(tiny, y, imag)
    real, imag = _special_arcsinh(f, x, y, real, imag)
    return f.complex(f.copysign(real, re), f.copysign(imag, im))


def _special_arcsinh(f: Recorder, x: Any, y: Any, real: Any, imag: Any) -> tuple[Any, Any]:
    lost = f.or_(f.isnan(x), f.isnan(y))
    endless = f.or_(f.isinf(x), f.isinf(y))
    nan = _number(math.nan, x)
    real = f.select(lost, f.select(endless, _number(math.inf, x), nan), real)
    imag = f.select(lost, f.select(f.eq(y, 0), y, nan), imag)
    return real, imag


def arccos(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    x, y = f.abs(im), f.abs(re)  # the axes exchanged
    d = _Distances(f, x, y)
    leg, scaled = d.leg()
    imag = d.logarithm()
    steep = f.gt(d.ratio, _STEEP)
    real = f.select(steep, f.atan2(leg, f.copysign(scaled, re)), f.acos(f.copysign(d.ratio, re)))
    far = f.gt(f.maximum(x, y), 1 / _epsilon(x))
    real = f.select(far, f.atan2(x, re), real)
    imag = f.select(far, _far_log(f, x, y), imag)
    lost = f.or_(f.isnan(x), f.isnan(y))
    endless = f.or_(f.isinf(x), f.isinf(y))
    nan = _number(math.nan, x)
    middle = f.select(f.eq(re, 0), _number(math.pi / 2, x), nan)
    real = f.select(lost, middle, real)
    imag = f.select(lost, f.select(endless, _number(math.inf, x), nan), imag)
    sign = f.select(f.signbit(im), _number(1, x), _number(-1, x))
    return f.complex(real, f.mul(imag, sign))


def arccosh(f: Recorder, z: Any) -> Any:
    """``i arccos(z)``, on the side where the real part is not negative."""
    turned = arccos(f, z)
    return f.complex(f.abs(f.imag(turned)), f.copysign(f.real(turned), f.imag(z)))


def arctanh(f: Recorder, z: Any) -> Any:
    re, im = parts(f, z)
    x, y = f.abs(re), f.abs(im)
    one = _number(1, x)
    short = f.sub(x, 1)
    span = f.add(f.square(short), f.square(y))
    real = f.mul(f.log1p(f.div(f.mul(x, 4), span)), 0.25)
    tip = f.and_(f.eq(x, 1), f.lt(y, _epsilon(x)))
    real = f.select(tip, f.mul(f.sub(_number(math.log(2), x), f.log(y)), 0.5), real)
    gap = f.sub(f.mul(f.sub(one, x), f.add(x, 1)), f.square(y))
    imag = f.mul(f.atan2(f.mul(y, 2), gap), 0.5)
    far = f.gt(f.maximum(x, y), 1 / _epsilon(x))
    real = f.select(far, _inverse_real(f, x, y), real)
    imag = f.select(far, _number(math.pi / 2, x), imag)
    real, imag = _special_arctanh(f, x, y, real, imag)
    return f.complex(f.copysign(real, re), f.copysign(imag, im))


def _inverse_real(f: Recorder, x: Any, y: Any) -> Any:
    """The real part of ``1 / (x + iy)``, x and y large."""
    scale = f.maximum(x, y)
    a, b = f.div(x, scale), f.div(y, scale)
    return f.div(f.div(a, f.add(f.square(a), f.square(b))), scale)


def _special_arctanh(f: Recorder, x: Any, y: Any, real: Any, imag: Any) -> tuple[Any, Any]:
    endless = f.or_(f.isinf(x), f.isinf(y))
    lost = f.or_(f.isnan(x), f.isnan(y))
    nan, zero, quarter = _number(math.nan, x), _number(0, x), _number(math.pi / 2, x)
    real = f.select(endless, zero, f.select(lost, f.select(f.eq(x, 0), zero, nan), real))
    imag = f.select(f.isinf(y), quarter, f.select(lost, nan, f.select(f.isinf(x), quarter, imag)))
    edge = f.and_(f.eq(y, 0), f.le(x, 1))
    return real, f.select(edge, y, imag)


FUNCTIONS: dict[str, Rule] = {
    "arcsinh": arcsinh,
    "arccosh": arccosh,
    "arctanh": arctanh,
    "arcsin": mirrored(arcsinh),
    "arccos": arccos,
    "arctan": mirrored(arctanh),
}
