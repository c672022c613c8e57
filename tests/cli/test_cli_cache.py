from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jitops.cache.artifact import Artifact
from jitops.cache.key import PARTS, Key
from jitops.cache.store import Store
from jitops.cli import main


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = str(tmp_path / "cache")
    monkeypatch.setenv("JITOPS_CACHE_DIR", path)
    return path


@pytest.fixture
def store(directory: str) -> Store:
    store = Store(directory)
    for name in ("gelu", "softmax"):
        key = Key({**{part: part for part in PARTS}, "graph": f"graph of {name}"})
        meta = {"name": name, "compile_ms": 25.0}
        store.put(Artifact(key, b"\x7fELF code", {"name": name}, ("avx2",), meta))
    store.journal.write()
    return store


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == status, result.output
    return result


def data(*arguments: str, status: int = 0) -> dict:
    return json.loads(run(*arguments, "--json", status=status).stdout)


def test_dir_prints_the_directory_without_making_it(directory: str) -> None:
    assert run("cache", "dir").output.strip() == directory
    assert data("cache", "dir") == {"dir": directory}
    assert not os.path.exists(directory)


def test_ls_lists_every_entry(store: Store) -> None:
    listed = data("cache", "ls")
    assert {row["name"] for row in listed["entries"]} == {"gelu", "softmax"}
    assert {row["key"] for row in listed["entries"]} == {e.digest for e in store.entries()}
    assert sum(row["size"] for row in listed["entries"]) == store.size()
    text = run("cache", "ls").output
    assert "gelu" in text
    assert "2 entries" in text


def test_an_empty_cache_is_listed_as_such(directory: str) -> None:
    assert data("cache", "ls")["entries"] == []
    assert "0 entries" in run("cache", "ls").output


def test_show_takes_the_start_of_a_key(store: Store) -> None:
    digest = next(iter(store.entries())).digest
    shown = data("cache", "show", digest[:8])
    assert shown["key"] == digest
    assert shown["parts"]["graph"].startswith("graph of")
    assert shown["features"] == ["avx2"]
    assert "[graph]" in run("cache", "show", digest).output


def test_show_says_when_there_is_no_such_key(store: Store) -> None:
    assert "0 entries" in run("cache", "show", "zz", status=1).output
    assert "2 entries" in run("cache", "show", "", status=1).output


def test_verify_fails_for_damage_and_repairs_it(store: Store) -> None:
    assert data("cache", "verify") == {"checked": 2, "problems": [], "repaired": False}
    path = next(iter(store.entries())).path
    Path(path).write_bytes(b"torn")
    assert [p["path"] for p in data("cache", "verify", status=1)["problems"]] == [path]
    assert path in run("cache", "verify", status=1).output
    assert "1 damaged set aside" in run("cache", "verify", "--repair").output
    assert data("cache", "verify")["checked"] == 1


def test_clear_removes_every_entry(store: Store) -> None:
    assert data("cache", "clear") == {"removed": 2}
    assert list(store.entries()) == []
    assert "0 entries" in run("cache", "clear").output


def test_a_directory_that_others_can_write_is_refused_with_the_fix(directory: str) -> None:
    os.mkdir(directory)
    os.chmod(directory, 0o777)
    output = run("cache", "ls", status=1).output
    assert "chmod go-w" in output
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o777


def test_a_bad_setting_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JITOPS_CACHE_SIZE", "huge")
    assert "JITOPS_CACHE_SIZE" in run("cache", "ls", status=2).output


def test_an_unusable_directory_is_an_error_here_not_a_fallback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JITOPS_CACHE_DIR", "/dev/null/jitops")
    assert "/dev/null" in run("cache", "ls", status=1).output


def test_info_names_target_cache_threads_and_versions(store: Store) -> None:
    told = data("info")
    assert told["cpu"]["brand"]
    assert told["threads"]["threads"] >= 1
    assert told["threads"]["threading"] == "auto"
    assert told["cache"]["entries"] == 2
    assert told["versions"]["numpy"]
    assert told["config"]["cache_dir"] == store.directory
    assert "versions:" in run("info").output


def test_every_command_explains_itself() -> None:
    for command in ("warm", "cache", "info"):
        assert command in run("--help").output
        assert "Usage" in run(command, "--help").output


def test_entries_travel_as_an_archive(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = str(tmp_path / "ops.tar.gz")
    assert data("cache", "export", archive)["exported"] == 2
    monkeypatch.setenv("JITOPS_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert data("cache", "import", archive) == {"added": 2, "known": 0, "refused": []}
    assert "2 known before" in run("cache", "import", archive).output
    Path(archive).write_bytes(b"no")
    assert "archive" in run("cache", "import", archive, status=1).output


def test_prune_deletes_what_was_not_used_lately(store: Store) -> None:
    first, second = store.entries()
    os.utime(first.path, (1e9, 1e9))
    assert data("cache", "prune", "--older", "1d")["removed"] == 1
    os.utime(second.path, (1e9, 1e9))
    assert data("cache", "prune", "--size", "1G")["removed"] == 0
    assert "1 entries removed" in run("cache", "prune", "--size", "0").output
    assert "--older" in run("cache", "prune", "--older", "long ago", status=2).output
    assert "--size" in run("cache", "prune", "--size", "big", status=2).output


def test_a_directory_is_signed_and_its_key_trusted(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    key = str(tmp_path / "key")
    public = run("cache", "keygen", key).output.split()[1]
    assert "2 entries signed" in run("cache", "sign", store.directory, "--key", key).output
    assert data("cache", "trust")["trusted"] == {}
    assert data("cache", "trust", key + ".pub")["trusted"] == {public: "key.pub"}
    assert public in run("cache", "trust").output
    assert "cannot be read" in run("cache", "trust", key, status=2).output
