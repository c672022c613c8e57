"""Find the user's line: the innermost frame outside jitops and NumPy, for error messages."""

from __future__ import annotations

import os
import sys
from types import FrameType

import numpy as np

INSIDE = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    os.path.dirname(os.path.abspath(np.__file__)) + os.sep,
    "<__array_function__ internals>",
)


def user_frame() -> FrameType | None:
    """The innermost frame of the user's code."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame = frame.f_back
    return frame


def user_line() -> str:
    """``model.py:12``, or an empty string when no user code is running."""
    frame = user_frame()
    if frame is None:
        return ""
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def user_line_text() -> str:
    """``model.py:12, `if x > 0:` ``: the line and its source text, where that can be read."""
    import linecache

    frame = user_frame()
    if frame is None:
        return ""
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals).strip()
    return f"{user_line()}, `{text}`" if text else user_line()
