"""Contractions: ``out[b, m, n] = sum_k x[b, m, k] * y[b, k, n]`` with what follows each element.

The right operand comes as panels of ``width`` columns, ``panels[b, n // width, k, n % width]``,
padded with zeros: an inner step then reads one contiguous line of it. Packing is an ordinary kernel
of its own, made by `panel_form`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitops.graph.graph import Atom, Eqn, Literal, Var
from jitops.graph.sizes import typical
from jitops.graph.types import Shape, strides_of
from jitops.lower.frame import Frame, Scope
from jitops.lower.index import Affine, Index, flatten, unflatten
from jitops.lower.kernels import Kernel, Store, element_cost

# Accumulators of one register tile: rows, and vectors per row, by vector width in bits. What is
# left of the registers holds a line of the panel and the broadcast element.
TILES = {512: (8, 2), 256: (6, 2), 128: (6, 4)}

LEAST_ROWS, LEAST_COLUMNS, LEAST_DEPTH = 4, 16, 8


def panel_width(dtype: str, vector_bits: int) -> int:
    """Columns of a panel: the vectors of one row of the register tile."""
    lanes = vector_bits // (64 if dtype == "float64" else 32)
    return TILES[vector_bits][1] * lanes


def panel_form(eqn: Eqn, builder: Any, vector_bits: int) -> Atom | None:
    """Rewrite a float ``dot`` that is large enough for register tiles; None for the others."""
    x, y = eqn.inputs
    batch, rows, depth = x.type.shape
    columns = y.type.shape[2]
    dtype = x.type.dtype_name
    if dtype not in ("float32", "float64") or vector_bits not in TILES:
        return None
    if typical(rows) < LEAST_ROWS or columns < LEAST_COLUMNS or depth < LEAST_DEPTH:
        return None
    width = panel_width(dtype, vector_bits)
    panels = -(-columns // width)
    if columns % width:
        zero = Literal(0, dtype)
        y = builder.emit("pad", y, zero, low=(0, 0, 0), high=(0, 0, panels * width - columns))
    y = builder.emit("reshape", y, shape=(batch, depth, panels, width))
    y = builder.emit("transpose", y, perm=(0, 2, 1, 3))
    product: Atom = builder.emit("dot_panels", x, y, columns=columns)
    return product


class DotKernel(Kernel):
    """A contraction by register tiles, and the stores of what is computed from each element."""

    kind = "dot"

    def __init__(self, frame: Frame, eqn: Eqn, stores: Sequence[Store], vector_bits: int) -> None:
        x, panels = eqn.inputs
        self.vector_bits = vector_bits
        self.frame = frame
        self.left = x
        assert isinstance(panels, Var)
        self.panels_slot = frame.slots[panels]
        self.product = eqn.output
        self.stores = stores
        self.domain = (*eqn.output.type.shape, x.type.shape[2])
        self.width = panels.type.shape[3]
        self.dtype = x.type.dtype_name
        self.work = 0.5
        self.follow_cost = element_cost(frame, [s.atom for s in stores])

    def element(self, index: Index, product: Any, scope: Scope) -> None:
        """Store what follows from one element of the product, given in a register."""
        shape = self.product.type.shape
        offset = flatten(index, strides_of(shape))
        self.frame.registers[self.product] = lambda at, inner: product
        values, places = [], []
        for store in self.stores:
            place = _same_element(offset, index, shape, store.atom.type.shape, scope)
            places.append(place)
            values.append(self.frame.value(store.atom, place, scope))
        for store, place, value in zip(self.stores, places, values):
            self.frame.store(store.slot, place, value, scope)
        del self.frame.registers[self.product]


def _same_element(offset: Affine, index: Index, shape: Shape, other: Shape, scope: Scope) -> Index:
    """The index of the same element in an array of the same size but, possibly, other unit axes."""
    if shape == other:
        return index
    wide = [i for i, n in zip(index, shape) if n != 1]
    if [n for n in other if n != 1] == [n for n in shape if n != 1]:
        parts = iter(wide)
        return tuple(Affine({}) if n == 1 else next(parts) for n in other)
    return unflatten(offset, other, scope)
