"""Row kernels whose innermost axis is kept: blocks of columns with accumulators of their own.

Wide blocks read memory in long stretches, as far as their accumulators stay in the first-level
cache and there are blocks for all cores; a few rows at a time, which spares trips to the
accumulators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from tvm import tirx

from jitops.lower import scalar as sc
from jitops.lower.elementwise import register_dtype
from jitops.lower.frame import Scope
from jitops.lower.index import (
    Affine,
    Index,
    ceil_div,
    divisible,
    int64,
    is_open,
    loop_variable,
)
from jitops.lower.kernels import FoldStage, Kernel, RowKernel, StoreStage
from jitops.schedule.accumulators import Accumulators
from jitops.schedule.loops import Axes, for_loop, nest, serial
from jitops.schedule.rows import LARGE, merged_rows

BLOCK_BYTES = 1 << 14  # of accumulators in the first-level cache
LEAST_COLUMNS = 256  # of a block: contiguous bytes that are worth a row
LANES = 64  # a block is a multiple
MANY_BLOCKS = 4  # enough to keep the cores busy
TOGETHER = 8  # rows that are folded in one go
LIGHT = 8  # cost units of an element up to which that pays


def rows_outer(kernel: Kernel) -> Scope | None:
    """Applies when the innermost axis is kept."""
    if not isinstance(kernel, RowKernel):
        return None
    axes, (kept, reduced) = merged_rows(kernel)
    scope = Scope()
    plan = _Plan(kernel, axes, kept, reduced, scope)

    def emit(components: Index, inner: Scope) -> None:
        _Columns(plan, components, inner).emit()

    nest(plan.grid, plan.cost, emit, scope)
    return scope


class _Plan:
    """Sizes: of a block of columns, and of the grid of blocks."""

    def __init__(
        self,
        kernel: RowKernel,
        axes: Axes,
        kept: Sequence[int],
        reduced: Sequence[int],
        scope: Scope,
    ) -> None:
        self.kernel = kernel
        self.axes = axes
        self.kept = kept
        self.reduced = reduced
        self.width = axes.extents[kept[-1]]
        self.lengths = [axes.extents[n] for n in reduced] or [1]
        self.block = self._block()
        blocks = ceil_div(self.width, self.block, scope)
        self.grid = [*(axes.extents[n] for n in kept[:-1]), blocks]
        self.cost = kernel.work * max(1, prod(self.lengths)) * self.block
        elements = 0 if any(map(is_open, kernel.domain)) else prod(kernel.domain)
        self.together = TOGETHER if kernel.work <= LIGHT and elements >= LARGE else 1

    def _block(self) -> int:
        if is_open(self.width):
            return LEAST_COLUMNS
        most = min(BLOCK_BYTES // self._column_bytes(), self.width // MANY_BLOCKS)
        # Equal pieces: the last one is hardly narrower than the others.
        return -(-self.width // -(-self.width // max(LEAST_COLUMNS, most // LANES * LANES)))

    def _column_bytes(self) -> int:
        folds = [s.fold for s in self.kernel.stages if isinstance(s, FoldStage)]
        return sum(sc.bits_of(register_dtype(p)) // 8 for fold in folds for p in fold.parts)


class _Columns:
    """The code of one block of columns."""

    def __init__(self, plan: _Plan, components: Index, scope: Scope) -> None:
        self.plan = plan
        self.kernel = plan.kernel
        *self.rows, piece = components
        self.first = piece * plan.block
        self.scope = scope
        self.left: Any = int64(plan.block)
        if not divisible(plan.width, plan.block):
            rest = int64(plan.width) - self.first.expr()
            self.left = scope.let(tirx.Min(self.left, rest))
        self.held: list[tuple[FoldStage, Accumulators]] = []
        self.zeros = [Affine({})] * len(plan.reduced)

    def emit(self) -> None:
        for stage in self.kernel.stages:
            if isinstance(stage, StoreStage):
                self._store(stage)
            else:
                assert isinstance(stage, FoldStage)
                self.held.append((stage, self._fold(stage)))

    def _over(self, scope: Scope, code: Callable[[Any, Affine, Scope], None]) -> None:
        """For each column of the block: ``code(lane, column, scope)``."""
        lane = loop_variable("l", self.plan.block)
        element = Scope(scope)
        code(lane.expr, self.first + Affine.of(lane), element)
        scope.emit(for_loop(lane.expr, self.left, element))

    def _index(self, along: Sequence[Affine], column: Affine) -> Index:
        plan = self.plan
        parts: list[Affine] = [Affine({})] * len(plan.axes.groups)
        places = (*plan.kept, *plan.reduced)
        for n, component in zip(places, (*self.rows, column, *along)):
            parts[n] = component
        return tuple(plan.axes.index(parts))

    def _recall(self, at: Any, column: Affine, scope: Scope) -> None:
        """Row results of earlier stages, for this column."""
        for stage, acc in self.held:
            value = stage.result(acc.load(at, scope), scope)
            self.kernel.hold(stage.var, self._index(self.zeros, column), value, scope)

    def _store(self, stage: StoreStage) -> None:
        def code(at: Any, column: Affine, inner: Scope) -> None:
            self._recall(at, column, inner)
            stage.element(self._index(self.zeros, column), inner)

        self._over(self.scope, code)

    def _fold(self, stage: FoldStage) -> Accumulators:
        acc = Accumulators(stage.fold, self.plan.block, self.scope)
        acc.clear(self.scope)
        self._rows(stage, acc, self.scope)
        return acc

    def _rows(self, stage: FoldStage, acc: Accumulators, scope: Scope) -> None:
        """Fold all rows into the accumulators."""
        *outer, length = self.plan.lengths
        together = self.plan.together if length >= self.plan.together else 1
        steps, rest = divmod(length, together)

        def line(prefix: Index, first: Affine, count: int, body: Scope) -> None:
            def code(lane: Any, column: Affine, inner: Scope) -> None:
                self._recall(lane, column, inner)
                values = acc.load(lane, inner)
                for n in range(count):
                    at = self._index((*prefix, first + n), column)
                    new = stage.value(at, inner)
                    values = stage.fold.step(inner, values, new)
                acc.store(lane, values, inner)

            self._over(body, code)

        def lines(prefix: Index, body: Scope) -> None:
            def step(at: Index, inner: Scope) -> None:
                line(prefix, at[0] * together, together, inner)

            serial((steps,), step, body)
            if rest:
                line(prefix, Affine({}, steps * together), rest, body)

        serial(outer, lines, scope)
