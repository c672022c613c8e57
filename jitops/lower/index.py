"""Index arithmetic: affine expressions over loop variables, simplified while they are built.

Every index is a sum of integer multiples of atoms (loop variables, or values such as a quotient
that is not itself affine). Knowing each atom's range, reshapes of whole axes divide out exactly, so
that a reshaped or transposed read still has visible strides: the scheduler merges axes by them and
LLVM vectorises along the unit one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tvm import tirx

from jitops.graph.sizes import Extent as Extent
from jitops.graph.sizes import Size, Symbol
from jitops.graph.sizes import divisible as divisible  # for the scheduler too: it knows no graph
from jitops.graph.sizes import is_open as is_open
from jitops.graph.sizes import most as most
from jitops.graph.sizes import typical as typical
from jitops.graph.types import Shape, strides_of
from jitops.lower.scalar import Body, Expr


class Atom:
    """An integer value in ``[low, high]``: a loop variable or an opaque sub-expression.

    ``whole``: of a remainder, the divided value, the atom of the quotient, and the divisor.
    """

    __slots__ = ("expr", "low", "high", "whole")

    def __init__(self, expr: Expr, low: int, high: int) -> None:
        self.expr = expr
        self.low = low
        self.high = high
        self.whole: tuple[Affine, Atom, int] | None = None


class SizeVariable(Symbol):
    """An open size, or a value computed from one, as the TIR variable that holds it."""

    __slots__ = ("expr",)

    def __init__(self, name: str, low: int, high: int, expr: Expr = None) -> None:
        super().__init__(name, low, high)
        self.expr = tirx.Var(name, "int64") if expr is None else expr


def loop_variable(name: str, extent: Extent) -> Atom:
    """An int64 loop variable over ``[0, extent)``."""
    return Atom(tirx.Var(name, "int64"), 0, max(most(extent) - 1, 0))


def int64(value: Extent) -> Expr:
    if is_open(value):
        return value.at(lambda symbol: symbol.expr)  # type: ignore[attr-defined]
    return tirx.IntImm("int64", value)


def ceil_div(extent: Extent, divisor: int, body: Body) -> Extent:
    """``ceil(extent / divisor)``; of an open extent, a size of its own."""
    if not is_open(extent):
        return -(-extent // divisor)
    parts = int64(extent + (divisor - 1))
    low, high = extent.range()
    expr = body.let(tirx.Div(parts, int64(divisor)), "parts")
    return Size({SizeVariable("parts", -(-low // divisor), -(-high // divisor), expr): 1}, 0)


class Affine:
    """``const + sum(coefficient * atom)``."""

    __slots__ = ("terms", "const", "_key")

    def __init__(self, terms: Mapping[Atom, int], const: int = 0) -> None:
        self.terms = {a: c for a, c in terms.items() if c and (a.low, a.high) != (0, 0)}
        self.const = const
        self._key: tuple[object, ...] | None = None

    @staticmethod
    def of(atom: Atom) -> Affine:
        return Affine({atom: 1})

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.terms, self.const + other)
        terms = dict(self.terms)
        for atom, c in other.terms.items():
            terms[atom] = terms.get(atom, 0) + c
        return Affine(terms, self.const + other.const)

    def __mul__(self, factor: int) -> Affine:
        return Affine({a: c * factor for a, c in self.terms.items()}, self.const * factor)

    def key(self) -> tuple[object, ...]:
        """Equal keys mean equal values at every iteration."""
        if self._key is None:
            self._key = (self.const, frozenset(self.terms.items()))
        return self._key

    def range(self) -> tuple[int, int]:
        """Inclusive bounds."""
        low = high = self.const
        for atom, c in self.terms.items():
            ends = (c * atom.low, c * atom.high)
            low, high = low + min(ends), high + max(ends)
        return low, high

    def expr(self) -> Expr:
        """The TIR expression, int64."""
        total = None
        for atom, c in self.terms.items():
            term = atom.expr if c == 1 else atom.expr * int64(c)
            total = term if total is None else total + term
        if total is None:
            return int64(self.const)
        return total + int64(self.const) if self.const else total

    def joined(self) -> Affine:
        """The same, with quotients and remainders put together where they add up."""
        for rest, c in self.terms.items():
            if rest.whole is not None:
                value, quotient, divisor = rest.whole
                if self.terms.get(quotient) == c * divisor:
                    terms = {a: n for a, n in self.terms.items() if a not in (rest, quotient)}
                    return (Affine(terms, self.const) + value * c).joined()
        return self

    def split(self, divisor: int, body: Body) -> tuple[Affine, Affine]:
        """Quotient and remainder by a positive constant, for a value that is never negative."""
        if divisor == 1:
            return self, Affine({})
        whole = {a: c for a, c in self.terms.items() if c % divisor == 0}
        rest = Affine({a: c for a, c in self.terms.items() if c % divisor}, self.const % divisor)
        quotient = Affine({a: c // divisor for a, c in whole.items()}, self.const // divisor)
        low, high = rest.range()
        if low >= 0 and high < divisor:
            return quotient, rest

        def divide() -> tuple[Affine, Affine]:
            value = body.let(self.expr(), "at")
            top = self.range()[1]
            whole = Atom(body.let(tirx.Div(value, int64(divisor)), "at"), 0, top // divisor)
            rest = Atom(body.let(tirx.Mod(value, int64(divisor)), "at"), 0, divisor - 1)
            rest.whole = self, whole, divisor
            return Affine.of(whole), Affine.of(rest)

        # Equal divisions must give the same atoms, or equal indices would not look equal.
        quotient, rest = body.once(("split", self.key(), divisor), divide)
        return quotient, rest


def opaque(expr: Expr, low: int, high: int) -> Affine:
    """A computed int64 value, such as an element of an index array, with known bounds."""
    return Affine.of(Atom(expr, low, high))


Index = tuple[Affine, ...]


def flatten(index: Index, strides: Sequence[int]) -> Affine:
    """The offset of a multi-dimensional index, in elements."""
    total = Affine({})
    for component, stride in zip(index, strides):
        total = total + component * stride
    return total.joined()


def unflatten(offset: Affine, shape: Shape, body: Body) -> Index:
    """The multi-dimensional index of a C-order offset."""
    index = []
    for extent, stride in zip(shape, strides_of(shape)):
        if extent == 1:
            index.append(Affine({}))
            continue
        component, offset = offset.split(stride, body)
        index.append(component)
    return tuple(index)


def key_of(index: Index) -> tuple[object, ...]:
    return tuple([component.key() for component in index])


def domain_index(domain: Shape) -> Index:
    """Fresh loop variables for every axis."""
    return tuple(Affine.of(loop_variable(f"i{n}", extent)) for n, extent in enumerate(domain))
