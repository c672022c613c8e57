"""Products of matrices and tensors: each becomes ``dot`` of ``[b,m,k]`` and ``[b,k,n]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from operator import index
from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.trace.promotion import result_dtype
from jitops.trace.raising import misfit
from jitops.trace.recorder import BOOL
from jitops.trace.reductions import finish, normal_axis, wide
from jitops.trace.tracer import Tracer
from jitops.trace.ufunc import broadcast_shapes
from jitops.trace.views import Diagonal

__all__ = ["TABLE", "UFUNCS", "VIEWS"]

Rule = Callable[..., Any]


def product(t: Any, x: Atom, y: Atom) -> Atom:
    """``dot`` in the dtype NumPy accumulates in; of bools: whether any pair is true."""
    dtype = x.type.dtype
    inner = np.dtype("int32") if dtype == BOOL else wide(dtype)
    (b, m, k), n = x.type.shape, y.type.shape[2]
    if k == 0 or b * m * n == 0:
        return t.broadcast(t.atom(0, dtype), (b, m, n))  # type: ignore[no-any-return]
    return t.cast(t.emit("dot", t.cast(x, inner), t.cast(y, inner)), dtype)  # type: ignore[no-any-return]


def matmul(
    t: Any, x1: Any, x2: Any, /, out: Any = None, *, casting: Any = "same_kind", dtype: Any = None,
    **_: Any,
) -> Any:  # fmt: skip
    a, b = t.array(x1), t.array(x2)
    if not a.ndim or not b.ndim:
        raise ValueError("matmul: Input operand does not have enough dimensions")
    left, right = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if left != right:
        raise misfit(f"cannot matmul {a.type} and {b.type}", "as many columns as rows")
    loop = np.matmul.resolve_dtypes((a.dtype, b.dtype, None), casting=casting, **_signature(dtype))
    x, y = t.cast(a.read(), loop[0]), t.cast(b.read(), loop[1])
    rows = a.shape[-2:-1]
    columns = b.shape[-1:] if b.ndim > 1 else ()
    x = x if a.ndim > 1 else t.reshape(x, (1, left))
    y = y if b.ndim > 1 else t.reshape(y, (left, 1))
    atom = _batched(t, x, y, a, b)
    lead = _lead(a, b)
    return finish(t, t.reshape(atom, (*lead, *rows, *columns)), out, exact=False)


def _signature(dtype: Any) -> dict[str, Any]:
    return {} if dtype is None else {"signature": (np.dtype(dtype),) * 3}


def _lead(a: Tracer, b: Tracer) -> tuple[int, ...]:
    try:
        return broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise misfit(f"cannot matmul {a.type} and {b.type}", "batch axes that broadcast") from None


def _batched(t: Any, x: Atom, y: Atom, a: Tracer, b: Tracer) -> Atom:
    """Fold the leading axes into one; a single right matrix takes all rows at once."""
    lead = _lead(a, b)
    (m, k), n = x.type.shape[-2:], y.type.shape[-1]
    count = prod(lead)
    if len(y.type.shape) == 2 or prod(y.type.shape[:-2]) == 1:
        x = t.broadcast(x, (*lead, m, k))
        return product(t, t.reshape(x, (1, count * m, k)), t.reshape(y, (1, k, n)))
    x = t.reshape(t.broadcast(x, (*lead, m, k)), (count, m, k))
    y = t.reshape(t.broadcast(y, (*lead, k, n)), (count, k, n))
    return product(t, x, y)


def dot(t: Any, a: Any, b: Any, out: Any = None) -> Any:
    x, y = t.array(a), t.array(b)
    if not x.ndim or not y.ndim:
        return np.multiply(x, y, out=out)
    if x.ndim <= 2 and y.ndim <= 2:
        return finish(t, matmul(t, x, y).read(), out)
    second = max(y.ndim - 2, 0)
    if x.shape[-1] != y.shape[second]:
        raise misfit(f"cannot dot {x.type} and {y.type}", "as many columns as rows")
    return finish(t, tensordot(t, x, y, ((x.ndim - 1,), (second,))).read(), out)


def tensordot(t: Any, a: Any, b: Any, axes: Any = 2) -> Tracer:
    x, y = t.array(a), t.array(b)
    if hasattr(axes, "__index__"):
        n = axes.__index__()
        left, right = list(range(x.ndim - n, x.ndim)), list(range(n))
    else:
        left, right = (_listed(v) for v in axes)
    left = [normal_axis(x.ndim, i) for i in left]
    right = [normal_axis(y.ndim, i) for i in right]
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        raise ValueError("duplicate axes are not allowed in tensordot")
    if [x.shape[i] for i in left] != [y.shape[i] for i in right]:
        raise misfit(
            f"cannot tensordot {x.type} and {y.type} over {left} and {right}", "equal sizes"
        )
    rows = [i for i in range(x.ndim) if i not in left]
    columns = [i for i in range(y.ndim) if i not in right]
    dtype = result_dtype([x, y])
    k = prod(x.shape[i] for i in left)
    first = t.transpose(t.cast(x.read(), dtype), (*rows, *left))
    second = t.transpose(t.cast(y.read(), dtype), (*right, *columns))
    shape = (*(x.shape[i] for i in rows), *(y.shape[i] for i in columns))
    m = prod(x.shape[i] for i in rows)
    n = prod(y.shape[i] for i in columns)
    atom = product(t, t.reshape(first, (1, m, k)), t.reshape(second, (1, k, n)))
    return t.wrap(t.reshape(atom, shape))  # type: ignore[no-any-return]


def _listed(axes: Any) -> list[int]:
    return [axes.__index__()] if hasattr(axes, "__index__") else list(axes)


def inner(t: Any, a: Any, b: Any, /) -> Any:
    x, y = t.array(a), t.array(b)
    if not x.ndim or not y.ndim:
        return x * y
    if x.shape[-1] != y.shape[-1]:
        raise misfit(f"cannot inner {x.type} and {y.type}", "equal last axes")
    return finish(t, tensordot(t, x, y, ((x.ndim - 1,), (y.ndim - 1,))).read(), None)


def vdot(t: Any, a: Any, b: Any, /) -> Any:
    x, y = (t.array(v) for v in (a, b))
    x, y = (np.ravel(v) for v in (x, y))
    return dot(t, np.conjugate(x) if x.dtype.kind == "c" else x, y)


def outer(t: Any, a: Any, b: Any, out: Any = None) -> Any:
    x, y = np.ravel(t.array(a)), np.ravel(t.array(b))
    return np.multiply(x[:, None], y[None, :], out=out)


def outer_of_vectors(t: Any, x1: Any, x2: Any, /) -> Any:
    """`np.linalg.outer`: vectors alone."""
    x, y = t.array(x1), t.array(x2)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(
            "Input arrays must be one-dimensional, but they are "
            f"x1.ndim={x.ndim} and x2.ndim={y.ndim}."
        )
    return outer(t, x, y)


def trace(
    t: Any,
    a: Any,
    offset: int = 0,
    axis1: int = 0,
    axis2: int = 1,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    return np.sum(np.diagonal(t.array(a), offset, axis1, axis2), axis=-1, dtype=dtype, out=out)


def vecdot(t: Any, x1: Any, x2: Any, /, out: Any = None, *, axis: int = -1, **_: Any) -> Any:
    x, y = np.moveaxis(t.array(x1), axis, -1), np.moveaxis(t.array(x2), axis, -1)
    x = np.conjugate(x) if x.dtype.kind == "c" else x
    value = matmul(t, x[..., None, :], y[..., :, None])
    return finish(t, t.reshape(value.read(), value.shape[:-2]), out, exact=False)


def matvec(t: Any, x1: Any, x2: Any, /, out: Any = None, **_: Any) -> Any:
    value = matmul(t, x1, t.array(x2)[..., None])
    return finish(t, t.reshape(value.read(), value.shape[:-1]), out, exact=False)


def vecmat(t: Any, x1: Any, x2: Any, /, out: Any = None, **_: Any) -> Any:
    x = t.array(x1)
    x = np.conjugate(x) if x.dtype.kind == "c" else x
    value = matmul(t, x[..., None, :], x2)
    atom = t.reshape(value.read(), (*value.shape[:-2], value.shape[-1]))
    return finish(t, atom, out, exact=False)


# --- einsum -------------------------------------------------------------------------------------


def einsum(
    t: Any, *operands: Any, out: Any = None, optimize: Any = False, dtype: Any = None,
    casting: Any = "safe", order: str = "K", **_: Any,
) -> Any:  # fmt: skip
    terms, result, arrays = _parsed(t, operands)
    _require_path(optimize, len(arrays))
    wanted = np.dtype(dtype) if dtype is not None else result_dtype(arrays)
    for number, x in enumerate(arrays):
        if not np.can_cast(x.dtype, wanted, casting):
            raise TypeError(
                f"Iterator operand {number} dtype could not be cast from {x.dtype!r} to"
                f" {wanted!r} according to the rule '{casting}'"
            )
    sizes = _sizes(terms, arrays)
    if len(arrays) == 1 and out is None and set(terms[0]) == set(result):
        return _rearranged(arrays[0], terms[0], result)
    work = [_distinct(t, t.cast(x.read(), wanted), term) for x, term in zip(arrays, terms)]
    work = [(_expand(t, atom, term, sizes), term) for atom, term in work]
    for pair in _order(terms, result, sizes):
        chosen = [work[i] for i in pair]
        work = [w for i, w in enumerate(work) if i not in pair]
        keep = set(result).union(*(term for _, term in work)) if work else set(result)
        work.append(_joined(t, chosen, keep, sizes))
    atom, term = _summed(t, *work[0], set(result))
    atom = t.transpose(atom, tuple(term.index(c) for c in result))
    return finish(t, atom, out)


def _rearranged(x: Tracer, term: list[Any], result: list[Any]) -> Tracer:
    """NumPy's view, writeable, where nothing is summed: the axes in another order, diagonals."""
    while len(set(term)) < len(term):
        label = next(c for c in term if term.count(c) > 1)
        first, second = [n for n, c in enumerate(term) if c == label][:2]
        rest = [n for n in range(x.ndim) if n not in (first, second)]
        x = x.transposed([*rest, first, second])
        x = x.seen(Diagonal(x.type, 0, writeable=True))
        term = [*(term[n] for n in rest), label]
    return x.transposed([term.index(c) for c in result])


def _require_path(optimize: Any, count: int) -> None:
    """A path that is given contracts all operands."""
    if isinstance(optimize, (list, tuple)) and optimize and optimize[0] == "einsum_path":
        left = count - sum(len(step) - 1 for step in optimize[1:])
        if left != 1:
            raise RuntimeError(
                f"Invalid einsum_path is specified: {left - 1} more operands has to be contracted."
            )


def _parsed(t: Any, operands: Sequence[Any]) -> tuple[list[list[Any]], list[Any], list[Tracer]]:
    """Labels per operand and of the result; ellipses become labels (counted from the right)."""
    if isinstance(operands[0], str):
        text = operands[0].replace(" ", "")
        arrays = [t.array(a) for a in operands[1:]]
        left, arrow, right = text.partition("->")
        terms = [_labels(p, x.ndim) for p, x in zip(left.split(","), arrays)]
        if left.count(",") + 1 != len(arrays):
            raise ValueError("einsum: number of subscripts and of operands differ")
    else:
        arrays = [t.array(a) for a in operands[0 : 2 * (len(operands) // 2) : 2]]
        lists = operands[1 : 2 * (len(operands) // 2) : 2]
        terms = [_labels(p, x.ndim) for p, x in zip(lists, arrays)]
        arrow, right = ("->", operands[-1]) if len(operands) % 2 else ("", "")
    _require_labels(terms)
    dots = sorted({c for term in terms for c in term if isinstance(c, tuple)}, reverse=True)
    if arrow:
        result = _labels(right, None, dots)
        _require_labels([result])
        _require_known(result, terms)
        return terms, result, arrays
    flat = [c for term in terms for c in term if not isinstance(c, tuple)]
    return terms, [*dots, *sorted(c for c in set(flat) if flat.count(c) == 1)], arrays


def _require_labels(terms: list[list[Any]]) -> None:
    for label in (c for term in terms for c in term if not isinstance(c, tuple)):
        if isinstance(label, str):
            if not (label.isascii() and label.isalpha()):
                raise ValueError(
                    f"invalid subscript '{label}' in einstein sum subscripts string, subscripts"
                    " must be letters"
                )
        elif not 0 <= index(label) < 52:
            raise ValueError("subscript is not within the valid range [0, 52)")


def _require_known(result: list[Any], terms: list[list[Any]]) -> None:
    """The labels of the result are of the operands, each once."""
    for label in result:
        if result.count(label) > 1:
            what = f"includes output subscript '{label}' multiple times"
            raise ValueError(f"einstein sum subscripts string {what}")
        if not any(label in term for term in terms):
            what = f"included output subscript '{label}' which never appeared in an input"
            raise ValueError(f"einstein sum subscripts string {what}")


def _labels(term: Any, ndim: int | None, dots: Any = ()) -> list[Any]:
    items = list(term.replace("...", ".")) if isinstance(term, str) else list(term)
    items = [None if c == "." or c is Ellipsis else c for c in items]
    if items.count(None) > 1 or (isinstance(term, str) and term.replace("...", "").count(".")):
        raise ValueError(
            "einstein sum subscripts string contains a '.' that is not part of an ellipsis ('...')"
        )
    if None in items:
        at = items.index(None)
        if ndim is not None:
            dots = [("...", i) for i in range(ndim - len(items) + 1)][::-1]
        items[at : at + 1] = dots
    if ndim is not None and len(items) != ndim:
        raise ValueError("einsum: the subscripts do not match the number of dimensions")
    return items


def _sizes(terms: list[list[Any]], arrays: list[Tracer]) -> dict[Any, int]:
    sizes: dict[Any, int] = {}
    for term, x in zip(terms, arrays):
        for label, n in zip(term, x.shape):
            have = sizes.setdefault(label, n)
            if have != n and 1 not in (have, n):
                types = " and ".join(str(a.type) for a in arrays)
                raise misfit(f"cannot einsum {types}: axis {label!r} has sizes {have} and {n}")
            sizes[label] = n if have == 1 else have
    return sizes


def _distinct(t: Any, atom: Atom, term: list[Any]) -> tuple[Atom, list[Any]]:
    """Repeated labels of one operand become its diagonal."""
    for label in dict.fromkeys(term):
        while term.count(label) > 1:
            i = term.index(label)
            j = term.index(label, i + 1)
            atom = np.diagonal(t.wrap(atom), 0, i, j).read()  # type: ignore[attr-defined]
            term = [c for p, c in enumerate(term) if p not in (i, j)] + [label]
    return atom, term


def _expand(t: Any, atom: Atom, term: list[Any], sizes: dict[Any, int]) -> Atom:
    return t.broadcast(atom, tuple(sizes[c] for c in term))  # type: ignore[no-any-return]


def _order(
    terms: list[list[Any]], result: list[Any], sizes: dict[Any, int]
) -> list[tuple[int, ...]]:
    """Pairs to contract, by NumPy's greedy path."""
    if len(terms) < 3:
        return [(0, 1)] if len(terms) == 2 else []
    letters = {c: i for i, c in enumerate(sizes)}
    fakes: list[Any] = []
    for term in terms:
        shape = tuple(sizes[c] for c in term)
        fakes += [np.broadcast_to(np.float64(0), shape), [letters[c] for c in term]]
    path = np.einsum_path(*fakes, [letters[c] for c in result], optimize="greedy")[0][1:]
    pairs: list[tuple[int, ...]] = []
    for step in path:
        count = len(step)
        pairs.append(tuple(step[:2]))
        for _ in range(count - 2):  # NumPy joins several at once: go on with the last result
            raise_count = len(terms) - len(pairs)
            pairs.append((raise_count - 2, raise_count - 1))
    return pairs if len(pairs) == len(terms) - 1 else [(0, 1)] * (len(terms) - 1)


def _summed(t: Any, atom: Atom, term: list[Any], keep: set[Any]) -> tuple[Atom, list[Any]]:
    """Sum over the labels that nobody needs."""
    axes = tuple(i for i, c in enumerate(term) if c not in keep)
    if not axes:
        return atom, term
    dtype = atom.type.dtype
    op, inner = ("reduce_or", BOOL) if dtype == BOOL else ("reduce_sum", wide(dtype))
    if 0 in (atom.type.shape[a] for a in axes):
        shape = tuple(n for a, n in enumerate(atom.type.shape) if a not in axes)
        atom = t.broadcast(t.atom(0, dtype), shape)
    else:
        atom = t.cast(t.emit(op, t.cast(atom, inner), axes=axes), dtype)
    return atom, [c for c in term if c in keep]


def _joined(t: Any, pair: Any, keep: set[Any], sizes: dict[Any, int]) -> tuple[Atom, list[Any]]:
    """Contract two operands: shared kept labels are the batch, shared others are summed."""
    (x, left), (y, right) = pair
    x, left = _summed(t, x, left, keep | set(right))
    y, right = _summed(t, y, right, keep | set(left))
    batch = [c for c in left if c in right and c in keep]
    inside = [c for c in left if c in right and c not in keep]
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]
    x = t.transpose(x, tuple(left.index(c) for c in (*batch, *rows, *inside)))
    y = t.transpose(y, tuple(right.index(c) for c in (*batch, *inside, *columns)))
    b, m, k, n = (
        int(np.prod([sizes[c] for c in group], dtype=np.int64))
        for group in (batch, rows, inside, columns)
    )
    term = [*batch, *rows, *columns]
    shape = tuple(sizes[c] for c in term)
    if not inside:  # an outer product needs no sum
        x, y = t.reshape(x, (b, m, 1)), t.reshape(y, (b, 1, n))
        op = "and" if x.type.dtype == BOOL else "mul"
        atom = t.emit(op, t.broadcast(x, (b, m, n)), t.broadcast(y, (b, m, n)))
    else:
        atom = product(t, t.reshape(x, (b, m, k)), t.reshape(y, (b, k, n)))
    return t.reshape(atom, shape), term


VIEWS: dict[str, Rule] = {}

UFUNCS: dict[str, Rule] = {
    "matmul": matmul,
    "vecdot": vecdot,
    "matvec": matvec,
    "vecmat": vecmat,
}

TABLE: dict[str, Rule] = {
    "dot": dot,
    "vdot": vdot,
    "inner": inner,
    "outer": outer,
    "linalg.outer": outer_of_vectors,
    "tensordot": tensordot,
    "linalg.tensordot": lambda t, x1, x2, /, *, axes=2: tensordot(t, x1, x2, axes),
    "linalg.matmul": matmul,
    "linalg.vecdot": vecdot,
    "linalg.trace": lambda t, x, /, *, offset=0, dtype=None: trace(t, x, offset, -2, -1, dtype),
    "trace": trace,
    "einsum": einsum,
}
