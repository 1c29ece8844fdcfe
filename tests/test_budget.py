"""The SRAM worksheet: that it adds up to the byte, whatever was linked, and says where each figure is from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from firmware_fixtures import firmware  # noqa: F401  # a fixture
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from project import HELLO_WORLD
from tiny_firmware import ARENA_BYTES, TOOLCHAINS, Firmware

from platformio_tflm.cli.models import planned_models
from platformio_tflm.core.advice import Situation
from platformio_tflm.core.alone import elf_of_map, map_of_elf
from platformio_tflm.core.boards import Board, Reservation, board_from_limits, find_board
from platformio_tflm.core.budget import ArenaPlace, reserved_lines, sram_budget, state_of, total_bytes, worst
from platformio_tflm.core.categories import Verdict
from platformio_tflm.core.elf import read_elf
from platformio_tflm.core.mapfile import parse_map
from platformio_tflm.core.memory import ModelSymbols, Span, measure_memory
from platformio_tflm.core.report import BudgetKind, Category, Status
from platformio_tflm.measure import LinkedFiles, Program, Project, measure
from platformio_tflm.settings import read_settings

BARE = board_from_limits("bare", "Bare", 1 << 20, 1 << 18, "unknown", 0)
BOARD = replace(
    BARE,
    source="boards/bare.yaml",
    reservations=(
        Reservation("stack", 2_048, "the linker script", section=".my_stack"),
        Reservation("heap", 512, "the manual"),
        Reservation("radio", 16_000, "the radio's manual", archive="libradio.a"),
    ),
)


def span(size_bytes: int, category: Category = Category.APPLICATION, section: str = ".bss", address: int = 0) -> Span:
    return Span(address, size_bytes, 0, size_bytes, Verdict(category, ""), section, None)


@pytest.mark.parametrize(
    ("left", "tight", "state"), [(-1, 0, Status.EXCEEDED), (0, 1, Status.TIGHT), (0, 0, Status.OK), (5, 5, Status.OK)]
)
def test_states(left: int, tight: int, state: Status) -> None:
    assert state_of(left, tight) is state
    assert worst(Status.OK, state) is state
    assert worst(Status.EXCEEDED, state) is Status.EXCEEDED


def test_reserved_lines_name_their_sources() -> None:
    lines = reserved_lines(BOARD, (("heap", 9_000), ("camera", 19_200)), archives=["lib/libradio.a"])
    assert [(line.name, line.size_bytes, line.source) for line in lines] == [
        ("stack", 2_048, "boards/bare.yaml: the linker script"),
        ("radio", 16_000, "boards/bare.yaml: the radio's manual"),
        ("heap", 9_000, "custom_tflm_reserve, instead of 512 in the board file"),
        ("camera", 19_200, "custom_tflm_reserve"),
    ]
    assert {line.kind for line in lines} == {BudgetKind.RESERVED}
    assert total_bytes(reserved_lines(BOARD)) == 2_560


def test_what_the_map_shows_is_no_reserved_line() -> None:
    assert [line.name for line in reserved_lines(BOARD, sections=[".my_stack"])] == ["heap"]
    (line, _) = reserved_lines(BOARD, (("stack", 4_096), ("heap", 1)), sections=[".my_stack"])
    assert line.source == "custom_tflm_reserve, on top of section .my_stack of the map"


def test_lines_of_a_worksheet() -> None:
    spans = (
        span(100),
        span(64, Category.ARENA, address=0x1000),
        span(16, Category.ARENA, address=0x1040),
        span(32, Category.ARENA, address=0x2000),
        span(2_048, Category.FRAMEWORK, ".my_stack"),
        span(10, Category.FRAMEWORK, "._user_heap_stack"),
        span(3, Category.PADDING, ""),
    )
    arenas = (ArenaPlace("arena a", "a_arena", 0x1000, 80), ArenaPlace("arena b", "b_arena", 0x2000, 32))
    budget = sram_budget(spans, BOARD, reserved_lines(BOARD, sections=[".my_stack"]), arenas=arenas, limit_bytes=2_700)
    assert [(line.name, line.kind.value, line.size_bytes) for line in budget.lines] == [
        ("static data", "static", 103),
        ("arena a", "arena", 80),
        ("arena b", "arena", 32),
        ("stack", "section", 2_048),
        ("user_heap_stack", "section", 10),
        ("heap", "reserved", 512),
    ]
    assert budget.lines[3].source == "section .my_stack of the map; boards/bare.yaml: the linker script"
    assert budget.remaining_bytes == 2_700 - 2_785


SPANS = st.lists(
    st.builds(
        span,
        st.integers(0, 5_000),
        st.sampled_from(Category),
        st.sampled_from(["", ".bss", ".my_stack", ".heap", ".data"]),
        st.integers(0, 0x3000),
    ),
    max_size=30,
)


@given(SPANS, st.lists(st.tuples(st.sampled_from(["stack", "heap", "x"]), st.integers(0, 9_000)), max_size=4))
@hypothesis_settings(derandomize=True, deadline=None, max_examples=200)
def test_it_adds_up(spans: list[Span], reserve: list[tuple[str, int]]) -> None:
    reserved = reserved_lines(BOARD, tuple(reserve))
    places = (ArenaPlace("arena a", "a_arena", 0x1000, 80), ArenaPlace("arena b", "b_arena", 0x2000, 32))
    budget = sram_budget(spans, BOARD, reserved, arenas=places, limit_bytes=10_000)
    on_top = total_bytes(line for line in budget.lines if line.kind is BudgetKind.RESERVED)
    placed = total_bytes(budget.lines) - on_top
    assert placed == sum(each.sram_bytes for each in spans)
    assert on_top == total_bytes(reserved)
    assert budget.remaining_bytes == 10_000 - placed - on_top
    assert all(line.size_bytes and line.source for line in budget.lines)


@pytest.mark.parametrize("name", sorted(TOOLCHAINS))
def test_real_programs(firmware: Callable[..., Firmware], name: str) -> None:  # noqa: F811
    built = firmware(name)
    linked = LinkedFiles(built.elf.read_bytes(), built.map.read_bytes())
    settings = read_settings({"custom_tflm_reserve": "buffers = 5000", "custom_tflm_max_sram": "50%"})
    for board in (BARE, BOARD, find_board("disco_f407vg")):
        report = measure(linked, board, settings, Project("", "", "1")).report
        reserved = [line for line in report.budget.lines if line.kind is BudgetKind.RESERVED]
        assert total_bytes(reserved) == report.memory.sram.reserved_bytes
        assert total_bytes(report.budget.lines) - total_bytes(reserved) == report.memory.sram.used_bytes
        assert report.budget.remaining_bytes + total_bytes(report.budget.lines) == report.memory.sram.limit_bytes
        assert ("buffers", 5_000) in [(line.name, line.size_bytes) for line in reserved]


def test_arena_and_stack_of_a_real_program(firmware: Callable[..., Firmware]) -> None:  # noqa: F811
    built = firmware("arm")
    board: Board = find_board("disco_f407vg")
    elf = read_elf(built.elf.read_bytes())
    usage = measure_memory(
        parse_map(built.map.read_bytes()), elf, board, models=(ModelSymbols("sine", "sine_data", "sine_arena"),)
    )
    symbol = elf.symbol("sine_arena")
    assert symbol is not None
    places = [ArenaPlace("arena sine", symbol.name, symbol.address, symbol.size_bytes)]
    budget = sram_budget(usage.spans, board, (), arenas=places, limit_bytes=board.sram_limit_bytes)
    sizes = {line.name: line.size_bytes for line in budget.lines}
    assert sizes["arena sine"] == ARENA_BYTES
    assert sizes["stack and heap"] >= 1_024
    assert sum(sizes.values()) == usage.sram_used_bytes


def test_advice_is_about_the_arena_that_is_linked(
    firmware: Callable[..., Firmware],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tmp_path / "sine.tflite"
    model.write_bytes(HELLO_WORLD.read_bytes())
    models = planned_models([model])
    assert models[0].arena_bytes != ARENA_BYTES
    asked: list[Situation] = []
    monkeypatch.setattr("platformio_tflm.measure.advise", lambda situation: asked.append(situation) or ())
    linked = LinkedFiles(None, firmware("arm").map.read_bytes())
    measure(linked, BARE, read_settings({}), Project("", "", "1"), models=models)
    assert [model.arena_bytes for model in asked[0].models] == [ARENA_BYTES]


GENERATED = b"""
Memory Configuration

Name             Origin             Length             Attributes
FLASH            0x08000000         0x00010000         xr
RAM              0x20000000         0x00010000         rw
*default*        0x00000000         0xffffffff

Linker script and memory map

.rodata         0x08000000       0x20
 .rodata.sine_data
                0x08000000       0x20 .pio/build/n/tflm/src/sine_data.o

.bss            0x20000000     0x1040
 .bss.sine_arena
                0x20000000     0x1000 .pio/build/n/tflm/src/sine_data.o
 .bss.ticks     0x20001000       0x40 .pio/build/n/src/main.o
OUTPUT(.pio/build/n/firmware.elf elf32-littlearm)
"""


def test_the_arena_of_a_model_that_nobody_named() -> None:
    report = measure(LinkedFiles(None, GENERATED), None, read_settings({}), Project("", "", "1")).report
    assert report.budget is not None
    assert [(line.name, line.size_bytes) for line in report.budget.lines] == [("static data", 64), ("arena sine", 4096)]
    assert {use.name: use.sram_bytes for use in report.categories if use.sram_bytes} == {
        "arena": 4096,
        "application": 64,
    }
    assert not [message for message in report.messages if message.level == "advice"], "an arena is no constant data"


def test_generated_objects_are_known_in_an_elf_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare = elf_of_map(parse_map(GENERATED))
    array, arena, ticks = bare.symbols
    alias = array._replace(name="sine_tflite")
    other = ticks._replace(name="sensor_tflite", address=ticks.address + 8, size_bytes=8)
    elf = replace(bare, symbols=(array, alias, arena, ticks, other))
    monkeypatch.setattr("platformio_tflm.measure.read_program", lambda _: Program(map_of_elf(elf), elf))
    report = measure(LinkedFiles(b"", None), BARE, read_settings({}), Project("", "", "1")).report
    used = {
        use.name: (use.flash_bytes, use.sram_bytes) for use in report.categories if use.flash_bytes or use.sram_bytes
    }
    assert used == {"model": (32, 0), "arena": (0, 4096), "other": (0, 64)}, "one name alone is anybody's"
    assert report.budget is not None
    assert [(line.name, line.size_bytes) for line in report.budget.lines] == [("static data", 64), ("arena sine", 4096)]
