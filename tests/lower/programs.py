"""Random graphs over all index, reduction, scan and update primitives, for differential tests."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from compiled import Builder, Literal
from hypothesis import strategies as st

from jitops.graph.graph import Graph, Var

EXTENTS = (1, 2, 3, 5, 8, 17, 33)
DTYPES = ("float64", "float32", "int64", "int32", "uint8", "bool", "float16", "complex128")
LARGE = (700, 1500)


class Program:
    """A graph, the shapes' data, and which parameters are written by which results."""

    def __init__(self, graph: Graph, written: dict[int, int], layouts: list[int], seed: int):
        self.graph = graph
        self.written = written
        self.layouts = layouts
        self.seed = seed

    def inputs(self) -> list[Any]:
        rng = np.random.default_rng(self.seed)
        return [
            laid_out(values(rng, p.type.shape, p.type.dtype), layout, p.type.shape)
            for p, layout in zip(self.graph.params, self.layouts)
        ]

    def __repr__(self) -> str:
        return f"{self.graph}\nwritten={self.written} layouts={self.layouts} seed={self.seed}"


def values(rng: Any, shape: Any, dtype: Any) -> Any:
    """Small integers in any dtype: sums and products stay exact in every order."""
    low = 0 if np.dtype(dtype).kind in "bu" else -3
    return np.asarray(rng.integers(low, 4 if np.dtype(dtype).kind != "b" else 2, shape)).astype(
        dtype
    )


def laid_out(x: Any, layout: int, shape: Any) -> Any:
    """0: C order; 1: Fortran; 2: every second element; 3: reversed last axis."""
    if x.ndim == 0 or layout == 0:
        return x
    if layout == 1:
        return np.asfortranarray(x)
    if layout == 2:
        wide = np.zeros((*shape[:-1], 2 * shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    return np.ascontiguousarray(x[..., ::-1])[..., ::-1]


@st.composite
def programs(draw: Any, steps: int = 8, large: bool = False) -> Program:
    writer = _Writer(draw, large)
    for _ in range(draw(st.integers(1, steps))):
        writer.step()
    return writer.finish()


class _Writer:
    def __init__(self, draw: Any, large: bool) -> None:
        self.draw = draw
        self.builder = Builder()
        self.large = large
        self.values: list[Var] = []
        for _ in range(draw(st.integers(1, 3))):
            self.param()

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def param(self) -> None:
        rank = self.draw(st.integers(0, 3))
        extents = (*EXTENTS, *LARGE) if self.large and rank < 3 else EXTENTS
        shape = tuple(self.pick(extents) for _ in range(rank))
        if self.draw(st.integers(0, 30)) == 30 and rank:
            shape = (0, *shape[1:])
        self.values.append(self.builder.param(shape, self.pick(DTYPES)))

    def emit(self, op: str, *inputs: Any, **attrs: Any) -> Var:
        var = self.builder.emit(op, *inputs, **attrs)
        if var.type.size <= (4_000_000 if self.large else 20_000):
            self.values.append(var)
        return var

    def value(self) -> Var:
        return self.pick(self.values)

    def step(self) -> None:
        x = self.value()
        getattr(self, "_" + self.pick(STEPS))(x)

    def same_type(self, x: Var) -> Var:
        """Another value of x's type; made from what there is."""
        found = [v for v in self.values if v.type == x.type]
        if len(found) > 1 and self.draw(st.booleans()):
            return self.pick(found)
        other = self.value()
        if other.type.dtype != x.type.dtype:
            other = self.emit("cast", other, dtype=x.type.dtype.name)
        return self.fit(other, x.type.shape)

    def fit(self, v: Var, shape: tuple[int, ...]) -> Var:
        """v reduced, reshaped or broadcast to a shape."""
        if v.type.shape == shape:
            return v
        if prod(shape) == v.type.size:
            return self.emit("reshape", v, shape=shape)
        kept = v.type.shape[-len(shape) :] if shape else ()
        while v.type.ndim > len(kept):
            v = self.first(v, 0)
        for axis, (mine, wanted) in enumerate(zip(v.type.shape[::-1], shape[::-1])):
            if mine not in (1, wanted):
                v = self.narrowed(v, v.type.ndim - 1 - axis)
        axes = tuple(range(len(shape) - v.type.ndim, len(shape)))
        return self.emit("broadcast", v, shape=shape, axes=axes)

    def first(self, v: Var, axis: int) -> Var:
        """v without an axis: its first element there, or zeros where it has none."""
        rest = (*v.type.shape[:axis], *v.type.shape[axis + 1 :])
        if 0 in v.type.shape:
            return self.emit("full", Literal(0, v.type.dtype), shape=rest)
        return self.emit("reshape", self.narrowed(v, axis), shape=rest)

    def narrowed(self, v: Var, axis: int) -> Var:
        size = tuple(1 if a == axis else n for a, n in enumerate(v.type.shape))
        if 0 in v.type.shape:
            return self.emit("full", Literal(0, v.type.dtype), shape=size)
        rank = v.type.ndim
        return self.emit("slice", v, start=(0,) * rank, step=(1,) * rank, size=size)

    # --- steps ---

    def _unary(self, x: Var) -> None:
        kind = x.type.dtype.kind
        options = {"b": "invert", "c": "neg"}.get(kind, "neg abs sign")
        self.emit(self.pick(options.split()), x)

    def _binary(self, x: Var) -> None:
        kind = x.type.dtype.kind
        options = "add sub mul" if kind not in "bc" else "and or xor" if kind == "b" else "add sub"
        if kind in "iuf":
            options += " maximum minimum lt eq"
        y: Any = self.same_type(x)
        if self.draw(st.integers(0, 3)) == 0:
            y = Literal(self.draw(st.integers(0, 2)), x.type.dtype)
        op = self.pick(options.split())
        if op == "mul" and not isinstance(y, Literal):
            y = self.emit("sign", y)
        self.emit(op, *((x, y) if self.draw(st.booleans()) else (y, x)))

    def _select(self, x: Var) -> None:
        y = self.same_type(x)
        cond = self.emit("eq", x, y)
        self.emit("select", cond, self.same_type(x), x)

    def _costly(self, x: Var) -> None:
        if x.type.dtype.name in ("float32", "float64"):
            for _ in range(2):
                x = self.emit("sqrt", self.emit("square", x))

    def _cast(self, x: Var) -> None:
        dtype = self.pick(DTYPES)
        if x.type.dtype.kind in "fc" and np.dtype(dtype).kind == "u":
            return
        self.emit("cast", x, dtype=dtype)

    def _reshape(self, x: Var) -> None:
        shape = list(x.type.shape)
        n = prod(shape)
        divisors = [d for d in (2, 3, 4, 5, 8) if n and n % d == 0] or [1]
        d = self.pick(divisors)
        options = [(n,), (d, n // d), (n // d, d), (1, *shape), (*shape, 1)]
        self.emit("reshape", x, shape=self.pick(options))

    def _transpose(self, x: Var) -> None:
        self.emit("transpose", x, perm=tuple(self.draw(st.permutations(range(x.type.ndim)))))

    def _broadcast(self, x: Var) -> None:
        if x.type.ndim < 3:
            extent = self.pick(EXTENTS)
            at = self.draw(st.integers(0, x.type.ndim))
            shape = (*x.type.shape[:at], extent, *x.type.shape[at:])
            axes = tuple(a for a in range(len(shape)) if a != at)
            self.emit("broadcast", x, shape=shape, axes=axes)

    def box(self, shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
        start, step, size = [], [], []
        for n in shape:
            d = self.pick((1, 1, 2, -1, -2)) if n else 1
            count = self.draw(st.integers(0 if n == 0 else 1, -(-n // abs(d))))
            room = n - ((count - 1) * abs(d) + 1) if count else 0
            s = self.draw(st.integers(0, max(room, 0)))
            start.append(s if d > 0 else s + (count - 1) * -d)
            step.append(d)
            size.append(count)
        return tuple(start), tuple(step), tuple(size)

    def _slice(self, x: Var) -> None:
        start, step, size = self.box(x.type.shape)
        self.emit("slice", x, start=start, step=step, size=size)

    def _update(self, x: Var) -> None:
        start, step, size = self.box(x.type.shape)
        new = self.same_type(x)
        if self.draw(st.booleans()):  # something like x[a] = x[b]
            first = tuple(self.draw(st.integers(0, n - c)) for n, c in zip(x.type.shape, size))
            new = self.emit("slice", x, start=first, step=(1,) * len(size), size=size)
        else:
            new = self.fit(new, size)
        self.emit("update", x, new, start=start, step=step)

    def _chain(self, x: Var) -> None:
        """Several updates, each of the last."""
        for _ in range(self.draw(st.integers(2, 3))):
            self._update(x)
            x = self.builder.eqns[-1].output

    def _pad(self, x: Var) -> None:
        widths = [self.draw(st.integers(0, 3)) for _ in range(2 * x.type.ndim)]
        low, high = tuple(widths[::2]), tuple(widths[1::2])
        self.emit("pad", x, Literal(1, x.type.dtype), low=low, high=high)

    def _concatenate(self, x: Var) -> None:
        if x.type.ndim:
            axis = self.draw(st.integers(0, x.type.ndim - 1))
            self.emit("concatenate", x, self.same_type(x), x, axis=axis)

    def _take(self, x: Var) -> None:
        if x.type.ndim and 0 not in x.type.shape:
            axis = self.draw(st.integers(0, x.type.ndim - 1))
            index = self.value()
            if (
                index.type.dtype.kind not in "iub"
                or index.type.ndim > 1
                or index.type.dtype == "uint8"
            ):
                return
            index = self.emit("cast", index, dtype="int64")
            extent = Literal(x.type.shape[axis], "int64")
            self.emit("take", x, self.emit("mod", index, extent), axis=axis)

    def _iota(self, x: Var) -> None:
        if x.type.ndim and x.type.dtype.kind != "b" and max(x.type.shape) < 60:
            axis = self.draw(st.integers(0, x.type.ndim - 1))
            self.emit("iota", shape=x.type.shape, axis=axis, dtype=x.type.dtype.name)

    def axes(self, x: Var) -> tuple[int, ...]:
        return tuple(a for a in range(x.type.ndim) if self.draw(st.booleans()))

    def _reduce(self, x: Var) -> None:
        kind = x.type.dtype.kind
        options = "or and" if kind == "b" else "sum" if kind == "c" else "sum max min"
        axes = self.axes(x)
        op = self.pick(options.split())
        if op in ("max", "min") and any(x.type.shape[a] == 0 for a in axes):
            return
        self.emit("reduce_" + op, x, axes=axes)

    def _normalise(self, x: Var) -> None:
        """Reduce, broadcast back, combine: the shape of softmax."""
        axes = self.axes(x)
        if x.type.dtype.kind in "bc" or 0 in x.type.shape:
            return
        peak = self.emit("reduce_max", x, axes=axes)
        kept = tuple(a for a in range(x.type.ndim) if a not in axes)
        back = self.emit("broadcast", peak, shape=x.type.shape, axes=kept)
        self.emit("reduce_sum", self.emit("sub", x, back), axes=axes)

    def _arg(self, x: Var) -> None:
        if x.type.ndim and 0 not in x.type.shape and x.type.dtype.kind != "c":
            axis = self.draw(st.integers(0, x.type.ndim - 1))
            self.emit(self.pick(("argmax", "argmin")), x, axes=(axis,))

    def _scan(self, x: Var) -> None:
        if x.type.ndim and x.type.dtype.kind not in "b":
            axis = self.draw(st.integers(0, x.type.ndim - 1))
            self.emit("cumsum", x, axis=axis, reverse=self.draw(st.booleans()))

    def _sort(self, x: Var) -> None:
        if x.type.ndim and x.type.dtype.kind != "c":
            self.emit(self.pick(("sort", "argsort")), x)

    def _scatter(self, x: Var) -> None:
        index = self.value()
        if not x.type.ndim or 0 in x.type.shape or index.type.ndim > 1:
            return
        if index.type.dtype.kind not in "iub" or index.type.dtype == "uint8":
            return
        first = self.draw(st.integers(0, x.type.ndim - 1))
        stop = self.draw(st.integers(first + 1, x.type.ndim))
        extent = Literal(prod(x.type.shape[first:stop]), "int64")
        index = self.emit("mod", self.emit("cast", index, dtype="int64"), extent)
        shape = (*x.type.shape[:first], *index.type.shape, *x.type.shape[stop:])
        if prod(shape) > 5000:
            return
        new = self.fit(self.same_type(x), shape)
        join = "xor" if x.type.dtype.kind == "b" else "add"
        join = self.pick(("set", join))
        self.emit("scatter", x, index, new, axes=(first, stop), join=join)

    # --- the end ---

    def finish(self) -> Program:
        params = self.builder.params
        written: dict[int, int] = {}
        results: list[Any] = []
        for number, param in enumerate(params):
            fits = [v for v in self.values if v.type == param.type and v is not param]
            if fits and self.draw(st.integers(0, 2)):
                written[number] = len(results)
                results.append(self.draw(st.sampled_from(fits[::-1])))
        for _ in range(self.draw(st.integers(0 if results else 1, 3))):
            results.append(self.draw(st.sampled_from(self.values[::-1])))
        layouts = [self.draw(st.integers(0, 3)) for _ in params]
        graph = self.builder.graph(*results)
        return Program(graph, written, layouts, self.draw(st.integers(0, 5)))


STEPS = [name[1:] for name in vars(_Writer) if name[0] == "_" and name[1] != "_"]
