"""Lists of signatures: what production records and `jitops warm` compiles.

A manifest is JSON, one object per signature, as a list or one to a line:

    {"op": "package.module:gelu", "spec": "float32[1024,1024]"}
    {"op": "scripts/model.py:norm", "spec": "float32[8,512],float32[512],axis=1"}

A spec names each argument in order, keyword arguments as name=...; an argument is

    float32[8,4]            an array in C order
    float32[n,4]            one kernel for all sizes of an axis; * is a name like any other
    float32[8,4]@[4,32]     an array with these strides, in bytes
    float32()               a NumPy scalar
    float int complex bool  a Python scalar of that type
    null true 1 0.5 "text"  this very value, as JSON writes it
    [a,b] (a,b) {"k":a}     a list, a tuple, a dict of arguments
"""

from __future__ import annotations

import json
import os
import sys
from _thread import allocate_lock
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jitops.errors import ArgumentError

if TYPE_CHECKING:
    from jitops.arguments import Call
    from jitops.trace import Traced

__all__ = ["Job", "Recorder", "op_name", "read_manifest", "spec_of"]


class Job:
    """One signature of one op: `op` is "module:name" or "file.py:name"."""

    __slots__ = ("op", "spec")

    def __init__(self, op: str, spec: str) -> None:
        self.op = op
        self.spec = spec

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and (self.op, self.spec) == (other.op, other.spec)

    def __hash__(self) -> int:
        return hash((self.op, self.spec))

    def __repr__(self) -> str:
        return f"Job({self.op!r}, {self.spec!r})"


def read_manifest(path: str) -> list[Job]:
    """Read a manifest, each signature once. Raises ArgumentError, naming the entry at fault."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        if text.lstrip().startswith("["):
            entries = json.loads(text)
        else:
            entries = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise ArgumentError("the manifest is not JSON", where=path, found=str(error)) from None
    jobs = [_job(entry, number, path) for number, entry in enumerate(entries)]
    return list(dict.fromkeys(jobs))


def _job(entry: object, number: int, path: str) -> Job:
    if isinstance(entry, dict):
        op, spec = entry.get("op"), entry.get("spec", "")
        if isinstance(op, str) and isinstance(spec, str):
            return Job(op, spec)
    raise ArgumentError(
        f"entry {number} of the manifest is not valid",
        where=path,
        found=json.dumps(entry),
        accepted='{"op": "module:name", "spec": "float32[8]"}',
    )


def op_name(function: Callable[..., object]) -> str:
    """Return how a manifest names this function; a script's by its file."""
    module = function.__module__
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        module = os.path.relpath(file) if file else module
    return f"{module}:{function.__qualname__}"


def spec_of(call: Call, traced: Traced) -> str | None:
    """The spec of a call; None where an argument has no text form (a function, an object)."""
    fixed = {p.source[1] for p in traced.params if p.low is not None and p.low == p.high}
    leaves = [(leaf, number in fixed) for number, leaf in enumerate(call.leaves)]
    writer = _SpecWriter(leaves)
    writer.opened = traced.open_axes
    try:
        parts = [writer.text(value) for value in call.args]
        parts += [f"{name}={writer.text(value)}" for name, value in call.kwargs.items()]
    except _NoTextError:
        return None
    return ",".join(parts)


class _NoTextError(Exception):
    """An argument that no text describes."""


class _SpecWriter:
    """Writes the arguments in order; the runtime leaves come up one after the other."""

    def __init__(self, leaves: list[tuple[Any, bool]]) -> None:
        self._leaves = leaves
        self._next = 0
        self.opened: Mapping[tuple[int, int], Any] = {}  # (leaf, axis) -> its size's parameter

    def text(self, value: object) -> str:
        if self._next < len(self._leaves):
            leaf, fixed = self._leaves[self._next]
            if leaf[0] is value:
                self._next += 1
                return json.dumps(value) if fixed else self._leaf_text(leaf, self._next - 1)
        if type(value) is tuple:
            return f"({','.join(map(self.text, value))})"
        if type(value) is list:
            return f"[{','.join(map(self.text, value))}]"
        if type(value) is dict and all(type(key) is str for key in value):
            return f"{{{','.join(f'{json.dumps(k)}:{self.text(v)}' for k, v in value.items())}}}"
        if value is None or type(value) in (bool, int, float, str):
            return json.dumps(value)
        raise _NoTextError

    def _leaf_text(self, leaf: Any, number: int) -> str:
        kind, dtype, shape, strides = leaf[1:5]
        if kind in ("int", "float", "complex"):
            return str(kind)
        if dtype is None:
            raise _NoTextError
        if kind == "scalar":
            return f"{dtype}()"
        sizes = [self.opened.get((number, axis)) for axis in range(len(shape))]
        extents = [str(n) if size is None else _open_text(size) for n, size in zip(shape, sizes)]
        text = f"{dtype}[{','.join(extents)}]"
        return text if strides is None else f"{text}@[{','.join(map(str, strides))}]"


def _open_text(size: Any) -> str:
    """The name of an open size; with a size where its range has not what a name stands for."""
    fits = size.low <= SAMPLED[0] and SAMPLED[1] <= size.high
    return str(size.name) if fits else f"{size.name}={size.low}"


SAMPLED = (1024, 2048)  # the sizes that names stand for lie in between (`jitops.graph.types.Spec`)


class Recorder:
    """Appends signatures to a manifest, each once. Safe from several threads and processes.

    Each is appended as a whole line in one write, so that lines never mix; two processes that see
    a signature at the same moment may both write it, and reading leaves out repetitions. What
    cannot be written is dropped: recording never fails a call.
    """

    __slots__ = ("_known", "_lock", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = allocate_lock()
        self._known: set[Job] | None = None  # guarded by _lock; None: the file is not read yet

    def note(self, function: Callable[..., object], call: Call, traced: Traced) -> None:
        """Record a call of an op. One that no manifest can name is left out."""
        name = op_name(function)
        spec = None if "<" in name else spec_of(call, traced)
        if spec is not None:
            self.add(name, spec)

    def add(self, op: str, spec: str) -> None:
        """Record that `op` was called with arguments of this `spec`."""
        job = Job(op, spec)
        with self._lock:
            if self._known is None:
                self._known = self._read()
            if job in self._known:
                return
            self._known.add(job)
        line = json.dumps({"op": op, "spec": spec}, ensure_ascii=False) + "\n"
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self.path, flags, 0o666)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError:
            return

    def _read(self) -> set[Job]:
        try:
            return set(read_manifest(self.path))
        except (OSError, ArgumentError):
            return set()
