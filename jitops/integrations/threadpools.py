"""jitops' pool under threadpoolctl: `threadpool_limits` governs it, `threadpool_info` shows it.

Importing this module registers the controller; jitops does so when a program imports threadpoolctl.
"""

from __future__ import annotations

import threadpoolctl

import jitops

__all__ = ["PoolController"]


class PoolController(threadpoolctl.LibController):  # type: ignore[misc]
    """The budget of the process, as `jitops.set_threads` sets it."""

    user_api = "jitops"
    internal_api = "jitops"
    filename_prefixes = ("_native",)
    check_symbols = ("jitops_parallel_launch",)

    def get_num_threads(self) -> int:
        """Return the budget."""
        return int(jitops.config.describe_threads()["threads"])

    def set_num_threads(self, num_threads: int) -> None:
        """Set the budget."""
        jitops.set_threads(num_threads)

    def get_version(self) -> str:
        """Return jitops' version."""
        return jitops.__version__

    def set_additional_attributes(self) -> None:
        """Add who runs parallel kernels."""
        self.threading_layer = jitops.config.describe_threads()["threading"]


threadpoolctl.register(PoolController)
