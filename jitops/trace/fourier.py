"""NumPy's Fourier transforms, expressed in transforms along one axis (`jitops.trace.transforms`).

A transform of real values of an even length is one of half the length, of complex values made of
neighbours; so is the way back. Several axes are transformed one after the other, in NumPy's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from jitops.graph.graph import Atom
from jitops.graph.types import ArrayType, Shape
from jitops.host import Call
from jitops.trace.hosted import Hosted, Recording, Rule
from jitops.trace.raising import misfit, warn
from jitops.trace.reductions import target
from jitops.trace.roots import roots
from jitops.trace.transforms import Line, cut, taken

__all__ = ["TABLE"]

COMPLEX = np.dtype("complex128")

Along = Callable[["Axis", Atom, float], Atom]


# --- shapes ---------------------------------------------------------------------------------------


def _line(length: Callable[[int, bool], int]) -> Rule:
    """A transform along one axis; length: of the result, from n and whether n was given."""

    def rule(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> list[Shape | None]:
        shape = list(a.shape)
        points = shape[axis] if n is None else n.__index__()
        shape[axis] = length(points, n is not None)
        if points < 1 or shape[axis] < 1:
            raise ValueError("no points")
        return [tuple(shape)]

    return rule


def _same(points: int, given: bool) -> int:
    return points


def _half(points: int, given: bool) -> int:
    return points // 2 + 1


def _whole(points: int, given: bool) -> int:
    return points if given else 2 * (points - 1)


def _grid(length: Callable[[int, bool], int], default_axes: Any = None) -> Rule:
    """A transform along several axes; length: of the last one, as in `_line`."""

    def rule(
        a: Any, s: Any = None, axes: Any = default_axes, norm: Any = None
    ) -> list[Shape | None]:
        shape = list(a.shape)
        if axes is None:
            axes = range(-len(shape if s is None else s), 0)
        given = [-1] * len(axes) if s is None else [-1 if n is None else n for n in s]
        if len(given) != len(axes) or not len(axes):
            raise ValueError("s and axes do not fit")
        for n, axis in zip(given[:-1], list(axes)[:-1]):
            shape[axis] = shape[axis] if n == -1 else n
        # A size of -1 is that of the input: it counts as given.
        last, n = axes[-1], a.shape[axes[-1]] if given[-1] == -1 else given[-1]
        shape[last] = length(n, s is not None)
        if min(shape) < 1:
            raise ValueError("no points")
        return [tuple(shape)]

    return rule


# --- one axis -------------------------------------------------------------------------------------


class Axis:
    """An axis that is transformed over n points. Arrays have at least one element."""

    def __init__(self, t: Any, axis: int, n: int) -> None:
        self.t = t
        self.axis = axis
        self.n = n

    def fitted(self, x: Atom, size: int) -> Atom:
        """The array cut, or filled up with zeros, to a size."""
        have = x.type.shape[self.axis]
        if have >= size:
            return cut(self.t, x, self.axis, 0, size)
        low = [0] * x.type.ndim
        high = list(low)
        high[self.axis] = size - have
        zero = self.t.atom(0, x.type.dtype)
        return self.t.emit("pad", x, zero, low=tuple(low), high=tuple(high))  # type: ignore[no-any-return]

    def line(self, x: Atom, n: int, sign: int) -> Line:
        """The axis of this array, with n points."""
        shape = x.type.shape
        return Line(self.t, shape[: self.axis], n, shape[self.axis + 1 :], sign)

    def forward(self, x: Atom, factor: float) -> Atom:
        """Of complex values, or of real ones, whose second half mirrors the first."""
        if x.type.dtype.kind == "c":
            return self._complex(x, factor, -1)
        half = self.forward_real(x, factor)
        rest = self._taken(half, (self.n - 1) // 2, -1, (self.n - 1) // 2)
        return self._joined([half, self._conjugate(rest)])

    def backward(self, x: Atom, factor: float) -> Atom:
        """The inverse, of complex values or of real ones, taken as complex."""
        return self._complex(self._as_complex(x), factor, 1)

    def _complex(self, x: Atom, factor: float, sign: int) -> Atom:
        x = self.fitted(x, self.n)
        return self.line(x, self.n, sign).transform(x, factor)

    def forward_real(self, x: Atom, factor: float) -> Atom:
        """The first half, and the middle, of the transform of real values."""
        t, x, h = self.t, self.fitted(x, self.n), self.n // 2
        if self.n % 2:
            whole = self.line(x, self.n, -1).transform(self._as_complex(x), factor)
            return cut(t, whole, self.axis, 0, h + 1)
        pairs = t.complex(self._taken(x, 0, 2, h), self._taken(x, 1, 2, h))
        z = self.line(x, h, -1).transform(pairs, factor / 2)
        first = cut(t, z, self.axis, 0, 1)
        re, im = (t.mul(part, 2.0) for part in (t.real(first), t.imag(first)))
        ends = [t.complex(part, 0.0) for part in (t.add(re, im), t.sub(re, im))]
        if h == 1:
            return self._joined(ends)
        low, high = cut(t, z, self.axis, 1, h - 1), self._taken(z, h - 1, -1, h - 1)
        mirror = self._conjugate(high)
        turn = self._turns(x, h, -1)
        middle = t.add(t.add(low, mirror), t.mul(t.sub(low, mirror), turn))
        return self._joined([ends[0], middle, ends[1]])

    def backward_real(self, x: Atom, factor: float) -> Atom:
        """Real values whose transform is ``x`` up to the middle: the inverse of `forward_real`."""
        t, h = self.t, self.n // 2
        x = self.fitted(self._as_complex(x), h + 1)
        first = t.real(cut(t, x, self.axis, 0, 1))
        if self.n % 2:
            rest = cut(t, x, self.axis, 1, h)
            mirror = self._conjugate(self._taken(x, h, -1, h))
            whole = self._joined([t.complex(first, 0.0), rest, mirror] if h else [x])
            return t.real(self.line(x, self.n, 1).transform(whole, factor))  # type: ignore[no-any-return]
        last = t.real(cut(t, x, self.axis, h, 1))
        z = t.complex(t.add(first, last), t.sub(first, last))
        if h > 1:
            low, high = cut(t, x, self.axis, 1, h - 1), self._taken(x, h - 1, -1, h - 1)
            mirror = self._conjugate(high)
            turned = t.mul(t.sub(low, mirror), self._turns(x, h, 1))
            z = self._joined([z, t.add(t.add(low, mirror), turned)])
        pairs = self.line(x, h, 1).transform(z, factor)
        return self._between(t.real(pairs), t.imag(pairs))

    # --- parts ----------------------------------------------------------------------------------

    def _as_complex(self, x: Atom) -> Atom:
        return self.t.cast(x, COMPLEX)  # type: ignore[no-any-return]

    def _conjugate(self, x: Atom) -> Atom:
        return self.t.complex(self.t.real(x), self.t.neg(self.t.imag(x)))  # type: ignore[no-any-return]

    def _taken(self, x: Atom, start: int, step: int, size: int) -> Atom:
        """``size`` elements along the axis."""
        return taken(self.t, x, self.axis, start, step, size)

    def _joined(self, parts: Sequence[Atom]) -> Atom:
        kept = [p for p in parts if p.type.shape[self.axis]]
        if len(kept) == 1:
            return kept[0]
        return self.t.emit("concatenate", *kept, axis=self.axis)  # type: ignore[no-any-return]

    def _between(self, even: Atom, odd: Atom) -> Atom:
        """Elements of both in turn along the axis."""
        t, shape = self.t, even.type.shape
        behind = self.axis + 1
        single = (*shape[:behind], 1, *shape[behind:])
        pair = t.emit("concatenate", t.reshape(even, single), t.reshape(odd, single), axis=behind)
        return t.reshape(pair, (*shape[: self.axis], self.n, *shape[behind:]))  # type: ignore[no-any-return]

    def _turns(self, x: Atom, h: int, sign: int) -> Atom:
        """``sign * i * exp(sign 2 pi i k / n)`` for k from 1 to h - 1, as that part of ``x``."""
        shape = list(x.type.shape)
        shape[self.axis] = h - 1

        def make() -> Any:
            re, im = roots(np.arange(1, h), self.n)
            return (-im + 1j * sign * re).astype(COMPLEX)

        made = self.t.made(("turns", self.n, sign), make)
        made = self.t.reshape(made, (h - 1, *[1] * (len(shape) - self.axis - 1)))
        return self.t.broadcast(made, tuple(shape))  # type: ignore[no-any-return]


# --- NumPy's functions ----------------------------------------------------------------------------


def _factor(norm: Any, n: int, forward: bool) -> float:
    if norm == "ortho":
        return 1 / float(np.sqrt(n))
    return 1.0 if ((norm or "backward") == "backward") == forward else 1 / n


# Each step of a transform passes over all of the array. Where the caches hold one line of it and
# not all lines, NumPy, which takes line after line, is faster.
MOST_VALUES = 1 << 18
MOST_POINTS = 1 << 22  # of a line; beyond, nothing was measured


class Transforming(Recording):
    """One call of a transform, in native steps; a host step where those would be slower."""

    def run(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The transform; ``out`` is of its very shape."""
        out = target(self.t, kwargs.pop("out", None))
        found = super().run(args, kwargs)
        if out is None:
            return found
        if out.shape != found.shape:
            raise misfit(f"the output {out.type} has wrong shape", str(found.type.shape))
        return self.t.assign(out, found, "same_kind")

    def allowed(self) -> None:
        """Native steps may stand anywhere."""

    def recorded(self, call: Call, shapes: Sequence[Shape | None], model: Any) -> Any:
        """The transform of the array; the model has its dtype."""
        if self.t.scope is None and not self.t.sizes:
            self.limit = self._limit(shapes[0])
        if self.limit:
            return super().recorded(call, shapes, model)
        return self._native(call, shapes, model)

    def _limit(self, shape: Any) -> str:
        """The limit that this call is beyond, or nothing."""
        given = self.types[0].shape
        values, longest = max(prod(shape), prod(given)), max(*shape, *given)
        if longest > MOST_POINTS:
            return f"above {MOST_POINTS} points"
        if values > longest and values > MOST_VALUES:
            return f"above {MOST_VALUES} values in several lines"
        return ""

    def _native(self, call: Call, shapes: Sequence[Shape | None], model: Any) -> Any:
        kind, several = KINDS[self.name.rpartition(".")[2].rstrip("2n")], self.name[-1] in "2n"
        given = {**dict(zip(self.hosted.names, call.args)), **call.kwargs}
        operand = given.pop("a")
        type_, (shape,) = self._typed(operand), shapes
        assert shape is not None
        axes = self._axes(type_, given, several)
        if 0 in shape:
            return self.wrapped(self.t.broadcast(self.t.atom(0, model.dtype), shape), model)
        # NumPy computes float32 and float16 in double precision, too, and rounds the result.
        wide = np.dtype("complex128" if type_.dtype.kind == "c" else "float64")
        x = self.t.cast(self.atoms[operand.number], wide)
        found = kind(self.t, x, axes, shape, given.get("norm"))
        return self.wrapped(self.t.cast(found, model.dtype), model)

    def _axes(self, type_: ArrayType, given: dict[str, Any], several: bool) -> Any:
        """Each axis, and the points given for it or None; the last one is transformed first."""
        if not several:
            return [(given.get("axis", -1) % type_.ndim, given.get("n"))]
        s, axes = given.get("s"), given.get("axes", (-2, -1) if self.name[-1] == "2" else None)
        if s is not None and axes is None:
            warn("`axes` should not be `None` if `s` is not `None`: NumPy 2.0 deprecated it.")
        if s is not None and None in s:
            warn("Passing an array containing `None` values to `s` is deprecated in NumPy 2.0.")
        if axes is None:
            axes = range(-len(type_.shape if s is None else s), 0)
        sizes = [None] * len(axes) if s is None else s
        return [
            (axis % type_.ndim, type_.shape[axis] if n == -1 else n) for axis, n in zip(axes, sizes)
        ]


def _each(t: Any, x: Atom, axes: Any, run: Along, norm: Any, forward: bool) -> Atom:
    """The axes one after the other, from the last one."""
    for axis, n in reversed(axes):
        n = x.type.shape[axis] if n is None else int(n)
        x = run(Axis(t, axis, n), x, _factor(norm, n, forward))
    return x


def _fft(t: Any, x: Atom, axes: Any, shape: Shape, norm: Any) -> Atom:
    return _each(t, x, axes, Axis.forward, norm, True)


def _ifft(t: Any, x: Atom, axes: Any, shape: Shape, norm: Any) -> Atom:
    return _each(t, x, axes, Axis.backward, norm, False)


def _rfft(t: Any, x: Atom, axes: Any, shape: Shape, norm: Any) -> Atom:
    x = _each(t, x, axes[-1:], Axis.forward_real, norm, True)
    return _fft(t, x, axes[:-1], shape, norm)


def _irfft(t: Any, x: Atom, axes: Any, shape: Shape, norm: Any) -> Atom:
    for pair in axes[:-1]:
        x = _each(t, x, [pair], Axis.backward, norm, False)
    return _each(t, x, [(axes[-1][0], shape[axes[-1][0]])], Axis.backward_real, norm, False)


def _hfft(t: Any, x: Atom, axes: Any, shape: Shape, norm: Any) -> Atom:
    axis = axes[0][0]
    x = Axis(t, axis, 0)._conjugate(x) if x.type.dtype.kind == "c" else x
    return _each(t, x, [(axis, shape[axis])], Axis.backward_real, norm, True)


def _ihfft(t: Any, x: Atom, axes: Any, shape: Shape, norm: Any) -> Atom:
    x = _each(t, x, axes, Axis.forward_real, norm, False)
    return Axis(t, axes[0][0], 0)._conjugate(x)


KINDS: dict[str, Callable[..., Atom]] = {
    "fft": _fft,
    "ifft": _ifft,
    "rfft": _rfft,
    "irfft": _irfft,
    "hfft": _hfft,
    "ihfft": _ihfft,
}

_LENGTHS = {
    "fft": _same,
    "ifft": _same,
    "rfft": _half,
    "ihfft": _half,
    "irfft": _whole,
    "hfft": _whole,
}


def _lines(type_: ArrayType) -> Shape:
    return (2,) * type_.ndim


def _traced(name: str, hosted: Hosted) -> Callable[..., Any]:
    def run(t: Any, *args: Any, **kwargs: Any) -> Any:
        return Transforming(t, name, hosted).run(args, kwargs)

    return run


TABLE: dict[str, Callable[..., Any]] = {
    **{
        f"fft.{name}": _traced(f"fft.{name}", Hosted(_line(length), "a", _lines, "n"))
        for name, length in _LENGTHS.items()
    },
    **{
        f"fft.{name}{suffix}": _traced(
            f"fft.{name}{suffix}", Hosted(_grid(_LENGTHS[name], axes), "a", _lines, "s")
        )
        for name in ("fft", "ifft", "rfft", "irfft")
        for suffix, axes in (("2", (-2, -1)), ("n", None))
    },
}
