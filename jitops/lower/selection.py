"""Selections: long lines of which few elements are wanted need no sort.

A pass finds sorts that are read at few places, such as those of medians and quantiles, and asks for
these elements alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from jitops.graph.evaluate import apply
from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.sizes import is_open
from jitops.graph.types import ArrayType
from jitops.lower import scalar as sc
from jitops.lower.frame import Frame, Scope, Slot
from jitops.lower.index import Index
from jitops.lower.kernels import element_cost
from jitops.lower.scalar import Expr
from jitops.lower.sorting import LineKernel, ordered_bits, value_of_bits

LEAST_LENGTH = 1 << 13  # of a line that is worth the tables
MOST_PLACES = 2  # found by a selection each
SMALL = 8  # elements of an index that is looked through

PIECES = 8  # of a line that the cores share
FEW_ROWS = 8  # up to which they do
LONG = 1 << 15

Rewrite = Callable[[Graph, Any], Graph]
Chosen = tuple[int, int]  # of a selection: the first place, and how many


def select(graph: Graph, rewrite: Rewrite) -> Graph:
    """Read few elements of sorted lines from selections."""
    places = _places_read(graph)
    if not places:
        return graph
    rules = {
        "slice": lambda eqn, builder: _slice(eqn, builder, places),
        "take": lambda eqn, builder: _take(eqn, builder, places),
    }
    return rewrite(graph, rules)


def _places_read(graph: Graph) -> dict[Var, list[Chosen]]:
    """The sorts that are read at few places, and the selections that give them."""
    definitions = graph.definitions()
    found: dict[Var, set[int]] = {}
    for eqn in graph.eqns:
        if eqn.op == "sort" and eqn.output not in graph.results:
            shape = eqn.output.type.shape
            if not any(map(is_open, shape)) and shape[-1] >= LEAST_LENGTH and 0 not in shape:
                found[eqn.output] = set()
        for operand in eqn.inputs:
            if isinstance(operand, Var) and operand in found:
                places = _read_by(eqn, definitions)
                if places is None:
                    del found[operand]
                else:
                    found[operand].update(places)
    chosen = {var: _chosen(places, var.type.shape[-1]) for var, places in found.items()}
    return {var: places for var, places in chosen.items() if len(places) <= MOST_PLACES}


def _chosen(places: set[int], length: int) -> list[Chosen]:
    """Selections that give all places but the last one: the first place, how many."""
    chosen: list[Chosen] = []
    for place in sorted(places - {length - 1}):
        if chosen and chosen[-1] == (place - 1, 1):
            chosen[-1] = (place - 1, 2)
        else:
            chosen.append((place, 1))
    return chosen


def _read_by(eqn: Eqn, definitions: Mapping[Var, Eqn]) -> list[int] | None:
    """Where a slice or a take reads the last axis of its operand; None for all else."""
    x = eqn.inputs[0].type
    if eqn.op == "slice" and eqn.attrs["size"][-1] <= SMALL:
        first, step, size = (eqn.attrs[name][-1] for name in ("start", "step", "size"))
        return [first + n * step for n in range(size)]
    if eqn.op == "take" and eqn.attrs["axis"] == x.ndim - 1 and eqn.inputs[1] is not eqn.inputs[0]:
        index = _constant(eqn.inputs[1], definitions)
        if index is not None and index.ndim == 1:
            return [int(place) % x.shape[-1] for place in index]
    return None


def _constant(atom: Atom, definitions: Mapping[Var, Eqn]) -> Any:
    """The value of a small array made of literals; None for others."""
    if isinstance(atom, Literal):
        return atom.value
    eqn = definitions.get(atom)
    if eqn is None or is_open(atom.type.size) or atom.type.size > SMALL:
        return None
    if PRIMITIVES[eqn.op].kind not in ("map", "index"):
        return None
    operands = [_constant(a, definitions) for a in eqn.inputs]
    if any(value is None for value in operands):
        return None
    with np.errstate(all="ignore"):
        return apply(eqn, operands)


def _slice(eqn: Eqn, builder: Any, places: Mapping[Var, list[Chosen]]) -> Atom | None:
    (line,) = eqn.inputs
    if not isinstance(line, Var) or line not in places:
        return None
    read = _read_by(eqn, builder.definitions)
    assert read is not None
    whole = _elements(line, read, places[line], builder)
    attrs = {name: (*eqn.attrs[name][:-1], last) for name, last in _ALL}
    attrs["size"] = eqn.attrs["size"]
    return builder.emit("slice", whole, **attrs)  # type: ignore[no-any-return]


_ALL = (("start", 0), ("step", 1))


def _take(eqn: Eqn, builder: Any, places: Mapping[Var, list[Chosen]]) -> Atom | None:
    line = eqn.inputs[0]
    if not isinstance(line, Var) or line not in places:
        return None
    read = _read_by(eqn, builder.definitions)
    assert read is not None
    return _elements(line, read, places[line], builder)


def _elements(line: Any, read: Sequence[int], chosen: Sequence[Chosen], builder: Any) -> Atom:
    """These elements of each sorted line, along its last axis."""
    (x,) = builder.definitions[line].inputs
    above = builder.definition(x)
    if above is not None and above.op == "transpose":
        x = builder.emit("cast", x, dtype=x.type.dtype_name)  # a copy: it is read several times
    parts = [_element(x, place, chosen, builder) for place in read]
    if len(parts) == 1:
        return parts[0]
    return builder.emit("concatenate", *parts, axis=x.type.ndim - 1)  # type: ignore[no-any-return]


def _element(x: Atom, place: int, chosen: Sequence[Chosen], builder: Any) -> Atom:
    """The element at a place of each sorted line, along a last axis of one."""
    shape = (*x.type.shape[:-1], 1)
    for k, count in chosen:
        if k <= place < k + count:
            found = builder.emit("kth", x, k=k, count=count)
            start = (*(0,) * (x.type.ndim - 1), place - k)
            return builder.emit("slice", found, start=start, step=(1,) * len(start), size=shape)  # type: ignore[no-any-return]
    largest = builder.emit("reduce_max", x, axes=(x.type.ndim - 1,))  # NaN wins here too
    return builder.emit("reshape", largest, shape=shape)  # type: ignore[no-any-return]


class KthKernel(LineKernel):
    """``out[..., :]`` is the ``k``-th smallest of ``x[..., :]``, or that and the next one.

    Keys are those of sorts. ``scratch``: room for the candidates of a line, and a table of counts
    for each of its pieces.
    """

    def __init__(
        self, frame: Frame, eqn: Eqn, slots: Mapping[Var, Slot], scratch: list[Slot]
    ) -> None:
        super().__init__(frame, eqn, slots, scratch)
        self.k: int = eqn.attrs["k"]
        self.count: int = eqn.attrs["count"]
        self.key = f"uint{self.key_bits}"
        self.pieces = pieces_of(self.domain)
        self.work = 2 * element_cost(frame, [self.atom]) + 50

    def record(self, index: Index, scope: Scope) -> Expr:
        """The element's key."""
        value = self.frame.value(self.atom, index, scope)
        return scope.let(ordered_bits(scope, value, self.dtype, same_zeros=False))

    def store(self, index: Index, key: Expr, scope: Scope) -> None:
        value = scope.let(value_of_bits(scope, key, self.dtype))
        self.frame.store(self.slot, index, value, scope)


def pieces_of(shape: Sequence[int]) -> int:
    """Into how many pieces each line is cut; 1 where the lines are enough for all cores."""
    return PIECES if prod(shape[:-1]) < FEW_ROWS and shape[-1] >= LONG else 1


def digits_of(key_bits: int, length: int) -> list[tuple[int, int]]:
    """The digits from the most significant on: lowest bit, bits. Wide ones leave few candidates."""
    wide = 11 if key_bits > 16 else 8
    found: list[tuple[int, int]] = []
    high = key_bits
    while high:
        width = min(high, wide if not found or length >= LONG else 8)
        high -= width
        found.append((high, width))
    return found


def kth_scratch(eqn: Eqn) -> list[Var]:
    """What a selection needs in the workspace; lines one after the other share it."""
    x = eqn.inputs[0].type
    bits = sc.bits_of(x.dtype.name)
    pieces = pieces_of(x.shape)
    rows = x.shape[:-1] if pieces == 1 else ()
    found = [Var(ArrayType((*rows, x.shape[-1] + pieces), f"uint{bits}"))]
    if pieces > 1:
        _, width = digits_of(bits, x.shape[-1])[0]
        found.append(Var(ArrayType((pieces, 1 << width), "int64")))
    return found


__all__ = ["KthKernel", "digits_of", "kth_scratch", "pieces_of", "select"]
