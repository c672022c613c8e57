"""Storms over one cache; the short forms run always, the long ones with `--long`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cache"))

from fixtures import children, store

__all__ = ["children", "store"]
