"""Object code to a shared library, through the system's linker."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from jitops.errors import CompileError

# Called directly where possible: a compiler driver costs ten times as much time as the linker
# itself.
LINKERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ld", ("-shared",)),
    ("ld.lld", ("-shared",)),
    ("gcc", ("-shared", "-nostdlib")),
    ("clang", ("-shared", "-nostdlib")),
)


def link(objects: bytes, arch: str | None = None) -> bytes:
    """The shared library made of one object file. arch: of the code; None: this machine's."""
    linker, flags = find_linker(arch)
    with tempfile.TemporaryDirectory(prefix="jitops-") as folder:
        source, library = Path(folder, "op.o"), Path(folder, "op.so")
        source.write_bytes(objects)
        command = [linker, *flags, "-z", "noexecstack", "-o", str(library), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileError(f"linking failed: {' '.join(command)}: {done.stderr.strip()}")
        return library.read_bytes()


def find_linker(arch: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The linker for code of this architecture, and its flags. CompileError where there is none."""
    candidates = LINKERS
    if arch is not None and arch != os.uname().machine:
        candidates = ((f"{arch}-linux-gnu-ld", ("-shared",)), ("ld.lld", ("-shared",)))
    for name, flags in candidates:
        path = shutil.which(name)
        if path:
            return path, flags
    names = ", ".join(name for name, _ in candidates)
    raise CompileError(
        f"compiling needs a linker, and none of {names} is on PATH",
        way_out="Install binutils (for another architecture its cross binutils, or lld), "
        "or ship a cache that was warmed where there is one.",
    )
