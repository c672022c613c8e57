"""How many threads kernels run on, and whose: `set_threads`, `get_threads`, `threads`.

The budget of the process is the least of what its affinity mask and its cgroup's CPU quota grant,
`JITOPS_NUM_THREADS` and `OMP_NUM_THREADS`; `set_threads` sets another. All threads that call ops
share it: two callers on two cores get one thread each. `docs/threads.md` tells which setting suits
which host.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jitops import _native
from jitops.config import Config, Settings
from jitops.errors import ConfigError

__all__ = ["PoolSettings", "limited"]


class PoolSettings(Settings):
    """Settings that the native pool follows: `num_threads` and `threading`."""

    __slots__ = ("_prepared",)

    def __init__(self) -> None:
        super().__init__()
        self._prepared = False

    def prepare(self) -> None:
        """Give the pool its mode and budget, once, before the first kernel runs."""
        if self._prepared:
            return
        config = self.process()
        self._prepared = True
        _native.set_threading(config.threading, self.openmp_sleeps())
        if config.num_threads is not None:
            granted = _native.detect_budget()["threads"]
            _native.set_threads(min(config.num_threads, granted))

    def configure(self, **changes: object) -> None:
        """Change settings for the whole process; after a ConfigError nothing is changed."""
        super().configure(**changes)
        if not changes.keys() & {"num_threads", "threading"}:
            return
        self.prepare()
        config = self.process()
        if "threading" in changes:
            _native.set_threading(config.threading, self.openmp_sleeps())
        if "num_threads" in changes:
            _native.set_threads(config.num_threads)

    @contextmanager
    def options(self, **changes: object) -> Iterator[Config]:
        """`with options(num_threads=2):` changes settings for the block, in this thread or task.

        Raises ConfigError before the block is entered.
        """
        if "threading" in changes:
            raise ConfigError(
                "threading is a setting of the whole process",
                way_out="Use jitops.configure(threading=...).",
            )
        with super().options(**changes) as config:
            if changes.get("num_threads") is None:
                yield config
            else:
                with limited(config.num_threads):
                    yield config

    def set_threads(self, n: int | None) -> None:
        """Let all kernels of the process together run on at most ``n`` threads, callers included.

        n: 1 or more, also more than the machine grants; None: what it grants. Takes effect with
        the next launch. Raises ConfigError for other values.
        """
        self.configure(num_threads=n)

    def threads(self, n: int | None) -> Any:
        """`with jitops.threads(n):` limits the ops that this thread calls inside the block.

        n: 1 or more threads per call; None lifts the limit of a block around this one. The budget
        of the process holds in any case. Raises ConfigError for other values.
        """
        checked = self.current().replace(num_threads=n)
        return limited(checked.num_threads)

    def get_threads(self) -> int:
        """How many threads an op called here and now may use: the budget, or `threads`' limit."""
        self.prepare()
        return _native.get_threads()

    def describe_threads(self) -> dict[str, Any]:
        """What the budget and the mode come from, for `jitops info`.

        affinity, quota: what the machine grants, in processors (quota: None for none). limit: from
        the variables or `set_threads`. threads: the budget. threading: the mode; openmp: runtimes
        loaded; openmp_sleeps: their threads do so between regions; runs_on: who would run a
        parallel kernel of this thread, "pool", "serial" or a runtime's path.
        """
        self.prepare()
        budget, state = _native.detect_budget(), _native.threading()
        alone = "serial" if _native.get_threads() == 1 else "pool"
        return {
            "affinity": budget["affinity"],
            "quota": budget["quota"],
            "limit": self.process().num_threads,
            "threads": _native.pool_stats()["threads"],
            "threading": state["mode"],
            "openmp": state["openmp"],
            "openmp_sleeps": self.openmp_sleeps(),
            "runs_on": state["joins"] or alone,
        }


@contextmanager
def limited(n: int | None) -> Iterator[None]:
    """The calling thread's launches use at most ``n`` threads inside the block."""
    before = _native.set_thread_limit(n)
    try:
        yield
    finally:
        _native.set_thread_limit(before)
