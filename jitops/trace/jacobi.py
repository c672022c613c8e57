"""Eigenvalues of Hermitian matrices and singular values by Jacobi's method, of stacks of matrices.

A round turns disjoint pairs of rows (and columns) at once; then all but the first row move one
place on in a circle, so that within as many rounds as there are rows every pair has met. Sources:
Brent and Luk, The solution of singular-value and symmetric eigenvalue problems on multiprocessor
arrays (1985), for the order; Golub and Van Loan, Matrix Computations, algorithm 8.5.1, for the
angles; Hestenes, Inversion of matrices by biorthogonalization (1958), for the singular values.
Demmel and Veselic, Jacobi's method is more accurate than QR (1992), for the bounds.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from jitops.trace import control
from jitops.trace.householder import orthogonal, reflections
from jitops.trace.stacks import looped, positions
from jitops.trace.tracer import Tracer

__all__ = ["hermitian", "singular"]

SWEEPS = 40  # at most; about eight are needed, and one more to see that nothing is left


def _source(t: Any, size: int) -> Any:
    """For each place, the row that comes there: rows i and size // 2 + i are a pair."""
    half = size // 2
    place = positions(t, (size,), 0)
    if half == 1:
        return place
    on = np.where(place < half, place - 1, np.minimum(place + 1, size - 1))
    on = np.where(place == 0, 0, np.where(place == 1, half, on))
    return np.where(place == size - 1, half - 1, on)


def _mate(t: Any, source: Any) -> Any:
    """The other row of each row's pair."""
    size = source.shape[0]
    half = size // 2
    return np.where(source < half, np.minimum(source + half, size - 1), source - half)


def _angle(t: Any, mine: Any, other: Any, cross: Any, first: Any) -> tuple[Any, Any]:
    """Cosine, and sine with phase, of the turn that makes a pair orthogonal.

    mine, other: the diagonal elements of the pair, real. cross: the element between them. first:
    whether a row is the first of its pair; the same pair seen from both sides gives one turn.
    """
    size = np.abs(cross)
    least = np.finfo(size.dtype)
    some = size > least.tiny / least.eps  # what is smaller turns nothing, and has no phase
    ratio = (other - mine) / np.where(some, size + size, 1)
    side = np.where((ratio > 0) | ((ratio == 0) & first), 1, -1).astype(ratio.dtype)
    tangent = side / (np.abs(ratio) + np.hypot(1, ratio))
    cosine = 1 / np.sqrt(1 + tangent * tangent)
    phase = cross * (1 / np.where(some, size, 1))
    return np.where(some, cosine, 1), np.where(some, -(tangent * cosine) * phase, 0)


def _turned(x: Any, source: Any, mate: Any, cosine: Any, sine: Any) -> Any:
    return cosine[:, None] * x[source] + sine[:, None] * x[mate]


def _swept(t: Any, body: Any, half: int, state: Any, limit: Any) -> Any:
    """Sweeps until no pair of a sweep was further from orthogonal than the limit.

    body: two rounds; it takes and gives (*state, worst).
    """

    def sweep(carry: Any) -> Any:
        sweeps, _, *inner = carry
        *inner, worst = looped(t, half, body, (*inner, limit * 0))
        return (sweeps + 1, worst, *inner)

    def again(carry: Any) -> Any:
        sweeps, worst, *_ = carry
        return np.any(worst > limit) & (sweeps < SWEEPS)

    start = (t.zeros((), "int64"), limit + 1, *state)
    return control.while_loop(t, partial(again), partial(sweep), start)[2:]


def _power_of_two(t: Any, largest: Any) -> tuple[Any, Any]:
    """Exponents that bring numbers of this size near to 1, and what to multiply by.

    NaN and infinities make everything NaN.
    """
    finite = largest < np.inf
    exponent = np.where(finite, np.frexp(np.where(finite, largest, 1))[1], 0)
    lowest, highest = np.finfo(largest.dtype).minexp, np.finfo(largest.dtype).maxexp
    exponent = np.clip(exponent, lowest + 2, highest - 2)
    one = np.ones((), largest.dtype)
    return exponent, np.where(finite, np.ldexp(one, -exponent), np.nan).astype(largest.dtype)


# --- Hermitian matrices ---------------------------------------------------------------------------


def hermitian(t: Any, a: Tracer, vectors: bool = True) -> list[Any]:
    """Eigenvalues (n, stack) in ascending order, eigenvectors (n, n, stack) as columns.

    a: (n, n, stack), of which the lower triangle counts. Each eigenvalue is within ``c n u |a|`` of
    an exact one, with u the unit roundoff, |a| the spectral norm and c a small constant; the
    vectors are orthonormal to ``c n u``. NaN and infinities make everything NaN; the last result is
    whether there are any and n > 2, which is where LAPACK gives up.
    """
    n, _, stack = a.shape
    if n == 1:
        ones = [np.ones_like(a)] if vectors else []
        return [a[0].real, *ones, t.filled(False, (stack,), "bool")]
    rows, columns = (positions(t, a.shape, axis) for axis in (0, 1))
    mirrored = np.conjugate(np.swapaxes(a, 0, 1))
    whole = np.where(rows > columns, a, np.where(rows == columns, a.real, mirrored))
    largest = np.max(np.abs(whole), axis=(0, 1))
    bad = ~(largest < np.inf) & (n > 2)
    exponent, scale = _power_of_two(t, largest)
    work: Any = whole * scale
    basis = (rows == columns).astype(a.dtype) + scale * 0  # NaN where the scale is
    if n % 2:  # one more eigenvalue, larger than all others
        work = _bordered(t, work, 4 * n)
        basis = np.concatenate([basis, t.zeros((1, n, stack), a.dtype)])
    size = work.shape[0]
    limit = np.finfo(a.dtype).eps * np.max(np.abs(work[:n, :n]), axis=(0, 1))
    state = (work, basis) if vectors else (work,)
    work, *rest = _swept(t, _two_rounds, size // 2, state, limit)
    places = positions(t, (size,), 0)
    values = work[places, places].real
    if not vectors:
        return [np.ldexp(np.sort(values, axis=0)[:n], exponent), bad]
    order = np.argsort(values, axis=0)[:n]
    values = np.take_along_axis(values, order, axis=0)
    found = np.take_along_axis(rest[0], order[:, None], axis=0)
    return [np.ldexp(values, exponent), np.conjugate(np.swapaxes(found, 0, 1)), bad]


def _bordered(t: Any, work: Any, corner: float) -> Any:
    n, _, stack = work.shape
    shape = (n + 1, n + 1, stack)
    rows, columns = (positions(t, shape, axis) for axis in (0, 1))
    wide = np.pad(work, ((0, 1), (0, 1), (0, 0)))
    return np.where((rows == n) & (columns == n), corner, wide).astype(work.dtype)


def _two_rounds(t: Any, step: Any, state: Any) -> Any:
    return _round(t, _round(t, state))


def _round(t: Any, state: Any) -> Any:
    """Make one element of each pair of rows zero."""
    work, *basis, worst = state
    size = work.shape[0]
    source = _source(t, size)
    mate = _mate(t, source)
    cross = work[source, mate]
    first = (source < size // 2)[:, None]
    cosine, sine = _angle(
        t, work[source, source].real, work[mate, mate].real, cross, first
    )
    worst = np.maximum(worst, np.max(np.abs(cross), axis=0))
    half = _turned(work, source, mate, cosine, sine)
    whole = cosine * half[:, source] + np.conjugate(sine) * half[:, mate]
    done = source[:, None] == mate[None]
    work = np.where(done[..., None], 0, whole)
    return (work, *(_turned(x, source, mate, cosine, sine) for x in basis), worst)


# --- singular values ------------------------------------------------------------------------------


def singular(t: Any, a: Tracer, full: bool, vectors: bool) -> list[Any]:
    """``u``, singular values and ``vh`` of a: (m, n, stack), by one-sided rotations of the columns.

    full: whether u and vh are square. vectors: whether there are any. Singular values are within
    ``c (m + n) u |a|`` of exact ones, with u the unit roundoff, |a| the largest of them and c a
    small constant; u and vh are orthonormal to ``c (m + n) u``. Infinities make everything NaN. The
    last result is whether a has NaN, which is where LAPACK gives up.
    """
    m, n, _ = a.shape
    wide = m < n
    tall: Any = np.conjugate(np.swapaxes(a, 0, 1)) if wide else a
    k = min(m, n)
    bad = np.any(a != a, axis=(0, 1))
    rotated, values, right = _orthogonalised(t, tall, vectors)
    if not vectors:
        return [values[:k], bad]
    left = _directions(t, rotated[:k], max(m, n) if full else k)
    right = np.conjugate(right[:k])
    if wide:
        left, right = (np.conjugate(np.swapaxes(x, 0, 1)) for x in (right, left))
    return [left, values[:k], right, bad]


def _directions(t: Any, columns: Any, count: int) -> Any:
    """The directions of orthogonal columns, (k, m, stack), longest first, and more to make count.

    They are Q of a QR decomposition whose R is diagonal, so that they are orthonormal whatever the
    lengths.
    """
    work, factors = reflections(t, np.swapaxes(columns, 0, 1))
    q = orthogonal(t, work, factors, count)
    k = columns.shape[0]
    places = positions(t, (k,), 0)
    lengths = work[places, places].real
    if count > k:
        lengths = np.concatenate([lengths, t.zeros((count - k, lengths.shape[1]), lengths.dtype)])
    return np.where(lengths < 0, -q, q)


def _orthogonalised(t: Any, a: Any, vectors: bool) -> tuple[Any, Any, Any]:
    """Rotated columns of a, their lengths, and the rotations: longest first.

    a: (m, n, stack) with m >= n. Gives (size, m, stack), (size, stack) and (size, n, stack), where
    size is n, or one more, with a column of zeros.
    """
    m, n, stack = a.shape
    exponent, scale = _power_of_two(t, np.max(np.abs(a), axis=(0, 1)))
    work: Any = np.swapaxes(a, 0, 1) * scale
    shape = (n, n, stack)
    basis = (positions(t, shape, 0) == positions(t, shape, 1)).astype(a.dtype) + scale * 0
    work = np.concatenate([work, basis], axis=1) if vectors else work
    if n % 2:
        work = np.concatenate([work, t.zeros((1, *work.shape[1:]), a.dtype)])
    size = work.shape[0]
    limit = t.filled(np.finfo(a.dtype).eps * max(m, 4) ** 0.5, (stack,), scale.dtype)
    (work,) = _swept(t, partial(_two_turns, m), size // 2, (work,), limit)
    lengths = np.sqrt(np.sum(_square(work[:, :m]), axis=1))
    if not vectors:
        return work, np.ldexp(-np.sort(-lengths, axis=0), exponent), None
    # A column of zeros that was added comes last, also behind others.
    real = np.any(work[:, m:] != 0, axis=1)
    order = np.argsort(np.where(real, -lengths, np.inf), axis=0)
    lengths = np.take_along_axis(lengths, order, axis=0)
    work = np.take_along_axis(work, order[:, None], axis=0)
    return work[:, :m], np.ldexp(lengths, exponent), work[:, m:]


def _square(x: Any) -> Any:
    return x.real * x.real + x.imag * x.imag if x.dtype.kind == "c" else x * x


def _two_turns(m: int, t: Any, step: Any, state: Any) -> Any:
    return _turn(t, m, *_turn(t, m, *state))


def _turn(t: Any, m: int, work: Any, worst: Any) -> Any:
    """Make each pair of columns orthogonal; they are the first m elements of the rows of work."""
    size = work.shape[0]
    half = size // 2
    one, two = work[:half, :m], work[half:, :m]
    mine, other = np.sum(_square(one), axis=1), np.sum(_square(two), axis=1)
    cross = np.sum(one * np.conjugate(two), axis=1)
    lengths = np.sqrt(mine) * np.sqrt(other)
    cosines = np.where(lengths > 0, np.abs(cross) / np.where(lengths > 0, lengths, 1), 0)
    worst = np.maximum(worst, np.max(cosines, axis=0))
    cosine, sine = _angle(t, mine, other, cross, True)
    source = _source(t, size)
    mate = _mate(t, source)
    pair = np.where(source < half, source, source - half)
    first = (source < half)[:, None]
    sine = np.where(first, sine[pair], -np.conjugate(sine[pair]))
    return _turned(work, source, mate, cosine[pair], sine), worst
