"""Random numbers inside an op: each draw is a host step, in the order of the program.

A step draws from the very generator that NumPy would have used: the global one of `np.random`, or
a `Generator` or `RandomState` that the function was given or found among its globals. It is never
run while tracing, never merged with another, and never left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.graph.types import ArrayType, Shape
from jitops.host import Object, shuffled
from jitops.trace.hosted import Hosted, Recording
from jitops.trace.raising import unsupported
from jitops.trace.tracer import Tracer
from jitops.trace.weak import INT64_RANGE, Weak

__all__ = ["TracedGenerator", "module_draw"]

OUTSIDE = "Draw the numbers outside of the op and pass them as an argument."

# name: the parameters that numbers or arrays may be given for; all take a size besides.
DISTRIBUTIONS = {
    "beta": "a b", "binomial": "n p", "chisquare": "df", "exponential": "scale",
    "f": "dfnum dfden", "gamma": "shape scale", "geometric": "p", "gumbel": "loc scale",
    "hypergeometric": "ngood nbad nsample", "laplace": "loc scale", "logistic": "loc scale",
    "lognormal": "mean sigma", "logseries": "p", "negative_binomial": "n p",
    "noncentral_chisquare": "df nonc", "noncentral_f": "dfnum dfden nonc", "normal": "loc scale",
    "pareto": "a", "poisson": "lam", "power": "a", "rayleigh": "scale", "standard_cauchy": "",
    "standard_exponential": "", "standard_gamma": "shape", "standard_normal": "",
    "standard_t": "df", "triangular": "left mode right", "uniform": "low high",
    "vonmises": "mu kappa", "wald": "mean scale", "weibull": "a", "zipf": "a", "random": "",
    "random_sample": "", "ranf": "", "sample": "", "randint": "low high", "integers": "low high",
}  # fmt: skip

# Names of one function, and where the options of `Generator` stand among the positional arguments.
SAME = {"rand": "random_sample", "randn": "standard_normal"}
OPTIONS = {
    "randint": "dtype", "integers": "dtype endpoint", "random": "dtype out",
    "standard_normal": "dtype out", "standard_gamma": "dtype out",
    "standard_exponential": "dtype method out",
}  # fmt: skip

# Numbers that the distributions take where ones will not do.
TAKEN = {"high": 2, "right": 2, ("zipf", "a"): 2, ("logseries", "p"): 0.5}


def _size(size: Any) -> Shape:
    return (size.__index__(),) if hasattr(size, "__index__") else tuple(n.__index__() for n in size)


def _distribution(size: Any = None, **parameters: Any) -> list[Shape | None]:
    shapes = [p.shape for p in parameters.values() if type(p) is ArrayType]
    if size is None:
        return [np.broadcast_shapes(*shapes)]
    wanted = _size(size)
    if np.broadcast_shapes(wanted, *shapes) != wanted:
        raise ValueError("size does not fit the parameters")
    return [wanted]


def _choice(
    a: Any, size: Any = None, replace: bool = True, p: Any = None, axis: int = 0,
    shuffle: bool = True,
) -> list[Shape | None]:  # fmt: skip
    drawn = () if size is None else _size(size)
    if type(a) is not ArrayType or not a.shape:
        return [drawn]
    axis = axis.__index__() % a.ndim
    return [(*a.shape[:axis], *drawn, *a.shape[axis + 1 :])]


def _permutation(x: Any, axis: int = 0) -> list[Shape | None]:
    return [x.shape if type(x) is ArrayType else (x.__index__(),)]


def _permuted(x: Any, *, axis: Any = None) -> list[Shape | None]:
    return [x.shape]


def _multivariate_normal(
    mean: Any, cov: Any, size: Any = None, check_valid: str = "warn", tol: float = 1e-8, *,
    method: str = "svd",
) -> list[Shape | None]:  # fmt: skip
    if mean.ndim != 1 or cov.shape != mean.shape * 2:
        raise ValueError("mean and cov do not fit")
    return [(*(() if size is None else _size(size)), *mean.shape)]


def _multinomial(n: Any, pvals: Any, size: Any = None) -> list[Shape | None]:
    lead = n.shape if type(n) is ArrayType else ()
    if pvals.ndim != 1:
        raise ValueError("pvals has several axes")
    return [(*(lead if size is None else _size(size)), *pvals.shape)]


def _dirichlet(alpha: Any, size: Any = None) -> list[Shape | None]:
    return [(*(() if size is None else _size(size)), *alpha.shape)]


def _none(type_: ArrayType) -> Shape:
    """Of no numbers, nothing is asked."""
    return (0,)


def _one(type_: ArrayType) -> Shape:
    return (1,) * type_.ndim


DRAWN: dict[str, Hosted] = {
    **{
        name: Hosted(_distribution, names, _none, names=f"{names} size {OPTIONS.get(name, '')}")
        for name, names in DISTRIBUTIONS.items()
    },
    "choice": Hosted(_choice, "a p", _one),
    "permutation": Hosted(_permutation, "x", _one),
    "shuffle": Hosted(_permutation, "x", _one),
    "permuted": Hosted(_permuted, "x", _one),
    "multivariate_normal": Hosted(_multivariate_normal, "mean cov", _one),
    "multinomial": Hosted(_multinomial, "n pvals", _one),
    "dirichlet": Hosted(_dirichlet, "alpha", _one),
}


class _Draw(Recording):
    """One call of a generator's method."""

    draws = True

    def __init__(self, t: Any, kind: str, method: str, number: int | None) -> None:
        super().__init__(t, f"{kind}.{method}", DRAWN[method])
        self.method = method
        if number is not None:
            self.first = (Object(number),)
        function = getattr(_scratch(kind), method)
        self.function = shuffled(function) if method == "shuffle" else function

    def run(self, args: Any, kwargs: dict[str, Any]) -> Any:
        out = kwargs.get("out")
        if out is not None and kwargs.get("size") is None:
            kwargs["size"] = out.shape
        return super().run(args, kwargs)

    def argument(self, name: str, value: Any) -> Any:
        if name == "x" and type(value) is Weak:
            return self.plain(value)  # it sets the shape
        return super().argument(name, value)

    def small(self, name: str, value: Any) -> Any:
        """Generators are asked for no numbers, or for one where that decides the result's type."""
        if name == "size":
            return None if value is None else (0,)
        if self.method == "choice" and name == "a" and type(value) is int:
            return 1
        found = super().small(name, value)
        if np.ndim(found) or found is value:
            return found
        return type(found)(TAKEN.get((self.method, name), TAKEN.get(name, 1)))

    def wrapped(self, atom: Any, model: Any) -> Any:
        if type(model) not in (int, float):
            return super().wrapped(atom, model)
        return Weak(self.t, atom, type(model), frozenset(), INT64_RANGE, f"from np.{self.name}")


def _scratch(kind: str) -> Any:
    """A generator of this kind whose numbers nobody sees."""
    legacy = np.random.mtrand.RandomState  # not intercepted
    if kind.endswith("Generator"):
        return np.random._generator.Generator(legacy(0)._bit_generator)
    return legacy(0)


def _unsupported(kind: str, name: str) -> Exception:
    return unsupported(f"np.{kind}.{name} is not supported in a traced function", OUTSIDE)


def _drawn(t: Any, kind: str, method: str, number: int | None, args: Any, kwargs: Any) -> Any:
    if method in SAME:
        method, args, kwargs = SAME[method], (), {"size": args or None}
    if method not in DRAWN or not hasattr(_scratch(kind), method):
        raise _unsupported(kind, method)
    result = _Draw(t, kind, method, number).run(args, dict(kwargs))
    if method != "shuffle":
        return result
    target = args[0] if args else kwargs["x"]
    if type(target) is not Tracer:
        raise unsupported(f"np.{kind}.shuffle takes an array in a traced function", OUTSIDE)
    t.assign(target, result)
    return None


def module_draw(t: Any, name: str, args: Any, kwargs: Any) -> Any:
    """A function of `np.random`, which draws from the global generator."""
    if name in ("default_rng", "RandomState", "Generator"):
        raise unsupported(
            f"np.random.{name} is not supported in a traced function",
            "Make the generator outside of the op and pass it as an argument.",
        )
    if name == "seed":
        raise unsupported(
            "np.random.seed is not supported in a traced function", "Seed outside of the op."
        )
    return _drawn(t, "random", name, None, args, kwargs)


class TracedGenerator:
    """Stands for a `numpy.random.Generator` or `RandomState` while a function is traced."""

    def __init__(self, t: Any, kind: type, source: Any) -> None:
        self._t = t
        self._kind = kind
        self._source = source

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """``isinstance(rng, np.random.Generator)`` holds in traced code."""
        return self._kind

    def described(self) -> tuple[str, Any]:
        """The generator as a result of the op."""
        return ("arg" if type(self._source) is int else "const", self._source)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__") or not hasattr(self._kind, name):
            raise AttributeError(f"{self._kind.__name__!r} object has no attribute {name!r}")
        kind = f"random.{self._kind.__name__}"
        if name not in DRAWN and name not in SAME:
            raise _unsupported(kind, name)
        number = self._t.object_number(self._source)
        return lambda *args, **kwargs: _drawn(self._t, kind, name, number, args, kwargs)
