"""The discrete Fourier transform along one axis, as steps of whole arrays.

Stockham's self-sorting algorithm in mixed radix (Van Loan, "Computational frameworks for the fast
Fourier transform", 1992, section 1.7): for a length ``n = r * m`` and ``s`` transforms done so far
side by side, a step takes ``x[r, m, s]`` to ``y[m, r, s]``,

    y[p, j, q] = exp(sign 2 pi i p j / n) * sum_k x[k, p, q] exp(sign 2 pi i j k / r)

and the next one finds ``x[m, r * s]``. Each step is one pass over memory that stores r results for
each r values; between steps the real and the imaginary parts lie in blocks of their own, so that
lanes hold one or the other. What lies behind the axis in memory is a part of ``s`` from the start.

A last factor that is a prime above `PRIME` is summed term by term; a length with a prime above
`SUMMED`, or with two of those, becomes a convolution of a longer one with smaller primes
(Bluestein, "A linear filtering approach to the computation of discrete Fourier transform", 1970).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.trace.butterflies import transform as butterfly
from jitops.trace.butterflies import turned
from jitops.trace.roots import roots

__all__ = ["Line", "cut", "taken"]

PRIME = 31  # the largest whose transform is written out, with about its square of operations
SUMMED = 97  # the largest that is summed term by term


def radices(n: int) -> list[int]:
    """The factors of the steps for a length, in order; the last one may be above `PRIME`.

    It is a prime then, or above `SUMMED`. The first ones are the eights, so that the innermost
    loops are as long as vectors are.
    """
    twos = (n & -n).bit_length() - 1
    found = {0: [8] * (twos // 3), 1: [8] * (twos // 3 - 1) + [4, 4], 2: [8] * (twos // 3) + [4]}
    factors = [2] if twos == 1 else found[twos % 3]
    rest = n >> twos
    for p in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31):
        while rest % p == 0:
            factors.append(p)
            rest //= p
    return [*factors, rest] if rest > 1 else factors


class Line:
    """An axis of an array of complex128 values, and the transform along it.

    lead, n, tail: the shape, split at the axis. sign: -1 for the forward transform.
    """

    def __init__(self, t: Any, lead: tuple[Any, ...], n: int, tail: tuple[Any, ...], sign: int):
        self.t = t
        self.lead = lead
        self.n = n
        self.tail = tail
        self.sign = sign

    def transform(self, x: Atom, factor: float = 1.0) -> Atom:
        """``factor`` times the transform of an array of this shape."""
        if self.n == 1:
            return self._scaled(x, factor)
        factors = radices(self.n)
        if factors[-1] > SUMMED:
            return self._convolved(x, factor)
        return self._steps(x, factors, factor)

    # --- steps ----------------------------------------------------------------------------------

    def _steps(self, x: Atom, factors: Sequence[int], factor: float) -> Atom:
        t, n, s = self.t, self.n, prod(self.tail)
        x = t.reshape(x, (*self.lead, n, s))
        re, im = t.real(x), t.imag(x)
        table = self._table(factors) if len(factors) > 1 else None
        for r in factors[:-1]:
            n, s = n // r, s * r
            re, im = self._step(re, im, r, table)
        if n > PRIME:
            out = self._scaled(self._summed(t.complex(re, im)), factor)
        else:
            last = butterfly(t, self._parts(re, im, n), self.sign)
            out = self._stacked([self._scaled(z, factor) for z in last])
        return t.reshape(out, (*self.lead, self.n, *self.tail))  # type: ignore[no-any-return]

    def _step(self, re: Atom, im: Atom, r: int, table: Any) -> tuple[Atom, Atom]:
        """One step: ``[n, s]`` to ``[n / r, r * s]``."""
        t = self.t
        values = butterfly(t, self._parts(re, im, r), self.sign)
        shape = values[0].type.shape
        turned = [t.mul(z, w) for z, w in zip(values[1:], table.next(r, shape))]
        values = [values[0], *turned]
        stacked = self._stacked([t.real(z) for z in values] + [t.imag(z) for z in values])
        *lead, m, _, s = stacked.type.shape
        halves = (cut(t, stacked, -2, part * r, r) for part in (0, 1))
        first, second = (t.reshape(half, (*lead, m, r * s)) for half in halves)
        return first, second

    def _summed(self, x: Atom) -> Atom:
        """The transform of ``[n, s]`` for an odd n by its definition, as `butterflies` pairs it."""
        t, h = self.t, x.type.shape[-2] // 2
        first = cut(t, x, -2, 0, 1)
        low, high = cut(t, x, -2, 1, h), taken(t, x, -2, 2 * h, -1, h)
        level = self._products(t.add(low, high), 0)
        height = turned(t, self._products(t.sub(low, high), 1), self.sign)
        level = t.add(t.broadcast(first, level.type.shape), level)
        mirrored = (taken(t, part, -2, h, -1, h) for part in (level, height))
        parts = t.add(level, height), t.sub(*mirrored)
        return t.emit("concatenate", *parts, axis=x.type.ndim - 2)  # type: ignore[no-any-return]

    def _products(self, x: Atom, which: int) -> Atom:
        """Sums over k of ``x[k - 1]`` times the cosine (0) or sine (1) of ``2 pi j k / n``.

        j: from 0 to h, k: from 1 to h, for x of shape ``[h, s]``.
        """
        t = self.t
        *lead, h, s = x.type.shape
        table = t.made(("terms", h), lambda: terms(h))
        table = t.reshape(cut(t, table, 0, which, 1), (h + 1, h, 1))
        shape = (*lead, h + 1, h, s)
        table = t.broadcast(table, shape)
        parts = [
            t.mul(t.broadcast(t.reshape(part, (*lead, 1, h, s)), shape), table)
            for part in (t.real(x), t.imag(x))
        ]
        axes = (len(shape) - 2,)
        return t.complex(*(t.emit("reduce_sum", part, axes=axes) for part in parts))  # type: ignore[no-any-return]

    def _parts(self, re: Atom, im: Atom, r: int) -> list[Atom]:
        """The r values of each small transform: blocks along the axis, ``[m, 1, s]``."""
        t = self.t
        *lead, n, s = re.type.shape
        m = n // r
        blocks = [t.reshape(part, (*lead, r, m, 1, s)) for part in (re, im)]
        shape = (*lead, m, 1, s)
        return [
            t.complex(*(t.reshape(cut(t, part, -4, k, 1), shape) for part in blocks))
            for k in range(r)
        ]

    def _stacked(self, values: Sequence[Atom]) -> Atom:
        """``[m, 1, s]`` of each value to ``[m, values, s]``; one kernel, as they share work."""
        axis = values[0].type.ndim - 2
        return self.t.emit("concatenate", *values, axis=axis)  # type: ignore[no-any-return]

    def _scaled(self, x: Atom, factor: float) -> Atom:
        t = self.t
        if factor == 1:
            return x
        return t.complex(t.mul(t.real(x), factor), t.mul(t.imag(x), factor))  # type: ignore[no-any-return]

    def _table(self, factors: Sequence[int]) -> Table:
        key = ("roots", self.n, self.sign)
        return Table(self.t, self.t.made(key, lambda: twiddles(factors, self.sign)))

    # --- lengths with large primes --------------------------------------------------------------

    def _convolved(self, x: Atom, factor: float) -> Atom:
        """Bluestein: with ``c[k] = exp(sign pi i k k / n)``, ``c * (conj(c) (*) (c * x))``."""
        t, n = self.t, self.n
        size = fitting(2 * n - 1)
        made = t.made(("chirp", n, self.sign), lambda: chirps(n, size, self.sign))
        chirp, response = cut(t, made, 0, 0, n), cut(t, made, 0, n, size)
        wide = Line(t, self.lead, size, self.tail, -1)
        back = Line(t, self.lead, size, self.tail, 1)
        chirp = self._along(chirp, n)
        low = t.mul(x, chirp)
        zeros = [0] * len(low.type.shape)
        high = list(zeros)
        high[len(self.lead)] = size - n
        zero = t.atom(0, low.type.dtype)
        padded = t.emit("pad", low, zero, low=tuple(zeros), high=tuple(high))
        product = t.mul(wide.transform(padded), self._along(response, size))
        whole = back.transform(product, 1.0)
        return self._scaled(t.mul(cut(t, whole, len(self.lead), 0, n), chirp), factor)

    def _along(self, values: Atom, n: int) -> Atom:
        shaped = self.t.reshape(values, (n, *[1] * len(self.tail)))
        return self.t.broadcast(shaped, (*self.lead, n, *self.tail))  # type: ignore[no-any-return]


class Table:
    """The roots that the steps of one transform multiply by, in the order they are needed in."""

    def __init__(self, t: Any, values: Atom | None) -> None:
        self.t = t
        self.values = values
        self.position = 0

    def next(self, r: int, shape: tuple[Any, ...]) -> list[Atom]:
        """Those of a step of radix r, for each result but the first, in the shape of a result."""
        return [self._one(shape) for _ in range(r - 1)]

    def _one(self, shape: tuple[Any, ...]) -> Atom:
        m = shape[-3]
        parts = []
        for _ in range(2):
            row = cut(self.t, self.values, 0, self.position, m)
            parts.append(self.t.broadcast(self.t.reshape(row, (m, 1, 1)), shape))
            self.position += m
        return self.t.complex(*parts)  # type: ignore[no-any-return]


def cut(t: Any, x: Any, axis: int, start: int, size: int) -> Atom:
    """``x[start : start + size]`` along an axis."""
    whole: bool = x.type.shape[axis] == size
    return x if whole else taken(t, x, axis, start, 1, size)


def taken(t: Any, x: Any, axis: int, start: int, step: int, size: int) -> Atom:
    """``size`` elements along an axis, ``step`` apart."""
    shape = list(x.type.shape)
    starts, steps = [0] * len(shape), [1] * len(shape)
    starts[axis], steps[axis], shape[axis] = start, step, size
    places = {"start": tuple(starts), "step": tuple(steps), "size": tuple(shape)}
    return t.emit("slice", x, **places)  # type: ignore[no-any-return]


def twiddles(factors: Sequence[int], sign: int) -> Any:
    """For each step but the last: ``exp(sign 2 pi i p j / n)``, all p for each j above 0.

    One after the other in one array: the real parts of a j, then the imaginary ones.
    """
    n = prod(factors)
    rows: list[Any] = []
    for r in factors[:-1]:
        for j in range(1, r):
            re, im = roots(j * np.arange(n // r), n)
            rows += [re, sign * im]
        n //= r
    return np.concatenate(rows).astype(np.float64)


def terms(h: int) -> Any:
    """Cosines and sines of ``2 pi j k / (2 h + 1)``, ``[2, j, k]``: j from 0, k from 1 to h."""
    k = np.arange(h + 1)
    return np.stack(roots(np.outer(k, k[1:]), 2 * h + 1)).astype(np.float64)


def fitting(least: int) -> int:
    """The smallest length from ``least`` on that has no prime above 5, and few odd ones."""
    odd = (1, 3, 5, 9, 15, 25)
    return min(o << max((-(-least // o) - 1).bit_length(), 0) for o in odd)


def chirps(n: int, size: int, sign: int) -> Any:
    """``c`` of n values; behind it, of ``conj(c)`` both ways from 0 the transform over ``size``."""
    wide = np.clongdouble
    k = np.arange(n, dtype=object if n > 2**31 else np.int64)
    re, im = roots(k * k % (2 * n), 2 * n)
    chirp = (re + sign * 1j * im).astype(wide)
    both = np.zeros(size, wide)
    both[:n] = chirp.conj()
    both[size - n + 1 :] = chirp[:0:-1].conj()
    return np.concatenate([chirp, np.fft.fft(both) / size]).astype(np.complex128)
