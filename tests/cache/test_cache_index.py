from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from handmade import Children, make_artifact, make_key

from jitops.cache.index import Index
from jitops.cache.journal import LONGEST
from jitops.cache.store import Store

HOST = ("avx2",)


def used(store: Store) -> None:
    store.put(make_artifact("g", name="gelu", compile_ms=30.0))
    store.get(make_key("g"), HOST)
    store.get(make_key("g"), HOST)
    store.journal.write()


def test_loads_and_compiles_are_counted_across_processes(store: Store, children: Children) -> None:
    code = """
from jitops.cache.store import Store
store = Store(sys.argv[1])
if store.get(make_key("g"), ("avx2",)) is None:
    store.put(make_artifact("g", name="gelu", compile_ms=30.0))
"""
    for _ in range(3):
        children.run(code, store.directory)
    with Index(store) as index:
        entry = index.entry(make_key("g").digest)
        assert (entry["loads"], entry["compiles"], entry["ms"]) == (2, 1, 30.0)
        assert entry["name"] == "gelu"
        assert index.totals() == {"loads": 2, "compiles": 1, "ms": 30.0, "bytes": store.size()}


def test_an_index_that_was_deleted_is_made_anew(store: Store) -> None:
    used(store)
    with Index(store):
        pass
    shutil.rmtree(store.room("index"))
    with Index(store) as index:
        assert index.totals()["bytes"] == store.size()
        assert index.rebuild() == 1
        assert index.entry(make_key("g").digest)["name"] == "gelu"


@pytest.mark.parametrize("rounds", [10, pytest.param(1000, marks=pytest.mark.long)])
def test_a_damaged_index_never_raises_and_never_matters(store: Store, rounds: int) -> None:
    chance = random.Random(rounds)
    used(store)
    with Index(store):
        pass
    for _ in range(rounds):
        for name in os.listdir(store.room("index")):
            path = Path(store.room("index"), name)
            data = bytearray(path.read_bytes())
            for _ in range(40):
                data[chance.randrange(len(data))] = chance.randrange(256)
            path.write_bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)
        with Index(store) as index:
            index.totals()
            assert index.fact("cpu", lambda: "a CPU")
        assert store.get(make_key("g"), HOST) is not None
        store.settle()


def test_lines_that_are_not_whole_are_skipped(store: Store) -> None:
    used(store)
    line = json.dumps(
        {"digest": "0" * 64, "loads": -1, "compiles": 0, "ms": 0, "size": 0, "name": ""}
    )
    bad = ["", "{", "[]", "null", '{"digest": 1}', line, line.replace("-1", "1e400"), "[" * 9999]
    with open(store.journal.path, "ab") as file:
        file.write("\n".join(bad).encode() + b"\xff\n")
    with Index(store) as index:
        assert index.totals()["loads"] == 2


def test_a_journal_that_nobody_reads_stops_growing(store: Store) -> None:
    Path(store.journal.path).write_bytes(b"\n" * LONGEST)
    used(store)
    assert Path(store.journal.path).stat().st_size == LONGEST


class Planted:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("place", ["value", "key", "file"])
def test_a_planted_pickle_is_never_loaded(store: Store, tmp_path: Path, place: str) -> None:
    used(store)
    with Index(store):
        pass
    proof = tmp_path / "the pickle ran"
    attack = pickle.dumps(Planted(proof))
    digest = make_key("g").digest
    row = {
        "value": (f"entry:{digest}", 1, 4, None, attack),
        "key": (attack, 0, 1, None, "{}"),
        "file": (f"entry:{digest}", 1, 4, "planted.val", None),
    }[place]
    Path(store.room("index"), "planted.val").write_bytes(attack)
    with sqlite3.connect(Path(store.room("index"), "cache.db")) as database:
        database.execute("DELETE FROM Cache WHERE key = ?", (f"entry:{digest}",))
        database.execute(
            "INSERT INTO Cache(key, raw, store_time, access_time, size, mode, filename, value)"
            " VALUES (?, ?, 0, 0, 0, ?, ?, ?)",
            row,
        )
    database.close()
    with Index(store) as index:
        index.entry(digest)
        index.totals()
        index.rebuild()
    assert not proof.exists()


def test_above_the_limit_the_oldest_go_when_the_process_ends(
    store: Store, children: Children
) -> None:
    for number in range(6):
        store.put(make_artifact(f"g{number}"))
        past = time.time() - 10_000 * (number + 1)
        os.utime(store.path(make_key(f"g{number}").digest), (past, past))
    each = store.size() // 6
    code = """
from jitops.cache.store import Store
Store(sys.argv[1], limit=int(sys.argv[2])).put(make_artifact("new"))
"""
    children.run(code, store.directory, 5 * each)
    assert store.has(make_key("new"))
    assert not store.has(make_key("g5"))
    assert store.size() <= 5 * each
    with Index(store) as index:
        assert index.totals()["bytes"] == store.size()


def test_facts_are_found_out_once(store: Store) -> None:
    def again() -> str:
        raise AssertionError("found out twice")

    with Index(store) as index:
        assert index.fact("cpu", lambda: "Zen") == "Zen"
    with Index(store) as index:
        assert index.fact("cpu", again) == "Zen"


def test_an_index_that_cannot_be_written_is_kept_in_passing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(store.room("index")).write_text("in the way")
    with Index(store) as index:
        assert index.fact("cpu", lambda: "Zen") == "Zen"
        assert index.totals()["loads"] == 0
