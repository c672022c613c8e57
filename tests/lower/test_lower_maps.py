"""Every map primitive, compiled, on special values of every dtype, against NumPy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from compiled import Builder, Compiled
from samples import COMPLEXES, DTYPES, FLOATS, bits, dtype_of, mismatch, pairs, random, special

import jitops
from jitops.errors import GraphError
from jitops.graph.evaluate import apply, evaluate
from jitops.graph.ops import PRIMITIVES
from jitops.graph.types import ArrayType
from jitops.lower.complex_pairs import RULES as COMPLEX_RULES
from jitops.lower.elementwise import RULES, is_float, register_dtype
from jitops.lower.math import MATH

OWN = ("real", "imag", "complex", "select", "cast", "bitcast", "locate")
MAPS = [n for n, p in PRIMITIVES.items() if p.kind == "map" and n not in OWN]
BINARY = [
    "add",
    "sub",
    "mul",
    "div",
    "floordiv",
    "mod",
    "fmod",
    "pow",
    "atan2",
    "hypot",
    "copysign",
    "nextafter",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "and",
    "or",
    "xor",
    "shl",
    "gcd",
    "shr",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
]
COMPOSED = ("floordiv", "mod", "fmod")  # of floats: by the math function fmod
EQUAL_ZEROS = ("maximum", "minimum", "fmax", "fmin")  # which of them is not defined
MATH_ULP = 2
CANCELLED = 1e-14
GROUP = 14


def admits(op: str, dtype: str) -> bool:
    operand = ArrayType((), dtype_of(dtype))
    try:
        PRIMITIVES[op].rule(*[operand] * (2 if op in BINARY else 1))
    except GraphError:
        return False
    return True


def lowered(op: str, dtype: str) -> bool:
    if dtype in COMPLEXES:
        return op in COMPLEX_RULES
    wide = register_dtype(dtype)
    if op in COMPOSED and is_float(dtype):
        return ("fmod", wide) in MATH
    return (op, wide) in MATH or (op in RULES and not (op == "pow" and is_float(dtype)))


def test_every_map_primitive_has_a_lowering_for_every_dtype_it_admits():
    gaps = {op for d in DTYPES for op in MAPS if admits(op, d) and not lowered(op, d)}
    assert not gaps


def _operands(op: str, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    if op == "pow" and y.dtype.kind == "i":
        return [x, np.where(y < 0, y.dtype.type(3), y)]  # NumPy refuses negative exponents
    return [x, y] if op in BINARY else [x]


def _limit(op: str, dtype: str) -> float:
    """Units in the last place of NumPy's own result; our functions have tests of their own."""
    return 2 * MATH_ULP if (op, register_dtype(dtype)) in MATH and op not in COMPOSED else 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_maps_on_special_values(dtype):
    x, y = pairs(dtype, np.random.default_rng(0))
    ops = [op for op in MAPS if admits(op, dtype) and lowered(op, dtype)]
    failures = []
    for n in range(0, len(ops), GROUP):
        b = Builder()
        inputs, results = [], []
        for op in ops[n : n + GROUP]:
            operands = _operands(op, x, y)
            params = [b.param(v.shape, v.dtype) for v in operands]
            inputs.extend(operands)
            results.append(b.emit(op, *params))
        graph = b.graph(*results)
        found = Compiled(graph)(*inputs)
        for eqn, result in zip(graph.eqns, found):
            with np.errstate(all="ignore"):
                operands = _operands(eqn.op, x, y)
                wanted = apply(eqn, operands)
                limit = _limit(eqn.op, dtype)
                bad = mismatch(result, wanted, limit, zeros=eqn.op not in EQUAL_ZEROS)
                if eqn.op == "lgamma":  # the reference is Python's, which cancels at the zeros
                    bad &= ~(np.abs(result - wanted) < CANCELLED)
            if bad.any():
                at = np.flatnonzero(bad)[:4]
                failures.append((eqn.op, [v[at] for v in operands], result[at], wanted[at]))
    assert not failures


# Where a float leaves an integer's range, NumPy's answer depends on the position in the array.
IN_RANGE = [
    -1,
    -2,
    -100,
    127,
    255,
    256,
    -300,
    3e4,
    65535,
    70000,
    -70000,
    2.0**31,
    -(2.0**31),
    3e9,
    2.0**62,
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_casts_and_bit_patterns(dtype):
    rng = np.random.default_rng(1)
    x = np.concatenate([special(dtype), random(dtype, 50, rng)])
    if dtype in FLOATS or dtype in COMPLEXES:
        with np.errstate(all="ignore"):
            x = np.concatenate([x, np.array(IN_RANGE).astype(x.dtype)])
    cond = rng.random(len(x)) < 0.5
    b = Builder()
    p, c = b.param(x.shape, x.dtype), b.param(x.shape, "bool")
    results = [b.emit("cast", p, dtype=d) for d in DTYPES]
    if dtype != "bool":
        same = [d for d in DTYPES if dtype_of(d).itemsize == x.dtype.itemsize and d != "bool"]
        results += [b.emit("bitcast", p, dtype=d) for d in same]
    backwards = b.emit("slice", p, start=(len(x) - 1,), step=(-1,), size=(len(x),))
    results.append(b.emit("select", c, p, backwards))
    if dtype in COMPLEXES:
        results += [b.emit("real", p), b.emit("imag", p)]
    if dtype in ("float32", "float64"):
        results.append(b.emit("complex", p, p))
    graph = b.graph(*results)
    definitions = graph.definitions()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        found, wanted = Compiled(graph)(x, cond), evaluate(graph, [x, cond])
    for var, f, w in zip(graph.results, found, wanted):
        eqn = definitions[var]
        with np.errstate(all="ignore"):
            if eqn.op == "bitcast" and f.dtype.kind in "iu":
                assert np.array_equal(bits(f), bits(w)), eqn.attrs
                continue
            bad = np.broadcast_to(mismatch(f, w), x.shape).copy()
            if eqn.op == "cast" and w.dtype.kind in "iu" and x.dtype.kind not in "biu":
                real = np.real(x).astype("f8")
                half = 2.0 ** (63 if w.dtype.itemsize == 8 else 31)
                bad &= np.isfinite(real) & (np.abs(real) < half)
        assert not bad.any(), (eqn.op, eqn.attrs, x[bad], f[bad], w[bad])


def test_bit_patterns_of_literals():
    b = Builder()
    values = {"float64": (0.0, -0.0, 1.5), "int64": (0, -1), "uint64": (0, 2**63)}
    literals = [b.literal(v, dtype) for dtype, found in values.items() for v in found]
    graph = b.graph(*[b.emit("bitcast", v, dtype=d) for v in literals for d in values])
    for found, wanted in zip(Compiled(graph)(), evaluate(graph, [])):
        assert found.tobytes() == wanted.tobytes()


def test_products_are_rounded_before_they_are_added():
    b = Builder()
    x, y, w = (b.param((1003,), "float32") for _ in range(3))
    product = b.emit("mul", x, y)
    results = [
        b.emit("add", product, w),
        b.emit("sub", product, b.emit("mul", w, w)),
        b.emit("sub", b.emit("square", y), b.emit("square", x)),
        b.emit("add", b.emit("neg", product), w),
        product,
    ]
    graph = b.graph(*results)
    inputs = list(np.random.default_rng(0).standard_normal((3, 1003)).astype("float32"))
    for found, wanted in zip(Compiled(graph)(*inputs), evaluate(graph, inputs)):
        assert np.array_equal(found, wanted)


def test_products_are_rounded_before_complex_numbers_are_made_of_them():
    b = Builder()
    x, y = (b.param((1003,), "float64") for _ in range(2))
    z = b.param((1003,), "complex128")
    product, square = b.emit("mul", x, y), b.emit("square", x)
    pair = b.emit("complex", product, square)
    results = [
        b.emit("add", pair, z),
        b.emit("sub", b.emit("complex", y, b.emit("neg", square)), pair),
        b.emit("add", b.emit("cast", product, dtype="complex128"), z),
    ]
    graph = b.graph(*results)
    inputs = list(np.random.default_rng(0).standard_normal((3, 1003)))
    inputs[2] = inputs[2] + 1j * inputs[0]
    for found, wanted in zip(Compiled(graph)(*inputs), evaluate(graph, inputs)):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_known_ranges_may_wrap_around(dtype):
    """TVM's analyser follows ranges, and trips where one leaves the dtype."""
    top = np.iinfo(dtype).max
    b = Builder()
    x = b.param((5,), dtype)
    literals = [b.literal(v, dtype) for v in (0, 1, top, np.iinfo(dtype).min)]
    results = [b.emit(op, v) for op in ("neg", "sign", "square", "invert") for v in literals]
    for op in ("add", "sub", "mul", "floordiv", "shl"):
        results += [b.emit(op, v, w) for v in literals for w in literals]
    # Values within a kernel of many steps are bound, and their ranges are what is followed.
    moved = [b.emit(op, v, literals[0]) for op in ("shl", "shr") for v in (x, *literals)]
    results += [b.emit("square", v) for v in moved]
    sign, count = b.emit("sign", x), b.emit("iota", shape=(300,), axis=0, dtype=dtype)
    results += [
        b.emit("neg", sign),
        b.emit("mul", sign, literals[2]),
        b.emit("add", count, literals[2]),
    ]
    graph = b.graph(*results)
    inputs = [np.arange(5).astype(dtype)]
    for found, wanted in zip(Compiled(graph)(*inputs), evaluate(graph, inputs)):
        assert np.array_equal(found, wanted)


def test_an_index_out_of_bounds_is_noticed():
    b = Builder()
    x, index, one = b.param((10,), "float64"), b.param((300,), "int64"), b.param((), "int64")
    safe = b.emit("mod", index, b.literal(5, "int64"))
    shifted = b.emit("add", one, b.literal(1, "int64"))
    results = [b.emit("take", x, v, axis=0) for v in (index, shifted, safe)]
    compiled = Compiled(b.graph(*results))
    values, inside = np.arange(10.0), np.arange(300) % 20 - 10
    for i, n, outside in (
        (inside, 3, False),
        (inside, -11, False),
        (inside, 9, True),
        (inside, -12, True),
        (inside + 1, 3, True),
        (inside - 1, 3, True),
    ):
        compiled(values, i, np.array(n))
        assert bool(compiled.failure) == outside


@pytest.mark.parametrize("shape", [(513, 700), (64, 2048), (5, 130, 257), (300, 4, 100)])
def test_transposed_reads_and_writes_in_tiles(shape):
    perm = tuple(range(len(shape)))[::-1]
    b = Builder()
    x = b.param(shape, "float32")
    turned = b.emit("transpose", x, perm=perm)
    y = b.param(turned.type.shape, "float32")
    graph = b.graph(b.emit("add", turned, y))
    rng = np.random.default_rng(0)
    inputs = [rng.random(p.type.shape).astype("f4") for p in graph.params]
    (wanted,) = evaluate(graph, inputs)
    assert np.array_equal(Compiled(graph)(*inputs)[0], wanted)
    assert np.array_equal(Compiled(graph, written={1: 0})(*inputs)[0], wanted)


def test_axes_that_a_reshape_carries_over_are_not_merged():
    """The strides of batch and panel agree, but a count beyond the panels carries into a row."""
    x = np.arange(2 * 12 * 5, dtype="f4").reshape(2, 12, 5)
    b = Builder()
    p = b.param(x.shape, x.dtype)
    turned = b.emit("transpose", p, perm=(0, 2, 1))
    panels = b.emit("reshape", turned, shape=(2, 5, 3, 4))
    packed = b.emit("transpose", b.emit("neg", panels), perm=(0, 2, 1, 3))
    graph = b.graph(b.emit("neg", packed), b.emit("reduce_max", packed, axes=(3,)))
    for found, wanted in zip(Compiled(graph)(x), evaluate(graph, [x]), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_indices_through_indices_find_their_elements(tmp_path):
    """Many kernels, each compiled apart; LLVM packs the lanes of the last one."""

    def lower_triangle(x: Any, y: Any, z: Any) -> Any:
        sums = np.nancumsum(x, axis=-2)
        first = sums[np.ix_([0, -1])], np.add.reduce(sums, axis=1, initial=1)
        both = np.column_stack([y, y])
        square = np.resize(z, (3, 3))
        last = np.resize(z, (3, 3))[np.tril_indices_from(square)]
        return *first, np.tensordot(both, both), np.maximum.accumulate(both, axis=0), last

    x, y = np.array([[-5, 6, -5, 6, -5]], dtype="int16"), np.arange(-3, 4, dtype="float16") / 4
    given = x, y, np.array([0, 2, 5, 6], dtype="int16")
    with jitops.options(cache_dir=str(tmp_path), strict=True):
        found = jitops.jitop(lower_triangle)(*given)
    for f, w in zip(found, lower_triangle(*given)):
        assert np.array_equal(f, w)
