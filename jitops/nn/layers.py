"""Layers of weights given as arguments: linear, embedding, attention, dropout, one-hot."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jitops.nn.activations import softmax

__all__ = ["attention", "dropout", "embedding", "linear", "one_hot"]


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """``x @ weight.T + bias``: x[..., n], weight[m, n], bias[m] -> [..., m]."""
    out = x @ weight.T
    return out if bias is None else out + bias


def embedding(indices: Any, table: Any) -> Any:
    """The rows of a table: indices[...] of integers, table[n, d] -> [..., d].

    Raises IndexError where an index is not in ``[-n, n)``.
    """
    return table[indices]


def one_hot(labels: Any, count: int, dtype: Any = np.float32) -> Any:
    """1 at each label and 0 elsewhere: labels[...] -> [..., count].

    A label outside of ``[0, count)`` gives a row of zeros.
    """
    return np.equal(np.asarray(labels)[..., None], np.arange(count)).astype(dtype)


def dropout(x: Any, mask: Any, rate: float) -> Any:
    """``x / (1 - rate)`` where the mask is true, 0 elsewhere (Srivastava et al., 2014).

    mask: bools that broadcast to x, drawn outside of the op: true with probability ``1 - rate``.
    """
    return np.where(mask, x * (1 / (1 - rate)), 0)


def attention(
    q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False, scale: float | None = None
) -> Any:
    """``softmax(scale * q @ k.T + mask) @ v`` (Vaswani et al., 2017).

    q[..., n, d], k[..., m, d], v[..., m, e] -> [..., n, e]; the leading axes broadcast.
    mask: broadcasts to [..., n, m]; bools say what is seen, floats are added.
    causal: row i sees the columns up to i. scale: ``1 / sqrt(d)`` by default.
    A row that sees nothing is NaN.
    """
    scores = (q @ np.swapaxes(k, -1, -2)) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if causal:
        seen = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
        scores = np.where(seen, scores, -math.inf)
    if mask is not None:
        mask = np.asarray(mask)
        scores = np.where(mask, scores, -math.inf) if mask.dtype.kind == "b" else scores + mask
    return softmax(scores) @ v
