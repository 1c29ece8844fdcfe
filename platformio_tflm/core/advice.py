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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from platformio_tflm.core.arena import Abi, ArenaPlan
from platformio_tflm.core.arena_operator import Kernels, KernelSet
from platformio_tflm.core.arena_report import described
from platformio_tflm.core.boards import Board
from platformio_tflm.core.foreign import shown
from platformio_tflm.core.memory import SHARED_KERNELS, Span, Usage
from platformio_tflm.core.model import Model, TensorType
from platformio_tflm.core.report import Category, MemoryUse, Message, RegionUse, Status

MOST = 5
LEAST_BYTES = 1024
LEAST_SHARE = 0.01
FINDING_SHARE = 0.2

# SPEED: instructions of an inference, counted on a Cortex-M4 with TFLM 90b983c; the least, the most and the median
# ratio. Reference kernels at -Os against -O2; at -O2, reference kernels against CMSIS-NN's, on six int8 models
# (hello_world, micro_speech, KWS, person_detect, VWW, AD01).
SIZE_LEVEL_RATIOS = (1.1, 7.3, 3.3)
CMSIS_NN_RATIOS = (1.5, 6.2, 4.2)

_REFERENCE = (KernelSet.REFERENCE, KernelSet.REFERENCE_2022, KernelSet.REFERENCE_2023)
# Those that were compared, and their like on cores with more vector instructions.
_FAST = {
    KernelSet.CMSIS_NN: "CMSIS-NN",
    KernelSet.CMSIS_NN_2023: "CMSIS-NN",
    KernelSet.CMSIS_NN_MVE: "CMSIS-NN",
}
_METHODS = {"exact": "exactly", "upper-bound": "as an upper bound", "estimate": "as an estimate"}
_FAST_OPERATORS = frozenset(
    ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SVDF", "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM")
)
_FAST_MEMBER = re.compile(
    r"(?:^|[/(])(?:arm_(?:nn_|convolve|depthwise_conv|fully_connected|svdf)|esp_nn_)|cmsis[-_]?nn"
)
_FAST_REASON = re.compile(r"CMSIS-NN|ESP-NN")
_CONVERSIONS = frozenset(("QUANTIZE", "DEQUANTIZE", "CAST"))
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

    def saving(self, memory: str, size_bytes: int, text: str) -> Iterator[_Advice]:
        """Advice that saves so many bytes, if they matter."""
        share = _share(size_bytes, self.limit(memory))
        if size_bytes >= LEAST_BYTES and (self.state(memory) is not Status.OK or share >= LEAST_SHARE):
            yield _Advice(memory, share, text)

    def finding(self, memory: str, size_bytes: int, text: str) -> Iterator[_Advice]:
        """Where so many bytes are, if they matter."""
        share = _share(size_bytes, self.limit(memory))
        if size_bytes >= LEAST_BYTES and (self.state(memory) is not Status.OK or share >= FINDING_SHARE):
            yield _Advice(memory, share, text, saves=False)


@dataclass(frozen=True)
class _Advice:
    """memory: "flash", "SRAM", or "time"; share: how much of the limit, or of the instructions, it is about."""

    memory: str
    share: float
    text: str
    saves: bool = True


def advise(situation: Situation) -> tuple[Message, ...]:
    """At most MOST messages of level "advice", the most valuable first."""
    found = [advice for adviser in _ADVISERS for advice in adviser(situation)]
    urgency = list(Status)
    found.sort(key=lambda advice: (-urgency.index(situation.state(advice.memory)), not advice.saves, -advice.share))
    return tuple(Message("advice", advice.text) for advice in found[:MOST])


def _unused_kernels(situation: Situation) -> Iterator[_Advice]:
    """A resolver with more operators than the models have, AllOpsResolver above all."""
    wanted = {name.upper() for model in situation.models for name in model.operators}
    apart = (use for use in situation.usage.operators if use.name != SHARED_KERNELS)
    unused = [use for use in apart if not _parts(use.name) & wanted]
    if not situation.models or not unused:
        return
    size_bytes = sum(use.flash_bytes for use in unused)
    count = f"{len(unused)} operator{'s' if len(unused) > 1 else ''}"
    largest = ", ".join(f"{use.name} {use.flash_bytes:,}" for use in unused[:3])
    yield from situation.saving(
        "flash",
        size_bytes,
        f"Kernels of {count} that no model has take {size_bytes:,} bytes of flash ({largest}). Register the "
        f"models' own operators alone: {situation.models[0].name}_op_resolver.h has them.",
    )


def _parts(name: str) -> set[str]:
    return {part.upper() for part in name.split("/")}


def _shared_arena(situation: Situation) -> Iterator[_Advice]:
    linked = [model for model in situation.models if model.arena_address is not None]
    if not situation.may_share or situation.abi is None or len(linked) < 2:
        return
    apart = sum(model.arena_bytes for model in linked)
    # Together they need the largest head and every tail: planning it is only worth its time if that could matter.
    heads = [model.plan.head_bytes for model in linked]
    if not list(situation.saving("SRAM", sum(heads) - max(heads), "")):
        return
    from platformio_tflm.core.shared_arena import Tenant, exposed_variable, plan_tenants  # noqa: PLC0415 - seldom

    if any(exposed_variable(model.model) is not None for model in linked):
        return
    tenants = [Tenant(model.model, model.measured_bytes) for model in linked]
    together = plan_tenants(tenants, situation.kernels, situation.abi).size_bytes
    yield from situation.saving(
        "SRAM",
        apart - together,
        f"One arena for all {len(linked)} models takes {together:,} bytes where theirs take {apart:,}: "
        f"custom_tflm_shared_arena = yes saves {apart - together:,} bytes of SRAM.",
    )


def _oversized_arena(situation: Situation) -> Iterator[_Advice]:
    """An arena set by hand to more than what is planned, or was measured."""
    for model in situation.models:
        need = model.measured_bytes or model.plan.size_bytes
        if not model.set_by_user or model.arena_address is None:
            continue
        how = "measured" if model.measured_bytes else f"planned, {_METHODS.get(model.plan.method, model.plan.method)}"
        yield from situation.saving(
            "SRAM",
            model.arena_bytes - need,
            f"custom_tflm_arena gives {model.name} {model.arena_bytes:,} bytes where {need:,} are {how}: leaving the "
            f"option out saves {model.arena_bytes - need:,} bytes of SRAM.",
        )


def _constant_in_sram(situation: Situation) -> Iterator[_Advice]:
    size_bytes = sum(s.sram_bytes for s in situation.usage.spans if s.verdict.category is Category.MODEL)
    section = next(
        (s.section for s in situation.usage.spans if s.verdict.category is Category.MODEL and s.sram_bytes), ""
    )
    what = f"{size_bytes:,} bytes of the models' data lie in SRAM (section {section}), though they never change."
    how = "Its linker script should place .rodata in flash."
    if situation.board.core.lower().startswith("avr"):
        how = "An AVR reads constants from SRAM alone; a board that maps flash among its addresses saves them."
    yield from situation.saving("SRAM", size_bytes, f"{what} {how}")


def _slow_memory(situation: Situation) -> Iterator[_Advice]:
    """An arena in external memory although the chip's own has room for it."""
    left = situation.sram_left_bytes
    for model in situation.models:
        region = _region_at(situation.usage.regions, model.arena_address)
        if region and region.kind == "psram" and model.arena_bytes <= left:
            yield _Advice(
                "time",
                _share(model.arena_bytes, situation.memory.sram.limit_bytes),
                f"The arena of {model.name}, {model.arena_bytes:,} bytes, lies in external memory ({region.name}), "
                f"which every operator reads and writes; the chip's own SRAM has {left:,} bytes left for it.",
            )
    for model in situation.models:
        region = _region_at(situation.usage.regions, model.data_address)
        if region and region.kind == "psram":
            yield _Advice(
                "time",
                0.0,
                f"The data of model {model.name}, {model.model.size_bytes:,} bytes that never change, lies in external "
                f"memory ({region.name}): in flash it takes none of it.",
            )


def _spare_bank(situation: Situation) -> Iterator[_Advice]:
    """A bank of SRAM outside the limit with room for an arena, where SRAM is short; the largest arena that fits."""
    if situation.sram_state is Status.OK:
        return
    regions = situation.usage.regions
    homes = [(model, _region_at(regions, model.arena_address)) for model in situation.models]
    movable = [model for model, home in homes if home and home.kind in ("sram", "dtcm")]
    for model in sorted(movable, key=lambda model: -model.arena_bytes):
        for region in regions:
            free = region.length_bytes - region.used_bytes
            if region.kind == "ccm" and free >= model.arena_bytes:
                text = (
                    f"{region.name} has {free:,} bytes free, which do not count as SRAM: the arena of {model.name}, "
                    f"{model.arena_bytes:,} bytes, fits there (in the linker script, .bss.{model.name}_arena)."
                )
                yield from situation.saving("SRAM", model.arena_bytes, text)
                return


def _region_at(regions: Iterable[RegionUse], address: int | None) -> RegionUse | None:
    if address is None:
        return None
    return next((r for r in regions if r.origin <= address < r.origin + r.length_bytes), None)


def _size_level(situation: Situation) -> Iterator[_Advice]:
    """Reference kernels at PlatformIO's own -Os."""
    if not situation.library or situation.level != "-Os" or situation.has_fast_kernels:
        return
    if situation.flash_state is not Status.OK or not situation.flash_of(Category.TFLM_KERNELS):
        return
    least, most, median = SIZE_LEVEL_RATIOS
    yield _Advice(
        "time",
        1 - 1 / median,
        f"{situation.library} is compiled with -Os: its reference kernels then take {least} to {most} times the "
        f"instructions of -O2, {median} times in the middle (measured on a Cortex-M4). custom_tflm_optimize = speed "
        f"compiles the library alone with -O2; its {situation.library_bytes:,} bytes of flash will grow.",
    )


def _speed_level(situation: Situation) -> Iterator[_Advice]:
    """A library compiled for speed where flash is short."""
    if situation.flash_state is Status.OK or situation.level not in ("-O2", "-O3", "-Ofast"):
        return
    size_bytes = situation.library_bytes
    text = (
        f"{situation.library} takes {size_bytes:,} bytes of flash, compiled with {situation.level}: "
        "custom_tflm_optimize = size compiles it with -Os."
    )
    yield from situation.finding("flash", size_bytes, text)


def _fast_kernels(situation: Situation) -> Iterator[_Advice]:
    """The library may link CMSIS-NN's kernels, but the map shows none."""
    sets = [kernels.usual if isinstance(kernels, Kernels) else kernels for kernels in situation.kernels]
    name = next((_FAST[kernel_set] for kernel_set in sets if kernel_set in _FAST), "")
    if not situation.library or not name or situation.has_fast_kernels:
        return
    served = sum(_served(model) for model in situation.models)
    if not served:
        return
    least, most, median = CMSIS_NN_RATIOS
    yield _Advice(
        "time",
        1 - 1 / median,
        f"{situation.library} has {name}'s kernels, but none is linked: {served} int8 operators of the models run "
        f"reference kernels, which took {least} to {most} times the instructions, {median} times in the middle (six "
        "models on a Cortex-M4). Compile the library's cmsis_nn folder in place of theirs, with -DCMSIS_NN.",
    )


def _served(model: LinkedModel) -> int:
    """Operators that CMSIS-NN has int8 kernels for."""
    return sum(
        operator.code.name in _FAST_OPERATORS
        and bool(operator.outputs)
        and graph.tensors[operator.outputs[0]].type is TensorType.INT8
        for graph in model.model.subgraphs
        for operator in graph.operators
    )


def _float_without_unit(situation: Situation) -> Iterator[_Advice]:
    """A manifest does not tell of floating-point units, a board file does."""
    if situation.board.fpu or not situation.board.regions:
        return
    for model in situation.models:
        count, total = _float_operators(model.model), len(model.operators)
        if not count:
            continue
        weights = sum(
            tensor.buffer.size_bytes
            for graph in model.model.subgraphs
            for tensor in graph.tensors
            if tensor.type is TensorType.FLOAT32
        )
        saved = f" and saves about {weights * 3 // 4:,} of {weights:,} bytes of weights" if weights else ""
        yield _Advice(
            "time",
            _share(count, total),
            f"{count} of {total} operators of {model.name} compute in float32, which {situation.board.core} does in "
            f"software: it has no floating-point unit. Converted to int8, the model needs none{saved}.",
        )


def _float_operators(model: Model) -> int:
    return sum(
        operator.code.name not in _CONVERSIONS
        and any(graph.tensors[index].type is TensorType.FLOAT32 for index in operator.outputs if index >= 0)
        for graph in model.subgraphs
        for operator in graph.operators
    )


def _largest_operator(situation: Situation) -> Iterator[_Advice]:
    wanted = {name.upper() for model in situation.models for name in model.operators}
    used = [use for use in situation.usage.operators if _parts(use.name) & wanted]
    if not used:
        return
    largest = max(used, key=lambda use: use.flash_bytes)
    kernels = sum(use.flash_bytes for use in situation.usage.operators)
    nodes = [
        (model.name, sum(name.upper() in _parts(largest.name) for name in model.operators))
        for model in situation.models
    ]
    by_whom = ", ".join(f"{count} in {name}" for name, count in nodes if count)
    yield from situation.finding(
        "flash",
        largest.flash_bytes,
        f"{largest.name} takes most flash of all operators: {largest.flash_bytes:,} bytes, "
        f"{_percent(largest.flash_bytes, kernels)} of theirs and "
        f"{_percent(largest.flash_bytes, situation.limit('flash'))} of the limit. Nodes: {by_whom}; "
        "only a model without any does without its kernel.",
    )


def _largest_library(situation: Situation) -> Iterator[_Advice]:
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
            f"{_percent(size_bytes, situation.limit(memory))} of the limit; most of it is in {member}, "
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


def _peak_buffer(situation: Situation) -> Iterator[_Advice]:
    """What the largest arena is so large for."""
    linked = [model for model in situation.models if model.arena_address is not None]
    if not linked:
        return
    model = max(linked, key=lambda model: model.arena_bytes)
    plan, peak = model.plan, model.plan.peak_scope
    living = [placement for placement in plan.placements if placement.first <= peak <= placement.last]
    if not living or plan.peak_operator is None:
        return
    buffer = described(max(living, key=lambda placement: placement.size_bytes), model.model)
    shape = "x".join(str(length) for length in buffer.shape[:6])
    what = f"{shown(buffer.name)} ({buffer.type} {shape})" if buffer.shape else shown(buffer.name)
    size_bytes = sum(placement.size_bytes for placement in living)
    where = f"operator {plan.peak_operator.operator}, {shown(plan.peak_operator.name)}"
    yield from situation.finding(
        "SRAM",
        size_bytes,
        f"The arena of {model.name}, {model.arena_bytes:,} bytes, is at its fullest in {where}: {size_bytes:,} bytes "
        f"live then, {buffer.size_bytes:,} of them ({_percent(buffer.size_bytes, size_bytes)}) in {what}. "
        "A smaller input or fewer channels there is what makes it smaller.",
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _percent(part: int, whole: int) -> str:
    return f"{100 * _share(part, whole):.1f} %"


_ADVISERS: tuple[Callable[[Situation], Iterator[_Advice]], ...] = (
    _unused_kernels,
    _shared_arena,
    _oversized_arena,
    _constant_in_sram,
    _spare_bank,
    _slow_memory,
    _size_level,
    _speed_level,
    _fast_kernels,
    _float_without_unit,
    _largest_operator,
    _largest_library,
    _peak_buffer,
)
