"""The way of a call that the dispatcher does not know: trace, key, look up; and only then compile.

    traced_request  trace
    bind            key → loaded? → stored? → compile once → load
    compile_graph   simplify → fuse → lower → schedule → compile → link

TVM is imported by the last step alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jitops._native import Binding
from jitops.cache.artifact import Artifact
from jitops.cache.key import Key
from jitops.errors import CacheMiss
from jitops.graph.types import Shape
from jitops.graph.verify import verify
from jitops.trace import Traced, trace

if TYPE_CHECKING:
    from jitops.runtime import Runtime

__all__ = ["Bound", "Request", "bind", "key_of", "traced_request"]


class Request:
    """A call to be bound: the function, its arguments as the trace sees them, and their layouts.

    kinds: what each dynamic leaf is ("array", "tensor", "scalar", "int", "float", "complex").
    layouts: byte strides of each dynamic leaf, None for C order.
    """

    __slots__ = ("args", "fn", "kinds", "kwargs", "layouts", "mode", "name", "static")

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        kinds: Sequence[str],
        layouts: Sequence[Shape | None],
        static: frozenset[str],
        mode: str,
    ) -> None:
        self.name = name
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.kinds = kinds
        self.layouts = layouts
        self.static = static
        self.mode = mode


class Bound:
    """What binding a request gave: the native binding, the key, and how the program was come by.

    status: "known" (loaded by this process before), "loaded" (from the store) or "compiled".
    """

    __slots__ = ("binding", "key", "status", "traced")

    def __init__(self, binding: Binding, key: Key, status: str, traced: Traced) -> None:
        self.binding = binding
        self.key = key
        self.status = status
        self.traced = traced


def bind(
    request: Request, traced: Traced, layouts: Sequence[Shape | None], runtime: Runtime
) -> Bound:
    """Find or make the program for a traced request."""
    key = key_of(traced, layouts, runtime)
    program, status = runtime.loaded(key.digest), "known"
    if program is None:
        artifact, status = _artifact(request, traced, layouts, key, runtime)
        program = runtime.load(artifact)
    sources = [param.source[1] for param in traced.params]
    return Bound(Binding(program, sources, traced.result), key, status, traced)


def traced_request(request: Request) -> tuple[Traced, list[Shape | None]]:
    """The traced function, and the byte strides of each of its parameters."""
    traced = trace(request.fn, request.args, request.kwargs, request.static)
    layouts: list[Shape | None] = []
    for param in traced.params:
        kind, source = param.source
        layouts.append(request.layouts[source] if kind == "leaf" else layout_of(source))
    return traced, layouts


def layout_of(array: Any) -> Shape | None:
    """Byte strides of an array that is not in C order, 0 on axes of extent 1; None if it is."""
    if array.flags.c_contiguous:
        return None
    return tuple(0 if n == 1 else s for n, s in zip(array.shape, array.strides))


def key_of(traced: Traced, layouts: Sequence[Shape | None], runtime: Runtime) -> Key:
    """The key of a traced call on this machine with this configuration.

    Arguments go by number: what a function calls them does not change its code.
    """
    arguments = []
    for number, (param, layout) in enumerate(zip(traced.params, layouts)):
        where = "C" if layout is None else f"strides {layout}"
        line = f"{number} {param.var.type} {where}"
        if param.low is not None or param.high is not None:
            line += f" in {param.low}..{param.high}"
        if number in traced.mutated:
            line += f" written by result {traced.mutated[number]}"
        arguments.append(line)
    graph = str(traced.graph)
    return Key({"graph": graph, "arguments": "\n".join(arguments), **runtime.key_parts()})


def _artifact(
    request: Request,
    traced: Traced,
    layouts: Sequence[Shape | None],
    key: Key,
    runtime: Runtime,
) -> tuple[Artifact, str]:
    store = runtime.store()
    stored = store.get(key, runtime.cpu["features"])
    if stored is not None:
        return stored, "loaded"
    if request.mode == "never":
        raise CacheMiss(
            f"op {request.name!r} is not in the cache {store.directory}, and compile='never'",
            found=f"no entry {key.digest[:16]} for ({', '.join(str(p.var.type) for p in traced.params)})",
            way_out=f"Prepare it with `jitops warm MODULE:{request.name} --spec …`, "
            "or allow compiling with compile='now'.",
        )
    runtime.log.info("compiling %s %s", request.name, key.digest[:12])

    def produce() -> Artifact:
        return compile_graph(request, traced, layouts, key, runtime)

    artifact, made = runtime.flights(store).run(key, produce)
    return artifact, "compiled" if made else "loaded"


def compile_graph(
    request: Request,
    traced: Traced,
    layouts: Sequence[Shape | None],
    key: Key,
    runtime: Runtime,
) -> Artifact:
    """Compile a traced call for this machine."""
    from jitops.codegen.compile import compile_module
    from jitops.codegen.link import link
    from jitops.codegen.module import build_module
    from jitops.codegen.target import tvm_target
    from jitops.lower.cost import UNIT_NS
    from jitops.lower.lowering import lower
    from jitops.schedule import schedule

    started = time.perf_counter()
    graph = verify(traced.graph) if runtime.config.debug else traced.graph
    strides = [element_strides(p.var.type, s) for p, s in zip(traced.params, layouts)]
    lowered = lower(graph, strides, traced.mutated, runtime.cpu["vector_bits"])
    loops = [(kernel.frame, schedule(kernel)) for kernel in lowered.kernels]
    target = tvm_target(runtime.cpu)
    module = build_module(loops, lowered.arguments, target)
    image = link(compile_module(module, target))
    plan = {
        "inputs": _input_plan(request, traced, layouts),
        "outputs": [
            {"dtype": r.type.dtype.name, "shape": list(r.type.shape)}
            for n, r in enumerate(traced.graph.results)
            if n not in traced.mutated.values()
        ],
        "workspace": lowered.workspace,
        "cost_ns": lowered.cost() * UNIT_NS,
        "parallel": lowered.cost() * UNIT_NS > 20_000,
        "kernels": [kernel.kind for kernel in lowered.kernels],
    }
    meta = {
        "name": request.name,
        "created": time.time(),
        "compile_ms": (time.perf_counter() - started) * 1e3,
    }
    return Artifact(key, image, plan, runtime.cpu["features"], meta)


def element_strides(type_: Any, layout: Shape | None) -> Shape | None:
    """Byte strides in elements."""
    return None if layout is None else tuple(s // type_.dtype.itemsize for s in layout)


def _input_plan(
    request: Request, traced: Traced, layouts: Sequence[Shape | None]
) -> list[dict[str, Any]]:
    plan = []
    for number, (param, layout) in enumerate(zip(traced.params, layouts)):
        type_ = param.var.type
        where, source = param.source
        is_array = where == "captured" or request.kinds[source] in ("array", "tensor")
        plan.append(
            {
                "kind": "array" if is_array else "scalar",
                "dtype": type_.dtype.name,
                "shape": list(type_.shape),
                "strides": None if layout is None else list(layout),
                "mutated": number in traced.mutated,
                "low": param.low,
                "high": param.high,
            }
        )
    return plan


