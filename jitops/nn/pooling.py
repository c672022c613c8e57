"""Pooling: the maximum or the mean of the elements under a window, channels first."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from jitops.nn.convolution import padded, pairs, several

__all__ = ["avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d"]


def _pooled(
    x: Any, rank: int, window: Any, stride: Any, padding: Any, fill: Any, join: Callable[..., Any]
) -> Any:
    sizes = several(window, rank)
    strides = several(window if stride is None else stride, rank)
    x = padded(x, pairs(padding, sizes, strides, x.shape[-rank:]), fill)
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[-rank:], sizes, strides)]
    if any(n < 1 for n in counts):
        raise ValueError(f"a window of {sizes} does not fit into {x.shape[-rank:]}")
    total: Any = None
    for place in product(*map(range, sizes)):
        cuts = [slice(p, p + (n - 1) * s + 1, s) for p, n, s in zip(place, counts, strides)]
        index: tuple[Any, ...] = (..., *cuts)
        part = x[index]
        total = part if total is None else join(total, part)
    return total


def _largest(x: Any, rank: int, window: Any, stride: Any, padding: Any) -> Any:
    low = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    return _pooled(x, rank, window, stride, padding, low, np.maximum)


def _mean(x: Any, rank: int, window: Any, stride: Any, padding: Any) -> Any:
    count = 1
    for n in several(window, rank):
        count *= n
    return _pooled(x, rank, window, stride, padding, 0, np.add) / count


def max_pool1d(x: Any, window: int, stride: int | None = None, padding: Any = 0) -> Any:
    """The maximum under each window along the last axis; see `max_pool2d`."""
    return _largest(x, 1, window, stride, padding)


def max_pool2d(x: Any, window: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The maximum under each window: x[..., h, w] -> [..., h', w'].

    window: an int, or one per axis. stride: as window by default. padding: as for
    `conv2d`, with what no maximum is. Raises ValueError where the window does not fit.
    """
    return _largest(x, 2, window, stride, padding)


def avg_pool1d(x: Any, window: int, stride: int | None = None, padding: Any = 0) -> Any:
    """The mean under each window along the last axis; see `avg_pool2d`."""
    return _mean(x, 1, window, stride, padding)


def avg_pool2d(x: Any, window: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The mean under each window, zeros of the padding counted: x[..., h, w] -> [..., h', w']."""
    return _mean(x, 2, window, stride, padding)
