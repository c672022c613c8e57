"""Every function of the table gives NumPy's values, dtypes, shapes and scalar-ness."""

import numpy as np
import pytest
from against_numpy import check
from all_cases import CASES
from scipy.special import logsumexp

from jitops.host import DRAWS, FUNCTIONS
from jitops.trace.elementwise import RULES
from jitops.trace.functions import HOME, find, name_of, room, rule_of
from jitops.trace.intercept import CREATORS

NARROW = (np.dtype("float16"), np.dtype("float32"), np.dtype("complex64"))


@pytest.mark.parametrize("name", CASES)
def test_function_gives_numpys_result(name):
    fn, args = CASES[name]
    narrow = "dtype" in name or any(getattr(a, "dtype", None) in NARROW for a in args)
    if name.partition("-")[0] not in HOME and not hasattr(np, "unstack"):
        pytest.skip("written for NumPy 2")
    if find(name.partition("-")[0]) is None and name.partition("-")[0] in HOME:
        pytest.skip("this NumPy does not have the function")
    half = any(getattr(a, "dtype", None) == np.float16 for a in args)
    check(fn, *args, rtol=1e-2 if half else 1e-5 if narrow else 1e-9)


def test_the_tables_cover_more_than_two_hundred_functions():
    there = [name for name in HOME if find(name) is not None]
    assert len(there) + len(RULES) >= 240


def test_each_function_has_its_rule_where_the_list_of_rooms_says():
    for name, home in HOME.items():
        assert rule_of(name)[0] is not None, name
        found = find(name)
        assert found is None or name_of(found) == name
        for table in ("VIEWS", "MUTATING", "TABLE"):
            listed = set(getattr(room(home), table, {}))
            assert listed <= {n for n, h in HOME.items() if h == home} | {"permute_dims", "concat"}


def test_each_host_step_has_its_rule():
    assert {*room("hosted").STEPS, *room("fourier").TABLE} == FUNCTIONS


def test_each_draw_of_the_table_has_its_rule_and_may_be_run():
    drawn = room("drawing").DRAWN
    assert {name.rpartition(".")[2] for name in DRAWS} == set(drawn)
    assert all(find(name) is not None for name in DRAWS)


def test_each_creation_function_is_intercepted():
    assert set(CREATORS) == set(room("creation").MAKERS)


DOUBLED = np.vectorize(lambda x: x * 2 + 1)


def test_functions_that_were_imported_by_name_are_found():
    check(lambda x: DOUBLED(x) + logsumexp(x), np.arange(3.0))
