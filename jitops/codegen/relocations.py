"""What each machine's relocations do to its code: the part of linking that knows instructions.

Numbers and meanings: the x86-64 psABI, and ELF for the Arm 64-bit Architecture.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from jitops.errors import CompileError

STUB = 16  # bytes of a jump to another library's function

# (code, offset in it, value, address of the place)
Patch = Callable[[bytearray, int, int, int], None]


def _fits(value: int, bits: int) -> int:
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise CompileError(f"a kernel's code is too large: a distance of {value} bytes")
    return value


def _distance32(data: bytearray, at: int, value: int, place: int) -> None:
    struct.pack_into("<i", data, at, _fits(value - place, 32))


def _bits(data: bytearray, at: int, bits: int) -> None:
    """Set bits of an AArch64 instruction."""
    (word,) = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, word | bits)


def _branch26(data: bytearray, at: int, value: int, place: int) -> None:
    _bits(data, at, _fits(value - place, 28) >> 2 & 0x3FFFFFF)


def _address21(distance: int) -> int:
    """Immediate of ADR and ADRP: two low bits, then nineteen."""
    return (distance & 3) << 29 | (distance >> 2 & 0x7FFFF) << 5


def _near21(data: bytearray, at: int, value: int, place: int) -> None:
    _bits(data, at, _address21(_fits(value - place, 21)))


def _page21(data: bytearray, at: int, value: int, place: int) -> None:
    _bits(data, at, _address21(_fits((value >> 12) - (place >> 12), 21)))


def _low12(scale: int) -> Patch:
    """Offset within the page, in units of ``1 << scale`` bytes."""

    def patch(data: bytearray, at: int, value: int, place: int) -> None:
        _bits(data, at, (value & 0xFFF) >> scale << 10)

    return patch


def _stub_x86(place: int, slot: int) -> bytes:
    """``jmp *slot(%rip)``."""
    return (b"\xff\x25" + struct.pack("<i", slot - place - 6)).ljust(STUB, b"\xcc")


def _stub_aarch64(place: int, slot: int) -> bytes:
    """``adrp x16, slot; ldr x17, [x16, #:lo12:slot]; br x17; nop``."""
    code = bytearray(struct.pack("<4I", 0x90000010, 0xF9400211, 0xD61F0220, 0xD503201F))
    _page21(code, 0, slot, place)
    _low12(3)(code, 4, slot, place)
    return bytes(code)


class Machine(NamedTuple):
    """A machine's relocations, by number.

    page: the largest that the system may map, in bytes. absolute: an address, which the loader has
    to finish. from_table: refer to the table of addresses. fill, relative: what the loader is asked
    for: the address of another library's symbol, or one within this library.
    """

    page: int
    absolute: int
    from_table: tuple[int, ...]
    fill: int
    relative: int
    patches: dict[int, Patch]
    stub: Callable[[int, int], bytes]


MACHINES = {
    "x86_64": Machine(
        page=0x1000,
        absolute=1,
        from_table=(9, 41, 42),
        fill=6,
        relative=8,
        patches=dict.fromkeys((2, 4, 9, 41, 42), _distance32),
        stub=_stub_x86,
    ),
    "aarch64": Machine(
        page=0x10000,
        absolute=257,
        from_table=(311, 312),
        fill=1025,
        relative=1027,
        patches={
            **dict.fromkeys((282, 283), _branch26),
            **dict.fromkeys((275, 311), _page21),
            **dict.fromkeys((277, 278), _low12(0)),
            **dict.fromkeys((286, 312), _low12(3)),
            261: _distance32,
            274: _near21,
            284: _low12(1),
            285: _low12(2),
            299: _low12(4),
        },
        stub=_stub_aarch64,
    ),
}
