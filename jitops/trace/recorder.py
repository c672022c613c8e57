"""Record equations: every value of the trace is an atom (a variable or a scalar literal)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jitops.graph.evaluate import apply
from jitops.graph.graph import Atom, Eqn, Literal, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.types import same_shape
from jitops.trace.raising import unsupported

MOST = 50_000  # equations of one trace: about a minute of compiling

BOOL = np.dtype("bool")
INT64 = np.dtype("int64")
FLOAT32 = np.dtype("float32")
FLOAT64 = np.dtype("float64")
PARTS = {"complex64": FLOAT32, "complex128": FLOAT64}


GENERATORS = ("numpy.random._generator", "numpy.random.mtrand")


def is_generator(x: Any) -> bool:
    """Whether this is a generator of NumPy's; asking imports nothing."""
    kind = type(x)
    return kind.__module__ in GENERATORS and kind.__name__ in ("Generator", "RandomState")


class HostCall:
    """A host step, the user's line that asks for it, and for what of its calls there is no kernel.

    limit: "for more than 10 values", or nothing where no call of the function has native code.
    """

    __slots__ = ("eqn", "limit", "where")

    def __init__(self, eqn: Eqn, where: str, limit: str = "") -> None:
        self.eqn = eqn
        self.where = where
        self.limit = limit

    @property
    def function(self) -> str:
        """The name, as in ``numpy.linalg.svd``."""
        return f"numpy.{self.eqn.attrs['function']}"

    def __str__(self) -> str:
        verb, atoms = ("on", self.eqn.inputs) if self.eqn.inputs else ("gives", self.eqn.outputs)
        notes = [f", {self.where}"] if self.where else []
        notes += [f" (no native code {self.limit})"] if self.limit else []
        return f"{self.function} {verb} {', '.join(str(a.type) for a in atoms)}{''.join(notes)}"

    __repr__ = __str__


class Recorder:
    """The equations so far. ``f.emit("add", x, y)`` appends one and gives its output.

    Equal equations are recorded once: their operands are values, which never change.
    """

    __slots__ = ("eqns", "hosts", "numbered")

    def __init__(self) -> None:
        self.eqns: list[Eqn] = []
        self.numbered: dict[Any, Any] = {}
        self.hosts: list[HostCall] = []

    def emit(self, op: str, *inputs: Any, **attrs: Any) -> Any:
        """Append ``op(*inputs)``; Python numbers become literals of the other operands' dtype.

        Map operands may have one shape and shape (). With literals alone the result is a literal.
        """
        for x in inputs:
            if type(x) is not Var and type(x) is not Literal:
                inputs = self._typed(op, inputs)
                break
        key = (op, *attrs.items(), *map(identity, inputs))
        found = self.numbered.get(key)
        if found is not None:
            return found
        primitive = PRIMITIVES[op]
        (type_,) = primitive.rule(*[x.type for x in inputs], **attrs)
        out = Var(type_)
        eqn = Eqn(op, inputs, (out,), attrs)
        if primitive.kind == "map" and all(type(x) is Literal for x in inputs):
            with np.errstate(all="ignore"):
                return Literal(apply(eqn, [x.value for x in inputs])[()], type_.dtype)
        if len(self.eqns) >= MOST:
            raise _endless()
        self.eqns.append(eqn)
        self.numbered[key] = out
        return out

    def checked(self, x: Any, bad: Any, failure: str) -> Any:
        """The value; a call raises this failure of `jitops.failures` where any of ``bad`` holds."""
        axes = tuple(range(bad.type.ndim))
        if not bad.type.size or (type(bad) is Literal and not bad.value):
            return x
        return self.emit(
            "check", x, self.emit("reduce_or", bad, axes=axes) if axes else bad, failure=failure
        )

    def host(
        self, function: str, call: str, inputs: Sequence[Atom], results: Any, where: str,
        *, draws: bool = False, limit: str = "",
    ) -> tuple[Var, ...]:  # fmt: skip
        """Append a step that runs in NumPy; see `jitops.host` and the primitive ``host``.

        where: the user's line, and limit: why there is no native code; both are for people and not
        part of the graph. draws: random numbers, other ones at each call.
        """
        draw = {"draw": len(self.hosts)} if draws else {}
        key = (function, call, *draw.values(), *map(identity, inputs))
        found: tuple[Var, ...] | None = self.numbered.get(key)
        if found is None:
            attrs = {"function": function, "call": call, "results": results, **draw}
            types = PRIMITIVES["host"].rule(*[x.type for x in inputs], **attrs)
            eqn = Eqn("host", inputs, [Var(type_) for type_ in types], attrs)
            self.eqns.append(eqn)
            self.hosts.append(HostCall(eqn, where, limit))
            found = self.numbered[key] = eqn.outputs
        return found

    @staticmethod
    def _typed(op: str, inputs: tuple[Any, ...]) -> tuple[Atom, ...]:
        found = [x for x in inputs if type(x) is Var or type(x) is Literal]
        dtype = (found[1:] or found)[0].type.dtype if op == "select" else found[0].type.dtype
        return tuple(x if x in found else Literal(x, dtype) for x in inputs)

    def __getattr__(self, op: str) -> Any:
        """``f.add(x, y)`` is ``f.emit("add", x, y)``; a trailing underscore avoids keywords."""
        if op.startswith("__"):
            raise AttributeError(op)
        name = op.rstrip("_")
        return lambda *inputs, **attrs: self.emit(name, *inputs, **attrs)

    def cast(self, x: Atom, dtype: np.dtype[Any]) -> Atom:
        """The value converted as ``astype`` does; complex to real drops the imaginary part."""
        have = x.type.dtype
        if have == dtype:
            return x
        if type(x) is Literal:
            with np.errstate(all="ignore"):
                value = x.value.real if have.kind == "c" and dtype.kind not in "cb" else x.value
                return Literal(value.astype(dtype), dtype)
        if dtype.kind == "b":
            return self.emit("ne", x, 0)  # type: ignore[no-any-return]
        if have.kind == "c" and dtype.kind != "c":
            return self.cast(self.emit("real", x), dtype)
        if dtype.kind == "c" and have.kind != "c":
            part: Any = PARTS[dtype.name]
            return self.emit("complex", self.cast(x, part), 0.0)  # type: ignore[no-any-return]
        return self.emit("cast", x, dtype=dtype.name)  # type: ignore[no-any-return]

    def broadcast(self, x: Atom, shape: tuple[int, ...]) -> Atom:
        """The value repeated to this shape by NumPy's rule (axes are aligned at the right)."""
        have = x.type.shape
        if same_shape(have, shape):
            return x
        if not have:
            return self.emit("full", x, shape=shape)  # type: ignore[no-any-return]
        first = len(shape) - len(have)
        return self.emit(  # type: ignore[no-any-return]
            "broadcast", x, shape=shape, axes=tuple(range(first, len(shape)))
        )

    def reshape(self, x: Atom, shape: tuple[int, ...]) -> Atom:
        """The elements in C order under another shape."""
        if same_shape(x.type.shape, shape):
            return x
        return self.emit("reshape", x, shape=shape)  # type: ignore[no-any-return]

    def transpose(self, x: Atom, perm: tuple[int, ...]) -> Atom:
        """Axis i of the result is axis ``perm[i]`` of the value."""
        if perm == tuple(range(len(perm))):
            return x
        return self.emit("transpose", x, perm=perm)  # type: ignore[no-any-return]

    def constant(self, value: Any) -> Atom | None:
        """A known array without its data: if uniform, or integers in arithmetic progression."""
        flat = value.reshape(-1)
        if not flat.size:
            return self.broadcast(Literal(0, value.dtype), value.shape)
        if value.ndim == 0 or flat.tobytes() == flat[:1].tobytes() * flat.size:
            return self.broadcast(Literal(flat[0], value.dtype), value.shape)
        if value.ndim == 1 and value.dtype.kind in "iu":
            start, step = int(value[0]), int(value[1]) - int(value[0])
            stop = start + step * (value.size - 1)
            even = value.dtype == INT64 and int(value[-1]) == stop
            if even and np.array_equal(value, start + step * np.arange(value.size)):
                return self.progression(start, step, value.shape, 0)
        return None

    def progression(self, start: int, step: int, shape: tuple[int, ...], axis: int) -> Atom:
        """int64 ``start + step * i``, with i the index along an axis."""
        out = self.emit("iota", shape=shape, axis=axis, dtype="int64")
        if step != 1:
            out = self.emit("mul", out, step)
        return self.emit("add", out, start) if start else out  # type: ignore[no-any-return]


def identity(x: Atom) -> Any:
    """What tells atoms apart: a variable itself, a literal by dtype and bits."""
    return (x.type.dtype, x.value.tobytes()) if type(x) is Literal else x


def _endless() -> Exception:
    return unsupported(
        f"the function needs more than {MOST} array operations: its Python loops are unrolled",
        "Write the loop with jitops.fori_loop, while_loop or scan, or over whole arrays.",
    )
