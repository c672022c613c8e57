"""The body of control flow while it is traced: equations of its own, and what it may write to.

All scopes of a trace share its tracers: a body just uses the values of the function around it.
When the body has been traced, the values that it took from outside become parameters of its graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jitops.graph.graph import Atom, Eqn, Graph, Var, live
from jitops.graph.types import ArrayType
from jitops.trace.raising import unsupported
from jitops.trace.tracer import Cell, Tracer


class Written:
    """An outer array that a branch writes to: its cell, its type, and what it was before."""

    __slots__ = ("atom", "cell", "known", "recipe", "type")

    def __init__(self, cell: Cell, type: ArrayType) -> None:
        self.cell = cell
        self.type = type
        self.atom, self.known, self.recipe = cell.atom, cell.known, cell.recipe

    def before(self, t: Any) -> Any:
        """The content that the branch found."""
        if self.atom is None and self.recipe is not None:
            return self.recipe()
        return t.constant_atom(self.known) if self.atom is None else self.atom

    def restore(self) -> None:
        self.cell.atom, self.cell.known, self.cell.recipe = self.atom, self.known, self.recipe
        self.cell.version += 1  # views look again


class Scope:
    """``with scope:`` records into it; it can be entered again until it is closed.

    branch: whether it runs at most once, so that it may write to outer arrays: those are
        `written`, by the identity of their cells.
    done: closed; no value of it may be used any more.
    """

    __slots__ = ("branch", "caches", "done", "eqns", "numbered", "outer", "trace", "written")

    def __init__(self, trace: Any, *, branch: bool = False) -> None:
        self.trace = trace
        self.branch = branch
        self.outer: Scope | None = trace.scope
        self.eqns: list[Eqn] = []
        self.numbered: dict[Any, Var] = {}
        self.caches: list[Tracer] = []  # tracers, also of outer arrays, that remember an atom
        self.written: dict[int, Written] = {}
        self.done = False

    def __enter__(self) -> Scope:
        self._swap()
        self.trace.scope = self
        return self

    def __exit__(self, *_: object) -> None:
        self._swap()
        self.trace.scope = self.outer

    def _swap(self) -> None:
        t = self.trace
        t.eqns, self.eqns = self.eqns, t.eqns
        t.numbered, self.numbered = self.numbered, t.numbered

    def close(self) -> None:
        """Forget every value of this scope."""
        self.done = True
        mine = {var for eqn in self.eqns for var in eqn.outputs}
        for tracer in self.caches:
            tracer.forget(mine)

    def writes(self, x: Tracer) -> None:
        """Note a write to an array of an outer scope, or refuse it."""
        scope: Scope | None = self
        while scope is not x.cell.scope:
            if scope is None or not scope.branch:
                raise unsupported(
                    f"the body of a loop writes to {_called(x)}, which it does not carry",
                    "Pass it in init and return it from the body.",
                )
            scope.written.setdefault(id(x.cell), Written(x.cell, x.type))
            scope = scope.outer


def _called(x: Tracer) -> str:
    return x.cell.name or f"an outer {x.type}"


def closed(
    scope: Scope, head: Sequence[Var], tail: Sequence[Var], results: Sequence[Atom]
) -> tuple[Graph, list[Var]]:
    """The graph (*head, *consts, *tail) of a body, and the outer values that are its consts."""
    graph = live(Graph([*head, *tail], scope.eqns, results))
    outer = free(graph)
    return with_params(graph, head, outer, tail), outer


def free(graph: Graph) -> list[Var]:
    """The variables that a graph uses and does not define, in order of use."""
    defined = {*graph.params, *(var for eqn in graph.eqns for var in eqn.outputs)}
    uses = [a for eqn in graph.eqns for a in eqn.inputs] + list(graph.results)
    return list(dict.fromkeys(a for a in uses if isinstance(a, Var) and a not in defined))


def with_params(graph: Graph, head: Iterable[Var], outer: Iterable[Var], tail: Any) -> Graph:
    """The graph with parameters of its own for these outer variables."""
    own = {var: Var(var.type) for var in outer}

    def read(atom: Atom) -> Atom:
        return own.get(atom, atom) if isinstance(atom, Var) else atom

    eqns = [Eqn(e.op, [read(a) for a in e.inputs], e.outputs, e.attrs) for e in graph.eqns]
    params = [*head, *own.values(), *tail]
    return Graph(params, eqns, [read(a) for a in graph.results])
