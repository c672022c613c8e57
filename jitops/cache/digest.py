"""SHA-256 and BLAKE2b without OpenSSL: `import hashlib` loads libcrypto, 4 ms of the first call.

SHA-256 names things (keys); BLAKE2b, three times as fast in plain C, guards the bytes of files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import blake2b, sha256
else:
    try:  # the interpreter's own implementations, as the standard library's `random` does it
        try:
            from _sha2 import sha256
        except ImportError:
            from _sha256 import sha256
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b, sha256

__all__ = ["blake2b", "sha256"]
