"""The arena as text, for `platformio-tflm plan`: figures, a table of buffers, and a drawing over time."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase, digits

from platformio_tflm.core.report.arena import ArenaBuffer, ArenaReport
from platformio_tflm.core.report.room import BoardRoom
from platformio_tflm.render.layout import MIN_WIDTH, Style
from platformio_tflm.render.text import METHODS

_LABEL_CELLS = 9
_MARKS = ascii_lowercase + ascii_uppercase + digits
_ROWS = 16
_CELLS_A_STEP = 6
_ALIGNMENT_BYTES = 16

# Beyond it nobody's eye follows a row, and a graph of many steps would take long to draw.
_MAX_DRAWING_WIDTH = 500


def render_arena(report: ArenaReport, *, width: int = 100, color: bool = False, ascii_only: bool = False) -> str:
    """Everything about one model's arena, no line wider than *width* (at least MIN_WIDTH); ends with a newline.

    ascii_only: nothing but ASCII, for consoles that cannot show UTF-8.
    """
    style = Style(width=max(width, MIN_WIDTH), ascii_only=ascii_only, color=color)
    marks = _marks(report.buffers)
    blocks = [_figures(report, style), _table(report, marks, style), _drawing(report, marks, style)]
    blocks.append([line for note in report.notes for line in style.wrap(style.clean(note), "note: ", "  ")])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _figures(report: ArenaReport, style: Style) -> list[str]:
    lines = [style.paint(style.fit(style.clean(f"{report.model}, {report.path}"), style.width), "bold")]
    method = METHODS.get(report.method, report.method)
    lines += _labelled("arena", f"{report.size_bytes:,} bytes, {method}", style)
    lines += _labelled("for", f"{report.kernels} kernels, structs as in {report.abi}", style)
    lines += _labelled("parts", _parts(report), style)
    if report.buffers:
        lines += _labelled("head", _head(report), style)
    return lines + (_room(report.room, style) if report.room else [])


def _labelled(label: str, text: str, style: Style) -> list[str]:
    return style.wrap(style.clean(text), label.ljust(_LABEL_CELLS), " " * _LABEL_CELLS)


def _parts(report: ArenaReport) -> str:
    used = "" if report.used_bytes is None else f"{report.used_bytes:,} used: "
    words = f"{used}{report.head_bytes:,} head (activations, scratch) and {report.tail_bytes:,} tail (what stays)"
    if not report.temporary_bytes:
        return words
    return f"{words}; {report.temporary_bytes:,} more while AllocateTensors() runs"


def _head(report: ArenaReport) -> str:
    over = report.head_bytes - report.lower_bound_bytes
    bound = f"{report.lower_bound_bytes:,} bytes live at the peak, in step {report.peak_step}"
    cost = f"{over:,} more ({over / report.head_bytes:.1%}) are lost to placement" if over else "placement adds none"
    return f"{bound}, {report.steps[report.peak_step]}; {cost}"


def _room(room: BoardRoom, style: Style) -> list[str]:
    sram = f"SRAM {room.sram_limit_bytes:,} bytes, {room.reserved_bytes:,} reserved, {room.arena_bytes:,} arena"
    sram += f", {room.model_sram_bytes:,} model" if room.model_sram_bytes else ""
    flash = f"flash {room.flash_limit_bytes:,} bytes, {room.model_bytes:,} model"
    lines = _labelled("board", f"{room.name} ({room.board})", style)
    lines += _labelled("", f"{sram}: {bytes_left(room.sram_left_bytes)}", style)
    lines += _labelled("", f"{flash}: {bytes_left(room.flash_left_bytes)}", style)
    verdict = "fits; what is left is for the program" if room.fits else "does not fit"
    return lines + [style.paint(line, "green" if room.fits else "red") for line in _labelled("", verdict, style)]


def bytes_left(left_bytes: int) -> str:
    return f"{left_bytes:,} left" if left_bytes >= 0 else f"{-left_bytes:,} too many"


def _marks(buffers: Sequence[ArenaBuffer]) -> dict[int, str]:
    """A letter for each of the largest buffers, in order of time; the index in *buffers* -> the letter."""
    largest = sorted(range(len(buffers)), key=lambda index: -buffers[index].size_bytes)[: len(_MARKS)]
    in_time = sorted(largest, key=lambda index: (buffers[index].first, buffers[index].offset))
    return dict(zip(in_time, _MARKS, strict=False))


def _table(report: ArenaReport, marks: dict[int, str], style: Style) -> list[str]:
    if not marks:
        return []
    rows: list[tuple[str, ...]] = [("  Buffer", "Type", "Shape", "Size", "Offset", "Lives in steps")]
    rows += [_row(mark, report.buffers[index], style) for index, mark in marks.items()]
    lines = style.table(rows, "lllrrl")
    others = [buffer for index, buffer in enumerate(report.buffers) if index not in marks]
    if others:
        size = sum(buffer.size_bytes for buffer in others)
        lines.append(f"{_other(style)} {len(others):,} smaller buffers, {size:,} bytes together")
    return [style.paint(lines[0], "bold"), *lines[1:]]


def _row(mark: str, buffer: ArenaBuffer, style: Style) -> tuple[str, ...]:
    shape = style.fit("x".join(str(length) for length in buffer.shape), 20)
    lives = "never" if buffer.last < 0 else f"{max(buffer.first, 0)} to {buffer.last}"
    fixed = ", prescribed" if buffer.kind == "prescribed" else ""
    name = style.clean(buffer.name)
    return (f"{mark} {name}", buffer.type, shape, f"{buffer.size_bytes:,}", f"{buffer.offset:,}", lives + fixed)


def _other(style: Style) -> str:
    return "+" if style.ascii_only else "▪"


def _drawing(report: ArenaReport, marks: dict[int, str], style: Style) -> list[str]:
    """Addresses upwards, time to the right; a cell shows the buffer that takes most of it."""
    if not report.buffers or not report.head_bytes:
        return []
    gutter = len(f"{report.head_bytes:,}")
    room = min(style.width, _MAX_DRAWING_WIDTH) - gutter - 2
    steps_a_column = -(-len(report.steps) // room)
    columns = -(-len(report.steps) // steps_a_column)
    cells = max(min(room // columns, _CELLS_A_STEP), 1)
    bucket = _bucket_bytes(report.head_bytes)
    most = _most_of_each_cell(report.buffers, steps_a_column, bucket)
    bar, corner, dash = ("|", "+", "-") if style.ascii_only else ("│", "└", "─")
    lines = ["Head over time: offset upwards, steps to the right"]
    for row in reversed(range(-(-report.head_bytes // bucket))):
        text = "".join(_cell(most.get((row, column)), marks, style) * cells for column in range(columns))
        lines.append(f"{row * bucket:>{gutter},} {bar}{text}".rstrip())
    lines.append(f"{'':>{gutter}} {corner}{dash * (cells * columns)}")
    peak = report.peak_step // steps_a_column * cells
    lines.append(f"{'':>{gutter}}  {' ' * peak}^ peak" if peak + 6 <= room else f"{'peak ^':>{gutter + 3 + peak}}")
    return [*lines, *_legend(report, steps_a_column, style)]


def _bucket_bytes(head_bytes: int) -> int:
    units = -(-head_bytes // _ALIGNMENT_BYTES)
    return -(-units // _ROWS) * _ALIGNMENT_BYTES


def _most_of_each_cell(
    buffers: Sequence[ArenaBuffer], steps_a_column: int, bucket: int
) -> dict[tuple[int, int], tuple[int, int]]:
    """(row, column) -> (area, index) of the buffer that takes most of it; the first of several that take as much.

    Each buffer looks at its own cells only: every cell looking at every buffer takes minutes for large graphs.
    """
    most: dict[tuple[int, int], tuple[int, int]] = {}
    for index, buffer in enumerate(buffers):
        first = max(buffer.first, 0)
        for column in range(first // steps_a_column, buffer.last // steps_a_column + 1):
            start = column * steps_a_column
            wide = min(buffer.last + 1, start + steps_a_column) - max(first, start)
            for row in range(buffer.offset // bucket, -(-buffer.end // bucket)):
                high = min(buffer.end, (row + 1) * bucket) - max(buffer.offset, row * bucket)
                if high * wide > most.get((row, column), (0, -1))[0]:
                    most[row, column] = (high * wide, index)
    return most


def _cell(most: tuple[int, int] | None, marks: dict[int, str], style: Style) -> str:
    if most is None:
        return "." if style.ascii_only else "·"
    return marks.get(most[1], _other(style))


def _legend(report: ArenaReport, steps_a_column: int, style: Style) -> list[str]:
    if steps_a_column > 1:
        return [f"{len(report.steps):,} steps, {steps_a_column} in a column"]
    names = ", ".join(f"{step}:{style.clean(name)}" for step, name in enumerate(report.steps))
    return style.wrap(names, "steps    ", " " * _LABEL_CELLS)
