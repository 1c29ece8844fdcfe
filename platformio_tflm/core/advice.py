"""What a user can do about memory and speed, from the figures of this very firmware.

Each adviser looks for one thing, and says nothing unless its figure matters:

- What saves memory: at least LEAST_BYTES, and while that memory is not tight at least LEAST_SHARE of its limit.
- Where memory goes: while it is not tight, at least FINDING_SHARE of its limit.
- What saves time: where measurements of ours say by how much (see SPEED below).

First comes what helps a memory that is exceeded, then one that is tight, then the rest; of these what saves before
what only finds, the larger share first. No more than MOST are given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from platformio_tflm.core.boards import Board
from platformio_tflm.core.memory import Span, Usage
from platformio_tflm.core.report import Category, MemoryUse, Message, Status

if TYPE_CHECKING:
    # A report without models is to be had without the planner, which takes a while to load.
    from platformio_tflm.core.arena import Abi, ArenaPlan
    from platformio_tflm.core.arena_operator import Kernels, KernelSet
    from platformio_tflm.core.model import Model

MOST = 5
LEAST_BYTES = 1024
LEAST_SHARE = 0.01
FINDING_SHARE = 0.2

# SPEED: instructions of an inference, counted on a Cortex-M4 with TFLM 90b983c; the least, the most and the median
# ratio. Reference kernels at -Os against -O2; at -O2, reference kernels against CMSIS-NN's, on six int8 models
# (hello_world, micro_speech, KWS, person_detect, VWW, AD01).
SIZE_LEVEL_RATIOS = (1.1, 7.3, 3.3)
CMSIS_NN_RATIOS = (1.5, 6.2, 4.2)

_FAST_MEMBER = re.compile(
    r"(?:^|[/(])(?:arm_(?:nn_|convolve|depthwise_conv|fully_connected|svdf)|esp_nn_)|cmsis[-_]?nn"
)
_FAST_REASON = re.compile(r"CMSIS-NN|ESP-NN")
_NOBODYS = (Category.MODEL, Category.ARENA, Category.PADDING)


@dataclass(frozen=True)
class LinkedModel:
    """A model of the firmware.

    arena_bytes: as reserved; set_by_user: by custom_tflm_arena. measured_bytes: the smallest arena that was seen to
    do, None where none was measured.
    data_address, arena_address: None where it is not linked.
    """

    name: str
    model: Model
    plan: ArenaPlan
    arena_bytes: int
    set_by_user: bool = False
    measured_bytes: int | None = None
    data_address: int | None = None
    arena_address: int | None = None

    @property
    def operators(self) -> list[str]:
        return [operator.code.name for graph in self.model.subgraphs for operator in graph.operators]


@dataclass(frozen=True)
class Situation:
    """All that advice is computed from.

    flash_state, sram_state: how the limits stand. library: the linked TFLM library, "" where there is none; level:
    what its files are compiled with; kernels: what it may link, empty without one. may_share: whether its models could
    share an arena and do not.
    """

    usage: Usage
    board: Board
    memory: MemoryUse
    flash_state: Status
    sram_state: Status
    models: tuple[LinkedModel, ...] = ()
    library: str = ""
    level: str = ""
    kernels: tuple[Kernels | KernelSet, ...] = ()
    abi: Abi | None = None
    may_share: bool = False

    @property
    def sram_left_bytes(self) -> int:
        sram = self.memory.sram
        return sram.limit_bytes - sram.used_bytes - sram.reserved_bytes

    @cached_property
    def has_fast_kernels(self) -> bool:
        """Whether the map shows functions of CMSIS-NN or ESP-NN."""
        return any(
            _FAST_REASON.search(span.verdict.reason) or (span.source and _FAST_MEMBER.search(span.source.member))
            for span in self.usage.spans
            if span.verdict.category is Category.TFLM_KERNELS
        )

    def flash_of(self, category: Category) -> int:
        return sum(use.flash_bytes for use in self.usage.categories if use.name == category.value)

    @property
    def library_bytes(self) -> int:
        """Flash of the TFLM library."""
        return self.flash_of(Category.TFLM_KERNELS) + self.flash_of(Category.TFLM_CORE)

    def limit(self, memory: str) -> int:
        return self.memory.flash.limit_bytes if memory == "flash" else self.memory.sram.limit_bytes

    def state(self, memory: str) -> Status:
        return {"flash": self.flash_state, "SRAM": self.sram_state}.get(memory, Status.OK)

    def saving(self, memory: str, size_bytes: int, text: str) -> Iterator[Advice]:
        """Advice that saves so many bytes, if they matter."""
        share = share_of(size_bytes, self.limit(memory))
        if size_bytes >= LEAST_BYTES and (self.state(memory) is not Status.OK or share >= LEAST_SHARE):
            yield Advice(memory, share, text)

    def finding(self, memory: str, size_bytes: int, text: str) -> Iterator[Advice]:
        """Where so many bytes are, if they matter."""
        share = share_of(size_bytes, self.limit(memory))
        if size_bytes >= LEAST_BYTES and (self.state(memory) is not Status.OK or share >= FINDING_SHARE):
            yield Advice(memory, share, text, saves=False)


@dataclass(frozen=True)
class Advice:
    """memory: "flash", "SRAM", or "time"; share: how much of the limit, or of the instructions, it is about."""

    memory: str
    share: float
    text: str
    saves: bool = True


def advise(situation: Situation) -> tuple[Message, ...]:
    """At most MOST messages of level "advice", the most valuable first."""
    advisers = _ADVISERS
    if situation.models:
        from platformio_tflm.core.advice_models import MODEL_ADVISERS  # noqa: PLC0415 - see above

        advisers = (*MODEL_ADVISERS, *advisers)
    found = [advice for adviser in advisers for advice in adviser(situation)]
    urgency = list(Status)
    found.sort(key=lambda advice: (-urgency.index(situation.state(advice.memory)), not advice.saves, -advice.share))
    return tuple(Message("advice", advice.text) for advice in found[:MOST])


def _constant_in_sram(situation: Situation) -> Iterator[Advice]:
    size_bytes = sum(s.sram_bytes for s in situation.usage.spans if s.verdict.category is Category.MODEL)
    section = next(
        (s.section for s in situation.usage.spans if s.verdict.category is Category.MODEL and s.sram_bytes), ""
    )
    what = f"{size_bytes:,} bytes of the models' data lie in SRAM (section {section}), though they never change."
    how = "Its linker script should place .rodata in flash."
    if situation.board.reads_constants_from_sram:
        how = "An AVR reads constants from SRAM alone; a board that maps flash among its addresses saves them."
    yield from situation.saving("SRAM", size_bytes, f"{what} {how}")


def _size_level(situation: Situation) -> Iterator[Advice]:
    """Reference kernels at PlatformIO's own -Os."""
    if not situation.library or situation.level != "-Os" or situation.has_fast_kernels:
        return
    if situation.flash_state is not Status.OK or not situation.flash_of(Category.TFLM_KERNELS):
        return
    least, most, median = SIZE_LEVEL_RATIOS
    yield Advice(
        "time",
        1 - 1 / median,
        f"{situation.library} is compiled with -Os: its reference kernels then take {least} to {most} times the "
        f"instructions of -O2, {median} times in the middle (measured on a Cortex-M4). custom_tflm_optimize = speed "
        f"compiles the library alone with -O2; its {situation.library_bytes:,} bytes of flash will grow.",
    )


def _speed_level(situation: Situation) -> Iterator[Advice]:
    """A library compiled for speed where flash is short."""
    if situation.flash_state is Status.OK or situation.level not in ("-O2", "-O3", "-Ofast"):
        return
    size_bytes = situation.library_bytes
    text = (
        f"{situation.library} takes {size_bytes:,} bytes of flash, compiled with {situation.level}: "
        "custom_tflm_optimize = size compiles it with -Os."
    )
    yield from situation.finding("flash", size_bytes, text)


def _largest_library(situation: Situation) -> Iterator[Advice]:
    for memory in ("flash", "SRAM"):
        sizes: dict[str, int] = {}
        for span in situation.usage.spans:
            size = span.flash_bytes if memory == "flash" else span.sram_bytes
            if size and span.source and span.source.archive and span.verdict.category not in _NOBODYS:
                sizes[span.source.archive] = sizes.get(span.source.archive, 0) + size
        if not sizes:
            continue
        archive, size_bytes = min(sizes.items(), key=lambda item: (-item[1], item[0]))
        member, member_bytes = _largest_member(situation.usage.spans, archive, memory)
        yield from situation.finding(
            memory,
            size_bytes,
            f"{_file_name(archive)} takes most {memory} of all libraries: {size_bytes:,} bytes, "
            f"{percent(size_bytes, situation.limit(memory))} of the limit; most of it is in {member}, "
            f"{member_bytes:,} bytes. Its own settings are where to look.",
        )


def _largest_member(spans: Sequence[Span], archive: str, memory: str) -> tuple[str, int]:
    sizes: dict[str, int] = {}
    for span in spans:
        if span.source and span.source.archive == archive:
            size = span.flash_bytes if memory == "flash" else span.sram_bytes
            sizes[span.source.member] = sizes.get(span.source.member, 0) + size
    return min(sizes.items(), key=lambda item: (-item[1], item[0]))


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def share_of(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def percent(part: int, whole: int) -> str:
    return f"{100 * share_of(part, whole):.1f} %"


_ADVISERS: tuple[Callable[[Situation], Iterator[Advice]], ...] = (
    _constant_in_sram,
    _size_level,
    _speed_level,
    _largest_library,
)
