from __future__ import annotations

from pathlib import Path

from handmade import make_key

from jitops.cache.artifact import Artifact
from jitops.cache.explain import describe, nearest
from jitops.cache.key import Key
from jitops.cache.store import Store


def put(store: Store, **parts: str) -> Key:
    key = make_key(**parts)
    store.put(Artifact(key, b"code", {}))
    return key


def test_the_nearest_key_is_the_same_op_with_other_arguments(store: Store) -> None:
    put(store, graph="other op", arguments="x float32[8]")
    same = put(store, graph="this op", arguments="x float32[4]")
    put(store, graph="this op", arguments="x float32[4]", target="older machine")
    asked = make_key("this op", arguments="x float32[8]")
    found = nearest(store, asked)
    assert found == same
    assert describe(asked.diff(same)) == ["arguments: x float32[8] now, x float32[4] stored"]


def test_only_the_lines_that_differ_are_told() -> None:
    ours = make_key("a\nb\nc", arguments="x" * 500)
    theirs = make_key("a\nc\nd", arguments="y")
    lines = describe(ours.diff(theirs))
    assert lines[:2] == ["graph: b now, nothing stored", "graph: nothing now, d stored"]
    assert len(lines[2]) < 200


def test_an_empty_or_damaged_store_has_no_nearest(store: Store) -> None:
    assert nearest(store, make_key()) is None
    key = put(store, graph="g")
    Path(store.path(key.digest)).write_bytes(b"torn")
    assert nearest(store, make_key()) is None


def test_machines_differ_in_named_features() -> None:
    ours = make_key(target="triple cpu=znver4 features=avx2,avx512f,fma")
    theirs = make_key(target="triple cpu=haswell features=avx2,bmi,fma")
    assert describe(ours.diff(theirs)) == [
        "target: cpu=znver4 avx512f only now",
        "target: cpu=haswell bmi only stored",
    ]


def test_a_graph_that_differs_everywhere_is_cut_short() -> None:
    graphs = ["\n".join(f"v{n} = {dtype}" for n in range(20)) for dtype in ("f4", "f8")]
    said = describe(make_key(graphs[0]).diff(make_key(graphs[1])))
    assert len(said) == 5
    assert said[-1] == "graph: 16 more lines differ"
