"""Sorting many short rows side by side: a network of comparisons on vectors of rows.

The network is Batcher's merge exchange (Knuth, "The Art of Computer Programming", volume 3, 5.2.2,
algorithm M): which elements are compared depends on the length alone, so that lane n of every
vector can hold an element of row n, and nothing branches.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower import scalar as sc
from jitops.lower.frame import Scope
from jitops.lower.index import Affine, Index, int64, loop_variable, opaque, unflatten
from jitops.lower.sorting import SortKernel
from jitops.schedule.loops import for_loop, nest, serial

# Longer rows are faster by radix. The network makes log(n)**2 / 4 comparisons for each element.
LONGEST = 1024
VECTOR_BYTES = 64


def lanes(kernel: SortKernel) -> int:
    """How many rows are sorted side by side."""
    return min(32, VECTOR_BYTES * 8 // sc.bits_of(kernel.key))


def network(kernel: SortKernel, scope: Scope) -> bool:
    """Emit the loops over blocks of rows; False where the rows are too long or too few."""
    rows, width = prod(kernel.domain[:-1]), lanes(kernel)
    if kernel.length > LONGEST or rows < width:
        return False

    def block(at: Index, inner: Scope) -> None:
        # The last block takes rows of the one before it, rather than fewer.
        start: Any = (at[0] * width).expr() if at else int64(0)
        if rows % width:
            start = tirx.Min(start, int64(rows - width))
        first = opaque(inner.let(start, "at"), 0, rows - width)
        _Block(kernel, first, width, inner).emit()

    nest((-(-rows // width),), kernel.work * kernel.length * width, block, scope)
    return True


def stages(n: int) -> int:
    """How many rounds of independent comparisons sort n elements."""
    levels = (n - 1).bit_length()
    return levels * (levels + 1) // 2


class _Block:
    """The code of one block: element i of every row is vector i."""

    def __init__(self, kernel: SortKernel, first: Affine, width: int, scope: Scope) -> None:
        self.kernel = kernel
        self.first = first
        self.width = width
        self.scope = scope
        self.arrays = []
        for dtype in (kernel.key, kernel.beside):
            if dtype is not None:
                size = kernel.length * width
                self.arrays.append(tirx.decl_buffer((size,), dtype, "lines", scope="local"))
                scope.emit(st.AllocBuffer(self.arrays[-1]))

    def emit(self) -> None:
        serial((self.kernel.length, self.width), self._read, self.scope)
        if self.kernel.length > 1:
            self._network()
        serial((self.kernel.length, self.width), self._write, self.scope)

    def _index(self, i: Affine, lane: Affine, body: Scope) -> Index:
        return (*unflatten(self.first + lane, self.kernel.domain[:-1], body), i)

    def _read(self, at: Index, body: Scope) -> None:
        i, lane = at
        place = (i * self.width + lane).expr()
        record = self.kernel.record(self._index(i, lane, body), body)
        body.emit(st.BufferStore(self.arrays[0], record, [place]))
        if self.kernel.beside:
            position = sc.cast(i.expr(), self.kernel.beside)
            body.emit(st.BufferStore(self.arrays[1], position, [place]))

    def _write(self, at: Index, body: Scope) -> None:
        i, lane = at
        place = (i * self.width + lane).expr()
        values = [body.let(tirx.BufferLoad(array, [place])) for array in self.arrays]
        index = self._index(i, lane, body)
        self.kernel.store(index, values[0], values[1] if values[1:] else None, body)

    def _network(self) -> None:
        """Each round compares elements i and i + d for all i with ``i & p == r``."""
        n = self.kernel.length
        top = 1 << ((n - 1).bit_length() - 1)
        state = {}
        for name, value in (("p", top), ("q", top), ("r", 0), ("d", top)):
            state[name] = tirx.decl_buffer((1,), "int64", name, scope="local")
            self.scope.emit(st.AllocBuffer(state[name]))
            self._set(state[name], int64(value), self.scope)

        def round_(at: Index, body: Scope) -> None:
            p, q, r, d = (body.let(tirx.BufferLoad(b, [int64(0)]), "at") for b in state.values())
            self._compare(p, r, d, body)
            last = body.let(sc.eq(q, p))  # of the rounds with this p
            one = int64(1)
            half = body.let(sc.shr(p, one), "at")
            new = {
                "p": sc.select(last, half, p),
                "q": sc.select(last, int64(top), sc.shr(q, one)),
                "r": sc.select(last, int64(0), p),
                "d": sc.select(last, half, q - p),
            }
            for name, value in new.items():
                self._set(state[name], value, body)

        serial((stages(n),), round_, self.scope)

    @staticmethod
    def _set(buffer: Any, value: Any, scope: Scope) -> None:
        scope.emit(st.BufferStore(buffer, value, [int64(0)]))

    def _compare(self, p: Any, r: Any, d: Any, scope: Scope) -> None:
        """One round: the m-th i that has bit p clear is m with a zero put in there; then r."""
        zero, one = int64(0), int64(1)
        count = scope.let(int64(self.kernel.length) - d - r, "at")
        high = scope.let(zero - p, "at")
        below = scope.let(sc.bit_and(count, scope.let(p * int64(2) - one, "at")), "at")
        pairs = scope.let(sc.shr(count - below, one) + tirx.Min(below, p), "at")
        m, body = loop_variable("m", self.kernel.length), Scope(scope)
        i = body.let(m.expr + sc.bit_and(m.expr, high) + r, "at")
        first = body.let(i * int64(self.width), "at")
        second = body.let(first + d * int64(self.width), "at")
        self._exchange(first, second, body)
        scope.emit(for_loop(m.expr, pairs, body))

    def _exchange(self, first: Any, second: Any, body: Scope) -> None:
        """The smaller one of two records first, in all lanes."""
        places = [tirx.Ramp(at, int64(1), self.width) for at in (first, second)]
        low, high = ([body.let(tirx.BufferLoad(a, [at])) for a in self.arrays] for at in places)
        if len(self.arrays) == 1:
            pairs = [(tirx.Min(low[0], high[0]), tirx.Max(low[0], high[0]))]
        else:
            same = sc.both(sc.eq(low[0], high[0]), sc.gt(low[1], high[1]))
            swap = sc.either(sc.gt(low[0], high[0]), same)  # TVM cannot bind a vector of bools
            pairs = [(sc.select(swap, b, a), sc.select(swap, a, b)) for a, b in zip(low, high)]
        for array, pair in zip(self.arrays, pairs):
            for at, value in zip(places, pair):
                body.emit(st.BufferStore(array, value, [at]))
