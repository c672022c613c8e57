"""NumPy's objects that make arrays while a function is traced: grids, and the class of arrays."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.ma as masked
import pytest
from against_numpy import check, same

import jitops
from jitops.errors import UnsupportedError


def grids(x: Any, n: int) -> Any:
    i, j = np.mgrid[0:n, 1 : 2 * n : 2]
    u, v = np.ogrid[0 : n / 2 : 0.5, -1:1:5j]
    return i * x[0] + j, u + v, np.mgrid[2:n], np.mgrid[0:2, 0:n][1]


def with_array_class(x: Any, n: int) -> Any:
    out = np.ndarray((n, 2), dtype=np.float32)
    out[:, 0] = x[:n]
    out[:, 1] = isinstance(x, np.ndarray) and issubclass(np.ndarray, object)
    flat = np.ndarray(n)
    flat[:] = x[:n] * 2
    return out, flat


def owned(x: Any, n: int) -> Any:
    """Arrays that no argument leads to are the function's own, to write to."""
    ramp = np.fromfunction(lambda i, j: i + 2 * j, (2, n))
    ramp[0, 1] = x[0]
    np.maximum.at(ramp, [1], x[1])
    rows, columns = np.diag_indices(n)
    rows *= 2
    rows[0] = x[2].astype(int)
    square = np.outer(x[:n], x[:n])
    square[np.diag_indices(n)] = x[0]
    return ramp, rows, columns, square


def totals(x: Any, n: int) -> Any:
    """Results that no argument leads to, of no axes and different dtypes."""
    rows, columns = np.tril_indices(n)
    made = [np.tensordot(rows, columns, 1).astype(d) for d in "fdlihbFD"]
    return *made, x


@pytest.mark.parametrize("function", [grids, with_array_class, owned, totals])
def test_they_give_what_numpy_gives(function, tmp_path):
    x = np.arange(1.0, 9)
    with jitops.options(cache_dir=str(tmp_path), strict=True):
        found = jitops.jitop(function)(x, 5)
    for f, w in zip(found, function(x, 5)):
        same(f, w, 1e-12)


def test_an_array_on_given_memory_is_refused_with_its_line(tmp_path):
    def on_memory(x: Any) -> Any:
        return np.ndarray((2,), buffer=x)

    with pytest.raises(UnsupportedError, match=r"buffer=.*test_objects\.py:\d+"):
        jitops.jitop(on_memory)(np.ones(2))


def from_iterators(x: Any, n: int) -> Any:
    doubles = (2 * v for v in x)
    return np.fromiter(doubles, np.float32, n), np.fromiter(x[:2], float), np.fromiter((1, 2), "i4")


def test_iterators_of_traced_values():
    check(from_iterators, np.linspace(0, 1, 5), 3)
    with pytest.raises(ValueError, match="iterator too short"):
        jitops.jitop(lambda x: np.fromiter(x, float, 9), strict=True)(np.ones(3))


def test_other_classes_of_arrays_can_be_asked_for_but_not_made():
    def asks(x):
        known = isinstance(x, (np.ma.MaskedArray, np.matrix)) or np.ma.isMaskedArray(x)
        return -x if known else 2 * x

    check(asks, np.ones(3))
    for make in (
        lambda x: np.matrix(x) * 2,
        lambda x: np.ma.masked_where(x > 1, x).mean(),
        lambda x: np.ma.MaskedArray(x),
        lambda x: masked.array(x),
    ):
        with pytest.raises(UnsupportedError, match=r"(?s)np.ma.*not supported.*test_objects"):
            jitops.jitop(make, strict=True)(np.ones((2, 2)))


class Column:
    """An array of another library: its values are where they are, or copied each time."""

    def __init__(self, values, copies=False):
        self.values = np.array(values)
        self.copies = copies

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values) if self.copies else self.values


class Tagged(np.ndarray):
    pass


class Wrapped(Column):
    def __array_wrap__(self, array, context=None, return_scalar=False):
        return Wrapped(array)


def test_arrays_of_other_libraries_around_an_op_count_with_their_present_contents():
    column, wrapped, buffer = Column([1.0, 2.0]), Wrapped([3.0, 4.0]), array("d", [10, 20])
    op = jitops.jitop(lambda x: x + column + np.asarray(wrapped) + buffer, strict=True)
    np.testing.assert_array_equal(op(np.zeros(2)), [14, 26])
    column.values[0], wrapped.values[1], buffer[0] = 9, 0, 0
    np.testing.assert_array_equal(op(np.zeros(2)), [12, 22])


@pytest.mark.parametrize(
    "other",
    [Wrapped([1.0]), np.ones(1).view(Tagged), np.ma.array([1.0]), Column([1.0], copies=True)],
    ids=["wraps", "subclass", "masked", "copies"],
)
def test_arrays_of_other_classes_around_an_op_are_refused(other):
    for fn in (lambda x: x * other, lambda x: np.minimum(x, other)):
        with pytest.raises(UnsupportedError, match=r"np\.asarray.*as an argument"):
            jitops.jitop(fn, strict=True)(np.ones((1, 1)))
