"""np.linalg compiled: solvers and decompositions against NumPy's, and against what defines them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jitops
from jitops import jitop

la: Any = np.linalg
RNG = np.random.default_rng(11)
DTYPES = ("float64", "complex128")


def matrices(dtype: str, *shape: int) -> Any:
    values = RNG.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * RNG.normal(size=shape)
    return values.astype(dtype)


def adjoint(x: Any) -> Any:
    return np.conjugate(np.swapaxes(x, -1, -2))


def eps(x: Any) -> float:
    return float(np.finfo(x.dtype).eps) if x.dtype.kind in "fc" else 0.0


def parts(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (tuple, list)) else [x]


def alike(found: Any, wanted: Any) -> None:
    """The same types, dtypes and shapes."""
    assert type(found) is type(wanted)
    for f, w in zip(parts(found), parts(wanted), strict=True):
        assert (type(f), f.dtype, f.shape) == (type(w), w.dtype, w.shape)


def together(calls: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]) -> dict[str, Any]:
    """The results of all calls in one op, like NumPy's in type."""

    def run(arguments: Any) -> Any:
        return [fn(*a) for (fn, _), a in zip(calls.values(), arguments, strict=True)]

    arguments = [args for _, args in calls.values()]
    found = dict(zip(calls, jitop(run)(arguments), strict=True))
    for name, (fn, args) in calls.items():
        alike(found[name], fn(*args))
    return found


def near(found: Any, wanted: Any, scale: float = 64) -> None:
    """Within ``scale`` roundings of the largest element."""
    for f, w in zip(parts(found), parts(wanted), strict=True):
        if w.size:
            bound = scale * eps(w) * max(1.0, float(np.max(np.abs(w))))
            np.testing.assert_allclose(f, w, rtol=0, atol=bound)


def stacks(dtype: str) -> dict[str, Any]:
    """One matrix, few and many of them, and views."""
    large = matrices(dtype, 12, 9, 9)
    found = {
        "one": matrices(dtype, 4, 4), "more than go together": matrices(dtype, 67, 3, 3),
        "none": large[:0, :2, :2],
    }  # fmt: skip
    if dtype == "float64":
        found |= {
            "1x1": matrices(dtype, 3, 1, 1), "one by one": matrices(dtype, 2, 12, 12),
            "view": large[::-6, ::2, 7:2:-1],
        }  # fmt: skip
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_solvers_and_determinants_are_near_to_numpys(dtype: str) -> None:
    calls: Any = {}
    for name, a in stacks(dtype).items():
        a = (a + 4 * np.eye(a.shape[-1])).astype(dtype)
        calls |= {(name, f.__name__): (f, (a,)) for f in (la.inv, la.det, la.slogdet)}
        b = matrices(dtype, *a.shape[:-1], 2)
        calls[name, "solve"] = la.solve, (a, b)
        calls[name, "a vector"] = la.solve, (a, b.reshape(-1)[: a.shape[-1]].copy())
    del calls["none", "a vector"]
    for key, found in together(calls).items():
        fn, args = calls[key]
        near(found, fn(*args), 512)


@pytest.mark.parametrize("dtype", DTYPES)
def test_decompositions_multiply_to_the_matrix(dtype: str) -> None:
    given = stacks(dtype)
    calls: Any = {}
    for name, a in given.items():
        positive = a @ adjoint(a) + np.eye(a.shape[-1], dtype=dtype)
        calls |= {
            (name, "cholesky"): (la.cholesky, (positive,)),
            (name, "upper"): (lambda x: la.cholesky(x, upper=True), (positive,)),
            (name, "eigh"): (la.eigh, (a,)), (name, "U"): (lambda x: la.eigh(x, "U"), (a,)),
            (name, "eigvalsh"): (la.eigvalsh, (a,)),
        }  # fmt: skip
    for (name, kind), found in together(calls).items():
        fn, (a,) = calls[name, kind]
        size = 32 * a.shape[-1] * eps(found[0] if isinstance(found, tuple) else found)
        if kind in ("cholesky", "upper"):
            product = found @ adjoint(found) if kind == "cholesky" else adjoint(found) @ found
            assert np.all(np.abs(product - a) <= size * np.max(np.abs(a), initial=1))
        elif kind == "eigvalsh":
            near(found, fn(a), 256)
        else:
            values, v = found
            half = np.tril(a) if kind == "eigh" else adjoint(np.triu(a))
            whole = half + adjoint(np.tril(half, -1)) - 1j * _imaginary_diagonal(half)
            assert np.all(np.diff(values, axis=-1) >= 0)
            assert np.all(np.abs((v * values[..., None, :]) @ adjoint(v) - whole) <= 8 * size)
            assert np.all(np.abs(adjoint(v) @ v - np.eye(a.shape[-1])) <= size)


def _imaginary_diagonal(a: Any) -> Any:
    """What a Hermitian matrix ignores."""
    return np.eye(a.shape[-1]) * np.imag(a)


def rectangles(dtype: str) -> dict[str, Any]:
    thin = matrices(dtype, 5, 2)
    found = {"tall": matrices(dtype, 7, 3), "wide": matrices(dtype, 66, 2, 3)}
    if dtype == "float64":
        found |= {
            "square": matrices(dtype, 4, 4), "zero": np.zeros((3, 2)), "row": matrices(dtype, 1, 6),
            "rank 2": thin @ adjoint(matrices(dtype, 4, 2)),
        }  # fmt: skip
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_orthogonal_decompositions_of_rectangles(dtype: str) -> None:
    calls: Any = {}
    for name, a in rectangles(dtype).items():
        for mode in ("reduced", "complete", "r", "raw"):
            calls[name, mode] = (lambda x, mode=mode: la.qr(x, mode)), (a,)
        calls[name, "full"] = la.svd, (a,)
        calls[name, "thin"] = (lambda x: la.svd(x, full_matrices=False)), (a,)
        calls[name, "values"] = (lambda x: la.svd(x, compute_uv=False)), (a,)
    for (name, kind), found in together(calls).items():
        fn, (a,) = calls[name, kind]
        bound = 64 * max(a.shape[-2:]) * np.finfo(dtype).eps
        if kind in ("r", "raw"):
            if name == "rank 2":  # what is left of its last columns is rounding errors
                continue
            near(np.abs(parts(found)[0]), np.abs(parts(fn(a))[0]), 512)
            continue
        if kind == "values":
            near(found, fn(a), 512)
            continue
        if kind in ("reduced", "complete"):
            (left, right), product = found, found[0] @ found[1]
            assert np.all(np.tril(right, -1) == 0)
            assert np.all(np.abs(np.diagonal(right, 0, -2, -1).imag) == 0)
        else:
            left, values, right = found
            k = values.shape[-1]
            product = (left[..., :k] * values[..., None, :]) @ right[..., :k, :]
            assert np.all(values >= 0)
            assert np.all(np.diff(values, axis=-1) <= 0)
            one = np.eye(right.shape[-2])
            assert np.all(np.abs(right @ adjoint(right) - one) <= bound)
        assert np.all(np.abs(adjoint(left) @ left - np.eye(left.shape[-1])) <= bound)
        assert np.all(np.abs(product - a) <= bound * max(1, np.max(np.abs(a))))


def test_what_is_made_of_them_is_near_to_numpys() -> None:
    a, st, h = matrices("float64", 4, 4), matrices("float64", 3, 5, 4), np.ones((3, 3))
    calls: Any = {
        "pinv": (la.pinv, (st,)), "pinv of rank 1": (la.pinv, (h,)),
        "pinv cut": (lambda x, r: la.pinv(x, r), (a, 0.4)),
        "pinv hermitian": (lambda x: la.pinv(x + x.T, hermitian=True), (a,)),
        "rank": (la.matrix_rank, (st,)), "rank 1": (la.matrix_rank, (h,)),
        "rank tol": (lambda x: la.matrix_rank(x, tol=1.0), (a,)),
        "singular": (lambda x: la.cond(x, 1), (h,)), "cond of a stack": (la.cond, (st,)),
        "float32": (lambda x: la.cond(x, "fro"), (a.astype("float32"),)),
        "nuclear": (lambda x: la.norm(x, "nuc", axis=(0, 2)), (st,)),
        "spectral": (lambda x: la.norm(x, 2), (a,)), "least": (lambda x: la.norm(x, -2), (a,)),
        "power": (lambda x: la.matrix_power(x, -3), (a,)),
        "lstsq": (lambda x, y: la.lstsq(x, y), (st[0].T, st[0, :4])),
        "lstsq tall": (lambda x, y: la.lstsq(x, y[0])[0], (st[0], st[:, :, 0])),
        "rank of lstsq": (lambda x, y: la.lstsq(x, y, 0.5)[2:], (h, h[0])),
        "tensorinv": (lambda x: la.tensorinv(x.reshape(4, 2, 2), 1), (a,)),
        "tensorsolve": (lambda x: la.tensorsolve(x.reshape(2, 2, 2, 2), x[:2, :2]), (a,)),
        "ints": (la.inv, (np.array([[2, 1], [1, 3]]),)),
        "bools": (la.det, (np.eye(3, dtype=bool),)),
        **{f"cond {p}": ((lambda x, p=p: la.cond(x, p)), (a,)) for p in (2, -2, 1, np.inf)},
    }  # fmt: skip
    for name, found in together(calls).items():
        fn, args = calls[name]
        near(found, fn(*args), 2048)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_narrow_matrices_are_computed_in_double_as_numpys_are(dtype: str) -> None:
    a, b = matrices(dtype, 3, 3), matrices("float64", 3)
    calls: Any = {f.__name__: (f, (a,)) for f in (la.inv, la.slogdet, la.eigvalsh, la.svdvals)}
    calls["solve"] = la.solve, (a, b)
    calls["solve alike"] = la.solve, (a, b.astype(dtype))
    for name, found in together(calls).items():
        fn, args = calls[name]
        near(found, fn(*args), 2)


def test_results_are_nearer_to_the_truth_than_a_few_roundings() -> None:
    """A matrix of known inverse and determinant, and one whose values are far apart."""
    n = 8
    hilbert = 1 / (np.arange(n)[:, None] + np.arange(n) + 1.0)
    size = 10.0 ** np.arange(0, -8, -1)
    graded = size[:, None] * (np.eye(n) + 0.25 * np.tri(n)) * size
    op = jitop(lambda h, g: (la.solve(h, h @ np.ones(n)), la.det(g), la.eigvalsh(g + g.T)))
    x, det, values = op(hilbert, graded)
    assert np.max(np.abs(hilbert @ (x - 1))) < 8 * n * eps(x)
    np.testing.assert_allclose(det, 1.25**n * np.prod(size) ** 2, rtol=1e-14)
    near(values, la.eigvalsh(graded + graded.T))
    huge = np.diag([1e200, 1e200, 1e-200, 1e-200])
    assert jitop(la.det)(huge) == 1.0


ERRORS = {
    "inv": (la.inv, np.ones((3, 3))),
    "inv of one of many": (la.inv, np.stack([np.eye(2)] * 80 + [np.zeros((2, 2))])),
    "solve": (lambda x: la.solve(x, x[0]), np.zeros((3, 3))),
    "power": (lambda x: la.matrix_power(x, -1), np.ones((2, 2))),
    "cholesky": (la.cholesky, -np.eye(3)),
    "cholesky of zeros": (la.cholesky, np.zeros((2, 2))),
    "svd": (la.svd, np.full((3, 3), np.nan)),
    "svdvals": (lambda x: la.svd(x, compute_uv=False), np.full((2, 2, 3), np.nan)),
    "eigh": (la.eigh, np.full((3, 3), np.nan)),
    "unused": (lambda x: (la.cholesky(x), x + 1)[1], -np.eye(3)),
    "float16": (la.inv, np.eye(2, dtype="float16")),
    "not square": (la.det, np.ones((2, 3))),
    "a vector": (la.inv, np.ones(3)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_numpys(name: str) -> None:
    fn, a = ERRORS[name]
    with pytest.raises(Exception) as wanted:  # noqa: PT011  # whatever NumPy raises
        fn(a)
    with pytest.raises(type(wanted.value)) as found:
        jitop(lambda x: fn(x))(a)
    assert str(found.value) == str(wanted.value)


def test_an_error_writes_no_argument() -> None:
    @jitop
    def update(a: Any, out: Any) -> None:
        out[:] = la.inv(a)

    out = np.full((2, 2), 7.0)
    with pytest.raises(la.LinAlgError):
        update(np.ones((2, 2)), out)
    assert (out == 7).all()
    update(2 * np.eye(2), out)
    np.testing.assert_array_equal(out, np.eye(2) / 2)


def test_nan_and_infinities_give_what_numpy_gives() -> None:
    nan, inf = np.full((2, 2), np.nan), np.full((3, 3), np.inf)
    calls = {"eigh": (la.eigh, nan), "inv": (la.inv, nan), "values": (la.svd, inf)}
    for fn, a in calls.values():
        for found in parts(jitop(lambda x, fn=fn: fn(x))(a)):
            assert np.isnan(found).all()


def test_the_body_of_control_flow_may_solve() -> None:
    op = jitop(lambda x: jitops.fori_loop(0, 3, lambda i, c: la.inv(c) + i, x))
    a = matrices("float64", 3, 3) + 4 * np.eye(3)
    near(op(a), op.eager(a), 2048)
    with pytest.raises(la.LinAlgError, match="Singular matrix"):
        op(np.ones((3, 3)))


def test_the_rank_of_a_vector_is_a_python_int() -> None:
    op = jitop(la.matrix_rank)
    for x in (np.zeros(3), np.array([0.0, np.nan]), np.arange(2), np.float64(2), np.zeros(0)):
        found, wanted = op(x), la.matrix_rank(x)
        assert (type(found), found) == (type(wanted), wanted)


SHAPES = ((2, 0, 0), (0, 3), (3, 0), (2, 3, 0), (0, 2, 2), (0, 2, 3))
EMPTY: list[tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = [
    *((fn, SHAPES[:1]) for fn in (la.inv, la.det, la.slogdet, la.cholesky, la.eigh, la.eigvalsh)),
    (la.svd, SHAPES),
    (lambda x: la.svd(x, full_matrices=False), SHAPES),
    (lambda x: la.svd(x, compute_uv=False), SHAPES),
    (lambda x: la.svd(x, hermitian=True), SHAPES[:1]),
    *((lambda x, mode=mode: la.qr(x, mode), SHAPES) for mode in ("complete", "r", "raw")),
    (la.qr, SHAPES),
    (la.pinv, SHAPES),
    (la.matrix_rank, SHAPES),
    (la.cond, ((0, 2, 2), (0, 2, 3))),
    (lambda x: la.lstsq(x, np.ones((len(x), 2))), ((3, 0), (0, 3))),
    (lambda x: la.lstsq(np.eye(3, 2), x), ((3, 0),)),
]


def test_empty_matrices() -> None:
    for number, (fn, shapes) in enumerate(EMPTY):
        calls = [np.zeros(shape, ("float32", "complex128")[number % 2]) for shape in shapes]
        found = jitop(lambda xs, fn=fn: [fn(x) for x in xs], strict=True)(calls)
        for mine, x in zip(found, calls, strict=True):
            wanted = fn(x)
            alike(mine, wanted)
            for f, w in zip(parts(mine), parts(wanted), strict=True):
                np.testing.assert_array_equal(f, w)


def test_a_list_of_arrays_is_a_matrix() -> None:
    x, y = np.array([2.0, 1.0]), np.array([1.0, 3.0])
    calls = {
        "inv": (lambda x, y: la.inv([x, y]), (x, y)),
        "norm": (lambda x, y: la.norm([x[0], 2.0, y[1]]), (x, y)),
        "solve": (lambda x, y: la.solve([x, y], [x[0], 1]), (x, y)),
        "power": (lambda x, y: la.matrix_power((x, y), 3), (x, y)),
    }
    for name, found in together(calls).items():
        fn, args = calls[name]
        near(found, fn(*args))


@pytest.mark.parametrize("shapes", [(3, 30, 2, 40), (30, 3, 40, 2, 9), (1, 8, 8, 1), (0, 3, 2)])
def test_chains_of_products_take_the_cheapest_order(shapes: tuple[int, ...]) -> None:
    def chain(items: Any) -> Any:
        ends = [items[0][0], *items[1:-1], items[-1][:, 0]] if shapes[0] else items
        return la.multi_dot(items), la.multi_dot(ends), la.multi_dot([*items[:-1], ends[-1]])

    items = [matrices("float64", *pair) for pair in itertools.pairwise(shapes)]
    found, wanted = jitop(chain)(items), chain(items)
    alike(found, wanted)
    near(found, wanted, 4096)
    huge = [np.full((1, 2), 1e200), np.full((2, 3), 1e200), np.full((3, 1), 1e-200)]
    assert jitop(la.multi_dot)(huge) == la.multi_dot(huge)  # infinite in the other order


@pytest.mark.parametrize(
    "call",
    [
        lambda x: la.outer(x, x[0]),
        lambda x: la.matrix_power(x, 2),
        lambda x: la.matrix_power(x[0], 2),
        lambda x: la.matrix_power(x[:, :2], 1.5),
        lambda x: la.multi_dot([x]),
        lambda x: la.multi_dot([x, x[0], x]),
        lambda x: la.matrix_transpose(x[0]),
        lambda x: la.cond(x[:0]),
    ],
)
def test_what_numpy_refuses_is_refused_in_its_words(call: Callable[..., Any]) -> None:
    x = np.ones((2, 3))
    with pytest.raises((ValueError, TypeError)) as wanted:
        call(x)
    with pytest.raises(type(wanted.value)) as found:
        jitop(lambda x: call(x))(x)
    assert str(found.value) == str(wanted.value)
