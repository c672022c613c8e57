"""A pytest plugin: expectations of floating-point errors and warnings about values are void.

What stands in their `with` blocks, and every assertion about values, is run as it is written. So
a test that failed for want of an error alone passes, and one whose values are wrong does not.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy.testing
import numpy.testing._private.utils
import pytest

NOT_GIVEN = (FloatingPointError, RuntimeWarning)
PLACES = (numpy.testing, numpy.testing._private.utils, pytest)
NAMES = ("raises", "warns", "assert_raises", "assert_raises_regex", "assert_warns")


def void(original: Callable[..., Any]) -> Callable[..., Any]:
    """The expectation, unless it is for one of those: then the call alone."""

    def expect(*args: Any, **kwargs: Any) -> Any:
        kind = args[0] if args else kwargs.get("expected_warning")
        if kind not in NOT_GIVEN:
            return original(*args, **kwargs)
        callables = [n for n, x in enumerate(args) if n and callable(x)]
        if not callables:
            return suppress(FloatingPointError)  # long doubles are NumPy's, which raises
        first = callables[0]
        with suppress(FloatingPointError):
            return args[first](*args[first + 1 :], **kwargs)

    return expect


for place in PLACES:
    for name in NAMES:
        if hasattr(place, name):
            setattr(place, name, void(getattr(place, name)))
