"""Compiling ahead of time, in worker processes: what `jitops warm` does; see manifest.py."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, NamedTuple

from jitops.config import adopt, environment
from jitops.errors import ArgumentError, CacheMiss, CompileError
from jitops.manifest import Job
from jitops.spec_text import ACCEPTED, parse_spec

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Order", "explained", "jobs_of_target", "run_jobs"]

PRELOADED = ["jitops.cli", "jitops.warm", "jitops.codegen.module", "jitops.lower.lowering"]


def jobs_of_target(target: str, specs: Sequence[str]) -> list[Job]:
    """Return a job for each spec and each op that MODULE[:OP] names."""
    if not specs:
        raise ArgumentError(
            f"{target}: which arguments to compile for is not known",
            accepted=f"--spec with {ACCEPTED}",
        )
    module, name = _split(target)
    names = [name] if name else _ops_in(module)
    return [Job(f"{module}:{name}", spec) for name in names for spec in specs]


class Order(NamedTuple):
    """What is to be done with each job.

    check: compile nothing, a miss is a miss. verify: compare each kernel with NumPy, stored ones
    too. target: the machine to prepare for; None: this one.
    """

    check: bool = False
    verify: bool = False
    target: str | None = None


def run_jobs(jobs: Sequence[Job], workers: int, order: Order) -> Iterator[dict[str, Any]]:
    """Do the jobs in this many processes, yielding each result as it is ready.

    A result has op, spec, key, seconds, error and status: what op.compile says ("compiled", "hit",
    "known"), "miss" (with check, which compiles nothing) or "failed".
    """
    workers = min(workers, len(jobs))
    if workers == 1:
        yield from (_do(job, order) for job in jobs)
        return
    lost = []
    for job, result in _in_processes(jobs, workers, order):
        if result is None:
            lost.append(job)
        else:
            yield result
    for job in lost:  # one of them killed its worker, and with it the pool: each alone now
        ((_, result),) = _in_processes([job], 1, order)
        yield result or _failed(job, CompileError("the process that compiled it died"))


def _in_processes(
    jobs: Sequence[Job], workers: int, order: Order
) -> Iterator[tuple[Job, dict[str, Any] | None]]:
    """Yield each job with its result; with None where the processes died first."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Workers are forked off a process without threads, which loads what all of them need once.
    context = get_context("forkserver")
    context.set_forkserver_preload([] if order.check else PRELOADED)
    with ProcessPoolExecutor(workers, context, adopt, (environment(),)) as pool:
        pending = {pool.submit(_do, job, order): job for job in jobs}
        for future in as_completed(pending):
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                yield pending[future], None
            elif error is not None:
                yield pending[future], _failed(pending[future], error)
            else:
                yield pending[future], future.result()


def _do(job: Job, order: Order) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        import jitops

        op = _op(job.op)
        arguments, keywords = parse_spec(job.spec, jitops.spec)
        if order == Order():
            compiled = op.compile(*arguments, **keywords)
        else:
            compiled = op.prepare(arguments, keywords, **order._asdict())
    except CacheMiss as miss:
        return {**_failed(job, miss), "status": "miss"}
    except Exception as error:  # one op that fails must not stop the others
        return _failed(job, error)
    return {
        "op": job.op,
        "spec": job.spec,
        "key": compiled.key,
        "status": compiled.status,
        "seconds": time.perf_counter() - start,
        "error": None,
    }


def explained(job: Job) -> dict[str, Any]:
    """What a call of this signature would find: op, spec, status, key, differences, hosts."""
    import jitops

    arguments, keywords = parse_spec(job.spec, jitops.spec)
    told = _op(job.op).explain(*arguments, **keywords)
    result = {"op": job.op, "spec": job.spec, "status": told.status, "key": told.key}
    return {**result, "differences": told.differences, "hosts": told.hosts}


def _failed(job: Job, error: BaseException) -> dict[str, Any]:
    text = str(error) or type(error).__name__
    result = {"op": job.op, "spec": job.spec, "key": None}
    return {**result, "status": "failed", "seconds": 0.0, "error": text}


def _split(target: str) -> tuple[str, str]:
    module, _, name = target.partition(":")
    return module, name


def _module(name: str) -> ModuleType:
    """Import a module by name, or a Python file by path, with the working directory in the path."""
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    with redirect_stdout(sys.stderr):  # what the module prints must not mix with --json
        return _import_file(name) if name.endswith(".py") else importlib.import_module(name)


def _import_file(name: str) -> ModuleType:
    path = os.path.abspath(name)
    loaded = "_jitops_warm_" + re.sub(r"\W", "_", path)
    if loaded in sys.modules:
        return sys.modules[loaded]
    found = importlib.util.spec_from_file_location(loaded, path)
    if found is None or found.loader is None or not os.path.exists(path):
        raise ArgumentError("there is no such Python file", found=name)
    module = importlib.util.module_from_spec(found)
    sys.modules[loaded] = module
    found.loader.exec_module(module)
    return module


def _ops_in(name: str) -> list[str]:
    from jitops import Op

    found = [attribute for attribute, value in vars(_module(name)).items() if isinstance(value, Op)]
    if not found:
        raise ArgumentError(f"{name} has no op", accepted="a function decorated with jitops.jitop")
    return found


def _op(target: str) -> Any:
    from jitops import Op

    module, name = _split(target)
    found: Any = _module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Op):
        raise ArgumentError(
            f"{target} is not an op",
            found=type(found).__name__,
            accepted="MODULE:NAME of a function decorated with jitops.jitop",
        )
    return found
