"""What identifies a compiled op: eight named texts, and the digest over them."""

from __future__ import annotations

from collections.abc import Mapping

from jitops.cache.digest import sha256

__all__ = ["PARTS", "Difference", "Key"]

# In the order in which they are hashed, and in which a difference is most telling.
PARTS = (
    "graph",  # canonical text of the traced graph
    "arguments",  # dtype, shape and layout class of each argument
    "target",  # triple and *detected* CPU features
    "numerics",  # options that change results or code
    "tuning",  # the tuning record used, or ""
    "compiler",  # digest of jitops' compiler sources
    "toolchain",  # builds of TVM and LLVM
    "format",  # artifact format and entry convention
)

_HEADER = b"jitops key 1\n"


class Difference:
    """One part in which two keys differ: its name, and the text in each."""

    __slots__ = ("ours", "part", "theirs")

    def __init__(self, part: str, ours: str, theirs: str) -> None:
        self.part = part
        self.ours = ours
        self.theirs = theirs

    def __repr__(self) -> str:
        return f"Difference({self.part}: {self.ours!r} here, {self.theirs!r} there)"


class Key:
    """The identity of an artifact. Equal parts give equal digests, on every machine.

    parts: a text for each name in PARTS; missing and unknown names are a ValueError.
    digest: SHA-256, 64 hex digits, over `name length newline text newline` for each part in the
    order of PARTS: the lengths make the serialisation unambiguous, whatever the texts contain.
    """

    __slots__ = ("digest", "parts")

    def __init__(self, parts: Mapping[str, str]) -> None:
        if parts.keys() != set(PARTS):
            raise ValueError(f"key parts {sorted(parts)}; accepted: exactly {sorted(PARTS)}")
        self.parts: Mapping[str, str] = {name: parts[name] for name in PARTS}
        total = sha256(_HEADER)
        for name, text in self.parts.items():
            data = text.encode("utf-8", "surrogatepass")
            total.update(b"%s %d\n%s\n" % (name.encode(), len(data), data))
        self.digest: str = total.hexdigest()

    def diff(self, other: Key) -> list[Difference]:
        """Name the parts that differ, in the order of PARTS."""
        return [
            Difference(name, text, other.parts[name])
            for name, text in self.parts.items()
            if text != other.parts[name]
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Key({self.digest[:12]})"
