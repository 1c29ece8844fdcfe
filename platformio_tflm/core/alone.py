"""A map without its ELF, or an ELF without its map: what the one says, in the shape of the other.

A map has names, places and sizes, but neither section types nor symbols: whether a section has contents is told by the
names of what is in it, and a symbol by the section that -ffunction-sections or -fdata-sections gave it. An ELF has no
objects and no memory regions. What follows from that is for the report to say (MAP_ALONE, ELF_ALONE).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from platformio_tflm.core.boards import Board
from platformio_tflm.core.categories import section_symbol
from platformio_tflm.core.elf import ElfImage, ElfSection, ElfSegment, ElfSymbol, section_flags
from platformio_tflm.core.map_model import InputKind, InputSection, LinkMap, OutputSection
from platformio_tflm.core.placement import SRAM_KINDS, map_areas

MAP_ALONE = (
    "Read from the map alone: a section is taken for uninitialised by its name, a symbol is known where it has an "
    "input section of its own, and no byte of the program was compared. --elf gives what is missing."
)
ELF_ALONE = (
    "Read from the ELF alone: categories are told by symbols, objects and archives are not known, and the regions are "
    "the board's. --map gives what is missing."
)
MAP_LIMITS = "the map's memory configuration"

# Sections that are for debuggers and linkers; a map lists them beside those that take memory.
_NOT_IN_MEMORY = re.compile(
    r"^\.(?:z?debug|line$|comment|stab|mdebug|pdr|gptab|gnu\.(?:warning|attributes|build|lto)|gnu_debug"
    r"|(?:ARM|riscv|arc|gnu|avr|mips)\.attributes|xtensa\.info|xt\.|symtab|strtab|shstrtab|rela?\."
    r"|note\.(?:GNU-stack|gnu\.avr|gnu\.gold))"
)
# ELF flags are not in a map; these names end in sections without contents.
_WITHOUT_CONTENTS = re.compile(
    r"(?:^|[._])(?:\w?bss|noinit|no_init|uninit\w*|heap\w*|\w*stack\w*|\w*dummy|noload\w*|COMMON)\d*(?:[._]|$)",
    re.IGNORECASE,
)
_THREAD_LOCAL = re.compile(r"^\.t(?:bss|data)")
_CODE = re.compile(r"text|vector|init$|fini$|literal", re.IGNORECASE)
_CONSTANT = re.compile(r"rodata|text|vector|init$|fini$|literal|eh_frame|exidx|extab|appdesc|array", re.IGNORECASE)
# GNU ld's map has no alignments; more than this is rare, and a guess from the address would be too high.
_LARGEST_ALIGNMENT = 16


def elf_of_map(link_map: LinkMap) -> ElfImage:
    """The section headers, segments and symbols that the map lets one infer; no contents."""
    outputs = [output for output in link_map.sections if _in_memory(link_map, output)]
    return ElfImage(
        machine="",
        bits=32,
        little_endian=True,
        entry=0,
        sections=tuple(_section(index, output) for index, output in enumerate(outputs, start=1)),
        segments=tuple(_segment(output) for output in outputs if output.load_address is not None),
        symbols=tuple(_symbols(outputs)),
        data=b"",
    )


def map_of_elf(elf: ElfImage) -> LinkMap:
    """Output sections with one input each, of no file."""
    sections = tuple(_output(elf, section) for section in elf.sections if section.occupies_memory)
    return LinkMap((), sections, (), (), output="", target=elf.machine)


def board_of_map(link_map: LinkMap) -> Board | None:
    """A board whose limits are the lengths of the map's regions; None where the map has no such regions."""
    board = Board(
        "none",
        "No board",
        MAP_LIMITS,
        "",
        fpu=False,
        clock_hz=0,
        flash_limit_bytes=0,
        sram_limit_bytes=0,
        regions=(),
        reservations=(),
    )
    areas = map_areas(link_map, board)
    return (
        board.with_limits(
            flash_limit_bytes=sum(area.length_bytes for area in areas if area.kind == "flash"),
            sram_limit_bytes=sum(area.length_bytes for area in areas if area.kind in SRAM_KINDS),
        )
        if areas
        else None
    )


def _in_memory(link_map: LinkMap, output: OutputSection) -> bool:
    if not output.size_bytes or _NOT_IN_MEMORY.search(output.name):
        return False
    # Debug sections of any name stand at address 0, where flash begins on some chips.
    return bool(output.address) or any(region.contains(0) for region in link_map.regions)


def _has_contents(output: OutputSection) -> bool:
    if any(row.kind is InputKind.DATA for row in output.inputs):
        return True
    names = [row.name for row in output.inputs if row.size_bytes and row.kind is not InputKind.FILL]
    if not names:
        # Only the location counter was moved: ld makes such a section NOBITS.
        return False
    return not _WITHOUT_CONTENTS.search(output.name) and not all(map(_WITHOUT_CONTENTS.search, names))


def _section(index: int, output: OutputSection) -> ElfSection:
    return ElfSection(
        index=index,
        name=output.name,
        type="PROGBITS" if _has_contents(output) else "NOBITS",
        address=output.address,
        offset=0,
        size_bytes=output.size_bytes,
        alignment=output.alignment or min(output.address & -output.address or _LARGEST_ALIGNMENT, _LARGEST_ALIGNMENT),
        flags=section_flags(
            write=not _CONSTANT.search(output.name),
            execute=bool(_CODE.search(output.name)),
            thread_local=bool(_THREAD_LOCAL.search(output.name)),
        ),
    )


def _segment(output: OutputSection) -> ElfSegment:
    load = output.load_address if output.load_address is not None else output.address
    return ElfSegment("LOAD", 0, output.address, load, output.size_bytes, output.size_bytes, 4, 1)


def _symbols(outputs: list[OutputSection]) -> Iterator[ElfSymbol]:
    for output in outputs:
        for row in output.inputs:
            name = section_symbol(row.name) if row.size_bytes and row.kind is InputKind.SECTION else ""
            if name:
                yield ElfSymbol(name, row.address, row.size_bytes, "OBJECT", output.name, is_global=True)


def _output(elf: ElfImage, section: ElfSection) -> OutputSection:
    load = elf.load_address(section) if section.has_contents else section.address
    row = InputSection(section.name, section.address, section.size_bytes, None, "", InputKind.SECTION, 0)
    inputs = (row,)
    return OutputSection(
        section.name, section.address, section.size_bytes, None if load == section.address else load, inputs, 0
    )
