"""Whether arrays are equal or close."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace.promotion import result_dtype
from jitops.trace.tracer import Tracer
from jitops.trace.weak import Weak

__all__ = ["TABLE"]

NUMBERS = (bool, int, float, complex)


def _operand(t: Any, x: Any) -> Any:
    """Python numbers as they are, which adapt to what they meet; all else as an array."""
    return x if type(x) in NUMBERS or type(x) is Weak else t.array(x)


def isclose(
    t: Any, a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False
) -> Any:
    """``abs(a - b) <= atol + rtol * abs(b)``; infinities are close to themselves.

    That the tolerances are finite is not checked.
    """
    x, y, rtol, atol = (_operand(t, v) for v in (a, b, rtol, atol))
    if type(y) is Tracer:
        y = y.astype(result_dtype([y, 1.0]), copy=False)
    elif type(y) is int:
        y = float(y)
    close = np.less_equal(abs(x - y), atol + rtol * abs(y))  # of Python numbers: a Python number
    close = np.logical_and(close, np.isfinite(y)) | np.equal(x, y)
    return close | np.logical_and(np.isnan(x), np.isnan(y)) if equal_nan else close


def _number(x: Any) -> Any:
    """A scalar that leaves the op as Python's bool."""
    if type(x) is Tracer:
        x.number = True
        return x
    return bool(x)


def allclose(t: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    """A traced bool."""
    return _number(np.all(np.isclose(a, b, *args, **kwargs)))


def array_equal(t: Any, a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """A traced bool; False at once where the shapes differ."""
    x, y = t.array(a1), t.array(a2)
    if x.shape != y.shape:
        return False
    same = np.equal(x, y)
    if equal_nan:
        same = same | np.logical_and(np.isnan(x), np.isnan(y))
    return _number(np.all(same))


def array_equiv(t: Any, a1: Any, a2: Any) -> Any:
    """As `array_equal`, where the shapes broadcast."""
    x, y = t.array(a1), t.array(a2)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return False
    return _number(np.all(np.equal(x, y)))


TABLE: dict[str, Callable[..., Any]] = {
    "isclose": isclose,
    "allclose": allclose,
    "array_equal": array_equal,
    "array_equiv": array_equiv,
}
