"""Calls of elementwise functions, methods, indexing and updates, and what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from operands import IDX, A, B, C, F, I, M, N, O, S, U, V, W, Z, arr, case


def _elements() -> None:
    case("where", np.where, M, A, B)
    case("where", lambda m, x: np.where(m, x, 0), M, I)
    case("where", lambda m, x: np.where(m, x, 0.5), M, I)
    case("where-0d", lambda m: np.where(m.any(), 1.0, 2.0), M)
    case("where-broadcast", np.where, M[:, :1], V, O)
    for x in (A, I, U, S, F, np.float64(7.5)):
        case("clip", lambda x: np.clip(x, 1, 3), x)
        case("clip", lambda x: x.clip(max=2), x)
        case("clip", lambda x: np.clip(x, 1, None), x)
        case("round", np.round, x)
        case("nan_to_num", np.nan_to_num, x)
        case("isclose", lambda x: np.isclose(x, 1.0), x)
        case("sinc", np.sinc, x)
    case("clip-array", np.clip, A, V, V + 1)
    case("clip-complex", lambda z, w: np.clip(z, w, 1 + 1j), Z, Z[0])
    case("clip-out", lambda x: np.clip(x, 0, 1, out=x), A.copy())
    case("round-2", lambda x: np.round(x, 2), A)
    case("round--1", lambda x: np.round(x * 100, -1), A)
    case("around-int", lambda x: np.around(x, -1), I)
    case("round-builtin", lambda x: round(x, 1), A[0, 0])
    case("round-complex", lambda x: x.round(1), Z)
    case("select", lambda x: np.select([x > 1, x > 0], [x, x * 2], -1), A)
    case("choose", lambda i, x, y: np.choose(i, [x, y]), M.astype(int), A, B)
    case("piecewise", lambda x: np.where(x < 0, -x, np.sqrt(np.abs(x))), A)
    case("allclose", np.allclose, A, A + 1e-12)
    case("array_equal", np.array_equal, A, B)
    case("array_equal-nan", lambda x: np.array_equal(x, x, equal_nan=True), S)
    case("array_equiv", np.array_equiv, A, A[:1])
    case("isclose-weak", lambda x: np.isclose(x, 2, atol=0, rtol=0.49999999999999989), S)
    case("sum-list", lambda x, y: np.sum([x, y], axis=0), A, B)
    case("median-list", lambda x, y: np.median([x, y], axis=0), A, B)
    case("squeeze-list", lambda x: np.squeeze([x]), A)
    case("roll-traced", lambda x, n: np.roll(x, n.sum()), A, I)
    case("roll-traced-axes", lambda x, n: np.roll(x, n, (0, 1)), A, np.array([2, -7]))
    for mode in ("linear_ramp", "maximum", "minimum", "mean", "median"):
        case(f"pad-{mode}", lambda x, mode=mode: np.pad(x, ((2, 1), (0, 3)), mode), I)
    case("pad-stat_length", lambda x: np.pad(x, 2, "mean", stat_length=((1, 2), (3, 2))), A)
    case("pad-ramp", lambda x: np.pad(x, (2, 3), "linear_ramp", end_values=(5, -4)), V)
    for mode in ("reflect", "symmetric"):
        case(f"pad-odd-{mode}", lambda x, m=mode: np.pad(x, (2, 1), m, reflect_type="odd"), A)
    case("var-int16", lambda x: np.var(x, axis=0), I.astype("int16"))
    case("var-complex-dtype", lambda x: np.var(x, axis=0, dtype="complex64"), A)
    case("nanargmin-complex", lambda z: np.nanargmin(np.where(z.real > 0, np.nan, z)), Z)
    case("nanquantile-weights", lambda x, w: np.nanquantile(
        np.where(x > 0.5, np.nan, x), [0.2, 0.7], weights=w, method="inverted_cdf"), V, V * V)
    case("gradient-unsigned", lambda x, p: np.gradient(x, p), V, np.array([9, 6, 2, 1], "uint8"))
    case("cov-dtype", lambda x: np.cov(x, dtype="float32"), A)
    case("cov-rows", lambda x: np.cov(x[:1], rowvar=False, ddof=0), A)
    case("fill_diagonal-wrap", lambda x: np.fill_diagonal(x, [7, 8], wrap=True), np.zeros((7, 3)))
    case("place-nothing", lambda x, m: np.place(x, m, []), np.ones(4), np.zeros(4))
    case("array-flat", lambda x: np.array(x.flat), A)
    case("insert-nothing", lambda x: np.insert(x, [], []), V)
    case("packbits-empty", lambda x: np.packbits(x, axis=0), np.zeros((10, 0, 3), "uint8"))
    case("sum-minus-zero", lambda x: np.sum(x, initial=-0.0), np.full(5, -0.0))
    case("vecdot-keepdims", lambda x: np.vecdot(x, x.T, axes=[0, 1], keepdims=True), A[:, :3])
    case("cross-2", lambda x: np.cross(x[:, :2], x[:, 1:3]), A)
    case("cross-3-2", lambda x: np.cross(x[:, :3], x[:, 1:3]), A)
    case("cross-2-3", lambda x: np.cross(x[:, :2], x[:, 1:4]), A)
    case("angle", np.angle, Z)
    case("angle", np.angle, A)
    case("real", np.real, Z)
    case("imag", np.imag, Z)
    case("imag", np.imag, A)
    case("conj", lambda z: z.conj(), Z)
    case("fix", np.fix, S)
    case("isposinf", np.isposinf, S)
    case("isneginf", np.isneginf, S)
    case("iscomplex", np.iscomplex, Z)
    case("isreal", np.isreal, A)
    case("diff", np.diff, A)
    case("diff", lambda x: np.diff(x, n=2, axis=0), A)
    case("diff", np.diff, M)
    case("diff-prepend", lambda x: np.diff(x, prepend=0), A)
    case("ediff1d", np.ediff1d, V)
    case("gradient", np.gradient, W)
    case("gradient", np.gradient, A)
    case("gradient", lambda x: np.gradient(x, 0.5, axis=1), A)
    case("trapezoid", lambda y: np.trapezoid(y), A)
    case("trapezoid", lambda y, x: np.trapezoid(y, x), A, np.sort(V))
    case("interp", np.interp, A, np.arange(5.0), W)
    case("interp", lambda x, f: np.interp(x, [0.0, 1.0, 3.0], f, left=-1, right=9), A, arr(3))
    case("searchsorted", np.searchsorted, np.sort(W), A)
    case("searchsorted", lambda a, v: a.searchsorted(v, "right"), np.sort(W), 0.5)
    case("digitize", np.digitize, A, np.sort(W))
    case("digitize", np.digitize, A, np.sort(W)[::-1].copy())
    case("sort", np.sort, N)
    case("sort", lambda x: np.sort(x, axis=0), I)
    case("sort-method", lambda x: x.sort(axis=0), N.copy())
    case("argsort", lambda x: x.argsort(axis=0, kind="stable"), I)
    case("partition", lambda x: np.sort(np.partition(x, 2)), A)
    case("partition-method", lambda x: (x.partition(1), x.sort()), A.copy())
    case("argpartition", lambda x: np.sort(np.argpartition(x, 1)), A)
    case("lexsort", lambda x, y: np.lexsort((x, y)), W, np.round(W))
    case("sort_complex", np.sort_complex, U)
    for mode in ("full", "same", "valid"):
        case("convolve-" + mode, lambda x, y, m=mode: np.convolve(x, y, m), arr(9), V)
        case("correlate-" + mode, lambda x, y, m=mode: np.correlate(x, y, m), arr(9), V)
        case("correlate-" + mode, lambda x, y, m=mode: np.correlate(x, y, m), V, arr(9))
        case("correlate-" + mode, lambda x, y, m=mode: np.correlate(x, y, m), arr(6), arr(3))
    case("convolve-signs", lambda x: np.signbit(np.convolve(x, [-0.0])), np.abs(V))
    case("unwrap", np.unwrap, W * 3)
    case("vander", lambda x: np.vander(x, 3), V)
    case("polyval", lambda p, x: np.polyval(p, x), V, A)
    case("cov", np.cov, A)
    case("corrcoef", np.corrcoef, A)
    case("cumulative_sum", lambda x: np.cumulative_sum(x, axis=1), A)
    case("copyto", lambda x, y, m: np.copyto(x, y, where=m), A.copy(), B, M)
    case("putmask", lambda x, m: np.putmask(x, m, 3.0), A.copy(), M)
    case("fill_diagonal", lambda x: np.fill_diagonal(x, 9.0), A.copy())
    case("astype", lambda x: x.astype("float32"), A)
    case("astype", lambda x: x.astype(bool), A)
    case("astype", lambda x: x.astype("complex64"), I)
    case("astype", lambda x: x.astype("int16"), A)
    case("astype", lambda x: x.astype(x.dtype), A)
    case("view", lambda x: x.view("int64"), A)
    case("zeros_like", lambda x: np.zeros_like(x) + x, I)
    case("full_like", lambda x: np.full_like(x, 7), F)
    case("ones_like", lambda x: np.ones_like(x, dtype=int), A)
    case("i0", np.i0, W)
    case("size-ndim-shape", lambda x: (np.size(x), np.ndim(x), np.shape(x), x.size, len(x)), A)
    case("result_type", lambda x, y: np.zeros(2, np.result_type(x, y)), U, F)
    case("linspace", lambda a, b: np.linspace(a, b, 5), V, V + 1)
    case("linspace-scalar", lambda a: np.linspace(0, a, 7, endpoint=False), np.float64(3))
    case("logspace", lambda a: np.logspace(a, 2.0, 4), np.float64(0))


def _integer_writes(x: Any, i: Any, j: Any, v: Any) -> None:
    x[i, j] = v[..., None]
    x[:, i] = 2.0
    x[i, :, j] += 1
    x[0, j, 1:] = x[1, i, :-1]
    x[i[0, 0], 1] = v[:1, :1]


def _ufunc_at(x: Any, n: Any, flags: Any, i: Any, v: Any) -> None:
    np.add.at(x, i, v)
    np.divide.at(x, i, 2)
    np.maximum.at(x, (i,), v[::-1])
    np.subtract.at(n, i, 3)
    np.power.at(n, i, 2)
    np.bitwise_or.at(n, i, np.array([1, 2, 4, 8], "int16"))
    np.logical_xor.at(flags, i, True)
    np.add.at(x, slice(1, 3), 5.0)
    np.multiply.at(x, x > 0, 2.0)


def _more() -> None:
    case("amax", np.amax, A)
    case("amin", np.amin, A)
    case("apply_along_axis", lambda x: np.apply_along_axis(lambda r: r.sum() * r, 1, x), A)
    case("apply_over_axes", lambda x: np.apply_over_axes(np.sum, x, [0, 2]), C)
    case("array_equiv", np.array_equiv, A, A[0])
    case("facts", lambda x, y: (np.can_cast(x, "f8"), np.common_type(x, y), np.isrealobj(x),
         np.shares_memory(x, x[1:]), np.may_share_memory(x, y)), I, F)  # fmt: skip
    case("compress", lambda x: np.compress([True, False, True], x, axis=0), A)
    case("extract", lambda x: np.extract([[True] * 4, [False] * 4, [True] * 4], x), A)
    case("cumulative_prod", lambda x: np.cumulative_prod(x, axis=0), A)
    case(
        "indices_from", lambda x: x[np.tril_indices_from(x)] + x[np.triu_indices_from(x)], arr(3, 3)
    )
    case("diag_indices_from", lambda x: x[np.diag_indices_from(x)], arr(3, 3))
    case("ix_", lambda x: x[np.ix_([0, 2], [1, 3])], A)
    case("ix_-traced", lambda x, i: x[np.ix_(i, i)], A, np.array([0, 2]))
    case("geomspace", lambda x: np.geomspace(1.0, 8.0, 4) * x, V)
    case("linalg.cross", lambda x, y: np.linalg.cross(x, y), arr(3), arr(3))
    case("linalg.matmul", lambda x, y: np.linalg.matmul(x, y), A, B.T)
    case("linalg.outer", lambda x, y: np.linalg.outer(x, y), V, W)
    case("linalg.tensordot", lambda x, y: np.linalg.tensordot(x, y), A, B)
    case("linalg.vecdot", lambda x, y: np.linalg.vecdot(x, y), A, B)
    case("linalg.matrix_norm", lambda x: np.linalg.matrix_norm(x), C)
    case("linalg.matrix_transpose", lambda x: np.linalg.matrix_transpose(x), C)
    case("polynomials", lambda p, q: (np.polyval(p, q), np.polyder(p), np.polyint(q)), V, W)
    case("polyadd", lambda p, q: (np.polyadd(p, q), np.polysub(p, q)), V, W)
    case(
        "put_along_axis",
        lambda x: np.put_along_axis(x, IDX[:1, :1] * 0 + np.zeros((1, 4), int), 9.0, 0),
        A.copy(),
    )
    case("put", lambda x: np.put(x, [0, -1], [7.0, 8.0]), A.copy())
    case("put-modes", lambda x, i: (np.put(x, i, [7.0, 8.0, 9.0], "wrap"), x.put(i, 1.0, "clip")),
         A.copy(), np.array([3, -20, 40, 3]))  # fmt: skip
    case("place", lambda x, m: np.place(x, m, [1.0, 2.0, 3.0]), A.copy(), M)
    case("putmask", lambda x, m: np.putmask(x, m, [1.0, 2.0, 3.0]), A.copy(), M)
    case("bincount", lambda i: np.bincount(i, minlength=9), np.array([3, 1, 3, 0]))
    case("bincount", lambda i, w: np.bincount(i, w, 5), np.array([3, 1, 3, 0]), V)
    case("ravel_multi_index", lambda i, j: np.ravel_multi_index((i, j), (3, 4), ("wrap", "clip")),
         np.array([7, -2, 0]), np.array([9, -1, 2]))  # fmt: skip
    case("unravel_index", lambda i: np.unravel_index(i, (3, 2), "F"), np.array([5, 0, 3]))
    case("integer-index-write", _integer_writes, C.copy(), IDX % 2, IDX % 2, arr(2, 2))
    case("ufunc-at", _ufunc_at, V.copy(), np.arange(4, dtype="int16"), np.zeros(4, bool),
         np.array([1, -1, 1, 3]), V)  # fmt: skip
    case("empty_like", lambda x: np.empty_like(x, shape=(2,)) * 0, A)
    case(
        "integer-index",
        lambda x, i, j: (x[i], x[i, j], x[:, i], x[i, 1:], x[i, :, j]),
        C,
        IDX % 2,
        IDX % 2,
    )
    case(
        "integer-index-static",
        lambda x: (x[[0, -1]], x[:, [1, 1]], x[[0, 1], [2, 0]], x[[0, 1], 1:, [0, 1]]),
        C,
    )
    case("mask-static", lambda x: x[np.array([True, False, True])], A)
    case("scalar-index", lambda x, i: (x[i], x[i, 0], x[..., i], x[None, i]), A, np.int64(-1))
    case(
        "basic-index",
        lambda x: (x[0], x[0, 1, 2], x[..., 0], x[:, None, ::-1], x[1:0], x[()], x[-1, ..., -1]),
        C,
    )
    case("iteration", lambda x: [r * i for i, r in enumerate(x)], A)
    case("builtins", lambda x: (sum(x), abs(x), divmod(x, 2.0), -x, +x, x // 3, x % 3, 2.0**x), A)


_more()
_elements()
