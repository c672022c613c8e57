"""The digest of jitops' own compiler: the part of the key that nobody has to remember to bump.

In a wheel it is fixed at build time: the build runs this file as a script,

    python -I jitops/cache/sources.py PACKAGE_DIR OUTPUT

and installs OUTPUT beside `jitops/__init__.py` as `_build_digest.txt`. Where that file does not lie
beside the sources (a checkout, an editable installation), they are read: about a millisecond.
"""

from __future__ import annotations

import os
import sys
from typing import Any

BUILD_FILE = "_build_digest.txt"

# What decides which code comes out. The cache and the runtime do not: the artifact's format and the
# toolchain have key parts of their own.
ROOMS = (
    "graph", "trace", "autodiff", "lower", "schedule", "codegen", "pipeline.py", "unit.py",
    "failures.py", "host.py", "runtime/target.py",
)  # fmt: skip


def compiler_digest(package: str) -> str:
    """Return the digest (64 hex digits) of the compiler in this package directory."""
    try:
        with open(os.path.join(package, BUILD_FILE), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        from jitops.cache.digest import blake2b

        return digest_sources(package, blake2b(digest_size=32))


def digest_sources(package: str, total: Any) -> str:
    """Digest, with `total`, path and bytes of each Python file in ROOMS, in sorted order."""
    for path in sorted(_python_files(package)):
        with open(os.path.join(package, path), "rb") as file:
            data = file.read()
        total.update(f"{path.replace(os.sep, '/')} {len(data)}\n".encode())
        total.update(data)
    digest: str = total.hexdigest()
    return digest


def _python_files(package: str) -> list[str]:
    found: list[str] = []
    pending = list(ROOMS)
    while pending:
        path = pending.pop()
        if path.endswith(".py"):
            if os.path.exists(os.path.join(package, path)):
                found.append(path)
            continue
        try:
            names = os.listdir(os.path.join(package, path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        pending += [os.path.join(path, n) for n in names if n.endswith(".py") or "." not in n]
    return found


def main() -> None:
    """Write, for the build, the digest of the sources in argv[1] to the file argv[2]."""
    import hashlib  # jitops cannot be imported while it is being built

    package, output = sys.argv[1:]
    with open(output, "w", encoding="ascii") as file:
        file.write(digest_sources(package, hashlib.blake2b(digest_size=32)) + "\n")


if __name__ == "__main__":
    main()
