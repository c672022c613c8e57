"""What np.linalg makes of singular values: pseudo-inverses, ranks, conditions, least squares.

They follow NumPy's own definitions, on the decompositions of `jitops.trace.matrices`, and are
compiled for the sizes that `svd` is compiled for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace import elimination
from jitops.trace.masked import Unknown
from jitops.trace.matrices import Matrices, adjoint, computed, matrices, native
from jitops.trace.numpys import numpys
from jitops.trace.weak import Weak

__all__ = ["TABLE"]

Rule = Callable[..., Any]

PINV, RANK = numpys("linalg.pinv"), numpys("linalg.matrix_rank")


def pinv(t: Any, a: Any, *args: Any, **kwargs: Any) -> Any:
    return None if _decomposed(t, a) is None else PINV(t, a, *args, **kwargs)


def matrix_rank(t: Any, A: Any, *args: Any, **kwargs: Any) -> Any:
    """Of a vector or a scalar, Python's 1 unless all of it is 0."""
    x = t.array(A)
    if x.ndim < 2:
        if kwargs.get("tol") is not None and kwargs.get("rtol") is not None:
            raise ValueError("`tol` and `rtol` can't be both set.")
        found = t.array(np.any(x != 0).astype("int64")[()])
        found.number = True
        return found
    return None if _decomposed(t, A) is None else RANK(t, A, *args, **kwargs)


def _decomposed(t: Any, a: Any) -> Matrices | None:
    """The matrix, if its svd is compiled."""
    return matrices(t, "linalg.svd", a)


def cond(t: Any, x: Any, p: Any = None) -> Any:
    """The quotient of singular values, or the product of the norms of a matrix and its inverse.

    As in NumPy it is infinite where it would be NaN, unless the matrix has NaN.
    """
    found = _decomposed(t, x)
    a = t.array(x)
    if found is None or type(p) is Weak:
        return None
    if 0 in a.shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if p is None or p in (2, -2):
        values = np.linalg.svd(a, compute_uv=False)
        first, last = values[..., 0], values[..., -1]
        out = last / first if p == -2 else first / last
    elif a.shape[-1] != a.shape[-2]:
        return None
    else:
        norms = [np.linalg.norm(v, p, axis=(-2, -1)) for v in (a, _inverse(t, found))]
        out = (norms[0] * norms[1]).astype(found.real, copy=False)
    bad = np.isnan(out) & ~np.any(np.isnan(a), axis=(-2, -1))
    return np.where(bad, np.inf, out).astype(out.dtype)[()]


def _inverse(t: Any, x: Matrices) -> Any:
    """The inverses, NaN where a matrix has none."""
    (a,) = x.items
    out, singular = computed(t, elimination.inverse, [a], (a.shape[-2:], a.dtype), ((), "bool"))
    return np.where(singular[..., None, None], np.nan, out)


def lstsq(t: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    """By the singular value decomposition, as LAPACK's gelsd: of all solutions the shortest.

    Residuals have a shape that depends on the rank if there are more equations than unknowns: then
    they are unknown, and only their use is an error.
    """
    left, right = t.array(a), t.array(b)
    columns = right[:, None] if right.ndim == 1 else right
    x = matrices(t, "linalg.svd", left, columns)
    fits = x is not None and left.ndim == columns.ndim == 2 and len(left) == len(columns)
    if x is None or not fits:
        return None
    if not left.size:
        return _lstsq_of_nothing(t, x, right.ndim == 1)
    matrix, values = x.items
    (m, n), eps = left.shape, np.finfo(x.dtype).eps
    cut = eps * max(m, n) if rcond is None else np.where(t.array(rcond) < 0, eps, rcond)
    u, s, vh = np.linalg.svd(matrix, full_matrices=False)
    kept = s > cut * s[0]
    scaled = np.where(kept, 1 / np.where(kept, s, 1), 0)
    out = adjoint(vh) @ (scaled[:, None] * (adjoint(u) @ values))
    out = out.astype(x.dtype, copy=False)
    out = out[:, 0] if right.ndim == 1 else out
    rank = np.sum(kept).astype("int32")[()]
    residuals: Any = t.filled(0, (0,), x.real)
    if m > n and columns.size:
        residuals = Unknown("result 1 of np.linalg.lstsq")
    return out, residuals, rank, s.astype(x.real, copy=False)


def _lstsq_of_nothing(t: Any, x: Matrices, single: bool) -> Any:
    """No equations: zeros. No unknowns: the rank is full, and the residuals are the values."""
    matrix, values = x.items
    n, count = matrix.shape[1], values.shape[1]
    out = t.filled(0, (n,) if single else (n, count), x.dtype)
    residuals: Any = t.filled(0, (0,), x.real)
    if len(matrix) > n and count:
        residuals = np.sum((values * np.conjugate(values)).real, axis=0).astype(x.real)
    rank = t.filled(0, (), "int32", scalar=True)
    return out, residuals, rank, t.filled(0, (0,), x.real)


RULES: dict[str, Rule] = {
    f"linalg.{rule.__name__}": rule for rule in (pinv, matrix_rank, cond, lstsq)
}

TABLE: dict[str, Rule] = {name: native(name, rule) for name, rule in RULES.items()}
