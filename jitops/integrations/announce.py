"""Tell other libraries about jitops as soon as a program imports them, and never import them."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

__all__ = ["announce"]

# imported library -> our module that is imported right after it
FOLLOWERS = {"threadpoolctl": "jitops.integrations.threadpools"}


class _Follower:
    """A meta path finder that finds what the others find, and imports ours after it."""

    def __init__(self, library: str) -> None:
        self.library = library

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.library or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                run(module)
                follow(name)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def follow(name: str) -> None:
    """Import what follows a library; one that is too old for it goes without."""
    with suppress(ImportError, AttributeError):
        import_module(FOLLOWERS[name])


def announce() -> None:
    """Follow the libraries that are imported already, and those to come."""
    for name in FOLLOWERS:
        if name in sys.modules:
            follow(name)
        else:
            sys.meta_path.insert(0, _Follower(name))
