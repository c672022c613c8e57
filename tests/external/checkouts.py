"""Where other people's code is: options of the run, or environment variables; none is committed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLES = {
    "npbench": "JITOPS_TEST_NPBENCH",
    "array-api-tests": "JITOPS_TEST_ARRAY_API_TESTS",
    "numpy": "JITOPS_TEST_NUMPY",
}


def checkout(name: str) -> Path:
    """The directory of a checkout. Skips the test where none is given."""
    text = os.environ.get(VARIABLES[name], "")
    if not text:
        pytest.skip(f"no checkout of {name}: give its directory in {VARIABLES[name]}")
    path = Path(text).resolve()
    assert path.is_dir(), f"{VARIABLES[name]}={text} is no directory"
    return path


def asked_for(name: str) -> None:
    """Skip the test of an installed package unless it is asked for: it takes minutes."""
    if not os.environ.get(VARIABLES[name]):
        pytest.skip(f"takes minutes: run with {VARIABLES[name]}=1")


def examples() -> int:
    """How many examples hypothesis draws for each test of array-api-tests."""
    return int(os.environ.get("JITOPS_TEST_EXAMPLES", "3"))
