"""Products of matrices in every form, at sizes around those of tiles, vectors and blocks."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import Builder, Compiled

from jitops import jitop

RNG = np.random.default_rng(31)

# b, m, k, n
SIZES = [
    (1, 1, 300, 40), (1, 2, 129, 515), (1, 3, 257, 300), (1, 4, 8, 16), (1, 5, 200, 17),
    (2, 8, 65, 47), (1, 8, 131, 130), (1, 17, 260, 33), (1, 32, 64, 31), (3, 33, 40, 21),
    (1, 40, 130, 5), (1, 67, 513, 8), (2, 70, 128, 1), (1, 1, 400, 70), (1, 530, 9, 4),
    (1, 200, 24, 11), (1, 6, 1030, 6), (1, 9, 1024, 3), (1, 64, 133, 65), (1, 1, 1, 1),
]  # fmt: skip
FORMS = {"PanelKernel", "OuterKernel", "InnerKernel"}


def within(array):
    """The array in the middle of NaN, which a product that reads beyond its ends would show."""
    around = np.full(array.size + 64, np.nan, array.dtype)
    inside = around[13 : 13 + array.size].reshape(array.shape)
    inside[...] = array
    return inside


def product(b, x, y):
    """A product, and one with what may follow it."""
    plain = b.emit("dot", x, y)
    bias = b.param(plain.type.shape[2:], plain.type.dtype)
    wide = b.emit("broadcast", bias, shape=plain.type.shape, axes=(2,))
    zero = b.emit("full", b.literal(0, plain.type.dtype), shape=plain.type.shape)
    second = b.emit("dot", b.emit("neg", x), y)
    return [plain, b.emit("maximum", b.emit("add", second, wide), zero)]


def assert_close(found, x, y, bias):
    exact = np.matmul(x.astype("f8"), y.astype("f8"))
    size = np.matmul(np.abs(x.astype("f8")), np.abs(y.astype("f8"))) + 1
    bound = 4 * (1 + x.shape[2] ** 0.5) * np.finfo(x.dtype).eps * size
    assert np.all(np.abs(found[0] - exact) <= bound)
    assert np.all(np.abs(found[1] - np.maximum(bias - exact, 0)) <= bound)


@pytest.mark.parametrize(
    ("dtype", "bits"), [("float32", 128), ("float32", 256), ("float32", 512), ("float64", 512)]
)
def test_products_of_all_sizes(dtype, bits):
    builder, inputs, results, pairs = Builder(), [], [], []
    for b, m, k, n in SIZES:
        for turned in (False, True):
            x = within(RNG.standard_normal((b, m, k)).astype(dtype))
            y = within(RNG.standard_normal((b, n, k) if turned else (b, k, n)).astype(dtype))
            bias = RNG.standard_normal(n).astype(dtype)
            left, right = builder.param(x.shape, dtype), builder.param(y.shape, dtype)
            if turned:
                right = builder.emit("transpose", right, perm=(0, 2, 1))
                pairs.append((x, y.swapaxes(1, 2), bias))
            else:
                pairs.append((x, y, bias))
            results += product(builder, left, right)
            inputs += [x, y, bias]
    compiled = Compiled(builder.graph(*results), vector_bits=bits)
    assert compiled.forms >= FORMS
    found = compiled(*inputs)
    for n, pair in enumerate(pairs):
        assert_close(found[2 * n : 2 * n + 2], *pair)


@pytest.mark.parametrize("depth", [1040, 1043])
def test_a_long_shared_axis_is_added_up_in_pieces(depth):
    builder, dtype = Builder(), "float32"
    x, y = (RNG.standard_normal(s).astype(dtype) for s in ((1, 3, depth), (1, depth, 515)))
    bias = np.zeros(515, dtype)
    results = product(builder, *(builder.param(v.shape, dtype) for v in (x, y)))
    assert_close(Compiled(builder.graph(*results))(x, y, bias), x, y, bias)


def test_operands_of_any_layout():
    op = jitop(lambda x, y, w: (x @ y, x @ w.T, y.T @ x.T, w @ x[0], x @ y[::-1]))
    whole = RNG.standard_normal((3, 300, 300)).astype("f4")
    views = [
        (slice(0, 5), slice(None), slice(2, 70)),
        (slice(0, 10, 2), slice(None, None, 1), slice(70, 2, -1)),
        (slice(4, None, -1), slice(None, None, -1), slice(0, 140, 2)),
    ]
    for rows, depth, columns in views:
        x, y = whole[0, rows, depth], whole[1, depth, columns]
        for w in (whole[2, columns, depth], np.asfortranarray(whole[2, columns, depth])):
            for found, wanted in zip(op(x, y, w), op.eager(x, y, w)):
                np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bits", [128, 512])
def test_right_operands_in_parts_that_overlap(bits):
    for dtype, rows, length, columns in (("float32", 19, 1000, 70), ("float64", 8, 300, 64)):
        builder = Builder()
        whole = within(RNG.standard_normal((2, 3, length)).astype(dtype))
        x = RNG.standard_normal((2, rows, 15)).astype(dtype)
        left, base = builder.param(x.shape, dtype), builder.param(whole.shape, dtype)
        starts = [0, 7, length - columns, 1, 13]
        parts = [
            builder.emit("slice", base, start=(0, 0, n), step=(1, 1, 1), size=(2, 3, columns))
            for n in starts
        ]
        y = builder.emit("concatenate", *parts, axis=1)
        compiled = Compiled(builder.graph(*product(builder, left, y)), vector_bits=bits)
        assert "LinesKernel" in compiled.forms
        bias = RNG.standard_normal(columns).astype(dtype)
        wanted = np.concatenate([whole[..., n : n + columns] for n in starts], axis=1)
        assert_close(compiled(x, whole, bias), x, wanted, bias)


def test_merged_axes_are_lines_too():
    program = jitop(strict=True)
    op = program(lambda x, y: (x @ y.reshape(40, 60), x @ y.reshape(60, 40).T[:, :16]))
    x, y = (RNG.standard_normal(s).astype("f4") for s in ((5, 40), (40, 3, 20)))
    for found, wanted in zip(op(x, y), op.eager(x, y)):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_infinities_and_nan_reach_their_own_sums_only():
    sizes = [(5, 133, 40), (40, 133, 5), (2, 600, 900)]
    op = jitop(lambda x, y, w: (x @ y, x @ w.T, w @ x.T))
    for m, k, n in sizes:
        x, y, w = (np.ones(s, "f4") for s in ((m, k), (k, n), (n, k)))
        x[1, -1], y[-1, 3], w[2, -2] = np.nan, np.inf, -np.inf
        for found, wanted in zip(op(x, y, w), op.eager(x, y, w)):
            np.testing.assert_array_equal(found, wanted)


def test_an_argument_that_is_written_and_multiplied():
    def update(w, x):
        w[...] = w * 2
        y = x @ w
        w += x[:1].T
        return y, x @ w

    whole = RNG.standard_normal((200, 160)).astype("f4")
    x = RNG.standard_normal((4, 100)).astype("f4")
    for cut in ((slice(None, None, 2), slice(None, None, 2)), (slice(100), slice(0, 80))):
        op, mine, theirs = jitop(update), whole.copy(), whole.copy()
        for found, wanted in zip(op(mine[cut], x), update(theirs[cut], x)):
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_row_counts_that_vary():
    op = jitop(lambda x, y: np.tanh(x @ y))
    y = RNG.standard_normal((24, 7)).astype("f4")
    for rows in (1, 2, 9, 16, 100, 1001, 1002, 1003, 5, 0):
        x = RNG.standard_normal((rows, 24)).astype("f4")
        np.testing.assert_allclose(op(x, y), np.tanh(x @ y), rtol=1e-4, atol=1e-5)
