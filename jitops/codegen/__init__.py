"""Target, module, object code, shared library."""

from jitops.lower.toolchain import load_tvm

load_tvm()
