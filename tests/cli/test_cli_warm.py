from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

import jitops
from jitops.cli import main
from jitops.errors import ArgumentError, CacheMiss, CompileError
from jitops.manifest import Job, Recorder, op_name, read_manifest
from jitops.spec_text import parse_spec


def array(shape: tuple[int, ...], dtype: str) -> str:
    return f"{dtype}{list(shape)}"


SPECS = [
    ("", [], {}),
    ("float32[8,4],float32[4]", ["float32[8, 4]", "float32[4]"], {}),
    ("float32[], int8[0]", ["float32[]", "int8[0]"], {}),
    ("float,int,bool,complex", [1.0, 1, True, 1j], {}),
    ("float32[2],axis=1", ["float32[2]"], {"axis": 1}),
    ('"a,b",mode="x"', ["a,b"], {"mode": "x"}),
    ("[1,2],null,true,0.5", [[1, 2], None, True, 0.5], {}),
    ('(float32[1],[2,int]),{"a":float32[2]}', [("float32[1]", [2, 1]), {"a": "float32[2]"}], {}),
    ("p=(),q=(1,)", [], {"p": (), "q": (1,)}),
    ("x=float64[3],axis=[0,1]", [], {"x": "float64[3]", "axis": [0, 1]}),
]


@pytest.mark.parametrize(("text", "positional", "keywords"), SPECS)
def test_a_spec_describes_the_arguments(text: str, positional: list, keywords: dict) -> None:
    assert parse_spec(text, array) == (positional, keywords)


@pytest.mark.parametrize(
    "text", ["float32", "float32[4x]", "float32[-1]", "axis=1,float32[1]", "x[", "(1", "1 2"]
)
def test_a_spec_that_cannot_be_read_says_where(text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        parse_spec(text, array)
    assert text in str(caught.value)


def test_a_manifest_is_a_list_of_ops_and_specs(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text('[{"op": "m:f", "spec": "float32[8]"}, {"op": "m:f", "spec": "float32[8]"}]')
    assert read_manifest(str(path)) == [Job("m:f", "float32[8]")]
    path.write_text('{"op": "m:f", "spec": "float32[8]"}\n\n{"op": "m:g"}\n')
    assert read_manifest(str(path)) == [Job("m:f", "float32[8]"), Job("m:g", "")]
    for wrong in ("{}", "[1]", '[{"spec": ""}]', "[", "1", '{"op": "f", "spec": 1}'):
        path.write_text(wrong)
        with pytest.raises(ArgumentError, match=r"m\.json"):
            read_manifest(str(path))


RECORD = """
import sys
from jitops.manifest import Recorder
recorder = Recorder(sys.argv[1])
for number in range(200):
    recorder.add("m:f", f"float32[{number}]")
    recorder.add("m:f", f"float32[{number}]")
"""


def test_several_processes_record_into_one_manifest(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    command = [sys.executable, "-c", RECORD, path]
    started = [subprocess.Popen(command, env=environment()) for _ in range(4)]
    assert [child.wait() for child in started] == [0] * 4
    assert read_manifest(str(path)) == [Job("m:f", f"float32[{n}]") for n in range(200)]
    size = path.stat().st_size
    Recorder(str(path)).add("m:f", "float32[7]")
    assert path.stat().st_size == size


def test_a_record_that_cannot_be_written_does_not_fail_a_call(tmp_path: Path) -> None:
    Recorder(str(tmp_path / "no" / "such" / "folder")).add("m:f", "float32[8]")


def test_an_op_is_named_by_its_module() -> None:
    assert op_name(read_manifest) == "jitops.manifest:read_manifest"


class PretendOp:
    """Stands in for jitops.Op where the outcome of a compile is what matters."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome

    def prepare(self, arguments: object, keywords: object, **order: object) -> object:
        return self.compile()

    def compile(self, *arguments: object, **keywords: object) -> object:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return types.SimpleNamespace(key="ab" * 32, status=self.outcome, seconds=0.1)


@pytest.fixture
def ops(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("pretend_ops")
    module.compiled, module.hit = PretendOp("compiled"), PretendOp("hit")  # type: ignore[attr-defined]
    module.number = 1  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pretend_ops", module)
    monkeypatch.setattr(jitops, "Op", PretendOp, raising=False)
    monkeypatch.setattr(jitops, "spec", array, raising=False)
    monkeypatch.setattr(jitops, "configure", lambda **changes: None, raising=False)
    return module


def warm(*arguments: str, status: int = 0) -> list[dict]:
    result = CliRunner().invoke(main, ["warm", *arguments, "--json"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout) if result.stdout else []


def test_warm_compiles_one_op_or_all_of_a_module(ops: types.ModuleType) -> None:
    (one,) = warm("pretend_ops:hit", "--spec", "float32[8]")
    assert (one["op"], one["spec"], one["status"]) == ("pretend_ops:hit", "float32[8]", "hit")
    assert one["key"] == "ab" * 32
    both = warm("pretend_ops", "--spec", "float32[8]", "--spec", "float32[9]")
    assert [(r["op"][12:], r["spec"]) for r in both] == [
        ("compiled", "float32[8]"),
        ("compiled", "float32[9]"),
        ("hit", "float32[8]"),
        ("hit", "float32[9]"),
    ]
    result = CliRunner().invoke(main, ["warm", "pretend_ops", "--spec", "float32[8]"])
    assert "1 compiled, 1 hit" in result.stdout
    assert "float32[8]" in result.stdout


def test_one_failure_does_not_stop_the_others_and_fails_the_command(
    ops: types.ModuleType,
) -> None:
    ops.broken = PretendOp(CompileError("no linker"))  # type: ignore[attr-defined]
    results = warm("pretend_ops", "--spec", "float32[8]", status=1)
    assert [r["status"] for r in results] == ["compiled", "hit", "failed"]
    assert results[2]["error"] == "no linker"


def test_check_names_each_miss_and_fails(ops: types.ModuleType) -> None:
    ops.missing = PretendOp(CacheMiss("not in the cache"))  # type: ignore[attr-defined]
    results = warm("pretend_ops:missing", "--spec", "float32[8]", "--check", status=1)
    assert [r["status"] for r in results] == ["miss"]
    warm("pretend_ops:hit", "--spec", "float32[8]", "--check")


WRONG = [
    ([], "nothing to warm"),
    (["pretend_ops:hit"], "--spec"),
    (["json", "--spec", "float32[1]"], "has no op"),
    (["x", "-j", "0"], "0"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG)
def test_wrong_usage_is_explained(ops: types.ModuleType, arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(main, ["warm", *arguments])
    assert result.exit_code == 2
    assert told in result.output


def test_what_is_not_an_op_is_named(ops: types.ModuleType) -> None:
    (result,) = warm("pretend_ops:number", "--spec", "float32[1]", status=1)
    assert "pretend_ops:number is not an op" in result["error"]
    (result,) = warm("no_such_module_here:f", "--spec", "float32[1]", status=1)
    assert "no_such_module_here" in result["error"]


STAND_IN = """
import os, types
import jitops
class Op:
    def __init__(self, dies=False): self.dies = dies
    def compile(self, *arguments, **keywords):
        if self.dies: os._exit(3)
        return types.SimpleNamespace(key="ab" * 32, status="compiled", seconds=0.1)
jitops.Op, jitops.spec = Op, lambda shape, dtype: (shape, dtype)
"""


def test_a_worker_that_dies_takes_no_other_op_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(STAND_IN)  # every worker process imports it
    (tmp_path / "some.py").write_text(
        "from jitops import Op\nprint('loud')\ndies = Op(True)\na = Op()"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]]))
    command = [sys.executable, "-m", "jitops.cli", "warm", "some", "-j", "2", "--json"]
    for spec in ("float32[8]", "float"):
        command += ["--spec", spec]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    statuses = {(r["op"], r["spec"]): r["status"] for r in json.loads(result.stdout)}
    assert statuses == {
        ("some:dies", "float32[8]"): "failed",
        ("some:dies", "float"): "failed",
        ("some:a", "float32[8]"): "compiled",
        ("some:a", "float"): "compiled",
    }


OPS_FILE = """
import numpy as np
from jitops import jitop
print("imported")

@jitop
def scaled(x, y):
    return x * 2 + y
"""


@pytest.mark.skipif(not hasattr(jitops, "jitop"), reason="the public interface is not built yet")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_warm_finds_what_the_first_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("JITOPS_CACHE_DIR", str(tmp_path / "cache"))
    source = tmp_path / "ops_to_warm.py"
    source.write_text(OPS_FILE)
    manifest = tmp_path / "manifest.json"
    entries = [{"op": f"{source}:scaled", "spec": f"float32[{n}],float"} for n in (3, 4)]
    manifest.write_text(json.dumps(entries))
    statuses = []
    for arguments in (["--check"], [], ["--check"]):
        command = [sys.executable, "-m", "jitops.cli", "warm", str(manifest), "-j", workers]
        result = run_alone([*command, "--json", *arguments])
        statuses.append([r["status"] for r in json.loads(result)])
    assert statuses[:2] == [["miss", "miss"], ["compiled", "compiled"]]
    assert set(statuses[2]) <= {"hit", "loaded"}


def run_alone(command: list[str]) -> str:
    return subprocess.run(command, env=environment(), capture_output=True, text=True).stdout


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(jitops.__file__).parents[1])}
