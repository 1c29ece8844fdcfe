"""Reader of the maps of LLVM's lld (-Map), versions 7 and later: bytes in, LinkMap out.

lld/ELF/MapFile.cpp prints one line for everything: run-time address, load address, size (hexadecimal) and alignment
(decimal), then the name: an output section's at once, an input section's after eight blanks, a symbol's after sixteen.
There is no memory configuration, no list of what was discarded, and no last line; that the map is whole is told by the
tables of names with which every ELF file's sections end. Merged strings and range-extension thunks are of a file that
lld calls <internal>.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from platformio_tflm.core.foreign import excerpt
from platformio_tflm.core.map_model import InputKind, InputSection, LinkMap, OutputSection
from platformio_tflm.core.map_text import decoded, split_archive
from platformio_tflm.errors import MapFileError

_HEAD = re.compile(rb"\s*VMA\s+LMA\s+Size\s+Align\s+Out\s+In\s+Symbol[ \t]*\r?(?:\n|\Z)")
# Begins with the line's end before it, for that is a letter which the engine finds fast; takes the symbols below along.
_LINE = re.compile(
    r"\n *([0-9a-f]{1,16}) +([0-9a-f]{1,16}) +([0-9a-f]{1,16}) +([0-9]{1,20}) ( {8})?(\S[^\n]*)"
    r"(?:\n *[0-9a-f]{1,16} +[0-9a-f]{1,16} +[0-9a-f]{1,16} +[0-9]{1,20} {17}[^\n]*)*"
)
_DATA_STATEMENT = re.compile(r"(?:BYTE|SHORT|LONG|QUAD) ?\(")
_LAST_SECTIONS = frozenset((".shstrtab", ".strtab"))


def is_lld_map(data: bytes) -> bool:
    return _HEAD.match(data[:4096]) is not None


def parse_lld_map(data: bytes) -> LinkMap:
    """Read a map; raises MapFileError with line number and text."""
    text = decoded(data).rstrip()
    reader = _Reader()
    begin = text.index("Symbol") + len("Symbol")
    number = text.count("\n", 0, begin) + 2
    for found in _LINE.finditer(text, begin):
        if found.start() != begin:
            break
        reader.feed(found, number)
        begin = found.end()
        number += text.count("\n", found.start(), begin)
    if begin < len(text):
        rest = text[begin + 1 : begin + 400].partition("\n")[0]
        raise MapFileError(f"Not understood: {excerpt(rest)}", where=f"line {number}", hint="Is the map truncated?")
    return LinkMap((), reader.finished(), (), (), output="", target="")


class _Owner(NamedTuple):
    name: str
    archive: str | None
    member: str
    kind: InputKind


class _Reader:
    def __init__(self) -> None:
        self._sections: list[OutputSection] = []
        self._section: OutputSection | None = None
        self._rows: list[InputSection] = []
        self._archives: dict[str, tuple[str | None, str]] = {}

    def feed(self, found: re.Match[str], number: int) -> None:
        address, load, size, alignment, inner, text = found.groups()
        name = text.rstrip()
        if inner is None:
            # A blank in it means an assignment of the script, which takes no room.
            if " " not in name:
                self._close()
                figures = (int(address, 16), int(load, 16), int(size, 16), int(alignment))
                self._open(name, figures, number)
            return
        owner = self._owner(name)
        if owner is None:
            return
        if self._section is None:
            raise MapFileError(
                f"Input section {excerpt(name)} stands outside of any output section.", where=f"line {number}"
            )
        self._rows.append(
            InputSection(owner.name, int(address, 16), int(size, 16), owner.archive, owner.member, owner.kind, number)
        )

    def finished(self) -> tuple[OutputSection, ...]:
        last = self._section.name if self._section else ""
        if last not in _LAST_SECTIONS or not self._rows:
            raise MapFileError(
                f"The map ends with {excerpt(last) if last else 'no section at all'}, not with .shstrtab or .strtab: "
                "it is truncated.",
                hint="Link again; the link may have been stopped.",
            )
        self._close()
        return tuple(self._sections)

    def _open(self, name: str, figures: tuple[int, int, int, int], number: int) -> None:
        address, load, size, alignment = figures
        self._section = OutputSection(name, address, size, None if load == address else load, (), number, alignment)

    def _close(self) -> None:
        if self._section is not None:
            self._sections.append(replace(self._section, inputs=tuple(self._rows)))
        self._rows = []

    def _owner(self, text: str) -> _Owner | None:
        """Of ``file:(section)`` and ``LONG ( value )``; None for an assignment, whose bytes are padding."""
        if text.endswith(")") and ":(" in text:
            file, _, name = text[:-1].rpartition(":(")
            archive = self._archives.get(file)
            if archive is None:
                archive = self._archives[file] = split_archive(file)
            kind = InputKind.COMMON if name == "COMMON" else InputKind.SECTION
            if file == "<internal>" and "thunk" in name:
                kind = InputKind.STUBS
            return _Owner(name, *archive, kind)
        if _DATA_STATEMENT.match(text):
            return _Owner(text, None, text, InputKind.DATA)
        return None
