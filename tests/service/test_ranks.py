"""Processes started together: rank 0 compiles, the others wait for it, and never for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from services import Service

import jitops.ranks
from jitops.cache.key import PARTS, Key
from jitops.ranks import Ranks

ENVIRONMENTS = [
    ({}, (0, 1)),
    ({"LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "4", "RANK": "6", "WORLD_SIZE": "8"}, (2, 4)),
    ({"OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, (1, 2)),
    ({"MPI_LOCALRANKID": "3", "MPI_LOCALNRANKS": "4"}, (3, 4)),
    ({"SLURM_LOCALID": "1"}, (1, 2)),
    ({"RANK": "1", "WORLD_SIZE": "2"}, (1, 2)),
    ({"RANK": "first"}, (0, 1)),
]


@pytest.mark.parametrize(("environ", "place"), ENVIRONMENTS)
def test_the_launchers_variables_are_read(environ: dict[str, str], place: tuple[int, int]) -> None:
    ranks = Ranks.from_environment(environ)
    assert (ranks.rank, ranks.size) == place


def key(graph: str) -> Key:
    return Key({**{name: name for name in PARTS}, "graph": graph})


def test_a_wait_in_vain_is_bounded_and_not_repeated(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jitops.ranks, "GRACE_S", 0.2)
    ranks = Ranks(1, 2, "x")
    started = time.monotonic()
    ranks.leave_to_first(key("a"), service.runtime.store())
    first = time.monotonic() - started
    for graph in "bcdefgh":
        ranks.leave_to_first(key(graph), service.runtime.store())
    rest = time.monotonic() - started - first
    assert 0.2 <= first < 5
    assert rest < 0.1


@pytest.mark.parametrize("ranks", [Ranks(0, 4, ""), Ranks(0, 1, "")])
def test_the_first_and_the_only_process_wait_for_nobody(service: Service, ranks: Ranks) -> None:
    started = time.monotonic()
    ranks.leave_to_first(key("a"), service.runtime.store())
    assert time.monotonic() - started < 1
    with ranks.first(service.runtime.store()) as is_first:
        assert is_first


PROGRAM = """
import sys, time
import numpy as np
import jitops

@jitops.jitop
def op(x):
    return np.exp(x) * 2

if jitops.config.ranks().rank == 0:
    time.sleep(0.5)  # the others are ready first, and wait all the same
if sys.argv[1] == "barrier":
    with jitops.barrier_warm() as first:
        op(np.ones(3))
else:
    op(np.ones(3))
stats = op.stats()
print(jitops.config.ranks().rank, stats["compiles"], stats["loads"])
"""


@pytest.mark.parametrize("how", ["per key", "barrier"])
def test_rank_0_compiles_and_the_others_load(tmp_path: Path, how: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    started = []
    for rank in range(3):
        environ = {**os.environ, "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "3"}
        environ["JITOPS_CACHE_DIR"] = str(tmp_path / "cache")
        command = [sys.executable, str(script), how]
        started.append(subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True))
    told = [process.communicate(timeout=120)[0].split() for process in started]
    assert told == [["0", "1", "0"], ["1", "0", "1"], ["2", "0", "1"]]


def test_a_barrier_opens_when_rank_0_dies(service: Service) -> None:
    store = service.runtime.store()
    child = os.fork()
    if not child:
        with Ranks(0, 2, "launch").first(store):
            os._exit(9)
    os.waitpid(child, 0)
    started = time.monotonic()
    with Ranks(1, 2, "launch").first(store, 60) as is_first:
        assert not is_first
    assert time.monotonic() - started < 10


def test_a_barrier_opens_after_its_time(service: Service) -> None:
    with Ranks(1, 2, "alone").first(service.runtime.store(), 0.1):
        pass


def test_barriers_open_one_after_the_other(service: Service) -> None:
    store = service.runtime.store()
    first, second = Ranks(0, 2, "l"), Ranks(1, 2, "l")
    for _ in range(3):
        with first.first(store):
            pass
        with second.first(store, 30):
            pass
