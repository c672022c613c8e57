"""Python numbers as runtime arguments, with Python's arithmetic and weak promotion (NEP 50).

A runtime int is an int64 in the kernel. Each carries the interval it lies in, so that nothing
overflows unseen: what could leave int64, or needs a real int (a shape, an axis, a branch), asks
for a retrace with the value static.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.graph.graph import Atom, Literal
from jitops.trace.deciding import deciders
from jitops.trace.raising import NeedsStatic, branch

KERNEL_DTYPES = {
    int: np.dtype("int64"),
    float: np.dtype("float64"),
    complex: np.dtype("complex128"),
}
INT64_RANGE = (-(2**63), 2**63 - 1)
DERIVED_RANGE = (-(2**31), 2**31 - 1)  # of an int argument that the function computes with
Interval = tuple[int, int]


class Weak:
    """A Python int, float or complex whose value is known only when the op runs.

    pytype: its Python type.  leaves: of an int, the int arguments it depends on.  interval: where
    an int lies.
    """

    __slots__ = ("atom", "interval", "leaves", "name", "pytype", "session", "value")

    __array_priority__ = 1000.0

    def __init__(
        self,
        trace: Any,
        atom: Atom,
        pytype: type,
        leaves: frozenset[int] = frozenset(),
        interval: Interval = INT64_RANGE,
        name: str = "",
        value: Any = None,
    ) -> None:
        self.session = trace
        self.atom = atom
        self.pytype = pytype
        self.leaves = leaves
        self.interval = interval
        self.name = name
        self.value = value  # the argument's value in this call; never used in the graph

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """``isinstance(x, float)`` holds in traced code."""
        return self.pytype

    def static(self, use: str) -> Any:
        """Raise: a retrace where int arguments decide the value, an error for the others."""
        leaves = self.leaves or deciders(self.session, self.atom)
        if leaves:
            raise NeedsStatic(leaves)
        what, argument = f"Python {self.pytype.__name__}", self.session.argument_of(self)
        raise branch(what if argument else f"{what} {self.name}".rstrip(), use, argument=argument)

    @property
    def real(self) -> Any:
        if self.pytype is complex:
            return Weak(self.session, self.session.emit("real", self.atom), float)
        return self

    @property
    def imag(self) -> Any:
        if self.pytype is complex:
            return Weak(self.session, self.session.emit("imag", self.atom), float)
        return self.pytype(0)

    def conjugate(self) -> Any:
        """The complex conjugate; a real number itself."""
        if self.pytype is complex:
            f = self.session
            conj = f.emit("complex", f.emit("real", self.atom), f.emit("neg", f.imag(self.atom)))
            return Weak(f, conj, complex)
        return self

    def is_integer(self) -> Any:
        """Needs the value."""
        return self.static("is_integer()")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return self.session.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.session.function(func, args, kwargs)

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.static("a real array")

    def __hash__(self) -> int:
        return hash(self.static("a hash (a key of a dict, a member of a set)"))

    def __bool__(self) -> bool:
        return bool(self.static("Python control flow (if, while, and, or, not, bool())"))

    def __index__(self) -> int:
        if self.pytype is not int:
            raise TypeError(f"'{self.pytype.__name__}' object cannot be interpreted as an integer")
        return int(self.static("an index"))

    def __int__(self) -> int:
        return int(self.static("int()"))

    def __float__(self) -> float:
        return float(self.static("float() (or a function of the math module)"))

    def __complex__(self) -> complex:
        return complex(self.static("complex()"))

    def __round__(self, ndigits: Any = None) -> Any:
        if self.pytype is int and ndigits is None:
            return self
        return self.static("round()")

    def __repr__(self) -> str:
        return f"runtime {self.pytype.__name__} {self.name}".strip()

    def __format__(self, spec: str) -> str:
        return repr(self)


def narrowed(x: Weak) -> Interval:
    """The interval of an int operand of arithmetic; an argument's is narrowed on first use."""
    if x.interval == INT64_RANGE and x.leaves:
        lo, hi = DERIVED_RANGE
        if not lo <= x.value <= hi:
            raise NeedsStatic(x.leaves)
        x.session.limit(x.atom, lo, hi)
        x.interval = DERIVED_RANGE
    return x.interval


def _corners(op: Callable[[int, int], int], a: Interval, b: Interval) -> Interval:
    values = [op(x, y) for x in a for y in b]
    return min(values), max(values)


def _number(x: Any) -> bool:
    return type(x) is Weak or type(x) in (bool, int, float, complex)


def _leaves(*operands: Any) -> frozenset[int]:
    return frozenset().union(*(x.leaves for x in operands if type(x) is Weak))


def _pytype(x: Any) -> type:
    if type(x) is Weak:
        return x.pytype
    return int if type(x) is bool else type(x)


def as_atom(f: Any, x: Any, pytype: type) -> Atom:
    """A weak or static Python number as an atom of a Python type's kernel dtype."""
    dtype = KERNEL_DTYPES[pytype]
    return f.cast(x.atom, dtype) if type(x) is Weak else Literal(x, dtype)


INT_RULES: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}


def _int_arithmetic(f: Any, op: str, a: Any, b: Any) -> Any:
    leaves = _leaves(a, b)
    bounds = [narrowed(x) if type(x) is Weak else (int(x), int(x)) for x in (a, b)]
    if op in INT_RULES:
        interval = _corners(INT_RULES[op], *bounds)
    elif op in ("floordiv", "mod") and type(b) is not Weak and int(b) != 0:
        limit = max(map(abs, bounds[0])) if op == "floordiv" else abs(int(b))
        interval = (-limit, limit)
    elif leaves:
        raise NeedsStatic(leaves)
    elif op == "pow":
        return (a if type(a) is Weak else b).static("a power of ints")
    else:
        interval = INT64_RANGE
    if interval[0] < INT64_RANGE[0] or interval[1] > INT64_RANGE[1]:
        if leaves:
            raise NeedsStatic(leaves)
        interval = INT64_RANGE  # what a loop carries is an int64, and wraps as NumPy's do
    out = f.emit(op, as_atom(f, a, int), as_atom(f, b, int))
    return Weak(f, out, int, leaves, interval)


def _arithmetic(op: str, a: Any, b: Any) -> Any:
    if not (_number(a) and _number(b)):
        return NotImplemented
    f = (a if type(a) is Weak else b).session
    pytype = max(_pytype(a), _pytype(b), key=[int, float, complex].index)
    if pytype is int and op != "div":
        return _int_arithmetic(f, op, a, b)
    if pytype is int:
        pytype = float
    if pytype is complex and op in ("floordiv", "mod", "pow"):
        return (a if type(a) is Weak else b).static(f"complex {op}")
    out = f.emit(op, as_atom(f, a, pytype), as_atom(f, b, pytype))
    return Weak(f, out, pytype)


def _operator(op: str) -> tuple[Any, Any]:
    def forward(self: Weak, other: Any) -> Any:
        return _arithmetic(op, self, other)

    def reflected(self: Weak, other: Any) -> Any:
        return _arithmetic(op, other, self)

    return forward, reflected


def _comparison(op: str) -> Any:
    def run(self: Weak, other: Any) -> Any:
        if not _number(other):
            return NotImplemented
        f = self.session
        pytype = max(_pytype(self), _pytype(other), key=[int, float, complex].index)
        out = f.emit(op, as_atom(f, self, pytype), as_atom(f, other, pytype))
        return f.wrap(out, scalar=True)

    return run


def _negate(self: Weak) -> Weak:
    interval = INT64_RANGE
    if self.pytype is int:
        lo, hi = narrowed(self)
        interval = (-hi, -lo)
    return Weak(
        self.session, self.session.emit("neg", self.atom), self.pytype, self.leaves, interval
    )


def _absolute(self: Weak) -> Weak:
    interval, pytype = INT64_RANGE, self.pytype
    if pytype is int:
        lo, hi = narrowed(self)
        interval = (0, max(abs(lo), abs(hi)))
    f = self.session
    if pytype is complex:
        out = f.hypot(f.real(self.atom), f.imag(self.atom))
        return Weak(f, out, float)
    return Weak(f, f.emit("abs", self.atom), pytype, self.leaves, interval)


def _needs_value(name: str) -> Any:
    return lambda self, *_: self.static(name)


def _install(cls: Any) -> None:
    names = {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div"}
    names.update({"floordiv": "floordiv", "mod": "mod", "pow": "pow"})
    for name, op in names.items():
        forward, reflected = _operator(op)
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", reflected)
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(cls, f"__{op}__", _comparison(op))
    for name in ("and", "or", "xor", "lshift", "rshift"):
        setattr(cls, f"__{name}__", _static_operator(name))
        setattr(cls, f"__r{name}__", _static_operator(name))
    for name in ("invert", "trunc", "floor", "ceil"):
        setattr(cls, f"__{name}__", _needs_value(name))
    cls.__neg__ = _negate
    cls.__pos__ = lambda self: self
    cls.__abs__ = _absolute
    cls.__divmod__ = lambda self, other: (self // other, self % other)
    cls.__rdivmod__ = lambda self, other: (other // self, other % self)


def _static_operator(name: str) -> Any:
    def run(self: Weak, other: Any) -> Any:
        return self.static(name) if _number(other) else NotImplemented

    return run


_install(Weak)
