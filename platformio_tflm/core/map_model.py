"""What a GNU ld map says, as frozen values. Addresses are run-time addresses; sizes are bytes.

The rows that exist by the ten thousand (InputSection, ArchiveMember) are named tuples:
as immutable as a frozen dataclass, at a quarter of the time to make one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class InputKind(str, Enum):
    """What put bytes into an output section."""

    SECTION = "section"
    COMMON = "common"
    FILL = "fill"
    DATA = "data"  # BYTE, SHORT, LONG, QUAD, SQUAD in the linker script
    STUBS = "stubs"  # veneers and glue that the linker made


class InputSection(NamedTuple):
    """One contribution to an output section.

    archive: the archive's path as the map has it, None for an object file of its own.
    member:  the archive's member, or the object file's path; the statement for DATA, "" for FILL.
    line:    where the map says so, from 1.
    """

    name: str
    address: int
    size_bytes: int
    archive: str | None
    member: str
    kind: InputKind
    line: int


class ArchiveMember(NamedTuple):
    """Why an archive member was linked: *wanted_by* (a file) refers to *symbol*."""

    archive: str | None
    member: str
    wanted_by: str
    symbol: str


@dataclass(frozen=True)
class MemoryRegion:
    """One line of the memory configuration; attributes as ld prints them ("xr", "rw !x", "")."""

    name: str
    origin: int
    length_bytes: int
    attributes: str

    def contains(self, address: int) -> bool:
        return self.origin <= address < self.origin + self.length_bytes


@dataclass(frozen=True)
class OutputSection:
    """load_address is None where the map prints none, which means that it equals the address.

    alignment: 0 where the map does not tell, as GNU ld's.
    """

    name: str
    address: int
    size_bytes: int
    load_address: int | None
    inputs: tuple[InputSection, ...]
    line: int
    alignment: int = 0

    def spans(self) -> Iterator[tuple[int, int, InputSection | None]]:
        """(address, size_bytes, input) without overlap or hole, None for bytes that the map explains by nothing.

        The map's own figures overlap where the linker merged equal strings: it goes on printing the size that
        a section had before, so a section ends at the latest where the next one starts.
        """
        rows = sorted((row for row in self.inputs if row.size_bytes), key=lambda row: row.address)
        cursor, end = self.address, self.address + self.size_bytes
        for index, row in enumerate(rows):
            following = rows[index + 1].address if index + 1 < len(rows) else end
            start = min(max(row.address, cursor), end)
            stop = min(row.address + row.size_bytes, following, end)
            if stop <= start:
                continue
            if start > cursor:
                yield cursor, start - cursor, None
            yield start, stop - start, row
            cursor = stop
        if cursor < end:
            yield cursor, end - cursor, None


@dataclass(frozen=True)
class LinkMap:
    """A whole map.

    regions:   the MEMORY of the linker script; empty where it has none (ld's *default* is left out).
    output:    the linked file's name, and target its BFD format ("elf32-littlearm").
    discarded: input sections that --gc-sections or /DISCARD/ dropped; they take no room.
    """

    regions: tuple[MemoryRegion, ...]
    sections: tuple[OutputSection, ...]
    discarded: tuple[InputSection, ...]
    members: tuple[ArchiveMember, ...]
    output: str
    target: str

    def section(self, name: str) -> OutputSection | None:
        return next((section for section in self.sections if section.name == name), None)
