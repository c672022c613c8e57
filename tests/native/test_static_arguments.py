"""Static arguments are compared, and containers flattened, as the signature says."""

from __future__ import annotations

import collections
import weakref
from typing import Any

import numpy as np
import pytest
from bindings import Misses, Pair, f32

from jitops import _native


def test_static_values_compare_by_type_and_equality(add16: _native.Binding) -> None:
    seen: list[Any] = []

    def miss(args: Any, kwargs: Any) -> Any:
        seen.append(kwargs.get("axis", args[-1]))
        return add16

    op = _native.Dispatcher("f", miss, ("axis",), ("a", "b", "axis"))
    x = f32()
    values = [
        0,
        1,
        True,
        0.0,
        -0.0,
        1.0,
        None,
        "a",
        "b",
        (0, 1),
        (0, True),
        (0, (1.0,)),
        1j,
        10**30,
        np.float32(1),
        np.float64(-0.0),
        np.float64(0.0),
        frozenset({1}),
        b"a",
        np.dtype("f4"),
        float("nan"),
    ]
    for _ in range(3):
        for value in values:
            op(x, x, value)
    assert len(seen) == len(values) == op.size
    op(x, x, 10**30 + 0)
    op(x, x, "".join(["a"]))
    assert len(seen) == len(values)
    for value in values:
        op(x, x, axis=value)
    assert op.size == 2 * len(values)


@pytest.mark.parametrize("given", ["position", "keyword"])
def test_unhashable_static_arguments_are_refused_by_name(
    add16: _native.Binding, given: str
) -> None:
    op = _native.Dispatcher("f", Misses(add16), {"axis"}, ("a", "b", "axis"))
    x = f32()
    with pytest.raises(
        TypeError,
        match=r"argument 'axis' of op 'f' is static and must be hashable, "
        r"found list; pass a tuple",
    ):
        op(x, x, [1]) if given == "position" else op(x, x, axis=[1])


def test_an_exception_in_equality_reaches_the_caller(add16: _native.Binding) -> None:
    class Odd:
        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    op = _native.Dispatcher("f", Misses(add16), ("axis",), ("a", "b", "axis"))
    x = f32()
    op(x, x, Odd())
    with pytest.raises(ZeroDivisionError):
        op(x, x, Odd())


def test_equality_that_changes_the_table_is_survived(add16: _native.Binding) -> None:
    class Clearing:
        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            op.clear()
            return True

    op = _native.Dispatcher("f", Misses(add16), ("axis",), ("a", "b", "axis"))
    x = f32()
    for _ in range(5):
        np.testing.assert_array_equal(op(x, x, Clearing()), x + x)


def test_static_objects_compare_by_identity_and_stay_alive(add16: _native.Binding) -> None:
    class Thing: ...

    op = _native.Dispatcher("f", lambda args, kwargs: add16)
    thing = Thing()
    gone = weakref.ref(thing)
    x = f32()
    op(x, x, thing)
    op(x, x, thing)
    assert (op.hits, op.size) == (1, 1)
    op(x, x, Thing())
    assert op.size == 2
    del thing
    assert gone() is not None
    op.clear()
    assert gone() is None


def test_containers_are_flattened(add16: _native.Binding) -> None:
    op = _native.Dispatcher("f", Misses(add16))
    x = f32()
    forms: list[Any] = [
        (x, x),
        [x, x],
        {"a": x, "b": x},
        {"b": x, "a": x},
        Pair(x, x),
        collections.OrderedDict(a=x, b=x),
        ((x,), x),
        [[], x, x],
        (x, [x]),
    ]
    for form in forms:
        for _ in range(2):
            np.testing.assert_array_equal(op(form), x + x)
    assert (op.size, op.hits) == (len(forms), len(forms))
    leaves = op.leaves(({"b": (1.0, x)}, [np.int8(3), 2]), {"k": 1j})
    assert [leaf[1] for leaf in leaves] == ["float", "array", "scalar", "int", "complex"]
    assert leaves[1][2:] == ("float32", (16,), None, True, True)


def test_endless_containers_are_refused(add16: _native.Binding) -> None:
    op = _native.Dispatcher("f", Misses(add16))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RecursionError, match="argument 0 of op 'f' is nested more than"):
        op(endless)
