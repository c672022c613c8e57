"""Writing at computed places: ``x[i] = v``, ``np.add.at``, `np.put`, `np.bincount` and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from operator import index as index_of
from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.graph.types import ArrayType
from jitops.trace import indexing
from jitops.trace.functions import room
from jitops.trace.masked import Masked
from jitops.trace.raising import misfit, unsupported
from jitops.trace.recorder import BOOL, FLOAT64, INT64
from jitops.trace.tracer import Tracer
from jitops.trace.ufunc import broadcast_shapes, broadcasts, resolve

__all__ = ["MUTATING", "TABLE", "at", "write"]

Rule = Callable[..., Any]

# The primitive that joins an element and a new value in ``ufunc.at``; for bools the second one.
JOINS: dict[str, tuple[str, str]] = {
    "add": ("add", "or"),
    "subtract": ("sub", ""),
    "multiply": ("mul", "and"),
    "divide": ("div", ""),
    "floor_divide": ("floordiv", ""),
    "remainder": ("mod", ""),
    "fmod": ("fmod", ""),
    "power": ("pow", ""),
    "maximum": ("maximum", "or"),
    "minimum": ("minimum", "and"),
    "fmax": ("fmax", "or"),
    "fmin": ("fmin", "and"),
    "bitwise_and": ("and", "and"),
    "bitwise_or": ("or", "or"),
    "bitwise_xor": ("xor", "xor"),
    "logical_and": ("", "and"),
    "logical_or": ("", "or"),
    "logical_xor": ("", "xor"),
    "left_shift": ("shl", ""),
    "right_shift": ("shr", ""),
    "arctan2": ("atan2", ""),
    "hypot": ("hypot", ""),
    "copysign": ("copysign", ""),
}
MODULAR = ("add", "sub", "mul", "and", "or", "xor")  # of integers, the low bits decide the low bits


class Places:
    """Where ``x[keys]`` lies, in C order of the index arrays.

    base: the array after its slices. order: its axes with the indexed ones in a row, from `first`
    to `stop`. common: the index arrays' shape. where: positions in the indexed axes as one, of
    that shape or (). shape: that of ``x[keys]``.
    """

    __slots__ = ("base", "common", "first", "order", "shape", "stop", "where")

    def __init__(self, t: Any, x: Tracer, keys: list[Any]) -> None:
        self.base, axes, indices, front = indexing.advanced(t, x, keys)
        self.common = indexing.broadcast_indices(indices)
        first = self.first = 0 if front else axes[0]
        self.stop = first + len(axes)
        rest = [a for a in range(self.base.ndim) if a not in axes]
        shape = [self.base.shape[a] for a in rest]
        self.order = (*rest[:first], *axes, *rest[first:])
        self.shape = (*shape[:first], *self.common, *shape[first:])
        extents = tuple(self.base.shape[a] for a in axes)
        self.where = indexing.positions(t, extents, indices)
        if not prod(extents) and self.where.size:
            raise IndexError("cannot index an axis of size 0")

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.where.size and self.base.size)

    def read(self, t: Any) -> Atom:
        """The array with its axes in order."""
        return t.transpose(self.base.read(), self.order)  # type: ignore[no-any-return]

    def write(self, t: Any, atom: Atom) -> None:
        """Replace what `read` gives."""
        back = tuple(self.order.index(a) for a in range(self.base.ndim))
        self.base.write(t.transpose(atom, back))


def write(t: Any, x: Tracer, keys: list[Any], value: Any, op: str = "set") -> None:
    """``x[keys] = op(x[keys], value)``, one index after the other, in C order of the indices."""
    places = Places(t, x, keys)
    new = fitted(t, value, ArrayType(places.shape, x.dtype))
    if not places:
        return
    where = places.where.read()
    place = t.broadcast(where, places.common) if places.common else where
    axes = (places.first, places.stop)
    places.write(t, t.emit("scatter", places.read(t), place, new, axes=axes, join=op))


def fitted(t: Any, value: Any, target: ArrayType) -> Atom:
    """The value as an atom of the target's dtype, and of its shape or shape ()."""
    value = t.operand(value)
    atom: Atom = t.atom(value, target.dtype)
    shape = atom.type.shape
    while len(shape) > target.ndim and shape[0] == 1:
        shape = shape[1:]
    atom = t.reshape(atom, shape)
    if not shape:
        return atom
    if not broadcasts(shape, target.shape):
        raise misfit(f"cannot assign {value.type} to {target}", "a value that broadcasts")
    return t.broadcast(atom, target.shape)  # type: ignore[no-any-return]


def at(t: Any, ufunc: Any, array: Any, indices: Any, *values: Any) -> None:
    """``ufunc.at``: ``x[i] = ufunc(x[i], v)`` for one index after the other, cast as NumPy does."""
    _require_operands(ufunc, len(values))
    if type(array) is not Tracer:
        t.refuse_write(array)
    x: Tracer = array
    keys = indexing.expanded(t, x, indices)
    if not any(type(k) is Tracer and k.dtype.kind != "b" for k in keys):
        _once_each(t, ufunc, x, indices, [t.operand(v) for v in values])
        return
    operands = [x, *map(t.operand, values)]
    loop = resolve(ufunc, operands, None, "unsafe", None, None)
    if len(operands) > 1 and type(operands[1]) is int:  # an array of one, cast as arrays are
        operands[1] = t.wrap_known(np.asarray(operands[1]).astype(loop[1]))
    op = _join(ufunc.__name__, x.dtype, loop) if len(operands) > 1 else ""
    if not op:
        _in_turn(t, ufunc, x, keys, list(zip(operands[1:], loop[1:])))
    elif loop[0] == x.dtype:
        write(t, x, keys, operands[1], op)
    else:
        wide = x.astype(loop[0])
        write(t, wide, keys, operands[1], op)
        t.assign(x, wide.astype(x.dtype))


def _require_operands(ufunc: Any, count: int) -> None:
    """Raise what NumPy raises for a ufunc without ``at``, or a wrong number of operands."""
    if ufunc.signature is not None:
        raise TypeError(
            f"{ufunc.__name__}.at does not support ufunc with non-trivial signature:"
            f" {ufunc.__name__} has signature {ufunc.signature}."
        )
    if ufunc.nin > 2:
        raise ValueError("Only unary and binary ufuncs supported at this time")
    if ufunc.nout != 1:
        raise ValueError("Only single output ufuncs supported at this time")
    if ufunc.nin > count + 1:
        raise ValueError("second operand needed for ufunc")
    if ufunc.nin < count + 1:
        raise ValueError("second operand provided when ufunc is unary")


def _once_each(t: Any, ufunc: Any, x: Tracer, indices: Any, values: list[Any]) -> None:
    """Where no element is met twice; a mask may be given as many values as it selects."""
    part = x[indices]
    if type(part) is Masked and any(type(v) is Tracer and v.ndim for v in values):
        given = t.zeros(x.shape, values[0].dtype)
        given[indices] = values[0]
        values = [given[indices]]
    x[indices] = ufunc(part, *values)


def _join(name: str, dtype: np.dtype[Any], loop: Sequence[np.dtype[Any]]) -> str:
    """The primitive for one scatter of all values, or an empty string.

    Such a scatter converts to the array's dtype once, after all values: for floats of the same
    kind, that is the more precise, and for integers the same where the operation wraps around.
    """
    wide = loop[0]
    op = JOINS.get(name, ("", ""))[int(wide == BOOL)]
    if wide != loop[2] or (wide.kind == "c" and op not in ("add", "sub", "mul", "div")):
        return ""
    if wide == dtype or (wide.kind == dtype.kind and wide.kind in "fc"):
        return op
    return op if wide.kind in "iu" and dtype.kind in "iu" and op in MODULAR else ""


def _in_turn(t: Any, ufunc: Any, x: Tracer, keys: list[Any], given: list[Any]) -> None:
    """A loop over the indices; given: the value and its dtype, or nothing."""
    places = Places(t, x, keys)
    common, first = len(places.common), places.first
    lines = []
    for value, dtype in given:
        target = ArrayType(places.shape, dtype)
        new = t.wrap(t.broadcast(fitted(t, value, target), places.shape))
        new = np.moveaxis(new, range(first, first + common), range(common))
        lines.append(new.reshape((-1, *new.shape[common:])) if places else new)
    if not places:
        return
    where = np.ravel(np.broadcast_to(places.where, places.common))
    whole: Any = t.wrap(places.read(t))
    front = np.moveaxis(whole, range(first, places.stop), range(places.stop - first))
    kept = front.shape
    flat = front.reshape((-1, *kept[places.stop - first :]))
    flat = room("control").fori_loop(t, 0, where.size, partial(_step, ufunc, where, lines), flat)
    front = flat.reshape(kept)
    whole = np.moveaxis(front, range(places.stop - first), range(first, places.stop))
    places.write(t, t.array(whole).read())


def _step(ufunc: Any, where: Any, lines: list[Any], i: Any, flat: Any) -> Any:
    place = where[i]
    flat[place] = ufunc(flat[place], *(line[i] for line in lines))
    return flat


# --- functions ----------------------------------------------------------------------------------


def _flat(t: Any, x: Tracer, place: Any, value: Atom, op: str = "set") -> None:
    """Write at positions in C order."""
    if place.type.shape and not place.type.size:
        return
    lines = x if x.ndim else x.reshaped((1,))
    atom = t.emit("scatter", lines.read(), place, value, axes=(0, lines.ndim), join=op)
    lines.write(atom)


def put(t: Any, a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Write to flat positions; the values repeat as needed."""
    if type(a) is not Tracer:
        raise TypeError(f"argument 1 must be numpy.ndarray, not {type(a).__name__}")
    index, values = np.ravel(t.array(ind)), np.ravel(t.array(v))
    mode = indexing.clip_mode(mode)
    if not index.size or not values.size:
        return
    if not a.size:
        raise IndexError("cannot replace elements of an empty array")
    index = _moded(index, a.size, mode)
    repeated = values if values.size == index.size else values[np.arange(index.size) % values.size]
    _flat(t, a, t.cast(index.read(), INT64), t.cast(t.array(repeated).read(), a.dtype))


def _moded(index: Any, size: Any, mode: str) -> Any:
    if mode == "wrap":
        return index % size
    return np.clip(index, 0, size - 1) if mode == "clip" else index


def place(t: Any, arr: Any, mask: Any, vals: Any) -> None:
    """Where the mask holds, the values one after the other, from the start again as needed."""
    flags: Any = np.ravel(t.array(mask)).astype(bool)
    values = np.ravel(t.array(vals))
    if flags.size != arr.size:
        raise ValueError("place: mask and data must be the same size")
    if not values.size:
        if flags.known() is None or flags.known().any():
            arr.write(t.checked(arr.read(), flags.read(), "nothing to insert"))
        return
    count = np.cumsum(flags) - 1
    new = values[0] if values.size == 1 else np.take(values, np.maximum(count, 0) % values.size)
    t.assign(arr, np.where(flags, t.array(new).astype(arr.dtype), np.ravel(arr)).reshape(arr.shape))


def putmask(t: Any, a: Any, mask: Any, values: Any) -> None:
    """Where the mask holds, the value at the same flat position; the values repeat as needed."""
    if type(a) is not Tracer:
        t.refuse_write(a)
    flags, given = np.ravel(t.array(mask)).astype(bool), np.ravel(t.array(values))
    if flags.size != a.size:
        raise ValueError("putmask: mask and data must be the same size")
    if not a.size or not given.size:
        return
    new: Any = given.astype(a.dtype)
    if given.size not in (1, a.size):
        new = new[np.arange(a.size) % given.size]
    t.assign(a, np.where(flags, new, np.ravel(a)).reshape(a.shape))


def bincount(t: Any, x: Any, /, weights: Any = None, minlength: Any = 0) -> Any:
    """Counts, or sums of weights, of 0 to ``minlength - 1``.

    The result has ``minlength`` elements. Where NumPy would make it longer, for larger numbers, the
    call raises IndexError.
    """
    index = t.array(x)
    if index.ndim != 1:
        raise ValueError("object of too small depth for desired array")
    if index.dtype.kind not in "biu":
        raise TypeError(
            f"Cannot cast array data from {index.dtype!r} to {INT64!r} according to the rule 'safe'"
        )
    length = index_of(minlength)
    if length < 0:
        raise ValueError("'minlength' must not be negative")
    if not length:
        raise unsupported(
            "np.bincount without minlength gives a shape that depends on values",
            "Pass minlength: the result has that many elements, and larger numbers are an error.",
        )
    if weights is None:
        value = t.atom(1, INT64)
    else:
        given = t.array(weights)
        if given.shape != index.shape:
            raise ValueError("The weights and list don't have the same length.")
        if not np.can_cast(given.dtype, FLOAT64, "safe"):
            raise TypeError(f"Cannot cast array data from {given.dtype!r} to {FLOAT64!r}")
        value = t.cast(given.read(), FLOAT64)
    out = t.zeros((length,), value.type.dtype)
    place: Any = index.astype(INT64)
    _flat(t, out, t.array(np.where(place < 0, length, place)).read(), value, "add")
    return out


def ravel_multi_index(
    t: Any, multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C"
) -> Any:
    """The flat positions of indices, one array per axis; outside of an axis is an IndexError."""
    shape = tuple(n.__index__() for n in (dims if isinstance(dims, (tuple, list)) else (dims,)))
    indices = [t.array(i) for i in multi_index]
    if len(indices) != len(shape):
        raise ValueError(f"parameter multi_index must be a sequence of length {len(shape)}")
    common = broadcast_shapes(*(i.shape for i in indices))
    if 0 in shape and 0 not in common:
        raise ValueError("cannot unravel if shape has zero entries (is empty).")
    each = mode if isinstance(mode, tuple) else (mode,) * len(shape)
    modes = [indexing.clip_mode(m) for m in each]
    made = []
    for index, extent, how in zip(indices, shape, modes):
        if index.dtype.kind not in "iu":
            raise TypeError("only int indices permitted")
        moved: Any = _moded(index, extent, how)
        made.append(moved if how != "raise" else np.where(moved < 0, extent, moved))
    if order == "F":
        made, shape = made[::-1], shape[::-1]
    atoms = [t.broadcast(t.cast(t.array(i).read(), INT64), common) for i in made]
    return t.wrap(t.emit("locate", *atoms, shape=shape), scalar=not common)


def unravel_index(t: Any, indices: Any, shape: Any, order: str = "C") -> Any:
    """One array of indices per axis, from flat positions; that they fit is not checked."""
    extents = tuple(n.__index__() for n in (shape if isinstance(shape, (tuple, list)) else [shape]))
    place: Any = t.array(indices)
    if place.dtype.kind not in "iu":
        raise TypeError("only int indices permitted")
    place = place.astype(INT64)
    found = []
    for extent in extents[::-1] if order == "C" else extents:
        found.append(place % extent)
        place = place // extent
    return tuple(found[::-1] if order == "C" else found)


TABLE: dict[str, Rule] = {
    "bincount": bincount,
    "ravel_multi_index": ravel_multi_index,
    "unravel_index": unravel_index,
}

MUTATING: dict[str, Rule] = {"put": put, "place": place, "putmask": putmask}
