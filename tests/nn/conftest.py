"""The helpers of the NumPy tests; one cache directory for the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jitops

for room in ("trace", "lower", "numpy"):
    sys.path.insert(0, str(Path(__file__).parent.parent / room))


@pytest.fixture(autouse=True)
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with jitops.options(cache_dir=str(tmp_path_factory.getbasetemp() / "cache"), strict=True):
        yield
