"""Every ufunc's options and methods, compiled."""

from __future__ import annotations

import pytest
from against_numpy import same
from comparing import compare
from ufunc_methods import calls, tolerance, ufuncs

PER_OP = 60
DTYPES = ("int64", "float32", "complex128")


def _check(name, found, wanted, args):
    same(found, wanted, tolerance(name, args))


def _calls():
    return [call for dtype in DTYPES for f in ufuncs().values() for call in calls(f, dtype)]


COUNT = -(-len(_calls()) // PER_OP)


@pytest.mark.parametrize("part", range(COUNT))
def test_options_and_methods_compiled(part):
    compare(_calls()[part * PER_OP : (part + 1) * PER_OP], _check)
