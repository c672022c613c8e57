"""The one `Runtime` of this process, and the settings it follows."""

from __future__ import annotations

from jitops.integrations.announce import announce
from jitops.runtime import Runtime
from jitops.threads import PoolSettings

__all__ = [
    "RUNTIME",
    "config",
    "configure",
    "get_threads",
    "options",
    "set_threads",
    "threads",
]

config = PoolSettings()
RUNTIME = Runtime(config)
configure = config.configure
options = config.options
get_threads = config.get_threads
set_threads = config.set_threads
threads = config.threads

announce()
