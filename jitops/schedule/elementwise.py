"""Elementwise kernels: one nest over the merged axes, the innermost left to LLVM's vectoriser."""

from __future__ import annotations

from jitops.lower.frame import Scope
from jitops.lower.index import Index, domain_index
from jitops.lower.kernels import Kernel, MapKernel
from jitops.schedule.loops import merge_axes, nest


def elementwise(kernel: Kernel) -> Scope | None:
    """Applies to every map kernel."""
    if not isinstance(kernel, MapKernel):
        return None
    scope = Scope()
    if 0 in kernel.domain:
        return scope
    index = domain_index(kernel.domain)
    axes = merge_axes(kernel.domain, kernel.offsets(index), index, set())

    def emit(components: Index, inner: Scope) -> None:
        kernel.element(tuple(axes.index(components)), inner)

    nest(axes.extents, kernel.work, emit, scope)
    return scope
