"""Losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitops.nn.activations import log_softmax

__all__ = ["cross_entropy", "mse"]


def _reduced(x: Any, reduction: str) -> Any:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction={reduction!r}: accepted are 'mean', 'sum' and 'none'")
    return x if reduction == "none" else np.mean(x) if reduction == "mean" else np.sum(x)


def cross_entropy(
    logits: Any, labels: Any, reduction: str = "mean", label_smoothing: float = 0.0
) -> Any:
    """``-log(softmax(logits)[label])``: logits[..., c] -> [...], then the mean or the sum.

    labels: integers [...] below c, or probabilities [..., c]. label_smoothing: the part of each
    target that is spread over all classes (Szegedy et al., 2015).
    """
    log = log_softmax(logits)
    if np.ndim(labels) == np.ndim(logits):
        loss = -np.sum(log * labels, axis=-1)
    else:
        index = np.asarray(labels)[..., None]
        loss = -np.take_along_axis(log, index, axis=-1)[..., 0]
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * np.mean(log, axis=-1)
    return _reduced(loss, reduction)


def mse(prediction: Any, target: Any, reduction: str = "mean") -> Any:
    """The squared difference, element by element, then the mean or the sum."""
    return _reduced(np.square(prediction - target), reduction)
