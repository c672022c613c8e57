"""NumPy's namespace and arrays, both run by jitops: `x + y` and `x[i] = v` are ops as well.

`xp` is the namespace of `compiled_numpy` with results of the class `Array`, an ndarray whose
operators and indexing run strictly in jitops. Reading one element is NumPy's: suites do that for
each element that they check.
"""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Callable
from typing import Any

import compiled_numpy
import numpy

__all__ = ["Array", "xp"]

BINARY = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift"
COMPARISONS = "lt le gt ge eq ne"
UNARY = "neg pos invert abs"


class Array(numpy.ndarray):
    """An array that computes in jitops."""

    def __getitem__(self, key: Any) -> Any:
        if all(type(k) is int for k in (key if type(key) is tuple else (key,))):
            return arrays(super().__getitem__(key)) if self.ndim > 1 else super().__getitem__(key)
        return compiled(operator.getitem, self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        compiled(set_item, self, key, value)

    def __repr__(self) -> str:
        return repr(plain(self))


def set_item(x: Any, key: Any, value: Any) -> Any:
    x[key] = value
    return x


def plain(x: Any) -> Any:
    """The value with plain arrays in it."""
    if type(x) is Array:
        return x.view(numpy.ndarray)
    if type(x) in (tuple, list):
        return type(x)(map(plain, x))
    if type(x) is dict:
        return {name: plain(item) for name, item in x.items()}
    return x


def arrays(x: Any) -> Any:
    """The value with arrays of this class in it."""
    if type(x) is numpy.ndarray:
        return x.view(Array)
    if type(x) in (tuple, list):
        return type(x)(map(arrays, x))
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(arrays, x))
    return x


def compiled(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return arrays(compiled_numpy.run(function, plain(args), plain(kwargs)))


def method(
    name: str, function: Callable[..., Any], *, reflected: bool = False
) -> Callable[..., Any]:
    """A special method of `Array` by a function of `operator`, with the signature of ndarray's."""

    def run(self: Array, *others: Any) -> Any:
        if any(isinstance(other, (str, bytes)) or other is None for other in others):
            return NotImplemented
        args = (*others, self) if reflected else (self, *others)
        found = compiled(function, *args)
        return self if name.startswith("__i") and name != "__invert__" else found

    return functools.wraps(getattr(numpy.ndarray, name))(run)


def special_methods() -> None:
    for short in (BINARY + " " + COMPARISONS + " " + UNARY).split():
        bare = short.rstrip("_")
        setattr(Array, f"__{bare}__", method(f"__{bare}__", getattr(operator, short)))
    for short in BINARY.split():
        bare = short.rstrip("_")
        right, inplace = f"__r{bare}__", f"__i{bare}__"
        setattr(Array, right, method(right, getattr(operator, short), reflected=True))
        setattr(Array, inplace, method(inplace, getattr(operator, f"i{bare}")))


special_methods()


class Giving:
    """A function of the compiled namespace whose results are of the class `Array`."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return arrays(self.function(*plain(args), **plain(kwargs)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __repr__(self) -> str:
        return repr(self.function)


def namespace(module: Any) -> types.ModuleType:
    """The compiled namespace, and those in it, with functions that give `Array`."""
    found = types.ModuleType(module.__name__)
    for name in dir(module):
        value = getattr(module, name)
        if isinstance(value, compiled_numpy.Namespace):
            value = namespace(value)
        elif callable(value) and not isinstance(value, type):
            value = Giving(value)
        setattr(found, name, value)
    return found


xp = namespace(compiled_numpy.np)
