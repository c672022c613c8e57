"""Object code to a shared library, within this process: no linker need be installed.

One object becomes a library with three segments (read, execute, write). Calls of what the C
library defines (memcpy, fmod) go through stubs and a table of addresses that the loader fills;
nothing else of dynamic linking is needed, because kernels call nothing else.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping, Sequence

from jitops.codegen import elf
from jitops.codegen.elf import Object, Section, Symbol, joined
from jitops.codegen.relocations import MACHINES, STUB
from jitops.errors import CompileError

# Dynamic tags.
_HASH, _STRTAB, _SYMTAB, _RELA, _RELASZ, _RELAENT, _STRSZ, _SYMENT = 4, 5, 6, 7, 8, 9, 10, 11
_FLAGS, _BIND_NOW = 30, 8


def link(objects: Sequence[bytes], arch: str | None = None) -> bytes:
    """The shared library made of these object files. arch: of the code; None: this machine's.

    Raises CompileError for objects that use what no kernel needs.
    """
    arch = arch or os.uname().machine
    return _Linker(joined([Object(image, arch) for image in objects]), arch).library()


class _Linker:
    def __init__(self, objects: Object, arch: str) -> None:
        self.objects = objects
        self.arch = arch
        self.machine = MACHINES[arch]
        named = [s for s in objects.symbols if s.binding != elf.LOCAL and s.name]
        self.imports = [s for s in named if s.section is None]
        exports = [s for s in named if s.section is not None and s.other & 3 != elf.HIDDEN]
        self.dynamic = [*self.imports, *exports]
        self.entries = self._table_entries()
        self.stubs = _made(".plt", elf.ALLOC | elf.EXECUTE, STUB * len(self.imports), 16)
        self.table = _made(".got", elf.ALLOC | elf.WRITE, 8 * len(self.entries), 8)
        self.tags = _made(".dynamic", elf.ALLOC | elf.WRITE, elf.DYNAMIC.size * 10, 8, elf.DYN)
        self.tables = self._loader_tables()
        self.loader_work: list[tuple[int, int, int]] = []  # place, type and symbol, addend

    def _table_entries(self) -> list[Symbol]:
        """Symbols with a place in the table of addresses: imports, and what the code wants."""
        through = self.machine.from_table
        wanted = [s for _, _, kind, s, _ in self.objects.relocations if kind in through]
        return list(dict.fromkeys([*self.imports, *wanted]))

    def library(self) -> bytes:
        segments: dict[int, list[Section]] = {
            elf.ALLOC: list(self.tables.values()),
            elf.ALLOC | elf.EXECUTE: [self.stubs],
            elf.ALLOC | elf.WRITE: [self.tags, self.table],
        }
        # What has no contents in the file comes last in its segment.
        for section in sorted(self.objects.sections, key=lambda s: s.type == elf.NOBITS):
            rights = section.flags & (elf.ALLOC | elf.WRITE | elf.EXECUTE)
            if rights not in segments:
                raise CompileError(f"section {section.name} is both written and executed")
            segments[rights].append(section)
        image = _Image(self.arch, segments)
        self._resolve()
        self._fill_tables(image.numbers)
        return image.written(self.tags)

    def _loader_tables(self) -> dict[str, Section]:
        """The loader's tables, of their final sizes; their contents follow with the addresses."""
        names = b"\0" + b"".join(s.name.encode() + b"\0" for s in self.dynamic)
        finish = self.machine.absolute
        absolute = sum(kind == finish for _, _, kind, _, _ in self.objects.relocations)
        count = len(self.dynamic) + 1
        work = len(self.entries) + absolute
        tables = (
            _made(".hash", elf.ALLOC, 4 * (3 + count), 8, elf.HASH),
            _made(".dynsym", elf.ALLOC, elf.SYMBOL.size * count, 8, elf.DYNSYM),
            Section(".dynstr", elf.STRTAB, elf.ALLOC, names, len(names), 1),
            _made(".rela.dyn", elf.ALLOC, elf.RELOCATION.size * work, 8, elf.RELA),
        )
        return {section.name: section for section in tables}

    def _resolve(self) -> None:
        """Patch the code, and note what is left for the loader."""
        slot = {s: self.table.address + 8 * n for n, s in enumerate(self.entries)}
        stub = {s: self.stubs.address + STUB * n for n, s in enumerate(self.imports)}
        for symbol, place in slot.items():
            self.loader_work.append((place, *self._entry(symbol)))
        for n, symbol in enumerate(self.imports):
            code = self.machine.stub(stub[symbol], slot[symbol])
            self.stubs.data[STUB * n : STUB * (n + 1)] = code
        for section, offset, kind, symbol, addend in self.objects.relocations:
            place = section.address + offset
            if kind == self.machine.absolute:
                self._absolute(section, place, symbol, addend)
            elif kind not in self.machine.patches:
                raise CompileError(f"object code for {self.arch} has relocation {kind}")
            else:
                if kind in self.machine.from_table:
                    value = slot[symbol]
                else:
                    value = stub[symbol] if symbol.section is None else symbol.address
                self.machine.patches[kind](section.data, offset, value + addend, place)

    def _entry(self, symbol: Symbol) -> tuple[int, int]:
        """What the loader puts into the table for a symbol: relocation and addend."""
        if symbol.section is None:
            return (self.imports.index(symbol) + 1) << 32 | self.machine.fill, 0
        return self.machine.relative, symbol.address

    def _absolute(self, section: Section, place: int, symbol: Symbol, addend: int) -> None:
        if symbol.section is None or not section.flags & elf.WRITE:
            raise CompileError(f"{section.name} needs the address of {symbol.name or 'a section'}")
        self.loader_work.append((place, self.machine.relative, symbol.address + addend))

    def _fill_tables(self, numbers: Mapping[Section, int]) -> None:
        count = len(self.dynamic) + 1
        # One bucket: its chain runs through all symbols, of which there are a handful.
        chain = (0, *range(count - 1))
        at, records = 1, [bytes(elf.SYMBOL.size)]
        for s in self.dynamic:
            where, value = (numbers[s.section], s.address) if s.section else (elf.UNDEFINED, 0)
            records.append(elf.SYMBOL.pack(at, s.info, 0, where, value, s.size))
            at += len(s.name.encode()) + 1
        contents = {
            ".hash": struct.pack(f"<{3 + count}I", 1, count, count - 1, *chain),
            ".dynsym": b"".join(records),
            ".rela.dyn": b"".join(elf.RELOCATION.pack(*work) for work in self.loader_work),
        }
        for name, data in contents.items():
            self.tables[name].data[:] = data
        self.tags.data[:] = b"".join(elf.DYNAMIC.pack(*tag) for tag in self._tags())

    def _tags(self) -> tuple[tuple[int, int], ...]:
        names, work = self.tables[".dynstr"], self.tables[".rela.dyn"]
        return (
            (_HASH, self.tables[".hash"].address),
            (_STRTAB, names.address),
            (_SYMTAB, self.tables[".dynsym"].address),
            (_STRSZ, names.size),
            (_SYMENT, elf.SYMBOL.size),
            (_RELA, work.address),
            (_RELASZ, work.size),
            (_RELAENT, elf.RELOCATION.size),
            (_FLAGS, _BIND_NOW),
            (0, 0),
        )


def _made(name: str, flags: int, size: int, align: int, kind: int = elf.PROGBITS) -> Section:
    return Section(name, kind, flags, bytes(size), size, align)


class _Image:
    """The library's file: headers, then the segments, each on pages of its own when mapped."""

    HEADERS = 5  # three segments of memory, the loader's tags, the stack's rights

    def __init__(self, arch: str, segments: Mapping[int, list[Section]]) -> None:
        self.arch = arch
        self.segments = segments
        self.offsets: dict[Section, int] = {}
        sections = [s for members in segments.values() for s in members]
        self.numbers = {section: n + 1 for n, section in enumerate(sections)}
        self.page = MACHINES[arch].page
        self.end = self._place()

    def _place(self) -> int:
        """Give each section its address, which is its offset in the file plus whole pages."""
        offset = elf.HEADER.size + self.HEADERS * elf.SEGMENT.size
        shift = 0
        for sections in self.segments.values():
            for section in sections:
                offset = _aligned(offset, section.align)
                self.offsets[section] = offset
                section.address = offset + shift
                offset += section.size if section.type != elf.NOBITS else 0
            # The next segment begins on the same page of the file, and on another in memory.
            end = max((s.address + s.size for s in sections), default=offset + shift)
            shift = _aligned(end, self.page) + self.page - _aligned(offset, self.page)
        return offset

    def written(self, tags: Section) -> bytes:
        """The file; ``tags`` is the dynamic section."""
        sections = list(self.numbers)
        names = b"\0" + b"".join(s.name.encode() + b"\0" for s in sections) + b".shstrtab\0"
        table = _aligned(self.end + len(names), 8)
        header = elf.HEADER.pack(
            elf.IDENT, elf.SHARED, elf.MACHINES[self.arch], 1, 0, elf.HEADER.size, table, 0,
            elf.HEADER.size, elf.SEGMENT.size, self.HEADERS, elf.SECTION.size,
            len(sections) + 2, len(sections) + 1,
        )  # fmt: skip
        image = bytearray(table)
        for at, data in (
            (0, header + b"".join(self._program_headers(tags))),
            *((self.offsets[s], s.data) for s in sections),
            (self.end, names),
        ):
            image[at : at + len(data)] = data
        return bytes(image) + b"".join(self._section_headers(sections, names))

    def _program_headers(self, tags: Section) -> Iterable[bytes]:
        for number, (flags, members) in enumerate(self.segments.items()):
            first, last = members[0], members[-1]
            filled = [s for s in members if s.type != elf.NOBITS]
            start = 0 if number == 0 else self.offsets[first]  # the first holds the headers too
            address = 0 if number == 0 else first.address
            in_file = self.offsets[filled[-1]] + filled[-1].size - start
            in_memory = last.address + last.size - address
            rights = 4 | (flags & elf.WRITE) << 1 | (flags & elf.EXECUTE) >> 2
            yield elf.SEGMENT.pack(
                1, rights, start, address, address, in_file, in_memory, self.page
            )
        at = self.offsets[tags]
        yield elf.SEGMENT.pack(2, 6, at, tags.address, tags.address, tags.size, tags.size, 8)
        yield elf.SEGMENT.pack(0x6474E551, 6, 0, 0, 0, 0, 0, 16)  # no executable stack

    def _section_headers(self, sections: Sequence[Section], names: bytes) -> Iterable[bytes]:
        yield bytes(elf.SECTION.size)
        number = {s.name: n for s, n in self.numbers.items()}
        links = {".hash": ".dynsym", ".dynsym": ".dynstr", ".rela.dyn": ".dynsym",
                 ".dynamic": ".dynstr"}  # fmt: skip
        entry = {elf.DYNSYM: elf.SYMBOL.size, elf.RELA: elf.RELOCATION.size, elf.HASH: 4,
                 elf.DYN: elf.DYNAMIC.size}  # fmt: skip
        at = 1
        for s in sections:
            link = number.get(links.get(s.name, ""), 0)
            info = 1 if s.type == elf.DYNSYM else 0  # the first symbol that is not local
            flags = s.flags & (elf.ALLOC | elf.WRITE | elf.EXECUTE)
            yield elf.SECTION.pack(
                at, s.type, flags, s.address, self.offsets[s], s.size, link, info, s.align,
                entry.get(s.type, 0),
            )  # fmt: skip
            at += len(s.name.encode()) + 1
        yield elf.SECTION.pack(at, elf.STRTAB, 0, 0, self.end, len(names), 0, 0, 1, 0)


def _aligned(value: int, to: int) -> int:
    return -(-value // to) * to
