"""More calls of NumPy's and SciPy's functions: conversions, edits, ufuncs of core axes, special."""

from __future__ import annotations

import cases  # noqa: F401  # the table is filled where the modules are read
import element_cases  # noqa: F401
import numpy as np
import scipy.special as special
from operands import CASES, A, C, I, M, U, V, W, Z, arr, case

__all__ = ["CASES"]

BITS = arr(3, 11, dtype="bool")
BYTES = arr(3, 4, dtype="uint8") * np.uint8(31)
P = np.polynomial
SERIES = {
    "polyval": P.polynomial.polyval, "chebval": P.chebyshev.chebval, "legval": P.legendre.legval,
    "lagval": P.laguerre.lagval, "hermval": P.hermite.hermval, "hermeval": P.hermite_e.hermeval,
}  # fmt: skip


def _conversions() -> None:
    for axis in (None, 0, 1):
        for order in ("big", "little"):
            case("packbits", lambda x, a=axis, o=order: np.packbits(x, a, o), BITS)
            case("unpackbits", lambda x, a=axis, o=order: np.unpackbits(x, a, None, o), BYTES)
    for count in (13, -3, 40):
        case("unpackbits-count", lambda x, n=count: np.unpackbits(x, axis=1, count=n), BYTES)
    for order in "CF":
        case("unravel_index", lambda i, o=order: np.unravel_index(i, (3, 4), o), np.arange(12))
    case("unravel_index", lambda i: np.unravel_index(i, (3, 4)), np.int64(7))
    case("ravel_multi_index", lambda i, j: np.ravel_multi_index((i, j), (3, 4)), *np.array(
        [[0, 2], [3, 1]]))  # fmt: skip
    case(
        "ravel_multi_index",
        lambda i, j: np.ravel_multi_index((i, j), (3, 4), mode=("wrap", "clip"), order="F"),
        np.array([0, 7]),
        np.array([9, -1]),
    )
    case("astype", lambda x: np.astype(x, "float32"), A)
    case("einsum_path", lambda x, y: np.einsum_path("ij,kj", x, y)[0], A, A)
    case("poly", np.poly, V)
    case("require", lambda x: np.require(x, "float32"), A)
    case("r_", lambda x: np.r_[x[0], 1, x[1], 0:3], A)
    case("c_", lambda x: np.c_[x[0], x[1], x[:2].T], A)
    case("ndenumerate", lambda x: [v * sum(i) for i, v in np.ndenumerate(x)], A[:2, :2])
    case("vectorize", lambda x: np.vectorize(lambda v: v * 2 + 1)(x), A)
    case("vectorize", lambda x: np.vectorize(lambda a, b: a + b, otypes=["float32"])(x, 2), A)
    case("device", lambda x: x.device, A)


def _edits() -> None:
    for where in (1, [0, 2], slice(1, 3), [True, False, False, True], -1):
        case("delete", lambda x, w=where: np.delete(x, w, axis=1), A)
    case("delete-flat", lambda x: np.delete(x, [1, 5]), A)
    for where in (1, [1], -1, 4):
        case("insert", lambda x, v, w=where: np.insert(x, w, v, axis=1), A, arr(3, 1)[:, 0])
        case("insert", lambda x, w=where: np.insert(x, w, 5, axis=1), I)
    case("insert-several", lambda x: np.insert(x, [1, 2, 2], [5.0, 6.0, 7.0], axis=1), A)
    case("insert-several", lambda x, v: np.insert(x, [0, 2], v, axis=0), A, arr(2, 4))
    case("insert-slice", lambda x: np.insert(x, slice(0, 3), 1.0, axis=0), A)
    case("insert-flat", lambda x: np.insert(x, [1, 3], 7), I)
    case("insert-rows", lambda x, v: np.insert(x, 1, v, axis=1), A, arr(2, 3).T[:, 0])
    windows = np.lib.stride_tricks.sliding_window_view
    case("lib.stride_tricks.sliding_window_view", lambda x: windows(x, 2, axis=1), A)
    case("lib.stride_tricks.sliding_window_view", lambda x: windows(x, (2, 3)), A)
    for edge in (1, 2):
        case("gradient", lambda x, e=edge: np.gradient(x, edge_order=e), A)
        case("gradient", lambda x, y, e=edge: np.gradient(x, y, edge_order=e), W, np.sort(arr(5)))
        case("gradient", lambda x, e=edge: np.gradient(x, 0.5, 2, edge_order=e), I)
    case("gradient", lambda x, y: np.gradient(x, y, axis=1), A, np.sort(V))
    case("cov", lambda x: np.cov(x, rowvar=False, ddof=0), A)
    case("cov", lambda x, y: np.cov(x, y), V, V[::-1])
    case("cov", lambda x, w: np.cov(x, aweights=w), A, np.abs(V))
    case("cov", lambda x: np.cov(x, fweights=[1, 2, 3, 1], aweights=[1.0, 0.5, 2, 1]), A)
    case("cov", np.cov, Z)
    case("corrcoef", lambda x: np.corrcoef(x, rowvar=False), A)
    case("corrcoef", np.corrcoef, Z)
    case("known-refused", lambda x: x * np.unique(np.array([2.0, 1.0, 2.0]))[0], A)


def _products() -> None:
    case("matmul-axes", lambda x, y: np.matmul(x, y, axes=[(0, 1), (1, 2), (1, 2)]), arr(
        4, 3, 2), arr(2, 3, 5))  # fmt: skip
    case("matmul-dtype", lambda x, y: np.matmul(x, y, dtype="float32"), A, A.T.copy())
    case("vecdot-axis", lambda x, y: np.vecdot(x, y, axis=0), A, A)
    case("vecdot-keep", lambda x, y: np.vecdot(x, y, keepdims=True), A, A)
    case("vecdot", lambda x, y: np.vecdot(x, y), Z, A)
    case("vecdot-dtype", lambda x, y: np.vecdot(x, y, dtype="complex128"), I, A)
    case("matvec", lambda x, y: np.matvec(x, y), I, V)
    case("argmax-complex", lambda z: (np.argmax(z, axis=1), np.argmin(z)), Z)


def _special() -> None:
    for name, f in SERIES.items():
        case("series-" + name, f, A, V)
    case("series", lambda x: P.polynomial.polyval(x, [1.0, 2.0, 3.0]), A)
    case("vander", lambda x: P.chebyshev.chebvander(x, 3), V)
    case("der", lambda x: (P.polynomial.polyder(x), P.legendre.legder(x, 2)), V)
    case("softmax", lambda x: special.softmax(x, axis=1), A)
    case("softmax", lambda x: special.softmax(x), I)
    case("log_softmax", lambda x: special.log_softmax(x, axis=-1), A)
    case("logsumexp", lambda x: special.logsumexp(x, axis=0), A)
    case("logsumexp", lambda x: special.logsumexp(x), A)
    case("logsumexp", lambda x, b: special.logsumexp(x, axis=1, b=b, keepdims=True), A, np.abs(V))
    case("expit", lambda x: special.expit(x), I)
    case("erf", lambda x: (special.erf(x), special.erfc(x, out=x)), A.copy())
    case("xlogy", lambda m, x: special.xlogy(m, np.abs(x)), M, A)
    case("gammaln", lambda x: special.gammaln(np.abs(x) + 0.5), A)
    case("gcd", lambda x, y: (np.gcd(x, y), np.lcm(x, 6)), I, U.astype("int32"))
    case("bitwise_xor.reduce", lambda x: np.bitwise_xor.reduce(x, axis=1), C.astype("int16"))


_conversions()
_edits()
_products()
_special()
