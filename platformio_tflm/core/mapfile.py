"""Reader of GNU ld's linker maps (-Map), versions 2.25 and later: bytes in, LinkMap out.

The format has no specification; what is relied upon is how ld/ldlang.c prints it: names of 15 and more characters
stand on a line of their own, input sections are indented by one blank, symbols and figures by sixteen. Nearly all of a
map is rows of one shape, which one pattern finds at the speed of the regular expression's engine; what stands between
them is read line by line. Both take time linear in the file's size. What is not understood is refused with its line,
never skipped where bytes hang on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from platformio_tflm.core.foreign import excerpt, shown
from platformio_tflm.core.map_lld import is_lld_map, parse_lld_map
from platformio_tflm.core.map_model import (
    ArchiveMember,
    InputKind,
    InputSection,
    LinkMap,
    MemoryRegion,
    OutputSection,
)
from platformio_tflm.core.map_text import decoded, split_archive, split_last_bracket
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
    "As-needed library included to satisfy reference by file (symbol)",
)
_TITLES = frozenset((_MEMORY, _SECTIONS, _DISCARDED, _COMMONS, *_MEMBERS))

# What the first lines of other linkers' maps look like.
_FOREIGN = (
    (re.compile(rb"^\s*Address\s+Size\s+Align\s+Out\s+In\s+Symbol", re.MULTILINE), "LLVM's lld before version 7"),
    (re.compile(rb"^\s*VMA\s+Size\s+Align\s+Out\s+In\s+Symbol", re.MULTILINE), "mold"),
    (re.compile(rb"^Component: ARM Compiler", re.MULTILINE), "armlink"),
    (re.compile(rb"^#\s+IAR ELF Linker", re.MULTILINE), "IAR's ILINK"),
    (re.compile(rb"^# Path: .*\n# Arch: ", re.MULTILINE), "Apple's ld"),
    (re.compile(rb"^ Timestamp is [0-9a-f]+ \(", re.MULTILINE), "Microsoft's LINK"),
)
_GOLD = re.compile(rb"^Memory map\r?$", re.MULTILINE)
_TRANSLATED = re.compile(rb"^(?:LOAD \S|\.\w+ +0x[0-9a-f]+ +0x[0-9a-f]+\r?$)", re.MULTILINE)
_DATA_STATEMENT = re.compile(r" +(0x[0-9a-f]+) +(0x[0-9a-f]+) ((?:BYTE|SHORT|LONG|QUAD|SQUAD) .*)")
# An input section on one line or two, and the lines of its symbols. They begin with the line's end before them, for
# that is a letter which the engine finds fast. A name with blanks or brackets is left to the reader of lines.
_ROW = re.compile(
    r"\n (\S+)(?:(?<!\))(?<!CONSTRUCTORS)(\n) {15})?"
    r" +0x([0-9a-f]{1,16}) +0x([0-9a-f]{1,16})(?: +(\S[^\n]*))? *(?=\n|\Z)"
    r"(?:\n {16,}0x[0-9a-f]+(?: {16}[^\n]*| \(size before relaxing\)))*"
)
_TOP_LINE = re.compile(r"\n([^ \n][^\n]*)")
_FIGURES_INDENT = " " * 16

_LOAD_ADDRESS = "load address "
# Statements of the script that are printed like an input section's name.
_NO_NAMES = ("FILL mask", "CONSTRUCTORS")


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


def parse_map(data: bytes, *, reasons: bool = True) -> LinkMap:
    """Read a map of GNU ld or LLVM's lld; raises MapFileError with line number and text.

    reasons=False leaves empty what says why something is linked or is not, LinkMap.members and .discarded: half the
    lines of a map, in which no byte of the program lies.
    """
    if len(data) > MAXIMUM_SIZE_BYTES:
        raise MapFileError(f"{len(data):,} bytes are more than the {MAXIMUM_SIZE_BYTES:,} that are read.")
    if is_lld_map(data):
        return parse_lld_map(data)
    _refuse_foreign(data)
    return _Parser(decoded(data), reasons=reasons).parse()


def _refuse_foreign(data: bytes) -> None:
    head = data[:4096]
    for pattern, linker in _FOREIGN:
        if pattern.search(head):
            raise MapFileError(f"This map was written by {linker}; GNU ld and lld are read.", hint="Link with GNU ld.")
    if not data or data.isspace():
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
    if any(_has_line(data, title) for title in _TITLES):
        raise MapFileError(
            f"The map ends before its line {_SECTIONS!r}: it is truncated.",
            hint="Link again; the link may have been stopped.",
        )
    raise MapFileError(f"Not a GNU ld map: there is no line {_SECTIONS!r}.", hint="Give the file that -Wl,-Map= names.")


def _has_line(data: bytes, title: str) -> bool:
    return data.startswith(title.encode()) or b"\n" + title.encode() in data


class _Part(NamedTuple):
    """A part of the text: from the line's end before its first line; number: of the line which that is."""

    start: int
    stop: int
    number: int


class _Parser:
    """The parts of the map, in the order in which they stand; each has a method."""

    def __init__(self, text: str, *, reasons: bool) -> None:
        self.regions: list[MemoryRegion] = []
        self.sections: list[OutputSection] = []
        self.discarded: list[InputSection] = []
        self.members: list[ArchiveMember] = []
        self.output = ""
        self.target = ""
        self._text = text
        self._reasons = reasons
        self._owners: dict[str, tuple[str | None, str, InputKind]] = {}

    def parse(self) -> LinkMap:
        for title, part in _parts(self._text):
            if title == _MEMORY:
                self._read_memory(self._lines(part))
            elif title == _SECTIONS:
                self._read_sections(part)
            elif title == _DISCARDED and self._reasons:
                self._read_discarded(part)
            elif title in _MEMBERS and self._reasons:
                self._read_members(self._lines(part))
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
            output=self.output,
            target=self.target,
        )

    def _lines(self, part: _Part) -> _Lines:
        """The lines that are not empty, with their numbers, without the blanks at their ends."""
        start, stop, number = part
        for offset, line in enumerate(self._text[start + 1 : stop].split("\n")):
            text = line.rstrip()
            if text:
                yield _Line(number + offset, text)

    def _read_members(self, lines: _Lines) -> None:
        archive: tuple[str | None, str] | None = None
        for _, text in lines:
            reason = text
            if text[0] != " ":
                # A short path is followed by its reason on the same line, from column 30 on.
                name, _, reason = text.partition("  ")
                archive = split_archive(name)
            if reason and archive:
                wanted_by, symbol = split_last_bracket(reason.strip())
                self.members.append(ArchiveMember(*archive, wanted_by.rstrip(), symbol))
                archive = None

    def _read_memory(self, lines: _Lines) -> None:
        for line in lines:
            name, *parts = line.text.split(None, 3)
            if len(parts) >= 2 and name not in ("Name", "*default*"):
                origin, length = _hexadecimal(parts[0], line), _hexadecimal(parts[1], line)
                self.regions.append(MemoryRegion(name, origin, length, parts[2] if len(parts) > 2 else ""))

    def _read_discarded(self, part: _Part) -> None:
        reader = _SectionReader(self._owners)
        self._feed(part, reader)
        self.discarded += reader.rows

    def _read_sections(self, part: _Part) -> None:
        reader = _SectionReader(self._owners)
        section: OutputSection | None = None
        begin, number = part.start, part.number
        for found in _TOP_LINE.finditer(self._text, part.start, part.stop):
            self._feed(_Part(begin, found.start(), number), reader)
            number += self._text.count("\n", begin, found.end())
            begin = found.end()
            line = _Line(number - 1, found[1].rstrip())
            if line.text == _CROSS_REFERENCES:
                break
            if not line.text or self._is_command(line.text):
                continue
            self._close(section, reader)
            section = self._opened(line)
            if section is None:
                # Its figures stand below its name, or the linker never made it.
                below = self._line_below(begin, part.stop, number)
                section = self._continued(line, below) if below else None
                if section is not None and below is not None:
                    begin, number = self._end_of_line_below(begin, below.number - number), below.number + 1
        else:
            self._feed(_Part(begin, part.stop, number), reader)
        self._close(section, reader)

    def _line_below(self, begin: int, stop: int, number: int) -> _Line | None:
        """The next line that is not empty, if it is indented."""
        while begin < stop:
            end = self._text.find("\n", begin + 1, stop)
            end = stop if end < 0 else end
            text = self._text[begin + 1 : end].rstrip()
            if text:
                return _Line(number, text) if text[0] == " " else None
            begin, number = end, number + 1
        return None

    def _end_of_line_below(self, begin: int, lines_between: int) -> int:
        for _ in range(lines_between + 1):
            end = self._text.find("\n", begin + 1)
            begin = len(self._text) if end < 0 else end
        return begin

    def _feed(self, part: _Part, reader: _SectionReader) -> None:
        """The rows of one output section: those of the common shape at once, and all else line by line."""
        begin, stop, number = part
        text, owners, append = self._text, self._owners, reader.rows.append
        for found in _ROW.finditer(text, begin, stop):
            name, wrapped, address, size, file = found.groups()
            start = found.start()
            if start > begin:
                self._feed_lines(_Part(begin, start, number), reader)
                number += text.count("\n", begin, start)
            line = number + 1 if wrapped else number
            if file is None and name != "*fill*":
                self._feed_lines(_Part(start, found.end(), number), reader)  # Raises
            elif name == "*fill*":
                append(InputSection(name, int(address, 16), int(size, 16), None, "", InputKind.FILL, line))
            else:
                owner = owners.get(file) or _owner_of(file, owners)
                kind = InputKind.COMMON if name == "COMMON" else owner[2]
                append(InputSection(name, int(address, 16), int(size, 16), owner[0], owner[1], kind, line))
            reader.pending = ""
            begin = found.end()
            number += text.count("\n", start, begin)
        if begin < stop:
            self._feed_lines(_Part(begin, stop, number), reader)

    def _feed_lines(self, part: _Part, reader: _SectionReader) -> None:
        for line in self._lines(part):
            reader.feed(line)

    def _is_command(self, text: str) -> bool:
        if text.startswith("OUTPUT("):
            self.output, _, self.target = text[7:].rstrip(")").rpartition(" ")
            return True
        return text.startswith(
            ("LOAD ", "START GROUP", "END GROUP", "TARGET(", "INPUT(", "GROUP(", "Address of section ")
        )

    def _opened(self, line: _Line) -> OutputSection | None:
        """The output section of a complete line; None if the line has its name alone."""
        row = _figures(line.text)
        if row is not None:
            return _output_section(row.name, row, line)
        if not line.text.startswith(".") and len(line.text.split(None, 1)) > 1:
            raise MapFileError(f"Not understood: {excerpt(line.text)}", where=f"line {line.number}")
        return None

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
            raise MapFileError(
                f"Input section {shown(name)} stands outside of any output section.", where=f"line {number}"
            )


def _parts(text: str) -> Iterator[tuple[str, _Part]]:
    """The titles with what follows each; the memory map is the last of them, whatever its text looks like."""
    places = sorted((place, title) for title in _TITLES for place in _places_of(text, title))
    last = next((index for index, (_, title) in enumerate(places) if title == _SECTIONS), len(places) - 1)
    number, counted = 1, 0
    for index, (place, title) in enumerate(places[: last + 1]):
        start = text.find("\n", place)
        start = len(text) if start < 0 else start
        number += text.count("\n", counted, start)
        counted = start
        stop = places[index + 1][0] - 1 if index < last else len(text)
        yield title, _Part(start, max(stop, start), number + 1)


def _places_of(text: str, title: str) -> Iterator[int]:
    """Where lines begin that have the title alone."""
    place = 0 if text.startswith(title) else text.find(f"\n{title}") + 1
    while place or text.startswith(title):
        end = text.find("\n", place)
        if not text[place + len(title) : len(text) if end < 0 else end].strip():
            yield place
        place = text.find(f"\n{title}", place) + 1
        if not place:
            return


def _owner_of(file: str, owners: dict[str, tuple[str | None, str, InputKind]]) -> tuple[str | None, str, InputKind]:
    """The archive and member that a row's end names, remembered: a file has many rows."""
    text = file.rstrip()
    kind = InputKind.STUBS if text == "linker stubs" else InputKind.SECTION
    owner = owners[file] = (*split_archive(text), kind)
    return owner


class _SectionReader:
    """Input sections, fills and data statements of one output section, fed line by line."""

    def __init__(self, owners: dict[str, tuple[str | None, str, InputKind]]) -> None:
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
        elif not text.lstrip().startswith(_NO_NAMES):
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
            self._append(_Row(what, address, size, what), (None, what, InputKind.DATA), line)

    def _add(self, row: _Row, line: _Line) -> None:
        if row.name == "*fill*":
            self._append(row, (None, "", InputKind.FILL), line)
            return
        if not row.rest:
            what = f"No file stands behind input section {excerpt(row.name)}: {excerpt(line.text)}"
            raise MapFileError(what, where=f"line {line.number}")
        archive, member, kind = self._owners.get(row.rest) or _owner_of(row.rest, self._owners)
        self._append(row, (archive, member, InputKind.COMMON if row.name == "COMMON" else kind), line)

    def _append(self, row: _Row, owner: tuple[str | None, str, InputKind], line: _Line) -> None:
        address, size = _hexadecimal(row.address, line), _hexadecimal(row.size, line)
        self.rows.append(InputSection(row.name, address, size, *owner, line.number))


def _output_section(name: str, row: _Row, line: _Line) -> OutputSection:
    load = None
    if row.rest.startswith(_LOAD_ADDRESS):
        load = _hexadecimal(row.rest[len(_LOAD_ADDRESS) :].partition(" ")[0], line)
    elif row.rest:
        what = f"Not understood after an output section's size: {excerpt(line.text)}"
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
    what = f"{excerpt(figure)} is not a 64-bit number: {excerpt(line.text)}"
    raise MapFileError(what, where=f"line {line.number}")
