from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from handmade import Children, make_artifact, make_key

from jitops.cache.artifact import Artifact
from jitops.cache.flight import Flights
from jitops.cache.store import STALE_S, Store
from jitops.errors import CompileError

HOST = ("avx2",)

# Waits for the start signal (a file), then asks for each key; says which ones it made itself.
ASK = """
from jitops.cache.flight import Flights
from jitops.cache.store import Store

store = Store(sys.argv[1])
flights = Flights(store, ("avx2",))
seconds, names, signal_file = float(sys.argv[2]), sys.argv[3].split(","), sys.argv[4]
import filelock
print("ready", flush=True)
while not os.path.exists(signal_file):
    time.sleep(0.001)

def producing(name):
    def produce():
        print("making", name, flush=True)
        time.sleep(seconds)
        return make_artifact(name)
    return produce

for name in names:
    artifact, made = flights.run(make_key(name), producing(name))
    assert artifact.image == make_artifact(name).image
    print("made" if made else "found", name, flush=True)
"""


def locks(store: Store) -> list[str]:
    return os.listdir(store.room("locks"))


def nothing() -> Artifact:
    raise AssertionError("was produced twice")


@pytest.mark.parametrize(
    ("processes", "keys"), [(8, 3), pytest.param(64, 50, marks=pytest.mark.long)]
)
def test_processes_that_start_together_make_each_key_once(
    store: Store, children: Children, tmp_path: Path, processes: int, keys: int
) -> None:
    names = ",".join(f"k{n}" for n in range(keys))
    go = tmp_path / "go"
    started = [children.start(ASK, store.directory, 0.1, names, go) for _ in range(processes)]
    for child in started:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    go.touch()
    lines = [line for child in started for line in children.finish(child).splitlines()]
    assert sorted(x for x in lines if x.startswith("made")) == sorted(
        f"made {name}" for name in names.split(",")
    )
    assert len([x for x in lines if x.startswith("found")]) == (processes - 1) * keys
    assert locks(store) == []
    assert os.listdir(store.room("tmp")) == []
    assert len(list(store.entries())) == keys


def test_when_the_holder_is_killed_another_takes_over_at_once(
    store: Store, children: Children, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    go.touch()
    holder = children.start(ASK, store.directory, 100, "k", go)
    assert holder.stdout is not None
    assert [holder.stdout.readline() for _ in range(2)] == ["ready\n", "making k\n"]
    waiters = [children.start(ASK, store.directory, 0.05, "k", go) for _ in range(3)]
    time.sleep(0.3)
    assert all(waiter.poll() is None for waiter in waiters)
    start = time.monotonic()
    os.kill(holder.pid, signal.SIGKILL)
    lines = [line for waiter in waiters for line in children.finish(waiter).splitlines()]
    assert time.monotonic() - start < 5
    assert lines.count("made k") == 1
    assert lines.count("found k") == 2
    assert locks(store) == []
    assert store.get(make_key("k"), HOST) is not None


def test_a_writer_killed_at_any_moment_leaves_whole_entries_only(
    store: Store, children: Children
) -> None:
    code = """
from jitops.cache.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
while True:
    store.put(make_artifact("g", size=300_000))
"""
    for round_number in range(3):
        writer = children.start(code, store.directory)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.01 + 0.017 * round_number)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        assert store.verify() == []
        assert all(e.size > 300_000 for e in store.entries())


def test_threads_of_one_process_make_a_key_once(store: Store) -> None:
    flights = Flights(store, HOST)
    made = []
    results = []

    def produce() -> Artifact:
        made.append(1)
        time.sleep(0.05)
        return make_artifact("k")

    def ask() -> None:
        results.append(flights.run(make_key("k"), produce))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert sorted(was_made for _, was_made in results) == [False] * 7 + [True]
    assert flights.run(make_key("k"), nothing)[1] is False
    assert locks(store) == []


def test_a_failure_reaches_all_who_waited_and_is_not_kept(store: Store) -> None:
    flights = Flights(store, HOST)
    failures = []

    def fail() -> Artifact:
        time.sleep(0.1)
        raise CompileError("no linker")

    def ask() -> None:
        try:
            flights.run(make_key("k"), fail)
        except CompileError as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 3
    assert flights.run(make_key("k"), lambda: make_artifact("k"))[1]
    assert locks(store) == []


def test_an_interrupted_leader_is_replaced_by_one_who_waited(store: Store) -> None:
    flights = Flights(store, HOST)
    leading = threading.Event()
    results = []

    def interrupted() -> Artifact:
        leading.set()
        time.sleep(0.1)
        raise KeyboardInterrupt

    def lead() -> None:
        with pytest.raises(KeyboardInterrupt):
            flights.run(make_key("k"), interrupted)

    def follow() -> None:
        leading.wait()
        results.append(flights.run(make_key("k"), lambda: make_artifact("k")))

    threads = [threading.Thread(target=lead), threading.Thread(target=follow)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0][1]


def test_the_wait_is_bounded_within_a_process(store: Store) -> None:
    flights = Flights(store, HOST)
    leading, release = threading.Event(), threading.Event()

    def slow() -> Artifact:
        leading.set()
        release.wait(10)
        return make_artifact("k")

    thread = threading.Thread(target=flights.run, args=(make_key("k"), slow))
    thread.start()
    leading.wait()
    start = time.monotonic()
    _, made = flights.run(make_key("k"), lambda: make_artifact("k"), wait_s=0.05)
    assert made
    assert time.monotonic() - start < 2
    release.set()
    thread.join()
    assert store.verify() == []


def test_the_wait_for_another_process_is_bounded(
    store: Store, children: Children, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    go = tmp_path / "go"
    go.touch()
    holder = children.start(ASK, store.directory, 100, "k", go)
    assert holder.stdout is not None
    assert [holder.stdout.readline() for _ in range(2)] == ["ready\n", "making k\n"]
    start = time.monotonic()
    _, made = Flights(store, HOST).run(make_key("k"), lambda: make_artifact("k"), wait_s=0.2)
    assert made
    assert time.monotonic() - start < 2
    assert "waited too long" in caplog.text
    assert store.get(make_key("k"), HOST) is not None


def test_a_producer_that_needs_its_own_key_does_not_wait_for_itself(store: Store) -> None:
    flights = Flights(store, HOST)

    def outer() -> Artifact:
        return flights.run(make_key("k"), lambda: make_artifact("k"))[0]

    assert flights.run(make_key("k"), outer)[1]


def test_where_locks_do_not_work_keys_are_made_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def unsupported(*arguments: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    assert Flights(store, HOST).run(make_key("k"), lambda: make_artifact("k"))[1]
    assert store.get(make_key("k"), HOST) is not None


def test_a_damaged_entry_is_made_anew(store: Store) -> None:
    store.put(make_artifact("k"))
    Path(store.path(make_key("k").digest)).write_bytes(b"torn")
    assert Flights(store, HOST).run(make_key("k"), lambda: make_artifact("k"))[1]
    assert store.get(make_key("k"), HOST) is not None


def test_an_artifact_under_the_wrong_key_is_not_published(store: Store) -> None:
    with pytest.raises(ValueError, match="was asked for"):
        Flights(store, HOST).run(make_key("k"), lambda: make_artifact("other"))
    assert list(store.entries()) == []
    assert locks(store) == []


def test_lock_files_of_the_dead_are_swept(store: Store) -> None:
    dead = Path(store.room("locks"), "0" * 64 + ".lock")
    dead.touch()
    past = time.time() - 2 * STALE_S
    os.utime(dead, (past, past))
    Flights(store, HOST).run(make_key("k"), lambda: make_artifact("k"))
    assert locks(store) == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_while_another_thread_compiles_does_not_hang_the_child(store: Store) -> None:
    flights = Flights(store, HOST)
    leading, release = threading.Event(), threading.Event()

    def slow() -> Artifact:
        leading.set()
        release.wait(10)
        return make_artifact("k")

    thread = threading.Thread(target=flights.run, args=(make_key("k"), slow))
    thread.start()
    leading.wait()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            flights.run(make_key("other"), lambda: make_artifact("other"))
            flights.run(make_key("k"), lambda: make_artifact("k"), wait_s=0.1)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    release.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert store.verify() == []


@pytest.mark.parametrize(
    ("processes", "rounds"), [(9, 1), pytest.param(24, 15, marks=pytest.mark.long)]
)
def test_killing_a_third_at_random_moments_spoils_nothing(
    store: Store, children: Children, tmp_path: Path, processes: int, rounds: int
) -> None:
    chance = random.Random(rounds)
    go = tmp_path / "go"
    go.touch()
    for round_number in range(rounds):
        names = ",".join(f"r{round_number}k{n}" for n in range(4))
        started = [children.start(ASK, store.directory, 0.03, names, go) for _ in range(processes)]
        victims = started[: processes // 3]
        for victim in chance.sample(victims, len(victims)):
            time.sleep(chance.uniform(0, 0.3))
            os.kill(victim.pid, signal.SIGKILL)
        for survivor in started[processes // 3 :]:
            answers = [x for x in children.finish(survivor).splitlines() if x[:3] != "rea"]
            assert sum(x.startswith(("made", "found")) for x in answers) == 4
        assert store.verify() == []
        assert len(list(store.entries())) == 4 * (round_number + 1)
        assert len(locks(store)) <= len(victims)  # of a victim, until its key is asked for again
    assert os.listdir(store.room("quarantine")) == []
