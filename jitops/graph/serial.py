"""A graph as JSON, for another process: nothing in it is code, and reading verifies it.

    {"params": ["float32[8]", ...],
     "eqns": [[op, [operand, ...], ["float32[8]", ...], {attribute: value, ...}], ...],
     "results": [operand, ...]}

An operand is the number of a value, in the order of definition (parameters first), or a literal
{"dtype": name, "bytes": hexadecimal}. An attribute is an int, a bool, a string, null, a list (a
tuple in the graph), or {"graph": ...}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jitops.errors import GraphError
from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var
from jitops.graph.types import ArrayType
from jitops.graph.verify import verify

__all__ = ["from_json", "to_json"]


def to_json(graph: Graph) -> dict[str, Any]:
    """The graph in JSON types. Raises GraphError for an attribute that has no JSON form."""
    numbers: dict[Var, int] = {}

    def define(variables: Sequence[Var]) -> list[str]:
        for var in variables:
            numbers[var] = len(numbers)
        return [str(var.type) for var in variables]

    def use(atom: Atom) -> Any:
        return _literal(atom) if isinstance(atom, Literal) else numbers[atom]

    return {
        "params": define(graph.params),
        "eqns": [
            [e.op, list(map(use, e.inputs)), define(e.outputs), _attrs(e.attrs)] for e in graph.eqns
        ],
        "results": list(map(use, graph.results)),
    }


def from_json(data: Any) -> Graph:
    """The graph of this JSON, verified. Raises GraphError for whatever is not a graph."""
    try:
        return verify(_graph(data))
    except GraphError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise GraphError("this is not the JSON of a graph", found=repr(error)) from error


def _graph(data: Mapping[str, Any]) -> Graph:
    values: list[Var] = []

    def define(types: Sequence[str]) -> list[Var]:
        variables = [Var(_type(text)) for text in types]
        values.extend(variables)
        return variables

    def use(operand: Any) -> Atom:
        if isinstance(operand, dict):
            return _read_literal(operand)
        if type(operand) is not int or operand < 0:
            raise GraphError("an operand is not a value's number", found=repr(operand))
        return values[operand]

    params = define(data["params"])
    eqns = []
    for op, inputs, outputs, attrs in data["eqns"]:
        operands = [use(operand) for operand in inputs]  # before the outputs are defined
        eqns.append(Eqn(op, operands, define(outputs), _read_attrs(attrs)))
    return Graph(params, eqns, [use(operand) for operand in data["results"]])


def _type(text: str) -> ArrayType:
    name, bracket, rest = text.partition("[")
    if not bracket or not rest.endswith("]"):
        raise GraphError("not an array type", found=repr(text), accepted="float32[3,4]")
    return ArrayType((int(n) for n in rest[:-1].split(",") if n), _dtype(name))


def _dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return dtype
    return np.dtype(name)


def _literal(atom: Literal) -> dict[str, str]:
    return {"dtype": atom.type.dtype.name, "bytes": atom.value.tobytes().hex()}


def _read_literal(data: Mapping[str, str]) -> Literal:
    dtype = _dtype(data["dtype"])
    (value,) = np.frombuffer(bytes.fromhex(data["bytes"]), dtype)
    return Literal(value, dtype)


def _attrs(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _attr(value) for name, value in attrs.items()}


def _attr(value: Any) -> Any:
    if isinstance(value, Graph):
        return {"graph": to_json(value)}
    if isinstance(value, tuple):
        return [_attr(item) for item in value]
    if isinstance(value, np.integer):
        return int(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise GraphError("an attribute has no JSON form", found=repr(value))


def _read_attrs(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _read_attr(value) for name, value in attrs.items()}


def _read_attr(value: Any) -> Any:
    if isinstance(value, dict):
        return _graph(value["graph"])
    return tuple(map(_read_attr, value)) if isinstance(value, list) else value
