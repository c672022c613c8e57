"""A graph goes to another process as JSON and comes back the same, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from jitops.errors import GraphError
from jitops.graph.graph import Eqn, Graph, Literal, Var
from jitops.graph.serial import from_json, to_json
from jitops.graph.types import ArrayType, Spec
from jitops.trace import trace

FUNCTIONS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda x, y: x * 2 + y, (Spec((3, 4), "float32"), Spec((4,), "float32"))),
    (lambda x: np.exp(x - x.max(axis=-1, keepdims=True)), (Spec((3, 4)),)),
    (lambda x, n: np.where(x > n, np.inf, -0.0), (Spec((5,), "float16"), 3)),
    (lambda x: (x[::-1].astype("int8"), np.pad(x, 2), x.reshape(2, 3).T), (Spec(6, "int32"),)),
    (lambda x: np.concatenate([x, x * 1j]), (Spec(2, "complex128"),)),
    (lambda x: np.argmax(x, axis=0) + np.cumsum(x, axis=0)[0], (Spec((2, 2), "float64"),)),
    (lambda x, y: np.einsum("ij,jk->ik", x, y), (Spec((2, 3)), Spec((3, 4)))),
    (lambda x: np.full((0, 3), np.nan) + x, (Spec(3),)),
]


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_a_graph_survives_the_journey_unchanged(number: int) -> None:
    fn, args = FUNCTIONS[number]
    graph = trace(fn, args, {}).graph
    text = json.dumps(to_json(graph))
    assert str(from_json(json.loads(text))) == str(graph)


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -0.0, 0.1, 5e-324])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_every_bit_of_a_literal_survives(value: float, dtype: Any) -> None:
    with np.errstate(all="ignore"):
        literal = Literal(value, dtype)
    back = from_json(json.loads(json.dumps(to_json(Graph([], [], [literal]))))).results[0]
    assert isinstance(back, Literal)
    assert back.value.tobytes() == literal.value.tobytes()
    assert back.type == literal.type


def test_a_nested_graph_survives() -> None:
    x = Var(ArrayType((2,), "float32"))
    inner = Graph([x], [], [x])
    data = json.loads(json.dumps(to_json(Graph([], [Eqn("loop", [], [], {"body": inner})], []))))
    assert data["eqns"][0][3]["body"]["graph"] == to_json(inner)


WRONG = [
    None,
    [],
    {},
    {"params": ["float32"], "eqns": [], "results": []},
    {"params": ["float32[-1]"], "eqns": [], "results": [5]},
    {"params": ["float32[2]"], "eqns": [], "results": [1]},
    {"params": ["float32[2]"], "eqns": [], "results": [-1]},
    {"params": ["float32[2]"], "eqns": [], "results": [True]},
    {"params": ["float32[2]"], "eqns": [["neg", [0], ["float64[2]"], {}]], "results": [1]},
    {"params": ["float32[2]"], "eqns": [["neg", [1], ["float32[2]"], {}]], "results": [1]},
    {"params": ["float32[2]"], "eqns": [["system", [0], ["float32[2]"], {}]], "results": [1]},
    {"params": ["float32[2]"], "eqns": [["neg", [0]]], "results": [0]},
    {"params": ["no_such[2]"], "eqns": [], "results": [0]},
    {"params": [], "eqns": [], "results": [{"dtype": "float32", "bytes": "00"}]},
]


@pytest.mark.parametrize("data", WRONG, ids=range(len(WRONG)))
def test_what_is_no_graph_is_refused(data: Any) -> None:
    with pytest.raises(GraphError):
        from_json(data)


def test_an_attribute_without_a_json_form_is_refused() -> None:
    eqn = Eqn("neg", [], [], {"fn": print})
    with pytest.raises(GraphError, match="no JSON form"):
        to_json(Graph([], [eqn], []))
