"""Convolutions (in the networks' sense: the kernel is not flipped), channels first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

__all__ = ["conv1d", "conv2d", "padded", "pairs", "several"]


def several(value: int | Sequence[int], count: int) -> tuple[int, ...]:
    """One number per spatial axis."""
    return (value,) * count if isinstance(value, int) else tuple(value)


def pairs(
    padding: Any, sizes: Sequence[int], strides: Sequence[int], extents: Sequence[int]
) -> list[tuple[int, int]]:
    """Zeros before and after each spatial axis.

    padding: "valid", "same" (as many results as ``extent / stride``, rounded up), an int, ints, or
    pairs of ints. sizes: of the dilated kernel.
    """
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding == "same":
        totals = [
            max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip(extents, strides, sizes)
        ]
        return [(total // 2, total - total // 2) for total in totals]
    if isinstance(padding, str):
        raise ValueError(f"padding={padding!r}: accepted are 'valid', 'same', ints and pairs")
    given = several(padding, len(sizes))
    return [(p, p) if isinstance(p, int) else (p[0], p[1]) for p in given]


def padded(x: Any, widths: Sequence[tuple[int, int]], value: Any) -> Any:
    """The array with a constant around its spatial axes."""
    if not any(low or high for low, high in widths):
        return x
    around = [(0, 0)] * (x.ndim - len(widths)) + list(widths)
    return np.pad(x, around, constant_values=value)


def _convolved(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    rank = x.ndim - 2
    kernel = weight.shape[2:]
    _check(x, weight, groups)
    strides, dilations = several(stride, rank), several(dilation, rank)
    sizes = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    widths = pairs(padding, sizes, strides, x.shape[2:])
    flat = set(strides) == {1} and prod(kernel) > 1 and not groups == x.shape[1] == weight.shape[0]
    if flat:  # windows of whole lines reach a little beyond the last one
        (low, high), *others = widths
        widths = [(low, high + 1), *others]
    x = padded(x, widths, 0)
    extents = (x.shape[2] - flat, *x.shape[3:])
    counts = tuple((n - k) // s + 1 for n, k, s in zip(extents, sizes, strides))
    if any(n < 1 for n in counts):
        raise ValueError(f"a kernel of {kernel} does not fit into {extents}")

    def window(place: tuple[int, ...]) -> Any:
        """What the kernel's element at this place meets, for all results."""
        cuts = [
            slice(p * d, p * d + (n - 1) * s + 1, s)
            for p, d, n, s in zip(place, dilations, counts, strides)
        ]
        index: tuple[Any, ...] = (..., *cuts)
        return x[index]

    places = list(product(*map(range, kernel)))
    if groups == x.shape[1] == weight.shape[0]:
        out = _depthwise(weight, [window(p) for p in places], places)
    elif flat:
        out = _by_lines(x, weight, places, counts, dilations, groups)
    else:
        out = _by_product(weight, [window(p) for p in places], groups)
    return out if bias is None else out + bias.reshape((-1,) + (1,) * rank)


def _check(x: Any, weight: Any, groups: int) -> None:
    channels, outputs = x.shape[1], weight.shape[0]
    if channels != weight.shape[1] * groups or outputs % groups or x.ndim != weight.ndim:
        raise ValueError(
            f"cannot convolve x{list(x.shape)} with weight{list(weight.shape)} in {groups} groups:"
            " needs x[n, c, ...] and weight[m, c / groups, ...] with m a multiple of groups"
        )


def _depthwise(weight: Any, windows: list[Any], places: Any) -> Any:
    """One kernel per channel: a sum of shifted products."""
    shape = (-1,) + (1,) * (weight.ndim - 2)
    total: Any = None
    for window, place in zip(windows, places):
        index = (slice(None), 0, *place)
        term = window * weight[index].reshape(shape)
        total = term if total is None else total + term
    return total


def _by_lines(
    x: Any, weight: Any, places: Any, counts: Sequence[int], dilations: Sequence[int], groups: int
) -> Any:
    """As `_by_product` for steps of one: each window is one piece of the flattened lines.

    The windows then overlap in memory, and no copy of them is needed. Between the lines there are
    results that nobody wants.
    """
    lines = x.shape[3:]
    flat = x.reshape((*x.shape[:2], -1))
    length = counts[0] * prod(lines)
    starts = [
        sum(p * d * prod(lines[n:]) for n, (p, d) in enumerate(zip(place, dilations)))
        for place in places
    ]
    out = _by_product(weight, [flat[..., start : start + length] for start in starts], groups)
    index: tuple[Any, ...] = (..., *(slice(n) for n in counts))
    return out.reshape((*out.shape[:2], counts[0], *lines))[index]


def _by_product(weight: Any, windows: list[Any], groups: int) -> Any:
    """One matrix product of the kernels with the columns of what they meet (im2col).

    The kernel's places come before the channels: each window is then copied as one block.
    """
    n, _, *counts = windows[0].shape
    outputs, each = weight.shape[:2]
    parts = [w.reshape((n, groups, each, *counts)) for w in windows]
    columns = np.stack(parts, axis=2).reshape((n, groups, len(parts) * each, -1))
    rows = np.moveaxis(weight.reshape((outputs, each, -1)), 1, 2)
    rows = rows.reshape((groups, outputs // groups, len(parts) * each))
    return np.matmul(rows, columns).reshape((n, outputs, *counts))


def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """As `conv2d`, with one spatial axis: x[n, c, l], weight[m, c / groups, k] -> [n, m, l']."""
    return _convolved(x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """``out[n, m, i, j] = bias[m] + sum of x[n, c, i s + p d, j s + q d] weight[m, c, p, q]``.

    x[n, c, h, w], weight[m, c / groups, kh, kw], bias[m] -> [n, m, h', w'].
    stride (s), dilation (d): an int, or one per axis. padding: "valid", "same", an int, one per
    axis, or a pair (before, after) per axis. Raises ValueError where the shapes do not fit.
    """
    return _convolved(x, weight, bias, stride, padding, dilation, groups)
