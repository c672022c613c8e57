"""Functions with NumPy's own steps replaced where those look at values: edits, windows, slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jitops.failures import INDEX
from jitops.trace.raising import unsupported
from jitops.trace.reductions import NoValue, normal_axes, normal_axis
from jitops.trace.stacks import positions
from jitops.trace.tracer import Tracer
from jitops.trace.views import Broadcast

__all__ = ["TABLE"]


def _line(t: Any, arr: Any, axis: Any) -> tuple[Any, int]:
    x = t.array(arr)
    return (np.ravel(x), 0) if axis is None else (x, normal_axis(x.ndim, axis))


def _positions(t: Any, obj: Any, name: str) -> Any:
    """Indices as NumPy's function takes them, or those of a tracer that is known in the op only."""
    if isinstance(obj, slice):
        return obj
    x = t.array(obj)
    found = x.known()
    if found is not None:
        return found if found.size else found.astype(int)
    if x.dtype.kind == "b":
        raise unsupported(
            f"np.{name} by a traced mask gives a shape that depends on values",
            "Pass the mask as a static argument, or integers.",
        )
    if x.ndim > 1 or x.dtype.kind not in "iu":
        raise IndexError(f"np.{name} needs integers in at most one axis, not {x.type}")
    return x


def delete(t: Any, arr: Any, obj: Any, axis: Any = None) -> Any:
    """What is left, by its positions; a traced index must be a single one."""
    x, at = _line(t, arr, axis)
    n = x.shape[at]
    where = _positions(t, obj, "delete")
    if type(where) is not Tracer:
        return np.take(x, np.delete(np.arange(n), where), at)
    if where.size != 1:
        raise unsupported(
            "np.delete of several traced indices gives a shape that depends on values: equal ones"
            " count once",
            "Delete one after the other, or pass them as a static argument.",
        )
    left = positions(t, (max(n - 1, 0),), 0)
    return np.take(x, left + (left >= _within(t, where.reshape(()), n, n)), at)


def _within(t: Any, where: Any, n: int, stop: int) -> Any:
    """Positions along n elements as int64 of 0 to stop - 1; others are an IndexError."""
    place: Any = where.astype(np.int64)
    place = np.where(place < 0, place + n, place)
    bad = np.logical_or(place < 0, place >= stop)
    return t.wrap(t.checked(place.read(), t.array(bad).read(), INDEX), scalar=not place.ndim)


def insert(t: Any, arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """The old and the new elements in one line, taken in their new order."""
    x, at = _line(t, arr, axis)
    n = x.shape[at]
    where = _positions(t, obj, "insert")
    new: Any = t.array(values).astype(x.dtype)
    single = not isinstance(where, slice) and where.size == 1 and where.dtype.kind != "b"
    if single and where.ndim == 0:  # NumPy: a scalar index takes the values along the axis
        new = new.reshape((1,) * (x.ndim - new.ndim) + new.shape)
        new = np.moveaxis(new, 0, at)
    if single:  # as many as the values are
        count = new.shape[at - x.ndim] if new.ndim >= x.ndim - at else 1
        where = np.broadcast_to(where.reshape(()), (count,))
    order = _inserted(t, n, where)
    count = order.size - n
    new = np.broadcast_to(new, (*x.shape[:at], count, *x.shape[at + 1 :]))
    return np.take(np.concatenate([x, new], axis=at), order, at)


def _inserted(t: Any, n: int, where: Any) -> Any:
    """Which of the n old and then the new elements come one after the other."""
    if type(where) is not Tracer or where.known() is not None:
        where = where if type(where) is not Tracer else where.known()
        order = np.insert(np.arange(n), where, -1)
        order[order < 0] = n + np.arange(order.size - n)
        return order
    place = _within(t, where, n, n + 1)
    turn = np.argsort(place, stable=True)
    line = t.filled(-1, (n + where.size,), np.dtype("int64"))
    line[place[turn] + positions(t, where.shape, 0)] = n + turn
    return np.where(line < 0, positions(t, line.shape, 0) - np.cumsum(line >= 0), line)


def sliding_window_view(
    t: Any, x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False,
    writeable: bool = False,
) -> Any:  # fmt: skip
    """The windows along the axes, with their elements along new axes at the end; read-only."""
    if writeable:
        raise unsupported(
            "sliding_window_view with writeable=True is not supported in a traced function",
            "Write through slices.",
        )
    out: Any = t.array(x)
    sizes = window_shape if isinstance(window_shape, tuple) else (window_shape,)
    axes = tuple(range(out.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if len(sizes) != len(axes):
        raise ValueError("Must provide window_shape for all dimensions of `x`.")
    for size, a in zip(sizes, axes):
        at = normal_axis(out.ndim, a) if a < 0 else a
        count = out.shape[at] - size + 1
        if count < 1:
            raise ValueError("window shape cannot be larger than input array shape")
        index = np.arange(count)[:, None] + np.arange(size)
        out = np.moveaxis(np.take(out, index, at), at + 1, -1)
    return out.seen(Broadcast(out.type, out.shape))  # read-only


# --- slopes -------------------------------------------------------------------------------------


def gradient(t: Any, f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order central differences, with the weights of uneven spacing where it is given."""
    x: Any = t.array(f)
    axes = normal_axes(x, axis) if axis is None else tuple(
        normal_axis(x.ndim, a) for a in (axis if isinstance(axis, tuple) else (axis,))
    )  # fmt: skip
    if len(varargs) == len(axes):
        spacings = [_distances(t, v) for v in varargs]
    elif not varargs or (len(varargs) == 1 and np.ndim(varargs[0]) == 0):
        spacings = [*varargs, 1.0][:1] * len(axes)
    else:
        raise TypeError("invalid number of arguments")
    if x.dtype.kind in "iu":
        x = x.astype(np.float64)
    found = [_slope(x, h, a, edge_order) for h, a in zip(spacings, axes)]
    return found[0] if len(found) == 1 else tuple(found)


def _distances(t: Any, spacing: Any) -> Any:
    """One number, or an array of positions, whose differences must not wrap around."""
    if np.ndim(spacing) == 0:
        return spacing
    places = t.array(spacing)
    if places.ndim > 1:
        raise ValueError("distances must be either scalars or 1d")
    return places.astype(np.float64) if places.dtype.kind in "iu" else places


def _slope(x: Any, spacing: Any, axis: int, edge_order: int) -> Any:
    n = x.shape[axis]
    if n < edge_order + 1 or edge_order > 2:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least"
            " (edge_order + 1) elements are required."
        )
    y = np.moveaxis(x, axis, 0)
    uneven = np.ndim(spacing) > 0
    if uneven:
        if spacing.shape != (n,):
            raise ValueError(
                "when 1d, distances must match the length of the corresponding dimension"
            )
        steps = np.diff(spacing).reshape((-1,) + (1,) * (x.ndim - 1))
        left, right = steps[:-1], steps[1:]
        low = -right / (left * (left + right))
        middle = (right - left) / (left * right)
        high = left / (right * (left + right))
        inner = low * y[:-2] + middle * y[1:-1] + high * y[2:]
        first, last = steps[0], steps[-1]
    else:
        inner = (y[2:] - y[:-2]) / (2.0 * spacing)
        first = last = spacing
    if edge_order == 1:
        ends = [(y[1] - y[0]) / first, (y[-1] - y[-2]) / last]
    elif uneven:
        ends = [
            _parabola(y[:3], steps[0], steps[1], 1),
            _parabola(y[-3:], steps[-2], steps[-1], -1),
        ]
    else:
        ends = [
            (-1.5 / first) * y[0] + (2.0 / first) * y[1] + (-0.5 / first) * y[2],
            (0.5 / last) * y[-3] + (-2.0 / last) * y[-2] + (1.5 / last) * y[-1],
        ]
    out = np.concatenate([ends[0][None], inner, ends[1][None]]).astype(inner.dtype)
    return np.moveaxis(out, 0, axis)


def _parabola(y: Any, a: Any, b: Any, side: int) -> Any:
    """The slope of the parabola through three points, at its first (1) or last (-1) one."""
    if side > 0:
        weights = -(2.0 * a + b) / (a * (a + b)), (a + b) / (a * b), -a / (b * (a + b))
    else:
        weights = b / (a * (a + b)), -(b + a) / (a * b), (2.0 * b + a) / (b * (a + b))
    return weights[0] * y[0] + weights[1] * y[1] + weights[2] * y[2]


# --- covariance ---------------------------------------------------------------------------------


def cov(
    t: Any, m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None,
    fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """The covariance matrix."""
    given = [(name, t.array(v)) for name, v in (("m", m), ("y", y)) if v is not None]
    for name, part in given:
        if part.ndim > 2:
            raise ValueError(f"{name} has more than 2 dimensions")
    parts = [np.atleast_2d(part) for _, part in given]
    wanted = np.result_type(*(p.dtype for p in parts), np.float64) if dtype is None else dtype
    turned = parts
    if not rowvar:  # NumPy looks at m as it was given, and at y as a matrix
        turned = [parts[0].T if given[0][1].ndim != 1 else parts[0]]
        turned += [p.T if p.shape[0] != 1 else p for p in parts[1:]]
    if not turned[0].shape[0]:
        return np.zeros((0, 0))
    x: Any = np.concatenate([p.astype(wanted) for p in turned])
    weights: Any = None
    if fweights is not None:
        weights = _weights(t, "fweights", fweights, x.shape[1])
    if aweights is not None:
        each = _weights(t, "aweights", aweights, x.shape[1])
        weights = each if weights is None else weights * each
    ddof = (0 if bias else 1) if ddof is None else ddof
    count = x.shape[1] if weights is None else np.sum(weights)
    if weights is None or not ddof or aweights is None:
        divisor = count - ddof
    else:
        divisor = count - ddof * np.sum(weights * each) / count
    average = np.average(x, axis=1, weights=weights)
    x = x - average[:, None]
    scaled = x if weights is None else x * weights
    product = np.dot(x, np.conjugate(scaled.T))
    scale = np.true_divide(1, np.maximum(divisor, 0))
    return np.squeeze(np.multiply(product, scale).astype(product.dtype))


def _weights(t: Any, name: str, given: Any, samples: int) -> Any:
    """The weights of the samples in float64; which are whole where they are frequencies."""
    w: Any = t.array(given).astype(float)
    if w.ndim > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if w.shape[0] != samples:
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    atom = w.read()
    if name == "fweights":
        atom = t.checked(atom, np.not_equal(w, np.around(w)).read(), "fractional fweights")
    return t.wrap(t.checked(atom, np.less(w, 0).read(), f"negative {name}"))


def corrcoef(
    t: Any, x: Any, y: Any = None, rowvar: bool = True, bias: Any = NoValue, ddof: Any = NoValue,
    *, dtype: Any = None,
) -> Any:  # fmt: skip
    """The covariances over the products of the deviations, clipped to [-1, 1]."""
    c: Any = cov(t, x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviation = np.sqrt(np.real(np.diag(c)))
    c = c / deviation[:, None] / deviation[None, :]
    if c.dtype.kind != "c":
        return np.clip(c, -1, 1)
    return np.clip(c.real, -1, 1) + np.clip(c.imag, -1, 1) * c.dtype.type(1j)


TABLE: dict[str, Callable[..., Any]] = {
    "delete": delete,
    "insert": insert,
    "lib.stride_tricks.sliding_window_view": sliding_window_view,
    "gradient": gradient,
    "cov": cov,
    "corrcoef": corrcoef,
}
