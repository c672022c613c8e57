"""Load TVM without loading torch.

TVM's bindings import torch first, where it is installed: two seconds and a few hundred megabytes
more for the first compile of a program that does not use it. To the importing thread torch seems
absent meanwhile; other threads, and later imports, find it. Where a program has loaded torch
already, TVM finds it, too.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from typing import Any

__all__ = ["load_tvm"]


class _Absent:
    """A finder on ``sys.meta_path`` for which torch does not exist in one thread."""

    def __init__(self) -> None:
        self.thread = get_ident()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "torch" and get_ident() == self.thread:
            raise ModuleNotFoundError("TVM is loaded without torch", name=name)


def load_tvm() -> None:
    """Import TVM, if that has not happened yet."""
    if "tvm" in sys.modules or "torch" in sys.modules:
        return
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        import tvm  # noqa: F401
    finally:
        sys.meta_path.remove(absent)
