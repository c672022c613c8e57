r"""Caches that others fill: used only where each artifact is signed with a key that we trust.

A signed directory has the form of a store (see store.py), with a signature beside each artifact:

    DIR/objects/ab/ab12….jitop
    DIR/objects/ab/ab12….jitop.sig      96 bytes: the public key, and the Ed25519 signature (RFC
                                        8032) of "jitops signature 1\n" and the last 32 bytes

The last 32 bytes of an artifact are the digest of all the others, and have been checked when the
signature is. Trusted keys are lines `ed25519 <64 hex digits> <comment>` in the file `trusted` of
our own cache directory, which only we can write. Who may write DIR does not matter.

`cryptography` is imported here alone, when there is a signature to check or to make.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jitops.cache.artifact import Artifact, decode
from jitops.cache.key import Key
from jitops.errors import ArgumentError, CacheError

if TYPE_CHECKING:
    from jitops.cache.store import Store
    from jitops.log import Log

__all__ = ["SignedTier", "new_key", "sign_directory", "trust", "trusted_keys"]

SIGNATURE = ".sig"
TRUSTED = "trusted"
_HEADER = b"jitops signature 1\n"
_DIGEST, _PUBLIC, _SIGNATURE = 32, 32, 64
_LARGEST = 1 << 20  # bytes of a list of keys


class SignedTier:
    """One read-only directory. Safe from several threads.

    trusted: the path of the list of keys; it is read when the first artifact is found here.
    """

    def __init__(self, directory: str, trusted: str, log: Log) -> None:
        self.directory = directory
        self.log = log
        self._trusted = trusted
        self._keys: dict[bytes, str] | None = None

    def get(self, path: str, key: Key, host_features: Collection[str] | None) -> Artifact | None:
        """The artifact in this file if it is whole, of this key, for this CPU, and signed.

        None otherwise, with one log line for each reason but the ordinary ones.
        """
        try:
            data = _read(path)
        except OSError:
            return None
        try:
            artifact = decode(data, key, host_features)
        except CacheError as error:
            self._ignored(path, str(error))
            return None
        reason = self._distrust(path, data)
        if reason:
            self._ignored(path, reason)
            return None
        return artifact

    def _ignored(self, path: str, reason: str) -> None:
        self.log.once(
            f"tier {self.directory} {reason}",
            "the read-only cache entry %s is not used: %s",
            path,
            reason,
        )

    def _distrust(self, path: str, data: bytes) -> str:
        """Why these bytes are not to be run; empty where a trusted key has signed them."""
        try:
            signed = _read(path + SIGNATURE)
        except OSError:
            return "it is not signed (`jitops cache sign`)"
        if len(signed) != _PUBLIC + _SIGNATURE:
            return "its signature is not of the documented form"
        public, signature = signed[:_PUBLIC], signed[_PUBLIC:]
        if self._keys is None:
            self._keys = _read_trusted(self._trusted)
        if public not in self._keys:
            return f"it is signed with the key {public.hex()}, which is not trusted"
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            return "checking signatures needs `pip install 'jitops[trust]'`"
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, _message(data))
        except (InvalidSignature, ValueError):
            return "its signature is wrong"
        return ""


def sign_directory(directory: str, key_file: str) -> tuple[int, str]:
    """Sign every artifact of a directory; their number, and the public key in hexadecimal.

    Each is checked first. Raises CacheError for one that is damaged, ArgumentError for a key that
    cannot be read.
    """
    private = _private_key(key_file)
    public = _raw_public(private.public_key())
    count = 0
    for path in _artifacts(directory):
        data = _read(path)
        digest = decode(data, None, None).key.digest
        if not os.path.basename(path).startswith(digest + "."):
            raise ArgumentError("an artifact is under another's name", where=path, found=digest)
        _write_whole(path + SIGNATURE, public + private.sign(_message(data)), 0o644)
        count += 1
    return count, public.hex()


def trust(store: Store, key_file: str, comment: str = "") -> str:
    """Add a public key to the trusted ones; the key in hexadecimal.

    key_file: a public key in PEM form. Raises ArgumentError for anything else.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    public = _raw_public(_loaded(load_pem_public_key, key_file))
    path = os.path.join(store.directory, TRUSTED)
    keys = _read_trusted(path)
    keys[public] = " ".join((comment or os.path.basename(key_file)).split())
    lines = [f"ed25519 {key.hex()} {note}".rstrip() + "\n" for key, note in keys.items()]
    _write_whole(path, "".join(lines).encode(), 0o600)
    return public.hex()


def trusted_keys(store: Store) -> dict[str, str]:
    """The trusted keys, in hexadecimal, with their comments."""
    path = os.path.join(store.directory, TRUSTED)
    return {key.hex(): note for key, note in _read_trusted(path).items()}


def new_key(path: str) -> str:
    """Make a key pair: the private key at `path` (mode 0600), the public one at `path`.pub.

    Returns the public key in hexadecimal. Raises ArgumentError where there is a file already.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if os.path.exists(path) or os.path.exists(path + ".pub"):
        raise ArgumentError("there is a key already", where=path)
    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = private.public_key()
    told = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write_whole(path, text, 0o600)
    _write_whole(path + ".pub", told, 0o644)
    return _raw_public(public).hex()


def _message(data: bytes) -> bytes:
    return _HEADER + data[-_DIGEST:]


def _raw_public(key: Any) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not isinstance(key, Ed25519PublicKey):
        raise ArgumentError("the key is of another kind", accepted="an Ed25519 key in PEM form")
    return key.public_bytes_raw()


def _private_key(path: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _loaded(lambda data: load_pem_private_key(data, None), path)
    if not isinstance(key, Ed25519PrivateKey):
        raise ArgumentError("the key is of another kind", accepted="an Ed25519 key in PEM form")
    return key


def _loaded(load: Any, path: str) -> Any:
    with open(path, "rb") as file:
        data = file.read()
    try:
        return load(data)
    except (ValueError, TypeError) as error:
        raise ArgumentError(
            "the key cannot be read", where=path, found=str(error), accepted="a key in PEM form"
        ) from None


def _artifacts(directory: str) -> Iterator[str]:
    objects = os.path.join(directory, "objects")
    for shard in sorted(os.listdir(objects)):
        for name in sorted(os.listdir(os.path.join(objects, shard))):
            if name.endswith(".jitop"):
                yield os.path.join(objects, shard, name)


def _read_trusted(path: str) -> dict[bytes, str]:
    """The keys of the list, if there is one. CacheUntrusted where others can write it."""
    from jitops.cache.store import read_private

    keys: dict[bytes, str] = {}
    try:
        text = read_private(path)[0][:_LARGEST].decode("utf-8", "replace")
    except OSError:
        return keys
    for line in text.splitlines():
        kind, _, rest = line.strip().partition(" ")
        digits, _, note = rest.partition(" ")
        with suppress(ValueError):
            key = bytes.fromhex(digits)
            if kind == "ed25519" and len(key) == _PUBLIC:
                keys[key] = note
    return keys


def _read(path: str) -> bytes:
    """A regular file, whoever wrote it; symbolic links to it are followed, devices are not read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _write_whole(path: str, data: bytes, mode: int) -> None:
    aside = f"{path}.{os.getpid()}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(aside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(aside)
        raise
