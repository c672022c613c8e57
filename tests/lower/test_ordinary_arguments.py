"""Functions with a form for ordinary arguments: rare ones among them change no promise."""

from __future__ import annotations

import numpy as np
import pytest

from jitops import jitop, spec

HUGE = (1e10, -3e15, 2.0**17, 2.0**30, -3.4e38, np.inf, -np.inf, np.nan)
SIZE = 3 * 512 + 77  # whole pieces and a part of one


def angles(dtype: str, *huge: int) -> np.ndarray:
    """Moderate numbers, with huge, infinite and undefined ones from these positions on."""
    x = np.random.default_rng(7).uniform(-40, 40, SIZE).astype(dtype)
    for start in huge:
        x[start : start + len(HUGE)] = HUGE[: SIZE - start]
    x[3] = -0.0
    return x


def near(got: np.ndarray, function: np.ufunc, x: np.ndarray) -> None:
    """Two units in the last place; NaN and the signs of zeros agree."""
    with np.errstate(invalid="ignore"):
        want = function(x.astype("f8"))
    unit = np.finfo(x.dtype).eps
    np.testing.assert_allclose(got, want, rtol=2 * unit, atol=0)
    np.testing.assert_array_equal(np.signbit(got)[want == 0], np.signbit(want)[want == 0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_arguments_are_right_wherever_they_are(dtype: str) -> None:
    op = jitop(lambda x: (np.sin(x), np.cos(x + x), np.tan(x)))
    for huge in ((), (0,), (600, SIZE - 1), (505,)):
        x = angles(dtype, *huge)
        sine, cosine, tangent = op(x)
        near(sine, np.sin, x)
        with np.errstate(over="ignore"):
            near(cosine, np.cos, x + x)
        near(tangent, np.tan, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rare_bases_and_exponents_of_powers_are_right_wherever_they_are(dtype: str) -> None:
    op = jitop(lambda x, y: x**y)
    rng = np.random.default_rng(8)
    tiny = np.finfo(dtype).smallest_subnormal
    special = np.array([0.0, -0.0, 1.0, -1.0, -2.0, tiny, 2.0, np.inf, -np.inf, np.nan], dtype)
    bases, exponents = (a.ravel() for a in np.meshgrid(special, special))
    for start in (None, 0, 460):
        x = np.exp(rng.uniform(-9, 9, SIZE)).astype(dtype)
        y = rng.uniform(-4, 4, SIZE).astype(dtype)
        if start is not None:
            rare = slice(start, start + bases.size)
            x[rare], y[rare] = bases, exponents
        with np.errstate(all="ignore"):
            want = np.power(x, y)
        got = op(x, y)
        np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps)
        number = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))


def test_an_array_may_be_updated_in_place() -> None:
    @jitop
    def turn(x):
        x[...] = np.sin(x)

    for huge in ((), (700,)):
        x = angles("float32", *huge)
        before = x.copy()
        turn(x)
        near(x, np.sin, before)


def test_pieces_of_strided_axes_and_of_open_sizes() -> None:
    op = jitop(lambda x: np.sin(x[:, ::2]))
    x = np.tile(angles("float64", 11, 900)[: 4 * 400], 2).reshape(4, 800)
    near(op(x), np.sin, x[:, ::2])
    free = jitop(lambda x: np.cos(x))
    free.compile(spec(("n",), "float32"))
    for count in (0, 1, 511, 512, 513, SIZE):
        x = angles("float32", 100, 512)[:count]
        near(free(x), np.cos, x)


def test_every_float16_is_rounded_nearly_once() -> None:
    x = np.arange(2**16, dtype=np.uint16).view("f2")
    with np.errstate(invalid="ignore"):
        want = np.sin(x.astype("f8"))
    got = jitop(lambda x: np.sin(x))(x)
    np.testing.assert_allclose(got.astype("f8"), want, rtol=2.0**-11 * 1.001, atol=2.0**-25)
