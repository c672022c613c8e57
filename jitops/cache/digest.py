"""SHA-256 without OpenSSL: `import hashlib` loads libcrypto, 4 ms on the way of the first call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:  # the interpreter's own implementation, as the standard library's `random` does it
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
