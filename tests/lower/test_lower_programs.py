"""Random graphs, compiled, against NumPy: values, write-backs, untouched arguments."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import compiled_like
from hypothesis import HealthCheck, given, settings
from programs import programs

from jitops.graph.evaluate import evaluate


def check(program) -> None:
    inputs = program.inputs()
    before = [x.copy() for x in inputs]
    wanted = evaluate(program.graph, [x.copy() for x in inputs])
    found = compiled_like(program.graph, *inputs, written=program.written)(*inputs)
    for f, w in zip(found, wanted):
        assert_same(f, w)
    for n, (now, then) in enumerate(zip(inputs, before)):
        if n not in program.written:
            assert now.tobytes() == then.tobytes(), f"argument {n} has changed"


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    """Exact but for sums, whose order is not NumPy's."""
    if wanted.dtype.kind not in "fc":
        assert np.array_equal(found, wanted), (found, wanted)
        return
    finite = np.isfinite(wanted)
    assert np.array_equal(np.isfinite(found), finite), (found, wanted)
    assert np.array_equal(found[~finite], wanted[~finite], equal_nan=True), (found, wanted)
    limit = {2: 1e-2, 4: 1e-5}.get(wanted.dtype.itemsize, 1e-9)
    scale = np.max(np.abs(wanted[finite]), initial=0)
    error = np.abs(found[finite] - wanted[finite])
    assert (error <= limit * scale).all(), (found, wanted)


def _settings(count: int) -> settings:
    health = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(
        max_examples=count, deadline=None, derandomize=True, suppress_health_check=health
    )


@_settings(100)
@given(programs())
def test_random_graphs(program):
    check(program)


@_settings(12)
@given(programs(steps=5, large=True))
def test_random_graphs_above_the_parallel_threshold(program):
    check(program)


@pytest.mark.long
@settings(_settings(20_000), derandomize=False)
@given(programs(steps=12))
def test_many_random_graphs(program):
    check(program)


@pytest.mark.long
@settings(_settings(2_000), derandomize=False)
@given(programs(large=True))
def test_many_random_graphs_above_the_parallel_threshold(program):
    check(program)
