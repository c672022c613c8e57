"""Where each stored variable lives: arguments of the entry, or slices of one workspace.

An ``update`` or ``scatter`` writes into its base's memory when nobody reads the base afterwards,
and the new value of a mutated argument is computed straight into the argument when that cannot be
seen. What is left in the workspace shares memory with what is dead by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from jitops.graph import control
from jitops.graph.graph import Atom, Eqn, Graph, Var
from jitops.graph.sizes import Extent, divisible, is_open
from jitops.lower.frame import Slot
from jitops.lower.fuse import IN_PLACE, Group, MapGroup, RootGroup, RowGroup
from jitops.lower.index import domain_index, key_of
from jitops.lower.sources import reads

ALIGNMENT = 64

Piece = tuple[int, int]  # of the workspace: offset and end

OUTCOME = 8  # where in the workspace the caller finds the number of a failure


class Memory:
    """Slots of all stored variables; ``copies``: (new value, parameter) to be written back."""

    def __init__(self) -> None:
        self.slots: dict[Var, Slot] = {}
        self.in_place: set[Var] = set()  # updates that write into their base
        self.copies: list[tuple[Var, Var]] = []
        self.needed: set[Var] = set()  # results, and what some kernel reads from memory
        self.workspace: Extent = 0
        self.taken: list[tuple[int, int, int, int]] = []  # offset, end, first and last group

    def busy(self, group: int) -> list[Piece]:
        """The pieces of the workspace that are in use while a group runs: offset and end."""
        return sorted((start, end) for start, end, a, b in self.taken if a <= group <= b)


def place(
    graph: Graph,
    groups: Sequence[Group],
    given: Sequence[Slot],
    written: Mapping[Var, Var],
    outcome: Var | None = None,
    busy: Sequence[Piece] = (),
) -> Memory:
    """Slots for parameters, results and intermediates.

    ``written`` maps a parameter to the variable holding its new value; the other results are fresh.
    ``given``: the slots of the parameters, then those of the fresh results, in order. ``outcome``
    stays in the workspace, of which the pieces ``busy`` (offset and end) belong to others.
    """
    return _Placer(graph, groups, given, written, outcome, busy).run()


class _Placer:
    def __init__(
        self,
        graph: Graph,
        groups: Sequence[Group],
        given: Sequence[Slot],
        written: Mapping[Var, Var],
        outcome: Var | None,
        busy: Sequence[Piece],
    ) -> None:
        self.outcome = outcome
        self.given = given
        self.busy = busy
        self.graph = graph
        self.groups = groups
        self.written = written
        self.definitions = graph.definitions()
        self.stored = {var for group in groups for var in group.outputs}
        self.reads = [self._leaves(group) for group in groups]
        self.home = {var: n for n, group in enumerate(groups) for var in group.outputs}
        self.last_read: dict[Var, int] = {}
        for n, leaves in enumerate(self.reads):
            self.last_read.update(dict.fromkeys(leaves, n))
        hosts = [n for n, group in enumerate(groups) if group.kind == "host"]
        # An error leaves the arguments as they were: they are written after what may raise one.
        checks = [] if outcome is None else [self.home[outcome] + 1]
        self.writes_from = max([*hosts, *checks], default=-1)
        self.owner: dict[Var, Var] = {}  # variable -> the one whose memory it uses
        self.memory = Memory()
        self.memory.needed.update(*self.reads, (a for a in graph.results if isinstance(a, Var)))
        if outcome is not None:
            self.memory.needed.add(outcome)
        hosted = {var for n in hosts for var in groups[n].outputs}
        self.stored -= hosted - self.memory.needed  # NumPy computes it, nobody keeps it

    def run(self) -> Memory:
        self._reuse_bases()
        self._write_back()
        self._arguments()
        self._workspace()
        return self.memory

    def _leaves(self, group: Group) -> set[Var]:
        """The stored variables and parameters that a group reads."""
        pending: list[Atom] = []
        if isinstance(group, RootGroup):
            pending.extend(group.eqn.inputs)
        elif isinstance(group, RowGroup):
            pending.extend(a for eqn in group.reductions for a in eqn.inputs)
        own = set(group.outputs)
        for var in group.outputs:
            if not isinstance(group, RootGroup) or self.definitions[var] is not group.eqn:
                pending.extend(self.definitions[var].inputs)
        leaves: set[Var] = set()
        seen: set[Var] = set()
        while pending:
            atom = pending.pop()
            if not isinstance(atom, Var) or atom in seen:
                continue
            var = atom
            seen.add(var)
            if var in self.definitions and (var not in self.stored or var in own):
                pending.extend(self.definitions[var].inputs)
            else:
                leaves.add(var)
        return leaves

    def root(self, var: Var) -> Var:
        """The variable whose memory this one uses; long chains of updates are cut short."""
        root = var
        while root in self.owner:
            root = self.owner[root]
        while var is not root:
            self.owner[var], var = root, self.owner[var]
        return root

    def _reuse_bases(self) -> None:
        """Updates in place: the base must be dead, and its memory ours to overwrite."""
        results = {a for a in self.graph.results if isinstance(a, Var)}
        params = set(self.graph.params)
        allowed = {self._chain_start(new): new for new in self.written.values()}
        for base, var in self._replacements():
            if base not in self.home and base not in params:
                continue
            if base in params and self.written.get(base) is not allowed.get(base, base):
                continue
            if base in results or self.last_read.get(base, -1) > self.home[var]:
                continue
            param = self.root(base)
            if param in params and self.home[var] < self.writes_from:
                continue
            if param in params and var in results and self.written.get(param) is not var:
                continue
            self.owner[var] = base
            self.memory.in_place.add(var)

    def _replacements(self) -> Iterator[tuple[Var, Var]]:
        """Pairs of which the second may take the first's memory, if that is dead by then."""
        for group in self.groups:
            yield from replaced(group.eqn) if isinstance(group, RootGroup) else ()

    def _chain_start(self, var: Var) -> Var:
        """The variable from which a chain of updates leads to ``var``."""
        while var in self.definitions:
            base = {new: old for old, new in replaced(self.definitions[var])}.get(var)
            if base is None:
                break
            var = base
        return var

    def _write_back(self) -> None:
        for param, new in self.written.items():
            if self.root(new) is param:
                continue
            if any(self.root(v) is param for v in self.owner) or not self._safe(param, new):
                self.memory.copies.append((new, param))
            else:
                self.owner[self.root(new)] = param

    def _safe(self, param: Var, new: Var) -> bool:
        """Whether ``new`` may be stored over ``param``: read before, or at the same element."""
        home = self.home[new]
        group = self.groups[home]
        if self.root(new) is not new or self.last_read.get(param, -1) > home:
            return False
        if home < self.writes_from:
            return False
        if param not in self.reads[home]:
            return True
        if not isinstance(group, MapGroup):
            return False
        at = domain_index(group.domain)
        stored = dict.fromkeys(self.stored - set(group.outputs))
        return all(
            read.index is not None and key_of(read.index) == key_of(at)
            for var in group.outputs
            for read in reads(self.definitions, stored, var, at)
            if read.var is param
        )

    def _arguments(self) -> None:
        slots = self.memory.slots
        fresh = iter(self.given[len(self.graph.params) :])
        slots.update(zip(self.graph.params, self.given))
        new_values = set(self.written.values())
        for atom in self.graph.results:
            assert isinstance(atom, Var)
            if atom in new_values:
                continue
            self._own(atom, next(fresh))
        for var in self.owner:
            if self.root(var) in slots:
                slots[var] = slots[self.root(var)]

    def _own(self, var: Var, slot: Slot) -> None:
        """Give a result's memory to the whole chain of updates it belongs to."""
        self.memory.slots[self.root(var)] = slot
        self.memory.slots[var] = slot

    def _workspace(self) -> None:
        """First fit over lifetimes, in order of definition."""
        if self.outcome is not None:
            self.memory.slots[self.outcome] = Slot(self.outcome.type, ("workspace", OUTCOME))
        lifetimes: dict[Var, list[int]] = {}
        for var in self.stored:
            root = self.root(var)
            if root in self.memory.slots:
                continue
            span = lifetimes.setdefault(root, [self.home[var], self.home[var]])
            span[0] = min(span[0], self.home[var])
            span[1] = max(span[1], self.home[var], self.last_read.get(var, -1))
        for number, group in enumerate(self.groups):
            lifetimes.update({var: [number, number] for var in group.scratch})
        for new, _ in self.memory.copies:
            if self.root(new) in lifetimes:
                lifetimes[self.root(new)][1] = len(self.groups)
        opened = {v: span for v, span in lifetimes.items() if is_open(v.type.nbytes)}
        for var in opened:
            del lifetimes[var]
        end_of_time = len(self.groups)
        taken = [(*piece, end_of_time) for piece in self.busy]  # offset, end, last group
        if self._several_kernels():
            taken.insert(0, (0, ALIGNMENT, end_of_time))  # the scratch of barriers between kernels
            self.memory.workspace = ALIGNMENT
        self.memory.taken = [(start, end, 0, last) for start, end, last in taken]
        for var, (first, last) in sorted(lifetimes.items(), key=lambda item: item[1]):
            taken = [t for t in taken if t[2] >= first]
            size = -(-max(var.type.nbytes, 1) // ALIGNMENT) * ALIGNMENT
            offset = first_gap([(start, end) for start, end, _ in taken], size)
            taken = sorted([*taken, (offset, offset + size, last)])
            self.memory.taken.append((offset, offset + size, first, last))
            self.memory.slots[var] = Slot(var.type, ("workspace", offset))
            self.memory.workspace = max(self.memory.workspace, offset + size)
        self._open_workspace(opened)
        for var in self.stored:
            self.memory.slots.setdefault(var, self.memory.slots[self.root(var)])

    def _open_workspace(self, lifetimes: Mapping[Var, Sequence[int]]) -> None:
        """Behind what has a fixed size; memory is shared by slots of the same (open) size.

        What keeps the next slot aligned comes first: whole cache lines, then the wide elements.
        """

        def order(var: Var) -> tuple[bool, int, int]:
            size, width = var.type.nbytes, var.type.dtype.itemsize
            return not divisible(size, ALIGNMENT), -width, lifetimes[var][0]

        areas: list[tuple[Extent, int, Extent]] = []  # bytes, last group that needs it, offset
        for var in sorted(lifetimes, key=order):
            (first, last), size = lifetimes[var], var.type.nbytes
            free = [n for n, area in enumerate(areas) if area[0] == size and area[1] < first]
            offset = areas.pop(free[0])[2] if free else self.memory.workspace
            areas.append((size, last, offset))
            self.memory.slots[var] = Slot(var.type, ("workspace", offset))
            self.memory.workspace = self.memory.workspace + (0 if free else size)

    def _several_kernels(self) -> bool:
        whole = (MapGroup, RowGroup)
        return (
            len(self.groups) > 1
            or self.outcome is not None
            or bool(self.memory.copies)
            or not all(isinstance(group, whole) for group in self.groups)
        )


def replaced(eqn: Eqn) -> list[tuple[Var, Var]]:
    """Pairs of an operand and the output that is the operand with new contents."""
    if eqn.op in IN_PLACE:
        pairs = [(eqn.inputs[0], eqn.output)]
    elif eqn.op in ("while", "for"):
        pairs = list(zip(control.operands(eqn).carry, control.outputs(eqn).carry))
    elif eqn.op == "cond":
        pairs = _returned(eqn)
    else:
        return []
    # An operand that is read in another role, too, has to stay as it is.
    return [(a, b) for a, b in pairs if isinstance(a, Var) and eqn.inputs.count(a) == 1]


def _returned(eqn: Eqn) -> list[tuple[Atom, Var]]:
    """Operands that a branch returns as they are, each with the first output that they are."""
    found: dict[Var, tuple[Atom, Var]] = {}
    for body in control.bodies(eqn):
        operands = dict(zip(body.params, eqn.inputs[1:]))
        for result, var in zip(body.results, eqn.outputs):
            operand = operands.get(result)
            if isinstance(operand, Var) and all(var is not out for _, out in found.values()):
                found.setdefault(operand, (operand, var))
    return list(found.values())


def first_gap(taken: Sequence[Piece], size: int) -> int:
    """The first offset where this many bytes are free, among pieces in order."""
    offset = 0
    for start, end in taken:
        if start - offset >= size:
            break
        offset = max(offset, end)
    return offset
