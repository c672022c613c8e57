"""Compile a bare graph and call its entry: the compiler without trace, cache and dispatcher."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jitops._native import Library
from jitops.codegen.compile import compile_module
from jitops.codegen.link import link
from jitops.codegen.module import ENTRY, build_module
from jitops.codegen.target import tvm_target
from jitops.graph.graph import Atom, Eqn, Graph, Literal, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.types import ArrayType
from jitops.graph.verify import verify
from jitops.lower.lowering import lower
from jitops.lower.memory import OUTCOME
from jitops.lower.steps import each
from jitops.process import RUNTIME
from jitops.schedule import schedule


class Builder:
    """Writes a graph by hand: ``b.param(...)``, ``b.emit("add", x, y)``, ``b.graph(*results)``."""

    def __init__(self) -> None:
        self.params: list[Var] = []
        self.eqns: list[Eqn] = []

    def param(self, shape: Sequence[int], dtype: Any) -> Var:
        self.params.append(Var(ArrayType(shape, dtype)))
        return self.params[-1]

    def emit(self, op: str, *inputs: Atom, **attrs: Any) -> Var:
        (type_,) = PRIMITIVES[op].rule(*(a.type for a in inputs), **attrs)
        self.eqns.append(Eqn(op, inputs, [Var(type_)], attrs))
        return self.eqns[-1].output

    def literal(self, value: Any, dtype: Any) -> Literal:
        return Literal(value, dtype)

    def graph(self, *results: Atom) -> Graph:
        return verify(Graph(self.params, self.eqns, results))


class Compiled:
    """A compiled graph: a call gives its results; ``written`` parameters are changed in place."""

    def __init__(
        self,
        graph: Graph,
        layouts: Sequence[tuple[int, ...] | None] | None = None,
        written: Mapping[int, int] | None = None,
        vector_bits: int = 256,
    ) -> None:
        self.graph = graph
        self.written = dict(written or {})
        strides = list(layouts or [None] * len(graph.params))
        lowered = lower(graph, strides, self.written, vector_bits)
        self.forms = {type(kernel).__name__ for kernel in lowered.kernels}
        self.kernels = [kernel.kind for kernel in lowered.kernels]
        loops = each(lowered.steps, lambda kernel: (kernel.frame, schedule(kernel)))
        target = tvm_target(RUNTIME.cpu)
        module = build_module(loops, lowered.arguments, target)
        self.workspace = lowered.workspace
        self.checked = lowered.checked
        self.failure = 0  # the number of what the last call's checks found
        self.library = Library(link(compile_module(module, target)))
        entry = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
        self.entry = entry(self.library.symbol(ENTRY))

    def __call__(self, *inputs: Any) -> list[Any]:
        arrays = list(inputs)
        fresh = [
            Guarded(atom.type.shape, atom.type.dtype)
            for n, atom in enumerate(self.graph.results)
            if n not in self.written.values()
        ]
        workspace = Guarded((self.workspace,), np.dtype("u1"))
        owned = [*fresh, workspace]
        addresses = [x.ctypes.data for x in arrays] + [x.array.ctypes.data for x in owned]
        if not self.workspace:
            addresses[-1] = 0
        table = (ctypes.c_void_p * len(addresses))(*addresses)
        assert self.entry(ctypes.addressof(table)) == 0
        for memory in owned:
            memory.check()
        self.failure = int(workspace.array[OUTCOME]) if self.checked else 0
        results: list[Any] = []
        new = iter([x.array for x in fresh])
        owner = {result: param for param, result in self.written.items()}
        for n in range(len(self.graph.results)):
            results.append(arrays[owner[n]] if n in owner else next(new))
        return results


class Guarded:
    """An aligned array between guard bytes, which no kernel may touch."""

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.memory = np.full(count + 256, 0xA5, "u1")
        self.start = 64 + -self.memory.ctypes.data % 64
        self.end = self.start + count
        self.array = self.memory[self.start : self.end].view(dtype).reshape(shape)

    def check(self) -> None:
        outside = np.concatenate([self.memory[: self.start], self.memory[self.end :]])
        assert (outside == 0xA5).all(), "a kernel wrote outside of its memory"


def element_strides(array: Any) -> tuple[int, ...] | None:
    """The layout of an array as the compiler takes it."""
    if array.flags.c_contiguous:
        return None
    return tuple(0 if n == 1 else s // array.itemsize for n, s in zip(array.shape, array.strides))


def compiled_like(graph: Graph, *inputs: Any, **more: Any) -> Callable[..., list[Any]]:
    """The graph compiled for the layouts of these arrays."""
    return Compiled(graph, [element_strides(x) for x in inputs], **more)


__all__ = ["Builder", "Compiled", "Literal", "compiled_like", "element_strides"]
