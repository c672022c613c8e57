"""Catch the NumPy functions that do not dispatch by themselves: np.zeros, np.array, np.random, ...

While at least one trace runs, NumPy's module attributes are wrappers; a wrapper goes to the
tracing code only in the context that traces, every other thread gets NumPy's own function. Names
that a function imported directly (``from numpy import zeros``) are found in its globals: a copy
of the function is traced with those rebound, which also turns global and closure arrays into
tracers, so that their present contents count at each call.
"""

from __future__ import annotations

import functools
import importlib
import math
import sys
from _thread import allocate_lock  # the threading module takes a millisecond to import
from contextvars import ContextVar
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np

from jitops.trace.functions import HOME, dispatch, room
from jitops.trace.promotion import DTYPES, contains_traced
from jitops.trace.raising import unsupported
from jitops.trace.tracer import Tracer
from jitops.trace.weak import Weak

ACTIVE: ContextVar[Any] = ContextVar("jitops_trace", default=None)

# The functions that draw from, or set, the global generator; and what makes generators.
RANDOM = frozenset(
    """
    beta binomial bytes chisquare choice default_rng dirichlet exponential f gamma geometric
    get_state gumbel hypergeometric laplace logistic lognormal logseries multinomial
    multivariate_normal negative_binomial noncentral_chisquare noncentral_f normal pareto
    permutation poisson power rand randint randn random random_integers random_sample ranf rayleigh
    sample seed set_state shuffle standard_cauchy standard_exponential standard_gamma
    standard_normal standard_t triangular uniform vonmises wald weibull zipf Generator RandomState
    """.split()  # noqa: SIM905  # a list of forty lines says no more
)


# Callers that mean NumPy's own functions: NumPy itself, the code that traces, and host steps.
OWN = ("numpy.", "jitops.trace", "jitops.graph", "jitops.host")


def _from_inside() -> bool:
    name: str = sys._getframe(2).f_globals.get("__name__", "")
    return name.startswith(OWN)


def _maker(name: str, original: Any) -> tuple[Any, Any]:
    """The wrapper for NumPy's attribute, and the one for rebound names, which asks no caller."""

    @functools.wraps(original, updated=())
    def direct(*args: Any, **kwargs: Any) -> Any:
        trace = ACTIVE.get()
        if trace is None:
            return original(*args, **kwargs)
        return room("creation").MAKERS[name](trace, *args, **kwargs)

    @functools.wraps(original, updated=())
    def attribute(*args: Any, **kwargs: Any) -> Any:
        trace = ACTIVE.get()
        if trace is None or (_from_inside() and not (args and _traced(args[0]))):
            return original(*args, **kwargs)
        return room("creation").MAKERS[name](trace, *args, **kwargs)

    return attribute, direct


def _traced(x: Any) -> bool:
    """Whether NumPy's own Python code was given a traced value, or a list of such."""
    if type(x) is Tracer or type(x) is Weak or hasattr(type(x), "traced_line"):
        return True
    return type(x) in (list, tuple) and contains_traced(x)


class _OfLists:
    """A function that dispatches on arrays, given a list of such, as in ``np.sum([x, y])``.

    Equal to the function, so that the user's tables of NumPy's functions hold while tracing.
    """

    def __init__(self, original: Any) -> None:
        functools.update_wrapper(self, original, updated=())
        self._original = original
        self._implementation = getattr(original, "_implementation", original)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for x in args:
            if type(x) in (list, tuple) and ACTIVE.get() is not None and contains_traced(x):
                return dispatch(ACTIVE.get(), self._original, args, kwargs)
        return self._original(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._original

    def __hash__(self) -> int:
        return hash(self._original)


def _refusal(name: str, original: Any) -> Any:
    @functools.wraps(original, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        if ACTIVE.get() is None or _from_inside():
            return original(*args, **kwargs)
        if name in OF_OBJECTS and not (args and _traced(args[0])):
            return original(*args, **kwargs)
        raise unsupported(
            f"np.{name} is not supported in a traced function", room("refused").hint(name)
        )

    return run


def _of_module(module: str, name: str, original: Any) -> Any:
    """A Python function that does not dispatch, traced like the user's own."""

    @functools.wraps(original, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        trace = ACTIVE.get()
        if trace is None or _from_inside():
            return original(*args, **kwargs)
        if name == "as_strided":
            raise unsupported(
                "as_strided is not supported in a traced function",
                "Use slices, np.lib.stride_tricks.sliding_window_view, or integer indices.",
            )
        if module == "scipy.special":
            return room("special").FUNCTIONS[name](trace, *args, **kwargs)
        return room("numpys").traced_as_it_is(trace, original, *args, **kwargs)

    return run


class _ObjectsMaker:
    """Stands for an object of NumPy that is indexed, such as ``np.r_``."""

    def __init__(self, original: Any, kind: str, option: bool) -> None:
        self._original = original
        self._kind = kind
        self._option = option

    def __getitem__(self, key: Any) -> Any:
        trace = ACTIVE.get()
        if trace is None or _from_inside():
            return self._original[key]
        return getattr(room("objects"), self._kind)(trace, self._option)[key]


def _bound(original: Any, kind: str) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        trace = ACTIVE.get()
        if trace is None:
            return original(*args, **kwargs)
        return getattr(room("numpys"), kind)(trace, *args, **kwargs)

    return run


def _internal() -> dict[Any, Any]:
    """Types of NumPy that its own Python functions call with arrays."""
    core = getattr(np, "_core", None)  # NumPy 2
    found = getattr(getattr(core, "_multiarray_umath", None), "_array_converter", None)
    return {np.broadcast: "Broadcast"} | ({} if found is None else {found: "Converter"})


def _random(name: str, original: Any) -> Any:
    @functools.wraps(original, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        if ACTIVE.get() is None or _from_inside():
            return original(*args, **kwargs)
        return room("drawing").module_draw(ACTIVE.get(), name, args, kwargs)

    return run


class _Class:
    """A class of generators, which a traced function may ask about but not call."""

    def __init__(self, name: str, original: Any) -> None:
        self._name = name
        self._original = original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if ACTIVE.get() is None or _from_inside():
            return self._original(*args, **kwargs)
        return room("drawing").module_draw(ACTIVE.get(), self._name, args, kwargs)

    def __instancecheck__(self, x: Any) -> bool:
        return isinstance(x, self._original)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


# Objects that are indexed to make arrays: their class in `jitops.trace.objects`, and its option.
INDEXED = {
    "r_": ("Joiner", False),
    "c_": ("Joiner", True),
    "mgrid": ("Grid", False),
    "ogrid": ("Grid", True),
}

# Functions that do not dispatch, of `jitops.trace.refused`: those of files are refused always.
OF_FILES = ["fromfile", "fromregex", "genfromtxt", "load", "loadtxt"]
OF_OBJECTS = [
    "asmatrix",
    "bmat",
    "frombuffer",
    "from_dlpack",
    "fromstring",
    "format_float_positional",
    "format_float_scientific",
    "nditer",
]

# Classes of arrays, and the module of one, that a function names: NumPy with `WithClasses`.
ARRAY_CLASSES = frozenset(["ndarray", "matrix", "ma"])

# Python functions that do not dispatch, by module: intercepted where that has been imported.
MODULES = {
    "numpy": ["fromfunction", "diag_indices"],
    "scipy.special": ["softmax", "log_softmax", "logsumexp"],
    "numpy.lib.stride_tricks": ["as_strided"],
    "numpy.polynomial.polynomial": ["polyval", "polyvander", "polyder"],
    "numpy.polynomial.chebyshev": ["chebval", "chebvander", "chebder"],
    "numpy.polynomial.legendre": ["legval", "legvander", "legder"],
    "numpy.polynomial.laguerre": ["lagval", "lagvander", "lagder"],
    "numpy.polynomial.hermite": ["hermval", "hermvander", "hermder"],
    "numpy.polynomial.hermite_e": ["hermeval", "hermevander", "hermeder"],
}

# Packages whose functions dispatch on arrays, and are wrapped for lists of such.
OF_ARRAYS = ["numpy.linalg", "numpy.fft"]

# What NumPy imports when it is first asked for, np.random in 15 ms.
LAZY = ["random", "fft"]

# The functions of `jitops.trace.creation`, by name: it is imported when the first one is called.
CREATORS = [
    "broadcast", "zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like",
    "full_like", "arange", "eye", "identity", "tri", "indices", "linspace", "logspace",
    "geomspace", "array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray",
    "asarray_chkfinite", "require", "vectorize", "ndenumerate", "fromiter", "hanning", "hamming",
    "blackman", "bartlett", "kaiser",
]  # fmt: skip


class Interception:
    """NumPy's attributes and their wrappers; entered by each trace, counted, undone by the last."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._depth = 0
        self.originals: dict[str, Any] = {n: getattr(np, n) for n in CREATORS if hasattr(np, n)}
        makers = {n: _maker(n, f) for n, f in self.originals.items()}
        self.wrappers = {n: attribute for n, (attribute, _) in makers.items()}
        self.by_id = {id(self.originals[n]): direct for n, (_, direct) in makers.items()}
        self.by_id.update({id(attribute): direct for attribute, direct in makers.values()})
        for name, (kind, option) in INDEXED.items():
            self.originals[name] = getattr(np, name)
            self.wrappers[name] = _ObjectsMaker(self.originals[name], kind, option)
            self.by_id[id(self.originals[name])] = self.wrappers[name]
        for name in (*OF_FILES, *OF_OBJECTS):
            self.originals[name] = getattr(np, name)
            self.wrappers[name] = _refusal(name, self.originals[name])
            self.by_id[id(self.originals[name])] = self.wrappers[name]
        for function, kind in _internal().items():
            self.by_id[id(function)] = _bound(function, kind)
        self._lists = False  # whether the functions that dispatch have wrappers, too
        self._random: dict[str, Any] = {}
        self._random_wrappers: dict[str, Any] = {}
        # module -> its functions and their wrappers, once it has been met
        self._modules: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._compiled: list[Any] = []  # modules of np.random that call NumPy from compiled code
        self._plain = ModuleType("numpy")  # what they see meanwhile

    def _find_lists(self) -> None:
        self._lists = True
        for name in HOME.keys() - self.originals.keys():
            if hasattr(np, name):
                self.originals[name] = getattr(np, name)
                self.wrappers[name] = _OfLists(self.originals[name])
                self.by_id[id(self.originals[name])] = self.wrappers[name]

    def _find_random(self) -> None:
        module = np.random
        self._random = {n: getattr(module, n) for n in dir(module) if n in RANDOM}
        for name, found in self._random.items():
            wrapper = _Class if isinstance(found, type) else _random
            self._random_wrappers[name] = wrapper(name, found)
            self.by_id[id(found)] = self._random_wrappers[name]
        # Compiled code has no frame by which its calls of np.empty could be told from the user's.
        modules = [m for n, m in sys.modules.items() if n.startswith("numpy.random.")]
        self._compiled = [m for m in modules if getattr(m, "np", None) is np]
        vars(self._plain).update({**vars(np), **self.originals})

    def __enter__(self) -> Interception:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                if not self._lists:
                    self._find_lists()
                vars(np).update(self.wrappers)
                for name in LAZY:
                    if f"numpy.{name}" not in sys.modules:
                        vars(np)[name] = _LazyModule(self, name)
                    elif name == "random":
                        self._enter_random()
                for name in (*MODULES, *OF_ARRAYS):
                    if name in sys.modules:
                        self._enter_module(name)
        return self

    def _enter_module(self, name: str) -> None:
        module = vars(sys.modules[name])
        if name not in self._modules:
            if name in OF_ARRAYS:
                room_name = name.partition(".")[2] + "."
                names = [n[len(room_name) :] for n in HOME if n.startswith(room_name)]
                originals = {n: module[n] for n in names if n in module}
                wrappers: dict[str, Any] = {n: _OfLists(f) for n, f in originals.items()}
            else:
                originals = {n: module[n] for n in MODULES[name] if n in module}
                wrappers = {n: _of_module(name, n, f) for n, f in originals.items()}
            self._modules[name] = originals, wrappers
            self.by_id.update({id(f): wrappers[n] for n, f in originals.items()})
        module.update(self._modules[name][1])

    def imported(self, name: str) -> ModuleType:
        """A module of LAZY, intercepted; its own code needs NumPy's attributes to import."""
        with self._lock:
            vars(np).update(self.originals)
            try:
                module = importlib.import_module(f"numpy.{name}")
            finally:
                vars(np).update(self.wrappers)
            if name == "random":
                self._enter_random()
            else:
                self._enter_module(f"numpy.{name}")
        return module

    def _enter_random(self) -> None:
        if not self._random:
            self._find_random()
        vars(np.random).update(self._random_wrappers)
        for module in self._compiled:
            module.np = self._plain

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                vars(np).update(self.originals)
                for name in LAZY:
                    if type(vars(np).get(name)) is _LazyModule:
                        delattr(np, name)
                if self._random:
                    vars(np.random).update(self._random)
                for name, (originals, _wrappers) in self._modules.items():
                    vars(sys.modules[name]).update(originals)
                for module in self._compiled:
                    module.np = np


class _LazyModule:
    """Stands for a module of LAZY while it is not imported: the first look imports it."""

    def __init__(self, interception: Interception, name: str) -> None:
        self._interception = interception
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if type(vars(np).get(self._name)) is _LazyModule:
            delattr(np, self._name)
        return getattr(self._interception.imported(self._name), name)


# The one process-wide object here: it stands for NumPy's module attributes, which are process-wide.
INTERCEPTION = Interception()


def rebound(t: Any, fn: Any, *, own: bool = True) -> Any:
    """The function, or a copy of it whose globals and closure give tracers and wrappers.

    own: whether arrays among the globals become captured tracers (not for NumPy's own functions).
    """
    if type(fn) is not FunctionType:
        return fn
    done = t.rebound.get(id(fn))
    if done is not None:
        return done[0]
    t.rebound[id(fn)] = (fn, fn)  # a recursive function keeps calling itself
    changes: dict[str, Any] = {}
    for name in fn.__code__.co_names:
        if name in fn.__globals__:
            value = fn.__globals__[name]
            new = _replacement(t, name, value, own)
            if own and value is np and not ARRAY_CLASSES.isdisjoint(fn.__code__.co_names):
                new = room("objects").WithClasses(t)
            if new is not value:
                changes[name] = new
        elif own and name in ("min", "max"):
            changes[name] = room("pythons").extreme(t, name)
    cells = fn.__closure__ or ()
    closure = [_cell(t, n, c, own) for n, c in zip(fn.__code__.co_freevars, cells)]
    if not changes and all(new is old for new, old in zip(closure, cells)):
        return fn
    scope = {**fn.__globals__, **changes}
    copy = FunctionType(
        fn.__code__, scope, fn.__name__, fn.__defaults__, tuple(closure) if cells else None
    )
    copy.__kwdefaults__ = fn.__kwdefaults__
    t.rebound[id(fn)] = (copy, fn)
    return copy


def _cell(t: Any, name: str, cell: CellType, own: bool) -> CellType:
    try:
        value = cell.cell_contents
    except ValueError:  # not assigned yet
        return cell
    new = _replacement(t, name, value, own)
    return cell if new is value else CellType(new)


def _replacement(t: Any, name: str, value: Any, own: bool) -> Any:
    kind = type(value)
    if kind is np.ndarray:
        if own and value.ndim and value.dtype.name in DTYPES:
            return t.capture(value, name)
        return value
    if kind is INTERCEPTION.originals["vectorize"]:
        return room("objects").vectorized(t, value)
    wrapper = INTERCEPTION.by_id.get(id(value))
    if wrapper is not None:
        return wrapper
    if kind is FunctionType:
        inner = getattr(value, "_implementation", None)
        if inner is None and (own or _numpys(value)):
            return rebound(t, value, own=own)
        return value
    if (
        own
        and kind.__module__.startswith("jitops.")
        and type(getattr(value, "eager", 0)) is FunctionType
    ):
        return rebound(t, value.eager)  # another op is part of this one
    if own and kind is ModuleType and value.__name__ == "numpy.ma":
        return room("objects").MaskedArrays()
    if own and (value is math or getattr(value, "__self__", None) is math):
        return room("pythons").replaced(t, value)
    if own:
        return t.stand_in(value)
    return NumpyModule(t, value) if kind is ModuleType else value


def _numpys(fn: FunctionType) -> bool:
    return (fn.__module__ or "").partition(".")[0] == "numpy"


class NumpyModule:
    """A module of NumPy as its own functions see it while they are traced."""

    def __init__(self, t: Any, module: ModuleType) -> None:
        self._t = t
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return _replacement(self._t, name, getattr(self._module, name), own=False)
