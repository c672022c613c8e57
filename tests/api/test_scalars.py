"""Python's and NumPy's numbers, as arguments and as results."""

from __future__ import annotations

import re

import numpy as np
import pytest

from jitops import jitop


def test_python_numbers_come_back_where_numpy_gives_them():
    @jitop
    def facts(x, y, number):
        return np.array_equal(x, y), np.allclose(x, y), np.array_equiv(x, y), number * 2, x.sum()

    x = np.arange(4.0)
    for number in (3.0, 2j):
        found, wanted = facts(x, x + 1, number), facts.eager(x, x + 1, number)
        assert found == wanted
        assert list(map(type, found)) == list(map(type, wanted))


def test_a_numpy_integer_that_sets_a_shape_becomes_static_and_another_does_not():
    @jitop
    def padded(x, n, shift):
        return np.concatenate([x, np.zeros(n + 1)]) + shift

    x = np.ones(2)
    for n in (2, np.int64(2), np.uint8(3), np.uint8(4)):
        for shift in (np.int64(1), np.int64(5)):
            np.testing.assert_array_equal(padded(x, n, shift), padded.eager(x, n, shift))
    assert padded.size == 4


def test_so_does_one_that_has_no_name():
    @jitop
    def zeros(*sizes):
        return np.zeros(sizes)

    for sizes in ((2, np.int64(3)), (2, np.int64(4)), (np.int32(1), 1)):
        assert zeros(*sizes).shape == sizes


INTEGERS = np.arange(1, 5)


@pytest.mark.parametrize("exponent", [-INTEGERS, np.int64(-2), -2], ids=["array", "numpy", "int"])
def test_a_negative_exponent_of_an_integer_raises_numpys_error(exponent):
    power = jitop(lambda x, y: x**y)
    with pytest.raises(ValueError, match="Integers to negative integer powers are not allowed"):
        power.eager(INTEGERS, exponent)
    np.testing.assert_array_equal(power(INTEGERS, -exponent), INTEGERS**-exponent)
    with pytest.raises(ValueError, match="Integers to negative integer powers are not allowed"):
        power(INTEGERS, exponent)


def test_the_arguments_are_as_before_a_negative_exponent():
    @jitop
    def raised(x, y):
        x += 1
        x **= y

    x = INTEGERS.copy()
    with pytest.raises(ValueError, match="negative integer powers"):
        raised(x, -INTEGERS)
    np.testing.assert_array_equal(x, INTEGERS)


def test_a_negative_exponent_where_nothing_is_raised_is_no_error():
    @jitop
    def masked(x, y, mask, out):
        return np.power(x, y, out=out, where=mask)

    args = INTEGERS, np.array([1, -1, 2, -2]), np.array([True, False] * 2)
    for fn in (masked, masked.eager):
        np.testing.assert_array_equal(fn(*args, np.zeros(4, int)), [1, 0, 9, 0])
    assert jitop(lambda x: x**-3)(INTEGERS[:0]).shape == (0,)


NAN = np.nan
REFUSED_VALUES = {
    "nanargmin": (lambda x: np.nanargmin(x, axis=1), np.array([[1, NAN], [NAN, NAN]])),
    "quantile": (lambda x, q: np.quantile(x, q), INTEGERS, np.array([0.5, 1.5])),
    "percentile": (lambda x, q: np.percentile(x, q), INTEGERS, np.array([NAN])),
    "weights": (
        lambda x, w: np.quantile(x, 0.5, weights=w, method="inverted_cdf"),
        INTEGERS,
        np.array([1.0, -1, 1, 1]),
    ),
    "fweights": (lambda x, w: np.cov(x, fweights=w), INTEGERS, np.array([1.5, 1, 1, 1])),
    "aweights": (lambda x, w: np.cov(x, aweights=w), INTEGERS, np.array([-1.5, 1, 1, 1])),
    "place": (lambda x, m: np.place(x, m, []), np.ones(3), np.array([False, True, False])),
}


@pytest.mark.parametrize("name", REFUSED_VALUES)
def test_values_that_numpy_refuses_raise_its_error(name):
    fn, *args = REFUSED_VALUES[name]
    with pytest.raises((ValueError, TypeError)) as numpys:
        fn(*args)
    with pytest.raises(type(numpys.value), match=re.escape(str(numpys.value))):
        jitop(fn)(*args)
