"""matmul and the other ufuncs of core axes: where the axes are, and what NumPy refuses."""

from __future__ import annotations

import numpy as np
import pytest
from comparing import compare

from jitops import jitop

CUBE = np.random.default_rng(5).standard_normal((3, 3, 3))
WRONG = [
    (np.vecdot, {"axes": -1}),
    (np.vecdot, {"axes": [-1]}),
    (np.vecdot, {"axes": [-1.0, -1.0]}),
    (np.vecdot, {"axes": [-1, -1, -1]}),
    (np.vecdot, {"axes": [-1, (-2, -1), ()]}),
    (np.vecdot, {"axes": [0, 5]}),
    (np.vecdot, {"axes": [0, 0], "axis": 0}),
    (np.vecdot, {"axes": [0, 0, ()], "keepdims": True}),
    (np.vecdot, {"axis": (0,)}),
    (np.vecdot, {"keepdims": "true"}),
    (np.vecdot, {"dtype": "float32", "casting": "safe"}),
    (np.matmul, {"axis": 1}),
    (np.matmul, {"keepdims": False}),
    (np.matmul, {"axes": [(0, 1), (0, 1)]}),
    (np.matmul, {"axes": [(0, 0), (0, 1), (0, 1)]}),
    (np.matmul, {"dtype": "int64"}),
]


def test_core_axes_may_be_anywhere():
    options = [
        (np.vecdot, {"axes": [0, 1]}),
        (np.vecdot, {"axes": [0, 1], "keepdims": True}),
        (np.vecdot, {"axes": [0, 1, 2], "keepdims": True}),
        (np.vecdot, {"axis": 1, "keepdims": True}),
        (np.matmul, {"axes": [(0, 1), (2, 1), (0, 2)]}),
        (np.matvec, {"axes": [(0, 1), 1, 0]}),
        (np.vecmat, {"axes": [0, (0, 1), 1]}),
    ]
    calls = [
        (f"{f.__name__} {o}", lambda x, f=f, o=o: f(x, x[::-1], **o), (CUBE,)) for f, o in options
    ]
    compare(calls)


@pytest.mark.parametrize(("ufunc", "options"), WRONG, ids=str)
def test_core_axes_that_are_none_raise_what_numpy_raises(ufunc, options):
    with pytest.raises((TypeError, ValueError)) as numpys:
        ufunc(CUBE, CUBE, **options)
    with pytest.raises(numpys.type):
        jitop(lambda x: ufunc(x, x, **options))(CUBE)
