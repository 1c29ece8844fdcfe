"""The limits: how flash and SRAM stand against them, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from platformio_tflm.core.boards import Board
from platformio_tflm.core.budget import state_of
from platformio_tflm.core.memory import Usage
from platformio_tflm.core.report import FlashUse, MemoryUse, Message, Report, SramUse, Status
from platformio_tflm.errors import LimitExceededError
from platformio_tflm.settings import Settings

_LARGEST_SHOWN = 3


def memory_use(usage: Usage, board: Board, settings: Settings, reserved_bytes: int) -> MemoryUse:
    return MemoryUse(
        FlashUse(usage.flash_used_bytes, settings.max_flash.of(board.program_limit_bytes)),
        SramUse(usage.sram_used_bytes, reserved_bytes, settings.max_sram.of(board.sram_limit_bytes)),
    )


class LimitState(NamedTuple):
    """How one memory stands: what is left of it, and with less than what it is tight."""

    memory: str
    left_bytes: int
    tight_bytes: int

    @property
    def state(self) -> Status:
        return state_of(self.left_bytes, self.tight_bytes)


def limit_states(memory: MemoryUse, settings: Settings) -> tuple[LimitState, LimitState]:
    """Flash, SRAM."""
    flash, sram = memory.flash, memory.sram
    sram_left = sram.limit_bytes - sram.used_bytes - sram.reserved_bytes
    return (
        LimitState("flash", flash.limit_bytes - flash.used_bytes, settings.tight_bytes(flash.limit_bytes)),
        LimitState("SRAM", sram_left, settings.tight_bytes(sram.limit_bytes)),
    )


def tight_messages(states: Iterable[LimitState]) -> list[Message]:
    return [
        Message(
            "warning",
            f"{each.memory} is tight: {each.left_bytes:,} bytes are left, less than the {each.tight_bytes:,} of "
            "custom_tflm_tight.",
        )
        for each in states
        if each.state is Status.TIGHT
    ]


def limit_messages(memory: MemoryUse, usage: Usage, settings: Settings) -> list[Message]:
    level = "error" if settings.over_limit == "error" else "warning"
    flash, sram = memory.flash, memory.sram
    messages = []
    if flash.used_bytes > flash.limit_bytes:
        text = _over("flash", f"{flash.used_bytes:,}", flash.used_bytes, flash.limit_bytes, usage)
        messages.append(Message(level, text))
    if sram.used_bytes + sram.reserved_bytes > sram.limit_bytes:
        asked = f"{sram.used_bytes:,} bytes and {sram.reserved_bytes:,} reserved"
        text = _over("SRAM", asked, sram.used_bytes + sram.reserved_bytes, sram.limit_bytes, usage)
        messages.append(Message(level, text))
    return messages


def _over(memory: str, asked: str, needed_bytes: int, limit_bytes: int, usage: Usage) -> str:
    largest = usage.largest_origins(memory.lower(), _LARGEST_SHOWN)
    takers = ", ".join(f"{_file_name(origin)} {size:,}" for origin, size in largest)
    return (
        f"{memory}: {asked} of {limit_bytes:,} bytes allowed, {needed_bytes - limit_bytes:,} too many. "
        f"Most is taken by {takers}."
    )


def _file_name(origin: str) -> str:
    return origin.replace("\\", "/").rpartition("/")[2]


def limit_error(report: Report) -> LimitExceededError | None:
    """The error that fails a build, if the report has one."""
    texts = [message.text for message in report.messages if message.level == "error"]
    if report.status is not Status.EXCEEDED or not texts:
        return None
    return LimitExceededError(
        " ".join(texts),
        where=report.board.id,
        hint="Take a smaller model, custom_tflm_optimize = size, or a larger board; "
        "custom_tflm_over_limit = warn builds all the same.",
    )
