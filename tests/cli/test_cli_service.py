"""The cache from the command line, with real ops in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OPS = """
import numpy as np
from jitops import jitop

@jitop(static="axis")
def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)

@jitop
def whiten(x):
    u, _, vt = np.linalg.svd(x - x.mean())
    return u @ vt

@jitop
def step(p, lr, n):
    p["w"] -= lr * p["g"]
    return p["w"].sum() * n, np.zeros(n)
"""

RUN = """
import numpy as np
import ops
x = np.ones((8, 6), "float32")
ops.softmax(x)
ops.softmax(x, axis=0)
ops.softmax(x[::2, ::-1])
ops.softmax(np.float32(1) * x.T)
for lr in (0.1, 0.2, 0.3):
    ops.step({"w": np.ones(4), "g": np.ones(4)}, lr, 3)
print(ops.softmax.stats()["compiles"] + ops.step.stats()["compiles"])
"""


class Project:
    """A directory with a module of ops, and a cache."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "ops.py").write_text(OPS)
        (directory / "run.py").write_text(RUN)
        self.environ = {**os.environ, "JITOPS_CACHE_DIR": str(directory / "cache")}

    def run(self, *command: str, status: int = 0, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.directory,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def jitops(self, *arguments: str, status: int = 0, **environ: str) -> Any:
        text = self.run("-m", "jitops.cli", *arguments, "--json", status=status, **environ)
        return json.loads(text)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_what_production_ran_is_recorded_warmed_and_found(project: Project, tmp_path: Path) -> None:
    manifest = str(tmp_path / "seen.json")
    assert int(project.run("run.py", JITOPS_RECORD=manifest)) == 5
    lines = [json.loads(line) for line in Path(manifest).read_text().splitlines()]
    assert len(lines) == 5
    assert {"op": "ops:softmax", "spec": "float32[8,6],axis=0"} in lines
    assert any('"w":float64[4]' in line["spec"] for line in lines)
    elsewhere = {"JITOPS_CACHE_DIR": str(tmp_path / "fresh")}
    missing = project.jitops("warm", manifest, "--check", status=1, **elsewhere)
    assert [r["status"] for r in missing] == ["miss"] * 5
    warmed = project.jitops("warm", manifest, "-j", "2", **elsewhere)
    assert [r["status"] for r in warmed] == ["compiled"] * 5
    assert project.jitops("warm", manifest, "--check", "--verify", **elsewhere)
    assert project.run("run.py", JITOPS_COMPILE="never", **elsewhere).strip() == "0"


def test_a_miss_is_explained_by_its_nearest_entry(project: Project) -> None:
    project.jitops("warm", "ops:softmax", "--spec", "float32[8,6]")
    (hit,) = project.jitops("explain", "ops:softmax", "--spec", "float32[8,6]")
    assert hit["status"] == "stored"
    (miss,) = project.jitops("explain", "ops:softmax", "--spec", "float32[8,7]", status=1)
    assert miss["differences"][0] == "arguments: x float32[8,7] C now, x float32[8,6] C stored"


def test_host_steps_are_warmed_recorded_and_listed_and_strict_refuses_them(
    project: Project,
) -> None:
    arguments = ("ops:whiten", "--spec", "float64[40,40]")
    (warmed,) = project.jitops("warm", *arguments)
    assert warmed["status"] == "compiled"
    (told,) = project.jitops("explain", *arguments)
    assert told["status"] == "stored"
    (host,) = told["hosts"]
    limit = "no native code for extents above 16"
    assert host == f"numpy.linalg.svd on float64[40,40], ops.py:12 ({limit})"
    text = project.run("-m", "jitops.cli", "explain", *arguments)
    assert f"  step 1: {host}, runs in NumPy" in text
    (refused,) = project.jitops("warm", *arguments, status=1, JITOPS_STRICT="1")
    assert f"numpy.linalg.svd has {limit}" in refused["error"]
    code = "import numpy as np, ops; ops.whiten(np.eye(40)); print(ops.whiten.stats()['loads'])"
    assert project.run("-c", code, JITOPS_RECORD="seen.json").strip() == "1"
    (again,) = project.jitops("warm", "seen.json")
    assert (again["key"], again["status"]) == (warmed["key"], "loaded")


def test_a_cache_for_other_machines_is_found_by_this_one(project: Project) -> None:
    level = "x86-64-v2" if os.uname().machine == "x86_64" else "generic"
    arguments = ("warm", "ops:softmax", "--spec", "float32[8,6]")
    project.jitops(*arguments, "--target", level)
    (entry,) = project.jitops("cache", "ls")["entries"]
    assert f"level={level}" in project.jitops("cache", "show", entry["key"])["parts"]["target"]
    assert [r["status"] for r in project.jitops(*arguments, "--check")] == ["loaded"]


def test_the_doctor_finds_a_healthy_machine_healthy_and_names_what_is_not(
    project: Project,
) -> None:
    assert all(finding["ok"] for finding in project.jitops("doctor"))
    os.chmod(project.directory / "cache", 0o777)
    sick = {f["name"]: f for f in project.jitops("doctor", status=1)}
    assert "chmod go-w" in sick["cache directory"]["way_out"]
    text = project.run("-m", "jitops.cli", "doctor", status=1, PATH="/nowhere")
    assert "ok   compiler" in text, "which needs no program on PATH"
