"""A map without its ELF, an ELF without its map: the figures of both together, and what cannot be known is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from firmware_fixtures import firmware  # noqa: F401  # a fixture
from tiny_firmware import ARENA_BYTES, MODEL_BYTES, TOOLCHAINS, Firmware

from platformio_tflm.cli import main
from platformio_tflm.core.alone import board_of_map, elf_of_map, map_of_elf
from platformio_tflm.core.boards import Board, board_from_limits, find_board
from platformio_tflm.core.elf import read_elf
from platformio_tflm.core.map_model import LinkMap
from platformio_tflm.core.mapfile import parse_map
from platformio_tflm.core.memory import ModelSymbols, Usage, measure_memory

Linked = Callable[..., Firmware]
EMBEDDED = pytest.mark.parametrize("name", sorted(set(TOOLCHAINS) - {"host"}))
BOTH = pytest.mark.parametrize("flags", [(), ("-flto",)], ids=["plain", "lto"])
SINE = ModelSymbols("sine", "sine_data", "sine_arena")
NOWHERE = board_from_limits("bare", "Bare", 1 << 20, 1 << 18, "unknown", 0)


def both_ways(built: Firmware, board: Board = NOWHERE) -> tuple[Usage, Usage]:
    """Measured with the ELF, and with what the map alone says of it."""
    link_map = parse_map(built.map.read_bytes())
    usage = measure_memory(link_map, read_elf(built.elf.read_bytes()), board, models=(SINE,))
    return usage, measure_memory(link_map, elf_of_map(link_map), board, models=(SINE,))


@BOTH
@EMBEDDED
def test_a_map_alone_gives_the_same_totals(firmware: Linked, name: str, flags: tuple[str, ...]) -> None:  # noqa: F811
    whole, alone = both_ways(firmware(name, *flags))
    assert alone.flash_used_bytes == whole.flash_used_bytes
    assert alone.image_bytes == whole.image_bytes
    assert abs(alone.sram_used_bytes - whole.sram_used_bytes) < 64, "alignments of sections are not in a map"
    kinds = {(r.name, r.kind, r.length_bytes) for r in whole.regions}
    assert {(r.name, r.kind, r.length_bytes) for r in alone.regions} == kinds


@EMBEDDED
def test_a_map_alone_gives_the_same_categories(firmware: Linked, name: str) -> None:  # noqa: F811
    whole, alone = both_ways(firmware(name))
    wanted, found = (
        {use.name: (use.flash_bytes, use.sram_bytes) for use in usage.categories} for usage in (whole, alone)
    )
    # In C the arena is a common symbol, which has no input section of its own: the application's for all one knows.
    uncertain = ("padding",) if name == "arm" else ("padding", "arena", "application")
    assert {key: found[key] for key in found if key not in uncertain} == {
        key: wanted[key] for key in wanted if key not in uncertain
    }
    assert found["model"] == (len(MODEL_BYTES), len(MODEL_BYTES) if name == "avr" else 0)
    assert found["arena"][1] + found["application"][1] == wanted["arena"][1] + wanted["application"][1]
    assert name != "arm" or found["arena"] == (0, ARENA_BYTES)


def test_debug_sections_take_no_memory(firmware: Linked) -> None:  # noqa: F811
    link_map = parse_map(firmware("arm", "-g").map.read_bytes())
    assert link_map.section(".debug_info")
    names = {section.name for section in elf_of_map(link_map).sections}
    assert not any(name.startswith((".debug", ".comment", ".ARM.attributes")) for name in names)
    assert {".text", ".data", ".bss", ".noinit", ".settings"} <= names


def test_contents_are_told_by_names(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    real, guessed = read_elf(built.elf.read_bytes()), elf_of_map(parse_map(built.map.read_bytes()))
    for section in real.sections:
        if section.occupies_memory:
            found = guessed.section(section.name)
            assert found is not None
            assert (found.address, found.size_bytes, found.nobits) == (
                section.address,
                section.size_bytes,
                section.nobits,
            ), section.name
            assert guessed.load_address(found) == real.load_address(section) or section.nobits


@BOTH
@EMBEDDED
def test_an_elf_alone_gives_the_same_totals(firmware: Linked, name: str, flags: tuple[str, ...]) -> None:  # noqa: F811
    built = firmware(name, *flags)
    elf = read_elf(built.elf.read_bytes())
    usage = measure_memory(map_of_elf(elf), elf, NOWHERE, models=(SINE,))
    assert usage.image_bytes == len(built.binary())
    assert sum(use.flash_bytes for use in usage.categories) == usage.flash_used_bytes
    found = {use.name: use for use in usage.categories}
    assert found["model"].flash_bytes == len(MODEL_BYTES)
    assert found["arena"].sram_bytes == ARENA_BYTES
    assert found["application"].flash_bytes == found["libc"].flash_bytes == 0, "whose object it is, is not known"


def test_an_elf_alone_with_the_board_s_regions(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    elf = read_elf(built.elf.read_bytes())
    board = find_board("disco_f407vg")
    alone = measure_memory(map_of_elf(elf), elf, board)
    whole = measure_memory(parse_map(built.map.read_bytes()), elf, board)
    assert (alone.flash_used_bytes, alone.sram_used_bytes) == (whole.flash_used_bytes, whole.sram_used_bytes)
    assert [(r.kind, r.used_bytes) for r in alone.regions] == [(r.kind, r.used_bytes) for r in whole.regions]
    assert {use.name for use in alone.operators} == {"CONV_2D"}, "the function that registers an operator names it"


@pytest.mark.parametrize("files", [("elf",), ("map",), ("elf", "map")])
def test_a_program_of_another_board_is_told(
    firmware: Linked,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    files: tuple[str, ...],
) -> None:
    built = firmware("arm")
    given = [word for name in files for word in (f"--{name}", getattr(built, name))]
    code, out, _ = run(capsys, *given, "--board", "pico", "--quiet")
    assert code == 0
    assert "warning: Nothing of the program lies in the flash of pico, which begins at 0x10000000;" in out
    assert "begins at 0x08000000" in out.replace("\n  ", " ")
    assert "warning" not in run(capsys, *given, "--board", "disco_f407vg", "--quiet")[1]


def test_a_board_of_the_map_s_own_regions(firmware: Linked) -> None:  # noqa: F811
    link_map = parse_map(firmware("arm").map.read_bytes())
    board = board_of_map(link_map)
    assert board is not None
    assert (board.flash_limit_bytes, board.sram_limit_bytes) == (512 * 1024, 128 * 1024)
    assert board_of_map(replace(link_map, regions=())) is None
    assert board_of_map(LinkMap((), (), (), (), "", "")) is None


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["report", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_with_one_file_or_both(firmware: Linked, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    built = firmware("arm")
    files = {"--map": built.map, "--elf": built.elf}
    figures = set()
    for names in (("--map", "--elf"), ("--map",), ("--elf",)):
        chosen = [part for name in names for part in (name, files[name])]
        code, out, err = run(capsys, *chosen, "--board", "disco_f407vg", "--json")
        made = json.loads(out)
        assert (code, err) == (0, "")
        figures.add((made["memory"]["flash"]["used_bytes"], made["memory"]["sram"]["used_bytes"]))
        notes = " ".join(message["text"] for message in made["messages"])
        assert ("map alone" in notes) == (names == ("--map",))
        assert ("ELF alone" in notes) == (names == ("--elf",))
    assert len(figures) == 1


def test_without_a_board_the_linker_script_s_regions_are_the_limits(
    firmware: Linked,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    built = firmware("arm")
    code, out, _ = run(capsys, "--map", built.map, "--json")
    made = json.loads(out)
    assert code == 0
    assert made["memory"]["flash"]["limit_bytes"] == 512 * 1024
    assert "No board is named" in " ".join(message["text"] for message in made["messages"])
    code, out, err = run(capsys, "--elf", built.elf)
    assert (code, out) == (2, "")
    assert "--board" in err


@pytest.mark.parametrize("missing", ["--map", "--elf"])
def test_a_missing_file_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, missing: str) -> None:
    code, out, err = run(capsys, missing, tmp_path / "none.file", "--board", "pico")
    assert (code, out) == (3, "")
    assert err == f"error: {tmp_path / 'none.file'}: cannot be read: No such file or directory\n"
    assert run(capsys, "--board", "pico")[0] == 2


def test_models_in_a_map_alone_are_found_and_not_compared(
    firmware: Linked,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    from project import HELLO_WORLD  # noqa: PLC0415

    model = tmp_path / "sine.tflite"
    model.write_bytes(HELLO_WORLD.read_bytes())
    built = firmware("arm")
    code, out, _ = run(capsys, "--map", built.map, "--board", "disco_f407vg", "--model", model, "--json")
    found = json.loads(out)["models"][0]
    assert code == 0
    assert found["address"] is not None
    assert found["address"] % 16 == 0
    assert found["verified"] == [], "the program holds another model of that name, which only the ELF shows"
    code, _, err = run(
        capsys, "--map", built.map, "--elf", built.elf, "--board", "disco_f407vg", "--model", model, "--json"
    )
    assert code != 0
    assert "does not carry the model" in err
