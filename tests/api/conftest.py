"""Each test has its own cache directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import jitops


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "cache"
    before = jitops.config.cache_dir
    jitops.configure(cache_dir=str(directory))  # options() would not reach a test's own threads
    yield directory
    jitops.configure(cache_dir=before)


@pytest.fixture
def environment(cache_dir: Path) -> dict[str, str]:
    """For other processes that share this test's cache."""
    return {**os.environ, "JITOPS_CACHE_DIR": str(cache_dir)}
