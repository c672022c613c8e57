"""Every ufunc's options and methods, compiled: of each, one dtype; in the long run, three."""

from __future__ import annotations

import pytest
from against_numpy import same
from comparing import compare
from ufunc_methods import calls, tolerance, ufuncs

PER_OP = 60
DTYPES = ("int64", "float32", "complex128")


def _check(name, found, wanted, args):
    same(found, wanted, tolerance(name, args))


def _all():
    """The calls of each ufunc, for each dtype that it takes."""
    each = [[list(calls(f, dtype)) for dtype in DTYPES] for f in ufuncs().values()]
    return [[c for c in taken if c] for taken in each]


def _parts(every):
    several = [c for n, taken in enumerate(_all()) if taken for c in _chosen(taken, n, every)]
    return [several[n : n + PER_OP] for n in range(0, len(several), PER_OP)]


def _chosen(taken, n, every):
    return [c for part in taken for c in part] if every else taken[n % len(taken)]


@pytest.mark.parametrize("part", _parts(every=False), ids=lambda part: part[0][0])
def test_options_and_methods_compiled(part):
    compare(part, _check)


@pytest.mark.long
@pytest.mark.parametrize("part", _parts(every=True), ids=lambda part: part[0][0])
def test_options_and_methods_of_all_dtypes_compiled(part):
    compare(part, _check)
