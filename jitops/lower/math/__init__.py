"""Vector math functions of our own.

Branch-free code that LLVM's loop vectoriser widens on every target.

`MATH` maps (primitive, dtype) to a function of a `Body` and the operands; each function's docstring
names its method and its bound in units in the last place (ULP). Accuracy and speed are measured by
tests/accuracy; docs/accuracy.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jitops.lower.math import (
    exponential,
    gamma,
    hyperbolic,
    inverse,
    inverse_hyperbolic,
    logarithm,
    power,
    reduction,
    special,
    trigonometric,
)
from jitops.lower.math.code import Code, widened
from jitops.lower.scalar import Body, Expr

Function = Callable[..., Expr]


def _on_body(function: Function) -> Function:
    def emit(body: Body, *args: Expr) -> Expr:
        return function(Code(body), *args)

    emit.__name__ = function.__name__
    emit.__doc__ = function.__doc__
    return emit


_FUNCTIONS: dict[str, tuple[Function, Function]] = {  # float32, float64
    "exp": (exponential.exp_float32, exponential.exp_float64),
    "exp2": (exponential.exp2_float32, exponential.exp2_float64),
    "expm1": (exponential.expm1_float32, exponential.expm1_float64),
    "log": (logarithm.log_float32, logarithm.log_float64),
    "log2": (logarithm.log2_float32, logarithm.log2_float64),
    "log10": (logarithm.log10_float32, logarithm.log10_float64),
    "log1p": (logarithm.log1p_float32, logarithm.log1p_float64),
    "sin": (trigonometric.sin_float32, trigonometric.sin_float64),
    "cos": (trigonometric.cos_float32, trigonometric.cos_float64),
    "tan": (trigonometric.tan_float32, trigonometric.tan_float64),
    "asin": (inverse.asin_float32, inverse.asin_float64),
    "acos": (inverse.acos_float32, inverse.acos_float64),
    "atan": (inverse.atan_float32, inverse.atan_float64),
    "atan2": (inverse.atan2_float32, inverse.atan2_float64),
    "sinh": (hyperbolic.sinh_float32, hyperbolic.sinh_float64),
    "cosh": (hyperbolic.cosh_float32, hyperbolic.cosh_float64),
    "tanh": (hyperbolic.tanh_float32, hyperbolic.tanh_float64),
    "asinh": (inverse_hyperbolic.asinh_float32, inverse_hyperbolic.asinh_float64),
    "acosh": (inverse_hyperbolic.acosh_float32, inverse_hyperbolic.acosh_float64),
    "atanh": (inverse_hyperbolic.atanh_float32, inverse_hyperbolic.atanh_float64),
    "erf": (special.erf_float32, special.erf_float64),
    "erfc": (widened(special.erfc_wide), special.erfc_float64),
    "lgamma": (widened(gamma.lgamma_wide), gamma.lgamma_float64),
    "cbrt": (power.cbrt_float32, power.cbrt_float64),
    "pow": (power.pow_float32, power.pow_float64),
    "fmod": (widened(power.fmod_wide), power.fmod_float64),
    "hypot": (widened(power.hypot_wide), power.hypot_float64),
    "sigmoid": (widened(exponential.sigmoid_wide), exponential.sigmoid_float64),
}

MATH: dict[tuple[str, str], Function] = {
    (name, dtype): _on_body(function)
    for name, functions in _FUNCTIONS.items()
    for dtype, function in zip(("float32", "float64"), functions, strict=True)
}


class Ordinary(NamedTuple):
    """A cheaper form of a function, and for which arguments it does not hold."""

    form: Function
    rare: Function  # of the body and the arguments: a bool
    never: tuple[str, ...] = ()  # dtypes computed in this one that have no such arguments


_ORDINARY: dict[str, tuple[tuple[Function, Function], Function, tuple[str, ...]]] = {
    # the forms in float32 and float64, which arguments are rare, dtypes without such
    "sin": (
        (trigonometric.sin_ordinary_float32, trigonometric.sin_ordinary_float64),
        reduction.angle_is_rare,
        ("float16",),
    ),
    "cos": (
        (trigonometric.cos_ordinary_float32, trigonometric.cos_ordinary_float64),
        reduction.angle_is_rare,
        ("float16",),
    ),
    "tan": (
        (trigonometric.tan_ordinary_float32, trigonometric.tan_ordinary_float64),
        reduction.angle_is_rare,
        ("float16",),
    ),
    "pow": ((power.pow_ordinary_float32, power.pow_ordinary_float64), power.pow_is_rare, ()),
}

ORDINARY: dict[tuple[str, str], Ordinary] = {
    (name, dtype): Ordinary(_on_body(form), _on_body(rare), never)
    for name, (forms, rare, never) in _ORDINARY.items()
    for dtype, form in zip(("float32", "float64"), forms, strict=True)
}
