"""What a call costs before any work is done: with tiny arrays, only the way to the kernel counts.

    python benchmarks/latency.py --json latency.json --png latency.png

Each contender runs the same kind of statement: one call with its own arrays, the result allocated.
JAX's result is awaited, since the others' is there when they return.
"""

from __future__ import annotations

import timeit
from typing import Any

import numpy as np
from measure import Options, interleaved, report

from jitops import jitop


def negative(x):
    return -x


def add(x, y):
    return x + y


def scale(x, factor):
    return x * factor


def add5(a, b, c, d, e):
    return a + b + c + d + e


FUNCTIONS = {f.__name__: f for f in (negative, add, scale, add5)}

# case -> the statement, for all and for those that have an own one
STATEMENTS: dict[str, dict[str, str]] = {
    "two arrays, float32[16]": {
        "all": "add(a, b)",
        "numpy": "np.add(a, b)",
        "torch": "torch.add(a, b)",
    },
    "one array": {
        "all": "negative(a)",
        "numpy": "np.negative(a)",
        "torch": "torch.neg(a)",
    },
    "array and Python float": {
        "all": "scale(a, 2.0)",
        "numpy": "np.multiply(a, 2.0)",
        "torch": "torch.mul(a, 2.0)",
    },
    "two arrays by keyword": {"all": "add(x=a, y=b)"},
    "five arrays": {"all": "add5(a, b, c, d, e)"},
}

OWN_ARRAYS = {"torch": "jitops, torch tensors"}  # a peer is compared on its own kind of array


def namespace(who: str) -> dict[str, Any]:
    """The functions and arrays of a contender."""
    arrays: list[Any] = [np.full(16, i, dtype=np.float32) for i in range(5)]
    functions: dict[str, Any] = FUNCTIONS
    modules: dict[str, Any] = {"np": np}
    if who.startswith("jitops"):
        functions = {name: jitop(f) for name, f in FUNCTIONS.items()}
    if who == "numba":
        import numba

        functions = {name: numba.njit(f) for name, f in FUNCTIONS.items()}
    if who == "jax":
        import jax

        functions = {name: jax.jit(f) for name, f in FUNCTIONS.items()}
        arrays = [jax.numpy.asarray(array) for array in arrays]
    if "torch" in who:
        import torch

        modules["torch"] = torch
        arrays = [torch.from_numpy(array) for array in arrays]
    return {**modules, **functions, **dict(zip("abcde", arrays))}


def main() -> None:
    options = Options(__doc__.splitlines()[0], ("numpy", "numba", "jax", "torch"), repeat=41)
    contenders = ["jitops", *options.peers]
    if "torch" in options.peers:
        contenders.insert(1, "jitops, torch tensors")
    spaces = {who: namespace(who) for who in contenders}
    cases = []
    for name, statements in STATEMENTS.items():
        if not options.wants(name):
            continue
        timers = {}
        for who, space in spaces.items():
            statement = statements.get(who, statements["all"])
            if who == "jax":
                statement += ".block_until_ready()"
            timers[who] = timeit.Timer(statement, globals=space)
        cases.append(interleaved(name, timers, options.repeat, OWN_ARRAYS))
    report("Latency: one call, tiny arrays", cases, options)


if __name__ == "__main__":
    main()
