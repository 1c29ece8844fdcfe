"""report --explain: each kind of question about a really linked program, answered to the byte and with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from firmware_fixtures import firmware  # noqa: F401 - a fixture
from tiny_firmware import ARENA_BYTES, MODEL_BYTES, Firmware

from platformio_tflm.cli import main
from platformio_tflm.core.boards import find_board
from platformio_tflm.core.report.explained import Explanation
from platformio_tflm.errors import UsageError
from platformio_tflm.measure import LinkedFiles, Project, explain
from platformio_tflm.render.explain_text import render_explanations
from platformio_tflm.render.layout import cells_of

Linked = Callable[..., Firmware]
PROJECT = Project("", "", "1")


def asked(built: Firmware, *queries: str, with_map: bool = True, with_elf: bool = True) -> tuple[Explanation, ...]:
    linked = LinkedFiles(
        built.elf.read_bytes() if with_elf else None, built.map.read_bytes() if with_map else None, None
    )
    return explain(linked, find_board("nucleo_f411re"), PROJECT, queries)


def test_a_symbol_of_the_model(firmware: Linked) -> None:  # noqa: F811
    (answer,) = asked(firmware("arm"), "sine_data")
    assert (answer.kind, answer.name, answer.size_bytes) == ("symbol", "sine_data", len(MODEL_BYTES))
    (run,) = answer.runs
    assert (run.flash_bytes, run.sram_bytes, run.region, run.section) == (len(MODEL_BYTES), 0, "FLASH", ".text")
    assert (run.category, run.reason) == ("model", "generated with the model's data")
    assert run.member.endswith("tflm/src/sine_data.o")
    assert run.address % 16 == 0


def test_a_variable_counts_twice_and_says_where_it_is_loaded_from(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    (answer,) = asked(built, "initialised")
    (run,) = answer.runs
    assert (run.flash_bytes, run.sram_bytes) == (40, 40)
    assert (run.region, run.load_region) == ("RAM", "FLASH")
    assert run.load_address is not None
    image = built.binary()
    offset = run.load_address - 0x08000000
    assert image[offset : offset + 12] == b"\1\0\0\0\2\0\0\0\3\0\0\0", "firmware.bin has its value there"


def test_an_arena_and_a_function_with_its_operator(firmware: Linked) -> None:  # noqa: F811
    arena, kernel = asked(firmware("arm"), "sine_arena", "tflite::Register_CONV_2D")
    assert (arena.size_bytes, sum(run.sram_bytes for run in arena.runs)) == (ARENA_BYTES, ARENA_BYTES)
    assert kernel.readable == "tflite::Register_CONV_2D"
    assert kernel.name.startswith("_ZN6tflite16Register_CONV_2D")
    (run,) = kernel.runs
    assert (run.category, run.operator) == ("tflm-kernels", "CONV_2D")
    assert run.reason == "the kernel of CONV_2D (conv)"
    assert run.archive.endswith("lib5e0/libtflm_demo.a")
    (why,) = kernel.notes
    assert why.startswith("its file is linked because .pio/build/env/src/main.cpp.o refers to ")
    assert "Register_CONV_2D" in why
    assert arena.notes == (), "an object that the command line names needs no reason"


def test_an_operator(firmware: Linked) -> None:  # noqa: F811
    (answer,) = asked(firmware("arm"), "conv_2d")
    assert (answer.kind, answer.name) == ("operator", "CONV_2D")
    assert {(run.category, run.operator) for run in answer.runs} == {("tflm-kernels", "CONV_2D")}
    assert answer.size_bytes >= 256, "its table alone has 64 words"


def test_what_stands_at_an_address(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    (model,) = asked(built, "sine_data")
    (answer,) = asked(built, f"{model.runs[0].address + 5:#X}")
    assert answer.kind == "address"
    assert answer.notes == (f"inside symbol sine_data ({len(MODEL_BYTES):,} bytes)",)
    assert (answer.runs[0].size_bytes, answer.runs[0].category) == (1, "model")


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("libtflm_demo.a", "archive"),
        ("lib5e0/libtflm_demo.a", "archive"),
        ("conv.cpp.o", "object"),
        ("conv", "object"),
        (".data", "section"),
        (".noinit", "section"),
        ("._user_heap_stack", "section"),
    ],
)
def test_files_and_sections(firmware: Linked, query: str, kind: str) -> None:  # noqa: F811
    (answer,) = asked(firmware("arm"), query)
    assert answer.kind == kind
    assert answer.size_bytes == sum(run.size_bytes for run in answer.runs) > 0
    if query.startswith("conv"):
        assert any("refers to tflite::Register_CONV_2D" in note or "Register_CONV_2D" in note for note in answer.notes)
    if query in (".noinit", "._user_heap_stack"):
        assert {(run.flash_bytes, run.region) for run in answer.runs} == {(0, "RAM")}


def test_what_the_linker_dropped_is_told(firmware: Linked) -> None:  # noqa: F811
    (answer,) = asked(firmware("arm"), "unused_function")
    assert (answer.kind, answer.runs) == ("discarded", ())
    assert "nothing uses it" in answer.notes[0]


def test_every_section_is_explained_to_the_byte(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    for line in built.run("size", "-A", "-x", "firmware.elf").splitlines()[2:]:
        parts = line.split()
        if len(parts) == 3 and int(parts[2], 16) and int(parts[1], 16):
            answers = asked(built, parts[0])
            assert [answer.size_bytes for answer in answers] == [int(parts[1], 16)], parts[0]


def test_with_one_file_alone(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    (of_map,) = asked(built, "sine_data", with_elf=False)
    (of_elf,) = asked(built, "sine_data", with_map=False)
    (both,) = asked(built, "sine_data")
    assert of_map.runs == both.runs
    assert (of_elf.runs[0].address, of_elf.runs[0].size_bytes) == (both.runs[0].address, both.runs[0].size_bytes)
    assert "only a map tells" in of_elf.runs[0].reason or of_elf.runs[0].category == "model"


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("sine_dta", "Did you mean sine_data"),
        ("user_heap", "Did you mean ._user_heap_stack?"),
        ("0x0", "Give a symbol, an address"),
        ("0xzz", "Give a symbol, an address"),
        ("", "Give a symbol, an address"),
        ("x" * 100_000, "Give a symbol, an address"),
    ],
)
def test_what_is_not_there(firmware: Linked, query: str, hint: str) -> None:  # noqa: F811
    with pytest.raises(UsageError) as caught:
        asked(firmware("arm"), query)
    assert hint in (caught.value.hint or "")
    assert len(str(caught.value)) < 3_000


def test_the_command(firmware: Linked, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    built = firmware("arm")
    files = ["--elf", str(built.elf), "--map", str(built.map), "--board", "nucleo_f411re"]
    assert main(["report", *files, "--explain", "sine_data", "--explain", ".data", "--width", "80"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("sine_data: symbol, 1,040 bytes\n")
    assert "counted 1,040 in flash" in text
    assert all(cells_of(line) <= 80 for line in text.splitlines())
    assert main(["report", *files, "--explain", "sine_data", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["runs"][0]["category"] == "model"
    assert main(["report", *files, "--explain", "sine_data", "--format", "github"]) == 2
    assert "--explain has no --format github" in capsys.readouterr().err
    assert main(["report", *files, "--explain", "nobody"]) == 2
    assert "nothing in the program is called 'nobody'" in capsys.readouterr().err


def test_long_answers_are_cut_and_say_so(firmware: Linked) -> None:  # noqa: F811
    answers = asked(firmware("arm"), ".text")
    text = render_explanations(answers)
    assert "smaller runs, " in text
    assert "--json has them all" in text
    assert len(text.splitlines()) < 120
