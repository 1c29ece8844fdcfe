"""The ELF reader, side by side with readelf, nm and pyelftools, and on damaged files."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from firmware_fixtures import firmware  # noqa: F401  # a fixture
from tiny_firmware import MODEL_BYTES, TOOLCHAINS, Firmware

from platformio_tflm.core.elf import ElfImage, read_elf
from platformio_tflm.errors import ElfError

Linked = Callable[..., Firmware]
EVERYWHERE = pytest.mark.parametrize("name", sorted(TOOLCHAINS))

_SECTION = re.compile(
    r"^ +\[ *(\d+)\] (\S*) +(\S+) +([0-9a-f]{8,16}) ([0-9a-f]+) ([0-9a-f]+) [0-9a-f]+ +([A-Za-z]*) +\d+ +\d+ +(\d+)$"
)
_SEGMENT = re.compile(
    r"^ +(LOAD) +0x(\w+) 0x(\w+) 0x(\w+) 0x(\w+) 0x(\w+) (.{3}) 0x(\w+)$"
)  # the columns of readelf -W
_FLAGS = {"W": 1, "A": 2, "X": 4, "M": 16, "T": 1024}


@EVERYWHERE
def test_sections_and_segments_are_readelf_s(firmware: Linked, name: str) -> None:  # noqa: F811
    built = firmware(name)
    image = read_elf(built.elf.read_bytes())
    text = built.run("readelf", "-SWl", "firmware.elf")
    listed = [found.groups() for line in text.splitlines() if (found := _SECTION.match(line))]
    assert len(listed) == len(image.sections)
    for index, section_name, kind, address, offset, size, flags, alignment in listed:
        section = image.sections[int(index)]
        assert section.name == section_name
        assert kind == section.type or section.type.startswith("0x")
        assert (section.address, section.offset) == (int(address, 16), int(offset, 16))
        assert (section.size_bytes, section.alignment) == (int(size, 16), max(1, int(alignment)))
        assert all(bool(section.flags & bit) == (letter in flags) for letter, bit in _FLAGS.items())
    rows = [found.groups() for line in text.splitlines() if (found := _SEGMENT.match(line))]
    segments = [segment for segment in image.segments if segment.type == "LOAD"]
    assert [[int(figure, 16) for figure in row[1:6]] for row in rows] == [
        [s.offset, s.virtual_address, s.physical_address, s.file_size_bytes, s.memory_size_bytes] for s in segments
    ]
    assert [row[6].replace(" ", "") for row in rows] == [
        "".join(letter for letter, bit in (("R", 4), ("W", 2), ("E", 1)) if s.flags & bit) for s in segments
    ]


@EVERYWHERE
def test_symbols_are_nm_s(firmware: Linked, name: str) -> None:  # noqa: F811
    built = firmware(name)
    image = read_elf(built.elf.read_bytes())
    found = {(symbol.name, symbol.size_bytes) for symbol in image.symbols}
    rows = [line.split(None, 3) for line in built.run("nm", "-S", "firmware.elf").splitlines()]
    sized = [row for row in rows if len(row) == 4]
    assert len(sized) > 5
    for address, size, _, symbol_name in sized:
        assert (symbol_name, int(size, 16)) in found
        symbol = image.symbol(symbol_name)
        if symbol is not None and symbol.is_global:
            assert symbol.address == int(address, 16) & ~(image.machine == "arm" and symbol.type == "FUNC")


@EVERYWHERE
def test_the_same_as_pyelftools(firmware: Linked, name: str) -> None:  # noqa: F811
    data = firmware(name).elf.read_bytes()
    image, other = read_elf(data), ELFFile(io.BytesIO(data))
    assert image.bits == other.elfclass
    assert image.entry == other["e_entry"]
    table = other.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    assert [(s.name, s.size_bytes) for s in image.symbols] == [(s.name, s["st_size"]) for s in table.iter_symbols()]
    assert [s.name for s in image.sections] == [s.name for s in other.iter_sections()]


@EVERYWHERE
def test_bytes_by_address(firmware: Linked, name: str) -> None:  # noqa: F811
    image = read_elf(firmware(name).elf.read_bytes())
    symbol = image.symbol("sine_data")
    assert symbol is not None
    assert symbol.size_bytes == len(MODEL_BYTES)
    assert image.bytes_at(symbol.address, symbol.size_bytes) == MODEL_BYTES
    assert image.bytes_at(symbol.address + 1, 3) == MODEL_BYTES[1:4]
    assert symbol in image.symbols_in(symbol.address, 1)
    arena = image.symbol("sine_arena")
    assert arena is not None
    assert image.bytes_at(arena.address, 16) is None, ".bss has no bytes in the file"
    assert image.bytes_at(0x7FFF_FFFF_0000, 1) is None
    section = image.section_at(symbol.address)
    assert section is not None
    assert image.bytes_at(symbol.address, section.end - symbol.address + 1) is None


def test_load_addresses_are_objdump_s(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    image = read_elf(built.elf.read_bytes())
    rows = re.findall(
        r"^ +\d+ (\S+) +([0-9a-f]{8}) +([0-9a-f]{8}) +([0-9a-f]{8})",
        built.run("objdump", "-h", "firmware.elf"),
        re.MULTILINE,
    )
    loads = {name: int(load, 16) for name, _, _, load in rows}
    assert loads[".data"] != 0x20000000
    for section in image.sections:
        if section.has_contents:
            assert image.load_address(section) == loads[section.name], section.name


def test_a_thumb_function_has_an_even_address(firmware: Linked) -> None:  # noqa: F811
    image = read_elf(firmware("arm").elf.read_bytes())
    symbol = image.symbol("main")
    assert symbol is not None
    assert symbol.address % 2 == 0
    assert symbol.section == ".text"
    assert symbol in image.symbols_in(symbol.address, symbol.size_bytes)


def test_a_stripped_file_loads(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    built.run("strip", "-o", "stripped.elf", "firmware.elf")
    image = read_elf((built.folder / "stripped.elf").read_bytes())
    assert image.symbols == ()
    assert image.symbol("main") is None
    assert image.section(".text") is not None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing"),
        (b"MZ\x90\0", "begins with 4d 5a 90 00"),
        (b"\x7fELF", "ends after 4 bytes"),
        (b"\x7fELF\x03\x01" + bytes(10), "Unknown ELF class 3"),
        (b"\x7fELF\x01\x03" + bytes(10), "byte order 3"),
        (b"\x7fELF\x01\x01" + bytes(10) + b"\x01\0" + bytes(34), "an object file, not a linked program"),
        (b"\x7fELF\x01\x01" + bytes(10) + b"\x04\0" + bytes(34), "a core dump, not a linked program"),
        (b"\x7fELF\x01\x01" + bytes(20), "The ELF header at offset 16 needs 36 bytes; the file has 26"),
    ],
)
def test_refusals(data: bytes, message: str) -> None:
    with pytest.raises(ElfError) as caught:
        read_elf(data)
    assert message in str(caught.value)


def use_everything(image: ElfImage) -> None:
    for section in image.sections[:200]:
        image.load_address(section)
        image.bytes_at(section.address, 8)
    for symbol in image.symbols[:50]:
        image.bytes_at(symbol.address, symbol.size_bytes)
        image.symbol(symbol.name)
        image.symbols_in(symbol.address, 64)


def is_refused(data: bytes) -> bool:
    """True for an ElfError, False if the file loads and can be used; any other exception fails the test."""
    try:
        use_everything(read_elf(data))
    except ElfError:
        return True
    return False


def damaged(data: bytes, seed: int) -> bytes:
    """Bytes changed where they matter most: the header, the tables at the end, and anywhere; or the end cut off."""
    chance = random.Random(seed)  # noqa: S311  # reproducible damage
    bent = bytearray(data)
    if chance.random() < 0.15:
        return bytes(bent[: chance.randrange(len(bent))])
    for _ in range(chance.randint(1, 6)):
        where = chance.choice([52, 200, len(bent)])
        at = (
            chance.randrange(where) if chance.random() < 0.6 else len(bent) - 1 - chance.randrange(min(4000, len(bent)))
        )
        bent[at] = chance.choice([0, 0xFF, 0x7F, 0x80, chance.randrange(256)])
    return bytes(bent)


@pytest.mark.parametrize("name", ["arm", "host"])
def test_damaged_files_load_or_are_refused(firmware: Linked, name: str) -> None:  # noqa: F811
    data = firmware(name).elf.read_bytes()
    refused = sum(is_refused(damaged(data, seed)) for seed in range(300))
    assert 0 < refused < 300


def test_every_truncation_of_the_headers_is_refused_or_loads(firmware: Linked) -> None:  # noqa: F811
    data = firmware("arm").elf.read_bytes()
    assert all(is_refused(data[:length]) for length in range(400))
    assert is_refused(data[: len(data) // 2])
