"""How each map primitive computes one element: the table `RULES`.

A rule gets the loop's `Body`, the operand dtype's name and the operands as scalar expressions, and
returns the result. Values live in registers in their *register dtype*: float16 and bfloat16 are
carried as float32 and rounded after every operation, as NumPy rounds them; complex numbers are
pairs of floats (`jitops.lower.complex_pairs`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx import stmt as st

from jitops.graph.graph import Eqn
from jitops.lower import scalar as sc
from jitops.lower.math import MATH, ORDINARY
from jitops.lower.scalar import Body, Expr

NARROW_FLOATS = ("float16", "bfloat16")

Rule = Callable[..., Expr]


def register_dtype(dtype: str) -> str:
    """The dtype in which a value of ``dtype`` is computed."""
    return "float32" if dtype in NARROW_FLOATS else dtype


def is_float(dtype: str) -> bool:
    return dtype.startswith(("float", "bfloat"))


def is_signed(dtype: str) -> bool:
    return dtype.startswith("int")


def lower_map(
    body: Body, op: str, dtype: str, result: str, operands: list[Expr], attrs: dict[str, Any]
) -> Expr:
    """One element of ``op``: ``dtype`` is the operands' dtype (the last operand's, for select)."""
    if op == "cast":
        return body.let(cast(body, operands[0], dtype, attrs["dtype"]))
    if op == "bitcast":
        return bitcast(body, operands[0], dtype, attrs["dtype"])
    if op == "locate":
        return body.let(_locate(body, operands, attrs["shape"]))
    if (op, register_dtype(dtype)) in MATH:
        value = _math(body, op, dtype, operands)
    else:
        value = RULES[op](body, dtype, *operands)
    if result in NARROW_FLOATS:
        value = round_to(body, value, result)
    return body.let(value)


OrdinaryArguments = list[tuple[Rule, list[Expr]]]


def has_ordinary_form(eqn: Eqn) -> bool:
    """Whether its function has a cheaper form that does not hold for all of its arguments."""
    if not eqn.inputs:
        return False
    dtype = eqn.inputs[0].type.dtype_name
    found = ORDINARY.get((eqn.op, register_dtype(dtype)))
    return found is not None and dtype not in found.never


def look_at_arguments(body: Body) -> OrdinaryArguments:
    """Let functions with an ordinary form add their arguments to the list that this gives.

    With each comes what tells whether they are rare ones. The body is for nothing else: in it, such
    a function's value is its first argument.
    """
    found: OrdinaryArguments = body.known.setdefault(("arguments",), [])
    return found


def take_ordinary_forms(body: Body) -> None:
    """Let functions in this body take their forms for ordinary arguments."""
    body.known["ordinary",] = True


def _math(body: Body, op: str, dtype: str, operands: list[Expr]) -> Expr:
    """A function of `MATH`, or its form for ordinary arguments where it may take that."""
    key = op, register_dtype(dtype)
    found = ORDINARY.get(key)
    if found is None:
        return MATH[key](body, *operands)
    if dtype in found.never or body.find(("ordinary",)):
        return found.form(body, *operands)
    arguments: OrdinaryArguments | None = body.find(("arguments",))
    if arguments is None:
        return MATH[key](body, *operands)
    arguments.append((found.rare, operands))
    return operands[0]


def _locate(body: Body, indices: list[Expr], shape: tuple[int, ...]) -> Expr:
    """The position in C order of a multi-index, negative ones counted from the end."""
    total = sc.const(0, "int64")
    for index, extent in zip(indices, shape):
        size = sc.const(extent, "int64")
        inside = body.let(sc.from_end(index, size), "at")
        step = body.let(sc.wrapping(tirx.Mul, total, size), "at")
        total = body.let(sc.wrapping(tirx.Add, step, inside), "at")
    return total


def is_product(op: str, dtype: str) -> bool:
    """Whether the last step of an operation may be a multiplication."""
    return op in ("mul", "square") or (op, dtype) in MATH


def round_to(body: Body, x: Expr, dtype: str) -> Expr:
    """Round a float32 to the values of a narrower float, to nearest even; stays float32."""
    x = body.let(x)
    if dtype == "float16":
        return tirx.Cast("float32", tirx.Cast("float16", x))
    return bfloat16_to_float32(bfloat16_bits(body, x))


def bfloat16_bits(body: Body, x: Expr) -> Expr:
    """The uint16 pattern of the bfloat16 nearest to a float32, ties to even; NaN stays NaN."""
    raw = body.let(sc.bitcast(x, "uint32"))
    shift, one = sc.const(16, "uint32"), sc.const(1, "uint32")
    odd = sc.bit_and(sc.shr(raw, shift), one)
    # In 64 bits the sum cannot wrap, whatever the bits are.
    bias = tirx.Cast("uint64", sc.bit_or(odd, sc.const(0, "uint32")))
    total = tirx.Cast("uint64", raw) + bias + sc.const(0x7FFF, "uint64")
    rounded = tirx.Cast("uint32", body.let(total))
    value = sc.select(sc.is_nan(x), sc.const(0x7FC00000, "uint32"), rounded)
    return body.let(tirx.Cast("uint16", sc.shr(value, shift)))


def bfloat16_to_float32(pattern: Expr) -> Expr:
    """The float32 value of a bfloat16 bit pattern (uint16); exact."""
    return sc.bitcast(sc.shl(tirx.Cast("uint32", pattern), sc.const(16, "uint32")), "float32")


def cast(body: Body, x: Expr, source: str, target: str) -> Expr:
    """Value conversion; floats out of an integer's range give what NumPy's loops give on x86."""
    if source == target:
        return x
    if target == "bool":
        return nonzero(x, source)
    if target in NARROW_FLOATS:
        narrow = sc.cast(x, "float32")
        return round_to(body, body.let(narrow), target)
    if is_float(source) and target in ("uint32", "uint64"):
        return _unsigned(body, x, target)
    if is_float(source) and not is_float(target):
        wide = "int32" if sc.bits_of(target) < 32 else target
        return sc.cast(_signed(body, x, wide), target)
    return sc.cast(x, target)


def _signed(body: Body, x: Expr, target: str) -> Expr:
    """A float as int32 or int64; NaN and what is out of range as the least integer.

    LLVM's own conversion of such values has no result at all: where it sees one coming, it takes
    any other.
    """
    limit = sc.const(2.0 ** (sc.bits_of(target) - 1), sc.dtype_of(x))
    inside = body.let(sc.lt(body.let(sc.intrinsic("llvm.fabs", x)), limit))
    safe = body.let(sc.select(inside, x, sc.const(0.0, sc.dtype_of(x))))
    least = sc.const(-(1 << (sc.bits_of(target) - 1)), target)
    return body.let(sc.select(inside, body.let(sc.cast(safe, target)), least))


def _unsigned(body: Body, x: Expr, target: str) -> Expr:
    """A float as uint32 or uint64; out of range, the results of NumPy's loops on x86."""
    half = sc.bits_of(target) - 1
    big = body.let(sc.ge(x, sc.const(2.0**half, sc.dtype_of(x))))
    lowered = body.let(sc.select(big, sc.sub(x, sc.const(2.0**half, sc.dtype_of(x))), x))
    low = body.let(sc.cast(_signed(body, lowered, target[1:]), target))
    return sc.select(big, sc.bit_xor(low, sc.const(1 << half, target)), low)


def bitcast(body: Body, x: Expr, source: str, target: str) -> Expr:
    """The same bits in memory under another dtype."""
    if source in NARROW_FLOATS or target in NARROW_FLOATS:
        return body.let(from_pattern(body.let(pattern(body, source, x)), target))
    return body.let(sc.bitcast(x, target))


def pattern(body: Body, dtype: str, x: Expr) -> Expr:
    """The bits of a value of ``dtype`` in memory as the signed integer of its width."""
    if dtype == "bfloat16":
        return tirx.Cast("int16", bfloat16_bits(body, x))
    x = sc.cast(x, dtype)
    return sc.bits(x) if is_float(dtype) else sc.cast(x, f"int{sc.bits_of(dtype)}")


def from_pattern(pattern: Expr, dtype: str) -> Expr:
    """The value, in its register dtype, that these bits are in memory."""
    if dtype == "bfloat16":
        return bfloat16_to_float32(tirx.Cast("uint16", pattern))
    if is_float(dtype):
        return sc.cast(sc.bitcast(pattern, dtype), register_dtype(dtype))
    return sc.cast(pattern, dtype)


def nonzero(x: Expr, dtype: str) -> Expr:
    """``x != 0`` as a bool; NaN counts as true."""
    return sc.not_(sc.eq(x, sc.const(0, register_dtype(dtype))))


def _neg(body: Body, dtype: str, x: Expr) -> Expr:
    return sc.neg(x)


def _arithmetic(node: Any) -> Rule:
    def rule(body: Body, dtype: str, a: Expr, b: Expr) -> Expr:
        return node(a, b) if is_float(dtype) else sc.wrapping(node, a, b)

    return rule


def _square(body: Body, dtype: str, x: Expr) -> Expr:
    return _arithmetic(tirx.Mul)(body, dtype, x, x)


def _abs(body: Body, dtype: str, x: Expr) -> Expr:
    if is_float(dtype):
        return sc.fabs(x)
    return sc.select(sc.lt(x, sc.const(0, dtype)), sc.neg(x), x) if is_signed(dtype) else x


def _sign(body: Body, dtype: str, x: Expr) -> Expr:
    wide = register_dtype(dtype)
    zero, one = sc.const(0, wide), sc.const(1, wide)
    positive = sc.gt(x, zero)
    if not is_float(dtype) and not is_signed(dtype):
        return sc.select(positive, one, zero)
    rest = x if is_float(dtype) else zero  # NaN passes; -0.0 becomes 0.0, but not in ml_dtypes
    if dtype != "bfloat16":
        rest = sc.select(sc.eq(x, zero), zero, rest)
    return sc.select(positive, one, sc.select(sc.lt(x, zero), sc.const(-1, wide), rest))


def _float(function: Callable[..., Expr]) -> Rule:
    return lambda body, dtype, *operands: function(*operands)


def _invert(body: Body, dtype: str, x: Expr) -> Expr:
    return sc.not_(x) if dtype == "bool" else sc.bit_xor(x, _all_ones(dtype))


def _all_ones(dtype: str) -> Expr:
    return sc.const(-1 if is_signed(dtype) else 2 ** sc.bits_of(dtype) - 1, dtype)


def _isinf(body: Body, dtype: str, x: Expr) -> Expr:
    return sc.eq(sc.fabs(x), sc.const(float("inf"), register_dtype(dtype)))


def _isfinite(body: Body, dtype: str, x: Expr) -> Expr:
    return sc.lt(sc.fabs(x), sc.const(float("inf"), register_dtype(dtype)))


def _signbit(body: Body, dtype: str, x: Expr) -> Expr:
    pattern = sc.bits(x)
    return sc.lt(pattern, sc.const(0, sc.dtype_of(pattern)))


def _extreme(beyond: Callable[[Expr, Expr], Expr], on_int: Any, on_bool: Any) -> Rule:
    def rule(body: Body, dtype: str, a: Expr, b: Expr) -> Expr:
        """NaN if either is NaN. Of equal zeros the first one: no order of them costs less."""
        if is_float(dtype):
            number = body.let(sc.select(beyond(b, a), b, a))
            return sc.select(sc.is_nan(b), b, number)
        return on_bool(a, b) if dtype == "bool" else on_int(a, b)

    return rule


def _extreme_number(intrinsic: str, on_int: Any, on_bool: Any) -> Rule:
    def rule(body: Body, dtype: str, a: Expr, b: Expr) -> Expr:
        if is_float(dtype):
            return sc.intrinsic(intrinsic, a, b)
        return on_bool(a, b) if dtype == "bool" else on_int(a, b)

    return rule


def _bitwise(on_int: Any, on_bool: Any) -> Rule:
    return lambda body, dtype, a, b: (on_bool if dtype == "bool" else on_int)(a, b)


def _shift(shift: Any, fill_sign: bool) -> Rule:
    def rule(body: Body, dtype: str, a: Expr, b: Expr) -> Expr:
        """Shifts by the width or more give 0, or the sign for a right shift of a signed value."""
        width, zero = sc.const(sc.bits_of(dtype), dtype), sc.const(0, dtype)
        fits = sc.both(sc.ge(b, zero), sc.lt(b, width))
        amount = body.let(sc.select(fits, b, zero))
        outside = zero
        if fill_sign and is_signed(dtype):
            outside = sc.select(sc.lt(a, zero), sc.const(-1, dtype), zero)
        return sc.select(fits, shift(a, amount), outside)

    return rule


def _int_divmod(body: Body, dtype: str, a: Expr, b: Expr) -> tuple[Expr, Expr, Expr]:
    """Truncated quotient and remainder with divisor made safe, and whether the divisor is zero.

    Division by zero and ``MIN // -1`` trap on x86: both divide by 1 instead.
    """
    zero, one = sc.const(0, dtype), sc.const(1, dtype)
    by_zero = body.let(sc.eq(b, zero))
    unsafe = by_zero
    if is_signed(dtype):
        lowest = sc.const(-(2 ** (sc.bits_of(dtype) - 1)), dtype)
        overflow = sc.both(sc.eq(a, lowest), sc.eq(b, sc.const(-1, dtype)))
        unsafe = sc.either(by_zero, overflow)
    divisor = body.let(sc.select(unsafe, one, b))
    quotient = body.let(tirx.Div(a, divisor))
    return quotient, body.let(tirx.Mod(a, divisor)), by_zero


def _floordiv(body: Body, dtype: str, a: Expr, b: Expr) -> Expr:
    if is_float(dtype):
        return _float_divmod(body, dtype, a, b)[0]
    quotient, remainder, by_zero = _int_divmod(body, dtype, a, b)
    zero = sc.const(0, dtype)
    if is_signed(dtype):
        down = _signs_differ(remainder, b, zero)
        less = body.let(sc.wrapping(tirx.Sub, quotient, sc.const(1, dtype)))
        quotient = sc.select(down, less, quotient)
    return sc.select(by_zero, zero, quotient)


def _mod(body: Body, dtype: str, a: Expr, b: Expr) -> Expr:
    if is_float(dtype):
        return _float_divmod(body, dtype, a, b)[1]
    _, remainder, by_zero = _int_divmod(body, dtype, a, b)
    zero = sc.const(0, dtype)
    if is_signed(dtype):
        moved = body.let(sc.wrapping(tirx.Add, remainder, b))
        remainder = sc.select(_signs_differ(remainder, b, zero), moved, remainder)
    return sc.select(by_zero, zero, remainder)


def _signs_differ(remainder: Expr, divisor: Expr, zero: Expr) -> Expr:
    """The remainder is not zero and its sign is not the divisor's: floor rounds the other way."""
    return sc.either(
        sc.both(sc.lt(remainder, zero), sc.gt(divisor, zero)),
        sc.both(sc.gt(remainder, zero), sc.lt(divisor, zero)),
    )


def _fmod(body: Body, dtype: str, a: Expr, b: Expr) -> Expr:
    if is_float(dtype):
        return MATH["fmod", register_dtype(dtype)](body, a, b)
    _, remainder, by_zero = _int_divmod(body, dtype, a, b)
    return sc.select(by_zero, sc.const(0, dtype), remainder)


def _float_divmod(body: Body, dtype: str, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """Floor quotient and remainder by the steps of NumPy's npy_divmod, so that roundings agree."""
    wide = register_dtype(dtype)
    zero, one = sc.const(0.0, wide), sc.const(1.0, wide)
    rem = body.let(MATH["fmod", wide](body, a, b))
    ratio = body.let(sc.div(a, b))
    exact = body.let(sc.div(body.let(sc.sub(a, rem)), b))
    down = body.let(_signs_differ(rem, b, zero))
    adjusted = body.let(sc.select(down, sc.add(rem, b), rem))
    remainder = sc.select(sc.eq(rem, zero), sc.copysign(zero, b), adjusted)
    exact = body.let(sc.select(down, sc.sub(exact, one), exact))
    floored = body.let(sc.floor(exact))
    halfway = sc.gt(sc.sub(exact, floored), sc.const(0.5, wide))
    rounded = body.let(sc.select(halfway, sc.add(floored, one), floored))
    quotient = sc.select(sc.eq(exact, zero), sc.copysign(zero, ratio), rounded)
    by_zero = body.let(sc.eq(b, zero))
    return (
        body.let(sc.select(by_zero, ratio, quotient)),
        body.let(sc.select(by_zero, rem, remainder)),
    )


def _int_pow(body: Body, dtype: str, base: Expr, exponent: Expr) -> Expr:
    """Square and multiply over all bits of the exponent; wraps as NumPy's loop does."""
    one, zero = sc.const(1, dtype), sc.const(0, dtype)
    result, power, rest = one, base, exponent
    for bit in range(sc.bits_of(dtype) - (1 if is_signed(dtype) else 0)):
        odd = sc.not_(sc.eq(sc.bit_and(rest, sc.const(1 << bit, dtype)), zero))
        times = body.let(sc.wrapping(tirx.Mul, result, power))
        result = body.let(sc.select(odd, times, result))
        power = body.let(sc.wrapping(tirx.Mul, power, power))
    return result


def _gcd(body: Body, dtype: str, a: Expr, b: Expr) -> Expr:
    """Euclid's algorithm on the magnitudes, as unsigned numbers: that of the least one fits."""
    unsigned = f"uint{sc.bits_of(dtype)}"
    first, at = [sc.const(0, "int64")], sc.const(0, unsigned)
    cells = []
    for name, x in (("m", a), ("n", b)):
        cell = tirx.decl_buffer((1,), unsigned, name, scope="local")
        magnitude = body.let(tirx.Cast(unsigned, body.let(_abs(body, dtype, x))))
        body.emit(st.AllocBuffer(cell))
        body.emit(st.BufferStore(cell, magnitude, first))
        cells.append(cell)
    m, n = cells
    step = Body()
    divisor = step.let(tirx.BufferLoad(n, first))
    rest = step.let(tirx.Mod(tirx.BufferLoad(m, first), divisor))
    step.emit(st.BufferStore(m, divisor, first))
    step.emit(st.BufferStore(n, rest, first))
    body.emit(st.While(tirx.Not(tirx.EQ(tirx.BufferLoad(n, first), at)), step.block()))
    return tirx.Cast(dtype, body.let(tirx.BufferLoad(m, first)))


def _nextafter(body: Body, dtype: str, x: Expr, towards: Expr) -> Expr:
    """Step the bit pattern, an ordered integer, by one; zero is crossed at the least subnormal."""
    wide = register_dtype(dtype)
    here = body.let(pattern(body, dtype, x))
    ints = sc.dtype_of(here)
    one = sc.const(1, ints)
    zero = sc.const(0.0, wide)
    away = sc.lt(x, towards)
    grow = body.let(tirx.EQ(tirx.Cast("int32", away), tirx.Cast("int32", sc.gt(x, zero))))
    step = sc.select(grow, one, sc.const(-1, ints))
    moved = from_pattern(body.let(sc.wrapping(tirx.Add, here, step)), dtype)
    least = sc.copysign(from_pattern(one, dtype), towards)
    result = body.let(sc.select(sc.eq(x, zero), least, moved))
    same = x if dtype == "float16" else towards  # -0.0 towards 0.0: NumPy's own answers differ
    result = sc.select(sc.eq(x, towards), same, result)
    return sc.select(sc.either(sc.is_nan(x), sc.is_nan(towards)), sc.add(x, towards), result)


def _compare_bool(on_int: Any) -> Rule:
    def rule(body: Body, dtype: str, a: Expr, b: Expr) -> Expr:
        if dtype == "bool":
            a, b = tirx.Cast("int32", a), tirx.Cast("int32", b)
        return on_int(a, b)

    return rule


def _select(body: Body, dtype: str, cond: Expr, a: Expr, b: Expr) -> Expr:
    return sc.select(cond, a, b)


RULES: dict[str, Rule] = {
    "neg": _neg,
    "square": _square,
    "abs": _abs,
    "sign": _sign,
    "floor": _float(sc.floor),
    "ceil": _float(sc.ceil),
    "trunc": _float(sc.trunc),
    "rint": _float(sc.rint),
    "sqrt": _float(sc.sqrt),
    "invert": _invert,
    "isnan": _float(sc.is_nan),
    "isinf": _isinf,
    "isfinite": _isfinite,
    "signbit": _signbit,
    "add": _arithmetic(tirx.Add),
    "sub": _arithmetic(tirx.Sub),
    "mul": _arithmetic(tirx.Mul),
    "div": _float(sc.div),
    "floordiv": _floordiv,
    "mod": _mod,
    "fmod": _fmod,
    "pow": _int_pow,
    "gcd": _gcd,
    "copysign": _float(sc.copysign),
    "nextafter": _nextafter,
    "maximum": _extreme(sc.gt, tirx.Max, sc.either),
    "minimum": _extreme(sc.lt, tirx.Min, sc.both),
    "fmax": _extreme_number("llvm.maxnum", tirx.Max, sc.either),
    "fmin": _extreme_number("llvm.minnum", tirx.Min, sc.both),
    "and": _bitwise(sc.bit_and, sc.both),
    "or": _bitwise(sc.bit_or, sc.either),
    "xor": _bitwise(sc.bit_xor, lambda a, b: tirx.NE(tirx.Cast("int32", a), tirx.Cast("int32", b))),
    "shl": _shift(sc.shl, fill_sign=False),
    "shr": _shift(sc.shr, fill_sign=True),
    "eq": _compare_bool(sc.eq),
    "ne": _compare_bool(sc.ne),
    "lt": _compare_bool(sc.lt),
    "le": _compare_bool(sc.le),
    "gt": _compare_bool(sc.gt),
    "ge": _compare_bool(sc.ge),
    "select": _select,
}
