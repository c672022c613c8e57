"""Programs with control flow on values, and arguments for them: (name, function, arguments)."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from jitops import cond, fori_loop, scan, while_loop

rng = np.random.default_rng(7)
State = namedtuple("State", "position velocity")
CAPTURED = np.linspace(0.1, 0.9, 5)


class Layer:
    """Arrays that a function reaches through an attribute are captured where they are used."""

    weight = np.linspace(-1.0, 1.0, 5)


def captured_in_bodies(x: Any) -> Any:
    def step(i: Any, c: Any) -> Any:
        return 0.5 * c * Layer.weight + CAPTURED[::-1] + np.array([0.0, 1, 4, 9, 16]) * i

    y = fori_loop(0, 3, step, fori_loop(0, 2, step, x))
    y = cond(y[0] > 0, lambda v: v * Layer.weight, lambda v: v - CAPTURED, y)
    return step(1, y) + Layer.weight


def transformed_in_bodies(x: Any) -> Any:
    def step(i: Any, c: Any) -> Any:
        return np.fft.fft(c).real / len(c)

    return step(0, fori_loop(0, 1, step, fori_loop(0, 2, step, x)))


def newton(a: Any) -> Any:
    def improved(carry: Any) -> Any:
        x, steps = carry
        return 0.5 * (x + a / x), steps + 1

    return while_loop(lambda c: np.abs(c[0] * c[0] - a) > 1e-9 * a, improved, (a, 0))


def mandelbrot(c: Any) -> Any:
    def step(i: Any, carry: Any) -> Any:
        z, count = carry
        inside = np.abs(z) < 2
        return np.where(inside, z * z + c, z), count + inside

    return fori_loop(0, 12, step, (np.zeros_like(c), np.zeros(c.shape, "int32")))


def rnn(xs: Any, h: Any, w: Any, u: Any) -> Any:
    def cell(h: Any, x: Any) -> Any:
        h = np.tanh(h @ w + x @ u)
        return h, h

    return scan(cell, h, xs)


def statistics(xs: Any) -> Any:
    """Running mean and variance, after Welford."""

    def step(carry: Any, x: Any) -> Any:
        n, mean, m2 = carry
        n = n + 1
        delta = x - mean
        mean = mean + delta / n
        m2 = m2 + delta * (x - mean)
        return (n, mean, m2), {"mean": mean, "variance": m2 / n}

    zero = np.zeros(xs.shape[1:], xs.dtype)
    return scan(step, (0, zero, zero), xs)


def collatz(n: Any) -> Any:
    def step(carry: Any) -> Any:
        n, steps = carry
        n = cond(n % 2 == 0, lambda n: n // 2, lambda n: 3 * n + 1, n)
        return n, steps + 1

    return while_loop(lambda c: c[0] != 1, step, (n, 0))[1]


def heat(u: Any, n: Any) -> Any:
    def step(i: Any, u: Any) -> Any:
        u[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
        return u

    return fori_loop(0, n, step, u)


def heat_2d(u: Any) -> Any:
    def step(i: Any, u: Any) -> Any:
        inner = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        u[1:-1, 1:-1] = 0.25 * inner
        return u

    u[...] = fori_loop(0, 9, step, u)
    return u.sum()


def conjugate_gradient(a: Any, b: Any) -> Any:
    def step(s: Any) -> Any:
        ap = a @ s["p"]
        alpha = s["rr"] / (s["p"] @ ap)
        x = s["x"] + alpha * s["p"]
        r = s["r"] - alpha * ap
        rr = r @ r
        return {"x": x, "r": r, "p": r + (rr / s["rr"]) * s["p"], "rr": rr}

    start = {"x": np.zeros_like(b), "r": b, "p": b, "rr": b @ b}
    return while_loop(lambda s: s["rr"] > 1e-20, step, start)["x"]


def branches(x: Any, w: Any) -> Any:
    def heavy(x: Any) -> Any:
        w[0] = x.max()
        return np.cumsum(np.exp(x)), x.mean()

    def light(x: Any) -> Any:
        return x * 2, 0.0

    return cond(x.sum() > 0, heavy, light, x), w * 2


def fibonacci(n: Any) -> Any:
    return fori_loop(0, n, lambda i, c: (c[1], c[0] + c[1]), (0, 1))[0]


def swapped(x: Any, y: Any) -> Any:
    return fori_loop(0, 5, lambda i, c: (c[1], c[0]), (x, y))


def rotated(x: Any) -> Any:
    return fori_loop(0, 4, lambda i, x: np.concatenate([x[1:], x[:1]]), x)


def reversed_sum(xs: Any) -> Any:
    return scan(lambda c, x: (c + x, c), np.zeros((), xs.dtype), xs, reverse=True)


def leapfrog(x: Any, dt: Any) -> Any:
    def step(i: Any, s: Any) -> Any:
        v = s.velocity - dt * s.position * CAPTURED
        return State(s.position + dt * v, v)

    return fori_loop(3, 20, step, State(x, np.zeros_like(x)))


def nested(xs: Any, n: Any) -> Any:
    """A loop in a branch in a scan, with values of all levels in the innermost body."""

    def row(total: Any, x: Any) -> Any:
        def grow(x: Any) -> Any:
            return fori_loop(0, n, lambda i, y: y * 0.5 + x.max() + i, x)

        y = cond(x[0] > 0, grow, lambda x: x - total, x)
        return total + y.sum(), (y, None)

    return scan(row, xs.dtype.type(0), xs)


def counted(x: Any) -> Any:
    """The counter is a Python int: float32 stays float32."""
    return fori_loop(-2, 3, lambda i, x: x * i + x[i + 2], x)


def searched(xs: Any, value: Any) -> Any:
    """Bisection: an index that the data decide."""

    def step(c: Any) -> Any:
        low, high = c
        middle = (low + high) // 2
        return cond(xs[middle] < value, lambda: (middle + 1, high), lambda: (low, middle))

    return while_loop(lambda c: c[0] < c[1], step, (0, xs.size))[0]


def power_iteration(a: Any) -> Any:
    def step(i: Any, v: Any) -> Any:
        v = a @ v
        return v / np.sqrt((v * v).sum())

    v = fori_loop(0, 30, step, np.ones(a.shape[0], a.dtype))
    return v @ a @ v


def invariant(x: Any, w: Any) -> Any:
    """What never changes is computed once: the product, the exponentials, the untouched carry."""

    def step(i: Any, c: Any) -> Any:
        y, kept = c
        return y * np.exp(w).sum() + (w @ w)[0] + kept, kept

    return fori_loop(0, 3, step, (x, w[0]))


def outer_update(x: Any, flag: Any) -> Any:
    """A branch writes to arrays of the function around it."""
    buffer = np.zeros(3)

    def write() -> Any:
        x[1:3] *= 2
        buffer[1] = x[0]

    cond(flag > 0, write, lambda: None)
    return buffer


def returned_after_the_write(x: Any, flag: Any) -> Any:
    """A branch returns the very array that it wrote to."""

    def write() -> Any:
        x[1:] = x[:-1]
        return x

    return cond(flag > 0, write, lambda: x), x.sum()


def aliases(x: Any, y: Any) -> Any:
    """Whatever a body returns, it is written to here, and must not be seen elsewhere."""
    chosen = cond(x[0] > 0, lambda: y, lambda: x[::-1])
    chosen += 1
    known = cond(True, lambda: x, lambda: y)
    known *= 3

    def step(i: Any, c: Any) -> Any:
        a = c[0]
        a *= 2
        return y, a

    def row(c: Any, r: Any) -> Any:
        c += r
        r += 1
        return c, (c, r)

    return chosen, known, fori_loop(0, 3, step, (x, x)), scan(row, x[0:1], x), x, y


def measured(x: Any) -> Any:
    """Several reductions of what a loop gives."""
    y = fori_loop(0, 3, lambda i, y: y.cumsum(axis=1) / 3, x)
    return y.sum(axis=1), y.max(axis=1), y.mean(axis=1)


def logistic(x: Any, r: Any, n: Any) -> Any:
    """A loop whose elements do not look at each other: one kernel."""

    def step(i: Any, c: Any) -> Any:
        x, seen = c
        x = r * x * (1 - x) + 1e-3 * i
        return x, seen + (x > 0.5)

    return fori_loop(0, n, step, (x, np.zeros(x.shape, "int32")))


def averaged(xs: Any) -> Any:
    """Rows in and rows out of a loop within a kernel, backwards."""
    return scan(lambda c, x: ((0.9 * c + 0.1 * x,) * 2), xs[0] * 0, xs, reverse=True)


def mixed_types(x: Any) -> Any:
    """Python numbers in a carry, that stay or take a dtype."""

    def step(i: Any, c: Any) -> Any:
        scale, total, seen = c
        return scale * 0.5, total + (x * scale).sum(), seen | (total > 1)

    return fori_loop(0, 6, step, (1.0, 0, False))


def floats(dtype: str, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(dtype)


MATRIX = floats("float64", 6, 6)

PROGRAMS: list[tuple[str, Any, tuple[Any, ...]]] = [
    ("newton", newton, (np.float64(7.0),)),
    ("newton of a float", newton, (19.0,)),
    ("mandelbrot", mandelbrot, ((floats("float64", 4, 5) + 1j * floats("float64", 4, 5)),)),
    ("mandelbrot64", mandelbrot, ((floats("float32", 7) * np.complex64(1 + 1j)),)),
    ("rnn", rnn, (floats("f", 5, 2, 3), floats("f", 2, 4), floats("f", 4, 4), floats("f", 3, 4))),
    (
        "wide rnn",
        rnn,
        (floats("f", 3, 8, 16), floats("f", 8, 32), floats("f", 32, 32) / 8, floats("f", 16, 32)),
    ),
    ("statistics", statistics, (floats("float64", 9, 4),)),
    ("statistics of one", statistics, (floats("float32", 6),)),
    ("collatz", collatz, (27,)),
    ("collatz of int64", collatz, (np.int64(97),)),
    ("heat", heat, (floats("float64", 20), 7)),
    ("heat of no steps", heat, (floats("float32", 20), 0)),
    ("heat backwards", heat, (floats("float32", 20)[::-1], 3)),
    ("heat 2d", heat_2d, (floats("float64", 6, 7),)),
    ("conjugate gradient", conjugate_gradient, (MATRIX @ MATRIX.T + np.eye(6), floats("d", 6))),
    ("heavy branch", branches, (np.ones(4), np.zeros(3))),
    ("light branch", branches, (-np.ones(4), np.zeros(3))),
    ("fibonacci", fibonacci, (30,)),
    ("swapped", swapped, (floats("float64", 4), floats("float64", 4))),
    ("swapped scalars", swapped, (np.float32(1), np.float32(2))),
    ("rotated", rotated, (np.arange(5, dtype="int16"),)),
    ("reversed sum", reversed_sum, (floats("float64", 6),)),
    ("reversed sum of rows", reversed_sum, (np.arange(6, dtype="complex64"),)),
    ("leapfrog", leapfrog, (floats("float64", 5), 0.05)),
    ("nested", nested, (floats("float32", 4, 3), 3)),
    ("nested of no steps", nested, (floats("float32", 4, 3), 0)),
    ("counted", counted, (floats("float32", 5),)),
    ("searched", searched, (np.arange(0.0, 20.0, 2.0), 7.0)),
    ("power iteration", power_iteration, (MATRIX @ MATRIX.T,)),
    ("invariant", invariant, (floats("float64", 4), floats("float64", 4, 4))),
    ("outer update", outer_update, (np.arange(4.0), np.float64(1))),
    ("no outer update", outer_update, (np.arange(4.0), np.float64(-1))),
    ("returned after the write", returned_after_the_write, (np.arange(5.0), np.float64(1))),
    ("aliases", aliases, (np.arange(1.0, 5.0), np.arange(7.0, 11.0))),
    ("measured", measured, (floats("float64", 20, 6),)),
    ("logistic", logistic, (np.abs(floats("float64", 1300)) % 1, 3.7, 40)),
    ("logistic of 2d", logistic, (np.abs(floats("float32", 9, 31))[:, ::2] % 1, 3.7, 5)),
    ("logistic of no steps", logistic, (np.abs(floats("float32", 9)) % 1, 3.7, 0)),
    ("averaged", averaged, (floats("float64", 6, 7),)),
    ("averaged scalars", averaged, (floats("float32", 50)[::-2],)),
    ("averaged layers", averaged, (floats("float64", 4, 3, 5).transpose(1, 2, 0),)),
    ("captured in bodies", captured_in_bodies, (floats("float64", 5),)),
    ("transformed in bodies", transformed_in_bodies, (floats("float64", 2048),)),
    ("mixed types", mixed_types, (floats("float32", 5),)),
]
