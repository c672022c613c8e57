"""Run random programs, traced and compiled, and compare with NumPy."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from against_numpy import duplicated, run
from drawing import Program, tolerance

from jitops import jitop
from jitops.graph.verify import verify
from jitops.trace import trace


def differs(program: Program, found: Any) -> str:
    """What is wrong with a program's results; an empty string where nothing is."""
    for name, value in zip(program.results, found, strict=True):
        reason = _differs(np.asarray(value), program.values[name])
        if reason:
            return f"{name}: {reason}"
    return ""


def _differs(found: Any, value: Any) -> str:
    wanted = np.asarray(value[0])
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        return f"{found.dtype}{found.shape} is not {wanted.dtype}{wanted.shape}"
    if wanted.dtype.kind not in "fc":
        return "" if np.array_equal(found, wanted) else f"found {found}, wanted {wanted}"
    with np.errstate(all="ignore"):
        finite = np.isfinite(wanted)
        same = np.array_equal(found[~finite], wanted[~finite], equal_nan=True)
        apart = np.abs(found[finite].astype("c16") - wanted[finite].astype("c16"))
    if same and (apart <= tolerance(value)).all():
        return ""
    return f"found {found}, wanted {wanted}, allowed {tolerance(value)}"


def check_traced(program: Program) -> str:
    """Trace, verify, evaluate the graph with NumPy."""
    arguments = duplicated(program.arguments)
    try:
        traced = trace(program.function(), tuple(arguments), {})
        verify(traced.graph)
        return differs(program, run(traced, list(arguments)))
    except Exception as error:
        return _described(error)


def _described(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"


def check_compiled(programs: Sequence[Program]) -> list[tuple[Program, str]]:
    """All programs in one op; halves of it where it cannot be compiled, down to the culprit."""
    functions = [p.function() for p in programs]

    def together(arguments: Any) -> Any:
        return [f(*a) for f, a in zip(functions, arguments)]

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = jitop(together)([tuple(duplicated(p.arguments)) for p in programs])
    except Exception as error:
        if len(programs) == 1:
            return [(programs[0], "compiled: " + _described(error))]
        half = len(programs) // 2
        return check_compiled(programs[:half]) + check_compiled(programs[half:])
    reasons = [(p, differs(p, f)) for p, f in zip(programs, found)]
    return [(p, "compiled: " + reason) for p, reason in reasons if reason]
