"""The garbage collector waits for traces and compiles, and for nothing else."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import numpy as np
import pytest

from jitops import jitop
from jitops.runtime.collector import Pause


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    was = gc.isenabled()
    gc.enable()
    yield
    (gc.enable if was else gc.disable)()


def test_no_collection_starts_while_a_function_is_traced():
    seen = []

    @jitop
    def f(x):
        seen.append(gc.isenabled())
        return x + 1

    f(np.ones(3))
    assert seen
    assert not any(seen)
    assert gc.isenabled()


def test_what_the_function_raises_ends_the_pause():
    @jitop
    def f(x):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        f(np.ones(3))
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off():
    gc.disable()
    jitop(lambda x: x * 2)(np.ones(3))
    assert not gc.isenabled()


def test_the_last_to_leave_ends_the_pause():
    pause = Pause()
    with pause:
        with pause:
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_during_a_pause_collects():
    pause = Pause()
    with pause:
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
