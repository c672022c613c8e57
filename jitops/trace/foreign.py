"""Arrays of other classes and libraries that a traced function reads from around it."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitops.trace.intercept import ACTIVE
from jitops.trace.raising import unsupported

__all__ = ["array_of"]


def array_of(t: Any, x: Any, plain: bool = False) -> Any:
    """The tracer of a foreign array's plain values, whose present contents count.

    plain: whether the program says that it wants no other class: ``np.asarray(x)``.

    Raises UnsupportedError where NumPy would go on with the object's class, and where the plain
    values are a copy, which would be old at the next call.
    """
    kind = type(x)
    name = f"{kind.__module__}.{kind.__name__}"
    goes_on = hasattr(kind, "__array_wrap__") and not (
        kind is np.memmap or (hasattr(kind, "__dlpack__") and not isinstance(x, np.ndarray))
    )
    if goes_on and not plain:
        raise _refused(f"an array of the class {name} is not supported in a traced function")
    array, again = _plain(x), _plain(x)
    if not array.size or not array.ndim:
        return t.wrap_known(array)
    if not np.may_share_memory(array, again):
        raise _refused(f"{name} gives a copy of its values, which would be constants of the op")
    return t.capture(array)


def _plain(x: Any) -> Any:
    token = ACTIVE.set(None)  # the object's own code is not traced
    try:
        return np.asarray(x)
    finally:
        ACTIVE.reset(token)


def _refused(what: str) -> Exception:
    return unsupported(what, "Pass np.asarray(x) as an argument where its plain values are meant.")
