"""The compilation target: exactly this machine, as its detected features say.

A CPU's name alone is not enough: a virtual machine may mask features that the name implies, and code that uses them
would die with an illegal instruction. So features implied by the name but not detected are switched off explicitly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}


def target_text(cpu: Mapping[str, Any]) -> str:
    """The target's part of the cache key: triple, CPU name, detected features."""
    features = ",".join(sorted(cpu["features"]))
    return f"{TRIPLES[cpu['arch']]} cpu={cpu['name']} features={features}"


def tvm_target(cpu: Mapping[str, Any]) -> Any:
    """The TVM target for a detected CPU."""
    import tvm

    base = {"kind": "llvm", "mtriple": TRIPLES[cpu["arch"]], "mcpu": cpu["name"]}
    implied = set(_implied(tvm.target.Target(base)))
    detected = set(cpu["features"])
    known = implied | detected
    attrs = [f"+{f}" for f in sorted(detected)] + [f"-{f}" for f in sorted(known - detected)]
    return tvm.target.Target({**base, "mattr": attrs})


def _implied(target: Any) -> list[str]:
    from tvm.target import codegen

    return [str(name) for name in codegen.llvm_get_cpu_features(target)]
