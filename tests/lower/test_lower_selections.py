"""Few elements of sorted lines: of every dtype, at their ends, next to each other, among NaN."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import Builder, Compiled
from samples import DTYPES, dtype_of, random, special

from jitops import jitop
from jitops.graph.evaluate import evaluate
from jitops.lower.selection import LEAST_LENGTH, LONG

REAL = [name for name in DTYPES if not name.startswith("complex")]
RNG = np.random.default_rng(17)


def few_values(name, shape):
    pool = np.concatenate([special(name), random(name, 60, RNG)])
    return pool[RNG.integers(0, len(pool), shape)]


def many_values(name, shape):
    if name == "bool" or dtype_of(name).kind in "iu":
        return random(name, shape, RNG)
    found = RNG.standard_normal(shape).astype(dtype_of(name))
    found[..., ::1001] = special(name)[0]
    return found


def same_values(name, shape):
    return np.full(shape, 3, "u1").astype(dtype_of(name))


def check(name, shape, *places):
    """Two adjacent elements from each place on, in one selection of at most two."""
    builder, inputs, results = Builder(), [], []
    for make in (few_values, many_values, same_values):
        inputs.append(make(name, shape))
        line = builder.emit("sort", builder.param(shape, dtype_of(name)))
        for place in places:
            start, size = (*(0,) * (len(shape) - 1), place), (*shape[:-1], 2)
            results.append(
                builder.emit("slice", line, start=start, step=(1,) * len(shape), size=size)
            )
    graph = builder.graph(*results)
    compiled = Compiled(graph)
    assert "KthKernel" in compiled.forms
    assert "SortKernel" not in compiled.forms
    for found, wanted in zip(compiled(*inputs), evaluate(graph, inputs), strict=True):
        wide = "float32" if name == "bfloat16" else found.dtype
        np.testing.assert_array_equal(found.astype(wide), wanted.astype(wide))


@pytest.mark.parametrize("name", REAL)
def test_elements_in_the_middle_and_at_the_end(name):
    check(name, (2, LEAST_LENGTH + 1), LEAST_LENGTH // 2, LEAST_LENGTH - 1)


@pytest.mark.parametrize("name", ["float32", "float64", "int64", "uint8"])
def test_lines_that_the_cores_share(name):
    check(name, (LONG + 3,), 0, LONG // 3)
    check(name, (3, LONG), LONG - 2)


def test_medians_and_quantiles_are_numpys():
    def statistics(x, y):
        return (
            np.median(x, axis=0), np.median(x), np.quantile(x, 0.9), np.percentile(y, [25, 75]),
            np.quantile(y, 0.5, method="lower"), np.partition(y, 7)[7], np.sort(y)[-1],
            np.sort(x, axis=0)[10],
        )  # fmt: skip

    op = jitop(statistics)
    x, y = RNG.standard_normal((10_000, 3)), RNG.integers(-1000, 1000, 40_000)
    for _ in range(2):
        for found, wanted in zip(op(x, y), statistics(x, y)):
            np.testing.assert_array_equal(found, wanted)
        x[77, 1] = np.nan


def test_a_sort_that_is_read_in_other_ways_stays_a_sort():
    def program(x, place):
        line = np.sort(x)
        return line[5], line[place], line.sum()

    op, x = jitop(program), RNG.standard_normal(LEAST_LENGTH)
    for found, wanted in zip(op(x, 300), program(x, 300)):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
