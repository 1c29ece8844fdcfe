"""The report and the difference as Markdown, for $GITHUB_STEP_SUMMARY and for comments on pull requests.

Text from models, maps and reports is foreign here: whatever Markdown, HTML or GitHub's own links could take for more
than letters is written as a character reference, which none of them reads as structure (CommonMark 0.31, 2.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from platformio_tflm.core.report import Message, ModelInfo, Report, Status
from platformio_tflm.core.report.changes import Change, ChangeKind, GrowthExcess, ReportDiff, TextChange
from platformio_tflm.render.diff_text import (
    category_changes,
    excess_words,
    growth_words,
    model_changes,
    nothing_words,
    percent_words,
    region_changes,
    total_changes,
)
from platformio_tflm.render.layout import MIN_WIDTH, Style

# GitHub takes a summary of up to 1 MiB; names and lists in a model or a map have no bound.
MAX_ROWS = 40
_NAME_CELLS = 80
_PROSE_CELLS = 1_000

_VERDICTS = {Status.OK: "fits", Status.TIGHT: "fits, with little to spare", Status.EXCEEDED: "does not fit"}
_STYLE = Style(width=MIN_WIDTH)
# All of ASCII but what means nothing inside of a line; a colon before a blank and a point without www begin no address.
_MEANINGFUL = re.compile(r"(?<=www)\.|(?!: )[\x00-\x7f](?<![A-Za-z0-9 .,/;()=+'\"%-])", re.IGNORECASE)
# Emphasis needs an edge of a word, and most operators have an underscore.
_BETWEEN_LETTERS = re.compile(r"[A-Za-z0-9]_[A-Za-z0-9]")
# Invisible: GitHub looks for addresses, @names and #numbers after it has replaced the references.
_JOINER = "&#8288;"
_FIGURE = re.compile(r"(>?[-+\d][-\d,. %]*)?")


def render_markdown(report: Report) -> str:
    """The whole report: totals and what is wrong in sight, the rest folded; with a newline at the end."""
    name = report.project.environment or report.board.id
    blocks = [
        f"## Memory of {code(name)}: {_VERDICTS[report.status]}",
        _made_with(report),
        _totals(report),
        _messages(entry for entry in report.messages if entry.level != "note"),
        _difference(report.baseline, "###") if report.baseline else "",
        _details("SRAM budget", _budget(report)),
        _details("Categories", _categories(report)),
        _details("Operators", _operators(report)),
        _details("Models", _models(report.models)),
        _details("Regions", _regions(report)),
        _details("Notes", _messages(entry for entry in report.messages if entry.level == "note")),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_diff_markdown(diff: ReportDiff, excesses: Sequence[GrowthExcess] = ()) -> str:
    """The difference, and what grew by more than is allowed; with a newline at the end."""
    blocks = [_difference(diff, "##"), *(f"**exceeded**: {prose(excess_words(excess))}" for excess in excesses)]
    return "\n\n".join(blocks) + "\n"


def code(text: str) -> str:
    """Foreign text as code: in there GitHub makes no link of names and numbers either."""
    return f"<code>{_referenced(_STYLE.fit(_STYLE.clean(text), _NAME_CELLS))}</code>"


def prose(text: str) -> str:
    """A sentence with foreign text in it; its lines stay lines."""
    lines = (_STYLE.fit(_STYLE.clean(line), _PROSE_CELLS) for line in text.splitlines())
    return "<br>".join(_referenced(line).replace("&#35;", f"&#35;{_JOINER}") for line in lines if line.strip())


def _referenced(text: str) -> str:
    return _MEANINGFUL.sub(_reference, text).strip()


def _reference(found: re.Match[str]) -> str:
    letter = found[0]
    if letter == "_" and _BETWEEN_LETTERS.fullmatch(found.string, max(found.start() - 1, 0), found.end() + 1):
        return letter
    return f"&#{ord(letter)};{_JOINER if letter == '@' else ''}"


def _made_with(report: Report) -> str:
    words = [f"Board {code(report.board.name)}"]
    words += [f"library {code(f'{report.runtime.library} {report.runtime.version}')}"] if report.runtime.library else []
    words += [f"build type {code(report.project.build_type)}"] if report.project.build_type else []
    return ", ".join([*words, f"{code(f'{report.tool.name} {report.tool.version}')}."])


def _totals(report: Report) -> str:
    flash, sram = report.memory.flash, report.memory.sram
    rows = [
        ("flash", flash.used_bytes, 0, flash.limit_bytes),
        ("SRAM", sram.used_bytes, sram.reserved_bytes, sram.limit_bytes),
    ]
    cells = [
        (
            name,
            *(f"{size:,}" for size in (used, reserved, limit, limit - used - reserved)),
            _share(used + reserved, limit),
        )
        for name, used, reserved, limit in rows
    ]
    return _table(("Memory", "Used", "Reserved", "Limit", "Free", "Share"), cells)


def _share(part: int, whole: int) -> str:
    return f"{100.0 * part / whole:.1f} %" if whole else ""


def _messages(messages: Iterable[Message]) -> str:
    ordered = sorted(messages, key=lambda entry: entry.level != "error")
    return _list([f"**{prose(_STYLE.fit(entry.level, 20))}**: {prose(entry.text)}" for entry in ordered])


def _list(items: Sequence[str]) -> str:
    left = len(items) - MAX_ROWS
    return "\n".join(f"- {item}" for item in [*items[:MAX_ROWS], *([f"{left} more"] if left > 0 else [])])


def _categories(report: Report) -> str:
    ordered = sorted(report.categories, key=lambda entry: (-entry.flash_bytes - entry.sram_bytes, entry.name))
    rows = [
        (code(entry.name), f"{entry.flash_bytes:,}", f"{entry.sram_bytes:,}")
        for entry in ordered
        if entry.flash_bytes or entry.sram_bytes
    ]
    total = ("total", f"{report.memory.flash.used_bytes:,}", f"{report.memory.sram.used_bytes:,}")
    return _table(("Category", "Flash", "SRAM"), [*rows, total]) if rows else ""


def _budget(report: Report) -> str:
    budget = report.budget
    if not budget.lines:
        return ""
    rows = [(code(line.name), f"{line.size_bytes:,}", code(line.source)) for line in budget.lines]
    return _table(("Line", "Bytes", "From"), [*rows, ("remaining", f"{budget.remaining_bytes:,}", "")])


def _operators(report: Report) -> str:
    rows = [(code(entry.name), f"{entry.flash_bytes:,}") for entry in report.operators_by_size]
    return _table(("Operator", "Flash"), rows)


def _models(models: Sequence[ModelInfo]) -> str:
    rows = []
    for model in models:
        arena = (f"{model.arena.size_bytes:,}", _known(model.arena.used_bytes)) if model.arena else ("none", "")
        found = code(model.arena.method) if model.arena else ""
        images = ", ".join(code(image) for image in model.verified[:MAX_ROWS])
        rows.append((code(model.name), f"{model.size_bytes:,}", *arena, found, images or "no"))
    return _table(("Model", "Bytes", "Arena", "Arena used", "Found by", "Verified in"), rows)


def _known(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes:,}"


def _regions(report: Report) -> str:
    rows = [
        (
            code(entry.name),
            f"{entry.used_bytes:,}",
            f"{entry.length_bytes:,}",
            _share(entry.used_bytes, entry.length_bytes),
        )
        for entry in report.regions
    ]
    return _table(("Region", "Used", "Length", "Share"), rows)


def _difference(diff: ReportDiff, hashes: str) -> str:
    title = f"{hashes} Difference from {code(diff.before)} to {code(diff.after)}"
    if diff.is_empty:
        return f"{title}\n\n{nothing_words(diff)}"
    totals = [_change_row((name,), change, ChangeKind.CHANGED) for name, change in total_changes(diff)]
    columns = ("Before", "After", "Growth", "")
    changes = _table(("What", "Name", *columns), _change_rows(diff))
    blocks = [title, _table(("Memory", *columns), totals), _details("What changed", changes), _text_changes(diff)]
    return "\n\n".join(block for block in blocks if block)


def _change_rows(diff: ReportDiff) -> list[tuple[str, ...]]:
    lists = (
        ("category, flash", category_changes(diff, "flash")),
        ("category, SRAM", category_changes(diff, "sram")),
        ("SRAM budget", [(entry.name, entry.kind, entry.size) for entry in diff.budget]),
        ("operator", [(entry.name, entry.kind, entry.flash) for entry in diff.operators]),
        ("region", region_changes(diff)),
    )
    rows = [
        _change_row((what, code(name)), change, kind)
        for what, entries in lists
        for name, kind, change in sorted(entries, key=lambda entry: -abs(entry[2].growth_bytes))
    ]
    for model in diff.models:
        rows += [
            _change_row((f"model, {name}", code(model.name)), size, model.kind) for name, size in model_changes(model)
        ]
        if model.contents and model.kind is ChangeKind.CHANGED:
            rows.append(("model", code(model.name), "", "", "", "other contents"))
    return rows


def _change_row(first: tuple[str, ...], change: Change, kind: ChangeKind) -> tuple[str, ...]:
    before = "" if kind is ChangeKind.ADDED else f"{change.before_bytes:,}"
    after = "" if kind is ChangeKind.REMOVED else f"{change.after_bytes:,}"
    last = percent_words(change) if kind is ChangeKind.CHANGED else kind.value
    return *first, before, after, growth_words(change), last


def _text_changes(diff: ReportDiff) -> str:
    details = [
        TextChange(f"{model.name}, {entry.name}", entry.before, entry.after)
        for model in diff.models
        for entry in model.details
    ]
    return _list([_text_change(entry) for entry in (*diff.context, *details)])


def _text_change(change: TextChange) -> str:
    name = prose(_STYLE.fit(change.name, _NAME_CELLS))
    return f"{name}: {code(change.before or 'none')} &rarr; {code(change.after or 'none')}"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of figures to the right; nothing without rows."""
    if not rows:
        return ""
    figures = [all(_FIGURE.fullmatch(row[column]) for row in rows) for column in range(len(heading))]
    lines = [_line(heading), _line(["--:" if right else "---" for right in figures])]
    lines += [_line(row) for row in rows[:MAX_ROWS]]
    if len(rows) > MAX_ROWS:
        lines.append(_line([f"{len(rows) - MAX_ROWS} more", *[""] * (len(heading) - 1)]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _details(summary: str, inner: str) -> str:
    # Without the blank lines what is inside would be HTML, not Markdown.
    return f"<details><summary>{summary}</summary>\n\n{inner}\n\n</details>" if inner else ""
