r"""One compiled op as one immutable file.

Layout, integers little-endian, nothing between the pieces:

    image      the linked shared library, as the linker made it (so objdump and nm open the file)
    trailer    JSON, UTF-8: {"key": {part: text}, "features": [...], "plan": {...}, "meta": {...}}
    u64        size of the image in bytes
    u64        size of the trailer in bytes
    u32        format version, FORMAT
    8 bytes    magic, b"\x89jitops\n"
    32 bytes   BLAKE2b-256 of everything before it (in every version of the format)

key: the parts of the cache key, whole. features: LLVM's names of the CPU features the code uses.
plan: how to call the entry; the runtime's own. meta: facts for people; never decide anything.

Reading checks, in this order: digest, magic, version, sizes, JSON, key, features. Nothing is used
before all of them hold, and there is no pickle.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping
from typing import Any

from jitops.cache.digest import blake2b
from jitops.cache.key import Key
from jitops.errors import CacheDamaged, CacheMismatch

__all__ = ["FORMAT", "Artifact", "decode", "encode"]

FORMAT = 1
MAGIC = b"\x89jitops\n"

_FOOTER = struct.Struct("<QQI8s")
_DIGEST_SIZE = 32
_LEAST_SIZE = _FOOTER.size + _DIGEST_SIZE


class Artifact:
    """A compiled op: its code and all that is needed to call it. Treat as immutable.

    key: its identity. image: the shared library's bytes. plan: a JSON-able launch plan.
    features: CPU features the code needs. meta: JSON-able facts (name, created, compile_ms ...).
    """

    __slots__ = ("features", "image", "key", "meta", "plan")

    def __init__(
        self,
        key: Key,
        image: bytes,
        plan: Mapping[str, Any],
        features: Collection[str] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self.key = key
        self.image = image
        self.plan = plan
        self.features = tuple(sorted(features))
        self.meta: Mapping[str, Any] = {} if meta is None else meta

    def __repr__(self) -> str:
        return f"Artifact({self.key.digest[:12]}, {len(self.image)} bytes)"


def encode(artifact: Artifact) -> bytes:
    """Return the bytes of the file. TypeError or ValueError where plan or meta are not JSON."""
    trailer = json.dumps(
        {
            "key": artifact.key.parts,
            "features": artifact.features,
            "plan": artifact.plan,
            "meta": artifact.meta,
        },
        separators=(",", ":"),
        ensure_ascii=True,
    ).encode("ascii")
    footer = _FOOTER.pack(len(artifact.image), len(trailer), FORMAT, MAGIC)
    data = b"".join((artifact.image, trailer, footer))
    return data + _digest(data)


def decode(data: bytes, key: Key | None, host_features: Collection[str] | None) -> Artifact:
    """Return the artifact in these bytes, all of it checked.

    key: the key it must have, or None to accept any. host_features: what this CPU has,
    or None not to ask (for listing and moving files, never before running them).
    Raises CacheDamaged for bytes that are not what was stored, CacheMismatch for a whole artifact
    of another format, key or CPU.
    """
    image_size, trailer = _checked_pieces(data)
    stored, features, plan, meta = _checked_fields(trailer)
    if key is not None and stored != key:
        raise CacheMismatch("artifact of another key", found=stored.digest, accepted=key.digest)
    if host_features is not None:
        lacking = sorted(set(features).difference(host_features))
        if lacking:
            raise CacheMismatch(
                "artifact for another CPU", found=f"code that needs {', '.join(lacking)}"
            )
    return Artifact(stored, data[:image_size], plan, features, meta)


def _digest(data: bytes | memoryview) -> bytes:
    return blake2b(data, digest_size=_DIGEST_SIZE).digest()


def _checked_pieces(data: bytes) -> tuple[int, bytes]:
    """Size of the image, and the trailer; the digest holds from here on."""
    if len(data) < _LEAST_SIZE:
        raise CacheDamaged("artifact too short", found=f"{len(data)} bytes")
    end = len(data) - _DIGEST_SIZE
    if _digest(memoryview(data)[:end]) != data[end:]:
        raise CacheDamaged("artifact does not have the digest it was stored with")
    image_size, trailer_size, version, magic = _FOOTER.unpack_from(data, end - _FOOTER.size)
    if magic != MAGIC:
        raise CacheDamaged("not a jitops artifact", found=repr(magic), accepted=repr(MAGIC))
    if version != FORMAT:
        raise CacheMismatch("artifact of another format", found=str(version), accepted=str(FORMAT))
    if image_size + trailer_size + _LEAST_SIZE != len(data):
        raise CacheDamaged("artifact's sizes do not add up", found=f"{len(data)} bytes")
    return image_size, data[image_size : image_size + trailer_size]


def _checked_fields(trailer: bytes) -> tuple[Key, list[str], dict[str, Any], dict[str, Any]]:
    try:
        fields = json.loads(trailer)
        key = Key(fields["key"])
        features, plan, meta = fields["features"], fields["plan"], fields["meta"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CacheDamaged("artifact's trailer cannot be read", found=str(error)) from None
    well_formed = isinstance(plan, dict) and isinstance(meta, dict) and isinstance(features, list)
    if not well_formed or not all(isinstance(name, str) for name in features):
        raise CacheDamaged("artifact's trailer is not of the documented form")
    return key, features, plan, meta
