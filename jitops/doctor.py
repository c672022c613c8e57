"""What has to be right for ops to be compiled, kept and used on this machine; `jitops doctor`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

from jitops.config import Config, Settings
from jitops.errors import CacheError, JitopsError
from jitops.log import Log

__all__ = ["Finding", "examine"]


class Finding(NamedTuple):
    """One check: its name, whether it holds, what was found, and what to do where it does not.

    required: whether ops cannot do their work where it does not hold.
    """

    name: str
    ok: bool
    found: str
    way_out: str = ""
    required: bool = True


def examine(config: Config | None = None) -> list[Finding]:
    """Make every check, in the order in which they matter. Nothing is repaired."""
    try:
        config = Settings().current() if config is None else config
    except JitopsError as error:
        return [Finding("settings", False, str(error), "Correct the variable, or unset it.")]
    checks: tuple[Callable[[Config], Finding], ...] = (
        _native, _cpu, _directory, _entries, _locks, _compiler, _trust,
    )  # fmt: skip
    return [_guarded(check, config) for check in checks]


def _guarded(check: Callable[[Config], Finding], config: Config) -> Finding:
    try:
        return check(config)
    except Exception as error:  # a doctor does not fall ill
        return Finding(check.__name__.strip("_"), False, f"{type(error).__name__}: {error}")


def _native(config: Config) -> Finding:
    try:
        from jitops import _native as native
    except ImportError as error:
        return Finding(
            "native module", False, str(error), "Install jitops again: pip install jitops"
        )
    return Finding("native module", True, str(native.__file__))


def _cpu(config: Config) -> Finding:
    from jitops._native import detect_cpu
    from jitops.runtime.target import levels_of

    cpu = detect_cpu()
    levels = ", ".join(text.partition("level=")[2] for text in levels_of(cpu))
    count = len(cpu["features"])
    return Finding("cpu", count > 0, f"{cpu['name']}, {count} features found, reaches {levels}")


def _directory(config: Config) -> Finding:
    from jitops.cache.store import Store

    try:
        store = Store(config.cache_dir, Log("off"), config.cache_size)
        with tempfile.TemporaryFile(dir=store.room("tmp")):
            pass
    except CacheError as error:
        return Finding("cache directory", False, str(error), error.way_out)
    except OSError as error:
        way_out = "Set JITOPS_CACHE_DIR to a directory that can be written."
        return Finding("cache directory", False, f"{config.cache_dir}: {error}", way_out)
    return Finding("cache directory", True, f"{config.cache_dir}: private and writable")


def _entries(config: Config) -> Finding:
    from jitops.cache.store import Store

    store = Store(config.cache_dir, Log("off"), config.cache_size)
    count = sum(1 for _ in store.entries())
    problems = store.verify()
    found = f"{count} entries, {len(problems)} damaged"
    return Finding("entries", not problems, found, "jitops cache verify --repair")


def _locks(config: Config) -> Finding:
    from jitops.cache.flight import try_lock

    with try_lock(os.path.join(config.cache_dir, "locks"), "doctor") as ours:
        found = "work" if ours else "do not work here: processes may compile the same key at once"
    way_out = "Results stay right. A cache directory on a local disk has locks."
    return Finding("file locks", ours, found, way_out, required=False)


def _compiler(config: Config) -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    from jitops.runtime import TOOLCHAIN

    wanted = TOOLCHAIN.partition(",")[0]
    try:
        found = f"apache-tvm {version('apache-tvm')}"
    except PackageNotFoundError:
        found = "apache-tvm is not installed"
    way_out = f"Install {wanted.replace(' ', '==')}. Stored ops are used without it."
    return Finding(
        "compiler", found == wanted, f"{found}; python {sys.version.split()[0]}", way_out
    )


def _trust(config: Config) -> Finding:
    if not config.cache_readonly:
        return Finding("read-only caches", True, "none")
    from importlib.util import find_spec

    from jitops.cache.store import Store
    from jitops.cache.trust import trusted_keys

    missing = [path for path in config.cache_readonly if not os.path.isdir(path)]
    keys = trusted_keys(Store(config.cache_dir, Log("off"), config.cache_size))
    has_library = find_spec("cryptography") is not None
    found = f"{len(config.cache_readonly)} directories, {len(keys)} trusted keys"
    found += "".join(f", no directory {path}" for path in missing)
    found += "" if has_library else ", cryptography is not installed"
    way_out = "jitops cache trust KEY.pub; pip install 'jitops[trust]'"
    return Finding("read-only caches", bool(keys) and has_library and not missing, found, way_out)
