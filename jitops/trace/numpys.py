"""NumPy's own Python implementations, traced as they are; and facts about types and shapes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace.promotion import result_dtype
from jitops.trace.tracer import Tracer

Rule = Callable[..., Any]


class Converter:
    """What NumPy 2's functions take from `_array_converter`: operands as arrays, and a wrapper."""

    def __init__(self, t: Any, *operands: Any) -> None:
        self._t = t
        self._operands = operands
        self._arrays = tuple(t.array(x) for x in operands)
        self.scalar_input = tuple(x.ndim == 0 for x in self._arrays)

    def __getitem__(self, i: int) -> Any:
        return self._arrays[i]

    def __len__(self) -> int:
        return len(self._arrays)

    def as_arrays(self, *, subok: bool = True, pyscalars: str = "convert_if_no_array") -> Any:
        """The operands; Python numbers stay as they are where asked."""
        keep = pyscalars == "preserve" or (
            pyscalars == "convert_if_no_array" and any(type(x) is Tracer for x in self._operands)
        )
        plain = (int, float, complex)
        return tuple(
            x if keep and type(x) in plain else a for x, a in zip(self._operands, self._arrays)
        )

    def result_type(self, extra_dtype: Any = None, ensure_inexact: bool = False) -> Any:
        """The common dtype."""
        more = [] if extra_dtype is None else [np.dtype(extra_dtype)]
        dtype = result_dtype([self._t.operand(x) for x in self._operands] + more)
        return (
            np.result_type(dtype, np.float64) if ensure_inexact and dtype.kind in "iub" else dtype
        )

    def wrap(self, array: Any, /, to_scalar: Any = None) -> Any:
        """The result; scalars for scalar operands."""
        x = self._t.array(array)
        scalar = to_scalar if to_scalar is not None else all(self.scalar_input)
        return x[()] if scalar and not x.ndim and not x.scalar else x


class Broadcast:
    """`np.broadcast` of operands of which some are traced: their common shape."""

    def __init__(self, t: Any, *operands: Any) -> None:
        shapes = [x.shape if type(x) is Tracer else np.shape(x) for x in operands]
        self.shape = np.broadcast_shapes(*shapes)
        self.ndim = self.nd = len(self.shape)
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self.numiter = len(operands)


def numpys(name: str) -> Rule:
    """NumPy's own Python implementation, with its helpers seeing tracers."""

    def run(t: Any, *args: Any, **kwargs: Any) -> Any:
        from jitops.trace.functions import find
        from jitops.trace.intercept import rebound

        function = find(name)
        args = tuple(t.array(a) if type(a) is np.ndarray and a.ndim else a for a in args)
        inner = getattr(function, "_implementation", function)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return rebound(t, inner, own=False)(*args, **kwargs)

    return run


def traced_as_it_is(t: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """A Python function of NumPy that does not dispatch, with its helpers seeing tracers."""
    from jitops.trace.intercept import rebound

    return rebound(t, function, own=False)(*args, **kwargs)


def _static(name: str) -> Rule:
    """Facts about types and shapes alone."""
    rules: dict[str, Rule] = {
        "shape": lambda t, a: t.array(a).shape,
        "ndim": lambda t, a: t.array(a).ndim,
        "size": lambda t, a, axis=None: _size(t.array(a), axis),
        "iscomplexobj": lambda t, x: t.array(x).dtype.kind == "c",
        "isrealobj": lambda t, x: t.array(x).dtype.kind != "c",
        "result_type": lambda t, *a: result_dtype([_type_operand(t, v) for v in a]),
        "can_cast": lambda t, f, to, casting="safe": np.can_cast(f.dtype, to, casting),
        "common_type": lambda t, *a: _common_type([t.array(v).dtype for v in a]),
        "min_scalar_type": lambda t, a: t.array(a).dtype,
        "may_share_memory": lambda t, a, b, *_: _share(a, b),
        "shares_memory": lambda t, a, b, *_: _share(a, b),
    }
    return rules[name]


def _size(x: Tracer, axis: Any) -> int:
    if axis is None:
        return x.size
    axes = axis if isinstance(axis, tuple) else (axis,)
    return int(np.prod([x.shape[a] for a in axes]))


def _type_operand(t: Any, x: Any) -> Any:
    return np.dtype(x) if isinstance(x, (type, str, np.dtype)) else t.operand(x)


def _common_type(dtypes: list[np.dtype[Any]]) -> Any:
    kinds = [np.dtype("float64") if d.kind in "iu" else d for d in dtypes]
    return np.result_type(np.float16, *kinds).type


def _share(a: Any, b: Any) -> bool:
    if type(a) is not Tracer or type(b) is not Tracer:
        return False
    return a.cell is b.cell and a.size > 0 and b.size > 0


FACTS = [
    "shape",
    "ndim",
    "size",
    "iscomplexobj",
    "isrealobj",
    "result_type",
    "can_cast",
    "common_type",
    "min_scalar_type",
    "may_share_memory",
    "shares_memory",
]

NUMPYS = [
    "sinc",
    "angle",
    "diff",
    "ediff1d",
    "trapezoid",
    "trapz",
    "unwrap",
    "vander",
    "polyval",
    "polyadd",
    "polysub",
    "polyder",
    "polyint",
    "fix",
    "isposinf",
    "isneginf",
    "iscomplex",
    "isreal",
    "append",
    "apply_along_axis",
    "apply_over_axes",
    "linalg.norm",
    "linalg.vector_norm",
    "linalg.matrix_norm",
    "linalg.tensorinv",
    "linalg.tensorsolve",
    "fft.fftshift",
    "fft.ifftshift",
    "i0",
    "resize",
    "take_along_axis",
    "put_along_axis",
    "extract",
    "cumulative_sum",
    "cumulative_prod",
    "tril_indices_from",
    "triu_indices_from",
    "diag_indices_from",
    "diagflat",
    "ix_",
]

TABLE: dict[str, Rule] = {
    **{name: numpys(name) for name in NUMPYS},
    **{name: _static(name) for name in FACTS},
}
