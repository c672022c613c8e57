"""Control flow around kernels: branches and loops of the entry, with the memory they look at.

Host steps cut the sequence into segments, each with an entry of its own; no body has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from jitops.graph.sizes import Symbol
from jitops.graph.types import ArrayType
from jitops.lower.cost import UNKNOWN_TRIPS
from jitops.lower.frame import Slot
from jitops.lower.hosts import HostStep
from jitops.lower.kernels import Kernel


class Branch:
    """``if pred: then else: otherwise``; ``pred`` is a bool in memory."""

    __slots__ = ("otherwise", "pred", "then")

    def __init__(self, pred: Slot, then: Sequence[Any], otherwise: Sequence[Any]) -> None:
        self.pred = pred
        self.then = tuple(then)
        self.otherwise = tuple(otherwise)

    def parts(self) -> tuple[tuple[Any, ...], ...]:
        return self.then, self.otherwise

    def with_parts(self, then: Sequence[Any], otherwise: Sequence[Any]) -> Branch:
        return Branch(self.pred, then, otherwise)


class While:
    """``while pred: steps``; the steps write ``pred``, a bool in memory."""

    __slots__ = ("pred", "steps")

    def __init__(self, pred: Slot, steps: Sequence[Any]) -> None:
        self.pred = pred
        self.steps = tuple(steps)

    def parts(self) -> tuple[tuple[Any, ...], ...]:
        return (self.steps,)

    def with_parts(self, steps: Sequence[Any]) -> While:
        return While(self.pred, steps)


class Turn:
    """Stands for the present step of a `For` in the places of the rows it works on."""

    __slots__ = ()


class For:
    """``for i in range(count): steps``, or from the last i to the first.

    count: a number, or the int64 in memory that holds it. counter: where the steps find i; None: no
    step asks. turn: what `row` slots of the steps refer to.
    """

    __slots__ = ("count", "counter", "reverse", "steps", "turn")

    def __init__(
        self,
        count: int | Slot,
        counter: Slot | None,
        turn: Turn,
        reverse: bool,
        steps: Sequence[Any],
    ) -> None:
        self.count = count
        self.counter = counter
        self.turn = turn
        self.reverse = reverse
        self.steps = tuple(steps)

    def parts(self) -> tuple[tuple[Any, ...], ...]:
        return (self.steps,)

    def with_parts(self, steps: Sequence[Any]) -> For:
        return For(self.count, self.counter, self.turn, self.reverse, steps)


Step: TypeAlias = "Kernel | Branch | While | For | HostStep"
T = TypeVar("T")


def row(base: Slot, turn: Turn) -> Slot:
    """The row of an array that belongs to the present step of a loop."""
    type_ = ArrayType(base.type.shape[1:], base.type.dtype)
    step = base.strides[0] * base.type.dtype.itemsize
    return Slot(type_, ("row", (base, turn, step)), base.strides[1:])


def kernels(steps: Sequence[Step]) -> Iterator[Kernel]:
    """Every kernel of the steps, in order."""
    for step in steps:
        if isinstance(step, Kernel):
            yield step
        elif not isinstance(step, HostStep):
            for part in step.parts():
                yield from kernels(part)


def each(steps: Sequence[Step], visit: Callable[[Kernel], T]) -> list[Any]:
    """The same steps with every kernel replaced."""

    def one(step: Step) -> Any:
        if isinstance(step, Kernel):
            return visit(step)
        if isinstance(step, HostStep):
            return step
        return step.with_parts(*(each(part, visit) for part in step.parts()))

    return list(map(one, steps))


def segments(steps: Sequence[Any]) -> list[list[Any]]:
    """What comes before the first host step, between two of them, and after the last."""
    found: list[list[Any]] = [[]]
    for step in steps:
        if isinstance(step, HostStep):
            found.append([])
        else:
            found[-1].append(step)
    return found


def cost(steps: Sequence[Step], value: Callable[[Symbol], int]) -> float:
    """Cost units of the steps for these open sizes; a guess where the trips are not known."""
    return sum(_cost(step, value) for step in steps)


def _cost(step: Step, value: Callable[[Symbol], int]) -> float:
    if isinstance(step, Kernel):
        return step.cost(value)
    if isinstance(step, HostStep):
        return 0.0  # NumPy's own
    if isinstance(step, Branch):
        return max(cost(part, value) for part in step.parts())
    trips = step.count if isinstance(step, For) and isinstance(step.count, int) else UNKNOWN_TRIPS
    return trips * cost(step.steps, value)
