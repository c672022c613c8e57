"""Views: how a part of an array is read from it, and written back into it.

Each view has `type` (of the part), `of(ndarray)` (NumPy's own view, for arrays known while
tracing), `read` and `write` (in equations), and `strides` (bytes, to decide where a reshape is a
view). `write` is None for views that NumPy makes read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jitops.graph.graph import Atom
from jitops.graph.sizes import is_open
from jitops.graph.types import ArrayType, strides_of
from jitops.trace.recorder import PARTS, Recorder

Shape = tuple[int, ...]


class View:
    """One step from an array to a part of it."""

    __slots__ = ("type",)

    type: ArrayType
    writeable = True

    def of(self, array: Any) -> Any:
        """The same view of a real array."""
        raise NotImplementedError

    def read(self, f: Recorder, base: Atom) -> Atom:
        """The part, from the array."""
        raise NotImplementedError

    def write(self, f: Recorder, base: Atom, new: Atom) -> Atom:
        """The array with the part replaced."""
        raise NotImplementedError

    def strides(self, strides: Shape) -> Shape:
        """The part's strides from the array's, in bytes."""
        raise NotImplementedError


class Slice(View):
    """``x[key]`` for ints, slices, ellipsis and None: per axis a start, a step and a size."""

    __slots__ = ("axes", "key", "size", "start", "step", "whole")

    def __init__(self, base: ArrayType, key: tuple[Any, ...]) -> None:
        """The key has one int or slice per axis of the array, in order, and None for new axes."""
        start, step, size, shape, axes = [], [], [], [], []
        axis = 0
        for k in key:
            if k is None:
                shape.append(1)
                axes.append(-1)
                continue
            extent = base.shape[axis]
            if isinstance(k, slice):
                first, count, stride = _span(k, extent)
                start.append(first if count else 0)
                step.append(stride)
                size.append(count)
                shape.append(count)
                axes.append(axis)
            else:
                start.append(k + extent if k < 0 else k)
                step.append(1)
                size.append(1)
            axis += 1
        self.key = key
        self.start, self.step, self.size = tuple(start), tuple(step), tuple(size)
        self.axes = axes
        self.type = base.with_shape(shape)
        self.whole = self.size == base.shape and all(d == 1 for d in step)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slice) and self.position() == other.position()

    __hash__ = None  # type: ignore[assignment]

    def position(self) -> tuple[Shape, Shape, Shape, Shape]:
        """What decides the elements and the shape."""
        return self.start, self.step, self.size, self.type.shape

    def of(self, array: Any) -> Any:
        key = (*self.key, ...)  # the ellipsis keeps a 0-d view an array
        return array[key]

    def read(self, f: Recorder, base: Atom) -> Atom:
        if not self.whole:
            base = f.emit("slice", base, start=self.start, step=self.step, size=self.size)
        return f.reshape(base, self.type.shape)

    def write(self, f: Recorder, base: Atom, new: Atom) -> Atom:
        new = f.reshape(new, self.size)
        if self.whole:
            return new
        if not self.type.size:
            return base
        return f.emit("update", base, new, start=self.start, step=self.step)  # type: ignore[no-any-return]

    def strides(self, strides: Shape) -> Shape:
        return tuple(0 if a < 0 else strides[a] * self.step[a] for a in self.axes)


def _span(k: slice, extent: Any) -> tuple[Any, Any, int]:
    """The first index, the number of indices and the step of a slice of an axis."""
    if not is_open(extent):
        first, last, stride = k.indices(extent)
        return first, len(range(first, last, stride)), stride
    if k.step not in (None, 1):
        extent.symbol.refuse(extent, f"a slice with step {k.step}")
    ends = (0 if k.start is None else k.start, extent if k.stop is None else k.stop)
    inside: list[Any] = [min(v if v >= 0 else max(v + extent, 0), extent) for v in ends]
    return inside[0], max(inside[1] - inside[0], 0), 1


class Transpose(View):
    """Axis i of the view is axis ``perm[i]`` of the array."""

    __slots__ = ("perm",)

    def __init__(self, base: ArrayType, perm: Sequence[int]) -> None:
        self.perm = tuple(perm)
        self.type = base.with_shape(base.shape[a] for a in perm)

    def of(self, array: Any) -> Any:
        return array.transpose(self.perm)

    def read(self, f: Recorder, base: Atom) -> Atom:
        return f.transpose(base, self.perm)

    def write(self, f: Recorder, base: Atom, new: Atom) -> Atom:
        back = tuple(sorted(range(len(self.perm)), key=self.perm.__getitem__))
        return f.transpose(new, back)

    def strides(self, strides: Shape) -> Shape:
        return tuple(strides[a] for a in self.perm)


class Reshape(View):
    """The elements in C order under another shape, where NumPy needs no copy for that."""

    __slots__ = ("_base", "_strides")

    def __init__(self, base: ArrayType, shape: Shape, strides: Shape) -> None:
        self._base = base.shape
        self._strides = strides
        self.type = base.with_shape(shape)

    def of(self, array: Any) -> Any:
        return array.reshape(self.type.shape)

    def read(self, f: Recorder, base: Atom) -> Atom:
        return f.reshape(base, self.type.shape)

    def write(self, f: Recorder, base: Atom, new: Atom) -> Atom:
        return f.reshape(new, self._base)

    def strides(self, strides: Shape) -> Shape:
        return self._strides


class Broadcast(View):
    """`np.broadcast_to`; read-only."""

    __slots__ = ()

    writeable = False

    def __init__(self, base: ArrayType, shape: Shape) -> None:
        self.type = base.with_shape(shape)

    def of(self, array: Any) -> Any:
        import numpy as np

        return np.broadcast_to(array, self.type.shape)

    def read(self, f: Recorder, base: Atom) -> Atom:
        return f.broadcast(base, self.type.shape)

    def strides(self, strides: Shape) -> Shape:
        return (0,) * (self.type.ndim - len(strides)) + strides


class Diagonal(View):
    """`np.diagonal` of the last two axes; read-only, as NumPy's, but for `np.einsum`'s."""

    __slots__ = ("offset", "rows", "writeable")

    def __init__(self, base: ArrayType, offset: int, *, writeable: bool = False) -> None:
        self.writeable = writeable
        rows, columns = base.shape[-2:]
        size = min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns)
        self.offset = offset
        self.rows = columns
        self.type = base.with_shape((*base.shape[:-2], max(size, 0)))

    def of(self, array: Any) -> Any:
        return array.diagonal(self.offset, -2, -1)

    def read(self, f: Recorder, base: Atom) -> Atom:
        if not self.type.shape[-1]:
            return f.broadcast(f.cast(_zero(), self.type.dtype), self.type.shape)
        part: Atom = f.emit("slice", self._lines(f, base), size=self.type.shape, **self._place())
        return part

    def write(self, f: Recorder, base: Atom, new: Atom) -> Atom:
        if not self.type.shape[-1]:
            return base
        return f.reshape(
            f.emit("update", self._lines(f, base), new, **self._place()), base.type.shape
        )

    def _lines(self, f: Recorder, base: Atom) -> Atom:
        """Each matrix in one line."""
        *lead, rows, columns = base.type.shape
        return f.reshape(base, (*lead, rows * columns))

    def _place(self) -> dict[str, Shape]:
        n = len(self.type.shape) - 1
        first = self.offset if self.offset >= 0 else -self.offset * self.rows
        return {"start": (0,) * n + (first,), "step": (1,) * n + (self.rows + 1,)}

    def strides(self, strides: Shape) -> Shape:
        return (*strides[:-2], strides[-2] + strides[-1])


class Part(View):
    """The real or imaginary part of a complex array."""

    __slots__ = ("name",)

    def __init__(self, base: ArrayType, name: str) -> None:
        self.name = name
        self.type = base.with_dtype(PARTS[base.dtype.name])

    def of(self, array: Any) -> Any:
        return getattr(array, self.name)

    def read(self, f: Recorder, base: Atom) -> Atom:
        return f.emit(self.name, base)  # type: ignore[no-any-return]

    def write(self, f: Recorder, base: Atom, new: Atom) -> Atom:
        if self.name == "real":
            return f.emit("complex", new, f.emit("imag", base))  # type: ignore[no-any-return]
        return f.emit("complex", f.emit("real", base), new)  # type: ignore[no-any-return]

    def strides(self, strides: Shape) -> Shape:
        return strides


def _zero() -> Atom:
    from jitops.graph.graph import Literal

    return Literal(0, "int64")


def reshaped_strides(old: Shape, strides: Shape, new: Shape, itemsize: int) -> Shape | None:
    """The strides of a reshape without copying, or None; NumPy's `_attempt_nocopy_reshape`."""
    if 0 in new:
        return strides_of(new, itemsize)
    kept = [(n, s) for n, s in zip(old, strides) if n != 1]
    out: list[int] = []
    group = [1, itemsize]
    groups: list[list[int]] = []  # runs of axes that lie one in another: [size, inner stride]
    for i, (n, s) in enumerate(kept):
        group = [group[0] * n, s] if i and kept[i - 1][1] == n * s else [n, s]
        if group[0] == n or not groups:
            groups.append(group)
        else:
            groups[-1] = group
    left = groups[::-1] or [[1, itemsize]]
    size, inner = left.pop()[:]
    used = 1
    steps: list[list[int]] = []
    for n in new:
        if n == 1:
            steps.append([-1, 0])
            continue
        if used == size and left:
            size, inner = left.pop()
            used = 1
        used *= n
        if size % used:
            return None
        steps.append([size // used, inner])
    for position, n in enumerate(new):
        count, inner = steps[position]
        out.append(itemsize if count < 0 or n == 1 else count * inner)
    return tuple(out)
