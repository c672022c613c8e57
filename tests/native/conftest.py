"""Kernels for the native tests: C functions compiled once a session, loaded from their bytes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bindings import Node, array, scalar
from kernel_sources import ADD

from jitops import _native

HEADER = """
#include <stdint.h>
#include <string.h>
typedef struct { void* sync; int32_t num_task; } Env;
typedef int (*Task)(int task, Env* env, void* data);
__attribute__((visibility("default"))) int (*__TVMBackendParallelLaunch)(Task, void*, int);
"""


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Return C source as the bytes of a shared library."""
    folder = tmp_path_factory.mktemp("kernels")

    def compile_source(source: str) -> bytes:
        path = folder / f"k{len(list(folder.iterdir()))}.c"
        path.write_text(HEADER + source)
        library = path.with_suffix(".so")
        command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(path)]
        subprocess.run(command, check=True, capture_output=True)
        return Path(library).read_bytes()

    return compile_source


@pytest.fixture(scope="session")
def library(build: Callable[[str], bytes]) -> _native.Library:
    return _native.Library(build(ADD))


@pytest.fixture
def add16(library: _native.Library) -> _native.Binding:
    spec = array("float32", (16,))
    program = _native.Program(library, "add16", [spec, spec], [("float32", (16,))], 0, 10, name="a")
    return _native.Binding(program, (0, 1), ("out", 0, "array"))


@pytest.fixture
def axpy(library: _native.Library) -> Callable[..., _native.Binding]:
    def make(first: _native.Input, result: Node = ("out", 0, "array")) -> _native.Binding:
        program = _native.Program(
            library, "axpy", [first, scalar("float64")], [("float64", (2, 3))], 0, 10, name="axpy"
        )
        return _native.Binding(program, (0, 1), result)

    return make
