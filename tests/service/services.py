"""Ops over a runtime of their own: each test has its own cache, settings and worker process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jitops.api import Op
from jitops.config import Settings
from jitops.pipeline import key_of
from jitops.runtime import Runtime


def digest_of(op: Op, *args: Any) -> str:
    """The key of a call."""
    _, _, traced, layouts = op._traced(op._call(args, {}))
    return key_of(traced, layouts, op._runtime).digest


def ready(op: Op, *args: Any) -> None:
    """Wait for the kernel of these arguments, or its failure."""
    assert op._runtime.background().wait(digest_of(op, *args), 120)


class Service:
    """Makes ops that share one runtime."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runtimes: list[Runtime] = []
        self.runtime = self.new_runtime()

    def new_runtime(self, **environ: str) -> Runtime:
        environ = {"JITOPS_CACHE_DIR": str(self.directory), "HOME": "/", **environ}
        self.runtime = Runtime(Settings(environ))
        self.runtimes.append(self.runtime)
        return self.runtime

    def op(self, fn: Callable[..., Any], **options: Any) -> Op:
        return Op(fn, self.runtime, **options)

    def configure(self, **changes: object) -> None:
        self.runtime.settings.configure(**changes)
