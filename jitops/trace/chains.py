"""Products of several matrices: chains in the order that takes the fewest steps, and powers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitops.trace.linalg import dot, matmul
from jitops.trace.reductions import finish

__all__ = ["TABLE"]

Rule = Callable[..., Any]


def multi_dot(t: Any, arrays: Any, *, out: Any = None) -> Any:
    """The first and the last array may be vectors."""
    items = [t.array(a) for a in arrays]
    if len(items) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(items) == 2:
        return dot(t, items[0], items[1], out)
    first, last = items[0].ndim, items[-1].ndim
    items[0] = np.atleast_2d(items[0])
    items[-1] = items[-1][:, None] if last == 1 else items[-1]
    for x in items:
        if x.ndim != 2:
            raise np.linalg.LinAlgError(
                f"{x.ndim}-dimensional array given. Array must be two-dimensional"
            )
    whole = (0, len(items) - 1)
    value = _chain(t, items, _splits([x.shape[0] for x in items] + [items[-1].shape[1]]), *whole)
    shape = (value.shape[0],) * (first > 1) + (value.shape[1],) * (last > 1)
    return finish(t, t.reshape(value.read(), shape), out)


def _splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to split the chain from matrix i to j (of sizes[i] rows) for the fewest products.

    Cormen, Leiserson, Rivest and Stein, Introduction to Algorithms, "Matrix-chain multiplication".
    """
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    best = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs = [
                cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            ]
            cost[i, j] = min(costs)
            best[i, j] = i + costs.index(cost[i, j])
    return best


def _chain(t: Any, items: Sequence[Any], splits: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return items[i]
    k = splits[i, j]
    return matmul(t, _chain(t, items, splits, i, k), _chain(t, items, splits, k + 1, j))


def matrix_power(t: Any, a: Any, n: int) -> Any:
    """By repeated squaring, the bits of the exponent from the lowest one."""
    x = t.array(a)
    if x.ndim < 2:
        raise np.linalg.LinAlgError(
            f"{x.ndim}-dimensional array given. Array must be at least two-dimensional"
        )
    if x.shape[-1] != x.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    if not hasattr(n, "__index__"):
        raise TypeError("exponent must be an integer")
    n = n.__index__()
    if n < 0:
        x, n = np.linalg.inv(x), -n
    if n == 0:
        return np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape).copy()
    if n == 3:  # in NumPy's order, which decides where infinities meet
        return matmul(t, matmul(t, x, x), x)
    out = None
    while n:
        if n & 1:
            out = x if out is None else matmul(t, out, x)
        n >>= 1
        x = matmul(t, x, x) if n else x
    return out


TABLE: dict[str, Rule] = {
    "linalg.multi_dot": multi_dot,
    "linalg.matrix_power": matrix_power,
}
