"""Checks: one number that tells which failure of `jitops.failures` was found first; 0: none.

They come from ``check`` equations, which go, and from indices. The gathers themselves keep every
index inside the axis, so that their loops stay free of branches and the code never reads foreign
memory; a pass over the indices runs beside them, and the entry returns the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

from jitops.failures import INDEX, number
from jitops.graph import control
from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var, live
from jitops.graph.ops import PRIMITIVES
from jitops.graph.types import ArrayType

Range = tuple[int, int]  # inclusive
Bounds: TypeAlias = "Range | None"  # None: not known


class _Outcome:
    """What was found, in the program's order: bools with the failure they mean, and numbers."""

    def __init__(self, emit: Callable[..., Var]) -> None:
        self.emit = emit
        self.found: list[tuple[Atom, str | None]] = []

    def add(self, bad: Atom, failure: str | None) -> None:
        """Note a bool[] with its failure, or a number (uint8[]) with None."""
        if self.found and failure is not None and self.found[-1][1] == failure:
            bad = self.emit("or", self.found.pop()[0], bad)
        self.found.append((bad, failure))

    def number(self) -> Atom:
        """The number of the first failure."""
        total: Atom = NONE
        for bad, failure in reversed(self.found):
            if failure is not None:
                total = self.emit("select", bad, Literal(number(failure), "uint8"), total)
            elif total is NONE:
                total = bad
            else:
                total = self.emit("select", self.emit("ne", bad, NONE), bad, total)
        return total


def with_checks(
    graph: Graph, known: Mapping[Var, Range] | None = None, first: bool = False
) -> tuple[Graph, bool]:
    """The graph with one more result, uint8[]: which failure was found; unchanged if none can be.

    ``known``: the ranges of parameters. ``first``: what leads to that result comes before
    everything else.
    """
    ranges = _Ranges(known or {})
    eqns: list[Eqn] = []
    seen: set[tuple[Atom, int]] = set()
    renamed: dict[Var, Atom] = {}

    def emit(op: str, *inputs: Atom, **attrs: Any) -> Var:
        (type_,) = PRIMITIVES[op].rule(*(a.type for a in inputs), **attrs)
        eqns.append(Eqn(op, inputs, [Var(type_)], attrs))
        return eqns[-1].output

    outcome = _Outcome(emit)
    for eqn in live(graph).eqns:
        inputs = [_read(renamed, a) for a in eqn.inputs]
        if eqn.op == "check":
            renamed[eqn.output] = inputs[0]
            outcome.add(inputs[1], eqn.attrs["failure"])
            continue
        eqn = Eqn(eqn.op, inputs, eqn.outputs, eqn.attrs)
        if eqn.op in CHECKED:
            eqn, code = CHECKED[eqn.op](eqn, ranges)
            if code is not None:
                eqns.append(eqn)
                outcome.add(code, None)
                continue
        for index, extent in _addressed(eqn):
            if (index, extent) not in seen and not _inside(ranges.of(index), extent):
                seen.add((index, extent))
                outcome.add(_outside(emit, index, extent), INDEX)
        eqns.append(eqn)
        ranges.note(eqn)
    if not outcome.found:
        return graph, False
    total = outcome.number()
    if first:
        needed = set(live(Graph(graph.params, eqns, [total])).eqns)
        eqns.sort(key=lambda eqn: eqn not in needed)
    results = [_read(renamed, a) for a in graph.results]
    return Graph(graph.params, eqns, [*results, total]), True


def _read(renamed: Mapping[Var, Atom], atom: Atom) -> Atom:
    return renamed.get(atom, atom) if isinstance(atom, Var) else atom


def _addressed(eqn: Eqn) -> list[tuple[Atom, int]]:
    """The indices that an equation uses, and the sizes of what they address."""
    if eqn.op == "locate":
        return list(zip(eqn.inputs, eqn.attrs["shape"]))
    if eqn.op not in ("take", "scatter"):
        return []
    x, index = eqn.inputs[:2]
    first, stop = eqn.attrs.get("axes") or (eqn.attrs["axis"], eqn.attrs["axis"] + 1)
    return [(index, prod(x.type.shape[first:stop]))]


def _outside(emit: Callable[..., Var], index: Atom, extent: int) -> Var:
    below = emit("lt", index, Literal(-extent, "int64"))
    above = emit("ge", index, Literal(extent, "int64"))
    bad = emit("or", below, above)
    axes = tuple(range(bad.type.ndim))
    return emit("reduce_or", bad, axes=axes) if axes else bad


def _inside(bounds: Bounds, extent: int) -> bool:
    return bounds is not None and -extent <= bounds[0] and bounds[1] < extent


class _Ranges:
    """What values an integer variable can have, as far as simple rules tell."""

    def __init__(self, known: Mapping[Var, Range]) -> None:
        self.known = dict(known)

    def of(self, atom: Atom) -> Bounds:
        if isinstance(atom, Var):
            return self.known.get(atom)
        if atom.type.dtype.kind not in "iu":
            return None
        return int(atom.value), int(atom.value)

    def given(self, params: Sequence[Var], atoms: Sequence[Atom]) -> dict[Var, Range]:
        """What is known of the parameters that stand for these values."""
        found = {param: self.of(atom) for param, atom in zip(params, atoms)}
        return {param: bounds for param, bounds in found.items() if bounds is not None}

    def note(self, eqn: Eqn) -> None:
        rule = _RULES.get(eqn.op)
        found = rule(eqn, [self.of(a) for a in eqn.inputs]) if rule is not None else None
        if found is not None and _fits(found, eqn.output.type):
            self.known[eqn.output] = found


# --- control flow: the outcome of a body is carried along ---

NUMBER = ArrayType((), "uint8")
NONE = Literal(0, "uint8")
LONGEST = 2**62  # steps of a loop whose number is not known


def _checked_cond(eqn: Eqn, ranges: _Ranges) -> tuple[Eqn, Var | None]:
    sides = {}
    for name in ("then", "otherwise"):
        body = eqn.attrs[name]
        sides[name] = with_checks(body, ranges.given(body.params, eqn.inputs[1:]))
    if not any(checked for _, checked in sides.values()):
        return eqn, None
    graphs = {
        name: graph if checked else Graph(graph.params, graph.eqns, [*graph.results, NONE])
        for name, (graph, checked) in sides.items()
    }
    code = Var(NUMBER)
    return Eqn("cond", eqn.inputs, [*eqn.outputs, code], graphs), code


def _checked_loop(eqn: Eqn, ranges: _Ranges) -> tuple[Eqn, Var | None]:
    """One more carry: what was found. A ``while`` then ends, whatever it waits for."""
    params, given = control.parameters(eqn), control.operands(eqn)
    known = ranges.given(params.consts, given.consts)
    if eqn.op == "for":
        known[params.head[0]] = (0, max((eqn.attrs["length"] or LONGEST) - 1, 0))
    body, checked = with_checks(eqn.attrs["body"], known)
    if not checked:
        return eqn, None
    *found, code = body.results
    eqn = _with_body(eqn, Graph(body.params, body.eqns, found))
    before, now = Var(NUMBER), Var(NUMBER)
    earlier, well, after = (Var(control.PREDICATE) for _ in range(3))
    eqns = [
        *body.eqns,
        Eqn("ne", [before, NONE], [earlier], {}),
        Eqn("select", [earlier, before, code], [now], {}),
    ]
    results, outputs = control.results(eqn), control.outputs(eqn)
    if eqn.op == "while":
        eqns += [Eqn("eq", [now, NONE], [well], {}), Eqn("and", [*results.head, well], [after], {})]
        results.head = [after]
    for roles, one in ((params, before), (given, NONE), (results, now), (outputs, Var(now.type))):
        roles.carry.append(one)
    more = {"carries": eqn.attrs["carries"] + 1} if eqn.op == "for" else {}
    eqn = Eqn(eqn.op, given.all(), outputs.all(), {**eqn.attrs, **more})
    return _with_body(eqn, Graph(params.all(), eqns, results.all())), outputs.carry[-1]


def _with_body(eqn: Eqn, body: Graph) -> Eqn:
    return Eqn(eqn.op, eqn.inputs, eqn.outputs, {**eqn.attrs, "body": body})


CHECKED: dict[str, Callable[[Eqn, _Ranges], tuple[Eqn, Var | None]]] = {
    "cond": _checked_cond,
    "while": _checked_loop,
    "for": _checked_loop,
}


# --- what an integer can be ---


def _fits(bounds: Range, type_: ArrayType) -> bool:
    if type_.dtype.kind not in "iu":
        return False
    info = np.iinfo(type_.dtype)
    return int(info.min) <= bounds[0] and bounds[1] <= int(info.max)


def _first(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    return bounds[0]


def _union(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    if any(b is None for b in bounds):
        return None
    return min(b[0] for b in bounds if b), max(b[1] for b in bounds if b)


def _select(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    return _union(eqn, bounds[1:])


def _iota(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    return 0, max(eqn.attrs["shape"][eqn.attrs["axis"]] - 1, 0)


def _position(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    return 0, max(eqn.inputs[0].type.shape[eqn.attrs["axes"][0]] - 1, 0)


def _sorted(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    return 0, max(eqn.output.type.shape[-1] - 1, 0)


def _locate(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    return 0, max(prod(eqn.attrs["shape"]) - 1, 0)


def _mod(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    divisor = bounds[1]
    return (0, divisor[1] - 1) if divisor is not None and divisor[0] > 0 else None


def _add(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    x, y = bounds
    return None if x is None or y is None else (x[0] + y[0], x[1] + y[1])


def _sub(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    x, y = bounds
    return None if x is None or y is None else (x[0] - y[1], x[1] - y[0])


def _mul(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    x, y = bounds
    if x is None or y is None:
        return None
    ends = [a * b for a in x for b in y]
    return min(ends), max(ends)


def _cast(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
    source = eqn.inputs[0].type.dtype
    if source.kind == "b":
        return 0, 1
    if bounds[0] is None and source.kind in "iu" and source.itemsize < 4:
        info = np.iinfo(source)
        return int(info.min), int(info.max)
    return bounds[0]


def _extreme(pick: Callable[..., int]) -> Callable[..., Bounds]:
    def rule(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
        x, y = bounds
        limits = np.iinfo(eqn.output.type.dtype)
        whole = (int(limits.min), int(limits.max))
        (a, b), (c, d) = x or whole, y or whole
        return pick(a, c), pick(b, d)

    def integers(eqn: Eqn, bounds: Sequence[Bounds]) -> Bounds:
        return rule(eqn, bounds) if eqn.output.type.dtype.kind in "iu" else None

    return integers


_RULES: dict[str, Callable[[Eqn, Sequence[Bounds]], Bounds]] = {
    **dict.fromkeys(("full", "broadcast", "reshape", "transpose", "slice", "take"), _first),
    **dict.fromkeys(("update", "pad", "concatenate"), _union),
    **dict.fromkeys(("sort", "kth", "reduce_max", "reduce_min"), _first),
    "select": _select,
    "iota": _iota,
    "argmax": _position,
    "argmin": _position,
    "argsort": _sorted,
    "locate": _locate,
    "mod": _mod,
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "cast": _cast,
    "maximum": _extreme(max),
    "minimum": _extreme(min),
}
