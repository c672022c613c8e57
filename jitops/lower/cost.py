"""What one element costs: decides between recomputing and storing, and the parallel grain."""

from __future__ import annotations

from jitops.graph.graph import Eqn
from jitops.graph.ops import PRIMITIVES

# Relative to one vector addition; measured orders of magnitude, not cycles.
WEIGHTS: dict[str, int] = {
    **dict.fromkeys(("div", "sqrt", "erf", "exp", "exp2", "sigmoid", "cbrt"), 8),
    **dict.fromkeys(("log", "log2", "log10", "tanh", "expm1", "log1p", "hypot"), 12),
    **dict.fromkeys(("sin", "cos", "atan", "asin", "acos", "erfc", "sinh", "cosh"), 16),
    **dict.fromkeys(("tan", "atan2", "asinh", "acosh", "atanh", "pow", "lgamma"), 32),
    **dict.fromkeys(("fmod", "mod", "floordiv"), 32),
    "gcd": 256,
}

# Recomputing up to this much is cheaper than a trip through memory.
CHEAP = 6


def weight(eqn: Eqn) -> int:
    """The cost of one element of an inlined equation; moving data by index is free."""
    return WEIGHTS.get(eqn.op, 1) if PRIMITIVES[eqn.op].kind == "map" else 0


# A cost unit in nanoseconds, on one core of a current server CPU.
UNIT_NS = 0.04

# What a loop is taken for whose number of steps is known only when it runs.
UNKNOWN_TRIPS = 100

# Below this a fork and a join cost more than they gain.
PARALLEL_NS = 24_000
