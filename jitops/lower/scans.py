"""Scan kernels: running sums and products along one axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jitops.graph.graph import Eqn, Var
from jitops.lower.folds import Fold
from jitops.lower.frame import Frame, Scope, Slot
from jitops.lower.index import Affine, Index
from jitops.lower.kernels import Kernel, element_cost

_FOLDS = {"cumsum": "add", "cumprod": "mul"}


class ScanKernel(Kernel):
    """``out[n] = fold(out[n - 1], x[n])`` along ``axis``, from the far end if reversed."""

    kind = "scan"

    def __init__(self, frame: Frame, eqn: Eqn, slots: Mapping[Var, Slot]) -> None:
        (x,) = eqn.inputs
        self.frame = frame
        self.domain = x.type.shape
        self.axis: int = eqn.attrs["axis"]
        self.reverse: bool = eqn.attrs["reverse"]
        self.fold = Fold(_FOLDS[eqn.op], x.type.dtype_name, running=True)
        self.atom = x
        self.slot = slots[eqn.output]
        self.work = 4 * element_cost(frame, [x])  # one addition waits for the other

    def along(self, step: Affine) -> Affine:
        """The position on the axis at a step of the scan."""
        return step * -1 + (self.domain[self.axis] - 1) if self.reverse else step

    def value(self, index: Index, scope: Scope) -> tuple[Any, ...]:
        value = self.frame.value(self.atom, index, scope)
        return tuple(value) if isinstance(value, tuple) else (value,)

    def store(self, index: Index, value: Any, scope: Scope) -> None:
        self.frame.store(self.slot, index, value, scope)

    def previous(self, index: Index, scope: Scope) -> tuple[Any, ...]:
        value = self.frame.load(self.slot, index, scope)
        return tuple(value) if isinstance(value, tuple) else (value,)
