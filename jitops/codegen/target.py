"""The compilation target: exactly this machine, as its detected features say.

A CPU's name alone is not enough: a virtual machine may mask features that the name implies, and
code that uses them would die with an illegal instruction. So features implied by the name but not
detected are switched off explicitly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jitops.errors import ArgumentError, CompileError
from jitops.runtime import TOOLCHAIN
from jitops.runtime.target import DETECTABLE, TRIPLES

# Instruction sets that a hypervisor may hide although the CPU's name implies them. LLVM's other
# features describe the ABI ("64bit-mode") or tuning ("fast-…") and stay as the name has them.
MASKABLE = (
    "adx", "aes", "amx", "avx", "bf16", "bmi", "dotprod", "f16c", "fma", "fp16", "fullfp16",
    "gfni", "i8mm", "lse", "lzcnt", "movbe", "pclmul", "popcnt", "rdrnd", "rdseed", "sha",
    "sm4", "sse3", "sse4", "ssse3", "sve", "tbm", "vaes", "vpclmul", "xop",
)  # fmt: skip

# What all code may use, beside these.
BASIC = ("64bit", "cmov", "fp-armv8", "mmx", "neon", "sse", "sse2")


def tvm_target(cpu: Mapping[str, Any]) -> Any:
    """The TVM target for a detected CPU."""
    import tvm

    if not TOOLCHAIN.startswith(f"apache-tvm {tvm.__version__}"):
        raise CompileError(
            "another TVM than jitops was made for",
            found=f"apache-tvm {tvm.__version__}",
            accepted=TOOLCHAIN,
            way_out="Install jitops' own requirements, for example with `pip install jitops`.",
        )
    base = {"kind": "llvm", "mtriple": TRIPLES[cpu["arch"]], "mcpu": cpu["name"]}
    implied = set(_implied(tvm.target.Target(base)))
    detected = set(cpu["features"])
    hidden = {f for f in implied - detected if f.startswith(MASKABLE)}
    attrs = [f"+{f}" for f in sorted(detected)] + [f"-{f}" for f in sorted(hidden)]
    return tvm.target.Target({**base, "mattr": attrs})


def converts_halves(target: Any) -> bool:
    """Whether the CPU has instructions between float16 and float32."""
    return str(target.attrs["mtriple"]).startswith("aarch64") or "+f16c" in target.attrs["mattr"]


def _implied(target: Any) -> list[str]:
    from tvm.target import codegen

    return [str(name) for name in codegen.llvm_get_cpu_features(target)]


def features_of_cpu(name: str) -> tuple[str, str, list[str]]:
    """Architecture, name and detectable features of a CPU that LLVM knows by this name.

    Only features that `detect_cpu` can find are kept, so that what the code needs can be checked
    where it runs; the others that the name implies are switched off in `tvm_target`. Raises
    ArgumentError for names that LLVM does not know.
    """
    import tvm
    from tvm.target import codegen

    for arch, triple in TRIPLES.items():
        base = tvm.target.Target({"kind": "llvm", "mtriple": triple})
        if name in map(str, codegen.llvm_get_cpu_archlist(base)):
            cpu = tvm.target.Target({"kind": "llvm", "mtriple": triple, "mcpu": name})
            detectable = set(DETECTABLE[arch].split()).intersection(_implied(cpu))
            used = [f for f in detectable if f.startswith((*MASKABLE, *BASIC))]
            return arch, name, sorted(used)
    raise ArgumentError(
        "a target that the compiler does not know",
        found=repr(name),
        accepted="x86-64-v2, x86-64-v3, x86-64-v4, or a CPU by LLVM's name, such as znver4",
    )
