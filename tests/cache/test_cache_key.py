from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from handmade import make_key
from hypothesis import given
from hypothesis import strategies as st

import jitops
from jitops.cache.key import PARTS, Key
from jitops.cache.sources import BUILD_FILE, ROOMS, compiler_digest

texts = st.fixed_dictionaries({name: st.text(max_size=8) for name in PARTS})


@given(texts, texts)
def test_digests_are_equal_exactly_when_the_parts_are(one: dict, other: dict) -> None:
    assert (Key(one).digest == Key(other).digest) == (one == other)


def test_text_that_moves_between_parts_changes_the_digest() -> None:
    assert make_key("ab", arguments="c").digest != make_key("a", arguments="bc").digest
    forged = "g\narguments 9\narguments"
    assert make_key(forged).digest != make_key("g").digest


def test_the_digest_is_the_same_on_every_machine_and_run() -> None:
    # Changing this value abandons every cache in the world: do it on purpose or not at all.
    digest = make_key("g").digest
    assert digest == "d1983feb4acd8f2403f37080a4c462c2a2eb031bc0a6eae6a59848008ec15ba6"


def test_missing_and_unknown_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="accepted"):
        Key({"graph": "g"})
    with pytest.raises(ValueError, match="accepted"):
        Key({**make_key().parts, "extra": ""})


def test_diff_names_the_parts_that_differ() -> None:
    ours, theirs = make_key(arguments="f32[8]"), make_key(arguments="f32[4]", target="other")
    differences = ours.diff(theirs)
    assert [d.part for d in differences] == ["arguments", "target"]
    assert (differences[0].ours, differences[0].theirs) == ("f32[8]", "f32[4]")
    assert ours.diff(make_key(arguments="f32[8]")) == []


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for room in ROOMS:
        path = tmp_path / room
        path.parent.mkdir(exist_ok=True)
        if room.endswith(".py"):
            path.write_text("pass\n")
        else:
            path.mkdir()
            (path / "__init__.py").write_text("")
            (path / "pass_one.py").write_text(f"{room!r}\n")
    (tmp_path / "api.py").write_text("pass\n")
    return tmp_path


@pytest.mark.parametrize("room", ROOMS)
def test_an_edit_anywhere_in_the_compiler_changes_its_digest(package: Path, room: str) -> None:
    before = compiler_digest(str(package))
    edited = package / room if room.endswith(".py") else package / room / "math" / "exp.py"
    edited.parent.mkdir(exist_ok=True)
    edited.write_text("edited\n")
    assert compiler_digest(str(package)) != before


def test_what_is_not_the_compiler_does_not_change_its_digest(package: Path) -> None:
    before = compiler_digest(str(package))
    (package / "api.py").write_text("edited\n")
    (package / "lower" / "__pycache__").mkdir()
    (package / "lower" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"x")
    assert compiler_digest(str(package)) == before


def test_the_build_fixes_the_digest_that_a_checkout_computes(package: Path) -> None:
    script = Path(jitops.__file__).parent / "cache" / "sources.py"
    computed = compiler_digest(str(package))
    output = package / "out.txt"
    subprocess.run([sys.executable, "-I", script, package, output], check=True)
    assert output.read_text().strip() == computed
    shutil.move(output, package / BUILD_FILE)
    (package / "pipeline.py").write_text("edited after the build\n")
    assert compiler_digest(str(package)) == computed


def test_this_checkout_has_a_digest() -> None:
    assert len(compiler_digest(os.path.dirname(jitops.__file__))) == 64
