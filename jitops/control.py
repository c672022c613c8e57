"""Control flow on values: `cond`, `while_loop`, `fori_loop` and `scan`.

On plain arrays they run as the Python that their docstrings show. Inside a `jitops.jitop` they
become branches and loops of the compiled code, whose bodies are compiled once, however often they
run. What a loop carries keeps its tree, shapes and dtypes from step to step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitops.errors import ArgumentError
from jitops.trace.functions import room
from jitops.trace.intercept import ACTIVE

__all__ = ["cond", "fori_loop", "scan", "while_loop"]


def cond(
    pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], *operands: Any
) -> Any:
    """``true_fn(*operands) if pred else false_fn(*operands)``; only one of the two runs.

    pred: a bool or a number, or an array of one element.
    true_fn, false_fn: give trees (tuples, lists, dicts) of the same structure, shapes and dtypes;
        a Python number fits any dtype of its kind. They may write to arrays in place. What they
        return is fresh: never an operand itself.

    Raises UnsupportedError, inside an op, where the two return different types.
    """
    trace = ACTIVE.get()
    if trace is not None:
        return room("control").cond(trace, pred, true_fn, false_fn, operands)
    return _apart(true_fn(*operands) if pred else false_fn(*operands))


def while_loop(
    cond_fn: Callable[[Any], Any], body_fn: Callable[[Any], Any], init: Any
) -> Any:
    """Carry a value through ``body_fn`` for as long as ``cond_fn`` of it is true.

        carry = init
        while cond_fn(carry):
            carry = body_fn(carry)
        return carry

    init: a tree (tuples, lists, dicts) of arrays and numbers. body_fn returns the same tree, with
    the same shapes and dtypes; a Python number takes the dtype that the body gives it. The loop
    owns what it carries: writing to it in place does not change ``init``.

    Raises UnsupportedError and ShapeError, which name the part of the carry that changes its type.
    """
    trace = ACTIVE.get()
    if trace is not None:
        return room("control").while_loop(trace, cond_fn, body_fn, init)
    steps = _Steps("while_loop", body_fn, init)
    while cond_fn(steps.carry):
        steps.take(body_fn(steps.carry))
    return steps.carry


def fori_loop(
    lower: Any, upper: Any, body_fn: Callable[[Any, Any], Any], init: Any
) -> Any:
    """Carry a value through a counted loop.

        carry = init
        for i in range(lower, upper):
            carry = body_fn(i, carry)
        return carry

    lower, upper: ints; inside an op they may be values of the call. init and body_fn: as those of
    `while_loop`; i is a Python int.
    """
    trace = ACTIVE.get()
    if trace is not None:
        return room("control").fori_loop(trace, lower, upper, body_fn, init)
    steps = _Steps("fori_loop", body_fn, init)
    for i in range(lower, upper):
        steps.take(body_fn(i, steps.carry))
    return steps.carry


def scan(
    f: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Carry a value along the rows of arrays, and stack what each step gives.

        carry, ys = init, []
        for x in xs:
            carry, y = f(carry, x)
            ys.append(y)
        return carry, np.stack(ys)

    init, f: as init and body_fn of `while_loop`. xs: a tree of arrays that agree in their first
    axis, or None; f gets the tree of their rows. The ys are a tree of arrays, stacked leaf by leaf
    (None stays None). length: the number of steps, needed where xs is None. reverse: from the last
    row to the first; ys[n] still belongs to xs[n].

    Raises ArgumentError where the number of steps is not clear.
    """
    trace = ACTIVE.get()
    steps = _length(xs, length)
    if trace is not None:
        return room("control").scan(trace, f, init, xs, steps, reverse)  # type: ignore[no-any-return]
    return _scan(f, init, xs, steps, reverse)


def _length(xs: Any, length: int | None) -> int:
    tree = room("carry").Tree(xs, "xs")
    rows = {}
    for name, x in zip(tree.names, tree.values):
        if not getattr(x, "shape", ()):
            raise ArgumentError(
                f"scan: {name} has no rows", found=repr(x), accepted="arrays of one axis or more"
            )
        rows[name] = x.shape[0]
    found = {*rows.values(), *([] if length is None else [length])}
    if len(found) == 1 and min(found) >= 0:
        return int(found.pop())
    raise ArgumentError(
        "scan: the number of steps is not clear",
        found=", ".join(f"{name} has {n} rows" for name, n in rows.items()) or f"length={length}",
        accepted="xs of equal length, or xs=None and a length",
    )


# --- on plain arrays ---


class _Steps:
    """A carry that keeps its types: Python numbers settle in the first step."""

    def __init__(self, name: str, body: Callable[..., Any], init: Any) -> None:
        self._carry = room("carry")
        self._name = name
        self._body = body
        self._tree = self._carry.Tree(init, "carry")
        self._tree.values = [_copy(x) for x in self._tree.values]
        self.carry = self._tree.build(self._tree.values)

    def take(self, new: Any) -> None:
        """The carry after a step."""
        out = self._carry.Tree(new, "carry", self._tree.structure)
        if out.leaves != self._tree.leaves or out.structure != self._tree.structure:
            out.leaves = self._carry.carried(self._tree, out, self._name, self._body)
            out.values = [_as(x, leaf) for x, leaf in zip(out.values, out.leaves)]
        # An array may be the caller's, or come twice; what the loop owns already, it may keep.
        free = {id(x): x for x in self._tree.values}
        out.values = [x if free.pop(id(x), None) is x else _copy(x) for x in out.values]
        self._tree, self.carry = out, out.build(out.values)


def _copy(x: Any) -> Any:
    return np.array(x, order="C") if type(x) is np.ndarray else x


def _as(x: Any, leaf: Any) -> Any:
    """A Python number in the dtype that the others have."""
    if leaf.kind == "scalar" and isinstance(x, (bool, int, float, complex, np.ndarray)):
        return np.asarray(x).astype(leaf.type.dtype)[()]
    return x


def _apart(result: Any) -> Any:
    """A tree of the same values, whose arrays nobody else has."""
    tree = room("carry").Tree(result, "the result")
    return tree.build([_copy(x) for x in tree.values])


def _scan(f: Any, init: Any, xs: Any, length: int, reverse: bool) -> tuple[Any, Any]:
    if not length:
        return _no_steps(f, init, xs)
    rows = room("carry").Tree(xs, "xs")
    steps = _Steps("scan", f, init)
    ys: list[Any] = [None] * length
    for n in range(length)[:: -1 if reverse else 1]:
        x = rows.build([_copy(x[n]) for x in rows.values])
        carry, y = room("control").pair(f(steps.carry, x), f)
        ys[n] = _apart(y)  # the next step may write into the carry that y is
        steps.take(carry)
    return steps.carry, _stacked(ys, f)


def _stacked(ys: Sequence[Any], f: Any) -> Any:
    """The ys of all steps, leaf by leaf."""
    carry = room("carry")
    trees = [carry.Tree(y, "y") for y in ys]
    first = trees[0]
    for tree in trees[1:]:
        first.leaves = carry.agreed(first, tree, "scan", (f, f))
    columns = zip(*(tree.values for tree in trees))
    return first.build([_stack(c, leaf) for c, leaf in zip(columns, first.leaves)])


def _stack(column: Sequence[Any], leaf: Any) -> Any:
    if leaf.kind == "foreign":
        return sys.modules[type(column[0]).__module__.partition(".")[0]].stack(column)
    return np.stack([_as(x, leaf) for x in column])


def _no_steps(f: Any, init: Any, xs: Any) -> tuple[Any, Any]:
    """Without a step, only a trace of the body tells what the ys would be."""
    from jitops.graph.evaluate import evaluate
    from jitops.trace import trace
    from jitops.trace.tree import mapped

    traced = trace(lambda c, rows: scan(f, c, rows, length=0), (init, xs), {})
    leaves: list[Any] = []
    mapped((init, xs), "", lambda leaf, _: leaves.append(leaf))
    sources = [(param.source, param.var.type.dtype) for param in traced.params]
    inputs = [np.asarray(leaves[n] if kind == "leaf" else n, d) for (kind, n), d in sources]
    carry, ys = _built(traced.result, evaluate(traced.graph, inputs))
    return carry, ys


def _built(tree: Any, outs: Sequence[Any]) -> Any:
    """The values of a traced result without arguments in it."""
    kind, *rest = tree
    if kind == "out":
        return outs[rest[0]][()] if rest[1] == "scalar" else outs[rest[0]]
    if kind == "const":
        return rest[0]
    if kind == "dict":
        return {k: _built(v, outs) for k, v in rest[0]}
    parts = [_built(v, outs) for v in rest[-1]]
    return rest[0](*parts) if kind == "namedtuple" else (tuple if kind == "tuple" else list)(parts)
