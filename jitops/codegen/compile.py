"""A TVM module to object code.

TVM optimises the module and keeps it as LLVM IR; asking for object code then runs LLVM's code
generator. In between, debug records that refer to no source are taken out of the IR, and the
globals in place of TVM's float16 conversion functions (`jitops.codegen.module`). Without both, a
small op takes half the time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tvm

from jitops.codegen.module import CONVERSIONS, KERNEL, PART

# What the entry calls is visible within the library alone.
_INSIDE = re.compile(rf"\ndefine dllexport(?=[^\n(]* @({KERNEL}|{PART}))")

# Each begins with fixed text, which is what makes the search quick.
_BALLAST = tuple(
    map(
        re.compile,
        (
            *(rf"\n@{name} = [a-z_ ]*global i8 0[^\n]*" for name in CONVERSIONS),
            r", !dbg ![0-9]+",
            r" !dbg ![0-9]+",
            r"#dbg_[^\n]*",
        ),
    )
)


def compile_module(module: Any, target: Any) -> list[bytes]:
    """Object code of a module that needs no further lowering: straight to LLVM.

    Kernels that have a symbol of their own become an object of their own, where nothing is inlined
    into the entry.
    """
    apart = {name: f for name, f in module.functions.items() if _is_called(name, f)}
    if not apart:
        return [_object(module, target)]
    rest = {name: f for name, f in module.functions.items() if name not in apart}
    return [_object(tvm.ir.IRModule(part), target) for part in (apart, rest)]


def _is_called(name: Any, function: Any) -> bool:
    return name.name_hint.startswith(KERNEL) and "global_symbol" in function.attrs


def _object(module: Any, target: Any) -> bytes:
    runtime = tvm.get_global_func("target.build.llvm")(module, target)
    with _memory_file() as source, _memory_file() as objects:
        with open(source, "w", encoding="utf-8") as file:
            file.write(without_ballast(runtime.inspect_source("ll")))
        # The optimised IR comes back as it was; write_to_file generates code, each time it is
        # called.
        reload = tvm.get_global_func("ffi.Module.load_from_file.ll")
        reload(source, "ll").write_to_file(objects, "o")
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
    """LLVM IR, fit to be read again, without what stands for unused functions and debug records."""
    ir = _INSIDE.sub("\ndefine hidden", ir)
    for pattern in _BALLAST:
        ir = pattern.sub("", ir)
    # A kernel that LLVM did not inline, of which TVM says what no local symbol may be.
    return ir.replace("define private dllexport ", "define private ")
