"""A verified artifact to a callable program."""

from __future__ import annotations

from typing import Any

from jitops._native import Library, Program
from jitops.cache.artifact import Artifact
from jitops.errors import JitopsError

ENTRY = "jitops_entry"


def load_program(artifact: Artifact) -> Program:
    """Map the artifact's image, exactly the bytes that were checked, and describe its entry.

    Raises ImportError with the dynamic linker's message where the image cannot be mapped, and where
    the plan refers to memory that it lacks or to a function that no host step may run.
    """
    library = Library(artifact.image)
    try:
        return _program(library, artifact)
    except (JitopsError, ValueError) as error:
        raise ImportError(f"the launch plan is not one that jitops writes: {error}") from error


def _program(library: Library, artifact: Artifact) -> Program:
    plan = artifact.plan
    inputs = [_input(entry) for entry in plan["inputs"]]
    outputs = [(entry["dtype"], tuple(map(_extent, entry["shape"]))) for entry in plan["outputs"]]
    return Program(
        library,
        ENTRY,
        inputs,
        outputs,
        _extent(plan["workspace"]),
        plan["cost_ns"],
        plan["parallel"],
        _name(artifact),
        _failures(artifact) if plan.get("checked", False) else (),
        [_step(library, step) for step in plan.get("steps", ())],
        plan.get("cost_ns_each", ()),
    )


def _failures(artifact: Artifact) -> list[tuple[type[Exception], str]]:
    """Exception and message of what checks can find, by number."""
    from jitops.failures import FAILURES

    return [(kind, text.format(op=_name(artifact))) for kind, text in FAILURES.values()]


def _name(artifact: Artifact) -> str:
    return str(artifact.meta.get("name", "kernel"))


def _step(library: Library, step: dict[str, Any]) -> tuple[Any, ...]:
    if "entry" in step:
        return (library.symbol(step["entry"]),)
    from jitops.host import Step

    run = Step(step["function"], step["call"], step["results"], len(step["reads"]))
    return run, [_view(v) for v in step["reads"]], [_view(v) for v in step["writes"]]


def _view(view: dict[str, Any] | None) -> tuple[Any, ...] | None:
    if view is None:
        return None
    shape, strides = tuple(view["shape"]), tuple(view["strides"])
    return view["buffer"], view["offset"], view["dtype"], shape, strides


def _extent(planned: Any) -> Any:
    """An int, or (constant, (size, factor), ...): the sizes count the inputs of that kind."""
    return planned if type(planned) is int else (planned[0], *map(tuple, planned[1:]))


def _input(entry: dict[str, Any]) -> tuple[Any, ...]:
    strides = entry["strides"]
    return (
        entry["kind"],
        entry["dtype"],
        tuple(map(_extent, entry["shape"])),
        None if strides is None else tuple(strides),
        entry["mutated"],
        entry["low"],
        entry["high"],
    )
