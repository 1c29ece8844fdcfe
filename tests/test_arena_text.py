"""`platformio-tflm plan`'s text: golden files of made-up arenas, and what must hold for the plans of real models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from project import HELLO_WORLD, REPOSITORY

from platformio_tflm.core.arena_report import arena_report, arena_room
from platformio_tflm.core.boards import find_board
from platformio_tflm.core.report import ArenaBuffer, ArenaReport, ArenaRoom, MeasuredArena
from platformio_tflm.files import read_model_file
from platformio_tflm.pipeline import DATA_ONLY, plan_models, read_models
from platformio_tflm.render.arena_text import render_arena
from platformio_tflm.render.layout import MIN_WIDTH, cells_of
from platformio_tflm.render.measured_text import render_measured
from platformio_tflm.settings import read_settings

Golden = Callable[[str, str], None]
MODELS = sorted((REPOSITORY / "tests" / "models").glob("*.tflite"))


def buffer(name: str, size: int, offset: int, first: int, last: int, kind: str = "tensor") -> ArenaBuffer:  # noqa: PLR0917
    shape = () if kind == "scratch" else (1, size)
    return ArenaBuffer(name, kind, "" if kind == "scratch" else "int8", shape, size, offset, first, last)


SMALL = ArenaReport(
    model="gesture",
    path="models/gesture.tflite",
    size_bytes=5_968,
    used_bytes=5_908,
    head_bytes=4_096,
    tail_bytes=1_812,
    temporary_bytes=48,
    lower_bound_bytes=3_584,
    method="upper-bound",
    kernels="cmsis-nn",
    abi="ilp32",
    steps=("start", "CONV_2D", "MAX_POOL_2D", "FULLY_CONNECTED", "SOFTMAX"),
    peak_step=1,
    buffers=(
        buffer("accelerometer", 1_024, 2_048, 0, 1),
        buffer("conv/Relu;conv/BiasAdd;a name that is far longer than any column has room for", 2_048, 0, 1, 2),
        buffer("scratch of operator 0, CONV_2D", 512, 3_584, 1, 1, "scratch"),
        buffer("pool \x1b[31mred", 512, 2_048, 2, 3),
        buffer("logits", 16, 0, 3, 4),
        buffer("größte", 16, 16, 4, 4, "prescribed"),
        buffer("never read", 16, 32, -1, -1),
    ),
    notes=("operator 'MovingMedian': what it needs is not known; 256 bytes of scratch are assumed",),
    room=ArenaRoom("Some Board (some_board)", 16_384, 8_192, 262_144, 20_000, 5_968),
)
LONG = replace(
    SMALL,
    steps=tuple("start" if step == 0 else "ADD" for step in range(500)),
    head_bytes=500 * 16,
    lower_bound_bytes=48,
    peak_step=499,
    buffers=tuple(
        buffer(f"tensor {step}", 16 + step % 2 * 16, step * 16, step, min(step + 2, 499)) for step in range(499)
    ),
    notes=(),
    room=replace(SMALL.room or ArenaRoom("", 0, 0, 0, 0, 0), sram_limit_bytes=8_192, reserved_bytes=4_096),
)
EMPTY = replace(
    SMALL, buffers=(), head_bytes=0, steps=("start",), peak_step=0, lower_bound_bytes=0, notes=(), room=None
)


@pytest.mark.parametrize("width", [80, 120])
def test_small(golden: Golden, width: int) -> None:
    golden(f"arena_small_{width}.txt", render_arena(SMALL, width=width))


def test_small_in_ascii(golden: Golden) -> None:
    text = render_arena(SMALL, width=80, ascii_only=True)
    assert text.isascii()
    golden("arena_small_ascii_80.txt", text)


def test_many_operators(golden: Golden) -> None:
    golden("arena_many_100.txt", render_arena(LONG))


def test_nothing_in_the_head(golden: Golden) -> None:
    golden("arena_empty.txt", render_arena(EMPTY))


def test_colour_only_where_asked() -> None:
    assert "\x1b" not in render_arena(SMALL)
    assert "\x1b[32m" in render_arena(SMALL, color=True)
    assert "\x1b[31m" in render_arena(LONG, color=True)


@pytest.mark.parametrize("width", [1, MIN_WIDTH, 83, 200])
@pytest.mark.parametrize("report", [SMALL, LONG, EMPTY], ids=["small", "long", "empty"])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider(report: ArenaReport, width: int, ascii_only: bool) -> None:
    lines = render_arena(report, width=width, ascii_only=ascii_only).splitlines()
    assert max(map(cells_of, lines)) <= max(width, MIN_WIDTH)


@pytest.mark.parametrize("path", [HELLO_WORLD, *MODELS], ids=lambda path: path.stem)
def test_reports_of_real_models(path: Path) -> None:
    (planned,) = plan_models(read_models([read_model_file(path, path.parent)]), read_settings({}))
    report = arena_report(planned.name, planned.path, planned.model, planned.plan, DATA_ONLY.abi.name)
    assert len(report.buffers) == len(planned.plan.placements)
    assert report.lower_bound_bytes <= report.head_bytes <= report.size_bytes
    living = [
        sum(each.size_bytes for each in report.buffers if each.first <= step <= each.last)
        for step in range(len(report.steps))
    ]
    assert max(living) == living[report.peak_step] <= report.lower_bound_bytes
    assert all(each.last < len(report.steps) for each in report.buffers)
    text = render_arena(report)
    assert f"arena    {report.size_bytes:,} bytes" in text


def test_room_on_a_board() -> None:
    room = arena_room(find_board("uno"), reserved_bytes=100, model_bytes=40_000, arena_bytes=1_948)
    assert (room.left_bytes, room.flash_left_bytes, room.fits) == (0, -7_744, False)


def test_measured(golden: Golden) -> None:
    rows = (
        MeasuredArena("hello_world", 1_072, 1_072, "planned", 676, 3, 1),
        MeasuredArena("a_word", 22_784, 22_768, "upper-bound", 22_784, 4, 0),
    )
    place = "emu_nano33ble (cortex-m4) with tflm 1.2.0"
    golden("arena_measured.txt", render_measured(rows, place, lock_changed=True, width=80) + "\n")
    assert "has had it" in render_measured(rows[:1], place, lock_changed=False)
