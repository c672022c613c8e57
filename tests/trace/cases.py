"""Calls that reduce, rearrange or contract arrays: each is traced and compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from operands import E0, FORT, IDX, A, B, C, F, I, M, N, O, U, V, W, Z, arr, case

REDUCTIONS = [
    "sum",
    "prod",
    "max",
    "min",
    "any",
    "all",
    "mean",
    "var",
    "std",
    "argmax",
    "argmin",
    "ptp",
    "cumsum",
    "cumprod",
]
NANS = [
    "nansum",
    "nanprod",
    "nanmax",
    "nanmin",
    "nanmean",
    "nanvar",
    "nanstd",
    "nancumsum",
    "nancumprod",
    "nanargmax",
    "nanargmin",
]


def _reductions() -> None:
    for name in REDUCTIONS:
        f = getattr(np, name)
        for x in (A, I, U, M, F, A.astype("float32"), C, V, np.float64(2.5), np.array(3.0), FORT):
            if (name, x is M) != ("ptp", True):  # NumPy cannot subtract bools
                case(name, f, x)
        for axis in (0, -1):
            case(name + "-axis", lambda x, f=f, axis=axis: f(x, axis=axis), A)
        if "cum" not in name and "arg" not in name:
            case(name + "-axes", lambda x, f=f: f(x, axis=(0, 2)), C)
            case(name + "-none", lambda x, f=f: f(x, axis=()), I)
        if "cum" not in name:
            case(name + "-keep", lambda x, f=f: f(x, axis=1, keepdims=True), C)
            case(name + "-keepall", lambda x, f=f: f(x, keepdims=True), I)
        if name not in ("any", "all"):
            case(
                name + "-method", lambda x, name=name: getattr(x, name)() if name != "ptp" else 0, A
            )
        case(name + "-out", lambda x, o, f=f: f(x, 0, out=o), A, *_out(name))
    for name in ("sum", "prod", "mean", "var", "std"):
        f = getattr(np, name)
        case(name + "-dtype", lambda x, f=f: f(x, dtype="float32"), A)
        case(name + "-complex", f, Z)
        case(name + "-where", lambda x, m, f=f: f(x, axis=1, where=m), A, M | (A > 0))
        case(name + "-empty", lambda x, f=f: f(x, axis=0), E0)
    for name in NANS:
        f = getattr(np, name)
        case(name, f, N)
        case(name, lambda x, f=f: f(x, axis=0), N)
        case(name, lambda x, f=f: f(x, axis=1), N)
        case(name, f, I)
    case("nanmean-keep", lambda x: np.nanmean(x, axis=1, keepdims=True), N)
    case("nanvar-ddof", lambda x: np.nanvar(x, axis=1, ddof=1), N)
    for name in ("sum", "max", "min", "prod"):
        f = getattr(np, name)
        case(name + "-initial", lambda x, f=f: f(x, axis=0, initial=2), A)
        case(name + "-where", lambda x, m, f=f: f(x, axis=0, initial=1, where=m), I, M)
    case("var-ddof", lambda x: np.var(x, ddof=1), A)
    case("std-ddof", lambda x: np.std(x, axis=1, ddof=1, keepdims=True), A)
    case("count_nonzero", np.count_nonzero, M.astype("int8").reshape(-1)[:, None])
    case("count_nonzero", lambda x: np.count_nonzero(x, axis=1), I)
    case("average", np.average, A)
    case("average", lambda x, w: np.average(x, weights=w), A, np.abs(B))
    case("average", lambda x, w: np.average(x, axis=1, weights=w), A, np.abs(V))
    case("average", lambda x, w: np.average(x, 1, w, returned=True), I, np.abs(V))
    for name in ("add", "multiply", "maximum", "minimum", "logical_and", "logical_or", "fmax"):
        u = getattr(np, name)
        case(name + ".reduce", u.reduce, A)
        case(name + ".reduce", lambda x, u=u: u.reduce(x, axis=(0, 1)), C)
        case(name + ".reduce", u.reduce, I)
        if name != "fmax":
            case(name + ".accumulate", u.accumulate, A)
            case(name + ".accumulate", lambda x, u=u: u.accumulate(x, axis=1), I)
        case(name + ".outer", u.outer, A, V)
    case("add.reduce-dtype", lambda x: np.add.reduce(x, dtype="int8"), I)
    case("bitwise_or.reduce", np.bitwise_or.reduce, M)
    case("sum-nan", np.sum, N)
    case("max-nan", np.max, N)
    case("argmax-nan", lambda x: np.argmax(x, axis=1), N)
    case("sum-axis-negative", lambda x: x.sum((-1, 0)), C)


def _out(name: str) -> tuple[Any, ...]:
    if name in ("cumsum", "cumprod"):
        return (np.zeros((3, 4)),)
    if name in ("argmax", "argmin"):
        return (np.zeros(4, dtype="int64"),)
    return (np.zeros(4, dtype="bool" if name in ("any", "all") else "float64"),)


def _shapes() -> None:
    case("reshape", lambda x: np.reshape(x, (2, -1)), A)
    case("reshape", lambda x: x.reshape(4, 3), A)
    case("reshape-F", lambda x: x.reshape(4, 3, order="F"), A)
    case("reshape-0d", lambda x: x.reshape(()), np.ones((1, 1)))
    for x in (A, C, FORT, A.T, A[::2, ::-1], V):
        case("ravel", np.ravel, x)
        case("ravel-F", lambda x: x.ravel("F"), x)
        case("flatten", lambda x: x.flatten(), x)
        case("transpose", np.transpose, x)
        case("T", lambda x: x.T, x)
        case("flip", np.flip, x)
        case("copy", np.copy, x)
    case("transpose", lambda x: np.transpose(x, (2, 0, 1)), C)
    case("transpose", lambda x: x.transpose(1, 2, 0), C)
    case("swapaxes", lambda x: np.swapaxes(x, 0, -1), C)
    case("moveaxis", lambda x: np.moveaxis(x, 0, -1), C)
    case("moveaxis", lambda x: np.moveaxis(x, (0, 1), (2, 0)), C)
    case("rollaxis", lambda x: np.rollaxis(x, 2), C)
    case("rollaxis", lambda x: np.rollaxis(x, 0, 3), C)
    case("broadcast_to", lambda x: np.broadcast_to(x, (3, 4)), V)
    case("broadcast_to", lambda x: np.broadcast_to(x, (2, 3)), O)
    case("broadcast_arrays", lambda x, y: np.broadcast_arrays(x, y), A, V)
    case("expand_dims", lambda x: np.expand_dims(x, 1), A)
    case("expand_dims", lambda x: np.expand_dims(x, (0, -1)), A)
    case("squeeze", np.squeeze, np.ones((1, 3, 1)))
    case("squeeze", lambda x: x.squeeze(0), np.ones((1, 3, 1)))
    for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
        for x in (np.float64(2), V, A, C):
            case(f.__name__, f, x)
    case("atleast_1d", lambda x, y: np.atleast_1d(x, y), V, O)
    for axis in (0, 1, -1):
        case("concatenate", lambda x, y, a=axis: np.concatenate([x, y], a), A, B)
        case("stack", lambda x, y, a=axis: np.stack([x, y], a), A, B)
    case("concatenate", lambda x, y: np.concatenate((x, y), axis=None), A, I)
    case("concatenate-types", lambda x, y: np.concatenate((x, y)), U, I)
    case("concatenate-empty", lambda x, y: np.concatenate((x, y)), E0, arr(2, 3))
    for f in (np.vstack, np.hstack, np.dstack, np.column_stack):
        case(f.__name__, lambda x, y, f=f: f((x, y)), A, B)
        case(f.__name__, lambda x, y, f=f: f([x, y]), V, V + 1)
    case("array_split", lambda x: np.array_split(x, 3), W)
    case("split", lambda x: np.split(x, 2, axis=1), A)
    case("split", lambda x: np.split(x, [1, 3], axis=1), A)
    for f in (np.hsplit, np.vsplit, np.dsplit):
        case(f.__name__, lambda x, f=f: f(x, [1]), C)
    case("hsplit", lambda x: np.hsplit(x, 2), V)
    case("take", lambda x, i: np.take(x, i), A, IDX)
    case("take", lambda x, i: np.take(x, i, axis=1), A, IDX)
    case("take-wrap", lambda x, i: np.take(x, i, axis=1, mode="wrap"), A, IDX + 5)
    case("take-clip", lambda x, i: x.take(i, axis=1, mode="clip"), A, IDX + 5)
    case("take-static", lambda x: np.take(x, [0, -1], axis=0), A)
    case("take-scalar", lambda x: np.take(x, 2), A)
    case("repeat", lambda x: np.repeat(x, 3), A)
    case("repeat", lambda x: np.repeat(x, 2, axis=1), A)
    case("repeat", lambda x: x.repeat([1, 0, 2], axis=0), A)
    case("tile", lambda x: np.tile(x, 3), A)
    case("tile", lambda x: np.tile(x, (2, 1, 2)), A)
    case("tile", lambda x: np.tile(x, (2, 2)), C)
    for shift, axis in ((1, None), (-2, 1), ((1, 2), (0, 1)), (5, 0), (0, 0)):
        case("roll", lambda x, s=shift, a=axis: np.roll(x, s, a), A)
    case("flip", lambda x: np.flip(x, 1), C)
    case("fliplr", np.fliplr, A)
    case("flipud", np.flipud, A)
    for k in range(-1, 4):
        case("rot90", lambda x, k=k: np.rot90(x, k), A)
    case("rot90-axes", lambda x: np.rot90(x, 1, (1, 2)), C)
    for k in (-1, 0, 2):
        case("tril", lambda x, k=k: np.tril(x, k), A)
        case("triu", lambda x, k=k: np.triu(x, k), C)
        case("diagonal", lambda x, k=k: np.diagonal(x, k), A)
        case("diag", lambda x, k=k: np.diag(x, k), A)
        case("diag", lambda x, k=k: np.diag(x, k), V)
        case("trace", lambda x, k=k: np.trace(x, k), A)
    case("tril-1d", np.tril, V)
    case("diagonal-axes", lambda x: np.diagonal(x, 1, 2, 0), C)
    case("trace-axes", lambda x: np.trace(x, axis1=1, axis2=2), C)
    case("trace-int", np.trace, U)
    case("diagflat", np.diagflat, A)
    case("linalg.trace", lambda x: np.linalg.trace(x), C)
    case("linalg.diagonal", lambda x: np.linalg.diagonal(x), C)
    case("append", lambda x, y: np.append(x, y), A, V)
    case("append", lambda x, y: np.append(x, y, axis=0), A, B)
    case("delete", lambda x: np.delete(x, 1, axis=0), A)
    case("insert", lambda x: np.insert(x, 1, 5.0, axis=1), A)
    case("block", lambda x, y: np.block([[x, y], [y, x]]), A, B)
    case("meshgrid", lambda x, y: np.meshgrid(x, y), V, W)
    case("meshgrid", lambda x, y: np.meshgrid(x, y, indexing="ij", sparse=True), V, W)
    case("resize", lambda x: np.resize(x, (2, 7)), V)
    case("unstack", lambda x: np.unstack(x), A)
    case("matrix_transpose", lambda x: np.matrix_transpose(x), C)
    case("mT", lambda x: x.mT, C)
    for mode in ("edge", "reflect", "symmetric", "wrap"):
        case("pad-" + mode, lambda x, m=mode: np.pad(x, ((1, 2), (0, 3)), mode=m), A)
    case("pad", lambda x: np.pad(x, 1), A)
    case("pad", lambda x: np.pad(x, ((1, 0), (2, 3)), constant_values=7), I)
    case("pad", lambda x: np.pad(x, 1, constant_values=((1, 2), (3, 4))), A)
    case("take_along_axis", lambda x, i: np.take_along_axis(x, i, axis=1), A, IDX[[0, 1, 0]] % 4)


def _algebra() -> None:
    pairs = [(A, B.T), (C, B.T), (C, arr(2, 4, 3)), (V, V), (A, V), (arr(3), A), (C, V),
             (arr(5, 1, 3, 4), C.swapaxes(1, 2)), (I, I.T), (M, M.T), (F, F.T), (Z, Z.T),
             (I, A.T), (U, U.T), (arr(0, 4), B.T), (arr(3, 0), arr(0, 2))]  # fmt: skip
    for x, y in pairs:
        case("matmul", np.matmul, x, y)
        case("@", lambda x, y: x @ y, x, y)
        if x.ndim < 3 or y.ndim < 3:
            case("dot", np.dot, x, y)
    case("matmul-out", lambda x, y, o: np.matmul(x, y, out=o), A, B.T, np.zeros((3, 3)))
    case("matmul-in-place", lambda x, y: x.__imatmul__(y), A.copy(), arr(4, 4))
    case("dot-scalar", np.dot, A, 2.0)
    case("dot-nd", np.dot, C, arr(5, 4, 2))
    case("vdot", np.vdot, A, B)
    case("vdot", np.vdot, Z, Z.conj() + 1)
    case("inner", np.inner, A, B)
    case("inner", np.inner, V, V)
    case("inner", np.inner, C, A)
    case("outer", np.outer, V, W)
    case("outer", np.outer, A, I)
    case("tensordot", np.tensordot, C, A)
    case("tensordot", lambda x, y: np.tensordot(x, y, 1), C, B.T)
    case("tensordot", lambda x, y: np.tensordot(x, y, ([0, 1], [1, 0])), C, arr(3, 2, 5))
    case("tensordot-0", lambda x, y: np.tensordot(x, y, 0), V, W)
    case("tensordot-full", lambda x, y: np.tensordot(x, y, 2), A, B)
    case("kron", np.kron, A, V)
    case("kron", np.kron, A, I)
    case("cross", np.cross, arr(5, 3), arr(3))
    case("vecdot", lambda x, y: np.vecdot(x, y), C, A)
    case("matvec", lambda x, y: np.matvec(x, y), C, V)
    case("vecmat", lambda x, y: np.vecmat(x, y), arr(3), A)
    case("linalg.multi_dot", lambda x, y, z: np.linalg.multi_dot([x, y, z]), A, B.T, A)
    case("linalg.matrix_power", lambda x: np.linalg.matrix_power(x, 5), arr(3, 3))
    case("linalg.matrix_power", lambda x: np.linalg.matrix_power(x, 0), arr(3, 3))
    for ord_ in (None, 1, 2, np.inf, -np.inf, 3):
        case("linalg.norm", lambda x, o=ord_: np.linalg.norm(x, o), V)
        case("linalg.norm", lambda x, o=ord_: np.linalg.norm(x, o, axis=1), A)
    case("linalg.norm", np.linalg.norm, A)
    case("linalg.norm", lambda x: np.linalg.norm(x, 1), A)
    case("linalg.norm-keep", lambda x: np.linalg.norm(x, axis=-1, keepdims=True), C)
    case("linalg.norm-float32", lambda x: np.linalg.norm(x), A.astype("float32"))
    case("linalg.norm-complex", np.linalg.norm, Z)
    case("linalg.vector_norm", lambda x: np.linalg.vector_norm(x, axis=1), A)
    subs = {
        "ij,jk->ik": (A, B.T), "ij,kj": (A, B), "bij,bjk->bik": (C, arr(2, 4, 5)),
        "ii": (arr(3, 3),), "ii->i": (arr(3, 3),), "ij->ji": (A,), "ij->": (A,),
        "i,i": (V, V), "i,j->ij": (V, W),
        "ij,j->i": (A, V), "ij,ij->ij": (A, B), "ij,ij": (A, B), "...j,j->...": (C, V),
        "...ij,...jk->...ik": (C, B.T), "ij,jk,kl->il": (A, B.T, A), "bhqd,bhkd->bhqk":
        (arr(2, 2, 3, 4), arr(2, 2, 5, 4)), "ij,k->jk": (A, W), "i,ij,j->": (arr(3), A, V),
        "ijk->kj": (C,), "ij,ik->jk": (A, B), "a...,a->...": (C, arr(2)),
    }  # fmt: skip
    for text, operands in subs.items():
        case("einsum " + text, lambda *xs, s=text: np.einsum(s, *xs), *operands)
    case("einsum-int", lambda x, y: np.einsum("ij,kj->ik", x, y), I, U)
    case("einsum-bool", lambda x, y: np.einsum("ij,kj->ik", x, y), M, M)
    case("einsum-lists", lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [0, 2]), A, B.T)


_reductions()
_shapes()
_algebra()
