"""Functions without native code run NumPy's own, between kernels: the very same results."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparing import agree

import jitops
from jitops import jitop
from jitops.errors import UnsupportedError
from jitops.trace.hosted import TABLE_OF_HOSTED

L = 1 + max(hosted.limit for hosted in TABLE_OF_HOSTED.values())  # too large to be compiled
RNG = np.random.default_rng(7)
DTYPES = ("float32", "float64", "complex64", "complex128", "int32", "bool", "uint8")

Case = tuple[str, Callable[..., Any], tuple[Any, ...]]


def matrices(dtype: str, *shape: int) -> Any:
    """Well-conditioned where square."""
    if dtype == "bool":
        return np.triu(np.ones(shape, bool)) if len(shape) > 1 else np.ones(shape, bool)
    values = RNG.normal(size=shape) * 2
    if np.dtype(dtype).kind == "c":
        values = values + 1j * RNG.normal(size=shape)
    if np.dtype(dtype).kind in "iu":
        values = RNG.integers(0, 5, shape)
    diagonal = 5 * np.eye(*shape[-2:]) if len(shape) > 1 else 0
    return (values + diagonal).astype(dtype)


def symmetric(dtype: str, *shape: int) -> Any:
    """Positive definite."""
    if np.dtype(dtype).kind not in "fc":
        return np.broadcast_to(np.eye(shape[-1], dtype=dtype), shape).copy()
    a = matrices(dtype, *shape)
    return np.swapaxes(a, -1, -2).conj() @ a


def identical(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted)
        for f, w in zip(found, wanted, strict=True):
            identical(f, w)
        return
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found, wanted)


def compare(cases: list[Case]) -> None:
    """All calls in one op: the same types, shapes, dtypes and bits as NumPy's."""

    def together(arguments: Any) -> Any:
        return [fn(*a) for (_, fn, _), a in zip(cases, arguments, strict=True)]

    arguments = [args for _, _, args in cases]
    op = jitop(together, strict=False)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found, wanted = op(arguments), together(arguments)
    assert op.stats()["misses"] == 1
    agree([name for name, _, _ in cases], found, wanted, identical)


def linear_algebra(dtype: str) -> list[Case]:
    la: Any = np.linalg
    a, stack, none = (matrices(dtype, *s) for s in ((L, L), (2, L, L), (0, L, L)))
    tall, wide = matrices(dtype, L, 3), matrices(dtype, 2, 3, L)
    h, hs = symmetric(dtype, L, L), symmetric(dtype, 2, L, L)
    v, b = matrices(dtype, L), matrices(dtype, L, 2)
    cases: list[Case] = [
        (f"{name} of {x.shape}", fn, (x,))
        for name, fn in (("inv", la.inv), ("det", la.det), ("slogdet", la.slogdet))
        for x in (a, stack, none)
    ]
    cases += [
        (f"{name} of {x.shape}", fn, (x,))
        for name, fn in (
            ("svd", la.svd), ("pinv", la.pinv), ("matrix_rank", la.matrix_rank),
            ("svd of rank", lambda x: la.svd(x, full_matrices=False)),
            ("svd without vectors", lambda x: la.svd(x, compute_uv=False)),
            *((f"qr {mode}", lambda x, mode=mode: la.qr(x, mode))
              for mode in ("reduced", "complete", "r", "raw")),
        )
        for x in (a, tall, wide)
    ]  # fmt: skip
    cases += [
        (f"{name} of {x.shape}", fn, (x,))
        for name, fn in (
            ("eigh", la.eigh), ("eigvalsh", la.eigvalsh), ("cholesky", la.cholesky),
            ("eigh U", lambda x: la.eigh(x, "U")),
            ("hermitian svd", lambda x: la.svd(x, True, True, True)),
        )
        for x in (h, hs)
    ]  # fmt: skip
    cases += [
        ("solve a vector", la.solve, (a, v)),
        ("solve columns", la.solve, (a, b)),
        ("solve a stack", la.solve, (stack, stack[..., :2].copy())),
        ("solve one for a stack", la.solve, (stack, matrices(dtype, L, 2))),
        ("lstsq", lambda x, y: la.lstsq(x, y, rcond=None)[0], (tall, matrices(dtype, L))),
        ("lstsq, all", lambda x, y: la.lstsq(x, y, 1e-9), (wide[0].copy(), matrices(dtype, 3, 2))),
        ("pinv cut", lambda x, r: la.pinv(x, r), (tall, 0.1)),
        ("cond", lambda x: [la.cond(x, p) for p in (None, 1, -np.inf, "fro")], (a,)),
        ("cond of a stack", la.cond, (stack,)),
        ("matrix_power", lambda x: la.matrix_power(x, -1), (a,)),
    ]  # fmt: skip
    if np.dtype(dtype).kind == "c":
        cases += [("eig", la.eig, (a,)), ("eigvals", la.eigvals, (stack,))]
    return cases


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_algebra_gives_numpys_results(dtype: str) -> None:
    compare(linear_algebra(dtype))


def test_steps_read_views_numbers_and_what_kernels_computed() -> None:
    a, large = matrices("float64", L, L), matrices("float64", 2 * L, 2 * L)
    compare(
        [
            ("a strided argument", lambda x: np.linalg.inv(x), (large[::2, ::-2],)),
            ("a transposed argument", np.linalg.qr, (a.T,)),
            ("a computed operand", lambda x: np.linalg.det(x * 2.0), (a,)),
            ("a constant", lambda x: np.linalg.solve(x, np.ones(L)), (a,)),
            ("a captured array", lambda x: np.linalg.solve(a, x), (a[0].copy(),)),
            ("a number", lambda x, r: np.linalg.pinv(x, rcond=r), (a, 0.5)),
            ("a scalar", lambda x: np.linalg.pinv(x, rcond=x[0, 0] * 0.01), (a,)),
            ("polyfit", lambda x, y: np.polyfit(x, y, 2), (a[0].copy(), a[1].copy())),
        ]
    )


def test_what_follows_a_step_is_computed_natively() -> None:
    a, b = matrices("float64", L, L), matrices("float64", L)

    def program(a: Any, b: Any) -> Any:
        w, v = np.linalg.eigh(a @ a.T)
        spectrum = np.fft.rfft(np.linalg.solve(a, b)) * 2
        return np.sum(v * np.sqrt(w)) / 2, np.abs(spectrum), w

    op = jitop(program, strict=False)
    for found, wanted in zip(op(a, b), program(a, b), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert op(a, b)[2] is not op(a, b)[2]
    assert op.stats()["misses"] == 1


def test_a_step_runs_although_its_result_is_not_used() -> None:
    @jitop(strict=False)
    def checked(a: Any) -> Any:
        np.linalg.cholesky(a)
        return a + 1

    np.testing.assert_array_equal(checked(np.eye(L)), np.eye(L) + 1)
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        checked(-np.eye(L))


def test_numpys_error_comes_through_and_arguments_stay_as_they_were() -> None:
    @jitop(strict=False)
    def update(a: Any, out: Any) -> Any:
        out[0] = 7.0
        out += np.linalg.inv(a)
        return np.linalg.det(a)

    out, wanted = np.zeros((L, L)), np.eye(L)
    wanted[0] += 7.0
    assert update(np.eye(L), out) == 1.0
    np.testing.assert_array_equal(out, wanted)
    before = out.copy()
    for _ in range(2):
        with pytest.raises(np.linalg.LinAlgError) as raised:
            update(np.zeros((L, L)), out)
        np.testing.assert_array_equal(out, before)
    with pytest.raises(np.linalg.LinAlgError) as eager:
        update.eager(np.zeros((L, L)), before)
    assert (type(raised.value), str(raised.value)) == (type(eager.value), str(eager.value))


def test_an_index_out_of_bounds_is_an_error_and_writes_nothing() -> None:
    @jitop(strict=False)
    def scatter(a: Any, index: Any, out: Any) -> Any:
        out[index] += np.linalg.inv(a)[0]
        found = np.linalg.solve(a, out)
        out *= 2
        return found[index]

    a, index = matrices("float64", L, L), np.arange(L) % (L - 1) + 1
    out, wanted = np.ones(L), np.ones(L)
    np.testing.assert_allclose(scatter(a, index, out), scatter.eager(a, index, wanted))
    np.testing.assert_allclose(out, wanted)
    before = out.copy()
    with pytest.raises(IndexError):
        scatter(a, index + 1, out)
    np.testing.assert_array_equal(out, before)


def test_no_step_gets_what_an_index_out_of_bounds_read() -> None:
    op = jitop(lambda a, index: np.linalg.inv(a[index]), strict=False)
    a, index = matrices("float64", L, L), np.arange(L)[::-1].copy()
    np.testing.assert_array_equal(op(a, index), np.linalg.inv(a[index]))
    for outside in (L, -L - 1):
        with pytest.raises(IndexError):
            op(a, np.where(index == 3, outside, index))
    np.testing.assert_array_equal(op(a, index - L), np.linalg.inv(a[index - L]))


def test_a_result_may_be_written_to_an_argument() -> None:
    @jitop(strict=False)
    def solve(a: Any, b: Any) -> None:
        b[:] = np.linalg.solve(a, b)

    a, b = matrices("float64", L, L), matrices("float64", 2 * L)[::2]
    wanted = np.linalg.solve(a, b)
    solve(a, b)
    np.testing.assert_array_equal(b, wanted)


def test_shapes_that_do_not_fit_raise_numpys_error() -> None:
    a = np.zeros((2, 3))
    for fn, args in (
        (np.linalg.inv, (a,)),
        (np.linalg.solve, (np.eye(3), np.zeros(4))),
        (lambda x: np.fft.fft(x, 0), (a,)),
        (lambda x: np.fft.fft(x, axis=5), (a,)),
        (lambda x: np.linalg.qr(x, mode="none"), (a,)),
        (np.linalg.svd, (np.zeros(3),)),
        (np.linalg.inv, (np.eye(2, dtype="float16"),)),
    ):
        with pytest.raises(Exception) as wanted:  # noqa: PT011  # whatever NumPy raises
            fn(*args)
        with pytest.raises(type(wanted.value)) as found:
            jitop(lambda *xs, fn=fn: fn(*xs), strict=False)(*args)
        assert str(found.value) == str(wanted.value)


def test_the_body_of_control_flow_has_no_host_steps() -> None:
    def body(i: Any, x: Any) -> Any:
        return np.linalg.inv(x)

    with pytest.raises(UnsupportedError, match="above 64 and cannot run in the body"):
        jitop(lambda x: jitops.fori_loop(0, 3, body, x), strict=False)(np.eye(L))


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (np.linalg.eigvals, "real or complex"),
        (lambda x: np.linalg.lstsq(x[:, :2], x[:, 0], rcond=None), "depends on values"),
        (lambda x: np.polyfit(x[0], x[1], 1, full=True), "coefficients"),
    ],
)
def test_results_whose_type_depends_on_values_are_refused(fn: Any, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        jitop(lambda x: fn(x), strict=False)(np.eye(4))
