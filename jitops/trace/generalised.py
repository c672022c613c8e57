"""Calls of ufuncs of core axes (matmul, vecdot, ...): dtypes, ``axes=``, ``axis=``, ``keepdims=``.

A signature such as ``(m?,n),(n)->(m?)`` names the core axes of each operand; those with a question
mark are left out where an operand has too few axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from jitops.trace.linalg import UFUNCS
from jitops.trace.raising import unsupported
from jitops.trace.reductions import NoValue, finish, target

__all__ = ["call"]

Cores = list[tuple[str, ...]]


def call(
    t: Any, ufunc: Any, inputs: Sequence[Any], *, out: Any = None, axes: Any = NoValue,
    axis: Any = NoValue, keepdims: Any = NoValue, dtype: Any = None, casting: Any = "same_kind",
    order: str = "K", subok: bool = True, signature: Any = None, sig: Any = None,
) -> Any:  # fmt: skip
    """One call; raises what NumPy raises."""
    rule = UFUNCS.get(ufunc.__name__)
    if rule is None:
        raise unsupported(f"np.{ufunc.__name__} is not supported in a traced function")
    if len(inputs) > ufunc.nin:
        out, inputs = inputs[ufunc.nin], inputs[: ufunc.nin]
    operands = [t.array(x) for x in inputs]
    cores = _cores(ufunc)
    kept = _kept(ufunc, cores, keepdims)
    if axis is not NoValue:
        _require_one_axis(ufunc, cores, axes)
    counts = _counts(cores, operands, kept)
    places = _places(ufunc, counts, axis, axes, kept)
    operands = [np.moveaxis(x, p, range(-len(p), 0)) for x, p in zip(operands, places)]
    place = target(t, out)
    kinds = (*(x.dtype for x in operands), None if place is None else place.dtype)
    loops = signature or sig or (None if dtype is None else (np.dtype(dtype),) * len(cores))
    options = {} if loops is None else {"signature": loops}
    loop = ufunc.resolve_dtypes(kinds, casting=casting, **options)
    value = rule(t, *(x.astype(d, copy=False) for x, d in zip(operands, loop)))
    if kept:
        value = np.expand_dims(value, -1)
    last = places[-1]
    value = t.array(np.moveaxis(value, range(-len(last), 0), last))
    return finish(t, t.cast(value.read(), loop[-1]), out, exact=False)


def _cores(ufunc: Any) -> Cores:
    """The core axes of each operand, then those of the result."""
    groups = ufunc.signature.replace("->", ",")[1:-1].split("),(")
    return [tuple(filter(None, group.split(","))) for group in groups]


def _counts(cores: Cores, operands: Sequence[Any], kept: bool) -> list[int]:
    """How many core axes each operand and the result have in this call."""
    missing = {
        name
        for x, names in zip(operands, cores)
        for name in names
        if name.endswith("?") and x.ndim < len(names)
    }
    counts = [sum(name not in missing for name in names) for names in cores]
    return [*counts[:-1], counts[-1] + kept]


def _kept(ufunc: Any, cores: Cores, keepdims: Any) -> bool:
    """Whether the core axis stays in the result, with size 1."""
    if keepdims is NoValue:
        return False
    if type(keepdims) is not bool:
        raise TypeError("'keepdims' must be a boolean")
    if cores[-1] or len(set(map(len, cores[:-1]))) > 1:
        raise TypeError(
            f"{ufunc.__name__} does not support keepdims: its signature {ufunc.signature} does not"
            " have as many core dimensions in all inputs and none in the output"
        )
    return keepdims


def _require_one_axis(ufunc: Any, cores: Cores, axes: Any) -> None:
    if axes is not NoValue:
        raise TypeError("cannot specify both 'axis' and 'axes'")
    if len({name for names in cores for name in names}) > 1:
        raise TypeError(
            f"{ufunc.__name__}: axis can only be used with a single shared core dimension, not"
            f" with those of the signature {ufunc.signature}"
        )


def _places(
    ufunc: Any, counts: list[int], axis: Any, axes: Any, kept: bool
) -> list[tuple[int, ...]]:
    """Where the core axes of each operand and of the result are."""
    if axis is not NoValue:
        return [(index(axis),) * n for n in counts]
    if axes is NoValue:
        return [tuple(range(-n, 0)) for n in counts]
    if type(axes) is not list:
        raise TypeError("axes should be a list.")
    if len(axes) == len(counts) - 1 and counts[-1] == kept:
        axes = [*axes, (-1,) * kept]
    if len(axes) != len(counts):
        raise ValueError(
            f"axes should be a list with an entry for all {len(counts)} inputs and outputs; entries"
            " for outputs can only be omitted if none of them has core axes."
        )
    return [_place(ufunc, n, entry, count) for n, (entry, count) in enumerate(zip(axes, counts))]


def _place(ufunc: Any, number: int, entry: Any, count: int) -> tuple[int, ...]:
    """An entry of ``axes``, for an operand with this number of core axes."""
    found = tuple(map(index, entry)) if type(entry) is tuple else (index(entry),)
    if len(found) != count or (count != 1 and type(entry) is not tuple):
        raise np.exceptions.AxisError(
            f"{ufunc.__name__}: operand {number} has {count} core dimensions, but axes has {entry}"
        )
    return found
