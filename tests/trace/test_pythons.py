"""Python's own functions of numbers in traced functions, and int arguments that decide sizes."""

from __future__ import annotations

import math
from math import exp as e_to
from typing import Any

import numpy as np
import pytest
from against_numpy import check

import jitops
from jitops.errors import BranchError, UnsupportedError

X = np.linspace(0.1, 1.6, 16, dtype=np.float32).reshape(4, 4)


def of_math(x: Any, t: Any) -> Any:
    angles = math.sin(t) + math.cos(t) * math.tan(t) - math.atan2(t, 2) + math.asinh(t)
    powers = math.sqrt(t) + e_to(t) + math.pow(t, -2) + math.log(t, 2) + math.log1p(t)
    special = math.erf(t) - math.erfc(t) + math.lgamma(t) + math.fmod(t, 0.3) + math.hypot(t, 3)
    tests = math.isnan(t), math.isinf(t), math.isfinite(t)
    ints = math.floor(t), math.ceil(-t), math.trunc(-t * 3)
    return angles, powers, special, tests, ints, x * math.radians(t), math.sqrt(x.sum())


def extremes(x: Any, t: Any) -> Any:
    return x * max(0.5, min(t, 1.0)), max(t, 1.5), min([t, 2.5, math.pi]), x[math.floor(t) % 4]


@pytest.mark.parametrize("fn", [of_math, extremes])
@pytest.mark.parametrize("t", [0.7, 2.5])
def test_numbers_as_python_has_them(fn, t):
    check(fn, X, t)


def test_the_smaller_and_the_greater_as_python_chooses():
    both = jitops.jitop(lambda a, b: (min(a, b), max(a, b), min(b, a), max(b, a)), strict=True)
    for a in (1.0, -0.0, 0.0, math.nan, math.inf):
        for b in (0.0, math.nan, -2.5):
            np.testing.assert_array_equal(
                np.array(both(a, b)).view("u8"), np.array(both.eager(a, b)).view("u8")
            )


def test_ints_keep_their_type():
    found = jitops.jitop(lambda x, k: (x * max(k, 2), min(k, 5)), strict=True)
    for k in (1, 3, 9):
        scaled, least = found(X, k)
        assert (scaled.dtype, type(least), least) == (X.dtype, int, min(k, 5))


ERRORS = {
    "log": (lambda t: math.log(t), 0.0),
    "sqrt": (lambda t: math.sqrt(t), -1.0),
    "exp": (lambda t: math.exp(t), 1e4),
    "pow": (lambda t: math.pow(t, -1), 0.0),
    "overflowing pow": (lambda t: math.pow(t, 99), 1e300),
    "lgamma": (lambda t: math.lgamma(t), -2.0),
    "NaN": (lambda t: math.floor(t), math.nan),
    "infinity": (lambda t: math.ceil(t), -math.inf),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_python_raises_the_call_raises(name):
    fn, value = ERRORS[name]
    op = jitops.jitop(fn, strict=True)
    with pytest.raises((ValueError, OverflowError)) as wanted:
        fn(value)
    with pytest.raises(wanted.type, match=str(wanted.value)):
        op(value)


def test_ints_have_64_bits():
    with pytest.raises(OverflowError, match="does not fit in 64 bits"):
        jitops.jitop(lambda t: math.floor(t), strict=True)(1e300)


def test_arrays_are_for_numpy():
    with pytest.raises(UnsupportedError, match=r"math\.sqrt of a traced float32\[4,4\].*np\.sqrt"):
        jitops.jitop(lambda x: math.sqrt(x), strict=True)(X)


# --- int arguments that decide what must be known ---

SIZED = {
    "repeat": lambda x, k: x.repeat(k, 0),
    "roll": lambda x, k: np.roll(x, k, axis=1),
    "pad": lambda x, k: np.pad(x, k),
    "partition": lambda x, k: np.partition(x, k),
    "float": lambda x, k: np.zeros(int(k * 1.5)),
    "round": lambda x, k: np.zeros(round(k / 2)),
    "step": lambda x, k: np.arange(0, 1, 1 / k),
    "grid": lambda x, k: np.ogrid[-1 : 1 : k * 1j],
    "array": lambda x, k: np.pad(x, np.full((2, 2), k) + 1),
    "math": lambda x, k: np.ones(math.ceil(math.sqrt(k))),
    "key": lambda x, k: {2: x, 3: -x}[k],
    "extreme": lambda x, k: np.zeros(max(k, 3)),
}


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("kind", [int, np.int32])
def test_an_int_argument_decides_sizes(name, kind):
    for k in (2, 3):
        check(SIZED[name], X, kind(k))


def test_a_float_argument_does_not():
    with pytest.raises(BranchError, match=r"int\(\) needs the value of a traced Python float"):
        jitops.jitop(lambda x, t, k: np.zeros(int(t * k)), strict=True)(X, 1.5, 2)
    with pytest.raises(BranchError, match=r"static=\('t',\)"):
        jitops.jitop(lambda x, t: np.zeros(int(t)), strict=True)(X, 1.5)


def test_ints_that_no_kernel_holds():
    check(lambda x: np.roll(x, 2**100), np.arange(7.0))
    check(lambda x, k: np.roll(x, k), np.arange(7.0), np.uint64(2**63 + 2))
