"""Writes: to locals, views and arguments; and where NumPy gives a view, where a copy."""

import numpy as np
import pytest
from against_numpy import check, trace
from hypothesis import given, settings
from hypothesis import strategies as st

from jitops.errors import UnsupportedError

A = np.arange(12.0).reshape(3, 4)
V = np.arange(1.0, 5)
OUTSIDE = np.arange(4.0)
TABLE = np.array([3, 1, 0, 2])


def _slice_add(a, b):
    a[1:-1] += b


def _jacobi(a, n_steps=3):
    b = a.copy()
    for _ in range(n_steps):
        b[1:-1, 1:-1] = 0.25 * (a[:-2, 1:-1] + a[2:, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:])
        a, b = b, a
    return a, b


def _overlap(a):
    a[1:] += a[:-1]
    a[:, ::-1] *= a


def _through_views(a):
    v = a[1:]
    w = v.T[::-1]
    w[0] = -1
    r = a.reshape(-1)
    r[0] = 100
    f = np.flip(a)
    f[0, 0] = 7
    a.T[2] += 1
    v[...] += v[0]
    return w, r


def _locals(x):
    out = np.zeros((3, 4))
    out[0] = x[0]
    out[:, 1] += 2
    out[-1, ::2] = x[1, ::2] * 3
    s = out[0, 0]
    s += 5
    d = np.full(3, 2)
    d[1] += 1
    return out, s, d[1], d


def _masks(a, b):
    a[a > 5] = 0
    a[b > 0.5] += b[b > 0.5]
    b[~(b > 0)] *= -1
    a[1, a[1] == 0] = 9
    return a[a > 1].sum(), b[b > 0].mean(), a[a > 2].max()


def _integers(a, i):
    a[[0, 2]] = -1
    a[:, TABLE] += 1
    a[i] = 5
    a[np.arange(3), np.arange(3)] = 0
    return a[TABLE[:3] % 3], a[i, 1], a[:, [1, 1, 0]], a[[0, 1], [1, 2]]


def _in_place_operators(a, b):
    a += 1
    a -= b
    a *= 2
    a /= 3
    a **= 2
    a //= 2
    a %= 5
    return a


def _copies(a):
    for c in (a.copy(), a.flatten(), a.astype(float), a + 0, np.array(a), a[[0, 1]], a.T.ravel()):
        c[...] = 99
    for v in (a.ravel(), np.asarray(a).reshape(4, 3), a.squeeze(), np.atleast_3d(a)):
        v[0] += 1
    t = a.T.reshape(-1)  # a copy: the transpose does not lie in one run
    t[0] = 55
    f = (a.T + 1).ravel()
    f[0] = -1
    g = a.T + 1  # NumPy keeps its axes in the order of a.T
    h = g.reshape(-1)
    h[:] = 0
    return g


def _complex_parts(z):
    z.real[0] = 5
    z.imag *= 2
    return z.real, z.imag


def _numpy_writers(a, b):
    np.add(a, b, out=a)
    np.copyto(b, a[0])
    a.fill(3)
    np.clip(b, 0, 2, out=b)
    np.multiply(a[0], 2, out=a[1])
    np.cumsum(a, axis=0, out=a)


PROGRAMS = {
    "slice": (_slice_add, A, V), "jacobi": (_jacobi, A), "overlap": (_overlap, A),
    "views": (_through_views, A), "locals": (_locals, A), "masks": (_masks, A, np.sin(A)),
    "integers": (_integers, A, 1), "operators": (_in_place_operators, A, V),
    "copies": (_copies, A), "complex": (_complex_parts, A + 1j),
    "writers": (_numpy_writers, A, A[::-1] * 1),
    "ints": (lambda a: a.__iadd__(2).__imul__(3), np.arange(4)),
    "flat": (lambda a: a.flat.__setitem__(slice(0, 3), 9.0), A.T),
    "swap": (lambda a: a.__setitem__(([0, 1],), a[[1, 0]]), A),
    "diag": (lambda a: np.fill_diagonal(a, np.arange(3)), A),
    "0d": (lambda a: a.__iadd__(1), np.array(2.0)),
    "ellipsis": (lambda a: a[..., 0].__iadd__(a[..., None, 1][..., 0]), A),
    "setting-shape": (lambda a: [b := np.ones((3, 4)), setattr(b, "shape", (4, 3)), b][2], A),
    "negative-steps": (lambda a: a[::-2, 3:0:-1].__imul__(2), A),
    "traced-index": (lambda a, i: (a.__setitem__((i, 1), 9), a.__setitem__(i[0], 3))[0], A,
                     np.array([2, -1])),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_a_program_that_writes_leaves_what_numpy_leaves(name, layout):
    fn, *args = PROGRAMS[name]
    args = [_laid_out(a, layout) if isinstance(a, np.ndarray) else a for a in args]
    check(fn, *args)


def _laid_out(a, layout):
    if layout == "F":
        return np.asfortranarray(a)
    if layout == "strided" and a.ndim:
        wide = np.zeros((*a.shape[:-1], a.shape[-1] * 2), a.dtype)
        wide[..., ::2] = a
        return wide[..., ::2]
    return a


def test_only_written_arguments_are_written_back():
    traced = trace(_slice_add, (A, V), {})
    assert traced.mutated == {0: 0}
    assert trace(lambda a: a + 1, (A,), {}).mutated == {}


def test_the_same_object_comes_back():
    def f(a, b):
        a += b
        return a, b, a

    assert trace(f, (A, V), {}).result == ("tuple", (("arg", 0), ("arg", 1), ("arg", 0)))


def test_writing_to_a_captured_array_is_refused_by_name():
    def f(x):
        OUTSIDE[0] = x[0]

    def g(x):
        y = OUTSIDE
        y += x

    for fn in (f, g):
        with pytest.raises(
            UnsupportedError, match=r"OUTSIDE.*test_mutation.py:\d+.*as an argument"
        ):
            trace(fn, (V,), {})


def test_read_only_views_cannot_be_written():
    for fn in (
        lambda a: np.broadcast_to(a, (2, 3, 4)).__setitem__(0, 1),
        lambda a: np.diagonal(a).__setitem__(0, 1),
    ):
        with pytest.raises(ValueError, match="read-only"):
            trace(fn, (A,), {})


def test_in_place_casts_follow_numpys_rule():
    with pytest.raises(TypeError, match="annot cast"):
        trace(lambda a: a.__iadd__(1.5), (np.arange(3),), {})
    with pytest.raises(TypeError, match="annot cast"):
        trace(lambda a: a.__itruediv__(2), (np.arange(3),), {})


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["set", "add", "view", "transpose", "ravel", "flip", "copy", "mask", "row"]
        ),
        st.integers(-3, 3),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=7,
)


def _random_program(steps):
    def run(x, y):
        a, b = x, y
        for kind, start, step in steps:
            if kind == "set":
                b[start % max(len(b), 1) :: step] = start
            elif kind == "add" and a.shape == b.shape:
                a += b
            elif kind == "view" and len(a) > 1:
                a = a[(start % 2) :: step]
            elif kind == "transpose":
                a, b = b, a.T
            elif kind == "ravel":
                b = a.reshape(-1)
            elif kind == "flip":
                b = b[::-1]
            elif kind == "copy":
                b = b.copy() * 2
            elif kind == "mask":
                a[a > start] -= 1
            elif kind == "row":
                b[0] = b[-1] + start
        return a, b, a.sum()

    return run


@settings(max_examples=80, deadline=None, derandomize=True)
@given(STEPS)
def test_a_random_program_of_views_and_writes_agrees(steps):
    check(_random_program(steps), np.arange(12.0).reshape(3, 4), np.arange(12.0).reshape(3, 4) - 5)
