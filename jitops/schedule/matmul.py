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
from jitops.lower.contractions import TILES, PanelKernel
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
    """Applies to every contraction in panel form."""
    if not isinstance(kernel, PanelKernel):
        return None
    scope = Scope()
    batch, rows, columns, depth = kernel.domain
    tile_rows = TILES[kernel.vector_bits][0]
    panels = -(-columns // kernel.width)
    lanes = min(kernel.lanes, kernel.width)
    tile = _Tile(kernel, lanes, kernel.width // lanes)
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


def _open_rows(kernel: PanelKernel, tile: _Tile, tile_rows: int, scope: Scope) -> Scope:
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


class _Tile:
    """The code of one register tile."""

    def __init__(self, kernel: PanelKernel, lanes: int, vectors: int) -> None:
        self.kernel = kernel
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
        self._accumulate(buffer, b, panel, row, rows, scope)
        self._finish(buffer, b, panel, row, rows, scope)

    def _at(self, i: int, v: int) -> Any:
        return tirx.Ramp(int64((i * self.vectors + v) * self.lanes), int64(1), self.lanes)

    def _each(self, rows: int, code: Callable[[Any, int, int], None]) -> None:
        for i in range(rows):
            for v in range(self.vectors):
                code(self._at(i, v), i, v)

    def _accumulate(
        self, buffer: Any, b: Affine, panel: Affine, row: Affine, rows: int, scope: Scope
    ) -> None:
        kernel = self.kernel
        frame = kernel.frame
        slot = kernel.panels_slot
        k = loop_variable("k", kernel.domain[3])
        body = Scope(scope)
        line = flatten((b, panel, Affine.of(k), Affine({})), slot.strides).expr()
        source = frame.buffer(slot)
        right = [
            body.let(
                tirx.BufferLoad(
                    source, [tirx.Ramp(line + int64(v * self.lanes), int64(1), self.lanes)]
                )
            )
            for v in range(self.vectors)
        ]
        for i in range(rows):
            left = frame.value(kernel.left, (b, row + i, Affine.of(k)), body)
            spread = body.let(tirx.Broadcast(left, self.lanes))
            for v in range(self.vectors):
                total = tirx.BufferLoad(buffer, [self._at(i, v)])
                fused = sc.intrinsic("llvm.fma", spread, right[v], total, dtype=self.vector)
                body.emit(st.BufferStore(buffer, fused, [self._at(i, v)]))
        scope.emit(for_loop(k.expr, int64(kernel.domain[3]), body))

    def _finish(
        self, buffer: Any, b: Affine, panel: Affine, row: Affine, rows: int, scope: Scope
    ) -> None:
        kernel = self.kernel
        width, columns = kernel.width, kernel.domain[2]
        line = loop_variable("r", rows)
        column = loop_variable("c", width)
        outer = Scope(scope)
        body = Scope(outer)
        at = (Affine.of(line) * width + Affine.of(column)).expr()
        product = body.let(tirx.BufferLoad(buffer, [at]))
        index = (b, row + Affine.of(line), panel * width + Affine.of(column))
        kernel.element(index, product, body)
        left: Any = int64(width)
        if columns % width:
            left = outer.let(tirx.Min(left, int64(columns) - (panel * width).expr()))
        outer.emit(for_loop(column.expr, left, body))
        scope.emit(for_loop(line.expr, int64(rows), outer))
