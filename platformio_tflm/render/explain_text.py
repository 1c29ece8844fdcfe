"""Text of --explain: each run of bytes with its place, its origin, and the reason for its category."""

from __future__ import annotations

from collections.abc import Sequence

from platformio_tflm.core.report.explained import ExplainedBytes, Explanation
from platformio_tflm.render.layout import MIN_WIDTH, Style

RUNS_SHOWN = 25
ANSWERS_SHOWN = 25
_UNCOUNTED_KINDS = {
    "ccm": "the SRAM limit leaves out CCM",
    "itcm": "the SRAM limit leaves out ITCM",
    "iram": "the SRAM limit leaves out IRAM",
    "rtc": "the SRAM limit leaves out RTC memory",
    "psram": "external RAM is no SRAM",
    "flash": "it has no contents in the image",
}


def render_explanations(
    explanations: Sequence[Explanation], *, width: int = 100, color: bool = False, ascii_only: bool = False
) -> str:
    """All answers, no line wider than *width*, with a newline at the end; of long answers the largest parts."""
    style = Style(width=max(width, MIN_WIDTH), ascii_only=ascii_only, color=color)
    blocks = [_answer(explanation, style) for explanation in explanations[:ANSWERS_SHOWN]]
    if len(explanations) > ANSWERS_SHOWN:
        blocks.append([f"{len(explanations) - ANSWERS_SHOWN:,} more of that name; --json has them all"])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _answer(explanation: Explanation, style: Style) -> list[str]:
    title = explanation.readable or explanation.name
    words = f": {explanation.kind}"
    if explanation.readable:
        words += f" {style.clean(explanation.name)}"
    if explanation.size_bytes:
        words += f", {_bytes(explanation.size_bytes)}"
    lines = style.wrap(style.clean(title) + words, "", "  ")
    lines = [style.paint(lines[0], "bold"), *lines[1:]]
    for note in explanation.notes:
        lines += style.wrap(style.clean(note), "  ", "    ")
    if len(explanation.runs) > 1:
        lines += _sums(explanation.runs, style)
    shown = sorted(explanation.runs, key=lambda run: (-run.size_bytes, run.address))[:RUNS_SHOWN]
    for run in shown:
        lines += _run(run, style)
    rest = len(explanation.runs) - len(shown)
    if rest > 0:
        others = sum(run.size_bytes for run in explanation.runs) - sum(run.size_bytes for run in shown)
        lines.append(f"  {rest:,} smaller runs, {_bytes(others)} together; --json has them all")
    return lines


def _sums(runs: Sequence[ExplainedBytes], style: Style) -> list[str]:
    """What the runs come to, by category."""
    sums: dict[str, tuple[int, int]] = {}
    for run in runs:
        flash, sram = sums.get(run.category, (0, 0))
        sums[run.category] = (flash + run.flash_bytes, sram + run.sram_bytes)
    texts = [f"{name}: flash {flash:,}, SRAM {sram:,}" for name, (flash, sram) in sums.items()]
    return style.wrap("; ".join(texts), "  in all, ", "    ")


def _run(run: ExplainedBytes, style: Style) -> list[str]:
    place = f"{_bytes(run.size_bytes)} in {_place(run)}; {_counted(run)}"
    lines = style.wrap(style.clean(place), f"  {run.address:#010x}  ", "    ")
    if run.member:
        file = f"{run.archive}({run.member})" if run.archive else run.member
        own = f", {run.input_section}" if run.input_section not in ("", run.member) else ""
        lines += style.wrap(style.clean(f"{file}{own}"), "    from ", "      ")
    operator = f" ({run.operator})" if run.operator and run.operator not in run.reason else ""
    return lines + style.wrap(style.clean(f"{run.category}{operator}: {run.reason}"), "    ", "      ")


def _place(run: ExplainedBytes) -> str:
    region = f"region {run.region}" if run.region else "no known region"
    section = f"section {run.section}" if run.section else "between sections"
    if run.load_address is None:
        return f"{region}, {section}"
    return f"{region}, {section}, loaded from {run.load_address:#010x}" + (
        f" in {run.load_region}" if run.load_region else ""
    )


def _counted(run: ExplainedBytes) -> str:
    parts = [f"{size:,} in {name}" for name, size in (("flash", run.flash_bytes), ("SRAM", run.sram_bytes)) if size]
    if parts:
        return f"counted {' and '.join(parts)}"
    why = _UNCOUNTED_KINDS.get(run.region_kind, "")
    return f"not counted: {why}" if why else "not counted"


def _bytes(size: int) -> str:
    return "1 byte" if size == 1 else f"{size:,} bytes"
