"""Across processes: stored ops need no compiler; processes that miss together compile once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import json, os, sys
import numpy as np
from jitops import jitop

@jitop
def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.8 * (x + 0.04 * x**3)))

@jitop
def norm(x, lr):
    return (x - x.mean(axis=1, keepdims=True)) * lr

while "START" in os.environ and not os.path.exists(os.environ["START"]):
    pass
x = np.arange(12, dtype="float32").reshape(3, 4)
np.testing.assert_allclose(gelu(x), gelu.eager(x), rtol=1e-5)
np.testing.assert_allclose(norm(x, 0.1), norm.eager(x, 0.1), rtol=1e-5, atol=1e-6)
print(json.dumps({"gelu": gelu.stats(), "norm": norm.stats(), "tvm": "tvm" in sys.modules,
                  "cached": [m for m in ("filelock", "diskcache", "hashlib") if m in sys.modules]}))
"""


def start(environment: dict[str, str], **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env={**environment, **more}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out)


def test_a_new_process_loads_without_the_compiler(environment):
    first = finish(start(environment))
    assert first["gelu"]["compiles"] == first["norm"]["compiles"] == 1
    second = finish(start(environment))
    for op in ("gelu", "norm"):
        assert second[op] == {"hits": 0, "misses": 1, "compiles": 0, "loads": 1}
    assert not second["tvm"]
    assert not {"filelock", "diskcache"} & set(second["cached"])


def test_eight_processes_that_start_together_compile_each_key_once(environment, tmp_path: Path):
    flag = tmp_path / "start"
    processes = [start(environment, START=str(flag)) for _ in range(8)]
    time.sleep(0.5)
    flag.touch()
    results = [finish(process) for process in processes]
    for op in ("gelu", "norm"):
        assert sum(r[op]["compiles"] for r in results) == 1
        assert sum(r[op]["loads"] for r in results) == 7


def test_killing_the_compiling_process_leaves_nothing_half_written(environment, cache_dir: Path):
    victim = start(environment)
    locks = cache_dir / "locks"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (locks.is_dir() and os.listdir(locks)):
        time.sleep(0.002)
    others = [start(environment) for _ in range(2)]
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=30)
    results = [finish(process) for process in others]
    assert sum(r["gelu"]["compiles"] for r in results) == 1
    assert os.listdir(cache_dir / "tmp") == []
    assert os.listdir(locks) == []


def test_the_environment_can_switch_jitops_off(environment):
    result = finish(start(environment, JITOPS_DISABLE="1"))
    assert result["gelu"] == {"hits": 0, "misses": 0, "compiles": 0, "loads": 0}


MORE = (
    PROGRAM
    + """
@jitop
def other(x):
    return np.exp(x) + OFFSET

np.testing.assert_allclose(other(x), other.eager(x), rtol=1e-5)
"""
)


def test_a_process_that_has_loaded_an_op_can_compile_another(environment):
    finish(start(environment))
    for offset in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", f"OFFSET = {offset}\n" + MORE],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (done.returncode, done.stderr)


BESIDE_TORCH = """
import sys
import numpy as np
from jitops import jitop

op = jitop(lambda x: x * 3 + 1)
op(np.ones(5))
assert op.stats()["compiles"] == 1
assert "torch" not in sys.modules
import torch
assert float(op(torch.ones(5, dtype=torch.float64)).sum()) == 20.0
"""


def test_compiling_does_not_load_torch_and_leaves_it_importable(environment):
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_TORCH], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
