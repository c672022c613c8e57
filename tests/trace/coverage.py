"""Every public function of NumPy and method of ndarray: how jitops takes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from jitops.trace.elementwise import rule_of as ufunc_rule
from jitops.trace.functions import HOME, name_of, room
from jitops.trace.intercept import CREATORS
from jitops.trace.methods import ATTRIBUTES, METHODS
from jitops.trace.refused import METHODS as REFUSED_METHODS
from jitops.trace.refused import REFUSED, STATIC
from jitops.trace.tracer import Tracer

NATIVE, HOST, WHILE_TRACING, NOT = "native", "host step", "while tracing", "refused"


def public() -> Iterator[tuple[str, Any]]:
    """The callables of the numpy namespace that are not types, by name."""
    for name in sorted(set(dir(np))):
        if not name.startswith("_") and name not in ("test",):
            found = getattr(np, name)
            if callable(found) and not isinstance(found, type):
                yield name, found


def ways(name: str, function: Any) -> set[str]:
    """The tables in which a function is found."""
    found = set()
    if isinstance(function, np.ufunc):
        products = room("linalg").UFUNCS
        if ufunc_rule(function) is not None or function.__name__ in products:
            found.add(NATIVE)
    elif name in CREATORS or name in HOME or name_of(function) in HOME:
        home = HOME.get(name) or HOME.get(name_of(function))
        found.add(HOST if home == "hosted" else NATIVE)
    if name in REFUSED:
        found.add(NOT)
    if name in STATIC:
        found.add(WHILE_TRACING)
    return found


def method_ways(name: str) -> set[str]:
    """The same for ndarray's methods and attributes."""
    native = name in METHODS or name in ATTRIBUTES or hasattr(Tracer, name)
    return ({NATIVE} if native else set()) | ({NOT} if name in REFUSED_METHODS else set())
