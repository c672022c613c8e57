"""Argument and result trees: nested tuples, lists, dicts and namedtuples of leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.graph.sizes import Size
from jitops.graph.types import Spec
from jitops.trace.masked import Masked, Unknown
from jitops.trace.raising import unsupported
from jitops.trace.recorder import is_generator
from jitops.trace.tracer import Tracer
from jitops.trace.weak import Weak

DYNAMIC = (float, int, complex)


def is_leaf(x: Any) -> bool:
    """Whether a value is a runtime argument: an array, a spec, a number, a random generator."""
    kind = type(x)
    plain = kind in DYNAMIC or kind is Spec or isinstance(x, (np.ndarray, np.generic))
    return plain or is_generator(x)


def mapped(
    x: Any,
    name: str,
    visit: Callable[[Any, str], Any],
    other: Callable[[Any], Any] = lambda x: x,
) -> Any:
    """The tree with each dynamic leaf replaced by ``visit(leaf, name)``, the rest by ``other``."""
    kind = type(x)
    if kind is tuple or kind is list:
        return kind(mapped(v, f"{name}[{i}]", visit, other) for i, v in enumerate(x))
    if kind is dict:
        return {k: mapped(v, f"{name}[{k!r}]", visit, other) for k, v in x.items()}
    if isinstance(x, tuple) and hasattr(kind, "_fields"):
        return kind(*(mapped(v, f"{name}.{f}", visit, other) for f, v in zip(kind._fields, x)))
    return visit(x, name) if is_leaf(x) else other(x)


class Results:
    """Collects the fresh outputs of a function and describes its result."""

    def __init__(self, trace: Any) -> None:
        self.trace = trace
        self.atoms: list[Atom] = []
        self._seen: dict[int, tuple[Any, tuple[Any, ...]]] = {}

    def describe(self, x: Any) -> tuple[Any, ...]:
        """The result tree, as in the binding of a call."""
        kind = type(x)
        if kind is Tracer or kind is Weak:
            return self._leaf(x)
        if kind is Masked:
            raise x._refusal("returning")
        if kind is Unknown:
            x.refuse()
        if kind in (tuple, list):
            return (kind.__name__, tuple(map(self.describe, x)))
        if kind is dict:
            return ("dict", tuple((k, self.describe(v)) for k, v in x.items()))
        if isinstance(x, tuple) and hasattr(kind, "_fields"):
            return ("namedtuple", kind, tuple(map(self.describe, x)))
        if isinstance(x, np.ndarray):
            return self._leaf(self.trace.array(x))
        if kind.__module__ == "jitops.trace.drawing":
            return x.described()  # type: ignore[no-any-return]
        return ("const", x if kind is not Size else x.symbol.refuse(x, "the result"))

    def _leaf(self, x: Any) -> tuple[Any, ...]:
        found = self._seen.get(id(x))
        if found is None:
            # The value is kept: the next one would get the identity of one that is gone.
            found = self._seen[id(x)] = x, self._new_leaf(x)
        return found[1]

    def _new_leaf(self, x: Any) -> tuple[Any, ...]:
        for param, leaf in zip(self.trace.params, self.trace.leaves):
            if leaf is x:
                return ("arg", param.source[1])
        if type(x) is Weak:
            return self._number(x)
        if x.session is not self.trace:
            raise unsupported(f"{x!r} comes from another trace")
        if x.cell.origin == "captured" and x.parent is None:
            atom = x.read()
            index = next(i for i, p in enumerate(self.trace.params) if p.var is atom)
            return ("cap", index)
        value = x.known()
        if x.scalar and value is not None:
            return ("const", value.item() if x.number else value[()])
        if x.number:
            return self._out(x.read(), "number")
        return self._out(x.read(), "scalar" if x.scalar else "array")

    def _number(self, x: Weak) -> tuple[Any, ...]:
        if x.pytype is int and x.leaves:
            x.static("the result")
        return self._out(x.atom, "number")

    def _out(self, atom: Atom, kind: str) -> tuple[Any, ...]:
        self.atoms.append(atom)
        return ("out", len(self.atoms) - 1, kind)
