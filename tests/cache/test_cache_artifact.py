from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from handmade import make_artifact, make_key

from jitops.cache import artifact as artifacts
from jitops.cache.artifact import Artifact, decode, encode
from jitops.cache.digest import blake2b
from jitops.errors import CacheDamaged, CacheMismatch

HOST = ("avx2", "fma")


def sealed(body: bytes) -> bytes:
    return body + blake2b(body, digest_size=32).digest()


def test_what_is_stored_comes_back() -> None:
    made = make_artifact("g", name="gelu", compile_ms=30.5)
    found = decode(encode(made), made.key, HOST)
    assert (found.key, found.image, found.features) == (made.key, made.image, ("avx2",))
    assert (found.plan, found.meta) == (made.plan, made.meta)


def flips(data: bytes, count: int) -> list[bytes]:
    chance = random.Random(count)
    damaged = []
    for _ in range(count):
        position = chance.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        damaged.append(bytes(flipped))
    return damaged


@pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.long)])
def test_every_bit_flip_is_found(count: int) -> None:
    made = make_artifact("g")
    for damaged in flips(encode(made), count):
        with pytest.raises(CacheDamaged):
            decode(damaged, made.key, HOST)


def test_every_truncation_is_found() -> None:
    made = make_artifact("g", size=100)
    data = encode(made)
    for end in range(len(data)):
        with pytest.raises(CacheDamaged):
            decode(data[:end], made.key, HOST)
    with pytest.raises(CacheDamaged):
        decode(data + b"\0", made.key, HOST)


def test_an_artifact_of_another_key_is_a_mismatch() -> None:
    with pytest.raises(CacheMismatch, match="another key"):
        decode(encode(make_artifact("g")), make_key("h"), HOST)


def test_an_artifact_for_another_cpu_is_a_mismatch_naming_the_feature() -> None:
    made = make_artifact("g")
    with pytest.raises(CacheMismatch, match="avx2"):
        decode(encode(made), made.key, ("sse4.2",))
    assert decode(encode(made), made.key, None).key == made.key


def test_another_format_version_is_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_artifact("g")
    monkeypatch.setattr(artifacts, "FORMAT", 999)
    data = encode(made)
    monkeypatch.undo()
    with pytest.raises(CacheMismatch, match="999"):
        decode(data, made.key, HOST)


TRAILERS = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b"\xff",
    b'{"key":{}}',
    b'{"key":{"graph":1}}',
    json.dumps({"key": dict(make_key().parts), "features": "x", "plan": {}, "meta": {}}).encode(),
    json.dumps({"key": dict(make_key().parts), "features": [1], "plan": {}, "meta": {}}).encode(),
    json.dumps({"key": dict(make_key().parts), "features": [], "plan": [], "meta": {}}).encode(),
]


@pytest.mark.parametrize("trailer", TRAILERS, ids=range(len(TRAILERS)))
def test_a_whole_file_with_a_wrong_trailer_is_damage_not_a_crash(trailer: bytes) -> None:
    footer = struct.pack("<QQI8s", 4, len(trailer), artifacts.FORMAT, artifacts.MAGIC)
    with pytest.raises(CacheDamaged):
        decode(sealed(b"code" + trailer + footer), None, None)


@pytest.mark.parametrize("sizes", [(0, 0), (1 << 63, 1 << 63), (4, 1 << 40)])
def test_sizes_that_do_not_add_up_are_damage(sizes: tuple[int, int]) -> None:
    footer = struct.pack("<QQI8s", *sizes, artifacts.FORMAT, artifacts.MAGIC)
    with pytest.raises(CacheDamaged, match="add up"):
        decode(sealed(b"code{}" + footer), None, None)


def test_another_files_digest_does_not_make_it_an_artifact() -> None:
    with pytest.raises(CacheDamaged, match="not a jitops artifact"):
        decode(sealed(bytes(200)), None, None)


@pytest.mark.skipif(not shutil.which("gcc") or not shutil.which("nm"), reason="needs binutils")
def test_binary_tools_open_the_file_as_the_library_it_holds(tmp_path: Path) -> None:
    source, library = tmp_path / "a.c", tmp_path / "a.so"
    source.write_text("int jitops_entry(void *const *b) { return 0; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    made = Artifact(make_key(), library.read_bytes(), {})
    path = tmp_path / "a.jitop"
    path.write_bytes(encode(made))
    listing = subprocess.run(["nm", "-D", path], check=True, capture_output=True, text=True)
    assert "jitops_entry" in listing.stdout
