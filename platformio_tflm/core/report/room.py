"""Models and arenas against boards, before anything is linked (core/fit.py)."""

from __future__ import annotations

from dataclasses import dataclass

from platformio_tflm.core.report import Status


@dataclass(frozen=True)
class BoardRoom:
    """What a board has for models and their arenas, before any program is linked.

    board: its id. The limits are those of the project, if it has set any; reserved_bytes: SRAM that no program gets;
    model_sram_bytes: SRAM that the models' data takes, on a core that reads constants from there alone.
    flash_left_bytes, sram_left_bytes: what is left for the program; below zero where models or arenas alone are too
    large. status: tight as in a report, though the program is still to come.
    """

    board: str
    name: str
    flash_limit_bytes: int
    sram_limit_bytes: int
    reserved_bytes: int
    model_bytes: int
    arena_bytes: int
    flash_left_bytes: int
    sram_left_bytes: int
    status: Status
    model_sram_bytes: int = 0

    @property
    def fits(self) -> bool:
        return self.status is not Status.EXCEEDED


@dataclass(frozen=True)
class BoardCheck:
    """What `platformio-tflm check` found.

    chosen: the board that was asked about, None where none was. boards: all that were asked about, the chosen one
    first. nearest: known boards that would do in its place, the nearest first; empty where it does.
    """

    chosen: BoardRoom | None
    boards: tuple[BoardRoom, ...]
    nearest: tuple[BoardRoom, ...] = ()
