"""A kernel that cannot be had: said once, remembered, and the call is answered by NumPy."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from services import Service

import jitops.pipeline
from jitops.errors import CompileError

X = np.arange(6.0)


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes every compile fail; gives the names of what was tried."""
    tried: list[str] = []

    def broken(unit: Any) -> Any:
        tried.append(unit.name)
        raise ValueError("instruction selection gave up")

    monkeypatch.setattr(jitops.pipeline, "_compiled", broken)
    return tried


def triple(x: Any) -> Any:
    return x * 3


def test_a_failed_compile_is_reported_once_and_not_tried_again(
    service: Service, attempts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    op = service.op(triple)
    with caplog.at_level(logging.WARNING, "jitops"):
        for _ in range(3):
            assert (op(X) == triple(X)).all()
    assert attempts == ["triple"]
    (said,) = caplog.messages
    assert "triple runs in NumPy" in said
    assert "instruction selection gave up" in said


def test_another_op_with_the_same_graph_is_not_tried_either(
    service: Service, attempts: list[str]
) -> None:
    service.op(triple)(X)
    service.op(lambda y: y * 3)(X)
    assert attempts == ["triple"]


def test_under_strict_it_raises_with_its_cause_each_time(
    service: Service, attempts: list[str]
) -> None:
    service.configure(strict=True)
    op = service.op(triple)
    for _ in range(2):
        with pytest.raises(CompileError, match="instruction selection") as caught:
            op(X)
        assert isinstance(caught.value.__cause__, ValueError)
    assert attempts == ["triple"]


def test_an_explicit_compile_raises(service: Service, attempts: list[str]) -> None:
    with pytest.raises(CompileError, match="triple"):
        service.op(triple).compile(X)


def test_an_image_that_cannot_be_loaded_counts_as_failed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jitops.pipeline, "_compiled", lambda unit: (b"\x7fELF no", PLAN))
    op = service.op(triple)
    assert (op(X) == triple(X)).all()
    (failure,) = service.runtime.failures.values()
    assert "cannot be loaded" in str(failure)


PLAN = {"inputs": [], "outputs": [], "workspace": 0, "cost_ns": 1.0, "parallel": False}
