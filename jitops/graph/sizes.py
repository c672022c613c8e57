"""Sizes that are known only when the op runs: integer affine expressions over symbols.

A `Size` stands where an int would in a shape or an attribute: ``float32[n,128]``, ``(2n+1,)``. It
is deliberately no int: C code that wants one gets an error instead of some number. Whatever is
asked of it that has not the same answer for the whole range of its symbols goes to the symbol
(`Symbol.settle`), which may narrow its range, or refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import index
from typing import Any, TypeAlias, TypeGuard

from jitops.errors import GraphError

Extent: TypeAlias = Any  # an int, or a Size

LEAST, MOST = 2, 1 << 40  # 0 and 1 are special (empty, broadcast): they have kernels of their own
TYPICAL = 1 << 14  # stands for a size where a choice of speed, not of meaning, depends on it


class Symbol:
    """One unknown size, somewhere in ``low..high``; its name is unique in the graph."""

    __slots__ = ("high", "low", "name")

    def __init__(self, name: str, low: int = LEAST, high: int = MOST) -> None:
        self.name = name
        self.low = low
        self.high = high

    def settle(self, size: Size, test: str) -> bool:
        """Whether ``size`` is "== 0" or "< 0" (`test`), where the range leaves both possible.

        Two different expressions do not count as equal: nothing may rely on their equality.
        """
        if test == "== 0":
            return False
        raise GraphError(f"whether {size!r} {test} depends on the size")

    def refuse(self, size: Size, use: str) -> Any:
        """Raise: ``use`` needs a number."""
        raise GraphError(f"{use} needs the value of the size {size!r}")

    def number(self, size: Size) -> Any:
        """The size as a runtime number, for arithmetic that is not affine."""
        return self.refuse(size, "arithmetic")

    def check_hash(self, size: Size) -> None:
        """Called where a dict or a set hashes a size."""

    def __repr__(self) -> str:
        return f"{self.name} in {self.low}..{self.high}"


class Size:
    """``const + sum(coefficient * symbol)``, with at least one symbol; see `affine`."""

    __slots__ = ("const", "terms")

    def __init__(self, terms: Mapping[Symbol, int], const: int) -> None:
        self.terms = terms
        self.const = const

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """``isinstance(x.shape[0], int)`` holds in traced code."""
        return int

    @property
    def symbol(self) -> Symbol:
        """One of the symbols, to ask."""
        return next(iter(self.terms))

    def range(self) -> tuple[int, int]:
        """Inclusive bounds."""
        low = high = self.const
        for symbol, c in self.terms.items():
            ends = c * symbol.low, c * symbol.high
            low, high = low + min(ends), high + max(ends)
        return low, high

    def at(self, value: Callable[[Symbol], Any]) -> Any:
        """The expression with something else for each symbol."""
        total: Any = None
        for symbol, c in self.terms.items():
            term = value(symbol) if c == 1 else value(symbol) * c
            total = term if total is None else total + term
        return total + self.const if self.const else total

    def _plus(self, other: Any, sign: int) -> Any:
        if is_open(other):
            terms = dict(self.terms)
            for symbol, c in other.terms.items():
                terms[symbol] = terms.get(symbol, 0) + sign * c
            return affine(terms, self.const + sign * other.const)
        if type(other) is int or type(other) is bool:
            return affine(self.terms, self.const + sign * other)
        return self._number(other, "add" if sign > 0 else "sub")

    def __add__(self, other: Any) -> Any:
        return self._plus(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._plus(other, -1)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __neg__(self) -> Any:
        return self * -1

    def __pos__(self) -> Size:
        return self

    def __abs__(self) -> Any:
        return -self if self < 0 else self

    def __mul__(self, other: Any) -> Any:
        if type(other) is int or type(other) is bool:
            return affine({s: c * other for s, c in self.terms.items()}, self.const * other)
        if is_open(other):
            return self.symbol.refuse(self, f"the product with {other!r}")
        return self._number(other, "mul")

    __rmul__ = __mul__

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    def __floordiv__(self, other: Any) -> Any:
        quotient = _quotient(self, other)
        return self.symbol.refuse(self, f"// {other!r}") if quotient is None else quotient

    def __mod__(self, other: Any) -> Any:
        return self.symbol.refuse(self, f"% {other!r}") if _quotient(self, other) is None else 0

    def _number(self, other: Any, op: str) -> Any:
        """Arithmetic with floats and runtime numbers is the runtime's; arrays do their own."""
        if isinstance(other, (int, float, complex)):
            return _OPERATORS[op](self.symbol.number(self), other)
        return NotImplemented

    def __truediv__(self, other: Any) -> Any:
        if is_open(other):
            other = other.symbol.number(other)
        return self._number(other, "div")

    def __rtruediv__(self, other: Any) -> Any:
        number = self.symbol.number(self)
        return other / number if isinstance(other, (int, float)) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return _decide(self, other, "== 0")

    def __ne__(self, other: object) -> bool:
        return not _decide(self, other, "== 0")

    def __lt__(self, other: Any) -> bool:
        return _decide(self, other, "< 0")

    def __ge__(self, other: Any) -> bool:
        return not _decide(self, other, "< 0")

    def __gt__(self, other: Any) -> bool:
        return _decide(self, other, "> 0")

    def __le__(self, other: Any) -> bool:
        return not _decide(self, other, "> 0")

    def __bool__(self) -> bool:
        return not _decide(self, 0, "== 0")

    def __hash__(self) -> int:
        self.symbol.check_hash(self)
        return hash((self.const, frozenset((s.name, c) for s, c in self.terms.items())))

    def __index__(self) -> int:
        return int(self.symbol.refuse(self, "a Python int (range(), len(), an index)"))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"'int' object has no attribute {name!r}")
        return self.symbol.refuse(self, name)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        numbers = [x.symbol.number(x) if is_open(x) else x for x in inputs]
        return getattr(ufunc, method)(*numbers, **kwargs)

    def __repr__(self) -> str:
        parts = [(c, s.name) for s, c in sorted(self.terms.items(), key=lambda item: item[0].name)]
        if self.const:
            parts.append((self.const, ""))
        text = "".join(f"{c:+d}{name}" for c, name in parts)
        return re.sub(r"([+-])1(?=[a-z])", r"\1", text).removeprefix("+")

    def __str__(self) -> str:
        return str(self.symbol.refuse(self, "its text"))

    def __format__(self, spec: str) -> str:
        return str(self)


def _needs_value(name: str) -> Any:
    return lambda self, *_: self.symbol.refuse(self, name)


for _name in (
    "int", "float", "complex", "round", "trunc", "floor", "ceil", "invert", "pow", "rpow",
    "rfloordiv", "rmod", "rdivmod", "and", "rand", "or", "ror", "xor", "rxor", "lshift", "rlshift",
    "rshift", "rrshift", "array", "reduce_ex",
):  # fmt: skip
    setattr(Size, f"__{_name}__", _needs_value(_name))

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
}


def is_open(extent: object) -> TypeGuard[Size]:
    """Whether this is a `Size` (`isinstance` would ask the class it poses as)."""
    return type(extent) is Size


def as_extent(n: Any) -> Extent:
    """An int or a `Size` of what stands for one in a shape. TypeError for what is no integer."""
    if type(n) is bool:
        raise TypeError("an integer is required in a shape, not a bool")
    return n if is_open(n) else index(n)


def affine(terms: Mapping[Symbol, int], const: int) -> Extent:
    """The expression; an int where no symbol is left."""
    terms = {s: c for s, c in terms.items() if c}
    return Size(terms, const) if terms else const


def _decide(size: Size, other: Any, test: str) -> bool:
    """Whether ``size - other`` is "== 0", "< 0" or "> 0"."""
    if type(other) not in (int, bool, Size):
        if test == "== 0" and (other is None or isinstance(other, (str, tuple, list))):
            return False
        return bool(size.symbol.refuse(size, f"the comparison with {other!r}"))
    difference = size - other if test != "> 0" else other - size
    if type(difference) is int:
        return difference == 0 if test == "== 0" else difference < 0
    low, high = difference.range()
    if test == "== 0":
        possible, certain = low <= 0 <= high, False
    else:
        possible, certain = low < 0, high < 0
    if certain or not possible:
        return certain
    return bool(difference.symbol.settle(difference, "== 0" if test == "== 0" else "< 0"))


def _quotient(size: Size, divisor: Any) -> Extent | None:
    """The exact quotient, if it is one for all values."""
    if type(divisor) is int and divisor:
        if size.const % divisor or any(c % divisor for c in size.terms.values()):
            return None
        terms = {s: c // divisor for s, c in size.terms.items()}
        return affine(terms, size.const // divisor)
    if is_open(divisor):
        factor, rest = divmod(size.terms[size.symbol], divisor.terms.get(size.symbol, 0) or 1)
        if not rest and type(size - divisor * factor) is int and size - divisor * factor == 0:
            return factor
    return None


def divisible(extent: Extent, divisor: int) -> bool:
    """Whether every value is a multiple of the divisor."""
    if is_open(extent):
        return _quotient(extent, divisor) is not None
    return bool(extent % divisor == 0)


def most(extent: Extent) -> int:
    """The largest value."""
    return extent.range()[1] if is_open(extent) else int(extent)


def typical(extent: Extent) -> int:
    """A likely value: for choices of speed that are right either way."""
    if not is_open(extent):
        return int(extent)
    return int(extent.at(lambda s: min(max(TYPICAL, s.low), s.high)))


def planned(extent: Extent, names: Sequence[str]) -> Any:
    """As a launch plan has it: an int, or [constant, [number of the size, factor], ...]."""
    if not is_open(extent):
        return extent
    return [extent.const, *([names.index(s.name), c] for s, c in extent.terms.items())]


def text_of(extent: Extent) -> int | str:
    """An int, or the text of a `Size`, for JSON."""
    return repr(extent) if is_open(extent) else int(extent)


_TERM = re.compile(r"([+-]?)(?:(\d*)([a-z]\w*)|(\d+))")


def read_extent(text: int | str, symbols: Mapping[str, Symbol]) -> Extent:
    """What `text_of` wrote. GraphError for anything else."""
    if type(text) is int:
        return text
    text, place, total = str(text), 0, 0
    while place < len(text) or not text:
        found = _TERM.match(text, place)
        if found is None or (found[3] and found[3] not in symbols) or (place and not found[1]):
            raise GraphError("not a size", found=repr(text), accepted="an int, or such as 2n+1")
        value = int(found[4] or found[2] or 1) * (-1 if found[1] == "-" else 1)
        total = total + (affine({symbols[found[3]]: value}, 0) if found[3] else value)
        place = found.end()
    return total


def symbols_in(shapes: Iterable[Iterable[Any]]) -> list[Symbol]:
    """The symbols of these shapes, in order of appearance."""
    found: dict[Symbol, None] = {}
    for shape in shapes:
        for extent in shape:
            if is_open(extent):
                found.update(dict.fromkeys(extent.terms))
    return list(found)
