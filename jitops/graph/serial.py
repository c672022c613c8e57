"""A graph as JSON, for another process: nothing in it is code, and reading verifies it.

    {"sizes": {"n": [low, high], ...},
     "params": ["float32[8]", "float32[n,8]", ...],
     "eqns": [[op, [operand, ...], ["float32[8]", ...], {attribute: value, ...}], ...],
     "results": [operand, ...]}

`sizes` are those known only when the op runs, each with its range. An operand is the number of a
value, in the order of definition (parameters first), or a literal {"dtype": name, "bytes":
hexadecimal}. An attribute is an int, a bool, a string, null, a list (a
tuple in the graph), {"size": "2n+1"}, or {"graph": ...}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jitops.errors import GraphError
from jitops.graph.dynamic import variables
from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var
from jitops.graph.sizes import Symbol, is_open, read_extent, symbols_in, text_of
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

    symbols = symbols_in(var.type.shape for var in variables(graph))
    return {
        "sizes": {symbol.name: [symbol.low, symbol.high] for symbol in symbols},
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


def _graph(data: Mapping[str, Any], symbols: Mapping[str, Symbol] | None = None) -> Graph:
    values: list[Var] = []
    if symbols is None:
        symbols = {name: Symbol(name, *ends) for name, ends in data["sizes"].items()}

    def define(types: Sequence[str]) -> list[Var]:
        variables = [Var(_type(text, symbols)) for text in types]
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
        eqns.append(Eqn(op, operands, define(outputs), _read_attrs(attrs, symbols)))
    return Graph(params, eqns, [use(operand) for operand in data["results"]])


def _type(text: str, symbols: Mapping[str, Symbol]) -> ArrayType:
    name, bracket, rest = text.partition("[")
    if not bracket or not rest.endswith("]"):
        raise GraphError("not an array type", found=repr(text), accepted="float32[3,4]")
    extents = [int(n) if n.isdigit() else n for n in rest[:-1].split(",") if n]
    return ArrayType((read_extent(n, symbols) for n in extents), _dtype(name))


def _dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return dtype
    return np.dtype(name)


def _literal(atom: Literal) -> dict[str, str]:
    return {"dtype": atom.type.dtype_name, "bytes": atom.value.tobytes().hex()}


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
    if is_open(value):
        return {"size": text_of(value)}
    if isinstance(value, np.integer):
        return int(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise GraphError("an attribute has no JSON form", found=repr(value))


def _read_attrs(attrs: Mapping[str, Any], symbols: Mapping[str, Symbol]) -> dict[str, Any]:
    def read(value: Any) -> Any:
        if isinstance(value, dict):
            if "size" in value:
                return read_extent(value["size"], symbols)
            return _graph(value["graph"], symbols)
        return tuple(map(read, value)) if isinstance(value, list) else value

    return {name: read(value) for name, value in attrs.items()}
