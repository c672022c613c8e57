"""Single flight: of all threads and processes that miss the same key together, one compiles.

    threads     one future per key in this process; the first thread leads, the others wait for it
    processes   one lock file per key (filelock). The kernel drops the lock when its holder dies, so
                another takes over at once, and a killed process leaves nothing locked

Locks are an optimisation. Where they do not work (some network file systems), or where the wait has
lasted too long, the key is compiled redundantly; publication alone keeps the store correct.

Lock files do not accumulate: the holder deletes its file before it lets go. A waiter that has
opened the deleted file gets a lock that guards no name; filelock sees that (no links left) and
opens anew. The files of holders that were killed go when the key is next compiled, or with a later
sweep.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from jitops.cache.artifact import Artifact
from jitops.cache.key import Key
from jitops.cache.store import STALE_S, Store

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["WAIT_S", "Flights", "try_lock"]

WAIT_S = 120.0  # how long to wait for another's compile before doing it redundantly
_POLL_S = (0.002, 0.05)  # first and longest pause between looks at another process's work


class _Flight:
    """One key being produced by one thread of this process."""

    __slots__ = ("artifact", "done", "error", "leader")

    def __init__(self) -> None:
        self.leader = threading.get_ident()
        self.done = threading.Event()
        self.artifact: Artifact | None = None  # written before `done` is set, read after
        self.error: Exception | None = None  # likewise


class Flights:
    """The keys this process is producing for `store`. Safe from several threads, and after fork.

    host_features: what this CPU has; artifacts that need more are not used.
    """

    def __init__(self, store: Store, host_features: Collection[str] | None) -> None:
        self.store = store
        self.host_features = host_features
        self._forget()

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight] = {}  # guarded by _lock

    def run(
        self, key: Key, produce: Callable[[], Artifact], wait_s: float = WAIT_S
    ) -> tuple[Artifact, bool]:
        """Return the artifact of this key, and whether `produce` ran here for it.

        Others that produce the same key are waited for, `wait_s` seconds in all. An exception of
        `produce` is raised here, and in the threads of this process that waited for it (they would
        only fail the same way); other processes try for themselves.
        """
        deadline = time.monotonic() + wait_s
        while True:
            flight, leads = self._join(key.digest)
            if flight is None:
                return self._produce(key, produce), True
            if leads:
                return self._lead(key, produce, flight, deadline)
            if not flight.done.wait(max(0.0, deadline - time.monotonic())):
                return self._produce(key, produce), True
            if flight.error is not None:
                raise flight.error
            if flight.artifact is not None:
                return flight.artifact, False
            # The leader was interrupted (KeyboardInterrupt): take its place.

    def _join(self, digest: str) -> tuple[_Flight | None, bool]:
        """Return the flight of this digest, and whether this thread leads it.

        None instead of a flight: `produce` needs its own key, waiting would be for ourselves.
        """
        if self._owner != os.getpid():  # forked: the threads that lead or hold _lock are gone
            self._forget()
        with self._lock:
            flight = self._flights.get(digest)
            if flight is None:
                flight = self._flights[digest] = _Flight()
                return flight, True
        return (None, False) if flight.leader == threading.get_ident() else (flight, False)

    def _lead(
        self, key: Key, produce: Callable[[], Artifact], flight: _Flight, deadline: float
    ) -> tuple[Artifact, bool]:
        try:
            flight.artifact, made = self._alone(key, produce, deadline)
            return flight.artifact, made
        except Exception as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                self._flights.pop(key.digest, None)
            flight.done.set()

    def _alone(
        self, key: Key, produce: Callable[[], Artifact], deadline: float
    ) -> tuple[Artifact, bool]:
        """Produce, unless another process did so while we waited for it."""
        with self._process_lock(key, deadline):
            if self.store.has(key):
                stored = self.store.get(key, self.host_features)
                if stored is not None:
                    return stored, False
            return self._produce(key, produce), True

    def _produce(self, key: Key, produce: Callable[[], Artifact]) -> Artifact:
        artifact = produce()
        if artifact.key != key:
            raise ValueError(f"produced {artifact.key!r} where {key!r} was asked for")
        self.store.put(artifact)
        return artifact

    @contextmanager
    def _process_lock(self, key: Key, deadline: float) -> Iterator[None]:
        """Hold this key's lock, or find it useless: entered in any case, by the deadline."""
        path = os.path.join(self.store.room("locks"), key.digest + ".lock")
        lock = self._acquire(path, key, deadline)
        try:
            yield
        finally:
            if lock is not None:
                _unlink_and_release(lock, path)
                self._sweep_locks()

    def _acquire(self, path: str, key: Key, deadline: float) -> BaseFileLock | None:
        """Take the lock; None: published meanwhile, or time is up, or locks do not work here."""
        from filelock import FileLock, Timeout  # 15 to 40 ms: only a miss needs it

        lock = FileLock(path, mode=0o600)
        pause = _POLL_S[0]
        while True:
            try:
                lock.acquire(timeout=0)
                return lock
            except Timeout:
                pass
            except (OSError, NotImplementedError, Warning) as error:
                self.store.log.info("no locks in %s (%s)", self.store.room("locks"), error)
                return None
            if self.store.has(key):
                return None
            if time.monotonic() + pause > deadline:
                self.store.log.warning(
                    "waited too long for another process to compile %s; compiling here too",
                    key.digest[:12],
                )
                return None
            time.sleep(pause)
            pause = min(pause * 1.5, _POLL_S[1])

    def _sweep_locks(self) -> None:
        """Delete the lock files of processes that died long ago."""
        room = self.store.room("locks")
        with suppress(OSError):
            for name in os.listdir(room):
                path = os.path.join(room, name)
                with suppress(OSError):
                    if abs(time.time() - os.stat(path).st_mtime) > STALE_S:
                        with try_lock(room, name.removesuffix(".lock")):
                            pass


@contextmanager
def try_lock(room: str, name: str) -> Iterator[bool]:
    """Hold a lock for the block if nobody else does, without waiting; whether we hold it."""
    from filelock import FileLock, Timeout

    path = os.path.join(room, name + ".lock")
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError, NotImplementedError, Warning):
        yield False
        return
    try:
        yield True
    finally:
        _unlink_and_release(lock, path)


def _unlink_and_release(lock: BaseFileLock, path: str) -> None:
    """In this order: after the release, the name could already be another holder's."""
    with suppress(OSError):
        os.unlink(path)
    with suppress(OSError):
        lock.release()
