"""Pieces of a loop in two forms: for ordinary arguments of its functions, and for all.

A first loop over a piece looks at the arguments (of sines, say) and stores nothing; one of two
loops follows, as the functions' cheaper forms hold for all of them or not. The arguments are
computed once more, so they must be cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower import scalar as sc
from jitops.lower.elementwise import look_at_arguments, take_ordinary_forms
from jitops.lower.frame import Scope
from jitops.lower.index import Affine, Index, ceil_div, int64, is_open, loop_variable, typical
from jitops.lower.kernels import MapKernel
from jitops.schedule.loops import Axes, for_loop, nest

PIECE = 512  # elements that are looked at together, in the first-level cache
LEAST = 64  # shorter lines are not worth three loops
FEW = 1024  # elements, for which it is not worth the time to compile them

Emit = Callable[[Affine, Scope], Any]


def in_pieces(kernel: MapKernel, axes: Axes, scope: Scope) -> bool:
    """Emit the kernel's loops over pieces of the last group of axes; False where it has no gain."""
    short = not axes.extents or typical(axes.extents[-1]) < LEAST
    if short or typical(prod(axes.extents)) < FEW or not kernel.ordinary_pays():
        return False
    *outer, extent = axes.extents
    size = PIECE if is_open(extent) else min(extent, PIECE)

    def emit(components: Index, inner: Scope) -> None:
        *outside, piece, _ = components
        start, left = piece * size, int64(size)
        if is_open(extent) or extent % size:
            left = inner.let(tirx.Min(left, int64(extent) - start.expr()), "at")

        def at(position: Affine) -> Index:
            return tuple(axes.index((*outside, start + position)))

        in_two_forms(
            lambda position, body: kernel.values(at(position), body),
            lambda position, body: kernel.element(at(position), body),
            size,
            left,
            inner,
        )

    nest((*outer, ceil_div(extent, size, scope), 1), kernel.work * size, emit, scope)
    return True


def in_two_forms(values: Emit, element: Emit, size: int, left: Any, scope: Scope) -> None:
    """``for j in range(left): element(j)``, at most ``size`` times.

    values: computes what ``element`` stores.
    """
    flag, zero = sc.buffer(1, "int32", "far", scope="local"), int64(0)
    scope.emit(st.AllocBuffer(flag))
    scope.emit(st.BufferStore(flag, sc.const(0, "int32"), [zero]))
    position, look = loop_variable("j", size), Scope(scope)
    arguments = look_at_arguments(look)
    values(Affine.of(position), look)
    far = look.let(tirx.BufferLoad(flag, [zero]))
    for rare, operands in arguments:
        far = look.let(sc.bit_or(far, look.let(sc.cast(rare(look, *operands), "int32"))))
    look.emit(st.BufferStore(flag, far, [zero]))
    scope.emit(for_loop(position.expr, left, look))
    quick, whole = Scope(scope), Scope(scope)
    take_ordinary_forms(quick)
    loops = []
    for body in (quick, whole):
        position = loop_variable("j", size)
        element(Affine.of(position), body)
        loops.append(for_loop(position.expr, left, body))
    near = tirx.EQ(tirx.BufferLoad(flag, [zero]), sc.const(0, "int32"))
    scope.emit(st.IfThenElse(near, *loops))
