"""Rewrite the graph before fusion; values unchanged, up to the rounding of sums.

Each pass is a function from graph to graph; `simplify` calls them in order.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from jitops.graph.evaluate import apply
from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var, live
from jitops.graph.ops import JOINS, PRIMITIVES
from jitops.graph.sizes import typical
from jitops.graph.types import ArrayType
from jitops.lower.contractions import Layouts, contraction
from jitops.lower.nested import nested
from jitops.lower.selection import select

Emit = Callable[..., Var]


def simplify(graph: Graph, vector_bits: int = 256, layouts: Layouts | None = None) -> Graph:
    """All passes, in order; ``vector_bits`` is the width of the target's vector registers.

    ``layouts``: how the parameters lie in memory; of a body, that is not known.
    """
    graph = live(graph)
    graph = rewrite(graph, FORWARD)
    graph = select(graph, rewrite)
    graph = nested(graph, lambda body: simplify(body, vector_bits))
    forms = {"dot": lambda eqn, builder: contraction(eqn, builder, vector_bits, layouts or {})}
    graph = rewrite(graph, forms)
    graph = rewrite(graph, EXPAND)
    graph = merge_equal(graph)
    return live(graph)


def own_results(graph: Graph) -> Graph:
    """Make the results distinct outputs of equations, by copies where they are not."""
    eqns, results = list(graph.eqns), []
    seen: set[Atom] = set(graph.params)
    for atom in graph.results:
        if not isinstance(atom, Var) or atom in seen:
            copy = Var(ArrayType(atom.type.shape, atom.type.dtype))
            eqns.append(Eqn("cast", [atom], [copy], {"dtype": atom.type.dtype_name}))
            atom = copy
        seen.add(atom)
        results.append(atom)
    return Graph(graph.params, eqns, results)


Rule = Callable[[Eqn, "Builder"], "Atom | None"]


class Builder:
    """Collects the equations of a rewritten graph."""

    def __init__(self) -> None:
        self.eqns: list[Eqn] = []
        self.definitions: dict[Var, Eqn] = {}

    def emit(self, op: str, *inputs: Atom, **attrs: Any) -> Var:
        """Append an equation with the types of its rule."""
        (type_,) = PRIMITIVES[op].rule(*(a.type for a in inputs), **attrs)
        return self.append(Eqn(op, inputs, [Var(type_)], attrs))

    def append(self, eqn: Eqn) -> Var:
        self.eqns.append(eqn)
        self.definitions.update(dict.fromkeys(eqn.outputs, eqn))
        return eqn.outputs[0]

    def definition(self, atom: Atom) -> Eqn | None:
        return self.definitions.get(atom) if isinstance(atom, Var) else None


def rewrite(graph: Graph, rules: dict[str, Rule]) -> Graph:
    """Offer each equation to its rule; a rule that does not apply returns None."""
    builder = Builder()
    renamed: dict[Var, Atom] = {}

    def read(atom: Atom) -> Atom:
        return renamed.get(atom, atom) if isinstance(atom, Var) else atom

    for eqn in graph.eqns:
        eqn = Eqn(
            eqn.op, [_as_literal(read(a), builder, eqn) for a in eqn.inputs], eqn.outputs, eqn.attrs
        )
        rule = rules.get(eqn.op)
        atom = _folded(eqn, builder) or (rule(eqn, builder) if rule is not None else None)
        if atom is None:
            builder.append(eqn)
        else:
            renamed[eqn.output] = atom
    return Graph(graph.params, builder.eqns, [read(a) for a in graph.results])


def _folded(eqn: Eqn, builder: Builder) -> Atom | None:
    """The value of a map equation of literals, filled into its shape."""
    if PRIMITIVES[eqn.op].kind != "map" or eqn.op == "bitcast":
        return None
    result = eqn.output.type
    if not result.size or not all(isinstance(a, Literal) for a in eqn.inputs):
        return None
    if eqn.op == "pow" and result.dtype.kind in "iu":
        return None  # NumPy refuses negative exponents
    with np.errstate(all="ignore"):
        value = apply(eqn, [a.value for a in eqn.inputs if isinstance(a, Literal)])
    literal = Literal(value.reshape(-1)[0], result.dtype)
    return literal if not result.shape else builder.emit("full", literal, shape=result.shape)


def _as_literal(atom: Atom, builder: Builder, eqn: Eqn) -> Atom:
    """A literal for a filled or broadcast literal that a map equation of the same shape reads."""
    if PRIMITIVES[eqn.op].kind != "map" or eqn.output.type.shape == ():
        return atom
    source = builder.definition(atom)
    if source is None or source.op not in ("full", "broadcast"):
        return atom
    value = source.inputs[0]
    others = [a for a in eqn.inputs if a is not atom]
    keeps_shape = any(a.type.shape == eqn.output.type.shape for a in others)
    return value if isinstance(value, Literal) and keeps_shape else atom


def merge_equal(graph: Graph) -> Graph:
    """Compute equal equations once."""
    builder = Builder()
    renamed: dict[Var, Var] = {}
    seen: dict[Any, Eqn] = {}
    for eqn in graph.eqns:
        inputs = [renamed.get(a, a) if isinstance(a, Var) else a for a in eqn.inputs]
        key = (
            eqn.op,
            tuple([a if type(a) is Var else str(a) for a in inputs]),
            tuple([(k, v if type(v) is tuple else str(v)) for k, v in eqn.attrs.items()]),
            tuple([v.type for v in eqn.outputs]),
        )
        if key in seen:
            renamed.update(zip(eqn.outputs, seen[key].outputs))
            continue
        seen[key] = Eqn(eqn.op, inputs, eqn.outputs, eqn.attrs)
        builder.append(seen[key])
    results = [renamed.get(a, a) if isinstance(a, Var) else a for a in graph.results]
    return Graph(graph.params, builder.eqns, results)


# --- rules that forward an operand ---


def _same_type(eqn: Eqn, builder: Builder) -> Atom | None:
    """A reshape, cast, broadcast, slice or transpose that changes nothing."""
    (x, *_) = eqn.inputs
    if x.type != eqn.output.type:
        return None
    attrs = eqn.attrs
    moved = (
        any(attrs.get("start", ()))
        or any(d != 1 for d in attrs.get("step", ()))
        or list(attrs.get("perm", ())) != sorted(attrs.get("perm", ()))
    )
    return None if moved else x


def _cast(eqn: Eqn, builder: Builder) -> Atom | None:
    (x,) = eqn.inputs
    if isinstance(x, Literal) and not eqn.output.type.shape:
        with np.errstate(all="ignore"):
            return Literal(x.value.astype(eqn.attrs["dtype"]), eqn.attrs["dtype"])
    return _same_type(eqn, builder)


def _pow(eqn: Eqn, builder: Builder) -> Atom | None:
    """Small literal exponents by multiplication; NumPy has short cuts for 2, 1, 0.5 and -1 too."""
    x, exponent = eqn.inputs
    value = _constant(exponent, builder)
    if value is None or x.type.shape != eqn.output.type.shape:
        return None
    floating = np.issubdtype(x.type.dtype, np.floating)
    if value == 1:
        return x
    if value == 2:
        return builder.emit("square", x)
    if value == 3:
        return builder.emit("mul", builder.emit("square", x), x)
    if floating and value == 0.5:
        return builder.emit("sqrt", x)  # of -inf it is NaN, in NumPy's power too
    if floating and value == -1:
        return builder.emit("div", Literal(1, x.type.dtype), x)
    return None


def _constant(atom: Atom, builder: Builder) -> Any:
    source = builder.definition(atom)
    if source is not None and source.op in ("full", "broadcast"):
        atom = source.inputs[0]
    return atom.value.item() if isinstance(atom, Literal) else None


def _div(eqn: Eqn, builder: Builder) -> Atom | None:
    """Division by a literal power of two is an exact multiplication."""
    x, divisor = eqn.inputs
    value = _constant(divisor, builder)
    if not isinstance(value, float) or value == 0 or not np.isfinite(value):
        return None
    mantissa, exponent = np.frexp(abs(value))
    if mantissa != 0.5 or not -100 < exponent < 100 or x.type.dtype.itemsize < 4:
        return None
    return builder.emit("mul", x, Literal(1 / value, x.type.dtype))


FORWARD: dict[str, Rule] = {
    "cast": _cast,
    "reshape": _same_type,
    "broadcast": _same_type,
    "transpose": _same_type,
    "slice": _same_type,
    "pow": _pow,
    "div": _div,
}


# --- rules that expand an equation ---


def _dot(eqn: Eqn, builder: Builder) -> Atom | None:
    """A contraction as products summed along the shared axis: ``sum_k x[b,m,k] y[b,k,n]``."""
    x, y = eqn.inputs
    shape = (*x.type.shape, y.type.shape[2])
    if x.type.dtype.kind == "b":
        op, fold = "and", "reduce_or"
    else:
        op, fold = "mul", "reduce_sum"
    left = builder.emit("broadcast", x, shape=shape, axes=(0, 1, 2))
    right = builder.emit("broadcast", y, shape=shape, axes=(0, 2, 3))
    return builder.emit(fold, builder.emit(op, left, right), axes=(2,))


# A reduction with few rows is cut into pieces that the cores can share.
FEW_ROWS = 16
LARGE = 1 << 17
PIECES = 64


def _reduce(eqn: Eqn, builder: Builder) -> Atom | None:
    """A long reduction with few rows: equal pieces of the longest axis, then the pieces."""
    (x,) = eqn.inputs
    if not eqn.attrs["axes"]:
        return x if eqn.op != "argmax" else None
    rows = prod(eqn.output.type.shape)
    if typical(rows) >= FEW_ROWS or typical(x.type.size) < LARGE:
        return None
    axes = eqn.attrs["axes"]
    axis = max(axes, key=lambda a: x.type.shape[a])
    length = x.type.shape[axis]
    piece = length // PIECES
    if piece < 64:
        return None
    main = _pieces(builder, eqn.op, x, axis, piece, axes)
    rest = length - piece * PIECES
    if not rest:
        return main
    rank = x.type.ndim
    start = tuple(length - rest if a == axis else 0 for a in range(rank))
    size = tuple(rest if a == axis else n for a, n in enumerate(x.type.shape))
    tail = builder.emit("slice", x, start=start, step=(1,) * rank, size=size)
    return builder.emit(JOINS[eqn.op], main, builder.emit(eqn.op, tail, axes=axes))


def _pieces(
    builder: Builder, op: str, x: Atom, axis: int, piece: int, axes: tuple[int, ...]
) -> Var:
    rank, shape = x.type.ndim, x.type.shape
    whole = tuple(piece * PIECES if a == axis else n for a, n in enumerate(shape))
    if whole != shape:
        x = builder.emit("slice", x, start=(0,) * rank, step=(1,) * rank, size=whole)
    split = (*shape[:axis], PIECES, piece, *shape[axis + 1 :])
    x = builder.emit("reshape", x, shape=split)
    inner = tuple(a if a < axis else a + 1 for a in axes)
    partial = builder.emit(op, x, axes=inner)
    outer = axis - sum(a < axis for a in axes)
    return builder.emit(op, partial, axes=(outer,))


EXPAND: dict[str, Rule] = {"dot": _dot, **dict.fromkeys(JOINS, _reduce)}
