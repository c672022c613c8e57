"""Schedules: kernels to loop nests. `RULES` in order; the first that applies wins."""

from __future__ import annotations

from collections.abc import Callable

from jitops.lower.frame import Scope
from jitops.lower.kernels import Kernel
from jitops.schedule.columns import rows_outer
from jitops.schedule.elementwise import elementwise
from jitops.schedule.inner import inner
from jitops.schedule.matmul import matmul
from jitops.schedule.outer import outer
from jitops.schedule.rows import rows_inner
from jitops.schedule.scan import scan
from jitops.schedule.scatter import scatter
from jitops.schedule.select import kth
from jitops.schedule.sort import sort

Rule = Callable[[Kernel], "Scope | None"]

PRODUCTS: tuple[Rule, ...] = (matmul, outer, inner)
RULES: tuple[Rule, ...] = (*PRODUCTS, rows_inner, rows_outer, scan, sort, kth, scatter, elementwise)


def schedule(kernel: Kernel) -> Scope:
    """The kernel's loops; none for a kernel that runs an earlier one's code."""
    if kernel.frame.original is not None:
        return Scope()  # another kernel's loops do its work
    for rule in RULES:
        scope = rule(kernel)
        if scope is not None:
            return scope
    raise AssertionError(f"no schedule for a {kernel.kind} kernel")
