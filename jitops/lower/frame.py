"""Emit the value of a variable at an index: inline what is not stored, load what is.

A `Frame` is the inside of one kernel. It knows where materialised variables are stored, declares
the buffers that the kernel turns out to touch, and writes the scalar code of everything else into
the current `Scope`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from tvm import tirx
from tvm.ir import PointerType, PrimType
from tvm.tirx import stmt as st

from jitops.graph.graph import Atom, Eqn, Literal, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.sizes import most
from jitops.graph.types import ArrayType, Shape, strides_of
from jitops.lower import scalar as sc
from jitops.lower.complex_pairs import Pair, is_complex, lower_complex, part_dtype
from jitops.lower.elementwise import (
    bfloat16_bits,
    bfloat16_to_float32,
    is_product,
    lower_map,
    register_dtype,
)
from jitops.lower.index import Affine, Index, SizeVariable, flatten, int64, key_of
from jitops.lower.index import Atom as LoopVariable
from jitops.lower.scalar import Body
from jitops.lower.sources import Sources, sources, take_index, take_source, wrapped

Value = Any  # a scalar expression, or a Pair for complex numbers

_STORED_AS = {
    "bool": "uint8",
    "bfloat16": "uint16",
    "complex64": "float32",
    "complex128": "float64",
}


class Slot:
    """Where a materialised variable lives: an entry argument or a piece of the workspace.

    ``place`` is ("argument", position), ("workspace", None until memory is planned, then the byte
    offset), or ("row", (slot, turn, bytes)) for the row of an array that a loop is at
    (`jitops.lower.steps`); ``strides`` are in elements, C order unless an argument says otherwise.
    """

    __slots__ = ("type", "place", "strides")

    def __init__(
        self, type: ArrayType, place: tuple[str, Any], strides: Shape | None = None
    ) -> None:
        self.type = type
        self.place = place
        self.strides = strides_of(type.shape) if strides is None else strides


class Without(Mapping[Var, Any]):
    """A mapping of variables without some of them; no copy is made."""

    __slots__ = ("hidden", "whole")

    def __init__(self, whole: Mapping[Var, Any], hidden: Collection[Var]) -> None:
        self.whole = whole
        self.hidden = hidden

    def __getitem__(self, var: Var) -> Any:
        if var in self.hidden:
            raise KeyError(var)
        return self.whole[var]

    def __contains__(self, var: object) -> bool:
        return var not in self.hidden and var in self.whole

    def __iter__(self) -> Iterator[Var]:
        return (var for var in self.whole if var not in self.hidden)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Scope(Body):
    """Straight-line code that remembers which values it holds; inner scopes see the outer ones."""

    __slots__ = ("parent",)

    def __init__(self, parent: Scope | None = None) -> None:
        super().__init__()
        self.parent = parent
        if parent is not None:
            self._count = parent._count + 1000  # names stay distinct for readers of the dump

    def find(self, key: tuple[Any, ...]) -> Value | None:
        scope: Scope | None = self
        while scope is not None:
            if key in scope.known:
                return scope.known[key]
            scope = scope.parent
        return None

    def invariant(self, key: tuple[Any, ...], make: Callable[[Body], Any]) -> Any:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope.once(key, lambda: make(scope))


class Frame:
    """Emission state of one kernel."""

    def __init__(self, definitions: Mapping[Var, Eqn], slots: Mapping[Var, Slot]) -> None:
        self.definitions = definitions
        self.slots = slots
        self.buffers: dict[Slot, tuple[Any, Any]] = {}
        # Elements by which the pointer to a slot is moved, and the offsets into it are reduced.
        self.shifts: dict[Slot, int] = {}
        # The frame whose code runs this kernel too, and which slot of ours stands for which of its.
        self.original: tuple[Frame, dict[Slot, Slot]] | None = None
        # Extents that differ among the kernels this code runs: the variable of each, and ours.
        self.extents: dict[SizeVariable, int] = {}
        # Loops within the kernel: the step they are at, which tells where rows lie.
        self.turns: dict[Any, Affine] = {}
        # Values that are neither stored nor recomputed, such as a row's sum: how to read them.
        self.registers: dict[Var, Callable[[Index, Scope], Value]] = {}

    # --- values ---

    def value(self, atom: Atom, index: Index, scope: Scope) -> Value:
        """The element of ``atom`` at ``index``; code goes to ``scope``, each value once."""
        if isinstance(atom, Literal):
            return literal(atom)
        pending: list[tuple[Var, Index]] = [(atom, index)]
        while pending:
            var, at = pending[-1]
            if scope.find((var, key_of(at))) is not None:
                pending.pop()
                continue
            if var in self.registers:
                value = self.registers[var](at, scope)
            elif var in self.slots:
                value = self.load(self.slots[var], at, scope)
            else:
                eqn = self.definitions[var]
                operands = self._operands(eqn, at, scope)
                missing = [o for o in operands if not self._ready(*o, scope)]
                if missing:
                    pending.extend(missing)  # type: ignore[arg-type]
                    continue
                value = self._combine(eqn, at, operands, scope)
            scope.known[var, key_of(at)] = value
            pending.pop()
        return scope.find((atom, key_of(index)))

    def _ready(self, atom: Atom, index: Index, scope: Scope) -> bool:
        return isinstance(atom, Literal) or scope.find((atom, key_of(index))) is not None

    def _known(self, atom: Atom, index: Index, scope: Scope) -> Value:
        return literal(atom) if isinstance(atom, Literal) else scope.find((atom, key_of(index)))

    def _operands(self, eqn: Eqn, at: Index, scope: Scope) -> Sources:
        """Which elements of its operands an element of this equation needs."""
        if eqn.op != "take":
            return sources(eqn, at, scope)
        chosen = take_index(eqn, at)
        if not self._ready(*chosen, scope):
            return [chosen]
        extent = eqn.inputs[0].type.shape[eqn.attrs["axis"]]
        value = self._known(*chosen, scope)
        inside = scope.once(("take", value, extent), lambda: wrapped(value, extent, scope))
        return [chosen, take_source(eqn, at, inside)]

    def _combine(
        self, eqn: Eqn, at: Index, operands: list[tuple[Atom, Index]], scope: Scope
    ) -> Value:
        values = [self._known(a, i, scope) for a, i in operands]
        if PRIMITIVES[eqn.op].kind != "map":
            return self._iota(eqn, at, scope) if eqn.op == "iota" else values[-1]
        dtype = eqn.inputs[-1].type.dtype_name
        result = eqn.output.type.dtype_name
        if eqn.op in ("add", "sub") and (dtype in ("float32", "float64") or is_complex(dtype)):
            values = [self._settled(a, v, scope) for a, v in zip(eqn.inputs, values)]
        if is_complex(dtype) or is_complex(result):
            return lower_complex(scope, eqn.op, dtype, result, values, eqn.attrs)
        return lower_map(scope, eqn.op, dtype, result, values, eqn.attrs)

    def _settled(self, atom: Atom, value: Value, scope: Scope) -> Value:
        """An operand of an addition; a product is rounded first, as NumPy rounds it."""
        pending = [atom]
        while pending:
            var = pending.pop()
            if not isinstance(var, Var) or var in self.slots or var not in self.definitions:
                continue
            eqn = self.definitions[var]
            pair = is_complex(eqn.output.type.dtype_name)
            if not pair and is_product(eqn.op, eqn.output.type.dtype_name):
                return _rounded(value, scope)
            through = ("neg", "select", "complex", "cast") if pair else ("neg", "select")
            if eqn.op in through or PRIMITIVES[eqn.op].kind == "index":
                pending.extend(eqn.inputs)
        return value

    def _iota(self, eqn: Eqn, at: Index, scope: Scope) -> Value:
        dtype = eqn.output.type.dtype_name
        count = at[eqn.attrs["axis"]].expr()
        if is_complex(dtype):
            part = part_dtype(dtype)
            return Pair(scope.let(sc.cast(count, part)), sc.const(0.0, part))
        return scope.let(sc.cast(count, register_dtype(dtype)))

    # --- memory ---

    def buffer(self, slot: Slot) -> Any:
        """The kernel's buffer for a slot, declared at first use."""
        if slot not in self.buffers:
            dtype = slot.type.dtype_name
            stored = _STORED_AS.get(dtype, dtype)
            pointer = tirx.Var(f"p{len(self.buffers)}", PointerType(PrimType(stored)))
            extent = max(most(slot.type.size), 1) * (2 if is_complex(dtype) else 1)
            align = sc.bits_of(stored) // 8
            name = f"b{len(self.buffers)}"
            buffer = sc.buffer(extent, stored, name, data=pointer, data_alignment=align)
            self.buffers[slot] = (pointer, buffer)
        return self.buffers[slot][1]

    def offset(self, slot: Slot, index: Index) -> Affine:
        """Where an element lies, counted from the pointer that the kernel gets."""
        return flatten(index, slot.strides) + -self.shifts.get(slot, 0)

    def _whole(self, slot: Slot, index: Index) -> tuple[Slot, Index]:
        """For the row of a loop within the kernel: the array, and the element's place in it."""
        while slot.place[0] == "row" and slot.place[1][1] in self.turns:
            base, turn, _ = slot.place[1]
            slot, index = base, (self.turns[turn], *index)
        return slot, index

    def vector(self, atom: Atom, index: Index, lane: LoopVariable, scope: Scope) -> Any:
        """Real elements of an array that lies in memory: those at ``index``, for all ``lane``."""
        known = {lane, *(term for component in index for term in component.terms)}
        slot, offset = self._place(atom, index)
        if not known.issuperset(offset.terms):
            return self._gathered(atom, index, lane, scope)
        first = Affine({a: c for a, c in offset.terms.items() if a is not lane}, offset.const)
        lanes, step = lane.high + 1, offset.terms.get(lane, 0)
        at = first.expr() if lanes == 1 else tirx.Ramp(first.expr(), int64(step), lanes)
        return scope.let(tirx.BufferLoad(self.buffer(slot), [at]))

    def _place(self, atom: Atom, index: Index) -> tuple[Slot, Affine]:
        """Where an element lies; quotients that do not cancel are in no code."""
        scratch = Body()
        while isinstance(atom, Var) and atom not in self.slots:
            ((atom, index),) = sources(self.definitions[atom], index, scratch)
        assert isinstance(atom, Var)
        slot, index = self._whole(self.slots[atom], index)
        return slot, self.offset(slot, index)

    def _gathered(self, atom: Atom, index: Index, lane: LoopVariable, scope: Scope) -> Any:
        """As `vector`, element by element: a new value may lie in a strided argument."""
        lanes = lane.high + 1
        buffer = sc.buffer(lanes, atom.type.dtype_name, "line", scope="local")
        scope.emit(st.AllocBuffer(buffer))
        body = Scope(scope)
        body.emit(st.BufferStore(buffer, self.value(atom, index, body), [lane.expr]))
        loop = st.For(lane.expr, int64(0), int64(lanes), st.ForKind.SERIAL, body.block())
        scope.emit(loop)
        return scope.let(tirx.BufferLoad(buffer, [tirx.Ramp(int64(0), int64(1), lanes)]))

    def load(self, slot: Slot, index: Index, scope: Scope) -> Value:
        """One element from memory, in its register dtype."""
        slot, index = self._whole(slot, index)
        buffer, offset = self.buffer(slot), self.offset(slot, index)
        dtype = slot.type.dtype_name
        if is_complex(dtype):
            at = (offset * 2).expr(), (offset * 2 + 1).expr()
            return Pair(*(scope.let(tirx.BufferLoad(buffer, [i])) for i in at))
        return from_memory(scope, tirx.BufferLoad(buffer, [offset.expr()]), dtype)

    def store(self, slot: Slot, index: Index, value: Value, scope: Scope) -> None:
        """One element to memory."""
        slot, index = self._whole(slot, index)
        buffer, offset = self.buffer(slot), self.offset(slot, index)
        dtype = slot.type.dtype_name
        if is_complex(dtype):
            for part, i in zip(value, ((offset * 2).expr(), (offset * 2 + 1).expr())):
                scope.emit(st.BufferStore(buffer, part, [i]))
            return
        scope.emit(st.BufferStore(buffer, to_memory(scope, value, dtype), [offset.expr()]))


def literal(atom: Literal) -> Value:
    """A constant in its register dtype."""
    dtype = atom.type.dtype_name
    if is_complex(dtype):
        part = part_dtype(dtype)
        return Pair(sc.const(atom.value.real, part), sc.const(atom.value.imag, part))
    return sc.const(atom.value.item(), register_dtype(dtype))


def from_memory(scope: Body, element: Any, dtype: str) -> Value:
    """A loaded element in its register dtype."""
    element = scope.let(element)
    if dtype == "bool":
        return scope.let(tirx.NE(element, sc.const(0, "uint8")))
    if dtype == "bfloat16":
        return scope.let(bfloat16_to_float32(element))
    return scope.let(sc.cast(element, register_dtype(dtype)))


def to_memory(scope: Body, value: Any, dtype: str) -> Any:
    """A register value as it is stored."""
    if dtype == "bool":
        return tirx.Cast("uint8", value)
    return bfloat16_bits(scope, value) if dtype == "bfloat16" else sc.cast(value, dtype)


def _rounded(value: Value, scope: Scope) -> Value:
    """A product, or a complex number with products for parts, that no addition is fused with."""
    if isinstance(value, Pair):
        return Pair(*(_rounded(part, scope) for part in value))
    return scope.once(("settled", value), lambda: scope.let(sc.settled(scope, value)))
