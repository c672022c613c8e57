"""Keys of every kind: the part, what is written, and the errors are NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import compare

from jitops import jitop


class Second:
    def __index__(self):
        return 1


class First:
    def __array__(self, dtype=None, copy=None):
        return np.array(0)


class Key(tuple):
    __slots__ = ()


KEYS = [
    True, False, np.True_, (True, [0, 1], True, [[2]]), (False, True, ...), (slice(None), True),
    (0, True, 0), ([0, 1], slice(None), True), (True, None, [0, 1]), (Second(), First()), First(),
    Key((0, 1)), Key(([0, 1], [0, 1])), [[]], (), ([True, False], [1]), [[True, False, True]] * 2,
]  # fmt: skip
MASK = [[True] * 6]
WRONG = [
    0.0, [0.0], "x", (None, "x"), [slice(None)], object(), ["a"], [None], [(..., ...)],
    (slice(0.0, None), 0.0), slice(1.0, 2), (False, [0, 1]), MASK, [True] * 3, (..., [True] * 2),
    (True,) * 70, (0, 0, 0), (..., ...),
]  # fmt: skip


def test_a_key_of_any_kind_takes_and_writes_what_numpy_does():
    def write(x, key):
        x[key] = 7

    a = np.arange(6.0).reshape(2, 3)
    calls = [(f"get {k}", lambda x, k=k: x[k], (a,)) for k in KEYS]
    calls += [(f"set {k}", lambda x, k=k: write(x, k), (a.copy(),)) for k in KEYS]
    calls += [(f"0-d {k}", lambda x, k=k: x[k], (np.array(3),)) for k in (True, np.False_, ...)]
    compare(calls)


@pytest.mark.parametrize("key", WRONG, ids=lambda key: str(key)[:20])
@pytest.mark.parametrize("shape", [(2, 3), ()])
def test_a_key_that_is_none_raises_what_numpy_raises(key, shape):
    with pytest.raises((IndexError, TypeError)) as numpys:
        np.ones(shape)[key]
    with pytest.raises(numpys.type):
        jitop(lambda x: x[key])(np.ones(shape))


def test_a_mask_that_does_not_fit_says_which_axis():
    x, mask = np.ones((2, 3)), np.ones((2, 4), bool)

    def write(x, mask):
        x[mask] = 0

    with pytest.raises(IndexError, match=r"axis 1; size of axis is 3 but .* boolean axis is 4"):
        jitop(write)(x, mask)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: np.reshape(x, (True, -1)),
        lambda x: np.take(x, [0], axis=False),
        lambda x: np.sum(x, axis=True),
        lambda x: np.zeros((True, 2)) + np.sum(x),
        lambda x: np.take(x, [7], mode="none"),
        lambda x: np.choose([0, 1], x, mode="none"),
        lambda x: np.put(x, [7], 1, mode="none"),
    ],
)
def test_bools_are_no_axes_or_sizes_and_modes_have_names(fn):
    with pytest.raises((TypeError, ValueError)) as numpys:
        fn(np.ones((2, 2)))
    with pytest.raises(numpys.type):
        jitop(fn)(np.ones((2, 2)))
