"""The folds of reductions and scans: what one step does to an accumulator."""

from __future__ import annotations

from typing import Any

import numpy as np

from jitops.lower import scalar as sc
from jitops.lower.complex_pairs import RULES as COMPLEX_RULES
from jitops.lower.complex_pairs import Pair, is_complex, part_dtype
from jitops.lower.elementwise import is_float, lower_map, register_dtype
from jitops.lower.frame import Scope


class Fold:
    """A reduction step: identity, combination, and the parts its accumulator consists of."""

    def __init__(self, op: str, dtype: str, running: bool = False) -> None:
        self.op = op
        self.dtype = dtype
        self.running = running
        self.parts: tuple[str, ...] = (dtype,)
        if is_complex(dtype):
            self.parts = (part_dtype(dtype),) * 2

    def identity(self) -> tuple[Any, ...]:
        return tuple(sc.const(v, register_dtype(p)) for v, p in zip(self._identity(), self.parts))

    def _identity(self) -> tuple[float | int | bool, ...]:
        if self.op in ("add", "or", "xor"):
            # NumPy sums -0.0 to 0.0; its running sums start with the element itself.
            zero = -0.0 if self.running else 0.0
            return tuple(zero if is_float(p) else 0 for p in self.parts)
        if self.op == "and":
            return (int(np.array(-1).astype(self.dtype)),)
        if self.op == "mul":
            return (1, 0)[: len(self.parts)]
        low, high = _limits(self.dtype)
        return (low,) if self.op == "maximum" else (high,)

    def combine(self, scope: Scope, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(self.parts) == 2:
            return tuple(map(scope.let, COMPLEX_RULES[self.op](scope, Pair(*a), Pair(*b))))
        return (lower_map(scope, self.op, self.dtype, self.dtype, [a[0], b[0]], {}),)

    def step(self, scope: Scope, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        """As `combine`, where all that ``a`` holds came before ``b``."""
        return self.combine(scope, a, b)

    @property
    def vectorises_itself(self) -> bool:
        """Whether LLVM may reorder the fold, and so finds the lanes of a plain loop by itself.

        Given lanes, it would unroll them and gather every lane's elements across the steps.
        """
        return self.dtype != "bool" and not is_float(self.parts[0])

    @property
    def sums_floats(self) -> bool:
        """Whether the order of additions matters for accuracy."""
        return self.op == "add" and is_float(self.parts[0])


class PositionFold(Fold):
    """The extreme and the first position where it is; a NaN is the extreme of all."""

    def __init__(self, op: str, dtype: str, count: str) -> None:
        super().__init__(op, dtype)
        self.parts = (dtype, count)

    @property
    def vectorises_itself(self) -> bool:
        return False

    def _identity(self) -> tuple[float | int | bool, ...]:
        # What never meets anything better consists of nothing else: its first position is 0.
        return (*super()._identity(), 0)

    def step(self, scope: Scope, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._choose(scope, self._better(b[0], a[0]), a, b)

    def combine(self, scope: Scope, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        same = sc.eq(a[0], b[0])
        if is_float(self.dtype):
            same = sc.either(same, sc.both(sc.is_nan(a[0]), sc.is_nan(b[0])))
        earlier = sc.both(same, sc.lt(b[1], a[1]))
        return self._choose(scope, sc.either(self._better(b[0], a[0]), earlier), a, b)

    def _better(self, new: Any, old: Any) -> Any:
        if not is_float(self.dtype):
            return sc.gt(new, old) if self.op == "maximum" else sc.lt(new, old)
        no_better = sc.le(new, old) if self.op == "maximum" else sc.ge(new, old)
        return sc.both(sc.not_(no_better), sc.eq(old, old))

    def _choose(self, scope: Scope, second: Any, a: Any, b: Any) -> tuple[Any, ...]:
        second = scope.let(second)
        return tuple(scope.let(sc.select(second, y, x)) for x, y in zip(a, b))


def _limits(dtype: str) -> tuple[float | int, float | int]:
    if dtype == "bool":
        return False, True
    if is_float(dtype):
        return float("-inf"), float("inf")
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)
