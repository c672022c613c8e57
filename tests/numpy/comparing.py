"""Several NumPy calls in one op: one compile serves them all, each is compared alone."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from against_numpy import duplicated, same
from hypothesis import HealthCheck, settings

from jitops import jitop

Call = tuple[str, Callable[..., Any], tuple[Any, ...]]
Compare = Callable[[str, Any, Any, tuple[Any, ...]], None]


def tolerance(args: Sequence[Any]) -> float:
    """The relative error that another order of summation may cause."""
    dtypes = [getattr(a, "dtype", None) for a in args]
    if np.dtype("float16") in dtypes:
        return 1e-2
    narrow = (np.dtype("float32"), np.dtype("complex64"))
    return 1e-5 if any(d in narrow for d in dtypes) else 1e-9


def close(name: str, found: Any, wanted: Any, args: tuple[Any, ...]) -> None:
    same(found, wanted, 1e-5 if "dtype" in name else tolerance(args))


def compare(calls: Sequence[Call], check: Compare = close) -> None:
    """Run the calls in one op and eagerly; results and changed arguments are the same."""

    def together(arguments: Any) -> Any:
        return [fn(*a) for (_, fn, _), a in zip(calls, arguments)]

    eager = copy.deepcopy([args for _, _, args in calls])
    compiled = duplicated([args for _, _, args in calls])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        wanted = together(eager)
        op = jitop(together)
        found = op(compiled)
    assert op.stats()["misses"] == 1
    failures = []
    for (name, _, args), f, w, after, numpys in zip(calls, found, wanted, compiled, eager):
        try:
            check(name, f, w, args)
            for mine, theirs in zip(after, numpys):
                if isinstance(mine, np.ndarray):
                    check(name + " argument", mine, theirs, args)
        except AssertionError as error:
            failures.append(f"{name}: {error}")
    assert not failures, "\n".join(failures)


def agree(
    names: Sequence[str], found: Sequence[Any], wanted: Sequence[Any], check: Callable[..., None]
) -> None:
    """Check every pair of results; one error names all that differ."""
    failures = []
    for name, f, w in zip(names, found, wanted, strict=True):
        try:
            check(f, w)
        except AssertionError as error:
            failures.append(f"{name}: {error}")
    assert not failures, "\n".join(failures)


def drawn(count: int) -> settings:
    """How many programs hypothesis draws for a test, the same ones in every run."""
    health = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=count, deadline=None, derandomize=True, suppress_health_check=health
    )
