"""Random programs with control flow: loops in branches in loops, against the plain functions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from comparing import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lower_programs import assert_same

from jitops import cond, fori_loop, jitop, scan, while_loop

SHAPES = ((4, 6), (6,), (1, 6), (), (3, 4, 6))
DTYPES = ("float64", "float32", "int64", "int32", "uint8", "bool", "complex128")
BINARY = (np.add, np.subtract, np.multiply, np.maximum, np.less, np.equal)
UNARY = (np.negative, np.abs, np.square, np.rint, np.logical_not, np.copy, np.tanh)
FOLDS = (np.sum, np.max, np.mean, np.any, np.argmax, np.cumsum)
VIEWS = (
    lambda x: x[..., ::-1],
    lambda x: x[1:] if x.ndim else x,
    lambda x: x.T,
    lambda x: x[..., ::2],
    lambda x: x.reshape(-1),
)
PLAIN = ("binary", "unary", "fold", "view", "update", "assign", "scalar")
CONTROL = ("cond", "fori", "while", "scan")
REFUSED = (TypeError, ValueError, IndexError)

Statement = tuple[str, int, int, int, list]


def programs() -> Any:
    number = st.integers(0, 11)

    def statement(names: Any, body: Any) -> Any:
        return st.tuples(st.sampled_from(names), number, number, number, body)

    plain = st.lists(statement(PLAIN, st.just([])), min_size=1, max_size=4)
    inner = st.lists(
        st.one_of(statement(PLAIN, st.just([])), statement(CONTROL, plain)), min_size=1, max_size=4
    )
    both = st.one_of(statement(PLAIN, st.just([])), statement(CONTROL, inner))
    return st.lists(both, min_size=1, max_size=5)


def run(program: list[Statement], values: list[Any], weak: Any) -> list[Any]:
    """Interpret the statements; each may append a value or write into one."""
    for statement in program:
        done = perform(statement, values, weak)
        if done is not None:
            values.append(done)
    return values


def perform(statement: Statement, values: list[Any], weak: Any) -> Any:
    kind, a, b, d, body = statement
    x, y = values[a % len(values)], values[b % len(values)]
    if kind in CONTROL:
        return STATEMENTS[kind](x, y, d, body, values, weak)
    if kind in ("binary", "fold") and "c" in x.dtype.kind + y.dtype.kind:
        d = 0  # complex numbers have no order
    if kind == "binary":
        return BINARY[d % len(BINARY)](x, y)
    if kind == "unary":
        return UNARY[d % len(UNARY)](x)
    if kind == "fold":
        return FOLDS[d % len(FOLDS)](x, axis=d % x.ndim if d % 2 and x.ndim else None)
    if kind == "scalar":
        return x * weak if d % 2 else x + 1
    if not np.ndim(x):
        raise TypeError  # a scalar here may be a 0-d array there
    if kind == "view":
        return VIEWS[d % len(VIEWS)](x)
    if kind == "update":
        part = x[..., 1:] if d % 2 else x
        part += y
    elif d % 2:
        x[..., 1:] = x[..., :-1]
    else:
        x[..., d % 3 :] = y[..., : x.shape[-1] - d % 3]
    return None


def fitted(value: Any, like: Any) -> Any:
    """A value in the shape and dtype of another."""
    try:
        value = np.broadcast_to(value, like.shape)
    except ValueError:
        return like
    if value.dtype.kind in "fc" and like.dtype.kind in "iub":
        value = np.isfinite(value)
    if value.dtype.kind == "c" and like.dtype.kind != "c":
        value = value.real
    return value.astype(like.dtype)


def copies(values: list[Any]) -> list[Any]:
    return [np.copy(v) for v in values]


def do_cond(x: Any, y: Any, d: int, body: list[Statement], values: list[Any], weak: Any) -> Any:
    """One side runs the body, on the very arrays; the other does something else."""

    def then() -> Any:
        return fitted(run(body, list(values), weak)[-1], x)

    def otherwise() -> Any:
        return np.copy(x) if d % 3 else fitted(y, x)

    return cond(np.real(x).sum() > d, *((then, otherwise) if d % 2 else (otherwise, then)))


def do_fori(x: Any, y: Any, d: int, body: list[Statement], values: list[Any], weak: Any) -> Any:
    def step(i: Any, carry: Any) -> Any:
        x, y = carry
        new = run(body, [x, y, *copies(values), x * i], weak)
        return (y, fitted(new[-1], y)) if same_type(x, y) and d % 2 else (fitted(new[-1], x), y)

    return fori_loop(d % 2, d % 5, step, (x, y))[d % 2]


def do_while(x: Any, y: Any, d: int, body: list[Statement], values: list[Any], weak: Any) -> Any:
    def step(carry: Any) -> Any:
        n, x = carry
        return n + 1, fitted(run(body, [x, *copies(values)], weak)[-1], x)

    def going(carry: Any) -> Any:
        n, x = carry
        return (n < d % 4) & np.isfinite(x).all()

    return while_loop(going, step, (0, x))[1]


def do_scan(x: Any, y: Any, d: int, body: list[Statement], values: list[Any], weak: Any) -> Any:
    if not y.ndim:
        raise ValueError

    def step(x: Any, row: Any) -> Any:
        new = run(body, [x, row, *copies(values)], weak)[-1]
        return fitted(new, x), {"row": row * 2, "new": new}

    last, ys = scan(step, x, y, reverse=d % 3 == 0)
    return (last, ys["row"], ys["new"])[d % 3]


STATEMENTS = {"cond": do_cond, "fori": do_fori, "while": do_while, "scan": do_scan}


def same_type(x: Any, y: Any) -> bool:
    return bool(x.shape == y.shape and x.dtype == y.dtype)


def refused(program: list[Statement], values: list[Any], weak: Any) -> list[Statement]:
    """The statements that NumPy itself accepts, also in bodies that would not run."""
    kept: list[Statement] = []
    for kind, a, b, d, body in program:
        x, y = values[a % len(values)], values[b % len(values)]
        given = copies(values)
        if kind == "fori":
            given = [x, y, *given, x * 1]
        elif kind == "while":
            given = [x, *given]
        elif kind == "scan" and np.ndim(y) and len(y):
            given = [x, y[0], *given]
        new = (kind, a, b, d, refused(body, copies(given), weak))
        trial = copies(values)
        try:
            done = perform(new, trial, weak)
        except REFUSED:
            continue
        kept.append(new)
        values[:] = trial if done is None else [*trial, done]
    return kept


def arguments(seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(3):
        shape = SHAPES[rng.integers(len(SHAPES))]
        x = rng.integers(0, 5, shape).astype(DTYPES[rng.integers(len(DTYPES))])
        made.append(np.asfortranarray(x) if rng.integers(3) == 0 else np.asarray(x))
    return made


def check(program: list[Statement], seed: int, weak: Any) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        arrays = arguments(seed)
        program = refused(program, copies(arrays), weak)
        if not any(kind in CONTROL for kind, *_ in program):
            return

        def function(x: Any, y: Any, z: Any, weak: Any) -> Any:
            values = run(program, [x, y, z], weak)
            return values[-1], values[len(values) // 2]

        mine, numpys = copies(arrays), copies(arrays)
        op = jitop(function)
        found, wanted = op(*mine, weak), op.eager(*numpys, weak)
        for f, w in zip((*found, *mine), (*wanted, *numpys), strict=True):
            assert np.asarray(f).dtype == np.asarray(w).dtype
            assert_same(np.asarray(f), np.asarray(w))


@drawn(40)
@given(programs(), st.integers(0, 200), st.sampled_from([2, 0.5]))
def test_random_control_flow(program, seed, weak):
    check(program, seed, weak)


@pytest.mark.long
@settings(drawn(10_000), derandomize=False)
@given(programs(), st.integers(0, 10_000), st.sampled_from([2, 0.5]))
def test_much_random_control_flow(program, seed, weak):
    check(program, seed, weak)
