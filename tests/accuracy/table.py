"""Measure the math functions beside NumPy's and the C library's, and write docs/accuracy.md.

    python tests/accuracy/table.py [--full] [--float64 N] [--output docs/accuracy.md]

``--full`` takes our own float32 functions over all 2^32 arguments (about an hour on one core);
everything else is sampled, every column over the same arguments. Times are the best of several over
a million elements in cache-warm memory, on one core.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import samples64
from measure import (
    BINARY,
    NAMES,
    NUMPY,
    arity,
    exact,
    float32_arrays,
    float32_bits,
    float64_error,
    kernel,
    library_float64,
)
from test_float32 import pairs

from jitops.lower.math import MATH

STRIDE = 1009
ELEMENTS = 1_000_000
DOMAIN = {
    "asin": (-0.99, 0.99),
    "acos": (-0.99, 0.99),
    "atanh": (-0.99, 0.99),
    "acosh": (1.01, 9.0),
}


def numpy_function(name: str) -> Callable[..., Any] | None:
    return getattr(np, NUMPY.get(name, name), None)


def milliseconds(call: Callable[[], Any]) -> float:
    best = np.inf
    for _ in range(30):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return float(best) * 1e3


def times(name: str, dtype: str) -> tuple[float, float | None]:
    """Ours and NumPy's time for a million elements."""
    rng = np.random.default_rng(3)
    low, high = DOMAIN.get(name, (0.05, 6.0))
    arrays = [rng.uniform(low, high, ELEMENTS).astype(dtype) for _ in range(arity(name))]
    out = np.empty_like(arrays[0])
    ours, theirs = kernel(name, dtype), numpy_function(name)
    mine = milliseconds(lambda: ours(*arrays, out=out))
    return mine, milliseconds(lambda: theirs(*arrays, out=out)) if theirs else None


def float32_errors(name: str, full: bool) -> list[float | None]:
    """Largest error of ours, NumPy's and the C library's, in ULP."""
    theirs = numpy_function(name)
    if arity(name) == 2:
        found: list[list[float]] = [[], [], []]
        for x, y in pairs(500_000, 5):
            x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
            with np.errstate(all="ignore"):
                results = (kernel(name, "float32")(x, y), theirs(x, y) if theirs else None, None)
            for errors, got in zip(found, results, strict=True):
                errors.append(float32_arrays(name, (x, y), got).worst)
        return [max(errors) for errors in found]
    x = np.arange(0, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32).view("f4")
    with np.errstate(all="ignore"):
        numpys = float32_arrays(name, (x,), theirs(x)).worst if theirs else None
    ours = float32_bits(name, 1 if full else STRIDE, kernel(name, "float32").address).worst
    # The C library has no sigmoid.
    return [ours, numpys, None if name == "sigmoid" else float32_bits(name, STRIDE, None).worst]


def float64_errors(name: str, count: int) -> list[float | None]:
    """As `float32_errors`, against mpmath."""
    arrays = (
        samples64.pairs(name, count, 11)
        if arity(name) == 2
        else (samples64.unary(name, count, 11),)
    )
    theirs = numpy_function(name)
    with np.errstate(all="ignore"):
        columns = [kernel(name, "float64")(*arrays), theirs(*arrays) if theirs else None]
    columns.append(library_float64(name, arrays) if name != "sigmoid" else None)
    wanted = [exact(name, *map(float, args)) for args in zip(*arrays, strict=True)]
    return [
        None
        if column is None
        else max(float64_error(float(g), w) for g, w in zip(column, wanted, strict=True))
        for column in columns
    ]


def cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value < 1000 else f"{value:.1e}"


def row(name: str, dtype: str, args: argparse.Namespace) -> str:
    wide = dtype == "float64"
    errors = float64_errors(name, args.float64) if wide else float32_errors(name, args.full)
    ours, theirs = times(name, dtype)
    ratio = "–" if theirs is None else f"{ours / theirs:.2f}"
    cells = [name, *map(cell, errors), f"{ours:.2f}", cell(theirs), ratio]
    print(dtype, *cells, flush=True)
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--float64", type=int, default=4000, metavar="N")
    parser.add_argument("--output", type=Path, default=Path("docs/accuracy.md"))
    args = parser.parse_args()
    text = Path(__file__).with_name("accuracy.md.in").read_text()
    for dtype in ("float32", "float64"):
        names = [name for name in NAMES if (name, dtype) in MATH and name != "fmod"]
        names.sort(key=lambda name: name in BINARY)
        table = "\n".join(row(name, dtype, args) for name in names)
        text = text.replace(f"@{dtype}@", table)
    sample = "all 2^32 arguments" if args.full else f"every {STRIDE}th of all 2^32 arguments"
    text = text.replace("@sample@", sample).replace("@stride@", str(STRIDE))
    text = text.replace("@count@", str(args.float64)).replace("@numpy@", np.__version__)
    text = text.replace("@libc@", " ".join(platform.libc_ver()))
    args.output.write_text(text)


if __name__ == "__main__":
    main()
