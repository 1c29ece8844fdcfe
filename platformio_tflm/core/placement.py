"""Where the bytes of a linked program lie: memory regions, load and run-time addresses, what the image holds.

Two truths are put side by side. The ELF says which sections take memory and which have contents; the map says which
input put each byte there. They must agree, or every later figure is about another program.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from platformio_tflm.core.boards import Board
from platformio_tflm.core.elf import ElfImage, ElfSection
from platformio_tflm.core.foreign import shown
from platformio_tflm.core.map_model import LinkMap, OutputSection
from platformio_tflm.errors import MapFileError

# ccm, itcm, iram, rtc and psram are shown as regions of their own; PlatformIO's SRAM limits do not count them.
SRAM_KINDS = frozenset(("sram", "dtcm", "dram"))
# A boot loader copies these from the image although they have no load address in flash (Espressif's image format).
COPIED_KINDS = frozenset(("iram", "dram", "rtc"))

# Kinds by the names linker scripts give their regions, for regions that no board file describes; first match wins.
_KIND_BY_NAME = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"eeprom|fuse|lock|signature", "other"),
        (r"irom|drom|^iram0_2_seg$|flash|rom$|^text$|qspi|xip", "flash"),
        (r"itcm", "itcm"),
        (r"dtcm", "dtcm"),
        (r"ccm", "ccm"),
        (r"rtc", "rtc"),
        (r"psram|extern_ram|ext_ram|sdram", "psram"),
        (r"iram", "iram"),
        (r"dram", "dram"),
        (r"scratch", "other"),
        (r"ram|^data$", "sram"),
    )
)
_HEAP = re.compile(r"heap", re.IGNORECASE)
_STACK = re.compile(r"stack", re.IGNORECASE)
_CONSTRUCTORS = ("PREINIT_ARRAY", "INIT_ARRAY", "FINI_ARRAY")
# Strings and constants that were merged into another section keep the address they had before.
_MERGED = re.compile(r"\.(?:str|cst)\d")


@dataclass(frozen=True)
class Area:
    """A memory region as the figures are kept: name and range from the map where it has them, kind from the board."""

    name: str
    kind: str
    origin: int
    length_bytes: int

    @property
    def end(self) -> int:
        return self.origin + self.length_bytes

    def holds(self, address: int) -> bool:
        return self.origin <= address < self.end


@dataclass(frozen=True)
class PlacedSection:
    """One section that takes memory. load_address only matters where contents is true.

    area, load_area: None where no region holds the address.
    held: the image holds its bytes.  grows: a heap section that the script stretches over all that is left.
    """

    elf: ElfSection
    output: OutputSection
    load_address: int
    area: Area | None
    load_area: Area | None
    held: bool
    in_sram: bool
    grows: bool = False

    @property
    def name(self) -> str:
        return self.elf.name

    @property
    def address(self) -> int:
        return self.elf.address

    @property
    def size_bytes(self) -> int:
        return self.elf.size_bytes


@dataclass(frozen=True)
class Placement:
    areas: tuple[Area, ...]
    sections: tuple[PlacedSection, ...]


def place(link_map: LinkMap, elf: ElfImage, board: Board) -> Placement:
    """Every section that takes memory, at its places. Raises MapFileError if map and ELF are of two programs."""
    outputs = match_sections(link_map, elf)
    _require_functions_in_place(link_map, elf)
    areas = _areas(link_map, board, elf)
    sections = [_placed(elf, section, output, areas) for section, output in outputs]
    sections = [_growing(section, sections) for section in sections]
    return Placement(areas, tuple(sections))


def match_sections(link_map: LinkMap, elf: ElfImage) -> list[tuple[ElfSection, OutputSection]]:
    """Pair the ELF's sections in memory with the map's; raises MapFileError, naming both figures, if they differ."""
    by_place = {(output.name, output.address): output for output in link_map.sections}
    pairs = []
    differences = []
    for section in elf.sections:
        if not section.occupies_memory:
            continue
        output = by_place.get((section.name, section.address))
        if output is not None and output.size_bytes == section.size_bytes:
            _require_inside(output)
            pairs.append((section, output))
        else:
            differences.append(_difference(section, link_map.section(section.name)))
    known = {section.name for section in elf.sections}
    differences += [
        f"{shown(output.name)} ({output.size_bytes:,} bytes in the map, absent from the ELF)"
        for output in link_map.sections
        if output.size_bytes and output.address and output.name not in known and not output.name.startswith(".debug")
    ]
    if differences:
        more = f", and {len(differences) - 4} more" if len(differences) > 4 else ""
        raise MapFileError(
            f"The map and the ELF do not belong together: {'; '.join(differences[:4])}{more}.",
            hint="Link again, so that both come from the same build.",
        )
    return pairs


def _require_functions_in_place(link_map: LinkMap, elf: ElfImage) -> None:
    """Two builds may have sections of equal sizes; their functions then lie in each other's input sections.

    A weak function that was overridden keeps an input section without its symbol. So what counts is a symbol that lies
    in the input section of a function of another name, and one alone proves nothing.
    """
    rows = [
        row for section in link_map.sections for row in section.inputs if row.name[:6] == ".text." and row.size_bytes
    ]
    rows.sort(key=lambda row: row.address)
    starts = [row.address for row in rows]
    astray = []
    for row in rows:
        symbol = elf.symbol(row.name[6:])
        if symbol is None or symbol.type != "FUNC" or 0 <= symbol.address - row.address < row.size_bytes:
            continue
        other = rows[bisect_right(starts, symbol.address) - 1]
        inside = 0 <= symbol.address - other.address < other.size_bytes
        if inside and other.name != row.name and elf.symbol(other.name[6:]) is not None:
            astray.append((row, symbol))
    if len(astray) > 1:
        row, symbol = astray[0]
        others = "another function differs" if len(astray) == 2 else f"{len(astray) - 1:,} other functions differ"
        raise MapFileError(
            f"The map and the ELF do not belong together: {shown(symbol.name)} is at {symbol.address:#x} in the ELF, "
            f"at {row.address:#x} in the map, and {others}.",
            hint="Link again, so that both come from the same build.",
        )


def _require_inside(output: OutputSection) -> None:
    end = output.address + output.size_bytes
    for row in output.inputs:
        if row.size_bytes and not output.address <= row.address <= end and not _MERGED.search(row.name):
            raise MapFileError(
                f"{shown(row.name)} at {row.address:#x} lies outside of its section {shown(output.name)} "
                f"({output.address:#x} to {end:#x}).",
                where=f"line {row.line}",
                hint="The map is damaged; link again.",
            )


def _difference(section: ElfSection, output: OutputSection | None) -> str:
    if output is None:
        return f"{shown(section.name)} ({section.size_bytes:,} bytes in the ELF, absent from the map)"
    if output.size_bytes == section.size_bytes:
        return f"{shown(section.name)} (at {section.address:#x} in the ELF, at {output.address:#x} in the map)"
    return f"{shown(section.name)} ({section.size_bytes:,} bytes in the ELF, {output.size_bytes:,} in the map)"


def map_areas(link_map: LinkMap, board: Board) -> tuple[Area, ...]:
    """The map's memory regions, with what the board says of their kinds."""
    return tuple(
        Area(
            region.name,
            _kind(region.name, region.origin, region.length_bytes, region.attributes, board),
            region.origin,
            region.length_bytes,
        )
        for region in link_map.regions
        if region.length_bytes
    )


def _areas(link_map: LinkMap, board: Board, elf: ElfImage) -> tuple[Area, ...]:
    if link_map.regions:
        return map_areas(link_map, board)
    if board.regions and all(
        any(region.holds(section.address) for region in board.regions)
        for section in elf.sections
        if section.occupies_memory
    ):
        return tuple(Area(region.name, region.kind, region.origin, region.length_bytes) for region in board.regions)
    return ()


def _kind(name: str, origin: int, length_bytes: int, attributes: str, board: Board) -> str:
    """The board's word first; a region that begins below the board's one (AVR's data) belongs to what it overlaps.

    A region that covers several of the board's, as the STM32F7 scripts' RAM does DTCM and SRAM, is of the kind that has
    most of it.
    """
    shares = {region: min(region.end, origin + length_bytes) - max(region.origin, origin) for region in board.regions}
    largest = max(shares, key=lambda region: shares[region], default=None)
    if largest is not None and any(region.holds(origin) for region in board.regions):
        return largest.kind
    for pattern, kind in _KIND_BY_NAME:
        if pattern.search(name):
            return kind
    if largest is not None and shares[largest] > 0:
        return largest.kind
    # ld prints "!" before the attributes that a section must not have.
    wanted = attributes.partition("!")[0]
    if wanted:
        return "sram" if "w" in wanted else "flash"
    return "other"


def _placed(elf: ElfImage, section: ElfSection, output: OutputSection, areas: tuple[Area, ...]) -> PlacedSection:
    load_address = elf.load_address(section) if section.has_contents else section.address
    area, load_area = area_at(areas, section.address), area_at(areas, load_address)
    if load_area is not None:
        held = section.has_contents and (load_area.kind == "flash" or load_area.kind in COPIED_KINDS)
    else:
        held = section.has_contents
    in_sram = area.kind in SRAM_KINDS if area is not None else section.write and not _stays(section, load_address)
    return PlacedSection(section, output, load_address, area, load_area, held, in_sram)


def _stays(section: ElfSection, load_address: int) -> bool:
    """Tables of constructors have the flag of variables, and are read where the image has them."""
    return section.type in _CONSTRUCTORS and load_address == section.address


def area_at(areas: Iterable[Area], address: int) -> Area | None:
    """The region that holds the address; of nested ones the smallest, which is the more exact statement."""
    return min((area for area in areas if area.holds(address)), key=lambda area: area.length_bytes, default=None)


def _growing(section: PlacedSection, sections: list[PlacedSection]) -> PlacedSection:
    """Mark a heap that ends where its region, or the stack at the region's end, begins: it is what is left over.

    mbed's scripts write such a heap; counted as used, every program would fill its board's SRAM.
    """
    area = section.area
    if area is None or not section.elf.nobits or not _HEAP.search(section.name) or _STACK.search(section.name):
        return section
    top = area.end
    for other in sections:
        if other.area is area and other.elf.nobits and _STACK.search(other.name) and other.elf.end >= area.end - 8:
            top = min(top, other.address)
    if section.elf.end < top - 8:
        return section
    return PlacedSection(
        section.elf,
        section.output,
        section.load_address,
        area,
        section.load_area,
        section.held,
        in_sram=False,
        grows=True,
    )


def image_bytes(placement: Placement, flash_limit_bytes: int) -> int:
    """Size of what ``objcopy -O binary`` writes: first to last byte of all contents by load address, holes filled.

    Where the contents lie too far apart to be one such file (Espressif's segments, a second flash), their sum.
    flash_limit_bytes: the length of the flash where no region is known.
    """
    loaded = [section for section in placement.sections if section.elf.has_contents]
    if not loaded:
        return 0
    first = min(section.load_address for section in loaded)
    last = max(section.load_address + section.size_bytes for section in loaded)
    total = sum(section.size_bytes for section in loaded)
    flash = sum(area.length_bytes for area in placement.areas if area.kind == "flash")
    flash = flash if placement.areas else flash_limit_bytes
    apart = any(section.load_area and section.load_area.kind in COPIED_KINDS for section in loaded)
    if apart or (flash and last - first > flash + total):
        return total
    return last - first
