"""Every ufunc with out=, where=, dtype=, casting=, and its methods, over all dtypes."""

import pytest
from against_numpy import check
from ufunc_methods import DTYPES, calls, tolerance, ufuncs


@pytest.mark.parametrize("name", ufuncs())
def test_options_and_methods_give_numpys_results(name):
    failures = []
    for dtype in DTYPES:
        for call, fn, args in calls(ufuncs()[name], dtype):
            try:
                check(fn, *args, rtol=tolerance(call, args))
            except Exception as error:  # say which of the calls it was
                failures.append(f"{call}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)
