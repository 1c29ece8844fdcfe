"""Models and arenas against boards, before anything is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from platformio_tflm.core.boards import Board, find_board, known_board_ids
from platformio_tflm.core.fit import Need, Terms, nearest_boards, no_room_error, room_on
from platformio_tflm.core.report.room import BoardCheck
from platformio_tflm.errors import LimitExceededError
from platformio_tflm.pipeline import UNSURE_METHODS, PlannedModel, RuntimeChoice
from platformio_tflm.settings import Limit, Settings


def need_of(models: Sequence[PlannedModel], *, with_arena: bool) -> Need:
    """What any program with these models takes; an arena that models share counts once."""
    arenas = {model.source.arena_name: model.arena_bytes for model in models} if with_arena else {}
    return Need(sum(model.model.size_bytes for model in models), sum(arenas.values()))


def terms_of(settings: Settings, *, elsewhere: bool = False) -> Terms:
    """What the settings allow on the project's own board, or *elsewhere*: limits in bytes are about one board."""
    flash, sram = (
        Limit(percent=100.0) if elsewhere and limit.size_bytes is not None else limit
        for limit in (settings.max_flash, settings.max_sram)
    )
    return Terms(flash.of, sram.of, settings.tight_bytes, settings.reserve)


class NoRoom(NamedTuple):
    """stops: whether nothing is to be compiled; else the error is a warning."""

    error: LimitExceededError
    stops: bool


def no_room(models: Sequence[PlannedModel], runtime: RuntimeChoice, settings: Settings, board: Board) -> NoRoom | None:
    """What to say if models and arenas alone do not fit the board, whatever else the program holds.

    A model and its arena that are too large by themselves stop the build. Where only all of them together are, it goes
    on: what the program does not use is not linked.
    """
    with_arena, terms = runtime.kind == "tflm", terms_of(settings)
    need = need_of(models, with_arena=with_arena)
    room = room_on(board, need, terms)
    if room.fits:
        return None
    hopeless = any(not room_on(board, need_of([model], with_arena=with_arena), terms).fits for model in models)
    stops = hopeless and settings.over_limit == "error"
    nearest = nearest_boards(board, need, terms_of(settings, elsewhere=True), map(find_board, known_board_ids()))
    error = no_room_error(
        room,
        nearest,
        models=[model.path for model in models],
        arena_is_sure=not any(model.arena_method in UNSURE_METHODS for model in models),
        hopeless=hopeless,
        stops=stops,
    )
    return NoRoom(error, stops)


def check_boards(
    models: Sequence[PlannedModel], settings: Settings, board: Board | None, *, all_boards: bool
) -> BoardCheck:
    """The models and an arena for each of them against *board*, all known boards, or both."""
    need = need_of(models, with_arena=True)
    known = [find_board(board_id) for board_id in known_board_ids()]
    chosen = room_on(board, need, terms_of(settings)) if board else None
    terms = terms_of(settings, elsewhere=True)
    others = [entry for entry in known if all_boards and (board is None or entry.id != board.id)]
    others.sort(key=lambda entry: (entry.sram_limit_bytes, entry.program_limit_bytes, entry.id))
    nearest = nearest_boards(board, need, terms, known) if board and chosen and not chosen.fits else ()
    rooms = [room_on(entry, need, terms) for entry in others]
    return BoardCheck(chosen, (*([chosen] if chosen else []), *rooms), nearest)
