"""Thread pools compared: latency, what they burn, scaling, several callers, and getting along.

    python benchmarks/threads.py --json threads.json --png threads.png

Every pool runs the same C tasks (threads_native/) through the same function type, each in processes
of its own (threads_child.py) that take turns. Needs gcc; oneTBB is compared where its headers are.
Figures of several callers are seconds per region, all callers together.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Case, Options, report

HERE = Path(__file__).parent
CHILD = HERE / "threads_child.py"
PASSIVE, ACTIVE = {"OMP_WAIT_POLICY": "passive"}, {"OMP_WAIT_POLICY": "active"}

# name in the table -> what the child is asked for, and with which variables
OURS: dict[str, tuple[str, dict[str, str]]] = {
    "jitops": ("jitops", {}),
    "jitops auto": ("auto", {}),
    "jitops auto, passive": ("auto", PASSIVE),
    "jitops joined": ("joined", {}),
    "jitops joined, passive": ("joined", PASSIVE),
    "jitops joined, active": ("joined", ACTIVE),
}
PEERS: dict[str, tuple[str, dict[str, str]]] = {
    "libgomp": ("libgomp", {}),
    "libgomp-passive": ("libgomp", PASSIVE),
    "libgomp-active": ("libgomp", ACTIVE),
    "tvm": ("tvm", {}),
    "tbb": ("tbb", {}),
    "serial": ("serial", {}),
}
ALL = {**OURS, **PEERS}

# setting of the child -> its figures, with their names in the table
FIGURES: dict[str, dict[str, str]] = {
    "figures": {
        "hot": "empty region, one after another",
        "cold": "empty region after 1 ms of sleep",
        "burnt": "CPU time burnt in the 30 ms after a region",
        "work 25": "region of 25 us of work",
        "work 100": "region of 100 us of work",
        "work 1000": "region of 1 ms of work",
        "rested 200": "region of 200 us of work after 1 ms of sleep",
        "rested 1000": "region of 1 ms of work after 10 ms of sleep",
        "callers 1": "regions of 100 us from one thread",
        "callers 2": "regions of 100 us from two threads",
        "callers 4": "regions of 100 us from four threads",
    },
    "neighbour": {
        "neighbour median": "region of 200 us beside a busy process, median",
        "neighbour p99": "region of 200 us beside a busy process, p99",
    },
    "openmp": {
        "ours alone": "C program: this op alone",
        "ours after openmp": "C program: this op after an OpenMP op",
        "openmp alone": "C program: the OpenMP op alone",
        "openmp before ours": "C program: the OpenMP op, in turn with this one",
    },
    "torch": {
        "ours alone": "torch: this op alone",
        "ours after torch": "torch: this op after torch.exp",
        "torch alone": "torch: torch.exp alone",
        "torch before ours": "torch: torch.exp, in turn with this op",
    },
}


class PoolOptions(Options):
    """Peers are pools, not Python packages."""

    def _installed(self, peer: str) -> bool:
        needed = {"tvm": "import tvm", "tbb": None}.get(peer, "pass")
        if needed is None:
            check = ["g++", "-x", "c++", "-fsyntax-only", "-include", "tbb/parallel_for.h", "-"]
        else:
            check = [sys.executable, "-c", needed]
        if subprocess.run(check, input=b"", capture_output=True, check=False).returncode == 0:
            return True
        self.note(f"{peer} is left out: it is not installed")
        return False


def compile_pools(folder: str, with_tbb: bool) -> None:
    sources = HERE / "threads_native"
    commands = [
        ["gcc", "-O2", "-pthread", sources / "regions.c", "-o", "regions.so"],
        ["gcc", "-O2", "-fopenmp", sources / "openmp.c", "-o", "openmp.so"],
    ]
    if with_tbb:
        commands.append(["g++", "-O2", "-std=c++17", sources / "tbb.cpp", "-o", "tbb.so", "-ltbb"])
    for command in commands:
        subprocess.run([*command, "-shared", "-fPIC"], cwd=folder, check=True)


def child(contender: str, folder: str, setting: str) -> dict[str, float]:
    """The figures of one process; callers' throughput as seconds per region."""
    kind, variables = ALL[contender]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "JITOPS_T"))}
    command = [sys.executable, str(CHILD), kind, folder, setting]
    neighbour = None
    if setting == "neighbour":
        neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        done = subprocess.run(
            command, env={**clean, **variables}, stdout=subprocess.PIPE, text=True, check=True
        )
    finally:
        if neighbour is not None:
            neighbour.kill()
            neighbour.wait()
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: 1 / x if name.startswith("callers") else x for name, x in found.items()}


def measure(setting: str, contenders: list[str], folder: str, options: Options) -> list[Case]:
    """The processes of a setting take turns, each round in another order."""
    seconds: dict[str, dict[str, list[float]]] = {
        name: {who: [] for who in contenders} for name in FIGURES[setting]
    }
    order = list(contenders)
    for _ in range(options.repeat):
        for who in order:
            for name, value in child(who, folder, setting).items():
                seconds[name][who].append(value)
        order.append(order.pop(0))
    return [Case(FIGURES[setting][name], times) for name, times in seconds.items()]


def promises(cases: list[Case]) -> list[dict[str, object]]:
    """What docs/threads.md promises, as ratios within this run."""
    median = {case.name: case.medians for case in cases}

    def of(setting: str, figure: str, who: str) -> float:
        return median.get(FIGURES[setting][figure], {}).get(who, float("nan"))

    hot = of("figures", "hot", "jitops")
    two, alone = of("figures", "callers 2", "jitops"), of("figures", "callers 2", "serial")
    p99 = of("neighbour", "neighbour p99", "jitops")
    auto = "jitops auto"
    rows = [
        ("hot region, of libgomp's", hot / of("figures", "hot", "libgomp"), 1.0),
        ("hot region, of oneTBB's", hot / of("figures", "hot", "tbb"), 1.0),
        ("ms of CPU burnt after a region", of("figures", "burnt", "jitops") * 1e3, 0.1),
        ("two callers, time of one thread each", two / alone, 1 / 0.95),
        ("busy neighbour, p99 of median", p99 / of("neighbour", "neighbour median", "jitops"), 3.0),
    ]
    for host in ("openmp", "torch"):
        ours = of(host, f"ours after {host}", auto) / of(host, "ours alone", auto)
        theirs = of(host, f"{host} before ours", auto) / of(host, f"{host} alone", auto)
        rows.append((f"auto: our op after {host}'s, of its time alone", ours, 1.1))
        rows.append((f"auto: {host}'s op before ours, of its time alone", theirs, 1.05))
    return [{"promise": n, "found": x, "at most": most} for n, x, most in rows if x == x]


def main() -> None:
    options = PoolOptions(__doc__.splitlines()[0], tuple(PEERS), repeat=5)
    contenders = [*OURS, *options.peers]
    cases: list[Case] = []
    with tempfile.TemporaryDirectory(prefix="threads-") as folder:
        compile_pools(folder, "tbb" in options.peers)
        for setting in FIGURES:
            if options.cases in setting:
                cases += measure(setting, contenders, folder, options)
    options.peers = [name for name in ("torch", "tvm") if name == "torch" or name in contenders]
    kept = promises(cases)
    report("Threads: pools and how they get along", cases, options, promises=kept)
    for row in kept:
        print(f"{row['promise']:<50}{row['found']:>8.2f}   at most {row['at most']:.2f}")


if __name__ == "__main__":
    main()
