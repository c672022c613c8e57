"""Sorts of every dtype and length, through each way in which a row is sorted."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import Builder, Compiled
from samples import DTYPES, dtype_of, random, special

from jitops.graph.evaluate import evaluate
from jitops.lower.sorting import COUNTED, ON_STACK
from jitops.schedule.network import LONGEST
from jitops.schedule.sort import WIDE_DIGITS_FROM

REAL = [name for name in DTYPES if not name.startswith("complex")]
SHAPES = [
    (0,),
    (1,),
    (2, 7),
    (COUNTED,),  # counted
    (COUNTED + 1,),
    (3, 0),
    (3, 1000),  # radix
    (WIDE_DIGITS_FROM + 1,),
    (2, ON_STACK // 2),
    (40, 1),  # networks
    (33, 2),
    (70, 3),
    (64, 16),
    (5, 20, 37),
    (33, LONGEST),
]
SOME = [(2, 7), (COUNTED + 1,), (2, ON_STACK // 2), (5, 20, 37)]


def mixed(name, shape):
    """Random and special values, with many duplicates."""
    rng = np.random.default_rng(4)
    pool = np.concatenate([special(name), random(name, 60, rng)])
    return pool[rng.integers(0, len(pool), shape)]


def check(name, shapes, data):
    builder = Builder()
    params = [builder.param(shape, dtype_of(name)) for shape in shapes]
    results = [builder.emit(op, x) for x in params for op in ("sort", "argsort")]
    graph = builder.graph(*results)
    inputs = [data(name, shape) for shape in shapes]
    before = [x.copy() for x in inputs]
    for found, wanted in zip(Compiled(graph)(*inputs), evaluate(graph, inputs), strict=True):
        wide = "float32" if name == "bfloat16" and found.dtype != "int64" else found.dtype
        np.testing.assert_array_equal(found.astype(wide), wanted.astype(wide))
    for x, y in zip(inputs, before):
        assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("name", REAL)
def test_sort_and_argsort_give_numpys_order(name):
    check(name, SHAPES if name in ("float64", "int32") else SOME, mixed)


@pytest.mark.parametrize("name", ["int64", "float32"])
def test_rows_whose_digits_are_all_equal_take_no_pass(name):
    check(name, [(3000,), (2, 9000)], lambda dtype, shape: np.full(shape, 5).astype(dtype))


def test_sorted_and_reversed_rows():
    check("int32", [(5000,), (40, 50)], lambda dtype, shape: np.arange(np.prod(shape), dtype=dtype)
          .reshape(shape))  # fmt: skip
    check("int32", [(5000,), (40, 50)], lambda dtype, shape: np.arange(np.prod(shape), dtype=dtype)
          [::-1].reshape(shape).copy())  # fmt: skip


def test_many_rows_above_the_parallel_threshold():
    check("float32", [(301, 500), (7, 30_000)], mixed)
