"""What the benchmarks share: the command line, interleaved timing, ratios, the record, the picture.

Contenders of a case take turns in one process, round by round, each round in another order, so that
what disturbs the machine disturbs all of them. A figure is the median over the rounds; a ratio is
jitops' median divided by the peer's: below 1, jitops is faster.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
import time
import timeit
from collections.abc import Sequence
from typing import Any

PEERS = ("numpy", "numba", "jax", "torch", "numexpr")
OURS = "jitops"
BLOCK_SECONDS = 0.005  # long against the clock, short against the scheduler's time slices


class Options:
    """The parsed command line: `peers` are those asked for and installed, by name."""

    def __init__(self, description: str, peers: Sequence[str], repeat: int) -> None:
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--json", metavar="FILE", help="write the figures")
        parser.add_argument("--png", metavar="FILE", help="draw the figures (needs matplotlib)")
        parser.add_argument("--repeat", type=int, default=repeat, metavar="N", help="rounds")
        parser.add_argument("--peers", default=",".join(peers), help=f"of {','.join(peers)}")
        parser.add_argument("--cases", default="", help="only cases whose name contains this")
        parsed = parser.parse_args()
        asked = [peer for peer in parsed.peers.split(",") if peer]
        unknown = sorted(set(asked) - set(peers))
        if unknown:
            parser.error(f"{', '.join(unknown)} is none of the peers {', '.join(peers)}")
        self.json: str | None = parsed.json
        self.png: str | None = parsed.png
        self.repeat: int = max(1, parsed.repeat)
        self.cases: str = parsed.cases
        self.notes: list[str] = []
        self.peers = [peer for peer in asked if self._installed(peer)]

    def _installed(self, peer: str) -> bool:
        try:
            importlib.import_module(peer)
        except ImportError as error:
            self.note(f"{peer} is left out: {error}")
            return False
        return True

    def note(self, text: str) -> None:
        """Say something on stderr and keep it for the record."""
        self.notes.append(text)
        print(f"note: {text}", file=sys.stderr)

    def wants(self, case: str) -> bool:
        return self.cases in case


class Case:
    """The figures of one case: seconds of each contender, round by round.

    pairs: peers that are compared with another contender of ours than `OURS`.
    """

    def __init__(
        self, name: str, seconds: dict[str, list[float]], pairs: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.seconds = seconds
        self.pairs = pairs or {}
        self.medians = {who: statistics.median(times) for who, times in seconds.items()}

    def ratios(self) -> dict[str, float]:
        """Our median over each peer's."""
        peers = [who for who in self.medians if not who.startswith(OURS)]
        return {who: self.medians[self.pairs.get(who, OURS)] / self.medians[who] for who in peers}

    def record(self) -> dict[str, Any]:
        """What goes into the JSON file."""
        spread = {who: [min(times), max(times)] for who, times in self.seconds.items()}
        return {
            "case": self.name,
            "median_s": self.medians,
            "min_max_s": spread,
            "ratios": self.ratios(),
        }


def interleaved(
    name: str,
    timers: dict[str, timeit.Timer],
    repeat: int,
    pairs: dict[str, str] | None = None,
) -> Case:
    """Time the contenders in turn; a block of calls each, after one call that is not timed."""
    counts = {who: _calls_per_block(timer) for who, timer in timers.items()}
    seconds: dict[str, list[float]] = {who: [] for who in timers}
    order = list(timers)
    for _ in range(repeat):
        for who in order:
            timers[who].timeit(1)
            seconds[who].append(timers[who].timeit(counts[who]) / counts[who])
        order.append(order.pop(0))
    return Case(name, seconds, pairs)


def _calls_per_block(timer: timeit.Timer) -> int:
    timer.timeit(1)  # the first call may compile
    count = 1
    while count < 1_000_000:
        taken = timer.timeit(count)
        if taken >= BLOCK_SECONDS / 4:
            return max(1, round(count * BLOCK_SECONDS / taken))
        count *= 4
    return count


def report(title: str, cases: Sequence[Case], options: Options, **more: Any) -> None:
    """Print the table; write the JSON record and the picture where asked for."""
    surroundings = environment(options.peers)
    print(f"{title}\n{surroundings['cpu']}, {surroundings['cores']} cores, ", end="")
    print(f"load {surroundings['load_average'][0]:.1f}, median of {options.repeat} rounds\n")
    for case in cases:
        _print_case(case)
    if options.json:
        record = {
            "benchmark": title,
            "environment": surroundings,
            "repeat": options.repeat,
            "cases": [case.record() for case in cases],
            "notes": options.notes,
            **more,
        }
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=2)
    if options.png:
        _draw(title, cases, options)


def _print_case(case: Case) -> None:
    ratios = case.ratios()
    print(case.name)
    for who, median in case.medians.items():
        ours = case.pairs.get(who, OURS)
        ratio = f"   {ours} takes {ratios[who]:.2f} of it" if who in ratios else ""
        print(f"  {who:<22}{duration(median):>12}{ratio}")
    print()


def duration(seconds: float) -> str:
    """A duration in the unit that suits it."""
    for unit, size in (("s ", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.0f} ns"


def _draw(title: str, cases: Sequence[Case], options: Options) -> None:
    try:
        import matplotlib
    except ImportError:
        options.note("no picture: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    height = 1 + sum(max(1.7, 0.7 + 0.2 * len(case.medians)) for case in cases)
    figure, axes = pyplot.subplots(len(cases), 1, figsize=(7, height), squeeze=False)
    for axis, case in zip(axes[:, 0], cases):
        names = list(case.medians)[::-1]
        values = [case.medians[name] for name in names]
        colors = ["tab:orange" if name.startswith(OURS) else "tab:gray" for name in names]
        bars = axis.barh(names, values, color=colors)
        axis.bar_label(bars, [f" {duration(value)}" for value in values], fontsize=8)
        axis.set_title(case.name, fontsize=9, loc="left")
        axis.set_xlim(0, max(values) * 1.2)
        axis.set_xticks([])
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(options.png, dpi=120)


def environment(peers: Sequence[str]) -> dict[str, Any]:
    """The machine and the versions, for the record."""
    import numpy

    import jitops
    from jitops._native import detect_cpu

    cpu = detect_cpu()
    return {
        "cpu": cpu.get("brand") or cpu["name"],
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "jitops": jitops.__version__,
        "numpy": numpy.__version__,
        **{peer: importlib.import_module(peer).__version__ for peer in peers},
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
