"""The way of a call that the dispatcher does not know: trace, key, look up; and only then compile.

    traced_request  trace
    bind            key → loaded? → stored? → compile once → load
    compile_unit    simplify → fuse → lower → schedule → compile → link

TVM is imported by the last step alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from jitops._native import Binding
from jitops.cache.artifact import Artifact
from jitops.cache.key import Key
from jitops.errors import ArgumentError, CacheMiss, CompileError
from jitops.graph.sizes import planned
from jitops.graph.types import Shape
from jitops.trace import NotDynamic, Traced, trace

if TYPE_CHECKING:
    from jitops._native import Program
    from jitops.lower.lowering import Lowered
    from jitops.runtime import Runtime
    from jitops.runtime.target import Target
    from jitops.unit import Unit

__all__ = [
    "Bound",
    "Deferred",
    "Request",
    "bind",
    "compile_unit",
    "key_of",
    "prepare",
    "traced_request",
]


class Request:
    """A call to be bound: the function, its arguments as the trace sees them, and their layouts.

    kinds: what each dynamic leaf is ("array", "tensor", "scalar", "int", "float", "complex",
        "object").
    layouts: byte strides of each dynamic leaf, None for C order.
    mode: "now", "background" or "never". verify: compare a stored kernel with NumPy too.
    dynamic: (leaf, axis) of each axis whose size is to stay open. obstacle: why it could not.
    """

    __slots__ = (
        "args", "dynamic", "fn", "kinds", "kwargs", "layouts", "mode", "name", "obstacle",
        "static", "verify",
    )  # fmt: skip

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
        verify: bool = False,
        dynamic: Collection[tuple[int, int]] = (),
    ) -> None:
        self.dynamic = dynamic
        self.obstacle = ""
        self.name = name
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.kinds = kinds
        self.layouts = layouts
        self.static = static
        self.mode = mode
        self.verify = verify


class Bound:
    """What binding a request gave: the native binding, the key, and how the program was come by.

    status: "known" (loaded by this process before), "loaded" (from the store) or "compiled".
    obstacle: why it is for one size alone, where one for all was wanted.
    """

    __slots__ = ("binding", "key", "obstacle", "status", "traced")

    def __init__(self, binding: Binding, key: Key, status: str, traced: Traced) -> None:
        self.binding = binding
        self.obstacle = ""
        self.key = key
        self.status = status
        self.traced = traced


class Deferred:
    """No kernel for this call: still being compiled (error None), or it cannot be (error)."""

    __slots__ = ("error", "key")

    def __init__(self, key: Key, error: CompileError | None = None) -> None:
        self.key = key
        self.error = error


def bind(
    request: Request, traced: Traced, layouts: Sequence[Shape | None], runtime: Runtime
) -> Bound | Deferred:
    """Find or make the program for a traced request; Deferred where the call has to run in NumPy.

    Raises CacheMiss with mode "never". A kernel that cannot be compiled
    or loaded raises nothing: `Deferred.error` says why, and it is not tried again.
    """
    key = key_of(traced, layouts, runtime)
    program, status = runtime.loaded(key.digest), "known"
    if program is None or request.verify:
        failure = runtime.failures.get(key.digest)
        if failure is not None:
            return Deferred(key, failure)
        try:
            artifact, status = _artifact(request, traced, layouts, key, runtime)
            if artifact is None:
                return Deferred(key)
            program = runtime.load(artifact, key.digest)
        except (CompileError, ImportError) as error:
            return Deferred(key, runtime.failed(key.digest, request.name, error))
    return Bound(_binding(program, traced), key, status, traced)


def _binding(program: Program, traced: Traced) -> Binding:
    sources = [param.source[1] for param in traced.params]
    return Binding(program, sources, traced.result, traced.objects, traced.guards)


def prepare(
    request: Request,
    traced: Traced,
    layouts: Sequence[Shape | None],
    runtime: Runtime,
    target: str | None,
) -> tuple[Key, str]:
    """Have the artifact of a request in the store, and load nothing.

    target: a level or a CPU, by name; None: this machine. Raises CompileError, CacheMiss, and
    ArgumentError for a target that LLVM does not know, or that cannot be verified here.
    """
    if target is not None:
        runtime.target = target_named(target)
        lacking = set(runtime.target.cpu["features"]).difference(runtime.cpu["features"])
        if request.verify and lacking:
            raise ArgumentError(
                f"code for {target} cannot be verified on this machine",
                found=f"a CPU without {', '.join(sorted(lacking))}",
            )
    key = key_of(traced, layouts, runtime)
    _, status = _artifact(request, traced, layouts, key, runtime)
    return key, status


def target_named(name: str) -> Target:
    """The target of a level or a CPU. TVM is asked only for names that are not a level's."""
    from jitops.runtime.target import LEVELS, level_target

    if name in LEVELS:
        return level_target("x86_64", name, LEVELS[name].split())
    from jitops.codegen.target import features_of_cpu

    return level_target(*features_of_cpu(name))


def traced_request(request: Request) -> tuple[Traced, list[Shape | None]]:
    """The traced function, and the byte strides of each of its parameters."""
    traced = _traced_open(request) if request.dynamic else None
    if traced is None:
        traced = trace(request.fn, request.args, request.kwargs, request.static)
    layouts: list[Shape | None] = []
    for param in traced.params:
        kind, source = param.source
        if kind == "captured":
            layouts.append(layout_of(source))
        else:
            layouts.append(request.layouts[source] if kind == "leaf" else None)
    return traced, layouts


def _traced_open(request: Request) -> Traced | None:
    """The function traced for all sizes; None, and the reason in the request, where that fails."""
    if any(request.layouts[leaf] is not None for leaf, _ in request.dynamic):
        request.obstacle = "a dynamic argument is not in C order"
        return None
    try:
        return trace(request.fn, request.args, request.kwargs, request.static, request.dynamic)
    except NotDynamic as refusal:
        request.obstacle = refusal.reason
    except Exception as error:  # what holds for this size, too, is raised by the trace for it
        request.obstacle = f"{type(error).__name__}: {error}"
    return None


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
        line = f"{number} {param.var.type} {where}{' scalar' * param.scalar}"
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
) -> tuple[Artifact | None, str]:
    """The artifact, and how it was come by; None while it is compiled in the background."""
    stored = runtime.stored(key)
    if stored is not None:
        if request.verify:
            stored = _verified(request, traced, stored, runtime)
        return stored, "loaded"
    if request.mode == "never":
        arguments = ", ".join(str(param.var.type) for param in traced.params)
        raise CacheMiss(
            f"op {request.name!r} is not in the cache, and compile='never'",
            where=runtime.store().directory,
            found=f"no entry {key.digest[:16]} for ({arguments})",
            way_out=f"Prepare it with `jitops warm MODULE:{request.name} --spec …`, "
            "or allow compiling with compile='now'.",
        )
    unit = unit_of(request, traced, layouts, key, runtime)
    check = runtime.config.check or request.verify
    if request.mode == "background":
        made = runtime.background().ask(unit, runtime.store(), publish=not check)
        if made is None:
            return None, "deferred"
        produce: Callable[[], Artifact] = lambda: made  # noqa: E731
    else:
        runtime.log.info("compiling %s %s", request.name, key.digest[:12])
        produce = lambda: compile_unit(unit)  # noqa: E731

    def checked() -> Artifact:
        artifact = produce()
        return compared(artifact, request, traced, runtime) if check else artifact

    artifact, ours = runtime.produced(key, checked)
    return artifact, "compiled" if ours else "loaded"


def _verified(request: Request, traced: Traced, stored: Artifact, runtime: Runtime) -> Artifact:
    """A stored artifact compared with NumPy now; one that differs is removed."""
    try:
        artifact = compared(stored, request, traced, runtime)
    except CompileError:
        runtime.store().remove(stored.key.digest)
        raise
    if artifact is not stored:
        runtime.store().put(artifact)
    return artifact


def compared(artifact: Artifact, request: Request, traced: Traced, runtime: Runtime) -> Artifact:
    """The artifact with the record of its comparison with NumPy. CompileError where it differs."""
    from jitops.check import compare

    program = runtime.load(artifact, artifact.key.digest, keep=False)
    outcome = compare(request, traced, _binding(program, traced), artifact.key.digest)
    if outcome is None:
        return artifact
    meta = {**artifact.meta, "check": outcome}
    return Artifact(artifact.key, artifact.image, artifact.plan, artifact.features, meta)


def unit_of(
    request: Request,
    traced: Traced,
    layouts: Sequence[Shape | None],
    key: Key,
    runtime: Runtime,
) -> Unit:
    """What the compiler needs of this call."""
    from jitops.unit import Unit

    inputs = _input_plan(request, traced, layouts)
    cpu, debug = runtime.target.cpu, runtime.config.debug
    return Unit(request.name, traced.graph, key, inputs, traced.mutated, cpu, debug)


def compile_unit(unit: Unit) -> Artifact:
    """Compile a unit for its CPU. Raises CompileError, chained to what the compiler raised."""
    started = time.perf_counter()
    try:
        image, plan = _compiled(unit)
    except CompileError:
        raise
    except Exception as error:
        raise CompileError(
            f"op {unit.name!r} cannot be compiled", found=f"{type(error).__name__}: {error}"
        ) from error
    milliseconds = (time.perf_counter() - started) * 1e3
    meta = {"name": unit.name, "created": time.time(), "compile_ms": milliseconds}
    return Artifact(unit.key, image, plan, unit.cpu["features"], meta)


def _compiled(unit: Unit) -> tuple[bytes, dict[str, Any]]:
    """The linked library, and the launch plan."""
    from jitops.codegen.compile import compile_module
    from jitops.codegen.link import link
    from jitops.codegen.module import build_module
    from jitops.codegen.target import tvm_target
    from jitops.graph.verify import verify
    from jitops.lower.lowering import lower
    from jitops.lower.steps import each
    from jitops.schedule import schedule

    graph = verify(unit.graph) if unit.debug else unit.graph
    places = {i["name"]: n for n, i in enumerate(unit.inputs) if i["kind"] == "size"}
    bits = unit.cpu["vector_bits"]
    lowered = lower(graph, unit.element_strides(), unit.mutated, bits, places)
    loops = each(lowered.steps, lambda kernel: (kernel.frame, schedule(kernel)))
    target = tvm_target(unit.cpu)
    module = build_module(loops, lowered.arguments, target, lowered.sizes)
    image = link(compile_module(module, target), unit.cpu["arch"])
    return image, {**_plan(unit, lowered, list(places)), **_steps_plan(lowered)}


def _plan(unit: Unit, lowered: Lowered, sizes: Sequence[str]) -> dict[str, Any]:
    """How the program is called; an extent may be [constant, [number of a size, factor], ...]."""
    from jitops.lower.cost import PARALLEL_NS, UNIT_NS

    cost = lowered.cost() * UNIT_NS
    return {
        "inputs": list(unit.inputs),
        "outputs": [
            {"dtype": r.type.dtype_name, "shape": [planned(n, sizes) for n in r.type.shape]}
            for n, r in enumerate(unit.graph.results)
            if n not in unit.mutated.values()
        ],
        "workspace": planned(lowered.workspace, sizes),
        "cost_ns": cost,
        "cost_ns_each": [lowered.cost(name) * UNIT_NS - cost for name in sizes],
        "parallel": cost >= PARALLEL_NS,
        "checked": lowered.checked,
        "kernels": [kernel.kind for kernel in lowered.kernels],
    }


def _steps_plan(lowered: Lowered) -> dict[str, Any]:
    """The entries and host steps in the order of a call; nothing where one entry is all."""
    from jitops.codegen.module import entry_name
    from jitops.lower.hosts import HostStep
    from jitops.lower.steps import segments

    hosts = [step.plan(lowered.arguments) for step in lowered.steps if isinstance(step, HostStep)]
    if not hosts:
        return {}
    steps: list[dict[str, Any]] = []
    for number, segment in enumerate(segments(lowered.steps)):
        steps += [{"entry": entry_name(number)}] if segment else []
        steps += hosts[number : number + 1]
    return {"steps": steps}


def _input_plan(
    request: Request, traced: Traced, layouts: Sequence[Shape | None]
) -> list[dict[str, Any]]:
    plan = []
    sizes = [param.name for param in traced.params if param.source[0] == "size"]
    for number, (param, layout) in enumerate(zip(traced.params, layouts)):
        type_ = param.var.type
        entry = {
            "kind": _kind(request, *param.source),
            "dtype": type_.dtype.name,
            "shape": [planned(n, sizes) for n in type_.shape],
            "strides": None if layout is None else list(layout),
            "mutated": number in traced.mutated,
            "low": param.low,
            "high": param.high,
        }
        if entry["kind"] == "size":
            entry["name"] = param.name
        plan.append(entry)
    return plan


def _kind(request: Request, where: str, source: Any) -> str:
    """What a parameter is to the program: an array, a scalar, the size of an argument's axis."""
    if where == "size":
        return "size"
    is_array = where == "captured" or request.kinds[source] in ("array", "tensor")
    return "array" if is_array else "scalar"
