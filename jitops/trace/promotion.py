"""Result dtypes of several operands: NumPy's promotion with weak Python numbers (NEP 50), on every NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jitops.trace.recorder import BOOL, INT64
from jitops.trace.tracer import Tracer
from jitops.trace.weak import KERNEL_DTYPES, Weak

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
