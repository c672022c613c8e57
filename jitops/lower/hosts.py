"""Host steps as the runtime sees them: which memory NumPy reads, and where its results go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var
from jitops.graph.types import ArrayType
from jitops.lower.frame import Slot

__all__ = ["HostStep", "own_operands"]


def own_operands(graph: Graph) -> Graph:
    """Give the literals that host steps read a place in memory."""
    eqns: list[Eqn] = []

    def stored(atom: Atom) -> Atom:
        if not isinstance(atom, Literal):
            return atom
        copy = Var(ArrayType((), atom.type.dtype))
        eqns.append(Eqn("cast", [atom], [copy], {"dtype": atom.type.dtype_name}))
        return copy

    for eqn in graph.eqns:
        inputs = [stored(a) for a in eqn.inputs] if eqn.op == "host" else eqn.inputs
        eqns.append(Eqn(eqn.op, inputs, eqn.outputs, eqn.attrs))
    return Graph(graph.params, eqns, graph.results)


class HostStep:
    """A host equation with the memory of its operands and of the results that somebody reads."""

    __slots__ = ("eqn", "operands", "results")

    def __init__(self, eqn: Eqn, slots: Mapping[Var, Slot]) -> None:
        self.eqn = eqn
        self.operands = [slots[a] for a in eqn.inputs if isinstance(a, Var)]
        self.results = [slots.get(var) for var in eqn.outputs]

    def plan(self, arguments: int) -> dict[str, Any]:
        """The step in the artifact's launch plan; buffer number `arguments` is the workspace."""
        attrs = self.eqn.attrs
        return {
            "function": attrs["function"],
            "call": attrs["call"],
            "results": attrs["results"],
            "reads": [_view(slot, arguments) for slot in self.operands],
            "writes": [None if s is None else _view(s, arguments) for s in self.results],
        }


def _view(slot: Slot, arguments: int) -> dict[str, Any]:
    kind, where = slot.place
    itemsize = slot.type.dtype.itemsize
    return {
        "buffer": where if kind == "argument" else arguments,
        "offset": 0 if kind == "argument" else where,
        "dtype": slot.type.dtype_name,
        "shape": list(slot.type.shape),
        "strides": [s * itemsize for s in slot.strides],
    }
