"""NumPy's own tests of its ufuncs and numeric functions, with both compiled by jitops."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import contracts
import numpy as np
import pytest
import suites
from checkouts import asked_for
from compiled_syntax import rewritten

IMPORTS = {
    r"^import numpy as np$": "from compiled_numpy import np",
    r"^import numpy\._core\.umath as ncu$": "from compiled_numpy import ncu",
    r"^from numpy(\._core|\.lib\._index_tricks_impl)? import": "from compiled_numpy import",
    r"^from numpy\.(linalg|fft) import": r"from compiled_numpy.\1 import",
}
# test_linalg takes each matrix in 9 layouts, and the right-hand sides, too: each pair is a compile.
SHORTER = {r"\(1, 3, -4\)": "(-4,)"}

# A compile may take longer than the time that hypothesis allows an example. What would be a view
# of no memory for NumPy, a result of its own must not take from the machine: it is a MemoryError.
CONFTEST = """
import resource

import hypothesis

resource.setrlimit(resource.RLIMIT_AS, (12 << 30,) * 2)

hypothesis.settings.register_profile("numpys", deadline=None, derandomize=True)
hypothesis.settings.load_profile("numpys")
"""

CORE = ("umath", "numeric", "shape_base", "einsum", "ufunc", "indexing", "item_selection")
# Modules about what Python has operators and methods for.
OF_SYNTAX = ("test_indexing", "test_item_selection")
LIB = (
    "function_base", "shape_base", "nanfunctions", "index_tricks", "twodim_base", "arraysetops",
    "polynomial", "arraypad", "packbits", "type_check", "histograms", "ufunclike",
)  # fmt: skip
FFT = ("pocketfft", "helper")
LINALG = ("linalg",)
PACKAGES = {"_core": CORE, "lib": LIB, "fft": FFT, "linalg": LINALG}


def test_modules() -> list[Path]:
    folder = Path(np.__file__).parent
    places = [(folder / package / "tests", name) for package, n in PACKAGES.items() for name in n]
    return [tests / f"test_{name}.py" for tests, name in places]


test_modules.__test__ = False  # type: ignore[attr-defined]


def compiled(text: str) -> str:
    """The module's text with NumPy's namespace replaced by the compiled one, with fewer layouts."""
    for pattern, line in {**IMPORTS, **SHORTER}.items():
        text = re.sub(pattern, line, text, flags=re.M)
    return text


def suite(
    module: Path, scratch: Path, change: bool, chosen: Sequence[str] = (), plugin: str = ""
) -> suites.Run:
    """A copy of the module, run in a directory of its own: on both sides the same surroundings.

    chosen: the tests to run, as a run names them; without any, all.
    """
    scratch.mkdir()
    text = module.read_text(encoding="utf-8")
    if change:
        text = compiled(rewritten(text) if module.stem in OF_SYNTAX else text)
    (scratch / module.name).write_text(text, encoding="utf-8")
    (scratch / "conftest.py").write_text(CONFTEST)
    (scratch / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n    parallel_threads\n")
    named = [node(module, name) for name in chosen]
    (scratch / "chosen").write_text("\n".join(named or [module.name]))
    arguments = ["@chosen", "-W", "ignore", *(["-p", plugin] if plugin else [])]
    cache = {"JITOPS_CACHE_DIR": str(scratch.parent / "cache")}
    return suites.run(arguments, scratch, scratch, cache)


def node(module: Path, name: str) -> str:
    """A test of the module as pytest is told to run it: ``test_umath.py::Class::test[3]``."""
    place, _, test = name.partition("::")
    return "::".join([module.name, *place.split(".")[1:], test])


def wrong(module: Path, scratch: Path, excused: Mapping[str, str]) -> dict[str, str]:
    """Of the tests that only want errors or warnings of kernels, those with wrong values."""
    silent = [name for name, reason in excused.items() if reason == contracts.SILENT]
    if not silent:
        return {}
    again = suite(module, scratch, change=True, chosen=silent, plugin="silence")
    unsound = [name for name in silent if name not in again.passed()]
    return {name: again.reasons.get(name, "did not run") for name in unsound}


@pytest.mark.parametrize("module", test_modules(), ids=lambda path: path.stem)
def test_what_numpy_passes_passes_compiled(module, tmp_path):
    asked_for("numpy")
    numpys = suite(module, tmp_path / "numpy", change=False)
    ours = suite(module, tmp_path / "jitops", change=True)
    print(f"{len(ours.passed())} of NumPy's {len(numpys.passed())} tests pass, ", end="")
    print(f"{ours.jitops} calls in jitops, {ours.numpy} in NumPy")
    for reason, count in sorted(ours.kinds.items()):
        print(f"  {count} calls: {reason}")
    lost = suites.lost(ours, numpys)
    excused = contracts.excused(lost)
    for reason, count in sorted(Counter(excused.values()).items()):
        print(f"  {count} tests: {reason}")
    lost = {name: reason for name, reason in lost.items() if name not in excused}
    lost |= wrong(module, tmp_path / "values", excused)
    assert ours.jitops
    assert not contracts.idle(module, excused)
    assert not lost, "\n".join(f"{name}: {reason[:200]}" for name, reason in lost.items())


SMALL_SUITE = """
import numpy as np

def test_compiled():
    assert np.add.reduce(np.hypot(np.full(5, 3.0), 4.0)) == 25.0

def test_fallback():
    assert np.linalg.svd(np.eye(70))[1].sum() == 70
"""


def test_the_runner_compiles_and_counts_a_fallback_as_lost(tmp_path):
    module = tmp_path / "test_small.py"
    module.write_text(SMALL_SUITE, encoding="utf-8")
    numpys = suite(module, tmp_path / "numpy", change=False)
    ours = suite(module, tmp_path / "jitops", change=True)
    assert len(numpys.passed()) == 2
    assert (numpys.jitops, ours.jitops) == (0, 2)
    (name,) = suites.lost(ours, numpys)
    assert name.endswith("test_fallback")


SILENT_SUITE = """
import numpy as np
import pytest

def test_right():
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        np.log(np.zeros(3))

def test_wrong():
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        np.log(np.zeros(3))
    assert np.log(np.ones(3))[0] == 1
"""


def test_the_values_of_tests_that_want_errors_of_kernels_are_looked_at(tmp_path):
    module = tmp_path / "test_small.py"
    module.write_text(SILENT_SUITE, encoding="utf-8")
    names = ["test_small::test_right", "test_small::test_wrong"]
    found = wrong(module, tmp_path / "values", dict.fromkeys(names, contracts.SILENT))
    assert list(found) == names[1:]
