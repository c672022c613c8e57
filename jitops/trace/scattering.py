"""Writing at computed places: ``x[i] = v``, ``np.add.at``, `np.put`, `np.bincount` and so on."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from operator import index as index_of
from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.graph.types import ArrayType
from jitops.trace import indexing
from jitops.trace.raising import misfit, unsupported
from jitops.trace.recorder import BOOL, FLOAT64, INT64
from jitops.trace.tracer import Tracer

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


def write(t: Any, x: Tracer, keys: list[Any], value: Any, op: str = "set") -> None:
    """``x[keys] = op(x[keys], value)``, one index after the other, in C order of the indices."""
    base, axes, indices, front = indexing.advanced(t, x, keys)
    common = indexing.broadcast_indices(indices)
    first = 0 if front else axes[0]
    rest = [a for a in range(base.ndim) if a not in axes]
    shape = [base.shape[a] for a in rest]
    new = fitted(t, value, ArrayType((*shape[:first], *common, *shape[first:]), x.dtype))
    extents = tuple(base.shape[a] for a in axes)
    where = indexing.positions(t, extents, indices)
    if not prod(extents) and where.size:
        raise IndexError("cannot index an axis of size 0")
    if not where.size or not base.size:
        return
    place = t.broadcast(where.read(), common) if common else where.read()
    order = [*rest[:first], *axes, *rest[first:]]
    atom = t.transpose(base.read(), tuple(order))
    atom = t.emit("scatter", atom, place, new, axes=(first, first + len(axes)), join=op)
    base.write(t.transpose(atom, tuple(order.index(a) for a in range(base.ndim))))


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
    try:
        fits = np.broadcast_shapes(shape, target.shape) == target.shape
    except ValueError:
        fits = False
    if not fits:
        raise misfit(f"cannot assign {value.type} to {target}", "a value that broadcasts")
    return t.broadcast(atom, target.shape)  # type: ignore[no-any-return]


def at(t: Any, ufunc: Any, array: Any, indices: Any, *values: Any) -> None:
    """``ufunc.at``: as ``x[i] = ufunc(x[i], v)`` for one index after the other."""
    from jitops.trace.ufunc import resolve

    if type(array) is not Tracer:
        t.refuse_write(array)
    x: Tracer = array
    keys = indexing.expanded(t, x, indices)
    if not any(type(k) is Tracer and k.dtype.kind != "b" for k in keys):
        x[indices] = ufunc(x[indices], *values)  # every element once
        return
    operands = [x, *map(t.operand, values)]
    loop = resolve(ufunc, operands, None, "same_kind", None, None) if len(operands) == 2 else ()
    op = _join(ufunc.__name__, x, loop)
    if len(operands) > 1 and type(operands[1]) is int:  # an array of one, cast as arrays are
        operands[1] = t.wrap_known(np.asarray(operands[1]).astype(loop[1]))
    if loop[0] == x.dtype:
        write(t, x, keys, operands[1], op)
        return
    wide = x.astype(loop[0])
    write(t, wide, keys, operands[1], op)
    t.assign(x, wide.astype(x.dtype))


def _join(name: str, x: Tracer, loop: Any) -> str:
    numbers, bools = JOINS.get(name, ("", ""))
    op = bools if loop and loop[0] == BOOL else numbers
    if not op or loop[0] != loop[2] or (
        loop[0].kind == "c" and op not in ("add", "sub", "mul", "div")
    ):
        raise unsupported(
            f"np.{name}.at of {x.dtype} is not supported in a traced function",
            f"Use x[i] = np.{name}(...) where the indices are unique.",
        )
    if not np.can_cast(loop[2], x.dtype, "same_kind"):
        raise unsupported(
            f"np.{name}.at of {loop[2]} values into {x.dtype} is not supported: NumPy converts the"
            " element after each of them",
            f"Use np.{name}.at on x.astype({loop[2].name!r}).",
        )
    return op


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
    if 0 in shape and any(i.size for i in indices):
        raise ValueError("cannot unravel if shape has zero entries (is empty).")
    modes = mode if isinstance(mode, tuple) else (mode,) * len(shape)
    made = []
    for index, extent, how in zip(indices, shape, modes):
        if index.dtype.kind not in "iu":
            raise TypeError("only int indices permitted")
        moved: Any = _moded(index, extent, how)
        made.append(moved if how != "raise" else np.where(moved < 0, extent, moved))
    if order == "F":
        made, shape = made[::-1], shape[::-1]
    common = np.broadcast_shapes(*(i.shape for i in made))
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
