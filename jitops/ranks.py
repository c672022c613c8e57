"""Processes that a launcher started together: the first of each machine compiles, the others wait.

Without this the lock of each key (cache/flight.py) already lets one process compile; but any of
them, and where the cache's file system has no locks, all of them. Rank 0 of a machine goes first:

    leave_to_first     on a miss: ranks other than 0 wait for its artifact, up to GRACE_S
    first              for scripts: the block runs on rank 0 first

A wait in vain is not repeated: an op that only one rank runs must not stall it again and again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitops.cache.key import Key
    from jitops.cache.store import Store

__all__ = ["Ranks"]

GRACE_S = 5.0  # how long rank 0 may take to begin with what we want
BARRIER_S = 600.0  # how long a block on rank 0 may take
_POLL_S = 0.01

# Rank on this machine, processes on this machine: torchrun, Open MPI, MPICH and Intel MPI, MVAPICH,
# Slurm. RANK alone (no LOCAL_RANK) is taken as the rank on this machine.
_LAUNCHERS = (
    ("LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ("MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE"),
    ("SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"),
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)

# What tells one launch from another on the same machine.
_LAUNCH = (
    "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_PORT", "PMIX_NAMESPACE",
    "OMPI_MCA_ess_base_jobid", "SLURM_JOB_ID", "SLURM_STEP_ID",
)  # fmt: skip


class Ranks:
    """This process's rank among those of its machine, and how many they are.

    rank: 0 where there is no launcher. size: 1 there. launch: a name for the launch.
    """

    __slots__ = ("_barriers", "_patience", "launch", "rank", "size")

    def __init__(self, rank: int, size: int, launch: str) -> None:
        self.rank = rank
        self.size = size
        self.launch = launch
        self._patience = GRACE_S
        self._barriers = 0

    def __repr__(self) -> str:
        return f"Ranks({self.rank} of {self.size})"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Ranks:
        """Read what the launcher says; one process alone where nothing can be read."""
        for rank_name, size_name in _LAUNCHERS:
            rank, size = environ.get(rank_name, ""), environ.get(size_name, "")
            if rank.isdecimal():
                count = int(size) if size.isdecimal() else int(rank) + 1
                names = "-".join(environ.get(name, "") for name in _LAUNCH)
                return cls(int(rank), count, f"{os.getppid()}-{names}")
        return cls(0, 1, "")

    def leave_to_first(self, key: Key, store: Store) -> None:
        """Wait for rank 0's artifact of this key, where this is another rank; bounded.

        Returns when it is there, or when it will not come: the caller looks again in any case.
        """
        if self.rank == 0 or self.size < 2 or not self._patience:
            return
        lock = os.path.join(store.room("locks"), key.digest + ".lock")
        started = time.monotonic()
        pause = 0.002
        while not store.has(key):
            waited = time.monotonic() - started
            if os.path.exists(lock):
                return  # being compiled: flight.py waits, and takes over when the holder dies
            if waited > self._patience:
                store.log.info("rank 0 does not compile %s; rank %d does", key, self.rank)
                self._patience = 0.0
                return
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    @contextmanager
    def first(self, store: Store, wait_s: float = BARRIER_S) -> Iterator[bool]:
        """Run the block on rank 0 while the others wait, then on them; whether this is rank 0.

        Every rank has to come here equally often. The wait ends when rank 0 has left the block, by
        an exception too, or died, or after `wait_s` seconds.
        """
        self._barriers += 1
        name = _safe(f"barrier-{self.launch}-{self._barriers}")
        path = os.path.join(store.room("tmp"), name)
        if self.rank == 0 and self.size > 1:
            _write(path, f"{os.getpid()}\n")
            try:
                yield True
            finally:
                _write(path, "done\n")
            return
        if self.size > 1:
            self._await(path, wait_s, store)
        yield self.rank == 0

    def _await(self, path: str, wait_s: float, store: Store) -> None:
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            state = _read(path)
            if state == "done" or (state.isdecimal() and not _alive(int(state))):
                return
            time.sleep(_POLL_S)
        store.log.warning("waited %g s for rank 0 at barrier_warm(); going on", wait_s)


def _safe(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in text)[:200]


def _write(path: str, text: str) -> None:
    """Whole or not at all; where it cannot be written, the others wait to the bound."""
    aside = f"{path}.{os.getpid()}"
    with suppress(OSError):
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
        os.rename(aside, path)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
