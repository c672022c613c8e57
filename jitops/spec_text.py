"""The text of a call's arguments, read: `float32[8,4],float32[4],axis=1`; see manifest.py."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from jitops.errors import ArgumentError

__all__ = ["ACCEPTED", "parse_spec", "strided"]

_NAME = r"[A-Za-z_]\w*"
_KEYWORD = re.compile(rf"\s*({_NAME})\s*=(?!=)")
_ARRAY = re.compile(rf"({_NAME})\[([\w,\s*=]*)\](?:@\[([-\d,\s]*)\])?")
_EXTENT = re.compile(r"\d+|\*|[a-z]\w*(=\d+)?")
_NUMPY_SCALAR = re.compile(rf"({_NAME})\(\)")
_WORD = re.compile(_NAME)
_SCALARS: dict[str, object] = {"float": 1.0, "int": 1, "bool": True, "complex": 1j}
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
ACCEPTED = "float32[8,4], float32[*,4], float, int, bool, complex, a JSON value, name=any of these"


def parse_spec(text: str, array: Callable[..., Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and keyword arguments that a spec describes.

    array: makes an array's description from shape and dtype name (jitops.spec). Raises
    ArgumentError, quoting the text.
    """
    reader = _Reader(text, array)
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    while not reader.at_end():
        keyword = reader.match(_KEYWORD)
        if keyword:
            keywords[keyword[1]] = reader.argument()
        elif keywords:
            raise reader.fault("a positional argument follows a keyword argument")
        else:
            positional.append(reader.argument())
        if not reader.at_end():
            reader.expect(",")
    return positional, keywords


class _Reader:
    """A place in the text."""

    def __init__(self, text: str, array: Callable[..., Any]) -> None:
        self.text = text
        self.place = 0
        self.array = array

    def at_end(self) -> bool:
        return not self.text[self.place :].strip()

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.place)
        if found:
            self.place = found.end()
        return found

    def peek(self) -> str:
        while self.text[self.place : self.place + 1].isspace():
            self.place += 1
        return self.text[self.place : self.place + 1]

    def expect(self, character: str) -> None:
        if self.peek() != character:
            raise self.fault()
        self.place += 1

    def fault(self, what: str = "an argument in the spec cannot be read") -> ArgumentError:
        rest = self.text[self.place :]
        return ArgumentError(what, where=self.text, found=repr(rest), accepted=ACCEPTED)

    def argument(self) -> Any:
        first = self.peek()
        if first in ("(", "["):
            items = self._items(_CLOSERS[first], self.argument)
            return tuple(items) if first == "(" else items
        if first == "{":
            return dict(self._items("}", self._pair))
        found = self.match(_ARRAY)
        if found:
            return self._array(found)
        found = self.match(_NUMPY_SCALAR)
        if found:
            return self._numpy_scalar(found[1])
        word = _WORD.match(self.text, self.place)
        if word and word[0] in _SCALARS:
            self.place = word.end()
            return _SCALARS[word[0]]
        return self._json()

    def _items(self, closer: str, read: Callable[[], Any]) -> list[Any]:
        self.place += 1
        items = []
        while self.peek() != closer:
            items.append(read())
            if self.peek() != closer:
                self.expect(",")
        self.place += 1
        return items

    def _pair(self) -> tuple[str, Any]:
        self.peek()
        key = self._json()
        if not isinstance(key, str):
            raise self.fault("a dict's key in the spec is not a text")
        self.expect(":")
        return key, self.argument()

    def _json(self) -> Any:
        try:
            value, self.place = json.JSONDecoder().raw_decode(self.text, self.place)
        except ValueError:
            raise self.fault() from None
        return value

    def _array(self, found: re.Match[str]) -> Any:
        dtype, strides = found[1], found[3]
        if dtype == "bfloat16":
            import ml_dtypes  # noqa: F401  # NumPy knows the name from then on
        try:
            shape = _extents(found[2])
            return (
                self.array(shape, dtype)
                if strides is None
                else strided(shape, dtype, _ints(strides))
            )
        except (TypeError, ValueError) as error:
            raise self.fault(f"no such array: {error}") from None

    def _numpy_scalar(self, name: str) -> Any:
        import numpy as np

        try:
            return np.dtype(name).type(1)
        except (TypeError, ValueError):
            raise self.fault("no such dtype") from None


def _extents(text: str) -> tuple[Any, ...]:
    """Sizes, and the names of those that are open."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(_EXTENT.fullmatch(part) for part in parts):
        raise ValueError("a size is a number, * or a name")
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _ints(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part.strip())


def strided(shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...]) -> Any:
    """An array of zeros with these strides in bytes, negative ones too. ValueError for others."""
    import numpy as np

    if len(strides) != len(shape):
        raise ValueError(f"{len(strides)} strides for {len(shape)} axes")
    spans = [(n - 1) * s for n, s in zip(shape, strides, strict=True) if n]
    low = -sum(span for span in spans if span < 0)
    size = low + sum(span for span in spans if span > 0) + np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, np.zeros(size, "u1"), offset=low, strides=strides)
