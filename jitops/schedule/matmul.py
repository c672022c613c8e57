"""Contractions of panels by register tiles: rows by vectors of accumulators, fed along k.

The shape of the tile follows Goto & van de Geijn, "Anatomy of high-performance matrix
multiplication" (2008): all accumulators stay in vector registers, each step broadcasts one element
per row against one packed line of the right operand. Vectors are explicit, so that LLVM keeps the
accumulators in registers whatever its cost model says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower import scalar as sc
from jitops.lower.contractions import TILES, DotKernel, LinesKernel, PanelKernel
from jitops.lower.frame import Scope
from jitops.lower.index import (
    Affine,
    Index,
    ceil_div,
    flatten,
    int64,
    is_open,
    loop_variable,
    opaque,
)
from jitops.lower.kernels import Kernel
from jitops.schedule.loops import for_loop, nest

BLOCK_ROWS = 64  # rows of one task: each loads a panel's lines once into L1 or L2


def matmul(kernel: Kernel) -> Scope | None:
    """Applies to contractions of panels, and of lines where they lie."""
    if not isinstance(kernel, (PanelKernel, LinesKernel)):
        return None
    scope = Scope()
    batch, rows, columns, depth = kernel.domain
    tile_rows = TILES[kernel.vector_bits][0]
    panels = -(-columns // kernel.width)
    lanes = min(kernel.lanes, kernel.width)
    tile = TILE_OF[type(kernel)](kernel, kernel.width, lanes, kernel.width // lanes)
    if is_open(rows):
        return _open_rows(kernel, tile, tile_rows, scope)
    block = min(rows, BLOCK_ROWS // tile_rows * tile_rows)
    blocks = -(-rows // block)

    def task(at: Index, inner: Scope) -> None:
        b, panel, piece = at
        count: Any = int64(block // tile_rows)
        if rows % block:  # the last block is shorter
            rest = int64(rows) - (piece * block).expr()
            count = inner.let(tirx.Div(tirx.Min(int64(block), rest), int64(tile_rows)))
        step = loop_variable("i", max(block // tile_rows, 1))
        body = Scope(inner)
        tile.emit(b, panel, piece * block + Affine.of(step) * tile_rows, tile_rows, body)
        inner.emit(for_loop(step.expr, count, body))
        _rest(tile, b, panel, piece, (rows, block, tile_rows), inner)

    unit = block * kernel.width * (kernel.work * depth + kernel.follow_cost)
    nest((batch, panels, blocks), unit, task, scope)
    return scope


def _open_rows(kernel: Any, tile: _Tile, tile_rows: int, scope: Scope) -> Scope:
    """As above for rows without a fixed number: what fills no tile goes through smaller ones."""
    _, rows, columns, depth = kernel.domain
    block = BLOCK_ROWS // tile_rows * tile_rows
    panels = -(-columns // kernel.width)

    def task(at: Index, inner: Scope) -> None:
        piece, panel = at
        start = piece * block
        left = inner.let(tirx.Min(int64(block), int64(rows) - start.expr()), "left")
        tiles = inner.let(tirx.Div(left, int64(tile_rows)), "tiles")
        tiled = inner.let(tiles * int64(tile_rows), "tiled")

        def run(first: Affine, height: int, count: Any) -> None:
            step = loop_variable("i", block // height)
            body = Scope(inner)
            tile.emit(Affine({}), panel, first + Affine.of(step) * height, height, body)
            inner.emit(for_loop(step.expr, count, body))

        run(start, tile_rows, tiles)
        run(start + opaque(tiled, 0, block), 1, left - tiled)

    unit = block * kernel.width * (kernel.work * depth + kernel.follow_cost)
    nest((ceil_div(rows, block, scope), panels), unit, task, scope)
    return scope


def _rest(
    tile: _Tile,
    b: Affine,
    panel: Affine,
    piece: Affine,
    sizes: tuple[int, int, int],
    scope: Scope,
) -> None:
    """The rows that do not fill a tile, at the end of the last block."""
    rows, block, tile_rows = sizes
    last = -(-rows // block) - 1
    in_last = rows - last * block
    if in_last % tile_rows:
        body = Scope(scope)
        start = Affine({}, last * block + in_last - in_last % tile_rows)
        tile.emit(b, panel, start, in_last % tile_rows, body)
        if last:
            scope.emit(st.IfThenElse(tirx.EQ(piece.expr(), int64(last)), body.block(), None))
        else:
            for stmt in body.stmts:
                scope.emit(stmt)


Read = Callable[[Affine, int, Scope], Any]


class _Tile:
    """The code of one register tile."""

    def __init__(self, kernel: DotKernel, width: int, lanes: int, vectors: int) -> None:
        self.kernel = kernel
        self.width = width
        self.lanes = lanes
        self.vectors = vectors
        self.vector = f"{kernel.dtype}x{lanes}"

    def emit(self, b: Affine, panel: Affine, row: Affine, rows: int, scope: Scope) -> None:
        """``rows`` rows from ``row`` on, all columns of one panel."""
        size = rows * self.vectors * self.lanes
        buffer = sc.buffer(size, self.kernel.dtype, "tile", scope="local")
        scope.emit(st.AllocBuffer(buffer))
        zero = tirx.Broadcast(sc.const(0.0, self.kernel.dtype), self.lanes)
        self._each(rows, lambda at, i, v: scope.emit(st.BufferStore(buffer, zero, [at])))
        column = self._first_column(panel, scope)
        depth = 0
        for extent, read in self._right(b, panel, column):
            k = loop_variable("k", extent)
            body = Scope(scope)
            right = [read(Affine.of(k), v, body) for v in range(self.vectors)]
            self._step(buffer, right, (b, row, Affine.of(k) + depth), rows, body)
            scope.emit(for_loop(k.expr, int64(extent), body))
            depth += extent
        self._finish(buffer, b, column, row, rows, scope)

    def _first_column(self, panel: Affine, scope: Scope) -> Affine:
        return panel * self.width

    def _right(self, b: Affine, panel: Affine, column: Affine) -> list[tuple[int, Read]]:
        """The parts of the right operand along k: how long, and how to read a vector of a line."""
        raise NotImplementedError

    def _at(self, i: int, v: int) -> Any:
        return tirx.Ramp(int64((i * self.vectors + v) * self.lanes), int64(1), self.lanes)

    def _each(self, rows: int, code: Callable[[Any, int, int], None]) -> None:
        for i in range(rows):
            for v in range(self.vectors):
                code(self._at(i, v), i, v)

    def _step(self, buffer: Any, right: list[Any], left: Index, rows: int, scope: Scope) -> None:
        """Take in one element of each row, from ``left`` on, and one line."""
        b, row, k = left
        for i in range(rows):
            value = self.kernel.frame.value(self.kernel.left, (b, row + i, k), scope)
            spread = scope.let(tirx.Broadcast(value, self.lanes))
            for v in range(self.vectors):
                total = tirx.BufferLoad(buffer, [self._at(i, v)])
                fused = sc.intrinsic("llvm.fma", spread, right[v], total, dtype=self.vector)
                scope.emit(st.BufferStore(buffer, fused, [self._at(i, v)]))

    def _finish(
        self, buffer: Any, b: Affine, first: Affine, row: Affine, rows: int, scope: Scope
    ) -> None:
        kernel, width = self.kernel, self.width
        columns = kernel.domain[2]
        line = loop_variable("r", rows)
        column = loop_variable("c", width)
        outer = Scope(scope)
        body = Scope(outer)
        at = (Affine.of(line) * width + Affine.of(column)).expr()
        product = body.let(tirx.BufferLoad(buffer, [at]))
        index = (b, row + Affine.of(line), first + Affine.of(column))
        kernel.element(index, product, body)
        left: Any = int64(width)
        if first.range()[1] + width > columns:
            left = outer.let(tirx.Min(left, int64(columns) - first.expr()))
        outer.emit(for_loop(column.expr, left, body))
        scope.emit(for_loop(line.expr, int64(rows), outer))


class _PanelTile(_Tile):
    """Of a packed panel."""

    kernel: PanelKernel

    def _right(self, b: Affine, panel: Affine, column: Affine) -> list[tuple[int, Read]]:
        slot = self.kernel.panels_slot
        source = self.kernel.frame.buffer(slot)

        def read(k: Affine, v: int, scope: Scope) -> Any:
            place = flatten((b, panel, k, Affine({}, v * self.lanes)), slot.strides).expr()
            return scope.let(tirx.BufferLoad(source, [tirx.Ramp(place, int64(1), self.lanes)]))

        return [(self.kernel.domain[3], read)]


class _LinesTile(_Tile):
    """Of lines where they lie; the last tile of a row begins early enough to be whole."""

    kernel: LinesKernel

    def _first_column(self, panel: Affine, scope: Scope) -> Affine:
        last = self.kernel.domain[2] - self.width
        if last % self.width == 0:
            return panel * self.width
        first = tirx.Min((panel * self.width).expr(), int64(last))
        return opaque(scope.let(first, "at"), 0, last)

    def _right(self, b: Affine, panel: Affine, column: Affine) -> list[tuple[int, Read]]:
        def reader(part: Any) -> Read:
            def read(k: Affine, v: int, scope: Scope) -> Any:
                return self.kernel.line(part, (b, k, column + v * self.lanes), self.lanes, scope)

            return read

        return [(part.type.shape[1], reader(part)) for part in self.kernel.parts]


TILE_OF: dict[type, type[_Tile]] = {PanelKernel: _PanelTile, LinesKernel: _LinesTile}
