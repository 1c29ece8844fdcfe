"""Models against boards as a table, for `platformio-tflm check`."""

from __future__ import annotations

from collections.abc import Sequence

from platformio_tflm.core.report import ModelInfo, Status
from platformio_tflm.core.report.room import BoardCheck, BoardRoom
from platformio_tflm.render.layout import MIN_WIDTH, STATUS_COLOURS, Style
from platformio_tflm.render.text import METHODS

_LABEL_CELLS = 9


def render_check(
    models: Sequence[ModelInfo], check: BoardCheck, *, width: int = 100, color: bool = False, ascii_only: bool = False
) -> str:
    """What is counted, a row a board, and which boards would do; no line wider than *width*; ends with a newline."""
    style = Style(width=max(width, MIN_WIDTH), ascii_only=ascii_only, color=color)
    blocks = [[line for model in models for line in _model(model, style)], _table(check.boards, style)]
    blocks.append([*_constants_in_sram(check.boards, style), *_conclusion(check, style)])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _model(model: ModelInfo, style: Style) -> list[str]:
    words = f"{model.name}, {model.path}: {model.size_bytes:,} bytes"
    if model.arena is not None:
        words += f", arena {model.arena.size_bytes:,} bytes, {METHODS.get(model.arena.method, model.arena.method)}"
    return style.wrap(style.clean(words), "Model".ljust(_LABEL_CELLS), " " * _LABEL_CELLS)


def _table(rooms: Sequence[BoardRoom], style: Style) -> list[str]:
    rows: list[tuple[str, ...]] = [("Board", "Flash", "left", "SRAM", "reserved", "left", "Verdict")]
    rows += [_row(room, style) for room in rooms]
    heading, *lines = style.table(rows, "lrrrrrl")
    painted = [style.paint(line, STATUS_COLOURS[room.status]) for line, room in zip(lines, rooms, strict=True)]
    return [style.paint(heading, "bold"), *painted]


def _row(room: BoardRoom, style: Style) -> tuple[str, ...]:
    figures = (room.flash_limit_bytes, room.flash_left_bytes, room.sram_limit_bytes, room.reserved_bytes)
    return (
        style.clean(room.board),
        *(f"{size_bytes:,}" for size_bytes in (*figures, room.sram_left_bytes)),
        room.status.value,
    )


def _constants_in_sram(rooms: Sequence[BoardRoom], style: Style) -> list[str]:
    names = ", ".join(room.board for room in rooms if room.model_sram_bytes)
    if not names:
        return []
    text = f"note: On {names} the models' data takes SRAM as well; an AVR reads constants from there alone."
    return style.wrap(style.clean(text), "", "  ")


def _conclusion(check: BoardCheck, style: Style) -> list[str]:
    """Whether the chosen board does, and else which would; without one, how many do."""
    chosen = check.chosen
    if chosen is None:
        fitting = sum(room.fits for room in check.boards)
        text = f"{fitting} of {len(check.boards)} boards have room; what is left is for the program."
        return style.wrap(text, "", "")
    board = style.clean(f"{chosen.name} ({chosen.board})")
    words = f"{board}: {_VERDICTS[chosen.status]}"
    lines = style.wrap(words, f"{chosen.status.value.upper()}: ", "  ")
    lines = [style.paint(line, STATUS_COLOURS[chosen.status]) for line in lines]
    if chosen.fits:
        return lines
    nearest = ", ".join(f"{room.board} ({room.name})" for room in check.nearest) or "none of the known boards"
    return [*lines, *style.wrap(style.clean(f"would do, the nearest first: {nearest}"), "", "  ")]


_VERDICTS = {
    Status.OK: "models and arenas fit; what is left is for the program",
    Status.TIGHT: "models and arenas fit, but little is left for the program",
    Status.EXCEEDED: "models and arenas alone are too large",
}
