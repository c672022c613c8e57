"""Statistics over the cache, in a diskcache (SQLite) database under DIR/index.

It answers what the files cannot cheaply: how often each artifact was loaded, what its compiling
cost, how many bytes there are in all. It is derived from the files and the journal, is never on
the way of a call, and may be deleted at any time; a damaged one is replaced by an empty one.

    "entry:DIGEST"   {"loads": n, "compiles": n, "ms": x, "size": bytes, "name": text}
    "fact:NAME"      a text that was slow to find out (the CPU's brand)
    "bytes"          the sum of the sizes

Every value is a JSON text. diskcache itself would unpickle what it finds in its files, which runs
code of whoever wrote them (its JSONDisk too, where a row says so): TextDisk refuses all but texts.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

import diskcache

from jitops.cache.store import Store
from jitops.errors import CacheError

__all__ = ["Index"]

_T = TypeVar("_T")
_EMPTY = {"loads": 0, "compiles": 0, "ms": 0.0, "size": 0, "name": ""}
_LEFT_FULL = 0.9  # how full the cache is left after an eviction
_BROKEN = (sqlite3.Error, diskcache.Timeout, ValueError, TypeError, KeyError, AttributeError)


class Note(NamedTuple):
    """What one process did with one artifact; see journal.py."""

    digest: str
    loads: int
    compiles: int
    ms: float
    size: int
    name: str


class TextDisk(diskcache.Disk):  # type: ignore[misc]
    """Texts as keys, JSON texts as values, in the database itself; anything else is refused."""

    def put(self, key: object) -> tuple[str, bool]:
        """Return what the key column holds for this key."""
        if not isinstance(key, str):
            raise TypeError(f"index key {key!r} is not a text")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """Return the key that this row is about."""
        if not raw or not isinstance(key, str):
            raise ValueError("index row with a key that is not a text")
        return key

    def store(self, value: object, read: bool, key: object = None) -> tuple[int, int, None, str]:
        """Return size, mode, file name and value columns for this value."""
        if read:
            raise TypeError("the index stores no files")
        return 0, diskcache.core.MODE_RAW, None, json.dumps(value)

    def fetch(self, mode: int, filename: object, value: object, read: bool) -> Any:
        """Return the value of a row."""
        if mode != diskcache.core.MODE_RAW or filename is not None or not isinstance(value, str):
            raise ValueError("index row with a value that is not a text")
        return json.loads(value)

    def remove(self, file_path: object) -> None:
        """Do nothing: no row has a file, and one that names one must not choose what is deleted."""


class Index:
    """The statistics of one store. Opening reads the journal. Use as a context manager.

    Nothing here raises for a damaged or unwritable database: it is made anew, or, where that fails
    too, kept in memory only.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._path = store.room("index")
        self._cache: Any = None
        self._passing: Any = None  # a temporary directory, where ours cannot be written
        self._guarded(self._fold_journal)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; the index opens it again when it is used again."""
        if self._cache is not None:
            with suppress(*_BROKEN):
                self._cache.close()
            self._cache = None
        if self._passing is not None:
            self._passing.cleanup()
            self._passing = None

    def entry(self, digest: str) -> dict[str, Any]:
        """Return loads, compiles, ms (compiling), size and name of an artifact; zeros: unknown."""
        return self._guarded(lambda cache: _entry(cache, digest))

    def totals(self) -> dict[str, Any]:
        """Return the sums of loads, compiles, ms and bytes over all that was noted."""

        def sums(cache: Any) -> dict[str, Any]:
            rows = [_entry(cache, k[6:]) for k in cache.iterkeys() if k.startswith("entry:")]
            total = {name: sum(row[name] for row in rows) for name in ("loads", "compiles", "ms")}
            return {**total, "bytes": self._known_bytes(cache)}

        return self._guarded(sums)

    def fact(self, name: str, find_out: Callable[[], str]) -> str:
        """Return a text that is slow to find out, from an earlier time if there was one."""
        known = self._guarded(lambda cache: cache.get("fact:" + name))
        if isinstance(known, str):
            return known
        text = find_out()
        self._guarded(lambda cache: cache.set("fact:" + name, text))
        return text

    def rebuild(self) -> int:
        """Make the index anew from the files: sizes and names; the number of artifacts."""
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)
        return self._guarded(self._scan)

    def settle(self, limit: int) -> int:
        """Evict the least recently used artifacts if there are more than `limit` bytes.

        Returns the number evicted. The files are looked at only when the noted sum is too high.
        """
        if self._guarded(self._known_bytes) <= limit:
            return 0
        evicted = self.store.evict(int(limit * _LEFT_FULL)) if self.store.size() > limit else 0
        if evicted:
            self.store.log.info("cache: evicted %d least recently used entries", evicted)
        self.recount()
        return evicted

    def recount(self) -> None:
        """Forget artifacts that are gone and count the bytes of those that are there."""

        def count(cache: Any) -> None:
            sizes = {entry.digest: entry.size for entry in self.store.entries()}
            for key in list(cache.iterkeys()):
                if key.startswith("entry:") and key[6:] not in sizes:
                    del cache[key]
            cache.set("bytes", sum(sizes.values()))

        self._guarded(count)

    def _known_bytes(self, cache: Any) -> int:
        known = cache.get("bytes")
        if known is None:  # a new index over a store that may be old
            known = self.store.size()
            cache.set("bytes", known)
        return int(known)

    def _scan(self, cache: Any) -> int:
        sizes = []
        for entry in self.store.entries():
            row = {**_EMPTY, "size": entry.size}
            with suppress(CacheError, OSError):
                row["name"] = str(self.store.load(entry).meta.get("name", ""))
            cache.set("entry:" + entry.digest, row)
            sizes.append(entry.size)
        cache.set("bytes", sum(sizes))
        return len(sizes)

    def _fold_journal(self, cache: Any) -> None:
        """Add the journal's notes; renamed first, so that each line is read by one process only."""
        taken = f"{self.store.journal.path}.{os.getpid()}"
        fresh = cache.get("bytes") is None
        try:
            os.rename(self.store.journal.path, taken)
            with open(taken, encoding="utf-8", errors="replace") as file:
                text = file.read()
            os.unlink(taken)
        except OSError:
            return
        with cache.transact():
            for note in read_notes(text):
                _add(cache, note)
        if fresh:  # the sizes just added are among those of the files
            cache.set("bytes", self.store.size())

    def _guarded(self, action: Callable[[Any], _T]) -> _T:
        """Do it with the database; if that is damaged with a new one, at last a passing one."""
        for attempt in range(3):
            try:
                if self._cache is None:
                    self._cache = self._open(attempt)
                return action(self._cache)
            except (*_BROKEN, OSError) as error:
                self.store.log.info("cache index %s is made anew: %s", self._path, error)
                self.close()
        raise AssertionError("an index in a fresh directory failed")

    def _open(self, attempt: int) -> Any:
        if attempt == 1:
            shutil.rmtree(self._path, ignore_errors=True)
        directory = self._path
        if attempt == 2:
            self._passing = TemporaryDirectory(prefix="jitops-index-")
            directory = self._passing.name
        os.makedirs(directory, 0o700, exist_ok=True)
        return diskcache.Cache(
            directory, timeout=5, disk=TextDisk, eviction_policy="none", cull_limit=0
        )


def _entry(cache: Any, digest: str) -> dict[str, Any]:
    found = cache.get("entry:" + digest)
    return {name: found[name] for name in _EMPTY} if found is not None else dict(_EMPTY)


def _add(cache: Any, note: Note) -> None:
    row = _entry(cache, note.digest)
    grown = max(0, note.size - row["size"])
    row.update(
        loads=row["loads"] + note.loads,
        compiles=row["compiles"] + note.compiles,
        ms=row["ms"] + note.ms,
        size=note.size or row["size"],
        name=note.name or row["name"],
    )
    cache.set("entry:" + note.digest, row)
    cache.set("bytes", cache.get("bytes", 0) + grown)


def read_notes(text: str) -> list[Note]:
    """Read the lines of a journal, leaving out those that are not whole."""
    notes = []
    for line in text.splitlines():
        try:
            notes.append(_note(json.loads(line)))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return notes


def _note(fields: dict[str, Any]) -> Note:
    digest, name = fields["digest"], fields["name"]
    counts = [fields["loads"], fields["compiles"], fields["size"]]
    whole = all(isinstance(count, int) and 0 <= count < 1 << 50 for count in counts)
    if not whole or not isinstance(name, str) or len(digest) != 64 or int(digest, 16) < 0:
        raise ValueError
    return Note(digest, counts[0], counts[1], float(fields["ms"]), counts[2], name)
