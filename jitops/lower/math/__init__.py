"""Vector math functions of our own: branch-free code that LLVM's loop vectoriser widens on every target."""

from __future__ import annotations

from collections.abc import Callable

from jitops.lower.math import exponential, hyperbolic, logarithm, trigonometric
from jitops.lower.math.code import Code
from jitops.lower.scalar import Body, Expr

Function = Callable[..., Expr]


def _on_body(function: Function) -> Function:
    def emit(body: Body, *args: Expr) -> Expr:
        return function(Code(body), *args)

    emit.__name__ = function.__name__
    emit.__doc__ = function.__doc__
    return emit


_FUNCTIONS: dict[tuple[str, str], Function] = {
    ("exp", "float32"): exponential.exp_float32,
    ("exp", "float64"): exponential.exp_float64,
    ("log", "float32"): logarithm.log_float32,
    ("log", "float64"): logarithm.log_float64,
    ("tanh", "float32"): hyperbolic.tanh_float32,
    ("tanh", "float64"): hyperbolic.tanh_float64,
    ("sin", "float32"): trigonometric.sin_float32,
    ("cos", "float32"): trigonometric.cos_float32,
    ("sin", "float64"): trigonometric.sin_float64,
    ("cos", "float64"): trigonometric.cos_float64,
    ("sigmoid", "float32"): exponential.sigmoid_float32,
}

MATH: dict[tuple[str, str], Function] = {key: _on_body(f) for key, f in _FUNCTIONS.items()}
