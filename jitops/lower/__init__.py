"""Graph to kernels, and the code of their elements."""

from jitops.lower.toolchain import load_tvm

load_tvm()
