"""Loops on values: Newton's method, Collatz steps, a recurrent cell, a stencil, a fractal.

    python benchmarks/control_flow.py --json control.json --peers numba,jax

Ours and NumPy's are the same text; JAX gets `lax` in the place of `jitops`, Numba plain loops
(fastmath off). Results are compared with NumPy's before anything is timed.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from measure import Case, Options, interleaved, report

import jitops
from jitops import jitop

PEERS = ("numpy", "numba", "jax")
Function = Callable[..., Any]


# The cases: `np` is whichever module stands for NumPy, `flow` has the loops.


def newton(np, flow):
    def root(a):
        def improved(carry):
            return 0.5 * (carry[0] + a / carry[0]), carry[1] + 1

        return flow.while_loop(lambda c: np.abs(c[0] * c[0] - a) > 1e-12 * a, improved, (a, 0))[0]

    return root


def collatz(np, flow):
    def steps(n):
        def step(carry):
            n, count = carry
            return flow.cond(n % 2 == 0, lambda: n // 2, lambda: 3 * n + 1), count + 1

        return flow.while_loop(lambda c: c[0] != 1, step, (n, 0))[1]

    return steps


def rnn(np, flow):
    def run(xs, h, w, u):
        def cell(h, x):
            h = np.tanh(h @ w + x @ u)
            return h, h

        return flow.scan(cell, h, xs)[1]

    return run


def heat(np, flow):
    def run(u):
        def step(i, u):
            new = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
            if hasattr(u, "at"):
                return u.at[1:-1, 1:-1].set(new)
            u[1:-1, 1:-1] = new
            return u

        return flow.fori_loop(0, 50, step, u)

    return run


def mandelbrot(np, flow):
    def counts(re, im):
        def step(i, carry):
            x, y, count = carry
            inside = x * x + y * y < 4
            return (
                np.where(inside, x * x - y * y + re, x),
                np.where(inside, 2 * x * y + im, y),
                count + inside,
            )

        zero = np.zeros_like(re)
        return flow.fori_loop(0, 50, step, (zero, zero, np.zeros(re.shape, "int32")))[2]

    return counts


def arguments() -> dict[str, tuple[Function, tuple[Any, ...]]]:
    rng = np.random.default_rng(1)

    def normal(*shape: int, scale: float = 1.0) -> Any:
        return (rng.standard_normal(shape) * scale).astype("float32")

    re, im = np.meshgrid(np.linspace(-2, 1, 300), np.linspace(-1.2, 1.2, 200))
    cell = (normal(100, 32, 64), normal(32, 128), normal(128, 128, scale=0.09))
    return {
        "Newton's method, float64": (newton, (np.float64(1e10),)),
        "Collatz, 524 steps": (collatz, (np.int64(837799),)),
        "recurrent cell, 100 steps of 32 x 128 float32": (rnn, (*cell, normal(64, 128))),
        "heat, 50 steps of 512 x 512 float32": (heat, (normal(512, 512),)),
        "Mandelbrot, 50 steps of 200 x 300 float64": (mandelbrot, (re, im)),
    }


def contenders(make: Function, args: tuple[Any, ...], options: Options) -> dict[str, Function]:
    eager = make(np, jitops)
    found: dict[str, Function] = {"jitops": jitop(eager)}
    if "numpy" in options.peers:
        found["numpy"] = eager
    if "jax" in options.peers:
        import jax

        jax.config.update("jax_enable_x64", True)
        compiled = jax.jit(make(jax.numpy, SimpleNamespace(**vars(jax.lax))))
        found["jax"] = lambda *a: jax.block_until_ready(compiled(*a))
    if "numba" in options.peers:
        import numba_flow

        found["numba"] = getattr(numba_flow, make.__name__)
    expected = eager(*args)
    for who, function in found.items():
        np.testing.assert_allclose(function(*args), expected, 1e-3, 1e-4, err_msg=who)
    return found


def main() -> None:
    options = Options(__doc__ or "", PEERS, repeat=21)
    cases: list[Case] = []
    for name, (make, args) in arguments().items():
        if options.wants(name):
            found = contenders(make, args, options)
            timers = {
                who: timeit.Timer(lambda f=f, args=args: f(*args)) for who, f in found.items()
            }
            cases.append(interleaved(name, timers, options.repeat))
    report("Control flow", cases, options)


if __name__ == "__main__":
    main()
