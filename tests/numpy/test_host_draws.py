"""Random numbers inside ops: NumPy's own stream, number for number, in the order of the program."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jitops
from jitops import jitop
from jitops.errors import BranchError, UnsupportedError

LEGACY = np.random.RandomState
MODERN = np.random.default_rng
X = np.linspace(0.5, 2.0, 6)
P = np.array([0.2, 0.3, 0.5])
SQUARE = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, 0.1], [0.0, 0.1, 1.5]])

DISTRIBUTIONS: dict[str, tuple[Any, ...]] = {
    "beta": (2.0, X), "binomial": (10, 0.3), "chisquare": (X,), "exponential": (X,), "f": (3.0, X),
    "gamma": (X, 2.0), "geometric": (0.4,), "gumbel": (X, 1.0), "hypergeometric": (5, 6, 4),
    "laplace": (0.0, X), "logistic": (X,), "lognormal": (0.0, X), "logseries": (0.3,),
    "negative_binomial": (4, 0.5), "noncentral_chisquare": (X, 1.0), "normal": (X, 2.0),
    "noncentral_f": (3.0, 4.0, X), "pareto": (X,), "poisson": (X,), "power": (X,), "rayleigh": (X,),
    "standard_cauchy": (), "standard_exponential": (), "standard_gamma": (X,),
    "standard_normal": (), "standard_t": (X,), "triangular": (0.0, 1.0, X + 1), "uniform": (-1, X),
    "vonmises": (0.0, X), "wald": (X, 1.0), "weibull": (X,), "zipf": (X + 1,), "random": (),
}  # fmt: skip


def same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, list):
        for f, w in zip(found, wanted, strict=True):
            same(f, w)
        return
    assert np.shape(found) == np.shape(wanted)
    assert np.asarray(found).dtype == np.asarray(wanted).dtype
    assert isinstance(found, np.ndarray) == isinstance(wanted, np.ndarray)
    np.testing.assert_array_equal(found, wanted)


def state(rng: Any) -> bytes:
    return pickle.dumps(rng)


def compare(program: Callable[..., Any], rng: Callable[[int], Any], *args: Any) -> None:
    """Three calls draw what the plain function draws, and leave the generator as it does."""
    mine, numpys = rng(5), rng(5)
    op = jitop(program, strict=False)
    for _ in range(3):
        same(op(mine, *args), program(numpys, *args))
        assert state(mine) == state(numpys)
    assert op.stats()["hits"] == 2


@pytest.mark.parametrize("rng", [LEGACY, MODERN])
def test_distributions_draw_numpys_numbers(rng: Callable[[int], Any]) -> None:
    def program(rng: Any, parameters: Any) -> Any:
        drawn = []
        for name, args in zip(DISTRIBUTIONS, parameters, strict=True):
            method = getattr(rng, name)
            drawn += [method(*args), method(*args, size=(2, 6))]
        return drawn

    compare(program, rng, list(DISTRIBUTIONS.values()))


def test_other_draws_of_the_legacy_generator() -> None:
    def program(rng: Any, x: Any) -> Any:
        y = x + 0
        rng.shuffle(y)
        return [
            rng.rand(2, 3), rng.randn(4), rng.rand(), rng.randint(5), rng.randint(2, 9, (3, 2)),
            rng.randint(10, size=4, dtype=np.uint8), rng.random_sample(3), rng.choice(5, 2),
            rng.choice(x), rng.choice(x, (2, 2)), rng.choice(3, p=P), rng.permutation(5),
            rng.permutation(x), y, rng.multivariate_normal(P, SQUARE, 2),
            rng.multinomial(9, P, size=2), rng.dirichlet(P),
        ]  # fmt: skip

    compare(program, LEGACY, X)


def test_other_draws_of_a_generator() -> None:
    def program(rng: Any, x: Any) -> Any:
        y = np.stack([x, x * 2])
        rng.shuffle(y, axis=1)
        z = np.zeros(4, np.float32)
        rng.random(out=z, dtype=np.float32)
        return [
            rng.random(3), rng.random(dtype=np.float32), rng.integers(5), rng.integers(2, 9, (3,)),
            rng.integers(0, x.astype(int) + 1), rng.integers(4, size=3, dtype=np.int16),
            rng.standard_normal((2, 2), dtype="float32"), rng.choice(5, 2), rng.choice(x), z,
            rng.choice(y, 2, axis=1, replace=False), rng.permutation(y, axis=1),
            rng.permuted(y, axis=1), y, rng.multivariate_normal(P, SQUARE),
            rng.multinomial(9, P, size=2), rng.dirichlet(P, 3), rng.normal(size=()),
        ]  # fmt: skip

    compare(program, MODERN, X)


def test_the_global_generator_and_names_imported_from_it() -> None:
    from numpy.random import standard_normal

    def program(x: Any) -> Any:
        a, b = np.random.normal(x), standard_normal(3)
        return [a, b, np.random.rand(2) * x[:2], np.random.rand()]

    op = jitop(program, strict=False)
    for seed in (1, 2):
        np.random.seed(seed)
        found = op(X)
        np.random.seed(seed)
        same(found, program(X))
    assert op.stats()["misses"] == 1


def test_draws_happen_in_order_and_every_time() -> None:
    def program(rng: Any, x: Any) -> Any:
        a = rng.normal()
        rng.normal(size=3)  # nobody uses it
        b = rng.normal() + x
        return [b, a * 2 + x, rng.normal() - rng.normal() + x]

    compare(program, MODERN, X)


def test_generators_among_globals_and_two_of_them() -> None:
    one, two = MODERN(1), MODERN(2)

    def program(x: Any) -> Any:
        return [one.normal(x), two.random(2), one.random(2)]

    op = jitop(program, strict=False)
    found = [op(X), op(X)]
    one, two = MODERN(1), MODERN(2)
    for f in found:
        same(f, program(X))


def test_another_generator_is_another_argument_and_not_another_signature() -> None:
    def program(one: Any, x: Any, more: Any) -> Any:
        return [one.normal(x), more["two"].random(3), one.random()]

    op = jitop(program, strict=False)
    for seed in range(4):
        found = op(MODERN(seed), X, {"two": MODERN(9)})
        same(found, program(MODERN(seed), X, {"two": MODERN(9)}))
    both, numpys = MODERN(1), MODERN(1)
    same(op(both, X, {"two": both}), program(numpys, X, {"two": numpys}))
    same(op(LEGACY(1), X, {"two": MODERN(9)}), program(LEGACY(1), X, {"two": MODERN(9)}))
    assert (op.stats()["misses"], op.size) == (2, 2)


def test_generators_that_are_not_used_and_static_ones() -> None:
    op = jitop(lambda rng, x: x + 1)
    np.testing.assert_array_equal(op(MODERN(1), X), X + 1)
    op = jitop(lambda rng, x, n: rng.normal(x) * np.zeros(n), static="rng", strict=False)
    same(op(MODERN(1), X, 6), MODERN(1).normal(X) * 0)
    op = jitop(lambda n, rng, x: rng.normal(size=n) + x, strict=False)  # n becomes static
    same(op(6, MODERN(1), X), MODERN(1).normal(size=6) + X)
    op = jitop(lambda rng, x: rng, strict=False)
    rng = MODERN(1)
    assert op(rng, X) is rng


class Ops:
    noise = jitop(lambda rng: rng.normal(size=3), strict=False)


def test_an_op_within_an_op_draws_from_the_same_stream() -> None:
    def program(rng: Any, x: Any) -> Any:
        return [Ops.noise.eager(rng) + x, Ops.noise(rng) * x, rng.random()]

    with jitops.options(debug=True):
        compare(program, MODERN, X[:3])


def test_sizes_that_vary_have_a_kernel_each() -> None:
    op = jitop(lambda rng, x: rng.normal(size=x.shape) + np.fft.rfft(x)[:1].real, strict=False)
    for n in (*range(3, 10), 5):
        x = np.arange(float(n))
        mine, numpys = MODERN(n), MODERN(n)
        np.testing.assert_allclose(op(mine, x), op.eager(numpys, x))
    assert op.stats()["misses"] == 7


def test_a_python_number_is_weak_as_in_numpy() -> None:
    def program(rng: Any, x: Any) -> Any:
        return [x * rng.normal(), x + rng.uniform() * 2, np.sin(rng.random()) * x]

    mine, numpys = MODERN(3), MODERN(3)
    x = X.astype("float32")
    found, wanted = jitop(program, strict=False)(mine, x), program(numpys, x)
    for f, w in zip(found, wanted, strict=True):
        assert f.dtype == w.dtype
        np.testing.assert_allclose(f, w, rtol=1e-6)


def test_tracing_explaining_and_checking_draw_nothing() -> None:
    rng = MODERN(4)
    op = jitop(lambda rng, x: rng.normal(x) + 1, strict=False)
    before = state(rng)
    (said,) = op.explain(rng, X).hosts
    assert said.startswith("numpy.random.Generator.normal on float64[6], test_host_draws.py:")
    op.compile(rng, X)
    assert state(rng) == before
    with jitops.options(check=True):
        op.reset()
        op.compile(rng, X * 2)
    assert state(rng) == before


@pytest.mark.parametrize(
    ("program", "kind", "said"),
    [
        (lambda x: np.random.default_rng(0).normal(x), UnsupportedError, "default_rng.*outside"),
        (lambda x: np.random.RandomState(0).normal(x), UnsupportedError, "RandomState.*outside"),
        (lambda x: np.random.seed(1), UnsupportedError, "Seed outside"),
        (lambda x: np.random.bytes(3), UnsupportedError, "random.bytes"),
        (lambda x: np.zeros(np.random.randint(5)) + x, BranchError, "Python int"),
    ],
)
def test_what_cannot_be_drawn_inside_says_so(program: Any, kind: Any, said: str) -> None:
    before = np.random.get_state()[1].tolist()
    with pytest.raises(kind, match=said):
        jitop(lambda x: program(x), strict=False)(X)
    assert np.random.get_state()[1].tolist() == before
    assert isinstance(np.random.RandomState(1), np.random.RandomState)


class Model:
    def __init__(self) -> None:
        self.rng = MODERN(6)

    @jitop(strict=False)
    def noisy(self, x: Any) -> Any:
        return x + self.rng.normal(size=x.shape)


HOLDER = Model()


@pytest.mark.parametrize("call", [HOLDER.noisy, jitop(lambda x: x + HOLDER.rng.normal())])
def test_a_generator_out_of_sight_is_refused_and_not_used_up(call: Any) -> None:
    before = state(HOLDER.rng)
    with pytest.raises(UnsupportedError, match="attribute of another object"):
        call(X)
    assert state(HOLDER.rng) == before


def test_a_generator_is_asked_for_what_it_has() -> None:
    def program(rng: Any, x: Any) -> Any:
        drawn = rng.integers(5, size=3) if hasattr(rng, "integers") else rng.randint(5, size=3)
        return [drawn * x[:3]] if isinstance(rng, (np.random.Generator, LEGACY)) else []

    compare(program, MODERN, X)
    compare(program, LEGACY, X)
    with pytest.raises(UnsupportedError, match=r"Generator\.bit_generator"):
        jitop(lambda rng, x: rng.bit_generator.state, strict=False)(MODERN(0), X)


def test_strict_refuses_draws() -> None:
    with pytest.raises(UnsupportedError, match=r"numpy\.random\.Generator\.normal has no native"):
        jitop(lambda rng, x: rng.normal(x))(MODERN(0), X)
