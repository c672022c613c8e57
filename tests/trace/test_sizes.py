"""Axes whose size is left open: a graph for all sizes, or a reason that names the line."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jitops.errors import GraphError
from jitops.graph.evaluate import evaluate
from jitops.graph.graph import Graph, with_sizes
from jitops.graph.serial import from_json, to_json
from jitops.graph.sizes import Size, Symbol, affine, read_extent, text_of
from jitops.graph.verify import verify
from jitops.trace import NotDynamic, trace

FIRST = ((0, 0),)
RNG = np.random.default_rng(5)


def opened(fn, *args, axes=FIRST):
    return trace(fn, args, {}, (), axes)


def array(*shape: int) -> np.ndarray:
    return np.zeros(shape, "float32")


# --- what is open -------------------------------------------------------------------------------


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def heads(x):
    return x.reshape(x.shape[0], 4, 2).transpose(0, 2, 1).reshape(-1, 8) + np.ones(8, "float32")


def differences(x):
    return x[1:] - x[:-1]


def stencil(x):
    x[1:-1] += x[:-2]


def product(x):
    return np.maximum(x @ np.ones((8, 32), "float32"), 0)


def batches(x):
    return np.matmul(x.reshape(-1, 2, 4), np.ones((4, 4), "float32"))


def masked(x):
    return np.where(x > 0, x, np.cumsum(x, axis=1)), np.argmax(x, axis=1)


TABLE = [gelu, softmax, layer_norm, heads, differences, stencil, product, batches, masked]


@pytest.mark.parametrize("fn", TABLE, ids=lambda fn: fn.__name__)
def test_the_graph_is_that_of_every_size(fn):
    traced = opened(fn, array(300, 8))
    (size,) = traced.open_axes.values()
    assert size.high >= 1 << 30
    for n in (size.low, 7, 8, 9, 1000, 100_003):
        closed = with_sizes(verify(traced.graph), lambda s, n=n: s.at(lambda symbol: n))
        params = [p for p, source in zip(closed.params, traced.params) if source is not size]
        expected = trace(fn, (array(n, 8),), {})
        assert str(Graph(params, closed.eqns, closed.results)) == str(expected.graph)


FORMS = {
    "f(x)": lambda f: lambda x: f(x),
    "f(x, axis=1)": lambda f: lambda x: f(x, axis=1),
    "f(x, y)": lambda f: lambda x: f(x, x * 2 - 1),
    "f((x, y), 1)": lambda f: lambda x: f((x, x + 1), 1),
    "f(x, shape)": lambda f: lambda x: f(x, (x.shape[0], 3, 2)),
    "f(n)": lambda f: lambda x: f(x.shape[0]) + x[:, 0],
}
OTHERS = ("_", "empty", "load", "save", "from", "gen", "info", "show", "set", "test")  # no maths
FUNCTIONS = [
    name
    for name, f in vars(np).items()
    if callable(f) and not isinstance(f, type) and not name.startswith(OTHERS)
]


@pytest.mark.parametrize("form", FORMS)
def test_every_numpy_function_that_takes_an_open_size_takes_every_size(form):
    agreed = 0
    for name in FUNCTIONS:
        fn = FORMS[form](getattr(np, name))
        try:
            traced = opened(fn, RNG.standard_normal((13, 6)))
        except (NotDynamic, Exception):
            continue
        if traced.result[0] != "out" or not traced.open_axes:
            continue
        agreed += sum(agree(name, fn, traced, n) for n in (2, 7, 40))
    assert agreed >= 6


def agree(name, fn, traced, n: int) -> bool:
    """Whether the graph for this size was compared with NumPy; they must agree."""
    x, size = RNG.uniform(0.1, 0.9, (n, 6)), traced.params[1]
    if not size.low <= n <= size.high:
        return False
    try:
        with np.errstate(all="ignore"):
            expected = fn(x.copy())
    except (TypeError, ValueError):
        return False
    given = {"leaf": lambda _: x, "captured": lambda array: array, "size": lambda _: np.int64(n)}
    closed = with_sizes(traced.graph, lambda s: s.at(lambda symbol: n))
    inputs = [given[param.source[0]](param.source[1]) for param in traced.params]
    got = evaluate(closed, inputs)[traced.result[1]]
    assert got.shape == np.shape(expected), name
    np.testing.assert_allclose(got, expected, rtol=1e-9, err_msg=name)
    return True


def test_the_size_is_a_number_in_arithmetic():
    traced = opened(lambda x: x / x.shape[0] + 1 / x.size + np.sqrt(x.shape[0]), array(5, 8))
    text = str(traced.graph)
    assert "float32[n,8]" in text
    assert "sqrt" in text
    assert "0x1.4" not in text  # five


def test_equal_sizes_are_one_and_different_ones_two():
    def both(x, y):
        return x * 2, y + 1

    axes = ((0, 0), (1, 0))
    same = opened(both, array(6, 2), array(6), axes=axes)
    assert len(set(same.open_axes.values())) == 1
    other = opened(both, array(6, 2), array(7), axes=axes)
    assert len(set(other.open_axes.values())) == 2
    assert "float32[m]" in str(other.graph)


def test_a_branch_on_the_size_holds_for_the_sizes_that_take_it():
    def either(x):
        return x * 2 if x.shape[0] > 1000 else x * 3

    assert opened(either, array(300)).params[1].high == 1000
    assert opened(either, array(1001)).params[1].low == 1001
    assert "0x1.8" in str(opened(either, array(300)).graph)


@pytest.mark.parametrize("n", [3, 7, 8, 9, 20])
@pytest.mark.parametrize(
    "test",
    [
        lambda n: n == 8, lambda n: n != 8, lambda n: n < 8, lambda n: n <= 8, lambda n: n > 8,
        lambda n: n >= 8, lambda n: 2 * n - 1 == 15, lambda n: 2 * n - 1 < 15, lambda n: -n < -8,
        lambda n: 20 - n > 12, lambda n: 20 - 2 * n <= 4, lambda n: 3 * n == 25,
        lambda n: n in (1, 8), lambda n: max(n, 8) == 8, lambda n: (n, 3) == (8, 3),
        lambda n: bool(n - 8), lambda n: 5 < n < 9,
    ],
)  # fmt: skip
def test_every_size_of_the_range_answers_alike(test, n):
    answers = []

    def fn(x):
        answers.append(bool(test(x.shape[0])))
        return x

    try:
        size = opened(fn, array(n)).params[1]
    except NotDynamic:
        assert answers in ([], [test(n)])
        return
    assert answers == [test(n)]
    low, high = size.low, min(size.high, 1000)
    assert low <= n <= high
    assert {bool(test(k)) for k in range(low, high + 1)} == {test(n)}


# --- what is not --------------------------------------------------------------------------------


def loop(x):
    for i in range(x.shape[0]):
        x = x + i
    return x


def refused_in_vain(x):
    try:
        return x * int(x.shape[0])
    except Exception:
        return x


REFUSALS = {
    "range": loop,
    "int": lambda x: x * int(x.shape[0]),
    "float": lambda x: x * math.sqrt(x.shape[0]),
    "len": lambda x: x * len(x),
    "parity": lambda x: x * (x.shape[0] % 2),
    "half": lambda x: x[: x.shape[0] // 2],
    "text": lambda x: x * (2 if f"{x.shape[0]}" == "7" else 3),
    "dict": lambda x: x * {7: 2}.get(x.shape[0], 3),
    "set": lambda x: x * (x.shape[0] in {7, 9}),
    "square": lambda x: np.zeros((x.shape[0], x.shape[0])) + 1,
    "iteration": lambda x: sum(row for row in x),
    "method": lambda x: x * x.shape[0].bit_length(),
    "float comparison": lambda x: x * (x.shape[0] < 7.5),
    "numpy comparison": lambda x: x * (x.shape[0] == np.int64(7)),
    "returned": lambda x: (x, x.shape[0]),
    "exact": lambda x: x if x.shape == (30, 8) else 2 * x,
    "swallowed": refused_in_vain,
    "folded": lambda x: x.sum(axis=0),
    "transposed": lambda x: x.T + 1,
    "reversed": lambda x: x[::-1] + 1,
    "sorted out": lambda x: np.concatenate([x, x]),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_needs_the_size_is_refused(name):
    with pytest.raises(NotDynamic) as refusal:
        opened(REFUSALS[name], array(30, 8))
    assert refusal.value.reason


def test_a_refusal_names_the_argument_and_the_line():
    with pytest.raises(NotDynamic, match=r"x\.shape\[0\] as a number \(test_sizes\.py:\d+\)"):
        opened(loop, array(30, 8))


@pytest.mark.parametrize("n", [0, 1])
def test_empty_and_broadcast_axes_are_for_kernels_of_their_own(n):
    with pytest.raises(NotDynamic, match="of its own"):
        opened(gelu, array(n, 8))


# --- the expressions ----------------------------------------------------------------------------


def test_text_and_back():
    n, m = Symbol("n"), Symbol("m")
    for terms, const, text in (
        ({n: 1}, 0, "n"), ({n: 128}, 0, "128n"), ({n: 1}, -1, "n-1"), ({n: -1}, 0, "-n"),
        ({n: 2, m: 1}, 3, "m+2n+3"),
    ):  # fmt: skip
        size = affine(terms, const)
        assert text_of(size) == text
        assert read_extent(text, {"n": n, "m": m}) == size
    assert affine({n: 0}, 4) == 4
    for wrong in ("k", "n*n", "n+", ""):
        with pytest.raises(GraphError):
            assert not isinstance(read_extent(wrong, {"n": n}), Size)


def test_a_graph_goes_to_another_process():
    graph = opened(differences, array(30, 8)).graph
    again = from_json(to_json(graph))
    assert str(again) == str(graph)
    (symbol,) = {s for v in again.params for n in v.type.shape if type(n) is Size for s in n.terms}
    assert (symbol.low, symbol.high) == (3, 1 << 40)
