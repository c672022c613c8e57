"""Control flow while tracing: bodies become graphs, and a call of theirs one equation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var, live
from jitops.graph.types import ArrayType
from jitops.trace.carry import NUMBERS, Leaf, Tree, agreed, carried, place
from jitops.trace.intercept import rebound
from jitops.trace.raising import misfit, unsupported
from jitops.trace.recorder import BOOL, INT64
from jitops.trace.scope import Scope, Written, closed, free, with_params
from jitops.trace.tracer import Cell, Tracer
from jitops.trace.weak import DERIVED_RANGE, INT64_RANGE, Interval, Weak, as_atom, narrowed

Fn = Callable[..., Any]

ATTEMPTS = 4  # each one moves a number of Python to what the body makes of it


# --- values and atoms ---


def call(t: Any, fn: Fn, *args: Any) -> Any:
    """Call a body, with its globals and closure rebound as those of the traced function."""
    inner = getattr(fn, "__func__", None)
    if inner is not None:
        return rebound(t, inner)(fn.__self__, *args)  # type: ignore[attr-defined]
    return rebound(t, fn)(*args)


def to_atom(t: Any, value: Any, leaf: Leaf) -> Atom:
    """A value as an atom of a leaf's type."""
    value = t.operand(value)
    if leaf.kind in NUMBERS:
        return as_atom(t, value, NUMBERS[leaf.kind])
    return t.atom(value, leaf.type.dtype)  # type: ignore[no-any-return]


def to_value(t: Any, atom: Atom, leaf: Leaf) -> Any:
    """The array, scalar or number of Python with this content."""
    if leaf.kind in NUMBERS:
        return Weak(t, atom, NUMBERS[leaf.kind], frozenset(), INT64_RANGE, "in the carry of a loop")
    cell = Cell(atom, known=np.asarray(atom.value) if type(atom) is Literal else None)
    return Tracer(t, leaf.type, cell, scalar=leaf.kind == "scalar")


def truth(t: Any, x: Any, what: str) -> bool | Atom:
    """The truth of a scalar: a bool where it is known, else an atom."""
    x = t.operand(x)
    if type(x) is Weak:
        return t.cast(x.atom, BOOL)  # type: ignore[no-any-return]
    if type(x) is not Tracer:
        return bool(x)
    if x.size != 1:
        raise misfit(f"{what} is {x.type}", "one value, of shape ()", "Use .any() or .all().")
    value = x.known()
    if value is not None:
        return bool(value)
    return t.reshape(t.cast(x.read(), BOOL), ())  # type: ignore[no-any-return]


def emit(t: Any, op: str, inputs: Sequence[Atom], types: Sequence[ArrayType], **attrs: Any) -> Any:
    """Record an equation of control flow; its outputs."""
    outputs = [Var(type_) for type_ in types]
    t.eqns.append(Eqn(op, inputs, outputs, attrs))
    return outputs


# --- branches ---


class Branch:
    """One side of a `cond`, traced."""

    def __init__(self, t: Any, fn: Fn, operands: Sequence[Any]) -> None:
        self.scope = Scope(t, branch=True)
        with self.scope:
            self.tree = Tree(call(t, fn, *operands), "the result")
            if self.scope.written:  # read before their contents are undone
                pairs = zip(self.tree.values, self.tree.leaves)
                self.tree.values = [to_value(t, to_atom(t, v, leaf), leaf) for v, leaf in pairs]
        self.contents = {key: w.cell.atom for key, w in self.scope.written.items()}
        for written in self.scope.written.values():
            written.restore()

    def finish(self, t: Any, leaves: Sequence[Leaf], written: dict[int, Written]) -> Graph:
        """The branch's graph, without parameters: its results, then what it writes."""
        with self.scope:
            atoms = [to_atom(t, v, leaf) for v, leaf in zip(self.tree.values, leaves)]
            atoms += [self.contents.get(key) or w.before(t) for key, w in written.items()]
        self.scope.close()
        return live(Graph((), self.scope.eqns, atoms))


def cond(t: Any, pred: Any, true_fn: Fn, false_fn: Fn, operands: Sequence[Any]) -> Any:
    """`jitops.cond`, traced."""
    chosen = truth(t, pred, "the predicate of cond")
    if isinstance(chosen, bool):
        tree = Tree(call(t, true_fn if chosen else false_fn, *operands), "the result")
        return tree.build([_apart(t, x) for x in tree.values])
    fns = (true_fn, false_fn)
    then, otherwise = (Branch(t, fn, operands) for fn in fns)
    leaves = agreed(then.tree, otherwise.tree, "cond", fns)
    written = {**then.scope.written, **otherwise.scope.written}
    graphs = [side.finish(t, leaves, written) for side in (then, otherwise)]
    outer = list(dict.fromkeys(var for graph in graphs for var in free(graph)))
    one, other = (with_params(graph, (), outer, ()) for graph in graphs)
    types = [a.type for a in one.results]
    outputs = emit(t, "cond", [chosen, *outer], types, then=one, otherwise=other)
    for w, var in zip(written.values(), outputs[len(leaves) :]):
        w.cell.atom, w.cell.known, w.cell.recipe = var, None, None
        w.cell.version += 1
    return then.tree.build([to_value(t, a, leaf) for a, leaf in zip(outputs, leaves)])


def _apart(t: Any, x: Any) -> Any:
    """An array with the content of this one; numbers as they are."""
    if isinstance(x, np.ndarray):
        x = t.array(x)
        value = x.known()
        return t.wrap(x.read()) if value is None else t.wrap_known(np.array(value))
    return x


# --- loops ---


class Loop:
    """A loop whose carry is being traced: its types settle in the first attempts.

    carry: the tree that goes in, with the types that the body keeps. body: its graph. consts: the
    outer values that the body uses.
    """

    def __init__(self, t: Any, name: str, fn: Fn, init: Any) -> None:
        self.t = t
        self.name = name
        self.fn = fn
        self.carry = Tree(init, "carry")
        self.body = Graph((), (), ())
        self.consts: list[Var] = []

    def trace(
        self,
        step: Callable[[Any], Any],
        results: Callable[[list[Atom]], Sequence[Atom]] = list,
        head: Sequence[Var] = (),
        rows: Sequence[Var] = (),
    ) -> None:
        """Trace the body: ``step`` takes the carry to the next one.

        ``results``: the graph's results, of which the next carry is a part. ``head``, ``rows``: its
        parameters before and after the carry.
        """
        for _ in range(ATTEMPTS):
            scope = Scope(self.t)
            variables = [Var(leaf.type) for leaf in self.carry.leaves]
            with scope:
                new = step(values_of(self.t, self.carry, variables))
                out = Tree(new, "carry", self.carry.structure)
            leaves = carried(self.carry, out, self.name, self.fn)
            if leaves == self.carry.leaves:
                with scope:
                    found = results(self.atoms(out.values))
                scope.close()
                self.body, self.consts = closed(scope, head, [*variables, *rows], found)
                return
            scope.close()
            self.carry.leaves = leaves
        raise unsupported(f"{self.name}: the types of the carry do not settle in {place(self.fn)}")

    def atoms(self, values: Sequence[Any] | None = None) -> list[Atom]:
        """Values, or else the first ones, as atoms of the carry's types."""
        values = self.carry.values if values is None else values
        return [to_atom(self.t, v, leaf) for v, leaf in zip(values, self.carry.leaves)]

    def types(self) -> list[ArrayType]:
        return [leaf.type for leaf in self.carry.leaves]


def values_of(t: Any, carry: Tree, atoms: Sequence[Atom]) -> Any:
    """The carry with this content."""
    return carry.build([to_value(t, a, leaf) for a, leaf in zip(atoms, carry.leaves)])


def while_loop(t: Any, cond_fn: Fn, body_fn: Fn, init: Any) -> Any:
    """`jitops.while_loop`, traced: the test runs once before the loop, then at the end of it."""
    loop = Loop(t, "while_loop", body_fn, init)

    def results(atoms: list[Atom]) -> list[Atom]:
        again = _test(t, cond_fn, loop.carry, atoms)
        if again is True:
            raise unsupported(f"while_loop: {place(cond_fn)} is always true: it never ends")
        return [Literal(False, BOOL) if again is False else again, *atoms]

    loop.trace(lambda carry: call(t, body_fn, carry), results)
    start = loop.atoms()
    first = _test(t, cond_fn, loop.carry, start)
    if first is False:
        return values_of(t, loop.carry, start)
    pred = Literal(True, BOOL) if first is True else first
    inputs = [pred, *loop.consts, *start]
    outputs = emit(t, "while", inputs, loop.types(), body=loop.body, consts=len(loop.consts))
    return values_of(t, loop.carry, outputs)


def _test(t: Any, cond_fn: Fn, carry: Tree, atoms: Sequence[Atom]) -> bool | Atom:
    values = Tree(values_of(t, carry, atoms), "carry")
    again = truth(t, call(t, cond_fn, values.build(values.values)), "what cond_fn returns")
    if any(type(v) is Tracer and v.cell.version for v in values.values):
        raise unsupported(f"while_loop: {place(cond_fn)} writes to the carry", "Let body_fn do it.")
    return again


def fori_loop(t: Any, lower: Any, upper: Any, body_fn: Fn, init: Any) -> Any:
    """`jitops.fori_loop`, traced: a counted loop; no bound is unrolled."""
    first, last = _bound(t, lower, "lower"), _bound(t, upper, "upper")
    interval = (_interval(first)[0], max(_interval(last)[1] - 1, _interval(first)[0]))
    counter = Var(ArrayType((), INT64))

    def step(carry: Any) -> Any:
        at = counter if first == 0 else t.emit("add", counter, _bound_atom(first))
        i = Weak(t, at, int, frozenset(), interval, "the loop's counter")
        return call(t, body_fn, i, carry)

    loop = Loop(t, "fori_loop", body_fn, init)
    loop.trace(step, head=[counter])
    length, count = None, []
    if type(first) is int and type(last) is int:
        length = max(last - first, 0)
    else:
        count = [t.sub(_bound_atom(last), _bound_atom(first))]
    inputs = [*count, *loop.consts, *loop.atoms()]
    return values_of(t, loop.carry, _for(t, loop, inputs, loop.types(), length))


def _for(
    t: Any, loop: Loop, inputs: Any, types: Any, length: int | None, reverse: bool = False
) -> Any:
    return emit(
        t, "for", inputs, types, body=loop.body, consts=len(loop.consts),
        carries=len(loop.carry.leaves), length=length, reverse=reverse,
    )  # fmt: skip


def _bound(t: Any, x: Any, name: str) -> int | Weak | Atom:
    """A bound of a counted loop: an int where it is known."""
    x = t.operand(x)
    if type(x) is Tracer and not x.shape and x.dtype.kind in "iu":
        value = x.known()
        if value is not None:
            return int(value)
        return t.cast(x.read(), INT64)  # type: ignore[no-any-return]
    if type(x) is Weak and x.pytype is int:
        narrowed(x)
        return x
    if type(x) in (int, bool):
        return int(x)
    found = str(x.type) if type(x) is Tracer else repr(x)
    raise unsupported(f"fori_loop: {name} does not count", found=found, accepted="an integer")


def _bound_atom(x: int | Weak | Atom) -> Atom:
    if type(x) is int:
        return Literal(x, INT64)
    return x.atom if type(x) is Weak else x  # type: ignore[return-value]


def _interval(x: int | Weak | Atom) -> Interval:
    if type(x) is Weak:
        return DERIVED_RANGE if x.interval == INT64_RANGE else x.interval
    return (x, x) if type(x) is int else DERIVED_RANGE


def scan(t: Any, f: Fn, init: Any, xs: Any, length: int, reverse: bool) -> Any:
    """`jitops.scan`, traced; `length` is that of the xs."""
    given = Tree(xs, "xs")
    stacks = [t.array(x) for x in given.values]
    rows = [Var(x.type.with_shape(x.shape[1:])) for x in stacks]
    kinds = [Leaf("array" if row.type.shape else "scalar", row.type) for row in rows]
    ys = Tree(None, "y")

    def step(carry: Any) -> Any:
        nonlocal ys
        x = given.build([to_value(t, row, leaf) for row, leaf in zip(rows, kinds)])
        carry, y = pair(call(t, f, carry, x), f)
        ys = Tree(y, "y")
        return carry

    def results(atoms: list[Atom]) -> list[Atom]:
        return [*atoms, *(to_atom(t, v, leaf) for v, leaf in zip(ys.values, ys.leaves))]

    loop = Loop(t, "scan", f, init)
    loop.trace(step, results, [Var(ArrayType((), INT64))], rows)
    stacked = [leaf.type.with_shape((length, *leaf.type.shape)) for leaf in ys.leaves]
    inputs = [*loop.consts, *loop.atoms(), *(x.read() for x in stacks)]
    outputs = _for(t, loop, inputs, [*loop.types(), *stacked], length, reverse)
    carries = len(loop.carry.leaves)
    found = [t.wrap(var) for var in outputs[carries:]]
    return values_of(t, loop.carry, outputs[:carries]), ys.build(found)


def pair(found: Any, f: Fn) -> tuple[Any, Any]:
    """What the body of a scan returns. Raises UnsupportedError where it is no pair."""
    if type(found) not in (tuple, list) or len(found) != 2:
        raise unsupported(
            f"scan: {place(f)} must return a pair (carry, y)", "Return (carry, None) without ys."
        )
    carry, y = found
    return carry, y
