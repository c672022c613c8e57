"""The tracer: stands for an ndarray (or a NumPy scalar) while a function is traced.

An array lives in a `Cell`, whose content changes when the function writes to it; a tracer is the
whole cell or a view of another tracer, reads its present content and writes through. An array
whose value is known while tracing (made by `np.arange(3)` or alike) keeps that value, so that
Python may branch on it and index with it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any

import numpy as np

from jitops.graph.graph import Atom, Var
from jitops.graph.types import ArrayType, strides_of
from jitops.trace.deciding import deciders
from jitops.trace.raising import NeedsStatic, branch, misfit, unsupported
from jitops.trace.views import Broadcast, Part, Reshape, Slice, Transpose, View, reshaped_strides

MAX_AXES = 64  # NumPy's
KNOWN_LIMIT = 4096  # elements: larger arrays are computed by the op, not while tracing


class Cell:
    """The memory of one array: an atom, or a value known while tracing, or a recipe for the atom.

    name: the argument's or global's name, for messages.  origin: "fresh", "leaf" or "captured".
    strides: in bytes, when NumPy's array would not be in C order.  version: counts the writes.
    scope: the body of control flow that made it (`jitops.trace.scope`); None: the function itself.
    """

    __slots__ = ("atom", "known", "name", "origin", "recipe", "scope", "strides", "version")

    def __init__(
        self,
        atom: Atom | None = None,
        *,
        known: Any = None,
        recipe: Callable[[], Atom] | None = None,
        origin: str = "fresh",
        name: str = "",
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self.atom = atom
        self.known = known
        self.recipe = recipe
        self.origin = origin
        self.name = name
        self.strides = strides
        self.version = 0
        self.scope: Any = None

    def touched(self) -> None:
        """Refuse a write to a captured array; count the others."""
        if self.origin == "captured":
            raise unsupported(
                f"cannot write to {self.name or 'an array'} that the function does not own",
                "Pass the array as an argument, or write to a copy of it.",
                found="an array captured from outside the function",
                accepted="arguments and arrays made inside",
            )
        self.version += 1
        self.recipe = None


class Tracer:
    """An array (or NumPy scalar) of the traced function; made by the trace only."""

    __slots__ = (
        "_atom",
        "_version",
        "cell",
        "lens",
        "number",
        "parent",
        "scalar",
        "session",
        "type",
    )

    __array_priority__ = 1000.0

    def __init__(
        self,
        trace: Any,
        type: ArrayType,
        cell: Cell,
        *,
        scalar: bool = False,
        parent: Tracer | None = None,
        view: View | None = None,
    ) -> None:
        if len(type.shape) > MAX_AXES:
            raise ValueError(
                f"maximum supported dimension for an ndarray is currently {MAX_AXES},"
                f" found {len(type.shape)}"
            )
        self.session = trace
        self.type = type
        self.cell = cell
        self.scalar = scalar
        self.number = False  # a scalar that leaves the op as Python's own number
        self.parent = parent
        self.lens = view
        self._atom: Atom | None = None
        self._version = -1
        if cell.origin == "fresh" and parent is None and view is None and trace.scope is not None:
            cell.scope = cell.scope or trace.scope  # what is captured is of the whole trace

    # --- content --------------------------------------------------------------------------------

    def known(self) -> Any:
        """The value, where it is known while tracing, or None."""
        if self.parent is None:
            return self.cell.known
        if self.cell.known is None or self.lens is None:
            return None
        base = self.parent.known()
        return None if base is None else self.lens.of(base)

    def read(self) -> Atom:
        """The present content, as an atom."""
        cell = self.cell
        if cell.scope is not None and cell.scope.done:
            raise unsupported(
                f"a traced {self.type} was kept from the body of a loop or a branch",
                "Return it from the body: nothing else leaves it.",
            )
        if self.parent is None and cell.atom is not None:
            return cell.atom
        if self._version != cell.version or self._atom is None:
            self._atom = self._compute()
            self._version = cell.version
            if self.session.scope is not None:
                self.session.scope.caches.append(self)
        return self._atom

    def forget(self, atoms: Container[Atom]) -> None:
        """Drop a cached content that is one of these atoms."""
        if self._atom in atoms:
            self._atom, self._version = None, -1
        if self.cell.recipe is not None and self.cell.atom in atoms:
            self.cell.atom = None

    def _compute(self) -> Atom:
        cell = self.cell
        if self.parent is None and cell.recipe is not None:
            cell.atom = cell.recipe()
            return cell.atom
        value = self.known()
        if value is not None:
            return self.session.constant_atom(value)  # type: ignore[no-any-return]
        assert self.parent is not None
        assert self.lens is not None
        return self.lens.read(self.session, self.parent.read())

    def write(self, new: Atom) -> None:
        """Replace the content by an atom of this tracer's type; views write through."""
        if self.scalar or not self.writable():
            raise ValueError("assignment destination is read-only")
        if self.parent is None:
            if self.cell.scope is not self.session.scope:
                self._outer_write()
            self.cell.touched()
            self.cell.atom, self.cell.known = new, None
        else:
            assert self.lens is not None
            self.parent.write(self.lens.write(self.session, self.parent.read(), new))

    def _outer_write(self) -> None:
        if self.session.scope is None:
            self.read()  # says that the array was kept from a body
        else:
            self.session.scope.writes(self)

    def writable(self) -> bool:
        """Whether NumPy would let this view be written."""
        if self.parent is None or self.lens is None:
            return True
        return self.lens.writeable and self.parent.writable()

    def seen(self, view: View) -> Tracer:
        """A view of this array; of a NumPy scalar, a scalar with that value."""
        if self.scalar:
            value = self.known()
            if value is not None:
                return self.session.wrap_known(view.of(np.asarray(value)))  # type: ignore[no-any-return]
            atom = view.read(self.session, self.read())
            return self.session.wrap(atom, scalar=not view.type.shape)  # type: ignore[no-any-return]
        return Tracer(self.session, view.type, self.cell, parent=self, view=view)

    # --- attributes -----------------------------------------------------------------------------

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """``isinstance(x, np.ndarray)`` and ``isinstance(s, np.float32)`` hold in traced code."""
        return self.type.dtype.type if self.scalar else np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        if self.cell.origin != "fresh":
            raise unsupported("cannot set the shape of an argument", "Use x.reshape(shape).")
        view: Any = np.reshape(self, shape)
        base = Tracer(self.session, self.type, self.cell, parent=self.parent, view=self.lens)
        self.parent, self.lens, self.type = base, view.lens, view.type
        self._version = -1

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def size(self) -> int:
        return self.type.size

    @property
    def itemsize(self) -> int:
        return self.type.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.type.nbytes

    @property
    def strides(self) -> tuple[int, ...]:
        """What NumPy's array would have, in bytes."""
        if self.parent is not None and self.lens is not None:
            return self.lens.strides(self.parent.strides)
        if self.cell.strides is not None:
            return self.cell.strides
        return strides_of(self.type.shape, self.type.dtype.itemsize)

    @property
    def T(self) -> Tracer:
        return self.transposed(range(self.ndim)[::-1])

    @property
    def mT(self) -> Tracer:
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        axes = list(range(self.ndim))
        return self.transposed([*axes[:-2], axes[-1], axes[-2]])

    @property
    def real(self) -> Tracer:
        return self.seen(Part(self.type, "real")) if self.dtype.kind == "c" else self

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> Tracer:
        if self.dtype.kind == "c":
            return self.seen(Part(self.type, "imag"))
        return self.session.zeros(self.shape, self.dtype, scalar=self.scalar)  # type: ignore[no-any-return]

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        self.seen(Part(self.type, "imag"))[...] = value

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__") or name == "__array_wrap__":
            found = self.session.attribute(self, name)
            if found is not None:
                return found
        raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")

    # --- views ----------------------------------------------------------------------------------

    def transposed(self, perm: Any) -> Tracer:
        """The view with its axes in this order."""
        perm = tuple(perm)
        return self.seen(Transpose(self.type, perm))

    def reshaped(self, shape: tuple[int, ...]) -> Tracer:
        """The elements in C order under a full shape: a view where NumPy makes one, else a copy."""
        if not self.scalar:
            if shape == self.shape:
                strides: tuple[int, ...] | None = self.strides
            else:
                strides = reshaped_strides(self.shape, self.strides, shape, self.itemsize)
            if strides is not None or not self.size:
                return self.seen(Reshape(self.type, shape, strides or strides_of(shape)))
        value = self.known()
        if value is not None:
            return self.session.wrap_known(np.reshape(value, shape).copy())  # type: ignore[no-any-return]
        return self.session.wrap(self.session.reshape(self.read(), shape))  # type: ignore[no-any-return]

    def broadcast(self, shape: tuple[int, ...]) -> Tracer:
        """The read-only view of this shape."""
        have = self.shape
        lead = len(shape) - len(have)
        if lead < 0 or any(n not in (1, m) for n, m in zip(have, shape[lead:])):
            raise misfit(f"cannot broadcast {self.type} to shape {shape}", "shapes must broadcast")
        if self.scalar:
            value = self.known()
            if value is not None:
                return self.session.wrap_known(np.broadcast_to(value, shape))  # type: ignore[no-any-return]
            return self.session.wrap(self.session.broadcast(self.read(), shape))  # type: ignore[no-any-return]
        return self.seen(Broadcast(self.type, shape))

    def sliced(self, key: tuple[Any, ...]) -> Tracer:
        """The view by one int or slice per axis (and None)."""
        return self.seen(Slice(self.type, key))

    # --- Python's protocols ---------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return self.session.ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.session.function(func, args, kwargs)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise unsupported(
            f"cannot turn a traced {self.type} into a real array while tracing",
            "Call np.asarray or np.array through the module (np.asarray, not a name imported by"
            " another module), or do this step outside the op.",
        )

    def __getitem__(self, key: Any) -> Any:
        return self.session.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.session.setitem(self, key, value)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, item: Any) -> Any:
        return bool((self == item).any())

    def needed(self, use: str) -> Any:
        """The known value, for Python; an error, or a retrace, where there is none."""
        value = self.known()
        if value is not None:
            return value
        leaves = deciders(self.session, self.read())
        if leaves:
            raise NeedsStatic(leaves)
        raise branch(self.type, use, argument=self.session.argument_of(self))

    def __hash__(self) -> int:
        if not self.scalar:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        return hash(self.needed("a hash (a key of a dict, a member of a set)")[()])

    def __bool__(self) -> bool:
        if self.size == 0 or self.size > 1:
            raise_ambiguous(self)
        return bool(self.needed("Python control flow (if, while, and, or, not, bool())"))

    def __index__(self) -> int:
        return self.needed("a Python int (range(), a shape, an axis or a slice)").__index__()  # type: ignore[no-any-return]

    def __int__(self) -> int:
        return int(self.needed("int()"))

    def __float__(self) -> float:
        return float(self.needed("float() (or a function of the math module)"))

    def __complex__(self) -> complex:
        return complex(self.needed("complex()"))

    def __repr__(self) -> str:
        value = self.known()
        return f"traced {self.type}" if value is None else f"traced {self.type} = {value}"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    __copy__ = lambda self: self.copy()  # noqa: E731


def raise_ambiguous(x: Tracer) -> None:
    """NumPy raises for the truth of several elements, traced or not; say so with the line."""
    if x.known() is not None:
        raise ValueError(
            "The truth value of an array with more than one element is ambiguous."
            " Use a.any() or a.all()"
        )
    raise branch(x.type, "Python control flow (if, while, and, or, not, bool())")


def _comparable(other: Any) -> bool:
    return other is not None and not isinstance(other, (str, bytes, dict, set, type))


def _binary(ufunc: Any) -> tuple[Any, Any, Any]:
    """The operator, its reflected form and its in-place form."""

    def forward(self: Tracer, other: Any) -> Any:
        return ufunc(self, other)

    def reflected(self: Tracer, other: Any) -> Any:
        return ufunc(other, self)

    def inplace(self: Tracer, other: Any) -> Any:
        return NotImplemented if self.scalar else ufunc(self, other, out=(self,))

    return forward, reflected, inplace


def _compare(ufunc: Any, otherwise: bool | None) -> Any:
    def run(self: Tracer, other: Any) -> Any:
        if not _comparable(other):
            if otherwise is None:
                return NotImplemented
            return self.session.wrap_known(np.full(self.shape, otherwise))
        return ufunc(self, other)

    return run


OPERATORS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "matmul": np.matmul, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor, "lshift": np.left_shift, "rshift": np.right_shift,
}  # fmt: skip
COMPARISONS = {
    "eq": (np.equal, False), "ne": (np.not_equal, True), "lt": (np.less, None),
    "le": (np.less_equal, None), "gt": (np.greater, None), "ge": (np.greater_equal, None),
}  # fmt: skip
UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}
FAST_POWERS = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}


def _power(self: Tracer, other: Any, modulo: None = None) -> Any:
    """``x ** 2`` and few others have their own ufunc, as in NumPy's operator."""
    if type(other) in (int, float) and other in FAST_POWERS and not self.scalar:
        kinds = "fcbiu" if other == 2 and type(other) is int else "fc"
        if self.dtype.kind in kinds:
            return FAST_POWERS[other](self)
    return self.session.power(self, other)


def _ipower(self: Tracer, other: Any) -> Any:
    if self.scalar:
        return NotImplemented
    return self.session.assign(self, _power(self, other), "same_kind")


def _install(cls: Any) -> None:
    for name, ufunc in OPERATORS.items():
        forward, reflected, inplace = _binary(ufunc)
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", reflected)
        setattr(cls, f"__i{name}__", inplace)
    for name, (ufunc, otherwise) in COMPARISONS.items():
        setattr(cls, f"__{name}__", _compare(ufunc, otherwise))
    for name, ufunc in UNARY.items():
        setattr(cls, f"__{name}__", lambda self, ufunc=ufunc: ufunc(self))
    cls.__pow__ = _power
    cls.__rpow__ = lambda self, other: np.power(other, self)
    cls.__ipow__ = _ipower
    cls.__divmod__ = lambda self, other: np.divmod(self, other)
    cls.__rdivmod__ = lambda self, other: np.divmod(other, self)
    cls.__round__ = lambda self, ndigits=None: np.round(self, ndigits or 0)


_install(Tracer)


def is_tracer(x: Any) -> bool:
    """Whether this is a tracer (`isinstance` would ask the class it poses as)."""
    return type(x) is Tracer


def is_var(atom: Atom) -> bool:
    """Whether the atom is a variable."""
    return type(atom) is Var
