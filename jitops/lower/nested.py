"""Rewrite control flow before fusion: simpler bodies that run less often; values unchanged.

A body's operands have to be in memory. So what is known goes into the body as a literal, what moves
elements without computing goes into it as it is, and what a loop computes anew at every step though
it never changes is computed before the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jitops.graph import control
from jitops.graph.control import CONTROL
from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var
from jitops.graph.ops import PRIMITIVES
from jitops.lower.cost import CHEAP, weight

Visit = Callable[[Graph], Graph]
Definitions = Mapping[Var, Eqn]

TRIFLING = 48  # cost units

SUNK = frozenset(("full", "iota", "broadcast", "reshape", "transpose", "slice"))


def nested(graph: Graph, visit: Visit) -> Graph:
    """The graph with its control flow rewritten; ``visit`` simplifies a body."""
    if not any(eqn.op in CONTROL for eqn in graph.eqns):
        return graph
    used = {a for eqn in graph.eqns for a in eqn.inputs if isinstance(a, Var)}
    used.update(a for a in graph.results if isinstance(a, Var))
    eqns: list[Eqn] = []
    definitions: dict[Var, Eqn] = {}
    renamed: dict[Var, Atom] = {}
    for eqn in graph.eqns:
        eqn = Eqn(eqn.op, [_read(renamed, a) for a in eqn.inputs], eqn.outputs, eqn.attrs)
        new = [eqn]
        if eqn.op == "cond":
            new = _cond(eqn, used, definitions, renamed, visit)
        elif eqn.op in CONTROL:
            new = _loop(eqn, used, definitions, renamed, visit)
        eqns.extend(new)
        definitions.update((var, one) for one in new for var in one.outputs)
    return Graph(graph.params, eqns, [_read(renamed, a) for a in graph.results])


def _read(renamed: Mapping[Var, Atom], atom: Atom) -> Atom:
    return renamed.get(atom, atom) if isinstance(atom, Var) else atom


def substituted(graph: Graph, values: Mapping[Var, Atom], params: Iterable[Var]) -> Graph:
    """The graph with other parameters, and these values for some variables."""
    eqns = [Eqn(e.op, [_read(values, a) for a in e.inputs], e.outputs, e.attrs) for e in graph.eqns]
    return Graph(list(params), eqns, [_read(values, a) for a in graph.results])


# --- operands ---


class Operands:
    """Pairs of an outer value and the body's parameter for it, and what is known of the values."""

    def __init__(self, pairs: Iterable[tuple[Atom, Var]]) -> None:
        self.values: dict[Var, Atom] = {}  # parameters that are another one, or a literal
        self.eqns: list[Eqn] = []  # computed in the body
        self.params: dict[Var, Var] = {}  # outer variable -> parameter
        for atom, param in pairs:
            self._bind(atom, param)

    def _bind(self, atom: Atom, param: Var) -> None:
        if isinstance(atom, Literal):
            self.values[param] = atom
        else:
            self.values[param] = self.params.setdefault(atom, param)

    def of(self, atom: Atom) -> Atom:
        """The body's name for an outer value."""
        return self.params.setdefault(atom, Var(atom.type)) if isinstance(atom, Var) else atom

    def sink(self, definitions: Definitions, kept: frozenset[Var]) -> None:
        """Move index equations behind operands into the body, except for those in ``kept``."""
        pending = [v for v in self.params if v not in kept]
        while pending:
            var = pending.pop()
            eqn = definitions.get(var)
            if eqn is None or eqn.op not in SUNK:
                continue
            param = self.params.pop(var)
            inputs = [self.of(a) for a in eqn.inputs]
            self.eqns.insert(0, Eqn(eqn.op, inputs, [param], eqn.attrs))
            pending.extend(a for a in eqn.inputs if isinstance(a, Var))

    def into(self, graph: Graph) -> Graph:
        """The body with what became of its operands; its parameters are those that are left."""
        graph = substituted(graph, self.values, self.params.values())
        return Graph(graph.params, [*self.eqns, *graph.eqns], graph.results)


def _needing(graph: Graph, results: Iterable[Atom]) -> set[Var]:
    """The variables that these results need."""
    needed = {a for a in results if isinstance(a, Var)}
    for eqn in reversed(graph.eqns):
        if any(out in needed for out in eqn.outputs):
            needed.update(a for a in eqn.inputs if isinstance(a, Var))
    return needed


# --- branches ---


def _cond(
    eqn: Eqn, used: set[Var], definitions: Definitions, renamed: dict[Var, Atom], visit: Visit
) -> list[Eqn]:
    """A choice of which only the needed results are left; of a known one, the branch that runs."""
    pred, *inputs = eqn.inputs
    kept = [n for n, var in enumerate(eqn.outputs) if var in used]
    if isinstance(pred, Literal):
        graph = visit(eqn.attrs["then" if pred.value else "otherwise"])
        graph = substituted(graph, dict(zip(graph.params, inputs)), ())
        renamed.update((eqn.outputs[n], graph.results[n]) for n in kept)
        return list(graph.eqns)
    sides = []
    operands = Operands(())
    for name in ("then", "otherwise"):
        graph = eqn.attrs[name]
        own = Operands(zip(inputs, graph.params))
        own.sink(definitions, frozenset())
        results = [graph.results[n] for n in kept]
        graph = own.into(Graph(graph.params, graph.eqns, results))
        graph = visit(Graph(graph.params, graph.eqns, graph.results))
        needed = _needing(graph, graph.results)
        sides.append((graph, {v: p for v, p in own.params.items() if p in needed}))
        for var in sides[-1][1]:
            operands.of(var)
    outputs = [eqn.outputs[n] for n in kept]
    if all(_trifling(graph) for graph, _ in sides):
        return _selected(pred, sides, outputs)
    outer = list(operands.params)
    graphs = []
    for graph, params in sides:
        names = [params.get(var) or Var(var.type) for var in outer]
        graphs.append(Graph(names, graph.eqns, graph.results))
    return [Eqn("cond", [pred, *outer], outputs, dict(zip(("then", "otherwise"), graphs)))]


def _trifling(graph: Graph) -> bool:
    """Whether a branch is a few operations on scalars, which cost less than jumping over them."""
    small = all(
        eqn.op in SUNK or (PRIMITIVES[eqn.op].kind == "map" and not eqn.output.type.shape)
        for eqn in graph.eqns
    )
    scalars = all(not atom.type.shape for atom in graph.results)
    return small and scalars and sum(map(weight, graph.eqns)) <= TRIFLING


def _selected(
    pred: Atom, sides: Sequence[tuple[Graph, Mapping[Var, Var]]], outputs: Sequence[Var]
) -> list[Eqn]:
    """Both branches, and a choice between their results."""
    eqns: list[Eqn] = []
    results = []
    for graph, params in sides:
        graph = substituted(graph, {param: var for var, param in params.items()}, ())
        eqns.extend(graph.eqns)
        results.append(graph.results)
    for one, other, output in zip(*results, outputs):
        eqns.append(Eqn("select", [pred, one, other], [output], {}))
    return eqns


# --- loops ---


def _loop(
    eqn: Eqn, used: set[Var], definitions: Definitions, renamed: dict[Var, Atom], visit: Visit
) -> list[Eqn]:
    """A loop that carries what changes and is needed, and computes what changes."""
    loop = _Loop(eqn)
    if loop.never_runs():
        renamed.update((c.output, c.init) for c in loop.carry)
        return [_empty(y.output) for y in loop.ys]
    loop.drop_unused(used)
    for carry in [c for c in loop.carry if c.result is c.param]:
        loop.carry.remove(carry)
        loop.consts.append((carry.init, carry.param))
        renamed[carry.output] = carry.init
    before = loop.settle(definitions, visit)
    return [*before, loop.eqn()] if loop.carry or loop.ys else before


def _empty(var: Var) -> Eqn:
    return Eqn("full", [Literal(0, var.type.dtype)], [var], {"shape": var.type.shape})


class _Carry:
    """One value that a loop carries, under its four names; of a y, only the last two."""

    __slots__ = ("init", "output", "param", "result")

    def __init__(self, init: Any, param: Any, result: Atom, output: Var) -> None:
        self.init = init
        self.param = param
        self.result = result
        self.output = output


class _Loop:
    """A loop taken apart by roles."""

    def __init__(self, eqn: Eqn) -> None:
        given, params = control.operands(eqn), control.parameters(eqn)
        results, outputs = control.results(eqn), control.outputs(eqn)
        self.op = eqn.op
        self.attrs = eqn.attrs
        self.body: Graph = eqn.attrs["body"]
        self.head: list[Atom] = given.head
        if self.op == "for" and self.head and isinstance(self.head[0], Literal):
            self.attrs = {**eqn.attrs, "length": max(int(self.head[0].value), 0)}
            self.head = []
        self.counter: list[Var] = params.head
        self.pred: list[Atom] = results.head
        self.consts: list[tuple[Atom, Var]] = list(zip(given.consts, params.consts))
        self.carry = [
            _Carry(*one) for one in zip(given.carry, params.carry, results.carry, outputs.carry)
        ]
        self.xs: list[tuple[Atom, Var]] = list(zip(given.rows, params.rows))
        self.ys = [_Carry(None, None, *one) for one in zip(results.rows, outputs.rows)]

    def never_runs(self) -> bool:
        """Whether it is known that the loop takes no step."""
        if self.op == "for" and self.attrs["length"] is not None:
            return bool(self.attrs["length"] == 0)
        (head,) = self.head
        return isinstance(head, Literal) and not int(head.value) > 0

    def drop_unused(self, used: set[Var]) -> None:
        """Drop ys that nobody reads, and carries that only themselves need."""
        self.ys = [y for y in self.ys if y.output in used]
        kept = [c for c in self.carry if c.output in used]
        while True:
            needed = _needing(self.body, [*self.pred, *(c.result for c in (*kept, *self.ys))])
            more = [c for c in self.carry if c in kept or c.param in needed]
            if len(more) == len(kept):
                break
            kept = more
        self.carry = kept
        self.xs = [(x, param) for x, param in self.xs if param in needed]

    def results(self) -> list[Atom]:
        return [*self.pred, *(c.result for c in (*self.carry, *self.ys))]

    def settle(self, definitions: Definitions, visit: Visit) -> list[Eqn]:
        """Simplify the body; the equations that now come before the loop."""
        own = Operands(self.consts)
        own.sink(definitions, frozenset())
        body = own.into(Graph((), self.body.eqns, self.results()))
        consts = list(own.params.values())
        params = [*self.counter, *consts, *(c.param for c in self.carry), *(p for _, p in self.xs)]
        body = visit(Graph(params, body.eqns, body.results))
        before, body = _hoisted(body, own, set(consts))
        needed = _needing(body, body.results)
        self.consts = [(var, param) for var, param in own.params.items() if param in needed]
        self.body = body
        return before

    def eqn(self) -> Eqn:
        """The loop put together again."""
        params = [
            *self.counter, *(p for _, p in self.consts), *(c.param for c in self.carry),
            *(p for _, p in self.xs),
        ]  # fmt: skip
        inputs = [
            *self.head, *(a for a, _ in self.consts), *(c.init for c in self.carry),
            *(x for x, _ in self.xs),
        ]  # fmt: skip
        attrs = {**self.attrs, "body": Graph(params, self.body.eqns, self.body.results)}
        attrs["consts"] = len(self.consts)
        if self.op == "for":
            attrs["carries"] = len(self.carry)
        return Eqn(self.op, inputs, [c.output for c in (*self.carry, *self.ys)], attrs)


def _hoisted(body: Graph, operands: Operands, consts: set[Var]) -> tuple[list[Eqn], Graph]:
    """Equations of the body that never change and are worth the memory, and what is left of it."""
    fixed = set(consts)
    price: dict[Var, int] = {}
    moving: list[Eqn] = []
    for eqn in body.eqns:
        inputs = [a for a in eqn.inputs if isinstance(a, Var)]
        if eqn.op in CONTROL or not all(a in fixed for a in inputs):
            continue
        fixed.update(eqn.outputs)
        moving.append(eqn)
        root = PRIMITIVES[eqn.op].kind not in ("map", "index") or eqn.op in ("pad", "update")
        below = sum(price.get(a, 0) for a in inputs)
        price[eqn.output] = CHEAP + 1 if root else min(weight(eqn) + below, 1 << 20)
    stored = _stored(body)
    worth = [v for v in _boundary(body, fixed) if price.get(v, 0) > CHEAP or v in stored]
    worth = [v for v in worth if v not in consts]
    if not worth:
        return [], body
    needed = _needing(Graph((), moving, ()), worth)
    names: dict[Var, Atom] = {param: var for var, param in operands.params.items()}
    before = []
    for eqn in moving:
        if eqn.output in needed:
            var = Var(eqn.output.type)
            before.append(Eqn(eqn.op, [_read(names, a) for a in eqn.inputs], [var], eqn.attrs))
            names[eqn.output] = var
    for var in worth:
        operands.params[names[var]] = var  # type: ignore[index]
    rest = [eqn for eqn in body.eqns if eqn.outputs[0] not in set(worth)]
    return before, _live(Graph(body.params, rest, body.results))


def _boundary(body: Graph, fixed: set[Var]) -> Iterator[Var]:
    """The fixed variables that something else reads."""
    uses: list[Atom] = list(body.results)
    for eqn in body.eqns:
        if eqn.outputs[0] not in fixed:
            uses.extend(eqn.inputs)
    yield from dict.fromkeys(a for a in uses if isinstance(a, Var) and a in fixed)


def _stored(body: Graph) -> set[Var]:
    """What is in memory anyway: right operands of contractions, operands of control flow."""
    found: set[Atom] = set()
    for eqn in body.eqns:
        if eqn.op == "dot_panels" or eqn.op in CONTROL:
            found.update(eqn.inputs[0 if eqn.op in CONTROL else 1 :])
    return {a for a in found if isinstance(a, Var)}


def _live(graph: Graph) -> Graph:
    needed = _needing(graph, graph.results)
    eqns = [e for e in graph.eqns if any(out in needed for out in e.outputs)]
    return Graph(graph.params, eqns, graph.results)


__all__ = ["nested", "substituted"]
