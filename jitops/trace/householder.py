"""QR decompositions by Householder reflections, of stacks of matrices.

Source: Golub and Van Loan, Matrix Computations, algorithms 5.2.1 and 5.1.6, with the signs of
LAPACK's geqrf: the diagonal of R is real and has the opposite sign of what it replaces. The bound
is that of Higham, Accuracy and Stability of Numerical Algorithms, theorem 19.4: the columns of
``q r - a`` are within ``c m n u`` of those of a in norm, with u the unit roundoff and c a small
constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jitops.trace.stacks import looped, positions
from jitops.trace.tracer import Tracer

__all__ = ["orthogonal", "reflections", "triangle"]


def reflections(t: Any, a: Tracer) -> tuple[Any, Any]:
    """The reflections that make ``a`` triangular, as geqrf gives them.

    a: (m, n, stack). Gives work: (n, m, stack), R's columns, and below its diagonal the vectors,
    whose first element 1 is left out; factors: (k, stack), with k = min(m, n).
    """
    m, n, stack = a.shape
    k = min(m, n)
    work: Any = np.swapaxes(a, 0, 1)
    factors = t.zeros((k, stack), a.dtype)
    state = work, factors, *_vector(t, 0, work)
    work, factors, *_ = looped(t, k, _reflect, state, k)
    return work, factors


def _vector(t: Any, k: Any, work: Any) -> tuple[Any, Any, Any]:
    """Reflection k: its vector with a 1 at k and zeros before, its factor, the diagonal element.

    The column is scaled by its largest element, so that no square overflows or vanishes.
    """
    column = work[k]
    rows = positions(t, column.shape, 0)
    head = column[k]
    tail = np.where(rows > k, column, 0)
    largest = np.maximum(np.max(np.abs(tail), axis=0), np.abs(head))
    scale = np.where((largest > 0) & (largest < np.inf), largest, 1)
    rest = tail / scale
    squares = np.sum(_square(rest), axis=0)
    first = head / scale
    length = np.sqrt(squares + _square(first))
    diagonal = np.where(first.real > 0, -length, length)
    still = squares == 0
    if column.dtype.kind == "c":
        still = still & (first.imag == 0)
    span = np.where(still, 1, first - diagonal)
    factor = np.where(still, 0, (diagonal - first) / np.where(still, 1, diagonal))
    vector = np.where(rows == k, 1, rest / span).astype(work.dtype)
    diagonal = np.where(still, head, (diagonal * scale).astype(work.dtype))
    return vector, factor.astype(work.dtype), diagonal


def _square(x: Any) -> Any:
    return x.real * x.real + x.imag * x.imag if x.dtype.kind == "c" else x * x


def _reflect(t: Any, count: int, k: Any, state: Any) -> Any:
    """Apply reflection k to the columns behind it, and keep its vector in column k."""
    work, factors, vector, factor, diagonal = state
    columns, rows = (positions(t, work.shape, axis) for axis in (0, 1))
    along = np.sum(np.conjugate(vector) * work, axis=1)
    moved = work - (np.conjugate(factor) * along)[:, None] * vector
    kept = np.where(rows > k, vector, np.where(rows == k, diagonal, work))
    work = np.where(columns > k, moved, np.where(columns == k, kept, work))
    factors = np.where(positions(t, factors.shape, 0) == k, factor, factors)
    return work, factors, *_vector(t, np.minimum(k + 1, count - 1), work)


def triangle(t: Any, work: Any, rows: int) -> Any:
    """R, (rows, n, stack), of what `reflections` gives."""
    r = np.swapaxes(work, 0, 1)[:rows]
    return np.where(positions(t, r.shape, 0) <= positions(t, r.shape, 1), r, 0)


def orthogonal(t: Any, work: Any, factors: Any, columns: int) -> Any:
    """The first columns of Q, (m, columns, stack): the last reflection first, of the identity."""
    m, stack = work.shape[1:]
    shape = (columns, m, stack)
    one = positions(t, shape, 0) == positions(t, shape, 1)
    q = looped(t, factors.shape[0], _accumulate, one.astype(work.dtype), work, factors)
    return np.swapaxes(q, 0, 1)


def _accumulate(t: Any, work: Any, factors: Any, step: Any, q: Any) -> Any:
    k = factors.shape[0] - 1 - step
    column = work[k]
    rows = positions(t, column.shape, 0)
    vector = np.where(rows == k, 1, np.where(rows > k, column, 0)).astype(work.dtype)
    along = factors[k] * np.sum(np.conjugate(vector) * q, axis=1)
    return q - along[:, None] * vector
