"""The errors of tracing, each with the user's line and the way out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from jitops.errors import BranchError, ShapeError, UnsupportedError
from jitops.trace.where import user_frame, user_line, user_line_text


class NeedsStatic(BaseException):
    """A runtime Python int is needed as a real int while tracing: retrace with these leaves static.

    It derives from BaseException so that no ``except Exception`` in the traced function swallows
    it.
    """

    def __init__(self, leaves: frozenset[int]) -> None:
        super().__init__(leaves)
        self.leaves = leaves


def unsupported(what: str, way_out: str = "", *, found: str = "", accepted: str = "") -> Exception:
    """The error for a function or argument that cannot be traced; raise what this returns."""
    return UnsupportedError(
        what, where=user_line(), found=found, accepted=accepted, way_out=way_out
    )


def misfit(what: str, accepted: str = "", way_out: str = "") -> Exception:
    """The error for shapes, axes or indices that do not fit; raise what this returns."""
    return ShapeError(what, where=user_line(), accepted=accepted, way_out=way_out)


def branch(value: Any, use: str, *, argument: str = "") -> Exception:
    """The error for Python control flow on a traced value; raise what this returns."""
    way_out = "Use np.where for a choice by element, jitops.cond or while_loop for what is to run"
    if argument:
        way_out += f"; or make the argument static: static=({argument!r},)"
    else:
        way_out += "; a value that the control flow needs must come from a static argument"
    return BranchError(
        f"{use} needs the value of a traced {value}, which is known only when the op runs",
        where=user_line_text(),
        way_out=way_out + ".",
    )


def warn(message: str) -> None:
    """Give NumPy's warning about a deprecated call, at the user's line, when it is traced."""
    frame = user_frame()
    if frame is not None and np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        scope = frame.f_globals
        warnings.warn_explicit(
            message,
            DeprecationWarning,
            frame.f_code.co_filename,
            frame.f_lineno,
            scope.get("__name__"),
            scope.setdefault("__warningregistry__", {}),
        )


def listed(items: Iterable[Any]) -> str:
    """``a, b and c``."""
    words = [str(i) for i in items]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
