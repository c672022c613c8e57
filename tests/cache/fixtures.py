"""Each test has its own cache directory, and its processes end with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from handmade import Children

from jitops.cache.store import Store

__all__ = ["children", "store"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "cache"))


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    started = Children(tmp_path)
    yield started
    for child in started.running:
        if child.poll() is None:
            child.kill()
        child.communicate()
