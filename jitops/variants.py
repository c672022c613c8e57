"""The signatures that one op has collected: which axes keep varying, and when they are too many."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jitops.errors import ArgumentError

if TYPE_CHECKING:
    from jitops.arguments import Call

__all__ = ["Variants", "dynamic_axes_of"]

PROMOTED_AT = 4  # different sizes of an axis, all else equal: from the fourth on it is dynamic
MANY = 32  # signatures of one op; more get a warning
REBOUND = 16  # traces for the sake of one global or attribute; the last of them gets a warning
REMEMBERED = 4096  # combinations; beyond that nothing new is learned

Axes = frozenset[tuple[int, int]]  # (leaf, axis)


class Variants:
    """What the misses of one op had in common and what not.

    dynamic: parameter -> axes that are dynamic from the first call on; None: no axis ever is,
    whatever varies.
    """

    def __init__(self, dynamic: Mapping[str, tuple[int, ...]] | None) -> None:
        self.dynamic = dynamic
        self._first_sizes: dict[Any, set[tuple[int, ...]]] = {}  # all but the sizes -> the sizes
        self._values: dict[str, dict[str, None]] = {}  # what a signature consists of -> values
        self._signatures: set[Any] = set()
        self._guards: dict[Any, Any] = {}  # of each signature's last trace
        self._rebound: dict[str, int] = {}  # places outside of the function -> traces for them

    def note(self, call: Call) -> None:
        """A call missed."""
        rest, sizes = _without_first_sizes(call)
        if rest in self._first_sizes or len(self._first_sizes) < REMEMBERED:
            seen = self._first_sizes.setdefault(rest, set())
            if len(seen) < REMEMBERED:
                seen.add(sizes)

    def rebound(self, call: Call, guards: Any, changed: Callable[[Any], list[str]]) -> str:
        """The place that has just made the op trace anew for the `REBOUND`-th time, or "".

        changed: the names of the places where guards find something else by now.
        """
        signature = call.signature()
        before = self._guards.pop(signature, ())
        if guards and len(self._guards) < REMEMBERED:
            self._guards[signature] = guards
        for name in changed(before):
            self._rebound[name] = self._rebound.get(name, 0) + 1
            if self._rebound[name] == REBOUND:
                return name
        return ""

    def open_axes(self, call: Call) -> Axes:
        """The axes of a call whose size is to stay open: marked, or seen to vary."""
        found = {
            (number, axis)
            for number, leaf in enumerate(call.leaves)
            for axis in getattr(leaf[0], "open", ())  # of a spec
        }
        if self.dynamic is None:
            return frozenset(found)
        return self._marked(call) | self._varying(call) | found

    def _marked(self, call: Call) -> Axes:
        found = set()
        for number, (leaf, name) in enumerate(zip(call.leaves, call.leaf_names())):
            rank = len(leaf[3] or ())
            for axis in (self.dynamic or {}).get(re.split(r"[\[.]", name)[0], ()):
                if not -rank <= axis < rank and "[" in name:
                    continue  # one of several leaves of a parameter
                if not -rank <= axis < rank:
                    raise ArgumentError(
                        f"dynamic={{{name!r}: {axis}}}",
                        found=f"an array with {rank} axes",
                        accepted=f"axes below {rank}",
                    )
                found.add((number, axis % rank))
        return frozenset(found)

    def _varying(self, call: Call) -> Axes:
        rest, sizes = _without_first_sizes(call)
        seen = self._first_sizes.get(rest, set()) | {sizes}
        if len(seen) < PROMOTED_AT:
            return frozenset()
        firsts = enumerate(map(_first_axis, call.leaves))
        axes = [(number, axis) for number, axis in firsts if axis is not None]
        return frozenset(a for a, values in zip(axes, zip(*seen)) if len(set(values)) > 1)

    def too_many(self, call: Call) -> str:
        """A warning, when the op has just reached many signatures with kernels of their own."""
        if len(self._signatures) >= MANY:
            return ""
        self._signatures.add(call.signature())
        for label, value in _parts(call):
            self._values.setdefault(label, {})[value] = None
        if len(self._signatures) != MANY:
            return ""
        varying = sorted(self._values.items(), key=lambda item: -len(item[1]))
        label, values = varying[0]
        shown = ", ".join(list(values)[:5]) + (", …" if len(values) > 5 else "")
        return f"{label} took {len(values)} values: {shown}"


def dynamic_axes_of(
    dynamic: Mapping[str, int | Sequence[int]] | bool | None, parameters: Collection[str], name: str
) -> dict[str, tuple[int, ...]] | None:
    """The checked ``dynamic`` of an op, as `Variants` takes it."""
    if dynamic is False:
        return None
    found: dict[str, tuple[int, ...]] = {}
    marked = dynamic if isinstance(dynamic, Mapping) else {}
    for parameter, axes in marked.items():
        listed = (axes,) if isinstance(axes, int) else tuple(axes)
        if parameter not in parameters or not all(isinstance(a, int) for a in listed):
            raise ArgumentError(
                f"dynamic={dynamic!r} of op {name!r}",
                found=f"{parameter!r}: {axes!r}",
                accepted=f"axes of its parameters: {', '.join(parameters) or 'it has none'}",
            )
        found[parameter] = listed
    return found


def _first_axis(leaf: Any) -> int | None:
    """The first axis that is not of extent 1, of an array in C order: what one kernel can serve."""
    shape, strides = leaf[3], leaf[4]
    if shape is None or strides is not None:
        return None
    return next((axis for axis, n in enumerate(shape) if n != 1), None)


def _without_first_sizes(call: Call) -> tuple[Any, tuple[int, ...]]:
    """What a call's kernel depends on but for the sizes of the first axes, and those."""
    sizes: list[int] = []

    def cut(leaf: Any) -> Any:
        axis = _first_axis(leaf)
        if axis is None:
            return leaf[1:5]
        sizes.append(leaf[3][axis])
        return leaf[1], leaf[2], leaf[3][:axis], leaf[3][axis + 1 :]

    return call.signature(cut), tuple(sizes)


def _parts(call: Call) -> list[tuple[str, str]]:
    """What tells signatures apart, by name: dtypes, layouts, sizes, static values."""
    parts = []
    for leaf, name in zip(call.leaves, call.leaf_names()):
        kind, dtype, shape, strides = leaf[1:5]
        parts.append((f"the type of {name}", str(dtype or kind)))
        if shape is not None:
            parts.append((f"the layout of {name}", str(strides)))
            parts += [(f"{name}.shape[{axis}]", str(n)) for axis, n in enumerate(shape)]
    parts += [(f"the static argument {name}", repr(value)) for name, value in call.statics()]
    return parts
