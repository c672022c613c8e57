"""Check many random programs: python tests/programs/run.py --count 100000 [--state FILE]

Every program is traced and its graph evaluated; one of `--compiled` is compiled, too, `--batch` of
them in an op. With `--state` the run goes on where the last one stopped. Failing programs are
printed as Python source; the exit status is 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / room) for room in ("programs", "trace", "lower")]

from checking import check_compiled, check_traced  # noqa: E402
from drawing import Program, draw  # noqa: E402

import jitops  # noqa: E402


def options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="the first program's number")
    parser.add_argument("--count", type=int, default=1000, help="how many")
    parser.add_argument("--compiled", type=int, default=4, help="one of so many is compiled")
    parser.add_argument("--batch", type=int, default=24, help="programs in one op")
    parser.add_argument("--state", type=Path, help="a file that remembers where it stopped")
    return parser.parse_args()


def report(program: Program, reason: str) -> None:
    print(f"{program!r}\n# {reason}\n", flush=True)


def check_range(first: int, last: int, compiled: int, batch: int) -> list[int]:
    """The numbers of the programs that fail."""
    failed, chosen = [], []
    for seed in range(first, last):
        program = draw(seed)
        reason = check_traced(program)
        if reason:
            report(program, reason)
            failed.append(seed)
        elif seed % compiled == 0:
            chosen.append(program)
    for n in range(0, len(chosen), batch):
        for program, reason in check_compiled(chosen[n : n + batch]):
            report(program, reason)
            failed.append(program.seed)
    return failed


def main() -> int:
    given = options()
    done: dict[str, Any] = {"next": given.first, "failed": []}
    if given.state and given.state.exists():
        done = json.loads(given.state.read_text())
    last, started = given.first + given.count, time.perf_counter()
    stride = given.compiled * given.batch
    while done["next"] < last:
        end = min(last, done["next"] + stride)
        with tempfile.TemporaryDirectory() as folder, jitops.options(cache_dir=folder, strict=True):
            done["failed"] += check_range(done["next"], end, given.compiled, given.batch)
        done["next"] = end
        if given.state:
            given.state.write_text(json.dumps(done))
    seconds = time.perf_counter() - started
    print(f"{last - given.first} programs, {len(done['failed'])} failed, {seconds:.0f} s")
    return 1 if done["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
