"""The cases of control_flow.py as plain loops for Numba, without fastmath."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

QUARTER = np.float32(0.25)


@njit
def newton(a):
    x = a
    while abs(x * x - a) > 1e-12 * a:
        x = 0.5 * (x + a / x)
    return x


@njit
def collatz(n):
    count = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        count += 1
    return count


@njit
def rnn(xs, h, w, u):
    ys = np.empty((xs.shape[0], h.shape[0], h.shape[1]), h.dtype)
    for t in range(xs.shape[0]):
        h = np.tanh(h @ w + xs[t] @ u)
        ys[t] = h
    return ys


@njit(parallel=True)
def heat(u):
    u, new = u.copy(), u.copy()
    for _ in range(50):
        for i in prange(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                new[i, j] = QUARTER * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        u, new = new, u
    return u


@njit(parallel=True)
def mandelbrot(re, im):
    out = np.zeros(re.shape, np.int32)
    for i in prange(re.shape[0]):
        for j in range(re.shape[1]):
            x = y = 0.0
            for _ in range(50):
                if x * x + y * y < 4:
                    x, y = x * x - y * y + re[i, j], 2 * x * y + im[i, j]
                    out[i, j] += 1
    return out
