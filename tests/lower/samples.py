"""Values that break compilers: extremes, zeros of both signs, NaN, infinities, and random ones."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = ("float16", "bfloat16", "float32", "float64")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
COMPLEXES = ("complex64", "complex128")
DTYPES = ("bool", *SIGNED, *UNSIGNED, *FLOATS, *COMPLEXES)


def dtype_of(name: str) -> np.dtype[Any]:
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


def special(name: str) -> Any:
    """The special values of a dtype."""
    dtype = dtype_of(name)
    if name == "bool":
        return np.array([True, False])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        some = [0, 1, 2, 3, 5, 7, 10, info.max, info.max - 1, info.min, info.min + 1, info.max // 2]
        if dtype.kind == "i":
            some += [-1, -2, -3, -7, info.min // 2]
        return np.array(some, dtype)
    if dtype.kind == "c":
        part = special("float32" if dtype.itemsize == 8 else "float64")[:12]
        re, im = np.meshgrid(part, part)
        out = np.empty(re.size, dtype)
        out.real, out.imag = re.ravel(), im.ravel()
        return out
    info = ml_dtypes.finfo(dtype)
    some = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        np.nan,
        np.inf,
        -np.inf,
        0.5,
        2.0,
        -2.5,
        3.0,
        1.5,
        -0.5,
        100.0,
        float(info.max),
        float(info.min),
        float(info.tiny),
        -float(info.tiny),
        float(info.smallest_subnormal),
        1 + float(info.eps),
        0.1,
        -7.3,
        1e-3,
    ]
    return np.array(some).astype(dtype)


def random(name: str, shape: Any, rng: np.random.Generator) -> Any:
    """Mostly small values, as programs have them."""
    dtype = dtype_of(name)
    if name == "bool":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        return rng.integers(0 if dtype.kind == "u" else -20, 21, shape).astype(dtype)
    x = rng.standard_normal(shape) * 3
    if dtype.kind == "c":
        return (x + 1j * rng.standard_normal(shape)).astype(dtype)
    return x.astype(dtype)


def pairs(name: str, rng: np.random.Generator, count: int = 100) -> tuple[Any, Any]:
    """Every special value with every other, then random ones."""
    values = special(name)
    if len(values) > 40:
        values = np.concatenate([values[:: len(values) // 40]])
    a, b = np.meshgrid(values, values)
    more = random(name, (2, count), rng)
    return np.concatenate([a.ravel(), more[0]]), np.concatenate([b.ravel(), more[1]])


def bits(x: Any) -> Any:
    return np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")


def ulps(found: Any, wanted: Any) -> Any:
    """Distance in units in the last place of real floats; 0 where both are NaN."""
    unsigned = bits(found).astype("u8"), bits(wanted).astype("u8")
    width = found.dtype.itemsize * 8
    half = 1 << (width - 1)
    ordered = [
        np.where(
            u >= half,
            -(u.astype("i8") & (half - 1) if width < 64 else (u ^ np.uint64(half)).astype("i8")),
            u.astype("i8"),
        )
        for u in unsigned
    ]
    far = np.abs(ordered[0].astype("f8") - ordered[1].astype("f8"))
    near = far < 2.0**53  # where the difference of the integers is exact, and that of floats is not
    with np.errstate(over="ignore"):
        far = np.where(near, np.abs(ordered[0] - ordered[1]).astype("f8"), far)
    nans = np.isnan(found.astype("f8")), np.isnan(wanted.astype("f8"))
    return np.where(nans[0] & nans[1], 0, np.where(nans[0] | nans[1], np.inf, far))


def mismatch(found: Any, wanted: Any, limit: float = 0, zeros: bool = True) -> Any:
    """Which elements differ: by over ``limit`` ULP, in NaN, or (``zeros``) in a zero's sign."""
    found, wanted = np.atleast_1d(found), np.atleast_1d(wanted)
    if wanted.dtype.kind == "c":
        return mismatch(found.real, wanted.real, limit, zeros) | mismatch(
            found.imag, wanted.imag, limit, zeros
        )
    if wanted.dtype.kind in "biu":
        return found != wanted
    bad = ulps(found, wanted) > limit
    if zeros:
        both = (found == 0) & (wanted == 0)
        bad |= both & (np.signbit(found.astype("f4")) != np.signbit(wanted.astype("f4")))
    return bad
