"""Row kernels: reductions along contiguous memory, with what follows them in the same row.

Float additions are not reassociated by LLVM, so a fold gets explicit lanes: many independent
accumulators that one vector loop feeds, added up at the end. Sums of floats are also blocked: lanes
are emptied into a second set of accumulators every `BLOCK` steps, so that the rounding error grows
like that of pairwise summation (Higham, "The accuracy of floating point summation", 1993), not with
the length. Where there are few long rows, pieces of each are folded in parallel; their number
depends on the size alone, and so do the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

from jitops.lower.cost import PARALLEL_NS, UNIT_NS
from jitops.lower.frame import Scope
from jitops.lower.index import Affine, Index, domain_index, int64, is_open, loop_variable, typical
from jitops.lower.kernels import FoldStage, Kernel, RowKernel, StoreStage
from jitops.schedule.accumulators import Accumulators, lane_count
from jitops.schedule.loops import (
    GRAIN_NS,
    Axes,
    for_loop,
    merged_axes,
    nest,
    parallel_tasks,
    serial,
)

BLOCK = 64  # steps of the lanes between two emptyings
LARGE = 1 << 15  # elements from which a kernel is worth a longer compilation
MANY_ROWS = 8  # rows enough to keep the cores busy without cutting one
MOST_PIECES = 64  # of a row


def rows_inner(kernel: Kernel) -> Scope | None:
    """Applies when the innermost axis is reduced: one row after the other, lanes along it."""
    if not isinstance(kernel, RowKernel) or 0 in (kernel.domain[a] for a in kernel.kept):
        return Scope() if isinstance(kernel, RowKernel) else None
    axes, split = merged_rows(kernel)
    inner_reduced = not axes.groups or axes.groups[-1][-1] in kernel.axes
    if not inner_reduced and _has_columns(kernel, axes):
        return None
    scope = Scope()
    lengths = [axes.extents[n] for n in split[1]]

    rows = [axes.extents[n] for n in split[0]]
    cost = kernel.work * max(1, prod(lengths))
    pieces = _pieces(rows, lengths, cost)

    def emit(components: Index, inner: Scope) -> None:
        _Row(kernel, axes, split, components, lengths, pieces).emit(inner)

    if pieces > 1:
        serial(rows, emit, scope)
    else:
        nest(rows, cost, emit, scope)
    return scope


def _pieces(rows: Sequence[int], lengths: Sequence[int], cost: float) -> int:
    """Into how many pieces each row is cut; 1 where the rows alone are work for all cores."""
    time = cost * UNIT_NS
    if not lengths or any(map(is_open, (*rows, *lengths))) or prod(rows) >= MANY_ROWS:
        return 1
    return min(MOST_PIECES, int(time / GRAIN_NS)) if time >= PARALLEL_NS else 1


def _has_columns(kernel: RowKernel, axes: Axes) -> bool:
    return not any(isinstance(s, StoreStage) and s.whole for s in kernel.stages)


def merged_rows(kernel: RowKernel) -> tuple[Axes, tuple[list[int], list[int]]]:
    """Merged axes, and which groups are kept and which reduced."""
    index = domain_index(kernel.domain)
    long = [a for a, extent in enumerate(kernel.domain) if extent != 1]
    breaks = {b for a, b in pairwise(long) if (a in kernel.axes) != (b in kernel.axes)}
    axes, _ = merged_axes(kernel, index, breaks)
    kept = [n for n, g in enumerate(axes.groups) if g[-1] not in kernel.axes]
    return axes, (kept, [n for n in range(len(axes.groups)) if n not in kept])


class _Row:
    """The code of one row."""

    def __init__(
        self,
        kernel: RowKernel,
        axes: Axes,
        split: tuple[list[int], list[int]],
        components: Index,
        lengths: Sequence[int],
        pieces: int,
    ) -> None:
        self.pieces = pieces
        self.kernel = kernel
        self.axes = axes
        self.split = split
        self.components = components
        self.lengths = tuple(lengths)

    def index(self, along: Sequence[Affine]) -> Index:
        """The domain's index for components of the reduced groups."""
        parts: list[Affine] = [Affine({})] * len(self.axes.groups)
        for n, component in zip(self.split[0], self.components):
            parts[n] = component
        for n, component in zip(self.split[1], along):
            parts[n] = component
        return tuple(self.axes.index(parts))

    def emit(self, scope: Scope) -> None:
        nowhere = self.index([Affine({})] * len(self.lengths))
        self.kernel.begin()
        for stage in self.kernel.stages:
            if isinstance(stage, FoldStage):
                values = self.fold(stage, scope)
                self.kernel.hold(stage.var, nowhere, stage.result(values, scope), scope)
                self.kernel.keep(stage)
            elif isinstance(stage, StoreStage) and not stage.whole:
                stage.element(nowhere, scope)
            elif isinstance(stage, StoreStage):
                self._store_line(stage, scope)

    def _store_line(self, stage: StoreStage, scope: Scope) -> None:
        def element(at: Index, inner: Scope) -> None:
            stage.element(self.index(at), inner)

        serial(self.lengths, element, scope)

    def _lanes(self, stage: FoldStage, length: int) -> int:
        return lane_count(stage.fold, length, typical(prod(self.kernel.domain)) >= LARGE)

    def fold(self, stage: FoldStage, scope: Scope) -> tuple[Any, ...]:
        lengths = self.lengths or (1,)
        step = self._lanes(stage, lengths[0]) if len(lengths) == 1 else 1
        size = lengths[0] // self.pieces // step * step
        if self.pieces == 1 or not size:
            return self._piece(stage, Affine({}), lengths, scope)
        count, rest = divmod(lengths[0], size)
        width = 1 << (count - 1).bit_length()
        parts = Accumulators(stage.fold, width, scope)
        parts.clear(scope)

        def task(number: Affine, body: Scope) -> None:
            values = self._piece(stage, number * size, (size, *lengths[1:]), body)
            parts.store(number.expr(), values, body)

        parallel_tasks(count, task, scope)
        if rest:
            start = Affine({}, count * size)
            last = self._piece(stage, start, (rest, *lengths[1:]), scope)
            parts.combine(int64(0), last, scope)
        return parts.collapse(scope)

    def _piece(
        self, stage: FoldStage, start: Affine, lengths: Sequence[int], scope: Scope
    ) -> tuple[Any, ...]:
        """Fold ``lengths`` of the row, from ``start`` on along the first of its axes."""
        *outer, length = lengths
        lanes = self._lanes(stage, length)
        acc = Accumulators(stage.fold, lanes, scope)
        acc.clear(scope)
        blocked = stage.fold.sums_floats and length > 2 * lanes * BLOCK
        total = Accumulators(stage.fold, lanes, scope) if blocked else None
        if total is not None:
            total.clear(scope)

        def line(prefix: Index, inner: Scope) -> None:
            first = (prefix[0] + start, *prefix[1:]) if prefix else ()
            self._line(stage, acc, total, first, Affine({}) if prefix else start, length, inner)

        serial(outer, line, scope)
        if total is not None:
            acc.take(total, scope)
        return acc.collapse(scope)

    def _line(
        self,
        stage: FoldStage,
        acc: Accumulators,
        total: Accumulators | None,
        prefix: Index,
        begin: Affine,
        length: int,
        scope: Scope,
    ) -> None:
        """Fold one line of the innermost reduced axis into the lanes."""
        steps, rest = divmod(length, acc.count)

        def step(start: Affine, count: int, inner: Scope) -> None:
            lane = loop_variable("l", count)
            body = Scope(inner)
            at = self.index((*prefix, begin + start + Affine.of(lane))[-len(self.lengths) :])
            acc.step(lane.expr, stage.value(at, body), body)
            inner.emit(for_loop(lane.expr, int64(count), body))

        def steps_loop(first: Affine, count: int, inner: Scope) -> None:
            serial((count,), lambda at, b: step((first + at[0]) * acc.count, acc.count, b), inner)

        if total is None:
            steps_loop(Affine({}), steps, scope)
        else:
            blocks, left = divmod(steps, BLOCK)

            def block(at: Index, inner: Scope) -> None:
                steps_loop(at[0] * BLOCK, BLOCK, inner)
                total.take(acc, inner)
                acc.clear(inner)

            serial((blocks,), block, scope)
            steps_loop(Affine({}, blocks * BLOCK), left, scope)
        if rest:
            step(Affine({}, steps * acc.count), rest, scope)
