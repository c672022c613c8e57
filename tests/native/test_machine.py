"""The machine's features and budget, loading of code, the shared pool, recycled memory."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_sources import ADD

from jitops import _native


def flags_of_the_kernel() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.split(":")[1].split())
    return set()


def test_detected_features_are_those_of_the_kernel() -> None:
    cpu = _native.detect_cpu()
    assert cpu["arch"] == platform.machine()
    if cpu["arch"] != "x86_64":
        pytest.skip("names differ")
    known = flags_of_the_kernel()
    for llvm, linux in {
        "avx2": "avx2",
        "fma": "fma",
        "avx512f": "avx512f",
        "sse4.2": "sse4_2",
        "avx512bf16": "avx512_bf16",
        "bmi2": "bmi2",
        "f16c": "f16c",
        "amx-tile": "amx_tile",
        "avx512vnni": "avx512_vnni",
    }.items():
        assert (llvm in cpu["features"]) == (linux in known), llvm
    assert cpu["vector_bits"] == (512 if "avx512f" in known else 256 if "avx" in known else 128)
    assert len(set(cpu["features"])) == len(cpu["features"])


def write(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


V1 = "3:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n"
BUDGETS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
    (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/cpu.max": "150000 100000",
        },
        1.5,
    ),
    ({"proc/self/cgroup": "0::/not/here\n", "sys/fs/cgroup/cpu.max": "25000 100000"}, 0.25),
    (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
        },
        1.0,
    ),
    (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        None,
    ),
    (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "70000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        0.7,
    ),
    ({"proc/self/cgroup": "garbage\n::\n0::/\n", "sys/fs/cgroup/cpu.max": "what"}, None),
]


@pytest.mark.parametrize(("files", "quota"), BUDGETS)
def test_the_budget_honours_cgroup_quotas(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    budget = _native.detect_budget(write(tmp_path, files))
    assert budget["quota"] == pytest.approx(quota)
    affinity = len(os.sched_getaffinity(0))
    assert budget["affinity"] == affinity
    assert budget["threads"] == (affinity if quota is None else max(1, min(affinity, int(quota))))


def test_libraries_are_independent(build: Any) -> None:
    libraries = [
        _native.Library(build(f"int32_t id(void* const* b) {{ *(int32_t*)b[0] = {i}; return 0; }}"))
        for i in range(20)
    ]
    for i, library in enumerate(libraries):
        program = _native.Program(library, "id", [], [("int32", ())])
        binding = _native.Binding(program, (), ("out", 0, "scalar"))
        op = _native.Dispatcher("id", lambda args, kwargs: binding)  # noqa: B023
        assert op() == i


def parallel_op(library: _native.Library, symbol: str, output: Any, threads: Any = None) -> Any:
    program = _native.Program(library, symbol, [], [output], 0, 1e6, True, symbol)
    binding = _native.Binding(program, (), ("out", 0, "array"))
    return _native.Dispatcher(symbol, lambda args, kwargs: binding, (), (), threads)


@pytest.fixture
def two_threads() -> Any:
    before = _native.pool_stats()["threads"]
    _native.set_threads(2)
    yield
    _native.set_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_every_task_runs_once(library: _native.Library) -> None:
    op = parallel_op(library, "parallel_ones", ("float32", (100000,)))
    for _ in range(50):
        assert (op() == 1).all()


@pytest.mark.usefixtures("two_threads")
def test_limits_are_honoured(library: _native.Library) -> None:
    def tasks(threads: int | None = None) -> int:
        return int(parallel_op(library, "task_count", ("int32", ()), threads)())

    assert tasks() > 1
    assert tasks(threads=1) == 1
    assert _native.set_thread_limit(1) is None
    assert (tasks(), _native.get_threads()) == (1, 1)
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(tasks()))
    thread.start()
    thread.join()
    assert seen[0] > 1
    assert _native.set_thread_limit(None) == 1
    _native.set_threads(1)
    assert tasks() == 1
    for wrong in (0, -1, 2**40):
        with pytest.raises((ValueError, OverflowError)):
            _native.set_threads(wrong)


@pytest.mark.usefixtures("two_threads")
def test_an_error_in_a_task_reaches_the_caller(library: _native.Library) -> None:
    op = parallel_op(library, "parallel_fail", ("float32", (1,)))
    for _ in range(20):
        with pytest.raises(RuntimeError, match="code 9"):
            op()


@pytest.mark.usefixtures("two_threads")
def test_callers_from_many_threads_share_the_pool(library: _native.Library) -> None:
    op = parallel_op(library, "parallel_ones", ("float32", (100000,)))
    wrong: list[int] = []

    def work() -> None:
        wrong.extend(1 for _ in range(50) if not (op() == 1).all())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert _native.pool_stats()["workers"] <= max(1, len(os.sched_getaffinity(0)) - 1)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_pool_of_its_own(library: _native.Library) -> None:
    op = parallel_op(library, "parallel_ones", ("float32", (100000,)))
    op()
    stop = threading.Event()
    busy = [threading.Thread(target=lambda: [op() for _ in iter(stop.is_set, True)])]
    busy[0].start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                ok = all((op() == 1).all() for _ in range(5))
                os._exit(0 if ok and _native.pool_stats()["workers"] == 1 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        busy[0].join()


SCRIPT = """
import os, sys, time, signal
sys.path[:0] = {path!r}
from jitops import _native
library = _native.Library(open({image!r}, "rb").read())
program = _native.Program(library, "parallel_ones", [], [("float32", (100000,))], 0, 1e6, True)
binding = _native.Binding(program, (), ("out", 0, "array"))
op = _native.Dispatcher("f", lambda a, k: binding)
_native.set_threads(2)
"""


def run_script(build: Any, tmp_path: Path, body: str) -> subprocess.Popen[str]:
    image = tmp_path / "kernel.so"
    image.write_bytes(build(ADD))
    code = SCRIPT.format(path=sys.path, image=str(image)) + body
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_the_process_ends_cleanly_and_idle_workers_sleep(build: Any, tmp_path: Path) -> None:
    body = """
for _ in range(10): op()
time.sleep(0.05)
before = time.process_time()
time.sleep(0.2)
print(time.process_time() - before, os.sched_getaffinity(0) == os.sched_getaffinity(os.getpid()))
"""
    process = run_script(build, tmp_path, body)
    text = process.communicate(timeout=60)[0].split()
    assert process.returncode == 0
    assert float(text[0]) < 0.02
    assert text[1] == "True"


def test_ctrl_c_reaches_python(build: Any, tmp_path: Path) -> None:
    process = run_script(build, tmp_path, "print('up', flush=True)\nwhile True: op()\n")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130, 1)


def test_large_results_are_recycled(library: _native.Library) -> None:
    program = _native.Program(library, "nothing", [], [("uint8", (40_000_000,))])
    binding = _native.Binding(program, (), ("out", 0, "array"))
    op = _native.Dispatcher("f", lambda args, kwargs: binding)
    _native.trim_memory()
    address = op().ctypes.data
    before = _native.memory_stats()["system_allocations"]
    for _ in range(10):
        assert op().ctypes.data == address
    stats = _native.memory_stats()
    assert stats["system_allocations"] == before
    assert 40_000_000 <= stats["retained_bytes"] <= stats["limit_bytes"] + 2**20
    assert _native.trim_memory() >= 40_000_000
    assert _native.memory_stats()["retained_bytes"] < 2**20


def test_retention_is_bounded(library: _native.Library) -> None:
    program = _native.Program(library, "nothing", [], [("uint8", (30_000_000,))])
    binding = _native.Binding(program, (), ("out", 0, "array"))
    op = _native.Dispatcher("f", lambda args, kwargs: binding)
    many = [op() for _ in range(30)]
    assert len({a.ctypes.data for a in many}) == 30
    del many
    stats = _native.memory_stats()
    assert stats["retained_bytes"] <= stats["limit_bytes"] + 2**20
    _native.trim_memory()


def test_arrays_travel_between_threads(library: _native.Library) -> None:
    program = _native.Program(library, "nothing", [], [("float32", (100,))])
    binding = _native.Binding(program, (), ("out", 0, "array"))
    op = _native.Dispatcher("f", lambda args, kwargs: binding)
    for _ in range(20):
        made: list[Any] = []
        thread = threading.Thread(target=lambda: made.extend(op() for _ in range(500)))  # noqa: B023
        thread.start()
        thread.join()
        for i, a in enumerate(made):
            a[:] = i
        assert all((a == i).all() for i, a in enumerate(made))
    _native.trim_memory()
    assert np.isfinite(_native.memory_stats()["retained_bytes"])
