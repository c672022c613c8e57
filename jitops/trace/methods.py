"""The methods of ndarray, for tracers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.graph.types import strides_of
from jitops.trace.functions import room
from jitops.trace.manipulation import copied
from jitops.trace.orders import copy_strides
from jitops.trace.promotion import supported
from jitops.trace.raising import unsupported
from jitops.trace.tracer import Tracer

Method = Callable[..., Any]


def _from_numpy(name: str) -> Method:
    def run(x: Tracer, *args: Any, **kwargs: Any) -> Any:
        return getattr(np, name)(x, *args, **kwargs)

    return run


def _shaped(name: str) -> Method:
    """``x.reshape(2, 3)`` and ``x.reshape((2, 3))``."""

    def run(x: Tracer, *shape: Any, **kwargs: Any) -> Any:
        if not shape:
            return getattr(np, name)(x, **kwargs)
        one = len(shape) == 1 and (shape[0] is None or not hasattr(shape[0], "__index__"))
        one = one or (len(shape) == 1 and isinstance(shape[0], np.ndarray) and shape[0].ndim > 0)
        return getattr(np, name)(x, shape[0] if one else shape, **kwargs)

    return run


def astype(
    x: Tracer, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True,
    copy: bool = True,
) -> Any:  # fmt: skip
    """A copy in another dtype."""
    t = x.session
    wanted = supported(np.dtype(dtype), "astype")
    if not np.can_cast(x.dtype, wanted, casting):
        raise TypeError(
            f"Cannot cast array data from {x.dtype!r} to {wanted!r}"
            f" according to the rule '{casting}'"
        )
    if not copy and wanted == x.dtype:
        return x
    value = x.known()
    if value is not None:
        with np.errstate(all="ignore"):
            value = value.real if value.dtype.kind == "c" and wanted.kind in "biuf" else value
            made = value.astype(wanted) if wanted.kind != "b" else x.known().astype(wanted)
            return t.wrap_known(made[()] if x.scalar else made)
    out: Tracer = t.wrap(t.cast(x.read(), wanted), scalar=x.scalar)
    out.cell.strides = copy_strides(x, order, wanted.itemsize)
    return out


def _copy(x: Tracer, order: str = "C") -> Any:
    return x if x.scalar else copied(x.session, x, order)


def _flatten(x: Any, order: Any = "C") -> Any:
    line: Any = np.ravel(x, order)
    return copied(x.session, line)


def _fill(x: Tracer, value: Any) -> None:
    x.session.assign(x, value)


def _clip(x: Tracer, min: Any = None, max: Any = None, out: Any = None, **kwargs: Any) -> Any:
    return np.clip(x, min, max, out=out, **kwargs)


def _item(x: Tracer, *index: Any) -> Any:
    return x.needed("item()").item(*index)


def _tolist(x: Tracer) -> Any:
    return x.needed("tolist()").tolist()


def _conj(x: Tracer) -> Any:
    """The array itself where it is real, unlike np.conjugate, which copies."""
    return np.conjugate(x) if x.dtype.kind == "c" else x


def _view(x: Tracer, dtype: Any = None) -> Any:
    """A view of the same bytes in a dtype."""
    wanted = x.dtype if dtype is None or dtype is np.ndarray else np.dtype(dtype)
    if wanted == x.dtype:
        return x.sliced((slice(None),) * x.ndim)
    return room("bits").view(x, supported(wanted, "a view"))


def _setflags(x: Tracer, **_: Any) -> None:
    return None


def _in_place(name: str) -> Method:
    def run(x: Tracer, *args: Any, **kwargs: Any) -> None:
        if x.scalar:
            raise TypeError(f"a NumPy scalar cannot be changed by {name}()")
        x[...] = getattr(np, name)(x, *args, **kwargs)

    return run


class Flat:
    """``x.flat``: the elements in C order, read and written through."""

    def __init__(self, x: Tracer) -> None:
        self._x = x

    def traced_line(self) -> Any:
        """The elements as an array."""
        return np.ravel(self._x)

    def __len__(self) -> int:
        return self._x.size

    def __iter__(self) -> Any:
        return iter(np.ravel(self._x))

    def __getitem__(self, key: Any) -> Any:
        return np.ravel(self._x)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        flat: Any = np.ravel(self._x)
        line = copied(self._x.session, flat)
        line[key] = value
        self._x[...] = line.reshape(self._x.shape)


class Flags:
    """``x.flags``: what the layout says."""

    def __init__(self, x: Tracer) -> None:
        self.c_contiguous = self.contiguous = x.strides == strides_of(x.shape, x.itemsize)
        self.f_contiguous = x.strides[::-1] == strides_of(x.shape[::-1], x.itemsize)
        self.fnc = self.f_contiguous and not self.c_contiguous
        self.forc = self.f_contiguous or self.c_contiguous
        self.writeable = x.writable() and not x.scalar
        self.owndata = x.parent is None
        self.aligned = True

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name.lower())


ATTRIBUTES: dict[str, Method] = {"flat": Flat, "flags": Flags, "device": lambda x: "cpu"}

NAMES = [
    "sum",
    "prod",
    "mean",
    "var",
    "std",
    "min",
    "max",
    "argmin",
    "argmax",
    "any",
    "all",
    "cumsum",
    "cumprod",
    "ptp",
    "round",
    "dot",
    "take",
    "repeat",
    "swapaxes",
    "squeeze",
    "ravel",
    "diagonal",
    "trace",
    "choose",
    "compress",
    "nonzero",
    "searchsorted",
    "argsort",
    "argpartition",
    "put",
]

METHODS: dict[str, Method] = {
    **{name: _from_numpy(name) for name in NAMES},
    "reshape": _shaped("reshape"),
    "transpose": _shaped("transpose"),
    "astype": astype,
    "copy": _copy,
    "flatten": _flatten,
    "fill": _fill,
    "clip": _clip,
    "item": _item,
    "tolist": _tolist,
    "conj": _conj,
    "conjugate": _conj,
    "view": _view,
    "setflags": _setflags,
    "sort": _in_place("sort"),
    "partition": _in_place("partition"),
    "__array_wrap__": lambda x, array, *_: array,
}


def attribute(x: Tracer, name: str) -> Any:
    """A method bound to the tracer, or an attribute; None for what ndarray does not have.

    Raises UnsupportedError for the others that ndarray has.
    """
    method = METHODS.get(name)
    if method is not None:
        return lambda *args, **kwargs: method(x, *args, **kwargs)
    if name in ATTRIBUTES:
        return ATTRIBUTES[name](x)
    if hasattr(np.ndarray, name):
        raise unsupported(
            f"ndarray.{name} is not supported in a traced function",
            room("refused").METHODS.get(name, "Compute it outside the op."),
        )
    return None
