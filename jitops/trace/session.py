"""One trace: its parameters, captured arrays, and the conversions between values and tracers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from jitops.graph.graph import Atom, Literal, Var
from jitops.graph.sizes import Size
from jitops.graph.types import ArrayType
from jitops.trace import functions, ufunc
from jitops.trace.promotion import contains_traced, supported
from jitops.trace.raising import NeedsStatic, misfit, unsupported
from jitops.trace.recorder import INT64, Recorder, is_generator
from jitops.trace.sizes import OpenSize
from jitops.trace.tracer import KNOWN_LIMIT, Cell, Tracer
from jitops.trace.weak import INT64_RANGE, KERNEL_DTYPES, Weak


class Param:
    """A parameter of the graph and where its value comes from.

    source: ("leaf", i) dynamic leaf i of the call, ("captured", ndarray) whose present
        contents count, or ("size", (i, axis)) of leaf i.
    weak: int, float or complex for a Python number; None otherwise. scalar: whether it is that or a
        NumPy scalar, and no array.  whole: an int that fits int64, and so can become static.
    low, high: the inclusive range that an int must lie in (it is checked at each call), or
        None;
        both are its value where the trace needed that (a shape, an axis, a branch).
    """

    __slots__ = ("high", "low", "name", "scalar", "source", "var", "weak", "whole")

    def __init__(self, var: Var, source: tuple[str, Any], weak: type | None, name: str) -> None:
        self.var = var
        self.source = source
        self.weak = weak
        self.scalar = weak is not None
        self.whole = weak is int
        self.name = name
        self.low: int | None = INT64_RANGE[0] if weak is int else None
        self.high: int | None = INT64_RANGE[1] if weak is int else None

    def __repr__(self) -> str:
        return f"Param({self.name}: {self.var.type})"


class Trace(Recorder):
    """The state of tracing one call; the tracers refer to it."""

    __slots__ = (
        "captured", "constants", "done", "dynamic", "globals_named", "leaves", "objects", "params",
        "rebound", "scope", "sizes", "watched",
    )  # fmt: skip

    def __init__(self, dynamic: Collection[tuple[int, int]] = ()) -> None:
        super().__init__()
        self.dynamic = dynamic
        self.sizes: dict[int, OpenSize] = {}  # by the size in this call
        self.params: list[Param] = []
        self.leaves: list[Tracer | Weak | None] = []  # of the first parameters
        self.captured: dict[int, tuple[Any, Tracer]] = {}  # by identity
        self.constants: dict[Any, Atom] = {}  # by content, or by what they were made for
        self.globals_named: dict[int, str] = {}
        self.rebound: dict[int, Any] = {}
        self.objects: list[Any] = []  # random generators drawn from, or the leaves that they are
        self.watched: list[tuple[Any, Any]] = []  # others, and their states before
        self.scope: Any = None  # the body of control flow being traced (`jitops.trace.scope`)
        self.done = False

    # --- parameters -----------------------------------------------------------------------------

    def _param(
        self, type_: ArrayType, source: tuple[str, Any], weak: type | None, name: str
    ) -> Var:
        var = Var(type_)
        self.params.append(Param(var, source, weak, name))
        return var

    def leaf(self, value: Any, index: int, name: str) -> Tracer | Weak:
        """The tracer of a dynamic leaf: an array, a spec, a NumPy scalar or a Python number."""
        source = ("leaf", index)
        kind = type(value)
        if kind in KERNEL_DTYPES:
            return self._weak_leaf(value, index, name)
        dtype = supported(value.dtype, name)
        shape = self._open_shape(index, value.shape) if self.dynamic else value.shape
        var = self._param(ArrayType(shape, dtype), source, None, name)
        strides = None
        if isinstance(value, np.ndarray) and not value.flags.c_contiguous:
            strides = value.strides
        self.params[-1].scalar = isinstance(value, np.generic)
        whole = isinstance(value, np.integer) and int(value) <= INT64_RANGE[1]
        self.params[-1].whole = whole
        cell = Cell(var, origin="leaf", name=name, strides=strides)
        out = Tracer(self, var.type, cell, scalar=isinstance(value, np.generic))
        self.leaves.append(out)
        return out

    def _open_shape(self, leaf: int, shape: tuple[int, ...]) -> tuple[Any, ...]:
        """The shape with the dynamic axes open; those of one size are one and the same."""
        opened: list[Any] = list(shape)
        for axis, n in enumerate(shape):
            if (leaf, axis) in self.dynamic:
                if n not in self.sizes:
                    self.sizes[n] = OpenSize(self, len(self.sizes), (leaf, axis), n)
                opened[axis] = Size({self.sizes[n]: 1}, 0)
        return tuple(opened)

    def add_sizes(self) -> None:
        """A parameter for each open size, after those of the arguments."""
        for size in self.sizes.values():
            size.atom = self._param(ArrayType((), INT64), ("size", size.source), None, size.name)

    def _weak_leaf(self, value: Any, index: int, name: str) -> Weak:
        kind = type(value)
        if kind is int and not INT64_RANGE[0] <= value <= INT64_RANGE[1]:
            raise NeedsStatic(frozenset([index]))
        var = self._param(ArrayType((), KERNEL_DTYPES[kind]), ("leaf", index), kind, name)
        ints = frozenset([index]) if kind is int else frozenset()
        out = Weak(self, var, kind, ints, INT64_RANGE, name, value)
        self.leaves.append(out)
        return out

    def guard(self, value: Any, index: int, name: str) -> None:
        """A leaf that is static by value: a parameter without use, whose range is that value."""
        if not INT64_RANGE[0] <= value <= INT64_RANGE[1]:
            raise unsupported(
                f"{name} = {value} does not fit in 64 bits", "Pass it as a float, or in parts."
            )
        strong = isinstance(value, np.integer)
        dtype = value.dtype if strong else KERNEL_DTYPES[int]
        self._param(ArrayType((), dtype), ("leaf", index), None if strong else int, name)
        self.params[-1].scalar = strong
        self.params[-1].low = self.params[-1].high = int(value)
        self.leaves.append(None)

    def capture(self, array: Any, name: str = "") -> Tracer:
        """The tracer of an array that the function did not get as an argument, one per object."""
        found = self.captured.get(id(array))
        if found is not None:
            return found[1]
        name = name or self.globals_named.get(id(array), "")
        type_ = ArrayType(array.shape, supported(array.dtype, name or "a captured array"))
        strides = None if array.flags.c_contiguous else array.strides

        def atom() -> Atom:
            return self._param(type_, ("captured", array), None, name)

        cell = Cell(recipe=atom, origin="captured", name=name, strides=strides)
        out = Tracer(self, type_, cell)
        self.captured[id(array)] = (array, out)
        return out

    def made(self, key: Any, make: Callable[[], Any]) -> Atom:
        """The atom of an array that a rule needs and makes, once for each key."""
        found = self.constants.get(key)
        if found is None:
            array = np.array(make(), order="C")
            array.flags.writeable = False
            type_ = ArrayType(array.shape, supported(array.dtype, "a constant"))
            found = self._param(type_, ("captured", array), None, "constant")
            self.constants[key] = found
        return found

    def stand_in(self, x: Any) -> Any:
        """What the function sees for an object that is not an array: random generators record."""
        if is_generator(x):
            return self.generator(x, x)
        self.watch(x)
        return x

    def generator(self, x: Any, source: Any) -> Any:
        """A random generator as the function sees it; source: itself, or the leaf that it is."""
        return functions.room("drawing").TracedGenerator(self, type(x), source)

    def watch(self, x: Any) -> None:
        """Remember the generators among an object's attributes: tracing must not use them up."""
        attributes = getattr(x, "__dict__", None)
        if attributes is None or getattr(x, "__name__", "").startswith("numpy"):
            return
        for value in list(attributes.values()):
            if is_generator(value):
                self.watched.append((value, value._bit_generator.state))

    def undo_draws(self) -> bool:
        """Put generators that were drawn from while tracing back; whether there was one."""
        drawn = [w for w in self.watched if str(w[0]._bit_generator.state) != str(w[1])]
        for generator, state in drawn:
            generator._bit_generator.state = state
        return bool(drawn)

    def object_number(self, source: Any) -> int:
        """The number by which steps refer to an object, or to a leaf of the call."""
        for number, known in enumerate(self.objects):
            if known is source:
                return number
        self.objects.append(source)
        return len(self.objects) - 1

    def limit(self, atom: Atom, low: int, high: int) -> bool:
        """Narrow the range of a runtime int argument; False where it is none, or out of it."""
        for param, leaf in zip(self.params, self.leaves):
            if param.var is atom and type(leaf) is Weak:
                if not low <= leaf.value <= high or param.low is None or param.high is None:
                    return False
                param.low, param.high = max(param.low, low), min(param.high, high)
                leaf.interval = (max(leaf.interval[0], low), min(leaf.interval[1], high))
                return True
        return False

    def attribute(self, x: Tracer, name: str) -> Any:
        """A method or attribute of ndarray that is not the tracer's own, or None."""
        return functions.room("methods").attribute(x, name)

    def argument_of(self, x: Tracer | Weak) -> str:
        """The name of the argument that this is, or an empty string."""
        if type(x) is Tracer:
            return x.cell.name if x.cell.origin == "leaf" and x.parent is None else ""
        return next((p.name for p in self.params if p.var is x.atom and p.weak), "")

    # --- values to tracers ----------------------------------------------------------------------

    def wrap(self, atom: Atom, *, scalar: bool = False) -> Tracer:
        """A fresh array, or NumPy scalar, with this content."""
        known = None
        if type(atom) is Literal:
            known = np.asarray(atom.value)
        return Tracer(self, atom.type, Cell(atom, known=known), scalar=scalar)

    def wrap_known(self, value: Any) -> Tracer:
        """A fresh array, or NumPy scalar, of a value known while tracing."""
        scalar = not isinstance(value, np.ndarray)
        array = np.asarray(value)
        strides = None if array.flags.c_contiguous else array.strides
        return Tracer(
            self,
            ArrayType(array.shape, supported(array.dtype, "an array")),
            Cell(known=array, strides=strides),
            scalar=scalar,
        )

    def wrap_result(self, value: Any) -> Any:
        """What NumPy returned for known operands: arrays and scalars become tracers."""
        if isinstance(value, (np.ndarray, np.generic)):
            return self.wrap_known(value)
        if type(value) in (tuple, list):
            return type(value)(self.wrap_result(v) for v in value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(self.wrap_result(v) for v in value))
        return value

    def filled(self, value: Any, shape: Any, dtype: Any, *, scalar: bool = False) -> Tracer:
        """A fresh array of one value."""
        size = 1
        for n in shape:
            size *= n
        if type(size) is int and size <= KNOWN_LIMIT:
            known = np.full(shape, value, dtype)
            return self.wrap_known(known[()] if scalar else known)
        return self.wrap(self.broadcast(Literal(value, dtype), tuple(shape)))

    def zeros(self, shape: Any, dtype: Any, *, scalar: bool = False) -> Tracer:
        """A fresh array of zeros."""
        return self.filled(0, shape, dtype, scalar=scalar)

    def lazy(self, known: Any, recipe: Callable[[], Atom]) -> Tracer:
        """A fresh array that is known, and made by this recipe where the op needs it."""
        out = self.wrap_known(known)
        out.cell.recipe = recipe
        return out

    def constant_atom(self, value: Any) -> Atom:
        """A known array as an atom: computed where it is simple, a hidden parameter otherwise."""
        atom = self.constant(value)
        if atom is not None:
            return atom
        return self.made((value.dtype, value.shape, value.tobytes()), lambda: value)

    def operand(self, x: Any) -> Any:
        """A ufunc operand: a tracer, a runtime number, or a Python number."""
        kind = type(x)
        if kind is Tracer or kind is Weak:
            if x.session is not self:
                raise leaked(x)
            return x
        if kind is float or kind is int or kind is bool or kind is complex:
            return x
        return x.symbol.number(x) if kind is Size else self.array(x)

    def array(self, x: Any) -> Tracer:
        """Anything array-like as a tracer (`np.asarray`); no copy of a tracer."""
        kind = type(x)
        if kind is Tracer:
            return x  # type: ignore[no-any-return]
        if kind is Weak:
            return self.wrap(x.atom)
        if kind is np.ndarray:
            return self.capture(x) if x.ndim else self.wrap_known(x.copy())
        if kind in (list, tuple) and contains_traced(x):
            return functions.room("joining").stacked(self, x)  # type: ignore[no-any-return]
        if hasattr(kind, "traced_line"):
            return x.traced_line()  # type: ignore[no-any-return]
        if not isinstance(x, np.generic) and hasattr(kind, "__array__"):
            return functions.room("foreign").array_of(self, x)  # type: ignore[no-any-return]
        value = x if isinstance(x, np.generic) else np.asarray(x)
        if value.base is not None and value.ndim:  # a buffer
            return functions.room("foreign").array_of(self, x)  # type: ignore[no-any-return]
        supported(value.dtype, f"an operand of type {type(x).__name__}")
        return self.wrap_known(value)

    def atom(self, x: Any, dtype: np.dtype[Any]) -> Atom:
        """An operand as an atom of this dtype; Python numbers must fit it (NEP 50)."""
        x = self.operand(x)
        if type(x) is Tracer:
            return self.cast(x.read(), dtype)
        return ufunc.number_atom(self, x, dtype)

    # --- NumPy's protocols ----------------------------------------------------------------------

    def ufunc(self, func: Any, method: str, inputs: Any, kwargs: Any) -> Any:
        """`__array_ufunc__` of the tracers."""
        return ufunc.dispatch(self, func, method, inputs, kwargs)

    def function(self, func: Any, args: Any, kwargs: Any) -> Any:
        """`__array_function__` of the tracers."""
        return functions.dispatch(self, func, args, kwargs)

    def getitem(self, x: Tracer, key: Any) -> Any:
        """``x[key]``."""
        return functions.room("indexing").getitem(self, x, key)

    def setitem(self, x: Tracer, key: Any, value: Any) -> None:
        """``x[key] = value``."""
        functions.room("indexing").setitem(self, x, key, value)

    def power(self, x: Any, y: Any) -> Any:
        """``x ** y``; a runtime exponent of one half is a square root, as in NumPy's operator."""
        out = np.power(x, y)
        special = type(y) is Weak and y.pytype is float and type(out) is Tracer
        if special and x.dtype.kind == "f" and not x.scalar:
            half = self.emit("eq", y.atom, 0.5)
            root = self.emit("sqrt", self.cast(x.read(), out.dtype))
            return self.wrap(self.emit("select", half, root, out.read()))
        return out

    def assign(self, target: Any, value: Any, casting: Any = "unsafe") -> Any:
        """Write a value, broadcast and cast, into the target; gives the target."""
        if type(target) is not Tracer:
            self.refuse_write(target)
        value = self.operand(value)
        if type(value) is Tracer and not np.can_cast(value.dtype, target.dtype, casting):
            raise TypeError(
                f"Cannot cast array data from {value.dtype!r} to {target.dtype!r}"
                f" according to the rule '{casting}'"
            )
        shape = value.shape if type(value) is Tracer else ()
        while len(shape) > target.ndim and shape[0] == 1:
            value, shape = value.reshaped(shape[1:]), shape[1:]
        lead = target.ndim - len(shape)
        if lead < 0 or any(n not in (1, m) for n, m in zip(shape, target.shape[lead:])):
            raise misfit(
                f"cannot assign {value.type} to {target.type}",
                "a value that broadcasts to the target",
            )
        if not self._assign_known(target, value):
            target.write(self.broadcast(self.atom(value, target.dtype), target.shape))
        return target

    @staticmethod
    def _assign_known(target: Tracer, value: Any) -> bool:
        """Write a known value into a known array, so that it stays known."""
        if type(value) is Weak or not target.writable() or target.scalar:
            return False
        if target.cell.scope is not target.session.scope:
            return False
        place = target.known()
        content = value.known() if type(value) is Tracer else value
        if place is None or content is None:
            return False
        owner = target.cell
        if not owner.known.flags.writeable:
            owner.known = owner.known.copy()
            place = target.known()
        if not np.shares_memory(place, owner.known) and place.size:
            return False
        with np.errstate(all="ignore"):
            place[...] = content
        owner.touched()
        owner.atom = None
        return True

    def refuse_write(self, x: Any) -> None:
        """Raise for a write to something that is not an array of this trace."""
        if isinstance(x, np.ndarray):
            self.capture(x).cell.touched()
        raise TypeError("return arrays must be of ArrayType")


def leaked(x: Any) -> Exception:
    """The error for a tracer used outside of its trace."""
    return unsupported(
        f"{x!r} was kept from another trace",
        "Do not store values of a traced function in globals or attributes; return them.",
    )
