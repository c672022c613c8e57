"""Messages through the standard logger "jitops", imported only when there is something to say.

`logging` takes milliseconds to import, so the hit path must not need it: below warnings, nothing is
imported unless JITOPS_LOG asks for it or the program has set up logging itself.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

__all__ = ["Log"]

_NUMBERS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "off": 100}


class Log:
    """Says each thing at the level asked for, and things that would repeat only once.

    level: one of config.LOG_LEVELS: that and worse is shown; or None: the program's own logging
    setup decides (Python's default shows warnings and worse on stderr).
    """

    __slots__ = ("_level", "_logger", "_said")

    def __init__(self, level: str | None = None) -> None:
        self._level = None if level is None else _NUMBERS[level]
        self._logger: logging.Logger | None = None
        self._said: set[str] = set()  # a race between threads may say a thing twice, no more

    def debug(self, message: str, *values: object) -> None:
        """Log a step, for those who look for a fault."""
        self._say(10, message, values)

    def info(self, message: str, *values: object) -> None:
        """Log what happened: loaded, compiled, evicted."""
        self._say(20, message, values)

    def warning(self, message: str, *values: object) -> None:
        """Warn: results are right, yet something should be looked at."""
        self._say(30, message, values)

    def error(self, message: str, *values: object) -> None:
        """Log a failure that the program will notice."""
        self._say(40, message, values)

    def once(self, topic: str, message: str, *values: object) -> None:
        """Warn, the first time this topic comes up in this process."""
        if topic not in self._said:
            self._said.add(topic)
            self._say(30, message, values)

    def _say(self, number: int, message: str, values: tuple[object, ...]) -> None:
        if self._level is not None and number < self._level:
            return
        if self._level is None and number < 30 and "logging" not in sys.modules:
            return  # nobody can have asked for it
        if self._logger is None:
            self._logger = self._open()
        self._logger.log(number, message, *values)

    def _open(self) -> logging.Logger:
        import logging

        logger = logging.getLogger("jitops")
        if self._level is not None:
            logger.setLevel(self._level)
            if not logger.hasHandlers():  # else the program's own handlers show it
                handler = logging.StreamHandler()
                handler.setFormatter(logging.Formatter("jitops %(levelname)s: %(message)s"))
                logger.addHandler(handler)
        return logger
