"""`platformio-tflm plan`'s text: golden files of made-up arenas, and what must hold for the plans of real models."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize
from project import HELLO_WORLD, REPOSITORY

from platformio_tflm.core.arena import KernelSet, plan_arena
from platformio_tflm.core.arena_report import arena_report
from platformio_tflm.core.liveness import live_ranges
from platformio_tflm.core.report import Status
from platformio_tflm.core.report.arena import ArenaBuffer, ArenaReport, MeasuredArena
from platformio_tflm.core.report.room import BoardRoom
from platformio_tflm.core.tflite import read_model
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


FITS = BoardRoom("some_board", "Some Board", 262_144, 16_384, 8_192, 20_000, 5_968, 242_144, 2_224, Status.OK)
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
    room=FITS,
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
    room=replace(FITS, sram_limit_bytes=8_192, reserved_bytes=4_096, sram_left_bytes=-1_872, status=Status.EXCEEDED),
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


def test_measured(golden: Golden) -> None:
    rows = (
        MeasuredArena("hello_world", 1_072, 1_072, "planned", 676, 3, 1),
        MeasuredArena("a_word", 22_784, 22_768, "upper-bound", 22_784, 4, 0),
    )
    place = "emu_nano33ble (cortex-m4) with tflm 1.2.0"
    golden("arena_measured.txt", render_measured(rows, place, lock_changed=True, width=80) + "\n")
    assert "has had it" in render_measured(rows[:1], place, lock_changed=False)


@pytest.mark.parametrize("letter", ["n", "ñ", "語", "\u0301", "\u202e"])
def test_names_without_end(letter: str) -> None:
    """Cut, and not letter by letter: cutting a name of 100,000 letters that way took minutes."""
    name = "start " + letter * 100_000 + " end"
    wild = replace(
        SMALL, steps=(*SMALL.steps[:1], name, *SMALL.steps[2:]), buffers=(buffer(name, 1_024, 2_048, 0, 1),), notes=()
    )
    started = time.process_time()
    text = render_arena(wild) + render_arena(wild, ascii_only=True)
    assert time.process_time() - started < 1
    assert max(map(cells_of, text.splitlines())) <= 100
    assert "\u202e" not in text
    if letter != "\u0301":
        assert " end" in text


@pytest.mark.parametrize("width", [100, 500, 10**9])
def test_a_large_graph_is_drawn_at_once(width: int) -> None:
    """Ten thousand operators; every cell looked at every buffer."""
    steps = ("start", *["ADD"] * 10_000)
    buffers = tuple(buffer(f"tensor {step}", 16, step % 500 * 16, step, step + 1) for step in range(10_000))
    report = replace(LONG, steps=steps, buffers=buffers)
    started = time.process_time()
    lines = render_arena(report, width=width).splitlines()
    assert time.process_time() - started < 1
    assert len(lines) < 100
    assert max(map(cells_of, lines)) <= 500


def test_a_cell_shows_what_takes_most_of_it() -> None:
    largest, late = buffer("a", 96, 0, 0, 1), buffer("b", 32, 96, 1, 1)
    report = replace(SMALL, head_bytes=128, lower_bound_bytes=128, steps=("start", "ADD"), buffers=(largest, late))
    drawing = [line for line in render_arena(report, ascii_only=True).splitlines() if " |" in line]
    assert [line.partition("|")[2] for line in drawing] == [*["......bbbbbb"] * 2, *["aaaaaaaaaaaa"] * 6]


def test_steps_of_a_subgraph_that_is_called_often() -> None:
    """Each of its operators lives from the first call to the last; the caller's own steps lie around them."""
    add = OperatorSpec("ADD", (0, 0), (0,), ("AddOptions", {}))
    call = OperatorSpec("CALL_ONCE", (), (), ("CallOnceOptions", {"InitSubgraphIndex": 1}))
    tensors = (TensorSpec("state", "INT8", (1, 16)),)
    inner = GraphSpec(tensors, (0,), (0,), (add,) * 16_000)
    model = read_model(serialize(ModelSpec((GraphSpec(tensors, (0,), (0,), (call,) * 6), inner))))
    plan = plan_arena(model, kernels=[KernelSet.REFERENCE])
    started = time.process_time()
    report = arena_report("often", "often.tflite", model, plan, "any")
    assert time.process_time() - started < 1.5
    assert set(report.steps) == {"start", "CALL_ONCE"}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_step_is_called_after_the_shortest_scope(path: Path) -> None:
    model = read_model(path.read_bytes())
    plan = plan_arena(model)
    names = ["start"] * plan.scope_count
    scopes = live_ranges(model).operators
    for subgraph, operator in sorted(scopes, key=lambda key: scopes[key].first - scopes[key].last):
        first, last = scopes[subgraph, operator]
        for step in range(first, last + 1):
            names[step] = model.subgraphs[subgraph].operators[operator].code.name
    assert list(arena_report("any", "any.tflite", model, plan, "any").steps) == names
