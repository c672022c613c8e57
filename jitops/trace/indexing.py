"""``x[key]`` and ``x[key] = value``: ints and slices (views), integer arrays, masks."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from jitops.graph.sizes import is_open
from jitops.graph.types import ArrayType
from jitops.trace import functions
from jitops.trace.masked import Masked
from jitops.trace.promotion import contains_traced
from jitops.trace.raising import unsupported
from jitops.trace.recorder import INT64
from jitops.trace.tracer import KNOWN_LIMIT, Tracer
from jitops.trace.ufunc import broadcast_shapes
from jitops.trace.weak import Weak

FULL = slice(None)
MOST = 63  # index arrays of one key, as in NumPy


def getitem(t: Any, x: Tracer, key: Any) -> Any:
    """The part of an array: a view for ints and slices, else a copy; a scalar for full indices."""
    keys = expanded(t, x, key)
    if _is_basic(keys):
        view = x.sliced(checked(x, keys))
        if not view.shape and not _has_ellipsis(key):
            value = view.known()
            return (
                t.wrap_known(value[()]) if value is not None else t.wrap(view.read(), scalar=True)
            )
        return view
    part = _masked_part(x, keys)
    if part is not None:
        view, mask, lead = part
        return Masked(t, view, mask, moved=lead > 0)
    return _gather(t, x, keys, scalar=not _has_ellipsis(key))


def setitem(t: Any, x: Tracer, key: Any, value: Any) -> None:
    """Write into a part of an array, broadcasting and casting the value as NumPy does."""
    if x.scalar:
        raise TypeError(f"'numpy.{x.dtype.name}' object does not support item assignment")
    keys = expanded(t, x, key)
    if _is_basic(keys):
        view = x.sliced(checked(x, keys))
        again = type(value) is Tracer and value.parent is x and value.lens == view.lens
        if not again:
            t.assign(view, value)
        return
    part = _masked_part(x, keys)
    if part is not None:
        functions.room("mask_writes").assign(t, *part, value)
        return
    one = [k for k in keys if type(k) is Tracer and k.dtype.kind == "b" and not k.ndim]
    rest = [k for k in keys if k is not (one[0] if one else None)]
    if len(one) == 1 and _is_basic(rest):  # all of it, or nothing
        whole: Any = x.sliced(checked(x, rest))
        np.copyto(whole, value, casting="unsafe", where=one[0])
        return
    _scatter(t, x, keys, value)


# --- keys ---------------------------------------------------------------------------------------


def _has_ellipsis(key: Any) -> bool:
    return key is Ellipsis or (isinstance(key, tuple) and any(k is Ellipsis for k in key))


def expanded(t: Any, x: Tracer, key: Any) -> list[Any]:
    """The key with one entry per axis (and None for new axes): ints, slices, None and tracers."""
    keys = [_entry(t, k) for k in (key if isinstance(key, tuple) else (key,))]
    if sum(type(k) is Tracer for k in keys) > MOST:
        raise IndexError(f"too many indices for array: more than {MOST} of them are arrays")
    used = sum(_axes_used(k) for k in keys)
    if used > x.ndim:
        raise IndexError(
            f"too many indices for array: array is {x.ndim}-dimensional, but {used} were indexed"
        )
    if sum(k is Ellipsis for k in keys) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if not any(k is Ellipsis for k in keys):
        keys.append(Ellipsis)
    at = next(i for i, k in enumerate(keys) if k is Ellipsis)
    keys[at : at + 1] = [FULL] * (x.ndim - used)
    return [_bounded(k) if type(k) is slice else k for k in keys]


def _axes_used(k: Any) -> int:
    if k is None or k is Ellipsis:
        return 0
    return k.ndim if type(k) is Tracer and k.dtype.kind == "b" else 1


def _entry(t: Any, k: Any) -> Any:
    kind = type(k)
    if k is None or k is Ellipsis or kind is int or kind is slice:
        return k
    if kind is bool or isinstance(k, np.bool_):
        return t.array(np.asarray(k))
    if kind is Weak:
        return t.wrap(k.atom) if k.pytype is int else _bad_index()
    if kind is not Tracer and isinstance(k, (np.integer,)):
        return int(k)
    if kind is not Tracer and not isinstance(k, np.ndarray):
        k = _listed(t, k)
        if isinstance(k, int):
            return k
        if not k.size:
            k = t.wrap_known(np.zeros(k.shape, "int64"))
    k = t.array(k)
    if k.dtype.kind not in "iub":
        _bad_index()
    value = k.known()
    if value is not None and value.ndim == 0 and value.dtype.kind in "iu":
        return int(value)
    return k


def _listed(t: Any, k: Any) -> Any:
    """A list of indices as an array, and any other object as what it says it is."""
    if isinstance(k, (list, tuple)) and contains_traced(k):
        return t.array(k)
    if hasattr(k, "__index__"):
        return operator.index(k)
    if hasattr(k, "__array__"):
        k = k.__array__()
        return k if type(k) is Tracer else t.wrap_known(k)
    array = np.asarray(k) if isinstance(k, (list, tuple)) else None
    return _bad_index() if array is None or array.dtype.kind not in "iubf" else t.wrap_known(array)


def _bounded(k: slice) -> slice:
    return slice(*map(_bound, (k.start, k.stop, k.step)))


def _bound(v: Any) -> Any:
    return v if v is None or is_open(v) else operator.index(v)


def _bad_index() -> Any:
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or"
        " boolean arrays are valid indices"
    )


def _is_basic(keys: list[Any]) -> bool:
    return all(k is None or type(k) in (int, slice) for k in keys)


def checked(x: Tracer, keys: list[Any]) -> tuple[Any, ...]:
    """The basic key, its ints within the axes."""
    axis = 0
    for k in keys:
        if k is None:
            continue
        if type(k) is int and not -x.shape[axis] <= k < x.shape[axis]:
            raise IndexError(
                f"index {k} is out of bounds for axis {axis} with size {x.shape[axis]}"
            )
        axis += 1
    return tuple(keys)


def _masked_part(x: Tracer, keys: list[Any]) -> tuple[Tracer, Tracer, int] | None:
    """The view with the mask's axes in front, the mask, and how many axes were before those.

    None where the key is not one traced mask among ints and slices.
    """
    places = [i for i, k in enumerate(keys) if type(k) is Tracer]
    if len(places) != 1 or keys[places[0]].dtype.kind != "b":
        return None
    mask: Tracer = keys[places[0]]
    if mask.known() is not None or not mask.ndim:
        return None
    before, after = keys[: places[0]], keys[places[0] + 1 :]
    view = x.sliced(checked(x, [*before, *[FULL] * mask.ndim, *after]))
    first = sum(type(k) is not int for k in before)
    axes = list(range(first, first + mask.ndim))
    _require_fit(mask, view.shape[first : first + mask.ndim], len(before) - before.count(None))
    if first:
        view = view.transposed([*axes, *(a for a in range(view.ndim) if a not in axes)])
    return view, mask, first


def _require_fit(mask: Tracer, sizes: tuple[Any, ...], first: int) -> None:
    """Raise IndexError where a mask has another shape than its axes, of which this is the first."""
    for axis, (size, n) in enumerate(zip(sizes, mask.shape), first):
        if size != n:
            raise IndexError(
                f"boolean index did not match indexed array along axis {axis}; size of axis is"
                f" {size} but size of corresponding boolean axis is {n}"
            )


# --- integer arrays -----------------------------------------------------------------------------


def advanced(t: Any, x: Tracer, keys: list[Any]) -> tuple[Tracer, list[int], list[Any], bool]:
    """After the slices: the array, its indexed axes, their indices, whether those come in front."""
    plain: list[Any] = []
    axes: list[int] = []
    indices: list[Any] = []
    places: list[int] = []
    axis = 0  # of the array after the slices
    for place, k in enumerate(keys):
        if k is None or type(k) is slice:
            plain.append(k)
            axis += 1
            continue
        if type(k) is Tracer and k.dtype.kind == "b" and not k.ndim:  # an axis of one, or of none
            plain.append(None)
            found = [t.wrap_known(np.zeros(int(_known_mask(k)), "int64"))]
        else:
            used = axis - sum(p is None for p in plain)
            found = _integers(t, x, k, used)
            plain += [FULL] * len(found)
        axes += range(axis, axis + len(found))
        indices += found
        axis += len(found)
        places.append(place)
    front = places[-1] - places[0] + 1 != len(places)
    return x.sliced(tuple(plain)), axes, indices, front


def _integers(t: Any, x: Tracer, k: Any, first: int) -> list[Any]:
    """An index as integer arrays, one per axis from the first: a mask becomes its positions."""
    if type(k) is int:
        return [t.wrap_known(np.asarray(k))]
    if k.dtype.kind != "b":
        return [k]
    _require_fit(k, x.shape[first : first + k.ndim], first)
    return [t.wrap_known(i) for i in _known_mask(k).nonzero()]


def _known_mask(k: Tracer) -> Any:
    value = k.known()
    if value is None:
        raise unsupported(
            "cannot index with a traced mask here: the shape would depend on values",
            "Use np.where(mask, x, other), a reduction with where=mask, or x[mask] = value.",
        )
    return value


def positions(t: Any, shape: tuple[int, ...], indices: list[Any]) -> Tracer:
    """One int64 index into the flattened axes, from one index per axis; negative ones wrap."""
    made = [_position(t, index, extent) for index, extent in zip(indices, shape)]
    if len(made) == 1:
        return made[0]
    if all(index.known() is not None for index in made):
        return t.wrap_known(np.ravel_multi_index(tuple(i.known() for i in made), shape))  # type: ignore[no-any-return]
    common = broadcast_indices(made)
    atoms = [t.broadcast(index.read(), common) for index in made]
    return t.wrap(t.emit("locate", *atoms, shape=shape))  # type: ignore[no-any-return]


def _position(t: Any, index: Any, extent: int) -> Tracer:
    value = index.known()
    if value is None:
        return t.wrap(t.cast(index.read(), INT64))  # type: ignore[no-any-return]
    if value.size and not (value.min() >= -extent and value.max() < extent):
        bad = value[(value < -extent) | (value >= extent)].flat[0]
        raise IndexError(f"index {bad} is out of bounds for axis with size {extent}")
    return t.wrap_known(np.where(value < 0, value + extent, value).astype("int64"))  # type: ignore[no-any-return]


def _gather(t: Any, x: Tracer, keys: list[Any], *, scalar: bool) -> Any:
    """``x[i, :, j]``: one `take` along the indexed axes, brought together and flattened."""
    base, axes, indices, front = advanced(t, x, keys)
    broadcast_indices(indices)
    extents = tuple(base.shape[a] for a in axes)
    where = positions(t, extents, indices)
    first = 0 if front else axes[0]
    rest = [a for a in range(base.ndim) if a not in axes]
    order = [*rest[:first], *axes, *rest[first:]]
    atom = t.transpose(base.read(), tuple(order))
    shape = [base.shape[a] for a in order]
    size = int(np.prod(extents, dtype=np.int64))
    atom = t.reshape(atom, (*shape[:first], size, *shape[first + len(axes) :]))
    if size == 0 or 0 in where.shape:
        if where.size:
            raise IndexError("cannot index an axis of size 0")
        full = (*shape[:first], *where.shape, *shape[first + len(axes) :])
        return t.wrap(t.emit("full", t.atom(0, x.dtype), shape=full))
    out = t.emit("take", atom, where.read(), axis=first)
    return t.wrap(out, scalar=scalar and not out.type.shape)


def broadcast_indices(indices: list[Any]) -> tuple[int, ...]:
    """The common shape of index arrays."""
    try:
        return broadcast_shapes(*(i.shape for i in indices))
    except ValueError:
        shapes = ", ".join(str(i.shape) for i in indices)
        raise IndexError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {shapes}"
        ) from None


def _scatter(t: Any, x: Tracer, keys: list[Any], value: Any) -> None:
    """``x[i, :, j] = value``; the last of equal positions wins, as in NumPy."""
    scattering = functions.room("scattering")
    known = [k.known() if type(k) is Tracer else k for k in keys]
    traced = any(k is None and type(have) is Tracer for k, have in zip(known, keys))
    if traced or x.size > KNOWN_LIMIT:
        scattering.write(t, x, keys, value)
        return
    place = np.arange(x.size).reshape(x.shape)[tuple(known)]
    target = ArrayType(place.shape, x.dtype)
    new = scattering.fitted(t, value, target)
    source = np.full(x.size, -1)
    source[place.reshape(-1)] = np.arange(place.size)
    if not place.size:
        return
    touched = t.wrap_known((source >= 0).reshape(x.shape)).read()
    if new.type.shape:
        flat = t.reshape(new, (place.size,))
        index = t.wrap_known(np.maximum(source, 0).reshape(x.shape)).read()
        new = t.emit("take", flat, index, axis=0)
    x.write(t.emit("select", touched, new, x.read()))


# --- modes --------------------------------------------------------------------------------------

MODES = ("clip", "wrap", "raise")


def clip_mode(mode: Any) -> str:
    """What to do with indices outside of their axis, by name or by NumPy's number for it."""
    name = mode.decode() if isinstance(mode, bytes) else mode
    if not isinstance(name, str):
        number = operator.index(name)
        if 0 <= number < len(MODES):
            return MODES[number]
    elif name in MODES:
        return name
    raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
