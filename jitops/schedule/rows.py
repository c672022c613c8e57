"""Row kernels: reductions, with what follows them in the same row.

Float additions are not reassociated by LLVM, so a fold that runs along contiguous memory gets
explicit lanes: many independent accumulators that one vector loop feeds, added up at the end. Sums
of floats are also blocked: lanes are emptied into a second set of accumulators every `BLOCK` steps,
so that the rounding error grows like that of pairwise summation (Higham, "The accuracy of floating
point summation", 1993), not with the length.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower import scalar as sc
from jitops.lower.elementwise import register_dtype
from jitops.lower.frame import Scope, from_memory, to_memory
from jitops.lower.index import (
    Affine,
    Index,
    ceil_div,
    divisible,
    domain_index,
    int64,
    is_open,
    loop_variable,
)
from jitops.lower.kernels import Fold, FoldStage, Kernel, RowKernel, StoreStage
from jitops.schedule.loops import Axes, for_loop, merged_axes, nest, serial

LANE_BYTES = 128  # two 512-bit vectors are as fast as four here, and compile in half the time
BLOCK = 64  # steps of the lanes between two emptyings
FEW = 8  # this many lanes are folded without a loop
COLUMNS = 256  # accumulators of a fold that runs across contiguous memory


class Accumulators:
    """A small array of accumulators on the stack, one buffer per part of the fold."""

    def __init__(self, fold: Fold, count: int, scope: Scope) -> None:
        self.fold = fold
        self.count = count
        self.buffers = []
        for part in fold.parts:
            stored = "uint8" if part == "bool" else register_dtype(part)
            buffer = sc.buffer(count, stored, "acc", scope="local")
            scope.emit(st.AllocBuffer(buffer))
            self.buffers.append(buffer)

    def load(self, at: Any, scope: Scope) -> tuple[Any, ...]:
        return tuple(
            from_memory(scope, tirx.BufferLoad(b, [at]), _stored(p))
            for b, p in zip(self.buffers, self.fold.parts)
        )

    def store(self, at: Any, values: Sequence[Any], scope: Scope) -> None:
        for buffer, value, part in zip(self.buffers, values, self.fold.parts):
            scope.emit(st.BufferStore(buffer, to_memory(scope, value, _stored(part)), [at]))

    def clear(self, scope: Scope) -> None:
        self._each(self.count, lambda at, inner: self.store(at, self.fold.identity(), inner), scope)

    def combine(self, at: Any, values: tuple[Any, ...], scope: Scope) -> None:
        """``acc[at] = fold(acc[at], values)``."""
        self.store(at, self.fold.combine(scope, self.load(at, scope), values), scope)

    def take(self, other: Accumulators, scope: Scope) -> None:
        """Fold another set into this one, lane by lane."""
        self._each(
            self.count, lambda at, inner: self.combine(at, other.load(at, inner), inner), scope
        )

    def collapse(self, scope: Scope) -> tuple[Any, ...]:
        """All lanes folded into one by halving; their number is a power of two."""
        width = self.count // 2
        while width >= FEW:
            half = int64(width)

            def step(at: Any, inner: Scope, half: Any = half) -> None:
                self.combine(at, self.load(at + half, inner), inner)

            self._each(width, step, scope)
            width //= 2
        values = [self.load(int64(at), scope) for at in range(min(self.count, FEW))]
        while len(values) > 1:
            half_count = len(values) // 2
            pairs = zip(values[:half_count], values[half_count:])
            values = [self.fold.combine(scope, a, b) for a, b in pairs]
        return values[0]

    def _each(self, count: int, emit: Any, scope: Scope) -> None:
        serial((count,), lambda at, inner: emit(at[0].expr(), inner), scope)


def _stored(part: str) -> str:
    return "bool" if part == "bool" else register_dtype(part)


def rows_inner(kernel: Kernel) -> Scope | None:
    """Applies when the innermost axis is reduced: one row after the other, lanes along it."""
    if not isinstance(kernel, RowKernel) or 0 in (kernel.domain[a] for a in kernel.kept):
        return Scope() if isinstance(kernel, RowKernel) else None
    axes, split = _merged(kernel)
    inner_reduced = not axes.groups or axes.groups[-1][-1] in kernel.axes
    if not inner_reduced and _has_columns(kernel, axes):
        return None
    scope = Scope()
    lengths = [axes.extents[n] for n in split[1]]

    def emit(components: Index, inner: Scope) -> None:
        _Row(kernel, axes, split, components, lengths).emit(inner)

    rows = [axes.extents[n] for n in split[0]]
    nest(rows, kernel.work * max(1, prod(lengths)), emit, scope)
    return scope


def _has_columns(kernel: RowKernel, axes: Axes) -> bool:
    return not any(isinstance(s, StoreStage) and s.whole for s in kernel.stages)


def _merged(kernel: RowKernel) -> tuple[Axes, tuple[list[int], list[int]]]:
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
    ) -> None:
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
        for stage in self.kernel.stages:
            if isinstance(stage, FoldStage):
                values = self.fold(stage, scope)
                self.kernel.hold(stage.var, nowhere, stage.result(values, scope), scope)
            elif isinstance(stage, StoreStage) and not stage.whole:
                stage.element(nowhere, scope)
            elif isinstance(stage, StoreStage):
                self._store_line(stage, scope)

    def _store_line(self, stage: StoreStage, scope: Scope) -> None:
        def element(at: Index, inner: Scope) -> None:
            stage.element(self.index(at), inner)

        serial(self.lengths, element, scope)

    def fold(self, stage: FoldStage, scope: Scope) -> tuple[Any, ...]:
        *outer, length = self.lengths or (1,)
        lanes = lane_count(stage.fold, length)
        acc = Accumulators(stage.fold, lanes, scope)
        acc.clear(scope)
        blocked = stage.fold.sums_floats and length > 2 * lanes * BLOCK
        total = Accumulators(stage.fold, lanes, scope) if blocked else None
        if total is not None:
            total.clear(scope)

        def line(prefix: Index, inner: Scope) -> None:
            self._line(stage, acc, total, prefix, length, inner)

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
        length: int,
        scope: Scope,
    ) -> None:
        """Fold one line of the innermost reduced axis into the lanes."""
        steps, rest = divmod(length, acc.count)

        def step(start: Affine, count: int, inner: Scope) -> None:
            lane = loop_variable("l", count)
            body = Scope(inner)
            at = self.index((*prefix, start + Affine.of(lane))[-len(self.lengths) :])
            acc.combine(lane.expr, stage.value(at, body), body)
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


def lane_count(fold: Fold, length: int) -> int:
    """A power of two: as many lanes as pay, and no more than a short line fills."""
    if fold.vectorises_itself:
        return 1
    lanes = max(8, LANE_BYTES * 8 // max(sc.bits_of(register_dtype(fold.parts[0])), 32))
    while lanes > 1 and lanes * 2 > length:
        lanes //= 2
    return lanes


def rows_outer(kernel: Kernel) -> Scope | None:
    """Applies when the innermost axis is kept: blocks of columns with their own accumulators."""
    if not isinstance(kernel, RowKernel):
        return None
    axes, (kept, reduced) = _merged(kernel)
    columns = kept[-1]
    width = axes.extents[columns]
    scope = Scope()
    # Equal pieces: the last one of a width known in advance is hardly narrower than the others.
    block = COLUMNS if is_open(width) else -(-width // -(-width // COLUMNS))
    grid = [*(axes.extents[n] for n in kept[:-1]), ceil_div(width, block, scope)]
    lengths = [axes.extents[n] for n in reduced]

    def emit(components: Index, inner: Scope) -> None:
        *rows, piece = components
        left: Any = int64(block)
        if not divisible(width, block):
            left = inner.let(tirx.Min(left, int64(width) - (piece * block).expr()))

        def over(body: Scope, code: Any) -> None:
            """For each column of the block: ``code(lane, column, scope)``."""
            lane = loop_variable("l", block)
            element = Scope(body)
            code(lane.expr, piece * block + Affine.of(lane), element)
            body.emit(for_loop(lane.expr, left, element))

        def index(along: Sequence[Affine], column: Affine) -> Index:
            parts: list[Affine] = [Affine({})] * len(axes.groups)
            for n, c in zip((*kept[:-1], columns, *reduced), (*rows, column, *along)):
                parts[n] = c
            return tuple(axes.index(parts))

        _column_block(kernel, block, lengths, over, index, inner)

    nest(grid, kernel.work * max(1, prod(lengths)) * block, emit, scope)
    return scope


def _column_block(
    kernel: RowKernel, block: int, lengths: Sequence[int], over: Any, index: Any, scope: Scope
) -> None:
    held: list[tuple[FoldStage, Accumulators]] = []
    zeros = [Affine({})] * len(lengths)

    def recall(at: Any, column: Affine, inner: Scope) -> None:
        """Row results of earlier stages, for this column."""
        for stage, acc in held:
            values = acc.load(at, inner)
            value = stage.result(values, inner)
            kernel.hold(stage.var, index(zeros, column), value, inner)

    for stage in kernel.stages:
        if isinstance(stage, StoreStage):

            def store(at: Any, column: Affine, inner: Scope, stage: StoreStage = stage) -> None:
                recall(at, column, inner)
                stage.element(index(zeros, column), inner)

            over(scope, store)
            continue
        assert isinstance(stage, FoldStage)
        acc = Accumulators(stage.fold, block, scope)
        acc.clear(scope)

        def line(along: Index, body: Scope, stage: FoldStage = stage, acc: Any = acc) -> None:
            def code(at: Any, column: Affine, inner: Scope) -> None:
                recall(at, column, inner)
                acc.combine(at, stage.value(index(along, column), inner), inner)

            over(body, code)

        serial(lengths, line, scope)
        held.append((stage, acc))
