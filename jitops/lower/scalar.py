"""Scalar expressions in SSA form: every value is bound once, nothing is folded.

TVM's folding operators rewrite ``x - x`` to 0 and ``x * 0`` to 0, which loses NaN and infinities,
and a shared sub-expression would be emitted once per use. So floating-point expressions are built
from TIR's raw node constructors, and each one is bound to a variable by the `Body` that collects a
loop's straight-line code.
"""

from __future__ import annotations

import functools
import operator
import struct
from collections.abc import Callable
from typing import Any

import tvm
from tvm import tirx
from tvm.ir import PrimType
from tvm.target.codegen import llvm_lookup_intrinsic_id
from tvm.tirx import stmt as st

Expr = Any  # tvm.ir.Expr; TVM ships no types

_INT_OF_WIDTH = {16: "int16", 32: "int32", 64: "int64"}


def dtype_of(x: Expr) -> str:
    """The scalar dtype of an expression, such as ``"float32"``."""
    return str(x.ty.dtype)


def bits_of(dtype: str) -> int:
    """Width of a dtype name in bits; bool counts as 8, its width in memory."""
    return 8 if dtype == "bool" else int("".join(c for c in dtype if c.isdigit()))


def const(value: float | int | bool, dtype: str) -> Expr:
    """A literal of exactly this dtype; float literals keep signed zeros, infinities and NaN."""
    if dtype == "bool":
        return tirx.IntImm("bool", int(value))
    if dtype.startswith(("float", "bfloat")):
        value = float(value)
        if value != value or value in (float("inf"), float("-inf")):
            return _patterned(value, dtype)
        return tirx.FloatImm(dtype, value)
    if dtype == "uint64" and value >= 2**63:
        return tirx.reinterpret("uint64", tirx.IntImm("int64", int(value) - 2**64))
    return tirx.IntImm(dtype, int(value))


def _patterned(value: float, dtype: str) -> Expr:
    """A float as its bit pattern: printed literals do not carry infinities and NaN."""
    bits32 = struct.unpack("<I", struct.pack("<f", value))[0]
    if dtype == "float64":
        bits64 = struct.unpack("<q", struct.pack("<d", value))[0]
        return tirx.reinterpret("float64", tirx.IntImm("int64", bits64))
    if dtype == "float32":
        signed = bits32 - 2**32 if bits32 >= 2**31 else bits32
        return tirx.reinterpret("float32", tirx.IntImm("int32", signed))
    return tirx.Cast(dtype, _patterned(value, "float32"))


_ANALYSED = 24  # larger definitions are hidden from TVM's analyser; measured best for compile time


class Body:
    """Straight-line code of one loop iteration: an ordered list of statements.

    TVM's code generator simplifies each bound value with all earlier ones substituted into it, as a
    tree: exponential in the length of a chain such as ``v = v * v``. So a value whose tree has
    grown large goes through a one-element local buffer, which the analyser does not look into and
    LLVM turns back into a register.
    """

    __slots__ = ("stmts", "known", "_count", "_sizes")

    def __init__(self) -> None:
        self.stmts: list[Any] = []
        self.known: dict[tuple[Any, ...], Any] = {}
        self._count = 0
        self._sizes: dict[Any, int] = {}

    def find(self, key: tuple[Any, ...]) -> Any | None:
        """What an earlier statement has computed under this key."""
        return self.known.get(key)

    def once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """The value known under ``key``, made at first use."""
        found = self.find(key)
        if found is None:
            found = self.known[key] = make()
        return found

    def invariant(self, key: tuple[Any, ...], make: Callable[[Body], Any]) -> Any:
        """As `once`, computed where it is the same for every iteration of the loops around."""
        return self.once(key, lambda: make(self))

    def let(self, value: Expr, name: str = "v") -> Expr:
        """Bind ``value`` to a fresh variable and return that; leaves are returned as they are."""
        if type(value) in _LEAVES:
            return value
        self._count += 1
        if dtype_of(value) in _OTHER_SIGN and not name.startswith("at"):
            value = _unseen(value)
        size = self._size(value)
        if size > _ANALYSED:
            value, size = self._hidden(value), 1
        var = tirx.Var(f"{name}{self._count}", value.ty)
        self._sizes[var] = size
        self.stmts.append(st.Bind(var, value))
        return var

    def _size(self, value: Expr) -> int:
        """Nodes of the tree that the analyser sees."""
        kind = type(value)
        if kind is tirx.Var:
            return self._sizes.get(value, 1)
        if kind is tvm.ir.Call:
            return 1 + sum(map(self._size, value.args))
        return 1 + sum([self._size(getattr(value, part)) for part in _PARTS.get(kind, ())])

    def _hidden(self, value: Expr) -> Expr:
        place = buffer(1, dtype_of(value), f"h{self._count}", scope="local")
        zero = tirx.IntImm("int64", 0)
        self.stmts += [st.AllocBuffer(place), st.BufferStore(place, value, [zero])]
        return tirx.BufferLoad(place, [zero])

    def emit(self, stmt: Any) -> None:
        """Append a statement, such as a store."""
        self.stmts.append(stmt)

    def block(self) -> Any:
        """The collected statements as one."""
        return self.stmts[0] if len(self.stmts) == 1 else st.SeqStmt(self.stmts)


_LEAVES = frozenset((tirx.Var, tirx.FloatImm, tirx.IntImm))

_BINARY = (
    "Add", "Sub", "Mul", "Div", "Mod", "FloorDiv", "FloorMod", "Min", "Max", "EQ", "NE", "LT",
    "LE", "GT", "GE", "And", "Or", "LShift", "RShift", "BitwiseAnd", "BitwiseOr",
    "BitwiseXor",
)  # fmt: skip

# The operands of each node; those of a call are its arguments. (isinstance on these costs 1.5 us.)
_PARTS: dict[Any, tuple[str, ...]] = {
    **{getattr(tirx, name): ("a", "b") for name in _BINARY},
    tirx.Not: ("a",),
    tirx.BitwiseNot: ("a",),
    tirx.Cast: ("value",),
    tirx.Select: ("condition", "true_value", "false_value"),
}

_INTEGERS = [f"int{n}" for n in (8, 16, 32, 64)]
_OTHER_SIGN = {
    **{name: f"u{name}" for name in _INTEGERS},
    **{f"u{name}": name for name in _INTEGERS},
}


def _unseen(value: Expr) -> Expr:
    """The same integer, of unknown range to TVM's analyser; no instruction to LLVM.

    The analyser follows the ranges of bound integers, and fails where wrap-around takes one out of
    the dtype.
    """
    dtype = dtype_of(value)
    return tirx.reinterpret(dtype, tirx.reinterpret(_OTHER_SIGN[dtype], value))


def add(a: Expr, b: Expr) -> Expr:
    return tirx.Add(a, b)


def sub(a: Expr, b: Expr) -> Expr:
    return tirx.Sub(a, b)


def mul(a: Expr, b: Expr) -> Expr:
    return tirx.Mul(a, b)


def div(a: Expr, b: Expr) -> Expr:
    """True division of floats; truncating division of integers (guard the divisor first)."""
    if isinstance(b, tirx.FloatImm) and not b.value:
        b = copysign(intrinsic("llvm.fabs", b), b)  # TVM refuses a literal zero
    elif dtype_of(b).startswith("float") and not isinstance(b, tirx.FloatImm):
        b = bitcast(bits(b), dtype_of(b))  # and what its analyser takes for one, such as x - x
    return tirx.Div(a, b)


def wrapping(node: Any, a: Expr, b: Expr) -> Expr:
    """``node`` (tirx.Add, Sub or Mul) on integers, modulo 2^bits.

    TVM marks 32- and 64-bit integer arithmetic as never overflowing, which lets LLVM assume ``a + 1
    > a``. In twice the width nothing overflows, and LLVM narrows the truncated result back to one
    plain instruction.
    """
    dtype = dtype_of(a)
    wide = f"int{2 * bits_of(dtype)}"
    return tirx.Cast(dtype, node(tirx.Cast(wide, a), tirx.Cast(wide, b)))


def from_end(index: Expr, extent: Expr) -> Expr:
    """An int64 index into an axis, counted from its end when negative.

    Of ``index`` and ``index + extent``, the lesser one as unsigned numbers: for any index that is
    in bounds. With a comparison and a select instead, LLVM 22 puts the lanes of a mask together in
    a mask register of AVX-512 that it never loads.
    """
    return intrinsic("llvm.umin", index, wrapping(tirx.Add, index, extent))


def neg(a: Expr) -> Expr:
    """IEEE negation: flips the sign of zeros and NaN too; wraps for integers."""
    dtype = dtype_of(a)
    if not dtype.startswith(("float", "bfloat")):
        return wrapping(tirx.Sub, const(0, dtype), a)
    return tirx.Mul(a, const(-1.0, dtype))


def fma(a: Expr, b: Expr, c: Expr) -> Expr:
    """``a * b + c`` rounded once."""
    return intrinsic("llvm.fma", a, b, c)


def product(body: Body, a: Expr, b: Expr) -> Expr:
    """``a * b`` rounded, whatever is added to it later.

    The code generator fuses every ``a * b + c`` into one rounding, with which ``x * x - y * y`` is
    not 0 for x == y. ``fma(a, b, -0.0)`` is the rounded product and costs the same, as long as the
    -0.0 cannot be seen through.
    """
    return fma(a, b, _minus_zero(body, dtype_of(a)))


def settled(body: Body, a: Expr) -> Expr:
    """``a``, in a form that no later addition is fused with."""
    return add(a, _minus_zero(body, dtype_of(a)))


def _minus_zero(body: Body, dtype: str) -> Expr:
    """-0.0, which changes no sum; LLVM does not know its value."""

    def make(outer: Body) -> Expr:
        return outer.let(intrinsic("llvm.arithmetic.fence", const(-0.0, dtype)), "zero")

    return body.invariant(("minus zero", dtype), make)


def intrinsic(name: str, *args: Expr, dtype: str | None = None) -> Expr:
    """An overloaded LLVM intrinsic without side effects, such as ``llvm.floor``."""
    result = PrimType(dtype) if dtype else args[0].ty
    return tvm.ir.Call(_PURE, [_intrinsic_number(name), *args], ret_ty=result)


_PURE = tvm.ir.Op.get("tirx.call_llvm_pure_intrin")


@functools.cache
def _intrinsic_number(name: str) -> Expr:
    """LLVM's number for an intrinsic, which TVM's own constructor looks up each time (20 us)."""
    number = llvm_lookup_intrinsic_id(name)
    if not number:
        raise KeyError(f"LLVM has no intrinsic {name}")
    return tirx.IntImm("uint32", number)


def buffer(extent: int, dtype: str, name: str, **more: Any) -> Any:
    """A flat buffer; ``more`` as `tvm.tirx.decl_buffer` takes it (data, scope, data_alignment)."""
    return tirx.decl_buffer((extent,), dtype, name, layout=None, **more)


def _unary(name: str) -> Callable[[Expr], Expr]:
    def build(a: Expr) -> Expr:
        return intrinsic(name, a)

    build.__name__ = name.rpartition(".")[2]
    build.__doc__ = f"LLVM's ``{name}``."
    return build


fabs = _unary("llvm.fabs")
floor = _unary("llvm.floor")
ceil = _unary("llvm.ceil")
trunc = _unary("llvm.trunc")
rint = _unary("llvm.rint")  # to nearest, ties to even
sqrt = _unary("llvm.sqrt")


def copysign(magnitude: Expr, sign: Expr) -> Expr:
    return intrinsic("llvm.copysign", magnitude, sign)


def select(cond: Expr, a: Expr, b: Expr) -> Expr:
    """``a`` where ``cond``, else ``b``; both are computed."""
    return tirx.Select(cond, a, b)


def _compared(node: Any, holds: Callable[[int, int], bool], a: Expr, b: Expr) -> Expr:
    """A comparison; of two integer literals, its outcome.

    TVM would subtract them, and stops at a negative difference of unsigned ones.
    """
    if isinstance(a, tirx.IntImm) and isinstance(b, tirx.IntImm):
        return const(holds(int(a.value), int(b.value)), "bool")
    return node(a, b)


def eq(a: Expr, b: Expr) -> Expr:
    return _compared(tirx.EQ, operator.eq, a, b)


def ne(a: Expr, b: Expr) -> Expr:
    """True for NaN operands, as IEEE asks (TVM lowers its float NE to an *ordered* comparison)."""
    return tirx.Not(eq(a, b))


def lt(a: Expr, b: Expr) -> Expr:
    return _compared(tirx.LT, operator.lt, a, b)


def le(a: Expr, b: Expr) -> Expr:
    return _compared(tirx.LE, operator.le, a, b)


def gt(a: Expr, b: Expr) -> Expr:
    return _compared(tirx.GT, operator.gt, a, b)


def ge(a: Expr, b: Expr) -> Expr:
    return _compared(tirx.GE, operator.ge, a, b)


def both(a: Expr, b: Expr) -> Expr:
    """Logical and of two bools."""
    return tirx.And(a, b)


def either(a: Expr, b: Expr) -> Expr:
    """Logical or of two bools."""
    return tirx.Or(a, b)


def not_(a: Expr) -> Expr:
    return tirx.Not(a)


def is_nan(a: Expr) -> Expr:
    return ne(a, a)


def cast(a: Expr, dtype: str) -> Expr:
    """Value conversion; float to integer truncates (out of range is undefined: clamp first)."""
    return a if dtype_of(a) == dtype else tirx.Cast(dtype, a)


def bitcast(a: Expr, dtype: str) -> Expr:
    """The same bits under another dtype of the same width."""
    if isinstance(a, tirx.IntImm) and not a.value:
        return const(0, dtype)  # TVM takes a literal zero for a null pointer
    return a if dtype_of(a) == dtype else tirx.reinterpret(dtype, a)


def bits(a: Expr) -> Expr:
    """The bits of a float as the signed integer of its width."""
    return bitcast(a, _INT_OF_WIDTH[bits_of(dtype_of(a))])


def bit_and(a: Expr, b: Expr) -> Expr:
    return tirx.bitwise_and(a, b)


def bit_or(a: Expr, b: Expr) -> Expr:
    return tirx.bitwise_or(a, b)


def bit_xor(a: Expr, b: Expr) -> Expr:
    return tirx.bitwise_xor(a, b)


def shl(a: Expr, b: Expr) -> Expr:
    return tirx.shift_left(a, b)


def shr(a: Expr, b: Expr) -> Expr:
    """Right shift: arithmetic for signed, logical for unsigned."""
    return tirx.shift_right(a, b)


def horner(x: Expr, coefficients: tuple[float, ...], body: Body) -> Expr:
    """Polynomial by Horner's rule with fused steps; coefficients from the highest power down."""
    dtype = dtype_of(x)
    total = const(coefficients[0], dtype)
    for c in coefficients[1:]:
        total = body.let(fma(total, x, const(c, dtype)))
    return total
