"""Two reports -> what changed: symmetric, complete, in text and JSON; and growth against what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_render import DIFFS, REPORTS, SCHEMA, array_only, person_detect, several_models, too_large

from platformio_tflm.cli import main
from platformio_tflm.core.diff import MaxGrowth, diff_reports, growth_excesses, with_baseline
from platformio_tflm.core.report import (
    ArenaInfo,
    CategoryUse,
    FlashUse,
    MemoryUse,
    OperatorFlash,
    OperatorUse,
    RegionUse,
    Report,
    SramBudget,
    SramUse,
)
from platformio_tflm.core.report.changes import Change, ChangeKind, ReportDiff, TextChange
from platformio_tflm.core.report_io import MAX_REPORT_BYTES, report_from_bytes, report_from_json
from platformio_tflm.errors import InputError
from platformio_tflm.render.diff_text import render_diff
from platformio_tflm.render.json_report import render_diff_json, render_json
from platformio_tflm.render.layout import MIN_WIDTH, cells_of
from platformio_tflm.render.text import render_text

Golden = Callable[[str, str], None]
NAMES = ("ci/report.json", "report.json")
QUICK = settings(derandomize=True, deadline=None, max_examples=150)


def grown() -> Report:
    """person_detect() a month later: a layer more, a newer library."""
    before = person_detect()
    model = before.models[0]
    categories = {entry.name: entry for entry in before.categories}
    categories["model"] = CategoryUse("model", 302_104, 0)
    categories["arena"] = CategoryUse("arena", 0, 90_112)
    categories["tflm-kernels"] = CategoryUse("tflm-kernels", 64_012, 512)
    categories["libc"] = CategoryUse("libc", 8_900, 1_200)
    return replace(
        before,
        runtime=replace(before.runtime, version="2.5.0"),
        models=(
            replace(
                model,
                size_bytes=302_104,
                sha256="cd" * 32,
                operators=(*model.operators, OperatorUse("ADD", 2, 1)),
                arena=ArenaInfo(90_112, 86_500, 59_056, 27_444, "exact"),
            ),
        ),
        memory=MemoryUse(FlashUse(448_068, 983_040), SramUse(155_640, 2_048, 262_144)),
        image_bytes=448_068,
        regions=(
            RegionUse("flash", "flash", 0x10000, 983_040, 448_068),
            RegionUse("sram", "sram", 0x20000000, 262_144, 155_640),
        ),
        categories=tuple(categories.values()),
        budget=SramBudget(
            (
                replace(before.budget.lines[0], size_bytes=65_528),
                replace(before.budget.lines[1], size_bytes=90_112),
                *before.budget.lines[2:],
            ),
            104_456,
        ),
        operators=(
            *(entry for entry in before.operators if entry.name not in ("CONV_2D", "RESHAPE")),
            OperatorFlash("ADD", 3_768),
            OperatorFlash("CONV_2D", 21_044),
        ),
    )


def test_grown_adds_up() -> None:
    made = grown()
    assert sum(entry.flash_bytes for entry in made.categories) == made.memory.flash.used_bytes
    assert sum(entry.sram_bytes for entry in made.categories) == made.memory.sram.used_bytes
    left = made.memory.sram.limit_bytes - sum(line.size_bytes for line in made.budget.lines)
    assert left == made.budget.remaining_bytes


def test_what_changed() -> None:
    made = diff_reports(person_detect(), grown(), names=NAMES)
    assert made.memory.flash.used == Change(444_120, 448_068)
    assert (made.memory.flash.used.growth_bytes, made.memory.flash.used.growth_percent) == (3_948, 0.89)
    assert made.memory.sram.needed.before_bytes == 153_560
    assert [(entry.name, entry.flash.growth_bytes, entry.sram.growth_bytes) for entry in made.categories] == [
        ("arena", 0, 4_096),
        ("libc", -100, 0),
        ("model", 1_536, 0),
        ("tflm-kernels", 2_512, 32),
    ]
    assert [(entry.name, entry.size.growth_bytes) for entry in made.budget] == [
        ("arena person_detect", 4_096),
        ("static data", 32),
    ]
    assert [(entry.name, entry.kind) for entry in made.operators] == [
        ("ADD", ChangeKind.ADDED),
        ("RESHAPE", ChangeKind.REMOVED),
    ]
    (model,) = made.models
    assert (model.kind, model.contents, model.size.growth_bytes) == (ChangeKind.CHANGED, True, 1_536)
    assert (model.arena_size, model.arena_used) == (Change(86_016, 90_112), Change(82_740, 86_500))
    assert model.details[0] == TextChange("arena method", "upper-bound", "exact")
    assert made.context == (TextChange("library version", "2.4.0-ALPHA", "2.5.0"),)


def test_models_that_come_and_go() -> None:
    made = diff_reports(person_detect(), several_models())
    assert [(entry.name, entry.kind) for entry in made.models] == [
        *((f"model_{index}", ChangeKind.ADDED) for index in range(4)),
        ("person_detect", ChangeKind.REMOVED),
    ]
    assert made.models[1].arena_used is None, "the report does not know it"
    assert made.models[4].arena_size == Change(86_016, 0)


def test_an_arena_whose_use_becomes_known() -> None:
    before = several_models()
    models = list(before.models)
    models[1] = replace(models[1], arena=ArenaInfo(2_048, 1_000, None, None, "set"))
    (change,) = diff_reports(before, replace(before, models=tuple(models))).models
    assert (change.contents, change.arena_used) == (False, None)
    assert change.details == (TextChange("arena used bytes", "not known", "1,000"),)


@given(REPORTS)
@QUICK
def test_a_report_does_not_differ_from_itself(report: Report) -> None:
    made = diff_reports(report, report)
    assert made.is_empty
    assert "Nothing changed" in render_diff(made)


@given(REPORTS, REPORTS)
@QUICK
def test_exchanged_reports_give_exchanged_changes(one: Report, other: Report) -> None:
    there, back = diff_reports(one, other, names=NAMES), diff_reports(other, one, names=NAMES[::-1])
    assert exchanged(there) == back
    assert there.is_empty == back.is_empty


def exchanged(value: Any) -> Any:
    """The change the other way round, whatever it is made of."""
    if value in (ChangeKind.ADDED, ChangeKind.REMOVED):
        return ChangeKind.REMOVED if value is ChangeKind.ADDED else ChangeKind.ADDED
    if isinstance(value, Change):
        return Change(value.after_bytes, value.before_bytes)
    if isinstance(value, (TextChange, ReportDiff)):
        value = replace(value, before=value.after, after=value.before)
    if isinstance(value, tuple):
        return tuple(exchanged(entry) for entry in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: exchanged(getattr(value, entry.name)) for entry in fields(value)})
    return value


def summed(report: Report) -> Report:
    """The report with totals that its categories sum to."""
    flash, sram = report.memory.flash, report.memory.sram
    flash = replace(flash, used_bytes=sum(entry.flash_bytes for entry in report.categories))
    sram = replace(sram, used_bytes=sum(entry.sram_bytes for entry in report.categories))
    return replace(report, memory=MemoryUse(flash, sram))


@given(REPORTS.map(summed), REPORTS.map(summed))
@QUICK
def test_categories_sum_to_the_growth_of_the_totals(one: Report, other: Report) -> None:
    """Even where a name stands twice, as the samples' categories may."""
    made = diff_reports(one, other)
    assert sum(entry.flash.growth_bytes for entry in made.categories) == made.memory.flash.used.growth_bytes
    assert sum(entry.sram.growth_bytes for entry in made.categories) == made.memory.sram.used.growth_bytes
    operators = sum(entry.flash.growth_bytes for entry in made.operators)
    assert operators == sum(entry.flash_bytes for entry in other.operators) - sum(
        entry.flash_bytes for entry in one.operators
    )


@given(REPORTS, REPORTS)
@QUICK
def test_anything_that_differs_is_seen(one: Report, other: Report) -> None:
    made = diff_reports(one, other)
    if made.is_empty:
        assert (one.memory, one.image_bytes) == (other.memory, other.image_bytes)
        assert sorted(map(repr, one.operators)) == sorted(map(repr, other.operators))
        assert {(model.name, model.sha256) for model in one.models} == {(m.name, m.sha256) for m in other.models}


CASES: list[tuple[str, Callable[[], Report], dict[str, Any]]] = [
    ("diff_grown_80.txt", grown, {"width": 80}),
    ("diff_grown_120.txt", grown, {"width": 120}),
    ("diff_grown_color.txt", grown, {"color": True}),
    ("diff_grown_ascii_80.txt", grown, {"width": 80, "ascii_only": True}),
    ("diff_other_board_80.txt", too_large, {"width": 80}),
    ("diff_models.txt", several_models, {}),
    ("diff_array_only.txt", array_only, {}),
    ("diff_nothing.txt", person_detect, {}),
]


@pytest.mark.parametrize(("name", "report", "options"), CASES, ids=[case[0] for case in CASES])
def test_text(name: str, report: Callable[[], Report], options: dict[str, Any], golden: Golden) -> None:
    made = diff_reports(person_detect(), report(), names=NAMES)
    text = render_diff(made, growth_excesses(made, MaxGrowth("1%", percent=Fraction(1))), **options)
    golden(name, text)
    assert len(text.splitlines()) <= 55


def test_json(golden: Golden) -> None:
    made = diff_reports(person_detect(), grown(), names=NAMES)
    text = render_diff_json(made, growth_excesses(made, MaxGrowth("1000", size_bytes=1000)))
    golden("diff_grown.json", text)
    loaded = json.loads(text)
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert loaded.pop("schema_version") == 1
    assert [entry["memory"] for entry in loaded.pop("exceeded")] == ["flash", "SRAM"]
    jsonschema.validate(loaded, {"$defs": schema["$defs"], "$ref": "#/$defs/ReportDiff"})


@pytest.mark.parametrize(("name", "width"), [("report_baseline_80.txt", 80), ("report_baseline_120.txt", 120)])
def test_a_report_ends_with_the_difference(name: str, width: int, golden: Golden) -> None:
    report = with_baseline(grown(), person_detect(), "ci/report.json")
    text = render_text(report, width=width)
    golden(name, text)
    assert text.startswith(render_text(grown(), width=width))


@given(DIFFS, st.integers(0, 160), st.booleans())
@QUICK
def test_any_difference_keeps_to_its_columns(diff: ReportDiff, width: int, ascii_only: bool) -> None:
    text = render_diff(diff, width=width, ascii_only=ascii_only)
    lines = text.removesuffix("\n").split("\n")
    assert all(cells_of(line) <= max(width, MIN_WIDTH) for line in lines)
    assert all(line.isprintable() for line in lines)
    assert text.isascii() or not ascii_only


def test_sizes_beyond_all_columns() -> None:
    huge = Change((1 << 53) - 1, 1)
    made = replace(diff_reports(person_detect(), grown()), image=huge)
    assert max(map(cells_of, render_diff(made, width=72).splitlines())) <= 72


MAX_GROWTH = [
    ("512", 512),
    ("4K", 4096),
    ("0", 0),
    ("2%", 8_882),
    ("0.5 %", 2_220),
    ("250%", 1_110_300),
]


@pytest.mark.parametrize(("text", "allowed_bytes"), MAX_GROWTH)
def test_exactly_what_is_allowed_passes(
    text: str, allowed_bytes: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = person_detect()
    for more, code in ((0, 0), (1, 1)):
        used_bytes = 444_120 + allowed_bytes + more
        flash = replace(before.memory.flash, used_bytes=used_bytes)
        after = replace(before, memory=replace(before.memory, flash=flash))
        arguments = written(tmp_path, before, after)
        assert main(["diff", *arguments, "--max-growth", text]) == code
        output = capsys.readouterr()
        assert output.err == ""
        said = f"to {used_bytes:,}; at most {allowed_bytes:,} bytes" in " ".join(output.out.split())
        assert said == bool(more)


def test_what_is_reserved_counts_as_growth() -> None:
    before = person_detect()
    sram = replace(before.memory.sram, reserved_bytes=32_768)
    after = replace(before, memory=replace(before.memory, sram=sram))
    (excess,) = growth_excesses(diff_reports(before, after), MaxGrowth("1%", percent=Fraction(1)))
    assert (excess.memory, excess.change, excess.allowed_bytes) == ("SRAM", Change(153_560, 184_280), 1_535)


def written(folder: Path, *reports: Report) -> list[str]:
    paths = [folder / f"{index}.json" for index in range(len(reports))]
    for path, report in zip(paths, reports, strict=True):
        path.write_text(render_json(report), encoding="utf-8")
    return [str(path) for path in paths]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = written(tmp_path, person_detect(), grown())
    assert main(["diff", old, new]) == 0
    assert "tflm-kernels" in capsys.readouterr().out
    assert main(["diff", old, old]) == 0
    assert "Nothing changed" in capsys.readouterr().out
    assert main(["diff", old, new, "--json", "--max-growth", "0"]) == 1
    output = capsys.readouterr()
    assert json.loads(output.out)["memory"]["flash"]["used"]["growth_bytes"] == 3_948
    assert output.err.startswith("error: flash grew by 3,948 bytes (+0.9 %), from 444,120 to 448,068; at most 0 bytes")
    assert main(["diff", new, old, "--max-growth", "0"]) == 0, "less is never too much"
    assert main(["diff", old, new, "--format", "github", "--max-growth", "1", "--annotate", "app/platformio.ini"]) == 1
    assert capsys.readouterr().out.count("::error file=app/platformio.ini,title=") == 2
    assert main(["diff", old, new, "--format", "markdown", "--max-growth", "1"]) == 1
    output = capsys.readouterr()
    assert output.out.startswith("## Difference")
    assert output.err.count("error: ") == 2


def test_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, over = written(tmp_path, person_detect(), grown(), too_large())
    assert main(["show", new]) == 0
    plain = capsys.readouterr().out
    assert plain == render_text(grown())
    assert main(["show", new, "--baseline", old]) == 0
    assert capsys.readouterr().out.startswith(plain)
    assert main(["show", over, "--format", "github"]) == 1
    assert capsys.readouterr().out.count("::error ") == 2
    assert main(["show", new, "--baseline", old, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["baseline"]["before"] == Path(old).as_posix()
    assert main(["show", new, "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("## Memory of <code>nano33ble</code>: fits")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max-growth", "much"],
        ["--max-growth", "-1%"],
        ["--max-growth", "nan%"],
        ["--max-growth", "1e9%"],
        ["--max-growth", ""],
        ["--format", "pdf"],
        ["--json", "--format", "text"],
    ],
)
def test_bad_options(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = written(tmp_path, person_detect(), person_detect())
    assert main(["diff", *paths, *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert arguments[-2] in output.err


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe{\x00}\x00", b"[" * 100_000, None], ids=str)
def test_unreadable_files(content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (good,) = written(tmp_path, person_detect())
    bad = tmp_path / "bad.json"
    if content is not None:
        bad.write_bytes(content)
    for arguments in (["diff", good, str(bad)], ["diff", str(bad), good], ["show", str(bad)]):
        assert main(arguments) == 3
        output = capsys.readouterr()
        assert output.out == ""
        assert str(bad) in output.err
        assert "Traceback" not in output.err


def test_a_baseline_goes_to_json_and_back() -> None:
    report = with_baseline(grown(), person_detect(), "ci/report.json")
    assert report_from_json(render_json(report)) == report


def test_a_report_from_before_there_were_baselines() -> None:
    loaded = json.loads(render_json(person_detect()))
    del loaded["baseline"]
    assert report_from_json(json.dumps(loaded)) == person_detect()


@pytest.mark.parametrize(("key", "value"), [("growth_bytes", 5), ("growth_percent", None), ("growth_bytes", -3948)])
def test_a_growth_that_is_none_is_refused(key: str, value: object) -> None:
    loaded = json.loads(render_json(with_baseline(grown(), person_detect(), "ci/report.json")))
    loaded["baseline"]["memory"]["flash"]["used"][key] = value
    with pytest.raises(InputError, match=rf"baseline\.memory\.flash\.used\.{key} should be .* by the other fields"):
        report_from_json(json.dumps(loaded))


def test_bytes_of_a_report() -> None:
    data = render_json(person_detect()).encode()
    assert report_from_bytes(b"\xef\xbb\xbf" + data, "a.json") == person_detect()
    for little_or_big in ("utf-16", "utf-16-be"):
        text = data.decode() if little_or_big == "utf-16" else "\ufeff" + data.decode()
        assert report_from_bytes(text.encode(little_or_big), "a.json") == person_detect(), "PowerShell's > writes it"
    with pytest.raises(InputError, match=r"not UTF-16.* at byte"):
        report_from_bytes(b"\xff\xfe\x00\xd8a", "a.json")
    with pytest.raises(InputError, match="not UTF-8 at byte 0"):
        report_from_bytes(data.decode().encode("utf-32-be").replace(b"\0", b"\x80"), "a.json")
    with pytest.raises(InputError, match="longer than the 67,108,864 bytes allowed"):
        report_from_bytes(bytes(MAX_REPORT_BYTES + 1), "a.json")


@given(st.data())
@QUICK
def test_a_damaged_baseline_is_a_report_or_an_input_error(data: st.DataObject) -> None:
    text = render_json(with_baseline(grown(), person_detect(), "ci/report.json"))
    start = data.draw(st.integers(text.index('"baseline"'), len(text) - 1))
    damaged = (
        text[:start]
        + data.draw(st.text('0123456789-.,{}[]nul"e', max_size=3))
        + text[start + data.draw(st.integers(0, 8)) :]
    )
    try:
        report = report_from_json(damaged)
    except InputError:
        return
    assert report.baseline
    render_text(report)
