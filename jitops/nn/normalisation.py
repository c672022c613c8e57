"""Normalisations. Means and variances of float16 are computed in float32, as NumPy's are."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["batch_norm", "group_norm", "layer_norm", "rms_norm"]


def _scaled(x: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


def layer_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-5,
) -> Any:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` along the axes (Ba et al., 2016).

    weight, bias: broadcast to x; for one axis at the end, its size. The shape of x.
    """
    distance = x - np.mean(x, axis=axis, keepdims=True)
    variance = np.mean(np.square(distance), axis=axis, keepdims=True)
    return _scaled(distance / np.sqrt(variance + eps), weight, bias)


def rms_norm(
    x: Any, weight: Any = None, axis: int | tuple[int, ...] = -1, eps: float = 1e-6
) -> Any:
    """``x / sqrt(mean(x**2) + eps) * weight`` along the axes (Zhang and Sennrich, 2019)."""
    square = np.mean(np.square(x), axis=axis, keepdims=True)
    return _scaled(x / np.sqrt(square + eps), weight, None)


def batch_norm(
    x: Any,
    mean: Any,
    variance: Any,
    weight: Any = None,
    bias: Any = None,
    axis: int = 1,
    eps: float = 1e-5,
) -> Any:
    """Normalise by statistics that are given, as in inference (Ioffe and Szegedy, 2015).

    x: channels along an axis. mean, variance, weight, bias: one number per channel.
    """
    shape = [1] * x.ndim
    shape[axis] = -1
    factor = 1 / np.sqrt(np.asarray(variance) + eps)
    factor = factor if weight is None else factor * weight
    shift = -np.asarray(mean) * factor
    shift = shift if bias is None else shift + bias
    return x * factor.reshape(shape) + shift.reshape(shape)


def group_norm(
    x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """`layer_norm` of each of the groups that the channels are cut into (Wu and He, 2018).

    x[n, c, ...] with c a multiple of groups; weight, bias: one number per channel.
    Raises ValueError where the channels do not divide.
    """
    if x.shape[1] % groups:
        raise ValueError(f"group_norm: {x.shape[1]} channels do not make {groups} groups")
    flat = x.reshape((x.shape[0], groups, -1))
    out = layer_norm(flat, axis=-1, eps=eps).reshape(x.shape)
    shape = (-1,) + (1,) * (x.ndim - 2)
    weight = None if weight is None else weight.reshape(shape)
    return _scaled(out, weight, None if bias is None else bias.reshape(shape))
