"""Accumulators of folds: small arrays on the stack, which LLVM keeps in vector registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower import scalar as sc
from jitops.lower.elementwise import register_dtype
from jitops.lower.folds import Fold
from jitops.lower.frame import Scope, from_memory, to_memory
from jitops.lower.index import int64
from jitops.schedule.loops import serial

LANE_BYTES = 128  # two 512-bit vectors
LONG = 20  # steps in lines that are worth twice as many, which take twice as long to compile
FEW = 8  # this many lanes are folded without a loop


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

    def step(self, at: Any, values: tuple[Any, ...], scope: Scope) -> None:
        """As `combine`, for values that come after all that is in there."""
        self.store(at, self.fold.step(scope, self.load(at, scope), values), scope)

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


def lane_count(fold: Fold, length: int, large: bool = False) -> int:
    """A power of two: as many lanes as pay, and no more than a short line fills.

    ``large``: there is enough work for twice as many, so that a step need not wait for the last.
    """
    if fold.vectorises_itself:
        return 1
    lanes = max(8, LANE_BYTES * 8 // max(sc.bits_of(register_dtype(fold.parts[0])), 32))
    if large and length >= LONG * lanes:
        lanes *= 2
    while lanes > 1 and lanes * 2 > length:
        lanes //= 2
    return lanes
