"""Check a graph: variables defined once and before their uses, types as the rules say."""

from __future__ import annotations

from jitops.errors import GraphError
from jitops.graph.control import bodies
from jitops.graph.graph import Graph, Var
from jitops.graph.ops import PRIMITIVES


def verify(graph: Graph) -> Graph:
    """Return the graph unchanged, or raise `GraphError` that names the equation."""
    defined = set(graph.params)
    for eqn in graph.eqns:
        if eqn.op not in PRIMITIVES:
            raise GraphError(f"{eqn.op!r} is not a primitive")
        for atom in eqn.inputs:
            if isinstance(atom, Var) and atom not in defined:
                raise GraphError(f"{eqn.op} uses a value that is not defined before it")
        for body in bodies(eqn):
            verify(body)
        expected = PRIMITIVES[eqn.op].rule(*(a.type for a in eqn.inputs), **eqn.attrs)
        found = tuple(var.type for var in eqn.outputs)
        if found != expected:
            raise GraphError(f"{eqn.op} gives {expected}, but its outputs are declared {found}")
        if any(var in defined for var in eqn.outputs):
            raise GraphError(f"{eqn.op} defines a value twice")
        defined.update(eqn.outputs)
    for atom in graph.results:
        if isinstance(atom, Var) and atom not in defined:
            raise GraphError("a result is not defined")
    return graph
