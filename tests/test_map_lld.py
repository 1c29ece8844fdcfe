"""Maps of LLVM's lld: real ones of every version that is installed, against size, objcopy and the ELF; and damage."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from firmware_fixtures import firmware  # noqa: F401  # a fixture
from hypothesis import given, settings
from hypothesis import strategies as st
from test_mapfile import damaged, refusal_of
from tiny_firmware import ARENA_BYTES, MODEL_BYTES, Firmware

from platformio_tflm.core.alone import elf_of_map
from platformio_tflm.core.boards import find_board
from platformio_tflm.core.elf import read_elf
from platformio_tflm.core.map_model import InputKind
from platformio_tflm.core.mapfile import parse_map
from platformio_tflm.core.memory import ModelSymbols, Usage, measure_memory
from platformio_tflm.errors import MapFileError

Linked = Callable[..., Firmware]
LINKERS = [f"ld.lld-{version}" for version in range(11, 30) if shutil.which(f"ld.lld-{version}")]
SINE = ModelSymbols("sine", "sine_data", "sine_arena")
BOARD = find_board("disco_f407vg")

SMALL = b"""\
     VMA      LMA     Size Align Out     In      Symbol
       0        0        0     1 _estack = ORIGIN ( RAM ) + LENGTH ( RAM )
 8000000  8000000       40     1 .isr_vector
 8000000  8000000        4     1         LONG ( _estack )
 8000004  8000004       3c     1         . = ALIGN ( 64 )
 8000040  8000040       40     4 .text
 8000040  8000040       10     2         C:\\x (86)\\lib y.a(member (1).o):(.text._ZN3fooEv)
 8000041  8000041       10     1                 foo()
 8000050  8000050        8     4         <internal>:(.text.thunk)
 8000050  8000050        8     1                 __Thumbv7ABSLongThunk_far
 8000058  8000058       18     1         <internal>:(.rodata.str1.1)
20000000  8000080       10     4 .data
20000000  8000080       10     4         src/main.o:(.data.a)
20000010  8000090       20     4 .bss
20000010  8000090       20     4         src/main.o:(COMMON)
       0        0       30     1 .comment
       0        0       30     1         <internal>:(.comment)
       0        0       10     4 .symtab
       0        0       10     4         <internal>:(.symtab)
       0        0       10     1 .shstrtab
       0        0       10     1         <internal>:(.shstrtab)
       0        0       10     1 .strtab
       0        0       10     1         <internal>:(.strtab)
"""


def test_each_kind_of_line() -> None:
    link_map = parse_map(SMALL)
    sections = {section.name: section for section in link_map.sections}
    assert [row[:6] for row in sections[".isr_vector"].inputs] == [
        ("LONG ( _estack )", 0x08000000, 4, None, "LONG ( _estack )", InputKind.DATA)
    ]
    assert [row[:6] for row in sections[".text"].inputs] == [
        (".text._ZN3fooEv", 0x08000040, 16, "C:\\x (86)\\lib y.a", "member (1).o", InputKind.SECTION),
        (".text.thunk", 0x08000050, 8, None, "<internal>", InputKind.STUBS),
        (".rodata.str1.1", 0x08000058, 0x18, None, "<internal>", InputKind.SECTION),
    ]
    assert sections[".data"].load_address == 0x08000080
    assert sections[".isr_vector"].load_address is None
    assert sections[".bss"].inputs[0].kind is InputKind.COMMON
    assert [row.line for row in sections[".text"].inputs] == [7, 9, 11]
    assert parse_map(SMALL.replace(b"\n", b"\r\n")) == link_map


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (SMALL[:60], "no section at all"),
        (SMALL.partition(b"20000010")[0], "The map ends with '.data', not with .shstrtab or .strtab"),
        (SMALL.partition(b"       0        0       10     1         <internal>:(.strtab)")[0], "it is truncated"),
        (SMALL.replace(b" 8000040       40     4 .text", b" 8000040       4z     4 .text"), "line 6: Not understood"),
        (SMALL.replace(b" 8000000  8000000       40     1 .isr", b"what is this\n.isr"), "line 3: Not understood"),
        (
            SMALL.replace(b" 8000000  8000000       40     1 .isr_vector\n", b"").replace(
                b"LONG ( _estack )", b"a.o:(.x)"
            ),
            "line 3: Input section 'a.o:(.x)' stands outside",
        ),
        (SMALL + b"1234\n", "line 24: Not understood: '1234'"),
    ],
)
def test_refusals_by_line(data: bytes, message: str) -> None:
    assert message in refusal_of(data)


def link(built: Firmware, linker: str, folder: Path, *options: str) -> tuple[Path, Path]:
    """The objects of *built*, linked anew by lld in their own folder; (ELF, map)."""
    driver = built.toolchain.tool("gcc")
    libraries = [
        subprocess.run(
            [driver, *built.toolchain.flags, f"-print-file-name=lib{name}.a"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for name in ("stdc++_nano", "supc++_nano", "c_nano", "nosys", "gcc")
    ]
    objects = [str(path.relative_to(built.folder)) for path in sorted(built.folder.glob(".pio/**/*.o"))]
    objects = [name for name in objects if "tflm_demo" not in name]
    elf, map_file = folder / f"{linker}.elf", folder / f"{linker}.map"
    inputs = [*objects, ".pio/build/env/lib5e0/libtflm_demo.a", "--start-group", *libraries, "--end-group"]
    command = [linker, "--gc-sections", f"-Map={map_file}", "-T", "link.ld", "-o", str(elf), *options, *inputs]
    subprocess.run(command, cwd=built.folder, check=True, capture_output=True)
    return elf, map_file


def measured(elf: Path, map_file: Path) -> Usage:
    return measure_memory(parse_map(map_file.read_bytes()), read_elf(elf.read_bytes()), BOARD, models=(SINE,))


def test_the_hole_before_a_large_alignment_counts_of_a_map_alone() -> None:
    rows = """
             VMA              LMA     Size Align Out     In      Symbol
         8000000          8000000       10     4 .text
         8000000          8000000       10     4         main.o:(.text.main)
        20000000         20000000       24     4 .bss
        20000000         20000000       24     4         main.o:(.bss.small)
        20000400         20000400       40  1024 .dma
        20000400         20000400       40  1024         main.o:(.bss.buffer)
               0                0       10     1 .shstrtab
               0                0       10     1         <internal>:(.shstrtab)
"""
    link_map = parse_map(rows.encode())
    assert [section.alignment for section in link_map.sections] == [4, 4, 1024, 1]
    assert measure_memory(link_map, elf_of_map(link_map), BOARD).sram_used_bytes == 0x440


@pytest.mark.skipif(not LINKERS, reason="no ld.lld-<version> on the path")
@pytest.mark.parametrize("linker", LINKERS)
def test_real_links(firmware: Linked, linker: str, tmp_path: Path) -> None:  # noqa: F811
    built = firmware("arm")
    elf, map_file = link(built, linker, tmp_path)
    link_map, usage = parse_map(map_file.read_bytes()), measured(elf, map_file)
    by_name = {section.name: section for section in link_map.sections}
    checked = 0
    for line in built.run("size", "-A", "-x", str(elf)).splitlines()[2:]:
        parts = line.split()
        if len(parts) == 3 and int(parts[2], 16):
            section = by_name[parts[0]]
            assert (section.size_bytes, section.address) == (int(parts[1], 16), int(parts[2], 16)), line
            checked += 1
    assert checked > 6
    built.run("objcopy", "-O", "binary", str(elf), str(tmp_path / "image.bin"))
    assert usage.flash_used_bytes == usage.image_bytes == (tmp_path / "image.bin").stat().st_size
    found = {use.name: (use.flash_bytes, use.sram_bytes) for use in usage.categories}
    assert sum(flash for flash, _ in found.values()) == usage.flash_used_bytes
    assert found["model"] == (len(MODEL_BYTES), 0)
    assert found["arena"] == (0, ARENA_BYTES)
    assert found["tflm-core"][1] == 32
    assert found["framework"][1] >= 1024, "the stack's section has no row of its own in such a map"
    alone = measure_memory(link_map, elf_of_map(link_map), BOARD, models=(SINE,))
    assert (alone.flash_used_bytes, alone.sram_used_bytes) == (usage.flash_used_bytes, usage.sram_used_bytes)
    same = measured(built.elf, built.map)
    ours = {use.name: (use.flash_bytes, use.sram_bytes) for use in same.categories}
    for category in ("model", "arena", "tflm-kernels", "tflm-core"):
        assert found[category] == ours[category], "both linkers put the same objects there"


@pytest.mark.skipif(not LINKERS, reason="no ld.lld-<version> on the path")
def test_a_map_of_lld_with_an_elf_of_gnu_ld(firmware: Linked, tmp_path: Path) -> None:  # noqa: F811
    built = firmware("arm")
    _, map_file = link(built, LINKERS[0], tmp_path)
    with pytest.raises(MapFileError, match="do not belong together"):
        measured(built.elf, map_file)


@pytest.mark.skipif(not LINKERS, reason="no ld.lld-<version> on the path")
def test_a_stripped_program_and_every_truncation(firmware: Linked, tmp_path: Path) -> None:  # noqa: F811
    elf, map_file = link(firmware("arm"), LINKERS[-1], tmp_path, "--strip-all")
    assert measured(elf, map_file).flash_used_bytes > 10_000
    data = map_file.read_bytes()
    lines = data.rstrip(b"\n").split(b"\n")
    for count in range(1, len(lines), max(1, len(lines) // 60)):
        assert refusal_of(b"\n".join(lines[:count])), f"{count} of {len(lines)} lines"
    refused = sum(bool(refusal_of(damaged(data, seed))) for seed in range(200))
    assert 0 < refused < 200


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(alphabet=" .:()0af\n\t=", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    head, _, tail = SMALL.partition(b"20000010")
    assert len(refusal_of(head + text.encode() + b"\n20000010" + tail)) < 1000


@pytest.mark.parametrize("line", [b" " * 1_000_000, b"8" * 1_000_000, b" 8 8 8 8 " + b"x:(" * 300_000 + b")"])
def test_enormous_lines_do_not_hang(line: bytes) -> None:
    head, _, tail = SMALL.partition(b"20000010")
    assert len(refusal_of(head + line + b"\n20000010" + tail)) < 600
