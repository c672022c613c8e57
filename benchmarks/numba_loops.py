"""The cases of throughput.py as explicit parallel loops for Numba: no fastmath, all in float32."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

F = np.float32
ONE, HALF = F(1), F(0.5)
GELU_SCALE, GELU_CUBIC = F(0.7978845608), F(0.044715)
RATE, SIGMA, DRIFT = F(0.05), F(0.2), F(0.05 + 0.5 * 0.2 * 0.2)
LINEAR, CUBIC = F(1.5976), F(0.07056)
EPSILON = F(1e-5)


@njit(parallel=True)
def exp_chain(a, b):
    out = np.empty_like(a)
    for i in prange(a.size):
        out[i] = np.exp(a[i]) * b[i] + ONE
    return out


@njit(parallel=True)
def gelu(x):
    out = np.empty_like(x)
    for i in prange(x.size):
        v = x[i]
        out[i] = HALF * v * (ONE + np.tanh(GELU_SCALE * (v + GELU_CUBIC * v * v * v)))
    return out


@njit(parallel=True)
def black_scholes(spot, strike, years):
    out = np.empty_like(spot)
    for i in prange(spot.size):
        root = SIGMA * np.sqrt(years[i])
        d1 = (np.log(spot[i] / strike[i]) + DRIFT * years[i]) / root
        d2 = d1 - root
        p1 = ONE / (ONE + np.exp(-(LINEAR * d1 + CUBIC * d1 * d1 * d1)))
        p2 = ONE / (ONE + np.exp(-(LINEAR * d2 + CUBIC * d2 * d2 * d2)))
        out[i] = spot[i] * p1 - strike[i] * np.exp(-RATE * years[i]) * p2
    return out


@njit(parallel=True)
def row_sums(x):
    rows, columns = x.shape
    out = np.empty(rows, x.dtype)
    for r in prange(rows):
        total = F(0)
        for c in range(columns):
            total += x[r, c]
        out[r] = total
    return out


@njit(parallel=True)
def softmax(x):
    rows, columns = x.shape
    out = np.empty_like(x)
    for r in prange(rows):
        largest = x[r, 0]
        for c in range(columns):
            largest = max(largest, x[r, c])
        total = F(0)
        for c in range(columns):
            out[r, c] = np.exp(x[r, c] - largest)
            total += out[r, c]
        for c in range(columns):
            out[r, c] /= total
    return out


@njit(parallel=True)
def layer_norm(x, weight, bias):
    rows, columns = x.shape
    out = np.empty_like(x)
    for r in prange(rows):
        total = F(0)
        for c in range(columns):
            total += x[r, c]
        mean = total / F(columns)
        squares = F(0)
        for c in range(columns):
            squares += (x[r, c] - mean) * (x[r, c] - mean)
        scale = ONE / np.sqrt(squares / F(columns) + EPSILON)
        for c in range(columns):
            out[r, c] = (x[r, c] - mean) * scale * weight[c] + bias[c]
    return out


@njit
def matmul(x, y):
    return x @ y  # Numba calls the BLAS that SciPy ships


@njit(parallel=True)
def log2(x):
    out = np.empty_like(x)
    for i in prange(x.size):
        out[i] = np.log2(x[i])
    return out


@njit(parallel=True)
def arctan(x):
    out = np.empty_like(x)
    for i in prange(x.size):
        out[i] = np.arctan(x[i])
    return out


@njit(parallel=True)
def row_argmax(x):
    rows, columns = x.shape
    out = np.empty(rows, np.int64)
    for r in prange(rows):
        best = 0
        for c in range(columns):
            if x[r, c] > x[r, best]:
                best = c
        out[r] = best
    return out


LOOPS = {
    f.__name__: f
    for f in (
        exp_chain,
        gelu,
        black_scholes,
        row_sums,
        softmax,
        layer_norm,
        matmul,
        log2,
        arctan,
        row_argmax,
    )
}
