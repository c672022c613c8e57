"""Host steps of an op: listed, logged once, refused under strict; the same in every process."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threaded import in_threads

import jitops
from jitops import jitop
from jitops.cache.artifact import Artifact, decode, encode
from jitops.errors import CompileError, GraphError, UnsupportedError
from jitops.graph.evaluate import evaluate
from jitops.graph.serial import from_json, to_json
from jitops.graph.verify import verify
from jitops.trace import trace
from jitops.trace.hosted import TABLE_OF_HOSTED

A = np.eye(70) + 0.02 * np.random.default_rng(3).normal(size=(70, 70))
LIMITS = [TABLE_OF_HOSTED[f"linalg.{name}"].limit for name in ("svd", "det")]


def whiten(x: Any) -> Any:
    u, _, vt = np.linalg.svd(x - x.mean())
    return u @ vt * np.linalg.det(x)


def line_of(text: str) -> str:
    lines = Path(__file__).read_text().splitlines()
    return f"{Path(__file__).name}:{next(n for n, line in enumerate(lines, 1) if text in line)}"


SVD, DET = line_of("u, _, vt ="), line_of("return u @ vt")


def test_explain_lists_the_steps_in_order_with_their_lines() -> None:
    told = jitop(whiten).explain(A)
    assert told.hosts == [
        f"numpy.linalg.svd on float64[70,70], {SVD} (no native code for extents above {LIMITS[0]})",
        f"numpy.linalg.det on float64[70,70], {DET} (no native code for extents above {LIMITS[1]})",
    ]
    assert f"step 2: {told.hosts[1]}, runs in NumPy" in str(told)
    assert jitop(lambda x: x + 1).explain(A).hosts == []


def test_the_steps_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    op = jitop(whiten)
    with caplog.at_level(logging.WARNING, "jitops"):
        op(A)
        op(A)
        op(np.float32(A))
    (record,) = caplog.records
    assert "op whiten has no native code for these steps and runs them in NumPy: " in record.message
    assert SVD in record.message
    assert DET in record.message


@pytest.mark.parametrize("how", ["decorator", "setting"])
def test_strict_makes_them_an_error_that_names_function_line_and_way_out(how: str) -> None:
    op = jitop(whiten, strict=True) if how == "decorator" else jitop(whiten)
    with jitops.options(strict=how == "setting"):
        for call in (op, op.compile, lambda x: op.prepare((x,), {})):
            with pytest.raises(UnsupportedError) as raised:
                call(A)
            limit = f"has no native code for extents above {LIMITS[0]}"
            assert raised.value.what == f"numpy.linalg.svd {limit}, and op 'whiten' is strict"
            assert raised.value.where == SVD
            assert DET in raised.value.found
            assert "strict=False" in raised.value.way_out
        assert len(op.explain(A).hosts) == 2
        assert jitop(whiten, strict=False)(A).shape == A.shape


def test_tensors_give_tensors() -> None:
    torch = pytest.importorskip("torch")
    found = jitop(whiten)(torch.from_numpy(A))
    assert type(found) is torch.Tensor
    np.testing.assert_allclose(found.numpy(), whiten(A), rtol=1e-9)


def test_arrays_that_a_traceback_keeps_outlive_the_call() -> None:
    @jitop
    def solve(x: Any) -> Any:
        return np.linalg.solve(x * 0, x[0])

    kept: list[Any] = []
    for _ in range(3):
        try:
            solve(A)
        except np.linalg.LinAlgError as error:
            frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
            kept += [v for f in frames for v in f.f_locals.values() if isinstance(v, np.ndarray)]
    solved = [a for a in kept if a.shape == A.shape and a is not A]
    assert solved
    jitop(lambda x: x * 3)(A)  # takes memory from where the workspaces were
    for array in solved:
        np.testing.assert_array_equal(array, np.zeros_like(A))


def test_threads_run_steps_at_once() -> None:
    op = jitop(whiten)
    wanted = whiten(A)

    def work() -> None:
        for _ in range(50):
            np.testing.assert_allclose(op(A), wanted, rtol=1e-9)

    in_threads(4, work)


def test_a_kernel_is_compared_with_numpy_when_asked_to() -> None:
    with jitops.options(check=True):
        jitop(whiten)(A)


PROGRAM = """
import json, sys
import numpy as np
from jitops import jitop

@jitop
def smooth(x, cut):
    spectrum = np.fft.rfft(x - x.mean())
    spectrum[3:] *= cut
    return np.fft.irfft(spectrum) * 2, np.linalg.solve(np.outer(x, x) + np.eye(x.size), x)

x = np.arange(80.0) / 80
np.testing.assert_allclose(smooth(x, 0.5)[0], smooth.eager(x, 0.5)[0], rtol=1e-12, atol=1e-12)
np.testing.assert_allclose(smooth(x, 0.5)[1], smooth.eager(x, 0.5)[1], rtol=1e-12)
if smooth.stats()["loads"] == 0:
    smooth.compile(x, 0.5)
print(json.dumps({**smooth.stats(), "tvm": "tvm" in sys.modules}))
"""


def run(environment: dict[str, str], **more: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**environment, **more}, text=True,
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_another_process_loads_the_steps_without_the_compiler(environment: dict[str, str]) -> None:
    first, said = run(environment)
    assert first["compiles"] == 1
    assert "numpy.linalg.solve on float64[80,80], float64[80], <string>:10" in said
    for mode in ("now", "never", "background"):
        again, said = run(environment, JITOPS_COMPILE=mode)
        assert (again["compiles"], again["loads"], again["tvm"]) == (0, 1, False)
        assert "numpy.linalg.solve" in said


def test_the_compiling_process_takes_them(environment: dict[str, str]) -> None:
    made, _ = run(environment, JITOPS_COMPILE="background")
    assert made["loads"] + made["compiles"] == 1


FORGED = {
    "another function": {"function": "linalg.__builtins__"},
    "a module of NumPy": {"function": "lib.npyio.DataSource"},
    "no call": {"call": "{"},
    "an operand that is not there": {"call": '{"args":[{"operand":7}],"kwargs":{}}'},
    "foreign memory": {"offset": 1 << 20},
}


@pytest.mark.refused_kernels
@pytest.mark.parametrize("forgery", FORGED.values(), ids=FORGED)
def test_a_forged_step_is_refused(cache_dir: Path, forgery: dict[str, Any]) -> None:
    jitops.api.RUNTIME.forget()
    jitop(whiten)(A)
    (path,) = (p for p in cache_dir.rglob("*") if p.is_file() and _is_artifact(p))
    artifact = decode(path.read_bytes(), None, None)
    plan = json.loads(json.dumps(artifact.plan))
    step = next(s for s in plan["steps"] if "function" in s)
    (step["reads"][0] if "offset" in forgery else step).update(forgery)
    forged = Artifact(artifact.key, artifact.image, plan, artifact.features, artifact.meta)
    path.write_bytes(encode(forged))
    jitops.api.RUNTIME.forget()
    try:
        with pytest.raises(CompileError, match="cannot be loaded") as raised:
            jitop(whiten).compile(A)
        assert "launch plan" in str(raised.value)
        np.testing.assert_array_equal(jitop(whiten)(A), whiten(A))  # NumPy answers, and it is said
    finally:
        jitops.api.RUNTIME.forget()


def _is_artifact(path: Path) -> bool:
    return path.read_bytes()[:4] == b"\x7fELF"


def test_a_graph_with_steps_goes_through_json_and_is_checked() -> None:
    graph = trace(whiten, (A,), {}).graph
    again = from_json(to_json(graph))
    assert str(again) == str(graph)
    np.testing.assert_allclose(evaluate(again, [A])[0], whiten(A), rtol=1e-9)
    text = json.dumps(to_json(graph)).replace("linalg.det", "linalg.norm.__globals__")
    with pytest.raises(GraphError, match="not in jitops' table"):
        verify(from_json(json.loads(text)))


