"""Activations: functions of each element, and of each row."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from jitops.trace import is_traced

__all__ = [
    "elu",
    "erf",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
]

# D. Klambauer et al., "Self-normalizing neural networks", 2017
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def _floating(x: Any) -> Any:
    """An array of floats: integers and bools become float64."""
    x = np.asarray(x)
    return x if x.dtype.kind in "fV" else x.astype(np.float64)


def _compiled(name: str, x: Any) -> Any:
    """A primitive of jitops, of a traced value."""
    from jitops.trace.special import applied

    return applied(name, x)


def erf(x: Any) -> Any:
    """The error function ``2 / sqrt(pi) * integral of exp(-t**2) from 0 to x``.

    x: floats of any shape. Compiled it is within 1 ULP; on NumPy's arrays SciPy computes it where
    the program has loaded it, and otherwise `math.erf`, element by element.
    """
    if is_traced(x):
        return _compiled("erf", x)
    x = _floating(x)
    special = sys.modules.get("scipy.special")
    if special is not None:
        return special.erf(x).astype(x.dtype)
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x)).astype(x.dtype)[()]


def relu(x: Any) -> Any:
    """``max(x, 0)``; NaN stays."""
    return np.maximum(x, 0)


def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``."""
    return np.clip(x, 0, 6)


def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """``x`` where it is positive, ``slope * x`` elsewhere."""
    return np.where(np.greater(x, 0), x, np.multiply(x, slope))


def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere (Clevert et al., 2015)."""
    return np.where(np.greater(x, 0), x, np.expm1(np.minimum(x, 0)) * alpha)


def selu(x: Any) -> Any:
    """``scale * elu(x, alpha)`` with the constants of Klambauer et al., 2017."""
    return elu(x, SELU_ALPHA) * SELU_SCALE


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``, without overflow for any x."""
    if is_traced(x):
        return _compiled("expit", x)
    x = _floating(x)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def log_sigmoid(x: Any) -> Any:
    """``log(sigmoid(x))`` as ``min(x, 0) - log(1 + exp(-abs(x)))``."""
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def silu(x: Any) -> Any:
    """``x * sigmoid(x)``, also called swish (Elfwing et al., 2017)."""
    return x * sigmoid(x)


def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))`` (Misra, 2019)."""
    return x * np.tanh(softplus(x))


def gelu(x: Any, approximate: str = "none") -> Any:
    """``x * P(X <= x)`` for a standard normal X (Hendrycks and Gimpel, 2016).

    approximate: "none" by the error function, "tanh" by
    ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``. Raises ValueError for others.
    """
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1 + np.tanh(inner))
    if approximate != "none":
        raise ValueError(f"gelu(approximate={approximate!r}): accepted are 'none' and 'tanh'")
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def softplus(x: Any, beta: float = 1.0) -> Any:
    """``log(1 + exp(beta * x)) / beta``, without overflow."""
    scaled = x * beta
    return (np.maximum(scaled, 0) + np.log1p(np.exp(-np.abs(scaled)))) / beta


def softsign(x: Any) -> Any:
    """``x / (1 + abs(x))``."""
    return x / (1 + np.abs(x))


def hard_tanh(x: Any, low: float = -1.0, high: float = 1.0) -> Any:
    """``min(max(x, low), high)``."""
    return np.clip(x, low, high)


def hard_sigmoid(x: Any) -> Any:
    """``min(max(x / 6 + 1/2, 0), 1)``."""
    return np.clip(x / 6 + 0.5, 0, 1)


def hard_swish(x: Any) -> Any:
    """``x * hard_sigmoid(x)`` (Howard et al., 2019)."""
    return x * hard_sigmoid(x)


def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """``exp(x) / sum(exp(x))`` along the axes, less the maximum first; the shape of x."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Any:
    """``x - log(sum(exp(x)))`` along the axes; the shape of x."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def logsumexp(x: Any, axis: int | tuple[int, ...] = -1, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` along the axes; an infinite maximum is not subtracted."""
    high = np.max(x, axis=axis, keepdims=True)
    high = np.where(np.isfinite(high), high, 0)
    total = np.log(np.sum(np.exp(x - high), axis=axis, keepdims=keepdims))
    return total + (high if keepdims else np.squeeze(high, axis=axis))
