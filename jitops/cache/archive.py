"""Entries of a cache as one archive: a tar file, plain or compressed, with a member for each.

    objects/ab12….jitop      the artifact, as it lies in the store

Nothing is ever unpacked to a path that the archive names: a member is read, checked as any artifact
is (digest, form, and that its name is its key's digest), and published by the store by that name.
An archive holds code: import only what comes from someone whose programs you would run.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from jitops.cache.artifact import decode
from jitops.errors import CacheDamaged, CacheError

if TYPE_CHECKING:
    from jitops.cache.store import Entry, Store

__all__ = ["LARGEST", "Imported", "export_archive", "import_archive"]

LARGEST = 256 << 20  # bytes of one artifact
_MEMBER = re.compile(r"objects/([0-9a-f]{64})\.jitop")


class Imported:
    """What became of the members: how many are new and known, and the reasons for the others."""

    __slots__ = ("added", "known", "refused")

    def __init__(self) -> None:
        self.added = 0
        self.known = 0
        self.refused: list[tuple[str, str]] = []  # member, reason


def export_archive(store: Store, path: str, entries: Sequence[Entry]) -> int:
    """Write these entries, each checked, to an archive that appears whole; their number.

    The same entries give the same bytes of a plain tar. Damaged ones raise CacheError.
    """
    aside = f"{path}.{os.getpid()}"
    mode = "w:gz" if path.endswith((".gz", ".tgz")) else "w"
    try:
        with tarfile.open(aside, mode, format=tarfile.USTAR_FORMAT) as archive:  # type: ignore[call-overload]
            for entry in entries:
                data = store.read(entry)
                member = tarfile.TarInfo(f"objects/{entry.digest}.jitop")
                member.size, member.mode = len(data), 0o600
                archive.addfile(member, BytesIO(data))
        os.rename(aside, path)
    except BaseException:
        if os.path.exists(aside):
            os.unlink(aside)
        raise
    return len(entries)


def import_archive(store: Store, path: str) -> Imported:
    """Publish every whole artifact of an archive; what is none is refused, and the rest goes on.

    Raises CacheDamaged where the file is no archive, or ends too early.
    """
    outcome = Imported()
    try:
        with tarfile.open(path, "r:*") as archive:
            for name, data in _members(archive, outcome):
                _take(store, name, data, outcome)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise CacheDamaged("not a whole archive", where=path, found=str(error)) from None
    return outcome


def _members(archive: tarfile.TarFile, outcome: Imported) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        found = _MEMBER.fullmatch(member.name)
        if not found or not member.isreg():
            outcome.refused.append((member.name, "not an artifact's name, or not a file"))
        elif member.size > LARGEST:
            outcome.refused.append((member.name, f"{member.size} bytes: too large"))
        else:
            file = archive.extractfile(member)
            assert file is not None
            yield found[1], file.read()


def _take(store: Store, digest: str, data: bytes, outcome: Imported) -> None:
    try:
        artifact = decode(data, None, None)
        if artifact.key.digest != digest:
            raise CacheDamaged("artifact under another's name", found=artifact.key.digest)
    except CacheError as error:
        outcome.refused.append((digest, str(error)))
        return
    if store.has(artifact.key):
        outcome.known += 1
    elif store.put(artifact):
        outcome.added += 1
    else:
        outcome.refused.append((digest, f"it cannot be saved in {store.directory}"))
