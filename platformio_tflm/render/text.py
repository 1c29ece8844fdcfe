"""The report as one screen of text, for the console after ``pio run`` and for report.txt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from platformio_tflm.core.report import (
    SHARED_BY_SEVERAL,
    ArenaInfo,
    Message,
    ModelInfo,
    OperatorFlash,
    ProjectInfo,
    Report,
    RuntimeInfo,
    Status,
    TensorInfo,
)
from platformio_tflm.render.layout import MIN_WIDTH, STATUS_COLOURS, Style, cells_of

if TYPE_CHECKING:
    from platformio_tflm.core.report.changes import ReportDiff

TOP_OPERATORS = 8
MODELS_IN_FULL = 3

_LABEL_CELLS = 9
_BUDGET_NAME_CELLS = 24

METHODS = {
    "upper-bound": "an upper bound: not less than what is needed",
    "estimate": "an estimate: the notes say what is not known",
    "set": "as set in custom_tflm_arena",
    "exact": "planned exactly",
    "planned": "planned exactly",
    "measured": "measured on the target",
    "none": "no arena needed",
}
_LEVEL_COLOURS = {"error": "red", "warning": "yellow", "advice": "green", "note": "dim"}
_LEVEL_ORDER = ("note", "advice", "warning", "error")


def render_text(
    report: Report, *, width: int = 100, color: bool = False, ascii_only: bool = False, quiet: bool = False
) -> str:
    """The whole report, no line wider than *width* columns (at least MIN_WIDTH), with a newline at the end.

    color: ANSI colours, for terminals. ascii_only: nothing but ASCII, for consoles that cannot show UTF-8. quiet: what
    is wrong and the verdict alone.
    """
    style = Style(width=max(width, MIN_WIDTH), ascii_only=ascii_only, color=color)
    if quiet:
        wrong = [message for message in report.messages if message.level in ("error", "warning")]
        return "\n".join([*_messages(wrong, style), *_status(report, style)]) + "\n"
    blocks = [
        _head(report, style),
        _memory(report, style),
        _budget(report, style),
        _regions(report, style),
        _categories(report, style),
        _operators(report, style),
        [*_messages(report.messages, style), *_status(report, style)],
        _difference(report.baseline, style) if report.baseline else [],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(report: Report, style: Style) -> list[str]:
    tool = style.clean(f"{report.tool.name} {report.tool.version}")
    lines = [
        style.paint(style.fit(f"TensorFlow Lite Micro report, {tool}", style.width), "bold"),
        *_project(report.project, style),
        *_labelled("Board", f"{report.board.name} ({report.board.id}), figures from {report.board.source}", style),
        *_labelled("Runtime", _runtime_words(report.runtime), style),
    ]
    for model in report.models:
        lines += _model(model, style, in_full=len(report.models) <= MODELS_IN_FULL)
    return lines


def _project(project: ProjectInfo, style: Style) -> list[str]:
    """Nothing for a report that the command line made of files alone."""
    words = [f"environment {project.environment}"] if project.environment else []
    words += [f"build type {project.build_type}"] if project.build_type else []
    return _labelled("Project", ", ".join(words), style) if words else []


def _labelled(label: str, text: str, style: Style) -> list[str]:
    blanks = " " * _LABEL_CELLS
    lines = style.wrap(style.clean(text), label.ljust(_LABEL_CELLS), blanks)
    return [style.paint(lines[0][: len(label)], "bold") + lines[0][len(label) :], *lines[1:]] if label else lines


def _model(model: ModelInfo, style: Style, *, in_full: bool) -> list[str]:
    lines = _labelled("Model", f"{model.name}, {model.path}", style)
    lines += _labelled("", _place_words(model), style)
    if in_full:
        operators = [f"{use.name} x{use.count}" for use in model.operators]
        tensors = f"in {_tensor_words(model.inputs)}; out {_tensor_words(model.outputs)}"
        lines.append(_enumerated("operators", operators, style))
        lines.append(" " * _LABEL_CELLS + style.fit(style.clean(tensors), style.width - _LABEL_CELLS))
    if model.arena is not None:
        lines += _labelled("", _arena_words(model.arena), style)
    return lines


def _enumerated(what: str, items: Sequence[str], style: Style) -> str:
    """One line with as many of the items as it holds, and the number of the others."""
    room = style.width - _LABEL_CELLS
    text = f"no {what}"
    for index, item in enumerate(style.clean(item) for item in items):
        longer = f"{text}, {item}" if index else f"{what} {item}"
        others = len(items) - index - 1
        if index and cells_of(longer) + (len(f", {others} more") if others else 0) > room:
            text += f", {len(items) - index} more"
            break
        text = longer
    return " " * _LABEL_CELLS + style.fit(text, room)


def _place_words(model: ModelInfo) -> str:
    words = f"{model.size_bytes:,} bytes"
    if model.address is None:
        return f"{words}, not in the firmware: nothing uses its array"
    words += f" at {model.address:#010x}"
    if model.alignment is not None:
        words += f", aligned to {model.alignment} bytes"
    if not model.verified:
        return f"{words}, not compared with the .tflite"
    images = " and ".join(image.upper() for image in model.verified)
    return f"{words}, verified byte for byte in {images}"


def _tensor_words(tensors: Sequence[TensorInfo]) -> str:
    return ", ".join(f"{tensor.type} [{', '.join(map(str, tensor.shape))}]" for tensor in tensors) or "nothing"


def _arena_words(arena: ArenaInfo) -> str:
    words = f"arena {arena.size_bytes:,} bytes, {METHODS.get(arena.method, arena.method)}"
    if arena.used_bytes is None:
        return words
    words += f"; {arena.used_bytes:,} used"
    if arena.head_bytes is None or arena.tail_bytes is None:
        return words
    return f"{words}: {arena.head_bytes:,} head and {arena.tail_bytes:,} tail"


def _difference(diff: ReportDiff, style: Style) -> list[str]:
    from platformio_tflm.render.diff_text import difference_lines  # noqa: PLC0415 - few reports have a baseline

    return difference_lines(diff, style)


def _runtime_words(runtime: RuntimeInfo) -> str:
    library = " ".join(part for part in (runtime.library, runtime.version) if part)
    api = f" ({runtime.api})" if runtime.api else ""
    kernels = f", compiled with {runtime.optimize}" if runtime.optimize else ""
    if runtime.kind == "data":
        return "none: the model's array only"
    if runtime.kind == "none":
        return "none that is known in the program"
    if runtime.kind == "builtin":
        return f"the built-in runtime {library}".rstrip() + kernels
    return f"{library or 'TensorFlow Lite Micro'}{api}{kernels}"


def _memory(report: Report, style: Style) -> list[str]:
    flash, sram = report.memory.flash, report.memory.sram
    rows = [
        _heading("Memory", "", "Share", "Used", "Reserved", "Limit", "Free"),
        _memory_row("flash", flash.used_bytes, 0, flash.limit_bytes, style),
        _memory_row("SRAM", sram.used_bytes, sram.reserved_bytes, sram.limit_bytes, style),
    ]
    lines = _with_heading(style.table(rows, "llrrrrr"), style)
    for index, over in ((1, flash.used_bytes > flash.limit_bytes), (2, _sram_needed(report) > sram.limit_bytes)):
        lines[index] = style.paint(lines[index], "red") if over else lines[index]
    return [*lines, *_labelled("image", f"{report.image_bytes:,} bytes to upload", style)]


def _memory_row(name: str, used: int, reserved: int, limit: int, style: Style) -> tuple[str, ...]:
    bar = style.bar(_bar_cells(style), _share(used, limit), _share(reserved, limit))
    free = f"{limit - used - reserved:,}"
    return (name, bar, _percent(used + reserved, limit), f"{used:,}", f"{reserved:,}", f"{limit:,}", free)


def _budget(report: Report, style: Style) -> list[str]:
    """SRAM line by line, down to what remains; the source of each figure takes the room that the others leave."""
    if not report.budget.lines:
        return []
    limit = report.memory.sram.limit_bytes
    remaining = report.budget.remaining_bytes
    rows = [_heading("SRAM budget", "Bytes", "Share")]
    rows += [
        (
            style.fit(style.clean(line.name), _BUDGET_NAME_CELLS),
            f"{line.size_bytes:,}",
            _percent(line.size_bytes, limit),
        )
        for line in report.budget.lines
    ]
    rows.append(("remaining", f"{remaining:,}", _percent(remaining, limit) if remaining >= 0 else "-"))
    sources = ["From", *(line.source for line in report.budget.lines), f"of {limit:,} bytes allowed"]
    columns = style.table(rows, "lrr")
    room = style.width - max(cells_of(column) for column in columns) - 2
    lines = [
        f"{column}  {style.fit(style.clean(source), room)}".rstrip()
        for column, source in zip(columns, sources, strict=True)
    ]
    lines[-1] = style.paint(lines[-1], "red") if remaining < 0 else lines[-1]
    return _with_heading(lines, style)


def _regions(report: Report, style: Style) -> list[str]:
    if not report.regions:
        return []
    rows = [_heading("Region", "", "Share", "Used", "Length", "Origin", "Kind")]
    for region in report.regions:
        if region.used_bytes:
            share = _share(region.used_bytes, region.length_bytes)
            rows.append(
                (
                    style.clean(region.name),
                    style.bar(_bar_cells(style), share),
                    _percent(region.used_bytes, region.length_bytes),
                    f"{region.used_bytes:,}",
                    f"{region.length_bytes:,}",
                    f"{region.origin:#010x}",
                    style.fit(style.clean(region.kind), 8),
                )
            )
    lines = _with_heading(style.table(rows, "llrrrrl"), style) if len(rows) > 1 else []
    unused = ", ".join(region.name for region in report.regions if not region.used_bytes)
    return lines + (_labelled("unused", unused, style) if unused else [])


def _categories(report: Report, style: Style) -> list[str]:
    flash = sum(category.flash_bytes for category in report.categories)
    sram = sum(category.sram_bytes for category in report.categories)
    cells = max(_bar_cells(style) // 2, 6)
    rows = [_heading("Category", "Flash", "Share", "", "SRAM", "Share", "")]
    for category in sorted(report.categories, key=lambda entry: (-entry.flash_bytes, -entry.sram_bytes, entry.name)):
        if category.flash_bytes or category.sram_bytes:
            row = [style.clean(category.name)]
            for part, whole in ((category.flash_bytes, flash), (category.sram_bytes, sram)):
                row += [f"{part:,}", _percent(part, whole), style.bar(cells, _share(part, whole))]
            rows.append(tuple(row))
    if len(rows) == 1:
        return []
    rows.append(("total", f"{flash:,}", "", "", f"{sram:,}", "", ""))
    return _with_heading(style.table(rows, "lrrlrrl"), style)


def _operators(report: Report, style: Style) -> list[str]:
    if not report.operators:
        return []
    total = sum(entry.flash_bytes for entry in report.operators)
    single = [entry for entry in report.operators_by_size if entry.name != SHARED_BY_SEVERAL]
    shared = [entry for entry in report.operators if entry.name == SHARED_BY_SEVERAL]
    rest = single[TOP_OPERATORS:]
    more = [OperatorFlash(f"{len(rest)} more", sum(entry.flash_bytes for entry in rest))] if rest else []
    rows = [_heading("Operator", "Flash", "Share", "")]
    for entry in (*single[:TOP_OPERATORS], *more, *shared):
        bar = style.bar(max(_bar_cells(style) // 2, 6), _share(entry.flash_bytes, total))
        rows.append((style.clean(entry.name), f"{entry.flash_bytes:,}", _percent(entry.flash_bytes, total), bar))
    return _with_heading(style.table(rows, "lrrl"), style)


def _messages(messages: Sequence[Message], style: Style) -> list[str]:
    lines: list[str] = []
    for message in sorted(messages, key=_level_rank):
        level = style.fit(style.clean(message.level), 12)
        first, *others = [style.clean(line) for line in message.text.splitlines()] or [""]
        wrapped = style.wrap(first, f"{level}: ", "  ")
        wrapped += [line for other in others for line in style.wrap(other, "  ", "  ")]
        colour = _LEVEL_COLOURS.get(message.level, "bold")
        lines += [style.paint(wrapped[0][: len(level)], colour) + wrapped[0][len(level) :], *wrapped[1:]]
    return lines


def _level_rank(message: Message) -> int:
    return _LEVEL_ORDER.index(message.level) if message.level in _LEVEL_ORDER else 0


def _status(report: Report, style: Style) -> list[str]:
    flash, sram = report.memory.flash, report.memory.sram
    over = [
        f"{name} by {-free:,} bytes"
        for name, free in (
            ("flash", flash.limit_bytes - flash.used_bytes),
            ("SRAM", sram.limit_bytes - _sram_needed(report)),
        )
        if free < 0
    ]
    if report.status is Status.EXCEEDED:
        text = f"does not fit: over the limit of {' and of '.join(over)}" if over else "does not fit"
    else:
        free = f"{flash.limit_bytes - flash.used_bytes:,} bytes of flash and"
        text = f"fits, {free} {sram.limit_bytes - _sram_needed(report):,} bytes of SRAM free"
    lines = style.wrap(text, f"{report.status.value.upper()}: ", "  ")
    return [style.paint(line, STATUS_COLOURS[report.status]) for line in lines]


def _sram_needed(report: Report) -> int:
    return report.memory.sram.used_bytes + report.memory.sram.reserved_bytes


def _heading(*cells: str) -> tuple[str, ...]:
    return cells


def _with_heading(lines: list[str], style: Style) -> list[str]:
    return [style.paint(lines[0], "bold"), *lines[1:]]


def _bar_cells(style: Style) -> int:
    """Bars take what the figures leave: 12 cells at 80 columns, 24 at 92 and more."""
    return min(max(style.width - 68, 4), 24)


def _share(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0


def _percent(part: int, whole: int) -> str:
    if whole <= 0:
        return "-"
    percent = 100.0 * part / whole
    return f"{percent:.1f} %" if percent < 999.95 else ">999 %"
