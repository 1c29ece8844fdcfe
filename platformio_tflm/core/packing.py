"""TFLM's greedy memory planner: where in the head of the arena each buffer goes.

Source: GreedyMemoryPlanner::CalculateOffsetsIfNeeded() in tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc
(commit 90b983c). That one compares every buffer with every other; here, an index by time finds the few that live
together, so that the same offsets come out in about n log n for the graphs that converters make.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# What TFLM calls MicroArenaBufferAlignment.
ALIGNMENT_BYTES = 16

# Pairs of buffers that live at the same time and may be looked at; public models have less than 200. A graph where
# thousands of tensors live together would take minutes in TFLM as well; what is left then is stacked on top, which is
# more than TFLM needs.
MAX_PAIRS = 1_000_000


class Buffer(NamedTuple):
    """What is to be placed: *size_bytes*, a multiple of 16, from scope *first* to scope *last*.

    tensor: index in *subgraph*, None for a scratch buffer of *operator*.
    offline_offset: where the model's own plan puts it, None usually.
    """

    subgraph: int
    tensor: int | None
    operator: int | None
    size_bytes: int
    first: int
    last: int
    offline_offset: int | None = None


class Placement(NamedTuple):
    """A buffer in the head: *size_bytes* at *offset*, from scope *first* to scope *last* (see ``liveness.py``).

    tensor: index in *subgraph*, None for a scratch buffer of *operator*.
    prescribed: the model's own offline plan put it there; such buffers may overlap each other on purpose.
    """

    subgraph: int
    tensor: int | None
    operator: int | None
    offset: int
    size_bytes: int
    first: int
    last: int
    prescribed: bool = False

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes


class Packing(NamedTuple):
    """placements: in the order of the buffers. same_as_tflm: False if some had to be stacked."""

    placements: tuple[Placement, ...]
    same_as_tflm: bool


def align(size_bytes: int, alignment: int = ALIGNMENT_BYTES) -> int:
    """*size_bytes* rounded up to a multiple of *alignment*."""
    return -(-size_bytes // alignment) * alignment


def place(buffers: list[Buffer], max_pairs: int = MAX_PAIRS) -> Packing:
    """Prescribed offsets first, then the largest first into the lowest gap.

    Equally large buffers go in reverse order of their arrival: TFLM fills its list from the end and sorts it stably.
    """
    order = list(range(len(buffers) - 1, -1, -1))
    order.sort(key=lambda index: -buffers[index].size_bytes)
    offsets: list[int] = [-1] * len(buffers)
    timeline = _Timeline(buffers)
    for index, buffer in enumerate(buffers):
        if buffer.offline_offset is not None:
            offsets[index] = buffer.offline_offset
            timeline.add(buffer, buffer.offline_offset)
    top = timeline.top
    pairs = 0
    for index in order:
        buffer = buffers[index]
        if buffer.offline_offset is not None:
            continue
        if pairs > max_pairs:
            offsets[index] = top
            top += buffer.size_bytes
            continue
        together = timeline.together_with(buffer)
        pairs += len(together)
        offsets[index] = _lowest_gap(buffer.size_bytes, together)
        timeline.add(buffer, offsets[index])
        top = timeline.top
    placements = tuple(_placement(buffer, offset) for buffer, offset in zip(buffers, offsets, strict=True))
    return Packing(placements, pairs <= max_pairs)


def _lowest_gap(size_bytes: int, together: list[tuple[int, int]]) -> int:
    """*together*: offset and end of what lives at the same time, in order of the offsets."""
    candidate = 0
    for offset, end in together:
        if offset - candidate >= size_bytes:
            break
        if end > candidate:  # noqa: PLR1730 - this line runs millions of times, and max() takes twice as long
            candidate = end
    return candidate


def _placement(buffer: Buffer, offset: int) -> Placement:
    return Placement(
        subgraph=buffer.subgraph,
        tensor=buffer.tensor,
        operator=buffer.operator,
        offset=offset,
        size_bytes=buffer.size_bytes,
        first=buffer.first,
        last=buffer.last,
        prescribed=buffer.offline_offset is not None,
    )


class _Timeline:
    """The placed buffers by time: a segment tree answers who lives at a moment, a sorted list who begins after it."""

    def __init__(self, buffers: Iterable[Buffer]) -> None:
        moments = {buffer.first for buffer in buffers} | {buffer.last for buffer in buffers}
        self._moments = {moment: position for position, moment in enumerate(sorted(moments))}
        self._leaves = 1 << max(len(moments) - 1, 0).bit_length()
        self._living: dict[int, list[tuple[int, int]]] = {}
        self._beginning: list[tuple[int, int, int]] = []
        self.top = 0

    def add(self, buffer: Buffer, offset: int) -> None:
        span = (offset, offset + buffer.size_bytes)
        self.top = max(self.top, span[1])
        first = self._moments[buffer.first]
        insort(self._beginning, (first, *span))
        for node in self._nodes(first, self._moments[buffer.last]):
            self._living.setdefault(node, []).append(span)

    def together_with(self, buffer: Buffer) -> list[tuple[int, int]]:
        """Offset and end of all that shares a moment with *buffer*, in order of the offsets."""
        first, last = self._moments[buffer.first], self._moments[buffer.last]
        found: list[tuple[int, int]] = []
        node = first + self._leaves
        while node:
            found += self._living.get(node, ())
            node >>= 1
        begin = bisect_right(self._beginning, first, key=_moment)
        end = bisect_right(self._beginning, last, key=_moment)
        found += [(offset, stop) for _, offset, stop in self._beginning[begin:end]]
        found.sort()
        return found

    def _nodes(self, first: int, last: int) -> Iterator[int]:
        """The nodes of the tree that together cover first to last."""
        low, high = first + self._leaves, last + self._leaves + 1
        while low < high:
            if low & 1:
                yield low
                low += 1
            if high & 1:
                high -= 1
                yield high
            low >>= 1
            high >>= 1


def _moment(entry: tuple[int, int, int]) -> int:
    return entry[0]
