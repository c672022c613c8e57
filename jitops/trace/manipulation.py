"""Shapes and order: views where NumPy gives views, and rearrangements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.graph.sizes import as_extent
from jitops.graph.types import ArrayType
from jitops.trace.deciding import deciders
from jitops.trace.indexing import clip_mode
from jitops.trace.orders import copy_strides, read_axes, resolved
from jitops.trace.promotion import contains_traced
from jitops.trace.raising import NeedsStatic, misfit, unsupported
from jitops.trace.recorder import INT64
from jitops.trace.reductions import normal_axes, normal_axis
from jitops.trace.tracer import Tracer
from jitops.trace.views import Diagonal

__all__ = ["TABLE", "VIEWS", "copied", "normal_axis"]

# --- views --------------------------------------------------------------------------------------


def full_shape(x: Tracer, shape: Any) -> tuple[int, ...]:
    """A reshape's target with the -1 filled in."""
    if hasattr(shape, "__index__") and not isinstance(shape, np.ndarray):
        shape = (shape,)
    sizes = list(map(as_extent, shape))
    if sizes.count(-1) == 1:
        rest = 1
        for n in sizes:
            rest *= 1 if n == -1 else n
        if rest and not x.size % rest:
            sizes[sizes.index(-1)] = x.size // rest
    if any(n < 0 for n in sizes) or ArrayType(sizes, x.dtype).size != x.size:
        raise misfit(f"cannot reshape {x.type} into shape {tuple(shape)}", "the same size")
    return tuple(sizes)


def reshape(
    t: Any,
    a: Any,
    /,
    shape: Any = None,
    order: str = "C",
    *,
    copy: Any = None,
    newshape: Any = None,
) -> Any:
    x = t.array(a)
    sizes = full_shape(x, newshape if shape is None else shape)
    if resolved(x, order) == "F":
        return x.T.reshaped(sizes[::-1]).T
    out = x.reshaped(sizes)
    return copied(t, out) if copy else out


def ravel(t: Any, a: Any, order: str = "C") -> Any:
    """Order K goes along the axes as they lie in memory."""
    x = t.array(a)
    if order == "K":
        x, order = x.transposed(read_axes(x)), "C"
    return reshape(t, x, (x.size,), order)


def transpose(t: Any, a: Any, axes: Any = None) -> Any:
    x = t.array(a)
    if axes is None:
        return x.T
    if len(axes) != x.ndim:
        raise ValueError("axes don't match array")
    perm = [normal_axis(x.ndim, i) for i in axes]
    if len(set(perm)) != x.ndim:
        raise ValueError("repeated axis in transpose")
    return x.transposed(perm)


def swapaxes(t: Any, a: Any, axis1: int, axis2: int) -> Any:
    x = t.array(a)
    perm = list(range(x.ndim))
    i, j = normal_axis(x.ndim, axis1, "axis1"), normal_axis(x.ndim, axis2, "axis2")
    perm[i], perm[j] = perm[j], perm[i]
    return x.transposed(perm)


def matrix_transpose(t: Any, x: Any, /) -> Any:
    """The last two axes swapped."""
    a = t.array(x)
    if a.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {a.ndim}")
    return a.mT


def moveaxis(t: Any, a: Any, source: Any, destination: Any) -> Any:
    x = t.array(a)
    sources = _distinct(x, source, "source")
    targets = _distinct(x, destination, "destination")
    if len(sources) != len(targets):
        raise ValueError(
            "`source` and `destination` arguments must have the same number of elements"
        )
    order = [n for n in range(x.ndim) if n not in sources]
    for target, axis in sorted(zip(targets, sources)):
        order.insert(target, axis)
    return x.transposed(order)


def _distinct(x: Tracer, axes: Any, role: str) -> list[int]:
    """The axes of an argument of `moveaxis`."""
    found = [normal_axis(x.ndim, i, role) for i in _several(axes)]
    if len(set(found)) != len(found):
        raise ValueError(f"repeated axis in `{role}` argument")
    return found


def rollaxis(t: Any, a: Any, axis: int, start: int = 0) -> Any:
    x = t.array(a)
    at = normal_axis(x.ndim, axis)
    if not -x.ndim <= start <= x.ndim:
        raise np.exceptions.AxisError(
            f"'start' arg requires {-x.ndim} <= start < {x.ndim + 1}, but {start} was passed in"
        )
    start = start + x.ndim if start < 0 else start
    if at < start:
        start -= 1
    order = [n for n in range(x.ndim) if n != at]
    order.insert(start, at)
    return x.transposed(order)


def squeeze(t: Any, a: Any, axis: Any = None) -> Any:
    x = t.array(a)
    if axis is None:
        axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        axes = normal_axes(x, axis)
    if any(x.shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return x.reshaped(tuple(n for i, n in enumerate(x.shape) if i not in axes))


def expand_dims(t: Any, a: Any, axis: Any) -> Any:
    x = t.array(a)
    axes = _several(axis)
    ndim = x.ndim + len(axes)
    places = {normal_axis(ndim, i) for i in axes}
    if len(places) != len(axes):
        raise ValueError("repeated axis")
    rest = iter(x.shape)
    return x.reshaped(tuple(1 if i in places else next(rest) for i in range(ndim)))


def broadcast_to(t: Any, array: Any, shape: Any, subok: bool = False) -> Any:
    shape = (shape,) if hasattr(shape, "__index__") else shape
    return t.array(array).broadcast(tuple(n.__index__() for n in shape))


def broadcast_arrays(t: Any, *args: Any, subok: bool = False) -> Any:
    arrays = [t.array(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return tuple(a if a.shape == shape else a.broadcast(shape) for a in arrays)


def diagonal(t: Any, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    x = t.array(a)
    if x.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    i, j = normal_axis(x.ndim, axis1), normal_axis(x.ndim, axis2)
    if i == j:
        raise ValueError("axis1 and axis2 cannot be the same")
    order = [n for n in range(x.ndim) if n not in (i, j)]
    y = x.transposed([*order, i, j])
    return y.seen(Diagonal(y.type, offset.__index__()))


def flip(t: Any, m: Any, axis: Any = None) -> Any:
    x = t.array(m)
    axes = () if not x.ndim and axis is None else tuple(
        normal_axis(x.ndim, a) for a in (range(x.ndim) if axis is None else _several(axis))
    )  # fmt: skip
    back = slice(None, None, -1)
    return x.sliced(tuple(back if i in axes else slice(None) for i in range(x.ndim)))


def _atleast(ndim: int, shape: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Any:
    def run(t: Any, *arrays: Any) -> Any:
        out = []
        for a in arrays:
            x = t.array(a)
            out.append(x if x.ndim >= ndim else x.reshaped(shape(x.shape)))
        return out[0] if len(out) == 1 else tuple(out)

    return run


def _deep(shape: tuple[int, ...]) -> tuple[int, ...]:
    return {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)]


def _part(name: str) -> Any:
    return lambda t, val: getattr(t.array(val), name)


def _several(axis: Any) -> tuple[Any, ...]:
    return tuple(axis) if isinstance(axis, (tuple, list, range)) else (axis,)


# --- copies -------------------------------------------------------------------------------------


def copied(t: Any, x: Tracer, order: str = "C") -> Any:
    """A fresh array with the same content; order K keeps the order of the axes in memory."""
    value = x.known()
    if value is not None:
        return t.wrap_known(x.known().copy(order))
    out: Tracer = t.wrap(x.read())
    out.cell.strides = copy_strides(x, order, x.itemsize)
    return out


def copy(t: Any, a: Any, order: str = "K", subok: bool = False) -> Any:
    return copied(t, t.array(a), order)


def take(
    t: Any, a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise"
) -> Any:
    x = t.array(a)
    index = t.array(indices)
    mode = clip_mode(mode)
    if axis is None:
        x, axis = ravel(t, x), 0
    at = normal_axis(x.ndim, axis)
    extent = x.shape[at]
    if index.dtype.kind not in "iub":
        raise TypeError(f"Cannot cast array data from {index.dtype!r} to dtype('int64')")
    if mode == "clip":
        index = t.array(np.clip(index, 0, extent - 1))
    elif mode == "wrap" and index.known() is None:
        index = index % extent
    elif index.known() is not None:
        value = index.known()
        if mode == "wrap":
            value = value % extent
        if value.size and not (value.min() >= -extent and value.max() < extent):
            raise IndexError(f"index out of bounds for axis {at} with size {extent}")
        index = t.wrap_known(np.where(value < 0, value + extent, value))
    atom = t.emit("take", x.read(), t.cast(index.read(), INT64), axis=at)
    result = t.wrap(atom, scalar=not atom.type.shape)
    return result if out is None else t.assign(out, result)


def repeat(t: Any, a: Any, repeats: Any, axis: Any = None) -> Any:
    x = t.array(a)
    if axis is None:
        x, axis = ravel(t, x), 0
    at = normal_axis(x.ndim, axis)
    counts = known_ints(t, repeats, "np.repeat needs repeats that are")
    extent = x.shape[at]
    if counts.size == 1 and extent:
        n = int(counts.reshape(-1)[0])
        shape = (*x.shape[: at + 1], n, *x.shape[at + 1 :])
        axes = tuple(i for i in range(len(shape)) if i != at + 1)
        atom = t.emit("broadcast", x.read(), shape=shape, axes=axes)
        sizes = (*x.shape[:at], extent * n, *x.shape[at + 1 :])
        return t.wrap(t.reshape(atom, sizes))
    index = np.repeat(np.arange(extent), counts.reshape(-1))
    return take(t, x, index, at)


def known_ints(t: Any, x: Any, what: str) -> Any:
    """A real integer array of a value that must be known while tracing."""
    if not contains_traced([x]):
        return np.asarray(x)  # of objects, where Python's ints are large
    array = t.array(x)
    value = array.known()
    if value is not None:
        return value
    leaves = deciders(t, array.read())
    if leaves:
        raise NeedsStatic(leaves)
    raise unsupported(f"{what} known while tracing", "Pass it as a static argument.")


def tile(t: Any, A: Any, reps: Any) -> Any:
    x = t.array(A)
    counts = list(_several(reps))
    counts = [1] * (x.ndim - len(counts)) + [n.__index__() for n in counts]
    if min(counts, default=0) < 0:
        raise ValueError("negative dimensions are not allowed")
    x = x.reshaped((1,) * (len(counts) - x.ndim) + x.shape)
    inner, axes = [], []
    for n, size in zip(counts, x.shape):
        inner += [n, size]
        axes.append(len(inner) - 1)
    atom: Atom = x.read()
    atom = t.emit("broadcast", atom, shape=tuple(inner), axes=tuple(axes)) if inner else atom
    return t.wrap(t.reshape(atom, tuple(n * s for n, s in zip(counts, x.shape))))


def roll(t: Any, a: Any, shift: Any, axis: Any = None) -> Any:
    x = t.array(a)
    if axis is None:
        return roll(t, ravel(t, x), shift, 0).reshaped(x.shape)
    if contains_traced([shift]):
        shift = t.array(shift)
        if shift.known() is None and not deciders(t, shift.read()):
            return _roll_unknown(t, x, shift, axis)
    pairs = np.broadcast(known_ints(t, shift, "np.roll needs a shift that is"), axis)
    for amount, i in pairs:
        at = normal_axis(x.ndim, i)
        n = x.shape[at]
        cut = -int(amount) % n if n else 0
        if cut:
            lead = (slice(None),) * at
            later, first = (*lead, slice(cut, None)), (*lead, slice(0, cut))
            x = np.concatenate([x[later], x[first]], at)
    return copied(t, x)


def _roll_unknown(t: Any, x: Tracer, shift: Tracer, axis: Any) -> Any:
    """Shifts that only the call knows: a gather along each axis."""
    axes = list(_several(axis))
    amounts = shift if shift.ndim else np.broadcast_to(shift, (len(axes),))
    if len(axes) == 1:
        axes *= amounts.shape[0]
    for number, i in enumerate(axes):
        at = normal_axis(x.ndim, i)
        n = x.shape[at]
        if n:
            start = np.mod(amounts[number if amounts.shape[0] > 1 else 0], n).astype(INT64)
            x = t.array(np.take(x, np.mod(np.arange(n) - start, n), at))
    return copied(t, x)


def rot90(t: Any, m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    x = t.array(m)
    i, j = (normal_axis(x.ndim, a) for a in axes)
    if i == j:
        raise ValueError("Axes must be different.")
    k %= 4
    if k == 0:
        return x.sliced((slice(None),) * x.ndim)
    if k == 2:
        return flip(t, flip(t, x, i), j)
    if k == 1:
        return swapaxes(t, flip(t, x, j), i, j)
    return flip(t, swapaxes(t, x, i, j), j)


def _triangle(keep_low: bool) -> Any:
    def run(t: Any, m: Any, k: int = 0) -> Any:
        x = t.array(m)
        if x.ndim == 1:
            x = x.broadcast((x.size, x.size))
        shape = x.shape
        rows = t.progression(k, 1, shape, len(shape) - 2)
        columns = t.progression(0, 1, shape, len(shape) - 1)
        low = t.emit("le", columns, rows if keep_low else t.sub(rows, 1))
        zero = t.atom(0, x.dtype)
        pair = (x.read(), zero) if keep_low else (zero, x.read())
        return t.wrap(t.emit("select", low, *pair))

    return run


def diag(t: Any, v: Any, k: int = 0) -> Any:
    x = t.array(v)
    if x.ndim == 2:
        return diagonal(t, x, k)
    if x.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    n = x.size + abs(k)
    rows, columns = t.progression(k, 1, (n, n), 0), t.progression(0, 1, (n, n), 1)
    line = t.emit("pad", x.read(), t.atom(0, x.dtype), low=(max(k, 0),), high=(max(-k, 0),))
    spread = t.emit("broadcast", line, shape=(n, n), axes=(1,))
    return t.wrap(t.emit("select", t.emit("eq", rows, columns), spread, t.atom(0, x.dtype)))


VIEWS: dict[str, Callable[..., Any]] = {
    "reshape": reshape,
    "ravel": ravel,
    "transpose": transpose,
    "permute_dims": transpose,
    "matrix_transpose": matrix_transpose,
    "linalg.matrix_transpose": matrix_transpose,
    "swapaxes": swapaxes,
    "moveaxis": moveaxis,
    "rollaxis": rollaxis,
    "squeeze": squeeze,
    "expand_dims": expand_dims,
    "broadcast_to": broadcast_to,
    "broadcast_arrays": broadcast_arrays,
    "diagonal": diagonal,
    "linalg.diagonal": lambda t, x, /, *, offset=0: diagonal(t, x, offset, -2, -1),
    "diag": diag,
    "flip": flip,
    "fliplr": lambda t, m: flip(t, m, 1),
    "flipud": lambda t, m: flip(t, m, 0),
    "rot90": rot90,
    "atleast_1d": _atleast(1, lambda shape: (1,)),
    "atleast_2d": _atleast(2, lambda shape: (1, *shape) if shape else (1, 1)),
    "atleast_3d": _atleast(3, _deep),
    "real": _part("real"),
    "imag": _part("imag"),
}

TABLE: dict[str, Callable[..., Any]] = {
    "copy": copy,
    "take": take,
    "repeat": repeat,
    "tile": tile,
    "roll": roll,
    "tril": _triangle(True),
    "triu": _triangle(False),
}
