"""JITOPS_CHECK: a fresh kernel is compared with the plain function before anyone else sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from services import Service, ready

from jitops.errors import CompileError

FUNCTIONS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (lambda x: np.tanh(x) * 2, (np.ones((3, 4), "float32"),)),
    (lambda x: (x.sum(axis=0), {"m": x.max()}), (np.ones((3, 4)),)),
    (lambda x: np.log(x), (np.ones(9),)),  # NaN for half of the inputs
    (lambda x, y: x @ y, (np.ones((5, 6), "float32"), np.ones((6, 7), "float32"))),
    (lambda x: x[::-1] * 2, (np.ones((4, 6))[::2, ::-1],)),
    (lambda x, n: x >> n, (np.ones(5, "int64"), 3)),
    (lambda x: x > 0.5, (np.ones((0, 3)),)),
    (lambda x, s: x * s, (np.ones(3), np.float32(2))),
]


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_a_right_kernel_carries_the_record_of_its_comparison(service: Service, number: int) -> None:
    service.configure(check=True, strict=True)
    fn, args = FUNCTIONS[number]
    with np.errstate(all="ignore"):
        service.op(fn)(*args)
    store = service.runtime.store()
    (entry,) = store.entries()
    record = store.load(entry).meta["check"]
    assert record["max_error"] <= record["tolerance"]
    assert record["seed"] >= 0


def drifting() -> Callable[..., Any]:
    """A function whose second run gives something else: as if the compiler had it wrong."""
    runs = [0]

    def drift(x: Any) -> Any:
        runs[0] += 1
        return x + runs[0]

    return drift


def test_a_wrong_kernel_is_not_published_and_named(service: Service) -> None:
    service.configure(check=True, strict=True)
    op = service.op(drifting())
    with pytest.raises(CompileError, match=r"'drift' disagrees with NumPy in the result\[0\]"):
        op(np.zeros(4))
    assert list(service.runtime.store().entries()) == []


def test_a_kernel_from_the_background_is_compared_before_it_is_published(
    service: Service,
) -> None:
    service.configure(check=True, strict=True)
    x = np.zeros(4)
    right = service.op(lambda x: x + 7, compile="background")
    right(x)
    ready(right, x)
    assert list(service.runtime.store().entries()) == []
    assert right(x).tolist() == [7.0] * 4
    (entry,) = service.runtime.store().entries()
    assert service.runtime.store().load(entry).meta["check"]["max_error"] == 0
    runs = [0]

    def drift(x: Any) -> Any:  # each trace is the first of its kind: only what follows differs
        runs[0] += 1
        return x - (1 if runs[0] % 2 else 2)

    wrong = service.op(drift, compile="background")
    wrong(x)  # traced with 1, answered with 2
    digest = next(iter(service.runtime.background()._jobs.keys() - {entry.digest}))
    assert service.runtime.background().wait(digest, 120)
    with pytest.raises(CompileError, match="disagrees"):
        wrong(x)  # traced with 1 again, compared with 2
    assert len(list(service.runtime.store().entries())) == 1


def test_what_a_function_writes_is_compared_too(service: Service) -> None:
    def fill(x: Any) -> None:
        x[...] = 2.0

    service.configure(check=True, strict=True)
    service.op(fill)(np.zeros(4))
    store = service.runtime.store()
    (entry,) = store.entries()
    assert store.load(entry).meta["check"]["max_error"] == 0


def test_no_user_array_is_touched_by_the_comparison(service: Service) -> None:
    def fill(x: Any) -> None:
        x += 1

    service.configure(check=True)
    x = np.zeros(4)
    service.op(fill)(x)
    assert x.tolist() == [1.0] * 4
