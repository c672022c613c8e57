"""Descriptions of kernels' arguments, and misses that remember, for the tests of the dispatcher."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np

from jitops import _native

Node = tuple[Any, ...]

Pair = collections.namedtuple("Pair", "a b")


def array(dtype: str, shape: Any, strides: Any = None, mutated: bool = False) -> _native.Input:
    return ("array", dtype, shape, strides, mutated, None, None)


def scalar(dtype: str, lo: int | None = None, hi: int | None = None) -> _native.Input:
    return ("scalar", dtype, None, None, False, lo, hi)


class Misses:
    """A miss that answers with the same binding (or value) and remembers its calls."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.calls.append((args, kwargs))
        return self.answer(args, kwargs) if callable(self.answer) else self.answer


def f32(n: int = 16) -> np.ndarray[Any, Any]:
    return np.arange(n, dtype=np.float32)
