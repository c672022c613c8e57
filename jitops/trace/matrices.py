"""np.linalg on small matrices, compiled; what is larger, or has no code, is a host step.

Shapes are known while tracing, so each call is one of the two: up to the `limit` of
`jitops.trace.hosted` it is compiled, beyond it NumPy's LAPACK is the faster. Operands that NumPy
refuses go to the host step's rule, which raises NumPy's error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from jitops.trace import elimination, householder, jacobi
from jitops.trace.functions import find
from jitops.trace.hosted import STEPS, TABLE_OF_HOSTED
from jitops.trace.numpys import numpys
from jitops.trace.stacks import Core, stacked
from jitops.trace.tracer import Tracer

__all__ = ["TABLE"]

Rule = Callable[..., Any]

UNFINISHED = "divergent SVD"

FLOATS = ("float32", "float64", "complex64", "complex128")  # NumPy refuses float16


def result_of(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The dtype of NumPy's results for a matrix, or None where it refuses the matrix."""
    if dtype.kind in "biu":
        return np.dtype("float64")
    return dtype if dtype.name in FLOATS else None


class Matrices:
    """The operands of a call, in the dtype that they are computed in, and that of the results.

    As NumPy does, they are computed in float64 or complex128 whatever they are.
    """

    __slots__ = ("dtype", "items")

    def __init__(self, items: Sequence[Any]) -> None:
        self.dtype = np.result_type(*(result_of(x.dtype) for x in items))
        wide = np.result_type(self.dtype, np.float64)
        self.items = [x.astype(wide, copy=False) for x in items]

    @property
    def real(self) -> np.dtype[Any]:
        """The dtype of results that are real."""
        return np.empty((), self.dtype).real.dtype


def matrices(t: Any, name: str, *operands: Any) -> Matrices | None:
    """Operands of a function that is compiled for them; None where a host step takes them."""
    arrays = [t.array(x) for x in operands]
    if t.sizes or any(result_of(x.dtype) is None or x.ndim < 2 for x in arrays):
        return None
    if any(max(x.shape[-2:]) > TABLE_OF_HOSTED[name].limit for x in arrays):
        return None
    return Matrices(arrays)


def squares(t: Any, name: str, *operands: Any) -> Matrices | None:
    """The same for square matrices."""
    found = matrices(t, name, *operands)
    square = found is not None and all(x.shape[-1] == x.shape[-2] for x in found.items)
    return found if square else None


def computed(
    t: Any, core: Core, operands: Sequence[Any], *kinds: tuple[Any, Any], failure: str = ""
) -> list[Any]:
    """The results of a core for stacks; of nothing, identity matrices and ones.

    kinds: the shape of each result after the leading axes, and its dtype. failure: what it means
    where the core's last result, a bool for each matrix, is true.
    """
    lead = operands[0].shape[:-2]
    if not prod(lead) * prod(operands[0].shape[-2:]) or not all(prod(shape) for shape, _ in kinds):
        return [_of_nothing(t, (*lead, *shape), len(shape), dtype) for shape, dtype in kinds]
    found: list[Any] = stacked(t, core, operands)
    if failure:
        *found, flags = found
        bad: Any = np.any(flags)
        found[0] = t.wrap(t.emit("check", found[0].read(), bad.read(), failure=failure))
    return [x.astype(dtype, copy=False) for x, (_, dtype) in zip(found, kinds, strict=True)]


def _of_nothing(t: Any, shape: tuple[int, ...], axes: int, dtype: Any) -> Any:
    """What LAPACK's algorithms begin with: identity matrices, or ones."""
    if axes < 2:
        return t.filled(1, shape, dtype)
    return np.broadcast_to(t.array(np.eye(*shape[-2:], dtype=dtype)), shape).copy()


def native(name: str, rule: Rule) -> Rule:
    """The rule of a function: ``rule``, or the host step where that gives None."""

    def run(t: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            found = rule(t, *args, **kwargs)
        except TypeError:  # arguments that NumPy does not have either
            found = None
        return STEPS[name](t, *args, **kwargs) if found is None else found

    return run


def named(name: str, parts: Sequence[Any]) -> Any:
    """NumPy's named tuple for these results, or a tuple where this NumPy has none."""
    kind = type(find(f"linalg.{name}")(np.ones((1, 1))))
    return kind(*parts) if hasattr(kind, "_fields") else tuple(parts)


# --- elimination ----------------------------------------------------------------------------------


def inv(t: Any, a: Any) -> Any:
    x = squares(t, "linalg.inv", a)
    if x is None:
        return None
    kind = x.items[0].shape[-2:], x.dtype
    return computed(t, elimination.inverse, x.items, kind, failure="singular")[0]


def solve(t: Any, a: Any, b: Any) -> Any:
    left, right = t.array(a), t.array(b)
    if left.ndim < 2 or not right.ndim:
        return None
    two = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
    vector = right.ndim == (1 if two else left.ndim - 1)
    columns = right[..., None] if vector else right
    x = matrices(t, "linalg.solve", left, columns)
    if x is None or left.shape[-1] != left.shape[-2] or columns.shape[-2] != left.shape[-1]:
        return None
    try:
        lead = np.broadcast_shapes(left.shape[:-2], columns.shape[:-2])
    except ValueError:
        return None
    operands = [np.broadcast_to(v, (*lead, *v.shape[-2:])) for v in x.items]
    kind = columns.shape[-2:], x.dtype
    (out,) = computed(t, elimination.solution, operands, kind, failure="singular")
    return out[..., 0] if vector else out


def det(t: Any, a: Any) -> Any:
    x = squares(t, "linalg.det", a)
    if x is None:
        return None
    return computed(t, elimination.determinant, x.items, ((), x.dtype))[0][()]


def slogdet(t: Any, a: Any) -> Any:
    x = squares(t, "linalg.slogdet", a)
    if x is None:
        return None
    kinds = ((), x.dtype), ((), x.real)
    sign, total = computed(t, elimination.log_determinant, x.items, *kinds)
    total = total if x.items[0].shape[-1] else np.log(total)
    return named("slogdet", (sign[()], total[()]))


def cholesky(t: Any, a: Any, *, upper: bool = False) -> Any:
    x = squares(t, "linalg.cholesky", a)
    if x is None:
        return None
    operands = [adjoint(x.items[0])] if upper else x.items
    kind = x.items[0].shape[-2:], x.dtype
    (out,) = computed(t, elimination.cholesky, operands, kind, failure="indefinite")
    return adjoint(out) if upper else out


def adjoint(x: Any) -> Any:
    """The conjugate transposes of a stack of matrices."""
    return np.conjugate(np.swapaxes(x, -1, -2))


# --- orthogonal matrices --------------------------------------------------------------------------


def qr(t: Any, a: Any, mode: str = "reduced") -> Any:
    x = matrices(t, "linalg.qr", a)
    if x is None or mode not in QR:
        return None
    m, n = x.items[0].shape[-2:]
    k = min(m, n)
    wide = m if mode == "complete" else k
    shapes = {"r": [(k, n)], "raw": [(n, m), (k,)]}.get(mode, [(m, wide), (wide, n)])

    def core(t: Any, a: Tracer) -> Any:
        work, factors = householder.reflections(t, a)
        if mode == "raw":
            return work, factors
        r = householder.triangle(t, work, wide)
        return [r] if mode == "r" else [householder.orthogonal(t, work, factors, wide), r]

    parts = computed(t, core, x.items, *((shape, x.dtype) for shape in shapes))
    if mode == "r":
        return parts[0]
    return tuple(parts) if mode == "raw" else named("qr", parts)


QR = ("reduced", "complete", "r", "raw")


def eigh(t: Any, a: Any, UPLO: str = "L") -> Any:
    return _eigh(t, "eigh", a, UPLO)


def eigvalsh(t: Any, a: Any, UPLO: str = "L") -> Any:
    return _eigh(t, "eigvalsh", a, UPLO)


def _eigh(t: Any, name: str, a: Any, side: Any) -> Any:
    x = squares(t, f"linalg.{name}", a)
    if x is None or not isinstance(side, str) or side.upper() not in ("L", "U"):
        return None
    n = x.items[0].shape[-1]
    operands = x.items if side.upper() == "L" else [adjoint(x.items[0])]
    vectors = name == "eigh"

    def core(t: Any, a: Tracer) -> Any:
        return jacobi.hermitian(t, a, vectors)

    kinds = [((n,), x.real), ((n, n), x.dtype)][: 1 + vectors]
    parts = computed(t, core, operands, *kinds, failure="divergent eigenvalues")
    return named(name, parts) if vectors else parts[0]


def svd(
    t: Any, a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    x = matrices(t, "linalg.svd", a)
    if x is None:
        return None
    if hermitian:  # NumPy makes it of eigh
        return numpys("linalg.svd")(t, a, full_matrices, compute_uv, True)
    m, n = x.items[0].shape[-2:]
    k = min(m, n)
    rows, columns = (m, n) if full_matrices else (k, k)

    def core(t: Any, a: Tracer) -> Any:
        return jacobi.singular(t, a, bool(full_matrices), bool(compute_uv))

    kinds = [((m, rows), x.dtype), ((k,), x.real), ((columns, n), x.dtype)]
    parts = computed(t, core, x.items, *(kinds if compute_uv else kinds[1:2]), failure=UNFINISHED)
    return named("svd", parts) if compute_uv else parts[0]


def svdvals(t: Any, x: Any, /) -> Any:
    return svd(t, x, compute_uv=False)


RULES: dict[str, Rule] = {
    f"linalg.{rule.__name__}": rule
    for rule in (inv, solve, det, slogdet, cholesky, qr, eigh, eigvalsh, svd, svdvals)
}

TABLE: dict[str, Rule] = {name: native(name, rule) for name, rule in RULES.items()}
