"""The installed jitops is tested, not the checkout; tests marked `long` run only with `--long`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# `python -m pytest` puts the checkout first in sys.path, but its jitops/ has no native module:
# that is built into the installed package, or found by an editable installation.
ROOT = Path(__file__).resolve().parents[1]
sys.path[:] = [path for path in sys.path if Path(path or os.curdir).resolve() != ROOT]


@pytest.fixture(scope="session", autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Child processes, too, find the installed package: they start outside the checkout."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(before)


@pytest.fixture(autouse=True)
def _every_kernel_compiles(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[None]:
    """A kernel that cannot be compiled fails the test, though NumPy would answer in its place."""
    from jitops.process import RUNTIME
    from jitops.runtime import Runtime

    found: list[Exception] = []
    original = Runtime.failed

    def failed(self: Runtime, digest: str, name: str, error: Exception) -> Exception:
        known = original(self, digest, name, error)
        if self is RUNTIME and not self.config.strict:  # strict: the call raises it
            found.append(known)
        return known

    monkeypatch.setattr(Runtime, "failed", failed)
    yield
    if found and "refused_kernels" not in request.keywords:
        raise found[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="long: run with --long")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)
