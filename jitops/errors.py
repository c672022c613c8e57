"""Everything that jitops raises.

    JitopsError
    ├── TraceError                        the function cannot be traced
    │   ├── BranchError       TypeError       Python control flow on a traced value
    │   ├── UnsupportedError  TypeError       a function, dtype or argument not supported
    │   └── ShapeError        ValueError      shapes, axes or indices that do not fit
    ├── GraphError            TypeError       a graph that breaks a primitive's type rule
    ├── ArgumentError         TypeError       a call or a decorator was given wrong arguments
    ├── CompileError          RuntimeError    the compiler or the linker failed
    ├── CacheError                            the cache on disk
    │   ├── CacheDamaged                      an entry is torn, truncated or altered
    │   ├── CacheMismatch                     an entry is whole, but for another key, CPU or format
    │   ├── CacheUntrusted                    others could have written it
    │   └── CacheMiss         LookupError     compile="never" and there is no entry
    └── ConfigError           ValueError      a setting has a value that is not accepted

Each message says what is wrong, where, what was found, what is accepted, and the way out. The parts
are also attributes of the exception, so that programs need not read the text.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "BranchError",
    "CacheDamaged",
    "CacheError",
    "CacheMismatch",
    "CacheMiss",
    "CacheUntrusted",
    "CompileError",
    "ConfigError",
    "GraphError",
    "JitopsError",
    "ShapeError",
    "TraceError",
    "UnsupportedError",
]


class JitopsError(Exception):
    """The root: `except JitopsError` catches whatever jitops raises on purpose.

    The message reads "what (where): found ...; accepted: .... way_out"; empty parts are left out.

    what: the problem, in a few words, naming the argument, function or file.
    where: the line of the user's program, or the path.
    found: what was given.
    accepted: what would have been right.
    way_out: what to do about it, as a sentence.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        found: str = "",
        accepted: str = "",
        way_out: str = "",
    ) -> None:
        self.what = what
        self.where = where
        self.found = found
        self.accepted = accepted
        self.way_out = way_out
        # The whole text is the only positional argument, so that pickle carries the exception
        # between processes: it calls type(self)(text) and then restores the attributes.
        super().__init__(_message(what, where, found, accepted, way_out))


def _message(what: str, where: str, found: str, accepted: str, way_out: str) -> str:
    text = f"{what} ({where})" if where else what
    details = [f"found {found}"] if found else []
    if accepted:
        details.append(f"accepted: {accepted}")
    if details:
        text += ": " + "; ".join(details)
    return f"{text}. {way_out}" if way_out else text


class TraceError(JitopsError):
    """The function cannot be turned into a graph."""


class BranchError(TraceError, TypeError):
    """Python control flow (if, while, bool(), int(), len() of ...) depends on an array's values."""


class UnsupportedError(TraceError, TypeError):
    """A function, dtype or kind of argument that jitops does not compile."""


class ShapeError(TraceError, ValueError):
    """Shapes, axes or indices do not fit together."""


class GraphError(JitopsError, TypeError):
    """A graph, or one of its equations, breaks a primitive's type rule; a bug in jitops."""


class ArgumentError(JitopsError, TypeError):
    """A call, `op.compile`, `jitops.spec` or the decorator was given wrong arguments."""


class CompileError(JitopsError, RuntimeError):
    """The compiler or the linker failed; the cause is chained."""


class CacheError(JitopsError):
    """The cache on disk cannot be used as asked."""


class CacheDamaged(CacheError):  # noqa: N818
    """An entry is torn, truncated or altered: its bytes do not have their digest."""


class CacheMismatch(CacheError):  # noqa: N818
    """An entry is whole, but made for another key, CPU or format version."""


class CacheUntrusted(CacheError):  # noqa: N818
    """Someone else could have written the directory or the file, so it is not run."""


class CacheMiss(CacheError, LookupError):  # noqa: N818
    """`compile="never"` is set and the cache has no entry for this call."""


class ConfigError(JitopsError, ValueError):
    """A setting, or an environment variable, has a value that is not accepted."""
