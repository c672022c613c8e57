"""One cache directory for the run; what cannot be compiled is an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jitops

sys.path.insert(0, str(Path(__file__).parent.parent / "trace"))
sys.path.insert(0, str(Path(__file__).parent.parent / "lower"))


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def strict(run_directory: Path) -> Iterator[None]:
    with jitops.options(cache_dir=str(run_directory), strict=True):
        yield
