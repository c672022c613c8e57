"""Calls of every ufunc's options and methods, for each dtype that NumPy takes there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

DTYPES = ("bool", "int8", "int64", "uint16", "uint64", "float16", "float32", "float64")
DTYPES += ("complex64", "complex128")

# NumPy's vector loops of these read an operand that the reduction has overwritten already.
WRONG_IN_NUMPY = {"arctan2", "power", "float_power"}
# NumPy resolves these in a way of their own for reductions, which has no use.
LEFT_OUT = {"ldexp"}

MANY = 20  # more rows than a reduction by calls of the ufunc writes one after the other
PLACES = np.array([0, 3, 1, 1])

Call = tuple[str, Any, tuple[Any, ...]]


def ufuncs() -> dict[str, np.ufunc]:
    found = {f.__name__: f for f in vars(np).values() if isinstance(f, np.ufunc)}
    return {name: f for name, f in sorted(found.items()) if f.signature is None}


def values(rng: Any, shape: Any, dtype: str) -> Any:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind in "iu":
        return rng.integers(0 if kind == "u" else -5, 6, shape).astype(dtype)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape)).astype(dtype) if kind == "c" else x.astype(dtype)


def calls(ufunc: Any, dtype: str) -> Iterator[Call]:
    """The calls that NumPy takes for this dtype."""
    rng = np.random.default_rng(len(ufunc.__name__))
    operands = [values(rng, (3, 4), dtype) for _ in range(ufunc.nin)]
    mask = rng.random((3, 4)) < 0.5
    for name, fn, args in (*_options(ufunc, operands, mask), *_methods(ufunc, operands, mask)):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                fn(*[np.copy(a) for a in args])
            except (TypeError, ValueError):
                continue
        yield f"{ufunc.__name__} {name} {dtype}", fn, args


def _options(ufunc: Any, operands: list[Any], mask: Any) -> Iterator[Call]:
    n = ufunc.nin
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            made = ufunc(*operands)
        except (TypeError, ValueError):
            return
    outs = [np.ones_like(r) for r in (made if isinstance(made, tuple) else (made,))]
    yield "call", lambda *x: ufunc(*x), tuple(operands)
    yield "out", lambda *x: ufunc(*x[:n], out=tuple(x[n:])), (*operands, *outs)
    yield (
        "out where",
        lambda *x: ufunc(*x[:n], out=tuple(x[n:-1]), where=x[-1]),
        (*operands, *map(np.copy, outs), mask),
    )
    yield "dtype", lambda *x: ufunc(*x, dtype="float64"), tuple(operands)
    yield "casting", lambda *x: ufunc(*x, dtype="float32", casting="unsafe"), tuple(operands)


def _methods(ufunc: Any, operands: list[Any], mask: Any) -> Iterator[Call]:
    if ufunc.nin <= 2 and ufunc.nout == 1:
        more = [np.copy(x[:2, :3]) for x in operands[1:]]
        place = (np.copy(operands[0][:2]), PLACES[:3])
        yield "at", lambda x, i, *v: ufunc.at(x, (slice(None), i), *v), (*place, *more)
    if ufunc.nin != 2 or ufunc.nout != 1 or ufunc.__name__ in LEFT_OUT:
        return
    x, y = operands
    yield "outer", lambda a, b: ufunc.outer(a, b), (x[0], y)
    yield "accumulate", lambda a: ufunc.accumulate(a), (x,)
    yield "accumulate axis", lambda a: ufunc.accumulate(a, axis=1), (x,)
    yield "accumulate bool", lambda a: ufunc.accumulate(a, dtype=bool), (x,)
    many = values(np.random.default_rng(MANY), (MANY, 2), x.dtype.name)
    yield "accumulate many", lambda a: ufunc.accumulate(a), (many,)
    if ufunc.__name__ in WRONG_IN_NUMPY:
        return
    yield "reduce", lambda a: ufunc.reduce(a), (x,)
    if ufunc is not np.multiply:  # which underflows in float16
        yield "reduce many", lambda a: ufunc.reduce(a), (many,)
    yield "reduce bool", lambda a: ufunc.reduce(a, axis=1, dtype=bool), (x,)
    yield "reduce complex", lambda a: ufunc.reduce(a, axis=1, dtype="complex64"), (x,)
    yield "reduce keepdims", lambda a: ufunc.reduce(a, axis=1, keepdims=True), (x,)
    yield "reduce axes", lambda a: ufunc.reduce(a, axis=(0, 1)), (x,)
    yield "reduce initial", lambda a: ufunc.reduce(a, axis=1, initial=1), (x,)
    yield "reduce where", lambda a, m: ufunc.reduce(a, axis=1, initial=1, where=m), (x, mask)
    yield "reduceat", lambda a: ufunc.reduceat(a, [0, 2, 1], axis=1), (x,)
    yield "reduceat traced", lambda a, i: ufunc.reduceat(a, i, axis=1), (x, PLACES)


def tolerance(name: str, args: Any) -> float:
    """By the narrowest float that the call computes in: int8 and bools go to float16."""
    narrow = {"bool": 2e-2, "int8": 2e-2, "float16": 2e-2}
    return max(narrow.get(a.dtype.name, 1e-4) for a in args[:1])
