"""How the command line prints: tables, JSON, sizes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from jitops.config import Settings

if TYPE_CHECKING:
    from jitops.cache.store import Store

__all__ = ["as_json", "hit_rate", "open_own_store", "print_json", "print_table", "size_text"]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def open_own_store() -> Store:
    """Open the configured store itself: a temporary one in its place would only mislead."""
    from jitops.cache.store import Store
    from jitops.log import Log

    config = Settings().current()
    return Store(config.cache_dir, Log(config.log), config.cache_size)


def print_json(data: object) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(data, indent=2, default=str))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; whole lines where no terminal cuts them."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False)  # float32[8] is not markup
    if not console.is_terminal:
        console.width = 1000  # whole lines for grep
    console.print(table)


def size_text(count: float) -> str:
    """Return a number of bytes as people write it."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1000
    return f"{count:.3g} GB"


def hit_rate(totals: dict[str, Any]) -> str:
    """Return how many look-ups found something, or nothing where none was made."""
    asked = totals["loads"] + totals["compiles"]
    return f"; {totals['loads'] / asked:.0%} of {asked} look-ups found" if asked else ""
