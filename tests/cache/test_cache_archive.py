"""Archives move entries between caches; what is in them decides no path and is checked."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from handmade import make_artifact, make_key

from jitops.cache.archive import export_archive, import_archive
from jitops.cache.artifact import encode
from jitops.cache.store import Store
from jitops.errors import CacheDamaged


def exported(store: Store, path: Path) -> int:
    return export_archive(store, str(path), list(store.entries()))


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_entries_arrive_whole_and_once(store: Store, tmp_path: Path, name: str) -> None:
    for graph in "abc":
        store.put(make_artifact(graph))
    assert exported(store, tmp_path / name) == 3
    other = Store(str(tmp_path / "other"))
    first, second = (import_archive(other, str(tmp_path / name)) for _ in range(2))
    assert (first.added, first.known, first.refused) == (3, 0, [])
    assert (second.added, second.known) == (0, 3)
    assert {e.digest for e in other.entries()} == {e.digest for e in store.entries()}
    assert other.get(make_key("b"), ["avx2"]) is not None


def test_the_same_entries_give_the_same_archive(store: Store, tmp_path: Path) -> None:
    store.put(make_artifact("a"))
    exported(store, tmp_path / "1.tar")
    exported(store, tmp_path / "2.tar")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def archive_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> str:
    with tarfile.open(path, "w") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


def link(name: str, kind: bytes, to: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member


def test_nothing_but_whole_artifacts_under_their_own_names_comes_in(
    store: Store, tmp_path: Path
) -> None:
    good, digest = encode(make_artifact("a")), make_key("a").digest
    wrong = "0" * 64
    members = [
        (tarfile.TarInfo("../../evil"), b"x"),
        (tarfile.TarInfo("/evil.jitop"), good),
        (tarfile.TarInfo(f"objects/../{digest}.jitop"), good),
        (tarfile.TarInfo(f"objects/{wrong}.jitop"), good),
        (tarfile.TarInfo(f"objects/{digest}.jitop"), good[:-1] + b"x"),
        (link(f"objects/{digest}.jitop", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (link(f"objects/{digest}.jitop", tarfile.LNKTYPE, "objects/other"), b""),
        (tarfile.TarInfo(f"objects/{make_key('b').digest}.jitop"), encode(make_artifact("b"))),
    ]
    before = sorted(p for p in tmp_path.rglob("*") if "cache" not in p.parts)
    outcome = import_archive(store, archive_of(tmp_path / "x.tar", *members))
    assert outcome.added == 1
    assert len(outcome.refused) == 7
    assert [e.digest for e in store.entries()] == [make_key("b").digest]
    after = sorted(p for p in tmp_path.rglob("*") if "cache" not in p.parts)
    assert [p for p in after if p not in before] == [tmp_path / "x.tar"]


def test_what_is_no_archive_or_cut_is_said_to_be_so(store: Store, tmp_path: Path) -> None:
    store.put(make_artifact("a", size=5000))
    exported(store, tmp_path / "a.tar.gz")
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes((tmp_path / "a.tar.gz").read_bytes()[:2000])
    (tmp_path / "no.tar").write_bytes(b"hello" * 200)
    for path in (cut, tmp_path / "no.tar"):
        with pytest.raises(CacheDamaged, match="archive"):
            import_archive(Store(str(tmp_path / "other")), str(path))


def test_a_damaged_entry_is_not_exported(store: Store, tmp_path: Path) -> None:
    store.put(make_artifact("a"))
    Path(store.path(make_key("a").digest)).write_bytes(b"torn")
    with pytest.raises(CacheDamaged):
        exported(store, tmp_path / "a.tar")
    assert not [name for name in os.listdir(tmp_path) if name.startswith("a.tar")]
