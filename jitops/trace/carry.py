"""What loops carry and branches return: trees of leaves with types, the same at every step.

A leaf is an array, a NumPy scalar, or a number of Python, which stays one for as long as the body
gives one, and else takes the dtype that the body gives it. Python bools are NumPy's. Everything
else (None, strings, the shape of the tree) must be the same on all ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jitops.errors import ShapeError, UnsupportedError
from jitops.graph.types import ArrayType
from jitops.trace.masked import Masked
from jitops.trace.promotion import KINDS
from jitops.trace.tracer import Tracer
from jitops.trace.weak import KERNEL_DTYPES, Weak
from jitops.trace.where import user_line

NUMBERS: dict[str, type] = {"int": int, "float": float, "complex": complex}  # lower ones first
LEAF = ("leaf",)


class Leaf:
    """The type of a leaf.

    kind: "array", "scalar" (of NumPy), "int", "float", "complex" (of Python), or "foreign", for a
        tensor that is none of NumPy's. type: its `ArrayType`; of a foreign one, a text.
    """

    __slots__ = ("kind", "type")

    def __init__(self, kind: str, type: Any) -> None:
        self.kind = kind
        self.type = type

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Leaf) and (self.kind, self.type) == (other.kind, other.type)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"a Python {self.kind}" if self.kind in NUMBERS else str(self.type)


def leaf_of(x: Any) -> Leaf:
    """The type of a leaf, traced or not."""
    kind = type(x)
    if kind is Tracer:
        return Leaf("scalar" if x.scalar else "array", x.type)
    if kind is Weak:
        return Leaf(x.pytype.__name__, ArrayType((), KERNEL_DTYPES[x.pytype]))
    if kind in KERNEL_DTYPES:
        return Leaf(kind.__name__, ArrayType((), KERNEL_DTYPES[kind]))
    if kind is bool:
        return Leaf("scalar", ArrayType((), "bool"))
    if isinstance(x, (np.ndarray, np.generic)):
        scalar = isinstance(x, np.generic)
        return Leaf("scalar" if scalar else "array", ArrayType(x.shape, x.dtype))
    return Leaf("foreign", f"{x.dtype}{list(x.shape)}")


def joined(before: Leaf, after: Leaf) -> Leaf | None:
    """The type of a leaf that is the one here and the other there; None where there is none."""
    if before == after:
        return before
    if before.kind in NUMBERS and after.kind in NUMBERS:
        return max(before, after, key=lambda leaf: list(NUMBERS).index(leaf.kind))
    number, other = (before, after) if before.kind in NUMBERS else (after, before)
    if number.kind in NUMBERS:
        fits = other.kind in ("array", "scalar") and not other.type.shape
        return other if fits and other.type.dtype.kind in KINDS[NUMBERS[number.kind]] else None
    if before.type == after.type and "foreign" not in (before.kind, after.kind):
        return Leaf("scalar", before.type)  # NumPy makes scalars of 0-d arrays
    return None


# --- trees ---


def is_leaf(x: Any) -> bool:
    kind = type(x)
    if kind is Tracer or kind is Weak or kind is bool or kind in KERNEL_DTYPES:
        return True
    if isinstance(x, (np.ndarray, np.generic)):
        return True
    return hasattr(x, "shape") and hasattr(x, "dtype") and not isinstance(x, type)


def flatten(
    x: Any, name: str, found: list[tuple[str, Any]], like: tuple[Any, ...] | None = None
) -> tuple[Any, ...]:
    """Append (name, leaf) for every leaf, and give the tree's structure.

    like: a structure whose order the keys of dicts take, where they are the same.
    """
    kind = type(x)
    if kind is Masked:
        raise x._refusal("returning")
    if is_leaf(x):
        found.append((name, x))
        return LEAF
    if kind is tuple or kind is list:
        parts = [(f"{name}[{i}]", v) for i, v in enumerate(x)]
        return (kind.__name__, _flattened(parts, found, like))
    if kind is dict:
        keys = tuple(x)
        if like is not None and like[0] == "dict" and set(like[2]) == set(keys):
            keys = like[2]
        parts = [(f"{name}[{k!r}]", x[k]) for k in keys]
        return ("dict", _flattened(parts, found, like), keys)
    if isinstance(x, tuple) and hasattr(kind, "_fields"):
        parts = [(f"{name}.{f}", v) for f, v in zip(kind._fields, x)]
        return ("namedtuple", _flattened(parts, found, like), kind)
    return ("const", x)


def _flattened(
    parts: Sequence[tuple[str, Any]], found: list[tuple[str, Any]], like: tuple[Any, ...] | None
) -> tuple[Any, ...]:
    inner = like[1] if like is not None and like[0] not in ("const", "leaf") else ()
    inner = (*inner, *[None] * len(parts))
    return tuple(flatten(v, name, found, one) for (name, v), one in zip(parts, inner))


def unflatten(structure: tuple[Any, ...], leaves: Iterator[Any]) -> Any:
    """The tree of this structure with these leaves."""
    kind = structure[0]
    if kind == "leaf":
        return next(leaves)
    if kind == "const":
        return structure[1]
    parts = [unflatten(part, leaves) for part in structure[1]]
    if kind == "dict":
        return dict(zip(structure[2], parts))
    if kind == "namedtuple":
        return structure[2](*parts)
    return tuple(parts) if kind == "tuple" else parts


def sketch(structure: tuple[Any, ...]) -> str:
    """A structure as text, with ``*`` for a leaf."""
    kind = structure[0]
    if kind == "leaf":
        return "*"
    if kind == "const":
        return repr(structure[1])
    parts = [sketch(part) for part in structure[1]]
    if kind == "dict":
        return "{" + ", ".join(f"{k!r}: {p}" for k, p in zip(structure[2], parts)) + "}"
    if kind == "list":
        return f"[{', '.join(parts)}]"
    comma = "," if kind == "tuple" and len(parts) == 1 else ""
    return f"{structure[2].__name__ if kind == 'namedtuple' else ''}({', '.join(parts)}{comma})"


class Tree:
    """A flattened tree: the names, values and types of its leaves, and its structure."""

    __slots__ = ("leaves", "names", "structure", "values")

    def __init__(self, x: Any, name: str, like: tuple[Any, ...] | None = None) -> None:
        found: list[tuple[str, Any]] = []
        self.structure = flatten(x, name, found, like)
        self.names = [n for n, _ in found]
        self.values = [v for _, v in found]
        self.leaves = [leaf_of(v) for v in self.values]

    def build(self, values: Sequence[Any]) -> Any:
        """The tree with other leaves."""
        return unflatten(self.structure, iter(values))


def carried(before: Tree, after: Tree, loop: str, body: Callable[..., Any]) -> list[Leaf]:
    """The types of a carry that goes in as one tree and comes out as the other.

    Raises ShapeError or UnsupportedError where the body does not keep them.
    """
    if before.structure != after.structure:
        raise UnsupportedError(
            f"{loop}: the carry is {sketch(before.structure)} going in and"
            f" {sketch(after.structure)} coming out of {place(body)}",
            where=user_line(),
            way_out="Return what came in, with new values: every step carries the same tree.",
        )
    return _joined(before, after, lambda name, a, b: _changed(f"{loop}: {name}", a, b, body))


def _joined(one: Tree, other: Tree, error: Callable[[str, Leaf, Leaf], Exception]) -> list[Leaf]:
    """The types of leaves that have to agree; `error` says what to raise where they do not."""
    found = []
    for name, a, b in zip(one.names, one.leaves, other.leaves):
        leaf = joined(a, b)
        if leaf is None:
            raise error(name, a, b)
        found.append(leaf)
    return found


def _changed(what: str, a: Leaf, b: Leaf, body: Callable[..., Any]) -> Exception:
    text = f"{what} is {a} going in and {b} coming out of {place(body)}"
    arrays = isinstance(a.type, ArrayType) and isinstance(b.type, ArrayType)
    if arrays and a.type.shape != b.type.shape:
        way_out = "Start with the shape that the body gives, or write into a part of the carry."
        return ShapeError(text, where=user_line(), way_out=way_out)
    wanted = str(b.type.dtype) if arrays else "the body's dtype"
    way_out = f"Start with {wanted}, or return x.astype(...) with the dtype that came in."
    return UnsupportedError(text, where=user_line(), way_out=way_out)


def agreed(one: Tree, other: Tree, what: str, fns: Sequence[Callable[..., Any]]) -> list[Leaf]:
    """The types of what two branches return. Raises as `carried`."""
    if one.structure != other.structure:
        raise UnsupportedError(
            f"{what}: the branches return {sketch(one.structure)} ({place(fns[0])}) and"
            f" {sketch(other.structure)} ({place(fns[1])})",
            where=user_line(),
            way_out="Both must return the same tree: there is one result, whichever runs.",
        )

    def error(name: str, a: Leaf, b: Leaf) -> Exception:
        return UnsupportedError(
            f"{what}: {name} is {a} from {place(fns[0])} and {b} from {place(fns[1])}",
            where=user_line(),
            way_out="Both branches must return one shape and dtype: convert one of them.",
        )

    return _joined(one, other, error)


def place(fn: Callable[..., Any]) -> str:
    """``step (model.py:12)``: a function and where it is defined."""
    fn = getattr(fn, "eager", fn)
    fn = getattr(fn, "__func__", fn)
    name = getattr(fn, "__name__", type(fn).__name__)
    code = getattr(fn, "__code__", None)
    if code is None:
        return str(name)
    file = code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{'the lambda' if name == '<lambda>' else name} ({file}:{code.co_firstlineno})"
