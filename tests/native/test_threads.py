"""The budget, its limits, and whose threads run a kernel: each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import jitops
from jitops.errors import ConfigError

CORES = len(os.sched_getaffinity(0))


def told(code: str, before: str = "", **environ: str) -> Any:
    """What a fresh process prints last, as JSON."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JITOPS_", "OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", before + "\nimport json, jitops\n" + code],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


BUDGETS = [
    ({}, CORES),
    ({"JITOPS_NUM_THREADS": "1"}, 1),
    ({"OMP_NUM_THREADS": "1,2"}, 1),
    ({"JITOPS_NUM_THREADS": "64"}, CORES),
    ({"JITOPS_NUM_THREADS": "1", "OMP_NUM_THREADS": "2"}, 1),
    ({"OMP_NUM_THREADS": "nonsense"}, CORES),
    ({"JITOPS_THREADING": "serial"}, 1),
]


@pytest.mark.parametrize(("environ", "threads"), BUDGETS)
def test_the_budget_is_the_least_of_what_is_granted_and_asked_for(
    environ: dict[str, str], threads: int
) -> None:
    assert told("print(jitops.get_threads())", **environ) == threads


def test_the_affinity_mask_is_honoured() -> None:
    code = f"""
import os
os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})
print(jitops.get_threads())
"""
    assert told(code) == 1


def test_limits_of_the_process_and_of_a_block() -> None:
    code = """
seen = []
jitops.set_threads(3)
with jitops.threads(2):
    seen.append(jitops.get_threads())
    with jitops.threads(None):
        seen.append(jitops.get_threads())
    with jitops.threads(8):
        seen.append(jitops.get_threads())
with jitops.options(num_threads=1):
    seen.append(jitops.get_threads())
seen.append(jitops.get_threads())
jitops.set_threads(None)
seen.append(jitops.get_threads() == jitops.config.describe_threads()["affinity"])
print(json.dumps(seen))
"""
    assert told(code) == [2, 3, 3, 1, 3, True]


def test_a_block_limits_its_own_thread_only() -> None:
    seen: list[int] = []
    before = jitops.get_threads()
    with jitops.threads(1):
        thread = threading.Thread(target=lambda: seen.append(jitops.get_threads()))
        thread.start()
        thread.join()
        assert jitops.get_threads() == 1
    assert seen == [before]


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "many"])
def test_a_wrong_number_of_threads_is_refused_and_changes_nothing(wrong: Any) -> None:
    before = jitops.get_threads()
    with pytest.raises(ConfigError, match="1 or more"):
        jitops.set_threads(wrong)
    with pytest.raises(ConfigError, match="1 or more"):
        jitops.threads(wrong)
    assert jitops.get_threads() == before


def test_threading_belongs_to_the_process() -> None:
    with pytest.raises(ConfigError, match="whole process"), jitops.options(threading="pool"):
        pass


KERNEL = """
import os, sys, threading
import ctypes
from jitops import _native
launch = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
    _native.parallel_launch)
Task = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
ran, who = [], set()
@Task
def task(number, env, data):
    ran.append(number)
    who.add(threading.get_native_id())
    return 9 if number == data else 0
@Task
def nested(number, env, data):
    return launch(ctypes.cast(task, ctypes.c_void_p), 99, 3)
def region(body=task, data=99, tasks=8):
    del ran[:]
    return launch(ctypes.cast(body, ctypes.c_void_p), data, tasks)
def use_openmp(library):
    work = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda data: None)
    library.GOMP_parallel(work, None, 2, 0)
def joined():
    before = _native.pool_stats()["joined"]
    code = region()
    assert code == 0 and sorted(ran) == list(range(8)), (code, ran)
    return _native.pool_stats()["joined"] - before
jitops.set_threads(2)
"""


def runtime(name: str) -> str:
    """The path of an OpenMP runtime on this machine, or the test is skipped."""
    code = f"""
import ctypes
try:
    ctypes.CDLL({name!r})
    found = [l.split()[-1] for l in open("/proc/self/maps") if {name.split(".")[0]!r} in l]
    print(json.dumps(found[0]))
except OSError:
    print("null")
"""
    path = told(code)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return str(path)


@pytest.fixture(params=["libgomp.so.1", "libomp.so.5"])
def openmp(request: pytest.FixtureRequest) -> str:
    return runtime(request.param)


def test_auto_joins_the_team_of_a_thread_that_has_one(openmp: str) -> None:
    code = f"""
seen = [joined()]
library = ctypes.CDLL({openmp!r})
import time; time.sleep(0.01)
seen.append(joined())
use_openmp(library)
seen += [joined(), joined()]
thread = threading.Thread(target=lambda: seen.append(joined()))
thread.start()
thread.join()
seen.append(_native.threading()["joins"] == {openmp!r})
print(json.dumps(seen))
"""
    assert told(KERNEL + code) == [0, 0, 1, 1, 0, True]


PASSIVE = [
    {"OMP_WAIT_POLICY": "PASSIVE"},
    {"GOMP_SPINCOUNT": "0"},
    {"JITOPS_THREADING": "pool"},
]


@pytest.mark.parametrize("environ", PASSIVE)
def test_a_team_that_sleeps_is_not_joined(environ: dict[str, str]) -> None:
    path = runtime("libgomp.so.1")
    code = f"use_openmp(ctypes.CDLL({path!r}))\nprint(joined())"
    assert told(KERNEL + code, **environ) == 0


def test_openmp_joins_on_every_thread_and_runs_nested_launches_inline(openmp: str) -> None:
    code = f"""
library = ctypes.CDLL({openmp!r})
seen = [joined()]
thread = threading.Thread(target=lambda: seen.append(joined()))
thread.start()
thread.join()
seen.append(region(nested, 0, 4))
seen.append(len(ran))
seen += [region(data=3), region(data=99)]
print(json.dumps(seen))
"""
    assert told(KERNEL + code, JITOPS_THREADING="openmp") == [1, 1, 0, 12, 9, 0]


def test_without_a_runtime_openmp_means_our_pool() -> None:
    assert told(KERNEL + "print(joined())", JITOPS_THREADING="openmp") == 0


def test_a_launch_inside_an_openmp_region_runs_inline() -> None:
    path = runtime("libgomp.so.1")
    code = f"""
library = ctypes.CDLL({path!r})
seen = []
def body(data):
    before = threading.get_native_id()
    who.clear()
    assert region(tasks=4) == 0
    seen.append(who == {{before}})
work = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(body)
library.omp_get_num_threads()
library.GOMP_parallel(work, None, 1, 0)
lock = threading.Lock()
def locked(data):
    with lock:
        body(data)
library.GOMP_parallel(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(locked), None, 2, 0)
print(json.dumps(seen[1:]))
"""
    assert told(KERNEL + code, JITOPS_THREADING="openmp") == [True, True]


def test_serial_uses_the_calling_thread() -> None:
    code = "joined()\nprint(json.dumps(who == {threading.get_native_id()}))"
    assert told(KERNEL + code, JITOPS_THREADING="serial") is True


def test_a_bundled_runtime_under_a_hashed_name_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "libgomp-a34b3233.so.1.0.0"
    copy.write_bytes(Path(os.path.realpath(runtime("libgomp.so.1"))).read_bytes())
    code = f"""
use_openmp(ctypes.CDLL({str(copy)!r}))
print(json.dumps([joined(), _native.threading()["openmp"]]))
"""
    assert told(KERNEL + code) == [1, [str(copy)]]


def test_a_forked_child_does_not_wait_for_its_parents_team(openmp: str) -> None:
    code = f"""
import signal
use_openmp(ctypes.CDLL({openmp!r}))
assert joined() == 1
child = os.fork()
if child == 0:
    signal.alarm(20)
    ok = joined() == 0
    seen = []
    thread = threading.Thread(target=lambda: seen.append(region()))
    thread.start()
    thread.join()
    os._exit(0 if ok and seen == [0] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert told(KERNEL + code) == 0


CONTROLLED = """
def ours():
    return [p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "jitops"]
seen = [ours()]
with threadpoolctl.threadpool_limits(1):
    seen += [ours(), jitops.get_threads()]
with threadpoolctl.threadpool_limits(1, user_api="jitops"):
    seen.append(jitops.get_threads())
seen.append(ours())
controller = threadpoolctl.ThreadpoolController().select(internal_api="jitops")
with controller.limit(limits=1):
    seen.append(jitops.get_threads())
print(json.dumps(seen))
"""


@pytest.mark.parametrize("before", ["import threadpoolctl", ""])
def test_threadpoolctl_governs_the_budget_whichever_is_imported_first(before: str) -> None:
    pytest.importorskip("threadpoolctl")
    code = "jitops.set_threads(2)\nimport threadpoolctl\n" + CONTROLLED
    assert told(code, before) == [[2], [1], 1, 1, [2], 1]


def test_threadpoolctl_is_not_imported_and_not_needed() -> None:
    code = """
import sys
sys.modules["threadpoolctl"] = None
try:
    import threadpoolctl
    print("false")
except ImportError:
    print(json.dumps(jitops.get_threads() > 0))
"""
    assert told(code) is True
    assert told("import sys\nprint(json.dumps('threadpoolctl' in sys.modules))") is False


def test_after_a_torch_op_ours_runs_on_torchs_team() -> None:
    pytest.importorskip("torch")
    code = """
import torch
before = joined()
x = torch.ones(1_000_000)
torch.exp(x)
import time; time.sleep(0.01)
after = joined()
team = _native.threading()["joins"] or ""
print(json.dumps([before, after, "gomp" in team or "omp" in team]))
"""
    assert told(KERNEL + code) == [0, 1, True]


def test_callers_run_alone_for_a_while_after_a_helper_was_preempted() -> None:
    code = f"""
import time
import numpy as np
os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})  # caller and worker want one core
jitops.set_threads(2)
op = jitops.jitop(lambda x: np.sin(np.exp(x)) + np.log(x))
x = np.linspace(1, 2, 2_000_000)
end = time.monotonic() + 60
while not _native.pool_stats()["alone"] and time.monotonic() < end:
    y = op(x)
same = bool(np.allclose(y, np.sin(np.exp(x)) + np.log(x)))
print(json.dumps([_native.pool_stats()["alone"] > 0, same]))
"""
    assert told(KERNEL + code) == [True, True]


def test_nobodys_processors_are_changed_and_workers_stay_within_theirs() -> None:
    code = """
import time
host = threading.Thread(target=time.sleep, args=(60,), daemon=True)
host.start()
hosts = {os.getpid(), host.native_id}
others = set(map(int, os.listdir("/proc/self/task"))) - hosts
def masks():
    return {tid: os.sched_getaffinity(tid) for tid in map(int, os.listdir("/proc/self/task"))}
def rounds():
    for _ in range(40):
        assert region() == 0
        time.sleep(0.001)  # workers fall asleep
    return masks()
granted = os.sched_getaffinity(0)
after = rounds()
workers = set(after) - hosts - others
kept = all(after[tid] == granted for tid in hosts)
within = all(after[tid] and after[tid] <= granted for tid in workers)
one = {max(granted)}
for tid in after:
    os.sched_setaffinity(tid, one)
again = rounds()
moved = all(again[tid] == one for tid in hosts | workers)
print(json.dumps([len(workers), kept, within, moved]))
"""
    assert told(KERNEL + code, JITOPS_THREADING="pool") == [1, True, True, True]
