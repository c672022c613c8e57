"""Object code to a shared library, through the system's linker."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from jitops.errors import CompileError

# Called directly where possible: a compiler driver costs ten times as much time as the linker itself.
LINKERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ld", ("-shared",)),
    ("ld.lld", ("-shared",)),
    ("gcc", ("-shared", "-nostdlib")),
    ("clang", ("-shared", "-nostdlib")),
)


def link(objects: bytes) -> bytes:
    """The shared library made of one object file."""
    linker, flags = _linker()
    with tempfile.TemporaryDirectory(prefix="jitops-") as folder:
        source, library = Path(folder, "op.o"), Path(folder, "op.so")
        source.write_bytes(objects)
        command = [linker, *flags, "-z", "noexecstack", "-o", str(library), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileError(f"linking failed: {' '.join(command)}: {done.stderr.strip()}")
        return library.read_bytes()


def _linker() -> tuple[str, tuple[str, ...]]:
    for name, flags in LINKERS:
        path = shutil.which(name)
        if path:
            return path, flags
    names = ", ".join(name for name, _ in LINKERS)
    raise CompileError(
        f"compiling needs a linker, and none of {names} is on PATH; install binutils "
        "(or gcc), or ship a cache that was warmed where one is"
    )
