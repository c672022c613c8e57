"""Random programs that mix kernels, host steps, draws and writes to arguments, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitops import jitop

N = 4
FAR = 5 * np.eye(N)  # from a singular matrix

Action = tuple[str, int, int]


def assign(x: Any, values: list[Any], i: int, j: int) -> Any:
    x[...] = values[i] * 0.5
    return x


def assign_rows(x: Any, values: list[Any], i: int, j: int) -> Any:
    x[1:3] = values[i][2:] - values[j][:2]
    return values[j]


def local_update(x: Any, values: list[Any], i: int, j: int) -> Any:
    new = values[i].copy()
    new[0] = values[j][1]
    new[:, 2] += 1
    return new


def add_in_place(x: Any, values: list[Any], i: int, j: int) -> Any:
    x += values[i] * 0.25
    return values[i]


def decomposed(x: Any, values: list[Any], i: int, j: int) -> Any:
    w, v = np.linalg.eigh(values[i] @ values[i].T)
    return np.sqrt(np.abs(w)) + np.abs(v) * 0.1


ACTIONS: dict[str, Callable[[Any, list[Any], int, int], Any]] = {
    "map": lambda x, v, i, j: np.tanh(v[i]) * 2 + v[j],
    "product": lambda x, v, i, j: np.tanh(v[i] @ v[j]),
    "transposed": lambda x, v, i, j: v[i].T,
    "flipped": lambda x, v, i, j: v[i][::-1] * 0.5,
    "row": lambda x, v, i, j: v[i] - v[j].mean(axis=1, keepdims=True),
    "column": lambda x, v, i, j: v[i] * v[j].max(axis=0) * 0.2,
    "assign": assign,
    "assign rows": assign_rows,
    "add in place": add_in_place,
    "local update": local_update,
    "inv": lambda x, v, i, j: np.linalg.inv(np.tanh(v[i]) + FAR),
    "solve": lambda x, v, i, j: np.linalg.solve(np.tanh(v[i]) + FAR, v[j]),
    "solve a row": lambda x, v, i, j: v[i] + np.linalg.solve(np.tanh(v[i]) + FAR, v[j][1]),
    "det": lambda x, v, i, j: v[j] * np.tanh(np.linalg.det(np.tanh(v[i]))),
    "values": lambda x, v, i, j: v[j] + np.linalg.svd(v[i], compute_uv=False) * 0.1,
    "eigh": decomposed,
    "fft": lambda x, v, i, j: np.fft.fft(v[i], axis=j % 2).real * 0.3,
}


def run(actions: list[Action], rng: Any, x: Any, y: Any) -> Any:
    values = [x, y]
    for name, i, j in actions:
        if name == "draw":
            values.append(rng.uniform(-1, 1, size=(N, N)) + values[i % len(values)] * 0.1)
        else:
            values.append(ACTIONS[name](x, values, i % len(values), j % len(values)))
    return values[-1] + 0, values[-2] * 2, sum(value.sum() for value in values)


STEP = st.tuples(st.sampled_from([*ACTIONS, "draw"]), st.integers(0, 20), st.integers(0, 20))


def check(actions: list[Action]) -> None:
    op = jitop(lambda rng, x, y: run(actions, rng, x, y), strict=False)
    for seed in range(2):
        start = np.random.default_rng(seed)
        x, y = start.normal(size=(2, N, N))
        found, wanted = (
            (run_it(rng, mine, y), mine, rng.random())
            for run_it, mine, rng in (
                (op, x.copy(), np.random.default_rng(seed)),
                (op.eager, x.copy(), np.random.default_rng(seed)),
            )
        )
        for f, w in zip((*found[0], *found[1:]), (*wanted[0], *wanted[1:]), strict=True):
            np.testing.assert_allclose(f, w, rtol=1e-7, atol=1e-9)
    assert (op.stats()["misses"], op.stats()["hits"]) == (1, 1)


ACTS = st.lists(STEP, min_size=1, max_size=9)
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(ACTS)
def test_random_programs(actions: list[Action]) -> None:
    check(actions)


@pytest.mark.long
@settings(max_examples=2000, deadline=None, suppress_health_check=QUIET)
@given(ACTS)
def test_many_random_programs(actions: list[Action]) -> None:
    check(actions)
