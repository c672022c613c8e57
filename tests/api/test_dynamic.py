"""One kernel for all sizes of an axis: NumPy's answer at every size, and how few are compiled."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jitops
from jitops import jitop, spec
from jitops.errors import ArgumentError, CacheMiss
from jitops.manifest import read_manifest
from jitops.spec_text import parse_spec

RNG = np.random.default_rng(3)
SIZES = (2, 0, 3, 1, 7, 16, 64, 100, 1000, 4097, 100_003)


def array(*shape: int, dtype: str = "float32") -> np.ndarray:
    return (RNG.standard_normal(shape) * 4).astype(dtype)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x, g, b):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * g + b


def dense(x, w, b):
    return np.maximum(x @ w + b, 0)


def two_layers(x, w, v):
    hidden = np.tanh(x @ w)
    return hidden @ v, hidden.sum(axis=1)


def made(x):
    count = np.arange(x.shape[0])[:, None]
    return np.zeros((x.shape[0], 3)) + np.full_like(x, 2) / x.shape[0] + count


def bits(x):
    return (x >> 2) ^ x, x > 3, ~x


def heads(x):
    return x.reshape(-1, 4, 2).transpose(0, 2, 1).reshape(x.shape[0], 8) * 2


def running(x):
    return np.cumsum(x, axis=1), x.argmax(axis=1), x.any(axis=1)


def scaled(x, y):
    return x * 3 + 1, y * 5


def either(x):
    return x * 7 if x.shape[0] > 50 else x * 9


TABLE = [
    (gelu, lambda n: (array(n),)),
    (gelu, lambda n: (array(n, 3, 2, dtype="float64"),)),
    (softmax, lambda n: (array(n, 33),)),
    (layer_norm, lambda n: (array(n, 128), array(128), array(128))),
    (dense, lambda n: (array(n, 24), array(24, 40), array(40))),
    (two_layers, lambda n: (array(n, 24), array(24, 20), array(20, 18))),
    (made, lambda n: (array(n, 3),)),
    (bits, lambda n: (array(n, dtype="int16"),)),
    (heads, lambda n: (array(n, 8),)),
    (running, lambda n: (array(n, 6),)),
    (np.conjugate, lambda n: (array(n, 2) + 1j * array(n, 2),)),
]


def assert_numpys(got, expected, rtol=2e-5):
    if isinstance(expected, tuple):
        assert len(got) == len(expected)
        for g, e in zip(got, expected):
            assert_numpys(g, e, rtol)
        return
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    assert got.flags.c_contiguous
    if expected.size:
        assert got.strides == np.ascontiguousarray(expected).strides
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize(("fn", "arguments"), TABLE, ids=lambda v: getattr(v, "__name__", ""))
def test_one_kernel_gives_numpys_answer_at_every_size(fn, arguments):
    def plain(x, *rest):
        return fn(x, *rest)

    op = jitop(dynamic={"x": 0})(plain)
    for n in SIZES:
        given = arguments(n)
        if n or fn is not softmax:
            assert_numpys(op(*given), fn(*given))
    small = {0, 1} if fn is not softmax else {1}
    assert op.stats()["compiles"] == 1 + len(small)
    assert op.stats()["misses"] == 1 + len(small)


def test_without_a_mark_the_fourth_size_is_the_last_to_compile():
    op = jitop(gelu)
    for n in range(20, 60):
        x = array(n, 3)
        assert_numpys(op(x), gelu(x))
    assert op.stats()["compiles"] == 4
    op = jitop(dynamic=False)(gelu)
    for n in range(20, 26):
        op(array(n, 3))
    assert op.stats()["misses"] == 6


def test_axes_that_differ_in_more_than_the_first_do_not_become_dynamic():
    op = jitop(gelu)
    for n in range(2, 8):
        op(array(n, n))
    assert op.stats()["misses"] == 6


def test_arguments_that_agree_share_a_size_and_others_do_not():
    @jitop(dynamic={"x": 0, "y": 0})
    def both(x, y):
        return x * 2, y.sum(axis=1)

    for n, m in ((5, 5), (7, 7), (5, 7), (9, 3), (100, 100), (3, 9)):
        x, y = array(n), array(m, 4)
        assert_numpys(both(x, y), both.eager(x, y))
    assert both.stats()["compiles"] == 2

    @jitop(dynamic={"x": 0, "y": 0})
    def added(x, y):
        return x + y

    for n in (5, 6, 7):
        x, y = array(n), array(n)
        assert_numpys(added(x, y), x + y)
    with pytest.raises(ValueError, match="broadcast"):
        added(x[:5], y)
    assert added.stats()["compiles"] == 1
    assert_numpys(added(x[:1], y), x[:1] + y)


def test_what_cannot_be_dynamic_has_a_kernel_for_each_size_and_a_reason():
    @jitop(dynamic={"x": 0})
    def loop(x):
        for i in range(x.shape[0]):
            x = x + i
        return x

    @jitop(dynamic={"x": 0})
    def total(x):
        return x.sum(axis=0)

    for op in (loop, total):
        for n in (3, 4, 5):
            x = array(n, 3)
            assert_numpys(op(x), op.eager(x))
        assert op.stats()["compiles"] == 3
    assert "x.shape[0] as a number (test_dynamic.py:" in str(loop.explain(array(9, 3)))
    assert "works along the open axis" in str(total.explain(array(9, 3)))
    assert "x.shape[0] is n, any of 2.." in str(jitop(dynamic={"x": 0})(gelu).explain(array(9)))


def test_a_branch_on_the_size_has_a_kernel_for_each_side():
    @jitop(dynamic={"x": 0})
    def either(x):
        return x * 2 if x.shape[0] > 50 else x * 3

    for n in (3, 50, 51, 1000, 7, 60):
        x = array(n)
        assert_numpys(either(x), either.eager(x))
    assert either.stats()["compiles"] == 2


def test_strided_arguments_have_kernels_of_their_own():
    op = jitop(dynamic={"x": 0})(gelu)
    for n in (10, 12):
        x = array(n, 4)
        for view in (x, x[::2], x.T, x[:, 1:]):
            np.testing.assert_allclose(op(view), gelu(view), rtol=2e-5, atol=1e-6)
    assert op.stats()["compiles"] == 1 + 2 * 3
    assert "C order" in str(op.explain(array(10, 4).T))


def test_an_argument_is_written_at_every_size():
    @jitop(dynamic={"w": 0, "g": 0})
    def step(w, g, rate):
        w -= rate * g
        w[1:-1] *= 2

    for n in (4, 2, 3, 9, 1000, 20_000):
        w, g = array(n, 2), array(n, 2)
        expected = w.copy()
        step.eager(expected, g, 0.1)
        step(w, g, 0.1)
        assert_numpys(w, expected)
    # Overlap and read-only are seen at the size of the call.
    buffer = array(30, 2)
    expected = buffer.copy()
    step.eager(expected[:20], expected[10:], 0.1)
    step(buffer[:20], buffer[10:], 0.1)
    assert_numpys(buffer, expected)
    w.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        step(w, g, 0.1)


def test_captured_arrays_static_arguments_and_numbers_mix_with_open_sizes():
    weights = array(4)

    @jitop(static=("axis",), dynamic={"x": 0})
    def scaled(x, factor, axis, y=None):
        return (x * weights * factor).sum(axis=axis) + (0 if y is None else y)

    for n in (5, 6, 1000):
        x = array(n, 4)
        assert_numpys(scaled(x, 0.5, 1), scaled.eager(x, 0.5, 1))
        assert_numpys(scaled(x, 2, -1, y=np.float32(2)), scaled.eager(x, 2, -1, y=np.float32(2)))
    assert scaled.stats()["misses"] == 2
    weights *= 3
    assert_numpys(scaled(x, 0.5, 1), scaled.eager(x, 0.5, 1))


def test_nested_arguments_and_results():
    @jitop(dynamic={"batch": 0})
    def run(batch, w):
        return {"y": batch["x"] @ w, "z": [batch["m"] * 2.0]}

    for n in (5, 40, 3):
        batch, w = {"x": array(n, 6), "m": array(n)}, array(6, 2)
        got, expected = run(batch, w), run.eager(batch, w)
        assert_numpys((got["y"], *got["z"]), (expected["y"], *expected["z"]))
    assert run.stats()["compiles"] == 1


def test_torch_tensors_come_back_as_tensors():
    torch = pytest.importorskip("torch")
    op = jitop(dynamic={"x": 0})(softmax)
    for n in (5, 2, 300, 1, 20_000):
        x = array(n, 7)
        got = op(torch.from_numpy(x))
        assert isinstance(got, torch.Tensor)
        assert got.is_contiguous()
        assert_numpys(got.numpy(), softmax(x))
    assert op.stats()["compiles"] == 2


def test_kernels_for_single_sizes_that_are_at_hand_are_used():
    def tripled(x):
        return x * 3 - 2

    warm = jitop(dynamic=False)(tripled)
    for n in range(4, 12):
        assert warm.compile(spec((n, 3), "float32")).status == "compiled"
    op = jitop(compile="never", dynamic={"x": 0})(tripled)
    unmarked = jitop(compile="never")(tripled)
    for n in range(4, 12):
        x = array(n, 3)
        assert_numpys(op(x), tripled(x))
        assert_numpys(unmarked(x), tripled(x))
    with pytest.raises(CacheMiss):
        op(array(99, 3))


def test_many_signatures_get_one_warning_that_names_the_axis(caplog):
    @jitop
    def loop(x):
        return x + sum(range(x.shape[0]))

    with caplog.at_level(logging.WARNING, "jitops"):
        for n in range(2, 36):
            loop(array(n))
    (warning,) = [r.getMessage() for r in caplog.records if "signatures" in r.getMessage()]
    assert "x.shape[0] took 32 values: 2, 3, 4" in warning
    assert "test_dynamic.py" in warning


def test_a_wrong_mark_is_refused():
    with pytest.raises(ArgumentError, match="parameters: x"):
        jitop(dynamic={"y": 0})(gelu)
    with pytest.raises(ArgumentError, match="axes below 1"):
        jitop(dynamic={"x": 1})(gelu)(array(4))


def test_a_spec_with_an_open_size_makes_the_kernel_of_all_sizes():
    op = jitop(dynamic={"x": 0})(lambda x: x * 3 - 1)
    assert op.compile(spec(("*", 3), "float32")).status == "compiled"
    for n in (2, 30, 4000):
        x = array(n, 3)
        assert_numpys(op(x), x * 3 - 1)
    assert op.stats() == {"hits": 3, "misses": 0, "compiles": 1, "loads": 0}


def test_a_spec_with_an_open_size_is_refused_where_there_is_no_such_kernel():
    op = jitop(lambda x: x * len(x))
    with pytest.raises(ArgumentError, match=r"len\(\)"):
        op.compile(spec(("n",)))


def test_what_is_recorded_prepares_the_kernel_for_all_sizes(tmp_path):
    path = tmp_path / "manifest.json"
    op = jitop(dynamic={"x": 0, "y": 0})(scaled)
    branching = jitop(dynamic={"x": 0})(either)
    with jitops.options(record=str(path)):
        for n in (5, 80, 2):
            op(array(n, 3), array(n))
            branching(array(n))
        op(array(4, 3), array(6))
    specs = [job.spec for job in read_manifest(str(path))]
    assert sorted(specs) == [
        "float32[n,3],float32[m]", "float32[n,3],float32[n]", "float32[n=2]", "float32[n]",
    ]  # fmt: skip
    fresh = {name: jitop(fn) for name, fn in (("scaled", scaled), ("either", either))}
    for job in read_manifest(str(path)):
        args, kwargs = parse_spec(job.spec, spec)
        assert fresh[job.op.split(":")[1]].prepare(args, kwargs).status == "loaded"


PROGRAM = """
import json, sys
import numpy as np
from jitops import jitop

@jitop(dynamic={"x": 0})
def scaled(x):
    return x * 3 - x.mean(axis=1, keepdims=True)

for n in map(int, sys.argv[1:]):
    x = np.arange(n * 4, dtype="float32").reshape(n, 4)
    np.testing.assert_allclose(scaled(x), scaled.eager(x), rtol=1e-6)
print(json.dumps([scaled.stats(), "tvm" in sys.modules]))
"""


def test_another_process_takes_the_kernel_for_other_sizes(environment):
    def run(*sizes: str):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *sizes], env=environment, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert run("5", "600")[0]["compiles"] == 1
    stats, compiler = run("7", "20000", "2")
    assert stats == {"hits": 2, "misses": 1, "compiles": 0, "loads": 1}
    assert not compiler


# --- random programs ----------------------------------------------------------------------------

STEPS = {
    "add": lambda x, y, k: x + y,
    "scale": lambda x, y, k: x * k,
    "select": lambda x, y, k: np.where(x > y, x, k),
    "norm": lambda x, y, k: x - y.mean(axis=1, keepdims=True),
    "row": lambda x, y, k: np.maximum(x, y[:, :1]),
    "turn": lambda x, y, k: x.reshape(-1, 2, 3).transpose(0, 2, 1).reshape(x.shape),
    "count": lambda x, y, k: x + np.arange(x.shape[0])[:, None] % 5,
    "scan": lambda x, y, k: np.cumsum(x, axis=1),
    "product": lambda x, y, k: x @ np.eye(6, dtype=x.dtype)[::-1] + y,
    "divide": lambda x, y, k: x / y.shape[0],
    "shift": lambda x, y, k: np.concatenate([x[:, 1:], y[:, :1]], axis=1),
}


def perform(program, x, y):
    values = [x, y]
    for name, a, b in program:
        values.append(STEPS[name](values[a % len(values)], values[b % len(values)], 0.5))
    for _, a, b in program[:2]:
        x[1:, a % 6] = values[-1][1:, b % 6]
    return values[-1]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    program=st.lists(
        st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 7), st.integers(0, 7)),
        min_size=1, max_size=6,
    ),
    sizes=st.lists(st.integers(0, 400), min_size=3, max_size=5),
)  # fmt: skip
def test_random_programs_at_random_sizes(program, sizes):
    op = jitop(dynamic={"x": 0, "y": 0})(lambda x, y: perform(program, x, y))
    for n in (50, *sizes, 20_001):
        x, y = (RNG.integers(-3, 4, (n, 6)).astype("float64") for _ in range(2))
        ours, theirs = x.copy(), x.copy()
        expected = perform(program, theirs, y)
        assert_numpys(op(ours, y), expected, rtol=1e-9)
        assert_numpys(ours, theirs, rtol=1e-9)
    assert op.stats()["compiles"] <= 1 + len({n for n in sizes if n < 4})
