"""The faces of the report: text against golden files, JSON against its schema and back."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platformio_tflm.core.report import (
    ArenaInfo,
    BoardInfo,
    BudgetKind,
    BudgetLine,
    Category,
    CategoryUse,
    FlashUse,
    MemoryUse,
    Message,
    ModelInfo,
    OperatorFlash,
    OperatorUse,
    ProjectInfo,
    RegionUse,
    Report,
    RuntimeInfo,
    SramBudget,
    SramUse,
    Status,
    TensorInfo,
    ToolInfo,
)
from platformio_tflm.core.report.changes import (
    BudgetChange,
    CategoryChange,
    Change,
    ChangeKind,
    FlashChange,
    MemoryChange,
    ModelChange,
    OperatorChange,
    RegionChange,
    ReportDiff,
    SramChange,
    TextChange,
)
from platformio_tflm.core.report_io import MAX_INTEGER, MAX_REPORT_CHARACTERS, report_from_json
from platformio_tflm.errors import ExitCode, InputError
from platformio_tflm.render.json_report import render_json
from platformio_tflm.render.layout import MIN_WIDTH, Style, cells_of
from platformio_tflm.render.text import render_text

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "docs" / "report.schema.json"

Golden = Callable[[str, str], None]


def worksheet(stack_bytes: int, remaining_bytes: int, *placed: BudgetLine) -> SramBudget:
    source = "boards/nano33ble.yaml: arduino/ArduinoCore-mbed, variants/ARDUINO_NANO33BLE/linker_script.ld, stack"
    stack = BudgetLine("stack", BudgetKind.RESERVED, stack_bytes, source)
    return SramBudget((*placed, stack), remaining_bytes)


def person_detect() -> Report:
    """One model that fits, with everything known."""
    return Report(
        tool=ToolInfo("platformio-tflm", "0.1.0"),
        project=ProjectInfo("nano33ble", "release"),
        board=BoardInfo("nano33ble", "Arduino Nano 33 BLE", "boards/nano33ble.yaml"),
        runtime=RuntimeInfo("tflm", "Arduino_TensorFlowLite", "2.4.0-ALPHA", "TfLiteRegistration", "-O2"),
        models=(
            ModelInfo(
                name="person_detect",
                path="models/person_detect.tflite",
                sha256="ab" * 32,
                size_bytes=300_568,
                operators=(
                    OperatorUse("CONV_2D", 3, 14),
                    OperatorUse("DEPTHWISE_CONV_2D", 3, 13),
                    OperatorUse("AVERAGE_POOL_2D", 2, 1),
                    OperatorUse("RESHAPE", 1, 1),
                    OperatorUse("SOFTMAX", 2, 1),
                ),
                inputs=(TensorInfo("input", "int8", (1, 96, 96, 1), 0.0078125, -1, 9216),),
                outputs=(TensorInfo("output", "int8", (1, 2), 0.00390625, -128, 2),),
                arena=ArenaInfo(86_016, 82_740, 55_296, 27_444, "upper-bound"),
                address=0x23450,
                alignment=16,
                verified=("elf", "hex"),
            ),
        ),
        memory=MemoryUse(FlashUse(444_120, 983_040), SramUse(151_512, 2_048, 262_144)),
        image_bytes=444_120,
        regions=(
            RegionUse("flash", "flash", 0x10000, 983_040, 444_120),
            RegionUse("sram", "sram", 0x20000000, 262_144, 151_512),
        ),
        categories=(
            CategoryUse("model", 300_568, 0),
            CategoryUse("arena", 0, 86_016),
            CategoryUse("tflm-kernels", 61_500, 480),
            CategoryUse("tflm-core", 14_820, 96),
            CategoryUse("builtin", 0, 0),
            CategoryUse("framework", 49_920, 60_100),
            CategoryUse("libc", 9_000, 1_200),
            CategoryUse("application", 7_300, 3_300),
            CategoryUse("padding", 812, 120),
            CategoryUse("other", 200, 200),
        ),
        operators=(
            OperatorFlash("AVERAGE_POOL_2D", 8_100),
            OperatorFlash("CONV_2D", 21_044),
            OperatorFlash("DEPTHWISE_CONV_2D", 19_800),
            OperatorFlash("RESHAPE", 1_256),
            OperatorFlash("SOFTMAX", 9_300),
        ),
        status=Status.OK,
        budget=worksheet(
            2_048,
            108_584,
            BudgetLine("static data", BudgetKind.STATIC, 65_496, "variables of program, libraries and core"),
            BudgetLine("arena person_detect", BudgetKind.ARENA, 86_016, "variable person_detect_arena"),
        ),
        messages=(
            Message("advice", "One arena for both models saves 20,000 bytes: custom_tflm_shared_arena = yes."),
            Message("warning", "The heap is not counted: custom_tflm_reserve has no line for it.\nAdd heap = 8K."),
            Message("note", "The arena is an upper bound; the target tflm-arena measures what is needed."),
        ),
    )


def too_large() -> Report:
    """Over both limits, on a board whose SRAM has several regions."""
    fitting = person_detect()
    framework = CategoryUse("framework", 49_920 + 656_884, 60_100 + 178_588)
    return replace(
        fitting,
        project=ProjectInfo("disco_f746ng", "debug"),
        models=(replace(fitting.models[0], address=0x08012340, verified=("elf",)),),
        categories=tuple(framework if entry.name == "framework" else entry for entry in fitting.categories),
        board=BoardInfo("disco_f746ng", "ST 32F746GDISCOVERY", "boards/disco_f746ng.yaml"),
        memory=MemoryUse(FlashUse(1_101_004, 1_048_576), SramUse(330_100, 1_536, 327_680)),
        image_bytes=1_101_004,
        regions=(
            RegionUse("flash", "flash", 0x08000000, 1_048_576, 1_101_004),
            RegionUse("itcm", "itcm", 0, 16_384, 0),
            RegionUse("dtcm", "dtcm", 0x20000000, 65_536, 65_536),
            RegionUse("sram1", "sram", 0x20010000, 245_760, 245_760),
            RegionUse("sram2", "sram", 0x2004C000, 16_384, 18_804),
        ),
        operators=tuple(OperatorFlash(f"OPERATOR_{index}", 9_000 - 700 * index) for index in range(12)),
        status=Status.EXCEEDED,
        budget=worksheet(
            1_536,
            -3_956,
            BudgetLine("static data", BudgetKind.STATIC, 244_084, "variables of program, libraries and core"),
            BudgetLine("arena person_detect", BudgetKind.ARENA, 86_016, "variable person_detect_arena"),
        ),
        messages=(
            Message("error", "flash: 1,101,004 of 1,048,576 bytes allowed, 52,428 too many."),
            Message("error", "SRAM: 330,100 bytes and 1,536 reserved of 327,680 bytes allowed, 3,956 too many."),
        ),
    )


def array_only() -> Report:
    """The least a report can say: nothing measured but sizes, no board file, an array that nothing uses."""
    model = person_detect().models[0]
    return replace(
        person_detect(),
        project=ProjectInfo("", ""),
        board=BoardInfo("bluepill", "BluePill F103C8", "PlatformIO's board manifest (bluepill)"),
        runtime=RuntimeInfo("data", "", "", "", ""),
        models=(replace(model, operators=(), inputs=(), arena=None, address=None, alignment=None, verified=()),),
        memory=MemoryUse(FlashUse(4_100, 65_536), SramUse(20_000, 0, 20_480)),
        image_bytes=4_100,
        regions=(),
        categories=(CategoryUse("application", 4_100, 20_000),),
        operators=(),
        status=Status.TIGHT,
        messages=(),
        budget=SramBudget(),
    )


def tight() -> Report:
    """Little left of SRAM, most of it reserved by lines of the user's own."""
    fitting = person_detect()
    lines = (
        BudgetLine("camera\x1b[2J, front and back, 96 x 96", BudgetKind.RESERVED, 73_728, "custom_tflm_reserve"),
        BudgetLine("heap", BudgetKind.RESERVED, 20_000, "custom_tflm_reserve, instead of 512 in the board file"),
    )
    return replace(
        fitting,
        memory=MemoryUse(fitting.memory.flash, SramUse(151_512, 2_048 + 93_728, 262_144)),
        budget=SramBudget((*fitting.budget.lines, *lines), 14_856),
        status=Status.TIGHT,
        messages=(
            Message("warning", "SRAM is tight: 14,856 bytes are left, less than the 20,480 of custom_tflm_tight."),
            Message("advice", "Kernels of 2 operators that no model has take 9,000 bytes of flash (SVDF 6,000)."),
        ),
    )


def several_models() -> Report:
    """More models than are shown in full, and the built-in runtime."""
    model = person_detect().models[0]
    arenas = (
        None,
        ArenaInfo(2_048, None, None, None, "set"),
        ArenaInfo(2_048, 1_072, None, None, "measured"),
        ArenaInfo(0, 0, 0, 0, "a way of its own"),
    )
    return replace(
        person_detect(),
        runtime=RuntimeInfo("builtin", "", "", "", "-Os"),
        models=tuple(
            replace(
                model,
                name=f"model_{index}",
                path=f"models/größe/model {index}.tflite",
                address=0x20000 + 0x10 * index,
                verified=("elf",) if index else (),
                arena=arena,
            )
            for index, arena in enumerate(arenas)
        ),
    )


CASES: list[tuple[str, Callable[[], Report], dict[str, Any]]] = [
    ("report_fits_80.txt", person_detect, {"width": 80}),
    ("report_fits_120.txt", person_detect, {"width": 120}),
    ("report_fits_ascii_80.txt", person_detect, {"width": 80, "ascii_only": True}),
    ("report_fits_color.txt", person_detect, {"color": True}),
    ("report_exceeded_80.txt", too_large, {"width": 80}),
    ("report_exceeded_ascii_120.txt", too_large, {"width": 120, "ascii_only": True}),
    ("report_exceeded_color.txt", too_large, {"color": True}),
    ("report_exceeded_120.txt", too_large, {"width": 120}),
    ("report_tight_80.txt", tight, {"width": 80}),
    ("report_tight_120.txt", tight, {"width": 120}),
    ("report_array_only.txt", array_only, {}),
    ("report_several_models.txt", several_models, {}),
    ("report_several_models_ascii.txt", several_models, {"ascii_only": True}),
]


@pytest.mark.parametrize(("name", "report", "options"), CASES, ids=[case[0] for case in CASES])
def test_text(name: str, report: Callable[[], Report], options: dict[str, Any], golden: Golden) -> None:
    golden(name, render_text(report(), **options))


def test_colour_is_the_same_text_painted() -> None:
    painted = render_text(too_large(), color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == render_text(too_large())
    assert "\x1b[31mSRAM" in painted


@pytest.mark.parametrize("report", [person_detect, too_large, tight, array_only, several_models])
def test_the_samples_add_up(report: Callable[[], Report]) -> None:
    made = report()
    if made.budget.lines:
        sums = {kind: sum(line.size_bytes for line in made.budget.lines if line.kind is kind) for kind in BudgetKind}
        reserved = sums.pop(BudgetKind.RESERVED)
        sram = made.memory.sram
        assert (sum(sums.values()), reserved) == (sram.used_bytes, sram.reserved_bytes)
        assert made.budget.remaining_bytes == sram.limit_bytes - sram.used_bytes - sram.reserved_bytes
    assert sum(entry.flash_bytes for entry in made.categories) == made.memory.flash.used_bytes
    assert sum(entry.sram_bytes for entry in made.categories) == made.memory.sram.used_bytes


def test_one_screen() -> None:
    assert len(render_text(person_detect()).splitlines()) <= 50


TEXT = st.text(max_size=40) | st.sampled_from(
    ["", "\x1b[2J\x1b[31m", "a\nb\r\tc", "モデル" * 30, "x" * 300, "\u202eabc"]
)
SIZE = st.integers(0, 1 << 26)
MAYBE_SIZE = st.none() | SIZE
ARENAS = st.builds(ArenaInfo, SIZE, MAYBE_SIZE, MAYBE_SIZE, MAYBE_SIZE, TEXT | st.just("upper-bound"))
TENSORS = st.builds(
    TensorInfo,
    TEXT,
    TEXT,
    st.lists(st.integers(0, 1 << 20), max_size=6).map(tuple),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.integers(-MAX_INTEGER, MAX_INTEGER),
    SIZE,
)


def many(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


MODELS = st.builds(
    ModelInfo,
    name=TEXT,
    path=TEXT,
    sha256=TEXT,
    size_bytes=SIZE,
    operators=many(st.builds(OperatorUse, TEXT, SIZE, SIZE), 6),
    inputs=many(TENSORS),
    outputs=many(TENSORS),
    arena=st.none() | ARENAS,
    address=st.none() | st.integers(0, (1 << 32) - 1),
    alignment=MAYBE_SIZE,
    verified=many(TEXT),
)
CHANGES = st.builds(Change, SIZE, SIZE)
KINDS = st.sampled_from(ChangeKind)
TEXT_CHANGES = many(st.builds(TextChange, TEXT, TEXT, TEXT))
DIFFS = st.builds(
    ReportDiff,
    TEXT,
    TEXT,
    st.builds(MemoryChange, st.builds(FlashChange, CHANGES, CHANGES), st.builds(SramChange, CHANGES, CHANGES, CHANGES)),
    CHANGES,
    many(st.builds(RegionChange, TEXT, KINDS, CHANGES, CHANGES)),
    many(st.builds(CategoryChange, TEXT, CHANGES, CHANGES)),
    many(st.builds(BudgetChange, TEXT, KINDS, CHANGES)),
    many(st.builds(OperatorChange, TEXT, KINDS, CHANGES), 10),
    many(st.builds(ModelChange, TEXT, KINDS, st.booleans(), CHANGES, CHANGES, st.none() | CHANGES, TEXT_CHANGES), 6),
    TEXT_CHANGES,
)
REPORTS = st.builds(
    Report,
    tool=st.builds(ToolInfo, TEXT, TEXT),
    project=st.builds(ProjectInfo, TEXT, TEXT),
    board=st.builds(BoardInfo, TEXT, TEXT, TEXT),
    runtime=st.builds(RuntimeInfo, TEXT | st.sampled_from(["tflm", "builtin", "data"]), TEXT, TEXT, TEXT, TEXT),
    models=many(MODELS, 5),
    memory=st.builds(MemoryUse, st.builds(FlashUse, SIZE, SIZE), st.builds(SramUse, SIZE, SIZE, SIZE)),
    image_bytes=SIZE,
    regions=many(st.builds(RegionUse, TEXT, TEXT, st.integers(0, (1 << 32) - 1), SIZE, SIZE)),
    categories=many(st.builds(CategoryUse, st.sampled_from([category.value for category in Category]), SIZE, SIZE)),
    operators=many(st.builds(OperatorFlash, TEXT, SIZE), 10),
    status=st.sampled_from(Status),
    budget=st.builds(
        SramBudget,
        many(st.builds(BudgetLine, TEXT, st.sampled_from(BudgetKind), SIZE, TEXT), 6),
        st.integers(-(1 << 26), 1 << 26),
    ),
    messages=many(st.builds(Message, TEXT | st.sampled_from(["note", "warning", "error"]), TEXT)),
    baseline=st.none() | DIFFS,
)


@given(REPORTS, st.integers(0, 160), st.booleans())
@settings(derandomize=True, deadline=None, max_examples=150)
def test_any_report_keeps_to_its_columns(report: Report, width: int, ascii_only: bool) -> None:
    text = render_text(report, width=width, ascii_only=ascii_only)
    lines = text.removesuffix("\n").split("\n")
    assert all(cells_of(line) <= max(width, MIN_WIDTH) for line in lines)
    assert all(line.isprintable() for line in lines)
    assert text.isascii() or not ascii_only
    assert text.endswith("\n")


@given(REPORTS)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_json_goes_there_and_back(report: Report) -> None:
    text = render_json(report)
    assert report_from_json(text) == report
    assert text.isascii()
    jsonschema.validate(json.loads(text), _schema())


@pytest.mark.parametrize("report", [person_detect, too_large, array_only, several_models])
def test_json_is_valid_and_stable(report: Callable[[], Report]) -> None:
    text = render_json(report())
    validator = jsonschema.Draft202012Validator(_schema())
    validator.check_schema(_schema())
    validator.validate(json.loads(text))
    assert text == render_json(report())
    assert text.endswith("}\n")


def test_json_has_the_names_of_the_interface() -> None:
    loaded = json.loads(render_json(person_detect()))
    assert list(loaded) == [
        *("schema_version", "tool", "project", "board", "runtime", "models", "memory", "image_bytes", "regions"),
        *("categories", "operators", "status", "messages", "budget", "baseline"),
    ]
    assert loaded["schema_version"] == 1
    assert loaded["status"] == "ok"
    assert list(loaded["models"][0]) == [entry.name for entry in fields(ModelInfo)]
    assert loaded["memory"]["sram"] == {"used_bytes": 151_512, "reserved_bytes": 2_048, "limit_bytes": 262_144}
    for memory in ("flash", "sram"):
        total = sum(category[f"{memory}_bytes"] for category in loaded["categories"])
        assert total == loaded["memory"][memory]["used_bytes"]


def test_reports_from_before_the_budget_are_read() -> None:
    loaded = json.loads(render_json(person_detect()))
    del loaded["budget"]
    assert report_from_json(json.dumps(loaded)) == replace(person_detect(), budget=SramBudget())


def test_advice_stands_between_notes_and_warnings() -> None:
    text = render_text(person_detect())
    assert text.index("note: ") < text.index("advice: ") < text.index("warning: ") < text.index("OK: ")


@pytest.mark.parametrize("scale", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_become_null(scale: float) -> None:
    model = person_detect().models[0]
    tensor = replace(model.inputs[0], scale=scale)
    text = render_json(replace(person_detect(), models=(replace(model, inputs=(tensor,)),)))
    assert json.loads(text)["models"][0]["inputs"][0]["scale"] is None
    assert report_from_json(text).models[0].inputs[0].scale is None


WRONG: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("missing", lambda report: report.pop("image_bytes"), "image_bytes is missing"),
    ("unknown", lambda report: report.update(image_byte=1), "image_byte is unknown; did you mean image_bytes?"),
    ("text for a size", lambda report: report.update(image_bytes="1"), "image_bytes should be an integer, but is '1'"),
    (
        "true for a size",
        lambda report: report.update(image_bytes=True),
        "image_bytes should be an integer, but is true",
    ),
    ("float for a size", lambda report: report.update(image_bytes=1.0), "image_bytes should be an integer, but is 1.0"),
    ("below zero", lambda report: report.update(image_bytes=-1), "image_bytes should be at least 0"),
    ("too large", lambda report: report.update(image_bytes=1 << 99), "but is an integer of more than 64 bits"),
    (
        "status",
        lambda report: report.update(status="fine"),
        "status should be one of ok, tight, exceeded, but is 'fine'",
    ),
    (
        "status list",
        lambda report: report.update(status=[]),
        "status should be one of ok, tight, exceeded, but is a list",
    ),
    ("null", lambda report: report.update(board=None), "board should be an object, but is null"),
    ("no list", lambda report: report.update(models={}), "models should be a list, but is an object"),
    ("inside", lambda report: report["models"][0]["arena"].pop("method"), "models[0].arena.method is missing"),
    (
        "shape",
        lambda report: report["models"][0]["inputs"][0].update(shape=[1, "x"]),
        "models[0].inputs[0].shape[1] should",
    ),
    ("version", lambda report: report.update(schema_version=2), "schema_version is 2 where 1 is read"),
    ("no version", lambda report: report.pop("schema_version"), "schema_version is null where 1 is read"),
    ("true version", lambda report: report.update(schema_version=True), "schema_version is true where 1 is read"),
]


@pytest.mark.parametrize(("change", "expected"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_wrong_reports(change: Callable[[dict[str, Any]], Any], expected: str) -> None:
    loaded = json.loads(render_json(person_detect()))
    change(loaded)
    with pytest.raises(InputError) as caught:
        report_from_json(json.dumps(loaded), "old.json")
    assert expected in caught.value.what
    assert (caught.value.where, caught.value.exit_code) == ("old.json", ExitCode.INPUT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not a JSON report"),
        ("{", "not a JSON report"),
        ("[]", "schema_version is null"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ('{"schema_version": NaN}', "NaN is not a number of JSON"),
        ('{"schema_version": ' + "9" * 10_000 + "}", "not a JSON report"),
        (" " * (MAX_REPORT_CHARACTERS + 1), "longer than the 16,777,216 characters allowed"),
    ],
    ids=["empty", "cut", "list", "deep", "twice", "nan", "digits", "long"],
)
def test_texts_that_are_no_report(text: str, expected: str) -> None:
    with pytest.raises(InputError, match=re.escape(expected)):
        report_from_json(text)


def test_infinite_scale_is_refused() -> None:
    text = render_json(person_detect()).replace("0.0078125", "1e999")
    with pytest.raises(InputError, match=re.escape("models[0].inputs[0].scale is beyond")):
        report_from_json(text)


@given(st.data())
@settings(derandomize=True, deadline=None, max_examples=150)
def test_a_damaged_report_is_a_report_or_an_input_error(data: st.DataObject) -> None:
    text = render_json(person_detect())
    start = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:start] + data.draw(st.text(max_size=5)) + text[start + data.draw(st.integers(0, 30)) :]
    try:
        report = report_from_json(damaged)
    except InputError:
        return
    assert isinstance(report, Report)


def test_generated_documents_are_in_step() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "make_report_schema.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_meaning_belongs_to_a_field() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tools')\n"
        "import make_report_schema as made\n"
        "kinds = made.reached(made.Report)\n"
        "names = {f'{kind.__name__}.{entry.name}' for kind in kinds for entry in made.ordered_fields(kind)}\n"
        "assert names == set(made.MEANINGS), names ^ set(made.MEANINGS)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_schema_refuses_what_the_reader_refuses() -> None:
    loaded = json.loads(render_json(person_detect()))
    for change in ({"image_bytes": -1}, {"status": "fine"}, {"more": 1}, {"schema_version": 2}, {"models": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**loaded, **change}, _schema())


def _schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("share", [-1.0, 0.0, 1e-9, 0.5, 0.999, 1.0, 7.0])
def test_bars(share: float, ascii_only: bool) -> None:
    style = Style(width=80, ascii_only=ascii_only)
    empty = "." if ascii_only else "░"
    for length in (1, 6, 24):
        bar = style.bar(length, share, 0.25)
        assert len(bar) == length
        assert len(style.bar(length, share)) == length
        assert (style.bar(length, share)[0] != empty) == (share > 0)
    assert style.bar(8, 0.25, 0.25) == ("##==...." if ascii_only else "██▒▒░░░░")


def test_names_are_cut_in_the_middle() -> None:
    style = Style(width=80)
    assert style.fit("DEPTHWISE_CONV_2D", 17) == "DEPTHWISE_CONV_2D"
    assert style.fit("models/long/name/of/model_a.tflite", 20) == "models/lon…_a.tflite"
    assert Style(width=80, ascii_only=True).fit("models/long/name/of/model_a.tflite", 20) == "models/lo...a.tflite"
    assert cells_of(style.fit("モデル" * 10, 11)) <= 11


@pytest.mark.parametrize(
    ("files", "arguments", "code", "says"),
    [
        ({"a.txt": "text"}, [], 0, "1 passed"),
        ({"a.txt": "text", "b.txt": "text"}, [], 1, "tests/golden/b.txt: no test uses it"),
        ({"a.txt": "text", "b.txt": "text"}, ["-k", "test"], 0, "1 passed"),
        ({"a.txt": "text", "b.txt": "text"}, ["test_one.py"], 0, "1 passed"),
        ({"a.txt": "other"}, [], 1, "differs; run pytest --update-golden"),
        ({}, [], 1, "is missing; run pytest --update-golden"),
        ({"a.txt": "other", "b.txt": "text"}, ["--update-golden"], 0, "tests/golden/b.txt: removed"),
    ],
    ids=["same", "unused", "chosen by name", "chosen by file", "differs", "missing", "update"],
)
def test_golden_files(tmp_path: Path, files: dict[str, str], arguments: list[str], code: int, says: str) -> None:
    shutil.copy(Path(__file__).with_name("golden_files.py"), tmp_path / "conftest.py")
    (tmp_path / "golden").mkdir()
    for name, text in files.items():
        (tmp_path / "golden" / name).write_text(text, encoding="utf-8")
    (tmp_path / "test_one.py").write_text("def test_one(golden): golden('a.txt', 'text')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, says in done.stdout) == (code, True), done.stdout
    if "--update-golden" in arguments:
        assert [path.name for path in (tmp_path / "golden").iterdir()] == ["a.txt"]
        assert (tmp_path / "golden" / "a.txt").read_text(encoding="utf-8") == "text"
