"""Reductions, arg-reductions and scans over every dtype, axis, length and layout, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import Builder, Compiled, compiled_like
from samples import COMPLEXES, DTYPES, FLOATS, dtype_of, mismatch, random, special

from jitops.graph.evaluate import evaluate

SUMS = ("reduce_sum", "reduce_prod")
EXTREMES = ("reduce_max", "reduce_min", "argmax", "argmin")


def _ops(dtype: str) -> tuple[str, ...]:
    if dtype == "bool":
        return ("reduce_or", "reduce_and", "reduce_max", "reduce_min", "argmax", "argmin")
    return SUMS if dtype in COMPLEXES else SUMS + EXTREMES


def _agree(op: str, dtype: str, x: np.ndarray, found: np.ndarray, wanted: np.ndarray) -> None:
    """Sums as good as NumPy's own order gives; everything else to the bit."""
    rounded = dtype in FLOATS or dtype in COMPLEXES
    if op.startswith(("reduce_sum", "reduce_prod", "cum")) and rounded:
        eps = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1.2e-7, "complex64": 1.2e-7}
        unit = eps.get(dtype, 2.3e-16) * (64 if dtype in ("float16", "bfloat16") else 16)
        size = (
            np.abs(wanted) if "prod" in op else np.abs(x).astype("f8").sum() / max(1, wanted.size)
        )
        with np.errstate(all="ignore"):
            near = np.abs(found - wanted) <= unit * (1 + np.abs(wanted) + size)
        same = near | (~np.isfinite(wanted) & ~np.isfinite(found))
        assert same.all(), (op, dtype, found[~same], wanted[~same])
        return
    bad = mismatch(found, wanted, zeros=False)
    assert not bad.any(), (op, dtype, found, wanted)


def _check(graph, x: np.ndarray, dtype: str) -> None:
    found = compiled_like(graph, x)(x)
    for eqn, f, w in zip(graph.eqns, found, evaluate(graph, [x]), strict=True):
        _agree(eqn.op, dtype, x, f, w)


@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions_over_every_axis(dtype):
    x = random(dtype, (3, 5, 19), np.random.default_rng(2))
    b = Builder()
    p = b.param(x.shape, x.dtype)
    results = []
    for op in _ops(dtype):
        every = ((0,), (1,), (2,)) if op.startswith("arg") else ((0,), (2,), (0, 2), (0, 1, 2))
        results += [b.emit(op, p, axes=axes) for axes in every]
    _check(b.graph(*results), x, dtype)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d not in COMPLEXES])
def test_reductions_of_special_values(dtype):
    values = special(dtype)
    x = np.stack([np.roll(values, n) for n in range(8)])
    x[5:] = x[5:, :1]
    b = Builder()
    p = b.param(x.shape, x.dtype)
    results = [
        b.emit(op, p, axes=(axis,)) for op in _ops(dtype) if op not in SUMS for axis in (0, 1)
    ]
    _check(b.graph(*results), x, dtype)


@pytest.mark.parametrize("length", [1, 2, 7, 63, 64, 65, 127, 1000, 20_011])
def test_sums_of_every_length(length):
    rng = np.random.default_rng(length)
    b = Builder()
    wide, flat = rng.standard_normal((3, length)).astype("f4"), rng.standard_normal(length)
    p, q = b.param(wide.shape, "float32"), b.param(flat.shape, "float64")
    graph = b.graph(
        b.emit("reduce_sum", p, axes=(1,)),
        b.emit("reduce_max", p, axes=(1,)),
        b.emit("argmin", p, axes=(1,)),
        b.emit("reduce_sum", q, axes=(0,)),
        b.emit("argmax", q, axes=(0,)),
        b.emit("cumsum", q, axis=0, reverse=True),
    )
    found = compiled_like(graph, wide, flat)(wide, flat)
    for eqn, f, w in zip(graph.eqns, found, evaluate(graph, [wide, flat]), strict=True):
        x = wide if eqn.inputs[0] is p else flat
        _agree(eqn.op, x.dtype.name, x, f, w)


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_a_long_sum_is_as_accurate_as_numpys(rows):
    x = np.random.default_rng(5).random((rows, 300_000)).astype("f4") + 1
    b = Builder()
    p = b.param(x.shape, "float32")
    graph = b.graph(b.emit("reduce_sum", p, axes=(1,)), b.emit("reduce_sum", p, axes=(0,)))
    exact = x.sum(1, dtype="f8"), x.sum(0, dtype="f8")
    for found, wanted, axis in zip(compiled_like(graph, x)(x), exact, (1, 0)):
        error, numpys = (np.abs(s - wanted).max() for s in (found, x.sum(axis)))
        assert error <= max(4 * numpys, 4e-7 * wanted.max())


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
def test_scans(dtype):
    x = random(dtype, (4, 3, 9), np.random.default_rng(3))
    b = Builder()
    p = b.param(x.shape, x.dtype)
    results = [
        b.emit(op, p, axis=axis, reverse=reverse)
        for op in ("cumsum", "cumprod")
        for axis, reverse in ((0, False), (1, True), (2, False), (2, True))
    ]
    _check(b.graph(*results), x, dtype)


def _layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    spread = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    spread[::2, ::2, ::2] = x
    return {
        "fortran": np.asfortranarray(x),
        "strided": spread[::2, ::2, ::2],
        "negative": np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1],
        "broadcast": np.broadcast_to(x[:, :1], x.shape),
        "transposed": np.ascontiguousarray(x.transpose(1, 2, 0)).transpose(2, 0, 1),
    }


@pytest.mark.parametrize("layout", list(_layouts(np.zeros((1, 1, 1)))))
@pytest.mark.parametrize("dtype", ["float64", "int16", "bool", "float16", "complex64"])
def test_layouts(dtype, layout):
    x = _layouts(random(dtype, (5, 6, 7), np.random.default_rng(4)))[layout]
    b = Builder()
    p = b.param(x.shape, x.dtype)
    fold = "reduce_or" if dtype == "bool" else "reduce_sum"
    one = "xor" if dtype == "bool" else "add"
    turned = b.emit("transpose", p, perm=(2, 0, 1))
    results = [
        b.emit(one, p, p),
        b.emit(fold, p, axes=(1,)),
        b.emit(fold, p, axes=(0, 2)),
        b.emit("transpose", p, perm=(1, 2, 0)),
        b.emit("reshape", p, shape=(10, 21)),
        b.emit("slice", turned, start=(6, 0, 1), step=(-2, 1, 3), size=(4, 5, 2)),
        b.emit("concatenate", p, p, axis=1),
        b.emit("pad", p, b.literal(1, dtype_of(dtype)), low=(1, 0, 2), high=(0, 3, 0)),
    ]
    graph = b.graph(*results)
    for f, w in zip(compiled_like(graph, x)(x), evaluate(graph, [x]), strict=True):
        limit = np.abs(w).max() * (1e-2 if dtype == "float16" else 1e-6) if w.size else 0
        assert (np.abs(f - w) <= limit).all() if w.dtype.kind != "b" else (f == w).all()


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "complex128"])
def test_empty_and_scalar_operands(dtype):
    empty, scalar = np.zeros((3, 0, 2), dtype), np.ones((), dtype)
    b = Builder()
    p, q = b.param(empty.shape, dtype), b.param((), dtype)
    fold = "reduce_or" if dtype == "bool" else "reduce_sum"
    spread = b.emit("broadcast", q, shape=(2, 3), axes=())
    results = [
        b.emit(fold, p, axes=(1,)),
        b.emit(fold, p, axes=(0,)),
        b.emit("transpose", p, perm=(1, 0, 2)),
        b.emit("cast", p, dtype="complex128"),
        spread,
        b.emit(fold, spread, axes=(0, 1)),
        b.emit("reshape", q, shape=(1, 1)),
        q,
        b.literal(1, dtype_of(dtype)),
    ]
    graph = b.graph(*results)
    for f, w in zip(
        compiled_like(graph, empty, scalar)(empty, scalar), evaluate(graph, [empty, scalar])
    ):
        assert f.shape == w.shape
        assert np.array_equal(f, w)


def test_totals_of_few_long_rows_can_be_computed_from_each_other():
    """Each is cut into pieces; the joining of the pieces reads what another kernel stores."""
    b = Builder()
    x = b.param((1 << 18,), "float64")
    mask = b.emit("gt", x, b.literal(0.5, "float64"))
    counted = b.emit("cast", mask, dtype="float64")
    inside = b.emit("select", mask, x, b.literal(0.0, "float64"))
    total, count = (b.emit("reduce_sum", v, axes=(0,)) for v in (inside, counted))
    graph = b.graph(total, count, b.emit("div", total, count))
    values = np.random.default_rng(0).random(1 << 18)
    found = Compiled(graph)(values)
    wanted = values[values > 0.5]
    np.testing.assert_allclose(found, [wanted.sum(), wanted.size, wanted.mean()])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
def test_the_first_extreme_of_a_line_that_is_cut_into_pieces(dtype):
    """Equal extremes, and NaN, are in several pieces, and in what is left over at the end."""
    rng = np.random.default_rng(5)
    lines = rng.integers(0, 50, (4, 300_001)).astype(dtype)
    if dtype in FLOATS:
        lines[1, [250_001, 299_999, 300_000]] = np.nan
        lines[2] = -np.inf
    lines[3] = lines[0, 0]
    lines[3, [123_456, 234_567, 300_000]] = not lines[0, 0] if dtype == "bool" else 77
    b = Builder()
    x = b.param(lines.shape[1:], dtype)
    square = b.emit("reshape", x, shape=(300_001, 1))
    wide = b.emit("reshape", b.emit("slice", x, start=(1,), step=(1,), size=(300_000,)),
                  shape=(100, 3000))  # fmt: skip
    results = [b.emit(op, y, axes=(0,)) for op in EXTREMES for y in (x, square, wide)]
    graph = b.graph(*results)
    kernel = Compiled(graph)
    for line in lines:
        for found, wanted in zip(kernel(line), evaluate(graph, [line]), strict=True):
            assert not mismatch(found, wanted, zeros=False).any()


@pytest.mark.parametrize("shape", [(40, 130), (3, 50), (20, 7, 3)])
def test_costly_elements_that_two_passes_over_a_row_need(shape):
    """They are kept where one of the results will be, which must not disturb the others."""
    b = Builder()
    x = b.param(shape, "float64")
    axes = tuple(range(1, len(shape)))

    def spread(row):
        return b.emit("broadcast", row, shape=shape, axes=(0,))

    costly = b.emit("div", b.emit("sqrt", x), b.emit("add", x, x))
    top = b.emit("reduce_max", costly, axes=axes)
    below = b.emit("sub", spread(top), costly)
    least = b.emit("reduce_min", b.emit("div", b.emit("sqrt", below), x), axes=axes)
    scaled = b.emit("div", costly, spread(top))
    again = b.emit("sub", b.emit("square", costly), spread(least))
    as_float32 = b.emit("cast", b.emit("mul", costly, x), dtype="float32")
    graph = b.graph(scaled, as_float32, again, top, least)
    values = np.random.default_rng(3).random(shape) + 0.5
    found = Compiled(graph)(values)
    for f, wanted in zip(found, evaluate(graph, [values]), strict=True):
        np.testing.assert_array_equal(f, wanted)
