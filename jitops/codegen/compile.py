"""A TVM module to object code."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import tvm


def compile_module(module: Any, target: Any) -> bytes:
    """Object code of a module that needs no further lowering: straight to LLVM."""
    runtime = tvm.get_global_func("target.build.llvm")(module, target)
    with tempfile.TemporaryDirectory(prefix="jitops-") as folder:
        path = os.path.join(folder, "op.o")
        runtime.write_to_file(path, "o")  # exactly once: each call generates code again
        with open(path, "rb") as file:
            return file.read()
