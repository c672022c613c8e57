"""NumPy's namespace with every function and ufunc run by jitops: `np.f(x)` is `jitop(np.f)(x)`.

Calls without a numeric array are NumPy's own (they make arrays, or ask about types), and so are
those that jitops refuses by contract (docs/semantics.md): `contract` names it. All others run
strictly: a call that ends up in NumPy is an error. `CALLS` counts each kind.
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import types
from collections import Counter
from collections.abc import Callable
from operator import is_
from typing import Any

import numpy
import numpy._core.umath
import numpy.fft  # NumPy loads it when asked for, and a namespace has what is there

import jitops

CALLS: Counter[str] = Counter()
NUMERIC = "biufc"
METHODS = ("reduce", "accumulate", "reduceat", "outer", "at", "__call__")
# Functions that inspect, print or configure instead of computing.
NOT_COMPUTING = (
    "array_repr array_str array2string printoptions set_printoptions get_printoptions seterr geterr"
    " errstate seterrcall geterrcall setbufsize getbufsize save savez savez_compressed load savetxt"
    " loadtxt genfromtxt fromfile frombuffer fromstring shares_memory may_share_memory info"
    " vectorize frompyfunc nditer ndenumerate ndindex flatiter broadcast from_dlpack asarray array"
    " asanyarray require iterable isfortran format_float_positional"
    " format_float_scientific base_repr binary_repr typename"
)
OTHERS = frozenset(NOT_COMPUTING.split())
# Arguments whose values decide the shape of the result: static, and so given as lists.
STATIC = {
    "repeat": (1, "repeats"),
    **dict.fromkeys(("hanning", "hamming", "blackman", "bartlett", "kaiser"), (0, "M")),
}

# What an op refuses by contract, and whose calls are therefore NumPy's own.
REFUSED = {
    "the result's shape depends on values": (
        "nonzero flatnonzero argwhere unique unique_all unique_counts unique_inverse unique_values"
        " union1d intersect1d setdiff1d setxor1d trim_zeros polydiv roots extract"
    ),
    "runs in NumPy as a host step": "polyfit eig eigvals",
    "dates": "busday_count busday_offset is_busday datetime_as_string datetime_data isnat",
    "made for Python objects": "asmatrix bmat nested_iters matrix",
}
REASONS = {name: reason for reason, names in REFUSED.items() for name in names.split()}


class FellBackError(AssertionError):
    """The call ran in NumPy although strict is on."""


def numeric(x: Any) -> bool:
    """Whether jitops takes this as an array or a NumPy scalar."""
    return (type(x) is numpy.ndarray or isinstance(x, numpy.generic)) and x.dtype.kind in NUMERIC


def foreign(x: Any) -> bool:
    """Whether jitops refuses this array by contract."""
    kinds = (numpy.ndarray, numpy.generic)
    if isinstance(x, kinds):
        return not numeric(x) or x.dtype.itemsize > 16 or x.dtype == numpy.longdouble
    return hasattr(type(x), "__array_wrap__")


def is_foreign_type(x: Any) -> bool:
    """Whether this asks for a dtype that jitops refuses by contract."""
    if isinstance(x, numpy.dtype):
        return x.kind not in NUMERIC or x == numpy.longdouble or x.itemsize > 16
    if isinstance(x, type) and (issubclass(x, numpy.generic) or x in (str, bytes, object)):
        return x not in ABSTRACT and is_foreign_type(numpy.dtype(x))
    return False


def _delete(args: Any, named: dict[str, Any]) -> bool:
    return any(isinstance(x, numpy.ndarray) for x in (*args[1:2], named.get("obj")))


def _estimated(args: Any, named: dict[str, Any]) -> bool:
    return any(isinstance(x, str) for x in (*args[1:2], named.get("bins")))


def _overdetermined(args: Any, named: dict[str, Any]) -> bool:
    rows, columns = numpy.shape(args[0] if args else named["a"])
    return rows > columns > 0


# Calls of these functions with such arguments have a result whose shape depends on values.
SHAPED: dict[str, Callable[[Any, Any], bool]] = {
    "where": lambda args, named: len(args) == 1,
    "bincount": lambda args, named: len(args) < 3 and not named.get("minlength"),
    "delete": _delete,
    "insert": _delete,
    "compress": lambda args, named: isinstance(args[0], numpy.ndarray),
    "polyfit": lambda args, named: bool(named.get("full") or named.get("cov")),
    "lstsq": _overdetermined,
    "histogram": _estimated,
    "histogram_bin_edges": _estimated,
}

ABSTRACT = (
    numpy.generic, numpy.number, numpy.integer, numpy.signedinteger, numpy.unsignedinteger,
    numpy.inexact, numpy.floating, numpy.complexfloating, numpy.flexible, numpy.character,
)  # fmt: skip


def overlap(arrays: list[Any]) -> bool:
    """Whether two arrays share memory, of which the call may write one."""
    whole = [x for x in arrays if isinstance(x, numpy.ndarray) and x.size]
    return any(
        numpy.may_share_memory(x, y) for i, x in enumerate(whole) for y in whole[i + 1 :]
    )


def contract(function: Any, args: Any, leaves: list[Any], named: dict[str, Any]) -> str:
    """What jitops refuses this call for, by its contract; an empty string for nothing."""
    if any(map(foreign, leaves)) or any(map(is_foreign_type, leaves)):
        return "objects, strings, dates, long doubles, subclasses"
    dtype = named.get("dtype")
    if isinstance(dtype, str) and is_foreign_type(numpy.dtype(dtype)):
        return "objects, strings, dates, long doubles, subclasses"
    name = getattr(function, "__name__", "")
    if SHAPED.get(name, lambda *_: False)(args, named):
        name = "nonzero"
    lists = any(type(x) in (list, tuple) for x in args)
    if lists and isinstance(getattr(function, "__self__", function), numpy.ufunc):
        return "a list of arrays given to a ufunc"
    return REASONS.get(name, "")


LONG = 10_000  # items of a list that is not looked into: no call has so many arguments


def nested(x: Any) -> bool:
    """Whether there may be arrays in this list or tuple."""
    return type(x) in (tuple, list) and len(x) < LONG


def leaves_of(x: Any) -> list[Any]:
    """Arrays and everything else in nested tuples, lists and dicts."""
    if nested(x):
        return [leaf for item in x for leaf in leaves_of(item)]
    if type(x) is dict:
        return [leaf for item in x.values() for leaf in leaves_of(item)]
    return [x]


class Place:
    """Where an argument of the op stands in the arguments of the call."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"<argument {self.number}>"


def filled(x: Any, places: dict[int, Place]) -> Any:
    """The structure with places instead of arrays: it keeps none alive."""
    if nested(x):
        return type(x)(filled(item, places) for item in x)
    if type(x) is dict:
        return {name: filled(item, places) for name, item in x.items()}
    return places[id(x)] if numeric(x) else x


def with_labels(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operands of an einsum with its labels, which are no array of the op's, as lists."""
    if not args or isinstance(args[0], str):
        return args
    labels = [*range(1, len(args), 2), *([len(args) - 1] if len(args) % 2 else [])]
    return tuple(
        x.tolist() if n in labels and isinstance(x, numpy.ndarray) else x
        for n, x in enumerate(args)
    )


SIZES = {"ones": 0, "zeros": 0, "empty": 0, "full": 0, "pad": 1}  # which argument they are
SIZE_NAMES = ("axis", "axes", "shape", "pad_width")


def with_sizes(function: Any, args: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments with axes and shapes that are small arrays as Python's numbers."""
    named = {key: plain(x) if key in SIZE_NAMES else x for key, x in named.items()}
    at = SIZES.get(getattr(function, "__name__", ""), len(args))
    return tuple(plain(x) if n == at else x for n, x in enumerate(args)), named


def plain(x: Any) -> Any:
    """Integer arrays as lists, in lists and tuples, too."""
    if type(x) in (list, tuple):
        return type(x)(map(plain, x))
    whole = isinstance(x, numpy.ndarray) and x.dtype.kind in "iu"
    return x.tolist() if whole else x


def run(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The call, compiled: arrays are arguments of the op, everything else its constants."""
    if getattr(function, "__name__", "") in ("einsum", "einsum_path"):
        args = with_labels(args)
    args, kwargs = with_sizes(function, args, kwargs)
    leaves = leaves_of((args, kwargs))
    places = {id(leaf): leaf for leaf in leaves if numeric(leaf)}  # one array given twice is one
    arrays = list(places.values())
    reason = contract(function, args, leaves, kwargs) if arrays else "no array"
    if not reason and kwargs.get("out") is not None and overlap(arrays):
        reason = "a written argument shares memory with another"
    if reason:
        CALLS[reason] += 1
        return function(*args, **kwargs)
    numbered = {key: Place(number) for number, key in enumerate(places)}
    op = op_of(function, filled((args, kwargs), numbered))
    before = (op.size, op.hits)
    found = op(*arrays)
    if (op.size, op.hits) == before:
        # A hit, where the call's binding took the place of another one.
        op(*(a.copy("K") if isinstance(a, numpy.ndarray) else a for a in arrays))
        if op.hits == before[1]:
            raise FellBackError(f"{op.__name__} ran in NumPy")
    CALLS["jitops"] += 1
    return found


# Constants that are the same wherever they look the same.
PLAIN = (bool, int, float, complex, str, type(None), type, numpy.dtype)
OPS: dict[Any, Any] = {}


def op_of(function: Callable[..., Any], structure: Any) -> Any:
    """The op of such calls: equal ones share it, so that it sees their sizes vary."""
    constants = [x for x in leaves_of(structure) if type(x) is not Place]
    if not all(isinstance(x, PLAIN) for x in constants):
        return made(function, structure)
    key = (function, repr(structure), *constants)  # by repr, 0.0 is not -0.0, nor 1 True
    if key not in OPS:
        OPS[key] = made(function, structure)
    return OPS[key]


def made(function: Callable[..., Any], structure: Any) -> Any:
    """A new op of the function, whose arguments fill the places of the structure."""

    def call(*values: Any) -> Any:
        given, named = rebuilt(structure, values)
        return function(*given, **named)

    call.__name__ = getattr(function, "__name__", "call")
    return jitops.jitop(call)


def rebuilt(structure: Any, values: Any) -> Any:
    """The arguments with the op's own values in their places."""
    if nested(structure):
        return type(structure)(rebuilt(item, values) for item in structure)
    if type(structure) is dict:
        return {name: rebuilt(item, values) for name, item in structure.items()}
    return values[structure.number] if type(structure) is Place else structure


class Compiled:
    """A function of NumPy whose calls run in jitops; in all else it is that function."""

    def __init__(self, function: Any) -> None:
        self.__dict__["function"] = function
        self.__dict__["__doc__"] = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = static(self.function, *plainly((args, kwargs)))
        return run(self.function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.function, name)
        if isinstance(self.function, numpy.ufunc) and name in METHODS:
            return Compiled(found)
        return found

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.function)

    def __repr__(self) -> str:
        return repr(self.function)

    def __eq__(self, other: Any) -> bool:
        return self.function == plainly(other)  # type: ignore[no-any-return]

    def __hash__(self) -> int:
        return hash(self.function)

    def __reduce__(self) -> Any:
        return Compiled, (self.function,)


def static(function: Any, args: Any, kwargs: Any) -> Any:
    """The arguments, with what decides shapes as lists, which are constants of the op (0 for an
    empty one, whose dtype a list would lose)."""
    place, name = STATIC.get(getattr(function, "__name__", ""), (len(args), ""))
    listed = [listing(x) if n == place else x for n, x in enumerate(args)]
    return tuple(listed), {key: listing(x) if key == name else x for key, x in kwargs.items()}


def listing(x: Any) -> Any:
    """An array that may be an op's argument as a list."""
    return (x.tolist() or 0) if numeric(x) and not foreign(x) else x


def plainly(x: Any) -> Any:
    """Wrapped functions among the arguments as what they wrap; lists without any as they are."""
    if type(x) is Compiled:
        return x.function
    if nested(x):
        items = [plainly(item) for item in x]
        return x if all(map(is_, x, items)) else type(x)(items)
    if type(x) is dict:
        return {name: plainly(item) for name, item in x.items()}
    return x


class Namespace(types.ModuleType):
    """A module of NumPy with its functions wrapped."""

    def __init__(self, module: types.ModuleType) -> None:
        super().__init__(module.__name__)
        self.__dict__["module"] = module

        for name, found in vars(module).items():
            self.__dict__[name] = self.wrapped(name, found)

    @staticmethod
    def wrapped(name: str, found: Any) -> Any:
        if isinstance(found, numpy.ufunc) or (callable(found) and computes(name, found)):
            return Compiled(found)
        if isinstance(found, types.ModuleType) and name in ("linalg", "fft", "_core", "umath"):
            return Namespace(found)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def __dir__(self) -> list[str]:
        return dir(self.module)


def computes(name: str, function: Any) -> bool:
    """Whether a callable of NumPy is a function that computes."""
    return not isinstance(function, type) and name not in OTHERS and not name.startswith("_")


np = xp = Namespace(numpy)


def __getattr__(name: str) -> Any:
    """``from compiled_numpy import sum``."""
    if hasattr(np, name):
        return getattr(np, name)
    core = numpy._core  # its attributes, and modules that nobody has imported yet
    return getattr(core, name) if hasattr(core, name) else importlib.import_module(
        f"numpy._core.{name}"
    )  # fmt: skip


ncu = np._core.umath
for _name in ("linalg", "fft"):  # from compiled_numpy.linalg import norm
    sys.modules[f"{__name__}.{_name}"] = getattr(np, _name)


def report() -> None:
    """The counts, for the one who started the run."""
    path = os.environ.get("JITOPS_EXTERNAL_CALLS")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            refused = sum(CALLS.values()) - CALLS["jitops"] - CALLS["no array"]
            file.write(f"{CALLS['jitops']} {CALLS['no array'] + refused}\n")
            for reason, count in CALLS.most_common():
                file.write(f"{count} {reason}\n")


atexit.register(report)
