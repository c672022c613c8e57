"""Float64 arguments for the accuracy tests: random ones over the domain, and hard ones."""

from __future__ import annotations

import numpy as np

# Nearest to a multiple of pi/2 of all float64 (Muller et al., Handbook of Floating-Point
# Arithmetic, 2010, ch. 11), and others close.
NEAR_MULTIPLES = (
    6381956970095103.0 * 2.0**797,
    5.319372648326541e255,
    3.3903004435651374e166,
    1e22,
    2.0**1023,
    1.7976931348623157e308,
    884279719003555.0,
    5.6371e15,
)
# Arguments whose results lie hardest by a rounding boundary (V. Lefevre and J.-M. Muller, 2001),
# and ends of ranges.
HARD = (
    7.5417527749959590085206221e-10,
    1.9999999999999998,
    0.9999999999999999,
    1.0000000000000002,
    709.782712893384,
    -708.3964185322641,
    -744.4400719213812,
    710.4758600739439,
    5.9,
    26.5,
    27.2,
    0.45,
    0.75,
    0.5000000000000001,
    0.41421356237309503,
    2.414213562373095,
    1e-8,
    3e-17,
    4.9e-324,
    2.2250738585072014e-308,
    1e300,
)
INSIDE = {
    "log": (0, np.inf),
    "log2": (0, np.inf),
    "log10": (0, np.inf),
    "log1p": (-1, np.inf),
    "asin": (-1, 1),
    "acos": (-1, 1),
    "atanh": (-1, 1),
    "acosh": (1, np.inf),
    "lgamma": (0, np.inf),
}


def unary(name: str, count: int, seed: int = 0) -> np.ndarray:
    """About ``count`` arguments in the function's domain."""
    rng = np.random.default_rng(seed)
    n = count // 8
    sign = rng.choice([-1.0, 1.0], n)
    parts = [
        np.array(HARD + NEAR_MULTIPLES),
        -np.array(HARD + NEAR_MULTIPLES),
        rng.uniform(-1, 1, n),
        rng.uniform(-6, 6, n),
        rng.uniform(-30, 30, n),
        rng.uniform(-745, 711, n),
        sign * np.exp(rng.uniform(-40, 3, n)),
        1 + sign * np.exp(rng.uniform(-36, 0, n)),
        sign * np.ldexp(rng.uniform(1, 2, n), rng.integers(-1074, 1024, n)),
        np.arange(1, n + 1) * (np.pi / 2),
    ]
    x = np.concatenate(parts)
    low, high = INSIDE.get(name, (-np.inf, np.inf))
    return np.ascontiguousarray(x[(x > low) & (x < high)])


def pairs(name: str, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """About ``count`` pairs; bases of powers are positive, or the exponents whole.

    Divisors are not 0.
    """
    rng = np.random.default_rng(seed)
    n = count // 4
    wide = np.ldexp(rng.uniform(1, 2, (2, n)), rng.integers(-400, 400, (2, n)))
    near = 1 + rng.choice([-1, 1], n) * np.exp(rng.uniform(-36, -0.1, n))
    large = rng.choice([-1, 1], n) * np.exp(rng.uniform(0, 36, n))
    normal = rng.normal(0, 4, (2, n))
    whole = np.round(normal[1] * 8)
    x = np.concatenate([wide[0], near, np.abs(normal[0]), normal[0]])
    y = np.concatenate([wide[1], large, normal[1], whole])
    if name == "pow":
        keep = np.abs(y * np.log(np.abs(x))) < 800
        x, y = x[keep], y[keep]
    if name == "fmod":
        x, y = x[y != 0], y[y != 0]
    return x, y
