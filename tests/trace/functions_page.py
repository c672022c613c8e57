"""docs/functions.md, made from the tables: `python tests/trace/functions_page.py` writes it."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from coverage import HOST, NATIVE, NOT, WHILE_TRACING, public, ways

from jitops import nn
from jitops.trace.functions import HOME
from jitops.trace.intercept import MODULES
from jitops.trace.refused import METHODS, REFUSED
from jitops.trace.special import RULES as SPECIAL

PAGE = Path(__file__).parents[2] / "docs" / "functions.md"

HEAD = """# Functions

Made from jitops' tables by `python tests/trace/functions_page.py`; a test compares.

Arrays have all of ndarray's operators, indexing with ints, slices, `...`, `None`, integer arrays
and
masks, and the methods that are named after the functions below.
"""


def _listed(names: list[str]) -> str:
    text = ", ".join(f"`{name}`" for name in names)
    lines = textwrap.wrap(text, 118, break_on_hyphens=False, break_long_words=False)
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page."""
    found: dict[str, list[str]] = {NATIVE: [], HOST: [], WHILE_TRACING: [], NOT: []}
    for name, function in public():
        for way in ways(name, function):
            found[way].append(name)
    dotted = {home: sorted(n for n in HOME if "." in n and (HOME[n] == "hosted") == home)
              for home in (True, False)}  # fmt: skip
    parts = [
        HEAD,
        "## Compiled\n",
        "Of `np`; ufuncs with `out=`, `where=`, `dtype=` and all methods:\n",
        _listed(found[NATIVE]),
        "Of its modules:\n",
        _listed([*dotted[False], *_module_functions("numpy.")]),
        "Of `scipy.special`, where the program has imported it:\n",
        _listed(sorted([*SPECIAL, *MODULES["scipy.special"]])),
        "Of [`jitops.nn`](neural-networks.md):\n",
        _listed(sorted(nn.__all__)),
        "## Host steps\n",
        "They run in NumPy between kernels; `op.explain` lists them, and `strict` refuses them:\n",
        _listed([*found[HOST], *dotted[True]]),
        "## Computed while tracing\n",
        "They take shapes, dtypes and Python numbers alone:\n",
        _listed(found[WHILE_TRACING]),
        "## Refused\n",
        "An error names the function, the line and the way out.\n",
        "| function | reason and way out |\n| --- | --- |",
        *_rows("", REFUSED),
        *_rows("ndarray.", METHODS),
    ]
    return "\n".join(parts) + "\n"


def _module_functions(start: str) -> list[str]:
    return [
        f"{module.removeprefix(start)}.{name}"
        for module, names in MODULES.items()
        for name in names
        if module.startswith(start + "polynomial")
    ]


def _rows(owner: str, table: dict[str, str]) -> list[str]:
    """A row for each reason, with its functions."""
    rows = []
    for reason in dict.fromkeys(table.values()):
        names = ", ".join(f"`{owner}{n}`" for n, r in table.items() if r == reason)
        rows.append(f"| {names} | {reason} |")
    return rows


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
