"""Why a call missed: the stored key nearest to it, and the parts that differ."""

from __future__ import annotations

from contextlib import suppress
from difflib import SequenceMatcher
from itertools import zip_longest

from jitops.cache.key import PARTS, Difference, Key
from jitops.cache.store import Store
from jitops.errors import CacheError

__all__ = ["describe", "nearest"]

LOOKED_AT = 1000  # entries, the last used first: a look at each reads its file
LONGEST_LINE = 120  # characters
MOST_LINES = 4  # for each part: a shape changes every line of a graph


def nearest(store: Store, key: Key) -> Key | None:
    """Return the stored key that differs from `key` in the fewest and least telling parts.

    One of the same op comes first: the graph, then the arguments weigh most. None for an empty
    store. Damaged entries are passed over.
    """
    entries = sorted(store.entries(), key=lambda entry: -entry.used)[:LOOKED_AT]
    best, best_distance = None, float("inf")
    for entry in entries:
        with suppress(CacheError, OSError):
            other = store.load(entry).key
            distance = _distance(key, other)
            if distance < best_distance:
                best, best_distance = other, distance
    return best


def _distance(one: Key, other: Key) -> float:
    """Sum the weights of the parts that differ; a text that differs less weighs less."""
    total = 0.0
    for difference in one.diff(other):
        weight = 2.0 ** (len(PARTS) - PARTS.index(difference.part))
        ours, theirs = set(difference.ours.split()), set(difference.theirs.split())
        common = len(ours & theirs) / max(1, len(ours | theirs))
        total += weight * (1.0 - 0.5 * common)
    return total


def describe(differences: list[Difference]) -> list[str]:
    """Say each difference in a line: "arguments: x float32[8] now, x float32[4] stored"."""
    return [line for difference in differences for line in _lines(difference)]


def _lines(difference: Difference) -> list[str]:
    if difference.part == "target":
        return _target_lines(difference)
    ours, theirs = difference.ours.splitlines(), difference.theirs.splitlines()
    said = []
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind != "equal":
            pairs = zip_longest(ours[start:end], theirs[other_start:other_end])
            said += [f"{difference.part}: {_cut(a)} now, {_cut(b)} stored" for a, b in pairs]
    if len(said) > MOST_LINES:
        more = len(said) - MOST_LINES
        said[MOST_LINES:] = [f"{difference.part}: {more} more lines differ"]
    return said


def _target_lines(difference: Difference) -> list[str]:
    """Name the features that only one of two machines has, and what else differs."""
    ours, theirs = _facts(difference.ours), _facts(difference.theirs)
    said = []
    for now, stored in ((ours, theirs), (theirs, ours)):
        only = [text.removeprefix("+") for text in now if text not in stored]
        if only:
            where = "now" if now is ours else "stored"
            said.append(f"target: {_cut(' '.join(only))} only {where}")
    return said


def _facts(target: str) -> list[str]:
    head, _, features = target.partition(" features=")
    return [*head.split(), *(f"+{name}" for name in features.split(",") if name)]


def _cut(line: str | None) -> str:
    if line is None:
        return "nothing"
    line = line.strip()
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
