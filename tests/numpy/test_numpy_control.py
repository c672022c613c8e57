"""Control flow, compiled: against the functions run eagerly, and what only kernels can show."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from against_numpy import duplicated, same
from control_programs import PROGRAMS

from jitops import cond, fori_loop, jitop, scan, while_loop

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64", "complex64", "complex128", ml_dtypes.bfloat16,
)  # fmt: skip


@pytest.mark.parametrize(("fn", "args"), [p[1:] for p in PROGRAMS], ids=[p[0] for p in PROGRAMS])
def test_compiled_programs_give_what_the_functions_give(fn, args):
    mine, numpys = duplicated(args), duplicated(args)
    op = jitop(fn)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(2):  # the miss, then a hit
            same(op(*mine), op.eager(*numpys), 1e-5)
            same(mine, numpys)
    assert op.stats()["misses"] == 1


def test_every_dtype_is_carried_scanned_and_chosen():
    """One op for all: each array goes through a scan, a loop and a branch."""

    def through(x):
        def step(c, row):
            c = np.where(row != 0, row, c)
            return c, (c[0], row)

        c, ys = scan(step, x[0], x)
        c = fori_loop(0, 3, lambda i, c: np.concatenate([c[1:], c[:1]]), c)
        return cond(x[0, 0] == x[1, 1], lambda: c, lambda: c[::-1]), ys

    def all_of(xs):
        return [through(x) for x in xs]

    rng = np.random.default_rng(3)
    xs = [rng.integers(0, 3, (4, 5)).astype(dtype) for dtype in DTYPES]
    op = jitop(all_of)
    same(op(xs), op.eager(xs), 0)


def counted_writes(x, n):
    """Writes at a place and with a value that the counter decides; in place on the argument."""

    def step(i, x):
        x[i] = x[i - 1] * 2 + i
        return x

    x[...] = fori_loop(1, n, step, x)


def test_a_loop_may_index_with_its_counter():
    op = jitop(counted_writes)
    for n in (1, 4, 6):
        mine, numpys = np.arange(6.0), np.arange(6.0)
        op(mine, n)
        op.eager(numpys, n)
        same(mine, numpys)
    assert op.stats()["misses"] == 1
    before = mine.copy()
    with pytest.raises(IndexError, match="out of bounds"):
        op(mine, 8)
    same(mine, before)


def test_only_the_chosen_branch_runs():
    """The other one would loop for an age, and index out of bounds."""

    def age(x):
        return while_loop(lambda c: c[0] >= 0, lambda c: (c[0] + 0, c[1] * 1.5), (x[0], x))[1]

    op = jitop(lambda x, i: cond(i < 3, lambda: x * x[i], lambda: age(x)))
    x = np.arange(3.0)
    same(op(x, np.int64(2)), x * 2)
    op = jitop(lambda x, i: cond(i < 3, lambda: x[i], lambda: x[i - 3] * 2))
    assert [float(op(x, np.int64(i))) for i in range(6)] == [0, 1, 2, 0, 2, 4]


OUTSIDE = [
    lambda x, n: fori_loop(0, n, lambda i, c: c + x[i], 0.0),
    lambda x, n: while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, x[c[0]]), (0, x[0])),
    lambda x, n: while_loop(lambda i: x[i] < n, lambda i: i + 1, 0),
    lambda x, n: scan(lambda c, r: (c + 1, cond(r > 0, lambda: x[c * n // 5], lambda: r)), 0, x),
    lambda x, n: scan(lambda c, row: (c, fori_loop(0, n, lambda i, s: s + x[i], c)), 0.0, x)[1],
]


@pytest.mark.parametrize("fn", OUTSIDE)
def test_an_index_out_of_bounds_is_an_error_at_any_depth(fn):
    op = jitop(fn)
    x = np.arange(5.0)
    same(op(x, np.int64(4)), op.eager(x, np.int64(4)))
    with pytest.raises(IndexError, match="out of bounds"):
        op.eager(x, np.int64(9))
    with pytest.raises(IndexError, match="out of bounds"):
        op(x, np.int64(9))


def test_large_kernels_inside_of_loops_run_in_parallel():
    def smooth(u, w):
        def step(i, u):
            u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
            return np.tanh(u @ w)

        return fori_loop(0, 3, step, u)

    rng = np.random.default_rng(1)
    u, w = rng.standard_normal((400, 300)), rng.standard_normal((300, 300)) / 17
    op = jitop(smooth)
    same(op(u, w), op.eager(u, w), 1e-12)


def test_pieces_of_a_large_map_take_all_their_steps():
    def steps(x, y):
        def step(i, c):
            x, seen = c
            x = 0.5 * x * (1 - x) + y
            return x, seen + (x > 0.1 * i)

        return fori_loop(0, 30, step, (x, np.zeros(x.shape, "uint8")))

    rng = np.random.default_rng(2)
    x, y = rng.random((7, 30_011)), rng.random(30_011)
    op = jitop(steps)
    same(op(x, y), op.eager(x, y), 1e-12)


def test_strided_rows_are_read_and_written_where_they_are():
    def running(xs):
        return scan(lambda c, x: (c + x, c * x), np.zeros(xs.shape[1:]), xs)

    op = jitop(running)
    x = np.arange(48.0).reshape(4, 3, 4)
    for view in (x, x[::-1], x[::2, :, ::-1], x.transpose(2, 1, 0), np.asfortranarray(x)):
        same(op(view), op.eager(view))


PROCESS = """
import sys
sys.path.insert(0, {folder!r})
from control_programs import PROGRAMS
import numpy as np
import jitops
jitops.configure(cache_dir={cache!r}, strict=True, compile="never")
for name, fn, args in PROGRAMS:
    if name in ("rnn", "nested", "searched", "heat"):
        jitops.jitop(fn)(*args)
assert "tvm" not in sys.modules
print("all stored")
"""


def test_another_process_runs_the_stored_loops_without_the_compiler(run_directory):
    for name, fn, args in PROGRAMS:
        if name in ("rnn", "nested", "searched", "heat"):
            jitop(fn)(*duplicated(args))
    folder = str(Path(__file__).parent.parent / "trace")
    code = PROCESS.format(folder=folder, cache=str(run_directory))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout == "all stored\n", done.stderr
