"""Sort kernels: many short rows by a network, others each by radix, or by counting if very short.

The radix sort takes digits from the least significant on (LSD; Knuth, "The Art of Computer
Programming", volume 3, 5.2.5), so that it is stable: all histograms are made in the pass that reads
the elements, and a digit that is the same in the whole row takes no pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower import scalar as sc
from jitops.lower.frame import Scope
from jitops.lower.index import Affine, Index, int64
from jitops.lower.kernels import Kernel
from jitops.lower.sorting import COUNTED, SortKernel
from jitops.schedule.loops import nest, serial
from jitops.schedule.network import network

# Digits of 11 bits make fewer passes, of 8 bits smaller histograms.
WIDE_DIGITS_FROM = 1 << 13


def sort(kernel: Kernel) -> Scope | None:
    """Applies to every sort kernel."""
    if not isinstance(kernel, SortKernel):
        return None
    scope = Scope()
    if 0 in kernel.domain or network(kernel, scope):
        return scope
    row = _counted if kernel.length <= COUNTED else _radix
    cost = kernel.work * kernel.length
    nest(kernel.domain[:-1], cost, lambda at, inner: row(kernel, at, inner), scope)
    return scope


def _local(count: int, dtype: str, name: str, scope: Scope) -> Any:
    buffer = tirx.decl_buffer((count,), dtype, name, scope="local")
    scope.emit(st.AllocBuffer(buffer))
    return buffer


def _loop(count: int, scope: Scope, body: Callable[[Affine, Scope], None]) -> None:
    serial((count,), lambda at, inner: body(at[0], inner), scope)


def _load(buffer: Any, at: Any, scope: Scope) -> Any:
    return scope.let(tirx.BufferLoad(buffer, [at]))


def _counted(kernel: SortKernel, row: Index, scope: Scope) -> None:
    """Each element goes to the place that the number of elements before it says.

    A quadratic number of comparisons, but a whole vector of them at a time, and no branch.
    """
    n = kernel.length
    keys = _local(n, kernel.key, "keys", scope)
    placed = _local(n, kernel.beside or kernel.key, "placed", scope)
    rank = _local(1, "int32", "rank", scope)

    def read(i: Affine, body: Scope) -> None:
        body.emit(st.BufferStore(keys, kernel.record((*row, i), body), [i.expr()]))

    def place(i: Affine, body: Scope) -> None:
        mine = _load(keys, i.expr(), body)
        body.emit(st.BufferStore(rank, sc.const(0, "int32"), [int64(0)]))

        def count(j: Affine, inner: Scope) -> None:
            other = _load(keys, j.expr(), inner)
            before = sc.lt(other, mine)
            if not kernel.low_bit:  # equal records keep their order
                before = sc.either(before, sc.both(sc.eq(other, mine), sc.lt(j.expr(), i.expr())))
            total = tirx.BufferLoad(rank, [int64(0)]) + sc.cast(inner.let(before), "int32")
            inner.emit(st.BufferStore(rank, total, [int64(0)]))

        _loop(n, body, count)
        to = sc.cast(_load(rank, int64(0), body), "int64")
        moved = sc.cast(i.expr(), kernel.beside) if kernel.beside else mine
        body.emit(st.BufferStore(placed, moved, [to]))

    def write(i: Affine, body: Scope) -> None:
        value = _load(placed, i.expr(), body)
        kernel.store((*row, i), value, value if kernel.beside else None, body)

    for step in (read, place, write):
        _loop(n, scope, step)


def _radix(kernel: SortKernel, row: Index, scope: Scope) -> None:
    _Radix(kernel, row, scope).emit()


class _Radix:
    """The code of one row: read, a pass per digit between two halves of the scratch, write."""

    def __init__(self, kernel: SortKernel, row: Index, scope: Scope) -> None:
        self.kernel = kernel
        self.row = row
        self.scope = scope
        self.n = kernel.length
        width = 11 if self.n >= WIDE_DIGITS_FROM and kernel.key_bits > 16 else 8
        low, high = kernel.low_bit, kernel.low_bit + kernel.key_bits
        self.digits = [(bit, min(width, high - bit)) for bit in range(low, high, width)]
        self.buckets = 1 << width
        self.count = "int32" if self.n < 1 << 31 else "int64"
        self.table = _local(len(self.digits) * self.buckets, self.count, "table", scope)
        self.half = _local(1, "int64", "half", scope)  # where the present order starts
        dtypes = [d for d in (kernel.key, kernel.beside) if d is not None]
        self.start: Any = int64(0)
        if kernel.scratch:
            self.arrays = [kernel.frame.buffer(slot) for slot in kernel.scratch]
            self.start = scope.let(kernel.scratch_start(row).expr(), "at")
        else:
            self.arrays = [_local(2 * self.n, d, "pair", scope) for d in dtypes]

    def emit(self) -> None:
        scope, zero = self.scope, sc.const(0, self.count)
        size = len(self.digits) * self.buckets
        _loop(size, scope, lambda i, b: b.emit(st.BufferStore(self.table, zero, [i.expr()])))
        scope.emit(st.BufferStore(self.half, int64(0), [int64(0)]))
        _loop(self.n, scope, self._read)
        for number in range(len(self.digits)):
            self._pass(number)
        source = self._source(scope)
        _loop(self.n, scope, lambda i, body: self._write(source, i, body))

    def _source(self, scope: Scope) -> Any:
        return scope.let(self.start + _load(self.half, int64(0), scope), "at")

    def _bucket(self, number: int, record: Any, scope: Scope) -> Any:
        """Where the table counts the records with this digit."""
        bit, width = self.digits[number]
        dtype = self.kernel.key
        digit = sc.shr(record, sc.const(bit, dtype)) if bit else record
        if bit + width < sc.bits_of(dtype):
            digit = sc.bit_and(digit, sc.const((1 << width) - 1, dtype))
        place = sc.cast(scope.let(digit), "int64") + int64(number * self.buckets)
        return scope.let(place, "at")

    def _read(self, i: Affine, body: Scope) -> None:
        record = self.kernel.record((*self.row, i), body)
        at = self.start + i.expr()
        body.emit(st.BufferStore(self.arrays[0], record, [at]))
        if self.kernel.beside:
            body.emit(st.BufferStore(self.arrays[1], sc.cast(i.expr(), self.kernel.beside), [at]))
        for number in range(len(self.digits)):
            self._take(self._bucket(number, record, body), body)

    def _take(self, at: Any, body: Scope) -> Any:
        """The count of a bucket, which is then one more."""
        count = _load(self.table, at, body)
        body.emit(st.BufferStore(self.table, count + sc.const(1, self.count), [at]))
        return count

    def _pass(self, number: int) -> None:
        body = Scope(self.scope)
        source = self._source(self.scope)
        first = _load(self.arrays[0], source, self.scope)
        here = _load(self.table, self._bucket(number, first, self.scope), self.scope)
        several = sc.not_(sc.eq(here, sc.const(self.n, self.count)))
        self._starts(number, body)
        flipped = body.let(int64(self.n) - tirx.BufferLoad(self.half, [int64(0)]), "at")
        target = body.let(self.start + flipped, "at")

        def move(i: Affine, inner: Scope) -> None:
            at = inner.let(source + i.expr(), "at")
            records = [_load(array, at, inner) for array in self.arrays]
            to = self._take(self._bucket(number, records[0], inner), inner)
            to = inner.let(target + sc.cast(to, "int64"), "at")
            for array, record in zip(self.arrays, records):
                inner.emit(st.BufferStore(array, record, [to]))

        _loop(self.n, body, move)
        body.emit(st.BufferStore(self.half, flipped, [int64(0)]))
        self.scope.emit(st.IfThenElse(several, body.block(), None))

    def _starts(self, number: int, scope: Scope) -> None:
        """Counts become the places where each bucket starts."""
        total = _local(1, self.count, "total", scope)
        scope.emit(st.BufferStore(total, sc.const(0, self.count), [int64(0)]))

        def step(i: Affine, body: Scope) -> None:
            at = (i + number * self.buckets).expr()
            count, before = _load(self.table, at, body), _load(total, int64(0), body)
            body.emit(st.BufferStore(self.table, before, [at]))
            body.emit(st.BufferStore(total, before + count, [int64(0)]))

        _loop(1 << self.digits[number][1], scope, step)

    def _write(self, source: Any, i: Affine, body: Scope) -> None:
        at = body.let(source + i.expr(), "at")
        values = [_load(array, at, body) for array in self.arrays]
        self.kernel.store((*self.row, i), values[0], values[1] if values[1:] else None, body)
