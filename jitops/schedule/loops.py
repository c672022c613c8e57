"""Loop nests: merge axes that memory does not tell apart, split the work, nest the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower.cost import PARALLEL_NS, UNIT_NS
from jitops.lower.frame import Frame, Scope
from jitops.lower.index import (
    Affine,
    Extent,
    Index,
    ceil_div,
    int64,
    is_open,
    loop_variable,
    most,
    typical,
    unflatten,
)

Emit = Callable[[Index, Scope], None]
Bound = Callable[[Extent], Any]  # the expression for an extent

SHORT = (8, 65)  # lengths (from, below) worth vectorising that LLVM would unroll

GRAIN_NS = 8_000  # one task: long against the hand-over, short enough to balance the cores


class Axes:
    """Groups of adjacent axes that every access steps through as if they were one."""

    def __init__(self, domain: Sequence[int], groups: Sequence[Sequence[int]]) -> None:
        self.domain = tuple(domain)
        self.groups = [tuple(g) for g in groups]
        self.extents = tuple(prod(self.domain[a] for a in g) for g in self.groups)

    def index(self, components: Sequence[Affine]) -> list[Affine]:
        """The index over the domain: a group's last axis runs over the whole group."""
        index = [Affine({})] * len(self.domain)
        for group, component in zip(self.groups, components):
            index[group[-1]] = component
        return index


def merge_axes(
    domain: Sequence[int], offsets: Sequence[Affine] | None, index: Index, breaks: set[int]
) -> Axes:
    """Merge axis ``a`` into ``a + 1`` where all strides are the next ones' times its extent.

    ``offsets`` are functions of ``index``; None stands for unknown accesses, which merge nothing.
    ``breaks`` names axes that must not join their predecessor. Axes of extent 1 vanish.
    """
    groups: list[list[int]] = []
    atoms = [next(iter(component.terms), None) for component in index]
    for axis, extent in enumerate(domain):
        if extent == 1:
            continue
        joined = groups and axis not in breaks and offsets is not None
        if joined and _steps_on(offsets, atoms[groups[-1][-1]], atoms[axis], extent):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return Axes(domain, groups)


def merged_axes(kernel: Any, index: Index, breaks: set[int]) -> tuple[Axes, list[Affine] | None]:
    """The axes of a map or row kernel, merged, and its offsets as functions of ``index``.

    Seen through a reshape, a count beyond its axis carries into another one, which the strides do
    not tell: so the offsets are computed once more, with the merged axes.
    """
    offsets = kernel.offsets(index)
    axes = merge_axes(kernel.domain, offsets, index, breaks)
    if offsets is not None and any(len(group) > 1 for group in axes.groups):
        counts = [loop_variable("i", extent) for extent in axes.extents]
        lasts = [next(iter(index[group[-1]].terms)) for group in axes.groups]
        again = kernel.offsets(tuple(axes.index([Affine.of(count) for count in counts])))
        if _strides(offsets, lasts) != _strides(again, counts):
            axes = merge_axes(kernel.domain, None, index, breaks)
    return axes, offsets


def _strides(offsets: Sequence[Affine] | None, atoms: Sequence[Any]) -> set[Any]:
    """The constant and the coefficients of these atoms in each offset."""
    return {(o.const, *(o.terms.get(atom, 0) for atom in atoms)) for o in offsets or ()}


def _steps_on(offsets: Any, outer: Any, inner: Any, extent: int) -> bool:
    for offset in offsets:
        terms = offset.terms
        if terms.get(outer, 0) != terms.get(inner, 0) * extent:
            return False
        if any(not isinstance(a.expr, tirx.Var) or a.expr.name[0] != "i" for a in terms):
            return False  # a quotient or a looked-up place hides how the axes enter
    return True


def serial(
    extents: Sequence[int], emit: Emit, scope: Scope, prefix: Index = (), last: Bound = int64
) -> None:
    """``for i in range(extents[0]): for j in …: emit((*prefix, i, j, …), inner scope)``.

    last: the bound of the innermost loop, where others are around it.
    """
    if not extents:
        emit(prefix, scope)
        return
    atom = loop_variable("j", extents[0])
    inner = Scope(scope)
    serial(extents[1:], emit, inner, (*prefix, Affine.of(atom)), last)
    bound = last if prefix and len(extents) == 1 else int64
    scope.emit(for_loop(atom.expr, bound(extents[0]), inner))


def for_loop(var: Any, extent: Any, body: Scope, parallel: bool = False) -> Any:
    kind = st.ForKind.PARALLEL if parallel else st.ForKind.SERIAL
    return st.For(var, int64(0), extent, kind, body.block())


def unknown(frame: Frame) -> Bound:
    """A bound that LLVM does not know, for the short loops of a kernel that has its code already.

    It unrolls a short loop of known length before it looks for loops to vectorise, and what it then
    vectorises is the loop around it, with loads that are far apart. To the length comes 0: of an
    address of a program bit 63 is not set on x86-64, nor is bit 55 on aarch64, tagged or not.
    """

    def bound(extent: Extent) -> Any:
        if is_open(extent) or not SHORT[0] <= extent < SHORT[1] or not frame.buffers:
            return int64(extent)
        pointer, _ = next(iter(frame.buffers.values()))
        address = tirx.reinterpret("uint64", pointer)
        bits = [tirx.shift_right(address, tirx.IntImm("uint64", n)) for n in (63, 55)]
        return tirx.Add(int64(extent), tirx.Cast("int64", tirx.bitwise_and(*bits)))

    return bound


def nest(
    extents: Sequence[int], unit_cost: float, emit: Emit, scope: Scope, last: Bound = int64
) -> None:
    """As `serial`, in parallel when the work is worth it; ``unit_cost`` is that of one ``emit``."""
    extents = tuple(extents)
    # Where any size has the one kernel, a small call of it gets one thread from the caller.
    if not extents or unit_cost * UNIT_NS * most(prod(extents)) < PARALLEL_NS:
        return serial(extents, emit, scope, last=last)
    grain = max(1, int(GRAIN_NS / UNIT_NS / unit_cost))
    pieces_divide = len(extents) == 1 or not is_open(extents[-1])
    if pieces_divide and typical(extents[-1]) > 2 * grain:
        return _split_inner(extents, -(-grain // 64) * 64, emit, scope)
    return _group_rows(extents, grain, emit, scope, last)


def _split_inner(extents: tuple[int, ...], chunk: int, emit: Emit, scope: Scope) -> None:
    """One task per piece of the innermost axis."""
    inner = extents[-1]
    grid = (*extents[:-1], ceil_div(inner, chunk, scope))

    def task(number: Affine, body: Scope) -> None:
        *outer, piece = unflatten(number, grid, body)
        start = piece * chunk
        step = loop_variable("j", chunk)
        element = Scope(body)
        emit((*outer, start + Affine.of(step)), element)
        left: Any = int64(chunk)
        if is_open(inner) or inner % chunk:
            left = tirx.Min(int64(chunk), int64(inner) - start.expr())
        body.emit(for_loop(step.expr, left, element))

    parallel_tasks(prod(grid), task, scope)


def _group_rows(
    extents: tuple[int, ...], grain: int, emit: Emit, scope: Scope, last: Bound
) -> None:
    """A task takes a few iterations of the fused outer axes; what remains is nested inside."""
    depth = 1
    while depth < len(extents) - 1 and typical(prod(extents[depth:])) > grain:
        depth += 1
    fused, inside = prod(extents[:depth]), typical(prod(extents[depth:]))
    rows = max(1, grain // inside)

    def task(number: Affine, body: Scope) -> None:
        row = loop_variable("r", rows)
        one = Scope(body)
        position = number * rows + Affine.of(row)
        prefix = unflatten(position, extents[:depth], one) if depth > 1 else (position,)
        serial(extents[depth:], emit, one, tuple(prefix), last)
        left: Any = int64(rows)
        if is_open(fused) or fused % rows:
            left = tirx.Min(int64(rows), int64(fused) - (number * rows).expr())
        body.emit(for_loop(row.expr, left, one))

    parallel_tasks(ceil_div(fused, rows, scope), task, scope)


def parallel_tasks(count: Extent, emit: Callable[[Affine, Scope], None], scope: Scope) -> None:
    """``parallel for t in range(count): emit(t)``; an only one is not handed over."""
    number, body = loop_variable("t", count), Scope(scope)
    emit(Affine.of(number), body)
    loop = for_loop(number.expr, int64(count), body, parallel=True)
    if is_open(count):
        only = Scope(scope)
        emit(Affine({}), only)
        loop = st.IfThenElse(tirx.EQ(int64(count), int64(1)), only.block(), loop)
    scope.emit(loop)
