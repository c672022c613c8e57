"""array-api-tests: what passes on NumPy passes with every function of it compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
import suites
from checkouts import checkout, examples


def suite(module: str, directory: Path, scratch: Path) -> suites.Run:
    scratch.mkdir()
    arguments = ["array_api_tests", "--disable-deadline", "--derandomize", "--disable-dds"]
    arguments += [f"--max-examples={examples()}"]
    return suites.run(arguments, directory, scratch, {"ARRAY_API_TESTS_MODULE": module})


def test_what_numpy_passes_passes_compiled(tmp_path):
    directory = checkout("array-api-tests")
    if not any((directory / "array-api").iterdir()):
        pytest.skip("the checkout lacks its submodule array-api")
    numpys = suite("numpy", directory, tmp_path / "numpy")
    ours = suite("compiled_numpy.xp", directory, tmp_path / "jitops")
    print(f"{len(ours.passed())} of NumPy's {len(numpys.passed())} tests pass, ", end="")
    print(f"{ours.jitops} calls in jitops, {ours.numpy} in NumPy")
    lost = suites.lost(ours, numpys)
    assert ours.jitops > 1000
    assert not lost, "\n".join(f"{name}: {reason[:200]}" for name, reason in lost.items())
