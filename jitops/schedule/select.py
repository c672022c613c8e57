"""Selections by radix: one digit after the other from the most significant one on.

A pass counts the digits, the counts say which digit the wanted element has, and the next pass looks
at the elements with that digit alone (Knuth, "The Art of Computer Programming", volume 3, 5.2.5,
has the sort by most significant digits). Elements move without a branch: each is stored behind the
candidates there are, and counted if it is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.lower import scalar as sc
from jitops.lower.frame import Scope
from jitops.lower.index import Affine, Index, flatten, int64, loop_variable
from jitops.lower.kernels import Kernel
from jitops.lower.selection import LONG, KthKernel, digits_of
from jitops.schedule.loops import for_loop, nest, parallel_tasks, serial

Code = Callable[[Any, Scope], None]  # for a key


def kth(kernel: Kernel) -> Scope | None:
    """Applies to every selection."""
    if not isinstance(kernel, KthKernel):
        return None
    scope = Scope()
    rows = kernel.domain[:-1]

    def row(at: Index, inner: Scope) -> None:
        _Selection(kernel, at, inner).emit()

    if kernel.pieces > 1:
        serial(rows, row, scope)
    else:
        nest(rows, kernel.work * kernel.length, row, scope)
    return scope


class _Selection:
    """The code of one line."""

    def __init__(self, kernel: KthKernel, row: Index, scope: Scope) -> None:
        self.kernel = kernel
        self.row = row
        self.scope = scope
        self.digits = digits_of(kernel.key_bits, kernel.length)
        self.buckets = 1 << self.digits[0][1]
        self.candidates = kernel.frame.buffer(kernel.scratch[0])
        self.first: Any = int64(0)  # where the line's candidates begin
        if kernel.pieces > 1:
            self.table = kernel.frame.buffer(kernel.scratch[1])
        else:
            first = flatten((*row, Affine({})), kernel.scratch[0].strides)
            self.first = scope.let(first.expr(), "at")
            self.table = self._local(self.buckets, "int64", "table")
        self.starts = self._local(kernel.pieces, "int64", "starts")
        self.leasts = self._local(kernel.pieces, kernel.key, "leasts")
        self.found = self._local(1, kernel.key, "found")  # the digits that are known
        # The place of the wanted element among the candidates, and their number; the digit that is
        # sought, how many elements are below it, and how many have it.
        self.rank, self.left, self.digit, self.before, self.count = (
            self._local(1, "int64", name) for name in ("rank", "left", "digit", "before", "count")
        )

    def emit(self) -> None:
        kernel, scope = self.kernel, self.scope
        self._set(self.rank, int64(kernel.k), scope)
        self._set(self.found, sc.const(0, kernel.key), scope)
        (low, width), *others = self.digits
        self._first_digit(low, width)
        if others:  # one loop for all of them, which takes a part of the time to compile
            width = others[0][1]

            def digit(at: Index, body: Scope) -> None:
                high = body.let(int64(low) - (at[0] * width).expr(), "at")
                least = body.let(tirx.Max(int64(0), high - int64(width)), "at")
                self._other_digit(least, high, width, body)

            serial((len(others),), digit, scope)
        kernel.store((*self.row, Affine({})), self._get(self.found, scope), scope)
        if kernel.count == 2:
            kernel.store((*self.row, Affine({}, 1)), self._after(), scope)

    def _after(self) -> Any:
        """The key after the one that was found: the same, or the least of those above it."""
        kernel, scope = self.kernel, self.scope
        found, above = self._get(self.found, scope), Scope(scope)
        ones = sc.const((1 << kernel.key_bits) - 1, kernel.key)

        def task(piece: Affine, body: Scope) -> None:
            least = self._next(ones, body, kernel.key)

            def code(key: Any, inner: Scope) -> None:
                key = inner.let(sc.select(sc.lt(found, key), key, ones))
                self._set(least, tirx.Min(key, self._get(least, inner)), inner)

            self._elements(piece, body, code)
            self._set(self.leasts, self._get(least, body), body, piece.expr())

        self._pieces(task, above)
        least = self._get(self.leasts, above)
        for piece in range(1, kernel.pieces):
            least = above.let(tirx.Min(least, self._get(self.leasts, above, int64(piece))))
        self._set(self.leasts, least, above)
        self._set(self.leasts, found, scope)
        last = sc.eq(self._get(self.rank, scope) + int64(1), self._get(self.count, scope))
        scope.emit(st.IfThenElse(last, above.block(), None))
        return self._get(self.leasts, scope)

    def _local(self, count: int, dtype: str, name: str) -> Any:
        buffer = sc.buffer(count, dtype, name, scope="local")
        self.scope.emit(st.AllocBuffer(buffer))
        return buffer

    def _get(self, buffer: Any, scope: Scope, at: Any = None) -> Any:
        return scope.let(tirx.BufferLoad(buffer, [int64(0) if at is None else at]))

    def _set(self, buffer: Any, value: Any, scope: Scope, at: Any = None) -> None:
        scope.emit(st.BufferStore(buffer, value, [int64(0) if at is None else at]))

    def _digit(self, key: Any, low: Any, scope: Scope) -> Any:
        """The digit from bit ``low`` on, with all that is above it."""
        shifted = scope.let(sc.shr(key, sc.cast(low, self.kernel.key)))
        return scope.let(sc.cast(shifted, "int64"), "at")

    # --- passes over elements or candidates, in pieces ---

    def _pieces(self, task: Callable[[Affine, Scope], None], scope: Scope) -> None:
        if self.kernel.pieces == 1:
            task(Affine({}), scope)
        else:
            parallel_tasks(self.kernel.pieces, task, scope)

    def _elements(self, piece: Affine, scope: Scope, code: Code) -> None:
        """``code`` for the key of each element of a piece of the line."""
        length = self.kernel.length
        size = -(-length // self.kernel.pieces)
        step = loop_variable("i", size)
        body = Scope(scope)
        code(self.kernel.record((*self.row, piece * size + Affine.of(step)), body), body)
        end = tirx.Min(int64(size), int64(length) - (piece * size).expr())
        scope.emit(for_loop(step.expr, tirx.Max(int64(0), end), body))

    def _candidates(self, start: Any, end: Any, scope: Scope, code: Code) -> None:
        """``code`` for the candidates from ``start`` to ``end``."""
        step = loop_variable("i", self.kernel.length + self.kernel.pieces)
        body = Scope(scope)
        at = body.let(self.first + start + step.expr, "at")
        code(self._get(self.candidates, body, at), body)
        scope.emit(for_loop(step.expr, end - start, body))

    def _clear(self, own: Any, width: int, scope: Scope) -> None:
        def code(at: Index, body: Scope) -> None:
            self._set(self.table, int64(0), body, own + at[0].expr())

        serial((1 << width,), code, scope)

    def _counter(self, own: Any, low: Any, high: Any, known: Any) -> Code:
        """Count a key's digit in the table at ``own``, if the digits above are the known ones."""

        def code(key: Any, body: Scope) -> None:
            more: Any = int64(1)
            at = self._digit(key, low, body)
            if known is not None:
                chosen = sc.eq(self._digit(key, high, body), known)
                more = sc.cast(body.let(chosen), "int64")
                at = body.let(at - tirx.shift_left(known, high - low), "at")
                at = body.let(at * more, "at")
            at = body.let(own + at, "at")
            self._set(self.table, self._get(self.table, body, at) + more, body, at)

        return code

    def _append(self, next_: Any, low: Any, known: Any) -> Code:
        """Keep a key if its digits down to bit ``low`` are the known ones; ``next_``: where."""

        def code(key: Any, body: Scope) -> None:
            at = self._get(next_, body)
            self._set(self.candidates, key, body, at)
            chosen = body.let(sc.eq(self._digit(key, low, body), known))
            self._set(next_, at + sc.cast(chosen, "int64"), body)

        return code

    def _next(self, start: Any, scope: Scope, dtype: str = "int64") -> Any:
        buffer = sc.buffer(1, dtype, "next", scope="local")
        scope.emit(st.AllocBuffer(buffer))
        self._set(buffer, start, scope)
        return buffer

    # --- one digit ---

    def _first_digit(self, low: int, width: int) -> None:
        """Of all elements; those that have it become the candidates."""
        kernel, scope = self.kernel, self.scope

        def count(piece: Affine, body: Scope) -> None:
            own = body.let((piece * self.buckets).expr(), "at")
            self._clear(own, width, body)
            self._elements(piece, body, self._counter(own, int64(low), None, None))

        self._pieces(count, scope)
        self._choose(kernel.pieces, int64(low), width, scope)
        if not low:
            return
        digit, at = self._get(self.digit, scope), self.first
        for piece in range(kernel.pieces):
            self._set(self.starts, at, scope, int64(piece))
            own = self._get(self.table, scope, digit + int64(piece * self.buckets))
            at = scope.let(at + own + int64(1), "at")  # one more, see below
        self._set(self.left, at - self.first, scope)

        def gather(piece: Affine, body: Scope) -> None:
            next_ = self._next(self._get(self.starts, body, piece.expr()), body)
            self._elements(piece, body, self._append(next_, int64(low), digit))
            # Behind a piece's candidates comes the last key that was none, or this one.
            other = sc.cast(tirx.bitwise_xor(digit, int64(1)), kernel.key)
            key = sc.shl(other, sc.const(low, kernel.key))
            self._set(self.candidates, key, body, self._get(next_, body))

        self._pieces(gather, scope)

    def _other_digit(self, low: Any, high: Any, width: int, scope: Scope) -> None:
        """Of the candidates; in pieces while they are many."""
        pieces = self.kernel.pieces
        left = self._get(self.left, scope)
        known = self._digit(self._get(self.found, scope), high, scope)

        def count(own: Any, start: Any, end: Any, body: Scope) -> None:
            self._clear(own, width, body)
            self._candidates(start, end, body, self._counter(own, low, high, known))

        some = Scope(scope)
        count(int64(0), int64(0), left, some)
        self._choose(1, low, width, some)
        if pieces == 1:
            for stmt in some.stmts:
                scope.emit(stmt)
        else:
            many = Scope(scope)
            size = many.let(tirx.Div(left + int64(pieces - 1), int64(pieces)), "size")

            def task(piece: Affine, body: Scope) -> None:
                own = body.let((piece * self.buckets).expr(), "at")
                start = body.let(tirx.Min(piece.expr() * size, left), "start")
                count(own, start, body.let(tirx.Min(start + size, left), "end"), body)

            parallel_tasks(pieces, task, many)
            self._choose(pieces, low, width, many)
            scope.emit(st.IfThenElse(sc.lt(left, int64(LONG)), some.block(), many.block()))
        self._compact(low, left, scope)

    def _compact(self, low: Any, left: Any, scope: Scope) -> None:
        """Keep the candidates with the known digits, in place, unless most of them have them."""
        keep = Scope(scope)
        next_ = self._next(self.first, keep)
        known = self._digit(self._get(self.found, keep), low, keep)
        self._candidates(int64(0), left, keep, self._append(next_, low, known))
        self._set(self.left, self._get(next_, keep) - self.first, keep)
        few = sc.lt(self._get(self.count, scope) * int64(2), left)
        scope.emit(st.IfThenElse(few, keep.block(), None))

    def _choose(self, tables: int, low: Any, width: int, scope: Scope) -> None:
        """Find the wanted element's digit by the counts in the tables, and take it for known."""
        rank = self._get(self.rank, scope)
        total = self._next(int64(0), scope)
        for buffer in (self.digit, self.before):
            self._set(buffer, int64(0), scope)

        def code(at: Index, body: Scope) -> None:
            after = self._get(total, body)
            for table in range(tables):
                place = (at[0] + table * self.buckets).expr()
                after = body.let(after + self._get(self.table, body, place))
            self._set(total, after, body)
            below = body.let(sc.le(after, rank))
            digit = self._get(self.digit, body) + sc.cast(below, "int64")
            self._set(self.digit, digit, body)
            before = sc.select(below, after, self._get(self.before, body))
            self._set(self.before, body.let(before), body)

        serial((1 << width,), code, scope)
        digit, dtype = self._get(self.digit, scope), self.kernel.key
        self._set(self.rank, rank - self._get(self.before, scope), scope)
        counts = [
            self._get(self.table, scope, digit + int64(table * self.buckets))
            for table in range(tables)
        ]
        self._set(self.count, sum(counts[1:], counts[0]), scope)
        shifted = sc.shl(sc.cast(digit, dtype), sc.cast(low, dtype))
        known = sc.bit_or(self._get(self.found, scope), scope.let(shifted))
        self._set(self.found, scope.let(known), scope)
