"""Roots of unity to the last bit, and the tables of them that transforms need."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["root", "roots"]


def root(k: int, n: int) -> tuple[float, float]:
    """Cosine and sine of ``2 pi k / n``."""
    re, im = roots(np.array([k]), n)
    return float(re[0]), float(im[0])


def roots(k: Any, n: int) -> tuple[Any, Any]:
    """Cosines and sines of ``2 pi k / n`` for an array of integers k, in extended precision.

    The angle is reduced to an eighth of the circle in integers, so that what is rounded is small,
    and quarters come out exact. Where the platform has no wider type than double, the error of a
    value stays below one unit in its last place.
    """
    eighths = 8 * (np.asarray(k, np.int64) % n)
    octant = eighths // n
    rest = eighths - octant * n  # in eighths of the circle, times n
    mirrored = octant % 2 == 1
    rest = np.where(mirrored, n - rest, rest)
    angle = rest.astype(np.longdouble) * (_pi() / 4) / n
    cosine, sine = np.cos(angle), np.sin(angle)
    swapped = (octant % 4 == 1) | (octant % 4 == 2)
    re, im = np.where(swapped, sine, cosine), np.where(swapped, cosine, sine)
    re = np.where((octant >= 2) & (octant < 6), -re, re)
    return re, np.where(octant >= 4, -im, im)


def _pi() -> Any:
    """Pi in the widest type: its double, and what that leaves."""
    return np.longdouble(math.pi) + np.longdouble(1.2246467991473532e-16)
