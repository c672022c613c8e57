"""compile="background": never a stall or a crash, and the kernel takes over when ready."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from services import Service, digest_of, ready

from jitops.errors import CompileError

X = np.arange(12.0).reshape(3, 4)


def double(x: Any) -> Any:
    return x * 2 + 1


def test_numpy_answers_until_the_kernel_is_ready(service: Service) -> None:
    op = service.op(double, compile="background")
    assert (op(X) == double(X)).all()
    assert op.stats() == {"hits": 0, "misses": 1, "compiles": 0, "loads": 0}
    ready(op, X)
    assert (op(X) == double(X)).all()
    assert op.stats()["loads"] == 1
    op(X)
    assert op.stats()["hits"] == 1


def test_arguments_are_written_once_whoever_runs(service: Service) -> None:
    def add_to(x: Any) -> Any:
        x += 1
        return x.sum()

    op = service.op(add_to, compile="background")
    x = np.zeros(4)
    for round in range(1, 4):
        assert op(x) == 4 * round
        ready(op, x)
    assert op.stats()["loads"] == 1


def test_tensors_come_back_as_tensors_while_numpy_answers(service: Service) -> None:
    torch = pytest.importorskip("torch")
    op = service.op(double, compile="background")
    x = torch.ones(3)
    for _ in range(2):
        result = op(x)
        assert type(result) is torch.Tensor
        assert result.tolist() == [3.0, 3.0, 3.0]
        ready(op, x)
    assert op.stats()["loads"] == 1


def test_a_worker_that_is_killed_costs_one_kernel_only(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    first = service.op(double, compile="background")
    first(X)
    background = service.runtime.background()
    while background._worker is None:
        time.sleep(0.001)
    os.kill(background._worker._process.pid, signal.SIGKILL)
    ready(first, X)
    with caplog.at_level(logging.WARNING, "jitops"):
        for _ in range(3):
            assert (first(X) == double(X)).all()
    (said,) = caplog.messages
    assert "killed by signal 9" in said
    second = service.op(lambda x: x - 1, compile="background")
    second(X)
    ready(second, X)
    second(X)
    assert second.stats()["loads"] == 1


def test_a_kernel_that_takes_too_long_is_given_up(service: Service) -> None:
    op = service.op(double, compile="background")
    service.runtime.background().limit_s = 0.05
    op(X)
    ready(op, X)
    assert (op(X) == double(X)).all()
    assert "longer than it may" in str(service.runtime.failures[digest_of(op, X)])
    service.configure(strict=True)
    with pytest.raises(CompileError, match="longer"):
        op(X)


def test_a_cache_that_cannot_be_written_does_not_stop_the_swap(service: Service) -> None:
    op = service.op(double, compile="background")
    objects = Path(service.runtime.store().room("objects"))
    objects.rmdir()
    objects.write_text("in the way")
    op(X)
    ready(op, X)
    op(X)
    assert op.stats()["compiles"] == 1
    op(X)
    assert op.stats()["hits"] == 1


PROGRAM = """
import sys, time
import numpy as np
from jitops import jitop

@jitop(compile="background")
def op(x):
    return np.exp(x) + 1

op(np.ones(3))
background = op._runtime.background()
while background._worker is None:
    time.sleep(0.001)
print(background._worker._process.pid, "tvm" in sys.modules, flush=True)
if sys.argv[1] == "killed":
    time.sleep(60)
"""


@pytest.mark.parametrize("how", ["ends", "killed"])
def test_the_worker_ends_with_the_program(tmp_path: Path, how: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "JITOPS_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, str(script), how]
    program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    worker, imported = program.stdout.readline().split()
    if how == "killed":
        time.sleep(0.5)  # the worker asks to be ended a moment after it starts
        program.kill()
    program.wait(30)
    program.stdout.close()
    assert imported == "False"
    deadline = time.monotonic() + 10
    while runs(int(worker)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs(int(worker))


def runs(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def test_host_steps_are_compiled_by_the_worker(service: Service) -> None:
    def solved(x: Any) -> Any:
        return np.linalg.solve(x @ x.T + 5 * np.eye(3), x[:, 0]) * 2

    op = service.op(solved, compile="background")
    for _ in range(2):
        np.testing.assert_allclose(op(X), solved(X), rtol=1e-12)
        ready(op, X)
    assert op.stats()["loads"] == 1


def test_a_fork_has_a_worker_of_its_own(service: Service) -> None:
    op = service.op(double, compile="background")
    op(X)
    ready(op, X)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        other = service.op(lambda x: x * 5, compile="background")
        other(X)
        ready(other, X)
        other(X)
        os.write(writer, str(other.stats()["loads"]).encode())
        service.runtime.background().close()
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 10) == b"1"
    os.waitpid(child, 0)
    os.close(reader)
    op(X)
    assert op.stats()["loads"] == 1
