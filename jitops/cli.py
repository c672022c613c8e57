"""The command line: `jitops warm`, `jitops cache ...`, `jitops info`.

Every command that prints data prints JSON with --json. Exit status: 0; 1 when something asked for
could not be done (a compile failed, --check found a miss, verify found damage); 2 for wrong usage.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from jitops.config import FIELDS, Config, Settings
from jitops.errors import ArgumentError, ConfigError, JitopsError
from jitops.manifest import Job, read_manifest
from jitops.warm import Order, jobs_of_target, run_jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jitops.cache.store import Store

__all__ = ["main"]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


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
        _print_json(results)
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
    _print_table(("op", "arguments", "status", "time", "key"), rows)
    counts: dict[str, int] = {}
    for result in results:
        counts[result["status"]] = counts.get(result["status"], 0) + 1
    click.echo(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    for result in results:
        if result["error"]:
            click.echo(f"{result['op']} ({result['spec']}): {result['error']}", err=True)


@main.group()
def cache() -> None:
    """Look at, check and empty the cache of compiled ops."""


@cache.command("dir")
@as_json
def cache_dir(as_json: bool) -> None:
    """Print the directory of the cache."""
    path = Settings().current().cache_dir
    _print_json({"dir": path}) if as_json else click.echo(path)


@cache.command("ls")
@as_json
def cache_ls(as_json: bool) -> None:
    """List the entries, the last used first."""
    from jitops.cache.index import Index

    store = _store()
    with Index(store) as index:
        rows = [
            {
                "key": entry.digest,
                "name": known["name"],
                "size": entry.size,
                "used": entry.used,
                "loads": known["loads"],
                "compile_ms": known["ms"],
            }
            for entry in sorted(store.entries(), key=lambda e: -e.used)
            for known in [index.entry(entry.digest)]
        ]
        totals = index.totals()
    if as_json:
        _print_json({"dir": store.directory, "limit": store.limit, "entries": rows, **totals})
        return
    _print_table(
        ("key", "op", "size", "last used", "loads", "compiled in"),
        [
            (
                row["key"][:12],
                row["name"],
                _bytes(row["size"]),
                time.strftime("%Y-%m-%d %H:%M", time.localtime(row["used"])),
                str(row["loads"]),
                f"{row['compile_ms']:.0f} ms",
            )
            for row in rows
        ],
    )
    size = sum(row["size"] for row in rows)
    click.echo(f"{len(rows)} entries, {_bytes(size)} of {_bytes(store.limit)}{_hit_rate(totals)}")


@cache.command("show")
@click.argument("key")
@as_json
def cache_show(key: str, as_json: bool) -> None:
    """Print what is stored under KEY: its digest, or the start of it."""
    store = _store()
    found = store.find(key)
    if len(found) != 1:
        raise click.ClickException(
            f"{len(found)} entries in {store.directory} start with {key!r}: see `jitops cache ls`"
        )
    artifact = store.load(found[0])
    data = {
        "key": found[0].digest,
        "path": found[0].path,
        "size": found[0].size,
        "code_size": len(artifact.image),
        "features": list(artifact.features),
        "meta": artifact.meta,
        "plan": artifact.plan,
        "parts": dict(artifact.key.parts),
    }
    if as_json:
        _print_json(data)
        return
    for name in ("key", "path", "size", "code_size"):
        click.echo(f"{name}: {data[name]}")
    click.echo(f"features: {', '.join(artifact.features)}")
    for part in ("meta", "plan"):
        click.echo(f"{part}: {json.dumps(data[part])}")
    for part, text in artifact.key.parts.items():
        click.echo(f"[{part}]\n{text}")


@cache.command("verify")
@click.option("--repair", is_flag=True, help="Set damaged files aside and rebuild the index.")
@as_json
def cache_verify(repair: bool, as_json: bool) -> None:
    """Check every entry against the digest it was stored with."""
    from jitops.cache.index import Index

    store = _store()
    count = sum(1 for _ in store.entries())
    problems = [{"path": p.path, "reason": p.reason} for p in store.verify(repair)]
    if repair:
        store.sweep()
        with Index(store) as index:
            index.rebuild()
    if as_json:
        _print_json({"checked": count, "problems": problems, "repaired": repair})
    else:
        for problem in problems:
            click.echo(f"{problem['path']}: {problem['reason']}", err=True)
        outcome = " set aside" if repair and problems else ""
        click.echo(f"{count} entries checked, {len(problems)} damaged{outcome}")
    if problems and not repair:
        sys.exit(1)


@cache.command("clear")
@as_json
def cache_clear(as_json: bool) -> None:
    """Delete every entry; running programs keep what they have loaded."""
    from jitops.cache.index import Index

    store = _store()
    count = store.clear()
    with Index(store) as index:
        index.rebuild()
    if as_json:
        _print_json({"removed": count})
    else:
        click.echo(f"{count} entries removed from {store.directory}")


@main.command()
@as_json
def info(as_json: bool) -> None:
    """Print the target, its features, the cache, threads and versions."""
    from jitops.cache.index import Index

    config = Settings().current()
    data: dict[str, Any] = {"cpu": _cpu(), "threads": _threads(config)}
    data["config"] = {f.name: getattr(config, f.name) for f in FIELDS}
    data["versions"] = _versions()
    store = _store()
    with Index(store) as index:
        if not data["cpu"].get("brand"):
            data["cpu"]["brand"] = index.fact("cpu brand", _brand)
        totals = index.totals()
    entries = sum(1 for _ in store.entries())
    data["cache"] = {"dir": store.directory, "entries": entries, "size": store.size(), **totals}
    if as_json:
        _print_json(data)
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


def _threads(config: Config) -> int:
    try:
        from jitops._native import get_threads
    except ImportError:
        import os

        return config.num_threads or os.cpu_count() or 1
    return int(get_threads())


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


def _store() -> Store:
    """Open the configured store itself: a temporary one in its place would only mislead."""
    from jitops.cache.store import Store
    from jitops.log import Log

    config = Settings().current()
    return Store(config.cache_dir, Log(config.log), config.cache_size)


def _print_json(data: object) -> None:
    click.echo(json.dumps(data, indent=2, default=str))


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False)  # float32[8] is not markup
    if not console.is_terminal:
        console.width = 1000  # whole lines for grep
    console.print(table)


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1000
    return f"{count:.3g} GB"


def _hit_rate(totals: dict[str, Any]) -> str:
    asked = totals["loads"] + totals["compiles"]
    return f"; {totals['loads'] / asked:.0%} of {asked} look-ups found" if asked else ""


if __name__ == "__main__":
    main()
