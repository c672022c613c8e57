"""Which int arguments decide a value that Python needs while tracing."""

from __future__ import annotations

from typing import Any

from jitops.graph.graph import Atom, Var


def deciders(t: Any, atom: Atom) -> frozenset[int]:
    """The leaves of the int arguments that alone decide an atom; none where anything else does.

    With these static the value is known: sizes, axes and positions may come from int arguments
    by way of any arithmetic, also that of floats and small arrays.
    """
    wanted = {atom} if isinstance(atom, Var) else set()
    for eqn in _backwards(t):
        if wanted.isdisjoint(eqn.outputs):
            continue
        if eqn.op == "host":
            return frozenset()
        wanted -= set(eqn.outputs)
        wanted |= {x for x in eqn.inputs if isinstance(x, Var)}
    ints = {p.var: p.source[1] for p in t.params if _is_int(p)}
    return frozenset(ints[var] for var in wanted) if wanted <= ints.keys() else frozenset()


def _backwards(t: Any) -> Any:
    """The equations of the present body and of those around it, the latest first."""
    yield from reversed(t.eqns)
    scope = t.scope
    while scope is not None:  # an entered scope keeps the equations around it
        yield from reversed(scope.eqns)
        scope = scope.outer


def _is_int(param: Any) -> bool:
    return param.source[0] == "leaf" and param.whole  # type: ignore[no-any-return]
