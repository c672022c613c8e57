"""Elementwise kernels: one nest over the merged axes, the innermost left to LLVM's vectoriser.

Where one array runs along the innermost axis and another along an outer one (a transpose), both
axes are cut into tiles, so that every cache line that is fetched is used up before it is evicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx

from jitops.lower.frame import Scope
from jitops.lower.index import (
    Affine,
    Index,
    domain_index,
    int64,
    is_open,
    loop_variable,
    typical,
)
from jitops.lower.kernels import Kernel, MapKernel
from jitops.lower.repeated import RepeatedMap
from jitops.schedule.loops import Axes, for_loop, merged_axes, nest, unknown
from jitops.schedule.ordinary import in_pieces

TILE = 32
PIECE = 512  # elements that take the steps of a loop together, in the first-level cache
LARGE = 1 << 15  # elements; smaller arrays stay in the first-level cache


def elementwise(kernel: Kernel) -> Scope | None:
    """Applies to every map kernel."""
    if not isinstance(kernel, MapKernel):
        return None
    scope = Scope()
    if 0 in kernel.domain:
        return scope
    index = domain_index(kernel.domain)
    axes, offsets = merged_axes(kernel, index, set())
    if isinstance(kernel, RepeatedMap):
        _repeated(kernel, axes, scope)
        return scope
    if in_pieces(kernel, axes, scope):
        return scope
    across = _across(axes, offsets, index)
    if across is not None:
        _tiled(kernel, axes, across, scope)
        return scope

    def emit(components: Index, inner: Scope) -> None:
        kernel.element(tuple(axes.index(components)), inner)

    nest(axes.extents, kernel.work, emit, scope, unknown(kernel.frame))
    return scope


def _repeated(kernel: RepeatedMap, axes: Axes, scope: Scope) -> None:
    """Pieces of the last group of axes take all their steps, one piece after the other."""
    if not axes.extents:
        kernel.repeat(lambda step: kernel.element(tuple(axes.index([])), step), scope)
        return
    *outer, extent = axes.extents
    size = min(extent, PIECE)

    def emit(components: Index, inner: Scope) -> None:
        *outside, piece, _ = components
        start, left = piece * size, int64(size)
        if extent % size:
            left = inner.let(tirx.Min(left, int64(extent) - start.expr()), "at")

        def step(body: Scope) -> None:
            position, element = loop_variable("j", size), Scope(body)
            components = (*outside, start + Affine.of(position))
            kernel.element(tuple(axes.index(components)), element)
            body.emit(for_loop(position.expr, left, element))

        kernel.repeat(step, inner)

    nest((*outer, -(-extent // size), 1), kernel.work * size, emit, scope)


def _across(axes: Axes, offsets: Sequence[Affine] | None, index: Index) -> int | None:
    """The group of axes along which some array is contiguous while it strides along the last."""
    extents = axes.extents
    if offsets is None or len(extents) < 2 or is_open(extents[-1]) or extents[-1] < 2 * TILE:
        return None
    atoms = [next(iter(index[group[-1]].terms)) for group in axes.groups]
    size = 1
    for extent in extents:
        size *= extent
    size = typical(size)
    for n in range(len(extents) - 1):
        if size >= LARGE and type(extents[n]) is int and extents[n] >= 2 * TILE:
            for offset in offsets:
                if abs(offset.terms.get(atoms[n], 0)) == 1 and offset.terms.get(atoms[-1], 0):
                    return n
    return None


def _tiled(kernel: MapKernel, axes: Axes, across: int, scope: Scope) -> None:
    """Tiles of the last group of axes and of group ``across``; the other groups outside of them."""
    last = len(axes.extents) - 1
    others = [n for n in range(last) if n != across]
    grid = [axes.extents[n] for n in others]
    grid += [-(-axes.extents[n] // TILE) for n in (across, last)]

    def left(n: int, tile: Affine, inner: Scope) -> Any:
        if axes.extents[n] % TILE == 0:
            return int64(TILE)
        rest = int64(axes.extents[n]) - (tile * TILE).expr()
        return inner.let(tirx.Min(int64(TILE), rest), "at")

    def emit(components: Index, inner: Scope) -> None:
        *outside, upper, lower = components
        rows, columns = loop_variable("r", TILE), loop_variable("j", TILE)
        line = Scope(inner)
        element = Scope(line)
        parts = [Affine({})] * (last + 1)
        for n, component in zip(others, outside):
            parts[n] = component
        parts[across] = upper * TILE + Affine.of(rows)
        parts[last] = lower * TILE + Affine.of(columns)
        counts = left(across, upper, inner), left(last, lower, inner)
        kernel.element(tuple(axes.index(parts)), element)
        line.emit(for_loop(columns.expr, counts[1], element))
        inner.emit(for_loop(rows.expr, counts[0], line))

    nest(grid, kernel.work * TILE * TILE, emit, scope)
