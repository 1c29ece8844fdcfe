"""What changed between two reports, as text: `platformio-tflm diff`, and the end of a report with a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from platformio_tflm.core.report.changes import Change, ChangeKind, GrowthExcess, ModelChange, ReportDiff, TextChange
from platformio_tflm.render.layout import MIN_WIDTH, Style

# Of each list; what is left out is summed in one row.
TOP_CHANGES = 6
TOP_MODELS = 4

# What there is of memory is no good or bad news.
NEUTRAL_ENDINGS = (" limit", ", length")

_INDENT = "  "
Row = tuple[str, str, str, str, str]


def render_diff(
    diff: ReportDiff,
    excesses: Sequence[GrowthExcess] = (),
    *,
    width: int = 100,
    color: bool = False,
    ascii_only: bool = False,
) -> str:
    """The difference, no line wider than *width* columns (at least MIN_WIDTH), with a newline at the end.

    excesses: what grew by more than is allowed. color, ascii_only: as in render_text.
    """
    style = Style(width=max(width, MIN_WIDTH), ascii_only=ascii_only, color=color)
    lines = difference_lines(diff, style)
    for excess in excesses:
        lines += [style.paint(line, "red") for line in style.wrap(excess_words(excess), "EXCEEDED: ", _INDENT)]
    return "\n".join(lines) + "\n"


def difference_lines(diff: ReportDiff, style: Style) -> list[str]:
    """Only what changed, or the line that says that nothing did."""
    title = _paint_bold(style.wrap(style.clean(f"Difference from {diff.before} to {diff.after}"), "", _INDENT), style)
    if diff.is_empty:
        return [*title, *style.wrap(nothing_words(diff), "", _INDENT)]
    rows = [("", "Before", "After", "Growth", ""), *_total_rows(diff)]
    for heading, inner in _lists(diff):
        rows += [(heading, "", "", "", ""), *((_INDENT + row[0], *row[1:]) for row in inner)]
    cleaned = [(style.clean(row[0]), *row[1:]) for row in rows]
    table = style.table(cleaned, "lrrrr")
    painted = [_painted(row, style.fit(line, style.width), style) for row, line in zip(rows, table, strict=True)]
    return [*title, *painted, *_text_changes(diff, style)]


def nothing_words(diff: ReportDiff) -> str:
    flash, sram = diff.memory.flash.used.after_bytes, diff.memory.sram.used.after_bytes
    return f"Nothing changed: flash {flash:,} bytes, SRAM {sram:,} bytes, as before."


def excess_words(excess: GrowthExcess) -> str:
    """What grew, measured against allowed."""
    change = excess.change
    reserved = ", with what is reserved" if excess.memory == "SRAM" else ""
    percent = f" ({percent_words(change)})" if change.growth_percent is not None else ""
    share = f" ({excess.allowed})" if excess.allowed.endswith("%") else ""
    return (
        f"{excess.memory} grew by {change.growth_bytes:,} bytes{percent}, from {change.before_bytes:,} to "
        f"{change.after_bytes:,}{reserved}; at most {excess.allowed_bytes:,} bytes{share} are allowed."
    )


def growth_words(change: Change) -> str:
    return f"{change.growth_bytes:+,}" if change.growth_bytes else "0"


def percent_words(change: Change) -> str:
    """``+0.2 %``; nothing where there is none to say."""
    percent = change.growth_percent
    if not change.growth_bytes or percent is None:
        return ""
    return f"{percent:+.1f} %" if abs(percent) < 999.95 else ">999 %"


def total_changes(diff: ReportDiff) -> list[tuple[str, Change]]:
    """Flash and SRAM always, the others when they changed."""
    memory = diff.memory
    others = (
        ("SRAM reserved", memory.sram.reserved),
        ("image", diff.image),
        ("flash limit", memory.flash.limit),
        ("SRAM limit", memory.sram.limit),
    )
    return [
        ("flash", memory.flash.used),
        ("SRAM", memory.sram.used),
        *((name, change) for name, change in others if change.growth_bytes),
    ]


def largest(changes: Iterable[tuple[str, ChangeKind, Change]]) -> list[tuple[str, ChangeKind, Change]]:
    """The TOP_CHANGES largest growths or shrinkings, and the sum of the others."""
    ordered = sorted(changes, key=lambda entry: (-abs(entry[2].growth_bytes), entry[0]))
    if len(ordered) <= TOP_CHANGES + 1:
        return ordered
    others = [change for _, _, change in ordered[TOP_CHANGES:]]
    total = Change(sum(change.before_bytes for change in others), sum(change.after_bytes for change in others))
    return [*ordered[:TOP_CHANGES], (f"{len(others)} more", ChangeKind.CHANGED, total)]


def model_changes(model: ModelChange) -> list[tuple[str, Change]]:
    sizes = [("size", model.size), ("arena", model.arena_size)]
    if model.arena_used is not None:
        sizes.append(("arena used", model.arena_used))
    return [(name, change) for name, change in sizes if change.growth_bytes]


def region_changes(diff: ReportDiff) -> list[tuple[str, ChangeKind, Change]]:
    """What is used of the regions, and their lengths where these changed."""
    changed = ChangeKind.CHANGED
    used = [
        (entry.name, entry.kind, entry.used)
        for entry in diff.regions
        if entry.kind is not changed or entry.used.growth_bytes
    ]
    lengths = [(f"{entry.name}, length", changed, entry.length) for entry in diff.regions if entry.kind is changed]
    return [*used, *(entry for entry in lengths if entry[2].growth_bytes)]


def changes_by_list(diff: ReportDiff) -> list[tuple[str, list[tuple[str, ChangeKind, Change]]]]:
    """All lists of the difference but the models, each with what it is called; some may be empty."""
    return [
        ("Region", region_changes(diff)),
        ("Category, flash", category_changes(diff, "flash")),
        ("Category, SRAM", category_changes(diff, "sram")),
        ("SRAM budget", [(entry.name, entry.kind, entry.size) for entry in diff.budget]),
        ("Operator", [(entry.name, entry.kind, entry.flash) for entry in diff.operators]),
    ]


def category_changes(diff: ReportDiff, memory: str) -> list[tuple[str, ChangeKind, Change]]:
    """memory: flash or sram."""
    changes = ((entry.name, entry.flash if memory == "flash" else entry.sram) for entry in diff.categories)
    return [(name, ChangeKind.CHANGED, change) for name, change in changes if change.growth_bytes]


def _total_rows(diff: ReportDiff) -> list[Row]:
    return [_row(name, change) for name, change in total_changes(diff)]


def _lists(diff: ReportDiff) -> list[tuple[str, list[Row]]]:
    lists = [
        (heading, [_row(name, change, kind) for name, kind, change in largest(entries)])
        for heading, entries in changes_by_list(diff)
    ]
    return [(heading, rows) for heading, rows in [*lists, ("Model", _model_rows(diff.models))] if rows]


def _model_rows(models: Sequence[ModelChange]) -> list[Row]:
    rows: list[Row] = []
    for model in models[:TOP_MODELS]:
        changes = model_changes(model)
        rows += [_row(f"{model.name}, {name}", change, model.kind) for name, change in changes]
        if not changes:
            note = "other contents" if model.contents else "see below"
            rows.append((model.name, "", "", note if model.kind is ChangeKind.CHANGED else model.kind.value, ""))
    if len(models) > TOP_MODELS:
        rows.append((f"{len(models) - TOP_MODELS} more", "", "", "", ""))
    return rows


def _row(name: str, change: Change, kind: ChangeKind = ChangeKind.CHANGED) -> Row:
    before = "-" if kind is ChangeKind.ADDED else f"{change.before_bytes:,}"
    after = "-" if kind is ChangeKind.REMOVED else f"{change.after_bytes:,}"
    last = percent_words(change) if kind is ChangeKind.CHANGED else kind.value
    return name, before, after, growth_words(change), last


def _text_changes(diff: ReportDiff, style: Style) -> list[str]:
    changes = [*diff.context]
    for model in diff.models[:TOP_MODELS]:
        changes += [TextChange(f"{model.name}, {entry.name}", entry.before, entry.after) for entry in model.details]
    lines: list[str] = []
    for entry in changes:
        before, after = (style.fit(style.clean(text), style.width) or "none" for text in (entry.before, entry.after))
        arrow = "->" if style.ascii_only else "→"
        name = style.fit(style.clean(entry.name), style.width // 2)
        lines += style.wrap(f"{before} {arrow} {after}", f"{name}: ", _INDENT)
    return lines


def _paint_bold(lines: list[str], style: Style) -> list[str]:
    return [style.paint(line, "bold") for line in lines]


def _painted(row: Row, line: str, style: Style) -> str:
    name, before, _, growth, _ = row
    if before in ("", "Before"):
        return style.paint(line, "bold")
    if name.endswith(NEUTRAL_ENDINGS) or growth == "0":
        return line
    return style.paint(line, "yellow" if growth.startswith("+") else "green")
