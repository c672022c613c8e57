"""Each test has its own cache directory, and its processes end with it."""

from fixtures import children, store

__all__ = ["children", "store"]
