"""The command line's `jitops cache ...`: look at, check, move, sign and empty the cache."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence

import click

from jitops.cli_print import (
    as_json,
    hit_rate,
    open_own_store,
    print_json,
    print_table,
    size_text,
)
from jitops.config import FIELDS, Settings
from jitops.errors import ArgumentError

__all__ = ["cache"]


@click.group()
def cache() -> None:
    """Look at, check and empty the cache of compiled ops."""


@cache.command("dir")
@as_json
def cache_dir(as_json: bool) -> None:
    """Print the directory of the cache."""
    path = Settings().current().cache_dir
    print_json({"dir": path}) if as_json else click.echo(path)


@cache.command("ls")
@as_json
def cache_ls(as_json: bool) -> None:
    """List the entries, the last used first."""
    from jitops.cache.index import Index

    store = open_own_store()
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
        print_json({"dir": store.directory, "limit": store.limit, "entries": rows, **totals})
        return
    print_table(
        ("key", "op", "size", "last used", "loads", "compiled in"),
        [
            (
                row["key"][:12],
                row["name"],
                size_text(row["size"]),
                time.strftime("%Y-%m-%d %H:%M", time.localtime(row["used"])),
                str(row["loads"]),
                f"{row['compile_ms']:.0f} ms",
            )
            for row in rows
        ],
    )
    size = sum(row["size"] for row in rows)
    click.echo(
        f"{len(rows)} entries, {size_text(size)} of {size_text(store.limit)}{hit_rate(totals)}"
    )


@cache.command("show")
@click.argument("key")
@as_json
def cache_show(key: str, as_json: bool) -> None:
    """Print what is stored under KEY: its digest, or the start of it."""
    store = open_own_store()
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
        print_json(data)
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

    store = open_own_store()
    count = sum(1 for _ in store.entries())
    problems = [{"path": p.path, "reason": p.reason} for p in store.verify(repair)]
    if repair:
        store.sweep()
        with Index(store) as index:
            index.rebuild()
    if as_json:
        print_json({"checked": count, "problems": problems, "repaired": repair})
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

    store = open_own_store()
    count = store.clear()
    with Index(store) as index:
        index.rebuild()
    if as_json:
        print_json({"removed": count})
    else:
        click.echo(f"{count} entries removed from {store.directory}")


@cache.command("prune")
@click.option("--size", help="Keep at most so much: 500M. Default: the configured limit.")
@click.option("--older", help="Delete what was not used for so long: 30d, 12h, 90m.")
@as_json
def cache_prune(size: str | None, older: str | None, as_json: bool) -> None:
    """Delete the least recently used entries, and what dead processes left behind.

    What was used within the last ten minutes stays.
    """
    from jitops.cache.index import Index

    store = open_own_store()
    limit = store.limit
    if size is not None:
        limit = next(f for f in FIELDS if f.name == "cache_size").check(size, "--size")
    removed = store.remove_unused(_seconds(older)) if older is not None else 0
    removed += store.evict(limit)
    store.sweep()
    with Index(store) as index:
        index.recount()
    left = store.size()
    if as_json:
        print_json({"removed": removed, "size": left, "limit": limit})
    else:
        click.echo(f"{removed} entries removed; {size_text(left)} left in {store.directory}")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([dhms])", text.strip())
    if not found:
        raise ArgumentError(
            "--older is not a time", found=repr(text), accepted="30d, 12h, 90m, 10s"
        )
    return float(found[1]) * {"d": 86400, "h": 3600, "m": 60, "s": 1}[found[2]]


@cache.command("export")
@click.argument("archive", type=click.Path(dir_okay=False))
@click.argument("keys", nargs=-1)
@as_json
def cache_export(archive: str, keys: Sequence[str], as_json: bool) -> None:
    """Write entries to ARCHIVE (.tar, .tar.gz): all, or those whose digests start with KEYS."""
    from jitops.cache.archive import export_archive

    store = open_own_store()
    entries = [e for e in store.entries() if not keys or e.digest.startswith(tuple(keys))]
    count = export_archive(store, archive, entries)
    if as_json:
        print_json({"exported": count, "archive": archive})
    else:
        click.echo(f"{count} entries written to {archive}")


@cache.command("import")
@click.argument("archive", type=click.Path(exists=True, dir_okay=False))
@as_json
def cache_import(archive: str, as_json: bool) -> None:
    """Add the entries of ARCHIVE, each checked. They are code: import only what you would run."""
    from jitops.cache.archive import import_archive

    store = open_own_store()
    outcome = import_archive(store, archive)
    if as_json:
        refused = [{"member": name, "reason": reason} for name, reason in outcome.refused]
        print_json({"added": outcome.added, "known": outcome.known, "refused": refused})
    else:
        for name, reason in outcome.refused:
            click.echo(f"{name}: {reason}", err=True)
        told = f"{outcome.added} entries added, {outcome.known} known before"
        click.echo(f"{told}, {len(outcome.refused)} refused")
    if outcome.refused:
        sys.exit(1)


@cache.command("keygen")
@click.argument("key_file", type=click.Path(dir_okay=False))
def cache_keygen(key_file: str) -> None:
    """Make a key pair: KEY_FILE, to be kept secret, signs; KEY_FILE.pub is for `cache trust`."""
    from jitops.cache.trust import new_key

    _with_cryptography()
    click.echo(f"ed25519 {new_key(key_file)}")


@cache.command("sign")
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
@click.option("--key", required=True, type=click.Path(exists=True, dir_okay=False))
def cache_sign(directory: str, key: str) -> None:
    """Sign the entries of DIRECTORY with an Ed25519 private key (PEM file)."""
    from jitops.cache.trust import sign_directory

    _with_cryptography()
    count, public = sign_directory(directory, key)
    click.echo(f"{count} entries signed with ed25519 {public}")


@cache.command("trust")
@click.argument("key_file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--comment", default="", help="Whose key it is. Default: the file's name.")
@as_json
def cache_trust(key_file: str | None, comment: str, as_json: bool) -> None:
    """Trust read-only caches signed with KEY_FILE (a public key, PEM); without it, list."""
    from jitops.cache.trust import trust, trusted_keys

    store = open_own_store()
    if key_file is not None:
        _with_cryptography()
        trust(store, key_file, comment)
    keys = trusted_keys(store)
    if as_json:
        print_json({"dir": store.directory, "trusted": keys})
        return
    for public, note in keys.items():
        click.echo(f"ed25519 {public} {note}")


def _with_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise click.ClickException("signatures need `pip install 'jitops[trust]'`") from None
