"""The one `Runtime` of this process, and the settings it follows."""

from __future__ import annotations

from jitops.config import Settings
from jitops.runtime import Runtime

__all__ = ["RUNTIME", "config", "configure", "options"]

config = Settings()
RUNTIME = Runtime(config)
configure = config.configure
options = config.options
