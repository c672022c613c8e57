"""Kernels as the scheduler sees them: domains, accesses, code for one element, and no graph.

A kernel offers its iteration domain, the affine offsets it touches (from which the scheduler merges
axes and picks loop orders), and methods that emit the code of one element, one row or one reduction
step into a scope.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np

from jitops.graph.graph import Atom, Eqn, Var
from jitops.graph.ops import JOINS
from jitops.graph.sizes import Symbol, is_open, most
from jitops.graph.types import Shape
from jitops.lower import scalar as sc
from jitops.lower.complex_pairs import RULES as COMPLEX_RULES
from jitops.lower.complex_pairs import Pair, is_complex, part_dtype
from jitops.lower.cost import weight
from jitops.lower.elementwise import NARROW_FLOATS, is_float, lower_map, register_dtype
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

    def element(self, index: Index, scope: Scope) -> None:
        """All loads come before the first store, so that an array may be updated in place."""
        values = [
            self.frame.value(s.atom, index if s.atom.type.shape else (), scope) for s in self.stores
        ]
        for store, value in zip(self.stores, values):
            self.frame.store(store.slot, store.place(index), value, scope)


class Fold:
    """A reduction step: identity, combination, and the parts its accumulator consists of."""

    def __init__(
        self, op: str, dtype: str, running: bool = False, explicit_lanes: bool = False
    ) -> None:
        self.explicit_lanes = explicit_lanes
        self.op = op
        self.dtype = dtype
        self.running = running
        self.parts: tuple[str, ...] = (dtype,)
        if is_complex(dtype):
            self.parts = (part_dtype(dtype),) * 2

    def identity(self) -> tuple[Any, ...]:
        return tuple(sc.const(v, register_dtype(p)) for v, p in zip(self._identity(), self.parts))

    def _identity(self) -> tuple[float | int | bool, ...]:
        if self.op in ("add", "or", "xor"):
            # NumPy sums -0.0 to 0.0; its running sums start with the element itself.
            zero = -0.0 if self.running else 0.0
            return tuple(zero if is_float(p) else 0 for p in self.parts)
        if self.op == "and":
            return (int(np.array(-1).astype(self.dtype)),)
        if self.op == "mul":
            return (1, 0)[: len(self.parts)]
        low, high = _limits(self.dtype)
        return (low,) if self.op == "maximum" else (high,)

    def combine(self, scope: Scope, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(self.parts) == 2:
            return tuple(map(scope.let, COMPLEX_RULES[self.op](scope, Pair(*a), Pair(*b))))
        return (lower_map(scope, self.op, self.dtype, self.dtype, [a[0], b[0]], {}),)

    @property
    def vectorises_itself(self) -> bool:
        """Whether LLVM may reorder the fold, and so finds the lanes of a plain loop by itself.

        Given lanes, it would unroll them and gather every lane's elements across the steps.
        """
        if self.explicit_lanes or self.dtype == "bool" or self.dtype in NARROW_FLOATS:
            return False
        return self.op in ("maximum", "minimum") or not is_float(self.parts[0])

    @property
    def sums_floats(self) -> bool:
        """Whether the order of additions matters for accuracy."""
        return self.op == "add" and is_float(self.parts[0])


def _limits(dtype: str) -> tuple[float | int, float | int]:
    if dtype == "bool":
        return False, True
    if is_float(dtype):
        return float("-inf"), float("inf")
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


class Stage:
    """One pass over a row: fold ``value`` into a register, or store elements."""


class FoldStage(Stage):
    """Fold the elements of ``atom`` along the reduced axes; ``var`` is the row's result."""

    def __init__(self, kernel: RowKernel, fold: Fold, var: Var, atom: Atom) -> None:
        self.kernel = kernel
        self.fold = fold
        self.var = var
        self.atom = atom

    def value(self, index: Index, scope: Scope) -> tuple[Any, ...]:
        value = self.kernel.frame.value(self.atom, index, scope)
        return tuple(value) if isinstance(value, Pair) else (value,)

    def result(self, values: tuple[Any, ...], scope: Scope) -> Value:
        """The row's result, from the parts of the folded accumulator."""
        return values[0] if len(values) == 1 else Pair(*values)


class BoolStage(FoldStage):
    """A fold of bools, as 0 and 1 in an int32: minimum is "and", maximum is "or"."""

    _AS: ClassVar = {"or": "maximum", "and": "minimum", "maximum": "maximum", "minimum": "minimum"}

    def __init__(self, kernel: RowKernel, op: str, var: Var, atom: Atom) -> None:
        super().__init__(kernel, Fold(self._AS[op], "int32"), var, atom)

    def value(self, index: Index, scope: Scope) -> tuple[Any, ...]:
        (value,) = super().value(index, scope)
        return (scope.let(sc.cast(value, "int32")),)

    def result(self, values: tuple[Any, ...], scope: Scope) -> Value:
        # The identities of an empty fold, the least and the largest int32, come out right too.
        return scope.let(sc.gt(values[0], sc.const(0, "int32")))


class FirstStage(FoldStage):
    """The first position along the axis of the extreme (of a NaN, if the extreme is one)."""

    def __init__(self, kernel: RowKernel, extreme: Var, var: Var, atom: Atom, axis: int) -> None:
        # Positions in 32 bits, where they fit, are compared twice as many at a time.
        self.counts = "int32" if most(kernel.domain[axis]) < 2**31 else "int64"
        super().__init__(kernel, Fold("minimum", self.counts, explicit_lanes=True), var, atom)
        self.extreme = extreme
        self.axis = axis

    def value(self, index: Index, scope: Scope) -> tuple[Any, ...]:
        frame = self.kernel.frame
        dtype = self.atom.type.dtype.name
        x = frame.value(self.atom, index, scope)
        best = frame.value(self.extreme, self.kernel.row(index), scope)
        match = lower_map(scope, "eq", dtype, "bool", [x, best], {})
        if is_float(dtype):
            match = sc.either(match, sc.both(sc.is_nan(best), sc.is_nan(x)))
        none = sc.const(np.iinfo(self.counts).max, self.counts)
        position = scope.let(sc.cast(index[self.axis].expr(), self.counts), "at")
        return (scope.let(sc.select(match, position, none)),)

    def result(self, values: tuple[Any, ...], scope: Scope) -> Value:
        return scope.let(sc.cast(values[0], "int64"))


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
            elif isinstance(stage, FirstStage):
                found.append(index[stage.axis])
        return found

    def _atoms(self) -> list[Atom]:
        return [s.store.atom if isinstance(s, StoreStage) else s.atom for s in self.stages]  # type: ignore[attr-defined]


_FOLDS = {**JOINS, "argmax": "maximum", "argmin": "minimum"}


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
        (x,) = eqn.inputs
        finds = eqn.op in ("argmax", "argmin")
        var = Var(eqn.output.type.with_dtype(x.type.dtype)) if finds else eqn.output
        dtype = x.type.dtype.name
        if dtype == "bool":
            kernel.stages.append(BoolStage(kernel, _FOLDS[eqn.op], var, x))
        else:
            fold = Fold(_FOLDS[eqn.op], dtype)
            kernel.stages.append(FoldStage(kernel, fold, var, x))
        if finds:
            kernel.stages.append(FirstStage(kernel, var, eqn.output, x, axes[0]))
    for var in outputs:
        whole = var.type.shape == domain and bool(axes)
        kernel.stages.append(StoreStage(kernel, Store(slots[var], var), whole))
    kernel.work = element_cost(frame, kernel._atoms())
    return kernel


def element_cost(frame: Frame, atoms: Sequence[Atom]) -> int:
    """Cost units of the inlined equations behind these atoms, plus their memory traffic."""
    total, seen = 1, set()
    pending: list[Atom] = list(atoms)
    while pending:
        var = pending.pop()
        if not isinstance(var, Var) or var in seen:
            continue
        seen.add(var)
        if var in frame.slots or var not in frame.definitions:
            total += 1
            continue
        eqn = frame.definitions[var]
        total += weight(eqn)
        pending.extend(eqn.inputs)
    return total


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
