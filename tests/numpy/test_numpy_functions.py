"""Every function of the trace's table, compiled: NumPy's values, dtypes, shapes and scalar-ness."""

from __future__ import annotations

import pytest
from all_cases import CASES
from comparing import compare

from jitops.lower.math import MATH
from jitops.trace.functions import HOME, find

GROUP = 30
UNINITIALISED = {"empty", "empty_like"}  # whatever was in memory
NOT_LOWERED = set() if ("lgamma", "float64") in MATH else {"gammaln"}


def _names() -> list[str]:
    there = []
    for name in CASES:
        function = name.partition("-")[0]
        if function in UNINITIALISED | NOT_LOWERED:
            continue
        if function not in HOME or find(function) is not None:
            there.append(name)
    return there


GROUPS = [_names()[n : n + GROUP] for n in range(0, len(_names()), GROUP)]


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: f"{names[0]}..{names[-1]}")
def test_compiled_functions_give_numpys_results(names):
    compare([(name, *CASES[name]) for name in names])
