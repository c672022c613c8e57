"""What is made of sorting and searching: quantiles, histograms, interpolation, on hard values."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import compare
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitops import jitop
from jitops.trace.quantiles import METHODS

HEALTH = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
RNG = np.random.default_rng(1)
X = RNG.standard_normal((6, 12))
N = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
N[2] = np.nan
I = RNG.integers(-5, 9, (4, 5))  # noqa: E741
W = RNG.random(12)
F = RNG.standard_normal(31).astype("float32")
H = np.array([0.5, 2, np.nan, -1, 60000, 60000], "float16")
SPECIAL = np.array([0.0, -0.0, 1, -1, np.nan, np.inf, -np.inf, 2, 2, np.nan])
Z = RNG.choice(SPECIAL, 60) + 0j
Z.imag = RNG.choice(SPECIAL, 60)

QUANTILES = [
    (f"{name}-{method}", fn, args)
    for method in METHODS
    for name, fn, args in [
        ("several", lambda x, m=method: np.quantile(x, [0, 0.1, 0.83, 1.0], 0, method=m), [X]),
        ("nan", lambda x, m=method: np.percentile(x, 37, axis=1, method=m), [N]),
        ("ignored", lambda x, m=method: np.nanquantile(x, [0.3, 0.99], axis=1, method=m), [N]),
        ("weak", lambda x, m=method: np.quantile(x, 0.4, method=m), [F]),
        ("strong", lambda x, q, m=method: np.quantile(x, q, method=m), [F, np.array([0.2, 0.7])]),
        ("ints", lambda x, m=method: np.quantile(x, 0.4, -1, method=m, keepdims=True), [I]),
        ("traced", lambda x, q, m=method: np.quantile(x, q, axis=(0, 1), method=m), [X, 0.3]),
    ]
]  # fmt: skip
MEDIANS = [
    ("median", np.median, [X]),
    ("median-keepdims", lambda x: np.median(x, axis=1, keepdims=True), [X]),
    ("median-ints", lambda x: np.median(x, axis=0), [I]),
    ("median-nan", lambda x: np.median(x, axis=1), [N]),
    ("median-half", np.median, [H]),
    ("median-complex", lambda x: np.median(x, axis=0), [X + 1j * N]),
    ("median-out", lambda x, out: np.median(x, axis=1, out=out), [X, np.zeros(6)]),
    ("nanmedian", np.nanmedian, [N]),
    ("nanmedian-rows", lambda x: np.nanmedian(x, axis=1), [N]),
    ("nanmedian-columns", lambda x: np.nanmedian(x, axis=0), [N]),
    ("nanmedian-half", np.nanmedian, [H]),
    ("nanmedian-ints", lambda x: np.nanmedian(x, axis=0), [I]),
    ("whole-quantile", lambda x: np.quantile(x, 1), [X]),
    ("weights", lambda x, w: np.quantile(x, [0.1, 0.5, 0.9], axis=1, method="inverted_cdf",
                                         weights=w), [X, W]),
    ("weights-scalar", lambda x, w: np.percentile(x, 25, method="inverted_cdf", weights=w),
     [F, np.abs(F)]),
]  # fmt: skip
HISTOGRAMS = [
    ("histogram", lambda x: np.histogram(x, bins=7), [X]),
    ("range", lambda x: np.histogram(x, bins=7, range=(-1, 1.5)), [X]),
    ("nan", lambda x: np.histogram(x, bins=4, range=(-1, 1)), [N]),
    ("ints", lambda x: np.histogram(x, bins=5), [I]),
    ("bools", lambda x: np.histogram(x, bins=2), [I > 0]),
    ("equal", lambda x: np.histogram(x, bins=3), [np.full(5, 2.5)]),
    ("edges", lambda x: np.histogram(x, bins=[-1, 0, 0.5, 2.0]), [X]),
    ("edges-traced", lambda x, e: np.histogram(x, e, weights=np.abs(x)), [X, np.sort(W)]),
    ("density", lambda x: np.histogram(x, bins=6, density=True), [F]),
    ("bin_edges", lambda x: np.histogram_bin_edges(x, 4), [X]),
    ("2d", lambda x, y: np.histogram2d(x, y, 4), [X[0], X[1]]),
    ("dd", lambda x: np.histogramdd(x, (3, 2, 4), density=True), [X[:, :3]]),
    ("dd-line", lambda x: np.histogramdd([x], 4), [X[0]]),
    ("2d-counts", lambda x, y: np.histogram2d(x, y, np.array([3, 4])), [X[0], X[1]]),
    ("2d-edges", lambda x, y, e: np.histogram2d(x, y, e), [X[0], X[1], np.sort(W)]),
    ("dd-weights", lambda x, w: np.histogramdd(x, 3, weights=w), [X[:, :2], W[:6]]),
]
SEARCHES = [
    ("interp", np.interp, [X, np.sort(W), W]),
    ("interp-period", lambda x, p, v: np.interp(x, p, v, period=1.5), [X, W, W * 2]),
    ("interp-sides", lambda x, p, v: np.interp(x, p, v + 1j * v, left=2j, right=5),
     [N, np.sort(W), W]),
    ("interp-one", np.interp, [X, W[:1], W[1:2]]),
    ("interp-infinite", np.interp, [np.array([-1.0, 0, 1]), np.array([-np.inf, 0, np.inf]), W[:3]]),
    ("complex-sort", lambda z: (np.sort(z), np.argsort(z, kind="stable")), [Z]),
    ("complex-search", lambda z: (np.sort(z).searchsorted(z), np.sort(z).searchsorted(z, "right")),
     [Z]),
    ("special", lambda x, y: [np.searchsorted(np.sort(x), y, s) for s in ("left", "right")],
     [SPECIAL, RNG.choice(SPECIAL, (3, 8))]),
    ("sorter", lambda x, y: np.searchsorted(x, y, sorter=np.argsort(x)), [X[0], X]),
    ("empty", lambda x: (np.searchsorted(x[:0], x), np.sort(x[:0]), np.argsort(x[:0])), [W]),
    ("lexsort", lambda x, y: (np.lexsort((x, y)), np.lexsort(np.stack([x, y]), axis=0)),
     [I % 2, I % 3]),
    ("axis-none", lambda x: (np.sort(x, axis=None), np.argsort(x, axis=None, kind="stable")), [I]),
    ("isin", lambda x, y: (np.isin(x, y), np.isin(x, y, invert=True)), [I, I[0] + 2]),
    ("isin-table", lambda x, y: np.isin(x, y, kind="table"), [I, I[0] + 2]),
    ("isin-nan", lambda x: np.isin(x, SPECIAL[2:8]), [SPECIAL]),
    ("choose", lambda i, x, y: np.choose(i, [x, y, 0.0], mode="wrap"), [I, X[:4, :5], X[2:, 5:10]]),
]  # fmt: skip


def tupled(calls):
    return [(name, fn, tuple(args)) for name, fn, args in calls]


@pytest.mark.parametrize("start", range(0, len(QUANTILES), 31))
def test_quantiles_by_every_method(start):
    compare(tupled(QUANTILES[start : start + 31]))


def test_medians():
    compare(tupled(MEDIANS))


def test_histograms():
    compare(tupled(HISTOGRAMS))


def test_searches_and_interpolation():
    compare(tupled(SEARCHES))


@pytest.mark.parametrize("indices", [[0, 3], [-5, 1]])
def test_an_index_outside_of_its_axis_is_an_index_error(indices):
    x = np.zeros((4, 3))
    for op in (
        jitop(lambda x, i: np.add.at(x, (i, i), 1.0)),
        jitop(lambda x, i: x[i, i]),
        jitop(lambda x, i: np.bincount(np.abs(i), minlength=3)),
    ):
        with pytest.raises(IndexError, match="out of bounds"):
            op(x, np.array(indices))
    assert not x.any()


BAD_EDGES = np.array([0, 0.5, 0.4])
REFUSED = [
    (lambda x, e: np.histogram(x, e), W, BAD_EDGES),
    (lambda x, e: np.histogram(x, e), W, np.array([3, 5, 4], "uint8")),
    (lambda x, e: np.histogram(x, e), W, BAD_EDGES[None]),
    (lambda x, e: np.histogramdd([x, x], [2, e]), W, BAD_EDGES),
    (lambda x, e: np.digitize(x, e), W, BAD_EDGES),
    (lambda x, e: np.digitize(x, [0, 0.5, 0.4]), W, BAD_EDGES),
    (lambda x, e: np.histogram(x, 3), SPECIAL, BAD_EDGES),
    (lambda x, e: np.histogram(x, 3, (0, e)), W, np.float64(-1)),
    (lambda x, e: np.histogram(x, 3, (0, e)), W, np.float64("inf")),
    (lambda x, e: np.histogram(x, 3), np.array([2.0**60, 2.0**60 + 256]), BAD_EDGES),
    (lambda x, e: np.histogram(x, 2.5), W, BAD_EDGES),
    (lambda x, e: np.average(x, weights=e), W, W - W),
    (lambda x, e: np.choose(e, [x[:2], x[1:3]]), W, np.array([0, -1])),
    (lambda x, e: np.choose(e, [1, 2]), W, np.array([2, 0])),
    (lambda x, e: np.choose([[0, 2]], [x[:2], e]), W, np.array([1, 0])),
    (lambda x, e: np.tile(x, (2, -1)), W, W),
    (lambda x, e: np.isin(x, e, kind="table"), I, np.array([-1, 127], "int8")),
    (lambda x, e: np.isin(x, e, kind="table"), W, I),
]


@pytest.mark.parametrize(("fn", "x", "other"), REFUSED)
def test_values_that_numpy_refuses_raise_its_error(fn, x, other):
    with pytest.raises((ValueError, TypeError, ZeroDivisionError, RuntimeError)) as wanted:
        fn(x, other)
    with pytest.raises(wanted.type) as found:
        jitop(fn)(x, other)
    assert type(found.value) is wanted.type


@st.composite
def writes(draw):
    """A few writes through integers, slices and masks: kind, index, value."""
    one = st.tuples(st.integers(0, 7), st.integers(0, 100), st.integers(0, 100))
    return draw(st.lists(one, min_size=1, max_size=5))


def run(x, i, j, values, program):
    for kind, a, b in program:
        v = values[a % 4 : a % 4 + i.size]
        if kind == 0:
            x[i % len(x)] = v[:, None]
        elif kind == 1:
            x[i, j] = v
        elif kind == 2:
            x[:, j] += v
        elif kind == 3:
            np.add.at(x, (i, j), v)
        elif kind == 4:
            np.maximum.at(x, (slice(None), j), v[b % 3])
        elif kind == 5:
            x[x > v[0]] = b
        elif kind == 6:
            x[i[0], 1:] = x[i[1], :-1]
        else:
            np.put(x, j * 2, x[0])
    return x[i, j], x.sum()


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=HEALTH)
@given(writes(), st.integers(0, 50))
def test_random_writes_at_computed_places(program, seed):
    check_writes(program, seed)


@pytest.mark.long
@settings(max_examples=5000, deadline=None, suppress_health_check=HEALTH)
@given(writes(), st.integers(0, 10_000))
def test_many_random_writes_at_computed_places(program, seed):
    check_writes(program, seed)


def check_writes(program, seed):
    rng = np.random.default_rng(seed)
    dtype = ["float64", "int32", "float32"][seed % 3]
    x = rng.integers(-9, 9, (5, 4)).astype(dtype)
    x = np.asfortranarray(x) if seed % 2 else x
    i, j = rng.integers(-5, 5, 6), rng.integers(-4, 4, 6)
    values = rng.integers(-9, 9, 12).astype(dtype)
    mine, numpys = np.copy(x, "K"), np.copy(x, "K")
    op = jitop(lambda x, i, j, v: run(x, i, j, v, program))
    for f, w in zip(op(mine, i, j, values), op.eager(numpys, i, j, values), strict=True):
        np.testing.assert_array_equal(f, w)
    np.testing.assert_array_equal(mine, numpys)
