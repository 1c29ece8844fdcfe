"""The map reader: against real linkers, esp-idf-size's figures, odd lines, foreign maps and damage."""

from __future__ import annotations

import json
import lzma
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from firmware_fixtures import firmware  # noqa: F401  # a fixture
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_firmware import SCRIPT, TOOLCHAINS, Firmware, build

from platformio_tflm.core.map_model import InputKind, LinkMap
from platformio_tflm.core.map_text import split_archive
from platformio_tflm.core.mapfile import parse_map
from platformio_tflm.errors import MapFileError

SHARED_MAPS = Path(__file__).resolve().parents[1].parent / "shared" / "maps"
Linked = Callable[..., Firmware]

_HEAD = b"""Archive member included to satisfy reference by file (symbol)

lib.a(one.o)                  main.o (f(int))

Discarded input sections

 .text          0x00000000        0x0 main.o
 .text._ZN3fooEv
                0x00000000       0x12 C:\\x (86)\\lib.a(member (1).o)

Memory Configuration

Name             Origin             Length             Attributes
FLASH            0x08000000         0x00080000         xr
RAM              0x20000000         0x00020000         rw !x
*default*        0x00000000         0xffffffff

Linker script and memory map

LOAD main.o
START GROUP
END GROUP
"""
_TAIL = b"OUTPUT(firmware with blanks.elf elf32-littlearm)\n"


def small_map(sections: bytes) -> bytes:
    return _HEAD + sections + _TAIL


def refusal_of(data: bytes) -> str:
    """The error's text, "" if the map is read; any other exception fails the test."""
    try:
        link_map = parse_map(data)
    except MapFileError as error:
        return str(error)
    for section in link_map.sections:
        assert sum(size for _, size, _ in section.spans()) == section.size_bytes
    return ""


def inputs_of(link_map: LinkMap, section: str) -> list[tuple[str, int, int, str | None, str, InputKind]]:
    found = link_map.section(section)
    assert found is not None
    return [row[:6] for row in found.inputs]


def test_everything_before_the_sections() -> None:
    link_map = parse_map(small_map(b""))
    assert [(r.name, r.origin, r.length_bytes, r.attributes) for r in link_map.regions] == [
        ("FLASH", 0x08000000, 0x80000, "xr"),
        ("RAM", 0x20000000, 0x20000, "rw !x"),
    ]
    assert link_map.members == (("lib.a", "one.o", "main.o", "f(int)"),)
    assert [row[:5] for row in link_map.discarded] == [
        (".text", 0, 0, None, "main.o"),
        (".text._ZN3fooEv", 0, 0x12, "C:\\x (86)\\lib.a", "member (1).o"),
    ]
    assert (link_map.output, link_map.target) == ("firmware with blanks.elf", "elf32-littlearm")


def test_kinds_of_rows() -> None:
    text = """
.text           0x08000000      0x200
 *(.isr_vector)
                0x08000000        0x4 LONG 0x20020000 _estack
                0x08000010                        . = ALIGN (0x10)
 *fill*         0x08000004        0xc ff
 *(SORT_BY_NAME(.text .text.*) EXCLUDE_FILE(*x.o) .init)
 .text.main     0x08000010       0x20 Straße/ab c.o
                0x08000010                main
                0x08000018                operator()(int) const
 .text.a_rather_long_name
                0x08000030       0x10 C:/Program Files (x86)/lib/libx y.a(deep.o)
                                 0x24 (size before relaxing)
 .glue_7        0x08000040        0x8 linker stubs
 two words      0x08000048        0x8 odd.o
                [!provide]                        PROVIDE (end = .)

.never_made
 *(.never_made)
                0x08000200                        _edata = .

.bss            0x20000000       0x10 load address 0x08000200
 COMMON         0x20000000       0x10 main.o
"""
    link_map = parse_map(small_map(text.encode()))
    assert inputs_of(link_map, ".text") == [
        (
            "LONG 0x20020000 _estack",
            0x08000000,
            4,
            None,
            "LONG 0x20020000 _estack",
            InputKind.DATA,
        ),
        ("*fill*", 0x08000004, 0xC, None, "", InputKind.FILL),
        (".text.main", 0x08000010, 0x20, None, "Straße/ab c.o", InputKind.SECTION),
        (
            ".text.a_rather_long_name",
            0x08000030,
            0x10,
            "C:/Program Files (x86)/lib/libx y.a",
            "deep.o",
            InputKind.SECTION,
        ),
        (".glue_7", 0x08000040, 8, None, "linker stubs", InputKind.STUBS),
        ("two words", 0x08000048, 8, None, "odd.o", InputKind.SECTION),
    ]
    assert inputs_of(link_map, ".bss") == [("COMMON", 0x20000000, 0x10, None, "main.o", InputKind.COMMON)]
    assert [(s.name, s.load_address) for s in link_map.sections] == [(".text", None), (".bss", 0x08000200)]


def test_lines_of_windows_and_bytes_of_other_encodings() -> None:
    section = b"\n.text           0x08000000       0x10\n .text          0x08000000       0x10 caf\xe9.o\n"
    plain = parse_map(small_map(section))
    windows = parse_map(small_map(section).replace(b"\n", b"\r\n"))
    assert plain == windows
    assert inputs_of(plain, ".text")[0][4] == "caf\\xe9.o"


def test_spans_tile_a_section_whose_merged_strings_overlap() -> None:
    text = b"""
.rodata         0x08000000       0x40
 .rodata.str1.1
                0x08000004       0x18 a.o
                                 0x20 (size before relaxing)
 .rodata.str1.1
                0x0800001c       0x19 b.o
 .rodata.table  0x0800001c       0x10 c.o
 .rodata.late   0x0800003c       0x20 d.o
"""
    section = parse_map(small_map(text)).sections[0]
    assert [(a, n, row.member if row else None) for a, n, row in section.spans()] == [
        (0x08000000, 4, None),
        (0x08000004, 0x18, "a.o"),
        (0x0800001C, 0x10, "c.o"),
        (0x0800002C, 0x10, None),
        (0x0800003C, 4, "d.o"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.o", (None, "a.o")),
        ("lib.a(b.o)", ("lib.a", "b.o")),
        ("lib.a(b(1).o)", ("lib.a", "b(1).o")),
        ("C:\\x (86)\\a.o", (None, "C:\\x (86)\\a.o")),
        ("C:\\x (86)\\lib.a(b.o)", ("C:\\x (86)\\lib.a", "b.o")),
        ("copy of a (2)", (None, "copy of a (2)")),
        ("(x)", (None, "(x)")),
        (")", (None, ")")),
        ("", (None, "")),
    ],
)
def test_archive_and_member(text: str, expected: tuple[str | None, str]) -> None:
    assert split_archive(text) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The map is empty"),
        (b" \n\n", "The map is empty"),
        (b"\x7fELF\x01\x01", "Not a GNU ld map"),
        (b"int main(void) { return 0; }\n", "Not a GNU ld map"),
        (b"Address          Size             Align Out     In      Symbol\n", "LLVM's lld before version 7"),
        (b"     VMA       Size Align Out     In      Symbol\n", "mold"),
        (b"Component: ARM Compiler 5.06 update 7\n", "armlink"),
        (
            _HEAD.replace(b"Linker script and memory map", "Links­cript und Speicherübersicht".encode())
            + b".text           0x08000000       0x10\n",
            "in another language",
        ),
        (_HEAD, "ends before its OUTPUT line"),
        (_HEAD[:300], "ends before its line 'Linker script and memory map'"),
        (small_map(b"what is this line\n"), "line FIRST: Not understood: 'what is this line'"),
        (small_map(b".text           0x08000000       0x10 nonsense\n"), "line FIRST: Not understood after"),
        (small_map(b".text           0x0800zz00       0x10\n"), "line FIRST: '0x0800zz00' is not a 64-bit number"),
        (
            small_map(b".text           0x1ffffffffffffffff  0x10\n"),
            "line FIRST: '0x1ffffffffffffffff' is not a 64-bit",
        ),
        (small_map(b" .text          0x08000000       0x10 a.o\n"), "line FIRST: Input section .text stands outside"),
        (
            small_map(b".text           0x0       0x10\n .text          0x0       0x10\n"),
            "line SECOND: No file stands behind",
        ),
    ],
)
def test_refusals(data: bytes, message: str) -> None:
    first = _HEAD.count(b"\n") + 1
    refusal = refusal_of(data)
    assert message.replace("FIRST", str(first)).replace("SECOND", str(first + 1)) in refusal
    assert len(refusal) < 400


def test_a_real_map_of_gold_is_refused(tmp_path: Path) -> None:
    if shutil.which("ld.gold"):
        (tmp_path / "a.s").write_text(".globl _start\n_start: .long 0\n")
        subprocess.run(["gcc", "-c", "a.s"], cwd=tmp_path, check=True)
        subprocess.run(["ld.gold", "-Map=gold.map", "a.o"], cwd=tmp_path, check=True)
        with pytest.raises(MapFileError, match="gold"):
            parse_map((tmp_path / "gold.map").read_bytes())


@pytest.mark.parametrize("flags", [(), ("-flto",)], ids=["plain", "lto"])
@pytest.mark.parametrize("name", sorted(TOOLCHAINS))
def test_sections_of_real_links(firmware: Linked, name: str, flags: tuple[str, ...]) -> None:  # noqa: F811
    built = firmware(name, *flags)
    link_map = parse_map(built.map.read_bytes())
    by_name = {section.name: section for section in link_map.sections}
    checked = 0
    for line in built.run("size", "-A", "-x", "firmware.elf").splitlines()[2:]:
        parts = line.split()
        if len(parts) == 3 and int(parts[2], 16):
            section = by_name[parts[0]]
            assert (section.size_bytes, section.address) == (int(parts[1], 16), int(parts[2], 16)), line
            assert sum(size for _, size, _ in section.spans()) == section.size_bytes
            checked += 1
    assert checked >= 3
    assert link_map.output == "firmware.elf"
    files = {row.archive or row.member for section in link_map.sections for row in section.inputs}
    assert flags or ".pio/build/env/lib5e0/libtflm_demo.a" in files


def test_nothing_of_an_arm_program_is_lost(firmware: Linked) -> None:  # noqa: F811
    link_map = parse_map(firmware("arm").map.read_bytes())
    assert [region.name for region in link_map.regions] == ["FLASH", "RAM", "CCMRAM"]
    names = {section.name: section for section in link_map.sections}
    assert ".never_made" not in names
    data, bss = names[".data"], names[".bss"]
    assert data.load_address is not None
    assert 0x08000000 < data.load_address < 0x08080000
    assert any(row.name in (".bss.tentative", "COMMON") and row.size_bytes == 120 for row in bss.inputs)
    assert [row.kind for row in names[".isr_vector"].inputs] == [InputKind.DATA, InputKind.DATA, InputKind.FILL]
    assert any("unused_function" in row.name for row in link_map.discarded)
    assert any(member.member == "conv.cpp.o" and "Register_CONV_2D" in member.symbol for member in link_map.members)


@pytest.mark.skipif(not SHARED_MAPS.is_dir(), reason="the ESP-IDF maps are not beside the repository")
@pytest.mark.parametrize("name", ["esp32_app", "esp32c3_app"])
def test_archive_totals_are_those_of_esp_idf_size(name: str) -> None:
    link_map = parse_map(lzma.decompress((SHARED_MAPS / f"{name}.map.xz").read_bytes()))
    wanted = {
        (archive, section): figures["size"]
        for archive, entry in json.loads((SHARED_MAPS / f"{name}.archives.json").read_text()).items()
        for memory in entry["memory_types"].values()
        for section, figures in memory["sections"].items()
    }
    sections = {section for _, section in wanted}
    found: Counter[tuple[str | None, str]] = Counter()
    for section in link_map.sections:
        if section.name in sections:
            for _, size, row in section.spans():
                found[row.archive if row else None, section.name] += size
    assert {key: found[key] for key in wanted} == wanted


_2_25 = b"""\
Archive member included because of file (symbol)

lib/libone.a(one.o)           main.o (f(int))

Allocating common symbols
Common symbol       size              file

tentative           0x78              main.o
a_common_symbol_with_a_long_name
                    0x4               lib/libone.a(one.o)

Discarded input sections

 .text          0x0000000000000000        0x0 main.o

Memory Configuration

Name             Origin             Length             Attributes
FLASH            0x0000000008000000 0x0000000000080000 xr
RAM              0x0000000020000000 0x0000000000020000 xrw
*default*        0x0000000000000000 0xffffffffffffffff

Linker script and memory map

LOAD main.o
LOAD lib/libone.a
                0x0000000020020000                _estack = (0x20000000 + 0x20000)

.text           0x0000000008000000       0x40
 CONSTRUCTORS
                0x0000000008000000        0x4 LONG 0x20020000 _estack
 FILL mask 0xff
                0x0000000008000004        0x4 LONG 0x8000011 main
 *fill*         0x0000000008000008        0x8 ff
 .text          0x0000000008000010       0x10 main.o
                0x0000000008000010                main
 .text          0x0000000008000020       0x10 lib/libone.a(one.o)
                0x0000000008000020                f(int)
 .text._ZN6tflite26a_template_with_a_long_nameILi1EE3runEv
                0x0000000008000030        0xa lib/libone.a(one.o)
                                          0xe (size before relaxing)
                0x0000000008000030                tflite::a_template_with_a_long_name<1>::run()
 *fill*         0x000000000800003a        0x6 \x20

.data           0x0000000020000000        0x8 load address 0x0000000008000040
 .data          0x0000000020000000        0x8 main.o

.bss            0x0000000020000008       0x7c load address 0x0000000008000048
 COMMON         0x0000000020000008       0x78 main.o
                0x0000000020000008                tentative
 COMMON         0x0000000020000080        0x4 lib/libone.a(one.o)
OUTPUT(firmware.elf elf32-littlearm)
"""
_2_44 = b"""\
As-needed library included to satisfy reference by file (symbol)

libm.so.6                     main.o (sin@@GLIBC_2.2.5)

Archive member included to satisfy reference by file (symbol)

lib/libone.a(one.o)           main.o (f(int))

There are no discarded input sections

Memory Configuration

Name             Origin     Length     Attributes
FLASH            0x08000000 0x00080000 xr
RAM              0x20000000 0x00020000 xrw
*default*        0x00000000 0xffffffff

Linker script and memory map

LOAD main.o
LOAD lib/libone.a
                0x20020000                        _estack = (0x20000000 + 0x20000)
                [!provide]                        PROVIDE (unused = .)
                0x00000001                        ASSERT ((_estack > 0x0), no stack)

.text           0x08000000       0x40
                0x08000000        0x4 LONG 0x20020000 _estack
                0x08000004        0x4 LONG 0x8000011 main
 *fill*         0x08000008        0x8 ff
 .text          0x08000010       0x10 main.o
                0x08000010                        main
                0x08000018                        a_local_of_print_map_locals
 .text          0x08000020       0x10 lib/libone.a(one.o)
                0x08000020                        f(int)
 .text._ZN6tflite26a_template_with_a_long_nameILi1EE3runEv
                0x08000030        0xa lib/libone.a(one.o)
                                  0xe (size before relaxing)
                0x08000030                        tflite::a_template_with_a_long_name<1>::run()
 *fill*         0x0800003a        0x6

.data           0x20000000        0x8 load address 0x08000040
 .data          0x20000000        0x8 main.o

.bss            0x20000008       0x7c load address 0x08000048
 COMMON         0x20000008       0x78 main.o
                0x20000008                        tentative
 COMMON         0x20000080        0x4 lib/libone.a(one.o)
OUTPUT(firmware.elf elf32-littlearm)
Address of section .later set to 0x20000100
LOAD linker stubs

Cross Reference Table

Symbol                                            File
main                                              main.o
"""


@pytest.mark.parametrize("text", [_2_25, _2_44], ids=["2.25", "2.44"])
def test_the_same_program_in_the_words_of_two_linkers(text: bytes) -> None:
    """Written by hand after ld/ldlang.c; the real maps of these tests are of ld 2.26 (AVR) and 2.40."""
    link_map = parse_map(text)
    one = ("lib/libone.a", "one.o")
    assert inputs_of(link_map, ".text") == [
        ("LONG 0x20020000 _estack", 0x08000000, 4, None, "LONG 0x20020000 _estack", InputKind.DATA),
        ("LONG 0x8000011 main", 0x08000004, 4, None, "LONG 0x8000011 main", InputKind.DATA),
        ("*fill*", 0x08000008, 8, None, "", InputKind.FILL),
        (".text", 0x08000010, 16, None, "main.o", InputKind.SECTION),
        (".text", 0x08000020, 16, *one, InputKind.SECTION),
        (
            ".text._ZN6tflite26a_template_with_a_long_nameILi1EE3runEv",
            0x08000030,
            10,
            *one,
            InputKind.SECTION,
        ),
        ("*fill*", 0x0800003A, 6, None, "", InputKind.FILL),
    ]
    assert [row[:6] for row in link_map.sections[2].inputs] == [
        ("COMMON", 0x20000008, 0x78, None, "main.o", InputKind.COMMON),
        ("COMMON", 0x20000080, 4, *one, InputKind.COMMON),
    ]
    assert [section.load_address for section in link_map.sections] == [None, 0x08000040, 0x08000048]
    assert [region.length_bytes for region in link_map.regions] == [0x80000, 0x20000]
    assert (*one, "main.o", "f(int)") in link_map.members
    assert link_map.output == "firmware.elf"


@pytest.mark.parametrize("name", ["arm", "avr", "riscv", "host"])
def test_the_pattern_of_rows_and_the_reader_of_lines_agree(
    firmware: Linked,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    data = firmware(name).map.read_bytes()
    samples = [data, _2_25, _2_44, *(damaged(data, seed) for seed in range(40))]
    fast = [read_or_refused(sample) for sample in samples]
    monkeypatch.setattr("platformio_tflm.core.mapfile._ROW", re.compile(r"(?!)"))
    assert [read_or_refused(sample) for sample in samples] == fast


def read_or_refused(data: bytes) -> LinkMap | str:
    try:
        return parse_map(data)
    except MapFileError as error:
        return str(error)


def test_reasons_can_be_left_out() -> None:
    data = small_map(b"\n.text           0x08000000       0x10\n .text          0x08000000       0x10 a.o\n")
    whole, without = parse_map(data), parse_map(data, reasons=False)
    assert (len(whole.discarded), len(whole.members)) == (2, 1)
    assert without == replace(whole, discarded=(), members=())


_FAR_CALL = SCRIPT.replace(
    "  .data : ALIGN(8)", "  .fast : { *(.text._Z14framework_tickv) LONG(1) } >RAM AT>FLASH\n  .data : ALIGN(8)"
).replace("*(.literal .text .literal.* .text.*)", "*(.literal .text .literal.* EXCLUDE_FILE(*tick*) .text.*)")


def test_veneers_are_the_linker_s(tmp_path: Path) -> None:
    """A call from flash to SRAM is farther than a branch reaches: ld adds a stub, which no object file has."""
    assert _FAR_CALL != SCRIPT
    built = build(tmp_path, TOOLCHAINS["arm"], script=_FAR_CALL)
    link_map = parse_map(built.map.read_bytes())
    stubs = [row for section in link_map.sections for row in section.inputs if row.kind is InputKind.STUBS]
    assert any(row.size_bytes for row in stubs)
    assert all(row.archive is None for row in stubs)
    names = built.run("nm", "firmware.elf")
    assert "_veneer" in names


def test_objects_and_archives_of_one_name_in_two_places(tmp_path: Path) -> None:
    """conv.o twice, in two archives called libx.a, one of them twice in it: each byte has its own place."""
    for folder, name, count in (("one", "one", 16), ("one/more", "again", 32), ("two/deeper", "two", 64)):
        place = tmp_path / folder
        place.mkdir(parents=True)
        (place / "conv.c").write_text(f"const char {name}_table[{count}] = {{1}};\n")
        run_in(place, "arm-none-eabi-gcc", "-c", "-fdata-sections", "conv.c")
    run_in(tmp_path / "one", "arm-none-eabi-ar", "qcs", "libx.a", "conv.o", "more/conv.o")
    run_in(tmp_path / "two/deeper", "arm-none-eabi-ar", "qcs", "libx.a", "conv.o")
    (tmp_path / "main.c").write_text(
        "extern const char one_table[], two_table[], again_table[];\n"
        "int main(void) { return one_table[3] + two_table[3] + again_table[2]; }\n"
    )
    run_in(tmp_path, "arm-none-eabi-gcc", "-c", "main.c")
    inputs = ("main.o", "one/libx.a", "two/deeper/libx.a")
    run_in(tmp_path, "arm-none-eabi-ld", "-e", "main", "-Ttext=0x8000", "-Map=a.map", "-o", "a.elf", *inputs)
    link_map = parse_map((tmp_path / "a.map").read_bytes())
    sizes: Counter[str | None] = Counter()
    for section in link_map.sections:
        for _, size, row in section.spans():
            if row is not None and row.member == "conv.o":
                sizes[row.archive] += size
    assert sizes == {"one/libx.a": 48, "two/deeper/libx.a": 64}


def run_in(folder: Path, *command: str) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} on the path")
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_names_of_thousands_of_letters(tmp_path: Path) -> None:
    name = "f" + "o" * 3000
    (tmp_path / "a.c").write_text(f"int {name}(void) {{ return 1; }}\nint main(void) {{ return {name}(); }}\n")
    run_in(tmp_path, "arm-none-eabi-gcc", "-c", "-ffunction-sections", "a.c")
    run_in(tmp_path, "arm-none-eabi-ld", "-e", "main", "-Map=a.map", "-o", "a.elf", "a.o")
    rows = [row for section in parse_map((tmp_path / "a.map").read_bytes()).sections for row in section.inputs]
    assert f".text.{name}" in {row.name for row in rows if row.size_bytes}


def damaged(data: bytes, seed: int) -> bytes:
    """One of the ways in which files get broken: bytes changed, a piece lost, doubled, moved or cut off."""
    chance = random.Random(seed)  # noqa: S311  # reproducible damage
    bent = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(bent)), chance.randint(1, 200)
        way = chance.randrange(6)
        if way == 0:
            bent[at] = chance.randrange(256)
        elif way == 1:
            del bent[at : at + length]
        elif way == 2:
            bent[at:at] = bent[at : at + length]
        elif way == 3:
            bent[at:at] = chance.randbytes(length)
        elif way == 4:
            bent[at : at + 1] = chance.choice(
                [b"\n", b" ", b"0x", b"(", b")", b"\r", b"\0", b"\xff", b"0xfffffffffffffff"]
            )
        else:
            del bent[max(1, at) :]
    return bytes(bent)


def test_damaged_maps_are_read_or_refused(firmware: Linked) -> None:  # noqa: F811
    data = firmware("riscv" if TOOLCHAINS["riscv"].present else "arm").map.read_bytes()
    refused = sum(bool(refusal_of(damaged(data, seed))) for seed in range(300))
    assert 0 < refused < 300


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(alphabet=" .x0()*/\\:af\n\t", max_size=200))
def test_any_text_between_the_marks_is_read_or_refused(text: str) -> None:
    assert len(refusal_of(small_map(text.encode()))) < 1000


@pytest.mark.parametrize(
    "line",
    [
        b"\n" + b" " * 1_000_000 + b"x",
        b"\n." + b"x" * 1_000_000,
        b"\n .x " + b"0x1 0x" * 200_000,
        b"\n" + b"(" * 1_000_000,
    ],
)
def test_enormous_lines_do_not_hang(line: bytes) -> None:
    assert len(refusal_of(small_map(line + b"\n"))) < 400
