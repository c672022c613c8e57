"""Result dtypes of several operands, with weak Python numbers (NEP 50), on every NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jitops.graph.ops import kind_of
from jitops.trace.raising import unsupported
from jitops.trace.recorder import BOOL, INT64
from jitops.trace.tracer import Tracer
from jitops.trace.weak import KERNEL_DTYPES, Weak

DTYPES = frozenset(
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ]
)


KINDS = {int: "iufcV", float: "fcV", complex: "c"}


def result_dtype(operands: Sequence[Any], *, arrays: bool = True) -> np.dtype[Any]:
    """The dtype that the operands promote to; Python numbers adapt to it by kind alone.

    arrays: False counts Python numbers as what ``np.array`` makes of them.
    """
    strong: list[np.dtype[Any]] = []
    weak: list[type] = []
    for x in operands:
        kind = x.pytype if type(x) is Weak else type(x)
        if kind is Tracer:
            strong.append(x.type.dtype)
        elif kind is bool:
            strong.append(BOOL)
        elif kind in KERNEL_DTYPES:
            if arrays:
                weak.append(kind)
            else:
                strong.append(KERNEL_DTYPES[kind])
        else:
            strong.append(x if isinstance(x, np.dtype) else np.asarray(x).dtype)
    if not strong:
        return KERNEL_DTYPES[max(weak, key=[int, float, complex].index)] if weak else INT64
    dtype = np.result_type(*strong)
    for kind in weak:
        if dtype.kind not in KINDS[kind]:
            dtype = _raised(dtype, kind)
    return dtype


def _raised(dtype: np.dtype[Any], kind: type) -> np.dtype[Any]:
    """A dtype of a lower kind meeting a weak number."""
    if kind is complex and dtype.kind == "f":
        return np.result_type(dtype, np.complex64)
    return KERNEL_DTYPES[kind]


def contains_traced(x: Any) -> bool:
    """Whether a nested list or tuple holds a traced value."""
    for item in x:
        kind = type(item)
        if kind is Tracer or kind is Weak:
            return True
        if kind in (list, tuple) and contains_traced(item):
            return True
    return False


def supported(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """The dtype in native byte order, or the error that names the argument."""
    if dtype.name not in DTYPES or kind_of(dtype) not in "biufc":
        raise unsupported(
            f"{name} has a dtype that jitops does not compile",
            "Convert it first, for example with x.astype('float64').",
            found=str(dtype),
            accepted="bool, integers, float16, bfloat16, float32, float64, complex64, complex128",
        )
    return dtype if dtype.isnative else dtype.newbyteorder("=")
