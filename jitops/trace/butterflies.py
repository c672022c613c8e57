"""Discrete Fourier transforms of a few complex values: the steps that longer ones are made of.

`transform(f, values, sign)` gives ``y[j] = sum(values[k] * exp(sign * 2 pi i j k / r))`` for the r
values, whose operations are emitted by the recorder ``f``. Powers of two are split into halves;
odd numbers pair the values k and r - k, whose roots are conjugate, so that every product is one
with a real number (Singleton, "An algorithm for computing the mixed radix fast Fourier transform",
1969).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitops.trace.roots import root

__all__ = ["transform", "turned"]


def transform(f: Any, values: Sequence[Any], sign: int) -> list[Any]:
    """The transform of these values, by the rule for their number."""
    return _RULES.get(len(values), _odd)(f, list(values), sign)


def turned(f: Any, z: Any, sign: int) -> Any:
    """``z * (sign * i)``, exact."""
    re, im = f.real(z), f.imag(z)
    return f.complex(f.neg(im), re) if sign > 0 else f.complex(im, f.neg(re))


def scaled(f: Any, z: Any, factor: float) -> Any:
    """``z * factor`` for a real factor."""
    return f.complex(f.mul(f.real(z), factor), f.mul(f.imag(z), factor))


def _one(f: Any, a: list[Any], sign: int) -> list[Any]:
    return a


def _two(f: Any, a: list[Any], sign: int) -> list[Any]:
    return [f.add(a[0], a[1]), f.sub(a[0], a[1])]


def _four(f: Any, a: list[Any], sign: int) -> list[Any]:
    even, odd = _two(f, a[0::2], sign), _two(f, a[1::2], sign)
    odd[1] = turned(f, odd[1], sign)
    return _joined(f, even, odd)


def _eight(f: Any, a: list[Any], sign: int) -> list[Any]:
    even, odd = _four(f, a[0::2], sign), _four(f, a[1::2], sign)
    half = root(1, 8)[0]
    quarter = [turned(f, z, sign) for z in odd]
    odd = [
        odd[0],
        scaled(f, f.add(odd[1], quarter[1]), half),
        quarter[2],
        scaled(f, f.sub(quarter[3], odd[3]), half),
    ]
    return _joined(f, even, odd)


def _joined(f: Any, even: Sequence[Any], odd: Sequence[Any]) -> list[Any]:
    """The two halves of a transform, from those of its even and its turned odd values."""
    pairs = list(zip(even, odd))
    return [f.add(a, b) for a, b in pairs] + [f.sub(a, b) for a, b in pairs]


def _odd(f: Any, a: list[Any], sign: int) -> list[Any]:
    r = len(a)
    half = range(1, r // 2 + 1)
    sums = [f.add(a[k], a[r - k]) for k in half]
    differences = [f.sub(a[k], a[r - k]) for k in half]
    out = [a[0]] * r
    for s in sums:
        out[0] = f.add(out[0], s)
    for j in half:
        roots = [root(j * k, r) for k in half]
        level = a[0]
        for s, (cosine, _) in zip(sums, roots):
            level = f.add(level, scaled(f, s, cosine))
        height = scaled(f, differences[0], roots[0][1])
        for d, (_, sine) in zip(differences[1:], roots[1:]):
            height = f.add(height, scaled(f, d, sine))
        height = turned(f, height, sign)
        out[j], out[r - j] = f.add(level, height), f.sub(level, height)
    return out


_RULES: dict[int, Callable[[Any, list[Any], int], list[Any]]] = {
    1: _one,
    2: _two,
    4: _four,
    8: _eight,
}
