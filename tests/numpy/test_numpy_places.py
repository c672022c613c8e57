"""Reading and writing at places that the op gets as arguments: indices in turn, masks, edits."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import compare

from jitops import jitop

RNG = np.random.default_rng(3)
LINE = RNG.standard_normal(6)
ROWS = RNG.standard_normal((6, 2))
CUBE = RNG.standard_normal((2, 6, 3))
MASK = np.array([True, False, True, False, False, True])
TWICE = np.array([1, 1, 2, 0, -1, 1])
ONE = np.array([4])


def put(x, where, value):
    x[where] = value


def put_columns(x, mask, value):
    x[:, mask] = value


def put_selected(x, mask, y, other):
    x[mask] = y[other]


def test_ufunc_at_converts_after_each_index():
    small = np.arange(6, dtype="int8")
    calls = [
        ("unary", lambda x, i: np.square.at(x, i), (LINE.copy(), TWICE)),
        ("unary converting", lambda x, i: np.sqrt.at(x, i), (np.arange(6) * 30, TWICE)),
        ("divide", lambda x, i, v: np.divide.at(x, i, v), (np.arange(6) * 30, TWICE, TWICE + 2)),
        ("wide values", lambda x, i, v: np.maximum.at(x, i, v), (small.copy(), TWICE, TWICE * 99)),
        ("wide sums", lambda x, i, v: np.add.at(x, i, v), (small.copy(), TWICE, TWICE * 99)),
        ("bools", lambda x, i, v: np.add.at(x, i, v), (MASK.copy(), TWICE, TWICE)),
        (
            "axes apart",
            lambda x, i, v: np.logaddexp.at(x, (i[:2], slice(None), i[:2]), v),
            (CUBE.copy(), np.array([1, 0, 1]), np.ones((2, 1))),
        ),
        ("mask", lambda x, m, v: np.add.at(x, m, v), (LINE.copy(), MASK, np.arange(3.0))),
    ]
    compare(calls)


def test_ufunc_at_refuses_what_numpy_refuses():
    def message(fn):
        with pytest.raises((TypeError, ValueError)) as error:
            fn(np.arange(3.0), np.array([0, 1]))
        return str(error.value)

    for fn in (
        lambda x, i: np.add.at(x, i),
        lambda x, i: np.negative.at(x, i, x[:2]),
        lambda x, i: np.modf.at(x, i),
        lambda x, i: np.matmul.at(x, i, x[:2]),
    ):
        assert message(jitop(fn)).startswith(message(fn)[:30])


def test_reduceat_takes_indices_from_arguments():
    many = RNG.standard_normal(2000)
    places = np.array([0, 127, 128, 384, 513, 3, 1900, 1, 1999])
    calls = [
        ("sum", lambda x, i: np.add.reduceat(x, i), (many, places)),
        ("difference", lambda x, i: np.subtract.reduceat(x, i), (many, places)),
        ("maximum", lambda x, i: np.maximum.reduceat(x, i, axis=1), (ROWS.T.copy(), TWICE % 6)),
        ("int8", lambda x, i: np.add.reduceat(x, i), (np.full(6, 99, "int8"), TWICE % 6)),
        ("dtype", lambda x, i: np.add.reduceat(x, i, dtype="float32"), (LINE, TWICE % 6)),
        ("many known", lambda x: np.add.reduceat(x, np.arange(0, 2000, 10)), (many,)),
        ("none", lambda x, i: np.add.reduceat(x, i), (LINE, TWICE[:0])),
        ("none of none", lambda x, i: np.add.reduceat(x, i), (LINE[:0].copy(), TWICE[:0])),
    ]
    compare(calls)


def test_reductions_without_a_primitive_take_lines_of_any_length():
    x = 1 + RNG.random((2, 700))
    calls = [
        ("reduce", lambda x: np.subtract.reduce(x, axis=1), (x,)),
        ("where", lambda x: np.divide.reduce(x, axis=1, initial=9.0, where=x > 1.3), (x,)),
        ("accumulate", lambda x: np.subtract.accumulate(x, axis=1), (x,)),
    ]
    compare(calls)


def test_a_mask_takes_as_many_values_as_it_selects():
    calls = [
        ("line", put, (LINE.copy(), MASK, np.arange(3.0))),
        ("matrix", put, (ROWS.reshape(2, 6), MASK.repeat(2).reshape(2, 6), np.arange(6))),
        ("rows", put, (ROWS.copy(), MASK, RNG.standard_normal((3, 2)))),
        ("column", put, (ROWS.copy(), MASK, RNG.standard_normal((1, 3, 1)))),
        ("inner axis", put_columns, (CUBE.copy(), MASK, RNG.standard_normal((2, 3, 1)))),
        ("inner axis, rows", put_columns, (CUBE.copy(), MASK, RNG.standard_normal((3, 3)))),
        ("inner axis, all", put_columns, (CUBE.copy(), MASK, RNG.standard_normal((2, 1, 3)))),
        ("nothing", put, (LINE.copy(), MASK & False, np.zeros(0))),
        ("other mask", put_selected, (ROWS.copy(), MASK, CUBE[0, :, :2], MASK[::-1].copy())),
        ("one row", put_selected, (ROWS.copy(), MASK, CUBE[0, :, :2], LINE[3] == LINE)),
    ]
    compare(calls)


@pytest.mark.parametrize("values", [np.ones(2), np.ones(0)])
def test_a_mask_that_selects_another_number_of_elements_raises_and_writes_nothing(values):
    x = LINE.copy()
    with pytest.raises(ValueError, match="another number of elements"):
        jitop(put)(x, MASK, values)
    with pytest.raises(ValueError, match="another number of elements"):
        jitop(put_selected)(x, MASK, LINE, LINE == LINE)
    assert np.array_equal(x, LINE)


def test_insert_and_delete_take_indices_from_arguments():
    calls = [
        ("several", lambda x, i, v: np.insert(x, i, v), (LINE, TWICE, TWICE)),
        ("axis", lambda x, i: np.insert(x, i, 7.0, axis=1), (CUBE, np.array([6, -6, 3]))),
        ("one", lambda x, i, v: np.insert(x, i, v), (LINE, ONE, np.arange(3.0))),
        ("scalar", lambda x, i, v: np.insert(x, i[0], v, axis=0), (ROWS, ONE, np.arange(2.0))),
        ("none", lambda x, i: np.insert(x, i, 7.0), (LINE, ONE[:0])),
        ("delete", lambda x, i: np.delete(x, i), (LINE, ONE)),
        ("delete row", lambda x, i: np.delete(x, i[0] - 5, axis=0), (ROWS, ONE)),
    ]
    compare(calls)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, i: np.insert(x, i + 3, 1.0),
        lambda x, i: np.delete(x, i + 2),
        lambda x, i: np.add.reduceat(x, i - 5),
        lambda x, i: np.subtract.reduceat(x, i + 2),
        lambda x, i: np.negative.at(x, i + 2),
    ],
)
def test_an_index_outside_is_an_index_error(fn):
    x = LINE.copy()
    with pytest.raises(IndexError):
        fn(x, ONE)
    with pytest.raises(IndexError, match="out of bounds"):
        jitop(fn)(x, ONE)
    assert np.array_equal(x, LINE)
