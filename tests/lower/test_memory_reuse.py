"""Kernels that use the same workspace one after the other: no store is lost between them."""

from __future__ import annotations

import numpy as np
from compiled import Compiled

from jitops.graph.evaluate import evaluate
from jitops.trace import trace


def program(x):
    rows = np.subtract.accumulate(x)
    columns = np.subtract.accumulate(x, axis=1)
    return rows, columns, np.subtract.reduceat(x, [0, 2, 1], axis=1), np.tan(x)


def test_a_value_survives_until_it_is_read_where_its_memory_is_used_again():
    x = np.arange(12).reshape(3, 4) * 3 - 7
    graph = trace(program, (x,), {}).graph
    for found, wanted in zip(Compiled(graph)(x), evaluate(graph, [x])):
        np.testing.assert_allclose(found, wanted, rtol=1e-14)
