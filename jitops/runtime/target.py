"""The machines that code is made for: this one exactly, or a level that many machines reach.

The key's `target` part is one of two texts:

    x86_64-unknown-linux-gnu cpu=znver4 features=adx,aes,...     exactly such a machine
    x86_64-unknown-linux-gnu level=x86-64-v3                     any machine that has the level

A level is one of the x86-64 psABI's, or a CPU by LLVM's name; the features that it stands for
follow from the name and the toolchain, which has a key part of its own; the artifact lists them.
A look-up asks for this machine first, then for the levels it reaches, the highest first; that the
machine has each feature that the code uses is checked when the artifact is read, as always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["DETECTABLE", "LEVELS", "TRIPLES", "Target", "host_target", "level_target", "levels_of"]

TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}

_V1 = "64bit cmov cx8 fxsr mmx sse sse2"
_V2 = f"{_V1} cx16 popcnt sahf sse3 ssse3 sse4.1 sse4.2"
_V3 = f"{_V2} avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave"
_V4 = f"{_V3} avx512f avx512bw avx512cd avx512dq avx512vl"

# System V ABI, AMD64 supplement, table 3.1; the features as `detect_cpu` names them.
LEVELS: Mapping[str, str] = {
    "x86-64-v4": _V4,
    "x86-64-v3": _V3,
    "x86-64-v2": _V2,
    "x86-64": _V1,
}


# What `detect_cpu` can find (native/cpu.cpp), and so what code for another machine may use.
DETECTABLE: Mapping[str, str] = {
    "x86_64": f"""{_V4} adx aes amx-bf16 amx-int8 amx-tile avx512bf16 avx512bitalg avx512fp16
        avx512ifma avx512vbmi avx512vbmi2 avx512vnni avx512vp2intersect avx512vpopcntdq avxifma
        avxneconvert avxvnni avxvnniint8 clflushopt clwb clzero fma4 fsgsbase gfni pclmul prfchw
        rdpid rdrnd rdseed serialize sha sse4a tbm vaes vpclmulqdq wbnoinvd xop xsavec xsaveopt
        xsaves""",
    "aarch64": """aes bf16 bti ccpp complxnum crc dit dotprod fp-armv8 fp16fml fullfp16 i8mm jsconv
        lse neon rand rcpc rdm sha2 sha3 sm4 sve sve2""",
}


class Target:
    """A machine, or a level: the key's text, and the CPU as the compiler takes it.

    cpu: arch, name, features, vector_bits.
    """

    __slots__ = ("cpu", "text")

    def __init__(self, text: str, cpu: Mapping[str, Any]) -> None:
        self.text = text
        self.cpu = cpu

    def __repr__(self) -> str:
        return f"Target({self.text})"


def host_target(cpu: Mapping[str, Any]) -> Target:
    """Exactly the machine that was detected."""
    features = ",".join(sorted(cpu["features"]))
    return Target(f"{TRIPLES[cpu['arch']]} cpu={cpu['name']} features={features}", cpu)


def levels_of(cpu: Mapping[str, Any]) -> list[str]:
    """The key texts of the levels that this machine may reach, the best first."""
    has = set(cpu["features"])
    names = [cpu["name"]]
    if cpu["arch"] == "x86_64":
        names += [name for name, needs in LEVELS.items() if has.issuperset(needs.split())]
    else:
        names.append("generic")
    triple = TRIPLES[cpu["arch"]]
    return [level_text(triple, name) for name in dict.fromkeys(names)]


def level_target(arch: str, name: str, features: Sequence[str]) -> Target:
    """A level, or a CPU by its name alone, with the features that it stands for."""
    cpu = {
        "arch": arch,
        "name": name,
        "features": list(features),
        "vector_bits": vector_bits(features),
    }
    return Target(level_text(TRIPLES[arch], name), cpu)


def level_text(triple: str, name: str) -> str:
    """The key's text of a level."""
    return f"{triple} level={name}"


def vector_bits(features: Sequence[str]) -> int:
    """The width of the vector registers that these features give."""
    return 512 if "avx512f" in features else 256 if "avx" in features else 128
