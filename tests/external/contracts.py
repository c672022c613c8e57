"""What NumPy's tests ask for that an op, by its contract, does not give: docs/semantics.md.

Each reason, the tests that need it, as patterns of ``module.Class::test``. A pattern that excuses
nothing is an error of the runner, so that the list cannot outlive its reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

CONTRACTS: dict[str, tuple[str, ...]] = {
    "kernels raise no floating-point errors and give no warnings about values": (
        "test_numeric.TestFloatExceptions::test_floating_exceptions*",
        "test_numeric.TestIsclose::test_tol_warnings",
    ),
    "results are fresh arrays in C order, never views": (
        "test_numeric.TestLikeFuncs::test_*_like",
        "test_numeric.TestNonarrayArgs::test_reshape_copy_arg",
        "test_numeric.TestRollaxis::test_results",
    ),
}


def matches(name: str, pattern: str) -> bool:
    """Whether the pattern is of this test; brackets stand for themselves."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def excused(names: Iterable[str]) -> dict[str, str]:
    """The tests among these that a contract excuses, each with the reason."""
    pairs = [(p, reason) for reason, patterns in CONTRACTS.items() for p in patterns]
    return {name: reason for name in names for p, reason in pairs if matches(name, p)}


def idle(module: str, names: Iterable[str]) -> list[str]:
    """The patterns of a module that excuse none of these tests."""
    mine = [p for patterns in CONTRACTS.values() for p in patterns if p.startswith(f"{module}.")]
    return [p for p in mine if not any(matches(name, p) for name in names)]
