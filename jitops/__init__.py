"""Plain NumPy functions, compiled once for exactly this machine."""

from __future__ import annotations

from typing import Any

from jitops.api import Op, barrier_warm, jitop, spec
from jitops.control import cond, fori_loop, scan, while_loop
from jitops.errors import JitopsError
from jitops.process import config, configure, get_threads, options, set_threads, threads

__version__ = "0.1.0"

__all__ = [
    "JitopsError",
    "Op",
    "barrier_warm",
    "cond",
    "config",
    "configure",
    "fori_loop",
    "get_threads",
    "jitop",
    "nn",
    "options",
    "scan",
    "set_threads",
    "spec",
    "threads",
    "while_loop",
]


def __getattr__(name: str) -> Any:
    """`jitops.nn` is imported when it is first asked for."""
    if name == "nn":
        import importlib

        return importlib.import_module("jitops.nn")
    raise AttributeError(f"module 'jitops' has no attribute {name!r}")
