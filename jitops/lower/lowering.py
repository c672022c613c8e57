"""Graph to kernels: simplify, fuse, place in memory, and describe each kernel to the scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jitops.graph.graph import Atom, Eqn, Graph, Var
from jitops.graph.types import ArrayType, Shape
from jitops.lower.checks import with_checks
from jitops.lower.contractions import DotKernel
from jitops.lower.frame import Frame
from jitops.lower.fuse import DotGroup, Group, MapGroup, RootGroup, RowGroup, fuse
from jitops.lower.kernels import Kernel, MapKernel, Store, row_kernel
from jitops.lower.memory import Memory, place
from jitops.lower.scans import ScanKernel
from jitops.lower.simplify import simplify
from jitops.lower.sorting import SortKernel


class Lowered:
    """Kernels in order, the bytes of workspace they share, and how many arguments the entry takes.

    ``checked``: byte `memory.OUTCOME` of the workspace is 1 after a call with an index out of
    bounds.
    """

    __slots__ = ("kernels", "workspace", "arguments", "checked")

    def __init__(
        self, kernels: Sequence[Kernel], workspace: int, arguments: int, checked: bool = False
    ) -> None:
        self.checked = checked
        self.kernels = tuple(kernels)
        self.workspace = workspace
        self.arguments = arguments

    def cost(self) -> float:
        """Cost units of one call."""
        return sum(kernel.cost() for kernel in self.kernels)


def lower(
    graph: Graph,
    strides: Sequence[Shape | None],
    written: Mapping[int, int],
    vector_bits: int = 256,
) -> Lowered:
    """Kernels for a graph.

    ``strides``: each parameter's element strides, None for C order. ``written``: parameter position
    to the position of the result that replaces its contents; the other results are fresh outputs,
    in order. ``vector_bits``: the width of the target's vector registers.
    """
    graph, checked = with_checks(graph)
    graph = own_results(simplify(graph, vector_bits))
    outcome = graph.results[-1] if checked else None
    graph = Graph(graph.params, graph.eqns, graph.results[:-1]) if checked else graph
    new_values = {graph.params[p]: graph.results[r] for p, r in written.items()}
    groups = fuse(graph, outcome)  # type: ignore[arg-type]
    memory = place(graph, groups, strides, new_values, outcome)  # type: ignore[arg-type]
    definitions = graph.definitions()
    kernels: list[Kernel] = []
    for group in groups:
        if isinstance(group, DotGroup):
            kernels.append(_contraction(group, definitions, memory, vector_bits))
        else:
            kernels.extend(_kernels(group, definitions, memory))
    for new, param in memory.copies:
        kernels.append(_copy(definitions, memory, param, new))
    fresh = len(graph.results) - len(written)
    return Lowered(kernels, memory.workspace, len(graph.params) + fresh, checked)


def own_results(graph: Graph) -> Graph:
    """Make the results distinct outputs of equations, by copies where they are not."""
    eqns, results = list(graph.eqns), []
    seen: set[Atom] = set(graph.params)
    for atom in graph.results:
        if not isinstance(atom, Var) or atom in seen:
            copy = Var(ArrayType(atom.type.shape, atom.type.dtype))
            eqns.append(Eqn("cast", [atom], [copy], {"dtype": atom.type.dtype.name}))
            atom = copy
        seen.add(atom)
        results.append(atom)
    return Graph(graph.params, eqns, results)


def _kernels(group: Group, definitions: Mapping[Var, Eqn], memory: Memory) -> list[Kernel]:
    if isinstance(group, MapGroup):
        frame = _frame(definitions, memory, group.outputs)
        return [MapKernel(frame, group.domain, [Store(memory.slots[v], v) for v in group.outputs])]
    if isinstance(group, RowGroup):
        frame = _frame(definitions, memory, group.outputs)
        reduced = {eqn.output for eqn in group.reductions}
        frame.definitions = {v: e for v, e in definitions.items() if v not in reduced}
        needed = [v for v in group.outputs if v not in reduced or v in memory.needed]
        return [row_kernel(frame, group.domain, group.reductions, needed, memory.slots)]
    assert isinstance(group, RootGroup)
    if group.kind == "regions":
        return _regions(group.eqn, definitions, memory)
    frame = _frame(definitions, memory, group.outputs)
    if group.kind == "sort":
        scratch = [memory.slots[v] for v in group.scratch]
        return [SortKernel(frame, group.eqn, memory.slots, scratch)]
    return [ScanKernel(frame, group.eqn, memory.slots)]


def _frame(definitions: Mapping[Var, Eqn], memory: Memory, own: Sequence[Var]) -> Frame:
    mine = set(own)
    return Frame(definitions, {v: s for v, s in memory.slots.items() if v not in mine})


def _contraction(
    group: DotGroup, definitions: Mapping[Var, Eqn], memory: Memory, vector_bits: int
) -> DotKernel:
    frame = _frame(definitions, memory, group.outputs)
    stores = [Store(memory.slots[v], v) for v in group.outputs if v in memory.needed]
    return DotKernel(frame, group.eqn, stores, vector_bits)


def _copy(definitions: Mapping[Var, Eqn], memory: Memory, target: Var, source: Atom) -> MapKernel:
    frame = Frame(definitions, memory.slots)
    return MapKernel(frame, target.type.shape, [Store(memory.slots[target], source)])


def _regions(eqn: Eqn, definitions: Mapping[Var, Eqn], memory: Memory) -> list[Kernel]:
    """One map kernel per region of the result, the base or the filling first."""
    var, slot = eqn.output, memory.slots[eqn.output]
    pieces: list[tuple[Atom, Shape, Shape | None, Shape | None]] = []
    rank = var.type.ndim
    if eqn.op == "update":
        if var not in memory.in_place:
            pieces.append((eqn.inputs[0], var.type.shape, None, None))
        new = eqn.inputs[1]
        pieces.append((new, new.type.shape, eqn.attrs["start"], eqn.attrs["step"]))
    elif eqn.op == "pad":
        x, value = eqn.inputs
        pieces.extend((value, *box) for box in _margins(x.type.shape, eqn, var.type.shape))
        pieces.append((x, x.type.shape, eqn.attrs["low"], (1,) * rank))
    else:
        start = [0] * rank
        for part in eqn.inputs:
            pieces.append((part, part.type.shape, tuple(start), (1,) * rank))
            start[eqn.attrs["axis"]] += part.type.shape[eqn.attrs["axis"]]
    return [
        MapKernel(_frame(definitions, memory, [var]), shape, [Store(slot, atom, first, step)])
        for atom, shape, first, step in pieces
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
