"""Python's cyclic garbage collector, kept waiting while a function is traced and compiled.

A graph of a hundred thousand equations is as many objects that all stay alive: the collector would
walk through them again and again, for half of the time that a first call takes, and find nothing.
"""

from __future__ import annotations

import gc
import os
from _thread import allocate_lock

__all__ = ["Pause"]


class Pause:
    """``with pause:`` no collection starts, in any thread; it may be entered again inside.

    A collector that is off already stays so. Counted references free memory as ever.
    """

    __slots__ = ("_depth", "_lock", "_was_on")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._depth = 0  # of all threads together; under _lock
        self._was_on = False  # likewise
        os.register_at_fork(after_in_child=self._forked)

    def __enter__(self) -> None:
        with self._lock:
            if not self._depth:
                self._was_on = gc.isenabled()
                gc.disable()
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth and self._was_on:
                gc.enable()

    def _forked(self) -> None:
        """The child has one thread: if that one is not inside, nobody would end the pause."""
        self._lock = allocate_lock()
        if self._depth and self._was_on:
            gc.enable()
        self._depth = 0
