"""Which graphs with open sizes one kernel serves as well as a kernel for each size would.

The open axis has to come first in every array (axes of extent 1 may precede it): then no stride
depends on it, and it is nothing but the bound of the outermost loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jitops.graph.graph import Eqn, Graph, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.sizes import Extent, Symbol, is_open
from jitops.graph.types import ArrayType

__all__ = ["limits", "obstacle"]

SMALLEST = 2  # extent: none is empty, none is broadcast
LARGEST = 1 << 56  # elements: no size in bytes overflows


def variables(graph: Graph) -> Iterator[Var]:
    """All variables, in order of definition."""
    yield from graph.params
    for eqn in graph.eqns:
        yield from eqn.outputs


def limits(graph: Graph, symbol: Symbol) -> tuple[int, int]:
    """The range of a symbol in which every extent is ordinary, and every array can be addressed."""
    low, high = symbol.low, symbol.high
    for var in variables(graph):
        extents: list[Extent] = [*var.type.shape, var.type.size]
        for extent in extents:
            c = extent.terms.get(symbol, 0) if is_open(extent) else 0
            if c > 0 and len(extent.terms) == 1:
                low = max(low, -(-(SMALLEST - extent.const) // c))
                high = min(high, LARGEST // c)
            elif c:
                return low, low - 1
    return low, high


def obstacle(graph: Graph) -> str:
    """Why one kernel does not serve all sizes; empty where it does."""
    for var in variables(graph):
        if not _first(var.type):
            return f"an array {var.type} has an open axis that is not its first"
    for eqn in graph.eqns:
        rule = _RULES.get(eqn.op) or _KINDS.get(PRIMITIVES[eqn.op].kind)
        types = [*(a.type for a in eqn.inputs), *(v.type for v in eqn.outputs)]
        if rule is None:
            return f"{eqn.op} has kernels for fixed sizes only"
        if any(map(open_axes, types)) and not rule(eqn):
            operands = ", ".join(str(atom.type) for atom in eqn.inputs)
            return f"{eqn.op} of {operands} works along the open axis"
    return ""


def open_axes(type_: ArrayType) -> tuple[int, ...]:
    """The axes whose extent is not known."""
    return tuple(a for a, n in enumerate(type_.shape) if is_open(n))


def _first(type_: ArrayType) -> bool:
    axes = open_axes(type_)
    return not axes or (len(axes) == 1 and all(n == 1 for n in type_.shape[: axes[0]]))


def _anywhere(eqn: Eqn) -> bool:
    return True


def _not_along(eqn: Eqn) -> bool:
    """Folds, scans and joins along other axes."""
    along = eqn.attrs.get("axes") or (eqn.attrs.get("axis"),)
    return not any(a in along for operand in eqn.inputs for a in open_axes(operand.type))


def _fixed(*names: str) -> Callable[[Eqn], bool]:
    """These attributes do not depend on the size."""

    def rule(eqn: Eqn) -> bool:
        return all(type(n) is int for name in names for n in eqn.attrs[name])

    return rule


def _unpadded(eqn: Eqn) -> bool:
    axes = open_axes(eqn.inputs[0].type)
    return all(eqn.attrs[side][a] == 0 for side in ("low", "high") for a in axes)


def _rows(eqn: Eqn) -> bool:
    """Products whose open axis is one of rows, or of independent products."""
    x, y = (operand.type for operand in eqn.inputs)
    return 1 not in open_axes(y) and 2 not in (*open_axes(x), *open_axes(y))


def _nowhere(eqn: Eqn) -> bool:
    return False


_KINDS: dict[str, Any] = {"map": _anywhere, "reduce": _not_along, "scan": _not_along}
_RULES: dict[str, Any] = {
    **dict.fromkeys(("full", "iota", "broadcast", "reshape", "transpose"), _anywhere),
    "slice": _fixed("start", "step"),
    "update": _fixed("start", "step"),
    "pad": _unpadded,
    "concatenate": _not_along,
    "dot": _rows,
    "take": _nowhere,
}
