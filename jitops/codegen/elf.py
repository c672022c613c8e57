"""ELF records: relocatable objects read, their constants named.

Formats: System V gABI (sections, symbols, relocations), its x86-64 supplement and the ELF for the
Arm 64-bit Architecture. Little-endian, 64-bit only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from jitops.errors import CompileError

MACHINES = {"x86_64": 62, "aarch64": 183}

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SEGMENT = struct.Struct("<IIQQQQQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELOCATION = struct.Struct("<QQq")
DYNAMIC = struct.Struct("<QQ")

IDENT = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
RELOCATABLE, SHARED = 1, 3

# Section types and flags.
PROGBITS, SYMTAB, STRTAB, RELA, HASH, DYN, NOBITS, DYNSYM = 1, 2, 3, 4, 5, 6, 8, 11
WRITE, ALLOC, EXECUTE, TLS = 1, 2, 4, 0x400

# Section numbers that name no section; symbol bindings and visibilities.
UNDEFINED, ABSOLUTE, COMMON = 0, 0xFFF1, 0xFFF2
LOCAL, HIDDEN = 0, 2


class Section:
    """A section of an object: ``data`` is empty and ``size`` counts for one without contents."""

    __slots__ = ("address", "align", "data", "flags", "name", "size", "type")

    def __init__(
        self, name: str, type: int, flags: int, data: bytes | bytearray, size: int, align: int
    ) -> None:
        self.name = name
        self.type = type
        self.flags = flags
        self.data = bytearray(data)
        self.size = size
        self.align = max(align, 1)
        self.address = 0  # in the library, once laid out


class Symbol:
    """A symbol of an object; ``section`` is None where another library defines it."""

    __slots__ = ("binding", "info", "name", "other", "section", "size", "value")

    def __init__(
        self, name: str, info: int, other: int, section: Section | None, value: int, size: int
    ) -> None:
        self.name = name
        self.info = info
        self.other = other
        self.binding = info >> 4
        self.section = section
        self.value = value
        self.size = size

    @property
    def address(self) -> int:
        """Where the library has it, once laid out."""
        assert self.section is not None
        return self.section.address + self.value


class Object:
    """What a linker needs of a relocatable object.

    sections: those that take memory at run time. relocations: (section, offset in it, type,
    symbol, addend). Raises CompileError for what is no object of this machine.
    """

    def __init__(self, image: bytes, arch: str) -> None:
        self.image = image
        if len(image) < HEADER.size or image[:6] != IDENT[:6]:
            raise CompileError("the code generator gave no ELF object", found=repr(image[:8]))
        fields = HEADER.unpack_from(image)
        kind, machine, table, count, names = fields[1], fields[2], fields[6], fields[12], fields[13]
        if kind != RELOCATABLE or machine != MACHINES[arch]:
            raise CompileError(
                f"the code generator gave no object for {arch}",
                found=f"ELF type {kind} for machine {machine}",
            )
        headers = [SECTION.unpack_from(image, table + n * SECTION.size) for n in range(count)]
        texts = headers[names][4]
        self._numbered = {
            n: self._section(header, texts)
            for n, header in enumerate(headers)
            if header[2] & ALLOC and header[5]
        }
        self.sections = list(self._numbered.values())
        self.symbols: list[Symbol] = []
        for header in headers:
            if header[1] == SYMTAB:
                self.symbols = list(self._symbols(header, headers[header[6]][4]))
        self.relocations = [
            relocation
            for header in headers
            if header[1] == RELA and header[7] in self._numbered
            for relocation in self._relocations(header)
        ]

    def _section(self, header: tuple[int, ...], names: int) -> Section:
        name, kind, flags, _, offset, size, _, _, align, _ = header
        if flags & TLS:
            raise CompileError("a kernel cannot have thread-local storage")
        data = b"" if kind == NOBITS else self.image[offset : offset + size]
        return Section(self._text(names + name), kind, flags, data, size, align)

    def _symbols(self, header: tuple[int, ...], names: int) -> Iterator[Symbol]:
        offset, size = header[4], header[5]
        for at in range(offset, offset + size, SYMBOL.size):
            name, info, other, where, value, length = SYMBOL.unpack_from(self.image, at)
            if where == COMMON:
                raise CompileError("a kernel cannot have common symbols")
            section = self._numbered.get(where)
            yield Symbol(self._text(names + name), info, other, section, value, length)

    def _relocations(
        self, header: tuple[int, ...]
    ) -> Iterator[tuple[Section, int, int, Symbol, int]]:
        offset, size, target = header[4], header[5], self._numbered[header[7]]
        for at in range(offset, offset + size, RELOCATION.size):
            place, info, addend = RELOCATION.unpack_from(self.image, at)
            yield target, place, info & 0xFFFFFFFF, self.symbols[info >> 32], addend

    def _text(self, at: int) -> str:
        return self.image[at : self.image.index(b"\0", at)].decode()


def joined(objects: Sequence[Object]) -> Object:
    """One object of several: what one leaves undefined is what another defines by that name."""
    whole, *others = objects
    defined: dict[str, Symbol] = {}
    for part in objects:
        for symbol in part.symbols:
            if symbol.binding != LOCAL and symbol.section is not None:
                defined.setdefault(symbol.name, symbol)
    for part in others:
        whole.sections += part.sections
        whole.symbols += part.symbols
        whole.relocations += part.relocations
    if others:
        named = {s: s if s.binding == LOCAL else defined.get(s.name, s) for s in whole.symbols}
        whole.symbols = list(dict.fromkeys(named.values()))
        whole.relocations = [(*r[:3], named[r[3]], r[4]) for r in whole.relocations]
    return whole
