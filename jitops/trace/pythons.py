"""Python's own functions of numbers, traced: those of `math`, ``min`` and ``max``.

A function of the `math` module of a traced number is the ufunc of the same meaning over float64;
its result leaves the op as a Python number. What the module raises, the call raises.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.trace.promotion import result_dtype
from jitops.trace.raising import unsupported
from jitops.trace.recorder import FLOAT64, INT64
from jitops.trace.tracer import Tracer
from jitops.trace.weak import KERNEL_DTYPES, Weak, narrowed

DOMAIN, RANGE = "math domain", "math range"
NUMBERS = (bool, int, float)

# Functions of `math` by the name of their ufunc or primitive, and the error of an infinite result
# of finite arguments, if it is one.
FUNCTIONS: dict[str, tuple[str, str]] = {
    **{name: (name, "") for name in ("sqrt", "sin", "cos", "tan", "tanh", "cbrt", "fmod")},
    **{name: (name, "") for name in ("fabs", "copysign", "degrees", "radians", "erf", "erfc")},
    **{name: (name, DOMAIN) for name in ("log", "log2", "log10", "log1p")},
    **{name: (name, RANGE) for name in ("exp", "exp2", "expm1", "sinh", "cosh")},
    **{name: (f"arc{name[1:]}", "") for name in ("asin", "acos", "atan", "asinh", "acosh")},
    "atan2": ("arctan2", ""),
    "atanh": ("arctanh", DOMAIN),
    "hypot": ("hypot", ""),
    "lgamma": ("lgamma", RANGE),
    "pow": ("power", RANGE),
}
TESTS = ("isnan", "isinf", "isfinite")
ROUNDINGS = ("floor", "ceil", "trunc")


def is_traced(x: Any) -> bool:
    """Whether the value is known only when the op runs."""
    return type(x) is Weak or (type(x) is Tracer and x.known() is None)


def _number(t: Any, name: str, x: Any) -> Tracer:
    """An argument of a function of `math` as a float64 scalar."""
    if type(x) is Tracer and x.shape:
        way_out = f"Use np.{name}." if hasattr(np, name) else ""
        raise unsupported(f"math.{name} of a traced {x.type}", way_out, accepted="one number")
    if (x.pytype is complex) if type(x) is Weak else np.iscomplexobj(x):
        raise TypeError("must be real number, not complex")
    return t.wrap(t.atom(x, FLOAT64), scalar=True)  # type: ignore[no-any-return]


def _ufunc(t: Any, name: str, operands: Sequence[Tracer]) -> Atom:
    ufunc = getattr(np, name, None)
    if ufunc is None:  # erf, erfc, lgamma
        return t.emit(name, *(x.read() for x in operands))  # type: ignore[no-any-return]
    return ufunc(*operands).read()  # type: ignore[no-any-return]


def _function(t: Any, name: str, *args: Any) -> Any:
    """One function of the table; log with a base is a quotient, as in Python."""
    if name == "log" and len(args) == 2:
        return _function(t, "log", args[0]) / _function(t, "log", args[1])
    ufunc, infinite = FUNCTIONS[name]
    operands = [_number(t, name, x) for x in args]
    result = _ufunc(t, ufunc, operands)
    given = [x.read() for x in operands]
    finite = functools.reduce(t.and_, map(t.isfinite, given))
    missing = functools.reduce(t.or_, map(t.isnan, given))
    poles = t.isinf(result)
    result = t.checked(result, t.and_(t.isnan(result), t.invert(missing)), DOMAIN)
    if name in ("pow", "lgamma"):  # the others have poles, or overflow, but not both
        pole = t.eq(given[0], 0) if name == "pow" else t.le(given[0], 0)
        result = t.checked(result, t.and_(poles, t.and_(finite, pole)), DOMAIN)
    if infinite:
        result = t.checked(result, t.and_(poles, finite), infinite)
    return Weak(t, result, float)


def _test(t: Any, name: str, x: Any) -> Any:
    found = t.wrap(t.emit(name, _number(t, name, x).read()), scalar=True)
    found.number = True
    return found


def _rounding(t: Any, name: str, x: Any) -> Any:
    """A Python int; infinities, NaN and what int64 does not hold raise."""
    value = _ufunc(t, name, [_number(t, name, x)])
    result = t.checked(value, t.isnan(value), "NaN as int")
    result = t.checked(result, t.isinf(value), "infinity as int")
    result = t.checked(result, t.ge(t.abs(value), 2.0**63), "wide int")
    return Weak(t, t.cast(result, INT64), int)


def _of_math(t: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    name = original.__name__
    rule = _function
    if name in (*TESTS, *ROUNDINGS):
        rule = _test if name in TESTS else _rounding

    @functools.wraps(original)
    def run(*args: Any) -> Any:
        plain = not any(map(is_traced, args)) or (name == "hypot" and len(args) != 2)
        return original(*args) if plain else rule(t, name, *args)

    return run


class MathModule:
    """The module `math` as the traced function sees it."""

    def __init__(self, t: Any) -> None:
        self._t = t

    def __getattr__(self, name: str) -> Any:
        return replaced(self._t, getattr(math, name))


def replaced(t: Any, value: Any) -> Any:
    """The module `math`, or a function of it, as traced functions see them; all else unchanged."""
    if isinstance(value, ModuleType):
        return MathModule(t) if value is math else value
    if getattr(value, "__self__", None) is not math:
        return value
    known = value.__name__ in FUNCTIONS or value.__name__ in (*TESTS, *ROUNDINGS)
    return _of_math(t, value) if known else value


# --- min and max ---


def extreme(t: Any, name: str) -> Callable[..., Any]:
    """``min`` or ``max``; of traced numbers a choice in the compiled code."""
    original = getattr(builtins, name)

    @functools.wraps(original)
    def run(*args: Any, **kwargs: Any) -> Any:
        items = args
        if len(args) == 1 and type(args[0]) in (tuple, list):
            items = tuple(args[0])
        if kwargs or not any(map(is_traced, items)) or not all(map(_is_scalar, items)):
            return original(*args, **kwargs)
        return functools.reduce(functools.partial(_chosen, t, name), items)

    return run


def _is_scalar(x: Any) -> bool:
    if type(x) is Tracer:
        return x.scalar and x.dtype.kind in "iuf"
    if type(x) is Weak:
        return x.pytype is not complex
    return type(x) in NUMBERS


def _chosen(t: Any, name: str, a: Any, b: Any) -> Any:
    """Python's rule: the second where it is the smaller (the greater), and else the first.

    An int beside a float is a float here, because a result's type can't depend on values.
    """
    operands = [t.operand(x) for x in (a, b)]
    dtype = result_dtype(operands)
    first, second = (t.atom(x, dtype) for x in operands)
    better = t.lt(second, first) if name == "min" else t.gt(second, first)
    atom = t.select(better, second, first)
    if any(type(x) is Tracer for x in operands):
        return t.wrap(atom, scalar=True)
    pytype = next(p for p, d in KERNEL_DTYPES.items() if d == dtype)
    if pytype is not int:
        return Weak(t, atom, pytype)
    pick = getattr(builtins, name)
    lows, highs = zip(*(narrowed(x) if type(x) is Weak else (x, x) for x in operands))
    leaves = frozenset[int]().union(*(x.leaves for x in operands if type(x) is Weak))
    return Weak(t, atom, int, leaves, (pick(lows), pick(highs)))
