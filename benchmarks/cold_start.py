"""What the first call costs, in fresh processes: with an empty cache, and with a full one.

    python benchmarks/cold_start.py --json cold.json --png cold.png

Every figure is taken in a process of its own (first_call.py); the contenders' processes take turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Case, Options, report

CHILD = Path(__file__).with_name("first_call.py")
CASES = {
    "compile": "first call of an op, empty cache, compiler imported",
    "process": "new process, full cache: import and first result, beyond import numpy",
}


def caches(contender: str, folder: str) -> dict[str, str]:
    """The variables that put a contender's cache into this folder."""
    variables = {
        "jitops": ("JITOPS_CACHE_DIR",),
        "numba": ("NUMBA_CACHE_DIR",),
        "jax": ("BENCHMARK_JAX_CACHE",),
        "torch": ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"),
    }
    return dict.fromkeys(variables[contender], folder)


def first_call(contender: str, situation: str, folder: str) -> float:
    """Seconds that a fresh process needed; raises CalledProcessError where it failed."""
    environment = {**os.environ, **caches(contender, folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody starts often without bytecode
    command = [sys.executable, str(CHILD), contender, situation]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def measure(situation: str, contenders: list[str], options: Options) -> Case:
    """A round is one process of each contender; its cache is empty, or filled beforehand."""
    seconds: dict[str, list[float]] = {who: [] for who in contenders}
    with tempfile.TemporaryDirectory(prefix="cold-start-") as root:
        full = {who: os.path.join(root, who) for who in contenders}
        for who in contenders:
            os.mkdir(full[who], 0o700)
            if situation == "process":
                fill = "compile" if who == "jitops" else "process"
                first_call(who, fill, full[who])
        order = list(contenders)
        for _ in range(options.repeat):
            for who in order:
                with tempfile.TemporaryDirectory(dir=root) as empty:
                    folder = full[who] if situation == "process" else empty
                    seconds[who].append(first_call(who, situation, folder))
            order.append(order.pop(0))
    return Case(CASES[situation], seconds)


def main() -> None:
    options = Options(__doc__.splitlines()[0], ("numba", "jax", "torch"), repeat=9)
    contenders = ["jitops", *options.peers]
    cases = [measure(s, contenders, options) for s, name in CASES.items() if options.wants(name)]
    report("Cold start", cases, options)


if __name__ == "__main__":
    main()
