"""``x[mask] = value`` with a traced mask: a choice by element, whatever the value is made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.trace.masked import Masked
from jitops.trace.raising import misfit, unsupported
from jitops.trace.recorder import BOOL
from jitops.trace.tracer import Tracer

__all__ = ["assign"]

MISCOUNTED = "miscounted mask"


def assign(t: Any, x: Tracer, mask: Tracer, lead: int, value: Any) -> None:
    """Write where the mask holds.

    x: (*mask's axes, *those that the key has before it, *those after). lead: the number of the
    second. value: what broadcasts to the selection (*before, count, *after), where a length of the
    count's axis other than 1 must be that count, which is checked when the op runs.
    """
    flags = t.cast(mask.read(), BOOL)
    if type(value) is Masked:
        new = _selected(t, x, mask, flags, lead, value)
    else:
        new = _given(t, x, mask, lead, t.operand(value))
    shape = x.shape
    if mask.ndim < x.ndim:
        flags = t.emit("broadcast", flags, shape=shape, axes=tuple(range(mask.ndim)))
    x.write(t.emit("select", flags, new, x.read()))


def _given(t: Any, x: Tracer, mask: Tracer, lead: int, value: Any) -> Atom:
    """A number or an array as new elements of all of x, or as one of shape ()."""
    if type(value) is not Tracer or not value.ndim:
        return t.atom(value, x.dtype)  # type: ignore[no-any-return]
    selection = x.ndim - mask.ndim + 1
    source: Any = value
    while source.ndim > selection and source.shape[0] == 1:
        source = source.reshaped(source.shape[1:])
    beyond = (1,) * (selection - source.ndim)
    target = [*x.shape[mask.ndim : mask.ndim + lead], None, *x.shape[mask.ndim + lead :]]
    sizes = (*beyond, *source.shape)
    if len(sizes) > selection or any(
        m is not None and n not in (1, m) for n, m in zip(sizes, target)
    ):
        raise misfit(
            f"cannot assign {value.type} through a mask of shape {mask.shape} to {x.type}",
            "a value that broadcasts to the selected elements",
        )
    rows: Any = np.moveaxis(source.reshaped(sizes), lead, 0)
    count = rows.shape[0]
    if count == 1:
        return t.broadcast(t.atom(rows.reshape(rows.shape[1:]), x.dtype), x.shape)  # type: ignore[no-any-return]
    total, rank = _ranks(mask)
    bad = t.array(np.not_equal(total, count)).read()
    if not count:
        return t.checked(x.read(), bad, MISCOUNTED)  # type: ignore[no-any-return]
    return _rows(t, x, mask, t.checked(rows.read(), bad, MISCOUNTED), np.clip(rank, 0, count - 1))


def _selected(t: Any, x: Tracer, mask: Tracer, flags: Atom, lead: int, value: Masked) -> Atom:
    """What a mask selects elsewhere, as new elements of all of x."""
    if value.mask_atom is flags:
        return t.cast(value.atom, x.dtype)  # type: ignore[no-any-return]
    if lead or value.moved or value.trailing != x.ndim - mask.ndim:
        raise unsupported(
            "cannot assign values selected by a mask among several axes through another mask",
            "Use the same mask object on both sides, or np.where.",
        )
    other: Any = t.wrap(value.mask_atom)
    total, rank = _ranks(mask)
    running = np.cumsum(other)
    count: Any = np.sum(other)
    bad = np.not_equal(total, count) & np.not_equal(count, 1)
    full = value.full()
    rows = full.reshaped((other.size, *full.shape[other.ndim :]))
    atom = t.checked(rows.read(), t.array(bad).read(), MISCOUNTED)
    if not other.size:
        return x.read()
    source = np.searchsorted(running, np.where(np.equal(count, 1), 1, rank + 1))
    return _rows(t, x, mask, atom, np.minimum(source, other.size - 1))


def _ranks(mask: Tracer) -> tuple[Any, Any]:
    """How often the mask holds, and for each place, how often it did before (-1: not yet)."""
    running: Any = np.cumsum(np.ravel(mask))
    return (running[-1] if mask.size else 0), running - 1


def _rows(t: Any, x: Tracer, mask: Tracer, rows: Atom, index: Any) -> Atom:
    """The rows with these numbers, one for each element of the mask, as elements of all of x."""
    chosen: Any = np.take(t.wrap(rows), index, axis=0)
    chosen = chosen.reshape((*mask.shape, *chosen.shape[1:]))
    return t.broadcast(t.atom(chosen, x.dtype), x.shape)  # type: ignore[no-any-return]
