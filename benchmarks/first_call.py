"""One process of cold_start.py: `python first_call.py CONTENDER SITUATION`, prints seconds.

Imports nothing before the clock starts but what Python has loaded anyway.

SITUATION "compile": another op has been compiled in this process, so that every compiler is
imported and warm; timed is the first call of `gelu`, whose kernel no cache has.
SITUATION "process": timed is everything from after `import numpy` to the first result of `gelu`:
the import of the library and of what it imports, decoration, the first call.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def other(x, y):
    return np.exp(x) * y - 1


def jitops_tool():
    from jitops import jitop

    return jitop, lambda x: x


def numba_tool():
    import numba

    cached = "NUMBA_CACHE_DIR" in os.environ
    return (lambda f: numba.njit(f, cache=cached)), lambda x: x


def jax_tool():
    global np
    import jax

    if "BENCHMARK_JAX_CACHE" in os.environ:
        jax.config.update("jax_compilation_cache_dir", os.environ["BENCHMARK_JAX_CACHE"])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    np = jax.numpy  # the functions above are JAX's now
    return jax.jit, lambda x: x.block_until_ready()


def torch_tool():
    global np
    import torch

    np = torch

    def on_tensors(f):
        compiled = torch.compile(f)
        return lambda *arrays: compiled(*map(torch.from_numpy, arrays))

    return on_tensors, lambda x: x


TOOLS = {"jitops": jitops_tool, "numba": numba_tool, "jax": jax_tool, "torch": torch_tool}


def main() -> None:
    contender, situation = sys.argv[1:]
    x = np.linspace(-3, 3, 64 * 64, dtype=np.float32).reshape(64, 64)
    start = perf_counter()
    decorate, wait = TOOLS[contender]()
    if situation == "compile":
        wait(decorate(other)(x, x))
        start = perf_counter()
    wait(decorate(gelu)(x))
    seconds = perf_counter() - start
    if contender == "jitops" and situation == "process":
        assert "tvm" not in sys.modules, "a full cache must not need the compiler"
    print(seconds)


if __name__ == "__main__":
    import numpy as np

    main()
