"""Axes of arguments whose size is left open while tracing.

The function sees a `Size` in ``x.shape``. A comparison is answered for the size of this call, and
narrows the range of sizes for which the trace holds to those with the same answer: whatever the
range ends up as, every size in it gives this very graph. What needs the number itself (a loop, an
index, a hash) refuses, with the line: such a function has a kernel for each size.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from jitops.graph.dynamic import limits, obstacle
from jitops.graph.graph import Graph, with_sizes
from jitops.graph.sizes import LEAST, MOST, Size, Symbol, affine, is_open
from jitops.trace.weak import Weak
from jitops.trace.where import user_line

__all__ = ["NotDynamic", "OpenSize", "open_axes", "settled"]

NAMES = "nmkhw"
WIDE = 4  # a range that does not reach this many times its least size is not worth a kernel


class NotDynamic(BaseException):
    """The graph depends on the size; ``reason`` says where.

    It derives from BaseException so that no ``except Exception`` in the traced function swallows
    it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OpenSize(Symbol):
    """The size of one axis of an argument, or of several that are equal in this call.

    value: its size in this call. source: the first (leaf, axis) that has it. where: the line
    that narrowed the range last.
    """

    __slots__ = ("atom", "session", "source", "value", "where")

    def __init__(self, session: Any, number: int, source: tuple[int, int], value: int) -> None:
        super().__init__(NAMES[number])
        self.session = session
        self.source = source
        self.value = value
        self.atom: Any = None  # of the graph's parameter
        self.where = ""
        if not LEAST <= value <= MOST:
            raise NotDynamic(f"an axis of size {value} has a kernel of its own")

    def settle(self, size: Size, test: str) -> bool:
        if len(size.terms) > 1:
            return bool(self.refuse(size, f"whether it {test}"))
        ((_, c),) = size.terms.items()
        if test == "== 0":
            root, rest = divmod(-size.const, c)
            if rest:
                return False
            if self.value == root:
                self._narrow(root, root)
            elif self.value > root:
                self._narrow(root + 1, self.high)
            else:
                self._narrow(self.low, root - 1)
            return self.value == root
        # For a positive c this holds up to `edge`, for a negative one it holds beyond.
        edge = (-size.const - 1) // c if c > 0 else size.const // -c
        beyond = self.value > edge
        self._narrow(*((edge + 1, self.high) if beyond else (self.low, edge)))
        return beyond == (c < 0)

    def _narrow(self, low: int, high: int) -> None:
        if (low, high) == (self.low, self.high):
            return
        self.low, self.high, self.where = max(self.low, low), min(self.high, high), user_line()
        if self.high < WIDE * self.low and self.high < MOST:
            sizes = f"{self.low}" if self.low == self.high else f"{self.low}..{self.high}"
            raise NotDynamic(f"{self.named()} must be {sizes} for the branch at {self.where}")

    def refuse(self, size: Size, use: str) -> Any:
        where = user_line()
        reason = f"{use} needs {self.named()} as a number"
        raise NotDynamic(f"{reason} ({where})" if where else reason)

    def named(self) -> str:
        """``x.shape[0]``."""
        leaf, axis = self.source
        names = [p.name for p in self.session.params if p.source == ("leaf", leaf)]
        return f"{names[0] if names else 'an argument'}.shape[{axis}]"

    def number(self, size: Size) -> Any:
        session = self.session

        def atom(symbol: Any) -> Weak:
            interval = (symbol.low, symbol.high)
            return Weak(session, symbol.atom, int, frozenset(), interval, symbol.name, symbol.value)

        return size.at(atom)

    def check_hash(self, size: Size) -> None:
        if not sys._getframe(2).f_globals.get("__name__", "").startswith("jitops."):
            self.refuse(size, "a hash (a key of a dict, a member of a set)")


def open_axes(params: Sequence[Any]) -> dict[tuple[int, int], Any]:
    """The axes of the arguments that are open in the graph, each with the parameter of its size."""
    by_name = {p.name: p for p in params if p.source[0] == "size"}
    return {
        (p.source[1], axis): by_name[n.symbol.name]
        for p in params
        if p.source[0] == "leaf"
        for axis, n in enumerate(p.var.type.shape)
        if is_open(n)
    }


def settled(graph: Graph, params: Sequence[Any], sizes: Mapping[int, OpenSize]) -> Graph:
    """The traced graph over plain symbols with the ranges found; `params` get its parameters.

    NotDynamic where kernels for all sizes would cost more than a kernel for each.
    """
    for size in sizes.values():
        size.low, size.high = limits(graph, size)
        if not size.low <= size.value <= size.high:
            raise NotDynamic(f"a {size.named()} of {size.value} has a kernel of its own")
    plain = {size: Symbol(size.name, size.low, size.high) for size in sizes.values()}

    def replace(extent: Size) -> Any:
        return affine({plain[s]: c for s, c in extent.terms.items()}, extent.const)  # type: ignore[index]

    graph = with_sizes(graph, replace)
    for param, var in zip(params, graph.params):
        param.var = var
        kind, source = param.source
        if kind == "size":
            (size,) = (s for s in sizes.values() if s.source == source)
            param.low, param.high = size.low, size.high
    reason = obstacle(graph)
    if reason:
        raise NotDynamic(reason)
    return graph
