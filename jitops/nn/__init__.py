"""The usual functions of neural networks, in NumPy terms.

Plain functions of arrays: on NumPy's arrays they run in NumPy, and inside a `@jitop` function they
become part of its kernels. Nothing here holds state: weights, masks and random draws are arguments.
Results have the dtype that NumPy's promotion gives their operands; float32 stays float32.
"""

from __future__ import annotations

from jitops.nn.activations import (
    elu,
    erf,
    gelu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
)
from jitops.nn.convolution import conv1d, conv2d
from jitops.nn.layers import attention, dropout, embedding, linear, one_hot
from jitops.nn.losses import cross_entropy, mse
from jitops.nn.normalisation import batch_norm, group_norm, layer_norm, rms_norm
from jitops.nn.pooling import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d

__all__ = [
    "attention",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "erf",
    "gelu",
    "group_norm",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "max_pool1d",
    "max_pool2d",
    "mish",
    "mse",
    "one_hot",
    "relu",
    "relu6",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
]
