"""Accounting: totals against size, objcopy and the linker's own figures; categories, regions, and odd layouts."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from firmware_fixtures import firmware  # noqa: F401  # a fixture
from tiny_firmware import ARENA_BYTES, MODEL_BYTES, SCRIPT, TOOLCHAINS, Firmware, build

from platformio_tflm.core.alone import elf_of_map
from platformio_tflm.core.boards import Board, Region, board_from_limits, find_board
from platformio_tflm.core.categories import Classifier, Origins, section_symbol
from platformio_tflm.core.elf import ElfImage, ElfSection, read_elf
from platformio_tflm.core.map_model import InputKind, InputSection, LinkMap, MemoryRegion, OutputSection
from platformio_tflm.core.mapfile import parse_map
from platformio_tflm.core.memory import ModelSymbols, Usage, measure_memory
from platformio_tflm.core.report import Category
from platformio_tflm.errors import MapFileError

SHARED_MAPS = Path(__file__).resolve().parents[1].parent / "shared" / "maps"
Linked = Callable[..., Firmware]
EVERYWHERE = pytest.mark.parametrize("name", sorted(TOOLCHAINS))
EMBEDDED = pytest.mark.parametrize("name", sorted(set(TOOLCHAINS) - {"host"}))
BOTH = pytest.mark.parametrize("flags", [(), ("-flto",)], ids=["plain", "lto"])
SINE = ModelSymbols("sine", "sine_data", "sine_arena")
NOWHERE = board_from_limits("bare", "Bare", 1 << 20, 1 << 18, "unknown", 0)


def measure(built: Firmware, board: Board = NOWHERE, origins: Origins | None = None) -> Usage:
    link_map, elf = parse_map(built.map.read_bytes()), read_elf(built.elf.read_bytes())
    return measure_memory(link_map, elf, board, models=(SINE,), origins=origins)


def by_name(usage: Usage) -> dict[str, tuple[int, int]]:
    return {use.name: (use.flash_bytes, use.sram_bytes) for use in usage.categories}


def linker_figures(built: Firmware) -> dict[str, int]:
    unit = {"B": 1, "KB": 1024, "MB": 1 << 20, "GB": 1 << 30}
    rows = re.findall(r"^ *(\w+): +(\d+) (B|KB|MB|GB) +\d", built.linker_output, re.MULTILINE)
    return {name: int(figure) * unit[letters] for name, figure, letters in rows}


@BOTH
@EMBEDDED
def test_regions_are_the_linker_s_own_figures(firmware: Linked, name: str, flags: tuple[str, ...]) -> None:  # noqa: F811
    built = firmware(name, *flags)
    usage = measure(built)
    assert {region.name: region.used_bytes for region in usage.regions} == linker_figures(built)


@BOTH
@EMBEDDED
def test_flash_is_the_binary_s_size(firmware: Linked, name: str, flags: tuple[str, ...]) -> None:  # noqa: F811
    built = firmware(name, *flags)
    usage = measure(built)
    assert usage.image_bytes == len(built.binary())
    assert usage.flash_used_bytes == usage.image_bytes


@EMBEDDED
def test_flash_is_the_hex_file_s_bytes_and_the_holes_between(firmware: Linked, name: str) -> None:  # noqa: F811
    built = firmware(name)
    records = [line for line in built.hex().decode("ascii").splitlines() if line[7:9] == "00"]
    in_hex = sum(int(line[1:3], 16) for line in records)
    usage = measure(built)
    holes = sum(span.flash_bytes for span in usage.spans if not span.section)
    assert usage.flash_used_bytes == in_hex + holes


@BOTH
@EVERYWHERE
def test_categories_sum_to_the_totals(firmware: Linked, name: str, flags: tuple[str, ...]) -> None:  # noqa: F811
    built = firmware(name, *flags)
    usage = measure(built)
    assert [use.name for use in usage.categories] == [category.value for category in Category]
    assert sum(use.flash_bytes for use in usage.categories) == usage.flash_used_bytes
    assert sum(use.sram_bytes for use in usage.categories) == usage.sram_used_bytes
    in_data = name == "avr"  # avr-gcc keeps constants in .data, so in flash and in SRAM
    assert by_name(usage)["model"] == (len(MODEL_BYTES), len(MODEL_BYTES) if in_data else 0)
    assert by_name(usage)["arena"] == (0, ARENA_BYTES)


@pytest.mark.parametrize("name", ["arm", "riscv", "xtensa"])
def test_sram_is_what_size_lists_there(firmware: Linked, name: str) -> None:  # noqa: F811
    built = firmware(name)
    sram = 0
    for line in built.run("size", "-A", "firmware.elf").splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[2].isdigit() and int(parts[2]) >> 24 == 0x20:
            sram += int(parts[1])
    usage = measure(built)
    assert 0 <= usage.sram_used_bytes - sram < 32, "only alignment between sections comes on top"


def test_what_platformio_s_size_line_drops_is_counted(firmware: Linked) -> None:  # noqa: F811
    usage = measure(firmware("arm"))
    sections = {span.section for span in usage.spans if span.flash_bytes}
    assert sections >= {".isr_vector", ".init_array", ".custom_table", ".a_section_with_a_really_long_name", ".data"}
    noload = [span for span in usage.spans if span.section in (".settings", ".noinit", "._user_heap_stack", ".bss")]
    assert noload
    assert all(span.flash_bytes == 0 for span in noload)
    assert all(span.sram_bytes == (0 if span.section == ".settings" else span.size_bytes) for span in noload)


@EMBEDDED
def test_categories_of_a_known_program(firmware: Linked, name: str) -> None:  # noqa: F811
    usage = measure(firmware(name))
    found = by_name(usage)
    assert found["tflm-kernels"][0] > 100
    assert found["tflm-core"][0] > 10
    assert found["tflm-core"][1] in (16, 32), "eight ints of state"
    assert found["application"][1] > 250
    assert found["framework"][0] > 10
    assert found["builtin"] == (0, 0)
    operators = {use.name: use.flash_bytes for use in usage.operators}
    assert operators == {"CONV_2D": found["tflm-kernels"][0]}


def test_link_time_optimization_is_read_by_symbols(firmware: Linked) -> None:  # noqa: F811
    usage = measure(firmware("arm", "-flto"))
    found = by_name(usage)
    assert found["tflm-kernels"][0] > 0
    assert found["tflm-core"][1] == 32
    assert found["other"][0] > 0, "what no symbol tells apart is not called the application's"
    assert any("link-time optimization" in span.verdict.reason for span in usage.spans)


def test_the_board_names_kinds_and_the_map_ranges(firmware: Linked) -> None:  # noqa: F811
    board = find_board("disco_f407vg")
    usage = measure(firmware("arm"), board)
    assert [(region.name, region.kind) for region in usage.regions] == [
        ("FLASH", "flash"),
        ("RAM", "sram"),
        ("CCMRAM", "ccm"),
    ]
    strange = replace(
        board, regions=(Region("bank", "other", 0x08000000, 1 << 20), Region("r", "dtcm", 0x20000000, 1 << 20))
    )
    usage = measure(firmware("arm"), strange)
    assert [region.kind for region in usage.regions] == ["other", "dtcm", "ccm"]
    assert usage.flash_used_bytes == 0
    assert usage.sram_used_bytes > ARENA_BYTES


def test_without_any_regions_the_elf_decides(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    link_map, elf = parse_map(built.map.read_bytes()), read_elf(built.elf.read_bytes())
    with_regions = measure_memory(link_map, elf, NOWHERE)
    bare = measure_memory(replace(link_map, regions=()), elf, NOWHERE)
    assert [(r.name, r.length_bytes) for r in bare.regions] == [("flash", 1 << 20), ("sram", 1 << 18)]
    contents = [sum(span.flash_bytes for span in usage.spans if span.section) for usage in (with_regions, bare)]
    assert contents[0] == contents[1]
    assert with_regions.flash_used_bytes > bare.flash_used_bytes, "without a region a wide hole is no padding"
    from_board = measure_memory(replace(link_map, regions=()), elf, find_board("nucleo_f411re"))
    assert from_board.flash_used_bytes == with_regions.flash_used_bytes
    assert from_board.sram_used_bytes == with_regions.sram_used_bytes


def test_without_any_regions_holes_of_alignments_count_and_the_image_has_a_bound(tmp_path: Path) -> None:
    script = """
ENTRY(main)
SECTIONS {
  .text 0x08000000 : { *(.text .text.*) BYTE(1) }
  .rodata : ALIGN(64) { *(.rodata .rodata.* .ARM.extab*) . = ALIGN(4); __exidx_start = .; *(.ARM.exidx*) __exidx_end = .; }
  .init_array : { KEEP(*(.init_array*)) }
  .data 0x20000000 : AT(LOADADDR(.init_array) + SIZEOF(.init_array)) { *(.data .data.*) BYTE(1) }
  .bss : ALIGN(32) { *(.bss .bss.* COMMON) }
  end = .;
  FAR
}
"""
    if not TOOLCHAINS["arm"].present:
        pytest.skip("no arm-none-eabi-gcc on the path")
    near = build(tmp_path / "near", TOOLCHAINS["arm"], script=script.replace("FAR", ""))
    usage = measure(near)
    assert [region.origin for region in usage.regions] == [0x08000000, 0x20000000], "where the program's bytes begin"
    assert usage.flash_used_bytes == usage.image_bytes == len(near.binary())
    assert usage.sram_used_bytes == max(section.elf.end for section in usage.placement.sections) - 0x20000000
    far = build(tmp_path / "far", TOOLCHAINS["arm"], script=script.replace("FAR", ".far 0x90000000 : { LONG(1) }"))
    assert measure(far).image_bytes < 1 << 20, "a second flash is no hole of two gigabytes"


def test_map_and_elf_of_two_builds_do_not_belong_together(firmware: Linked) -> None:  # noqa: F811
    one, other = firmware("arm"), firmware("arm", "-flto")
    with pytest.raises(MapFileError) as caught:
        measure_memory(parse_map(one.map.read_bytes()), read_elf(other.elf.read_bytes()), NOWHERE)
    message = str(caught.value)
    assert "do not belong together: .text (" in message
    assert re.search(r"\.text \([\d,]+ bytes in the ELF, [\d,]+ in the map\)", message)
    assert "and" in message


def test_a_stripped_elf_is_measured_alike(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    built.run("strip", "-o", "stripped.elf", "firmware.elf")
    link_map = parse_map(built.map.read_bytes())
    stripped = measure_memory(link_map, read_elf((built.folder / "stripped.elf").read_bytes()), NOWHERE)
    whole = measure(built)
    assert stripped.flash_used_bytes == whole.flash_used_bytes
    assert by_name(stripped)["model"][0] >= len(MODEL_BYTES), "the generated object's path tells it, too"


def test_the_largest_origins_are_named(firmware: Linked) -> None:  # noqa: F811
    usage = measure(firmware("arm"))
    names = [name for name, _ in usage.largest_origins("flash", 3)]
    assert names[0].endswith("libc_nano.a") or names[0].endswith(".a")
    sizes = [size for _, size in usage.largest_origins("sram", 50)]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == usage.sram_used_bytes
    span = usage.span_at(next(s.address for s in usage.spans if s.verdict.category is Category.MODEL))
    assert span is not None
    assert span.verdict.reason == "the data of model sine (symbol sine_data)"


_BIG_HEAP = SCRIPT.replace(
    "  ._user_heap_stack (NOLOAD) : { . = ALIGN(8); end = .; _end = .; . = . + _Min_Stack_Size; . = ALIGN(8); } >RAM",
    """  .heap (NOLOAD) : { . = ALIGN(8); end = .; _end = .; . = ORIGIN(RAM) + LENGTH(RAM) - 2048; } >RAM
  .stack_dummy (NOLOAD) : { . = . + 2048; } >RAM""",
)


def test_a_heap_over_all_that_is_left_is_not_used(tmp_path: Path) -> None:
    assert _BIG_HEAP != SCRIPT
    usage = measure(build(tmp_path, TOOLCHAINS["arm"], script=_BIG_HEAP))
    assert usage.growing_heap_bytes > 100_000
    assert usage.sram_used_bytes < 10_000
    assert usage.sram_used_bytes + usage.growing_heap_bytes == pytest.approx(128 * 1024, abs=16)


_COPY_HEAP = _BIG_HEAP.replace("(NOLOAD) : { . = ALIGN(8); end", "(COPY) : { . = ALIGN(8); end").replace(
    ".stack_dummy (NOLOAD)", ".stack_dummy (COPY)"
)


def test_sections_that_only_reserve_names_are_no_memory(tmp_path: Path) -> None:
    assert _COPY_HEAP != _BIG_HEAP
    usage = measure(build(tmp_path, TOOLCHAINS["arm"], script=_COPY_HEAP))
    assert usage.growing_heap_bytes == 0
    assert ARENA_BYTES < usage.sram_used_bytes < 10_000


def test_a_row_outside_of_its_section_is_refused(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    text = built.map.read_bytes()
    bent = re.sub(rb"(\n \.text\.startup\.main\n +0x)080", rb"\g<1>090", text)
    assert bent != text
    with pytest.raises(MapFileError, match=r"line \d+: \.text\.startup\.main at 0x90\w+ lies outside of .* \.text"):
        measure_memory(parse_map(bent), read_elf(built.elf.read_bytes()), NOWHERE)


_FAST_CODE = SCRIPT.replace(
    "  .bss (NOLOAD)",
    "  .fast : { *(.data.initialised) LONG(1) } >CCMRAM AT>FLASH\n  .bss (NOLOAD)",
).replace("*(.data .data.*)", "*(EXCLUDE_FILE(*main*) .data EXCLUDE_FILE(*main*) .data.*)")


def test_initialised_data_in_ccm_counts_in_flash_alone(tmp_path: Path) -> None:
    built = build(tmp_path, TOOLCHAINS["arm"], script=_FAST_CODE)
    usage = measure(built, find_board("disco_f407vg"))
    fast = [span for span in usage.spans if span.section == ".fast"]
    assert sum(span.flash_bytes for span in fast) >= 44
    assert sum(span.sram_bytes for span in fast) == 0
    assert {region.name: region.used_bytes for region in usage.regions} == linker_figures(built)
    assert usage.flash_used_bytes == len(built.binary())


_OVERLAY = SCRIPT.replace(
    "  .bss (NOLOAD)",
    """  OVERLAY : NOCROSSREFS {
    .over_one { *(.data.initialised) . = . + 32; }
    .over_two { LONG(1) LONG(2) }
  } >RAM AT>FLASH
  .bss (NOLOAD)""",
).replace("*(.data .data.*)", "*(EXCLUDE_FILE(*main*) .data EXCLUDE_FILE(*main*) .data.*)")


def test_overlays_share_sram_but_not_flash(tmp_path: Path) -> None:
    built = build(tmp_path, TOOLCHAINS["arm"], script=_OVERLAY)
    usage = measure(built)
    assert usage.flash_used_bytes == usage.image_bytes == len(built.binary())
    second = [span for span in usage.spans if span.section == ".over_two"]
    assert sum(span.flash_bytes for span in second) == 8
    assert sum(span.sram_bytes for span in second) == 0, "the first overlay took these addresses"
    assert {region.name: region.used_bytes for region in usage.regions} == linker_figures(built)


# What esp-idf-size calls a part of a memory type, and the output section that it is. On a C3 IRAM is DRAM's bytes, too.
ESP_SECTIONS = {
    ("Flash Code", ".text"): ".flash.text",
    ("Flash Data", ".rodata"): ".flash.rodata",
    ("Flash Data", ".appdesc"): ".flash.appdesc",
    ("IRAM", ".text"): ".iram0.text",
    ("IRAM", ".vectors"): ".iram0.vectors",
    ("DRAM", ".text"): ".iram0.text",
    ("DRAM", ".data"): ".dram0.data",
    ("DRAM", ".bss"): ".dram0.bss",
    ("RTC SLOW", ".data"): ".rtc.data",
}


@pytest.mark.skipif(not SHARED_MAPS.is_dir(), reason="the ESP-IDF maps are not beside the repository")
@pytest.mark.parametrize(("name", "board"), [("esp32_app", "esp32dev"), ("esp32c3_app", "esp32-c3-devkitm-1")])
def test_espressif_s_memory_types(name: str, board: str) -> None:
    link_map = parse_map(lzma.decompress((SHARED_MAPS / f"{name}.map.xz").read_bytes()))
    usage = measure_memory(link_map, elf_of_map(link_map), find_board(board))
    summary = json.loads((SHARED_MAPS / f"{name}.summary.json").read_text())
    layout = {
        entry["name"]: {part: figure["size"] for part, figure in entry["parts"].items()} for entry in summary["layout"]
    }
    sizes: dict[str, list[int]] = {}
    for span in usage.spans:
        flash_and_sram = sizes.setdefault(span.section, [0, 0])
        flash_and_sram[0] += span.flash_bytes
        flash_and_sram[1] += span.sram_bytes
    for (memory, part), section in ESP_SECTIONS.items():
        wanted = layout.get(memory, {}).get(part)
        if wanted is not None:
            counts_as = 1 if section.endswith("bss") else 0
            assert sizes[section][counts_as] == wanted, (memory, part)
    named = {part for _, part in ESP_SECTIONS}
    assert all(part in named for parts in layout.values() for part in parts)
    assert summary["total_size"] == usage.image_bytes
    dram = sum(part for key, part in layout["DRAM"].items() if key != ".text")
    dummies = sum(span.sram_bytes for span in usage.spans if span.section.endswith("dummy"))
    assert 0 <= usage.sram_used_bytes - dummies - dram < 16
    assert sum(use.flash_bytes for use in usage.categories) == usage.flash_used_bytes
    assert usage.image_bytes <= usage.flash_used_bytes < usage.image_bytes + 256, (
        "no holes of address space are counted"
    )
    assert by_name(usage)["libc"][0] > 50_000


def input_row(name: str, archive: str | None, member: str) -> InputSection:
    return InputSection(name, 0x08000000, 16, archive, member, InputKind.SECTION, 1)


@pytest.mark.parametrize(
    ("archive", "member", "category", "operator"),
    [
        (None, ".pio/build/n/tflm/src/sine_data.o", "model", ""),
        (None, ".pio/build/n/src/main.cpp.o", "application", ""),
        (None, ".pio/build/n/SrcWrapper/src/HAL/stm32yyxx_hal.c.o", "framework", ""),
        (None, ".pio/build/n/startup.o", "application", ""),
        (None, "C:\\Users\\me\\tflm\\.pio\\build\\n\\src\\main.cpp.o", "application", ""),
        (".pio/build/n/libabc/libSensor.a", "sensor.cpp.o", "application", ""),
        (".pio/build/n/lib5e0/libtflm_cortexm.a", "conv.cpp.o", "tflm-kernels", "CONV_2D"),
        (".pio/build/n/lib5e0/libtflm_cortexm.a", "fully_connected_common.cc.o", "tflm-kernels", "FULLY_CONNECTED"),
        (".pio/build/n/lib5e0/libtflm_cortexm.a", "pooling.cc.o", "tflm-kernels", "AVERAGE_POOL_2D/MAX_POOL_2D"),
        (".pio/build/n/lib5e0/libtflm_cortexm.a", "kernel_util.cc.o", "tflm-kernels", ""),
        (".pio/build/n/lib5e0/libtflm_cortexm.a", "micro_allocator.cc.o", "tflm-core", ""),
        (".pio/build/n/lib5e0/libTensorFlowLite_ESP32.a", "svdf.cpp.o", "tflm-kernels", "SVDF"),
        (".pio/build/n/lib5e0/libtflm_cortexm.a", "arm_convolve_s8.c.o", "tflm-kernels", "CONV_2D"),
        (".pio/build/n/lib5e0/libtflm_cortexm.a", "arm_max_pool_s8.c.o", "tflm-kernels", "AVERAGE_POOL_2D/MAX_POOL_2D"),
        (".pio/build/n/lib5e0/libtflm_cortexm.a", "decompress_common.cc.o", "tflm-kernels", ""),
        (".pio/build/n/lib5e0/libcmsis-nn.a", "arm_nn_mat_mult_s8.c.o", "tflm-kernels", ""),
        (".pio/build/n/lib5e0/libtflm_cortexm.a", "fft_auto_scale_kernel.cc.o", "tflm-kernels", "SignalFftAutoScale"),
        ("third_party/libtensorflow-microlite.a", "decode_state_huffman.o", "tflm-kernels", "TFLM_DECODE"),
        (None, ".pio/build/n/lib5e0/tflm_esp32/tensorflow/lite/micro/kernels/add.cc.o", "tflm-kernels", "ADD"),
        (None, ".pio/build/n/lib5e0/tflm_esp32/tensorflow/lite/core/c/common.cc.o", "tflm-core", ""),
        (".pio/build/n/lib123/libplatformio-tflm.a", "conv.c.o", "builtin", ""),
        (".pio/build/n/libFrameworkArduino.a", "wiring.c.o", "framework", ""),
        (None, ".pio/build/n/FrameworkArduino/wiring.c.o", "framework", ""),
        ("/home/me/.platformio/packages/framework-arduinoespressif32/tools/sdk/libwifi.a", "a.o", "framework", ""),
        ("/home/me/.platformio/packages/toolchain-gccarmnoneeabi/arm-none-eabi/lib/libfoo.a", "a.o", "libc", ""),
        ("/usr/lib/gcc/arm-none-eabi/12.2.1/../../../arm-none-eabi/lib/libc_nano.a", "lib_a-memcpy.o", "libc", ""),
        ("C:\\sdk\\lib\\libm.a", "sf_exp.o", "libc", ""),
        (None, "/usr/lib/gcc/arm-none-eabi/12.2.1/thumb/crtbegin.o", "libc", ""),
        (None, "/tmp/ccAbCdEf.ltrans0.ltrans.o", "other", ""),  # noqa: S108  # a path in a map
        (None, ".pio/build/n/firmware.elf.ltrans0.ltrans.o", "other", ""),
        (None, "/opt/somewhere/unknown.o", "other", ""),
    ],
)
def test_objects_have_their_category(archive: str | None, member: str, category: str, operator: str) -> None:
    verdict = Classifier().of_input(".text", input_row(".text", archive, member))
    assert (verdict.category.value, verdict.operator) == (category, operator)
    assert verdict.reason


def test_the_arena_of_a_model_that_nobody_named() -> None:
    member = ".pio/build/n/tflm/src/sine_data.o"
    verdict = Classifier().of_input(".bss", input_row(".bss.sine_arena", None, member))
    assert (verdict.category, verdict.reason) == (Category.ARENA, "the tensor arena, generated with the model's data")
    assert Classifier().of_input(".rodata", input_row(".rodata.sine_arena", None, member)).category is Category.MODEL


def test_what_the_build_names_comes_first() -> None:
    origins = Origins(
        tflm=(".pio/build/n/lib9f3", "vendor/runtime"),
        builtin=("C:\\plugins\\runtime",),
        framework=("/opt/vendor/core/",),
        project=("/srv/project", ".pio/build/n"),
    )
    classifier = Classifier(origins)

    def category(archive: str | None, member: str) -> str:
        return classifier.of_object(archive, member).category.value

    assert category(".pio/build/n/lib9f3/libmicro.a", "conv.cpp.o") == "tflm-kernels"
    assert category(".pio/build/n/lib9f3/libmicro.a", "micro_log.cpp.o") == "tflm-core"
    assert category(None, "/x/vendor/runtime/kernels/new_thing.o") == "tflm-kernels"
    assert category(None, "C:/plugins/runtime/conv.o") == "builtin"
    assert category("/opt/vendor/core/libcore.a", "a.o") == "framework"
    assert category("/opt/vendor/corelib.a", "a.o") == "other", "a folder's name is matched whole"
    assert category(None, "/srv/project/lib/thing.o") == "application"
    assert category(".pio/build/n/libFrameworkArduino.a", "main.o") == "framework", (
        "although it is the project's folder"
    )


@pytest.mark.parametrize(
    ("section", "category"),
    [
        (".text._ZN6tflite16MicroInterpreter6InvokeEv", "tflm-core"),
        (".text._ZN6tflite21MicroMutableOpResolverILj3EE9AddConv2DEv", "tflm-core"),
        (".rodata._ZTVN6tflite22MicroMutableOpResolverE", "tflm-core"),
        (".text._ZN6tflite12Register_ADDEv", "tflm-kernels"),
        (".text.startup.main", "application"),
        (".text._ZNSt6vectorIN6tflite5ModelEE9push_backEv", "application"),
        (".text.arm_softmax_s8", "tflm-kernels"),
        (".text.TfLiteTypeGetName", "tflm-core"),
        (".bss", "application"),
    ],
)
def test_symbols_tell_inlined_runtime_code(section: str, category: str) -> None:
    row = input_row(section, None, ".pio/build/n/src/main.cpp.o")
    assert Classifier().of_input(".text", row).category.value == category


def test_symbols_of_section_names() -> None:
    assert section_symbol(".text.startup.main") == "main"
    assert section_symbol(".data.rel.ro.local.table") == "table"
    assert section_symbol(".literal.app_main") == "app_main"
    assert section_symbol(".rodata.main.str1.1") == "main.str1.1"
    assert section_symbol(".text") == ""
    assert section_symbol("COMMON") == ""


def one_section(name: str, address: int, size_bytes: int, region: MemoryRegion) -> tuple[LinkMap, ElfImage]:
    output = OutputSection(name, address, size_bytes, None, (), 1)
    section = ElfSection(1, name, "PROGBITS", address, 0, size_bytes, 4, flags=2)
    link_map = LinkMap((region,), (output,), (), (), "a.elf", "elf32")
    return link_map, ElfImage("arm", 32, True, 0, (section,), (), (), b"")


@pytest.mark.parametrize(
    ("region", "attributes", "kind"),
    [
        ("FLASH", "xr", "flash"),
        ("m_text", "xr", "flash"),
        ("m_data", "rw", "sram"),
        ("rom", "", "flash"),
        ("RAM", "xrw", "sram"),
        ("DTCMRAM", "xrw", "dtcm"),
        ("ITCMRAM", "xrw", "itcm"),
        ("CCMRAM", "rw", "ccm"),
        ("iram0_0_seg", "xr", "iram"),
        ("iram0_2_seg", "xr", "flash"),
        ("drom0_0_seg", "r", "flash"),
        ("dram0_0_seg", "rw", "dram"),
        ("rtc_slow_seg", "rw", "rtc"),
        ("extern_ram_seg", "xrw", "psram"),
        ("eeprom", "rw !x", "other"),
        ("unheard_of", "", "other"),
        ("unheard_of", "rw !x", "sram"),
        ("unheard_of", "r !w", "flash"),
    ],
)
def test_kinds_of_regions_without_a_board_file(region: str, attributes: str, kind: str) -> None:
    link_map, elf = one_section(".x", 0x1000, 16, MemoryRegion(region, 0x1000, 0x1000, attributes))
    usage = measure_memory(link_map, elf, NOWHERE)
    assert usage.regions[0].kind == kind
    assert usage.regions[0].used_bytes == 16
    assert usage.flash_used_bytes == (16 if kind in ("flash", "iram", "dram", "rtc") else 0)
    assert by_name(usage)["padding"][0] == usage.flash_used_bytes, "bytes that the map explains by nothing"


@pytest.mark.parametrize(
    ("board", "origin", "length_bytes", "kind"),
    [
        ("disco_f746ng", 0x20000000, 320 * 1024, "sram"),
        ("disco_f746ng", 0x20000000, 64 * 1024, "dtcm"),
        ("disco_f407vg", 0x10000000, 64 * 1024, "ccm"),
        ("uno", 0x800060, 0xFFA0, "sram"),
    ],
)
def test_a_region_is_of_the_kind_that_has_most_of_it(board: str, origin: int, length_bytes: int, kind: str) -> None:
    link_map, elf = one_section(".bss", origin + 256, 16, MemoryRegion("RAM", origin, length_bytes, "xrw"))
    assert measure_memory(link_map, elf, find_board(board)).regions[0].kind == kind


def test_functions_in_another_order_are_of_another_build() -> None:
    def linked(*names: str) -> tuple[LinkMap, ElfImage]:
        rows = tuple(
            InputSection(f".text.{name}", 0x08000000 + 8 * place, 8, None, "main.o", InputKind.SECTION, 1)
            for place, name in enumerate(names)
        )
        link_map = LinkMap((), (OutputSection(".text", 0x08000000, 8 * len(rows), None, rows, 1),), (), (), "", "")
        elf = elf_of_map(link_map)
        return link_map, replace(elf, symbols=tuple(symbol._replace(type="FUNC") for symbol in elf.symbols))

    for other, words in (("bac", "and another function differs."), ("bca", "and 2 other functions differ.")):
        with pytest.raises(MapFileError, match="do not belong together: ") as caught:
            measure_memory(linked(*"abc")[0], linked(*other)[1], NOWHERE)
        assert words in str(caught.value)
