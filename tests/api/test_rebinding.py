"""What a function finds outside of itself may be bound to something else: the next call sees it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import jitops
from jitops import jitop
from jitops.errors import UnsupportedError

WEIGHT = np.arange(3.0)
RATE = 2.0
X = np.ones(3)


def scaled(x: Any) -> Any:
    return x * RATE


def of_globals(x: Any) -> Any:
    return scaled(x) + WEIGHT


def test_globals_of_the_function_and_of_those_it_calls(monkeypatch):
    op = jitop(of_globals, strict=True)
    for name, values in {"WEIGHT": (np.full(3, 5.0), np.ones((2, 3))), "RATE": (3.0, 4)}.items():
        for value in values:
            monkeypatch.setitem(globals(), name, value)
            for _ in range(2):
                found, wanted = op(X), of_globals(X)
                np.testing.assert_array_equal(found, wanted)
                assert found.dtype == wanted.dtype
    assert op.stats()["misses"] == 4
    assert op.stats()["hits"] == 4
    monkeypatch.setitem(globals(), "scaled", lambda x: -x)
    np.testing.assert_array_equal(op(X), of_globals(X))


NOISE = np.random.default_rng(1)
doubled = jitop(lambda x: 2 * x)


def test_generators_and_other_ops(monkeypatch):
    op = jitop(lambda x: doubled(x) + NOISE.random(3))
    for seed in (2, 3):
        monkeypatch.setitem(globals(), "NOISE", np.random.default_rng(seed))
        wanted = 2 * X + np.random.default_rng(seed).random(3)
        np.testing.assert_array_equal(op(X), wanted)
    monkeypatch.setitem(globals(), "doubled", jitop(lambda x: 4 * x))
    np.testing.assert_array_equal(op(X), 4 * X + _next(3, 3))


def _next(seed: int, count: int) -> Any:
    """The draws that follow ``count`` of a generator's."""
    generator = np.random.default_rng(seed)
    generator.random(count)
    return generator.random(count)


def test_variables_of_a_closure():
    rate, bias = 0.5, np.zeros(3)

    def step(x: Any) -> Any:
        return x * rate + bias

    op = jitop(step, strict=True)
    np.testing.assert_array_equal(op(X), step(X))
    rate, bias = 0.25, np.arange(3.0)
    np.testing.assert_array_equal(op(X), step(X))
    assert op.stats()["misses"] == 2


class Layer:
    def __init__(self, scale: float) -> None:
        self.weight = np.full(3, scale)
        self.calls = 0

    def forward(self, x: Any) -> Any:
        return x * self.weight


class Model:
    def __init__(self) -> None:
        self.layers = [Layer(2.0), Layer(3.0)]
        self.head = Layer(1.0)
        self.rate = 0.5
        self.unused = 0

    @jitop(strict=True)
    def predict(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer.forward(x)
        return self.head.forward(x) * self.rate


def test_attributes_of_objects_and_of_what_they_hold():
    model = Model()
    eager = Model.predict.eager

    def agrees() -> None:
        np.testing.assert_array_equal(model.predict(X), eager(model, X))

    agrees()
    misses = Model.predict.stats()["misses"]
    for change in (
        lambda: setattr(model, "rate", 0.25),
        lambda: setattr(model.layers[1], "weight", np.arange(3.0)),
        lambda: setattr(model.head, "weight", model.head.weight - 0.5),
        lambda: setattr(model, "head", Layer(9.0)),
        lambda: setattr(model, "layers", [*model.layers, Layer(0.5)]),
    ):
        change()
        agrees()
        agrees()
    assert Model.predict.stats()["misses"] == misses + 5
    model.unused += 1
    model.layers[0].calls += 1
    model.layers[0].weight[:] = 7.0
    agrees()
    assert Model.predict.stats()["misses"] == misses + 5
    assert Model.predict.size == 1


def test_training_by_rebinding_compiles_once():
    model = Model()
    gradient = jitop(lambda w, x: 2 * w * x, strict=True)
    for _ in range(20):
        model.head.weight = model.head.weight - 0.01 * gradient(model.head.weight, X)
        model.predict(X)
    np.testing.assert_array_equal(model.predict(X), Model.predict.eager(model, X))


def test_an_object_that_goes_is_not_kept_by_a_cycle():
    def make() -> Any:
        table = np.arange(3.0)
        op = jitop(lambda x: np.hypot(x, table), strict=True)
        op(X)
        return weakref.ref(table), op

    table, op = make()
    del op
    gc.collect()
    assert table() is None


def test_a_traced_value_does_not_stay_in_an_attribute():
    layer = Layer(1.0)

    def keep(x: Any) -> Any:
        layer.last = 2 * x
        return x

    with pytest.raises(UnsupportedError, match=r"keeps traced float64\[3\] in attribute 'last' of"):
        jitops.jitop(keep, strict=True)(X)


def test_a_place_that_keeps_changing_is_named(caplog):
    layer = Layer(1.0)
    op = jitop(lambda x: x * layer.calls, strict=True)
    for n in range(20):
        layer.calls = n
        np.testing.assert_array_equal(op(X), X * n)
    (warning,) = [r for r in caplog.records if "traced anew 16 times" in r.getMessage()]
    assert "because calls was bound to something else" in warning.getMessage()
