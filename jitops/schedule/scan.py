"""Scan kernels: a running value per line, or line after line when the axis is not the innermost."""

from __future__ import annotations

from jitops.lower.complex_pairs import Pair
from jitops.lower.frame import Scope
from jitops.lower.index import Affine, Index, int64
from jitops.lower.kernels import Kernel
from jitops.lower.scans import ScanKernel
from jitops.schedule.accumulators import Accumulators
from jitops.schedule.loops import nest, serial


def scan(kernel: Kernel) -> Scope | None:
    """Applies to every scan kernel: parallel over the lines, one after the other along the axis."""
    if not isinstance(kernel, ScanKernel):
        return None
    scope = Scope()
    if 0 in kernel.domain:
        return scope
    length = kernel.domain[kernel.axis]
    others = [n for a, n in enumerate(kernel.domain) if a != kernel.axis]

    def line(components: Index, inner: Scope) -> None:
        acc = Accumulators(kernel.fold, 1, inner)
        acc.clear(inner)

        def step(at: Index, body: Scope) -> None:
            index = list(components)
            index.insert(kernel.axis, kernel.along(at[0]))
            acc.combine(int64(0), kernel.value(tuple(index), body), body)
            values = acc.load(int64(0), body)
            kernel.store(tuple(index), Pair(*values) if len(values) == 2 else values[0], body)

        serial((length,), step, inner)

    def lines(components: Index, inner: Scope) -> None:
        """Innermost lines side by side: each step adds a contiguous line to the previous one."""

        def step(at: Index, body: Scope, first: bool) -> None:
            def element(column: Index, code: Scope) -> None:
                here = [*components, *column]
                before = list(here)
                here.insert(kernel.axis, kernel.along(at[0]))
                before.insert(kernel.axis, kernel.along(at[0] + -1))
                values = kernel.value(tuple(here), code)
                if not first:
                    values = kernel.fold.combine(code, kernel.previous(tuple(before), code), values)
                kernel.store(tuple(here), Pair(*values) if len(values) == 2 else values[0], code)

            serial((others[-1],), element, body)

        step((Affine({}),), inner, first=True)
        serial((length - 1,), lambda at, b: step((at[0] + 1,), b, first=False), inner)

    if kernel.axis == len(kernel.domain) - 1:
        nest(others, kernel.work * length, line, scope)
    else:
        nest(others[:-1], kernel.work * length * others[-1], lines, scope)
    return scope
