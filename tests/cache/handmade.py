"""Hand-made artifacts and stores: nothing here needs the compiler or the native module."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from jitops.cache.artifact import Artifact
from jitops.cache.key import PARTS, Key

ROOT = Path(__file__).resolve().parents[2]


def make_key(graph: str = "g", **parts: str) -> Key:
    return Key({**{name: name for name in PARTS}, "graph": graph, **parts})


def make_artifact(graph: str = "g", size: int = 500, **meta: object) -> Artifact:
    image = b"\x7fELF" + random.Random(graph).randbytes(size)
    return Artifact(make_key(graph), image, {"name": "k", "cost_ns": 1.5}, ("avx2",), meta)


class Children:
    """Real Python processes that run a piece of code with these helpers imported."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.running: list[subprocess.Popen[str]] = []

    def start(self, code: str, *arguments: object) -> subprocess.Popen[str]:
        preamble = "import os, sys, time\nfrom handmade import *\n"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        child = subprocess.Popen(
            [sys.executable, "-c", preamble + code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=self.directory,
            text=True,
        )
        self.running.append(child)
        return child

    def finish(self, child: subprocess.Popen[str]) -> str:
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
        return out

    def run(self, code: str, *arguments: object) -> str:
        return self.finish(self.start(code, *arguments))
