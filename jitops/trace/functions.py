"""The table of NumPy's functions, and their dispatch: `__array_function__` of the tracers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace import (
    composed,
    creation,
    linalg,
    manipulation,
    methods,
    numpys,
    reductions,
    statistics,
)
from jitops.trace.manipulation import stacked
from jitops.trace.masked import Masked
from jitops.trace.raising import unsupported
from jitops.trace.tracer import KNOWN_LIMIT, Tracer
from jitops.trace.weak import Weak

__all__ = [
    "ATTRIBUTES",
    "METHODS",
    "SPECIAL_UFUNCS",
    "TABLE",
    "UFUNC_METHODS",
    "VIEWS",
    "dispatch",
    "stacked",
]

Rule = Callable[..., Any]

METHODS = methods.METHODS
ATTRIBUTES = methods.ATTRIBUTES
UFUNC_METHODS = reductions.UFUNC_METHODS


def find(name: str) -> Any:
    """The NumPy function of a dotted name, or None where this NumPy has none."""
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _by_function(*tables: dict[str, Rule]) -> dict[Any, Rule]:
    rules = ((find(name), rule) for table in tables for name, rule in table.items())
    return {function: rule for function, rule in rules if function is not None}


VIEWS = _by_function(manipulation.VIEWS, linalg.VIEWS, composed.MUTATING)
TABLE = _by_function(
    creation.TABLE,
    numpys.TABLE,
    reductions.TABLE,
    statistics.TABLE,
    manipulation.TABLE,
    linalg.TABLE,
    composed.TABLE,
)
SPECIAL_UFUNCS = _by_function(linalg.UFUNCS)
HINTS = _by_function(composed.HINTS)
WAY_OUT = methods.WAY_OUT


def dispatch(t: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``func(*args, **kwargs)`` with a tracer among the arguments."""
    view = VIEWS.get(func)
    if view is not None:
        return view(t, *args, **kwargs)
    rule = TABLE.get(func)
    if rule is None:
        raise _unsupported(func)
    if any(type(a) is Masked for a in args):
        return NotImplemented
    if kwargs.get("out") is None:
        values = _known((args, kwargs))
        if values is not None:
            with np.errstate(all="ignore"):
                return t.wrap_result(func(*values[0], **values[1]))
    return rule(t, *args, **kwargs)


def _unsupported(func: Any) -> Exception:
    module = (getattr(func, "__module__", "") or "numpy").replace("numpy", "np", 1)
    hint = HINTS.get(func, "Compute it outside the op and pass the result as an argument.")
    return unsupported(f"{module}.{func.__name__} is not supported in a traced function", str(hint))


class _UnknownError(Exception):
    """An argument is not known while tracing."""


def _known(arguments: Any) -> Any:
    """The arguments with the known values of the tracers, or None where one is unknown or large."""
    try:
        return _values(arguments)
    except _UnknownError:
        return None


def _values(x: Any) -> Any:
    kind = type(x)
    if kind is Tracer:
        value = x.known()
        if value is None or value.size > KNOWN_LIMIT:
            raise _UnknownError
        return value[()] if x.scalar else value
    if kind is Weak or isinstance(x, np.ndarray):
        raise _UnknownError
    if kind is tuple or kind is list:
        return kind(map(_values, x))
    if kind is dict:
        return {k: _values(v) for k, v in x.items()}
    return x
