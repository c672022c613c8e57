"""Arrays to call NumPy's functions with, and the table of the calls."""

from __future__ import annotations

from typing import Any

import numpy as np

RNG = np.random.default_rng(7)


def arr(*shape: int, dtype: Any = "float64") -> Any:
    """Random values: signed, or small integers, or bools."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return RNG.random(shape) < 0.5
    if kind in "iu":
        return RNG.integers(0 if kind == "u" else -9, 10, shape).astype(dtype)
    x = RNG.standard_normal(shape) * 2
    return (x + 1j * RNG.standard_normal(shape)).astype(dtype) if kind == "c" else x.astype(dtype)


A, B, V, W = arr(3, 4), arr(3, 4), arr(4), arr(5)
C = arr(2, 3, 4)
N = A.copy()
N[0, 1] = N[2, 2] = np.nan
N[1, :] = np.nan
N[1, 2] = 1.5
I = arr(3, 4, dtype="int32")  # noqa: E741
U = arr(3, 4, dtype="uint8")
M = arr(3, 4, dtype="bool")
Z = arr(3, 4, dtype="complex128")
F = arr(3, 4, dtype="float16")
S = np.array([0.0, -0.0, 1, -1, np.nan, np.inf, -np.inf, 1e300])
E0 = np.zeros((0, 3))
O = np.float32(1.5)  # noqa: E741
IDX = np.array([[2, 0], [1, -1]])
FORT = np.asfortranarray(A)

CASES: dict[str, tuple[Any, ...]] = {}


def case(name: str, fn: Any, *args: Any) -> None:
    """Add a case; several of one name are numbered."""
    key = name
    n = 1
    while key in CASES:
        n += 1
        key = f"{name}-{n}"
    CASES[key] = (fn, args)
