"""The arena over time as rectangles, for a drawing: steps to the right, offsets upwards."""

from __future__ import annotations

from dataclasses import dataclass

from platformio_tflm.core.report.arena import ArenaBuffer, ArenaReport

MOST_BOXES = 600
_MOST_STEP_LABELS = 16
_OFFSET_LABELS = 4


@dataclass(frozen=True)
class Label:
    """at: a share of the drawing's width or height."""

    text: str
    at: float


@dataclass(frozen=True)
class BufferBox:
    """A buffer and its rectangle, as shares of the drawing; top is counted from above."""

    buffer: ArenaBuffer
    left: float
    top: float
    width: float
    height: float
    lives: str


@dataclass(frozen=True)
class ArenaView:
    """peak_left, step_width: the column of the step in which most lives. hidden: buffers too many to draw."""

    report: ArenaReport
    boxes: tuple[BufferBox, ...]
    rows: tuple[BufferBox, ...]
    hidden: int
    peak_left: float
    step_width: float
    steps: tuple[Label, ...]
    offsets: tuple[Label, ...]


def arena_view(report: ArenaReport) -> ArenaView:
    living = [buffer for buffer in report.buffers if buffer.last >= 0 and buffer.size_bytes]
    largest = sorted(living, key=lambda buffer: (-buffer.size_bytes, buffer.offset, buffer.first))[:MOST_BOXES]
    boxes = tuple(_box(buffer, report) for buffer in largest)
    step_width = 1 / max(len(report.steps), 1)
    return ArenaView(
        report=report,
        boxes=boxes,
        rows=tuple(sorted(boxes, key=lambda box: (box.buffer.first, box.buffer.offset, box.buffer.name))),
        hidden=len(report.buffers) - len(boxes),
        peak_left=report.peak_step * step_width,
        step_width=step_width,
        steps=_step_labels(len(report.steps)),
        offsets=_offset_labels(report.head_bytes),
    )


def _box(buffer: ArenaBuffer, report: ArenaReport) -> BufferBox:
    first = max(buffer.first, 0)
    count, head = max(len(report.steps), 1), max(report.head_bytes, 1)
    return BufferBox(
        buffer=buffer,
        left=first / count,
        top=1 - buffer.end / head,
        width=(buffer.last - first + 1) / count,
        height=buffer.size_bytes / head,
        lives=_lives(first, buffer.last, report.steps),
    )


def _lives(first: int, last: int, steps: tuple[str, ...]) -> str:
    def step(index: int) -> str:
        return f"{index} ({steps[index]})" if index < len(steps) else str(index)

    return step(first) if first == last else f"{step(first)} to {step(last)}"


def _step_labels(count: int) -> tuple[Label, ...]:
    every = -(-count // _MOST_STEP_LABELS) or 1
    return tuple(Label(f"{step:,}", (step + 0.5) / count) for step in range(0, count, every))


def _offset_labels(head_bytes: int) -> tuple[Label, ...]:
    """Round offsets, the largest first; the top of the head is always one of them."""
    if not head_bytes:
        return ()
    distance = 16
    while head_bytes / distance > _OFFSET_LABELS:
        distance *= 2
    inner = [offset for offset in range(0, head_bytes, distance) if head_bytes - offset > distance / 2]
    return tuple(Label(f"{offset:,}", 1 - offset / head_bytes) for offset in (head_bytes, *reversed(inner)))
