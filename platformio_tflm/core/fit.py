"""Models and arenas against boards, before any program is linked: does it fit, what is left, which board would do.

What is counted is what every program with these models must have: the models' bytes in flash, their arenas and what
is reserved in SRAM. Who does not fit here cannot fit; who fits still needs room for the program itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from platformio_tflm.core.boards import Board
from platformio_tflm.core.budget import reserved_lines, state_of, total_bytes, worst
from platformio_tflm.core.report import Status
from platformio_tflm.core.report.room import BoardRoom
from platformio_tflm.errors import LimitExceededError

NEAREST_SHOWN = 3

# The id of a board that only exists in QEMU begins so (boards/README.md).
EMULATED_PREFIX = "emu_"

# Cores whose names begin alike run the same programs after a new compilation, with the same kernels of a library.
_FAMILIES = ("cortex-m", "xtensa-", "rv32", "rv64", "avr")


@dataclass(frozen=True)
class Need:
    """Bytes of flash that the models take, and of SRAM that their arenas take."""

    model_bytes: int
    arena_bytes: int


@dataclass(frozen=True)
class Terms:
    """What a project allows a program on any board.

    flash_limit, sram_limit: bytes of the board -> bytes that may be used. tight: bytes that may be used -> with less
    than how many left it is tight. reserve: the user's own lines.
    """

    flash_limit: Callable[[int], int]
    sram_limit: Callable[[int], int]
    tight: Callable[[int], int]
    reserve: tuple[tuple[str, int], ...] = ()


def room_on(board: Board, need: Need, terms: Terms) -> BoardRoom:
    """What *board* has left when it holds *need*."""
    flash_limit = terms.flash_limit(board.program_limit_bytes)
    sram_limit = terms.sram_limit(board.sram_limit_bytes)
    reserved_bytes = total_bytes(reserved_lines(board, terms.reserve))
    flash_left = flash_limit - need.model_bytes
    # An array that no interpreter reads lies in .progmem, and stays in flash.
    model_sram_bytes = need.model_bytes if need.arena_bytes and board.reads_constants_from_sram else 0
    sram_left = sram_limit - reserved_bytes - need.arena_bytes - model_sram_bytes
    return BoardRoom(
        board=board.id,
        name=board.name,
        flash_limit_bytes=flash_limit,
        sram_limit_bytes=sram_limit,
        reserved_bytes=reserved_bytes,
        model_bytes=need.model_bytes,
        arena_bytes=need.arena_bytes,
        flash_left_bytes=flash_left,
        sram_left_bytes=sram_left,
        status=worst(state_of(flash_left, terms.tight(flash_limit)), state_of(sram_left, terms.tight(sram_limit))),
        model_sram_bytes=model_sram_bytes,
    )


def nearest_boards(
    board: Board, need: Need, terms: Terms, known: Iterable[Board], count: int = NEAREST_SHOWN
) -> tuple[BoardRoom, ...]:
    """The boards of *known* that would do in place of *board*, the nearest first.

    Nearest: first those of the same core family (all Cortex-M, all Xtensa, ...) or the same vendor (the first word of
    the name), then all others; among these the least SRAM, then the least flash, then by id. What is tight already,
    with the program still to come, stands behind all that is not. Boards that only exist in an emulator are named to
    those alone whose own board is one.
    """
    emulated = board.id.startswith(EMULATED_PREFIX)
    others = [entry for entry in known if entry.id != board.id]
    allowed = [entry for entry in others if emulated or not entry.id.startswith(EMULATED_PREFIX)]
    ordered = sorted(allowed, key=partial(_distance, board))
    rooms = [room for room in (room_on(entry, need, terms) for entry in ordered) if room.fits]
    return tuple(sorted(rooms, key=lambda room: room.status is Status.TIGHT)[:count])


def _distance(board: Board, other: Board) -> tuple[bool, int, int, str]:
    related = _vendor(board) == _vendor(other) or _family(board) == _family(other)
    return (not related, other.sram_limit_bytes, other.program_limit_bytes, other.id)


def _vendor(board: Board) -> str:
    return board.name.partition(" ")[0].lower()


def _family(board: Board) -> str:
    """Of a core that is in no family, its own name."""
    core = board.core.lower()
    return next((family for family in _FAMILIES if core.startswith(family)), core)


def no_room_error(  # noqa: PLR0913 - what is too large where, and how sure that is
    room: BoardRoom,
    nearest: Sequence[BoardRoom],
    *,
    models: Sequence[str],
    arena_is_sure: bool,
    hopeless: bool,
    stops: bool,
) -> LimitExceededError:
    """What to say where *room* has not enough for *models* (paths).

    arena_is_sure: whether all arenas are known exactly, measured, or set. hopeless: whether one of the models is too
    large by itself. stops: whether nothing is compiled then.
    """
    lines = ["Nothing was compiled: this cannot fit, whatever else the program holds."] if stops else []
    if not hopeless:
        lines.append("Each fits by itself, and only what the program uses is linked: the report has the last word.")
    lines.append(boards_in_words(nearest))
    if len(models) > 1:
        lines.append("custom_tflm_models names the models of an environment, if it does not use all of these.")
    if room.sram_left_bytes < 0 and room.arena_bytes and not arena_is_sure and not _is_all_reserved(room):
        lines.append("Not every arena is known exactly: `pio run -t tflm-arena` measures how much is needed.")
    if stops:
        lines.append("custom_tflm_over_limit = warn builds all the same.")
    return LimitExceededError(" ".join(_lacks(room, models)), where=room.board, hint="\n  ".join(lines))


def _is_all_reserved(room: BoardRoom) -> bool:
    return room.reserved_bytes > room.sram_limit_bytes


def boards_in_words(nearest: Sequence[BoardRoom]) -> str:
    """The boards that would do, a sentence, with what each has left."""
    if not nearest:
        return "None of the known boards would do (`platformio-tflm boards` lists them)."
    boards = "; ".join(
        f"{room.board} (left: flash {room.flash_left_bytes:,}, SRAM {room.sram_left_bytes:,})" for room in nearest
    )
    return f"Boards that would do, the nearest first: {boards}."


def _lacks(room: BoardRoom, models: Sequence[str]) -> list[str]:
    """What is too large for which memory, a sentence each."""
    several = len(models) > 1
    lacks = []
    if room.flash_left_bytes < 0:
        what = f"The {len(models)} models take" if several else f"The model {models[0]} takes"
        lacks.append(
            f"{what} {room.model_bytes:,} bytes of flash where {room.flash_limit_bytes:,} are allowed, "
            f"{-room.flash_left_bytes:,} too many."
        )
    if _is_all_reserved(room):
        lacks.append(
            f"{room.reserved_bytes:,} bytes of SRAM are reserved, by the board file or custom_tflm_reserve, where "
            f"{room.sram_limit_bytes:,} are allowed, {room.reserved_bytes - room.sram_limit_bytes:,} too many."
        )
    elif room.sram_left_bytes < 0:
        what = f"The arenas of {len(models)} models take" if several else f"The arena of {models[0]} takes"
        data = (
            f" and their data {room.model_sram_bytes:,}, which an AVR reads from SRAM," if room.model_sram_bytes else ""
        )
        data = data if several or not data else data.replace("their", "its")
        beside = f" beside {room.reserved_bytes:,} that are reserved" if room.reserved_bytes else ""
        lacks.append(
            f"{what} {room.arena_bytes:,} bytes of SRAM{data}{beside} where {room.sram_limit_bytes:,} are allowed, "
            f"{-room.sram_left_bytes:,} too many."
        )
    return lacks
