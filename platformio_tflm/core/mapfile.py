"""Reader of GNU ld's linker maps (-Map), versions 2.25 and later: bytes in, LinkMap out.

The format has no specification; what is relied upon is how ld/ldlang.c prints it: names of 15 and more characters
stand on a line of their own, input sections are indented by one blank, symbols and figures by sixteen. Lines are read
one by one, in time linear in the file's size. What is not understood is refused with its line, never skipped where
bytes hang on it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from platformio_tflm.core.map_model import (
    ArchiveMember,
    CommonSymbol,
    InputKind,
    InputSection,
    LinkMap,
    MemoryRegion,
    OutputSection,
)
from platformio_tflm.errors import MapFileError

MAXIMUM_SIZE_BYTES = 1 << 30

_MEMORY = "Memory Configuration"
_SECTIONS = "Linker script and memory map"
_CROSS_REFERENCES = "Cross Reference Table"
_DISCARDED = "Discarded input sections"
_COMMONS = "Common symbol       size              file"
_MEMBERS = (
    "Archive member included to satisfy reference by file (symbol)",
    "Archive member included because of file (symbol)",
)
_TITLES = frozenset((_MEMORY, _SECTIONS, _DISCARDED, _COMMONS, *_MEMBERS))

# What the first lines of other linkers' maps look like.
_FOREIGN = (
    (re.compile(rb"^\s*VMA\s+LMA\s+Size\s+Align\s+Out\s+In\s+Symbol", re.MULTILINE), "LLVM's lld"),
    (re.compile(rb"^\s*Address\s+Size\s+Align\s+Out\s+In\s+Symbol", re.MULTILINE), "LLVM's lld"),
    (re.compile(rb"^\s*VMA\s+Size\s+Align\s+Out\s+In\s+Symbol", re.MULTILINE), "mold"),
    (re.compile(rb"^Component: ARM Compiler", re.MULTILINE), "armlink"),
    (re.compile(rb"^#\s+IAR ELF Linker", re.MULTILINE), "IAR's ILINK"),
    (re.compile(rb"^# Path: .*\n# Arch: ", re.MULTILINE), "Apple's ld"),
    (re.compile(rb"^ Timestamp is [0-9a-f]+ \(", re.MULTILINE), "Microsoft's LINK"),
)
_GOLD = re.compile(rb"^Memory map\r?$", re.MULTILINE)
_TRANSLATED = re.compile(rb"^(?:LOAD \S|\.\w+ +0x[0-9a-f]+ +0x[0-9a-f]+\r?$)", re.MULTILINE)
_DATA_STATEMENT = re.compile(r" +(0x[0-9a-f]+) +(0x[0-9a-f]+) ((?:BYTE|SHORT|LONG|QUAD|SQUAD) .*)")
_FIGURES_INDENT = " " * 16

_LOAD_ADDRESS = "load address "


class _Line(NamedTuple):
    """text: without the blanks at its end."""

    number: int
    text: str


class _Row(NamedTuple):
    """name, address and size in hexadecimal, and what follows, as they stand in the map."""

    name: str
    address: str
    size: str
    rest: str


_Lines = Iterator[_Line]


def parse_map(data: bytes) -> LinkMap:
    """Read a map; raises MapFileError with line number and text."""
    if len(data) > MAXIMUM_SIZE_BYTES:
        raise MapFileError(f"{len(data):,} bytes are more than the {MAXIMUM_SIZE_BYTES:,} that are read.")
    _refuse_foreign(data)
    # Paths are bytes in whatever encoding the file system has; a name that is not UTF-8 must not end the report.
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="backslashreplace", newline="\n")
    return _Parser().parse(_Line(number, line.rstrip()) for number, line in enumerate(text, start=1))


def split_archive(text: str) -> tuple[str | None, str]:
    """``lib.a(member.o)`` -> ("lib.a", "member.o"); a plain object file -> (None, its path).

    Directories ("C:\\x (86)\\a.o") and members may have brackets of their own.
    """
    before, inside = _split_last_bracket(text)
    return (None, text) if not before or before[-1] in " /\\" else (before, inside)


def _split_last_bracket(text: str) -> tuple[str, str]:
    """("lib.a(b.o)", "f(int)") of "lib.a(b.o)(f(int))": the bracket that the last character closes; else ("", text)."""
    if text.endswith(")"):
        depth = 0
        for index in range(len(text) - 1, -1, -1):
            if text[index] == ")":
                depth += 1
            elif text[index] == "(":
                depth -= 1
                if depth == 0:
                    return text[:index], text[index + 1 : -1]
    return "", text


def _refuse_foreign(data: bytes) -> None:
    head = data[:4096]
    for pattern, linker in _FOREIGN:
        if pattern.search(head):
            raise MapFileError(f"This map was written by {linker}; GNU ld's format is read.", hint="Link with GNU ld.")
    if not data.strip():
        raise MapFileError("The map is empty.", hint="Link again; a link that failed leaves such a file.")
    if _has_line(data, _SECTIONS):
        return
    if _GOLD.search(data):
        raise MapFileError("This map was written by gold; GNU ld's format is read.", hint="Link without -fuse-ld=gold.")
    if _TRANSLATED.search(data):
        raise MapFileError(
            f"The map has no line {_SECTIONS!r}: it is truncated, or the linker wrote it in another language.",
            hint="Link again with the environment variable LC_ALL=C.",
        )
    raise MapFileError(f"Not a GNU ld map: there is no line {_SECTIONS!r}.", hint="Give the file that -Wl,-Map= names.")


def _has_line(data: bytes, title: str) -> bool:
    return data.startswith(title.encode()) or b"\n" + title.encode() in data


class _Parser:
    """One pass over the lines; each part of the map has a method that returns the title which ended it."""

    def __init__(self) -> None:
        self.regions: list[MemoryRegion] = []
        self.sections: list[OutputSection] = []
        self.discarded: list[InputSection] = []
        self.members: list[ArchiveMember] = []
        self.commons: list[CommonSymbol] = []
        self.output = ""
        self.target = ""
        self._owners: dict[str, tuple[str | None, str]] = {}

    def parse(self, lines: _Lines) -> LinkMap:
        title = self._skip(lines)
        while title and title != _SECTIONS:
            if title == _MEMORY:
                title = self._read_memory(lines)
            elif title == _DISCARDED:
                title = self._read_discarded(lines)
            elif title == _COMMONS:
                title = self._read_commons(lines)
            else:
                title = self._read_members(lines)
        self._read_sections(lines)
        if not self.output:
            raise MapFileError(
                "The map ends before its OUTPUT line: it is truncated.",
                hint="Link again; the link may have been stopped.",
            )
        return LinkMap(
            regions=tuple(self.regions),
            sections=tuple(self.sections),
            discarded=tuple(self.discarded),
            members=tuple(self.members),
            commons=tuple(self.commons),
            output=self.output,
            target=self.target,
        )

    def _skip(self, lines: _Lines) -> str:
        return next((line.text for line in lines if line.text in _TITLES), "")

    def _read_members(self, lines: _Lines) -> str:
        archive: tuple[str | None, str] | None = None
        for _, text in lines:
            if text in _TITLES:
                return text
            if not text:
                continue
            reason = text
            if text[0] != " ":
                # A short path is followed by its reason on the same line, from column 30 on.
                name, _, reason = text.partition("  ")
                archive = split_archive(name)
            if reason and archive:
                wanted_by, symbol = _split_last_bracket(reason.strip())
                self.members.append(ArchiveMember(*archive, wanted_by.rstrip(), symbol))
                archive = None
        return ""

    def _read_commons(self, lines: _Lines) -> str:
        name = ""
        for line in lines:
            text = line.text
            if text in _TITLES:
                return text
            if not text:
                continue
            parts = text.split(None, 2) if text[0] != " " else [name, *text.split(None, 1)]
            name = parts[0]
            if len(parts) == 3 and parts[1].startswith("0x"):
                self.commons.append(CommonSymbol(name, _hexadecimal(parts[1], line), parts[2]))
            elif len(parts) > 1:
                return self._skip(lines)
        return ""

    def _read_memory(self, lines: _Lines) -> str:
        for line in lines:
            if line.text in _TITLES:
                return line.text
            name, *parts = line.text.split(None, 3) or [""]
            if len(parts) >= 2 and name not in ("Name", "*default*"):
                origin, length = _hexadecimal(parts[0], line), _hexadecimal(parts[1], line)
                self.regions.append(MemoryRegion(name, origin, length, parts[2] if len(parts) > 2 else ""))
        return ""

    def _read_discarded(self, lines: _Lines) -> str:
        reader = _SectionReader(self._owners)
        for line in lines:
            if line.text in _TITLES:
                self.discarded = reader.rows
                return line.text
            if line.text:
                reader.feed(line)
        return ""

    def _read_sections(self, lines: _Lines) -> None:
        reader = _SectionReader(self._owners)
        header: _Line | None = None
        section: OutputSection | None = None
        for line in lines:
            text = line.text
            if not text:
                continue
            if text[0] == " ":
                if header is not None:
                    section, header = self._continued(header, line), None
                    if section is not None:
                        continue
                reader.feed(line)
            elif text == _CROSS_REFERENCES:
                break
            elif not self._is_command(text):
                self._close(section, reader)
                section, header = self._opened(line)
        self._close(section, reader)

    def _is_command(self, text: str) -> bool:
        if text.startswith("OUTPUT("):
            self.output, _, self.target = text[7:].rstrip(")").rpartition(" ")
            return True
        return text.startswith(
            ("LOAD ", "START GROUP", "END GROUP", "TARGET(", "INPUT(", "GROUP(", "Address of section ")
        )

    def _opened(self, line: _Line) -> tuple[OutputSection | None, _Line | None]:
        """An output section's line: complete, or its name alone (figures follow, or it has none)."""
        row = _figures(line.text)
        if row is not None:
            return _output_section(row.name, row, line), None
        if not line.text.startswith(".") and len(line.text.split(None, 1)) > 1:
            raise MapFileError(f"Not understood: {_excerpt(line.text)}", where=f"line {line.number}")
        return None, line

    def _continued(self, header: _Line, line: _Line) -> OutputSection | None:
        """The section whose figures stand below its name; None if the linker never made the section."""
        row = _figures(line.text)
        if row is None or row.name or (row.rest and not row.rest.startswith(_LOAD_ADDRESS)):
            return None
        return _output_section(header.text, row, line)

    def _close(self, section: OutputSection | None, reader: _SectionReader) -> None:
        rows, reader.rows, reader.pending = reader.rows, [], ""
        if section is not None:
            self.sections.append(replace(section, inputs=tuple(rows)))
        elif any(row.size_bytes for row in rows):
            name, number = rows[0].name, rows[0].line
            raise MapFileError(f"Input section {name} stands outside of any output section.", where=f"line {number}")


class _SectionReader:
    """Input sections, fills and data statements of one output section, fed line by line."""

    def __init__(self, owners: dict[str, tuple[str | None, str]]) -> None:
        self.rows: list[InputSection] = []
        self.pending = ""
        self._owners = owners

    def feed(self, line: _Line) -> None:
        text = line.text
        if text.startswith(_FIGURES_INDENT):
            self._feed_figures(line)
            return
        self.pending = ""
        parts = text.split(None, 3)
        if len(parts) == 4 and parts[1][:2] == "0x" and parts[2][:2] == "0x":
            self._add(_Row(*parts), line)
            return
        if text.endswith(")") and "(" in text:
            return  # The script's own pattern, such as *(.text .text.*)
        row = _figures(text)
        if row is not None:
            self._add(row, line)
        else:
            self.pending = text.strip()

    def _feed_figures(self, line: _Line) -> None:
        if self.pending:
            row = _figures(line.text)
            name, self.pending = self.pending, ""
            if row is not None and not row.name:
                self._add(row._replace(name=name), line)
                return
        statement = _DATA_STATEMENT.match(line.text)
        if statement:
            address, size, what = statement.groups()
            self._append(_Row(what, address, size, what), InputKind.DATA, (None, what), line)

    def _add(self, row: _Row, line: _Line) -> None:
        if row.name == "*fill*":
            self._append(row, InputKind.FILL, (None, ""), line)
            return
        if not row.rest:
            what = f"No file stands behind input section {row.name}: {_excerpt(line.text)}"
            raise MapFileError(what, where=f"line {line.number}")
        kind = InputKind.COMMON if row.name == "COMMON" else InputKind.SECTION
        if row.rest == "linker stubs":
            kind = InputKind.STUBS
        owner = self._owners.get(row.rest)
        if owner is None:
            owner = self._owners[row.rest] = split_archive(row.rest)
        self._append(row, kind, owner, line)

    def _append(self, row: _Row, kind: InputKind, owner: tuple[str | None, str], line: _Line) -> None:
        address, size = _hexadecimal(row.address, line), _hexadecimal(row.size, line)
        self.rows.append(InputSection(row.name, address, size, owner[0], owner[1], kind, line.number))


def _output_section(name: str, row: _Row, line: _Line) -> OutputSection:
    load = None
    if row.rest.startswith(_LOAD_ADDRESS):
        load = _hexadecimal(row.rest[len(_LOAD_ADDRESS) :].partition(" ")[0], line)
    elif row.rest:
        what = f"Not understood after an output section's size: {_excerpt(line.text)}"
        raise MapFileError(what, where=f"line {line.number}")
    return OutputSection(name, _hexadecimal(row.address, line), _hexadecimal(row.size, line), load, (), line.number)


def _figures(text: str) -> _Row | None:
    """The row of a line with two hexadecimal figures side by side; its name may be missing, or have blanks."""
    parts = text.split()
    for index in range(len(parts) - 1):
        if parts[index].startswith("0x") and parts[index + 1].startswith("0x"):
            rest = text.split(None, index + 2)[index + 2 :]
            return _Row(" ".join(parts[:index]), parts[index], parts[index + 1], rest[0] if rest else "")
    return None


def _hexadecimal(figure: str, line: _Line) -> int:
    try:
        if len(figure) <= 18:
            return int(figure, 16)
    except ValueError:
        pass
    what = f"{_excerpt(figure)} is not a 64-bit number: {_excerpt(line.text)}"
    raise MapFileError(what, where=f"line {line.number}")


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:117] + "...")
