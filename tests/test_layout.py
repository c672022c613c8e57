"""Who may import whom: the rooms of docs/architecture.md, read from the imports themselves."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jitops"

COMPILER = ("lower", "schedule", "codegen")

# room -> the rooms its modules may import, besides itself; a room is a directory or a single file
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "log": set(),
    "config": {"errors", "ranks"},
    "ranks": set(),
    "spec_text": {"errors"},
    "host": {"errors"},
    "failures": set(),
    "graph": {"errors", "failures", "host"},
    "trace": {"errors", "failures", "graph", "host"},
    "autodiff": {"errors", "graph", "trace"},
    "lower": {"errors", "failures", "graph"},
    "schedule": {"errors", "lower"},
    "codegen": {"errors", "lower", "runtime"},
    "cache": {"errors", "config", "log"},
    "unit": {"errors", "graph", "cache"},
    "runtime": {"errors", "config", "log", "cache", "failures", "manifest", "host", "_native"},
    "threads": {"errors", "config", "_native"},
    "process": {"config", "runtime", "threads", "integrations"},
    "arguments": {"errors", "graph", "trace"},
    "control": {"errors", "graph", "trace"},
    "variants": {"errors"},
    "manifest": {"errors"},
    "check": {"errors", "graph", "arguments", "spec_text", "_native"},
    "pipeline": {"errors", "graph", "trace", "cache", "runtime", "unit", "check", "_native"}
    | set(COMPILER),
    "nn": {"trace"},
    "worker": {"cache", "log", "unit", "pipeline"},
    "warm": {"config", "errors", "manifest", "spec_text", "jitops"},
}
# What joins the parts may import all but the compiler; the command line, all but a call's rooms.
JOINTS = ("__init__", "api")
COMMANDS = ("cli", "cli_cache", "cli_print", "doctor")
A_CALLS_ROOMS = ("graph", "trace", "lower", "schedule", "pipeline")

# Imported by every program that uses an op: nothing but NumPy and the standard library at the top.
HIT_PATH = (
    "errors", "config", "log", "graph", "trace", "runtime", "process", "arguments", "pipeline",
    "control", "manifest", "variants", "api", "__init__", "ranks", "unit", "host",
    "failures",
)  # fmt: skip
HIT_PATH_OF_CACHE = {
    PACKAGE / "cache" / f"{name}.py"
    for name in ("key", "digest", "artifact", "store", "sources", "journal")
}
SLOW = {"tvm", "tvm_ffi", "filelock", "diskcache", "cpuinfo", "click", "rich", "torch", "jax"}
KNOWS_TVM = COMPILER

Import = tuple[str, str, bool, int]  # module, room, at the top of the module, line


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "native" not in path.parts)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@functools.cache
def imports(path: Path) -> tuple[Import, ...]:
    """What a module imports when it runs; `if TYPE_CHECKING:` does not run."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only or not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        for name in _names(node):
            yield name, _room(name), node not in inside, node.lineno


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, "imports are absolute"
    module = node.module or ""
    if module == "jitops":  # from jitops import api: a room, or a public name
        return [f"jitops.{alias.name}" if _is_room(alias.name) else module for alias in node.names]
    return [module]


def _is_room(name: str) -> bool:
    return name == "_native" or (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()


def _room(name: str) -> str:
    """`cache` for jitops.cache.store, `jitops` for the public names, "" for what is not ours."""
    head, _, rest = name.partition(".")
    if head != "jitops":
        return ""
    return rest.partition(".")[0] or "jitops"


def test_every_module_has_a_room() -> None:
    rooms = {room_of(path) for path in modules()}
    assert rooms <= {*MAY_IMPORT, *JOINTS, *COMMANDS, "integrations"}


@pytest.mark.parametrize("room", [*MAY_IMPORT, *JOINTS, *COMMANDS])
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    wrong = []
    for path in (p for p in modules() if room_of(p) == room):
        for name, other, _, line in imports(path):
            allowed = other in MAY_IMPORT.get(room, set()) or other in ("", room)
            if room in JOINTS:
                allowed = other not in COMPILER
            if room in COMMANDS:
                allowed = other not in A_CALLS_ROOMS
            if not allowed:
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    assert not wrong, f"{room} may import {sorted(MAY_IMPORT.get(room, set()))}"


def test_the_compiler_is_imported_inside_the_miss_branch_alone() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in modules()
        if room_of(path) not in COMPILER
        for name, other, top, line in imports(path)
        if other in COMPILER and (top or room_of(path) not in ("pipeline", "doctor"))
    ]
    assert not wrong


def test_only_the_compiler_rooms_know_tvm() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in modules()
        if room_of(path) not in KNOWS_TVM
        for name, _, _, line in imports(path)
        if name.partition(".")[0] in ("tvm", "tvm_ffi")
    ]
    assert not wrong


def test_the_scheduler_and_the_code_generator_know_no_graph() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in modules()
        if room_of(path) in ("schedule", "codegen")
        for name, other, _, line in imports(path)
        if other in ("graph", "trace")
    ]
    assert not wrong


def test_the_hit_path_imports_nothing_slow_at_the_top() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        for path in modules()
        if room_of(path) in HIT_PATH or path in HIT_PATH_OF_CACHE
        for name, _, top, line in imports(path)
        if top and name.partition(".")[0] in SLOW
    ]
    assert not wrong
