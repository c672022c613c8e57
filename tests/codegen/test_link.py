"""Promises of the linker: what the loader, a C program and binutils make of its libraries."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jitops import jitop
from jitops._native import Library, detect_cpu
from jitops.codegen import elf
from jitops.codegen.compile import compile_module
from jitops.codegen.link import link
from jitops.codegen.module import build_module
from jitops.codegen.relocations import MACHINES
from jitops.codegen.target import features_of_cpu, tvm_target
from jitops.errors import CompileError
from jitops.lower.lowering import lower
from jitops.lower.steps import each
from jitops.schedule import schedule
from jitops.trace import trace

CALLS_ABROAD: dict[str, Callable[[Any], Any]] = {
    "memcpy": lambda x: x.copy(),
    "fmod": lambda x: np.fmod(x, x + 1),
    "the pool": lambda x: np.exp(x) + 1,
}


def objects_of(function: Callable[[Any], Any], x: Any, cpu: str | None = None) -> bytes:
    """The object code of a function of one array, for a CPU by name or this one."""
    machine: dict[str, Any] = detect_cpu()
    if cpu is not None:
        arch, name, features = features_of_cpu(cpu)
        machine = {"arch": arch, "name": name, "features": features, "vector_bits": 128}
    traced = trace(function, (x,), {}, frozenset())
    lowered = lower(traced.graph, [None], traced.mutated, machine["vector_bits"])
    loops = each(lowered.steps, lambda kernel: (kernel.frame, schedule(kernel)))
    target = tvm_target(machine)
    (code,) = compile_module(build_module(loops, lowered.arguments, target), target)
    return code


def run(code: bytes, x: Any) -> Any:
    """What linked code of a function from one array to one like it gives."""
    library = Library(link([code]))
    out, scratch = np.zeros_like(x), np.zeros(4096, "u1")
    buffers = (ctypes.c_void_p * 3)(*(a.ctypes.data for a in (x, out, scratch)))
    entry = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(library.symbol("jitops_entry"))
    assert entry(ctypes.addressof(buffers)) == 0
    return out


@pytest.mark.parametrize("name", CALLS_ABROAD)
def test_what_the_c_library_defines_is_called_through_the_loader(name: str) -> None:
    x = np.linspace(0.1, 3, 90_000)
    out = run(objects_of(CALLS_ABROAD[name], x), x)
    np.testing.assert_allclose(out, CALLS_ABROAD[name](x), rtol=1e-15)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="runs code for an old x86-64 CPU")
def test_a_cpu_without_half_precision_converts_by_function() -> None:
    x = np.linspace(-40000, 40000, 1001).astype("float16")
    code = objects_of(lambda x: x * np.float16(1.5), x, cpu="nehalem")
    assert "__truncsfhf2" in {s.name for s in elf.Object(code, "x86_64").symbols}
    np.testing.assert_array_equal(run(code, x), x * np.float16(1.5))
    ours = objects_of(lambda x: x * np.float16(1.5), x)
    if "f16c" in detect_cpu()["features"]:
        assert "__truncsfhf2" not in {s.name for s in elf.Object(ours, "x86_64").symbols}


def test_a_c_program_links_against_a_library(tmp_path: Path) -> None:
    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("needs a C compiler")
    code = link([objects_of(lambda x: x * 2 + 1, np.ones(3))])
    (tmp_path / "libop.so").write_bytes(code)
    (tmp_path / "main.c").write_text(
        "#include <stdint.h>\n#include <stdio.h>\n"
        "int32_t jitops_entry(void* const* buffers);\n"
        "int main(void) {\n"
        "  double x[3] = {1, 2, 3}, y[3], scratch[64];\n"
        "  void* buffers[] = {x, y, scratch};\n"
        "  jitops_entry(buffers);\n"
        '  printf("%g %g %g\\n", y[0], y[1], y[2]);\n'
        "}\n"
    )
    program = str(tmp_path / "main")
    flags = ["-L.", "-lop", "-Wl,-rpath,$ORIGIN", "-o", program]
    subprocess.run([cc, "main.c", *flags], cwd=tmp_path, check=True)
    assert subprocess.run([program], capture_output=True, text=True).stdout == "3 5 7\n"


def test_binutils_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("needs binutils")
    path = tmp_path / "op.so"
    path.write_bytes(link([objects_of(CALLS_ABROAD["the pool"], np.ones(90_000))]))
    done = subprocess.run(["readelf", "-Wa", path], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "jitops_entry" in done.stdout
    (stack,) = (line for line in done.stdout.splitlines() if "GNU_STACK" in line)
    assert "RWE" not in stack
    assert "RWE" not in done.stdout.replace(stack, ""), "memory both written and executed"


def test_no_program_on_path_is_needed_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    x = np.linspace(0, 1, 17)
    op = jitop(lambda x: np.sqrt(x) - 0.3712)
    op.compile(x)
    np.testing.assert_array_equal(op(x), np.sqrt(x) - 0.3712)
    assert op.stats()["compiles"] == 1


def test_every_arm_instruction_finds_its_data() -> None:
    """Decode each relocated pair of the linked code, and compare with the symbols' addresses."""
    x = np.linspace(0.1, 3, 90_000)
    code = objects_of(lambda x: np.fmod(np.exp(x), 2.5), x, cpu="neoverse-n1")
    objects = elf.Object(code, "aarch64")
    kinds = {kind for _, _, kind, _, _ in objects.relocations}
    assert kinds <= {*MACHINES["aarch64"].patches, MACHINES["aarch64"].absolute}
    image = link([code], "aarch64")
    text, start = section(image, ".text")
    pages: dict[int, int] = {}
    checked = 0
    for place, word in enumerate(struct.unpack(f"<{len(text) // 4}I", text[: len(text) // 4 * 4])):
        address = start + 4 * place
        if word >> 24 & 0x9F == 0x90:  # ADRP
            pages[word & 31] = (address & ~0xFFF) + (signed21(word) << 12)
        elif word >> 26 == 0x25:  # BL
            target = address + 4 * (((word & 0x3FFFFFF) ^ 0x2000000) - 0x2000000)
            checked += stub_leads_to_table(image, target)
    assert pages
    low = min(a for a, _ in ranges(image))
    high = max(a + n for a, n in ranges(image))
    assert all(low & ~0xFFF <= page < high for page in pages.values())
    assert checked, "fmod is called through a stub"


def signed21(word: int) -> int:
    value = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
    return (value ^ 0x100000) - 0x100000


def stub_leads_to_table(image: bytes, target: int) -> bool:
    """Whether a branch goes to a stub; then its instructions must name a place in the table."""
    stubs, start = section(image, ".plt")
    if not start <= target < start + len(stubs):
        return False
    adrp, load, jump, _ = struct.unpack_from("<4I", stubs, target - start)
    assert jump == 0xD61F0220  # br x17
    place = (target & ~0xFFF) + (signed21(adrp) << 12) + ((load >> 10 & 0xFFF) << 3)
    table, first = section(image, ".got")
    assert first <= place < first + len(table)
    return True


def headers(image: bytes) -> list[tuple[int, ...]]:
    fields = elf.HEADER.unpack_from(image)
    table, count = fields[6], fields[12]
    return [elf.SECTION.unpack_from(image, table + n * elf.SECTION.size) for n in range(count)]


def section(image: bytes, name: str) -> tuple[bytes, int]:
    """Contents and address of a library's section."""
    table = headers(image)
    names = table[elf.HEADER.unpack_from(image)[13]][4]
    for header in table:
        start = names + header[0]
        if image[start : image.index(b"\0", start)].decode() == name:
            return image[header[4] : header[4] + header[5]], header[3]
    raise AssertionError(f"no section {name}")


def ranges(image: bytes) -> list[tuple[int, int]]:
    return [(h[3], h[5]) for h in headers(image) if h[2] & elf.ALLOC]


def test_what_is_no_object_is_refused() -> None:
    code = objects_of(lambda x: x + 1, np.ones(4))
    for damaged, message in (
        (b"", "no ELF object"),
        (b"\x7fELF" + bytes(80), "no ELF object"),
        (code[:18] + b"\x28\0" + code[20:], "machine 40"),
    ):
        with pytest.raises(CompileError, match=message):
            link([damaged])


def test_a_relocation_that_no_machine_has_is_named() -> None:
    code = bytearray(objects_of(lambda x: x * 1.7, np.ones(4)))
    relocations = elf.Object(bytes(code), os.uname().machine).relocations
    assert relocations
    for header in headers(bytes(code)):
        if header[1] == elf.RELA:
            struct.pack_into("<I", code, header[4] + 8, 999)
    with pytest.raises(CompileError, match="relocation 999"):
        link([bytes(code)])
