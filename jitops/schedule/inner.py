"""Contractions by inner products: both operands are read along the shared axis, where they lie.

A tile of few rows by few columns has a vector of accumulators for each of its elements; they are
added up across lanes at the end. Accumulators are emptied in blocks, so that the rounding error
grows like that of pairwise summation (Higham, "The accuracy of floating point summation", 1993).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower import scalar as sc
from jitops.lower.contractions import InnerKernel
from jitops.lower.frame import Scope
from jitops.lower.index import Affine, Index, int64, loop_variable
from jitops.lower.kernels import Kernel
from jitops.schedule.loops import for_loop, nest, serial

TILE = {512: 24, 256: 12, 128: 24}  # accumulators, by vector width; the rest holds operands
MOST = 8  # rows or columns of a tile along its longer side
STREAMS = 4  # lines that are read at a time from the operand that is not in the caches
LATENCY = 8  # additions that are under way at a time
BLOCK = 64  # steps between two emptyings

Tile = tuple[int, int]


def inner(kernel: Kernel) -> Scope | None:
    """Applies to contractions in the inner form."""
    if not isinstance(kernel, InnerKernel):
        return None
    batch, rows, columns, depth = kernel.domain
    scope = Scope()
    tall = rows > columns  # the tasks share the longer side
    code = _Inner(kernel, _tile(rows, columns, kernel.vector_bits))
    sides = (rows, columns) if tall else (columns, rows)
    sizes = code.tile if tall else code.tile[::-1]

    def task(at: Index, body: Scope) -> None:
        def cell(first: Affine, count: int, inside: Scope) -> None:
            def one(second: Affine, other: int, innermost: Scope) -> None:
                start, tile = (first, second), (count, other)
                if not tall:
                    start, tile = start[::-1], tile[::-1]
                code.emit(at[0], start, tile, innermost)

            _tiles(sides[1], sizes[1], one, inside)

        _tile_at(at[1], sides[0], sizes[0], cell, body)

    unit = sizes[0] * sides[1] * (kernel.work * depth / kernel.lanes * 4 + kernel.follow_cost)
    nest((batch, -(-sides[0] // sizes[0])), unit, task, scope)
    return scope


def _tile(rows: int, columns: int, vector_bits: int) -> Tile:
    """The shape of a tile: equal parts of the shorter side by what registers and caches allow."""
    short, long = sorted((rows, columns))
    width = -(-short // -(-short // MOST))
    length = min(long, STREAMS, max(1, TILE[vector_bits] // width))
    return (width, length) if rows <= columns else (length, width)


Emit = Callable[[Affine, int, Scope], None]


def _tiles(extent: int, size: int, emit: Emit, scope: Scope) -> None:
    """``emit`` for all pieces of an axis, whole ones in a loop, then what is left."""
    whole, rest = divmod(extent, size)
    serial((whole,), lambda at, inside: emit(at[0] * size, size, inside), scope)
    if rest:
        emit(Affine({}, whole * size), rest, scope)


def _tile_at(number: Affine, extent: int, size: int, emit: Emit, scope: Scope) -> None:
    """``emit`` for one piece of an axis, of which the last may be smaller."""
    whole, rest = divmod(extent, size)
    if not rest:
        return emit(number * size, size, scope)
    last = Scope(scope)
    emit(Affine({}, whole * size), rest, last)
    body = Scope(scope)
    emit(number * size, size, body)
    is_last = tirx.EQ(number.expr(), int64(whole))
    scope.emit(st.IfThenElse(is_last, last.block(), body.block()) if whole else last.block())
    return None


class _Inner:
    """The code of one tile."""

    def __init__(self, kernel: InnerKernel, tile: Tile) -> None:
        self.kernel = kernel
        self.tile = tile
        self.lanes = kernel.lanes
        self.vector = f"{kernel.dtype}x{self.lanes}"
        self.zero = tirx.Broadcast(sc.const(0.0, kernel.dtype), self.lanes)

    def emit(self, b: Affine, start: tuple[Affine, Affine], tile: Tile, scope: Scope) -> None:
        """The elements of a tile, from the row and column ``start`` on."""
        rows, columns = tile
        depth = self.kernel.domain[3]
        vectors = 2 if rows * columns <= LATENCY and depth >= 4 * self.lanes else 1
        count = rows * columns * vectors
        acc, sums = self._buffer(count, scope), self._buffer(rows * columns, scope)
        steps, rest = divmod(depth // self.lanes, vectors)
        blocks, left = divmod(steps, BLOCK)
        self._fill(sums, rows * columns, scope)

        def run(first: Affine, many: int, body: Scope) -> None:
            """So many steps into empty accumulators, which are then added to the sums."""
            self._fill(acc, count, body)

            def step(at: Index, inside: Scope) -> None:
                k = (first + at[0]) * (self.lanes * vectors)
                places = [k + v * self.lanes for v in range(vectors)]
                self._step(acc, b, start, tile, places, inside)

            serial((many,), step, body)
            self._add(acc, sums, rows * columns, vectors, body)

        serial((blocks,), lambda at, body: run(at[0] * BLOCK, BLOCK, body), scope)
        if left:
            run(Affine({}, blocks * BLOCK), left, scope)
        if rest:
            k = Affine({}, steps * vectors * self.lanes)
            self._step(sums, b, start, tile, [k], scope)
        if depth % self.lanes:
            self._step(sums, b, start, tile, [Affine({}, depth - self.lanes)], scope,
                       keep=depth % self.lanes)  # fmt: skip
        self._finish(sums, b, start, tile, scope)

    def _buffer(self, count: int, scope: Scope) -> Any:
        buffer = sc.buffer(count * self.lanes, self.kernel.dtype, "acc", scope="local")
        scope.emit(st.AllocBuffer(buffer))
        return buffer

    def _at(self, n: int) -> Any:
        return tirx.Ramp(int64(n * self.lanes), int64(1), self.lanes)

    def _fill(self, buffer: Any, count: int, scope: Scope) -> None:
        for n in range(count):
            scope.emit(st.BufferStore(buffer, self.zero, [self._at(n)]))

    def _add(self, acc: Any, sums: Any, count: int, vectors: int, scope: Scope) -> None:
        for n in range(count):
            total = scope.let(tirx.BufferLoad(sums, [self._at(n)]))
            for v in range(vectors):
                total = scope.let(
                    tirx.Add(total, tirx.BufferLoad(acc, [self._at(v * count + n)]))
                )
            scope.emit(st.BufferStore(sums, total, [self._at(n)]))

    def _step(
        self,
        acc: Any,
        b: Affine,
        start: tuple[Affine, Affine],
        tile: Tile,
        places: list[Affine],
        scope: Scope,
        keep: int = 0,
    ) -> None:
        """``acc += x y`` for the lanes from each place on; with ``keep``, its last lanes alone."""
        kernel, (rows, columns) = self.kernel, tile
        for v, k in enumerate(places):
            lines = []
            for operand, first, extent in zip((kernel.left, kernel.right), start, tile):
                line = [
                    kernel.line(operand, (b, first + n, k), self.lanes, scope)
                    for n in range(extent)
                ]
                lines.append([self._kept(one, keep, scope) for one in line] if keep else line)
            for i in range(rows):
                for j in range(columns):
                    at = self._at((v * rows + i) * columns + j)
                    total = tirx.BufferLoad(acc, [at])
                    fused = sc.intrinsic(
                        "llvm.fma", lines[0][i], lines[1][j], total, dtype=self.vector
                    )
                    scope.emit(st.BufferStore(acc, fused, [at]))

    def _kept(self, line: Any, keep: int, scope: Scope) -> Any:
        """Zeros for all but the last lanes, which an infinity there would not leave otherwise."""
        lane = tirx.Ramp(tirx.IntImm("int32", 0), tirx.IntImm("int32", 1), self.lanes)
        first = tirx.Broadcast(tirx.IntImm("int32", self.lanes - keep), self.lanes)
        return scope.let(tirx.Select(tirx.GE(lane, first), line, self.zero))

    def _finish(
        self, sums: Any, b: Affine, start: tuple[Affine, Affine], tile: Tile, scope: Scope
    ) -> None:
        """Add up the lanes of each element by halving, and what follows it."""
        i, j = (loop_variable(name, extent) for name, extent in zip("rc", tile))
        row = Scope(scope)
        body = Scope(row)
        place = (Affine.of(i) * tile[1] + Affine.of(j)) * self.lanes
        width = self.lanes // 2
        while width > 1:
            halves = [
                tirx.BufferLoad(sums, [tirx.Ramp((place + at).expr(), int64(1), width)])
                for at in (0, width)
            ]
            total = body.let(tirx.Add(*halves))
            body.emit(st.BufferStore(sums, total, [tirx.Ramp(place.expr(), int64(1), width)]))
            width //= 2
        pair = [tirx.BufferLoad(sums, [(place + at).expr()]) for at in (0, 1)]
        product = body.let(sc.add(*pair))
        index = (b, start[0] + Affine.of(i), start[1] + Affine.of(j))
        self.kernel.element(index, product, body)
        row.emit(for_loop(j.expr, int64(tile[1]), body))
        scope.emit(for_loop(i.expr, int64(tile[0]), row))
