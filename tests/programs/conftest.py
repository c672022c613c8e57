"""The helpers of the other rooms; a cache directory of its own; nothing runs in NumPy unseen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jitops

for room in ("trace", "lower"):
    sys.path.insert(0, str(Path(__file__).parent.parent / room))


@pytest.fixture(autouse=True)
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with jitops.options(cache_dir=str(tmp_path_factory.getbasetemp() / "cache"), strict=True):
        yield
