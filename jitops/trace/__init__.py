"""Trace a plain NumPy function into a graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from jitops.errors import UnsupportedError
from jitops.graph.graph import Graph, live
from jitops.trace.guards import Guard, guards
from jitops.trace.intercept import ACTIVE, INTERCEPTION, rebound
from jitops.trace.raising import NeedsStatic, unsupported
from jitops.trace.recorder import HostCall, is_generator
from jitops.trace.session import Param, Trace
from jitops.trace.sizes import NotDynamic, open_axes, settled
from jitops.trace.tracer import Tracer
from jitops.trace.tree import Results, mapped
from jitops.trace.weak import Weak

__all__ = ["NotDynamic", "Param", "Traced", "host_steps_refused", "is_traced", "trace"]

RETRIES = 64  # each retrace makes one more runtime int static


class Traced:
    """A traced call.

    graph: its parameters are `params`, its results the fresh outputs and then the write-backs.
    params: where each graph parameter comes from, with the range of a Python int.
    mutated: graph parameter index -> index in graph.results of what is written back to it.
    result: the result tree: ("out", i, "array" | "scalar" | "number"), ("arg", leaf),
        ("cap", param), ("const", x),
        ("tuple" | "list", (...)), ("dict", ((key, tree), ...)), ("namedtuple", cls, (...)).
    static_leaves: dynamic leaf index -> the value of a Python int that had to become static; its
        parameter has no use in the graph, and a range of that value alone.
    open_axes: (leaf, axis) of each axis whose size is open -> the parameter that it is.
    hosts: the steps that run in NumPy, in order, with the user's lines.
    objects: the random generators that they draw from; the number of a leaf for an argument.
    guards: what the function found in globals, closures and attributes (`jitops.trace.guards`).
    """

    __slots__ = (
        "graph", "guards", "hosts", "mutated", "objects", "open_axes", "params", "result",
        "static_leaves",
    )  # fmt: skip

    def __init__(
        self,
        graph: Graph,
        params: tuple[Param, ...],
        mutated: dict[int, int],
        result: tuple[Any, ...],
        static_leaves: dict[int, int],
        hosts: Sequence[HostCall] = (),
        objects: Sequence[Any] = (),
    ) -> None:
        self.objects = tuple(objects)
        self.graph = graph
        self.hosts = tuple(hosts)
        self.params = params
        self.mutated = mutated
        self.result = result
        self.static_leaves = static_leaves
        self.open_axes: dict[tuple[int, int], Param] = {}
        self.guards: tuple[Guard, ...] = ()


def trace(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    static_names: Collection[str] = (),
    dynamic: Collection[tuple[int, int]] = (),
) -> Traced:
    """Run ``fn(*args, **kwargs)`` once on tracers and give its graph.

    args, kwargs: nested tuples, lists, dicts of NumPy arrays (of which only shape, dtype and
        strides are used),
        `jitops.spec` objects, NumPy scalars, Python numbers; anything else is static.
    static_names: parameters of fn whose arguments are static.
    dynamic: (leaf, axis) of each axis whose size is left open; NotDynamic where that cannot be.
    Raises BranchError, UnsupportedError, ShapeError (naming the user's line), and what NumPy
    itself raises.
    """
    static_leaves: dict[int, int] = {}
    for _ in range(RETRIES):
        try:
            t = Trace(dynamic)
            return _trace_once(t, fn, args, kwargs, frozenset(static_names), static_leaves)
        except NeedsStatic as need:
            if not need.leaves - static_leaves.keys():
                raise unsupported("a Python int argument cannot be traced") from None
            static_leaves.update(dict.fromkeys(need.leaves, 0))
    raise unsupported(f"more than {RETRIES} Python ints need their values while tracing")


def is_traced(x: Any) -> bool:
    """Whether this stands for a value of a function that is being traced."""
    kind = type(x)
    return kind is Tracer or kind is Weak or kind.__module__ == "jitops.trace.drawing"


def host_steps_refused(op: str, hosts: Sequence[HostCall]) -> UnsupportedError:
    """The error for an op with host steps under strict."""
    first, *more = hosts
    return UnsupportedError(
        f"{first.function} has no native code{first.limit and ' ' + first.limit},"
        f" and op {op!r} is strict",
        where=first.where,
        found="; ".join(map(str, more)) and f"also {'; '.join(map(str, more))}",
        way_out="Compute it outside the op and pass the result, or allow it with strict=False:"
        " it then runs in NumPy, between the op's kernels.",
    )


def _trace_once(
    t: Trace,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    static_names: frozenset[str],
    static_leaves: dict[int, int],
) -> Traced:
    count = -1

    def visit(value: Any, name: str) -> Any:
        nonlocal count
        count += 1
        if count in static_leaves:
            static_leaves[count] = value
            t.guard(value, count, name)
            return value
        if is_generator(value):
            return t.generator(value, count)
        return t.leaf(value, count, name)

    names = parameter_names(fn)
    traced_args = [
        t.stand_in(a) if n in static_names else mapped(a, n, visit, t.stand_in)
        for a, n in zip(args, [*names, *(f"args[{i}]" for i in range(len(names), len(args)))])
    ]
    traced_kwargs = {
        k: t.stand_in(v) if k in static_names else mapped(v, k, visit, t.stand_in)
        for k, v in kwargs.items()
    }
    t.add_sizes()
    token = ACTIVE.set(t)
    try:
        with INTERCEPTION, np.errstate(all="ignore"):  # as kernels, without warnings about values
            result = rebound_call(t, fn, traced_args, traced_kwargs)
            traced = _finish(t, result, static_leaves)
            traced.guards = guards(fn, (args, kwargs))
    finally:
        ACTIVE.reset(token)
        t.done = True
        drew = t.undo_draws()
    if drew:
        raise unsupported(
            "the function draws from a random generator that is an attribute of another object",
            "Pass the generator as an argument, or let the function find it in a global or local"
            " variable of its own name.",
        )
    return traced


def rebound_call(t: Trace, fn: Any, args: Any, kwargs: Any) -> Any:
    """Call the function, or the function behind a bound method, with its globals rebound."""
    inner = getattr(fn, "__func__", None)
    if inner is not None:
        return rebound(t, inner)(fn.__self__, *args, **kwargs)
    return rebound(t, fn)(*args, **kwargs)


def parameter_names(fn: Any) -> tuple[str, ...]:
    """The names of the positional parameters, without the self of a bound method."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return ()
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
    return names[1:] if hasattr(fn, "__self__") else names


def _finish(t: Trace, result: Any, static_leaves: dict[int, int]) -> Traced:
    results = Results(t)
    tree = results.describe(result)
    atoms = list(results.atoms)
    mutated: dict[int, int] = {}
    for index, (param, leaf) in enumerate(zip(t.params, t.leaves)):
        if type(leaf) is Tracer and leaf.cell.version:
            new = leaf.read()
            if new is not param.var:
                mutated[index] = len(atoms)
                atoms.append(new)
    params = tuple(t.params)
    graph = live(Graph([p.var for p in params], t.eqns, atoms))
    if t.sizes:
        graph = settled(graph, params, t.sizes)
    traced = Traced(graph, params, mutated, tree, dict(static_leaves), t.hosts, t.objects)
    traced.open_axes = open_axes(params) if t.sizes else {}
    return traced
