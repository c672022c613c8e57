"""array-api-tests: what passes on NumPy passes with every function and operator compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
import suites
from checkouts import checkout, examples

# Tests of results whose shape the values decide: jitops refuses these by contract.
EXCLUDED = {
    "test_set_functions.py::test_unique_all": "as many elements as are distinct",
    "test_set_functions.py::test_unique_counts": "as many elements as are distinct",
    "test_set_functions.py::test_unique_inverse": "as many elements as are distinct",
    "test_set_functions.py::test_unique_values": "as many elements as are distinct",
    "test_searching_functions.py::test_nonzero": "as many indices as are not zero",
    "test_array_object.py::test_getitem_masking": "as many elements as the mask chooses",
}


def suite(module: str, directory: Path, scratch: Path) -> suites.Run:
    scratch.mkdir()
    arguments = ["array_api_tests", "--disable-deadline", "--derandomize"]
    arguments += [f"--deselect=array_api_tests/{name}" for name in EXCLUDED]
    arguments += [f"--max-examples={examples()}"]
    return suites.run(arguments, directory, scratch, {"ARRAY_API_TESTS_MODULE": module})


def test_what_numpy_passes_passes_compiled(tmp_path):
    directory = checkout("array-api-tests")
    if not any((directory / "array-api").iterdir()):
        pytest.skip("the checkout lacks its submodule array-api")
    numpys = suite("numpy", directory, tmp_path / "numpy")
    ours = suite("compiled_arrays.xp", directory, tmp_path / "jitops")
    print(f"{len(ours.passed())} of NumPy's {len(numpys.passed())} tests pass, ", end="")
    print(f"{ours.jitops} calls in jitops, {ours.numpy} in NumPy")
    lost = suites.lost(ours, numpys)
    assert ours.jitops > 1000
    assert not lost, "\n".join(f"{name}: {reason[:200]}" for name, reason in lost.items())
