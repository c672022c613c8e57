"""NPBench's kernels, read from a checkout: their arguments, and a run in NumPy and in jitops."""

from __future__ import annotations

import copy
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jitops import jitop

PRESET = "S"


class Kernel:
    """One kernel: the function, unedited, and what its benchmark says of it.

    names: of its arguments, in order. outputs: of those that it writes.
    """

    def __init__(self, checkout: Path, short: str) -> None:
        if str(checkout) not in sys.path:
            sys.path.insert(0, str(checkout))
        text = (checkout / "bench_info" / f"{short}.json").read_text()
        self.info: dict[str, Any] = json.loads(text)["benchmark"]
        self.names: list[str] = self.info["input_args"]
        folder = self.info["relative_path"].replace("/", ".")
        self._module = f"npbench.benchmarks.{folder}.{self.info['module_name']}"

    @property
    def function(self) -> Callable[..., Any]:
        """The NumPy kernel."""
        module = importlib.import_module(self._module + "_numpy")
        return getattr(module, self.info["func_name"])  # type: ignore[no-any-return]

    def arguments(self) -> list[Any]:
        """Fresh arguments, as the benchmark's own initialisation gives them."""
        data = dict(self.info["parameters"][PRESET])
        init = self.info.get("init")
        if init:
            initialize = getattr(importlib.import_module(self._module), init["func_name"])
            made = initialize(*(data[name] for name in init["input_args"]))
            names = init["output_args"]
            data.update(zip(names, made if len(names) > 1 else (made,)))
        return [data[name] for name in self.names]


def names(checkout: Path) -> list[str]:
    """The kernels of a checkout."""
    return sorted(path.stem for path in (checkout / "bench_info").glob("*.json"))


class Outcome:
    """One run of a kernel in jitops: the pairs to compare with NumPy's, and the seconds it took."""

    def __init__(self, pairs: list[tuple[str, Any, Any]], first: float, later: float) -> None:
        self.pairs = pairs
        self.first = first
        self.later = later


def run(kernel: Kernel) -> Outcome:
    """The kernel's results and arguments afterwards, from jitops and from NumPy.

    Raises what jitops raises.
    """
    function = kernel.function
    wanted_arguments = kernel.arguments()
    found_arguments, again = copy.deepcopy(wanted_arguments), copy.deepcopy(wanted_arguments)
    op = jitop(function)
    started = time.perf_counter()
    with np.errstate(all="ignore"):
        found = op(*found_arguments)
        first = time.perf_counter() - started
        wanted = function(*wanted_arguments)
    started = time.perf_counter()
    op(*again)
    later = time.perf_counter() - started
    pairs = [("result", found, wanted)]
    arrays = zip(kernel.names, found_arguments, wanted_arguments)
    pairs += [(name, x, y) for name, x, y in arrays if isinstance(y, np.ndarray)]
    return Outcome(pairs, first, later)


def differences(outcome: Outcome) -> list[str]:
    """Where jitops' values are not NumPy's within NPBench's own tolerance for validation."""
    return [line for name, found, wanted in outcome.pairs for line in _compare(name, found, wanted)]


def _compare(name: str, found: Any, wanted: Any) -> list[str]:
    if isinstance(wanted, (tuple, list)):
        if type(found) is not type(wanted) or len(found) != len(wanted):
            return [f"{name}: {type(found).__name__} for {type(wanted).__name__}"]
        pairs = enumerate(zip(found, wanted))
        return [line for i, (f, w) in pairs for line in _compare(f"{name}[{i}]", f, w)]
    if wanted is None:
        return [] if found is None else [f"{name}: {found!r} for None"]
    found, wanted = np.asarray(found), np.asarray(wanted)
    if (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
        return [f"{name}: {found.dtype}{found.shape} for {wanted.dtype}{wanted.shape}"]
    scale = np.linalg.norm(wanted.ravel())
    with np.errstate(all="ignore"):
        finite = np.isfinite(wanted)
        same = np.array_equal(found[~finite], wanted[~finite], equal_nan=True)
        error = np.linalg.norm((found - wanted)[finite]) / (scale or 1)
    return [] if same and error <= TOLERANCE else [f"{name}: relative error {error:.3g}"]


TOLERANCE = 1e-5  # of the norm
