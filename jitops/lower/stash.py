"""Keep costly elements that several passes over a row need, in memory that the row fills anyway.

Of a softmax, the sum and the quotient both need the exponentials: the pass that sums them writes
them where the quotients will be. Values unchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod

from jitops.graph.graph import Atom, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.sizes import is_open, most
from jitops.lower.complex_pairs import is_complex
from jitops.lower.cost import CHEAP
from jitops.lower.elementwise import register_dtype
from jitops.lower.kernels import FoldStage, RowKernel, StoreStage, element_cost

ROW_BYTES = 1 << 19  # what stays in the second-level cache until the row is read again

# Above this an element costs more than writing and reading it: a load, a store, their addresses.
COSTLY = CHEAP + 4


def stash(kernel: RowKernel) -> None:
    """Give each fold the variables it shall keep, and the slots to keep them in."""
    stages = [s for s in kernel.stages if isinstance(s, FoldStage) or _is_whole(s)]
    taken: set[Var] = set()
    for n, stage in enumerate(stages):
        if not isinstance(stage, FoldStage):
            continue
        mine = dict.fromkeys(_elements(kernel, stage.atom, ()))
        costly = {v for v in mine if element_cost(kernel.frame, [v]) > COSTLY} - taken
        users: dict[Var, StoreStage | None] = {}  # the last one, if its memory will do
        for later in stages[n + 1 :]:
            atom = later.atom if isinstance(later, FoldStage) else later.store.atom  # type: ignore[attr-defined]
            shared = [v for v in _elements(kernel, atom, costly) if v in costly]
            users.update(dict.fromkeys(shared, later if isinstance(later, StoreStage) else None))
        for var, user in users.items():
            if user is not None and _fits(kernel, var, user):
                stage.keeps.append((var, user.store.slot))
                taken.add(var)


def _is_whole(stage: object) -> bool:
    return isinstance(stage, StoreStage) and stage.whole


def _fits(kernel: RowKernel, var: Var, user: StoreStage) -> bool:
    """Whether the elements can lie where those that the stage stores will be."""
    dtype, slot = var.type.dtype.name, user.store.slot
    if dtype != slot.type.dtype.name or is_complex(dtype) or register_dtype(dtype) != dtype:
        return False
    if any(slot is other for fold in kernel.stages if isinstance(fold, FoldStage)
           for _, other in fold.keeps):  # fmt: skip
        return False
    row = prod(kernel.domain[axis] for axis in kernel.axes)
    return not is_open(row) and most(row) * var.type.dtype.itemsize <= ROW_BYTES


def _elements(kernel: RowKernel, atom: Atom, last: Collection[Var]) -> Iterator[Var]:
    """What an element is computed from at its own index, inlined; nothing behind ``last``."""
    frame = kernel.frame
    pending, seen = [atom], set()
    while pending:
        var = pending.pop()
        if not isinstance(var, Var) or var in seen or var.type.shape != kernel.domain:
            continue
        seen.add(var)
        if var in frame.slots or var not in frame.definitions:
            continue
        eqn = frame.definitions[var]
        if PRIMITIVES[eqn.op].kind == "map":
            yield var
            if var not in last:
                pending.extend(eqn.inputs)
