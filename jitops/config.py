"""The configuration: one frozen `Config`, and `Settings`, which holds the one in force.

The environment is read here and nowhere else. FIELDS is the whole list: what each setting is
called, which variable sets it, what it accepts, and whether it enters the cache key.

To change a setting: set its variable before the program starts, or call
`jitops.configure(compile="background")`, or, for a part of the program,
`with jitops.options(num_threads=2): ...`.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock  # `threading` is not needed, and takes 0.5 ms
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jitops.errors import ConfigError

if TYPE_CHECKING:
    from jitops.ranks import Ranks

__all__ = ["FIELDS", "Config", "Field", "Settings", "adopt", "environment"]

COMPILE_MODES = ("now", "background", "never")
THREADING_MODES = ("auto", "pool", "openmp", "serial")
LOG_LEVELS = ("debug", "info", "warning", "error", "off")
DEFAULT_CACHE_SIZE = 1 << 30


class Config:
    """One complete configuration; immutable. Settings that are not given have their defaults.

    cache_dir: directory of the compiled artifacts (absolute path).
    cache_size: bytes the artifacts may take on disk before the least recently used ones go.
    cache_readonly: more directories to look into, used where signed with a trusted key.
    num_threads: threads that a kernel may use; None: as many as the process may run on.
    threading: who runs parallel kernels: jitops' own "pool"; the team of the "openmp" runtime that
        the process has loaded; "auto": that team on threads that use it; "serial": nobody else.
    compile: on a miss: "now", or in the "background" (NumPy's result until then), or "never".
    strict: raise where jitops would otherwise fall back to running the function eagerly.
    log: the least severe message shown on stderr; None: as the program's own logging setup says.
    disable: run every op eagerly, in NumPy.
    debug: verify the graph and the kernels at every stage boundary.
    check: compare each freshly compiled op with `op.eager` on seeded inputs.
    record: a file to which every signature seen is added, for `jitops warm`; None: no record.
    """

    __slots__ = (
        "cache_dir",
        "cache_readonly",
        "cache_size",
        "check",
        "compile",
        "debug",
        "disable",
        "log",
        "num_threads",
        "record",
        "strict",
        "threading",
    )
    cache_dir: str
    cache_size: int
    cache_readonly: tuple[str, ...]
    num_threads: int | None
    threading: str
    compile: str
    strict: bool
    log: str | None
    disable: bool
    debug: bool
    check: bool
    record: str | None

    def __init__(self, cache_dir: str, **values: Any) -> None:
        values["cache_dir"] = cache_dir
        for field in FIELDS:
            object.__setattr__(self, field.name, values.pop(field.name, field.default))
        if values:
            raise TypeError(f"jitops has no setting {sorted(values)[0]!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name}: a Config does not change; use jitops.configure({name}=...)")

    def as_dict(self) -> dict[str, Any]:
        """Return every setting by name, in the order of FIELDS."""
        return {field.name: getattr(self, field.name) for field in FIELDS}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{k}={v!r}' for k, v in self.as_dict().items())})"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Config:
        """Read the configuration these variables ask for; empty variables count as unset.

        Raises ConfigError, naming the variable, its value and the accepted ones.
        """
        values: dict[str, Any] = {"cache_dir": _platform_cache_dir(environ)}
        for field in FIELDS:
            text = environ.get(field.variable, "").strip()
            if text:
                values[field.name] = field.check(text, field.variable)
        limits = [values.get("num_threads"), _openmp_threads(environ)]
        values["num_threads"] = min((n for n in limits if n is not None), default=None)
        return cls(**values)

    def replace(self, **changes: object) -> Config:
        """Return a configuration with some settings changed.

        Accepts the same texts as the environment, and Python values (True, 4, None where that is
        the default).

        Raises ConfigError for a setting that does not exist or a value that is not accepted.
        """
        fields = {field.name: field for field in FIELDS}
        unknown = sorted(set(changes) - set(fields))
        if unknown:
            raise ConfigError(f"jitops has no setting {unknown[0]!r}", accepted=", ".join(fields))
        checked = {name: fields[name].check(value, name) for name, value in changes.items()}
        return Config(**{**self.as_dict(), **checked})

    def key_fields(self) -> dict[str, str]:
        """Return the settings that change the generated code, by name: they enter the cache key."""
        return {f.name: str(getattr(self, f.name)) for f in FIELDS if f.in_key}


class Field:
    """One setting: name, variable, how a value is read, what is accepted, whether in the key."""

    __slots__ = ("accepted", "default", "in_key", "name", "read", "variable")

    def __init__(
        self,
        name: str,
        default: Any,
        read: Callable[[object], object],  # raises ValueError or TypeError when not accepted
        accepted: str,
        in_key: bool = False,
    ) -> None:
        self.name = name
        self.variable = "JITOPS_" + name.upper()
        self.default = default
        self.read = read
        self.accepted = accepted
        self.in_key = in_key

    def check(self, value: object, source: str) -> Any:
        """Return the value as the setting keeps it; or ConfigError, naming `source`."""
        try:
            return self.read(value)
        except (ValueError, TypeError, OverflowError):
            raise ConfigError(
                f"{source} is not valid", found=repr(value), accepted=self.accepted
            ) from None


def _read_path(value: object) -> str:
    path = os.fspath(value)  # type: ignore[call-overload]
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError
    return os.path.abspath(os.path.expanduser(path))


def _read_paths(value: object) -> tuple[str, ...]:
    parts = value.split(os.pathsep) if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise TypeError
    return tuple(_read_path(part) for part in parts if part)


def _read_record(value: object) -> str | None:
    return None if value is None else _read_path(value)


def _read_size(value: object) -> int:
    if isinstance(value, str):
        text = value.strip().upper().removesuffix("B").removesuffix("I").strip()
        shift = {"K": 10, "M": 20, "G": 30, "T": 40}.get(text[-1:], 0)
        value = int(float(text[:-1] if shift else text) * (1 << shift))
    return _whole(value, 0)


def _read_threads(value: object) -> int | None:
    if value is None:
        return None
    return _whole(int(value) if isinstance(value, str) else value, 1)


def _whole(value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError
    return value


def _read_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True}
    words.update({"0": False, "false": False, "no": False, "off": False})
    flag = words.get(str(value).strip().lower())
    if flag is None:
        raise ValueError
    return flag


def _one_of(words: tuple[str, ...], none: bool = False) -> Callable[[object], str | None]:
    def read(value: object) -> str | None:
        if value is None and none:
            return None
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in words:
            raise ValueError
        return word

    return read


_FLAG = "0 or 1 (also false/true, no/yes, off/on)"

FIELDS = (
    Field("cache_dir", None, _read_path, "a directory's path"),
    Field("cache_size", DEFAULT_CACHE_SIZE, _read_size, "bytes, or a number with K, M, G or T"),
    Field("cache_readonly", (), _read_paths, "directories' paths, with : between them"),
    Field("num_threads", None, _read_threads, "a whole number, 1 or more"),
    Field("threading", "auto", _one_of(THREADING_MODES), ", ".join(THREADING_MODES)),
    Field("compile", "now", _one_of(COMPILE_MODES), ", ".join(COMPILE_MODES)),
    Field("strict", False, _read_flag, _FLAG),
    Field("log", None, _one_of(LOG_LEVELS, none=True), ", ".join(LOG_LEVELS)),
    Field("disable", False, _read_flag, _FLAG),
    Field("debug", False, _read_flag, _FLAG),
    Field("check", False, _read_flag, _FLAG),
    Field("record", None, _read_record, "a file's path"),
)


def _platform_cache_dir(environ: Mapping[str, str]) -> str:
    """Where this platform keeps caches that may be deleted at any time."""
    home = environ.get("HOME") or os.path.expanduser("~")
    if sys.platform == "darwin":
        root = os.path.join(home, "Library", "Caches")
    else:
        root = environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(root):  # the XDG specification: relative paths are ignored
            root = os.path.join(home, ".cache")
    return os.path.join(os.path.abspath(root), "jitops")


def _openmp_threads(environ: Mapping[str, str]) -> int | None:
    """OMP_NUM_THREADS, first nesting level. It is not ours: what cannot be read is ignored."""
    first = environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _openmp_sleeps(environ: Mapping[str, str]) -> bool:
    """Whether OpenMP's threads are told to sleep as soon as a region ends."""
    if environ.get("OMP_WAIT_POLICY", "").strip().lower() == "passive":
        return True
    return any(environ.get(name, "").strip() == "0" for name in ("GOMP_SPINCOUNT", "KMP_BLOCKTIME"))


class Settings:
    """The configuration in force; `jitops.config` is one. Its attributes are those of `Config`.

    The environment is read on first use, not on import, so that a bad value fails the first call
    with its message and never an import. Safe from several threads: a Config is replaced whole.
    """

    __slots__ = ("_environ", "_lock", "_process", "_scoped")

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._lock = allocate_lock()
        self._process: Config | None = None  # replaced whole, under _lock; read without it
        self._scoped: ContextVar[dict[str, Any] | None] = ContextVar("jitops.options", default=None)

    def process(self) -> Config:
        """Return the Config of the process, without anyone's `options`."""
        if self._process is None:
            Settings.configure(self)
        assert self._process is not None
        return self._process

    def prepare(self) -> None:
        """Let those follow who keep a setting of their own, before the first kernel runs."""

    def openmp_sleeps(self) -> bool:
        """Whether the variables tell the OpenMP runtimes' threads to sleep between regions."""
        return _openmp_sleeps(self._environ)

    def current(self) -> Config:
        """Return the Config in force in this thread or task, `options` included."""
        config = self.process()
        scoped = self._scoped.get()
        return Config(**{**config.as_dict(), **scoped}) if scoped else config

    def configure(self, **changes: object) -> None:
        """Change settings for the whole process; after a ConfigError nothing is changed."""
        with self._lock:
            config = self._process or Config.from_environment(self._environ)
            self._process = config.replace(**changes)

    def ranks(self) -> Ranks:
        """Return this process's place among those that a launcher started together."""
        from jitops.ranks import Ranks  # only a miss needs it

        return Ranks.from_environment(self._environ)

    @contextmanager
    def options(self, **changes: object) -> Iterator[Config]:
        """`with options(num_threads=2):` changes settings for the block, in this thread or task.

        Raises ConfigError before the block is entered.
        """
        checked = self.current().replace(**changes)
        scoped = {name: getattr(checked, name) for name in changes}
        token = self._scoped.set({**(self._scoped.get() or {}), **scoped})
        try:
            yield checked
        finally:
            self._scoped.reset(token)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in Config.__slots__:
            raise AttributeError(
                f"jitops has no setting {name!r}; the settings are {', '.join(Config.__slots__)}"
            )
        return getattr(self.current(), name)

    def __dir__(self) -> list[str]:
        return [*Config.__slots__, "configure", "current", "options", "ranks"]

    def __repr__(self) -> str:
        return repr(self.current())


def environment() -> dict[str, str]:
    """The whole of it, for a process that is to `adopt` it."""
    return dict(os.environ)


def adopt(variables: Mapping[str, str]) -> None:
    """Take over another process's environment: the one we were forked off may be older."""
    os.environ.clear()
    os.environ.update(variables)
