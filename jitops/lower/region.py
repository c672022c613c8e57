"""Control flow to steps: where a body finds its operands and leaves its results.

An output of a loop is the home of the value carried: the first value is put there, unless it lives
there already, and the body replaces it there as it would an argument that it mutates. Rows of xs
and ys are read and written where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from jitops.graph import control
from jitops.graph.graph import Atom, Eqn, Graph, Var
from jitops.graph.types import ArrayType
from jitops.lower.frame import Frame, Slot
from jitops.lower.kernels import MapKernel, Store
from jitops.lower.memory import ALIGNMENT, Memory, Piece, first_gap
from jitops.lower.repeated import repeated
from jitops.lower.simplify import own_results
from jitops.lower.steps import Branch, For, Step, Turn, While, row

if TYPE_CHECKING:
    from jitops.lower.lowering import Lowering


class Region:
    """One equation of control flow, on its way to steps; ``busy``: the workspace around it."""

    def __init__(
        self,
        lowering: Lowering,
        eqn: Eqn,
        definitions: Mapping[Var, Eqn],
        memory: Memory,
        busy: Sequence[Piece],
    ) -> None:
        self.lowering = lowering
        self.eqn = eqn
        self.definitions = definitions
        self.memory = memory
        self.busy = list(busy)
        self.before: list[Step] = []

    def steps(self) -> list[Step]:
        """What comes before, and the region itself."""
        make: dict[str, Callable[[], Step]] = {
            "cond": self._cond, "while": self._while, "for": self._for,
        }  # fmt: skip
        region = make[self.eqn.op]()
        return [*self.before, region]

    # --- memory ---

    def _slot(self, atom: Atom) -> Slot:
        """Where an operand is."""
        if isinstance(atom, Var):
            return self.memory.slots[atom]
        slot = self._reserve(atom.type)
        self._put(atom, slot)
        return slot

    def _put(self, atom: Atom, slot: Slot) -> None:
        self.before.append(copy(self.definitions, self.memory, slot, atom))

    def _reserve(self, type: ArrayType) -> Slot:
        """A piece of the workspace for as long as the region runs."""
        size = -(-max(type.nbytes, 1) // ALIGNMENT) * ALIGNMENT
        offset = first_gap(self.busy, size)
        self.busy = sorted([*self.busy, (offset, offset + size)])
        self.lowering.workspace = max(self.lowering.workspace, offset + size)
        return Slot(type, ("workspace", offset))

    def _homes(self, carry: Sequence[Atom], outputs: Sequence[Var]) -> list[Slot]:
        """The homes of what is carried, with the first values in them."""
        homes = [self.memory.slots[var] for var in outputs]
        for atom, home in zip(carry, homes):
            if not (isinstance(atom, Var) and self.memory.slots[atom] is home):
                self._put(atom, home)
        return homes

    # --- the three kinds ---

    def _cond(self) -> Branch:
        pred, *operands = self.eqn.inputs
        results = [self.memory.slots[var] for var in self.eqn.outputs]
        where = self._slot(pred)
        slots = [self._slot(atom) for atom in operands]
        sides = [
            self._body(self.eqn.attrs[name], dict(zip(self.eqn.attrs[name].params, slots)), results)
            for name in ("then", "otherwise")
        ]
        return Branch(where, *sides)

    def _while(self) -> Step:
        given, outputs = control.operands(self.eqn), control.outputs(self.eqn)
        homes = self._homes(given.carry, outputs.carry)
        again = self._reserve(control.PREDICATE)
        self._put(given.head[0], again)
        params = control.parameters(self.eqn)
        slots = dict(zip(params.carry, homes))
        slots.update(zip(params.consts, map(self._slot, given.consts)))
        steps = self._body(self.eqn.attrs["body"], slots, [again, *homes])
        return repeated(While(again, steps), slots)

    def _for(self) -> Step:
        given, outputs = control.operands(self.eqn), control.outputs(self.eqn)
        params = control.parameters(self.eqn)
        homes = self._homes(given.carry, outputs.carry)
        length = self.eqn.attrs["length"]
        count = length if length is not None else self._slot(given.head[0])
        turn = Turn()
        slots = dict(zip(params.carry, homes))
        slots.update(zip(params.consts, map(self._slot, given.consts)))
        slots.update((param, row(self._slot(x), turn)) for x, param in zip(given.rows, params.rows))
        (index,) = params.head
        body = self.eqn.attrs["body"]
        asked = any(index in eqn.inputs for eqn in body.eqns) or index in body.results
        slots[index] = self._reserve(index.type)
        rows = [row(self.memory.slots[y], turn) for y in outputs.rows]
        steps = self._body(body, slots, [*homes, *rows])
        counter = slots[index] if asked else None
        return repeated(For(count, counter, turn, self.eqn.attrs["reverse"], steps), slots)

    def _body(
        self, graph: Graph, slots: Mapping[Var, Slot], results: Sequence[Slot]
    ) -> list[Step]:
        """The steps of a body with its parameters and results in these places.

        A result that goes where a parameter is replaces it.
        """
        changed = [
            (atom, slot)
            for atom, slot in zip(graph.results, results)
            if not (isinstance(atom, Var) and slots.get(atom) is slot)
        ]
        graph = own_results(Graph(graph.params, graph.eqns, [atom for atom, _ in changed]))
        owner = {slot: n for n, slot in enumerate(slots[param] for param in graph.params)}
        written = {owner[slot]: n for n, (_, slot) in enumerate(changed) if slot in owner}
        fresh = [slot for _, slot in changed if slot not in owner]
        given = [*(slots[param] for param in graph.params), *fresh]
        return self.lowering.steps(graph, given, written, None, self.busy)


def copy(definitions: Mapping[Var, Eqn], memory: Memory, slot: Slot, source: Atom) -> MapKernel:
    """Store a value that is in memory already, or a literal, in another place."""
    frame = Frame(definitions, memory.slots)
    return MapKernel(frame, slot.type.shape, [Store(slot, source)])


