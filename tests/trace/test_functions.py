"""Every function of the table gives NumPy's values, dtypes, shapes and scalar-ness."""

import numpy as np
import pytest
from against_numpy import check
from cases import CASES

from jitops.trace.elementwise import RULES
from jitops.trace.functions import TABLE, VIEWS

NARROW = (np.dtype("float16"), np.dtype("float32"), np.dtype("complex64"))


@pytest.mark.parametrize("name", CASES)
def test_function_gives_numpys_result(name):
    fn, args = CASES[name]
    narrow = "dtype" in name or any(getattr(a, "dtype", None) in NARROW for a in args)
    half = any(getattr(a, "dtype", None) == np.float16 for a in args)
    check(fn, *args, rtol=1e-2 if half else 1e-5 if narrow else 1e-9)


def test_the_tables_cover_more_than_two_hundred_functions():
    assert len({*TABLE, *VIEWS}) + len(RULES) >= 240
