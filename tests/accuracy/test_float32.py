"""Promises of the float32 math functions.

At most one unit in the last place, special values exact.
"""

from __future__ import annotations

import numpy as np
import pytest
from measure import BINARY, NAMES, NUMPY, Report, float32_arrays, float32_bits, kernel, reference

from jitops.lower.math import MATH, ORDINARY

UNARY = tuple(name for name in NAMES if name not in BINARY and (name, "float32") in MATH)
TWO = tuple(name for name in BINARY if (name, "float32") in MATH)
GENERAL = tuple(name for name in UNARY if (name, "float32") in ORDINARY)
BOUNDS = {"pow": 1.5, "fmod": 0.0}
EVERY = 16381  # a prime: all exponents, and mantissas of all kinds
SPECIAL = np.array(
    [
        0.0,
        1.0,
        0.5,
        2.0,
        3.0,
        0.25,
        1e-45,
        1.1754944e-38,
        3.4028235e38,
        1e9,
        16777217.0,
        np.inf,
        np.nan,
    ],
    "f4",
)
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])

pytestmark = pytest.mark.skipif(reference() is None, reason="needs a C compiler")


def within(report: Report, bound: float) -> None:
    assert not report.wrong, str(report)
    assert report.worst <= bound, str(report)


@pytest.mark.parametrize("name", UNARY)
def test_a_sample_of_all_float32_is_within_one_ulp(name: str) -> None:
    within(float32_bits(name, EVERY, kernel(name, "float32").address), 1.0)


@pytest.mark.parametrize("name", UNARY)
def test_special_float32_values_are_exact(name: str) -> None:
    within(float32_arrays(name, (SPECIAL,), kernel(name, "float32")(SPECIAL)), 1.0)


@pytest.mark.parametrize("name", GENERAL)
def test_the_form_for_all_float32_is_within_one_ulp(name: str) -> None:
    within(float32_bits(name, EVERY, kernel(name, "float32", general=True).address), 1.0)


@pytest.mark.long
@pytest.mark.parametrize("name", UNARY)
def test_every_float32_is_within_one_ulp(name: str) -> None:
    within(float32_bits(name, 1, kernel(name, "float32").address), 1.0)


@pytest.mark.parametrize("name", TWO)
def test_all_pairs_of_special_float32_values_are_exact(name: str) -> None:
    x, y = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    got = kernel(name, "float32")(x, y)
    within(float32_arrays(name, (x, y), got), BOUNDS.get(name, 1.0))
    with np.errstate(all="ignore"):
        want = getattr(np, NUMPY.get(name, name))(x, y)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    kind = np.isinf(want) | (want == 0)
    np.testing.assert_array_equal(got[kind], want[kind])


def pairs(count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random bits, moderate values, bases near one with large exponents, integers, positives."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**32, (2, count), dtype=np.uint32).view("f4")
    moderate = rng.normal(0, 5, (2, count)).astype("f4")
    near = (1 + np.exp(rng.uniform(-15, 1, count))).astype("f4")
    large = (rng.normal(0, 1, count) * np.exp(rng.uniform(0, 16, count))).astype("f4")
    whole = np.round(moderate * 5)
    base, power = np.exp(rng.uniform(-8, 8, count)).astype("f4"), moderate[0] / 5
    return [(*bits,), (*moderate,), (near, large), (moderate[0], whole[1]), (base, power)]  # type: ignore[list-item]


@pytest.mark.parametrize("name", TWO)
def test_random_pairs_of_float32_are_within_one_ulp(name: str) -> None:
    for x, y in pairs(20_000, 1):
        got = kernel(name, "float32")(np.ascontiguousarray(x), np.ascontiguousarray(y))
        within(float32_arrays(name, (x, y), got), BOUNDS.get(name, 1.0))


def test_the_form_of_pow_for_all_float32_is_within_the_bound() -> None:
    for x, y in pairs(20_000, 2):
        got = kernel("pow", "float32", general=True)(x, y)
        within(float32_arrays("pow", (x, y), got), BOUNDS["pow"])


@pytest.mark.long
@pytest.mark.parametrize("name", TWO)
def test_millions_of_pairs_of_float32_are_within_one_ulp(name: str) -> None:
    for seed in range(20):
        for x, y in pairs(1_000_000, seed):
            got = kernel(name, "float32")(np.ascontiguousarray(x), np.ascontiguousarray(y))
            within(float32_arrays(name, (x, y), got), BOUNDS.get(name, 1.0))
