"""The artifacts of one directory. The files are the truth; everything else is derived.

    DIR/objects/ab/ab12….jitop     artifacts, by digest; see artifact.py for the format
    DIR/quarantine/                damaged files, set aside for a look; the newest few are kept
    DIR/tmp/                       files being written; renamed into objects/ when complete
    DIR/locks/                     one lock per key that is being compiled now; see flight.py
    DIR/journal                    what happened lately; see journal.py
    DIR/index/                     statistics; see index.py
    DIR/trusted                    the keys that read-only caches may be signed with; see trust.py

A look-up is one open and one read, whatever the number of entries. DIR is private to its owner:
what others could have written is never mapped as code.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from jitops.cache.artifact import Artifact, decode, encode
from jitops.cache.journal import Journal
from jitops.cache.key import Key
from jitops.config import DEFAULT_CACHE_SIZE, Config
from jitops.errors import CacheDamaged, CacheError, CacheMismatch, CacheUntrusted
from jitops.log import Log

if TYPE_CHECKING:
    from jitops.cache.trust import SignedTier

__all__ = ["Entry", "Problem", "Store", "open_store", "read_private"]

SUFFIX = ".jitop"
KEPT_ASIDE = 32  # damaged files kept in quarantine/
STALE_S = 3600.0  # a file in tmp/ this old belongs to a process that died
SETTLE_PUTS = 64  # how often a process that goes on compiling keeps house
TOUCH_S = 600.0  # how exactly the time of last use is kept

_ROOMS = ("objects", "quarantine", "tmp", "locks")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Entry:
    """One stored artifact, as the file system knows it.

    size: bytes. used: the last use, in Unix seconds, exact within TOUCH_S.
    """

    __slots__ = ("digest", "path", "size", "used")

    def __init__(self, digest: str, path: str, size: int, used: float) -> None:
        self.digest = digest
        self.path = path
        self.size = size
        self.used = used


class Problem:
    """What `verify` found wrong with one file."""

    __slots__ = ("path", "reason")

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason


class Store:
    """The artifacts in `directory`, which is made (private) if it does not exist.

    limit: bytes the artifacts may take; above it the least recently used ones go, when a process
    that compiled something ends. also_read: directories of the same form that are looked into, and
    never written. signed: directories that are used where signed; see trust.py.

    Raises CacheUntrusted where others can write the directory or own it, OSError where it cannot be
    used. Safe from several threads and processes at once: files appear whole and never change.
    """

    def __init__(
        self,
        directory: str,
        log: Log | None = None,
        limit: int = DEFAULT_CACHE_SIZE,
        also_read: tuple[str, ...] = (),
        signed: tuple[SignedTier, ...] = (),
    ) -> None:
        self.directory = os.path.abspath(directory)
        self.log = Log() if log is None else log
        self.limit = limit
        self._tiers = (self.directory, *also_read)
        self._signed = signed
        self._puts = 0
        self._make_rooms()
        self.journal = Journal(self.room("journal"), at_exit=self.settle)

    def _make_rooms(self) -> None:
        _make_private(self.directory)
        for room in _ROOMS:
            _make_private(self.room(room))

    def room(self, name: str) -> str:
        """Return the path of one of the directories named on top."""
        return os.path.join(self.directory, name)

    def path(self, digest: str) -> str:
        """Where the artifact of this digest is, or would be."""
        return _path_in(self.directory, digest)

    def get(self, key: Key, host_features: Collection[str] | None) -> Artifact | None:
        """Return the artifact of this key, fully checked; None where this host can use none.

        A damaged file is set aside, with one warning. Raises CacheUntrusted for a file that others
        own or can write.
        """
        for directory in self._tiers:
            artifact = self._get(_path_in(directory, key.digest), key, host_features)
            if artifact is not None:
                self.journal.loaded(artifact)
                return artifact
        for tier in self._signed:
            artifact = tier.get(_path_in(tier.directory, key.digest), key, host_features)
            if artifact is not None:
                return artifact
        return None

    def _get(self, path: str, key: Key, host_features: Collection[str] | None) -> Artifact | None:
        try:
            data, used = read_private(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.log.once("read", "cache entry %s cannot be read (%s); compiling", path, error)
            return None
        try:
            artifact = decode(data, key, host_features)
        except CacheDamaged as damage:
            self._set_aside(path, damage)
            return None
        except CacheMismatch as mismatch:
            self.log.info("cache entry %s is not used: %s", path, mismatch)
            return None
        if abs(time.time() - used) > TOUCH_S:
            _quietly(os.utime, path)
        return artifact

    def has(self, key: Key) -> bool:
        """Whether there is a file for this key; nothing is checked."""
        return any(os.path.exists(_path_in(tier, key.digest)) for tier in self._tiers)

    def put(self, artifact: Artifact) -> bool:
        """Publish this artifact, atomically: others see all of it or nothing.

        False, with one warning, where it could not be saved (full disk, quota, read-only): the
        caller has the artifact and goes on.
        """
        final = self.path(artifact.key.digest)
        data = encode(artifact)
        try:
            try:
                self._publish(data, final)
            except FileNotFoundError:  # DIR was deleted under us
                self._make_rooms()
                self._publish(data, final)
        except OSError as error:
            self.log.once("write", "compiled ops cannot be saved in %s: %s", self.directory, error)
            return False
        self.journal.compiled(artifact, len(data))
        self._puts += 1  # a lost update between threads delays the house-keeping, no more
        if self._puts % SETTLE_PUTS == 0:
            self.settle()
        return True

    def settle(self) -> None:
        """Keep house: statistics, leftovers of dead processes, the size limit. Never raises.

        One process at a time does it; the others leave it to that one.
        """
        try:
            from jitops.cache.flight import try_lock  # filelock, diskcache: not on a hit
            from jitops.cache.index import Index

            self.journal.write()
            with try_lock(self.room("locks"), "house") as ours:
                if ours:
                    self.sweep()
                    with Index(self) as index:
                        index.settle(self.limit)
        except Exception as error:  # a cache that cannot be tidied must not spoil a program's end
            self.log.info("the cache was not tidied: %r", error)

    def _publish(self, data: bytes, final: str) -> None:
        name = f"{os.path.basename(final)}.{os.getpid()}.{os.urandom(6).hex()}"
        aside = os.path.join(self.directory, "tmp", name)
        try:
            _write_new(aside, data)
            try:
                os.rename(aside, final)
            except FileNotFoundError:  # the first of its shard
                _make_private(os.path.dirname(final))
                os.rename(aside, final)
        except BaseException:
            _quietly(os.unlink, aside)
            raise

    def entries(self) -> Iterator[Entry]:
        """Every stored artifact, in the order of digests; nothing is read or checked."""
        objects = self.room("objects")
        for shard in sorted(_names(objects)):
            for name in sorted(_names(os.path.join(objects, shard))):
                path = os.path.join(objects, shard, name)
                status = _status(path)
                if name.endswith(SUFFIX) and status is not None:
                    digest = name.removesuffix(SUFFIX)
                    yield Entry(digest, path, status.st_size, status.st_mtime)

    def find(self, prefix: str) -> list[Entry]:
        """Return the entries whose digest starts with `prefix`."""
        return [entry for entry in self.entries() if entry.digest.startswith(prefix.lower())]

    def load(self, entry: Entry) -> Artifact:
        """Return the artifact of an entry, checked but for the CPU.

        Raises CacheError or OSError.
        """
        return self._checked(entry)[0]

    def read(self, entry: Entry) -> bytes:
        """Return the bytes of an entry, checked likewise."""
        return self._checked(entry)[1]

    def _checked(self, entry: Entry) -> tuple[Artifact, bytes]:
        data = read_private(entry.path)[0]
        artifact = decode(data, None, None)
        if artifact.key.digest != entry.digest:
            raise CacheDamaged("artifact under another's name", found=artifact.key.digest)
        return artifact, data

    def remove(self, digest: str) -> bool:
        """Delete one artifact; whether there was one. Programs that run it keep their copy."""
        _quietly(os.unlink, self.path(digest) + ".sig")
        return _quietly(os.unlink, self.path(digest))

    def clear(self) -> int:
        """Delete all artifacts, and what was set aside; the number of artifacts deleted."""
        count = sum(self.remove(entry.digest) for entry in list(self.entries()))
        for room in ("quarantine", "tmp"):
            for name in _names(self.room(room)):
                _quietly(os.unlink, os.path.join(self.room(room), name))
        return count

    def size(self) -> int:
        """Bytes of all artifacts."""
        return sum(entry.size for entry in self.entries())

    def verify(self, repair: bool = False) -> list[Problem]:
        """Check every artifact; the problems found. repair: also set those files aside."""
        problems = []
        for entry in list(self.entries()):
            try:
                self.load(entry)
            except FileNotFoundError:
                continue
            except (CacheError, OSError) as error:
                problems.append(Problem(entry.path, str(error)))
                if repair:
                    self._set_aside(entry.path, error)
        return problems

    def sweep(self) -> None:
        """Delete what processes that died left behind, and all but the newest in quarantine/."""
        now = time.time()
        left = [self.room(os.path.join("tmp", name)) for name in _names(self.room("tmp"))]
        left += [self.room(n) for n in _names(self.directory) if n.startswith("journal.")]
        for path in left:
            status = _status(path)
            if status is not None and abs(now - status.st_mtime) > STALE_S:
                _quietly(os.unlink, path)
        aside = self.room("quarantine")
        oldest_first = sorted(_names(aside))
        for name in oldest_first[: max(0, len(oldest_first) - KEPT_ASIDE)]:
            _quietly(os.unlink, os.path.join(aside, name))

    def evict(self, limit: int) -> int:
        """Delete the least recently used artifacts until at most `limit` bytes remain.

        Those used within the last TOUCH_S seconds stay. Returns the number deleted. Programs that
        run an evicted op are not disturbed: they have mapped a copy.
        """
        entries = sorted(self.entries(), key=lambda entry: entry.used)
        total = sum(entry.size for entry in entries)
        now = time.time()
        count = 0
        for entry in entries:
            if total <= limit:
                break
            if abs(now - entry.used) < TOUCH_S:  # a clock that was set back must not stop this
                continue
            count += self.remove(entry.digest)
            total -= entry.size
        return count

    def remove_unused(self, seconds: float) -> int:
        """Delete the artifacts that were not used for so long; the number deleted."""
        now = time.time()
        old = [e for e in self.entries() if abs(now - e.used) > max(seconds, TOUCH_S)]
        return sum(self.remove(entry.digest) for entry in old)

    def _set_aside(self, path: str, damage: Exception) -> None:
        stamp = f"{time.time_ns():020d}-{os.getpid()}-{os.path.basename(path)}"
        moved = _quietly(os.rename, path, os.path.join(self.room("quarantine"), stamp))
        if not moved:
            _quietly(os.unlink, path)
        self.log.once(
            "damaged " + path, "cache entry %s is set aside and will be rebuilt: %s", path, damage
        )


def open_store(config: Config, log: Log | None = None) -> Store:
    """Open config.cache_dir; where that cannot be written, a private temporary directory.

    What a directory that can only be read holds is used all the same. The temporary directory goes
    when the process ends. One warning says so. Raises CacheUntrusted where others can write the
    directory: falling back would hide the danger.
    """
    log = Log(config.log) if log is None else log
    signed = _signed_tiers(config, log)
    try:
        store = Store(config.cache_dir, log, config.cache_size, (), signed)
        if not os.access(store.room("tmp"), os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), store.room("tmp"))
        return store
    except OSError as error:
        directory = _temporary_directory()
        readable = (config.cache_dir,) if os.path.isdir(config.cache_dir) else ()
        log.once(
            "fallback",
            "the cache directory %s cannot be used (%s): compiled ops are kept in %s until this "
            "process ends. Set JITOPS_CACHE_DIR to a directory that can be written",
            config.cache_dir,
            error.strerror or error,
            directory,
        )
        return Store(directory, log, config.cache_size, readable, signed)


def _signed_tiers(config: Config, log: Log) -> tuple[SignedTier, ...]:
    if not config.cache_readonly:
        return ()
    from jitops.cache.trust import TRUSTED, SignedTier

    trusted = os.path.join(config.cache_dir, TRUSTED)
    return tuple(SignedTier(directory, trusted, log) for directory in config.cache_readonly)


def _path_in(directory: str, digest: str) -> str:
    return os.path.join(directory, "objects", digest[:2], digest + SUFFIX)


def _temporary_directory() -> str:
    import atexit
    import shutil
    import tempfile

    directory = tempfile.mkdtemp(prefix="jitops-")
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a fork runs exit handlers too
            shutil.rmtree(directory, ignore_errors=True)

    atexit.register(remove)
    return directory


def _make_private(directory: str) -> None:
    """Make the directory with mode 0700 if need be; refuse one that others own or can write."""
    with suppress(FileExistsError):
        try:
            os.mkdir(directory, 0o700)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(directory), 0o700, exist_ok=True)
            os.mkdir(directory, 0o700)
    _refuse_if_shared(directory, os.stat(directory), "directory")


def _refuse_if_shared(path: str, status: os.stat_result, kind: str) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise CacheUntrusted(
            f"the cache {kind} belongs to another user",
            where=path,
            found=f"owner {status.st_uid}",
            accepted=f"owner {os.geteuid()}",
            way_out="Set JITOPS_CACHE_DIR to a directory of your own.",
        )
    if status.st_mode & _OTHERS_WRITE:
        raise CacheUntrusted(
            f"others can write the cache {kind}, and so choose the code that you run",
            where=path,
            found=f"mode {stat.S_IMODE(status.st_mode):04o}",
            way_out=f"If you trust what is in it: chmod go-w {path!r}; else delete it.",
        )


def read_private(path: str) -> tuple[bytes, float]:
    """Read a regular file that only we can write: its bytes and the time of its last use."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        _refuse_if_shared(path, status, "file")
        pieces = []
        while piece := os.read(descriptor, status.st_size + 1):
            pieces.append(piece)
        return b"".join(pieces), status.st_mtime
    finally:
        os.close(descriptor)


def _write_new(path: str, data: bytes) -> None:
    """Not synced: what a power failure damages, reading detects, and the op is compiled again."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _quietly(action: Callable[..., object], *arguments: object) -> bool:
    """Do it if it can be done; whether it was."""
    try:
        action(*arguments)
    except OSError:
        return False
    return True
