"""Sort kernels: rows in ascending order, or the stable positions that put them in order.

Elements are compared as unsigned integers, *keys*, whose order is NumPy's: the sign bit of a signed
integer is flipped, a negative float has all its bits flipped, and NaN is the largest key of all.
"""

from __future__ import annotations

from collections.abc import Mapping

from tvm import tirx

from jitops.graph.graph import Eqn, Var
from jitops.graph.types import ArrayType, strides_of
from jitops.lower import scalar as sc
from jitops.lower.elementwise import from_pattern, is_float, is_signed, pattern, register_dtype
from jitops.lower.frame import Frame, Scope, Slot
from jitops.lower.index import Affine, Index, flatten
from jitops.lower.kernels import Kernel, element_cost
from jitops.lower.scalar import Body, Expr

# Rows up to this length are sorted by counting, for each element, the ones before it.
COUNTED = 96
# Scratch of a row up to this many bytes is on the stack: a small row stays in the L1 cache.
ON_STACK = 1 << 15
POSITION_BITS = 32


class LineKernel(Kernel):
    """What orders the elements of each line of ``x`` by keys of as many bits."""

    kind = "sort"

    def __init__(
        self, frame: Frame, eqn: Eqn, slots: Mapping[Var, Slot], scratch: list[Slot]
    ) -> None:
        (x,) = eqn.inputs
        self.frame = frame
        self.atom = x
        self.domain = x.type.shape
        self.length = self.domain[-1]
        self.dtype = x.type.dtype_name
        self.slot = slots[eqn.output]
        self.scratch = scratch
        self.key_bits = sc.bits_of(self.dtype)


class SortKernel(LineKernel):
    """``out[..., :]`` is the sorted ``x[..., :]``, or the positions of its elements in order.

    ``key``: the dtype of a record to be sorted; for positions of keys of 32 bits or less the key
    stands above the position in one uint64. Longer keys have their positions in an array of their
    own (``beside``).
    """

    def __init__(
        self, frame: Frame, eqn: Eqn, slots: Mapping[Var, Slot], scratch: list[Slot]
    ) -> None:
        super().__init__(frame, eqn, slots, scratch)
        self.positions = eqn.op == "argsort"
        self.key, self.beside = record_of(eqn)
        self.low_bit = POSITION_BITS if self.positions and not self.beside else 0
        self.work = element_cost(frame, [self.atom]) + 50 * max(1, self.key_bits // 8)

    def scratch_start(self, row: Index) -> Affine:
        """Where the two halves of a row's scratch begin."""
        return flatten(row, strides_of(self.domain[:-1])) * (2 * self.length)

    def record(self, index: Index, scope: Scope) -> Expr:
        """The element's key, with its position below it where both fit."""
        value = self.frame.value(self.atom, index, scope)
        key = scope.let(ordered_bits(scope, value, self.dtype, same_zeros=self.positions))
        if not self.low_bit:
            return key
        high = sc.shl(sc.cast(key, self.key), sc.const(POSITION_BITS, self.key))
        return scope.let(sc.bit_or(high, sc.cast(index[-1].expr(), self.key)))

    def store(self, index: Index, record: Expr, beside: Expr | None, scope: Scope) -> None:
        """Store what a record in its final place stands for."""
        if not self.positions:
            value: Expr = scope.let(value_of_bits(scope, record, self.dtype))
        elif beside is not None:
            value = sc.cast(beside, "int64")
        else:
            mask = sc.const((1 << POSITION_BITS) - 1, self.key)
            value = sc.cast(scope.let(sc.bit_and(record, mask)), "int64")
        self.frame.store(self.slot, index, scope.let(value), scope)


def record_of(eqn: Eqn) -> tuple[str, str | None]:
    """The dtypes of a record and of a position that is kept beside it, or None."""
    x = eqn.inputs[0].type
    bits = sc.bits_of(x.dtype.name)
    if eqn.op != "argsort":
        return f"uint{bits}", None
    if bits <= 32 and x.shape[-1] < 1 << POSITION_BITS:
        return "uint64", None
    return f"uint{bits}", "int32" if x.shape[-1] < 1 << 31 else "int64"


def sort_scratch(eqn: Eqn) -> list[Var]:
    """What a sort needs in the workspace: two records, and two positions, for each element."""
    shape = eqn.inputs[0].type.shape
    kept = [dtype for dtype in record_of(eqn) if dtype is not None]
    size = sum(sc.bits_of(dtype) // 8 for dtype in kept)
    if shape[-1] <= COUNTED or 2 * size * shape[-1] <= ON_STACK:
        return []
    return [Var(ArrayType((*shape[:-1], 2, shape[-1]), dtype)) for dtype in kept]


def ordered_bits(body: Body, x: Expr, dtype: str, *, same_zeros: bool) -> Expr:
    """The unsigned integer that stands for a value: ordered as NumPy sorts, NaN last.

    ``same_zeros``: -0.0 is equal to 0.0, as a stable sort must have it.
    """
    bits = sc.bits_of(dtype)
    unsigned = f"uint{bits}"
    raw = body.let(sc.bitcast(body.let(pattern(body, dtype, x)), unsigned))
    if not is_float(dtype):
        return sc.bit_xor(raw, sc.const(1 << (bits - 1), unsigned)) if is_signed(dtype) else raw
    if same_zeros:
        zero = sc.eq(x, sc.const(0.0, register_dtype(dtype)))
        raw = body.let(sc.select(zero, sc.const(0, unsigned), raw))
    top, ones = sc.const(1 << (bits - 1), unsigned), sc.const((1 << bits) - 1, unsigned)
    flipped = sc.select(sc.ge(raw, top), sc.bit_xor(raw, ones), sc.bit_xor(raw, top))
    return sc.select(sc.is_nan(x), ones, body.let(flipped))


def value_of_bits(body: Body, key: Expr, dtype: str) -> Expr:
    """The value, in its register dtype, that `ordered_bits` made the key of."""
    bits = sc.bits_of(dtype)
    unsigned = f"uint{bits}"
    if dtype == "bool":
        return tirx.NE(key, sc.const(0, unsigned))
    top, ones = sc.const(1 << (bits - 1), unsigned), sc.const((1 << bits) - 1, unsigned)
    raw = key
    if is_float(dtype):
        raw = sc.select(sc.ge(key, top), sc.bit_xor(key, top), sc.bit_xor(key, ones))
    elif is_signed(dtype):
        raw = sc.bit_xor(key, top)
    return from_pattern(body.let(sc.bitcast(body.let(raw), f"int{bits}")), dtype)

