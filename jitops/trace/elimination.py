"""Gaussian elimination: LU with partial pivoting, and Cholesky's decomposition.

Both work on stacks (`jitops.trace.stacks`), on the columns of a matrix as rows of an array, and
change all of it at every step, so that loops are long and have no branches. Sources: Golub and Van
Loan, Matrix Computations, algorithms 3.4.1 (outer products, partial pivoting) and 4.2.2; the bounds
are those of Higham, Accuracy and Stability of Numerical Algorithms, theorems 9.3 and 10.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jitops.trace.stacks import looped, positions
from jitops.trace.tracer import Tracer

__all__ = ["LU", "cholesky", "determinant", "inverse", "log_determinant", "solution"]


class LU:
    """``P a = L U`` with ``|L| <= 1``, and ``right``, to which the same steps were applied.

    a: (n, n, stack). right: (n, m, stack). The backward error is that of LAPACK's getrf,
    ``|L U - P a| <= n u |L| |U|`` with u the unit roundoff.

    upper: (n, n, stack), ``upper[j, k]`` is U's element of row k and column j, for k <= j.
    right: (m, n, stack), likewise transposed. pivots: (n, stack), U's diagonal. order: (n, stack),
    the row of ``a`` that is row k of U.
    """

    def __init__(self, t: Any, a: Tracer, right: Tracer | None = None) -> None:
        n, _, stack = a.shape
        work: Any = np.swapaxes(a, 0, 1)
        if right is not None:
            work = np.concatenate([work, np.swapaxes(right, 0, 1)])
        free = t.filled(True, (n, stack), "bool")
        order = t.zeros((n, stack), "int64")
        pivots = t.zeros((n, stack), a.dtype)
        state = _pivot(t, 0, (work, None, None, free, order, pivots))
        work, _, _, _, order, pivots = looped(t, n - 1, _eliminate, state)
        work = _gathered(t, work, order)
        self.t = t
        self.upper = work[:n]
        self.right = work[n:]
        self.pivots = pivots
        self.order = order

    def singular(self) -> Any:
        """bool[stack]: whether a pivot is exactly 0, which is what LAPACK reports."""
        return np.any(self.pivots == 0, axis=0)

    def sign(self) -> Any:
        """The sign of the permutation: -1 where the order has an odd number of inversions."""
        n, stack = self.order.shape
        later = positions(self.t, (n, n, stack), 0) > positions(self.t, (n, n, stack), 1)
        inverted = later & (self.order[:, None] < self.order[None])
        odd = np.sum(inverted, axis=(0, 1)) % 2
        return np.where(odd == 1, -1.0, 1.0)


def _pivot(t: Any, k: Any, state: Any) -> Any:
    """Choose the pivot of column k: the largest element of the rows that are free.

    Of several it is the first; NaN counts as the largest. Complex numbers are measured by
    |re| + |im|, as LAPACK does.
    """
    work, _, _, free, order, pivots = state
    n, stack = order.shape
    rows = positions(t, (n, stack), 0)
    column = work[k]
    size = _size(column)
    size = np.where(free, np.where(size == size, size, np.inf), -1.0)
    first = np.where(size == np.max(size, axis=0), rows, n - 1)
    at = np.min(first, axis=0)
    row = _gathered(t, work, at[None])[:, 0]
    pivot = row[k]
    left = free & (rows != at)
    factors = np.where(left & (pivot != 0), column / pivot, 0)
    order = np.where(rows == k, at, order)
    pivots = np.where(rows == k, pivot, pivots)
    return work, row, factors, left, order, pivots


def _eliminate(t: Any, k: Any, state: Any) -> Any:
    work, row, factors, *rest = state
    work = work - row[:, None] * factors
    return _pivot(t, k + 1, (work, row, factors, *rest))


def _size(x: Any) -> Any:
    return np.abs(x.real) + np.abs(x.imag) if x.dtype.kind == "c" else np.abs(x)


def _gathered(t: Any, x: Any, at: Any) -> Any:
    """``x[:, at[k, b], b]`` for all k, b."""
    if x.shape[-1] == 1:
        return x[:, at[:, 0]]
    return x[:, at, positions(t, at.shape, 1)]


def solution(t: Any, a: Tracer, b: Tracer) -> list[Any]:
    """``x`` with ``a x = b`` by `LU` and back substitution, and whether a is singular.

    a: (n, n, stack). b: (n, m, stack). The backward error is that of LAPACK's gesv: x solves
    ``(a + e) x = b`` exactly with ``|e| <= 3 n u |L| |U|``.
    """
    lu = LU(t, a, b)
    n = a.shape[0]
    row = lu.right[:, n - 1] / lu.pivots[n - 1]
    x, _ = looped(t, n, _substitute, (lu.right, row), lu.upper, lu.pivots, n)
    return [np.swapaxes(x, 0, 1), lu.singular()]


def _substitute(t: Any, upper: Any, pivots: Any, n: int, step: Any, state: Any) -> Any:
    """Row k = n - 1 - step of the solution is known: take its part out of the rows above."""
    x, row = state
    k = n - 1 - step
    rows = positions(t, upper.shape[1:], 0)
    above = np.where(rows < k, x - row[:, None] * upper[k], x)
    x = np.where(rows == k, row[:, None], above)
    before = np.maximum(k - 1, 0)
    return x, x[:, before] / pivots[before]


def inverse(t: Any, a: Tracer) -> list[Any]:
    """The solution of ``a x = 1``, as NumPy computes it, and whether a is singular."""
    n, _, stack = a.shape
    shape = (n, n, stack)
    one = positions(t, shape, 0) == positions(t, shape, 1)
    return solution(t, a, one.astype(a.dtype))


def _logarithm(t: Any, a: Tracer) -> tuple[Any, Any]:
    lu = LU(t, a)
    size = np.abs(lu.pivots)
    zero = np.any(lu.pivots == 0, axis=0)
    sign = lu.sign() * np.prod(lu.pivots / np.where(size == 0, 1, size), axis=0)
    total = np.sum(np.log(size), axis=0)
    return np.where(zero, 0, sign).astype(a.dtype), np.where(zero, -np.inf, total)


def log_determinant(t: Any, a: Tracer) -> list[Any]:
    """Sign and logarithm of the absolute value of the determinant, by `LU`; a: (n, n, stack).

    They are 0 and -inf of a singular matrix.
    """
    return list(_logarithm(t, a))


def determinant(t: Any, a: Tracer) -> list[Any]:
    """The product of the pivots of `LU`, their exponents apart, so that only the result overflows.

    a: (n, n, stack). To the error of the pivots it adds n roundings (NumPy, which adds logarithms
    and takes their exponential, an error that grows with the logarithm).
    """
    lu = LU(t, a)
    lowest = np.finfo(a.dtype).minexp
    exponents = np.maximum(np.frexp(_size(lu.pivots))[1], lowest)
    scale = np.ldexp(np.ones((), lu.pivots.real.dtype), -exponents)
    product = np.prod(lu.pivots * scale, axis=0) * lu.sign().astype(a.dtype)
    exponent = np.sum(exponents, axis=0).astype("int32")
    if a.dtype.kind != "c":
        return [np.ldexp(product, exponent)]
    real, imag = np.ldexp(product.real, exponent), np.ldexp(product.imag, exponent)
    return [t.wrap(t.emit("complex", real.read(), imag.read()))]


def cholesky(t: Any, a: Tracer) -> list[Any]:
    """The lower ``l`` with ``a = l l^H``, and whether a pivot is not positive.

    a: (n, n, stack), of which the lower triangle counts. The backward error is
    ``|e| <= (n + 1) u |l| |l^H|``.
    """
    n, _, stack = a.shape
    work: Any = np.swapaxes(a, 0, 1)
    first = _root(t, 0, work, t.filled(False, (stack,), "bool"))
    work, _, bad = looped(t, n, _reduce, (work, *first), n)
    shape = (n, n, stack)
    lower = positions(t, shape, 0) >= positions(t, shape, 1)
    return [np.where(lower, np.swapaxes(work, 0, 1), 0), bad]


def _root(t: Any, k: Any, work: Any, bad: Any) -> Any:
    """Column k of the result."""
    column = work[k]
    rows = positions(t, column.shape, 0)
    pivot = column[k].real
    root = np.sqrt(pivot)
    below = np.where(rows > k, column / root, 0)
    return np.where(rows == k, root, below).astype(work.dtype), bad | (pivot <= 0)


def _reduce(t: Any, n: int, k: Any, state: Any) -> Any:
    """Put column k in its place, and take its products out of the columns behind it."""
    work, column, bad = state
    columns = positions(t, work.shape, 0)
    less = work - np.conjugate(column)[:, None] * column
    work = np.where(columns == k, column, np.where(columns > k, less, work))
    return work, *_root(t, np.minimum(k + 1, n - 1), work, bad)
