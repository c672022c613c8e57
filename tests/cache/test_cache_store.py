from __future__ import annotations

import logging
import os
import random
import stat
import tempfile
import threading
import time
from pathlib import Path

import pytest
from handmade import Children, make_artifact, make_key

from jitops.cache.store import KEPT_ASIDE, STALE_S, Store, open_store
from jitops.config import Config
from jitops.errors import CacheUntrusted

HOST = ("avx2",)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners: root only")


def test_what_is_put_is_got_by_every_process(store: Store, children: Children) -> None:
    made = make_artifact("g")
    assert store.get(made.key, HOST) is None
    assert store.put(made)
    assert store.has(made.key)
    found = store.get(made.key, HOST)
    assert found is not None
    assert found.image == made.image
    code = "print(Store(sys.argv[1]).get(make_key('g'), ('avx2',)).plan)"
    code = "from jitops.cache.store import Store\n" + code
    assert "cost_ns" in children.run(code, store.directory)


def test_a_look_up_needs_neither_locks_nor_index_nor_logging(
    store: Store, children: Children
) -> None:
    store.put(make_artifact("g"))
    code = """
from jitops.cache.store import Store
assert Store(sys.argv[1]).get(make_key("g"), ("avx2",)) is not None
print(*sys.modules)
"""
    loaded = set(children.run(code, store.directory).split())
    heavy = {"filelock", "diskcache", "sqlite3", "logging", "asyncio", "tvm", "click", "cpuinfo"}
    assert not loaded & (heavy | {"jitops.cache.flight", "jitops.cache.index"})


def test_entries_are_found_listed_and_removed(store: Store) -> None:
    digests = set()
    for number in range(5):
        made = make_artifact(f"g{number}")
        store.put(made)
        digests.add(made.key.digest)
    entries = list(store.entries())
    assert [e.digest for e in entries] == sorted(digests)
    assert store.size() == sum(Path(e.path).stat().st_size for e in entries)
    assert [e.digest for e in store.find(entries[0].digest[:10].upper())] == [entries[0].digest]
    assert store.load(entries[0]).key.digest == entries[0].digest
    assert store.remove(entries[0].digest)
    assert not store.remove(entries[0].digest)
    assert store.clear() == 4
    assert list(store.entries()) == []


def test_everything_is_made_private(store: Store) -> None:
    old = os.umask(0)
    try:
        store.put(make_artifact("g"))
        store.journal.write()
    finally:
        os.umask(old)
    for folder, _, files in os.walk(store.directory):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        for name in files:
            assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600


def corrupt(path: str, chance: random.Random) -> None:
    data = bytearray(Path(path).read_bytes())
    if chance.random() < 0.5:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    else:
        del data[chance.randrange(len(data)) :]
    Path(path).write_bytes(data)


@pytest.mark.parametrize("rounds", [60, pytest.param(10_000, marks=pytest.mark.long)])
def test_damage_is_set_aside_and_rebuilt_in_place(store: Store, rounds: int) -> None:
    chance = random.Random(rounds)
    made = make_artifact("g")
    for _ in range(rounds):
        store.put(made)
        corrupt(store.path(made.key.digest), chance)
        assert store.get(made.key, HOST) is None
        assert not store.has(made.key)
        store.put(made)
        assert store.get(made.key, HOST) is not None
    store.sweep()
    assert len(os.listdir(store.room("quarantine"))) == min(rounds, KEPT_ASIDE)


def test_damage_is_reported_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    made = make_artifact("g")
    for _ in range(3):
        store.put(made)
        Path(store.path(made.key.digest)).write_bytes(b"")
        assert store.get(made.key, HOST) is None
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "set aside" in warnings[0].getMessage()


def test_an_entry_for_another_cpu_stays_for_the_machines_it_suits(store: Store) -> None:
    made = make_artifact("g")
    store.put(made)
    assert store.get(made.key, ("sse2",)) is None
    assert store.get(made.key, HOST) is not None


def test_verify_names_the_damaged_and_repair_sets_them_aside(store: Store) -> None:
    good, bad, moved = (make_artifact(name) for name in ("good", "bad", "moved"))
    for made in (good, bad, moved):
        store.put(made)
    Path(store.path(bad.key.digest)).write_bytes(b"torn")
    wrong = store.path("ab" * 32)
    os.makedirs(os.path.dirname(wrong), 0o700, exist_ok=True)
    os.rename(store.path(moved.key.digest), wrong)
    problems = store.verify()
    assert {p.path for p in problems} == {store.path(bad.key.digest), wrong}
    assert len(list(store.entries())) == 3
    assert len(store.verify(repair=True)) == 2
    assert [e.digest for e in store.entries()] == [good.key.digest]
    assert store.verify() == []


def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    for mode in (0o777, 0o770, 0o1777):
        shared = tmp_path / oct(mode)
        shared.mkdir()
        shared.chmod(mode)
        with pytest.raises(CacheUntrusted, match="chmod go-w"):
            open_store(Config(str(shared)))
    inner = Store(str(tmp_path / "own"))
    os.chmod(inner.room("objects"), 0o777)
    with pytest.raises(CacheUntrusted, match="objects"):
        Store(inner.directory)


def test_a_file_that_others_can_write_is_refused(store: Store) -> None:
    made = make_artifact("g")
    store.put(made)
    os.chmod(store.path(made.key.digest), 0o666)
    with pytest.raises(CacheUntrusted, match="0666"):
        store.get(made.key, HOST)


@root_only
def test_what_belongs_to_others_is_refused(store: Store, tmp_path: Path) -> None:
    made = make_artifact("g")
    store.put(made)
    os.chown(store.path(made.key.digest), 12345, -1)
    with pytest.raises(CacheUntrusted, match="owner 12345"):
        store.get(made.key, HOST)
    os.chown(store.directory, 12345, -1)
    with pytest.raises(CacheUntrusted, match="JITOPS_CACHE_DIR"):
        Store(store.directory)


def test_links_and_odd_files_are_not_followed(store: Store, tmp_path: Path) -> None:
    made = make_artifact("g")
    store.put(made)
    path = Path(store.path(made.key.digest))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert store.get(made.key, HOST) is None
    path.unlink()
    os.mkfifo(path)
    assert store.get(made.key, HOST) is None
    path.unlink()
    path.mkdir()
    assert store.get(made.key, HOST) is None


FALLBACK = """
from jitops.cache.store import open_store
from jitops.config import Config
if os.geteuid() == 0 and len(sys.argv) > 2:
    import atexit, logging, shutil, tempfile  # another user may not be able to read them
    os.setuid(54321)
config = Config.from_environment(os.environ | {"JITOPS_CACHE_DIR": sys.argv[1]})
store = open_store(config)
assert store.put(make_artifact("g")) and store.get(make_key("g"), ("avx2",)) is not None
print(store.directory)
"""


@pytest.mark.parametrize("unusable", ["/dev/null/jitops", "/proc/jitops", "/sys/jitops"])
def test_an_unusable_directory_falls_back_to_a_temporary_one(
    children: Children, unusable: str
) -> None:
    child = children.start(FALLBACK, unusable)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert err.count("JITOPS_CACHE_DIR") == 1
    assert unusable in err
    assert not os.path.exists(out.strip())  # and it goes with the process


@pytest.mark.parametrize("prepared", [False, True])
def test_a_read_only_directory_falls_back_too(children: Children, prepared: bool) -> None:
    with tempfile.TemporaryDirectory() as open_to_all:  # tmp_path is root's, where root runs this
        os.chmod(open_to_all, 0o755)
        directory = Path(open_to_all, "readonly")
        directory.mkdir()
        if prepared:
            Store(str(directory)).put(make_artifact("shipped"))
            for folder, _, files in os.walk(directory):
                os.chmod(folder, 0o555)
                for name in files:
                    os.chmod(os.path.join(folder, name), 0o444)
        directory.chmod(0o555)
        code = FALLBACK + "print(store.get(make_key('shipped'), ('avx2',)) is not None)"
        child = children.start(code, directory, "as another user, where this is root")
        out, err = child.communicate(timeout=60)
        for folder, _, _ in os.walk(directory):
            os.chmod(folder, 0o755)
    assert child.returncode == 0, err
    assert err.count("JITOPS_CACHE_DIR") == 1
    assert out.split()[-1] == str(prepared)  # what can only be read is used


def test_a_full_disk_costs_the_saving_not_the_result(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    made = make_artifact("g")
    monkeypatch.setattr(os, "write", full)
    assert not store.put(made)
    assert not store.put(made)
    monkeypatch.undo()
    assert [r.levelno for r in caplog.records].count(logging.WARNING) == 1
    assert os.listdir(store.room("tmp")) == []
    assert store.get(made.key, HOST) is None


def test_a_directory_deleted_under_a_running_program_comes_back(store: Store) -> None:
    import shutil

    shutil.rmtree(store.directory)
    made = make_artifact("g")
    assert store.get(made.key, HOST) is None
    assert store.put(made)
    assert store.get(made.key, HOST) is not None


def test_readers_never_see_half_an_entry(store: Store) -> None:
    made = make_artifact("g", size=200_000)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.put(made)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        while not store.has(made.key):
            time.sleep(0.001)
        for _ in range(100):
            assert store.get(made.key, HOST) is not None
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert os.listdir(store.room("quarantine")) == []


def test_the_least_recently_used_go_and_the_recent_stay(store: Store) -> None:
    now = time.time()
    names = [f"g{n}" for n in range(6)]
    for age, name in enumerate(names):
        made = make_artifact(name)
        store.put(made)
        used = now - 10_000 * (age + 1)
        os.utime(store.path(made.key.digest), (used, used))
    store.put(make_artifact("fresh"))
    store.get(make_key("g5"), HOST)  # the oldest is used again
    each = store.size() // 7
    store.evict(3 * each + 50)
    left = {name for name in [*names, "fresh"] if store.has(make_key(name))}
    assert left == {"g0", "g5", "fresh"}
    store.evict(0)
    assert {name for name in names if store.has(make_key(name))} == {"g5"}


def test_a_clock_that_was_set_back_does_not_stop_eviction(store: Store) -> None:
    made = make_artifact("g")
    store.put(made)
    future = time.time() + 1e7
    os.utime(store.path(made.key.digest), (future, future))
    assert store.evict(0) == 1


def test_leftovers_of_killed_writers_are_swept(store: Store) -> None:
    old, new = Path(store.room("tmp"), "old"), Path(store.room("tmp"), "new")
    taken = Path(store.room("journal.123"))
    for path in (old, new, taken):
        path.write_text("half")
    past = time.time() - 2 * STALE_S
    os.utime(old, (past, past))
    os.utime(taken, (past, past))
    store.sweep()
    assert (old.exists(), new.exists(), taken.exists()) == (False, True, False)


@pytest.mark.long
def test_a_look_up_among_100_000_entries_takes_200_microseconds(store: Store) -> None:
    for shard in range(256):
        folder = Path(store.room("objects"), f"{shard:02x}")
        folder.mkdir(0o700)
        for number in range(400):
            (folder / f"{shard:02x}{number:062x}.jitop").touch()
    for number in range(100):
        store.put(make_artifact(f"g{number}", size=5000))
    times = []
    for number in range(100):
        start = time.perf_counter()
        assert store.get(make_key(f"g{number}"), HOST) is not None
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    Store(store.directory)
    opened = time.perf_counter() - start
    print(f"look-up {sorted(times)[50] * 1e6:.0f} us, opening the store {opened * 1e6:.0f} us")
    assert sorted(times)[50] < 200e-6
    assert opened < 5e-3
