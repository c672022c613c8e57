"""Several arrays from one and one from several: splits, which are views, and joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.trace.manipulation import VIEWS as SHAPES
from jitops.trace.manipulation import expand_dims, moveaxis, ravel
from jitops.trace.promotion import result_dtype
from jitops.trace.raising import misfit
from jitops.trace.reductions import normal_axis
from jitops.trace.tracer import Tracer
from jitops.trace.ufunc import cast_atom

__all__ = ["TABLE", "VIEWS", "stacked"]


def array_split(t: Any, ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    x = t.array(ary)
    at = normal_axis(x.ndim, axis)
    extent = x.shape[at]
    if hasattr(indices_or_sections, "__index__"):
        count = indices_or_sections.__index__()
        if count <= 0:
            raise ValueError("number sections must be larger than 0.")
        each, extra = divmod(extent, count)
        sizes = [each + 1] * extra + [each] * (count - extra)
        cuts = np.cumsum([0, *sizes]).tolist()
    else:
        cuts = [0, *(i.__index__() for i in indices_or_sections), extent]
    lead = (slice(None),) * at
    pieces = [(*lead, slice(cuts[i], cuts[i + 1])) for i in range(len(cuts) - 1)]
    return [x[p] for p in pieces]


def split(t: Any, ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    x = t.array(ary)
    if (
        hasattr(indices_or_sections, "__index__")
        and x.shape[axis] % indices_or_sections.__index__()
    ):
        raise ValueError("array split does not result in an equal division")
    return array_split(t, x, indices_or_sections, axis)


def _split_along(axis: int) -> Any:
    def run(t: Any, ary: Any, indices_or_sections: Any) -> list[Any]:
        x = t.array(ary)
        name, least = (("vsplit", 2), ("hsplit", 1), ("dsplit", 3))[axis]
        if x.ndim < least:
            raise ValueError(f"{name} only works on arrays of {least} or more dimensions")
        return split(t, x, indices_or_sections, 0 if axis == 1 and x.ndim == 1 else axis)

    return run


def unstack(t: Any, x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    y = moveaxis(t, x, axis, 0)
    return tuple(y[i] for i in range(y.shape[0]))


def concatenate(
    t: Any, arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None,
    casting: Any = "same_kind",
) -> Any:  # fmt: skip
    operands = [t.operand(a) for a in arrays]
    if not operands:
        raise ValueError("need at least one array to concatenate")
    if axis is None:  # Python numbers are weak here
        common = result_dtype(operands)
        flat = [p if type(p) is Tracer else t.wrap(cast_atom(t, p, common)) for p in operands]
        parts, axis = [ravel(t, p) for p in flat], 0
    else:
        parts = [t.array(p) for p in operands]
    if any(not p.ndim for p in parts):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    at = normal_axis(parts[0].ndim, axis)
    _require_alike(parts, at)
    wanted = _joined_dtype(t, parts, out, dtype, casting)
    atoms = [t.cast(p.read(), wanted) for p in parts]
    atoms = [a for a in atoms if a.type.shape[at]] or atoms[:1]
    result = t.wrap(t.emit("concatenate", *atoms, axis=at) if len(atoms) > 1 else atoms[0])
    if out is None:
        return result
    if out.shape != result.shape:
        raise misfit("Output array is the wrong shape", str(result.type.shape))
    return t.assign(out, result)


def _joined_dtype(t: Any, parts: list[Tracer], out: Any, dtype: Any, casting: Any) -> Any:
    """What the parts are cast to, as the rule allows."""
    if out is not None and dtype is not None:
        raise TypeError(
            "concatenate() only takes `out` or `dtype` as an argument, but both were provided."
        )
    if out is not None and type(out) is not Tracer:
        t.refuse_write(out)
    wanted: np.dtype[Any] = result_dtype(parts) if dtype is None else np.dtype(dtype)
    wanted = wanted if out is None else out.dtype
    for part in parts:
        if not np.can_cast(part.dtype, wanted, casting):
            raise TypeError(
                f"Cannot cast array data from {part.dtype!r} to {wanted!r} according to the rule"
                f" '{casting}'"
            )
    return wanted.newbyteorder("=")


def _require_alike(parts: list[Tracer], axis: int) -> None:
    """ShapeError, in NumPy's words, unless the arrays agree in all axes but one."""
    first = parts[0]
    for number, part in enumerate(parts):
        if part.ndim != first.ndim:
            raise misfit(
                "all the input arrays must have same number of dimensions, but the array at index"
                f" 0 has {first.ndim} dimension(s) and the array at index {number} has {part.ndim}"
                " dimension(s)"
            )
        for n in range(first.ndim):
            if n != axis and part.shape[n] != first.shape[n]:
                raise misfit(
                    "all the input array dimensions except for the concatenation axis must match"
                    f" exactly, but along dimension {n}, the array at index 0 has size"
                    f" {first.shape[n]} and the array at index {number} has size {part.shape[n]}"
                )


def stack(t: Any, arrays: Any, axis: int = 0, out: Any = None, **kwargs: Any) -> Any:
    parts = [t.array(a) for a in arrays]
    if not parts:
        raise ValueError("need at least one array to stack")
    if len({p.shape for p in parts}) > 1:
        found = ", ".join(str(p.type) for p in parts)
        raise misfit(f"all input arrays must have the same shape, not {found}")
    at = normal_axis(parts[0].ndim + 1, axis)
    return concatenate(t, [expand_dims(t, p, at) for p in parts], at, out, **kwargs)


def stacked(t: Any, items: Any, dtype: Any = None) -> Any:
    """``np.array`` of a nested list with traced values in it."""
    parts = [stacked(t, x, dtype) if type(x) in (list, tuple) else x for x in items]
    if dtype is None:
        dtype = result_dtype([t.operand(p) for p in parts], arrays=False)
    return stack(t, [t.wrap(t.atom(p, np.dtype(dtype))) for p in parts])


def _join(prepare: Callable[..., Any], axis: Any) -> Any:
    def run(t: Any, tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
        parts = [prepare(t, a) for a in tup]
        at = axis(parts) if callable(axis) else axis
        return concatenate(t, parts, at, dtype=dtype, casting=casting)

    return run


def _column(t: Any, a: Any) -> Any:
    x = t.array(a)
    return x if x.ndim >= 2 else x.reshaped((x.size, 1))


VIEWS: dict[str, Callable[..., Any]] = {
    "array_split": array_split,
    "split": split,
    "vsplit": _split_along(0),
    "hsplit": _split_along(1),
    "dsplit": _split_along(2),
    "unstack": unstack,
}

TABLE: dict[str, Callable[..., Any]] = {
    "concatenate": concatenate,
    "concat": concatenate,
    "stack": stack,
    "vstack": _join(SHAPES["atleast_2d"], 0),
    "row_stack": _join(SHAPES["atleast_2d"], 0),
    "hstack": _join(SHAPES["atleast_1d"], lambda parts: 0 if parts and parts[0].ndim == 1 else 1),
    "dstack": _join(SHAPES["atleast_3d"], 2),
    "column_stack": _join(_column, 1),
}
