"""NumPy's functions that have no native code: each call is a host step of the op.

A rule gives the shapes of the results from the types of the arrays. Their dtypes, and whether they
come as scalars or in a named tuple, are NumPy's own: it is asked with the smallest arrays that it
takes, all ones. What a rule cannot place, NumPy is asked to refuse in its own words.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitops.errors import UnsupportedError
from jitops.graph.graph import Atom
from jitops.graph.types import ArrayType, Shape
from jitops.host import Call, Operand, as_numpy_gets, call_text
from jitops.trace.creation import plain_value
from jitops.trace.functions import find
from jitops.trace.masked import Unknown
from jitops.trace.promotion import contains_traced, supported
from jitops.trace.raising import misfit, unsupported
from jitops.trace.reductions import finish
from jitops.trace.sizes import NotDynamic
from jitops.trace.weak import Weak
from jitops.trace.where import user_line

__all__ = ["STEPS", "TABLE", "TABLE_OF_HOSTED", "Hosted", "Recording"]

Rule = Callable[..., "list[Shape | None]"]


class Hosted:
    """How one function is traced.

    shapes: takes the call's arguments, arrays as their types, and gives the shape of each result;
        None for one whose shape depends on values. arrays: the parameters that may be arrays.
    least: the extents of the smallest array that NumPy takes, by an array's type.
    drop: parameters that the smallest call goes without. names: all parameters in order, where
        they are not those of ``shapes``. limit: the largest extent of a matrix for which the
        function is compiled (`jitops.trace.matrices`); 0: none.
    """

    __slots__ = ("arrays", "drop", "least", "limit", "names", "shapes")

    def __init__(
        self,
        shapes: Rule,
        arrays: str,
        least: Callable[[ArrayType], Shape],
        drop: str = "",
        names: str = "",
        limit: int = 0,
    ) -> None:
        self.limit = limit
        self.shapes = shapes
        self.arrays = arrays.split()
        self.least = least
        self.drop = drop.split()
        code = shapes.__code__
        self.names = tuple(names.split()) or code.co_varnames[: code.co_argcount]


def numpys_step(name: str, hosted: Hosted) -> Callable[..., Any]:
    """The rule by which `jitops.trace.functions` traces the function."""

    def run(t: Any, *args: Any, **kwargs: Any) -> Any:
        return Recording(t, name, hosted).run(args, kwargs)

    return run


class Recording:
    """One call of a hosted function: its operands, and the step that it becomes.

    function: what is asked about results. first: arguments before those of the call. draws: whether
    each call is a step of its own.
    """

    draws = False
    limit = ""  # for what of the function's calls there is no native code

    def __init__(self, t: Any, name: str, hosted: Hosted) -> None:
        self.t = t
        self.name = name
        self.hosted = hosted
        if hosted.limit:
            self.limit = f"for extents above {hosted.limit}"
        self.function = find(name)
        self.first: tuple[Any, ...] = ()
        self.atoms: list[Atom] = []
        self.types: list[ArrayType] = []

    def run(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        self.allowed()
        out = kwargs.pop("out", None)
        names = [*self.hosted.names, *[""] * len(args)]
        given = list(zip(names, args))
        call = Call(
            [self.argument(n, v) for n, v in given],
            {n: self.argument(n, v) for n, v in kwargs.items()},
        )
        try:
            shapes = self._shapes(call)
        except UnsupportedError:
            raise
        except (ValueError, IndexError, TypeError, AttributeError) as error:
            raise self._refusal(call, error) from None
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy says about the real arrays what it has to say
            model = self._called(call, self.small)
        result = self.recorded(call, shapes, model)
        return result if out is None else finish(self.t, result.read(), out)

    def _shapes(self, call: Call) -> Sequence[Shape | None]:
        named = dict(zip(self.hosted.names, map(self._typed, call.args)))
        if len(named) < len(call.args):
            raise TypeError("too many arguments")
        return self.hosted.shapes(**named, **{n: self._typed(v) for n, v in call.kwargs.items()})

    def _called(self, call: Call, stand_in: Callable[[str, Any], Any]) -> Any:
        names = [*self.hosted.names, *[""] * len(call.args)]
        args = [stand_in(n, v) for n, v in zip(names, call.args)]
        return self.function(*args, **{n: stand_in(n, v) for n, v in call.kwargs.items()})

    # --- arguments ------------------------------------------------------------------------------

    def argument(self, name: str, value: Any) -> Any:
        """An array as an `Operand`; everything else has to be known while tracing."""
        kind = type(value)
        if name not in self.hosted.arrays or value is None:
            return self.plain(value)
        if kind is Weak:
            return self._operand(value.atom, value.pytype.__name__)
        if kind in (bool, int, float, complex):
            return value
        x = self.t.array(value)
        return self._operand(x.read(), "scalar" if x.scalar else "array")

    def plain(self, value: Any) -> Any:
        """The value of an argument that decides shapes."""
        if type(value) in (tuple, list) and contains_traced(value):
            return type(value)(self.plain(v) for v in value)
        plain = plain_value(value, self.name)
        return plain.tolist() if isinstance(plain, np.ndarray) else plain

    def _operand(self, atom: Atom, kind: str) -> Operand:
        self.atoms.append(atom)
        self.types.append(atom.type)
        return Operand(len(self.atoms) - 1, kind)

    def _typed(self, value: Any) -> Any:
        return self.types[value.number] if type(value) is Operand else value

    # --- results --------------------------------------------------------------------------------

    def small(self, name: str, value: Any) -> Any:
        """The smallest argument of this kind; None for one that the smallest call goes without."""
        if name in self.hosted.drop:
            return None
        if type(value) is not Operand:
            return value
        type_ = self.types[value.number]
        ones = np.ones(self.hosted.least(type_) if type_.shape else (), type_.dtype)
        return as_numpy_gets(value, ones)

    def _refusal(self, call: Call, error: Exception) -> Exception:
        """NumPy's own error for arrays of these shapes, or the rule's."""

        def zeros(name: str, value: Any) -> Any:
            if type(value) is not Operand:
                return value
            type_ = self.types[value.number]
            return as_numpy_gets(value, np.broadcast_to(np.zeros((), type_.dtype), type_.shape))

        try:
            self._called(call, zeros)
        except (ValueError, IndexError, TypeError) as numpys:
            return numpys
        return misfit(f"np.{self.name} does not take these arguments: {error}")

    def allowed(self) -> None:
        """Raise where no host step can stand."""
        if self.t.scope is not None:
            raise unsupported(
                f"np.{self.name} has no native code{self.limit and ' ' + self.limit} and cannot run"
                " in the body of control flow",
                "Compute it before the loop or branch, or use a Python loop in the op.",
            )
        if self.t.sizes:
            raise NotDynamic(f"np.{self.name} ({user_line()}) runs in NumPy on fixed sizes")

    def recorded(self, call: Call, shapes: Sequence[Shape | None], model: Any) -> Any:
        """The results of the step, as what they are in the model."""
        parts = list(model) if isinstance(model, (tuple, list)) else [model]
        results = tuple(
            None if shape is None else (self._dtype(part), tuple(shape))
            for part, shape in zip(parts, shapes, strict=True)
        )
        text = call_text(Call([*self.first, *call.args], call.kwargs))
        variables = iter(
            self.t.host(
                self.name, text, self.atoms, results, user_line(), draws=self.draws,
                limit=self.limit,
            )
        )  # fmt: skip
        found = [
            Unknown(f"result {n} of np.{self.name}")
            if r is None
            else self.wrapped(next(variables), parts[n])
            for n, r in enumerate(results)
        ]
        if isinstance(model, tuple) and hasattr(model, "_fields"):
            return type(model)(*found)
        return type(model)(found) if isinstance(model, (tuple, list)) else found[0]

    def _dtype(self, part: Any) -> str:
        name: str = supported(np.asarray(part).dtype, f"a result of np.{self.name}").name
        return name

    def wrapped(self, atom: Atom, model: Any) -> Any:
        """A result, as what it is in the model."""
        return self.t.wrap(atom, scalar=not isinstance(model, np.ndarray))


# --- linear algebra -------------------------------------------------------------------------------


def _stack(a: ArrayType) -> tuple[Shape, int, int]:
    """The leading axes, rows and columns of a stack of matrices."""
    *lead, m, n = a.shape
    return tuple(lead), m, n


def _square(a: ArrayType) -> tuple[Shape, int]:
    lead, m, n = _stack(a)
    if m != n:
        raise ValueError("the last two axes must be equal")
    return lead, n


def _inv(a: Any) -> list[Shape | None]:
    lead, n = _square(a)
    return [(*lead, n, n)]


def _pinv(
    a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None
) -> list[Shape | None]:
    lead, m, n = _stack(a)
    return [(*lead, n, m)]


def _solve(a: Any, b: Any) -> list[Shape | None]:
    lead, n = _square(a)
    vector = b.ndim == (1 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else a.ndim - 1)
    if b.shape[-1 if vector else -2] != n:
        raise ValueError("as many rows as unknowns are needed")
    if vector:
        return [(*np.broadcast_shapes(lead, b.shape[:-1]), n)]
    return [(*np.broadcast_shapes(lead, b.shape[:-2]), n, b.shape[-1])]


def _lstsq(a: Any, b: Any, rcond: Any = None) -> list[Shape | None]:
    m, n = a.shape
    if b.shape[0] != m or b.ndim > 2:
        raise ValueError("as many rows as equations are needed")
    # Residuals come only if the rank is full, which the values decide.
    return [(n, *b.shape[1:]), (0,) if m <= n else None, (), (min(m, n),)]


def _scalars(count: int) -> Rule:
    def rule(a: Any) -> list[Shape | None]:
        lead, _ = _square(a)
        return [lead] * count

    return rule


def _cond(x: Any, p: Any = None) -> list[Shape | None]:
    return [_stack(x)[0]]


def _matrix_rank(
    A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None
) -> list[Shape | None]:
    return [_stack(A)[0]]


def _cholesky(a: Any, *, upper: bool = False) -> list[Shape | None]:
    return _inv(a)


def _qr(a: Any, mode: str = "reduced") -> list[Shape | None]:
    lead, m, n = _stack(a)
    k = min(m, n)
    shapes: dict[str, list[Shape | None]] = {
        "reduced": [(*lead, m, k), (*lead, k, n)],
        "complete": [(*lead, m, m), (*lead, m, n)],
        "r": [(*lead, k, n)],
        "raw": [(*lead, n, m), (*lead, k)],
    }
    if mode not in shapes:
        raise ValueError(f"mode {mode!r}")
    return shapes[mode]


def _svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> list[Shape | None]:
    lead, m, n = _stack(a)
    k = min(m, n)
    rows, columns = (m, n) if full_matrices or hermitian else (k, k)
    values = (*lead, k)
    return [(*lead, m, rows), values, (*lead, columns, n)] if compute_uv else [values]


def _svdvals(x: Any) -> list[Shape | None]:
    lead, m, n = _stack(x)
    return [(*lead, min(m, n))]


def _eigh(a: Any, UPLO: str = "L") -> list[Shape | None]:
    lead, n = _square(a)
    return [(*lead, n), (*lead, n, n)]


def _eigvalsh(a: Any, UPLO: str = "L") -> list[Shape | None]:
    return _eigh(a)[:1]


def _eig(a: Any) -> list[Shape | None]:
    if a.dtype.kind != "c":
        raise unsupported(
            "np.linalg.eig and eigvals of a real matrix are real or complex, as the values decide",
            "Pass a.astype(complex) for complex results, or use eigh or eigvalsh where the matrix"
            " is symmetric.",
        )
    return _eigh(a)


def _eigvals(a: Any) -> list[Shape | None]:
    return _eig(a)[:1]


def _polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None,
    cov: bool = False,
) -> list[Shape | None]:  # fmt: skip
    if full or cov or isinstance(deg, (list, tuple)):
        raise unsupported(
            "np.polyfit with full, cov or a list of degrees is not supported in a traced function",
            "Ask for the coefficients alone, or compute it outside the op.",
        )
    if x.ndim != 1 or y.ndim not in (1, 2) or x.shape[0] != y.shape[0] or not x.shape[0]:
        raise ValueError("x and y do not fit")
    return [(deg.__index__() + 1, *y.shape[1:])]


def _matrices(type_: ArrayType) -> Shape:
    return (1,) * type_.ndim


TABLE_OF_HOSTED: dict[str, Hosted] = {
    "linalg.inv": Hosted(_inv, "a", _matrices, limit=64),
    "linalg.pinv": Hosted(_pinv, "a rcond rtol", _matrices, limit=16),
    "linalg.solve": Hosted(_solve, "a b", _matrices, limit=64),
    "linalg.lstsq": Hosted(_lstsq, "a b rcond", _matrices, limit=16),
    "linalg.det": Hosted(_scalars(1), "a", _matrices, limit=64),
    "linalg.slogdet": Hosted(_scalars(2), "a", _matrices, limit=64),
    "linalg.cond": Hosted(_cond, "x", _matrices, limit=16),
    "linalg.matrix_rank": Hosted(_matrix_rank, "A tol rtol", _matrices, limit=16),
    "linalg.cholesky": Hosted(_cholesky, "a", _matrices, limit=64),
    "linalg.qr": Hosted(_qr, "a", _matrices, limit=32),
    "linalg.svd": Hosted(_svd, "a", _matrices, limit=16),
    "linalg.svdvals": Hosted(_svdvals, "x", _matrices, limit=16),
    "linalg.eig": Hosted(_eig, "a", _matrices),
    "linalg.eigvals": Hosted(_eigvals, "a", _matrices),
    "linalg.eigh": Hosted(_eigh, "a", _matrices, limit=16),
    "linalg.eigvalsh": Hosted(_eigvalsh, "a", _matrices, limit=16),
    "polyfit": Hosted(_polyfit, "x y w rcond", lambda type_: (4,) * type_.ndim),
}  # fmt: skip

STEPS: dict[str, Callable[..., Any]] = {
    name: numpys_step(name, hosted) for name, hosted in TABLE_OF_HOSTED.items()
}
TABLE = {name: step for name, step in STEPS.items() if not TABLE_OF_HOSTED[name].limit}
