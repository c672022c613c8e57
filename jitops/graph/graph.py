"""The intermediate representation: typed equations in SSA form, in the manner of JAX's jaxpr.

A `Graph` is a list of equations over typed variables. Operands are variables or scalar literals;
attributes are ints, strings, bools, tuples of these, or nested graphs (control flow). The canonical
text names variables by order of definition, so that equal programs have equal text; it is the main
part of the cache key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from jitops.graph.sizes import Size, is_open
from jitops.graph.types import ArrayType


class Var:
    """A value of the graph, defined once: a parameter or the output of an equation."""

    __slots__ = ("type",)

    def __init__(self, type: ArrayType) -> None:
        self.type = type

    def __repr__(self) -> str:
        return f"<{self.type}>"


class Literal:
    """A scalar constant of an exact dtype; it broadcasts against any operand shape."""

    __slots__ = ("value", "type")

    value: np.generic
    type: ArrayType

    def __init__(self, value: Any, dtype: Any) -> None:
        self.value = np.dtype(dtype).type(value)
        self.type = ArrayType((), dtype)

    def __str__(self) -> str:
        return f"{self.type.dtype_name}({_number(self.value)})"

    __repr__ = __str__


Atom: TypeAlias = "Var | Literal"


class Eqn:
    """``outputs = op(*inputs, **attrs)``; ``op`` names a primitive of `jitops.graph.ops`."""

    __slots__ = ("op", "inputs", "outputs", "attrs")

    def __init__(
        self, op: str, inputs: Sequence[Atom], outputs: Sequence[Var], attrs: Mapping[str, Any]
    ) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.attrs = dict(attrs)

    @property
    def output(self) -> Var:
        """The only output."""
        (var,) = self.outputs
        return var


class Graph:
    """Parameters, equations in a valid order, and results."""

    __slots__ = ("params", "eqns", "results")

    def __init__(self, params: Sequence[Var], eqns: Sequence[Eqn], results: Sequence[Atom]) -> None:
        self.params = tuple(params)
        self.eqns = tuple(eqns)
        self.results = tuple(results)

    def definitions(self) -> dict[Var, Eqn]:
        """The equation that defines each variable (parameters have none)."""
        return {var: eqn for eqn in self.eqns for var in eqn.outputs}

    def __str__(self) -> str:
        return "\n".join(_lines(self))


# Equations that run as often and in the order that the program says: they may raise.
KEPT = ("host", "check")


def _kept(eqn: Eqn) -> bool:
    bodies = [value for value in eqn.attrs.values() if isinstance(value, Graph)]
    return eqn.op in KEPT or any(_kept(inner) for body in bodies for inner in body.eqns)


def live(graph: Graph) -> Graph:
    """The same graph without the equations that no result needs; what may raise stays."""
    needed = {a for a in graph.results if isinstance(a, Var)}
    kept = []
    for eqn in reversed(graph.eqns):
        if _kept(eqn) or any(out in needed for out in eqn.outputs):
            kept.append(eqn)
            needed.update(a for a in eqn.inputs if isinstance(a, Var))
    return Graph(graph.params, kept[::-1], graph.results)


def with_sizes(graph: Graph, replace: Callable[[Size], Any]) -> Graph:
    """The graph with `replace` applied to every size that is not known yet; fresh variables."""
    renamed: dict[Var, Var] = {}

    def put(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(put, value))
        if isinstance(value, Graph):
            return with_sizes(value, replace)
        return replace(value) if is_open(value) else value

    def define(variables: Iterable[Var]) -> list[Var]:
        for var in variables:
            renamed[var] = Var(var.type.with_shape(put(var.type.shape)))
        return [renamed[var] for var in variables]

    def use(atom: Atom) -> Atom:
        return renamed[atom] if isinstance(atom, Var) else atom

    params = define(graph.params)
    eqns = []
    for eqn in graph.eqns:
        inputs = [use(atom) for atom in eqn.inputs]
        attrs = {name: put(value) for name, value in eqn.attrs.items()}
        eqns.append(Eqn(eqn.op, inputs, define(eqn.outputs), attrs))
    return Graph(params, eqns, [use(atom) for atom in graph.results])


def _lines(graph: Graph, indent: str = "") -> list[str]:
    names: dict[Var, str] = {}

    def define(variables: Iterable[Var], letter: str) -> str:
        for var in variables:
            names[var] = f"{letter}{len(names)}"
        return ", ".join(f"{names[v]}:{v.type}" for v in variables)

    def use(atom: Atom) -> str:
        return names[atom] if isinstance(atom, Var) else str(atom)

    lines = [f"{indent}({define(graph.params, 'p')}) {{"]
    for eqn in graph.eqns:
        operands = ", ".join(map(use, eqn.inputs))
        attrs = "".join(
            f" {key}={_attr(eqn.attrs[key], indent + '    ')}" for key in sorted(eqn.attrs)
        )
        lines.append(f"{indent}  {define(eqn.outputs, 'v')} = {eqn.op}({operands}){attrs}")
    lines.append(f"{indent}  return {', '.join(map(use, graph.results))}")
    lines.append(f"{indent}}}")
    return lines


def _attr(value: Any, indent: str) -> str:
    if isinstance(value, Graph):
        return "\n".join(_lines(value, indent)).lstrip()
    if isinstance(value, tuple):
        return f"({','.join(_attr(v, indent) for v in value)})"
    return repr(value) if is_open(value) else str(value)


def _number(value: np.generic) -> str:
    """Text that distinguishes every value: hexadecimal floats, signed zeros, NaN by its bits."""
    if isinstance(value, np.complexfloating):
        return f"{_number(value.real)},{_number(value.imag)}"
    if isinstance(value, (np.bool_, np.integer)):
        return str(int(value))
    number = float(value)
    return "nan:" + value.tobytes().hex() if number != number else number.hex()
