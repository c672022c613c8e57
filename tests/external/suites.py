"""Other people's pytest suites, run in a process of their own: once on NumPy, once on jitops."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent


class Run:
    """What a suite gave: the outcome of each test, and how many calls went where.

    outcomes: test -> "passed", "failed" or "skipped". reasons: of the failures, the last line.
    kinds: why calls stayed in NumPy, and how many.
    """

    def __init__(
        self,
        outcomes: dict[str, str],
        reasons: dict[str, str],
        jitops: int,
        numpy: int,
        kinds: dict[str, int],
    ) -> None:
        self.outcomes = outcomes
        self.reasons = reasons
        self.jitops = jitops
        self.numpy = numpy
        self.kinds = kinds

    def passed(self) -> set[str]:
        return {name for name, outcome in self.outcomes.items() if outcome == "passed"}


def run(
    arguments: Sequence[str], directory: Path, scratch: Path, environment: Mapping[str, str]
) -> Run:
    """Run pytest with these arguments in a directory; ``scratch`` takes cache and reports."""
    report, calls = scratch / "report.xml", scratch / "calls"
    variables = {
        **os.environ,
        "JITOPS_STRICT": "1",
        "JITOPS_CACHE_DIR": str(scratch / "cache"),
        "JITOPS_EXTERNAL_CALLS": str(calls),
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", "-p", "no:randomly"]
    command += ["-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=directory, env=variables, capture_output=True, text=True, check=False
    )
    if not report.exists():
        told = done.stdout[-4000:] + done.stderr[-4000:]
        raise AssertionError(f"the suite did not run:\n{told}")
    counts, *kinds = calls.read_text().splitlines() if calls.exists() else ["0 0"]
    jitops, numpy = map(int, counts.split())
    each = {reason: int(count) for count, _, reason in (line.partition(" ") for line in kinds)}
    return Run(*read(report), jitops, numpy, each)


def read(report: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The outcomes and the failures' messages of a JUnit report."""
    outcomes, reasons = {}, {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag: child for child in case}
        outcome = "passed"
        for tag in ("failure", "error", "skipped"):
            if tag in kinds:
                outcome = "skipped" if tag == "skipped" else "failed"
                reasons[name] = kinds[tag].get("message", "")
        outcomes[name] = outcome
    return outcomes, reasons


def lost(jitops: Run, numpy: Run) -> dict[str, str]:
    """Tests that pass on NumPy and not on jitops, with the reasons."""
    names = sorted(numpy.passed() - jitops.passed())
    return {name: jitops.reasons.get(name, "did not run") for name in names}
