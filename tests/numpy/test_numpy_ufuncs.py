"""Every ufunc, compiled, on special values of every dtype: exact, or within its bar."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from comparing import agree, compare
from samples import DTYPES as ALL_DTYPES
from samples import mismatch, pairs

from jitops import jitop

DTYPES = [name for name in ALL_DTYPES if name != "bfloat16"]  # NumPy's own
NO_NUMBERS = {"isnat"}
GROUP = 12
# Results of NumPy itself that differ by a few units in the last place, per loop and machine.
ROUNDED = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cbrt",
    "cos",
    "cosh",
    "exp",
    "exp2",
    "expm1",
    "float_power",
    "deg2rad",
    "degrees",
    "hypot",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logaddexp2",
    "power",
    "rad2deg",
    "radians",
    "sin",
    "sinh",
    "tan",
    "tanh",
]
ULP = 4
UNSIGNED_ZERO = {"maximum", "minimum", "fmax", "fmin"}  # which of two equal zeros is not defined


def _ufuncs(nin: int) -> list[np.ufunc]:
    found = {f.__name__: f for f in vars(np).values() if isinstance(f, np.ufunc)}
    return [
        f
        for name, f in sorted(found.items())
        if f.signature is None and f.nin == nin and name not in NO_NUMBERS
    ]


def _admitted(ufunc: np.ufunc, args: tuple) -> bool:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            ufunc(*args)
        except (TypeError, ValueError):
            return False
    return True


def _check(name, found, wanted, args):
    if isinstance(wanted, tuple):
        for f, w in zip(found, wanted, strict=True):
            _check(name, f, w, args)
        return
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    limit = ULP if name in ROUNDED or args[0].dtype.kind == "c" else 0
    if wanted.dtype.kind == "c" and name not in ("add", "subtract", "negative", "conjugate"):
        with np.errstate(all="ignore"):
            scale = np.finfo(found.dtype).eps * 64 * (1 + np.abs(wanted))
            near = np.abs(found - wanted) <= scale
        bad = ~near & np.isfinite(wanted)
    else:
        with np.errstate(all="ignore"):
            bad = mismatch(found, wanted, limit, zeros=name not in UNSIGNED_ZERO)
    if bad.any():
        at = np.flatnonzero(bad)[:5]
        shown = [tuple(a[at] for a in args), found[at], wanted[at]]
        raise AssertionError(f"{bad.sum()} of {bad.size} differ: operands, found, wanted {shown}")


@pytest.mark.parametrize("nin", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_ufuncs_on_special_values(dtype, nin):
    operands = pairs(dtype, np.random.default_rng(3))[:nin]
    calls = [(u.__name__, u, operands) for u in _ufuncs(nin) if _admitted(u, operands)]
    for n in range(0, len(calls), GROUP):
        compare(calls[n : n + GROUP], _check)


@pytest.mark.parametrize("dtype", ["uint8", "uint64", "int8"])
def test_shifts_by_numbers_of_the_program(dtype):
    """By nothing, by all bits but one, by the width; and of such numbers."""
    width = 8 * np.dtype(dtype).itemsize
    x = np.arange(1, 12).astype(dtype)

    calls = [(f"{n}", lambda x, n=n: (x << n, x >> n, n << x), (x,)) for n in (0, width - 1, width)]
    compare(calls)


@pytest.mark.parametrize("count", [6, 40])
def test_running_results_are_those_of_calls_in_order(count):
    ufuncs = (np.hypot, np.logaddexp, np.logaddexp2, np.arctan2, np.subtract)
    x = np.random.default_rng(5).random(count)
    running = jitop(lambda x: [f.accumulate(x) for f in ufuncs])(x)
    step = jitop(lambda carry, x: [f(c, x) for f, c in zip(ufuncs, carry)])
    carry = [x[0]] * len(ufuncs)
    for n in range(1, count):
        carry = step(carry, x[n])
        assert carry == [line[n] for line in running]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_no_integer_holds_converts_as_numpys_does_whatever_made_it(dtype):
    x = np.array([-5, 0, 4, np.nan, np.inf, -np.inf], dtype)

    def convert(x):
        made = (x, np.log10(x), np.where(x < 0, np.nan, x))
        return [y.astype(d) for y in made for d in ("int8", "int32", "int64", "uint64")]

    with np.errstate(all="ignore"):
        agree("abcdefghijkl", jitop(convert)(x), convert(x), np.testing.assert_array_equal)


@pytest.mark.parametrize("dtype", ["float16", "float64", "complex128"])
def test_a_sum_of_minus_zeros_from_minus_zero_is_minus_zero(dtype):
    """Whether the start is known while tracing, or an argument."""
    scalar = np.dtype(dtype).type
    zero = scalar(complex(-0.0, -0.0) if dtype.startswith("c") else -0.0)

    def signs(x):
        return np.signbit(x.real), np.signbit(x.imag)

    for x in (np.full((2, 5), zero), np.full((2, 0), zero), np.array([[zero, -zero]])):
        for start in (zero, scalar(0), scalar(2)):
            known = jitop(lambda x, start=start: np.sum(x, axis=1, initial=start))(x)
            given = jitop(lambda x, start: np.sum(x, axis=1, initial=start))(x, start)
            wanted = np.sum(x, axis=1, initial=start)
            for found in (known, given):
                np.testing.assert_array_equal(found, wanted)
                np.testing.assert_array_equal(signs(found), signs(wanted))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_power_of_one_half_is_the_root(dtype):
    x = np.array([-np.inf, -0.0, 0.0, 2.25, -1, np.inf, np.nan], dtype)
    with np.errstate(all="ignore"):
        for fn in (lambda x: np.power(x, 0.5), lambda x: x**0.5):
            np.testing.assert_array_equal(np.signbit(jitop(fn)(x[1:4])), np.signbit(fn(x[1:4])))
            np.testing.assert_array_equal(jitop(fn)(x), fn(x))
