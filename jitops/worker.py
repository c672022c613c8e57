"""The process that compiles for a program while that goes on; see runtime/background.py.

Reads requests from stdin and writes replies to what stdout was, a line of JSON each. It gets
graphs, never code: whatever arrives is verified, and must be what its key names.
"""

from __future__ import annotations

import base64
import json
import math
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from jitops.cache.artifact import Artifact, encode
from jitops.cache.flight import Flights
from jitops.cache.store import Store
from jitops.log import Log
from jitops.pipeline import compile_unit
from jitops.unit import Unit

__all__ = ["main"]

NICENESS = 5  # the program comes first
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve requests until stdin ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the compiler prints is not a reply
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the program's; we end with it
    _end_with_parent(int(sys.argv[2]))
    with suppress(OSError):
        os.nice(NICENESS)
    stores: dict[str, Store] = {}
    for line in sys.stdin:
        request = json.loads(line)
        # Native code does not look at Python's handlers: the default action ends even a hang.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max(0.01, float(request["limit_s"])))
        reply = _answer(request, stores)
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps({"id": request["id"], **reply}) + "\n")
        replies.flush()


def _answer(request: dict[str, Any], stores: dict[str, Store]) -> dict[str, Any]:
    try:
        unit = Unit.from_json(request["unit"])
        if not request["publish"]:
            return _made(compile_unit(unit))
        directory = request["cache_dir"]
        store = stores.get(directory)
        if store is None:
            store = stores[directory] = Store(directory, Log("off"), request["cache_size"])
        flights = Flights(store, None)
        wait_s = math.floor(request["limit_s"] / 2)
        artifact, _ = flights.run(unit.key, lambda: compile_unit(unit), wait_s)
        store.journal.write()
        return {"status": "stored"} if store.has(unit.key) else _made(artifact)
    except Exception as error:  # the program decides what becomes of it
        cause = error.__cause__  # of a CompileError that says no more than that
        text = str(error) if cause is None else f"{type(cause).__name__}: {cause}"
        return {"status": "failed", "error": text or type(error).__name__}


def _made(artifact: Artifact) -> dict[str, Any]:
    return {"status": "made", "artifact": base64.b64encode(encode(artifact)).decode()}


def _end_with_parent(parent: int) -> None:
    """Ask Linux to end this process when the program dies, also by SIGKILL in mid-compile."""
    with suppress(OSError, AttributeError, ImportError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit()
