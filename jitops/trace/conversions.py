"""Other forms of the same values: bits and bytes, dtypes, paths, polynomials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace.raising import unsupported
from jitops.trace.reductions import normal_axis
from jitops.trace.tracer import Tracer

__all__ = ["TABLE"]

BYTE = np.dtype("uint8")


def _shifts(bitorder: str) -> Any:
    """How far each of eight bits is from the right, in the order they come in."""
    if not isinstance(bitorder, str):
        raise TypeError(f"bitorder must be str, not {type(bitorder).__name__}")
    if bitorder not in ("big", "little"):
        raise ValueError("'order' must be either 'little' or 'big'")
    return np.arange(8, dtype=BYTE)[:: -1 if bitorder == "big" else 1].copy()


def _last(t: Any, a: Any, axis: Any, name: str) -> tuple[Any, int]:
    """The array with the axis (of None: all of them, flat) as its last one."""
    x = t.array(a)
    if x.ndim == 0 or axis is None:
        return np.ravel(x), 0
    return np.moveaxis(x, axis, -1), normal_axis(x.ndim, axis)


def packbits(t: Any, a: Any, /, axis: Any = None, bitorder: str = "big") -> Any:
    """Eight elements become the bits of one uint8; the last byte is filled with zeros."""
    x, at = _last(t, a, axis, "packbits")
    if x.dtype.kind not in "biu":
        raise TypeError("Expected an input array of integer or boolean data type")
    bits = x.astype(bool).astype(BYTE)
    rest = -x.shape[-1] % 8
    if rest:
        bits = np.concatenate([bits, np.zeros((*x.shape[:-1], rest), BYTE)], axis=-1)
    bits = bits.reshape((*x.shape[:-1], bits.shape[-1] // 8, 8))
    packed = np.bitwise_or.reduce(np.left_shift(bits, _shifts(bitorder)), axis=-1)
    return np.moveaxis(packed, -1, at)


def unpackbits(
    t: Any, a: Any, /, axis: Any = None, count: Any = None, bitorder: str = "big"
) -> Any:
    """The bits of each uint8 as eight elements; ``count`` of them, or all but ``-count``."""
    x, at = _last(t, a, axis, "unpackbits")
    if x.dtype != BYTE:
        raise TypeError("Expected an input array of unsigned byte data type")
    bits = np.bitwise_and(np.right_shift(x[..., None], _shifts(bitorder)), 1)
    bits = bits.reshape((*x.shape[:-1], 8 * x.shape[-1]))
    have = bits.shape[-1]
    if count is not None:
        wanted = count.__index__()
        if wanted < -have:
            raise ValueError(f"-count must be at most {have}")
        bits = bits[..., :wanted]
        if wanted > have:
            more = np.zeros((*x.shape[:-1], wanted - have), BYTE)
            bits = np.concatenate([bits, more], axis=-1)
    return np.moveaxis(bits, -1, at)


def astype(
    t: Any, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None
) -> Any:
    return t.array(x).astype(dtype, copy=copy)


def einsum_path(t: Any, *operands: Any, optimize: Any = "greedy", **_: Any) -> Any:
    """NumPy's own answer, which only shapes decide."""
    shaped = [
        np.broadcast_to(np.empty((), x.dtype), x.shape) if type(x) is Tracer else x
        for x in operands
    ]
    return np.einsum_path(*shaped, optimize=optimize)


def poly(t: Any, seq_of_zeros: Any) -> Any:
    """The coefficients of the polynomial with these zeros."""
    zeros: Any = np.atleast_1d(t.array(seq_of_zeros))
    if zeros.ndim != 1 or zeros.dtype.kind == "c":
        raise unsupported(
            f"np.poly of {zeros.type} is not supported in a traced function",
            "It takes one axis of real zeros.",
        )
    dtype = np.dtype(np.mintypecode(zeros.dtype.char))
    out: Any = np.ones(1, dtype)
    for i in range(zeros.size):
        factor = np.concatenate([np.ones(1, dtype), -zeros[i : i + 1].astype(dtype)])
        out = np.convolve(out, factor, mode="full")
    return out


TABLE: dict[str, Callable[..., Any]] = {
    "packbits": packbits,
    "unpackbits": unpackbits,
    "astype": astype,
    "einsum_path": einsum_path,
    "poly": poly,
}
