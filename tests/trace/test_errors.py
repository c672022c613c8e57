"""Errors name what, where, and the way out."""

import re

import numpy as np
import pytest

from jitops.errors import BranchError, ShapeError, TraceError, UnsupportedError
from jitops.trace import trace

X = np.arange(3, dtype="float32")
Y = np.arange(4, dtype="float32")


def message(fn, *args, kind=TraceError, **kwargs):
    with pytest.raises(kind) as caught:
        trace(fn, args, kwargs)
    return str(caught.value)


def test_a_branch_on_an_array_names_the_line_and_the_way_out():
    def f(x):
        if x.sum() > 0:
            return x
        return -x

    text = message(f, X, kind=BranchError)
    assert "test_errors.py:" in text
    assert "`if x.sum() > 0:`" in text
    assert "bool[]" in text
    assert "np.where" in text


def test_a_branch_on_a_runtime_float_suggests_static():
    def f(x, p):
        return x if p == 0.0 else x * p

    text = message(f, X, 0.5, kind=BranchError)
    assert "static" in text
    text = message(lambda x, p: x * float(p), X, 0.5, kind=BranchError)
    assert "static=('p',)" in text


def test_the_truth_of_many_elements_is_an_error():
    assert "bool()" in message(lambda x: x if x > 0 else -x, X, kind=BranchError)


@pytest.mark.parametrize(
    "fn", [lambda x: int(x[0]), lambda x: float(x[0]), lambda x: x[0].item(), lambda x: x.tolist(),
           lambda x: list(range(x[0].astype(int)))],
)  # fmt: skip
def test_values_are_not_there_while_tracing(fn):
    assert "known only when the op runs" in message(fn, X, kind=BranchError)


def test_shapes_that_do_not_broadcast_are_named():
    text = message(lambda a, b: a + b, X, Y, kind=ShapeError)
    assert text.startswith("cannot add float32[3] and float32[4] (test_errors.py:")
    assert "broadcast" in text
    with pytest.raises(ValueError, match="cannot multiply"):
        trace(lambda a, b: a * b, (X, Y), {})


@pytest.mark.parametrize(
    "fn",
    [
        lambda a, b: a @ b,
        lambda a, b: np.concatenate([a[None], b[None]]),
        lambda a, b: np.stack([a, b]),
        lambda a, b: a.reshape(2, 2),
        lambda a, b: np.einsum("i,i", a, b),
        lambda a, b: a.__setitem__(slice(0, 2), b),
        lambda a, b: np.where(a > 0, a, b),
        lambda a, b: np.add(a, 1, out=b),
    ],
)
def test_other_misfits_are_shape_errors_with_the_line(fn):
    assert "test_errors.py:" in message(fn, X, Y, kind=ShapeError)


def test_unsupported_functions_are_named():
    text = message(lambda x: np.roots(x), X, kind=UnsupportedError)
    assert "np.roots is not supported" in text
    assert "test_errors.py:" in text
    assert "np.trim_zeros" in message(lambda x: np.trim_zeros(x), X, kind=UnsupportedError)
    assert "np.where(mask" in message(lambda x: np.nonzero(x), X, kind=UnsupportedError)
    assert "np.where(condition, x, y)" in message(lambda x: np.where(x > 0), X)


def test_what_random_cannot_do_inside_is_refused_with_the_way_out():
    text = message(lambda x: np.random.bytes(3), X, kind=UnsupportedError)
    assert "np.random.bytes" in text
    assert "pass them as an argument" in text
    assert "default_rng" in message(lambda x: np.random.default_rng(0), X)


def test_a_selection_by_a_traced_mask_has_no_shape():
    for fn in (
        lambda x: x[x > 0],
        lambda x: len(x[x > 0]),
        lambda x: x[x > 0] + x,
        lambda x: x[np.arange(x.shape[0])[x > 0]],
    ):
        assert "depends on values" in message(fn, X, kind=UnsupportedError)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "b"]),
        np.array([1, None], dtype=object),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.zeros(2, dtype=[("a", "f4")]),
        np.zeros(2, dtype="longdouble"),
    ],
)
def test_dtypes_without_kernels_are_refused_naming_the_argument(array):
    text = message(lambda first, data: data, X, {"k": [array]}, kind=UnsupportedError)
    assert "data['k'][0]" in text
    assert "accepted: bool, integers" in text


def test_a_real_array_of_a_traced_one_is_refused():
    from numpy.lib.stride_tricks import as_strided

    assert "as_strided" in message(lambda x: as_strided(x, (2,)), X)
    text = message(lambda x: np.frombuffer(x), X, kind=Exception)
    assert text


def test_numpys_own_errors_pass():
    with pytest.raises(TypeError, match="boolean subtract"):
        trace(lambda m: m - m, (X > 0,), {})
    with pytest.raises(IndexError, match="out of bounds"):
        trace(lambda x: x[3], (X,), {})
    with pytest.raises(IndexError, match="too many indices"):
        trace(lambda x: x[0, 0], (X,), {})
    with pytest.raises(np.exceptions.AxisError):
        trace(lambda x: x.sum(axis=2), (X,), {})
    with pytest.raises(ValueError, match="zero-size array"):
        trace(lambda x: x.max(), (X[:0],), {})
    with pytest.raises(AttributeError):
        trace(lambda x: x.nothing, (X,), {})


VOLUME = np.zeros((1, 2, 3))
LINE, NOTHING = np.ones(5), np.ones(0)
WRONG_CALLS = {
    "moveaxis-source": (lambda x: np.moveaxis(x, 3, 0), VOLUME),
    "moveaxis-twice": (lambda x: np.moveaxis(x, [0, 0], [0, 1]), VOLUME),
    "moveaxis-destination": (lambda x: np.moveaxis(x, 0, -4), VOLUME),
    "rollaxis": (lambda x: np.rollaxis(x, 0, 5), VOLUME),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 7), VOLUME),
    "transpose-few": (lambda x: np.transpose(x, (0, 1)), VOLUME),
    "transpose-twice": (lambda x: np.transpose(x, (0, 0, 1)), VOLUME),
    "count_nonzero": (lambda x: np.count_nonzero(x, axis="foo"), VOLUME),
    "tensordot": (lambda x: np.tensordot(x, x, axes=([1, 1], [0, 0])), VOLUME),
    "cross": (lambda x: np.cross(x, x[:3]), LINE),
    "linalg.cross": (lambda x: np.linalg.cross(x[:2], x[:2]), LINE),
    "clip-few": (lambda x: np.clip(x, 2), LINE),
    "clip-twice": (lambda x: np.clip(x, 2, 3, max=4), LINE),
    "convolve-empty": (lambda x, y: np.convolve(y, x), LINE, NOTHING),
    "convolve-empty-kernel": (lambda x, y: np.convolve(x, y), LINE, NOTHING),
    "correlate-empty": (lambda x, y: np.correlate(y, x), LINE, NOTHING),
    "correlate-mode": (lambda x: np.correlate(x, x, mode="half"), LINE),
    "convolve-number": (lambda x: np.convolve(x, x, mode=3), LINE),
    "convolve-none": (lambda x: np.convolve(x, x, mode=None), LINE),
    "var": (lambda x: np.var(x, ddof=1, correction=0), LINE),
    "concatenate-both": (lambda x: np.concatenate([x], out=x, dtype=float), LINE.copy()),
    "concatenate-casting": (lambda x: np.concatenate([x, x], dtype=int, casting="safe"), LINE),
    "concatenate-axes": (lambda x, y: np.concatenate([x, y]), VOLUME, LINE),
    "concatenate-sizes": (lambda x: np.concatenate([x, x[:, :1]]), VOLUME),
    "vsplit": (lambda x: np.vsplit(x, 2), LINE),
    "gradient-many": (lambda x: np.gradient(x, x, x), LINE),
    "gradient-2d": (lambda x, h: np.gradient(x, h), LINE, np.ones((5, 1))),
    "nanmean-out": (lambda x, y: np.nanmean(x, out=y), LINE, np.zeros((), int)),
    "cov-samples": (lambda x: np.cov(x, aweights=x[:2]), LINE),
    "average": (lambda x, w: np.average(x, axis=(0, 1), weights=w), VOLUME, np.ones((2, 2))),
    "fill_diagonal": (lambda x: np.fill_diagonal(x, 0), LINE.copy()),
    "isin": (lambda x: np.isin(x, x, kind="quick"), LINE),
    "einsum-letter": (lambda x: np.einsum("%", x), LINE),
    "einsum-result": (lambda x: np.einsum("i->ij", x), LINE),
    "einsum-twice": (lambda x: np.einsum("i->ii", x), LINE),
    "einsum-casting": (lambda x: np.einsum("i,i->i", x, x, dtype=int), LINE),
    "out-position": (lambda x: np.add(x, x, ...), LINE),
    "out-shape": (lambda x, y: np.add(x, x, out=y), np.ones((4, 3)), np.ones((4, 1))),
    "pad-mode": (lambda x: np.pad(x, 1, "unknown"), LINE),
    "pad-option": (lambda x: np.pad(x, 1, "edge", end_values=2), LINE),
    "pad-float": (lambda x: np.pad(x, 1.5), LINE),
    "pad-empty": (lambda x: np.pad(x, 1, "edge"), NOTHING),
    "pad-length": (lambda x: np.pad(x, 1, "mean", stat_length=-2), LINE),
    "equal.reduce": (lambda x: np.equal.reduce(x), LINE),
}


@pytest.mark.skipif(not hasattr(np, "unstack"), reason="the messages are NumPy 2's")
@pytest.mark.parametrize("name", WRONG_CALLS)
def test_wrong_calls_raise_what_numpy_raises(name):
    fn, *args = WRONG_CALLS[name]
    with pytest.raises((ValueError, TypeError, RuntimeError)) as numpys:
        fn(*args)
    with pytest.raises(type(numpys.value), match=re.escape(str(numpys.value))):
        trace(fn, tuple(args), {})


def test_a_tracer_kept_from_another_trace_is_refused():
    kept = []
    trace(lambda x: kept.append(x), (X,), {})
    assert "another trace" in message(lambda x: x + kept[0], X, kind=UnsupportedError)


def test_exceptions_of_the_function_pass_and_numpy_is_restored():
    zeros = np.zeros
    with pytest.raises(KeyError):
        trace(lambda x: {}["k"], (X,), {})
    assert np.zeros is zeros


def test_a_loop_over_elements_that_would_unroll_without_end_says_so():
    def elements(x):
        for i in range(100_000):
            x[i % 3] += 1.5

    text = message(elements, X, kind=UnsupportedError)
    assert "unrolled" in text
    assert "jitops.fori_loop" in text
