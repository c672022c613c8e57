"""Caches prepared for other machines: a level serves every machine that reaches it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from services import Service

import jitops
from jitops.errors import ArgumentError, CacheMiss, CompileError
from jitops.runtime.target import DETECTABLE, LEVELS, host_target, levels_of

X = np.arange(8, dtype="float32")
NATIVE = Path(jitops.__file__).parent / "native" / "cpu.cpp"


def scaled(x: Any) -> Any:
    return x * 3 + 1


def cpu(*levels: str, name: str = "some", arch: str = "x86_64") -> dict[str, Any]:
    features = sorted({f for level in levels for f in LEVELS[level].split()})
    return {"arch": arch, "name": name, "features": features, "vector_bits": 128}


def test_a_machine_asks_for_the_levels_it_reaches_the_best_first() -> None:
    found = levels_of(cpu("x86-64-v3", name="haswell"))
    names = [text.split("level=")[1] for text in found]
    assert names == ["haswell", "x86-64-v3", "x86-64-v2", "x86-64"]
    lacks = cpu("x86-64-v3")
    lacks["features"].remove("fma")  # as a hypervisor may do
    assert "x86-64-v3" not in " ".join(levels_of(lacks))
    assert "cpu=haswell features=" in host_target(cpu("x86-64-v3", name="haswell")).text


@pytest.mark.skipif(not NATIVE.exists(), reason="the sources of the native module are not here")
def test_the_detectable_features_are_those_of_the_native_module() -> None:
    text = NATIVE.read_text()
    intel, arm = text.split("__aarch64__", 1) if "__aarch64__" in text else (text, "")
    for arch, part in (("x86_64", intel), ("aarch64", arm)):
        rows = re.findall(r'\{"([a-z0-9.-]+)", (?:0x)?\d', part)
        if rows:
            assert set(DETECTABLE[arch].split()) <= set(rows), arch


@pytest.fixture
def level(service: Service) -> str:
    reached = [text.split("level=")[1] for text in levels_of(service.runtime.cpu)]
    return next(name for name in reached if name in LEVELS)


def test_a_kernel_of_a_level_serves_a_program_on_this_machine(service: Service, level: str) -> None:
    prepared = service.op(scaled).prepare([X], {}, target=level)
    assert prepared.status == "compiled"
    service.new_runtime(JITOPS_COMPILE="never")
    op = service.op(scaled)
    assert (op(X) == scaled(X)).all()
    assert op.stats()["loads"] == 1
    assert op.explain(X[:8]).status == "known"
    with pytest.raises(CacheMiss):
        op(X[:5])


def test_a_kernel_for_this_very_machine_comes_first(service: Service, level: str) -> None:
    exact = service.op(scaled).prepare([X], {})
    service.op(scaled).prepare([X], {}, target=level)
    runtime = service.new_runtime()
    store = runtime.store()
    (entry,) = store.find(exact.key)
    found = runtime.stored(store.load(entry).key)
    assert found is not None
    assert found.key.digest == exact.key


def test_a_kernel_that_needs_more_than_this_machine_has_is_not_used(
    service: Service, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.op(scaled).prepare([X], {}, target=level)
    service.new_runtime(JITOPS_COMPILE="never")
    service.runtime._cpu = {**service.runtime.cpu, "features": ["64bit", "sse2"]}  # type: ignore[typeddict-item]
    with pytest.raises(CacheMiss):
        service.op(scaled)(X)


def test_a_cpu_by_its_name_is_a_target(service: Service) -> None:
    prepared = service.op(scaled).prepare([X], {}, target="haswell")
    store = service.runtime.store()
    (entry,) = store.find(prepared.key)
    artifact = store.load(entry)
    assert artifact.key.parts["target"].endswith("level=haswell")
    assert {"avx2", "fma"} <= set(artifact.features)
    assert "avx512f" not in artifact.features
    assert service.op(scaled).prepare([X], {}, target="haswell", check=True).status == "loaded"


def test_a_target_that_nobody_knows_is_refused(service: Service) -> None:
    with pytest.raises(ArgumentError, match="x86-64-v3"):
        service.op(scaled).prepare([X], {}, target="abacus")


def test_verifying_a_stored_kernel_finds_a_wrong_one(service: Service) -> None:
    offset = [0]

    def shifted(x: Any) -> Any:
        return x + offset[0]

    op = service.op(shifted)
    op.prepare([X], {})
    assert op.prepare([X], {}, verify=True).status == "loaded"
    store = service.runtime.store()
    (entry,) = store.entries()
    assert store.load(entry).meta["check"]["max_error"] == 0
    runs = [0]

    def drifting(x: Any) -> Any:  # traces to the same graph, and then computes something else
        runs[0] += 1
        return x + (runs[0] > 1) * 5

    with pytest.raises(CompileError, match="disagrees"):
        service.op(drifting).prepare([X], {}, verify=True)
    assert list(store.entries()) == []
