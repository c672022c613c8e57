"""What a decorated function promises: NumPy's answer, compiled once, and clear refusals."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
from threaded import in_threads

import jitops
from jitops import jitop, spec
from jitops.errors import ArgumentError, BranchError, CacheMiss

RNG = np.random.default_rng(7)


def array(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.standard_normal(shape).astype(dtype)


def test_the_result_is_numpys_and_later_calls_hit():
    @jitop
    def gelu(x):
        return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))

    x = array(33, 7)
    for _ in range(3):
        got = gelu(x)
        np.testing.assert_allclose(got, gelu.eager(x), rtol=2e-6, atol=1e-7)
        assert got.dtype == np.float32
        assert got.flags.owndata
        assert got.ctypes.data % 64 == 0
    assert gelu.stats() == {"hits": 2, "misses": 1, "compiles": 1, "loads": 0}


def test_each_shape_dtype_and_layout_has_its_own_signature():
    @jitop
    def double(x):
        return x + x

    arguments = [
        array(4),
        array(5),
        array(4, dtype="float64"),
        array(8)[::2],
        array(2, 2),
        array(2, 2).T,
    ]
    for x in arguments * 2:
        np.testing.assert_array_equal(double(x), x + x)
    assert double.stats()["misses"] == len(arguments)


def test_python_numbers_are_runtime_arguments():
    @jitop
    def step(w, g, lr):
        return w - lr * g

    w, g = array(10), array(10)
    for lr in (0.1, 0.01, 3.0):
        np.testing.assert_allclose(step(w, g, lr), w - lr * g, rtol=1e-6, atol=1e-7)
    assert step.stats()["compiles"] == 1


def test_an_int_that_does_not_fit_raises_as_numpy_does():
    @jitop
    def add(x, n):
        return x + n

    x = np.ones(3, "int8")
    np.testing.assert_array_equal(add(x, 3), x + 3)
    with pytest.raises(OverflowError, match="300"):
        add(x, 300)


def test_an_int_that_counts_a_loop_becomes_static():
    @jitop
    def power(x, n):
        for _ in range(n):
            x = x * 2
        return x

    x = array(3)
    for n in (3, 4, 3, 4):
        np.testing.assert_array_equal(power(x, n), x * 2**n)
    assert power.stats() == {"hits": 2, "misses": 2, "compiles": 2, "loads": 0}


def test_static_arguments_are_part_of_the_signature():
    @jitop(static=("axis", "mode"))
    def reduce(x, axis, mode="sum"):
        return x.sum(axis=axis) if mode == "sum" else x.max(axis=axis)

    x = array(3, 4)
    np.testing.assert_allclose(reduce(x, 0), x.sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(reduce(x, 1), x.sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(reduce(x, axis=1, mode="max"), x.max(axis=1))
    with pytest.raises(TypeError, match=r"'axis'.*hashable"):
        reduce(x, [0])
    with pytest.raises(ArgumentError, match="names of its parameters: x"):
        jitop(static="axis")(lambda x: x)


def test_written_arguments_are_written_back():
    @jitop
    def sgd(w, g):
        w -= 0.5 * g
        return w

    w, g = array(6), array(6)
    expected = w - np.float32(0.5) * g
    assert sgd(w, g) is w
    np.testing.assert_allclose(w, expected, rtol=1e-6)


def test_a_written_argument_that_overlaps_or_is_read_only_gets_numpys_answer():
    @jitop
    def add_into(x, y):
        x += y
        return x

    add_into(array(5), array(5))
    z, want = np.arange(6.0), np.arange(6.0)
    add_into(z[1:], z[:-1])
    want[1:] += want[:-1].copy()
    np.testing.assert_array_equal(z, want)
    frozen = np.ones(5)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        add_into(frozen, np.ones(5))


def test_nested_arguments_and_results():
    Layer = namedtuple("Layer", "w b")

    @jitop
    def forward(layer, inputs, options):
        y = inputs[0] @ layer.w + layer.b
        return {"y": y, "loss": (y**2).mean()}, [y.max(), options["name"]], None

    layer = Layer(array(4, 3), array(3))
    inputs = (array(5, 4),)
    got = forward(layer, inputs, {"name": "a"})
    want = forward.eager(layer, inputs, {"name": "a"})
    np.testing.assert_allclose(got[0]["y"], want[0]["y"], rtol=1e-5, atol=1e-6)
    assert isinstance(got[0]["loss"], np.float32)
    np.testing.assert_allclose(got[0]["loss"], want[0]["loss"], rtol=1e-5)
    assert got[1][1] == "a"
    assert got[2] is None


def test_captured_arrays_count_with_their_present_contents():
    table = np.ones(3)

    @jitop
    def shifted(x):
        return x + table

    np.testing.assert_array_equal(shifted(np.zeros(3)), [1, 1, 1])
    table[:] = 5
    np.testing.assert_array_equal(shifted(np.zeros(3)), [5, 5, 5])
    assert shifted.stats()["compiles"] == 1


def test_two_ops_with_the_same_program_share_one_kernel():
    def add_one(x):
        return x + 1

    first, second = jitop(add_one), jitop(lambda y: y + 1)
    x = array(9)
    first(x)
    second(x)
    assert first.stats()["compiles"] == 1
    assert second.stats()["compiles"] == 0


def test_an_op_inside_an_op_is_part_of_it():
    @jitop
    def inner(x):
        return x * 2

    @jitop
    def outer(x):
        return inner(x) + 1

    x = array(4)
    np.testing.assert_array_equal(outer(x), x * 2 + 1)
    assert inner.stats()["misses"] == 0


def test_methods_can_be_ops():
    class Model:
        def __init__(self, k):
            self.k = k

        @jitop
        def scale(self, x):
            return x * self.k

    x = array(4)
    np.testing.assert_array_equal(Model(3).scale(x), x * 3)
    np.testing.assert_array_equal(Model(4).scale(x), x * 4)


def test_misaligned_and_byte_swapped_arguments_work():
    @jitop
    def bump(x):
        x += 1
        return x * 2

    raw = np.zeros(41, "uint8")
    odd = raw[1:].view("float64")
    np.testing.assert_array_equal(bump(odd), np.full(5, 2.0))
    np.testing.assert_array_equal(odd, np.ones(5))
    swapped = np.arange(3, dtype=">f4")
    np.testing.assert_array_equal(bump(swapped), [2, 4, 6])
    np.testing.assert_array_equal(swapped, [1, 2, 3])


def test_array_subclasses_are_refused():
    @jitop
    def same(x):
        return x * x

    class Tagged(np.ndarray):
        pass

    for other in (np.ones(1).view(Tagged), np.ma.array([1.0])):
        with pytest.raises(ArgumentError, match=r"np\.asarray"):
            same(other)


def test_a_branch_on_a_traced_value_names_its_line():
    @jitop
    def positive(x):
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(BranchError, match=r"test_op\.py:\d+, `if x\.sum\(\) > 0:`"):
        positive(array(3))


def test_compile_from_specs_makes_the_first_call_a_hit():
    @jitop
    def add(x, y):
        return x + y

    done = add.compile(spec((4, 5), "float32"), spec(5, "float32"))
    assert done.status == "compiled"
    assert add.explain(array(4, 5), array(5)).status == "known"
    add(array(4, 5), array(5))
    assert add.stats()["hits"] == 1
    assert add.stats()["misses"] == 0


def test_never_compile_names_the_way_out():
    @jitop(compile="never")
    def add(x):
        return x + 1

    with pytest.raises(CacheMiss, match="jitops warm"):
        add(array(3))


def test_disabled_ops_run_in_numpy():
    @jitop
    def add(x):
        return x + 1

    with jitops.options(disable=True):
        np.testing.assert_array_equal(add(np.ones(3)), np.full(3, 2.0))
    assert add.stats() == {"hits": 0, "misses": 0, "compiles": 0, "loads": 0}


def test_explain_names_what_differs_from_the_nearest_entry():
    @jitop
    def add(x):
        return x + 1

    add(array(4))
    told = add.explain(array(8))
    assert told.status == "missing"
    assert any("float32[8]" in line and "float32[4]" in line for line in told.differences)


def test_reset_reads_globals_again():
    factors = [2]

    @jitop
    def scale(x):
        return x * factors[0]

    x = array(3)
    np.testing.assert_array_equal(scale(x), x * 2)
    factors[0] = 3
    np.testing.assert_array_equal(scale(x), x * 2)  # documented: what lists hold is a constant
    scale.reset()
    np.testing.assert_array_equal(scale(x), x * 3)


def test_threads_that_miss_together_compile_once():
    @jitop
    def work(x):
        return np.exp(x) + np.sqrt(np.abs(x))

    x = array(50)
    want = work.eager(x)

    def run():
        for _ in range(50):
            np.testing.assert_allclose(work(x), want, rtol=1e-5)

    in_threads(8, run)
    assert work.stats()["compiles"] == 1


def test_the_signature_of_the_function_shows_through():
    @jitop
    def documented(x):
        """Says what it does."""
        return x

    assert documented.__doc__ == "Says what it does."
    assert documented.__name__ == "documented"
    assert "documented" in repr(documented)


def test_a_scalar_and_a_0d_array_of_one_dtype_are_two_kinds_of_argument():
    """The same program, called in another way: each has its own entry in the cache."""

    @jitop
    def doubled(x):
        return x * 2.0

    for x in (np.array(1.5), np.float64(1.5), 1.5, np.array(2.5), np.float64(2.5), 2.5):
        assert doubled(x) == 2 * x
        assert jitop(doubled.eager)(x) == 2 * x


def test_a_byte_swapped_argument_that_is_the_result_is_that_very_array():
    def added(x):
        x += 1
        return x, (x, x * 2)

    x = np.arange(3.0).astype(">f8")
    found, (again, twice) = jitop(added)(x)
    assert found is again is x
    assert x.tolist() == [1, 2, 3]
    assert twice.tolist() == [2, 4, 6]
