"""Scatter kernels: write or accumulate elements at computed places, in order."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from jitops.graph.graph import Eqn, Var
from jitops.graph.types import strides_of
from jitops.lower.complex_pairs import is_complex, lower_complex
from jitops.lower.elementwise import lower_map
from jitops.lower.frame import Frame, Scope, Slot
from jitops.lower.index import Affine, Index, unflatten
from jitops.lower.kernels import Kernel, element_cost
from jitops.lower.sources import wrapped


class ScatterKernel(Kernel):
    """``out[outer, index[at], inner] = op(that, new[outer, at, inner])``, one ``at`` after another.

    The result holds the base already. ``outer`` and ``inner`` are independent of each other.
    """

    kind = "scatter"

    def __init__(self, frame: Frame, eqn: Eqn, slots: Mapping[Var, Slot]) -> None:
        base, self.index, self.new = eqn.inputs
        first, stop = eqn.attrs["axes"]
        self.frame = frame
        self.op: str = eqn.attrs["join"]
        self.slot = slots[eqn.output]
        self.outer = base.type.shape[:first]
        self.places = base.type.shape[first:stop]
        self.inner = base.type.shape[stop:]
        self.steps = self.index.type.shape
        self.domain = (*self.outer, *self.steps, *self.inner)
        self.work = 8 + 4 * element_cost(frame, [self.index, self.new])

    def place(self, at: Index, scope: Scope) -> Index:
        """The index along the addressed axes, kept inside them."""
        value = self.frame.value(self.index, at, scope)
        chosen = wrapped(value, prod(self.places), scope)
        strides = self.slot.strides[len(self.outer) :][: len(self.places)]
        if strides == tuple(n * strides[-1] for n in strides_of(self.places)):
            return (*(Affine({}),) * (len(self.places) - 1), chosen)
        return unflatten(chosen, self.places, scope)

    def element(self, outer: Index, at: Index, place: Index, inner: Index, scope: Scope) -> None:
        """Join one new element to the one in its place."""
        whole = (*outer, *at, *inner)
        new = self.frame.value(self.new, whole if self.new.type.shape else (), scope)
        to = (*outer, *place, *inner)
        if self.op != "set":
            dtype = self.slot.type.dtype_name
            old = self.frame.load(self.slot, to, scope)
            join = lower_complex if is_complex(dtype) else lower_map
            new = join(scope, self.op, dtype, dtype, [old, new], {})
        self.frame.store(self.slot, to, new, scope)
