"""The index primitives: from the index of a result to the indices of the operands."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

from tvm import tirx

from jitops.graph.graph import Atom, Eqn, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.types import Shape, strides_of
from jitops.lower import scalar as sc
from jitops.lower.index import Affine, Index, flatten, key_of, opaque, unflatten
from jitops.lower.scalar import Body

Sources = list[tuple[Atom, Index]]


def sources(eqn: Eqn, at: Index, body: Body) -> Sources:
    """Which elements of its operands the element ``at`` of an inlined equation needs."""
    if PRIMITIVES[eqn.op].kind == "map":
        return [(a, at if a.type.shape else ()) for a in eqn.inputs]
    return _SOURCES[eqn.op](eqn, at, body)


def _full(eqn: Eqn, at: Index, body: Body) -> Sources:
    return [(eqn.inputs[0], ())]


def _iota(eqn: Eqn, at: Index, body: Body) -> Sources:
    return []


def _broadcast(eqn: Eqn, at: Index, body: Body) -> Sources:
    (x,) = eqn.inputs
    zero = Affine({})
    pairs = zip(x.type.shape, eqn.attrs["axes"])
    return [(x, tuple(zero if extent == 1 else at[axis] for extent, axis in pairs))]


def _reshape(eqn: Eqn, at: Index, body: Body) -> Sources:
    (x,) = eqn.inputs
    return [(x, reshaped(at, eqn.output.type.shape, x.type.shape, body))]


def reshaped(index: Index, shape: Shape, other: Shape, body: Body) -> Index:
    """The index, in another shape, of the element at ``index`` of the first, in C order.

    Axes that both shapes begin or end with keep their components: a division could not tell that
    the piece of an axis a loop works on ends within it.
    """
    own = [axis for axis, extent in enumerate(shape) if extent != 1]
    new = [axis for axis, extent in enumerate(other) if extent != 1]
    parts = [Affine({})] * len(other)
    for end in (0, -1):
        while own and new and shape[own[end]] == other[new[end]]:
            parts[new.pop(end)] = index[own.pop(end)]
    strides = strides_of(tuple(shape[axis] for axis in own))
    offset = flatten(tuple(index[axis] for axis in own), strides)
    for axis, part in zip(new, unflatten(offset, tuple(other[axis] for axis in new), body)):
        parts[axis] = part
    return tuple(parts)


def _transpose(eqn: Eqn, at: Index, body: Body) -> Sources:
    (x,) = eqn.inputs
    source = [Affine({})] * len(at)
    for component, axis in zip(at, eqn.attrs["perm"]):
        source[axis] = component
    return [(x, tuple(source))]


def _slice(eqn: Eqn, at: Index, body: Body) -> Sources:
    (x,) = eqn.inputs
    start, step = eqn.attrs["start"], eqn.attrs["step"]
    return [(x, tuple(i * d + s for i, s, d in zip(at, start, step)))]


_SOURCES: dict[str, Callable[[Eqn, Index, Body], Sources]] = {
    "full": _full,
    "iota": _iota,
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
}

INLINED = frozenset((*_SOURCES, "take"))


def take_index(eqn: Eqn, at: Index) -> tuple[Atom, Index]:
    """The element of the index array that a ``take`` reads first."""
    axis, rank = eqn.attrs["axis"], eqn.inputs[1].type.ndim
    return eqn.inputs[1], at[axis : axis + rank]


def take_source(eqn: Eqn, at: Index, chosen: Affine) -> tuple[Atom, Index]:
    """The element of the operand, once the index value is known."""
    axis, rank = eqn.attrs["axis"], eqn.inputs[1].type.ndim
    return eqn.inputs[0], (*at[:axis], chosen, *at[axis + rank :])


def wrapped(value: Any, extent: int, body: Body) -> Affine:
    """An index value counted from the end when negative, and kept inside the axis."""
    zero, top = sc.const(0, "int64"), sc.const(max(extent - 1, 0), "int64")
    index = body.let(sc.from_end(value, sc.const(extent, "int64")))
    inside = tirx.Max(zero, tirx.Min(index, top))
    return opaque(body.let(inside), 0, max(extent - 1, 1))


class Read:
    """A stored variable read while an element is computed; ``index`` None: at a computed place."""

    __slots__ = ("var", "index")

    def __init__(self, var: Var | None, index: Index | None) -> None:
        self.var = var
        self.index = index


def reads(
    definitions: Mapping[Var, Eqn],
    stored: Container[Var],
    atom: Atom,
    index: Index,
    opened: Atom | None = None,
) -> Iterator[Read]:
    """Every stored variable that the element ``index`` of ``atom`` needs, and where.

    ``opened`` counts as not stored. An iota is reported as a read of no variable, at the component
    it counts.
    """
    scratch = Body()
    seen = set()
    pending = [(atom, index)]
    while pending:
        var, at = pending.pop()
        if not isinstance(var, Var) or (var, key_of(at)) in seen:
            continue
        seen.add((var, key_of(at)))
        if (var in stored and var is not opened) or var not in definitions:
            yield Read(var, at)
            continue
        eqn = definitions[var]
        if eqn.op == "take":
            where = take_index(eqn, at)
            pending.append(where)
            yield from _anywhere(definitions, stored, eqn.inputs[0])
        elif eqn.op == "iota":
            yield Read(None, (at[eqn.attrs["axis"]],))
        else:
            pending.extend(sources(eqn, at, scratch))


def _anywhere(
    definitions: Mapping[Var, Eqn], stored: Container[Var], atom: Atom
) -> Iterator[Read]:
    pending, seen = [atom], set()
    while pending:
        var = pending.pop()
        if not isinstance(var, Var) or var in seen:
            continue
        seen.add(var)
        if var in stored or var not in definitions:
            yield Read(var, None)
        else:
            pending.extend(definitions[var].inputs)
