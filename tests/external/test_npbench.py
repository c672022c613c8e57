"""NPBench's kernels, unedited and strict: array programs run; the others say why not, and where."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from checkouts import VARIABLES, checkout
from kernels import Kernel, differences, names, run

import jitops
from jitops.errors import TraceError

# Pure functions of arrays; straight lines of statements that write to arrays; and loops over whole
# arrays' steps, whose numbers are known before any element is.
PURE = "arc_distance atax azimint_hist bicg compute covariance2 gesummv k3mm mlp softmax"
WRITING = "doitgen gemm gemver hdiff k2mm mvt"
STEPPING = (
    "adi azimint_naive cavity_flow conv2d_bias correlation covariance deriche fdtd_2d"
    " floyd_warshall gramschmidt heat_3d jacobi_1d jacobi_2d lenet mandelbrot1 nbody resnet"
    " stockham_fft syr2k syrk vadv"
)
ARRAY_PROGRAMS = frozenset(f"{PURE} {WRITING} {STEPPING}".split())

# Loops over single elements, or with sums of another length in each step: they trace, and take
# minutes to compile.
UNROLLED = frozenset(
    ["cholesky", "durbin", "go_fast", "ludcmp", "scattering_self_energies", "symm", "trisolv"]
)

LOCATION = re.compile(r"\w+_numpy\.py:\d+")


def kernels() -> list[str]:
    """The names in the checkout, for parameters; one stand-in without a checkout."""
    directory = os.environ.get(VARIABLES["npbench"])
    return names(Path(directory)) if directory else ["every kernel"]


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return Kernel(checkout("npbench"), request.param)


def chosen(wanted: bool) -> list[str]:
    found = [name for name in kernels() if name not in UNROLLED]
    return [name for name in found if (name in ARRAY_PROGRAMS) is wanted] or found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kernel", chosen(True), indirect=True)
def test_array_programs_give_what_numpy_gives(kernel, tmp_path):
    with jitops.options(strict=True, cache_dir=str(tmp_path)):
        outcome = run(kernel)
    print(f"first call {outcome.first:.2f} s, later {outcome.later * 1e3:.2f} ms")
    assert not differences(outcome)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kernel", chosen(False), indirect=True)
def test_the_others_run_or_say_where_and_what_to_do(kernel, tmp_path):
    """Values decide what they do, they are sparse, or they call what has no native code."""
    with jitops.options(strict=True, cache_dir=str(tmp_path)):
        try:
            outcome = run(kernel)
        except TraceError as error:
            told = LOCATION.search(str(error)) and error.way_out
            differing = [] if told else [str(error)]
        else:
            differing = differences(outcome)
    assert not differing
