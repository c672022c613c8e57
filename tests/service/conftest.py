"""Each test has its own cache, settings and worker process; they end with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "cache")
    yield made
    for runtime in made.runtimes:
        if runtime._background is not None:
            runtime._background.close()
