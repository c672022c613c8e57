"""Control flow, traced and eager: graphs that mean what the functions do, and errors that help."""

from __future__ import annotations

import json

import numpy as np
import pytest
from against_numpy import check, same
from control_programs import PROGRAMS

from jitops import cond, fori_loop, scan, while_loop
from jitops.errors import ArgumentError, BranchError, GraphError, ShapeError, UnsupportedError
from jitops.graph.serial import from_json, to_json
from jitops.graph.types import Spec
from jitops.graph.verify import verify
from jitops.trace import trace

F32, F64 = Spec(3, "float32"), Spec(3, "float64")


@pytest.mark.parametrize(("fn", "args"), [p[1:] for p in PROGRAMS], ids=[p[0] for p in PROGRAMS])
def test_a_traced_program_means_what_the_function_does(fn, args):
    graph = check(fn, *args).graph
    assert str(from_json(json.loads(json.dumps(to_json(graph))))) == str(graph)


def test_a_loop_is_one_equation_however_often_it_runs():
    def grown(x, n):
        return fori_loop(0, n, lambda i, x: x * 2, x)

    small = trace(grown, (F64, 3), {}, ("n",)).graph
    large = trace(grown, (F64, 3_000_000), {}, ("n",)).graph
    assert len(small.eqns) == len(large.eqns) == 1
    assert str(small).replace("length=3", "length=3000000") == str(large)
    assert "length=None" in str(trace(grown, (F64, 3), {}).graph), "a runtime int counts as it is"


def test_what_is_known_while_tracing_needs_no_equation():
    assert not trace(lambda x: cond(True, lambda: x, lambda: x + 1), (F64,), {}).graph.eqns
    never = lambda x: while_loop(lambda c: c[0] > 5, lambda c: c, (3, x))[1]  # noqa: E731
    assert not trace(never, (F64,), {}).graph.eqns


def test_a_loop_owns_what_it_carries_and_a_branch_returns_fresh_arrays():
    x = np.arange(4.0)

    def doubled(i, x):
        x *= 2
        return x

    same(fori_loop(0, 3, doubled, x), np.arange(4.0) * 8)
    same(x, np.arange(4.0))
    kept = cond(True, lambda x: x[1:], lambda x: x, x)
    kept[0] = 9
    same(x, np.arange(4.0))
    _, ys = scan(lambda c, row: (c, row.__setitem__(0, 7.0)), 0, x.reshape(2, 2))
    assert ys is None
    same(x, np.arange(4.0))


def test_python_numbers_settle_in_the_dtype_of_the_body():
    x = np.ones(3, "float32")
    total, scale, flag = fori_loop(0, 2, lambda i, c: (c[0] + x[0], c[1] * 2, c[2]), (0, 1.5, True))
    assert type(total) is np.float32
    assert type(scale) is float
    assert type(flag) is np.bool_
    carry, ys = scan(lambda c, y: (c + y, c), 1.0, x)
    assert (type(carry), ys.dtype) == (np.float32, np.float32)


def test_a_scan_of_no_rows_knows_the_shape_of_its_ys():
    def step(c, x):
        return c + x.sum(), (x[:1], {"c": c, "n": None})

    fn = lambda xs: scan(step, np.float32(0), xs)  # noqa: E731
    check(fn, np.empty((0, 3), "float32"))
    _, ys = fn(np.empty((0, 3), "float32"))
    assert ys[0].shape == (0, 1)
    assert ys[1]["n"] is None


def identity(i, x):
    return x


def widened(i, carry):
    return {"w": carry["w"].astype("float64")}


TYPES = [
    (lambda x: fori_loop(0, 3, widened, {"w": x}), (F32,), UnsupportedError,
     r"carry\['w'\] is float32\[3\] going in and float64\[3\] coming out of widened \(test"),
    (lambda x: fori_loop(0, 3, lambda i, x: x[1:], x), (F64,), ShapeError,
     r"carry is float64\[3\] going in and float64\[2\] coming out of the lambda"),
    (lambda x: fori_loop(0, 3, lambda i, x: (x, x), x), (F64,), UnsupportedError,
     r"carry is \* going in and \(\*, \*\)"),
    (lambda x: fori_loop(0, 3, lambda i, c: (c[0], 1), (x, None)), (F64,), UnsupportedError,
     r"\(\*, None\) going in and \(\*, \*\)"),
    (lambda x: while_loop(lambda c: c < 1, lambda c: c > 0, 0), (F64,), UnsupportedError,
     "carry is a Python int going in and bool"),
    (lambda x: scan(lambda c, x: c, x, x), (F64,), UnsupportedError, "must return a pair"),
    (lambda x: fori_loop(0, 1.5, identity, x), (F64,), TypeError, "integer"),
]  # fmt: skip


@pytest.mark.parametrize(("fn", "specs", "error", "message"), TYPES)
def test_a_carry_that_changes_its_type_is_named_traced_or_not(fn, specs, error, message):
    with pytest.raises(error, match=message) as traced:
        trace(fn, specs, {})
    with pytest.raises(error, match=message):
        fn(*(np.ones(s.shape, s.dtype) for s in specs))
    assert "test_control.py" in str(traced.value)


def write_outside(x, y):
    def body(i, x):
        y[0] = x[0]
        return x

    return fori_loop(0, 3, body, x)


def kept_outside(x):
    found = []

    def body(i, x):
        found.append(x * 2)
        return x

    fori_loop(0, 3, body, x)
    return found[0] + 1


def writes_in_the_test(x):
    def going(c):
        c[0] = 1.0
        return c.sum() < 3

    return while_loop(going, lambda c: c, x)


REFUSED = [
    (write_outside, (F64, F64), UnsupportedError, "writes to y, which .*Pass it in init"),
    (kept_outside, (F64,), UnsupportedError, "kept from the body.*Return it from the body"),
    (lambda x: fori_loop(0, 3, lambda i, x: np.polyfit(x, x, 2), x), (F64,), UnsupportedError,
     r"np\.polyfit has no native code.*before the loop"),
    (writes_in_the_test, (F64,), UnsupportedError, "writes to the carry"),
    (lambda x: fori_loop(0, 3, lambda i, x: x[:i].sum() + x, x), (F64,), BranchError,
     "the loop's counter"),
    (lambda x: while_loop(lambda c: True, lambda c: c, x), (F64,), UnsupportedError, "always true"),
    (lambda x: while_loop(lambda c: c > 0, lambda c: c, x), (F64,), ShapeError, "one value.*any"),
    (lambda x: cond(x[0] > 0, lambda: x, lambda: x[0]), (F64,), UnsupportedError,
     r"float64\[3\] from the lambda .* and float64\[\] from"),
    (lambda x: cond(x[0] > 0, lambda: x, lambda: None), (F64,), UnsupportedError, "the same tree"),
    (lambda x: cond(x[0] > 0, lambda: "a", lambda: "b"), (F64,), UnsupportedError, "'a'.*'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("fn", "specs", "error", "message"), REFUSED)
def test_what_no_loop_can_do_is_refused_with_the_way_out(fn, specs, error, message):
    with pytest.raises(error, match=f"(?s){message}") as info:
        trace(fn, specs, {})
    assert "test_control.py" in str(info.value)


@pytest.mark.parametrize("args", [(None,), (np.ones((2, 2)), 3), (np.float64(1),), (None, -1)])
def test_a_scan_must_know_its_length(args):
    with pytest.raises(ArgumentError, match="scan: "):
        scan(lambda c, x: (c, x), 0, *args)


def test_tensors_of_other_libraries_pass_as_they_are():
    torch = pytest.importorskip("torch")
    x = torch.ones(2, 3)
    carry, ys = scan(lambda c, row: (c + row, c.sum()), torch.zeros(3), x)
    assert torch.equal(carry, torch.full((3,), 2.0))
    assert torch.equal(ys, torch.tensor([0.0, 3.0]))
    with pytest.raises(UnsupportedError, match=r"torch\.float32"):
        fori_loop(0, 2, lambda i, x: x.double(), x)


def test_a_body_that_breaks_its_types_is_no_graph():
    graph = trace(lambda x: fori_loop(0, 3, lambda i, x: x + 1, x), (F64,), {}).graph
    graph.eqns[0].attrs["carries"] = 0
    with pytest.raises(GraphError):
        verify(graph)
