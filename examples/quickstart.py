"""Develop a photograph with a NumPy function, compiled by jitops.

    python -m pip install '.[examples]' && python examples/quickstart.py

The first run compiles the function; run it again, and the new process finds it in the cache.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_sample_image  # the photograph is a file in that package

import jitops
from jitops import jitop

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # Rec. 709


@jitop
def develop(photo, exposure, saturation):
    """Tone-map an 8-bit photograph (height, width, 3) to float32 in 0..1, in linear light.

    Exposure is relative to the log-average luminance, highlights are compressed (Reinhard et al.,
    "Photographic tone reproduction for digital images", 2002), corners are darkened.
    """
    height, width, _ = photo.shape
    linear = (photo.astype(np.float32) / 255) ** 2  # close to sRGB's curve, and cheap
    luminance = (linear * LUMINANCE).sum(axis=-1, keepdims=True)
    average = np.exp(np.log(luminance + 1e-4).mean())
    scaled = luminance * (exposure / average)
    curve = (1 + scaled / 9) / (1 + scaled) * (exposure / average)
    toned = linear * curve
    gray = luminance * curve
    vivid = gray + saturation * (toned - gray)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    return np.sqrt(np.clip(vivid * (1 - 0.2 * (x * x + y * y)), 0, 1))


def main() -> None:
    options = argparse.ArgumentParser(description="Develop a photograph with a compiled function.")
    options.add_argument("--save", metavar="FILE", help="write the result as an image")
    save = options.parse_args().save

    photo = load_sample_image("china.jpg")
    half = photo[::2, ::2]  # a view: not contiguous
    height, width, _ = photo.shape
    print(f"develop(photo, 0.3, 1.4), a photograph of {width} x {height} pixels\n")

    first, result, how_first = timed(lambda: develop(photo, 0.3, 1.4))
    row("first call", first, how_first)
    other, _, how_other = timed(lambda: develop(half, 0.3, 1.4))
    row("another shape, a view", other, how_other)
    later = median_ms(lambda: develop(photo, 0.3, 1.4), 100)
    row("later calls", later, "median of 100")
    row("another exposure", median_ms(lambda: develop(photo, 0.5, 1.4), 20), "nothing compiled")
    numpy = median_ms(lambda: develop.eager(photo, 0.3, 1.4), 20)
    row("NumPy", numpy, f"the undecorated function, {numpy / later:.1f} times the later calls")

    expected = develop.eager(photo, 0.3, 1.4)
    difference = float(np.abs(result - expected).max())
    assert difference < 1e-4, "sums in another order round differently, but not this much"
    print(f"\nlargest difference from NumPy: {difference:.1e}, of values in 0..1")

    counts = ", ".join(f"{name} {count}" for name, count in develop.stats().items())
    print(f"stats: {counts}")
    print(f"cache: {jitops.config.cache_dir}")
    print(f"compiler imported: {'yes' if 'tvm' in sys.modules else 'no'}")
    explain(photo)
    if save:
        write(save, result)
    if develop.stats()["compiles"]:
        print("\nRun this again: the next process loads what this one compiled.")
    else:
        print("\nA warm start: nothing was compiled. `jitops cache clear` empties the cache.")


def timed(call: Callable[[], Any]) -> tuple[float, Any, str]:
    """One call: its milliseconds, its result, and where its kernel came from."""
    before, imported = develop.stats(), "tvm" in sys.modules
    start = time.perf_counter()
    result = call()
    took = (time.perf_counter() - start) * 1e3
    if develop.stats()["compiles"] == before["compiles"]:
        return took, result, "loaded from the cache"
    importing = "" if imported else ", after importing the compiler"
    return took, result, f"traced, compiled and stored{importing}"


def median_ms(call: Callable[[], Any], count: int) -> float:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def row(what: str, milliseconds: float, remark: str) -> None:
    print(f"  {what:<24}{milliseconds:>10.2f} ms   {remark}")


def explain(photo: np.ndarray) -> None:
    """The start of what `print(develop.explain(photo, 0.3, 1.4))` shows."""
    lines = str(develop.explain(photo, 0.3, 1.4)).splitlines()
    print("\nprint(develop.explain(photo, 0.3, 1.4)):")
    for line in lines[:6]:
        print(f"  {line}")
    print(f"  ... {len(lines) - 6} more lines")


def write(path: str, image: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray((image * 255 + 0.5).astype(np.uint8)).save(path)
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
