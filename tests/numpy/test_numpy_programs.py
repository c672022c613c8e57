"""Random array programs, decorated: mutation, views, aliasing, weak scalars, captured arrays."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from comparing import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lower_programs import assert_same

from jitops import jitop

SHAPES = ((4, 6), (6,), (1, 6), (), (3, 4, 6))
DTYPES = ("float64", "float32", "int64", "int32", "uint8", "bool")
CAPTURED = np.arange(6.0)

BINARY = (np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.less, np.equal, np.where)
UNARY = (np.negative, np.abs, np.square, np.sign, np.rint, np.logical_not, np.copy)
FOLDS = (np.sum, np.max, np.min, np.mean, np.any, np.argmax, np.cumsum)
VIEWS = (
    lambda x: x[..., ::-1],
    lambda x: x[1:] if x.ndim else x,
    lambda x: x.T,
    lambda x: x[..., ::2],
    lambda x: x.reshape(-1),
    lambda x: x[None],
)
STATEMENTS = (
    "binary",
    "unary",
    "fold",
    "view",
    "update",
    "assign",
    "store",
    "take",
    "join",
    "scalar",
)


@st.composite
def steps(draw: Any) -> list[tuple[str, int, int, int, int]]:
    number = st.integers(0, 11)
    one = st.tuples(st.sampled_from(STATEMENTS), number, number, number, number)
    return draw(st.lists(one, min_size=1, max_size=9))


def run(program: list[tuple[str, int, int, int, int]], arrays: list[Any], weak: float) -> Any:
    """Interpret the statements; what NumPy refuses for these shapes and dtypes is left out."""
    values: list[Any] = list(arrays)
    for kind, a, b, c, d in program:
        x, y, z = (values[n % len(values)] for n in (a, b, c))
        try:
            done = perform(kind, x, y, z, d, weak)
        except (TypeError, ValueError, IndexError):
            continue
        if done is not None:
            values.append(done)
    return values[-1], values[a % len(values)], {"again": values[-1], "first": values[0]}


def perform(kind: str, x: Any, y: Any, z: Any, d: int, weak: float) -> Any:
    if kind == "binary":
        f = BINARY[d % len(BINARY)]
        return f(x != 0, y, z) if f == np.where else f(x, y)
    if kind == "unary":
        return UNARY[d % len(UNARY)](x)
    if kind == "fold":
        axis = None if d % 3 == 0 or not np.ndim(x) else d % np.ndim(x)
        return FOLDS[d % len(FOLDS)](x, axis=axis)
    if kind == "scalar":
        return x * weak if d % 2 else x + 1
    if kind == "join":
        return np.concatenate([x, y], axis=-1)
    if kind == "take":
        return np.take(x, np.array([0, -1, 1]), axis=-1)
    if not isinstance(x, np.ndarray) and np.ndim(x) == 0:
        raise TypeError
    if kind == "view":
        return VIEWS[d % len(VIEWS)](x)
    if kind == "update":
        part = x[..., 1:] if d % 2 else x
        if d % 3 == 0:
            part += y
        else:
            part *= 2 if d % 3 == 1 else y[..., ::-1]
    elif kind == "assign":
        if d % 3 == 0:
            x[..., d % 2 :] = y[..., : x.shape[-1] - d % 2]
        elif d % 3 == 1:
            x[..., 1:] = x[..., :-1]
        else:
            x[...] = x[..., ::-1] + CAPTURED[0]
    elif kind == "store":
        x[0] = y
    return None


def arguments(seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(3):
        shape = SHAPES[rng.integers(len(SHAPES))]
        x = rng.integers(0, 5, shape).astype(DTYPES[rng.integers(len(DTYPES))])
        made.append(np.asfortranarray(x) if rng.integers(3) == 0 else np.asarray(x))
    return made


def refused(program: Any, arrays: list[Any], weak: float) -> list[Any]:
    """The statements that NumPy itself accepts, so that tracing meets no error to be caught."""
    kept: list[Any] = []
    for statement in program:
        values = [x.copy() for x in arrays]
        before = len(kept)
        kept.append(statement)
        try:
            strict_run(kept, values, weak)
        except (TypeError, ValueError, IndexError):
            del kept[before:]
    return kept


def strict_run(program: Any, arrays: list[Any], weak: float) -> None:
    values: list[Any] = list(arrays)
    for kind, a, b, c, d in program:
        done = perform(kind, *(values[n % len(values)] for n in (a, b, c)), d, weak)
        if done is not None:
            values.append(done)


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for v in tree.values() for leaf in leaves(v)]
    return [leaf for v in tree for leaf in leaves(v)] if isinstance(tree, tuple) else [tree]


def check(program: Any, seed: int, weak: float) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        arrays = arguments(seed)
        program = refused(program, arrays, weak)
        if not program:
            return
        mine, numpys = [np.copy(x, "K") for x in arrays], [np.copy(x, "K") for x in arrays]
        op = jitop(lambda x, y, z, weak: run(program, [x, y, z], weak))
        for value in (weak, weak + 1):
            found, wanted = op(*mine, value), op.eager(*numpys, value)
            for f, w in zip(leaves(found), leaves(wanted), strict=True):
                assert type(f) is type(w), (type(f), type(w))
                assert f.dtype == w.dtype, (f.dtype, w.dtype)
                assert_same(np.asarray(f), np.asarray(w))
            for f, w in zip(mine, numpys, strict=True):
                assert_same(f, w)


@drawn(60)
@given(steps(), st.integers(0, 200), st.sampled_from([2, 0.5]))
def test_random_programs(program, seed, weak):
    check(program, seed, weak)


@pytest.mark.long
@settings(drawn(20_000), derandomize=False)
@given(steps(), st.integers(0, 10_000), st.sampled_from([2, 0.5]))
def test_many_random_programs(program, seed, weak):
    check(program, seed, weak)
