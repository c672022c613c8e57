"""Loops to a TVM module: one private function per kernel, and the entry that calls them in order.

The exported entry is plain C, ``int32_t jitops_entry(void* const* buffers)``: ``buffers`` holds the
arguments, then the fresh outputs, then the workspace. Kernels take their pointers as parameters
that do not alias, so that LLVM may vectorise without run-time checks, and are inlined into the
entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.ir import Call, GlobalVar, IRModule, PointerType, PrimType, StringImm, make_node
from tvm.tirx import stmt as st

from jitops.codegen.target import converts_halves
from jitops.lower.frame import Frame, Scope, Slot
from jitops.lower.index import int64
from jitops.lower.scalar import buffer

ENTRY = "jitops_entry"
CONVERSIONS = ("__truncsfhf2", "__extendhfsf2")

_RETURN = "int32"


def build_module(kernels: Sequence[tuple[Frame, Scope]], arguments: int, target: Any) -> IRModule:
    """The module of all kernels; ``arguments`` counts the entry's buffers before the workspace."""
    functions: dict[Any, Any] = {}
    calls = Scope()
    names = _EntryPointers(arguments, calls)
    kernels = [(frame, scope) for frame, scope in kernels if scope.stmts]
    if len(kernels) == 1:
        ((frame, scope),) = kernels
        names.inline(frame, scope)
        kernels = ()
    for number, (frame, scope) in enumerate(kernels):
        kernel = GlobalVar(f"kernel{number}")
        slots = list(frame.buffers)
        functions[kernel] = _kernel_function(frame, scope, target)
        pointers = [names.pointer(slot, frame.buffers[slot][0]) for slot in slots]
        if number:
            calls.emit(_memory_barrier(names.scratch()))
        calls.emit(st.Evaluate(Call(kernel, pointers, ret_ty=PrimType(_RETURN))))
    functions[GlobalVar(ENTRY)] = names.function(target)
    return IRModule(functions)


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
    """A store to unknown memory: LLVM moves no load or store from one kernel to another.

    Within a kernel different buffers are different memory, and TVM's code generator says so by
    type-based metadata. Once kernels are inlined side by side, buffers of two of them may be the
    same memory under different names.
    """
    byte, count = tirx.IntImm("int8", 0), int64(8)
    volatile = tirx.IntImm("bool", 1)
    return st.Evaluate(tirx.call_llvm_intrin("void", "llvm.memset", scratch, byte, count, volatile))


def _kernel_function(frame: Frame, scope: Scope, target: Any) -> Any:
    pointers = [pointer for pointer, _ in frame.buffers.values()]
    declared = [st.DeclBuffer(buffer, data=pointer) for pointer, buffer in frame.buffers.values()]
    body = st.SeqStmt([*declared, *scope.stmts, _return()])
    return tirx.PrimFunc(pointers, body, PrimType(_RETURN), _attrs(target))


class _EntryPointers:
    """The entry's code that turns a slot into a pointer."""

    def __init__(self, arguments: int, scope: Scope) -> None:
        self.scope = scope
        self.array = tirx.Var("buffers", PointerType(PrimType("uint64")))
        self.table = buffer(arguments + 1, "uint64", "table", data=self.array, data_alignment=8)
        self.workspace = arguments
        self.addresses: dict[int, Any] = {}

    def inline(self, frame: Frame, scope: Scope) -> None:
        """An only kernel, within the entry itself: LLVM has one function less to optimise."""
        for slot, (pointer, declared) in frame.buffers.items():
            self.scope.emit(st.Bind(pointer, self.pointer(slot, pointer)))
            self.scope.emit(st.DeclBuffer(declared, data=pointer))
        for stmt in scope.stmts:
            self.scope.emit(stmt)

    def pointer(self, slot: Slot, param: Any) -> Any:
        kind, where = slot.place
        position = where if kind == "argument" else self.workspace
        assert position is not None
        assert where is not None
        address = self._address(position)
        if kind == "workspace" and where:
            address = address + tirx.IntImm("uint64", where)
        return tirx.reinterpret(param.ty, address)

    def scratch(self) -> Any:
        """The head of the workspace, which no value lives in (`jitops.lower.memory`)."""
        return tirx.reinterpret(PointerType(PrimType("uint8")), self._address(self.workspace))

    def _address(self, position: int) -> Any:
        if position not in self.addresses:
            load = tirx.BufferLoad(self.table, [int64(position)])
            self.addresses[position] = self.scope.let(load, "address")
        return self.addresses[position]

    def function(self, target: Any) -> Any:
        table = st.DeclBuffer(self.table, data=self.array)
        body = [*_without_conversions(target), table, *self.scope.stmts, _return()]
        attrs = _attrs(target, global_symbol=ENTRY)
        return tirx.PrimFunc([self.array], st.SeqStmt(body), PrimType(_RETURN), attrs)
