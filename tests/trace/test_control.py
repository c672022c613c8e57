"""Control flow, traced: graphs that mean what the plain functions do, and errors that help."""

from __future__ import annotations

import json

import pytest
from against_numpy import check
from control_programs import PROGRAMS

from jitops.graph.serial import from_json, to_json


@pytest.mark.parametrize(("fn", "args"), [p[1:] for p in PROGRAMS], ids=[p[0] for p in PROGRAMS])
def test_a_traced_program_means_what_the_function_does(fn, args):
    graph = check(fn, *args).graph
    assert str(from_json(json.loads(json.dumps(to_json(graph))))) == str(graph)
