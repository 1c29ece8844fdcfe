"""What ``pio run -t tflm-arena`` found, as text."""

from __future__ import annotations

from collections.abc import Sequence

from platformio_tflm.core.report.arena import MeasuredArena
from platformio_tflm.render.layout import MIN_WIDTH, Style


def render_measured(
    rows: Sequence[MeasuredArena], place: str, *, lock_changed: bool, width: int = 100, ascii_only: bool = False
) -> str:
    """A table of measured and planned arenas. place: board, core and library; lock_changed: whether the file is new.

    Ends without a newline.
    """
    style = Style(max(width, MIN_WIDTH), ascii_only)
    table = [("Model", "Smallest", "Planned", "Over", "Used", "Trials", "Faults")]
    table += [
        (
            style.clean(row.model),
            f"{row.measured_bytes:,}",
            f"{row.planned_bytes:,}",
            f"{row.planned_bytes - row.measured_bytes:+,}",
            f"{row.used_bytes:,}",
            f"{row.trials}",
            f"{row.faults}",
        )
        for row in rows
    ]
    lines = [f"Tensor arenas in bytes, measured on {style.clean(place)}", "", *style.table(table, "lrrrrrr"), ""]
    for row in rows:
        lines += _too_small(row, style)
    count = f"{len(rows)} measurement{'s' if len(rows) != 1 else ''}"
    kept = f"tflm-lock.json {'now has' if lock_changed else 'has had'} {'it' if len(rows) == 1 else 'them'}"
    return "\n".join([*lines, f"{count}; {kept}. Builds reserve what was measured."])


def _too_small(row: MeasuredArena, style: Style) -> list[str]:
    short = row.measured_bytes - row.planned_bytes
    if short <= 0:
        return []
    text = (
        f"{row.model}: the plan ({row.method}) is {short:,} bytes too small for this library. "
        "Keep the measurement, and please report it with the model and the library's version."
    )
    return style.wrap(style.clean(text), "warning: ", "  ")
