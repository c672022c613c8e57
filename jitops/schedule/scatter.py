"""Scatter kernels: in order along the index, in parallel across what it does not address."""

from __future__ import annotations

from math import prod

from tvm import tirx

from jitops.lower.frame import Scope
from jitops.lower.index import Affine, Index, int64, loop_variable
from jitops.lower.kernels import Kernel
from jitops.lower.scatters import ScatterKernel
from jitops.schedule.loops import for_loop, nest, serial

COLUMNS = 64  # elements of the last axis that one task takes along, where that axis is free


def scatter(kernel: Kernel) -> Scope | None:
    """Applies to every scatter kernel."""
    if not isinstance(kernel, ScatterKernel):
        return None
    scope = Scope()
    if 0 in kernel.domain:
        return scope
    pieces = -(-(kernel.inner or (1,))[-1] // COLUMNS)
    split = pieces > 1 and prod(kernel.outer) == 1

    def task(at: Index, body: Scope) -> None:
        outer, piece = (at[:-1], at[-1]) if split else (at, None)
        serial(kernel.steps, lambda step, inner: _step(kernel, outer, step, piece, inner), body)

    grid = (*kernel.outer, pieces) if split else kernel.outer
    nest(grid, kernel.work * prod(kernel.domain) / prod(grid), task, scope)
    return scope


def _step(
    kernel: ScatterKernel, outer: Index, step: Index, piece: Affine | None, scope: Scope
) -> None:
    """All that one entry of the index addresses, or the columns of one piece."""
    place = kernel.place(step, scope)
    if piece is None:
        serial(
            kernel.inner, lambda at, body: kernel.element(outer, step, place, at, body), scope
        )
        return
    *others, last = kernel.inner

    def line(at: Index, body: Scope) -> None:
        column, inside = loop_variable("c", COLUMNS), Scope(body)
        whole = (*at, piece * COLUMNS + Affine.of(column))
        kernel.element(outer, step, place, whole, inside)
        left = tirx.Min(int64(COLUMNS), int64(last) - (piece * COLUMNS).expr())
        body.emit(for_loop(column.expr, left, inside))

    serial(others, line, scope)
