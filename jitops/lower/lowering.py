"""Graph to kernels: simplify, fuse, place in memory, and describe each kernel to the scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jitops.graph.dynamic import variables
from jitops.graph.graph import Eqn, Graph, Var, with_sizes
from jitops.graph.sizes import Extent, Size, affine, symbols_in
from jitops.graph.types import Shape
from jitops.lower.checks import with_checks
from jitops.lower.contractions import DOT_KERNELS, DotKernel
from jitops.lower.frame import Frame, Slot, Without
from jitops.lower.fuse import DotGroup, Group, MapGroup, RootGroup, RowGroup, fuse
from jitops.lower.hosts import HostStep, own_operands
from jitops.lower.index import SizeVariable
from jitops.lower.kernels import Kernel, MapKernel, Store, row_kernel
from jitops.lower.memory import Memory, Piece, place
from jitops.lower.region import Region, copy
from jitops.lower.scans import ScanKernel
from jitops.lower.scatters import ScatterKernel
from jitops.lower.selection import KthKernel
from jitops.lower.sharing import share, together
from jitops.lower.simplify import own_results, simplify
from jitops.lower.sorting import SortKernel
from jitops.lower.stash import stash
from jitops.lower.steps import Branch, Step, cost, kernels


class Lowered:
    """What one call does, step by step, the bytes of workspace, and the entry's arguments.

    ``steps``: kernels, control flow around kernels, and host steps (`jitops.lower.steps`).
    ``arguments``: how many the entry takes. ``checked``: byte `memory.OUTCOME` of the workspace is
    the number of the failure that a call found (`jitops.failures`). ``sizes``: of each open size,
    the position of the argument that holds it.
    """

    __slots__ = ("arguments", "checked", "sizes", "steps", "workspace")

    def __init__(
        self,
        steps: Sequence[Step],
        workspace: Extent,
        arguments: int,
        checked: bool = False,
        sizes: Mapping[SizeVariable, int] | None = None,
    ) -> None:
        self.checked = checked
        self.sizes = sizes or {}
        self.steps = tuple(steps)
        self.workspace = workspace
        self.arguments = arguments

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """All kernels, those of bodies once."""
        return tuple(kernels(self.steps))

    def cost(self, name: str = "") -> float:
        """Cost units of one call where the open size of this name is 1 and the others are 0."""
        return cost(self.steps, lambda symbol: int(symbol.name == name))


def lower(
    graph: Graph,
    strides: Sequence[Shape | None],
    written: Mapping[int, int],
    vector_bits: int = 256,
    sizes: Mapping[str, int] | None = None,
) -> Lowered:
    """Kernels for a graph.

    ``strides``: each parameter's element strides, None for C order. ``written``: parameter position
    to the position of the result that replaces its contents; the other results are fresh outputs,
    in order. ``vector_bits``: the width of the target's vector registers.
    ``sizes``: the name of each open size to the position of the parameter that holds it.
    """
    graph, opened = with_variables(graph, sizes or {})
    graph, checked = with_checks(graph, first=bool(written))
    lying = dict(zip(graph.params, strides))
    graph = own_operands(own_results(simplify(graph, vector_bits, lying)))
    outcome = graph.results[-1] if checked else None
    graph = Graph(graph.params, graph.eqns, graph.results[:-1]) if checked else graph
    fresh = [r.type for n, r in enumerate(graph.results) if n not in written.values()]
    types = [*(p.type for p in graph.params), *fresh]
    layouts = [*strides, *[None] * len(fresh)]
    given = [Slot(t, ("argument", n), s) for n, (t, s) in enumerate(zip(types, layouts))]
    lowering = Lowering(vector_bits)
    steps = lowering.steps(graph, given, written, outcome)  # type: ignore[arg-type]
    share(tuple(kernels(steps)))
    return Lowered(steps, lowering.workspace, len(given), checked, opened)


def with_variables(
    graph: Graph, sizes: Mapping[str, int]
) -> tuple[Graph, dict[SizeVariable, int]]:
    """The graph with a TIR variable behind each open size, and the positions they are given at."""
    if not sizes:
        return graph, {}
    found = symbols_in(var.type.shape for var in variables(graph))
    made = {s: SizeVariable(s.name, s.low, s.high) for s in found}

    def replace(size: Size) -> Extent:
        return affine({made[s]: c for s, c in size.terms.items()}, size.const)

    return with_sizes(graph, replace), {made[s]: sizes[s.name] for s in found}


class Lowering:
    """Lowers graphs that share one workspace: a graph, and those that its equations hold."""

    def __init__(self, vector_bits: int) -> None:
        self.vector_bits = vector_bits
        self.workspace: Extent = 0

    def steps(
        self,
        graph: Graph,
        given: Sequence[Slot],
        written: Mapping[int, int],
        outcome: Var | None = None,
        busy: Sequence[Piece] = (),
    ) -> list[Step]:
        """The steps of a simplified graph whose results are outputs of its equations.

        ``given``: the slots of the parameters and of the fresh results. ``busy``: pieces of the
        workspace that are not this graph's.
        """
        new_values = {graph.params[p]: graph.results[r] for p, r in written.items()}
        guarded = outcome is not None and bool(written)
        groups = fuse(graph, outcome, guarded)
        memory = place(graph, groups, given, new_values, outcome, busy)  # type: ignore[arg-type]
        self.workspace = max(self.workspace, memory.workspace)
        definitions = graph.definitions()
        steps: list[Step] = []
        checks: list[Step] = []
        # Host steps stay outside of the branch; no argument is written before the last of them.
        early = [n for n, g in enumerate(groups) if g.kind == "host" or outcome in g.outputs]
        last = max(early, default=-1)
        for n, group in enumerate(groups):
            if isinstance(group, DotGroup):
                steps.append(_contraction(group, definitions, memory, self.vector_bits))
            elif isinstance(group, RootGroup) and group.kind == "host":
                steps.append(HostStep(group.eqn, memory.slots))
            elif isinstance(group, RootGroup) and group.kind == "control":
                steps.extend(Region(self, group.eqn, definitions, memory, memory.busy(n)).steps())
            else:
                steps.extend(_kernels(group, definitions, memory))
            if guarded and n == last:
                checks, steps = steps, []
        for new, param in memory.copies:
            steps.append(copy(definitions, memory, memory.slots[param], new))
        # No argument is written once a check has failed.
        return [*checks, Branch(memory.slots[outcome], (), steps)] if guarded else steps  # type: ignore[index]


def _kernels(group: Group, definitions: Mapping[Var, Eqn], memory: Memory) -> list[Kernel]:
    if isinstance(group, MapGroup):
        frame = _frame(definitions, memory, group.outputs)
        return [MapKernel(frame, group.domain, [Store(memory.slots[v], v) for v in group.outputs])]
    if isinstance(group, RowGroup):
        frame = _frame(definitions, memory, group.outputs)
        reduced = {eqn.output for eqn in group.reductions}
        frame.definitions = Without(definitions, reduced)
        needed = [v for v in group.outputs if v not in reduced or v in memory.needed]
        kernel = row_kernel(frame, group.domain, group.reductions, needed, memory.slots)
        if group.fuses_followers():
            stash(kernel)
        return [kernel]
    assert isinstance(group, RootGroup)
    if group.kind == "regions":
        return _regions(group.eqn, definitions, memory)
    frame = _frame(definitions, memory, group.outputs)
    if group.kind == "sort":
        scratch = [memory.slots[v] for v in group.scratch]
        kind = KthKernel if group.eqn.op == "kth" else SortKernel
        return [kind(frame, group.eqn, memory.slots, scratch)]
    if group.kind == "scatter":
        return _scatter(frame, group.eqn, memory)
    return [ScanKernel(frame, group.eqn, memory.slots)]


def _scatter(frame: Frame, eqn: Eqn, memory: Memory) -> list[Kernel]:
    """The base, unless it is in place already, then what is written into it."""
    scatter = ScatterKernel(frame, eqn, memory.slots)
    if eqn.output in memory.in_place:
        return [scatter]
    store = Store(memory.slots[eqn.output], eqn.inputs[0])
    base = Frame(frame.definitions, frame.slots)
    return [MapKernel(base, eqn.output.type.shape, [store]), scatter]


def _frame(definitions: Mapping[Var, Eqn], memory: Memory, own: Sequence[Var]) -> Frame:
    return Frame(definitions, Without(memory.slots, set(own)))


def _contraction(
    group: DotGroup, definitions: Mapping[Var, Eqn], memory: Memory, vector_bits: int
) -> DotKernel:
    frame = _frame(definitions, memory, group.outputs)
    stores = [Store(memory.slots[v], v) for v in group.outputs if v in memory.needed]
    return DOT_KERNELS[group.eqn.op](frame, group.eqn, stores, vector_bits)


def _regions(eqn: Eqn, definitions: Mapping[Var, Eqn], memory: Memory) -> list[Kernel]:
    """Map kernels for the regions of the result, the base or the filling first."""
    var, slot = eqn.output, memory.slots[eqn.output]
    pieces: list[tuple[Shape, list[Store]]] = []
    rank = var.type.ndim
    if eqn.op == "update":
        if var not in memory.in_place:
            pieces.append((var.type.shape, [Store(slot, eqn.inputs[0])]))
        new = eqn.inputs[1]
        store = Store(slot, new, eqn.attrs["start"], eqn.attrs["step"])
        pieces.append((new.type.shape, [store]))
    elif eqn.op == "pad":
        x, value = eqn.inputs
        boxes = _margins(x.type.shape, eqn, var.type.shape)
        pieces.extend((shape, [Store(slot, value, *place)]) for shape, *place in boxes)
        pieces.append((x.type.shape, [Store(slot, x, eqn.attrs["low"], (1,) * rank)]))
    else:
        start = [0] * rank
        for parts in together(eqn.inputs, definitions, memory.slots):
            pieces.append((parts[0].type.shape, []))
            for part in parts:
                pieces[-1][1].append(Store(slot, part, start))
                start[eqn.attrs["axis"]] += part.type.shape[eqn.attrs["axis"]]
    return [
        MapKernel(_frame(definitions, memory, [var]), shape, stores)
        for shape, stores in pieces
        if 0 not in shape
    ]


def _margins(
    inner: Shape, eqn: Eqn, outer: Shape
) -> list[tuple[Shape, Shape | None, Shape | None]]:
    """Boxes that cover what a pad adds: below and above along each axis, without overlap."""
    low = eqn.attrs["low"]
    boxes: list[tuple[Shape, Shape | None, Shape | None]] = []
    rank = len(inner)
    for axis in range(rank):
        high_start = low[axis] + inner[axis]
        for start, extent in ((0, low[axis]), (high_start, outer[axis] - high_start)):
            first = (*low[:axis], start, *(0,) * (rank - axis - 1))
            size = (*inner[:axis], extent, *outer[axis + 1 :])
            boxes.append((size, first, (1,) * rank))
    return boxes
