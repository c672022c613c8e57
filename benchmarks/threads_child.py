"""One process of threads.py: `python threads_child.py CONTENDER FOLDER SETTINGS`, prints JSON.

FOLDER holds the compiled files of threads_native/. Every figure is in seconds, or regions a second.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Launch = ctypes.c_void_p
TASKS = 2 * len(os.sched_getaffinity(0))


def jitops_launch(mode: str) -> int:
    """The address of our launch function; `mode` as JITOPS_THREADING."""
    import jitops
    from jitops import _native

    jitops.configure(threading=mode)
    return _native.parallel_launch


def tvm_launch() -> int:
    """TVM's own pool."""
    import tvm

    path = next(Path(tvm.__file__).parent.rglob("libtvm_runtime.so"))
    library = ctypes.CDLL(str(path))
    return address(library.TVMBackendParallelLaunch)


def address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class Regions:
    """The functions of regions.c, with times in seconds."""

    def __init__(self, folder: str) -> None:
        self.functions = ctypes.CDLL(os.path.join(folder, "regions.so"))
        for name in ("steps_per_us", "hot", "region", "burnt", "throughput"):
            getattr(self.functions, name).restype = ctypes.c_double
        self.functions.chain_task.restype = ctypes.c_void_p
        self.folder = folder
        self.per_us = self.functions.steps_per_us()

    def steps(self, us: float) -> ctypes.c_int64:
        return ctypes.c_int64(int(self.per_us * us))

    def other(self, name: str) -> int:
        """The launch function of openmp.so or tbb.so."""
        library = ctypes.CDLL(os.path.join(self.folder, f"{name}.so"))
        return address(getattr(library, f"{name}_launch"))

    def launch(self, contender: str) -> int:
        """The address of a contender's launch function."""
        makers: dict[str, Callable[[], int]] = {
            "jitops": lambda: jitops_launch("pool"),
            "joined": self._joined,
            "auto": lambda: jitops_launch("auto"),
            "libgomp": lambda: self.other("openmp"),
            "tvm": tvm_launch,
            "tbb": lambda: self.other("tbb"),
            "serial": lambda: address(self.functions.serial_launch),
        }
        return makers[contender.split(",")[0]]()

    def _joined(self) -> int:
        if "torch" not in sys.modules:
            self.other("openmp")  # brings libgomp into the process
        return jitops_launch("openmp")


def figures(regions: Regions, launch: int) -> dict[str, float]:
    """Latency, what is burnt, scaling, several callers."""
    c, at = regions.functions, Launch(launch)
    ns, real = 1e-9, ctypes.c_double
    out = {
        "hot": c.hot(at, TASKS, 300) * ns,
        "cold": c.region(at, TASKS, ctypes.c_int64(0), real(1000), 100, real(0.5)) * ns,
        "burnt": c.burnt(at, TASKS, real(30000), 9) * ns,
    }
    for us in (25, 100, 1000):
        rounds = max(20, 20000 // us)
        out[f"work {us}"] = c.region(at, TASKS, regions.steps(us), real(0), rounds, real(0.5)) * ns
    for us, rest in ((200, 1000), (1000, 10000)):
        rested = c.region(at, TASKS, regions.steps(us), real(rest), 60, real(0.5))
        out[f"rested {us}"] = rested * ns
    for callers in (1, 2, 4):
        out[f"callers {callers}"] = c.throughput(at, callers, TASKS, regions.steps(100), real(150))
    return out


def beside_a_neighbour(regions: Regions, launch: int) -> dict[str, float]:
    """The same region while another process keeps one core busy: the parent starts and ends it."""
    c, at, real = regions.functions, Launch(launch), ctypes.c_double
    quantile = {}
    for name, p in (("neighbour median", 0.5), ("neighbour p99", 0.99)):
        quantile[name] = c.region(at, TASKS, regions.steps(200), real(0), 1000, real(p)) * 1e-9
    return quantile


def after_openmp(regions: Regions, launch: int) -> dict[str, float]:
    """An OpenMP region of a C program, then one of ours; each alone, and in turn."""
    host, ours, nobody = Launch(regions.other("openmp")), Launch(launch), Launch(0)
    out = (ctypes.c_double * 2)()
    turn, steps = regions.functions.alternate, regions.steps(60)
    turn(host, ours, TASKS, steps, 50, out)
    turn(nobody, ours, TASKS, steps, 200, out)
    alone = out[1]
    turn(host, nobody, TASKS, steps, 200, out)
    host_alone = out[0]
    turn(host, ours, TASKS, steps, 200, out)
    return {
        "ours alone": alone * 1e-9,
        "ours after openmp": out[1] * 1e-9,
        "openmp alone": host_alone * 1e-9,
        "openmp before ours": out[0] * 1e-9,
    }


def after_torch(regions: Regions, launch: int) -> dict[str, float]:
    """`torch.exp` of 64k numbers, then a region of 60 us; each alone, and in turn."""
    import torch

    x, made = torch.ones(65536), torch.empty(65536)
    body = regions.functions.chain_task()
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
        launch
    )
    steps = regions.steps(60)
    data = ctypes.addressof(steps)

    def host() -> None:
        torch.exp(x, out=made)

    def ours() -> None:
        function(body, data, TASKS)

    def nobody() -> None:
        pass

    def turn(first: Callable[[], None], second: Callable[[], None], rounds: int) -> list[float]:
        times: list[list[float]] = [[], []]
        for _ in range(rounds):
            start = time.perf_counter()
            first()
            middle = time.perf_counter()
            second()
            times[0].append(middle - start)
            times[1].append(time.perf_counter() - middle)
        return [statistics.median(each) for each in times]

    turn(host, ours, 50)
    alone, host_alone = turn(nobody, ours, 300)[1], turn(host, nobody, 300)[0]
    both = turn(host, ours, 300)
    return {
        "ours alone": alone,
        "ours after torch": both[1],
        "torch alone": host_alone,
        "torch before ours": both[0],
    }


SETTINGS = {
    "figures": figures,
    "neighbour": beside_a_neighbour,
    "openmp": after_openmp,
    "torch": after_torch,
}


def main() -> None:
    contender, folder, setting = sys.argv[1:]
    if setting == "torch":
        import torch  # noqa: F401  # its libgomp is the one in the process
    regions = Regions(folder)
    print(json.dumps(SETTINGS[setting](regions, regions.launch(contender))))


if __name__ == "__main__":
    main()
