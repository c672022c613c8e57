"""Read-only caches: what a trusted key has signed is used, and nothing else."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from handmade import make_artifact, make_key

from jitops.cache.store import Store, open_store
from jitops.cache.trust import new_key, sign_directory, trust, trusted_keys
from jitops.config import Config
from jitops.errors import ArgumentError, CacheUntrusted

pytest.importorskip("cryptography")


@pytest.fixture
def tier(tmp_path: Path) -> Path:
    """A directory with one entry, "g", signed with the key in tmp_path/key."""
    directory = tmp_path / "tier"
    Store(str(directory)).put(make_artifact("g"))
    new_key(str(tmp_path / "key"))
    assert sign_directory(str(directory), str(tmp_path / "key"))[0] == 1
    return directory


def opened(tmp_path: Path, *tiers: Path) -> Store:
    return open_store(Config(str(tmp_path / "own"), cache_readonly=tuple(map(str, tiers))))


def trusting(tmp_path: Path, tier: Path) -> Store:
    store = opened(tmp_path, tier)
    trust(store, str(tmp_path / "key.pub"), "the build server")
    return store


def test_a_signed_entry_is_used_once_its_key_is_trusted(
    tmp_path: Path, tier: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "jitops"):
        for _ in range(2):
            assert opened(tmp_path, tier).get(make_key("g"), ["avx2"]) is None
        store = trusting(tmp_path, tier)
        assert store.get(make_key("g"), ["avx2"]) is not None
        assert store.get(make_key("h"), ["avx2"]) is None
    assert len(caplog.messages) == 2  # one for each store that did not trust
    assert "not trusted" in caplog.messages[0]
    assert list(trusted_keys(store).values()) == ["the build server"]


def test_others_may_own_and_write_the_directory(tmp_path: Path, tier: Path) -> None:
    os.chmod(tier, 0o777)
    path = Store.path(trusting(tmp_path, tier), make_key("g").digest)
    assert not os.path.exists(path)
    for root, _, names in os.walk(tier):
        for name in names:
            os.chmod(os.path.join(root, name), 0o666)
    assert opened(tmp_path, tier).get(make_key("g"), ["avx2"]) is not None


def alter(tier: Path, suffix: str, place: int) -> None:
    (path,) = tier.glob(f"objects/*/*{suffix}")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("suffix", "place", "told"),
    [
        (".jitop", 10, "digest"),
        (".sig", 0, "not trusted"),
        (".sig", 40, "wrong"),
        (".sig", 95, "wrong"),
    ],
)
def test_what_was_altered_is_ignored_with_one_line(
    tmp_path: Path,
    tier: Path,
    suffix: str,
    place: int,
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = trusting(tmp_path, tier)
    alter(tier, suffix, place)
    with caplog.at_level(logging.WARNING, "jitops"):
        for _ in range(3):
            assert store.get(make_key("g"), ["avx2"]) is None
    (said,) = caplog.messages
    assert told in said


def test_a_signature_of_another_entry_does_not_count(tmp_path: Path, tier: Path) -> None:
    Store(str(tier)).put(make_artifact("other"))
    signature = next(tier.glob("objects/*/*.sig")).read_bytes()
    for path in tier.glob("objects/*/*.jitop"):
        path.with_name(path.name + ".sig").write_bytes(signature)
    store = trusting(tmp_path, tier)
    assert store.get(make_key("g"), ["avx2"]) is not None
    assert store.get(make_key("other"), ["avx2"]) is None


def test_unsigned_and_cut_signatures_are_ignored(tmp_path: Path, tier: Path) -> None:
    store = trusting(tmp_path, tier)
    (path,) = tier.glob("objects/*/*.sig")
    path.write_bytes(path.read_bytes()[:-1])
    assert store.get(make_key("g"), ["avx2"]) is None
    path.unlink()
    assert store.get(make_key("g"), ["avx2"]) is None


def test_an_entry_for_another_cpu_is_a_miss(tmp_path: Path, tier: Path) -> None:
    assert trusting(tmp_path, tier).get(make_key("g"), []) is None


def test_a_list_of_keys_that_others_can_write_is_refused(tmp_path: Path, tier: Path) -> None:
    store = trusting(tmp_path, tier)
    os.chmod(os.path.join(store.directory, "trusted"), 0o666)
    with pytest.raises(CacheUntrusted):
        store.get(make_key("g"), ["avx2"])


def test_a_tier_is_never_written(tmp_path: Path, tier: Path) -> None:
    store = trusting(tmp_path, tier)
    before = sorted(tier.rglob("*"))
    store.put(make_artifact("h"))
    store.get(make_key("g"), ["avx2"])
    store.evict(0)
    assert sorted(tier.rglob("*")) == before


def test_keys_that_are_none_are_refused(tmp_path: Path, tier: Path) -> None:
    (tmp_path / "no.pem").write_text("hello")
    with pytest.raises(ArgumentError, match=r"no\.pem"):
        sign_directory(str(tier), str(tmp_path / "no.pem"))
    with pytest.raises(ArgumentError, match=r"no\.pem"):
        trust(opened(tmp_path), str(tmp_path / "no.pem"))
    with pytest.raises(ArgumentError, match="already"):
        new_key(str(tmp_path / "key"))
    assert os.stat(tmp_path / "key").st_mode & 0o777 == 0o600


def test_cryptography_is_not_imported_without_a_tier(tmp_path: Path) -> None:
    code = (
        "import sys; from jitops.cache.store import open_store; from jitops.config import Config; "
        f"open_store(Config({str(tmp_path / 'c')!r})); "
        "print('cryptography' in sys.modules, 'jitops.cache.trust' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
