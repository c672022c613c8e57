"""Control flow: equations that hold graphs, and run one of them, or one of them again and again.

    cond   (pred, *operands) -> results of ``then`` or of ``otherwise``, both (*operands) -> results
    while  (pred, *consts, *carry) -> carry; ``body`` is (*consts, *carry) -> (pred, *carry)
    for    (*count, *consts, *carry, *xs) -> (*carry, *ys); ``body`` is
           (i, *consts, *carry, *slices) -> (*carry, *rows), with i = 0, 1, ... as int64

A loop's carry keeps its types. ``for`` runs ``length`` times, or, where that is None, as often as
its first operand says; with a length it also hands out the rows of ``xs`` and stacks those of
``ys``, from the last to the first where ``reverse``. A graph sees nothing but its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jitops.errors import GraphError
from jitops.graph.types import ArrayType

CONTROL = ("cond", "while", "for")
BODIES = {"cond": ("then", "otherwise"), "while": ("body",), "for": ("body",)}

PREDICATE = ArrayType((), "bool")
COUNTER = ArrayType((), "int64")

Types = Sequence[ArrayType]


class Parts:
    """The operands, parameters or results of a loop by their roles; in each a list."""

    __slots__ = ("carry", "consts", "head", "rows")

    def __init__(self, values: Sequence[Any], head: int, consts: int, carries: int) -> None:
        values = list(values)
        self.head = values[:head]
        self.consts = values[head : head + consts]
        self.carry = values[head + consts : head + consts + carries]
        self.rows = values[head + consts + carries :]

    def all(self) -> list[Any]:
        return [*self.head, *self.consts, *self.carry, *self.rows]


def operands(eqn: Any) -> Parts:
    """What a loop is given; its head is the count or the predicate, its rows are the xs."""
    head = 0 if eqn.op == "for" and eqn.attrs["length"] is not None else 1
    return Parts(eqn.inputs, head, eqn.attrs["consts"], _carries(eqn))


def parameters(eqn: Any) -> Parts:
    """The body's parameters; the head is the counter of a ``for``, the rows are slices."""
    head = 1 if eqn.op == "for" else 0
    return Parts(eqn.attrs["body"].params, head, eqn.attrs["consts"], _carries(eqn))


def results(eqn: Any) -> Parts:
    """The body's results; the head is the predicate of a ``while``, the rows are those of ys."""
    head = 0 if eqn.op == "for" else 1
    return Parts(eqn.attrs["body"].results, head, 0, _carries(eqn))


def outputs(eqn: Any) -> Parts:
    """The outputs of the equation; the rows are the stacked ys."""
    return Parts(eqn.outputs, 0, 0, _carries(eqn))


def _carries(eqn: Any) -> int:
    if eqn.op == "for":
        return int(eqn.attrs["carries"])
    return len(eqn.inputs) - 1 - int(eqn.attrs["consts"])


def bodies(eqn: Any) -> Iterator[Any]:
    """The graphs that an equation holds."""
    for name in BODIES.get(eqn.op, ()):
        yield eqn.attrs[name]


# --- type rules ---


def _cond(pred: ArrayType, *types: ArrayType, then: Any, otherwise: Any) -> tuple[ArrayType, ...]:
    _same("cond: the predicate", [pred], [PREDICATE])
    for name, graph in (("then", then), ("otherwise", otherwise)):
        _same(f"cond: the parameters of {name}", _types(graph.params), types)
    _same("cond: the results of the branches", _types(then.results), _types(otherwise.results))
    return tuple(_types(then.results))


def _while(pred: ArrayType, *types: ArrayType, body: Any, consts: int) -> tuple[ArrayType, ...]:
    _same("while: the predicate", [pred], [PREDICATE])
    _same("while: the parameters of the body", _types(body.params), types)
    _same("while: the results of the body", _types(body.results), [PREDICATE, *types[consts:]])
    return tuple(types[consts:])


def _for(
    *types: ArrayType, body: Any, consts: int, carries: int, length: int | None, reverse: bool
) -> tuple[ArrayType, ...]:
    given = Parts(types, 0 if length is not None else 1, consts, carries)
    _same("for: the count", given.head, [COUNTER] * len(given.head))
    found = _types(body.results)
    if (length is None or length < 0) and (given.rows or len(found) > carries or reverse):
        raise GraphError("for: xs, ys and reverse need a length")
    if any(x.shape[:1] != (length,) for x in given.rows):
        raise GraphError(f"for: the xs do not have {length} rows")
    slices = [x.with_shape(x.shape[1:]) for x in given.rows]
    wanted = [COUNTER, *given.consts, *given.carry, *slices]
    _same("for: the parameters of the body", _types(body.params), wanted)
    _same("for: the results of the body", found[:carries], given.carry)
    ys = [y.with_shape((length or 0, *y.shape)) for y in found[carries:]]
    return (*given.carry, *ys)


def _types(atoms: Sequence[Any]) -> list[ArrayType]:
    return [a.type for a in atoms]


def _same(what: str, found: Types, wanted: Types) -> None:
    if list(found) != list(wanted):
        raise GraphError(f"{what} are {list(found)}, not {list(wanted)}")


RULES: dict[str, Callable[..., tuple[ArrayType, ...]]] = {
    "cond": _cond,
    "while": _while,
    "for": _for,
}


# --- the meaning, in NumPy ---


def _run_cond(evaluate: Any, eqn: Any, values: Sequence[Any]) -> list[Any]:
    pred, *rest = values
    return list(evaluate(eqn.attrs["then" if pred else "otherwise"], rest))


def _run_while(evaluate: Any, eqn: Any, values: Sequence[Any]) -> list[Any]:
    given = Parts(values, 1, eqn.attrs["consts"], _carries(eqn))
    (pred,), carry = given.head, given.carry
    while pred:
        pred, *carry = evaluate(eqn.attrs["body"], [*given.consts, *carry])
    return carry


def _run_for(evaluate: Any, eqn: Any, values: Sequence[Any]) -> list[Any]:
    length, carries = eqn.attrs["length"], eqn.attrs["carries"]
    given = Parts(values, 0 if length is not None else 1, eqn.attrs["consts"], carries)
    carry = given.carry
    stacked = [np.empty(y.type.shape, y.type.dtype) for y in outputs(eqn).rows]
    steps = range(int(given.head[0]) if length is None else length)
    for i in reversed(steps) if eqn.attrs["reverse"] else steps:
        slices = [x[i] for x in given.rows]
        found = evaluate(eqn.attrs["body"], [np.int64(i), *given.consts, *carry, *slices])
        carry = found[:carries]
        for y, row in zip(stacked, found[carries:]):
            y[i] = row
    return [*carry, *stacked]


EVALUATE: dict[str, Callable[[Any, Any, Sequence[Any]], list[Any]]] = {
    "cond": _run_cond,
    "while": _run_while,
    "for": _run_for,
}
