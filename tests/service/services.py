"""Ops over a runtime of their own: each test has its own cache, settings and worker process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jitops.api import Op
from jitops.config import Settings
from jitops.runtime import Runtime


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
