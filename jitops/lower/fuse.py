"""Cut the graph into kernels: what is computed together, and what is stored in between.

Reductions, scans, contractions and the primitives that assemble an array from regions are the
*roots*: their results are stored (or kept in registers within a row). Everything else is inlined
into its consumers, unless it is a result of the graph, or costly and needed at several places.
Kernels come out in a valid order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jitops.graph.graph import Atom, Eqn, Graph, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.sizes import typical
from jitops.graph.types import Shape, strides_of
from jitops.lower.cost import CHEAP, weight
from jitops.lower.index import Index, domain_index, flatten, key_of
from jitops.lower.selection import kth_scratch
from jitops.lower.sorting import sort_scratch
from jitops.lower.sources import Read, reads

REGIONS = ("update", "pad", "concatenate")
IN_PLACE = ("update", "scatter")  # they may write into the memory of their first operand
ROOTS = ("reduce", "scan", "sort", "scatter", "dot", "control", "host")  # kinds

# Rows are fused with what follows them only if they are many, or all of it is small.
MIN_ROWS = 16
SMALL = 1 << 16

# One kernel stores no more than this: what a Python loop leaves side by side would become a kernel
# without end, where many that are alike share one function (`jitops.lower.sharing`).
MOST_OUTPUTS = 16


SCRATCH = {"sort": sort_scratch, "argsort": sort_scratch, "kth": kth_scratch}


class Group:
    """Equations computed by one kernel; ``outputs`` are the variables it stores."""

    kind: str

    def __init__(self, outputs: Iterable[Var]) -> None:
        self.outputs = list(outputs)
        self.scratch: list[Var] = []  # memory that the kernel needs while it runs


class MapGroup(Group):
    """Stores elements of one domain, each at its own index."""

    kind = "map"

    def __init__(self, domain: Shape) -> None:
        super().__init__(())
        self.domain = domain


class RowGroup(Group):
    """Reductions of one domain over the same axes, and the elements and rows computed from them."""

    kind = "row"

    def __init__(self, domain: Shape, axes: tuple[int, ...]) -> None:
        super().__init__(())
        self.domain = domain
        self.axes = axes
        self.reductions: list[Eqn] = []

    @property
    def kept(self) -> tuple[int, ...]:
        return tuple(a for a in range(len(self.domain)) if a not in self.axes)

    @property
    def row_shape(self) -> Shape:
        return tuple(self.domain[a] for a in self.kept)

    def fuses_followers(self) -> bool:
        """Whether consumers of whole rows join: with rows for all cores, or little work."""
        rows = total = 1
        for axis, extent in enumerate(self.domain):
            total *= extent
            rows *= 1 if axis in self.axes else extent
        inner_reduced = not self.domain or len(self.domain) - 1 in self.axes
        return inner_reduced and (typical(rows) >= MIN_ROWS or typical(total) <= SMALL)


class RootGroup(Group):
    """One equation by itself: regions, scan, sort, scatter, contraction; or control flow."""

    def __init__(self, eqn: Eqn) -> None:
        super().__init__(eqn.outputs)
        self.kind = "regions" if eqn.op in REGIONS else PRIMITIVES[eqn.op].kind
        self.eqn = eqn
        if self.kind == "sort":
            self.scratch = SCRATCH[eqn.op](eqn)


class DotGroup(RootGroup):
    """A contraction, and what is computed from each of its elements."""

    kind = "dot"


def fuse(graph: Graph, outcome: Var | None = None, guarded: bool = False) -> list[Group]:
    """The kernels of a simplified graph, in order; its results are distinct equation outputs.

    ``outcome`` is stored like a result, and ``guarded`` by it is what its equations do not need.
    """
    if outcome is not None:
        graph = Graph(graph.params, graph.eqns, [*graph.results, outcome])
    return _Fuser(graph).run(outcome if guarded else None)


def is_root(eqn: Eqn) -> bool:
    return PRIMITIVES[eqn.op].kind in ROOTS or eqn.op in REGIONS


class _Fuser:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.definitions = graph.definitions()
        self.stored = stored_variables(graph)
        self.groups: list[Group] = []
        self.home: dict[Var, int] = {}  # stored variable -> its group's position
        self.open = 0  # nothing joins groups before this one any more

    def run(self, first: Var | None = None) -> list[Group]:
        """All groups; what does not lead to ``first`` comes after it."""
        for eqn in self.graph.eqns:
            var = eqn.outputs[0]
            if first in self.home and not self.open:
                self.open = len(self.groups)
            if PRIMITIVES[eqn.op].kind == "reduce":
                self._place_reduction(eqn)
            elif is_root(eqn):
                kind = DotGroup if PRIMITIVES[eqn.op].kind == "dot" else RootGroup
                self._open(kind(eqn), *eqn.outputs)
            elif var in self.stored:
                self._place_map(var)
        return self.groups

    def _open(self, group: Any, *variables: Var) -> Any:
        self.groups.append(group)
        for var in variables:
            self.home[var] = len(self.groups) - 1
        return group

    def _join(self, position: int, var: Var) -> None:
        self.groups[position].outputs.append(var)
        self.home[var] = position

    def _place_map(self, var: Var) -> None:
        for position in self._candidates(_operands(self.definitions[var])):
            group = self.groups[position]
            if isinstance(group, MapGroup) and self._fits_map(group, var, position):
                self._join(position, var)
                return
            if isinstance(group, DotGroup) and self._fits_dot(group, var, position):
                self._join(position, var)
                return
            if isinstance(group, RowGroup) and self._fits_row(group, var, position):
                self._join(position, var)
                return
        group = self._open(MapGroup(var.type.shape), var)
        group.outputs.append(var)

    def _place_reduction(self, eqn: Eqn) -> None:
        (x,) = eqn.inputs
        for position in self._candidates([x]):
            group = self.groups[position]
            if not isinstance(group, RowGroup) or group.domain != x.type.shape:
                continue
            if group.axes == eqn.attrs["axes"] and self._reads_fit(group, x, position):
                group.reductions.append(eqn)
                self._join(position, eqn.output)
                return
        group = self._open(RowGroup(x.type.shape, eqn.attrs["axes"]), eqn.output)
        group.outputs.append(eqn.output)
        group.reductions.append(eqn)

    def _candidates(self, atoms: Iterable[Atom]) -> list[int]:
        """Positions of groups that a reader of these atoms may join: none of them is made later."""
        latest = self.open
        pending, seen = list(atoms), set()
        while pending:
            var = pending.pop()
            if not isinstance(var, Var) or var in seen:
                continue
            seen.add(var)
            if var in self.home:
                latest = max(latest, self.home[var])
            elif var in self.definitions:
                pending.extend(_operands(self.definitions[var]))
        positions = range(len(self.groups) - 1, latest - 1, -1)
        return [n for n in positions if len(self.groups[n].outputs) < MOST_OUTPUTS]

    def _fits_map(self, group: MapGroup, var: Var, position: int) -> bool:
        if group.domain != var.type.shape:
            return False
        index = domain_index(group.domain)
        return all(
            read.index is not None and key_of(read.index) == key_of(index)
            for read in self._reads(var, index)
            if read.var is not None and self.home.get(read.var) == position
        )

    def _fits_dot(self, group: DotGroup, var: Var, position: int) -> bool:
        """Elements each computed from the product's element at the same offset."""
        product = group.eqn.output
        if var.type.size != product.type.size:
            return False
        index = domain_index(var.type.shape)
        here = flatten(index, strides_of(var.type.shape)).key()
        found = [
            read
            for read in self._reads(var, index)
            if read.var is not None and self.home.get(read.var) == position
        ]
        return bool(found) and all(
            read.var is product
            and read.index is not None
            and flatten(read.index, strides_of(product.type.shape)).key() == here
            for read in found
        )

    def _fits_row(self, group: RowGroup, var: Var, position: int) -> bool:
        """Elements of the domain, or of the rows, computed from this group's reductions."""
        if not group.fuses_followers() and var.type.shape != group.row_shape:
            return False
        if var.type.shape not in (group.domain, group.row_shape):
            return False
        return self._reads_fit(group, var, position)

    def _reads_fit(self, group: RowGroup, atom: Atom, position: int) -> bool:
        """Whatever this group makes is read at the current row, so that a register can hold it."""
        if not isinstance(atom, Var):
            return True
        index = domain_index(group.domain)
        row = tuple(index[a] for a in group.kept)
        whole = atom.type.shape == group.domain
        rows = {eqn.output for eqn in group.reductions}
        for read in self._reads(atom, index if whole else row):
            if read.var is None or self.home.get(read.var) != position:
                continue
            if not group.fuses_followers() and whole:
                return False
            if read.var not in rows or read.index is None or key_of(read.index) != key_of(row):
                return False
        return True

    def _reads(self, atom: Atom, index: Index) -> Iterable[Read]:
        """What computing ``atom`` reads; the atom itself, unless a root, counts as not stored."""
        eqn = self.definitions.get(atom) if isinstance(atom, Var) else None
        opened = None if eqn is not None and is_root(eqn) else atom
        return reads(self.definitions, self.stored, atom, index, opened)


def _operands(eqn: Eqn) -> list[Var]:
    return [a for a in eqn.inputs if isinstance(a, Var)]


def stored_variables(graph: Graph) -> frozenset[Var]:
    """What lives in memory: results, roots, and costly values that several places need.

    Walks backwards with each variable's *demand*: the set of places where its elements are needed.
    Through map equations the place stays the same (the value is computed once per element); each
    index equation and each root is a place of its own.
    """
    demand: dict[Var, set[Any]] = {}
    price = _inline_costs(graph)
    stored: set[Var] = set()
    results = {a for a in graph.results if isinstance(a, Var)}
    for eqn in reversed(graph.eqns):
        if PRIMITIVES[eqn.op].kind in ("control", "host"):
            stored.update(eqn.outputs, _operands(eqn))
            continue
        var = eqn.outputs[0]
        places = demand.get(var, set())
        if var in results:
            places = places | {var.type.shape}
        costly = price.get(var, 0) > CHEAP
        if var in results or is_root(eqn) or (costly and len(places) > 1) or var in stored:
            stored.add(var)
        if PRIMITIVES[eqn.op].kind == "dot" or eqn.op == "kth":
            stored.update(_operands_in_memory(eqn, price))
        if is_root(eqn):
            places = {eqn.inputs[0].type.shape} if _is_reduce(eqn) else {id(eqn)}
        elif var in stored:
            places = {var.type.shape}
        elif PRIMITIVES[eqn.op].kind != "map":
            repeats = 2 if _repeats(eqn) else 1
            places = {(place, id(eqn), n) for place in places for n in range(repeats)}
        for operand in _operands(eqn):
            demand.setdefault(operand, set()).update(places)
    return frozenset(stored | _hazards(graph, stored))


def _operands_in_memory(eqn: Eqn, price: dict[Var, int]) -> list[Var]:
    """Panels, and what contractions and selections read many times, unless it is in memory."""
    packed = eqn.inputs[1:] if eqn.op == "dot_panels" else ()
    return [v for v in _operands(eqn) if v in packed or price.get(v, 0) > 0]


def _is_reduce(eqn: Eqn) -> bool:
    return PRIMITIVES[eqn.op].kind == "reduce"


def _repeats(eqn: Eqn) -> bool:
    """Whether an element of the operand is needed many times, and not just along the inner loop."""
    if eqn.op == "take":
        return typical(eqn.output.type.size) > typical(eqn.inputs[0].type.size)
    if eqn.op != "broadcast":
        return False
    (x,) = eqn.inputs
    larger = typical(eqn.output.type.size) > typical(x.type.size)
    return x.type.ndim > 0 and x.type.shape[-1] > 1 and larger


def _inline_costs(graph: Graph) -> dict[Var, int]:
    """The cost of computing one element of each variable from stored ones."""
    price: dict[Var, int] = {}
    for eqn in graph.eqns:
        below = 0 if is_root(eqn) else sum(price.get(v, 0) for v in _operands(eqn))
        price[eqn.outputs[0]] = min(weight(eqn) + below, 1 << 20)
    return price


def _hazards(graph: Graph, stored: set[Var]) -> set[Var]:
    """New values of an ``update`` or ``scatter`` that read its target elsewhere: stored first."""
    definitions = graph.definitions()
    found: set[Var] = set()
    closed = set(stored)
    for eqn in graph.eqns:
        if eqn.op not in IN_PLACE:
            continue
        target, *operands = eqn.inputs
        if isinstance(target, Var):
            closed.add(target)
        for new in operands:
            if new in stored or new not in definitions:
                continue
            at = domain_index(new.type.shape)
            place = _updated(eqn, at)
            for read in reads(definitions, closed, new, at):
                if read.var is target and (read.index is None or key_of(read.index) != place):
                    found.add(new)
                    break
        if target not in stored:
            closed.discard(target)
    return found


def _updated(eqn: Eqn, at: Index) -> Any:
    """Which element of its target an ``update`` writes for a new one; None if computed."""
    if eqn.op == "scatter":
        return None
    start, step = eqn.attrs["start"], eqn.attrs["step"]
    return key_of(tuple(i * d + s for i, s, d in zip(at, start, step)))
