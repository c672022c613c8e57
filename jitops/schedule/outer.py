"""Contractions of few rows by outer products: the right operand is read once, where it lies.

A task has a block of columns, and accumulators for all rows of it in the caches. A few lines of the
right operand at a time stay in registers while all rows take them in. Goto & van de
Geijn, "Anatomy of high-performance matrix multiplication" (2008), call the whole a panel-matrix
product; no packing pays in it, because nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower import scalar as sc
from jitops.lower.contractions import OuterKernel
from jitops.lower.frame import Scope
from jitops.lower.index import Affine, Index, int64, loop_variable
from jitops.lower.kernels import Kernel
from jitops.schedule.loops import for_loop, nest, serial

# Lines of the right operand that are taken in together, and vectors of each, by vector width: they
# fill half of the registers or less.
STRIPS = {512: (8, 2), 256: (4, 2), 128: (4, 2)}

BLOCK_BYTES = 1 << 16  # of accumulators: a small part of the second-level cache
MANY_TASKS = 4  # enough to keep the cores busy
LEAST_STRIPS = 4  # of a block: contiguous bytes that are worth a line
COPIED_ROWS = 4  # from here on elements of the left operand may lie where each ousts another

Piece = tuple[Affine, Affine, int]  # of a line: first column, its accumulator, lanes


def outer(kernel: Kernel) -> Scope | None:
    """Applies to contractions in the outer form."""
    if not isinstance(kernel, OuterKernel):
        return None
    plan = _Plan(kernel)
    scope = Scope()

    def task(at: Index, inner: Scope) -> None:
        _Block(plan, at, inner).emit()

    nest((kernel.domain[0], plan.blocks), plan.cost, task, scope)
    return scope


class _Plan:
    """Sizes: of a block of columns, of its strips, and of what the last block ends with."""

    def __init__(self, kernel: OuterKernel) -> None:
        self.kernel = kernel
        _, self.rows, self.columns, self.depth = kernel.domain
        self.together, self.vectors = STRIPS[kernel.vector_bits]
        self.lanes = kernel.lanes
        self.strip = self.vectors * self.lanes
        self.block = min(self._block(), self.columns)
        self.blocks = -(-self.columns // self.block)
        last = self.columns - (self.blocks - 1) * self.block
        self.tail = last % self.strip
        # Behind the block: room for a whole vector that ends with the last column.
        self.width = self.block + self.lanes
        self.cost = self.rows * self.block * (kernel.work * self.depth + kernel.follow_cost)

    def _block(self) -> int:
        itemsize = self.kernel.product.type.dtype.itemsize
        most = min(BLOCK_BYTES // (self.rows * itemsize), self.columns // self._blocks_for_all())
        most = max(most, LEAST_STRIPS * self.strip)
        blocks = -(-self.columns // most)  # of equal size, but for whole strips
        return -(-self.columns // blocks // self.strip) * self.strip

    def _blocks_for_all(self) -> int:
        """How many blocks of one product the cores need; the fewer, the longer its lines."""
        return -(-MANY_TASKS // max(self.kernel.domain[0], 1))

    def pieces(self) -> list[tuple[int, int, int]]:
        """What follows the last whole strip: distance from it, place, lanes; whole vectors if any.

        A whole vector that would be partly outside begins earlier, with accumulators of its own.
        """
        whole, rest = divmod(self.tail, self.lanes)
        found = [(v * self.lanes, v * self.lanes, self.lanes) for v in range(whole)]
        if rest and self.columns >= self.lanes:
            found.append((self.tail - self.lanes, -1, self.lanes))
        elif rest:
            lanes = self.lanes // 2
            at = whole * self.lanes
            while rest:
                if rest & lanes:
                    found.append((at, at, lanes))
                    at, rest = at + lanes, rest - lanes
                lanes //= 2
        return found


class _Block:
    """The code of one block of columns."""

    def __init__(self, plan: _Plan, at: Index, scope: Scope) -> None:
        self.plan = plan
        self.kernel = plan.kernel
        self.batch, self.number = at
        self.first = self.number * plan.block
        self.scope = scope
        self.acc = sc.buffer(plan.rows * plan.width, self.kernel.dtype, "acc", scope="local")
        self.copied: Any = None  # elements of the left operand, of all rows for the lines at hand
        if plan.rows >= COPIED_ROWS and plan.block > plan.strip:
            size = plan.rows * plan.together
            self.copied = sc.buffer(size, self.kernel.dtype, "left", scope="local")
        self.left: Any = int64(plan.block)
        if plan.columns % plan.block:
            rest = int64(plan.columns) - self.first.expr()
            self.left = scope.let(tirx.Min(self.left, rest), "left")
        self.strips = scope.let(tirx.Div(self.left, int64(plan.strip)), "strips")

    def emit(self) -> None:
        plan, scope = self.plan, self.scope
        scope.emit(st.AllocBuffer(self.acc))
        if self.copied is not None:
            scope.emit(st.AllocBuffer(self.copied))
        serial((plan.rows * plan.width,), self._clear, scope)
        steps, rest = divmod(plan.depth, plan.together)

        def step(at: Index, inner: Scope) -> None:
            self._take_in(at[0] * plan.together, plan.together, inner)

        serial((steps,), step, scope)
        if rest:
            self._take_in(Affine({}, steps * plan.together), rest, scope)
        self._finish()

    def _clear(self, at: Index, scope: Scope) -> None:
        zero = sc.const(0.0, self.kernel.dtype)
        scope.emit(st.BufferStore(self.acc, zero, [at[0].expr()]))

    def _take_in(self, k: Affine, lines: int, scope: Scope) -> None:
        """``acc[i, c] += sum_k x[i, k] y[k, c]`` for this many ``k``, all rows, all columns."""
        plan, lanes = self.plan, self.plan.lanes
        if self.copied is not None:
            serial((plan.rows,), lambda at, inner: self._copy(at[0], k, lines, inner), scope)
        strip = loop_variable("s", max(plan.block // plan.strip, 1))
        start = Affine.of(strip) * plan.strip
        body = Scope(scope)
        pieces = [
            (self.first + start + v * lanes, start + v * lanes, lanes) for v in range(plan.vectors)
        ]
        self._strip(k, lines, pieces, body)
        scope.emit(for_loop(strip.expr, self.strips, body))
        if plan.tail:
            last = Scope(scope)
            whole = self._last() - plan.tail
            column = Affine({}, (plan.blocks - 1) * plan.block + whole)
            ends = [
                (column + away, Affine({}, plan.block if place < 0 else whole + place), count)
                for away, place, count in plan.pieces()
            ]
            self._strip(k, lines, ends, last)
            self._if_last(last, scope)

    def _copy(self, row: Affine, k: Affine, lines: int, scope: Scope) -> None:
        for n in range(lines):
            value = self.kernel.frame.value(self.kernel.left, (self.batch, row, k + n), scope)
            place = (row * self.plan.together + n).expr()
            scope.emit(st.BufferStore(self.copied, value, [place]))

    def _left(self, row: Affine, k: Affine, n: int, scope: Scope) -> Any:
        if self.copied is None:
            return self.kernel.frame.value(self.kernel.left, (self.batch, row, k + n), scope)
        return scope.let(tirx.BufferLoad(self.copied, [(row * self.plan.together + n).expr()]))

    def _last(self) -> int:
        """Columns of the last block."""
        return self.plan.columns - (self.plan.blocks - 1) * self.plan.block

    def _if_last(self, body: Scope, scope: Scope) -> None:
        if self.plan.blocks > 1:
            last = tirx.EQ(self.number.expr(), int64(self.plan.blocks - 1))
            scope.emit(st.IfThenElse(last, body.block(), None))
        else:
            for stmt in body.stmts:
                scope.emit(stmt)

    def _strip(self, k: Affine, lines: int, pieces: Sequence[Piece], scope: Scope) -> None:
        kernel = self.kernel
        right = [
            [
                kernel.line(kernel.right, (self.batch, k + n, column), lanes, scope)
                for column, _, lanes in pieces
            ]
            for n in range(lines)
        ]

        def row(at: Index, inner: Scope) -> None:
            left = [self._left(at[0], k, n, inner) for n in range(lines)]
            for p, (_, place, lanes) in enumerate(pieces):
                where = (at[0] * self.plan.width + place).expr()
                dtype = kernel.dtype
                if lanes > 1:
                    where, dtype = tirx.Ramp(where, int64(1), lanes), f"{dtype}x{lanes}"
                total = inner.let(tirx.BufferLoad(self.acc, [where]))
                for n in range(lines):
                    spread = left[n] if lanes == 1 else tirx.Broadcast(left[n], lanes)
                    total = inner.let(
                        sc.intrinsic("llvm.fma", spread, right[n][p], total, dtype=dtype)
                    )
                inner.emit(st.BufferStore(self.acc, total, [where]))

        serial((self.plan.rows,), row, scope)

    def _finish(self) -> None:
        """What follows each element."""
        plan = self.plan
        partial = plan.tail % plan.lanes if plan.columns >= plan.lanes else 0

        def columns(count: Any, first: Affine, place: Affine, scope: Scope) -> None:
            def row(at: Index, outer: Scope) -> None:
                column = loop_variable("c", plan.block)
                body = Scope(outer)
                where = at[0] * plan.width + place + Affine.of(column)
                product = body.let(tirx.BufferLoad(self.acc, [where.expr()]))
                self.kernel.element((self.batch, at[0], first + Affine.of(column)), product, body)
                outer.emit(for_loop(column.expr, count, body))

            serial((plan.rows,), row, scope)

        left = self.left
        if partial:  # the columns whose accumulators are behind the block
            whole = int64(plan.columns - partial) - self.first.expr()
            left = self.scope.let(tirx.Min(self.left, whole), "left")
        columns(left, self.first, Affine({}), self.scope)
        if partial:
            last = Scope(self.scope)
            place = Affine({}, plan.block + plan.lanes - partial)
            columns(int64(partial), Affine({}, plan.columns - partial), place, last)
            self._if_last(last, self.scope)

