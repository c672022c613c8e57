"""Checks: the number of the first failure in the program's order, also of one inside a loop."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import Builder, Compiled

from jitops.failures import FAILURES, number
from jitops.graph.evaluate import evaluate
from jitops.graph.graph import Eqn, Graph, Literal, Var
from jitops.graph.types import ArrayType
from jitops.graph.verify import verify


def raised(graph, *inputs):
    try:
        evaluate(graph, inputs)
    except Exception as error:
        return type(error), str(error)
    return None


def found(compiled):
    return list(FAILURES.values())[compiled.failure - 1] if compiled.failure else None


@pytest.mark.parametrize("bad", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_first_failure_of_the_program_is_told(bad):
    b = Builder()
    x, one, other = b.param((3,), "float64"), b.param((), "bool"), b.param((), "bool")
    first = b.emit("check", x, one, failure="singular")
    graph = b.graph(b.emit("check", first, other, failure="indefinite"))
    compiled = Compiled(graph)
    inputs = [np.arange(3.0), *np.array(bad, "bool")]
    (out,) = compiled(np.arange(3.0), *[np.array(n, "bool") for n in bad])
    assert found(compiled) == raised(graph, *inputs)
    assert any(bad) or np.array_equal(out, np.arange(3.0))


def test_a_loop_keeps_the_first_failure_of_its_steps_and_indices_are_one_of_them():
    """Step n takes x[n] and checks that it is positive: two elements, three steps."""
    b = Builder()
    i, x = Var(ArrayType((), "int64")), Var(ArrayType((2,), "float64"))
    total = b.param((), "float64")
    b.params = [i, x, total]
    value = b.emit("take", x, i, axis=0)
    low = b.emit("le", value, b.literal(0, "float64"))
    value = b.emit("check", value, low, failure="indefinite")
    body = b.graph(b.emit("add", total, value))
    outer = [Var(x.type), Var(total.type)]
    attrs = {"body": body, "consts": 1, "carries": 1, "length": 3, "reverse": False}
    out = Var(total.type)
    compiled = Compiled(verify(Graph(outer, [Eqn("for", outer, [out], attrs)], [out])))
    for x, wanted in (([1.0, 2.0], "index"), ([1.0, -2.0], "indefinite")):
        compiled(np.array(x), np.array(0.0))
        assert compiled.failure == number(wanted)


@pytest.mark.parametrize("op", ["for", "while"])
def test_a_loop_may_carry_what_is_checked(op):
    """Each step checks that the value is positive, and carries it as it is."""
    b = Builder()
    inside = [Var(ArrayType((), "int64"))] if op == "for" else []
    x = b.param((), "float64")
    low = b.emit("le", x, b.literal(0, "float64"))
    x = b.emit("check", x, low, failure="indefinite")
    again = [b.emit("gt", x, b.literal(9, "float64"))] if op == "while" else []
    body = verify(Graph([*inside, *b.params], b.eqns, [*again, x]))
    attrs = {"body": body, "consts": 0}
    if op == "for":
        attrs |= {"carries": 1, "length": 2, "reverse": False}
    first = [Literal(True, "bool")] if op == "while" else []
    start, out = Var(x.type), Var(x.type)
    loop = Eqn(op, [*first, start], [out], attrs)
    compiled = Compiled(verify(Graph([start], [loop], [out])))
    assert compiled(np.array(2.0)) == [2.0]
    assert not compiled.failure
    compiled(np.array(-2.0))
    assert compiled.failure == number("indefinite")
