"""The command line: `jitops warm`, `cache ...`, `explain`, `doctor`, `info`.

Every command that prints data prints JSON with --json. Exit status: 0; 1 when something asked for
could not be done (a compile failed, --check found a miss, verify found damage); 2 for wrong usage.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from jitops.cli_cache import cache
from jitops.cli_print import as_json, open_own_store, print_json, print_table
from jitops.config import FIELDS, Settings
from jitops.errors import ArgumentError, ConfigError, JitopsError
from jitops.manifest import Job, read_manifest
from jitops.warm import Order, explained, jobs_of_target, run_jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["main"]


class _Commands(click.Group):
    """Turns what jitops raises on purpose into a message and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ArgumentError, ConfigError) as error:
            raise click.UsageError(str(error)) from error
        except (JitopsError, OSError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jitops")
def main() -> None:
    """Plain NumPy functions, compiled once for exactly this machine."""


main.add_command(cache)


@main.command()
@click.argument("targets", nargs=-1, metavar="[MODULE[:OP] | MANIFEST.json]...")
@click.option("--spec", "specs", multiple=True, help="Arguments: 'float32[8,4],float32[4],axis=1'.")
@click.option("--manifest", "manifests", multiple=True, type=click.Path(), help="A JSON list.")
@click.option("-j", "--jobs", "workers", default=1, type=click.IntRange(1), help="Processes.")
@click.option("--check", is_flag=True, help="Compile nothing; fail for each miss.")
@click.option("--verify", is_flag=True, help="Compare each kernel with NumPy, stored ones too.")
@click.option("--target", help="Prepare for x86-64-v2, -v3, -v4, or a CPU by LLVM's name.")
@as_json
def warm(
    targets: Sequence[str],
    specs: Sequence[str],
    manifests: Sequence[str],
    workers: int,
    check: bool,
    verify: bool,
    target: str | None,
    as_json: bool,
) -> None:
    """Compile ops ahead of time, so that no first call has to.

    MODULE is a module's name or a Python file; without :OP all its ops are meant. A manifest is a
    JSON list of {"op": "module:name", "spec": "float32[8],float32[8]"}, or one such
    object to a line, as JITOPS_RECORD writes it.
    """
    jobs = [job for path in manifests for job in read_manifest(path)]
    for name in targets:
        jobs += read_manifest(name) if name.endswith(".json") else jobs_of_target(name, specs)
    if not jobs:
        raise ArgumentError(
            "nothing to warm", accepted="MODULE[:OP] with --spec, or a manifest", way_out=_EXAMPLE
        )
    order = Order(check, verify, target)
    results = _with_progress(jobs, run_jobs(jobs, workers, order), quiet=as_json)
    if as_json:
        print_json(results)
    else:
        _print_summary(results)
    if any(result["status"] in ("failed", "miss") for result in results):
        sys.exit(1)


_EXAMPLE = "For example: jitops warm model.py:gelu --spec 'float32[1024,1024]'."


def _with_progress(
    jobs: Sequence[Job], results: Iterable[dict[str, Any]], quiet: bool
) -> list[dict[str, Any]]:
    """Gather the results, in the order of the jobs, with a bar and the time left on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("warming"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    done = []
    with Progress(*columns, console=console, disable=quiet, transient=True) as progress:
        bar = progress.add_task("", total=len(jobs))
        for result in results:
            done.append(result)
            progress.advance(bar)
    order = {job: place for place, job in enumerate(jobs)}
    return sorted(done, key=lambda result: order[Job(result["op"], result["spec"])])


def _print_summary(results: Sequence[dict[str, Any]]) -> None:
    rows = [
        (r["op"], r["spec"], r["status"], f"{r['seconds']:.2f} s", (r["key"] or "")[:12])
        for r in results
    ]
    print_table(("op", "arguments", "status", "time", "key"), rows)
    counts: dict[str, int] = {}
    for result in results:
        counts[result["status"]] = counts.get(result["status"], 0) + 1
    click.echo(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    for result in results:
        if result["error"]:
            click.echo(f"{result['op']} ({result['spec']}): {result['error']}", err=True)


@main.command()
@click.argument("target", metavar="MODULE:OP")
@click.option("--spec", "specs", multiple=True, required=True, help="Arguments, as for warm.")
@as_json
def explain(target: str, specs: Sequence[str], as_json: bool) -> None:
    """Say whether calls find a stored kernel, and where a miss differs from the nearest entry.

    Exit status 1 where one is missing.
    """
    told = [explained(job) for job in jobs_of_target(target, specs)]
    if as_json:
        print_json(told)
    for one in () if as_json else told:
        click.echo(f"{one['op']} ({one['spec']}): {one['status']}, key {one['key'][:16]}")
        for line in one["differences"]:
            click.echo(f"  {line}")
        for number, host in enumerate(one["hosts"], 1):
            click.echo(f"  step {number}: {host}, runs in NumPy")
    if any(one["status"] == "missing" for one in told):
        sys.exit(1)


@main.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check cache directory, entries, locks, compiler and CPU; name what to do."""
    from jitops.doctor import examine

    findings = examine()
    if as_json:
        print_json([finding._asdict() for finding in findings])
    for finding in () if as_json else findings:
        mark = "ok  " if finding.ok else "FAIL" if finding.required else "note"
        click.echo(f"{mark} {finding.name}: {finding.found}")
        if not finding.ok and finding.way_out:
            click.echo(f"     {finding.way_out}")
    if any(finding.required and not finding.ok for finding in findings):
        sys.exit(1)


@main.command()
@as_json
def info(as_json: bool) -> None:
    """Print the target, its features, the cache, threads and versions."""
    from jitops.cache.index import Index

    config = Settings().current()
    data: dict[str, Any] = {"cpu": _cpu(), "threads": _threads()}
    data["config"] = {f.name: getattr(config, f.name) for f in FIELDS}
    data["versions"] = _versions()
    store = open_own_store()
    with Index(store) as index:
        if not data["cpu"].get("brand"):
            data["cpu"]["brand"] = index.fact("cpu brand", _brand)
        totals = index.totals()
    entries = sum(1 for _ in store.entries())
    data["cache"] = {"dir": store.directory, "entries": entries, "size": store.size(), **totals}
    if as_json:
        print_json(data)
        return
    for section, values in data.items():
        text = values if not isinstance(values, dict) else ""
        click.echo(f"{section}: {text}".rstrip())
        if isinstance(values, dict):
            for name, value in values.items():
                shown = " ".join(value) if isinstance(value, (list, tuple)) else value
                click.echo(f"  {name}: {shown}")


def _cpu() -> dict[str, Any]:
    """Ask the native module about this machine; where it is not built, nothing is known."""
    try:
        from jitops._native import detect_cpu
    except ImportError:
        return {"brand": ""}
    return dict(detect_cpu())


def _threads() -> dict[str, Any]:
    """Where the budget comes from, and who runs parallel kernels."""
    try:
        from jitops.threads import PoolSettings
    except ImportError:
        return {}
    return PoolSettings().describe_threads()


def _brand() -> str:
    from cpuinfo import get_cpu_info  # takes a second; the index keeps the answer

    return str(get_cpu_info().get("brand_raw", "unknown"))


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    versions = {"python": python_version()}
    for name in ("jitops", "numpy", "apache-tvm", "apache-tvm-ffi", "diskcache", "filelock"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


if __name__ == "__main__":
    main()
