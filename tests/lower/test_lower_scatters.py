"""Scatters of every dtype and join, in place and not, at places inside and outside of the axes."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import Builder, Compiled, Literal
from samples import DTYPES, dtype_of, random

from jitops.graph.evaluate import evaluate
from jitops.graph.ops import kind_of

RNG = np.random.default_rng(9)


def joins(name):
    kind = kind_of(dtype_of(name))
    options = {
        "b": "set and or xor",
        "c": "set add mul sub",
        "f": "set add sub mul maximum minimum fmax",
        "i": "set add sub mul maximum minimum and or xor",
    }
    return options["i" if kind == "u" else kind].split()


def check(graph, inputs, written=None):
    wanted = evaluate(graph, [x.copy() for x in inputs])
    for f, w in zip(Compiled(graph, written=written)(*inputs), wanted, strict=True):
        if f.dtype.kind == "V":
            f, w = f.astype("f4"), w.astype("f4")
        np.testing.assert_array_equal(f, w)


@pytest.mark.parametrize("name", DTYPES)
def test_scatters_with_duplicates_give_numpys_values(name):
    builder, dtype = Builder(), dtype_of(name)
    x, index = builder.param((7, 5), dtype), builder.param((4, 3), "int64")
    new = {axes: builder.param(shape, dtype) for axes, shape in
           (((0, 1), (4, 3, 5)), ((1, 2), (7, 4, 3)), ((0, 2), (4, 3)))}  # fmt: skip
    results = [
        builder.emit("scatter", x, index, value, axes=axes, join=join)
        for axes, value in new.items()
        for join in joins(name)
    ]
    inputs = [random(name, (7, 5), RNG), RNG.integers(-5, 5, (4, 3))]
    inputs += [random(name, value.type.shape, RNG) for value in new.values()]
    check(builder.graph(*results), inputs)


def test_a_written_argument_is_scattered_into_where_it_is():
    builder = Builder()
    x, index, new = builder.param((1000,), "f8"), builder.param((9,), "int64"), Literal(2.0, "f8")
    out = builder.emit("scatter", x, index, new, axes=(0, 1), join="set")
    graph = builder.graph(out)
    compiled = Compiled(graph, written={0: 0})
    assert compiled.kernels.count("map") == 0
    check(graph, [np.zeros(1000), RNG.integers(0, 1000, 9)], {0: 0})


def test_values_and_indices_that_read_the_target_are_read_before_it_is_written():
    builder = Builder()
    x = builder.param((6,), "int64")
    moved = builder.emit("slice", x, start=(5,), step=(-1,), size=(6,))
    one = builder.emit("scatter", x, moved, x, axes=(0, 1), join="set")
    two = builder.emit("scatter", one, one, builder.emit("neg", one), axes=(0, 1), join="add")
    check(builder.graph(two), [np.array([3, 1, 0, 2, 5, 5])], {0: 0})


@pytest.mark.parametrize("where", [5, -6, 2**62, -(2**63)])
def test_nothing_is_written_when_an_index_is_outside(where):
    builder = Builder()
    x, y = builder.param((5,), "f4"), builder.param((2,), "f4")
    index = builder.param((2,), "int64")
    out = builder.emit("scatter", x, index, y, axes=(0, 1), join="add")
    other = builder.emit("add", y, y)
    compiled = Compiled(builder.graph(out, other), written={0: 0, 1: 1})
    arrays = np.zeros(5, "f4"), np.ones(2, "f4"), np.array([1, where])
    compiled(*arrays)
    assert compiled.failure
    assert not arrays[0].any()
    assert (arrays[1] == 1).all()
    compiled(*arrays[:2], np.array([1, -1]))
    assert not compiled.failure
    assert arrays[0].tolist() == [0, 1, 0, 0, 1]


def test_each_part_of_a_located_index_is_checked():
    builder = Builder()
    x = builder.param((3, 4), "f4")
    i, j = builder.param((2,), "int64"), builder.param((2,), "int64")
    place = builder.emit("locate", i, j, shape=(3, 4))
    flat = builder.emit("reshape", x, shape=(12,))
    compiled = Compiled(builder.graph(builder.emit("take", flat, place, axis=0)))
    table = np.arange(12, dtype="f4").reshape(3, 4)
    (found,) = compiled(table, np.array([-1, 0]), np.array([3, -4]))
    assert not compiled.failure
    assert found.tolist() == [11, 0]
    compiled(table, np.array([0, 0]), np.array([5, 0]))  # inside the array, not inside its axis
    assert compiled.failure


def test_wide_rows_above_the_parallel_threshold():
    builder = Builder()
    x, index = builder.param((50, 301), "f4"), builder.param((900,), "int64")
    new = builder.param((900, 301), "f4")
    outs = [builder.emit("scatter", x, index, new, axes=(0, 1), join=j) for j in ("set", "add")]
    ints = RNG.integers(-9, 9, (900, 301)).astype("f4")
    check(builder.graph(*outs), [np.zeros((50, 301), "f4"), RNG.integers(0, 50, 900), ints])
