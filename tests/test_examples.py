"""The examples run, in processes of their own, and say what they promise to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="the examples' data come from scikit-learn")

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(cache: Path, name: str, *options: str) -> str:
    environment = {**os.environ, "JITOPS_CACHE_DIR": str(cache)}
    command = [sys.executable, str(EXAMPLES / name), *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_quickstart_compiles_in_the_first_process_and_loads_in_the_second(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    image = tmp_path / "developed.png"
    first = run(cache, "quickstart.py", "--save", str(image))
    assert "misses 2, compiles 2, loads 0" in first
    assert "compiler imported: yes" in first
    assert image.stat().st_size > 100_000
    second = run(cache, "quickstart.py")
    assert "misses 2, compiles 0, loads 2" in second
    assert "compiler imported: no" in second


def test_training_gives_the_same_with_and_without_jitops(tmp_path: Path) -> None:
    output = run(tmp_path / "cache", "training_script.py", "--epochs", "10")
    lines = output.splitlines()
    compiled, plain = (
        next(line.split("loss")[1] for line in lines if what in line)
        for what in ("compiled ops", "plain NumPy")
    )
    assert compiled == plain  # loss to five digits, accuracy on the test


def test_training_takes_torch_tensors(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    output = run(tmp_path / "cache", "training_script.py", "--torch", "--epochs", "10")
    right = float(output.partition("right on the test ")[2].partition("%")[0])
    assert right > 90
