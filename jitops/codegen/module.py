"""Loops to a TVM module: one private function per kernel, and the entry that calls them in order.

The exported entry is plain C, ``int32_t jitops_entry(void* const* buffers)``: ``buffers`` holds the
arguments, then the fresh outputs, then the workspace. Where host steps cut the kernels into
segments, each segment has an entry of the same kind, and all get the same buffers. Kernels take
their pointers as parameters that do not alias, so that LLVM may vectorise without run-time checks,
and are inlined into the entry where they are few. Kernels that differ in the pointers alone are one
function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tvm import tirx
from tvm.ir import Call, GlobalVar, IRModule, PointerType, PrimType, StringImm, make_node
from tvm.tirx import stmt as st

from jitops.codegen.target import converts_halves
from jitops.lower.frame import Frame, Scope, Slot
from jitops.lower.index import SizeVariable, int64, is_open
from jitops.lower.scalar import buffer
from jitops.lower.steps import Branch, For, Turn, While, segments

ENTRY = "jitops_entry"
CONVERSIONS = ("__truncsfhf2", "__extendhfsf2")
KERNEL = "jitops_kernel"
PART = "jitops_part"
PIECE = 64  # steps of the entry in one function, where there are many

# With more kernels than this, each is compiled by itself and called: in one function, LLVM takes
# longer for every kernel than for the one before.
INLINED = 16

_RETURN = "int32"


def entry_name(segment: int) -> str:
    """The symbol of a segment's entry."""
    return f"{ENTRY}_{segment}" if segment else ENTRY


def build_module(
    steps: Sequence[Any],
    arguments: int,
    target: Any,
    sizes: Mapping[SizeVariable, int] | None = None,
) -> IRModule:
    """The module of all kernels; ``arguments`` counts the entry's buffers before the workspace.

    steps: (frame, scope) of scheduled kernels, control flow around them, and host steps.
    sizes: the position of the argument that holds each open size; kernels get their values.
    """
    parts = segments(steps)
    module = _Module(arguments, target, sum(map(_count, parts)), sizes or {})
    for number, segment in enumerate(parts):
        module.build(segment, entry_name(number))
    return IRModule(module.functions)


def _count(steps: Sequence[Any]) -> int:
    """How many kernels the entry would call."""
    flow = (Branch, While, For)
    return sum(sum(map(_count, s.parts())) if isinstance(s, flow) else 1 for s in steps)


class _Module:
    """Kernels on their way to functions, and the entry's code that calls them.

    count: of the kernels. Many have symbols of their own, to be compiled apart from the entries,
    and an entry calls pieces of itself: code generation takes longer for each call in a function.
    """

    def __init__(
        self, arguments: int, target: Any, count: int, sizes: Mapping[SizeVariable, int]
    ) -> None:
        self.sizes = sizes
        self.target = target
        self.arguments = arguments
        self.alone = count == 1
        self.apart = count > INLINED
        self.functions: dict[Any, Any] = {}
        self.made: dict[Frame, Any] = {}

    def open(self) -> None:
        """Begin a function that gets the entry's buffers."""
        self.called = False
        self.entry = Scope()
        self.names = _EntryPointers(self.arguments, self.entry, self.sizes)

    def close(self, symbol: str) -> None:
        self.functions[GlobalVar(symbol)] = self.names.function(symbol, self.target)

    def build(self, steps: Sequence[Any], name: str) -> None:
        """Add the entry of these steps."""
        self.open()
        if self.alone and steps and type(steps[0]) not in _EMIT:
            self.names.inline(*steps[0])
        elif not self.apart:
            self._emit(steps, self.entry)
        else:
            self._emit_pieces(steps)
        self.close(name)

    def _emit_pieces(self, steps: Sequence[Any]) -> None:
        """An entry that calls functions of a few steps each."""
        pieces = []
        for start in range(0, len(steps), PIECE):
            self._emit(steps[start : start + PIECE], self.entry)
            pieces.append(f"{PART}{len(self.functions)}")
            self.close(pieces[-1])
            self.open()
        for piece in pieces:
            call = tirx.call_extern(_RETURN, piece, self.names.array)
            self.entry.emit(st.Evaluate(call))

    def _emit(self, steps: Sequence[Any], scope: Scope) -> None:
        for step in steps:
            if type(step) in _EMIT:
                _EMIT[type(step)](self, step, scope)
            else:
                frame, code = step
                self._call(frame, code, scope)

    def _call(self, frame: Frame, code: Scope, scope: Scope) -> None:
        if not code.stmts and frame.original is None:
            return
        source, slots = frame.original or (frame, {slot: slot for slot in frame.buffers})
        if source not in self.made:
            self._define(source, code)
        given = [
            self.names.pointer(slots[slot], pointer.ty, frame.shifts.get(slots[slot], 0))
            for slot, (pointer, _) in source.buffers.items()
        ]
        given += [*self.names.sizes.values(), *map(int64, frame.extents.values())]
        kernel = self.made[source]
        if self.apart:
            call = tirx.call_extern(_RETURN, kernel.name_hint, *given)
        else:
            if scope is not self.entry or self.called:
                self._barrier(scope)
            call = Call(kernel, given, ret_ty=PrimType(_RETURN))
        self.called = True
        scope.emit(st.Evaluate(call))

    def _define(self, frame: Frame, code: Scope) -> None:
        kernel = self.made[frame] = GlobalVar(f"{KERNEL}{len(self.made)}")
        symbol = {"global_symbol": kernel.name_hint} if self.apart else {}
        if self.apart and len(self.made) == 1:
            for stmt in _without_conversions(self.target):
                code.emit(stmt)
        variables = [size.expr for size in (*self.sizes, *frame.extents)]
        attrs = _attrs(self.target, **symbol)
        self.functions[kernel] = _kernel_function(frame, code, variables, attrs)

    def _barrier(self, scope: Scope) -> None:
        scope.emit(_memory_barrier(self.names.scratch()))

    # --- control flow ---

    def _branch(self, step: Branch, scope: Scope) -> None:
        then, otherwise = Scope(scope), Scope(scope)
        self._emit(step.then, then)
        self._emit(step.otherwise, otherwise)
        self._barrier(scope)
        pred = self._element(step.pred, scope)
        taken = tirx.NE(tirx.BufferLoad(pred, [int64(0)]), tirx.IntImm("uint8", 0))
        sides = [side.block() if side.stmts else _nothing() for side in (then, otherwise)]
        scope.emit(st.IfThenElse(scope.let(taken), *sides))

    def _while(self, step: While, scope: Scope) -> None:
        self._barrier(scope)
        pred = self._element(step.pred, scope)
        body = Scope(scope)
        self._emit(step.steps, body)
        self._barrier(body)
        again = tirx.NE(tirx.BufferLoad(pred, [int64(0)]), tirx.IntImm("uint8", 0))
        scope.emit(st.While(again, body.block()))

    def _for(self, step: For, scope: Scope) -> None:
        count = step.count
        if isinstance(count, Slot):
            self._barrier(scope)
            count = scope.let(tirx.BufferLoad(self._element(count, scope), [int64(0)]))
        else:
            count = int64(count)
        turn, body = tirx.Var("turn", "int64"), Scope(scope)
        index: Any = turn
        if step.reverse:
            index = body.let(tirx.Sub(tirx.Sub(count, int64(1)), turn), "at")
        self.names.turns[step.turn] = index
        if step.counter is not None:
            counter = self._element(step.counter, scope)
            body.emit(st.BufferStore(counter, index, [int64(0)]))
        self._emit(step.steps, body)
        if body.stmts:
            scope.emit(st.For(turn, int64(0), count, st.ForKind.SERIAL, body.block()))

    def _element(self, slot: Slot, scope: Scope) -> Any:
        """A buffer of the one element that is in this place."""
        dtype = slot.type.dtype_name
        stored = "uint8" if dtype == "bool" else dtype
        address = self.names.pointer(slot, PointerType(PrimType(stored)))
        pointer = tirx.Var("place", PointerType(PrimType(stored)))
        scope.emit(st.Bind(pointer, address))
        align = slot.type.dtype.itemsize
        element = buffer(1, stored, "element", data=pointer, data_alignment=align)
        scope.emit(st.DeclBuffer(element, data=pointer))
        return element


_EMIT: dict[type, Any] = {Branch: _Module._branch, While: _Module._while, For: _Module._for}


def _nothing() -> Any:
    return st.Evaluate(int64(0))


def _attrs(target: Any, **more: Any) -> Any:
    # calling_conv 1 marks the function as lowered already: no packed-call wrapper is generated.
    return make_node(
        "ir.DictAttrs", target=target, calling_conv=1, **{"tirx.noalias": True}, **more
    )


def _without_conversions(target: Any) -> list[Any]:
    """Statements that take TVM's float16 conversion functions out of the module again.

    TVM adds two weak functions to every module, and LLVM optimises them for longer than a small
    kernel. Other globals of these names, which `jitops.codegen.compile` removes, take their place.
    They are needed only where the CPU has no instructions for half precision.
    """
    if not converts_halves(target):
        return []
    globals_ = "".join(f"@{name} = global i8 0\n" for name in CONVERSIONS)
    nothing = st.Evaluate(tirx.IntImm(_RETURN, 0))
    where = tirx.Var("module", PrimType(_RETURN))
    return [st.AttrStmt(where, "pragma_import_llvm", StringImm(globals_), nothing)]


def _return() -> Any:
    return st.Return(tirx.IntImm(_RETURN, 0))


def _memory_barrier(scratch: Any) -> Any:
    """A load and a store of unknown memory: LLVM moves no load or store past it.

    The load matters too: without it, a store of one kernel is dropped as dead where a later kernel
    overwrites it, for the loads between them seem to be of other memory.

    Within a kernel different buffers are different memory, and TVM's code generator says so by
    type-based metadata. Once kernels are inlined side by side, buffers of two of them may be the
    same memory under different names.
    """
    count, volatile = int64(8), tirx.IntImm("bool", 1)
    move = tirx.call_llvm_intrin("void", "llvm.memmove", scratch, scratch, count, volatile)
    return st.Evaluate(move)


def _kernel_function(frame: Frame, scope: Scope, sizes: Sequence[Any], attrs: Any) -> Any:
    pointers = [pointer for pointer, _ in frame.buffers.values()]
    declared = [st.DeclBuffer(buffer, data=pointer) for pointer, buffer in frame.buffers.values()]
    body = st.SeqStmt([*declared, *scope.stmts, _return()])
    return tirx.PrimFunc([*pointers, *sizes], body, PrimType(_RETURN), attrs)


class _EntryPointers:
    """The entry's code that turns a slot into a pointer."""

    def __init__(self, arguments: int, scope: Scope, sizes: Mapping[SizeVariable, int]) -> None:
        self.scope = scope
        self.array = tirx.Var("buffers", PointerType(PrimType("uint64")))
        self.table = buffer(arguments + 1, "uint64", "table", data=self.array, data_alignment=8)
        self.workspace = arguments
        self.addresses: dict[int, Any] = {}
        self.turns: dict[Turn, Any] = {}  # the present index of each loop
        self.sizes = {symbol: self._size(position) for symbol, position in sizes.items()}

    def inline(self, frame: Frame, code: Scope) -> None:
        """An only kernel, within the entry itself: LLVM has one function less to optimise."""
        for slot, (pointer, declared) in frame.buffers.items():
            self.scope.emit(st.Bind(pointer, self.pointer(slot, pointer.ty)))
            self.scope.emit(st.DeclBuffer(declared, data=pointer))
        for symbol, value in self.sizes.items():
            self.scope.emit(st.Bind(symbol.expr, value))
        for stmt in code.stmts:
            self.scope.emit(stmt)

    def pointer(self, slot: Slot, type: Any, shift: int = 0) -> Any:
        """The address of a slot, moved by ``shift`` elements."""
        address = self._place(slot)
        if shift:
            offset = int64(shift * slot.type.dtype.itemsize)
            address = tirx.Add(address, tirx.Cast("uint64", offset))
        return tirx.reinterpret(type, address)

    def _place(self, slot: Slot) -> Any:
        kind, where = slot.place
        if kind == "row":
            base, turn, step = where
            offset = tirx.Mul(self.turns[turn], int64(step))
            return tirx.Add(self._place(base), tirx.Cast("uint64", offset))
        address = self._address(where if kind == "argument" else self.workspace)
        if is_open(where):
            offset = where.at(lambda symbol: self.sizes[symbol])  # type: ignore[index]
            address = address + tirx.Cast("uint64", offset)
        elif kind == "workspace" and where:
            address = address + tirx.IntImm("uint64", where)
        return address

    def _size(self, position: int) -> Any:
        pointer = tirx.Var("size", PointerType(PrimType("int64")))
        self.scope.emit(st.Bind(pointer, tirx.reinterpret(pointer.ty, self._address(position))))
        element = buffer(1, "int64", "size", data=pointer, data_alignment=8)
        self.scope.emit(st.DeclBuffer(element, data=pointer))
        return self.scope.let(tirx.BufferLoad(element, [int64(0)]), "size")

    def scratch(self) -> Any:
        """The head of the workspace, which no value lives in (`jitops.lower.memory`)."""
        return tirx.reinterpret(PointerType(PrimType("uint8")), self._address(self.workspace))

    def _address(self, position: int) -> Any:
        if position not in self.addresses:
            load = tirx.BufferLoad(self.table, [int64(position)])
            self.addresses[position] = self.scope.let(load, "address")
        return self.addresses[position]

    def function(self, symbol: str, target: Any) -> Any:
        table = st.DeclBuffer(self.table, data=self.array)
        once = _without_conversions(target) if symbol == ENTRY else []
        body = [*once, table, *self.scope.stmts, _return()]
        attrs = _attrs(target, global_symbol=symbol)
        return tirx.PrimFunc([self.array], st.SeqStmt(body), PrimType(_RETURN), attrs)
