"""Control flow, compiled: against the same functions run eagerly."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from against_numpy import duplicated, same
from control_programs import PROGRAMS

from jitops import jitop


@pytest.mark.parametrize(("fn", "args"), [p[1:] for p in PROGRAMS], ids=[p[0] for p in PROGRAMS])
def test_compiled_programs_give_what_the_functions_give(fn, args):
    mine, numpys = duplicated(args), duplicated(args)
    op = jitop(fn)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        same(op(*mine), op.eager(*numpys), 1e-5)
        same(mine, numpys)
        same(op(*mine), op.eager(*numpys), 1e-5)
    assert op.stats()["misses"] == 1
