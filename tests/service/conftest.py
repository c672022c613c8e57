"""Each test has its own cache, settings and worker process; they end with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Service

import jitops.runtime

COMPILER = jitops.runtime.compiler_digest(str(Path(jitops.runtime.__file__).parents[1]))


@pytest.fixture(autouse=True)
def one_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sources may be edited while the tests run; two runtimes of a test are of one compiler."""
    monkeypatch.setattr(jitops.runtime, "compiler_digest", lambda package: COMPILER)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "cache")
    yield made
    for runtime in made.runtimes:
        if runtime._background is not None:
            runtime._background.close()
