"""Kernels as the scheduler sees them: domains, accesses, code for one element, and no graph.

A kernel offers its iteration domain, the affine offsets it touches (from which the scheduler merges
axes and picks loop orders), and methods that emit the code of one element, one row or one reduction
step into a scope.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, ClassVar

from jitops.graph.graph import Atom, Eqn, Var
from jitops.graph.ops import JOINS
from jitops.graph.sizes import Symbol, is_open, most
from jitops.graph.types import Shape
from jitops.lower import scalar as sc
from jitops.lower.complex_pairs import Pair
from jitops.lower.cost import weight
from jitops.lower.elementwise import has_ordinary_form, register_dtype
from jitops.lower.folds import Fold, PositionFold
from jitops.lower.frame import Frame, Scope, Slot, Value
from jitops.lower.index import Affine, Index, flatten
from jitops.lower.sources import reads


class Store:
    """Where elements of a domain go: ``slot[start + step * index] = atom[index]``."""

    __slots__ = ("slot", "atom", "start", "step")

    def __init__(
        self,
        slot: Slot,
        atom: Atom,
        start: Sequence[int] | None = None,
        step: Sequence[int] | None = None,
    ) -> None:
        rank = slot.type.ndim
        self.slot = slot
        self.atom = atom
        self.start = tuple(start or (0,) * rank)
        self.step = tuple(step or (1,) * rank)

    def place(self, index: Index) -> Index:
        return tuple(i * d + s for i, s, d in zip(index, self.start, self.step))


class Kernel:
    """What every kind of kernel offers."""

    kind: str
    frame: Frame
    domain: Shape
    work: float  # cost units for one element of the domain

    def cost(self, value: Callable[[Symbol], int]) -> float:
        """Cost units of the whole kernel, for these values of the open sizes."""
        elements = prod(self.domain)
        own: dict[Any, int] = {**self.frame.extents}
        if is_open(elements):
            elements = elements.at(lambda s: own[s] if s in own else value(s))
        return self.work * elements


class MapKernel(Kernel):
    """For every index of the domain: compute the values, then store them."""

    kind = "map"

    def __init__(self, frame: Frame, domain: Shape, stores: Sequence[Store]) -> None:
        self.frame = frame
        self.domain = domain
        self.stores = stores
        self.work = element_cost(frame, [s.atom for s in stores])

    def offsets(self, index: Index) -> list[Affine] | None:
        """The offset of every access as a function of ``index``; None if some place is computed."""
        found = [flatten(s.place(index), s.slot.strides) for s in self.stores]
        for store in self.stores:
            at = index if store.atom.type.shape else ()
            if not _read_offsets(self.frame, store.atom, at, found):
                return None
        return found

    def values(self, index: Index, scope: Scope) -> list[Value]:
        """What is to be stored; code that loads and computes it goes to ``scope``."""
        return [
            self.frame.value(s.atom, index if s.atom.type.shape else (), scope) for s in self.stores
        ]

    def element(self, index: Index, scope: Scope) -> None:
        """All loads come before the first store, so that an array may be updated in place."""
        for store, value in zip(self.stores, self.values(index, scope)):
            self.frame.store(store.slot, store.place(index), value, scope)


    def ordinary_pays(self) -> bool:
        """Whether functions here have cheaper forms, and arguments that are cheap to look at.

        None of these may be the value of another such function.
        """
        functions = _with_ordinary_form(self.frame, [s.atom for s in self.stores])
        arguments = [atom for eqn in functions for atom in eqn.inputs]
        if not arguments or _with_ordinary_form(self.frame, arguments):
            return False
        return 2 * element_cost(self.frame, arguments) <= self.work


class Stage:
    """One pass over a row: fold ``value`` into a register, or store elements."""


class FoldStage(Stage):
    """Fold the elements of ``atom`` along the reduced axes; ``var`` is the row's result."""

    def __init__(self, kernel: RowKernel, fold: Fold, var: Var, atom: Atom) -> None:
        self.kernel = kernel
        self.fold = fold
        self.var = var
        self.atom = atom
        self.keeps: list[tuple[Var, Slot]] = []  # elements that later stages read from memory

    def value(self, index: Index, scope: Scope) -> tuple[Any, ...]:
        frame = self.kernel.frame
        value = frame.value(self.atom, index, scope)
        for var, slot in self.keeps:
            frame.store(slot, index, frame.value(var, index, scope), scope)
        return tuple(value) if isinstance(value, Pair) else (value,)

    def result(self, values: tuple[Any, ...], scope: Scope) -> Value:
        """The row's result, from the parts of the folded accumulator."""
        return values[0] if len(values) == 1 else Pair(*values)


class BoolStage(FoldStage):
    """A fold of bools, as 0 and 1 in an int8: minimum is "and", maximum is "or"."""

    _AS: ClassVar = {"or": "maximum", "and": "minimum", "maximum": "maximum", "minimum": "minimum"}

    def __init__(self, kernel: RowKernel, op: str, var: Var, atom: Atom) -> None:
        super().__init__(kernel, Fold(self._AS[op], "int8"), var, atom)

    def value(self, index: Index, scope: Scope) -> tuple[Any, ...]:
        (value,) = super().value(index, scope)
        return (scope.let(sc.cast(value, "int8")),)

    def result(self, values: tuple[Any, ...], scope: Scope) -> Value:
        # The identities of an empty fold, the least and the largest int8, come out right too.
        return scope.let(sc.gt(values[0], sc.const(0, "int8")))


class PositionStage(FoldStage):
    """The first position along the axis of the extreme (of a NaN, if there is one)."""

    def __init__(self, kernel: RowKernel, op: str, var: Var, atom: Atom, axis: int) -> None:
        dtype = atom.type.dtype_name
        value = register_dtype(dtype)
        value = "int32" if sc.bits_of(value) < 32 else value
        # As wide as the values if that is enough, so that both fill a vector.
        narrow = sc.bits_of(value) < 64 and most(kernel.domain[axis]) < 2**31
        super().__init__(kernel, PositionFold(op, value, "int32" if narrow else "int64"), var, atom)
        self.axis = axis

    def value(self, index: Index, scope: Scope) -> tuple[Any, ...]:
        (value,) = super().value(index, scope)
        dtype, count = self.fold.parts
        position = scope.let(sc.cast(index[self.axis].expr(), count), "at")
        return scope.let(sc.cast(value, dtype)), position

    def result(self, values: tuple[Any, ...], scope: Scope) -> Value:
        return scope.let(sc.cast(values[1], "int64"))


class StoreStage(Stage):
    """Store elements of the whole domain, or one element per row."""

    def __init__(self, kernel: RowKernel, store: Store, whole: bool) -> None:
        self.kernel = kernel
        self.store = store
        self.whole = whole

    def element(self, index: Index, scope: Scope) -> None:
        at = index if self.whole else self.kernel.row(index)
        value = self.kernel.frame.value(self.store.atom, at, scope)
        self.kernel.frame.store(self.store.slot, at, value, scope)


class RowKernel(Kernel):
    """For every row: its stages in order. Rows are independent of each other."""

    kind = "row"

    def __init__(self, frame: Frame, domain: Shape, axes: tuple[int, ...]) -> None:
        self.frame = frame
        self.domain = domain
        self.axes = axes
        self.kept = tuple(a for a in range(len(domain)) if a not in axes)
        self.stages: list[Stage] = []
        self.work = 1

    def row(self, index: Index) -> Index:
        return tuple(index[a] for a in self.kept)

    def hold(self, var: Var, index: Index, value: Value, scope: Scope) -> None:
        """Let later code of this row find the row's result in registers."""
        scope.known[var, "row"] = value
        self.frame.registers[var] = lambda at, reader: reader.find((var, "row"))

    def keep(self, stage: FoldStage) -> None:
        """Let later code of this row read what the stage has kept."""
        for var, slot in stage.keeps:

            def load(at: Index, reader: Scope, slot: Slot = slot) -> Value:
                return self.frame.load(slot, at, reader)

            self.frame.registers[var] = load

    def begin(self) -> None:
        """A row's code may be emitted several times: nothing is kept at its start."""
        for stage in self.stages:
            for var, _ in stage.keeps if isinstance(stage, FoldStage) else ():
                self.frame.registers.pop(var, None)

    def offsets(self, index: Index) -> list[Affine] | None:
        """As `MapKernel.offsets`, over all stages."""
        found: list[Affine] = []
        for atom in self._atoms():
            at = index if atom.type.ndim == len(self.domain) else self.row(index)
            if not _read_offsets(self.frame, atom, at, found):
                return None
        for stage in self.stages:
            if isinstance(stage, StoreStage) and stage.whole:
                found.append(flatten(index, stage.store.slot.strides))
            elif isinstance(stage, PositionStage):
                found.append(index[stage.axis])
        return found

    def _atoms(self) -> list[Atom]:
        return [s.store.atom if isinstance(s, StoreStage) else s.atom for s in self.stages]  # type: ignore[attr-defined]


POSITIONS = {"argmax": "maximum", "argmin": "minimum"}


def row_kernel(
    frame: Frame,
    domain: Shape,
    reductions: Sequence[Eqn],
    outputs: Sequence[Var],
    slots: dict[Var, Slot],
) -> RowKernel:
    """A row kernel's stages: each reduction after what it needs, then the stores."""
    axes = reductions[0].attrs["axes"]
    kernel = RowKernel(frame, domain, axes)
    for eqn in reductions:
        (x,), var = eqn.inputs, eqn.output
        dtype = x.type.dtype_name
        if eqn.op in POSITIONS:
            stage: Stage = PositionStage(kernel, POSITIONS[eqn.op], var, x, axes[0])
        elif dtype == "bool":
            stage = BoolStage(kernel, JOINS[eqn.op], var, x)
        else:
            stage = FoldStage(kernel, Fold(JOINS[eqn.op], dtype), var, x)
        kernel.stages.append(stage)
    for var in outputs:
        whole = var.type.shape == domain and bool(axes)
        kernel.stages.append(StoreStage(kernel, Store(slots[var], var), whole))
    kernel.work = element_cost(frame, kernel._atoms())
    return kernel


def element_cost(frame: Frame, atoms: Sequence[Atom]) -> int:
    """Cost units of the inlined equations behind these atoms, plus their memory traffic."""
    loads: set[Var] = set()
    return 1 + sum(weight(eqn) for eqn in _inlined(frame, atoms, loads)) + len(loads)


def _with_ordinary_form(frame: Frame, atoms: Sequence[Atom]) -> list[Eqn]:
    return [eqn for eqn in _inlined(frame, atoms) if has_ordinary_form(eqn)]


def _inlined(frame: Frame, atoms: Sequence[Atom], loads: set[Var] | None = None) -> list[Eqn]:
    """The equations that a kernel computes for these atoms; ``loads`` gains what it reads."""
    found, seen = [], set()
    pending: list[Atom] = list(atoms)
    while pending:
        var = pending.pop()
        if not isinstance(var, Var) or var in seen:
            continue
        seen.add(var)
        if var in frame.slots or var not in frame.definitions:
            if loads is not None:
                loads.add(var)
            continue
        eqn = frame.definitions[var]
        found.append(eqn)
        pending.extend(eqn.inputs)
    return found


def _read_offsets(frame: Frame, atom: Atom, index: Index, found: list[Affine]) -> bool:
    """Collect the offsets that an element reads; False where a place is computed."""
    for read in reads(frame.definitions, frame.slots, atom, index):
        if read.index is None:
            return False
        if read.var is None:
            found.append(read.index[0])  # a count along an axis
        elif read.var in frame.slots:
            found.append(flatten(read.index, frame.slots[read.var].strides))
    return True
