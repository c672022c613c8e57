"""`jitop` and `Op`: what a user decorates with, and what comes out.

An `Op` is the native dispatcher (the way of a hit) joined to the pipeline (the way of a miss).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, overload

import numpy as np

from jitops._native import Dispatcher, Value
from jitops.arguments import Call, parameters_of, static_names_of
from jitops.config import COMPILE_MODES
from jitops.errors import ArgumentError
from jitops.graph.types import Shape, Spec
from jitops.pipeline import Bound, Deferred, Request, bind, key_of, traced_request
from jitops.process import RUNTIME
from jitops.runtime import Runtime
from jitops.trace import Traced, host_steps_refused, is_traced
from jitops.trace.guards import changed
from jitops.variants import MANY, REBOUND, Variants, dynamic_axes_of

__all__ = ["Compiled", "Explanation", "Op", "Stats", "barrier_warm", "jitop", "spec"]

WAITING_LIMIT = 4096  # signatures remembered as running in NumPy


class Stats(dict[str, int]):
    """Counts of one op in this process: hits, misses, compiles, loads.

    hits: calls that went straight to a kernel. misses: calls that had to be bound first.
    compiles: kernels compiled here. loads: kernels taken from the cache.
    """


class Compiled:
    """The outcome of `Op.compile`: key, "compiled", "loaded" or "known", and the seconds spent."""

    __slots__ = ("key", "seconds", "status")

    def __init__(self, key: str, status: str, seconds: float) -> None:
        self.key = key
        self.status = status
        self.seconds = seconds

    def __repr__(self) -> str:
        return f"Compiled({self.status} {self.key[:12]} in {self.seconds * 1e3:.1f} ms)"


class Explanation:
    """What a call would do, and why; `print` it.

    status: "known" to this process, "stored" in the cache, or "missing".
    key: the digest. differences: where the nearest stored key differs. graph: the canonical text.
    hosts: the steps that run in NumPy, in order, each with the line that asks for it.
    sizes: which axes one kernel serves all sizes of, or why none; a line each.
    """

    __slots__ = ("differences", "graph", "hosts", "key", "name", "sizes", "status")

    def __init__(
        self,
        name: str,
        status: str,
        key: str,
        graph: str,
        differences: Sequence[str],
        hosts: Sequence[str] = (),
        sizes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.status = status
        self.key = key
        self.graph = graph
        self.differences = list(differences)
        self.hosts = list(hosts)
        self.sizes = list(sizes)

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.status}, key {self.key[:16]}", *self.sizes]
        if self.differences:
            lines.append("nearest stored entry differs in:")
            lines.extend(f"  {line}" for line in self.differences)
        for number, host in enumerate(self.hosts, 1):
            lines.append(f"step {number}: {host}, runs in NumPy")
        return "\n".join([*lines, self.graph])

    __repr__ = __str__


class Op(Dispatcher):
    """A NumPy function that runs as native code; made by `jitop`.

    Call it as the function it wraps. Arguments: arrays of NumPy, PyTorch, JAX and others that
    speak DLPack (CPU), NumPy and Python numbers, nested in tuples, lists and dicts; strings, None,
    bools and the parameters named in ``static`` are part of the signature.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        runtime: Runtime,
        *,
        static: Sequence[str] = (),
        compile: str | None = None,
        threads: int | None = None,
        strict: bool | None = None,
        dynamic: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        name = getattr(fn, "__name__", type(fn).__name__)
        super().__init__(name, self._miss, static, parameters_of(fn), threads)
        self.__name__ = name
        self.__qualname__ = getattr(fn, "__qualname__", name)
        self.__module__ = getattr(fn, "__module__", None) or "__main__"
        self.__doc__ = getattr(fn, "__doc__", None)
        self.__wrapped__ = fn
        self._runtime = runtime
        self._static = frozenset(static)
        self._mode = compile
        self._strict = strict
        self._variants = Variants(dynamic)
        self._counts = {"misses": 0, "compiles": 0, "loads": 0}
        self._waiting: dict[Any, str] = {}  # signatures that run in NumPy for now -> their keys

    @property
    def eager(self) -> Callable[..., Any]:
        """The undecorated function: what every result is measured against."""
        fn: Callable[..., Any] = self.__wrapped__
        return fn

    def stats(self) -> Stats:
        """Counts of hits, misses, compiles and loads so far."""
        return Stats(hits=self.hits, **self._counts)

    def compile(self, *args: Any, **kwargs: Any) -> Compiled:
        """Make ready for such arguments without running: arrays, numbers, or `jitops.spec` objects.

        Compiles here and now unless the mode is "never". Raises CompileError where that fails, and
        CacheMiss.
        """
        started = time.perf_counter()
        bound = self._bound(self._call(args, kwargs))
        self.insert(args, kwargs, bound.binding)
        return Compiled(bound.key.digest, bound.status, time.perf_counter() - started)

    def prepare(
        self,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        check: bool = False,
        verify: bool = False,
        target: str | None = None,
    ) -> Compiled:
        """As `compile`, into the cache only; what `jitops warm` does.

        check: compile nothing, CacheMiss where it is missing. verify: compare the kernel with
        `eager`, a stored one too. target: a level or a CPU to prepare for; None: this machine.
        """
        from jitops.pipeline import prepare

        started = time.perf_counter()
        call, request, traced, layouts = self._traced(self._call(tuple(args), kwargs))
        self._refuse_hosts(traced)
        self._refuse_closed(call, request)
        request.mode, request.verify = "never" if check else "now", verify
        key, status = prepare(request, traced, layouts, self._runtime, target)
        return Compiled(key.digest, status, time.perf_counter() - started)

    def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        """Say what a call with these arguments would do, and what a miss differs in."""
        from jitops.cache.explain import describe, nearest  # difflib is not for the hit path

        call, request, traced, layouts = self._traced(self._call(args, kwargs))
        runtime = self._runtime
        key = key_of(traced, layouts, runtime)
        store = runtime.store()
        differences: list[str] = []
        if runtime.loaded(key.digest) is not None:
            status = "known"
        elif runtime.stored(key) is not None:
            status = "stored"
        else:
            status = "missing"
            other = nearest(store, key)
            if other is not None:
                names = [param.name for param in traced.params]
                differences = [_named(line, names) for line in describe(key.diff(other))]
                differences.sort(key=lambda line: not line.startswith("arguments"))
        graph, hosts = str(traced.graph), [str(host) for host in traced.hosts]
        sizes = _sizes(call, request, traced)
        return Explanation(self.__name__, status, key.digest, graph, differences, hosts, sizes)

    def reset(self) -> None:
        """Forget all signatures: globals and closures are read again at the next call."""
        self._waiting.clear()
        self._variants = Variants(self._variants.dynamic)
        self.clear()

    def __repr__(self) -> str:
        return f"<jitop {self.__qualname__}, {self.size} signatures>"

    def _miss(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._runtime.config.disable or _inside_trace(args, kwargs):
            return Value(self.eager(*args, **kwargs))
        self._counts["misses"] += 1
        call = self._call(args, kwargs)
        if self._waiting and self._still_waiting(call):
            return Value(call.eager(self.eager))
        self._variants.note(call)
        with self._runtime.collector_pause:
            call, bound = self._bind(call)
        if isinstance(bound, Deferred):
            return Value(self._run_for_now(call, bound))
        self._warn_of_rebinding(call, bound.traced)
        if not bound.traced.open_axes:
            self._warn_of_many(call, bound.obstacle)
        if call.copied:
            return Value(self._run_on_copies(call, bound))
        reason = call.unfit_for(bound.traced)
        if reason:
            self._runtime.log.once(
                f"eager {self.__qualname__} {reason}",
                "op %s runs in NumPy: %s",
                self.__qualname__,
                reason,
            )
            return Value(call.eager(self.eager))
        return bound.binding

    def _still_waiting(self, call: Call) -> bool:
        """Whether this signature's kernel is on its way still, or will never come."""
        signature = call.signature()
        digest = self._waiting.get(signature)
        if digest is None:
            return False
        runtime = self._runtime
        if digest in runtime.failures and not self._is_strict():
            return True
        if runtime.compiling(digest):
            return True
        self._waiting.pop(signature, None)
        return False

    def _run_for_now(self, call: Call, deferred: Deferred) -> Any:
        """NumPy's result, where there is no kernel; or the reason why not, under strict."""
        if deferred.error is not None and self._is_strict():
            raise deferred.error
        if len(self._waiting) >= WAITING_LIMIT:
            self._waiting.clear()
        self._waiting[call.signature()] = deferred.key.digest
        return call.eager(self.eager)

    def _is_strict(self) -> bool:
        return self._runtime.config.strict if self._strict is None else self._strict

    def _refuse_hosts(self, traced: Traced) -> None:
        if traced.hosts and self._is_strict():
            raise host_steps_refused(self.__qualname__, traced.hosts)

    def _tell_hosts(self, traced: Traced) -> None:
        """Say once what runs in NumPy between the kernels."""
        if not traced.hosts:
            return
        self._runtime.log.once(
            f"host {self.__qualname__} {[host.function for host in traced.hosts]}",
            "op %s has no native code for these steps and runs them in NumPy: %s",
            self.__qualname__,
            "; ".join(map(str, traced.hosts)),
        )

    def _run_on_copies(self, call: Call, bound: Bound) -> Any:
        """Arguments that no kernel can read where they are: copied in, and back if written."""
        self.insert(call.args, call.kwargs, bound.binding)
        result = self(*call.args, **call.kwargs)
        call.copy_back(bound.traced)
        return call.originals(result)

    def _request(self, call: Call) -> Request:
        mode = self._mode or self._runtime.config.compile
        return Request(
            self.__name__, self.eager, call.traceable_args, call.traceable_kwargs,
            call.kinds, call.layouts, self._static, mode, dynamic=self._variants.open_axes(call),
        )  # fmt: skip

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        return Call(self, args, kwargs, self._static)

    def _traced(self, call: Call) -> tuple[Call, Request, Traced, list[Shape | None]]:
        request = self._request(call)
        traced, layouts = traced_request(request)
        names = {call.name_of(leaf) for leaf in traced.static_leaves} - {""}
        if not names:
            return call, request, traced, layouts
        # Ints that set a shape or count a loop: from now on each value has its own signature.
        self._static |= names
        self.set_static(tuple(self._static))
        again = self._call(call.args, call.kwargs)
        again.copied = call.copied
        return self._traced(again)

    def _bind(self, call: Call, mode: str | None = None) -> tuple[Call, Bound | Deferred]:
        call, request, traced, layouts = self._traced(call)
        self._refuse_hosts(traced)
        request.mode = mode or request.mode
        self._refuse_closed(call, request)
        traced, layouts = self._preferred(call, request, traced, layouts)
        recorder = self._runtime.recorder()
        if recorder is not None:
            recorder.note(self.eager, call, traced)
        bound = bind(request, traced, layouts, self._runtime)
        if isinstance(bound, Deferred) and bound.error is not None and traced.open_axes:
            traced, layouts = self._closed(request)
            bound = bind(request, traced, layouts, self._runtime)
        if isinstance(bound, Bound):
            bound.obstacle = "" if traced.open_axes else request.obstacle
        self._tell_hosts(traced)
        if isinstance(bound, Bound) and bound.status != "known":
            self._counts["compiles" if bound.status == "compiled" else "loads"] += 1
        return call, bound

    def _preferred(
        self, call: Call, request: Request, traced: Traced, layouts: list[Shape | None]
    ) -> tuple[Traced, list[Shape | None]]:
        """A kernel for this size alone that is at hand before one for all sizes that is not."""
        specified = any(getattr(leaf[0], "open", ()) for leaf in call.leaves)
        if specified or not traced.open_axes or self._at_hand(traced, layouts):
            return traced, layouts
        closed = self._closed(request)
        return closed if self._at_hand(*closed) else (traced, layouts)

    def _closed(self, request: Request) -> tuple[Traced, list[Shape | None]]:
        request.dynamic = ()
        return traced_request(request)

    def _at_hand(self, traced: Traced, layouts: list[Shape | None]) -> bool:
        key = key_of(traced, layouts, self._runtime)
        return self._runtime.loaded(key.digest) is not None or bool(self._runtime.stored(key))

    def _refuse_closed(self, call: Call, request: Request) -> None:
        """A spec with an open size asks for one kernel for all sizes; say why there is none."""
        if request.obstacle and any(getattr(leaf[0], "open", ()) for leaf in call.leaves):
            raise ArgumentError(
                f"op {self.__qualname__!r} has no kernel that serves all sizes",
                found=request.obstacle,
                way_out="Name the sizes in the spec, one spec for each.",
            )

    def _warn_of_many(self, call: Call, obstacle: str) -> None:
        what = self._variants.too_many(call)
        if what:
            self._runtime.log.warning(
                "op %s has collected %d signatures, each with a kernel of its own: %s. %sMark such"
                " an axis dynamic, pad it to a few sizes, or pass the value as an argument that is"
                " not static.",
                self.__qualname__, MANY, what,
                f"Not dynamic: {obstacle}. " if obstacle else "",
            )  # fmt: skip

    def _warn_of_rebinding(self, call: Call, traced: Traced) -> None:
        name = self._variants.rebound(call, traced.guards, changed)
        if name:
            self._runtime.log.warning(
                "op %s was traced anew %d times because %s was bound to something else each time."
                " Pass it as an argument.",
                self.__qualname__, REBOUND, name,
            )  # fmt: skip

    def _bound(self, call: Call) -> Bound:
        """The kernel for a call, compiled here if need be. Raises CompileError, CacheMiss."""
        mode = self._mode or self._runtime.config.compile
        _, bound = self._bind(call, "now" if mode == "background" else mode)
        if isinstance(bound, Bound):
            return bound
        assert bound.error is not None
        raise bound.error


def _named(line: str, names: Sequence[str]) -> str:
    """A difference in the arguments, with the parameter's name for its number."""

    def name(found: re.Match[str]) -> str:
        number = int(found[1])
        return names[number] + " " if number < len(names) and names[number] else found[0]

    return re.sub(r"(?<=[:,] )(\d+) (?=\w+\[)", name, line)


def _sizes(call: Call, request: Request, traced: Traced) -> list[str]:
    """Which axes are open in a kernel, and for which sizes; or why none is."""
    if request.obstacle:
        return [f"a kernel for this size alone: {request.obstacle}"]
    names = call.leaf_names()
    return [
        f"{names[leaf]}.shape[{axis}] is {size.name}, any of {size.low}..{size.high}"
        for (leaf, axis), size in traced.open_axes.items()
    ]


def _inside_trace(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """An op called by an op that is being traced is part of it."""
    return any(map(is_traced, args)) or any(map(is_traced, kwargs.values()))


@overload
def jitop(fn: Callable[..., Any], /) -> Op: ...
@overload
def jitop(
    *,
    static: str | Sequence[str] = (),
    compile: str | None = None,
    threads: int | None = None,
    strict: bool | None = None,
    dynamic: Mapping[str, int | Sequence[int]] | bool | None = None,
) -> Callable[[Callable[..., Any]], Op]: ...
def jitop(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    static: str | Sequence[str] = (),
    compile: str | None = None,
    threads: int | None = None,
    strict: bool | None = None,
    dynamic: Mapping[str, int | Sequence[int]] | bool | None = None,
) -> Any:
    """Compile a NumPy function for this machine, on first use of each signature, and keep it.

    static: parameters whose (hashable) values are part of the signature: an axis, a mode.
    compile: on a miss, "now" (default), "background" (NumPy's result until another process has
        compiled it) or "never" (CacheMiss); None: as `jitops.config.compile`.
    threads: the most threads a call may use; None: as configured.
    strict: whether what would run in NumPy is an error instead: UnsupportedError for a step without
        native code, CompileError for a kernel that cannot be had; None: as configured.
    dynamic: parameter -> its axes for all whose sizes one kernel should serve: {"x": (0,)}. An axis
        that has taken four sizes becomes dynamic by itself; False: never. Where one kernel would
        not do, each size has its own, and `Op.explain` says why.

    Raises ArgumentError where an option does not fit the function.
    """

    def decorate(fn: Callable[..., Any]) -> Op:
        if isinstance(fn, Op):
            return fn
        if not callable(fn):
            raise ArgumentError(
                "jitop decorates functions", found=type(fn).__name__, accepted="a function"
            )
        names = static_names_of(fn, static)
        axes = dynamic_axes_of(dynamic, parameters_of(fn), getattr(fn, "__name__", ""))
        return Op(
            fn, RUNTIME, static=names, compile=compile, threads=threads, strict=strict,
            dynamic=axes,
        )  # fmt: skip

    if compile is not None and compile not in COMPILE_MODES:
        raise ArgumentError(
            "jitop(compile=…)", found=repr(compile), accepted=", ".join(COMPILE_MODES)
        )
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ArgumentError(
            "jitop(threads=…)", found=repr(threads), accepted="a positive int or None"
        )
    return decorate if fn is None else decorate(fn)


def spec(shape: int | str | Sequence[int | str], dtype: Any = "float64") -> Spec:
    """An array argument that is not there yet, for `Op.compile` and `Op.explain`.

    shape: an int or a sequence of ints; "*" or a name for an axis whose size is left open, the
        same name where two are equal. dtype: as `numpy.dtype` takes it.
    """
    return Spec(shape, np.dtype(dtype))


def barrier_warm(timeout: float = 600.0) -> AbstractContextManager[bool]:
    """`with jitops.barrier_warm():` runs the block on the first process of each machine first.

    For scripts started by torchrun, mpirun or srun: put the first step in the block, and rank 0
    compiles what the others then load. Every process has to come by. Gives whether this process is
    the first. Without a launcher the block just runs.

    timeout: seconds that the others wait at most; then they go on, with a warning.
    """
    return RUNTIME.ranks().first(RUNTIME.store(), timeout)
