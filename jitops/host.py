"""Host steps: NumPy's own functions that an op runs between its kernels, and the text of a call.

A step names its function ("linalg.svd", without the leading "numpy.") and has its arguments as
text. Only the names below can be run: a graph or an artifact never names anything else.
Arguments are JSON, so that equal calls have equal text:

    {"args": [...], "kwargs": {name: ...}}

An argument is null, a bool, an int, a float or a string as JSON has them, a list, or one of

    {"operand": n}                an array that a kernel or another step computed
    {"operand": n, "as": kind}    the same as a Python "int", "float" or "complex", or as a
                                  NumPy "scalar"
    {"tuple": [...]}   {"complex": [re, im]}   {"scalar": [dtype, hexadecimal bytes]}
    {"dtype": name}              {"object": n}: a random generator of the call
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jitops.errors import GraphError

__all__ = [
    "DRAWS",
    "FUNCTIONS",
    "Call",
    "Object",
    "Operand",
    "Step",
    "as_numpy_gets",
    "call_text",
    "check_call",
    "function_named",
    "read_call",
    "shuffled",
]

_FUNCTIONS = """
    linalg.inv linalg.pinv linalg.solve linalg.lstsq linalg.det linalg.slogdet linalg.cond
    linalg.matrix_rank linalg.cholesky linalg.qr linalg.svd linalg.svdvals linalg.eig
    linalg.eigvals linalg.eigh linalg.eigvalsh
    fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.fft2 fft.ifft2 fft.rfft2 fft.irfft2
    fft.fftn fft.ifftn fft.rfftn fft.irfftn
    polyfit
"""
_DISTRIBUTIONS = """
    beta binomial chisquare dirichlet exponential f gamma geometric gumbel hypergeometric laplace
    logistic lognormal logseries multinomial multivariate_normal negative_binomial
    noncentral_chisquare noncentral_f normal pareto poisson power rayleigh standard_cauchy
    standard_exponential standard_gamma standard_normal standard_t triangular uniform vonmises wald
    weibull zipf random choice permutation shuffle
"""
_DRAWS = {
    "random": "randint random_sample ranf sample",
    "random.RandomState": "randint random_sample",
    "random.Generator": "integers permuted",
}
FUNCTIONS = frozenset(_FUNCTIONS.split())
DRAWS = frozenset(
    f"{kind}.{name}" for kind, own in _DRAWS.items() for name in (_DISTRIBUTIONS + own).split()
)


def _known(name: str) -> None:
    if name not in FUNCTIONS and name not in DRAWS:
        raise GraphError(
            "a host step names a function that is not in jitops' table", found=repr(name)
        )


def function_named(name: str) -> Callable[..., Any]:
    """NumPy's function of this name. GraphError where it is not one that a step may run."""
    _known(name)
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part)
    return shuffled(found) if name.endswith(".shuffle") else found


def shuffled(shuffle: Callable[..., Any]) -> Callable[..., Any]:
    """A shuffle that gives its result instead of writing it to its operand."""

    def run(*args: Any, **kwargs: Any) -> Any:
        args = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)
        kwargs = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in kwargs.items()}
        shuffle(*args, **kwargs)
        (array,) = (a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray))
        return array

    return run


class Operand:
    """The place of an operand in a call: its number, and what NumPy is to get for it."""

    __slots__ = ("kind", "number")

    def __init__(self, number: int, kind: str = "array") -> None:
        self.number = number
        self.kind = kind


class Object:
    """The place of a random generator in a call: which of the binding's objects it is."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Call:
    """The arguments of a step, operands as `Operand`."""

    __slots__ = ("args", "kwargs")

    def __init__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.args = tuple(args)
        self.kwargs = dict(kwargs)


def check_call(name: str, text: str, operands: int) -> None:
    """GraphError unless the function may be run, with a call that refers to such operands."""
    _known(name)
    call = read_call(text)
    if any(n >= operands for n in _numbers((*call.args, *call.kwargs.values()))):
        raise GraphError("a host step refers to an operand that it lacks", found=text)


def _numbers(value: Any) -> list[int]:
    if isinstance(value, (tuple, list)):
        return [n for item in value for n in _numbers(item)]
    return [value.number] if type(value) is Operand else []


_PLAIN = (type(None), bool, int, float, str)


def call_text(call: Call) -> str:
    """The call as text. GraphError for an argument that has none."""
    kwargs = {name: _encoded(value) for name, value in call.kwargs.items()}
    data = {"args": [_encoded(value) for value in call.args], "kwargs": kwargs}
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _encoded(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is Operand:
        number = {"operand": value.number}
        return number if value.kind == "array" else {**number, "as": value.kind}
    if kind is Object:
        return {"object": value.number}
    if kind is list:
        return [_encoded(item) for item in value]
    if kind is tuple:
        return {"tuple": [_encoded(item) for item in value]}
    if kind is complex:
        return {"complex": [value.real, value.imag]}
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return {"scalar": [value.dtype.name, value.tobytes().hex()]}
    if isinstance(value, (np.dtype, type)):
        return {"dtype": np.dtype(value).name}
    raise GraphError("an argument of a host step has no text", found=repr(value))


def read_call(text: str) -> Call:
    """The call of a text. GraphError for a text that is not one."""
    try:
        data = json.loads(text)
        kwargs = {str(name): _decoded(value) for name, value in data["kwargs"].items()}
        return Call([_decoded(value) for value in data["args"]], kwargs)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise GraphError("this is not the call of a host step", found=repr(error)) from error


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "operand" in value:
        return Operand(int(value["operand"]), str(value.get("as", "array")))
    ((kind, content),) = value.items()
    return _DECODE[kind](content)


_DECODE: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda items: tuple(map(_decoded, items)),
    "complex": lambda parts: complex(*parts),
    "scalar": lambda pair: np.frombuffer(bytes.fromhex(pair[1]), pair[0])[0],
    "dtype": np.dtype,
    "object": lambda number: Object(int(number)),
}

_OPERANDS: dict[str, Callable[[Any], Any]] = {
    "array": lambda x: x,
    "scalar": lambda x: x[()],
    "int": lambda x: int(x),
    "float": lambda x: float(x),
    "complex": lambda x: complex(x),
}


def as_numpy_gets(operand: Operand, array: Any) -> Any:
    """The array as it is, or the number in it."""
    return _OPERANDS[operand.kind](array)


class Step:
    """A step ready to run: ``step(operands, objects)`` gives its results, a tuple of arrays.

    name: of the function. call: the text of its arguments. results: dtype's name and shape of each
    result, None for one that is not used; what NumPy gives is checked, since kernels rely on it.
    operands: how many a call gets. GraphError as `check_call` raises it.
    """

    __slots__ = ("_call", "_function", "name", "results")

    def __init__(
        self,
        name: str,
        call: str,
        results: Sequence[tuple[str, Sequence[int]] | None],
        operands: int,
    ) -> None:
        check_call(name, call, operands)
        self.name = name
        self._function = function_named(name)
        self._call = read_call(call)
        self.results = [None if r is None else (np.dtype(r[0]), tuple(r[1])) for r in results]

    def __call__(self, operands: Sequence[Any], objects: Sequence[Any] = ()) -> tuple[Any, ...]:
        """Run NumPy's function; whatever it raises is the caller's.

        objects: the random generators that the op was bound to.
        """
        call = self._call
        args = [_filled(value, operands, objects) for value in call.args]
        kwargs = {name: _filled(v, operands, objects) for name, v in call.kwargs.items()}
        return self._checked(self._function(*args, **kwargs))

    def _checked(self, value: Any) -> tuple[Any, ...]:
        parts = value if isinstance(value, (tuple, list)) else (value,)
        found = [np.asarray(part) for part in parts]
        if len(found) != len(self.results):
            raise self._surprise(f"{len(found)} results", str(len(self.results)))
        used = [(array, wanted) for array, wanted in zip(found, self.results) if wanted]
        for array, (dtype, shape) in used:
            if array.dtype != dtype or array.shape != shape:
                raise self._surprise(f"{array.dtype}{list(array.shape)}", f"{dtype}{list(shape)}")
        return tuple(array for array, _ in used)

    def _surprise(self, found: str, accepted: str) -> RuntimeError:
        return RuntimeError(
            f"numpy.{self.name} gave {found} where {accepted} was traced; please report this"
        )


def _filled(value: Any, operands: Sequence[Any], objects: Sequence[Any]) -> Any:
    kind = type(value)
    if kind is Operand:
        return as_numpy_gets(value, operands[value.number])
    if kind is Object:
        return objects[value.number]
    if kind is list or kind is tuple:
        return kind(_filled(item, operands, objects) for item in value)
    return value
