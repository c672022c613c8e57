"""The README's two commands stand there exactly, and do what they say from a clean clone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jitops

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (
    "python -m pip install '.[examples]' && python examples/quickstart.py",
    "python -m pip install '.[test]' && python -m pytest",
)


def test_both_commands_stand_on_lines_of_their_own() -> None:
    lines = [line.strip() for line in README.splitlines()]
    assert [line for line in lines if "pip install" in line] == list(COMMANDS)


def test_ci_runs_the_second_command_as_the_readme_gives_it() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert COMMANDS[1].partition(" && ")[0] in script
    assert "README.md" in script


def test_links_lead_to_files() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_code_sample_runs(tmp_path: Path) -> None:
    sample = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    names: dict[str, Any] = {"__name__": "readme"}
    with jitops.options(cache_dir=str(tmp_path / "cache")):
        exec(compile(sample, "README.md", "exec"), names)
    assert names["gelu"].stats() == {"hits": 1, "misses": 1, "compiles": 1, "loads": 0}
