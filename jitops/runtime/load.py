"""A verified artifact to a callable program."""

from __future__ import annotations

from typing import Any

from jitops._native import Library, Program
from jitops.cache.artifact import Artifact

ENTRY = "jitops_entry"


def load_program(artifact: Artifact) -> Program:
    """Map the artifact's image, exactly the bytes that were checked, and describe its entry.

    Raises ImportError with the dynamic linker's message where the image cannot be mapped.
    """
    plan = artifact.plan
    library = Library(artifact.image)
    inputs = [_input(entry) for entry in plan["inputs"]]
    outputs = [(entry["dtype"], tuple(entry["shape"])) for entry in plan["outputs"]]
    return Program(
        library,
        ENTRY,
        inputs,
        outputs,
        plan["workspace"],
        plan["cost_ns"],
        plan["parallel"],
        str(artifact.meta.get("name", "kernel")),
        plan.get("checked", False),
    )


def _input(entry: dict[str, Any]) -> tuple[Any, ...]:
    strides = entry["strides"]
    return (
        entry["kind"],
        entry["dtype"],
        tuple(entry["shape"]),
        None if strides is None else tuple(strides),
        entry["mutated"],
        entry["low"],
        entry["high"],
    )
