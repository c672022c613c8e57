"""No function of NumPy is forgotten: each is traced, made while tracing, or refused by name."""

import numpy as np
import pytest
from coverage import NOT, method_ways, public, ways
from functions_page import PAGE, page

from jitops.errors import TraceError
from jitops.trace import trace
from jitops.trace.refused import METHODS, REFUSED


def test_each_public_function_of_numpy_has_one_way():
    wrong = {name: sorted(ways(name, f)) for name, f in public() if len(ways(name, f)) != 1}
    assert not wrong


def test_each_method_of_ndarray_has_one_way():
    names = [name for name in dir(np.ndarray) if not name.startswith("__")]
    wrong = {name: sorted(method_ways(name)) for name in names if len(method_ways(name)) != 1}
    assert not wrong


ARGUMENTS = {
    "busday_count": 2, "busday_offset": 2, "intersect1d": 2, "union1d": 2, "setdiff1d": 2,
    "setxor1d": 2, "polymul": 2, "polydiv": 2, "histogram2d": 2, "isin": 2,
}  # fmt: skip
EXTRA = {
    "percentile": (50,), "quantile": (0.5,),
    "nanpercentile": (50,), "nanquantile": (0.5,),
    "fromregex": ("a", float),
}  # fmt: skip
FIRST = dict.fromkeys(("save", "savetxt", "savez", "savez_compressed"), ("file",))
# Not called with arrays at all, or not by an op: they meet no tracer.
FREE = {"base_repr", "binary_repr", "datetime_data", "typename", "frompyfunc", "nested_iters"}
FREE.add("isnat")  # NumPy's own TypeError: there are no dates among the arguments


@pytest.mark.parametrize("name", sorted(set(REFUSED) - FREE))
def test_a_refused_function_says_so_with_the_line(name):
    if not hasattr(np, name):
        pytest.skip("this NumPy does not have the function")
    x = np.ones(4)
    given = (x,) * ARGUMENTS.get(name, 1)

    def call(*arrays):
        arrays = FIRST.get(name, ()) + arrays
        return getattr(np, name)(*arrays, *EXTRA.get(name, ()))

    with pytest.raises(TraceError, match=rf"{name}\b.*test_coverage.py"):
        trace(call, given, {})


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_refused_method_says_so_with_the_line(name):
    with pytest.raises(TraceError, match=f"ndarray.{name} .*test_coverage.py"):
        trace(lambda x: getattr(x, name), (np.ones(3),), {})


def test_what_is_refused_is_refused_for_a_reason():
    assert all(reason.endswith(".") and len(reason) > 20 for reason in REFUSED.values())
    assert NOT in ways("unique", np.unique)


@pytest.mark.skipif(np.__version__ < "2.4", reason="the page is made with the newest NumPy")
def test_the_page_of_functions_is_what_the_tables_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tests/trace/functions_page.py"
