"""Many processes, kills, damage and full disks: what a cache of a service has to survive."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from handmade import Children, make_artifact, make_key

from jitops.cache.artifact import Artifact
from jitops.cache.flight import Flights
from jitops.cache.index import Index
from jitops.cache.store import KEPT_ASIDE, Store
from jitops.log import Log

HOST = ("avx2",)

# A process that wants keys, in an order of its own, and "compiles" what is missing in a moment.
WANT = """
import random
from jitops.cache.flight import Flights
from jitops.cache.store import Store
store = Store(sys.argv[1])
flights = Flights(store, ["avx2"])
chance = random.Random(int(sys.argv[4]))
names = sys.argv[3].split(",")
chance.shuffle(names)
def producing(name):
    def produce():
        time.sleep(float(sys.argv[2]))
        return make_artifact(name, size=20_000)
    return produce
for name in names:
    artifact, made = flights.run(make_key(name), producing(name))
    assert artifact.image == make_artifact(name, size=20_000).image
    if made:
        print("made", name, flush=True)
print("end", flush=True)
"""


@pytest.mark.parametrize(
    ("processes", "keys"), [(8, 10), pytest.param(64, 50, marks=pytest.mark.long)]
)
def test_each_key_is_compiled_once_whoever_asks(
    store: Store, children: Children, processes: int, keys: int
) -> None:
    names = ",".join(f"k{n}" for n in range(keys))
    started = [children.start(WANT, store.directory, 0.02, names, n) for n in range(processes)]
    lines = [line for child in started for line in children.finish(child).splitlines()]
    assert sorted(x for x in lines if x != "end") == sorted(f"made {x}" for x in names.split(","))
    assert lines.count("end") == processes
    assert os.listdir(store.room("locks")) == []


@pytest.mark.parametrize(
    ("processes", "kills"), [(6, 4), pytest.param(24, 1000, marks=pytest.mark.long)]
)
def test_kills_at_random_moments_cost_nothing_but_their_own_work(
    store: Store, children: Children, processes: int, kills: int
) -> None:
    chance = random.Random(kills)
    done = 0
    while done < kills:
        names = ",".join(f"r{done}k{n}" for n in range(5))
        started = [children.start(WANT, store.directory, 0.01, names, n) for n in range(processes)]
        begun = time.monotonic()
        for victim in started[: processes // 3]:
            time.sleep(chance.uniform(0, 0.25))
            os.kill(victim.pid, signal.SIGKILL)
            done += 1
        for survivor in started[processes // 3 :]:
            assert children.finish(survivor).splitlines()[-1] == "end"
        assert time.monotonic() - begun < 60  # no wait near its bound of two minutes
        assert store.verify() == []
        for child in children.running:
            child.communicate()
        children.running.clear()
    assert os.listdir(store.room("quarantine")) == []
    assert len(os.listdir(store.room("locks"))) <= done
    past = time.time() - 7200
    for room in ("locks", "tmp"):
        for name in os.listdir(store.room(room)):
            os.utime(os.path.join(store.room(room), name), (past, past))
    Flights(store, HOST).run(make_key("last"), lambda: make_artifact("last"))
    store.sweep()
    assert os.listdir(store.room("locks")) == []
    assert os.listdir(store.room("tmp")) == []


def damage(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data and chance.random() < 0.7:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    else:
        del data[chance.randrange(len(data) + 1) :]
    path.write_bytes(data)


@pytest.mark.parametrize("rounds", [150, pytest.param(10_000, marks=pytest.mark.long)])
def test_all_damage_is_found_and_repaired(tmp_path: Path, rounds: int) -> None:
    store = Store(str(tmp_path / "cache"), Log("off"))
    chance = random.Random(rounds)
    names = [f"g{n}" for n in range(4)]
    for name in names:
        store.put(make_artifact(name))
    with Index(store) as index:
        index.rebuild()
    good = {name: Path(store.path(make_key(name).digest)).read_bytes() for name in names}
    for _ in range(rounds):
        name = chance.choice(names)
        path = Path(store.path(make_key(name).digest))
        damage(path, chance)
        changed = path.read_bytes() != good[name]
        if chance.random() < 0.1:
            for file in Path(store.room("index")).glob("cache.db*"):
                damage(file, chance)
        found = store.get(make_key(name), HOST)
        assert (found is None) == changed
        artifact, made = Flights(store, HOST).run(make_key(name), lambda n=name: make_artifact(n))
        assert made == changed
        assert artifact.image == make_artifact(name).image
        if chance.random() < 0.02:
            with Index(store) as index:
                index.totals()
            store.sweep()
    store.sweep()
    assert store.verify() == []
    assert len(os.listdir(store.room("quarantine"))) <= KEPT_ASIDE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system is not allowed here")
    yield place
    gc.collect()  # a database that could not be made is closed when it is collected
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_on_a_full_disk_results_are_right_and_nothing_is_torn(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(str(small_disk / "cache"))
    flights = Flights(store, HOST)
    with caplog.at_level("WARNING", "jitops"):
        for number in range(20):
            name = f"g{number}"
            made = make_artifact(name, size=30_000)
            assert flights.run(make_key(name), lambda a=made: a)[0].image == made.image
    assert len([m for m in caplog.messages if "cannot be saved" in m]) == 1
    assert store.verify() == []
    assert os.listdir(store.room("tmp")) == []
    assert 0 < len(list(store.entries())) < 20
    store.settle()
    assert store.clear()
    assert store.put(make_artifact("again"))


@pytest.mark.parametrize("forks", [10, pytest.param(500, marks=pytest.mark.long)])
def test_a_fork_at_any_moment_leaves_parent_and_child_at_work(store: Store, forks: int) -> None:
    chance = random.Random(forks)
    flights = Flights(store, HOST)
    stop = threading.Event()
    failed: list[Any] = []

    def work(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            name = f"w{worker}n{number}"
            try:
                flights.run(make_key(name), lambda n=name: make_artifact(n))
                store.remove(make_key(name).digest)
            except Exception as error:
                failed.append(error)
                return

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(forks):
            time.sleep(chance.uniform(0, 0.01))
            child = os.fork()
            if child == 0:
                _child(flights, number)
            deadline = time.monotonic() + 30
            while os.waitpid(child, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    os.kill(child, signal.SIGKILL)
                    pytest.fail("a forked child hangs")
                time.sleep(0.002)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert store.verify() == []


def _child(flights: Flights, number: int) -> None:
    status = 1
    try:
        made: Artifact = make_artifact(f"c{number}")
        flights.run(made.key, lambda: made)
        status = 0
    finally:
        os._exit(status)
