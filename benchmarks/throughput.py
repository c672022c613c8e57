"""Whole kernels on all cores: elementwise chains, reductions, softmax, products, convolutions.

    python benchmarks/throughput.py --json throughput.json --png throughput.png

Each contender has the function as its users would write it: NumPy's and ours are the same text,
Numba gets explicit parallel loops (fastmath off), JAX and PyTorch their own arrays and compilers.
Results are compared with NumPy's before anything is timed.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

import numpy as np
from measure import Case, Options, interleaved, report

from jitops import jitop, nn

Function = Callable[..., Any]
PEERS = ("numpy", "numba", "jax", "torch", "numexpr")


# The cases: NumPy's text (`np` is whichever module stands for NumPy), and their arguments.


def exp_chain(a, b):
    return np.exp(a) * b + 1


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def black_scholes(spot, strike, years):
    root = 0.2 * np.sqrt(years)
    d1 = (np.log(spot / strike) + (0.05 + 0.5 * 0.2 * 0.2) * years) / root
    price = []
    for d in (d1, d1 - root):  # the normal distribution by its logistic approximation
        price.append(1 / (1 + np.exp(-(1.5976 * d + 0.07056 * d * d * d))))
    return spot * price[0] - strike * np.exp(-0.05 * years) * price[1]


def row_sums(x):
    return x.sum(axis=1)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def layer_norm(x, weight, bias):
    mean = x.mean(axis=1, keepdims=True)
    centered = x - mean
    variance = (centered * centered).mean(axis=1, keepdims=True)
    return centered / np.sqrt(variance + 1e-5) * weight + bias


def matmul(x, y):
    return x @ y


def small_batch(x, weight):
    return x @ weight


def linear(x, weight):
    return x @ weight.T


def log2(x):
    return np.log2(x)


def arctan(x):
    return np.arctan(x)


def row_argmax(x):
    return x.argmax(axis=1)


def flat_argmax(x):
    return x.argmax()


def column_sums(x):
    return x.sum(axis=0)


def largest(x):
    return x.max()


def median(x):
    return np.median(x)


def attention(q, k, v):
    scores = q @ k.swapaxes(-1, -2) * 0.125
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) @ v


def conv2d(x, weight):
    return nn.conv2d(x, weight, padding=1)


def inputs() -> dict[Function, list[np.ndarray]]:
    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32)

    def between(low: float, high: float) -> np.ndarray:
        return (low + (high - low) * random.random(1_000_000)).astype(np.float32)

    square = normal(1024, 1024)
    heads = [normal(1, 8, 512, 64) for _ in range(3)]
    return {
        exp_chain: [normal(1_000_000), normal(1_000_000)],
        gelu: [normal(1_000_000)],
        black_scholes: [between(20, 40), between(20, 40), between(0.5, 2)],
        row_sums: [square],
        softmax: [square],
        layer_norm: [square, normal(1024), normal(1024)],
        matmul: [normal(512, 512), normal(512, 512)],
        small_batch: [normal(8, 4096), normal(4096, 4096)],
        linear: [normal(8, 4096), normal(4096, 4096)],
        log2: [between(0.01, 100)],
        arctan: [normal(1_000_000)],
        row_argmax: [normal(1000, 1000)],
        flat_argmax: [normal(1000, 1000)],
        column_sums: [normal(3162, 3162)],
        largest: [normal(10_000_000)],
        median: [normal(1_000_001)],
        attention: heads,
        conv2d: [normal(1, 64, 56, 56), normal(64, 64, 3, 3)],
    }


SIZES = {
    exp_chain: "exp(a) * b + 1, 1M float32",
    gelu: "gelu (tanh), 1M float32",
    black_scholes: "black-scholes, 1M float32",
    row_sums: "row sums, float32[1024,1024]",
    softmax: "softmax, float32[1024,1024]",
    layer_norm: "layer norm, float32[1024,1024]",
    matmul: "matmul, float32[512,512]",
    small_batch: "small batch, float32[8,4096] @ [4096,4096]",
    linear: "linear, float32[8,4096] @ [4096,4096].T",
    log2: "log2, 1M float32",
    arctan: "arctan, 1M float32",
    row_argmax: "row argmax, float32[1000,1000]",
    flat_argmax: "flat argmax, float32[1000,1000]",
    column_sums: "column sums, float32[3162,3162]",
    largest: "max, 10M float32",
    median: "median, 1M float32",
    attention: "attention, float32[1,8,512,64]",
    conv2d: "conv2d, float32[1,64,56,56] by [64,64,3,3]",
}


# What each contender makes of a case: (callable without arguments, the result as NumPy's array)


def ours(function: Function, arrays: list[np.ndarray]) -> Function:
    op = jitop(function)
    return lambda: op(*arrays)


def numpy_call(function: Function, arrays: list[np.ndarray]) -> Function:
    return lambda: function(*arrays)


def jax_call(function: Function, arrays: list[np.ndarray]) -> Function:
    import jax

    compiled = jax.jit(JAX.get(function) or with_module(function, jax.numpy))
    there = [jax.numpy.asarray(array) for array in arrays]
    return lambda: compiled(*there).block_until_ready()


def torch_call(function: Function, arrays: list[np.ndarray]) -> Function:
    import torch

    compiled = torch.compile(TORCH.get(function) or with_module(function, torch))
    there = [torch.from_numpy(array) for array in arrays]
    return lambda: compiled(*there)


def with_module(function: Function, module: Any) -> Function:
    """The same text with another module for `np`."""
    return type(function)(function.__code__, {**globals(), "np": module}, function.__name__)


def torch_softmax(x):
    import torch

    return torch.softmax(x, 1)


def torch_layer_norm(x, weight, bias):
    import torch

    return torch.nn.functional.layer_norm(x, (x.shape[1],), weight, bias, 1e-5)


def torch_attention(q, k, v):
    import torch

    return torch.nn.functional.scaled_dot_product_attention(q, k, v)


def torch_conv2d(x, weight):
    import torch

    return torch.nn.functional.conv2d(x, weight, padding=1)


def jax_conv2d(x, weight):
    import jax

    return jax.lax.conv(x, weight, (1, 1), "SAME")


TORCH: dict[Function, Function] = {
    softmax: torch_softmax,
    layer_norm: torch_layer_norm,
    attention: torch_attention,
    conv2d: torch_conv2d,
}
JAX: dict[Function, Function] = {conv2d: jax_conv2d}


def numexpr_call(function: Function, arrays: list[np.ndarray]) -> Function | None:
    import numexpr

    text = NUMEXPR.get(function)
    if text is None:
        return None
    names = function.__code__.co_varnames[: len(arrays)]
    return lambda: numexpr.evaluate(text, dict(zip(names, arrays)), {})


NUMEXPR: dict[Function, str] = {
    exp_chain: "exp(a) * b + 1",
    gelu: "x / 2 * (1 + tanh((x + x * x * x * 44715 / 1000000) * 7978845608 / 10000000000))",
}


def numba_call(function: Function, arrays: list[np.ndarray]) -> Function | None:
    from numba_loops import LOOPS

    loop = LOOPS.get(function.__name__)
    return None if loop is None else lambda: loop(*arrays)


MAKERS: dict[str, Callable[[Function, list[np.ndarray]], Function | None]] = {
    "jitops": ours,
    "numpy": numpy_call,
    "numba": numba_call,
    "jax": jax_call,
    "torch": torch_call,
    "numexpr": numexpr_call,
}


def measure(function: Function, arrays: list[np.ndarray], options: Options) -> Case:
    """Make, check and time all contenders of one case."""
    expected = function(*arrays)
    timers = {}
    for who in ("jitops", *options.peers):
        call = MAKERS[who](function, arrays)
        if call is None:
            continue
        tolerance = 1e-4 * float(np.abs(expected).max())
        np.testing.assert_allclose(np.asarray(call()), expected, rtol=1e-3, atol=tolerance)
        timers[who] = timeit.Timer(call)
    return interleaved(SIZES[function], timers, options.repeat)


def main() -> None:
    options = Options(__doc__.splitlines()[0], PEERS, repeat=21)
    cases = [
        measure(function, arrays, options)
        for function, arrays in inputs().items()
        if options.wants(SIZES[function])
    ]
    report("Throughput: all cores", cases, options)


if __name__ == "__main__":
    main()
