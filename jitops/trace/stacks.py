"""Stacks of matrices for algorithms that work on all of them at once, the stack as the last axis.

Small matrices go side by side through every step, one per vector lane, as many at a time as stay in
the cache. Larger ones go one after the other, and what is vectorised are their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from jitops.trace import control

__all__ = ["Core", "looped", "positions", "stacked"]

# (t, *matrices) -> results; each matrix is (rows, columns, stack), each result (..., stack)
Core = Callable[..., "Sequence[Any]"]

LANES = 64  # matrices that go side by side: enough for loops over them alone to be long
SMALL = 1 << 10  # bytes of a matrix; larger ones go one by one, their rows being long enough


def stacked(t: Any, core: Core, operands: Sequence[Any]) -> list[Any]:
    """The results of ``core`` for every matrix of operands that have the same leading axes.

    operands: (*lead, rows, columns); results: (*lead, ...).
    """
    lead = operands[0].shape[:-2]
    count = prod(lead)
    flat = [x.reshaped((count, *x.shape[-2:])) for x in operands]
    together = _together(flat)
    small = count <= together
    found = _last(t, core, flat) if small else _pieces(t, core, flat, together)
    return [x.reshaped((*lead, *x.shape[1:])) for x in found]


def _together(operands: Sequence[Any]) -> int:
    each = sum(prod(x.shape[1:]) * x.dtype.itemsize for x in operands)
    return LANES if each <= SMALL else 1


def _last(t: Any, core: Core, operands: Sequence[Any]) -> list[Any]:
    """The core on operands with the stack as the first axis."""
    found = core(t, *(np.moveaxis(x, 0, -1) for x in operands))
    return [np.moveaxis(x, -1, 0) for x in found]


def _pieces(t: Any, core: Core, operands: Sequence[Any], together: int) -> list[Any]:
    """Pieces of the stack one after the other; the last matrix fills the last piece."""
    count = operands[0].shape[0]
    pieces = -(-count // together)
    rows = [_filled(t, x, pieces * together - count) for x in operands]
    rows = [x.reshaped((pieces, together, *x.shape[1:])) for x in rows]
    _, found = control.scan(t, partial(_piece, t, core), (), tuple(rows), pieces, False)
    flat = [x.reshaped((pieces * together, *x.shape[2:])) for x in found]
    return [x[:count] for x in flat]


def _filled(t: Any, x: Any, missing: int) -> Any:
    if not missing:
        return x
    more = np.broadcast_to(x[-1:], (missing, *x.shape[1:]))
    return np.concatenate([x, more])


def _piece(t: Any, core: Core, carry: Any, rows: Any) -> Any:
    return carry, tuple(_last(t, core, rows))


def looped(t: Any, count: int, body: Callable[..., Any], carry: Any, *given: Any) -> Any:
    """``for i in range(count): carry = body(t, *given, i, carry)``, compiled as a loop."""
    return control.fori_loop(t, 0, count, partial(body, t, *given), carry)


def positions(t: Any, shape: Sequence[int], axis: int) -> Any:
    """int64: the index along an axis, in an array of this shape."""
    return t.wrap(t.progression(0, 1, tuple(shape), axis))
