"""The report and the difference as workflow commands, which GitHub Actions shows as annotations of a file.

Form and escapes: docs.github.com, "Workflow commands for GitHub Actions", and command.ts of actions/toolkit. GitHub
shows the first ten of each level in a step, so what matters most comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

from platformio_tflm.core.report import Message, Report
from platformio_tflm.core.report.changes import GrowthExcess, ReportDiff
from platformio_tflm.render.diff_text import excess_words, nothing_words, percent_words
from platformio_tflm.render.layout import MIN_WIDTH, Style

DEFAULT_FILE = "platformio.ini"

_COMMANDS = {"error": "error", "warning": "warning"}
_ORDER = ("error", "warning", "notice")
_STYLE = Style(width=MIN_WIDTH)


def render_github(report: Report, *, file: str = DEFAULT_FILE) -> str:
    """One line an annotation, with a newline at the end. file: where GitHub shows them, from the repository's root."""
    title = f"Memory of {report.project.environment or report.board.id}"
    lines = [annotation("notice", file, title, f"{report.status.value}: {_totals(report)}")]
    if report.baseline is not None:
        lines.append(_difference(report.baseline, file))
    for command, message in sorted(map(_ranked, report.messages), key=lambda entry: _ORDER.index(entry[0])):
        lines.append(annotation(command, file, title, message.text))
    return "\n".join(lines) + "\n"


def render_diff_github(diff: ReportDiff, excesses: Sequence[GrowthExcess] = (), *, file: str = DEFAULT_FILE) -> str:
    """What grew by more than is allowed as errors, then the difference; with a newline at the end."""
    lines = [annotation("error", file, f"{entry.memory} grew too much", excess_words(entry)) for entry in excesses]
    return "\n".join([*lines, _difference(diff, file)]) + "\n"


def annotation(command: str, file: str, title: str, text: str) -> str:
    """``::command file=…,title=…::text``, all on one line."""
    return f"::{command} file={escape_property(file)},title={escape_property(title)}::{escape_data(text)}"


def escape_data(text: str) -> str:
    """Foreign text after the command: lines stay lines, other control characters do not reach the log."""
    lines = [_STYLE.clean(line) for line in text.splitlines()]
    return "\n".join(lines).replace("%", "%25").replace("\n", "%0A")


def escape_property(text: str) -> str:
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def _ranked(message: Message) -> tuple[str, Message]:
    return _COMMANDS.get(message.level, "notice"), message


def _totals(report: Report) -> str:
    flash, sram = report.memory.flash, report.memory.sram
    needed = sram.used_bytes + sram.reserved_bytes
    reserved = f" with {sram.reserved_bytes:,} reserved" if sram.reserved_bytes else ""
    return (
        f"flash {flash.used_bytes:,} of {flash.limit_bytes:,} bytes{_share(flash.used_bytes, flash.limit_bytes)}, "
        f"SRAM {needed:,} of {sram.limit_bytes:,} bytes{_share(needed, sram.limit_bytes)}{reserved}"
    )


def _share(part: int, whole: int) -> str:
    return f" ({100.0 * part / whole:.1f} %)" if whole else ""


def _difference(diff: ReportDiff, file: str) -> str:
    title = f"Difference from {diff.before} to {diff.after}"
    return annotation("notice", file, title, nothing_words(diff) if diff.is_empty else _growth(diff))


def _growth(diff: ReportDiff) -> str:
    words = []
    for name, change in (("flash", diff.memory.flash.used), ("SRAM", diff.memory.sram.used)):
        percent = percent_words(change)
        figures = f" {change.growth_bytes:+,} bytes{f' ({percent})' if percent else ''}, now {change.after_bytes:,}"
        words.append(name + (figures if change.growth_bytes else f" as before, {change.after_bytes:,}"))
    changed = ((len(diff.operators), "operator"), (len(diff.models), "model"))
    words += [f"{count} {noun}{'s' if count > 1 else ''} changed" for count, noun in changed if count]
    return "; ".join(words)
