"""Before the compiler: what a board has for models and arenas, which boards would do, and what a build then does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from project import HELLO_WORLD, REPOSITORY, Make
from standins import write_standin
from test_cli import run
from test_libraries import report_of, with_library

from platformio_tflm.core.boards import Board, board_from_limits, find_board, known_board_ids
from platformio_tflm.core.fit import Need, Terms, nearest_boards, no_room_error, room_on
from platformio_tflm.core.report import Status
from platformio_tflm.core.report.room import BoardCheck
from platformio_tflm.describe import describe_model
from platformio_tflm.files import read_model_file
from platformio_tflm.pipeline import DATA_ONLY, plan_models, read_models, surely_fit
from platformio_tflm.render.check_text import render_check
from platformio_tflm.render.layout import MIN_WIDTH, cells_of
from platformio_tflm.room import check_boards, no_room, terms_of
from platformio_tflm.settings import read_settings

TERMS = terms_of(read_settings({}))
CONVOLUTION = REPOSITORY / "tests" / "models" / "convolution_int8.tflite"
KNOWN = [find_board(board_id) for board_id in known_board_ids()]


def board(board_id: str, name: str, core: str, flash: int, sram: int) -> Board:
    return board_from_limits(board_id, name, flash, sram, core, 0)


SMALL = board("small", "Acme Small", "cortex-m0", 32_256, 2_048)


def test_room_is_to_the_byte() -> None:
    room = room_on(SMALL, Need(40_000, 1_948), replace(TERMS, reserve=(("stack", 100),)))
    assert (room.sram_left_bytes, room.flash_left_bytes, room.fits) == (0, -7_744, False)
    assert room_on(SMALL, Need(32_256, 2_048), TERMS).status is Status.TIGHT
    assert room_on(SMALL, Need(32_257, 0), TERMS).status is Status.EXCEEDED
    assert room_on(SMALL, Need(0, 2_049), TERMS).status is Status.EXCEEDED


def test_an_avr_reads_models_from_sram() -> None:
    room = room_on(find_board("uno"), Need(1_000, 500), TERMS)
    assert (room.model_sram_bytes, room.sram_left_bytes) == (1_000, 2_048 - 1_500)
    error = no_room_error(
        room_on(find_board("uno"), Need(1_800, 500), TERMS),
        (),
        models=["a.tflite"],
        arena_is_sure=True,
        hopeless=True,
        stops=True,
    )
    assert error.what == (
        "The arena of a.tflite takes 500 bytes of SRAM and its data 1,800, which an AVR reads from SRAM, where 2,048 are "
        "allowed, 252 too many."
    )
    mega_0 = board("every", "Arduino Nano Every", "avrxmega3", 48_640, 6_144)
    assert room_on(mega_0, Need(1_000, 500), TERMS).model_sram_bytes == 0


def test_room_has_the_project_s_own_limits() -> None:
    settings = read_settings({"custom_tflm_max_sram": "50%", "custom_tflm_max_flash": "1000"})
    own, other = (
        room_on(find_board("nano33ble"), Need(0, 0), terms_of(settings, elsewhere=elsewhere))
        for elsewhere in (False, True)
    )
    assert (own.sram_limit_bytes, own.flash_limit_bytes, own.reserved_bytes) == (131_072, 1_000, 2_048)
    # Bytes are about the project's own board, a share is about any.
    assert (other.sram_limit_bytes, other.flash_limit_bytes) == (131_072, 983_040)


def test_nearest_is_related_then_small() -> None:
    own = board("own", "Acme One", "cortex-m4", 1 << 20, 1_000)
    candidates = [
        board("stranger", "Other Two", "xtensa-lx6", 1 << 20, 200_000),
        board("big", "Other Three", "cortex-m7", 1 << 20, 400_000),
        board("more_flash", "Other Four", "cortex-m0plus", 1 << 21, 300_000),
        board("small", "Other Five", "cortex-m33", 1 << 20, 300_000),
        board("same_vendor", "Acme Six", "rv32imc", 1 << 20, 350_000),
        board("too_small", "Acme Seven", "cortex-m4", 1 << 20, 90_000),
        board("little_left", "Acme Eight", "cortex-m4", 1 << 20, 100_010),
        board("emu_own", "Acme Nine", "cortex-m4", 1 << 20, 300_000),
        own,
    ]
    found = nearest_boards(own, Need(10_000, 100_000), TERMS, candidates, count=9)
    assert [room.board for room in found] == ["small", "more_flash", "same_vendor", "big", "stranger", "little_left"]
    assert len(nearest_boards(own, Need(10_000, 100_000), TERMS, candidates)) == 3
    emulated = nearest_boards(replace(own, id="emu_x"), Need(10_000, 100_000), TERMS, candidates, count=1)
    assert [room.board for room in emulated] == ["emu_own"]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.id)
def test_the_known_boards_find_their_neighbours(known: Board) -> None:
    found = nearest_boards(known, Need(400_000, 100_000), TERMS, KNOWN)
    assert all(room.fits and room.board != known.id for room in found)
    assert known.id.startswith("emu_") or not any(room.board.startswith("emu_") for room in found)
    assert len(found) == 3


def test_words_of_the_error() -> None:
    room = room_on(SMALL, Need(40_000, 3_000), replace(TERMS, reserve=(("stack", 100),)))
    error = no_room_error(room, (), models=["a.tflite", "b.tflite"], arena_is_sure=False, hopeless=True, stops=True)
    assert error.what == (
        "The 2 models take 40,000 bytes of flash where 32,256 are allowed, 7,744 too many. The arenas of 2 models take "
        "3,000 bytes of SRAM beside 100 that are reserved where 2,048 are allowed, 1,052 too many."
    )
    assert error.where == "small"
    for words in ("Nothing was compiled", "None of the known boards", "custom_tflm_models", "tflm-arena", "= warn"):
        assert words in error.hint
    room = room_on(SMALL, Need(10, 3_000), TERMS)
    near = nearest_boards(find_board("uno"), Need(10, 3_000), TERMS, KNOWN)
    hint = no_room_error(room, near, models=["a.tflite"], arena_is_sure=True, hopeless=True, stops=False).hint
    assert hint.startswith("Boards that would do, the nearest first: nano33ble (left: flash 983,030, SRAM 257,096); ")
    assert "\n" not in hint


def test_an_array_without_an_interpreter_stays_in_flash_on_an_avr() -> None:
    planned = plan_models(read_models([read_model_file(HELLO_WORLD, HELLO_WORLD.parent)]), read_settings({}))
    uno = find_board("uno")
    assert planned[0].model.size_bytes > uno.sram_limit_bytes
    assert no_room(planned, DATA_ONLY, read_settings({}), uno) is None, "it lies in .progmem"
    assert surely_fit(planned, DATA_ONLY, read_settings({}), uno)


def test_what_is_reserved_alone_is_too_much() -> None:
    room = room_on(SMALL, Need(10, 0), replace(TERMS, reserve=(("buffer", 3_000),)))
    error = no_room_error(room, (), models=["a.tflite"], arena_is_sure=False, hopeless=True, stops=True)
    assert error.what == (
        "3,000 bytes of SRAM are reserved, by the board file or custom_tflm_reserve, where 2,048 are allowed, 952 too many."
    )
    assert "tflm-arena" not in error.hint


def test_two_models_of_one_environment_count_together() -> None:
    planned = plan_models(
        read_models([read_model_file(path, path.parent) for path in (HELLO_WORLD, CONVOLUTION)]), read_settings({})
    )
    check = check_boards(planned, read_settings({}), find_board("uno"), all_boards=True)
    assert check.chosen is not None
    assert check.chosen.model_bytes == HELLO_WORLD.stat().st_size + CONVOLUTION.stat().st_size
    assert check.chosen.arena_bytes == sum(model.arena_bytes for model in planned)
    assert [room.board for room in check.boards].count("uno") == 1
    assert check.boards[0] is check.chosen
    assert len(check.boards) == len(KNOWN)


def test_check_fits(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "check", HELLO_WORLD, "--board", "nano33ble", "--kernels", "reference")
    assert (code, err) == (0, "")
    assert "OK: Arduino Nano 33 BLE (nano33ble): models and arenas fit" in out
    assert "arena 1,136 bytes, planned exactly" in out


def test_check_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "check", CONVOLUTION, HELLO_WORLD, "--board", "uno", "--all-boards")
    assert (code, err) == (1, "")
    assert "EXCEEDED: Arduino Uno (uno)" in out
    assert "would do, the nearest first: nano33ble (Arduino Nano 33 BLE), " in out
    assert all(f"\n{board_id} " in out for board_id in known_board_ids())
    # The chosen board decides, not those of the table.
    assert run(capsys, "check", CONVOLUTION, "--board", "pico", "--all-boards")[0] == 0
    code, out, _ = run(capsys, "check", CONVOLUTION, "--all-boards")
    assert (code, "16 of 17 boards have room" in out) == (0, True)


def test_check_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "check", CONVOLUTION, "--board", "uno", "--json")
    loaded = json.loads(out)
    assert (code, err) == (1, "")
    assert list(loaded) == ["models", "chosen", "boards", "nearest"]
    assert loaded["models"][0]["name"] == "convolution_int8"
    assert loaded["boards"] == [loaded["chosen"]]
    assert loaded["chosen"]["status"] == "exceeded"
    model = loaded["models"][0]
    assert loaded["chosen"]["sram_left_bytes"] == 2_048 - model["arena"]["size_bytes"] - model["size_bytes"]
    assert len(loaded["nearest"]) == 3


def test_check_is_what_plan_says(capsys: pytest.CaptureFixture[str]) -> None:
    for board_id, code in (("uno", 1), ("pico", 0)):
        assert run(capsys, "plan", CONVOLUTION, "--board", board_id)[0] == code
        assert run(capsys, "check", CONVOLUTION, "--board", board_id)[0] == code


def test_check_of_a_board_file_of_one_s_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = (
        (REPOSITORY / "boards" / "uno.yaml").read_text().replace("id: uno", "id: mine").replace("size: 2K", "size: 1K")
    )
    (tmp_path / "mine.yaml").write_text(text)
    code, out, _ = run(capsys, "check", HELLO_WORLD, "--board", tmp_path / "mine.yaml")
    assert (code, "(mine)" in out) == (1, True)


def test_check_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", HELLO_WORLD)[0] == 2
    assert run(capsys, "check", "--board", "pico")[0] == 2
    assert run(capsys, "check", HELLO_WORLD, "--board", "picoo")[0] == 3


@pytest.mark.parametrize("width", [1, MIN_WIDTH, 80, 120])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_check_keeps_to_its_columns(width: int, ascii_only: bool) -> None:
    planned = plan_models(read_models([read_model_file(CONVOLUTION, CONVOLUTION.parent)]), read_settings({}))
    infos = [replace(describe_model(model), path="größe/\x1b[2J" + "x" * 200) for model in planned]
    for chosen in ("uno", "pico", None):
        check = check_boards(planned, read_settings({}), find_board(chosen) if chosen else None, all_boards=True)
        text = render_check(infos, check, width=width, color=False, ascii_only=ascii_only)
        assert max(map(cells_of, text.splitlines())) <= max(width, MIN_WIDTH)
        assert all(line.isprintable() for line in text.splitlines())
        assert text.isascii() or not ascii_only
    assert (
        "\x1b[31m" in render_check(infos, BoardCheck(check.boards[0], check.boards[:1]), color=True) or chosen is None
    )


def test_an_arena_too_large_stops_before_the_compiler(make: Make, tmp_path: Path) -> None:
    write_standin(tmp_path / "standin", "2024")
    project = with_library(make, tmp_path / "standin", "custom_tflm_arena = 300K")
    done = project.fail("-t", "upload")
    assert (
        "emu_nano33ble: error: The arena of models/hello_world.tflite takes 307,200 bytes of SRAM beside 8,192 that are "
        "reserved where 262,144 are allowed, 53,248 too many." in done.stderr
    )
    assert "Boards that would do, the nearest first: emu_cortex_m33 (left: " in done.stderr
    assert "Compiling" not in done.stdout
    assert not list(project.build_dir.rglob("*.o"))
    # An IDE gets its answer, a model can be looked at, a folder cleaned.
    line = next(line for line in project.run("-t", "idedata").stdout.splitlines() if line.startswith("{"))
    assert json.loads(line)["includes"]
    assert "FULLY_CONNECTED" in project.run("-t", "tflm-inspect").stdout
    project.run("-t", "compiledb")
    project.run("-t", "clean")
    ini = project.path / "platformio.ini"
    ini.write_text(
        ini.read_text() + "custom_tflm_over_limit = warn\ncustom_tflm_max_sram = 100K\ncustom_tflm_arena = 150K\n"
    )
    ini.write_text(ini.read_text().replace("custom_tflm_arena = 300K\n", ""))
    done = project.run()
    assert "warning: emu_nano33ble: The arena of models/hello_world.tflite takes 153,600 bytes" in done.stderr
    assert "Compiling" in done.stdout
    report = report_of(project)
    assert report["status"] == "exceeded"
    assert report["budget"]["remaining_bytes"] < 0


def test_a_model_too_large_stops_before_the_compiler(make: Make) -> None:
    project = make().ini("custom_tflm_max_flash = 2K")
    done = project.fail()
    size = f"{HELLO_WORLD.stat().st_size:,}"
    assert (
        f"error: The model models/hello_world.tflite takes {size} bytes of flash where 2,048 are allowed" in done.stderr
    )
    assert "Compiling" not in done.stdout


def test_models_that_only_fit_one_by_one_are_built(make: Make) -> None:
    """The program may leave one of them out, and what it does not use is not linked."""
    limit = HELLO_WORLD.stat().st_size + CONVOLUTION.stat().st_size - 1
    project = (
        make()
        .model(CONVOLUTION, "models/convolution.tflite")
        .ini(f"custom_tflm_max_flash = {limit}", "custom_tflm_runtime = data")
    )
    done = project.fail()
    assert f"warning: emu_nano33ble: The 2 models take {limit + 1:,} bytes of flash" in done.stderr
    assert "Each fits by itself, and only what the program uses is linked" in done.stderr
    assert "Compiling" in done.stdout
    assert "flash: " in done.stderr, "C library and start-up code are too much here, and the report says so"


def test_worksheet_of_a_build(make: Make) -> None:
    project = make().ini("custom_tflm_reserve =\n  camera = 19200\n  heap = 20K", "custom_tflm_tight = 90%%")
    text = project.run().stdout
    report = report_of(project)
    sram, lines = report["memory"]["sram"], report["budget"]["lines"]
    sizes = {line["name"]: line["size_bytes"] for line in lines}
    assert (sizes["camera"], sizes["heap"], sizes["stack"]) == (19_200, 20_480, 8_192)
    assert sum(sizes.values()) == sram["used_bytes"] + sram["reserved_bytes"]
    assert report["budget"]["remaining_bytes"] == sram["limit_bytes"] - sum(sizes.values())
    assert report["status"] == "tight"
    assert "SRAM budget" in text
    assert "TIGHT: fits" in text
    assert f"remaining    {report['budget']['remaining_bytes']:,}" in text


def test_terms_are_functions_of_the_board() -> None:
    terms = Terms(lambda flash: flash // 2, lambda sram: sram // 4, lambda _: 0)
    room = room_on(find_board("uno"), Need(0, 0), terms)
    assert (room.flash_limit_bytes, room.sram_limit_bytes, room.status) == (16_128, 512, Status.OK)
