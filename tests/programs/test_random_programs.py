"""Random programs over the whole table of functions; see run.py for as many as one likes."""

from __future__ import annotations

import os
import re
import warnings

import pytest
from checking import check_compiled, check_traced
from drawing import draw
from statements import EXACT, LEFT_OUT, ROUNDED

from jitops.trace.elementwise import RULES
from jitops.trace.functions import HOME, find
from jitops.trace.intercept import CREATORS

TRACED, COMPILED, BATCH = 500, 72, 24
LONG = int(os.environ.get("JITOPS_PROGRAMS", "100000"))


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_random_programs_traced():
    failures = [(p, check_traced(p)) for p in map(draw, range(TRACED))]
    assert not [f"{p!r}\n# {reason}" for p, reason in failures if reason]


@pytest.mark.parametrize("first", range(0, COMPILED, BATCH))
def test_random_programs_compiled(first):
    failures = check_compiled([draw(TRACED + n) for n in range(first, first + BATCH)])
    assert not [f"{p!r}\n# {reason}" for p, reason in failures]


@pytest.mark.long
def test_many_random_programs():
    from run import check_range

    failed = []
    for first in range(0, LONG, 4 * BATCH):
        failed += check_range(first, min(LONG, first + 4 * BATCH), 4, BATCH)
    assert not failed


def test_a_program_is_the_same_for_the_same_seed():
    assert repr(draw(7)) == repr(draw(7))


UNNAMED = ("clip", "_ones_like")  # ufuncs that NumPy has no public name for


def test_statements_call_every_traced_function():
    called = set(re.findall(r"np\.([a-z_0-9.]+)", " ".join([*EXACT, *ROUNDED])))
    called |= {name.partition(".reduce")[0] for name in called}
    hosted = {name for name, home in HOME.items() if home == "hosted"}
    there = {name for name in HOME if find(name) is not None} - hosted
    missing = there | set(CREATORS) | {name for name in RULES if name not in UNNAMED}
    assert missing - called - set(LEFT_OUT) == set()


def test_most_statements_are_drawn():
    """A statement that NumPy never takes would test nothing."""
    texts = [text for n in range(TRACED) for _, text in draw(n).statements]
    drawn = {re.sub(r"\b[av]?\d[\w.]*\b", "", text) for text in texts}
    assert len(drawn) > 300
