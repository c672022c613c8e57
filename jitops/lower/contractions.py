"""Contractions: ``out[b, m, n] = sum_k x[b, m, k] * y[b, k, n]`` with what follows each element.

Four forms, chosen by the shapes and by how the right operand lies in memory:

  panels  the right operand comes as panels of ``width`` columns, ``panels[b, n // width, k, n %
          width]``, padded with zeros: an inner step then reads one contiguous line of it. Packing
          is an ordinary kernel of its own, and pays where many rows read the panels.
  lines   the right operand consists of parts that overlap in memory, such as the windows of a
          convolution: register tiles read their lines where they lie
  outer   few rows, and lines along n in memory: the right operand is read once, where it lies
  inner   few rows or columns, and lines along k in memory of both operands
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from jitops.graph.graph import Atom, Eqn, Literal, Var
from jitops.graph.ops import PRIMITIVES
from jitops.graph.sizes import is_open, typical
from jitops.graph.types import Shape, strides_of
from jitops.lower.frame import Frame, Scope, Slot
from jitops.lower.index import (
    Affine,
    Index,
    domain_index,
    flatten,
    loop_variable,
    unflatten,
)
from jitops.lower.kernels import Kernel, Store, element_cost
from jitops.lower.scalar import Body
from jitops.lower.sources import sources

# Accumulators of one register tile: rows, and vectors per row, by vector width in bits. What is
# left of the registers holds a line of the panel and the broadcast element.
TILES = {512: (8, 2), 256: (6, 2), 128: (6, 4)}

LEAST_ROWS, LEAST_COLUMNS, LEAST_DEPTH = 4, 16, 8
LEAST_LANES = 4  # of a vector that is worth it
MOST_PARTS = 16  # of a right operand, each of which gets code of its own
LEAST_SIZE = 1 << 12  # elements of both operands, where there are fewer rows or columns
OUTER_SIZES = (0, 1 << 19, 1 << 16, 1 << 16)  # of the right operand, by the number of rows

# Up to here the right operand is read where it lies: along n, and along k (packing would turn it).
FEW_ROWS, FEW_ROWS_TURNED = 32, 64
FEW_COLUMNS = 8
PIECES = 8  # of the shared axis, where it is what the cores share
WIDE = 512  # columns that are enough for all cores
NARROW, LARGE = 1 << 17, 1 << 19  # elements of the right operand, below and above that
LEAST_VECTORS = 8  # along k, of the inner form: its sums across lanes must not outweigh it

Layouts = Mapping[Var, "Shape | None"]  # element strides of the parameters; None: C order


def panel_width(dtype: str, vector_bits: int, columns: int) -> int:
    """Columns of a panel: the vectors of one row of the register tile, or one that is shorter."""
    narrow: int = 1 << (columns - 1).bit_length()
    return min(TILES[vector_bits][1] * lanes_of(dtype, vector_bits), max(narrow, LEAST_LANES))


def lanes_of(dtype: str, vector_bits: int) -> int:
    return vector_bits // (64 if dtype == "float64" else 32)


def contraction(eqn: Eqn, builder: Any, vector_bits: int, layouts: Layouts) -> Atom | None:
    """The form of a float ``dot``; None for those that are expanded into products and sums."""
    if eqn.output.type.dtype_name not in ("float32", "float64") or vector_bits not in TILES:
        return None
    if _left_expanded(eqn, builder):
        return None
    for form in (_lines_form, _outer_form, _inner_form):
        product = form(eqn, builder, vector_bits, layouts)
        if product is not None:
            return product
    return _panel_form(eqn, builder, vector_bits)


def _left_expanded(eqn: Eqn, builder: Any) -> bool:
    """Small products of few rows or columns, and those of parts of arrays.

    Written out in a Python loop, these are many: as reductions they share code, and join others.
    """
    x, y = eqn.inputs
    if typical(x.type.shape[1]) >= LEAST_ROWS and y.type.shape[2] >= LEAST_COLUMNS:
        return False
    return typical(x.type.size + y.type.size) < LEAST_SIZE or any(
        _is_part(operand, builder) for operand in eqn.inputs
    )


def _is_part(atom: Atom, builder: Any) -> bool:
    eqn = builder.definition(atom)
    while eqn is not None and eqn.op in MOVES:
        if eqn.op == "slice":
            return True
        eqn = builder.definition(eqn.inputs[0])
    return False


def _lines_form(eqn: Eqn, builder: Any, vector_bits: int, layouts: Layouts) -> Atom | None:
    x, y = eqn.inputs
    (batch, rows, _), columns = x.type.shape, y.type.shape[2]
    whole = builder.definition(y)
    while whole is not None and whole.op == "reshape":
        whole = builder.definition(whole.inputs[0])
    if whole is None or whole.op != "concatenate" or is_open(x.type.size * columns):
        return None
    shape, axis = whole.output.type.shape, whole.attrs["axis"]
    along_depth = shape[-1] == columns and axis < len(shape) - 1 and prod(shape[:axis]) == batch
    wide = panel_width(x.type.dtype_name, vector_bits, columns) <= columns
    if not along_depth or not wide or rows < LEAST_ROWS or len(whole.inputs) > MOST_PARTS:
        return None
    parts = [
        builder.emit("reshape", v, shape=(batch, prod(v.type.shape[axis:-1]), columns))
        for v in whole.inputs
    ]
    if not all(_has_lines(part, builder, layouts) for part in parts):
        return None
    if not _has_lines(x, builder, layouts):
        x = builder.emit("cast", x, dtype=x.type.dtype_name)
    return builder.emit("dot_lines", x, *parts)  # type: ignore[no-any-return]


def _outer_form(eqn: Eqn, builder: Any, vector_bits: int, layouts: Layouts) -> Atom | None:
    x, y = eqn.inputs
    _, rows, depth = x.type.shape
    if is_open(rows) or rows > FEW_ROWS or depth < LEAST_DEPTH:
        return None
    columns = y.type.shape[2]
    if rows < LEAST_ROWS and (columns < LEAST_COLUMNS or depth * columns < OUTER_SIZES[rows]):
        return None  # few sums, whose additions would wait for each other
    if columns < LEAST_LANES or not _has_lines(y, builder, layouts):
        return None
    pieces = _pieces(rows, depth, columns)
    if pieces == 1:
        return builder.emit("dot_outer", x, y)  # type: ignore[no-any-return]
    return _in_pieces(x, y, builder, pieces)


def _pieces(rows: int, depth: int, columns: int) -> int:
    """Into how many pieces the shared axis is cut.

    The cores share long lines of the right operand worse than they share its lines.
    """
    worth = NARROW if columns < WIDE else LARGE
    long = depth >= PIECES * max(64, 8 * rows)  # or the results of the pieces would be many
    return PIECES if long and depth * columns >= worth else 1


def _in_pieces(x: Atom, y: Atom, builder: Any, pieces: int) -> Atom:
    """The products of pieces of the shared axis, as a batch, added up."""
    batch, rows, depth = x.type.shape
    columns = y.type.shape[2]
    size = depth // pieces
    whole = size * pieces

    def cut(v: Atom, axis: int, start: int, extent: int) -> Any:
        if extent == depth:
            return v
        starts = tuple(start if a == axis else 0 for a in range(3))
        sizes = tuple(extent if a == axis else n for a, n in enumerate(v.type.shape))
        return builder.emit("slice", v, start=starts, step=(1, 1, 1), size=sizes)

    left = builder.emit("reshape", cut(x, 2, 0, whole), shape=(batch, rows, pieces, size))
    left = builder.emit("transpose", left, perm=(0, 2, 1, 3))
    left = builder.emit("reshape", left, shape=(batch * pieces, rows, size))
    right = builder.emit(
        "reshape", cut(y, 1, 0, whole), shape=(batch * pieces, size, columns)
    )
    product = builder.emit("dot_outer", left, right)
    product = builder.emit("reshape", product, shape=(batch, pieces, rows, columns))
    total = builder.emit("reduce_sum", product, axes=(1,))
    if whole == depth:
        return total  # type: ignore[no-any-return]
    ends = cut(x, 2, whole, depth - whole), cut(y, 1, whole, depth - whole)
    rest = builder.emit("dot_outer", *ends)
    return builder.emit("add", total, rest)  # type: ignore[no-any-return]


def _inner_form(eqn: Eqn, builder: Any, vector_bits: int, layouts: Layouts) -> Atom | None:
    """Also where the smaller operand has no lines: it is copied."""
    x, y = eqn.inputs
    _, rows, depth = x.type.shape
    columns = y.type.shape[2]
    lanes = lanes_of(x.type.dtype_name, vector_bits)
    if any(map(is_open, (rows, columns, depth))) or depth < LEAST_VECTORS * lanes:
        return None
    few_rows, few_columns = rows <= FEW_ROWS_TURNED, columns <= FEW_COLUMNS
    if rows == columns == 1 or not (few_rows or few_columns):
        return None
    turned = builder.emit("transpose", y, perm=(0, 2, 1))
    lined = [_has_lines(x, builder, layouts), _has_lines(turned, builder, layouts)]
    if not lined[0 if few_columns and columns < rows else 1]:
        return None
    operands = [
        v if has else builder.emit("cast", v, dtype=v.type.dtype_name)
        for v, has in zip((x, turned), lined)
    ]
    product: Atom = builder.emit("dot_inner", *operands)
    return product


def _panel_form(eqn: Eqn, builder: Any, vector_bits: int) -> Atom | None:
    """For products that are large enough for register tiles."""
    x, y = eqn.inputs
    batch, rows, depth = x.type.shape
    columns = y.type.shape[2]
    dtype = x.type.dtype_name
    if typical(rows) < LEAST_ROWS or columns < LEAST_LANES or depth < LEAST_DEPTH:
        return None
    width = panel_width(dtype, vector_bits, columns)
    panels = -(-columns // width)
    if columns % width:
        zero = Literal(0, dtype)
        y = builder.emit("pad", y, zero, low=(0, 0, 0), high=(0, 0, panels * width - columns))
    y = builder.emit("reshape", y, shape=(batch, depth, panels, width))
    y = builder.emit("transpose", y, perm=(0, 2, 1, 3))
    product: Atom = builder.emit("dot_panels", x, y, columns=columns)
    return product


MOVES = ("broadcast", "reshape", "transpose", "slice")
PLAIN = ("dot", "reduce", "scan", "sort")  # kinds whose results lie in C order, and others
FILLED = ("pad", "concatenate")


def _has_lines(atom: Atom, builder: Any, layouts: Layouts) -> bool:
    """Whether the array lies in memory, and its last axis in lines."""
    body = Body()
    own = domain_index(atom.type.shape)
    index = own
    eqn = builder.definition(atom)
    while eqn is not None and eqn.op in MOVES:
        ((atom, index),) = sources(eqn, index, body)
        eqn = builder.definition(atom)
    if not isinstance(atom, Var):
        return False
    if eqn is None:
        if atom not in layouts:
            return False
        strides = layouts[atom]
    elif PRIMITIVES[eqn.op].kind in PLAIN or eqn.op in FILLED:
        strides = None
    else:
        return False
    offset = flatten(index, strides_of(atom.type.shape) if strides is None else strides)
    known = {term for component in own for term in component.terms}
    last = own[-1].terms
    return known.issuperset(offset.terms) and all(offset.terms.get(v) == 1 for v in last)


class DotKernel(Kernel):
    """A contraction, and the stores of what is computed from each element."""

    kind = "dot"

    def __init__(self, frame: Frame, eqn: Eqn, stores: Sequence[Store], vector_bits: int) -> None:
        self.vector_bits = vector_bits
        self.frame = frame
        self.left, self.right, *_ = eqn.inputs
        self.product = eqn.output
        self.stores = stores
        self.domain = (*eqn.output.type.shape, self.left.type.shape[2])
        self.dtype = self.left.type.dtype_name
        self.lanes = lanes_of(self.dtype, vector_bits)
        self.work = 0.5
        self.follow_cost = element_cost(frame, [s.atom for s in stores])

    def element(self, index: Index, product: Any, scope: Scope) -> None:
        """Store what follows from one element of the product, given in a register."""
        self.frame.registers[self.product] = lambda at, inner: product
        places = [self.place(store, index, scope) for store in self.stores]
        values = [self.frame.value(s.atom, at, scope) for s, at in zip(self.stores, places)]
        for store, place, value in zip(self.stores, places, values):
            self.frame.store(store.slot, place, value, scope)
        del self.frame.registers[self.product]

    def place(self, store: Store, index: Index, scope: Body) -> Index:
        """Where the element that follows the product's at ``index`` is stored."""
        shape, other = self.product.type.shape, store.atom.type.shape
        return _same_element(flatten(index, strides_of(shape)), index, shape, other, scope)

    def line(self, operand: Atom, index: Index, lanes: int, scope: Scope) -> Any:
        """Elements of an operand in memory: ``lanes`` of them along its last axis, as a vector."""
        lane = loop_variable("lane", lanes)
        at = (*index[:-1], index[-1] + Affine.of(lane))
        return self.frame.vector(operand, at, lane, scope)


class PanelKernel(DotKernel):
    """With the right operand in panels."""

    def __init__(self, frame: Frame, eqn: Eqn, stores: Sequence[Store], vector_bits: int) -> None:
        super().__init__(frame, eqn, stores, vector_bits)
        assert isinstance(self.right, Var)
        self.panels_slot: Slot = frame.slots[self.right]
        self.width = self.right.type.shape[3]


class LinesKernel(DotKernel):
    """With lines along n, in parts of the right operand."""

    def __init__(self, frame: Frame, eqn: Eqn, stores: Sequence[Store], vector_bits: int) -> None:
        super().__init__(frame, eqn, stores, vector_bits)
        self.parts = eqn.inputs[1:]
        self.width = panel_width(self.dtype, vector_bits, self.domain[2])


class OuterKernel(DotKernel):
    """With lines of the right operand, ``y[b, k, n]``, along n."""


class InnerKernel(DotKernel):
    """With lines of both operands along k: the right one is ``y[b, n, k]``."""


DOT_KERNELS: dict[str, type[DotKernel]] = {
    "dot_panels": PanelKernel,
    "dot_lines": LinesKernel,
    "dot_outer": OuterKernel,
    "dot_inner": InnerKernel,
}


def _same_element(offset: Affine, index: Index, shape: Shape, other: Shape, scope: Body) -> Index:
    """The index of the same element in an array of the same size but, possibly, other unit axes."""
    if shape == other:
        return index
    wide = [i for i, n in zip(index, shape) if n != 1]
    if [n for n in other if n != 1] == [n for n in shape if n != 1]:
        parts = iter(wide)
        return tuple(Affine({}) if n == 1 else next(parts) for n in other)
    return unflatten(offset, other, scope)
