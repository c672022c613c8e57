"""Promises of the float64 math functions against mpmath.

One unit in the last place, 1.5 for pow and erfc.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import samples64
from measure import BINARY, NAMES, NUMPY, exact, float64_error, kernel

from jitops.lower.math import MATH, ORDINARY

BOUNDS = {"pow": 1.5, "erfc": 1.5}
UNARY = tuple(name for name in NAMES if name not in BINARY and (name, "float64") in MATH)
TWO = tuple(name for name in BINARY if (name, "float64") in MATH)
GENERAL = tuple(name for name in UNARY if (name, "float64") in ORDINARY)
SPECIAL = np.array(
    [
        0.0,
        1.0,
        0.5,
        2.0,
        3.0,
        0.25,
        5e-324,
        2.2250738585072014e-308,
        1.7976931348623157e308,
        1000000000.0,
        2.0**53 + 2,
        2.0**52 + 1,
        np.inf,
        np.nan,
    ]
)
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # a pole, or beyond the largest float
        return math.inf


PLAIN = {
    "lgamma": _lgamma,
    "erf": math.erf,
    "erfc": math.erfc,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x)),
}


def worst(
    name: str, *arrays: np.ndarray, general: bool = False
) -> tuple[float, tuple[float, ...]]:
    got = kernel(name, "float64", general)(*arrays)
    largest: tuple[float, tuple[float, ...]] = (0.0, ())
    for result, *args in zip(got, *arrays, strict=True):
        error = float64_error(float(result), exact(name, *map(float, args)))
        largest = max(largest, (error, tuple(map(float, args))))
    return largest


@pytest.mark.parametrize("name", UNARY)
def test_random_and_hard_float64_are_within_the_bound(name: str) -> None:
    error, at = worst(name, samples64.unary(name, 300))
    assert error <= BOUNDS.get(name, 1.0), at


@pytest.mark.parametrize("name", GENERAL)
def test_ordinary_float64_are_within_the_bound_in_both_forms(name: str) -> None:
    rng = np.random.default_rng(3)
    quadrants = rng.integers(0, 2**29, 300) * (np.pi / 2)
    x = np.concatenate([rng.uniform(-7, 7, 300), rng.uniform(-(2**30), 2**30, 300), quadrants])
    for general in (False, True):
        error, at = worst(name, x, general=general)
        assert error <= BOUNDS.get(name, 1.0), at


def test_ordinary_powers_of_float64_are_within_the_bound_in_both_forms() -> None:
    rng = np.random.default_rng(4)
    near = 1 + np.exp(rng.uniform(-36, -1, 300)) * rng.choice([-1, 1], 300)
    x = np.concatenate([np.exp(rng.uniform(-50, 50, 300)), near])
    y = rng.uniform(-300, 300, 600) / np.maximum(np.abs(np.log2(x)), 2.0**-15)
    for general in (False, True):
        error, at = worst("pow", x, y, general=general)
        assert error <= 1.0, at


@pytest.mark.long
@pytest.mark.parametrize("name", UNARY)
def test_many_float64_are_within_the_bound(name: str) -> None:
    error, at = worst(name, samples64.unary(name, 200_000, seed=7))
    assert error <= BOUNDS.get(name, 1.0), at


@pytest.mark.parametrize("name", TWO)
def test_pairs_of_float64_are_within_the_bound(name: str) -> None:
    error, at = worst(name, *samples64.pairs(name, 300))
    assert error <= BOUNDS.get(name, 1.0), at


@pytest.mark.long
@pytest.mark.parametrize("name", TWO)
def test_many_pairs_of_float64_are_within_the_bound(name: str) -> None:
    error, at = worst(name, *samples64.pairs(name, 200_000, seed=7))
    assert error <= BOUNDS.get(name, 1.0), at


@pytest.mark.parametrize(
    ("low", "high", "slack"), [(-8.5, 0.0, 2.0**-58), (-25.0, -8.5, 2.0**-52 * 60)]
)
def test_lgamma_between_its_poles_has_a_small_absolute_error(
    low: float, high: float, slack: float
) -> None:
    rng = np.random.default_rng(2)
    near = np.round(rng.uniform(low, high, 300)) + rng.choice([-1, 1], 300) * np.exp(
        rng.uniform(-36, -0.7, 300)
    )
    x = np.concatenate([rng.uniform(low, high, 300), np.clip(near, low, high)])
    x = np.concatenate([x, -np.exp(rng.uniform(-740, 0, 100))]) if high == 0 else x
    for got, at in zip(kernel("lgamma", "float64")(x), map(float, x), strict=True):
        if at == round(at):
            assert got == math.inf
            continue
        want = exact("lgamma", at)
        assert abs(mpmath.mpf(float(got)) - want) <= slack + math.ulp(float(want)), at


def same_kind(got: np.ndarray, want: np.ndarray) -> None:
    """NaN, infinities and zeros agree exactly, with their signs; the rest to a few units."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(want)[number])
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want))
    np.testing.assert_array_equal((got == 0)[number], (want == 0)[number])
    assert np.abs(got[number].view("i8") - want[number].view("i8")).max() <= 4


@pytest.mark.parametrize("name", UNARY)
def test_special_float64_values_are_exact(name: str) -> None:
    with np.errstate(all="ignore"):
        if name in PLAIN:
            want = np.array([PLAIN[name](x) for x in np.clip(SPECIAL, -1e308, 1e308)])
        else:
            want = getattr(np, NUMPY.get(name, name))(SPECIAL)
    same_kind(kernel(name, "float64")(SPECIAL), want)


@pytest.mark.parametrize("name", TWO)
def test_all_pairs_of_special_float64_values_are_exact(name: str) -> None:
    x, y = (np.ascontiguousarray(a.ravel()) for a in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        want = getattr(np, NUMPY.get(name, name))(x, y)
    same_kind(kernel(name, "float64")(x, y), want)


def test_the_reference_is_more_precise_than_what_it_judges() -> None:
    with mpmath.workprec(400):
        want = mpmath.atanh(mpmath.mpf(1e-300))
    assert float64_error(1e-300, want) < 1e-10
    assert float64_error(math.nextafter(1e-300, 1), want) == pytest.approx(1.0)
