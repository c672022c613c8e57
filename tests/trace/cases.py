"""Calls of NumPy's functions, by name: each is traced and compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

RNG = np.random.default_rng(7)


def arr(*shape: int, dtype: Any = "float64") -> Any:
    """Random values: signed, or small integers, or bools."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return RNG.random(shape) < 0.5
    if kind in "iu":
        return RNG.integers(0 if kind == "u" else -9, 10, shape).astype(dtype)
    x = RNG.standard_normal(shape) * 2
    return (x + 1j * RNG.standard_normal(shape)).astype(dtype) if kind == "c" else x.astype(dtype)


A, B, V, W = arr(3, 4), arr(3, 4), arr(4), arr(5)
C = arr(2, 3, 4)
N = A.copy()
N[0, 1] = N[2, 2] = np.nan
N[1, :] = np.nan
N[1, 2] = 1.5
I = arr(3, 4, dtype="int32")  # noqa: E741
U = arr(3, 4, dtype="uint8")
M = arr(3, 4, dtype="bool")
Z = arr(3, 4, dtype="complex128")
F = arr(3, 4, dtype="float16")
S = np.array([0.0, -0.0, 1, -1, np.nan, np.inf, -np.inf, 1e300])
E0 = np.zeros((0, 3))
O = np.float32(1.5)  # noqa: E741
IDX = np.array([[2, 0], [1, -1]])
FORT = np.asfortranarray(A)

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

CASES: dict[str, tuple[Any, ...]] = {}


def case(name: str, fn: Any, *args: Any) -> None:
    """Add a case; several of one name are numbered."""
    key = name
    n = 1
    while key in CASES:
        n += 1
        key = f"{name}-{n}"
    CASES[key] = (fn, args)


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
_reductions()
_shapes()
_algebra()
_elements()
