"""Promises of complex functions: NumPy's value everywhere, infinities, NaN and signed zeros too."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from jitops import jitop

UNARY = [
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos", "tan", "sinh",
    "cosh", "tanh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh",
]  # fmt: skip
VALUES = [0, 1, 0.5, 2, 1e-8, 1e-30, 3.7, 11.5, 25, 1e8, 1e30, 1.5707963, 100, 720, 0.999, 1.001]
EDGES = {"complex64": [1e-42, 3e38, 1e19], "complex128": [1e-310, 1e300, 1.7e308, 1e154]}
LIMIT = 4  # errors of the vector in units of its modulus's last place


def plane(dtype: str) -> np.ndarray:
    """Every pair of parts from a list of hard ones, of both signs."""
    values = np.array([*VALUES, *EDGES[dtype], np.inf, np.nan], dtype)
    values = np.concatenate([values.real, -values.real])
    z = np.empty((values.size, values.size), dtype)
    z.real, z.imag = values[:, None], values[None, :]
    return z.ravel()


def kind(x: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(x), 2, np.where(np.isinf(x), np.sign(x), 0))


def differences(found: np.ndarray, wanted: np.ndarray, limit: float | np.ndarray) -> np.ndarray:
    """Where a result is another infinity, NaN or signed zero, or farther away than the limit."""
    with np.errstate(all="ignore"):
        finite = np.isfinite(wanted.real) & np.isfinite(wanted.imag)
        info = np.finfo(wanted.dtype)
        unit = np.maximum(np.abs(wanted), info.tiny) * info.eps
        bad = finite & ~(np.abs(found - wanted) <= limit * unit)
    for f, w in ((found.real, wanted.real), (found.imag, wanted.imag)):
        bad |= ~finite & (kind(f) != kind(w))
        bad |= finite & (w == 0) & (f == 0) & (np.signbit(f) != np.signbit(w))
    return bad


def shown(z: np.ndarray, found: np.ndarray, wanted: np.ndarray, bad: np.ndarray) -> str:
    rows = zip(z[bad][:5], found[bad][:5], wanted[bad][:5])
    return f"{bad.sum()} of {bad.size}: " + "; ".join(f"{a}: {f}, not {w}" for a, f, w in rows)


@pytest.mark.parametrize("dtype", EDGES)
def test_functions_over_the_plane(dtype: str) -> None:
    z = plane(dtype)
    functions = [getattr(np, name) for name in UNARY]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        op = jitop(lambda z: [function(z) for function in functions])
        found, wanted = op(z), [function(z) for function in functions]
    assert op.stats()["compiles"] == 1
    failures = {}
    for name, f, w in zip(UNARY, found, wanted):
        bad = differences(f, w, LIMIT)
        if bad.any():
            failures[name] = shown(z, f, w, bad)
    assert not failures, failures


EXPONENTS = [0, 1, 2, 3, 4, 7, 99, -1, -2, 0.5, -0.5, 2.5, 100, 1j, 1 + 1j, -1 - 2j]


@pytest.mark.parametrize("dtype", EDGES)
def test_powers(dtype: str) -> None:
    """Where nothing over- or underflows: beyond, results depend on the order of products."""
    z = plane(dtype)
    tiny = np.finfo(dtype).tiny
    z = z[np.isfinite(z)]
    z = z[((np.abs(z.real) >= tiny) | (z.real == 0)) & ((np.abs(z.imag) >= tiny) | (z.imag == 0))]
    op = jitop(lambda z, w: z**w)
    with np.errstate(all="ignore"):
        for exponent in EXPONENTS:
            w = np.full(z.shape, exponent, dtype)
            found, wanted = op(z, w), z**w
            log = np.abs(np.log(z))
            limit = LIMIT * (2 + np.abs(w) * (4 + np.where(np.isfinite(log), log, 0)))
            bad = differences(found, wanted, limit) & np.isfinite(found) & np.isfinite(wanted)
            bad &= np.abs(wanted) > tiny
            assert not bad.any(), f"{exponent}: " + shown(z, found, wanted, bad)
    assert op.stats()["compiles"] == 1


def test_a_literal_whole_exponent_is_exact_multiplication() -> None:
    z = plane("complex128")
    z = z[np.abs(z) < 1e90]
    np.testing.assert_array_equal(jitop(lambda z: z**3)(z), z * z * z)
