"""Compiling in a process of its own: an abort of the compiler, or a hang, never hurts the program.

One worker process for the program (jitops/worker.py), started with the first job and kept; one
thread here talks to it, in lines of JSON over its pipes. A worker that dies or takes too long fails
the job it had, and the next job starts another. It ends when this process does, however it ends.

    {"id": 1, "unit": {...}, "cache_dir": "...", "cache_size": 1073741824, "publish": true,
     "limit_s": 120}
    {"id": 1, "status": "stored"}
    {"id": 1, "status": "made", "artifact": "<base64 of the file>"}     not published
    {"id": 1, "status": "failed", "error": "..."}

The artifact comes back by the store where it can be written, else in the reply.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from jitops.cache.artifact import Artifact, decode
from jitops.errors import CacheError, CompileError

if TYPE_CHECKING:
    from jitops.cache.store import Store
    from jitops.log import Log
    from jitops.unit import Unit

__all__ = ["Background"]

LIMIT_S = 120.0  # for one kernel
ATTEMPTS = 3  # to have a kernel that was made, and is gone again when it is asked for
_TOLD = 2000  # characters of what a worker that died had to say

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from jitops.worker import main; main()"
)


class _Job:
    """One kernel on its way. The thread writes error and artifact, then sets done."""

    __slots__ = ("artifact", "attempts", "done", "error", "request", "unit")

    def __init__(self, unit: Unit, request: dict[str, Any]) -> None:
        self.unit = unit
        self.request = request
        self.attempts = 1
        self.done = threading.Event()
        self.artifact: Artifact | None = None
        self.error: CompileError | None = None


class Background:
    """The jobs given to the worker, by key. Safe from several threads; a fork starts with none."""

    def __init__(self, log: Log, limit_s: float = LIMIT_S) -> None:
        self.log = log
        self.limit_s = limit_s
        self._forget()
        atexit.register(self.close)

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}  # guarded by _lock
        self._queue: SimpleQueue[_Job] = SimpleQueue()
        self._thread: threading.Thread | None = None  # guarded by _lock
        self._worker: _Worker | None = None  # the thread's own, but for close()
        self._closed = False

    def ask(self, unit: Unit, store: Store, publish: bool) -> Artifact | None:
        """The artifact of this unit if it was made and not published; None: not ready yet.

        To be asked when the store has no artifact. publish: let the worker store it. Raises the
        CompileError of a job that failed.
        """
        if self._owner != os.getpid():
            self._forget()
        with self._lock:
            job = self._jobs.get(unit.key.digest)
            if job is None:
                job = self._jobs[unit.key.digest] = self._give(unit, store, publish)
                return None
            if not job.done.is_set():
                return None
            if job.error is not None:
                raise job.error
            if job.artifact is None:  # published, and not in the store: evicted, or damaged
                self._give_again(job)
            return job.artifact

    def busy(self, digest: str) -> bool:
        """Whether the kernel of this key is on its way."""
        job = self._jobs.get(digest) if self._owner == os.getpid() else None
        return job is not None and not job.done.is_set()

    def wait(self, digest: str, timeout_s: float) -> bool:
        """Wait until this kernel is ready or has failed; whether it is."""
        job = self._jobs.get(digest)
        return job is None or job.done.wait(timeout_s)

    def _give(self, unit: Unit, store: Store, publish: bool) -> _Job:
        request = {
            "unit": unit.to_json(),
            "cache_dir": store.directory,
            "cache_size": store.limit,
            "publish": publish,
            "limit_s": self.limit_s,
        }
        job = _Job(unit, request)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name="jitops-background", daemon=True
            )
            self._thread.start()
        self._queue.put(job)
        return job

    def _give_again(self, job: _Job) -> None:
        if job.attempts >= ATTEMPTS:
            job.error = CompileError(
                "a kernel that was compiled is not in the cache when it is read"
            )
            raise job.error
        job.attempts += 1
        job.done.clear()
        self._queue.put(job)

    def _work(self) -> None:
        """Serve the jobs in turn; the thread's whole life."""
        number = 0
        while True:
            job = self._queue.get()
            if self._closed:
                return
            number += 1
            self.log.info("compiling %s %s in the background", job.unit.name, job.unit.key)
            try:
                job.artifact = self._serve(job, number)
            except CompileError as error:
                job.error = error
            except Exception as error:  # whatever it is, those who wait must hear of it
                job.error = CompileError(
                    f"op {job.unit.name!r} cannot be compiled", found=repr(error)
                )
                job.error.__cause__ = error
            job.done.set()

    def _serve(self, job: _Job, number: int) -> Artifact | None:
        worker = self._worker
        if worker is None or not worker.alive():
            worker = self._worker = _Worker()
        try:
            reply = worker.ask({**job.request, "id": number}, self.limit_s + 5.0)
        except _WorkerLostError as loss:
            self._worker = None
            raise CompileError(
                f"op {job.unit.name!r}: the compiler's process {loss}",
                way_out="The program is not affected; op.eager is the plain function.",
            ) from None
        if reply["status"] == "failed":
            raise CompileError(f"op {job.unit.name!r} cannot be compiled", found=reply["error"])
        if reply["status"] != "made":
            return None
        try:
            return decode(base64.b64decode(reply["artifact"]), job.unit.key, None)
        except (CacheError, ValueError) as error:
            raise CompileError(
                "the compiler's process sent no artifact", found=str(error)
            ) from error

    def close(self) -> None:
        """End the worker, for good: the program ends."""
        if self._owner == os.getpid():
            self._closed = True
            if self._worker is not None:
                self._worker.kill()


class _WorkerLostError(Exception):
    """The worker died or did not answer in time."""


class _Worker:
    """The process, and its pipes."""

    def __init__(self) -> None:
        # What it says on stderr is kept for the message: LLVM's last words come from there.
        self._said = tempfile.TemporaryFile(prefix="jitops-worker-")  # noqa: SIM115
        path = [os.path.abspath(entry) for entry in sys.path if entry]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(path), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
        )
        self._rest = b""

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request and wait for its reply."""
        stdin = self._process.stdin
        assert stdin is not None
        deadline = time.monotonic() + timeout_s
        try:
            rest = memoryview(json.dumps(request).encode() + b"\n")
            while rest:
                rest = rest[stdin.write(rest) :]
            while True:
                reply = json.loads(self._line(deadline))
                if reply.get("id") == request["id"]:
                    return dict(reply)
        except (OSError, ValueError, AttributeError):
            raise self._lost() from None

    def _line(self, deadline: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        poll = select.poll()
        poll.register(stdout, select.POLLIN)
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                self.kill()
                raise _WorkerLostError("took longer than it may")
            data = os.read(stdout.fileno(), 1 << 16)
            if not data:
                raise self._lost()
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _lost(self) -> _WorkerLostError:
        self._process.kill()
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        if code == -14:  # SIGALRM: its own time limit, see worker.py
            how = "took longer than it may"
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - _TOLD))
        said = self._said.read().decode(errors="replace").strip()
        return _WorkerLostError(f"{how}: {said}" if said else how)

    def kill(self) -> None:
        """End it now."""
        with suppress(OSError):
            self._process.kill()
            self._process.wait(5)
