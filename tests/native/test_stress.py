"""The pool and the result memory under random use; the programs are built here, without Python."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "jitops" / "native"
BUILDS = {
    "plain": [],
    "chaos": ["-DJITOPS_CHAOS=ON"],
    "thread": ["-DJITOPS_SANITIZE=thread"],
    "thread, chaos": ["-DJITOPS_SANITIZE=thread", "-DJITOPS_CHAOS=ON"],
    "address": ["-DJITOPS_SANITIZE=address"],
}
# build, then callers, regions of each, forks
QUICK = [("chaos", "8", "400", "20"), ("thread", "8", "400", "12")]
LONG = [
    ("plain", "16", "62500", "1000"),  # a million launches, a thousand forks
    ("chaos", "16", "4000", "400"),
    ("thread", "16", "20000", "200"),
    ("thread, chaos", "16", "2000", "100"),
    ("address", "16", "10000", "200"),
]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build the stress programs once in each way asked for."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")

    @functools.cache
    def built(how: str) -> Path:
        folder = tmp_path_factory.mktemp("stress")
        configure = ["cmake", "-DJITOPS_STRESS=ON", "-DJITOPS_WERROR=ON", *BUILDS[how], str(SOURCE)]
        for command in (configure, ["cmake", "--build", "."]):
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        return folder

    return built


def run(program: Path, *arguments: str) -> None:
    environment = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1 die_after_fork=0"}
    command = [str(program), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, (done.stdout + done.stderr)[:5000]


@pytest.mark.parametrize("case", QUICK, ids=" ".join)
def test_random_launches_and_forks(programs: Callable[[str], Path], case: tuple[str, ...]) -> None:
    run(programs(case[0]) / "pool_stress", *case[1:])


@pytest.mark.long
@pytest.mark.parametrize("case", LONG, ids=" ".join)
def test_many_random_launches_and_forks(
    programs: Callable[[str], Path], case: tuple[str, ...]
) -> None:
    run(programs(case[0]) / "pool_stress", *case[1:])


@pytest.mark.parametrize("runtime", ["libgomp.so.1", "libomp.so.5"])
def test_random_launches_and_forks_on_an_openmp_team(
    programs: Callable[[str], Path], runtime: str
) -> None:
    try:
        ctypes.CDLL(runtime)
    except OSError:
        pytest.skip(f"{runtime} is not installed")
    run(programs("chaos") / "pool_stress", "4", "400", "20", runtime)


@pytest.mark.long
@pytest.mark.parametrize("how", ["thread", "address"])
def test_memory_passed_between_threads(programs: Callable[[str], Path], how: str) -> None:
    run(programs(how) / "memory_stress")
