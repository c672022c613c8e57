"""Sorting and searching: `sort` and `argsort` along the last axis, and a search by halving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.trace.promotion import result_dtype
from jitops.trace.recorder import INT64
from jitops.trace.reductions import normal_axis
from jitops.trace.tracer import Tracer

__all__ = ["TABLE", "along", "argsort", "sort"]

Rule = Callable[..., Any]


def _last(t: Any, a: Any, axis: Any) -> tuple[Tracer, int]:
    """The array with the axis to be sorted as the last one, and where that was."""
    x = t.array(a)
    if axis is None:
        x, axis = x.reshaped((x.size,)), -1
    at = normal_axis(x.ndim, axis)
    return x.transposed([*(n for n in range(x.ndim) if n != at), at]), at


def _back(t: Any, atom: Atom, at: int) -> Any:
    """A fresh array of sorted lines, their axis back in its place."""
    ndim = len(atom.type.shape)
    order = list(range(ndim - 1))
    order.insert(at, ndim - 1)
    return t.wrap(t.transpose(atom, tuple(order)))


def _check(order: Any, kind: Any, stable: Any) -> None:
    if order is not None:
        raise ValueError("Cannot specify order when the array has no fields.")
    if kind is not None and stable is not None:
        raise ValueError("`kind` and keyword parameters can't be provided at the same time.")
    if kind is not None and str(kind)[:1].lower() not in ("q", "h", "m", "s"):
        raise ValueError(f"sort kind must be one of 'quick', 'heap', or 'stable' (got {kind!r})")


def sort(
    t: Any, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    """Ascending along an axis, NaN last; complex numbers by real, then by imaginary part."""
    _check(order, kind, stable)
    x, at = _last(t, a, axis)
    if x.dtype.kind == "c":
        return _back(t, along(t, x.read(), _order(t, x)), at)
    return _back(t, t.emit("sort", x.read()), at)


def argsort(
    t: Any, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    """The positions that sort an axis; equal elements keep their order, whatever the kind."""
    _check(order, kind, stable)
    x = t.array(a)
    if not x.ndim:
        x = x.reshaped((1,))
    x, at = _last(t, x, axis)
    return _back(t, _order(t, x), at)


def _order(t: Any, x: Tracer) -> Atom:
    """`argsort` along the last axis."""
    if x.dtype.kind != "c":
        return t.emit("argsort", x.read())  # type: ignore[no-any-return]
    nan = np.isnan(x.real).astype(np.int8) * 2 + np.isnan(x.imag)  # NumPy's order of groups
    return _lexicographic(t, [x.imag, x.real, nan])


def _lexicographic(t: Any, keys: list[Any]) -> Atom:
    """Stable sorts by each key, the last one weighs most; all along the last axis."""
    order = _order(t, keys[0])
    for key in keys[1:]:
        moved = t.emit("argsort", along(t, key.read(), order))
        order = along(t, order, moved)
    return order


def along(t: Any, x: Atom, index: Atom) -> Atom:
    """``x[..., index[..., i]]``: places on the last axis, within it, row by row."""
    *rows, n = x.type.shape
    if not rows:
        return t.emit("take", x, index, axis=0)  # type: ignore[no-any-return]
    size = int(np.prod(rows, dtype=np.int64))
    if not x.type.size or not index.type.size:
        return t.broadcast(t.atom(0, x.type.dtype), index.type.shape)  # type: ignore[no-any-return]
    first = t.reshape(t.progression(0, n, (size,), 0), (*rows, 1))
    place = t.add(t.emit("broadcast", first, shape=index.type.shape, axes=_all(first)), index)
    return t.emit("take", t.reshape(x, (size * n,)), place, axis=0)  # type: ignore[no-any-return]


def _all(x: Atom) -> tuple[int, ...]:
    return tuple(range(len(x.type.shape)))


def partition(
    t: Any, a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None
) -> Any:
    """The whole axis sorted, which puts every ``kth`` element where it belongs."""
    _check_kth(t, a, kth, axis)
    return sort(t, a, axis, order=order)


def argpartition(
    t: Any, a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None
) -> Any:
    """The positions that sort the axis."""
    _check_kth(t, a, kth, axis)
    return argsort(t, a, axis, order=order)


def _check_kth(t: Any, a: Any, kth: Any, axis: Any) -> None:
    x = t.array(a)
    length = x.size if axis is None else (x.shape or (1,))[normal_axis(max(x.ndim, 1), axis)]
    for k in np.ravel(kth).tolist() if type(kth) is not Tracer and x.size else ():
        if not -length <= k < length:
            raise ValueError(f"kth(={k}) out of bounds ({length})")


def lexsort(t: Any, keys: Any, axis: Any = -1) -> Any:
    """The positions that sort by the last key, then by the one before it, and so on."""
    found = list(keys) if isinstance(keys, (list, tuple)) else [keys[i] for i in range(len(keys))]
    if not found:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    arrays = [part for k in found for part in _ordered_parts(t.array(k))]
    if any(x.shape != arrays[0].shape for x in arrays):
        raise ValueError("all keys need to be the same shape")
    if not arrays[0].ndim:
        return t.wrap_known(np.int64(0))
    moved = [_last(t, x, axis) for x in arrays]
    return _back(t, _lexicographic(t, [x for x, _ in moved]), moved[0][1])


def _ordered_parts(x: Any) -> list[Any]:
    """A key as keys that have an order: complex numbers go by their real parts first."""
    return [x.imag, x.real] if x.dtype.kind == "c" else [x]


def sort_complex(t: Any, a: Any) -> Any:
    """The sorted array as complex numbers."""
    x = t.array(a)
    out = sort(t, x)
    small = x.dtype.name in ("int8", "uint8", "int16", "uint16")
    return out if x.dtype.kind == "c" else out.astype("complex64" if small else "complex128")


# --- searching ----------------------------------------------------------------------------------


def searchsorted(t: Any, a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Where each value belongs in a sorted array: log2(n) steps for each, without branches."""
    if side[:1] not in ("l", "r"):
        raise ValueError(f"side must be 'left' or 'right' (got {side!r})")
    x, y = t.array(a), t.array(v)
    if x.ndim != 1:
        raise ValueError("object too deep for desired array" if x.ndim else "a must be 1-d")
    dtype = result_dtype([x, y])
    if sorter is not None:
        x = np.take(x, t.array(sorter))
    out = _search(t, t.cast(x.read(), dtype), t.cast(y.read(), dtype), side[:1] == "r")
    return t.wrap(out, scalar=not y.ndim)


def _search(t: Any, a: Atom, v: Atom, right: bool) -> Atom:
    """By halving: ``place`` elements are known to come before, ``length`` are left to look at."""
    shape = v.type.shape
    place = t.broadcast(t.atom(0, INT64), shape)
    length = a.type.shape[0]
    while length > 0:
        half = (length + 1) // 2
        there = t.emit("take", a, t.add(place, half - 1), axis=0)
        before = t.invert(_less(t, v, there)) if right else _less(t, there, v)
        place = t.emit("select", before, t.add(place, half), place)
        length -= half
    return place  # type: ignore[no-any-return]


def _less(t: Any, x: Atom, y: Atom) -> Any:
    """In the order of `sort`: NaN is larger than all else."""
    kind = x.type.dtype.kind
    if kind in "iub":
        return t.lt(x, y)
    if kind != "c":
        return t.or_(t.lt(x, y), t.and_(t.isnan(y), t.invert(t.isnan(x))))
    xs, ys = (t.real(x), t.imag(x)), (t.real(y), t.imag(y))
    groups = [t.add(t.mul(t.cast(t.isnan(re), INT64), 2), t.cast(t.isnan(im), INT64))
              for re, im in (xs, ys)]  # fmt: skip
    real = t.or_(
        t.lt(xs[0], ys[0]),
        t.and_(t.invert(t.lt(ys[0], xs[0])), t.lt(xs[1], ys[1])),
    )
    return t.or_(t.lt(*groups), t.and_(t.eq(*groups), real))


def digitize(t: Any, x: Any, bins: Any, right: bool = False) -> Any:
    """The bin of each value, for edges that increase or decrease."""
    edges: Any = t.array(bins)
    if t.array(x).dtype.kind == "c":
        raise TypeError("x may not be complex")
    side = "left" if right else "right"
    if edges.size < 2:
        return searchsorted(t, edges, x, side)
    known, falling = edges.known(), edges[0] > edges[-1]
    if known is None:
        mixed: Any = np.any(edges[:-1] > edges[1:]) & np.any(edges[:-1] < edges[1:])
        edges = t.wrap(t.checked(edges.read(), mixed.read(), "unordered bins"))
    elif not falling:
        np.digitize([], known)  # raises what it always raises
        return searchsorted(t, edges, x, side)
    place = searchsorted(t, np.where(falling, edges[::-1], edges), x, side)
    out: Any = np.where(falling, edges.size - place, place)
    return out if t.array(x).ndim else out[()]


def isin(
    t: Any, element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False,
    *, kind: Any = None,
) -> Any:  # fmt: skip
    """Whether each element is among others, which are sorted and searched."""
    if kind not in (None, "sort", "table"):
        raise ValueError(f"Invalid kind: '{kind}'. Please use None, 'sort' or 'table'.")
    x, among = t.array(element), t.array(test_elements)
    if kind == "table":
        among = _tabulated(t, x, among)
    dtype = result_dtype([x, among])
    x = x.astype(dtype)
    if not among.size:
        out: Any = t.filled(False, x.shape, "bool")
    else:
        line = np.sort(np.ravel(among.astype(dtype)))
        place = t.array(searchsorted(t, line, x))
        out = np.equal(np.take(line, np.minimum(place, among.size - 1)), x)
    return ~out if invert else out


def _tabulated(t: Any, x: Any, among: Any) -> Any:
    """What NumPy could make a table of: integers whose range their own dtype holds."""
    if any(v.dtype.kind not in "biu" for v in (x, among)):
        raise ValueError(
            "The 'table' method is only supported for boolean or integer arrays. Please select"
            " 'sort' or None for kind."
        )
    if among.dtype.kind != "i" or not among.size:
        return among
    wide = np.max(among) - np.min(among) < 0  # it wrapped around
    return t.wrap(t.checked(among.read(), wide.read(), "wide table"))


TABLE: dict[str, Rule] = {
    "isin": isin,
    "sort": sort,
    "argsort": argsort,
    "partition": partition,
    "argpartition": argpartition,
    "lexsort": lexsort,
    "sort_complex": sort_complex,
    "searchsorted": searchsorted,
    "digitize": digitize,
}
