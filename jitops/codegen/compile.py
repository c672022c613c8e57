"""A TVM module to object code.

TVM optimises the module and keeps it as LLVM IR; asking for object code then runs LLVM's code
generator. In between, what TVM adds to every module is taken out of the IR: two float16 conversion
functions, which no CPU with half conversions calls, and debug records that refer to no source.
Together they are a third of a small op's compile time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tvm

_CONVERSIONS = ("__truncsfhf2", "__extendhfsf2")
# Each begins with fixed text, which is what makes the search quick.
_DEBUG = (re.compile(r", !dbg ![0-9]+"), re.compile(r" !dbg ![0-9]+"), re.compile(r"#dbg_.*"))


def compile_module(module: Any, target: Any) -> bytes:
    """Object code of a module that needs no further lowering: straight to LLVM."""
    runtime = tvm.get_global_func("target.build.llvm")(module, target)
    with _memory_file() as source, _memory_file() as objects:
        with open(source, "w", encoding="utf-8") as file:
            file.write(without_ballast(runtime.inspect_source("ll")))
        # The optimised IR comes back as it was; write_to_file generates code, each time it is
        # called.
        tvm.get_global_func("ffi.Module.load_from_file.ll")(source, "ll").write_to_file(objects, "o")
        with open(objects, "rb") as object_file:
            return object_file.read()


@contextmanager
def _memory_file() -> Iterator[str]:
    """The path of a file that is on no disk, while the block runs."""
    descriptor = os.memfd_create("jitops")
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def without_ballast(ir: str) -> str:
    """LLVM IR without unused float16 conversion functions and without debug records."""
    slim = ir
    for name in _CONVERSIONS:
        slim = _without_function(slim, name)
    if any(f"@{name}" in slim for name in _CONVERSIONS):
        slim = ir  # a CPU without half conversions calls them
    for pattern in _DEBUG:
        slim = pattern.sub("", slim)
    return slim


def _without_function(ir: str, name: str) -> str:
    """The IR without the definition of a function, if it has one."""
    start = ir.rfind("\ndefine weak", 0, max(ir.find(f"@{name}("), 0))
    end = ir.find("\n}\n", start)
    line = ir[start + 1 : ir.find("\n", start + 1)]
    return ir[:start] + ir[end + 2 :] if start >= 0 and f"@{name}(" in line else ir
