"""Advice: each rule from figures that make it speak and figures that keep it silent, and what stands first."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize
from project import HELLO_WORLD, REPOSITORY, Make
from standins import write_standin
from test_libraries import report_of, with_library

from platformio_tflm.core.advice import MOST, LinkedModel, Situation, advise
from platformio_tflm.core.arena import ILP32_FULL_STRUCTS
from platformio_tflm.core.arena_operator import Kernels, KernelSet
from platformio_tflm.core.boards import find_board
from platformio_tflm.core.categories import Verdict
from platformio_tflm.core.map_model import InputKind, InputSection
from platformio_tflm.core.memory import Span, Usage
from platformio_tflm.core.placement import Placement
from platformio_tflm.core.report import (
    SHARED_BY_SEVERAL,
    Category,
    CategoryUse,
    FlashUse,
    MemoryUse,
    OperatorFlash,
    RegionUse,
    SramUse,
    Status,
)
from platformio_tflm.core.shared_arena import Tenant, plan_tenants
from platformio_tflm.files import read_model_file
from platformio_tflm.pipeline import plan_models, read_models
from platformio_tflm.settings import read_settings

MODELS = REPOSITORY / "tests" / "models"
FLASH, SRAM, PSRAM, CCM = 0x08000000, 0x20000000, 0x3F800000, 0x10000000
REGIONS = (
    RegionUse("flash", "flash", FLASH, 1 << 20, 1 << 18),
    RegionUse("sram", "sram", SRAM, 1 << 18, 1 << 16),
    RegionUse("psram", "psram", PSRAM, 1 << 22, 0),
    RegionUse("ccm", "ccm", CCM, 1 << 16, 0),
)
EMPTY = Usage(0, 0, 0, 0, REGIONS, (), (), (), Placement((), ()))


def linked(path: Path, name: str = "", arena: int = SRAM, **changes: Any) -> LinkedModel:
    (planned,) = plan_models(read_models([read_model_file(path, path.parent)]), read_settings({}))
    made = LinkedModel(
        name or planned.name, planned.model, planned.plan, planned.arena_bytes, data_address=FLASH, arena_address=arena
    )
    return replace(made, **changes)


def row(archive: str | None, member: str) -> InputSection:
    return InputSection(".text.x", FLASH, 1, archive, member, InputKind.SECTION, 1)


def span(category: Category, flash: int, sram: int, archive: str | None = None, member: str = "a.o") -> Span:
    return Span(FLASH, max(flash, sram), flash, sram, Verdict(category, "a reason"), ".text", row(archive, member))


def situation(*models: LinkedModel, **changes: Any) -> Situation:
    made = Situation(
        usage=EMPTY,
        board=find_board("nucleo_f411re"),
        memory=MemoryUse(FlashUse(100_000, 524_288), SramUse(50_000, 1_536, 131_072)),
        flash_state=Status.OK,
        sram_state=Status.OK,
        models=models,
        abi=ILP32_FULL_STRUCTS,
        kernels=(KernelSet.REFERENCE,),
    )
    return replace(made, **changes)


def texts(made: Situation) -> list[str]:
    messages = advise(made)
    assert {message.level for message in messages} <= {"advice"}
    return [message.text for message in messages]


HELLO = linked(HELLO_WORLD)
CONVOLUTION = linked(MODELS / "convolution_int8.tflite")


def with_operators(*uses: tuple[str, int]) -> Usage:
    return replace(EMPTY, operators=tuple(OperatorFlash(*use) for use in uses))


def test_nothing_to_say() -> None:
    assert texts(situation()) == []
    assert texts(situation(HELLO, CONVOLUTION)) == []


def test_kernels_that_no_model_has() -> None:
    uses = with_operators(("SVDF", 6_000), ("CONV_2D", 5_000), ("fully_connected/x", 3_000), ("PAD/PADV2", 2_000))
    (text,) = texts(situation(HELLO, usage=uses))
    assert text == (
        "Kernels of 3 operators that no model has take 13,000 bytes of flash (SVDF 6,000, CONV_2D 5,000, PAD/PADV2 2,000)."
        " Register the models' own operators alone: hello_world_op_resolver.h has them."
    )
    # One per cent of the limit is 5,242 bytes; where flash is short, every kilobyte counts.
    small = with_operators(("SVDF", 5_000))
    assert texts(situation(HELLO, usage=small)) == []
    assert len(texts(situation(HELLO, usage=small, flash_state=Status.TIGHT))) == 1
    tiny = with_operators(("SVDF", 1_000))
    assert texts(situation(HELLO, usage=tiny, flash_state=Status.EXCEEDED)) == []
    shared = with_operators((SHARED_BY_SEVERAL, 20_000))
    assert texts(situation(HELLO, usage=shared)) == [], "what several kernels share is no operator"
    assert texts(situation(usage=uses)) == [], "without a model nobody knows what is wanted"
    another = replace(uses, spans=(span(Category.ARENA, 0, 4_096),))
    assert texts(situation(HELLO, usage=another)) == [], "the kernels may be those of a model that was not named"
    own = replace(HELLO, arena_address=another.spans[0].address)
    assert any(text.startswith("Kernels of 3 operators") for text in texts(situation(own, usage=another)))


def test_models_that_could_share_an_arena() -> None:
    first, second = (replace(CONVOLUTION, name=name) for name in ("one", "two"))
    together = plan_tenants([Tenant(first.model)] * 2, (KernelSet.REFERENCE,), ILP32_FULL_STRUCTS).size_bytes
    apart = first.arena_bytes * 2
    # These two are small: the saving only counts where SRAM is short, and from a kilobyte on.
    made = situation(first, second, may_share=True, sram_state=Status.EXCEEDED)
    large = replace(first, arena_bytes=first.arena_bytes + 4_096, plan=replace(first.plan, head_bytes=8_192))
    made = replace(made, models=(large, replace(large, name="two")))
    text = texts(made)[0]
    assert text == (
        f"One arena for all 2 models takes {together:,} bytes where theirs take {apart + 8_192:,}: "
        f"custom_tflm_shared_arena = yes saves {apart + 8_192 - together:,} bytes of SRAM."
    )
    assert not any("shared_arena" in text for text in texts(replace(made, may_share=False)))
    assert not any("shared_arena" in text for text in texts(replace(made, models=made.models[:1])))
    unlinked = replace(made.models[1], arena_address=None)
    assert not any("shared_arena" in text for text in texts(replace(made, models=(large, unlinked))))


def test_an_arena_set_too_large() -> None:
    need = HELLO.plan.size_bytes
    set_by_hand = replace(HELLO, arena_bytes=40_000, set_by_user=True)
    (text,) = texts(situation(set_by_hand))
    assert text == (
        f"custom_tflm_arena gives hello_world 40,000 bytes where {need:,} are planned, as an upper bound: leaving the "
        f"option out saves {40_000 - need:,} bytes of SRAM."
    )
    assert "where 1,072 are measured" in texts(situation(replace(set_by_hand, measured_bytes=1_072)))[0]
    assert texts(situation(replace(set_by_hand, set_by_user=False))) == []
    assert texts(situation(replace(set_by_hand, arena_bytes=need + 1_000))) == []


def test_constants_in_sram() -> None:
    usage = replace(EMPTY, spans=(span(Category.MODEL, 30_000, 30_000),))
    (text,) = texts(situation(HELLO, usage=usage))
    assert text.startswith("30,000 bytes of the models' data lie in SRAM (section .text), though they never change.")
    assert "place .rodata in flash" in text
    assert "An AVR reads constants" in texts(situation(HELLO, usage=usage, board=find_board("uno")))[0]
    assert texts(situation(HELLO, usage=replace(EMPTY, spans=(span(Category.MODEL, 30_000, 0),)))) == []


def test_arena_and_model_in_external_memory() -> None:
    made = situation(replace(HELLO, arena_address=PSRAM + 64))
    (text,) = texts(made)
    assert "lies in external memory (psram)" in text
    assert f"has {131_072 - 51_536:,} bytes left for it" in text
    full = replace(made, memory=MemoryUse(FlashUse(0, 1 << 20), SramUse(130_000, 1_000, 131_072)))
    assert texts(full) == [], "there is no better place"
    (text,) = texts(situation(replace(HELLO, data_address=PSRAM)))
    assert text.startswith(
        "The data of model hello_world, 2,656 bytes that never change, lies in external memory (psram)"
    )


def test_a_spare_bank_where_sram_is_short() -> None:
    made = situation(CONVOLUTION, sram_state=Status.TIGHT)
    assert any(
        text.startswith("ccm has 65,536 bytes free, which do not count as SRAM: the arena of convolution_int8")
        for text in texts(made)
    )
    assert not any("ccm" in text for text in texts(replace(made, sram_state=Status.OK)))
    in_bank = replace(made, models=(replace(CONVOLUTION, arena_address=CCM),))
    assert not any("ccm has" in text for text in texts(in_bank))


KERNELS = CategoryUse("tflm-kernels", 40_000, 0)
CORE = CategoryUse("tflm-core", 12_000, 0)
LIBRARY = replace(EMPTY, categories=(KERNELS, CORE))


def test_reference_kernels_compiled_for_size() -> None:
    made = situation(HELLO, usage=LIBRARY, library="tflm_esp32", level="-Os")
    (text,) = texts(made)
    assert "1.1 to 7.3 times the instructions of -O2, 3.3 times in the middle" in text
    assert (
        "custom_tflm_optimize = speed compiles the library alone with -O2; its 52,000 bytes of flash will grow" in text
    )
    for silent in (
        replace(made, level="-O2"),
        replace(made, library=""),
        replace(made, flash_state=Status.TIGHT),
        replace(made, usage=replace(LIBRARY, categories=(CORE,))),
        replace(made, usage=replace(LIBRARY, spans=(span(Category.TFLM_KERNELS, 9, 0, "l.a", "arm_convolve_s8.o"),))),
    ):
        assert texts(silent) == []


def test_a_library_compiled_for_speed_where_flash_is_short() -> None:
    made = situation(HELLO, usage=LIBRARY, library="tflm_esp32", level="-O2", flash_state=Status.EXCEEDED)
    (text,) = texts(made)
    assert text.startswith("tflm_esp32 takes 52,000 bytes of flash, compiled with -O2: custom_tflm_optimize = size")
    assert texts(replace(made, flash_state=Status.OK)) == []


def test_fast_kernels_that_are_not_linked() -> None:
    kernels = (Kernels(KernelSet.REFERENCE), Kernels(KernelSet.CMSIS_NN))
    made = situation(CONVOLUTION, usage=LIBRARY, library="some_tflm", level="-O2", kernels=kernels)
    (text,) = texts(made)
    count = sum(name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED") for name in CONVOLUTION.operators)
    assert text.startswith(f"some_tflm has CMSIS-NN's kernels, but none is linked: {count} int8 operators")
    assert "1.5 to 6.2 times the instructions, 4.2 times in the middle" in text
    by_map = replace(LIBRARY, spans=(span(Category.TFLM_KERNELS, 9, 0, "x/libcmsis.a", "arm_nn_vec_mat_mult.c.o"),))
    assert texts(replace(made, usage=by_map)) == []
    reason = Verdict(Category.TFLM_KERNELS, "a function of CMSIS-NN or ESP-NN")
    by_symbol = replace(LIBRARY, spans=(span(Category.TFLM_KERNELS, 9, 0)._replace(verdict=reason),))
    assert texts(replace(made, usage=by_symbol)) == []
    for silent in ((KernelSet.REFERENCE,), (KernelSet.CMSIS_NN_PLAIN,), (KernelSet.ESP_NN_PORTABLE,), ()):
        assert texts(replace(made, kernels=silent)) == [], "not there, or never measured"
    floats = linked(MODELS / "fully_connected_float.tflite")
    assert texts(replace(made, models=(floats,))) == []


def test_float_on_a_core_without_a_unit() -> None:
    floats = linked(MODELS / "fully_connected_float.tflite")
    made = situation(floats, board=find_board("pico"))
    (text,) = texts(made)
    count = len(floats.operators)
    assert text.startswith(
        f"{count} of {count} operators of fully_connected_float compute in float32, which cortex-m0plus"
    )
    saved, weights = (
        int(figure.replace(",", "")) for figure in re.findall(r"([\d,]+) of ([\d,]+) bytes of w", text)[0]
    )
    assert (saved, weights % 4) == (weights * 3 // 4, 0)
    assert texts(replace(made, board=find_board("nucleo_f411re"))) == []
    assert texts(replace(made, models=(HELLO,))) == []
    # PlatformIO's manifest does not say whether there is a unit.
    assert texts(replace(made, board=replace(find_board("pico"), regions=()))) == []


def test_largest_operator() -> None:
    uses = with_operators(("FULLY_CONNECTED", 150_000), ("SVDF", 50_000))
    made = situation(HELLO, linked(MODELS / "svdf_int8.tflite"), usage=uses)
    (text,) = texts(made)
    assert text.startswith(
        "FULLY_CONNECTED takes most flash of all operators: 150,000 bytes, 75.0 % of theirs and 28.6 %"
    )
    assert "3 in hello_world" in text
    less = replace(made, usage=with_operators(("FULLY_CONNECTED", 15_000), ("SVDF", 5_000)))
    assert texts(less) == []
    assert len(texts(replace(less, flash_state=Status.TIGHT))) == 1


def test_largest_library() -> None:
    spans = (
        span(Category.FRAMEWORK, 1_000, 40_000, "/x/libFramework.a", "ble.o"),
        span(Category.FRAMEWORK, 1_000, 2_000, "/x/libFramework.a", "uart.o"),
        span(Category.LIBC, 3_000, 1_000, "/x/libc.a", "printf.o"),
        span(Category.ARENA, 0, 90_000, "/x/libtflm.a", "arena.o"),
        span(Category.APPLICATION, 90_000, 90_000, None, "main.o"),
    )
    made = situation(usage=replace(EMPTY, spans=spans))
    (text,) = texts(made)
    assert text.startswith("libFramework.a takes most SRAM of all libraries: 42,000 bytes, 32.0 % of the limit;")
    assert "most of it is in ble.o, 40,000 bytes" in text
    assert any(text.startswith("libc.a takes most flash") for text in texts(replace(made, flash_state=Status.TIGHT)))


def test_what_fills_the_arena(tmp_path: Path) -> None:
    made = situation(HELLO, CONVOLUTION, sram_state=Status.EXCEEDED)
    # Less than a kilobyte lives in it: nothing to gain.
    assert not any("at its fullest" in text for text in texts(made))
    tensors = (TensorSpec("image", "INT8", (1, 96, 96, 1)), TensorSpec("maps\x1b", "INT8", (1, 96, 96, 4)))
    graph = GraphSpec(tensors, (0,), (1,), (OperatorSpec("CONCATENATION", (0, 0, 0, 0), (1,)),))
    path = tmp_path / "wide.tflite"
    path.write_bytes(serialize(ModelSpec((graph,))))
    wide = linked(path)
    (text,) = texts(situation(wide))
    assert text.startswith(
        f"The arena of wide, {wide.arena_bytes:,} bytes, is at its fullest in operator 0, CONCATENATION: 46,"
    )
    assert "36,864 of them (80.0 %) in maps? (int8 1x96x96x4)" in text
    assert texts(situation(replace(wide, arena_address=None))) == []


def test_the_urgent_stands_first_and_no_more_than_a_handful() -> None:
    usage = replace(
        EMPTY,
        operators=(OperatorFlash("SVDF", 200_000), OperatorFlash("FULLY_CONNECTED", 150_000)),
        categories=(KERNELS, CORE),
        spans=(
            span(Category.MODEL, 9_000, 9_000),
            span(Category.FRAMEWORK, 300_000, 100_000, "libF.a", "x.o"),
        ),
    )
    models = (replace(HELLO, arena_bytes=40_000, set_by_user=True), replace(HELLO, name="two", data_address=PSRAM))
    made = situation(*models, usage=usage, library="tflm", level="-Os", sram_state=Status.EXCEEDED)
    found = texts(made)
    assert len(found) == MOST
    assert [text.split(" ")[0] for text in found[:4]] == ["ccm", "custom_tflm_arena", "9,000", "libF.a"]
    assert texts(made) == found


def test_advice_of_a_build(make: Make, tmp_path: Path) -> None:
    write_standin(tmp_path / "standin", "2024")
    project = with_library(make, tmp_path / "standin", "custom_tflm_arena = 100K")
    output = " ".join(project.run().stdout.split())
    (text,) = [message["text"] for message in report_of(project)["messages"] if message["level"] == "advice"]
    need = re.search(r"where ([\d,]+) are planned", text)
    assert need is not None
    assert text.startswith("custom_tflm_arena gives hello_world 102,400 bytes where ")
    assert f"saves {102_400 - int(need[1].replace(',', '')):,} bytes of SRAM" in text
    assert f"advice: {text}" in output
