"""Loops within a kernel: a body that is one map, whose elements do not look at each other.

What is carried then stays in registers, or, of an array, in the first-level cache: each piece of
the domain takes all its steps before the next piece takes its first, and the cores share the pieces
once, not in every step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.graph.graph import Var
from jitops.lower.cost import UNKNOWN_TRIPS
from jitops.lower.frame import Scope, Slot
from jitops.lower.index import Affine, Atom, domain_index, flatten, int64
from jitops.lower.kernels import MapKernel
from jitops.lower.sources import reads
from jitops.lower.steps import For, Step, While

# The cost of a step on what the cache holds, beside one on what comes from memory.
IN_CACHE = 0.5

LONGEST = 2**62  # steps of a loop whose number is not known


class RepeatedMap(MapKernel):
    """A map kernel that is run again and again on each piece of its domain.

    loop: how often; its steps are this kernel. counter: the variable that is the number of the
    step.
    """

    def __init__(self, kernel: MapKernel, loop: For | While, counter: Var | None) -> None:
        super().__init__(kernel.frame, kernel.domain, kernel.stores)
        self.loop = loop
        self.counter = counter
        known = isinstance(loop, For) and isinstance(loop.count, int)
        trips = loop.count if known else UNKNOWN_TRIPS  # type: ignore[union-attr]
        self.work *= IN_CACHE * trips  # type: ignore[operator]

    def repeat(self, step: Callable[[Scope], None], scope: Scope) -> None:
        """The loop; ``step`` emits what one turn does."""
        body = Scope(scope)
        if isinstance(self.loop, While):
            step(body)
            pred = tirx.BufferLoad(self.frame.buffer(self.loop.pred), [int64(0)])
            scope.emit(st.While(tirx.NE(pred, tirx.IntImm("uint8", 0)), body.block()))
            return
        count = self.loop.count
        turn = Atom(tirx.Var("turn", "int64"), 0, LONGEST)
        at = Affine.of(turn)
        if isinstance(count, Slot):
            count = self.frame.load(count, (), scope)
        else:
            at = at * -1 + (count - 1) if self.loop.reverse else at
            count = int64(count)
        self.frame.turns[self.loop.turn] = at
        if self.counter is not None:
            self.frame.registers[self.counter] = lambda index, reader: at.expr()
        step(body)
        scope.emit(st.For(turn.expr, int64(0), count, st.ForKind.SERIAL, body.block()))


def repeated(loop: For | While, slots: Mapping[Var, Slot]) -> Step:
    """The loop as one kernel, where its body is one map that can be taken piece by piece."""
    if len(loop.steps) != 1 or type(loop.steps[0]) is not MapKernel:
        return loop
    kernel = loop.steps[0]
    stores_pred = isinstance(loop, For) or any(s.slot is loop.pred for s in kernel.stores)
    if not stores_pred or (isinstance(loop, While) and kernel.domain) or not _apart(kernel):
        return loop
    counter = None
    if isinstance(loop, For):
        counter = next((var for var, slot in slots.items() if slot is loop.counter), None)
    return RepeatedMap(kernel, loop, counter)


def _apart(kernel: MapKernel) -> bool:
    """Whether what the kernel writes is read at the very place where it is written."""
    index = domain_index(kernel.domain)
    frame = kernel.frame
    places = {s.slot: flatten(s.place(index), s.slot.strides).key() for s in kernel.stores}
    for store in kernel.stores:
        at = index if store.atom.type.shape else ()
        for read in reads(frame.definitions, frame.slots, store.atom, at):
            slot = frame.slots.get(read.var) if read.var is not None else None
            if slot not in places:
                continue
            if read.index is None or flatten(read.index, slot.strides).key() != places[slot]:
                return False
    return True


