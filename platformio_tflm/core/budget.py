"""SRAM as a worksheet: what takes it, line by line, each with where the figure is from, and what remains.

The lines add up to the report's totals byte for byte: static data, arenas and the sections for stack and heap to what
the linker placed, the others to what is reserved beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from platformio_tflm.core.boards import Board, Reservation
from platformio_tflm.core.report import BudgetKind, BudgetLine, Category, SramBudget, Status

if TYPE_CHECKING:
    # Every build asks what is reserved; only one that links reads a map.
    from platformio_tflm.core.memory import Span

RESERVE_OPTION = "custom_tflm_reserve"

_STATIC_SOURCE = "variables of program, libraries and core"
_STACK_OR_HEAP = re.compile(r"stack|heap", re.IGNORECASE)


class ArenaPlace(NamedTuple):
    """An arena's array in the linked program. name: as the worksheet calls it."""

    name: str
    symbol: str
    address: int
    size_bytes: int

    def holds(self, address: int) -> bool:
        return self.address <= address < self.address + self.size_bytes


def state_of(left_bytes: int, tight_bytes: int) -> Status:
    """exceeded where nothing is left but a lack, tight where less than *tight_bytes* is left."""
    if left_bytes < 0:
        return Status.EXCEEDED
    return Status.TIGHT if left_bytes < tight_bytes else Status.OK


def worst(*states: Status) -> Status:
    return max(states, key=list(Status).index)


def reserved_lines(
    board: Board,
    reserve: Sequence[tuple[str, int]] = (),
    *,
    sections: Iterable[str] = (),
    archives: Iterable[str] = (),
) -> tuple[BudgetLine, ...]:
    """SRAM that the map cannot show: the board's figures, replaced or completed by the user's *reserve*.

    sections, archives: what the map shows (see ``Board.reserved``); without them, what is taken before any program is
    linked. A name that the user gives stays on top of a section of the map that the board knows under that name.
    """
    shown = frozenset(sections)
    replaced = dict(reserve)
    known = {entry.name: entry for entry in board.reservations}
    lines = [_board_line(board, entry) for entry in board.reserved(shown, archives) if entry.name not in replaced]
    lines += [
        BudgetLine(name, BudgetKind.RESERVED, size_bytes, _user_source(known.get(name), shown))
        for name, size_bytes in replaced.items()
    ]
    return tuple(lines)


def _board_line(board: Board, entry: Reservation) -> BudgetLine:
    return BudgetLine(entry.name, BudgetKind.RESERVED, entry.size_bytes, f"{board.source}: {entry.source}")


def _user_source(replaced: Reservation | None, sections: frozenset[str]) -> str:
    if replaced is None:
        return RESERVE_OPTION
    if replaced.section in sections:
        return f"{RESERVE_OPTION}, on top of section {replaced.section} of the map"
    return f"{RESERVE_OPTION}, instead of {replaced.size_bytes:,} in the board file"


def total_bytes(lines: Iterable[BudgetLine]) -> int:
    return sum(line.size_bytes for line in lines)


def sram_budget(
    spans: Sequence[Span],
    board: Board,
    reserved: Sequence[BudgetLine],
    *,
    arenas: Sequence[ArenaPlace],
    limit_bytes: int,
) -> SramBudget:
    """The worksheet. spans: every byte that the linker placed; reserved: what comes on top; limit_bytes: for both."""
    arena_bytes = dict.fromkeys(arenas, 0)
    section_bytes: dict[str, int] = {}
    static_bytes = 0
    for span in spans:
        arena = _arena_of(span, arenas)
        if arena is not None:
            arena_bytes[arena] += span.sram_bytes
        elif span.sram_bytes and _is_stack_or_heap(span.section, board):
            section_bytes[span.section] = section_bytes.get(span.section, 0) + span.sram_bytes
        else:
            static_bytes += span.sram_bytes
    lines = [BudgetLine("static data", BudgetKind.STATIC, static_bytes, _STATIC_SOURCE)]
    lines += [_arena_line(arena, size_bytes) for arena, size_bytes in arena_bytes.items()]
    lines += [_section_line(section, size_bytes, board) for section, size_bytes in section_bytes.items()]
    lines = [line for line in (*lines, *reserved) if line.size_bytes]
    return SramBudget(tuple(lines), limit_bytes - total_bytes(lines))


def _arena_of(span: Span, arenas: Sequence[ArenaPlace]) -> ArenaPlace | None:
    if span.verdict.category is not Category.ARENA:
        return None
    return next((arena for arena in arenas if arena.holds(span.address)), None)


def _is_stack_or_heap(section: str, board: Board) -> bool:
    if not section:
        return False
    return bool(_STACK_OR_HEAP.search(section)) or any(entry.section == section for entry in board.reservations)


def _arena_line(arena: ArenaPlace, size_bytes: int) -> BudgetLine:
    return BudgetLine(arena.name, BudgetKind.ARENA, size_bytes, f"variable {arena.symbol}")


def _section_line(section: str, size_bytes: int, board: Board) -> BudgetLine:
    entries = [entry for entry in board.reservations if entry.section == section]
    name = " and ".join(dict.fromkeys(entry.name for entry in entries)) or section.lstrip("._")
    source = f"section {section} of the map"
    if entries:
        source += f"; {board.source}: {entries[0].source}"
    return BudgetLine(name, BudgetKind.SECTION, size_bytes, source)
