"""What happens to the cache, noted in batches for the index to read later.

A process counts what it loads and compiles, and appends the counts as lines to DIR/journal: when it
ends, and now and then before. Nothing is imported or opened for it on the way of a call.

One line per artifact and batch, appended in a single write:

    {"digest": "ab12…", "loads": 3, "compiles": 0, "ms": 0.0, "size": 5120, "name": "gelu"}

Lines are advice: those that cannot be read are skipped, and a journal that grows too long is not
written to until the index has read it.
"""

from __future__ import annotations

import atexit
import json
import os
import time
from _thread import allocate_lock  # `threading` is not needed, and takes 0.5 ms
from collections.abc import Callable
from typing import Any

from jitops.cache.artifact import Artifact

__all__ = ["Journal"]

LONGEST = 1 << 20  # bytes
BATCH = 256  # events kept before they are written
PAUSE_S = 60.0  # or this long


class Journal:
    """The notes of this process for the journal at `path`. Safe from several threads, and fork.

    at_exit: called once when the process ends, after the last notes, if anything was compiled.
    """

    def __init__(self, path: str, at_exit: Callable[[], None] | None = None) -> None:
        self.path = path
        self._at_exit = at_exit
        self._registered = False
        self._forget()

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._lock = allocate_lock()
        self._notes: dict[str, dict[str, Any]] = {}  # guarded by _lock, as are the next three
        self._events = 0
        self._written = time.monotonic()
        self._compiled = False

    def loaded(self, artifact: Artifact) -> None:
        """Note that an artifact was read from the cache."""
        self._count(artifact, loads=1)

    def compiled(self, artifact: Artifact, size: int) -> None:
        """Note that an artifact was made, and takes `size` bytes on disk."""
        self._count(artifact, compiles=1, size=size)

    def _count(self, artifact: Artifact, loads: int = 0, compiles: int = 0, size: int = 0) -> None:
        if self._owner != os.getpid():  # forked: the notes are the parent's to write
            self._forget()
        milliseconds = artifact.meta.get("compile_ms", 0.0) if compiles else 0.0
        milliseconds = milliseconds if isinstance(milliseconds, (int, float)) else 0.0
        with self._lock:
            digest = artifact.key.digest
            name = str(artifact.meta.get("name", ""))
            fresh = {
                "digest": digest,
                "loads": 0,
                "compiles": 0,
                "ms": 0.0,
                "size": 0,
                "name": name,
            }
            note = self._notes.setdefault(digest, fresh)
            note["loads"] += loads
            note["compiles"] += compiles
            note["ms"] += milliseconds
            note["size"] = size or note["size"]
            self._events += 1
            self._compiled |= compiles > 0
            due = self._events >= BATCH or time.monotonic() - self._written > PAUSE_S
            if not self._registered:
                self._registered = True
                atexit.register(self._end)
        if due:
            self.write()

    def write(self) -> None:
        """Append the notes to the file; where that fails they are dropped."""
        with self._lock:
            notes, self._notes = self._notes, {}
            self._events = 0
            self._written = time.monotonic()
        if not notes:
            return
        lines = "".join(json.dumps(note) + "\n" for note in notes.values())
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o600)
            try:
                if os.fstat(descriptor).st_size < LONGEST:
                    os.write(descriptor, lines.encode())
            finally:
                os.close(descriptor)
        except OSError:
            return

    def _end(self) -> None:
        if self._owner == os.getpid():
            self.write()
            if self._compiled and self._at_exit is not None:
                self._at_exit()
