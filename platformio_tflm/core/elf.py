"""ELF files as frozen values: sections, segments, symbols, and bytes by address.

Layout: System V ABI, "Object Files" (ELF32 and ELF64, either byte order). The reader is our own and
not pyelftools: after every link it has to read up to 20,000 symbols, for which pyelftools' generic
structures need about 30 microseconds a symbol and 40 ms to be imported, where ``struct.iter_unpack``
needs one microsecond and nothing. Every offset is checked against the file before it is used, so a
corrupt file raises ElfError or loads. The tests hold the two readers, and readelf, side by side.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from platformio_tflm.core.foreign import shown
from platformio_tflm.errors import ElfError

MAXIMUM_SIZE_BYTES = 1 << 30
MAXIMUM_SECTIONS = 1 << 17

_SECTION_TYPES = {
    0: "NULL",
    1: "PROGBITS",
    2: "SYMTAB",
    3: "STRTAB",
    4: "RELA",
    5: "HASH",
    6: "DYNAMIC",
    7: "NOTE",
    8: "NOBITS",
    9: "REL",
    11: "DYNSYM",
    14: "INIT_ARRAY",
    15: "FINI_ARRAY",
    16: "PREINIT_ARRAY",
    17: "GROUP",
    18: "SYMTAB_SHNDX",
}
_SEGMENT_TYPES = {0: "NULL", 1: "LOAD", 2: "DYNAMIC", 3: "INTERP", 4: "NOTE", 6: "PHDR", 7: "TLS"}
_SYMBOL_TYPES = {0: "NOTYPE", 1: "OBJECT", 2: "FUNC", 3: "SECTION", 4: "FILE", 5: "COMMON", 6: "TLS", 10: "IFUNC"}
_MACHINES = {
    3: "x86",
    8: "mips",
    40: "arm",
    62: "x86-64",
    83: "avr",
    94: "xtensa",
    183: "aarch64",
    243: "riscv",
}
_EM_ARM = 40
_RELOCATABLE, _CORE = 1, 4
_NOBITS = 8
_SYMTAB = 2
_WRITE, _ALLOC, _EXECUTE, _MERGE, _TLS, _COMPRESSED = 0x1, 0x2, 0x4, 0x10, 0x400, 0x800
_SEGMENT_LOAD = 1


def section_flags(*, write: bool = False, execute: bool = False, thread_local: bool = False) -> int:
    """The flags of a section that takes memory (gABI, "Section Attribute Flags")."""
    return _ALLOC | (_WRITE if write else 0) | (_EXECUTE if execute else 0) | (_TLS if thread_local else 0)


@dataclass(frozen=True)
class ElfSection:
    """One section header. Sizes and offsets are bytes.

    type:   the ABI's name without SHT_ ("PROGBITS"), or the number in hexadecimal.
    nobits: the section has an address range but no bytes in the file (.bss, NOLOAD).
    """

    index: int
    name: str
    type: str
    address: int
    offset: int
    size_bytes: int
    alignment: int
    flags: int

    @property
    def nobits(self) -> bool:
        return self.type == "NOBITS"

    @property
    def alloc(self) -> bool:
        return bool(self.flags & _ALLOC)

    @property
    def write(self) -> bool:
        return bool(self.flags & _WRITE)

    @property
    def execute(self) -> bool:
        return bool(self.flags & _EXECUTE)

    @property
    def merge(self) -> bool:
        return bool(self.flags & _MERGE)

    @property
    def occupies_memory(self) -> bool:
        """.tbss is excluded: it only describes what each thread's copy adds, and shares its addresses with others."""
        return self.alloc and self.size_bytes > 0 and not (self.nobits and self.flags & _TLS)

    @property
    def has_contents(self) -> bool:
        """Bytes that a loader or a programmer puts into memory."""
        return self.alloc and self.size_bytes > 0 and not self.nobits

    @property
    def end(self) -> int:
        return self.address + self.size_bytes


@dataclass(frozen=True)
class ElfSegment:
    """One program header; flags are the ABI's PF_ bits (1 execute, 2 write, 4 read)."""

    type: str
    offset: int
    virtual_address: int
    physical_address: int
    file_size_bytes: int
    memory_size_bytes: int
    flags: int
    alignment: int


class ElfSymbol(NamedTuple):
    """One entry of .symtab; a tuple and not a dataclass because there are tens of thousands.

    section: the section's name, "" for undefined, "*ABS*" and "*COM*" as objdump writes them.
    address: Thumb functions without their mode bit.
    """

    name: str
    address: int
    size_bytes: int
    type: str
    section: str
    is_global: bool


@dataclass(frozen=True)
class ElfImage:
    """A whole ELF file; ``data`` is kept so that bytes can be read by address."""

    machine: str
    bits: int
    little_endian: bool
    entry: int
    sections: tuple[ElfSection, ...]
    segments: tuple[ElfSegment, ...]
    symbols: tuple[ElfSymbol, ...]
    data: bytes

    @cached_property
    def _by_name(self) -> dict[str, ElfSymbol]:
        table: dict[str, ElfSymbol] = {}
        for symbol in self.symbols:
            # A global definition is what the program means; a file-local namesake must not hide it.
            if symbol.section and (symbol.is_global or symbol.name not in table):
                table[symbol.name] = symbol
        return table

    @cached_property
    def _sized(self) -> tuple[list[int], list[ElfSymbol]]:
        kept = [s for s in self.symbols if s.size_bytes and s.section and s.type in ("OBJECT", "FUNC")]
        kept.sort(key=lambda symbol: (symbol.address, symbol.size_bytes))
        return [symbol.address for symbol in kept], kept

    def symbol(self, name: str) -> ElfSymbol | None:
        """The defined symbol of that exact name, a global one before a local one."""
        return self._by_name.get(name)

    def symbols_in(self, address: int, size_bytes: int) -> tuple[ElfSymbol, ...]:
        """Objects and functions that start in [address, address + size_bytes), by address."""
        addresses, symbols = self._sized
        first = bisect_right(addresses, address - 1)
        return tuple(symbols[first : bisect_right(addresses, address + size_bytes - 1, lo=first)])

    def symbols_over(self, address: int) -> tuple[ElfSymbol, ...]:
        """Objects and functions that the address lies in."""
        return tuple(symbol for symbol in self._sized[1] if 0 <= address - symbol.address < symbol.size_bytes)

    def section(self, name: str) -> ElfSection | None:
        return next((section for section in self.sections if section.name == name), None)

    def section_at(self, address: int) -> ElfSection | None:
        """The section that occupies the address at run time."""
        inside = (s for s in self.sections if s.occupies_memory and s.address <= address < s.end)
        return next(inside, None)

    def load_address(self, section: ElfSection) -> int:
        """Where the section's bytes lie before start-up: its segment's physical address, else its own address."""
        for segment in self.segments:
            if segment.type != "LOAD":
                continue
            inside = section.address - segment.virtual_address
            if inside < 0 or inside + section.size_bytes > segment.memory_size_bytes:
                continue
            # Overlays share run-time addresses; only the place in the file tells their segments apart.
            if section.nobits or segment.offset + inside == section.offset:
                return segment.physical_address + inside
        return section.address

    def bytes_at(self, address: int, size_bytes: int) -> bytes | None:
        """The bytes at a run-time address, or None where the file holds none (.bss, gaps, other sections)."""
        section = self.section_at(address)
        if section is None or section.nobits or size_bytes < 0 or address + size_bytes > section.end:
            return None
        start = section.offset + address - section.address
        return self.data[start : start + size_bytes]


class _Layout(NamedTuple):
    """Field formats of one ELF class, in the order of the ABI."""

    header: struct.Struct
    section: struct.Struct
    segment: struct.Struct
    symbol: struct.Struct


def _layout(bits: int, order: str) -> _Layout:
    if bits == 32:
        formats = ("HHIIIIIHHHHHH", "IIIIIIIIII", "IIIIIIII", "IIIBBH")
    else:
        formats = ("HHIQQQIHHHHHH", "IIQQQQIIQQ", "IIQQQQQQ", "IBBHQQ")
    return _Layout(*(struct.Struct(order + text) for text in formats))


class _Header(NamedTuple):
    type: int
    machine: int
    version: int
    entry: int
    segment_offset: int
    section_offset: int
    flags: int
    header_size: int
    segment_entry_size: int
    segment_count: int
    section_entry_size: int
    section_count: int
    names_index: int


class _RawSection(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


def read_elf(data: bytes) -> ElfImage:
    """Read a linked ELF file; raises ElfError with what is wrong and where."""
    bits, order = _identification(data)
    layout = _layout(bits, order)
    header = _Header(*_unpack(layout.header, data, 16, "the ELF header"))
    if header.type in (_RELOCATABLE, _CORE):
        raise ElfError(
            f"This is {'an object file' if header.type == _RELOCATABLE else 'a core dump'}, not a linked program.",
            hint="Give the program that the linker wrote (firmware.elf).",
        )
    raw = _raw_sections(data, header, layout)
    names = _section_names(data, raw, header)
    sections = tuple(_section(index, entry, names[index], len(data)) for index, entry in enumerate(raw))
    return ElfImage(
        machine=_MACHINES.get(header.machine, f"machine {header.machine}"),
        bits=bits,
        little_endian=order == "<",
        entry=header.entry,
        sections=sections,
        segments=tuple(_segments(data, header, layout, bits)),
        symbols=tuple(_symbols(data, raw, sections, layout, header.machine)),
        data=data,
    )


def _identification(data: bytes) -> tuple[int, str]:
    if len(data) > MAXIMUM_SIZE_BYTES:
        raise ElfError(f"{len(data):,} bytes are more than the {MAXIMUM_SIZE_BYTES:,} that are read.")
    if data[:4] != b"\x7fELF":
        raise ElfError(
            f"Not an ELF file: it begins with {data[:4].hex(' ') or 'nothing'}, not with 7f 45 4c 46.",
            hint="Give the linked program (firmware.elf), not the image made from it.",
        )
    if len(data) < 16:
        raise ElfError(f"The ELF file ends after {len(data)} bytes, inside its header.")
    bits = {1: 32, 2: 64}.get(data[4])
    order = {1: "<", 2: ">"}.get(data[5])
    if bits is None or order is None:
        raise ElfError(f"Unknown ELF class {data[4]} or byte order {data[5]}; 1 and 2 are defined.")
    return bits, order


def _unpack(layout: struct.Struct, data: bytes, offset: int, what: str) -> tuple[int, ...]:
    if offset + layout.size > len(data):
        raise ElfError(
            f"{what[0].upper()}{what[1:]} at offset {offset:,} needs {layout.size} bytes; the file has {len(data):,}.",
            hint="The file is truncated; link again.",
        )
    return layout.unpack_from(data, offset)


class _Table(NamedTuple):
    """Where a table of the file lies; what: its name in errors."""

    what: str
    offset: int
    entries: int
    stride: int


def _rows(data: bytes, layout: struct.Struct, table: _Table) -> Iterator[tuple[int, ...]]:
    what, offset, count, stride = table
    if stride < layout.size:
        raise ElfError(f"{what} has entries of {stride} bytes; {layout.size} are needed.")
    if offset + count * stride > len(data):
        raise ElfError(
            f"{what} of {count:,} entries at offset {offset:,} ends at {offset + count * stride:,}; "
            f"the file has {len(data):,} bytes.",
            hint="The file is truncated; link again.",
        )
    if stride == layout.size:
        return layout.iter_unpack(memoryview(data)[offset : offset + count * stride])
    return (layout.unpack_from(data, offset + index * stride) for index in range(count))


def _raw_sections(data: bytes, header: _Header, layout: _Layout) -> list[_RawSection]:
    if header.section_offset == 0:
        return []
    first = _RawSection(*_unpack(layout.section, data, header.section_offset, "the section header"))
    # More than 65,279 sections: the true count stands in the first header (gABI, "Section Header").
    count = header.section_count or first.size
    if count > MAXIMUM_SECTIONS:
        raise ElfError(f"{count:,} sections; at most {MAXIMUM_SECTIONS:,} are read.")
    stride = header.section_entry_size
    rows = _rows(data, layout.section, _Table("The section header table", header.section_offset, count, stride))
    return [_RawSection(*row) for row in rows]


def _section_names(data: bytes, raw: list[_RawSection], header: _Header) -> list[str]:
    index = header.names_index
    if index == 0xFFFF and raw:
        index = raw[0].link
    if not raw or index == 0:
        return [""] * len(raw)
    if index >= len(raw):
        raise ElfError(f"Section {index} should hold the section names; there are {len(raw)} sections.")
    table = _contents(data, raw[index], "the table of section names")
    return [_text(table, entry.name, "A section's name") for entry in raw]


def _contents(data: bytes, entry: _RawSection, what: str) -> bytes:
    end = entry.offset + entry.size
    if end > len(data):
        raise ElfError(f"{what[0].upper()}{what[1:]} ends at offset {end:,}; the file has {len(data):,} bytes.")
    return data[entry.offset : end]


def _text(table: bytes, offset: int, what: str) -> str:
    end = table.find(b"\0", offset)
    if offset >= len(table) or end < 0:
        raise ElfError(f"{what} lies at offset {offset:,} of a table of {len(table):,} bytes.")
    return table[offset:end].decode("utf-8", "backslashreplace")


def _section(index: int, raw: _RawSection, name: str, file_size: int) -> ElfSection:
    if raw.type not in (0, _NOBITS) and raw.offset + raw.size > file_size:
        raise ElfError(
            f"Section {shown(name) or index} has {raw.size:,} bytes at offset {raw.offset:,}; "
            f"the file has {file_size:,}.",
            hint="The file is truncated; link again.",
        )
    return ElfSection(
        index=index,
        name=name,
        type=_SECTION_TYPES.get(raw.type, f"{raw.type:#x}"),
        address=raw.address,
        offset=raw.offset,
        size_bytes=raw.size,
        alignment=max(1, raw.alignment),
        flags=raw.flags,
    )


def _segments(data: bytes, header: _Header, layout: _Layout, bits: int) -> Iterator[ElfSegment]:
    if header.segment_offset == 0 or header.segment_count == 0:
        return
    stride = header.segment_entry_size
    table = _Table("The program header table", header.segment_offset, header.segment_count, stride)
    rows = _rows(data, layout.segment, table)
    for row in rows:
        if bits == 32:
            kind, offset, virtual, physical, in_file, in_memory, flags, alignment = row
        else:
            kind, flags, offset, virtual, physical, in_file, in_memory, alignment = row
        if kind == _SEGMENT_LOAD and offset + in_file > len(data):
            raise ElfError(f"A segment ends at offset {offset + in_file:,}; the file has {len(data):,} bytes.")
        name = _SEGMENT_TYPES.get(kind, f"{kind:#x}")
        yield ElfSegment(name, offset, virtual, physical, in_file, in_memory, flags, alignment)


def _symbols(
    data: bytes, raw: list[_RawSection], sections: tuple[ElfSection, ...], layout: _Layout, machine: int
) -> Iterator[ElfSymbol]:
    table = next((entry for entry in raw if entry.type == _SYMTAB), None)
    if table is None:
        return
    if table.link >= len(raw):
        raise ElfError(f"The symbol table's names are in section {table.link}; there are {len(raw)} sections.")
    names = _contents(data, raw[table.link], "the table of symbol names")
    stride = table.entry_size
    if stride == 0 or table.size % stride:
        raise ElfError(f"A symbol table of {table.size:,} bytes cannot hold entries of {stride} bytes.")
    rows = _rows(data, layout.symbol, _Table("The symbol table", table.offset, table.size // stride, stride))
    section_names = {0: "", 0xFFF1: "*ABS*", 0xFFF2: "*COM*"}
    section_names.update((section.index, section.name) for section in sections if 0 < section.index < 0xFF00)
    is_32_bit = layout.symbol.size == 16
    for row in rows:
        if is_32_bit:
            name, value, size, info, _other, index = row
        else:
            name, info, _other, index, value, size = row
        kind = _SYMBOL_TYPES.get(info & 15, "OTHER")
        if machine == _EM_ARM and kind == "FUNC":
            value &= ~1
        yield ElfSymbol(_symbol_name(names, name), value, size, kind, section_names.get(index, "?"), info >> 4 != 0)


def _symbol_name(names: bytes, offset: int) -> str:
    """As _text, inlined for speed: it runs once a symbol."""
    end = names.find(b"\0", offset)
    if end < 0:
        raise ElfError(f"A symbol's name lies at offset {offset:,} of a table of {len(names):,} bytes.")
    return names[offset:end].decode("utf-8", "backslashreplace")
