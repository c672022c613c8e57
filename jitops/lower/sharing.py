"""Find work that is the same: kernels alike, and parts of an array computed from the same values.

Kernels that are the same but for where they read and write are one function.

A Python loop over steps of an array program leaves one kernel for each statement and step. Steps
differ in the arrays they touch, or in an offset into them (``y[:, j] = y[:, j - 1] * a``), which
the entry can pass as pointers; only one step is then scheduled and compiled.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from jitops.graph.graph import Atom, Eqn, Literal, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.sizes import Extent, Size
from jitops.lower.contractions import DotKernel, InnerKernel, PanelKernel
from jitops.lower.frame import Frame, Slot
from jitops.lower.index import Affine, Index, SizeVariable, domain_index, flatten, key_of
from jitops.lower.kernels import (
    FoldStage,
    Kernel,
    MapKernel,
    PositionStage,
    RowKernel,
    StoreStage,
)
from jitops.lower.repeated import RepeatedMap
from jitops.lower.scalar import Body
from jitops.lower.sources import sources

LEAST = 4  # kernels: with fewer, looking costs as much as compiling them all could

# Extents of one axis: with fewer, kernels that know theirs are worth their compile time.
LEAST_EXTENTS = 8


def share(kernels: Sequence[Kernel]) -> None:
    """Make each kernel that is like an earlier one a copy of it (`Frame.original`)."""
    if len(kernels) < LEAST:
        return
    patterns = [p for p in map(pattern_of, kernels) if p is not None]
    alike: dict[Any, list[Pattern]] = {}
    for pattern in patterns:
        alike.setdefault(pattern.key, []).append(pattern)
    for axis, group in _differing_in_one_extent([same[0] for same in alike.values()]):
        _open(axis, group, alike)
    for original, *others in alike.values():
        for pattern in others:
            _copy(pattern, original)


def _copy(pattern: Pattern, original: Pattern) -> None:
    """Let the code of the original run the pattern's kernel."""
    original.frame.shifts = original.shifts()
    pattern.frame.shifts = pattern.shifts()
    pattern.frame.original = original.frame, dict(zip(original.slots, pattern.slots))


def _differing_in_one_extent(patterns: Sequence[Pattern]) -> Iterator[tuple[int, list[Pattern]]]:
    """Groups of many patterns that are equal but for the extent of an axis, and that axis."""
    groups: dict[Any, list[Pattern]] = {}
    for pattern in patterns:
        for axis in pattern.outermost_and_innermost():
            rest = pattern.kernel.domain[:axis], pattern.kernel.domain[axis + 1 :]
            groups.setdefault((axis, rest, pattern.open_key), []).append(pattern)
    taken: set[Pattern] = set()
    for (axis, *_), group in groups.items():
        if len(group) >= LEAST_EXTENTS and taken.isdisjoint(group):
            taken.update(group)
            yield axis, group


def _open(axis: int, group: Sequence[Pattern], alike: dict[Any, list[Pattern]]) -> None:
    """Give the kernels of a group the code of the first, with the axis' extent as an argument."""
    extents = [pattern.kernel.domain[axis] for pattern in group]
    variable = SizeVariable("extent", min(extents), max(extents))
    first = group[0]
    for pattern, extent in zip(group, extents):
        same = alike[pattern.key]
        for one in same:
            one.frame.extents = {variable: extent}
        if pattern is not first:
            alike[first.key].extend(alike.pop(pattern.key))
    domain: list[Extent] = list(first.kernel.domain)
    domain[axis] = Size({variable: 1}, 0)
    first.kernel.domain = tuple(domain)


def pattern_of(kernel: Kernel) -> Pattern | None:
    """The pattern of a kernel; None where its accesses are not affine, or its kind is not known."""
    if not isinstance(kernel, (MapKernel, RowKernel, DotKernel)) or 0 in kernel.domain:
        return None
    if isinstance(kernel, RepeatedMap):
        return None  # it is a loop as well
    if not all(type(extent) is int for extent in kernel.domain):
        return None
    pattern = Pattern(kernel)
    try:
        if isinstance(kernel, MapKernel):
            pattern.add_map(kernel)
        elif isinstance(kernel, DotKernel):
            pattern.add_dot(kernel)
        else:
            pattern.add_row(kernel)
    except _NotAffineError:
        return None
    return pattern


class _NotAffineError(Exception):
    """An index holds more than the loop variables of the domain."""


class Pattern:
    """What a kernel computes, with its slots numbered and offsets counted from their lowest.

    slots: in the order of first use. key: equal keys mean equal code, given the slots' pointers at
    `shifts`.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.frame: Frame = kernel.frame
        self.index = domain_index(kernel.domain)
        self.slots: list[Slot] = []
        self._head = (kernel.kind, len(kernel.domain), getattr(kernel, "axes", None))
        self._axes = {a: n for n, component in enumerate(self.index) for a in component.terms}
        self._numbers: dict[Slot, int] = {}
        self._lowest: list[int] = []
        self._nodes: list[tuple[Any, ...]] = []
        self._known: dict[Any, int] = {}  # (variable, index) or a node -> its number
        self._rows: dict[Var, int] = {}  # a row's results, by the stage that folds them
        self._scratch = Body()
        self._divides = False  # by extents, in places or in the schedule

    @cached_property
    def key(self) -> tuple[Any, ...]:
        return self.kernel.domain, self.open_key

    @cached_property
    def open_key(self) -> tuple[Any, ...]:
        """The key without the domain."""
        nodes = tuple(
            (*node[:-1], node[-1] - self._lowest[node[1]]) if node[0] in ("read", "store") else node
            for node in self._nodes
        )
        types = tuple(slot.type.dtype_name for slot in self.slots)
        return self._head, types, nodes

    def outermost_and_innermost(self) -> set[int]:
        """The axes, of those longer than 1, whose extent the code could take as an argument."""
        if self._divides:
            return set()
        reduced = self.kernel.axes if isinstance(self.kernel, RowKernel) else ()
        long = [axis for axis, extent in enumerate(self.kernel.domain) if extent != 1]
        return {*long[:1], *long[-1:]}.difference(reduced)

    def shifts(self) -> dict[Slot, int]:
        """The lowest constant offset into each slot, in elements."""
        return dict(zip(self.slots, self._lowest))

    def add_map(self, kernel: MapKernel) -> None:
        """All loads come before the stores."""
        places = [flatten(s.place(self.index), s.slot.strides) for s in kernel.stores]
        values = [self.value(s.atom, self._at(s.atom)) for s in kernel.stores]
        for store, place, value in zip(kernel.stores, places, values):
            self._access("store", store.slot, place, value)

    def add_row(self, kernel: RowKernel) -> None:
        """The stages, in order."""
        for n, stage in enumerate(kernel.stages):
            if isinstance(stage, StoreStage):
                at = self.index if stage.whole else kernel.row(self.index)
                slot, value = stage.store.slot, self.value(stage.store.atom, at)
                self._access("store", slot, flatten(at, slot.strides), value)
                continue
            assert isinstance(stage, FoldStage)
            value = self.value(stage.atom, self.index)
            fold = stage.fold
            axis = stage.axis if isinstance(stage, PositionStage) else None
            kind = type(stage).__name__
            self._node((kind, fold.op, fold.dtype, fold.running, axis, value))
            self._rows[stage.var] = n

    def add_dot(self, kernel: DotKernel) -> None:
        """The operands, and what follows each element of the product."""
        b, row, column, depth = self.index
        left = self.value(kernel.left, (b, row, depth))
        if isinstance(kernel, PanelKernel):  # packed for it, and read as a whole
            right = self._access("read", kernel.panels_slot, Affine({}), None)
        else:
            lines = (column, depth) if isinstance(kernel, InnerKernel) else (depth, column)
            right = self.value(kernel.right, (b, *lines))
        self._node((type(kernel).__name__, left, right))
        self._rows[kernel.product] = 0
        self._divides = True  # its schedule is made for its extents
        places = [kernel.place(store, self.index[:3], self._scratch) for store in kernel.stores]
        values = [self.value(s.atom, at) for s, at in zip(kernel.stores, places)]
        for store, place, value in zip(kernel.stores, places, values):
            self._access("store", store.slot, flatten(place, store.slot.strides), value)

    def _at(self, atom: Atom) -> Index:
        return self.index if atom.type.shape else ()

    def value(self, atom: Atom, index: Index) -> int:
        """The number of the node for an element; what it depends on comes before it."""
        known, whole = self._known, self._name(atom, index)
        pending: list[tuple[Any, Atom, Index, list[Any] | None]] = [(whole, atom, index, None)]
        while pending:
            name, top, at, before = pending.pop()
            if name in known:
                continue
            if before is None:
                operands = [(self._name(*o), *o, None) for o in self._operands(top, at)]
                before = [operand[0] for operand in operands]
                missing = [operand for operand in operands if operand[0] not in known]
                if missing:
                    pending += [(name, top, at, before), *missing]
                    continue
            known[name] = self._describe(top, at, [known[one] for one in before])
        return known[whole]

    def _name(self, atom: Atom, at: Index) -> Any:
        if isinstance(atom, Literal):
            return atom.type.dtype_name, atom.value.tobytes()
        return atom, key_of(at)

    def _operands(self, atom: Atom, at: Index) -> list[tuple[Atom, Index]]:
        eqn = self._inlined(atom)
        if eqn is None or eqn.op == "iota":
            return []
        if eqn.op == "take":
            raise _NotAffineError
        if eqn.op == "reshape":
            shapes = (a.type.shape for a in (eqn.output, *eqn.inputs))
            own, new = (tuple(n for n in shape if n != 1) for shape in shapes)
            self._divides = self._divides or own != new
        return sources(eqn, at, self._scratch)

    def _inlined(self, atom: Atom) -> Eqn | None:
        if not isinstance(atom, Var) or atom in self._rows or atom in self.frame.slots:
            return None
        return self.frame.definitions[atom]

    def _describe(self, atom: Atom, at: Index, operands: list[int]) -> int:
        if isinstance(atom, Literal):
            return self._node(("literal", *self._name(atom, at)))
        if atom in self._rows:
            return self._node(("row", self._rows[atom]))
        if atom in self.frame.slots:
            slot = self.frame.slots[atom]
            return self._access("read", slot, flatten(at, slot.strides), None)
        eqn = self.frame.definitions[atom]
        dtype = eqn.output.type.dtype_name
        if eqn.op == "iota":
            count = at[eqn.attrs["axis"]]
            return self._node(("iota", dtype, self._terms(count), count.const))
        if PRIMITIVES[eqn.op].kind != "map":
            return operands[-1]
        taken = eqn.inputs[-1].type.dtype_name
        attrs = tuple(sorted(eqn.attrs.items()))
        return self._node((eqn.op, taken, dtype, attrs, *operands))

    def _access(self, kind: str, slot: Slot, offset: Affine, value: int | None) -> int:
        number = self._numbers.setdefault(slot, len(self.slots))
        if number == len(self.slots):
            self.slots.append(slot)
            self._lowest.append(offset.const)
        self._lowest[number] = min(self._lowest[number], offset.const)
        return self._node((kind, number, self._terms(offset), value, offset.const))

    def _terms(self, offset: Affine) -> tuple[Any, ...]:
        try:
            return tuple(sorted((self._axes[a], c) for a, c in offset.terms.items()))
        except KeyError:
            raise _NotAffineError from None

    def _node(self, node: tuple[Any, ...]) -> int:
        number = self._known.setdefault(node, len(self._nodes))
        if number == len(self._nodes):
            self._nodes.append(node)
        return number


def together(
    parts: Sequence[Atom], definitions: Mapping[Var, Eqn], stored: Container[Var]
) -> list[list[Atom]]:
    """Neighbouring parts of one shape that share computed values, side by side; all in order.

    One kernel then computes what they share once (the results of a small Fourier transform).
    """
    found: list[list[Atom]] = []
    values: set[Var] = set()
    for part in parts:
        own = computed(part, definitions, stored)
        if found and found[-1][0].type.shape == part.type.shape and not values.isdisjoint(own):
            found[-1].append(part)
            values |= own
        else:
            found.append([part])
            values = own
    return found


def computed(atom: Atom, definitions: Mapping[Var, Eqn], stored: Container[Var]) -> set[Var]:
    """The results of map equations that an element of ``atom`` is computed from, if not stored."""
    pending, seen, found = [atom], set(), set()
    while pending:
        var = pending.pop()
        if not isinstance(var, Var) or var in seen or var in stored or var not in definitions:
            continue
        seen.add(var)
        eqn = definitions[var]
        if PRIMITIVES[eqn.op].kind == "map":
            found.add(var)
        pending.extend(eqn.inputs)
    return found
