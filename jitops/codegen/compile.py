"""A TVM module to object code.

TVM optimises the module and keeps it as LLVM IR; asking for object code then runs LLVM's code
generator. In between, what TVM adds to every module is taken out of the IR: two float16 conversion
functions, which no CPU with half conversions calls, and debug records that refer to no source.
Together they are a third of a small op's compile time.
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import Any

import tvm

_CONVERSIONS = re.compile(r"^define weak[^\n]*@(__truncsfhf2|__extendhfsf2)\(.*?^\}\n", re.M | re.S)
_DEBUG = re.compile(r"^ *#dbg_[^\n]*\n|,? !dbg ![0-9]+", re.M)


def compile_module(module: Any, target: Any) -> bytes:
    """Object code of a module that needs no further lowering: straight to LLVM."""
    runtime = tvm.get_global_func("target.build.llvm")(module, target)
    with tempfile.TemporaryDirectory(prefix="jitops-") as folder:
        source, path = os.path.join(folder, "op.ll"), os.path.join(folder, "op.o")
        with open(source, "w", encoding="utf-8") as file:
            file.write(without_ballast(runtime.inspect_source("ll")))
        # The optimised IR comes back as it was; write_to_file generates code, each time it is
        # called.
        tvm.runtime.load_module(source).write_to_file(path, "o")
        with open(path, "rb") as object_file:
            return object_file.read()


def without_ballast(ir: str) -> str:
    """LLVM IR, fit to be read again, without unused conversion functions and debug records."""
    slim = _CONVERSIONS.sub("", ir)
    if "@__truncsfhf2" in slim or "@__extendhfsf2" in slim:
        slim = ir  # a CPU without half conversions calls them
    # A kernel that LLVM did not inline, of which TVM says what no local symbol may be.
    return _DEBUG.sub("", slim).replace("define private dllexport ", "define private ")
