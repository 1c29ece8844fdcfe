"""After the link: map, ELF and images against the board -> Report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from platformio_tflm.core.advice import LinkedModel, Situation, advise
from platformio_tflm.core.boards import Board
from platformio_tflm.core.budget import ArenaPlace, reserved_lines, sram_budget, state_of, total_bytes, worst
from platformio_tflm.core.categories import Origins
from platformio_tflm.core.elf import ElfImage, read_elf
from platformio_tflm.core.images import ImageProof, Outcome, load_address_of, require_same, verify_elf, verify_hex
from platformio_tflm.core.map_model import LinkMap
from platformio_tflm.core.mapfile import parse_map
from platformio_tflm.core.memory import ModelSymbols, Usage, measure_memory
from platformio_tflm.core.model import Tensor
from platformio_tflm.core.report import (
    ArenaInfo,
    BoardInfo,
    BudgetLine,
    FlashUse,
    MemoryUse,
    Message,
    ModelInfo,
    OperatorUse,
    ProjectInfo,
    Report,
    RuntimeInfo,
    SramUse,
    Status,
    TensorInfo,
    ToolInfo,
)
from platformio_tflm.errors import LimitExceededError, TflmError
from platformio_tflm.pipeline import DATA_ONLY, PlannedModel, RuntimeChoice
from platformio_tflm.settings import Settings

_LARGEST_SHOWN = 3


@dataclass(frozen=True)
class LinkedFiles:
    """The linker's outputs as bytes, and what they are called in messages. hex: None where none is built."""

    elf: bytes
    map: bytes
    hex: bytes | None = None
    elf_name: str = "firmware.elf"
    map_name: str = "firmware.map"


@dataclass(frozen=True)
class Project:
    """What the report says about where the program comes from; origins: whose paths are whose."""

    environment: str
    build_type: str
    tool_version: str
    origins: Origins = field(default_factory=Origins)


def measure(  # noqa: PLR0913 - what was linked, on what, by which rules, from where, with what in it
    linked: LinkedFiles,
    board: Board,
    settings: Settings,
    project: Project,
    *,
    models: Sequence[PlannedModel] = (),
    runtime: RuntimeChoice = DATA_ONLY,
) -> Report:
    """Account for the linked program and hold it against the board.

    Errors: MapFileError and ElfError for unreadable files or a pair that does not belong together; TflmError when the
    image carries other bytes than a model's.
    """
    elf = _read(read_elf, linked.elf, linked.elf_name)
    link_map = _read(parse_map, linked.map, linked.map_name)
    infos, notes = _models(models, runtime, elf, linked)
    usage = measure_memory(link_map, elf, board, models=_symbols(models), origins=project.origins)
    reserved = _reserved(board, settings, link_map)
    memory = _memory(usage, board, settings, total_bytes(reserved))
    budget = sram_budget(usage.spans, board, reserved, arenas=_arenas(models, elf), limit_bytes=memory.sram.limit_bytes)
    states = _states(memory, settings)
    situation = Situation(
        usage=usage,
        board=board,
        memory=memory,
        flash_state=states[0].state,
        sram_state=states[1].state,
        models=tuple(_linked(model, elf) for model in models),
        library=runtime.library.library if runtime.library else "",
        level=runtime.optimize,
        kernels=runtime.kernels,
        abi=runtime.abi,
        may_share=_may_share(runtime, settings),
    )
    return Report(
        tool=ToolInfo("platformio-tflm", project.tool_version),
        project=ProjectInfo(project.environment, project.build_type),
        board=BoardInfo(board.id, board.name, board.source),
        runtime=describe_runtime(runtime),
        models=infos,
        memory=memory,
        image_bytes=usage.image_bytes,
        regions=usage.regions,
        categories=usage.categories,
        operators=usage.operators,
        status=worst(*(each.state for each in states)),
        messages=(
            *_board_notes(board),
            *notes,
            *advise(situation),
            *_limit_messages(memory, usage, settings),
            *_tight_messages(states),
        ),
        budget=budget,
    )


def _read(reader, data: bytes, name: str):  # type: ignore[no-untyped-def]
    try:
        return reader(data)
    except TflmError as error:
        raise error.located(name) from None


def _symbols(models: Iterable[PlannedModel]) -> tuple[ModelSymbols, ...]:
    # A shared arena is one symbol, which counts for the model whose object has it.
    return tuple(
        ModelSymbols(model.name, f"{model.name}_data", model.source.arena_name if model.source.defines_arena else None)
        for model in models
    )


def _models(
    models: Sequence[PlannedModel], runtime: RuntimeChoice, elf: ElfImage, linked: LinkedFiles
) -> tuple[tuple[ModelInfo, ...], list[Message]]:
    infos: list[ModelInfo] = []
    notes: list[Message] = []
    for model in models:
        proofs = _proofs(model, elf, linked)
        for proof in proofs:
            require_same(proof, model.path)
            if proof.outcome is not Outcome.SAME:
                notes.append(Message("note", f"{model.name}, {proof.image}: {proof.text}."))
        if runtime.kind == "tflm" and model.arena_method not in ("set", "measured"):
            notes += [Message("note", f"{model.name}, arena: {note}.") for note in model.plan.notes]
        notes += [Message("note", f"{model.name}, arena: {note}.") for note in model.notes]
        notes += [Message("warning", f"{model.name}, arena: {text}.") for text in model.warnings]
        infos.append(_placed(describe_model(model, with_arena=runtime.kind == "tflm"), proofs))
        notes += _alignment_warning(infos[-1])
    return tuple(infos), notes


def _proofs(model: PlannedModel, elf: ElfImage, linked: LinkedFiles) -> list[ImageProof]:
    """The ELF first; the .hex only where the ELF has the model, for its address comes from there."""
    in_elf = verify_elf(elf, f"{model.name}_data", model.model.data)
    proofs = [in_elf]
    if linked.hex is not None and in_elf.outcome is Outcome.SAME and in_elf.address is not None:
        load_address = load_address_of(elf, in_elf.address)
        if load_address is not None:
            proofs.append(verify_hex(linked.hex, load_address, model.model.data))
    return proofs


def _placed(info: ModelInfo, proofs: Sequence[ImageProof]) -> ModelInfo:
    same = tuple(proof for proof in proofs if proof.outcome is Outcome.SAME)
    if not same:
        return info
    verified = tuple(proof.image for proof in same)
    return replace(info, address=same[0].address, alignment=same[0].alignment, verified=verified)


def _alignment_warning(info: ModelInfo) -> list[Message]:
    if info.alignment is None or info.alignment >= 16:
        return []
    return [Message("warning", f"{info.name} is aligned to {info.alignment} bytes; TFLM wants 16.")]


def describe_model(model: PlannedModel, *, with_arena: bool = True) -> ModelInfo:
    """What is known of a model before anything is linked."""
    graph = model.model
    counts = Counter(
        (operator.code.name, operator.code.version) for subgraph in graph.subgraphs for operator in subgraph.operators
    )
    plan = model.plan
    # What the plan says was used is about the planned size, not about a size that the user set.
    arena = ArenaInfo(model.arena_bytes, plan.used_bytes, plan.head_bytes, plan.tail_bytes, model.arena_method)
    if model.measured:
        # How the measured bytes divide is only known where the plan has come to the same sum.
        agrees = model.measured.used_bytes == plan.head_bytes + plan.tail_bytes
        head_bytes, tail_bytes = (plan.head_bytes, plan.tail_bytes) if agrees else (None, None)
        used_bytes = model.measured.used_bytes
        arena = ArenaInfo(model.arena_bytes, used_bytes, head_bytes, tail_bytes, model.arena_method)
    return ModelInfo(
        name=model.name,
        path=model.path,
        sha256=model.sha256,
        size_bytes=graph.size_bytes,
        operators=tuple(OperatorUse(name, version, count) for (name, version), count in sorted(counts.items())),
        inputs=tuple(_tensor(tensor) for tensor in graph.inputs()),
        outputs=tuple(_tensor(tensor) for tensor in graph.outputs()),
        arena=arena if with_arena else None,
    )


def _tensor(tensor: Tensor) -> TensorInfo:
    quantization = tensor.quantization
    single = quantization is not None and len(quantization.scale) == 1
    return TensorInfo(
        name=tensor.name,
        type=tensor.type.name.lower(),
        shape=tensor.shape,
        scale=quantization.scale[0] if single and quantization else None,
        zero_point=quantization.zero_point[0] if single and quantization and quantization.zero_point else None,
        size_bytes=tensor.size_bytes,
    )


def describe_runtime(runtime: RuntimeChoice) -> RuntimeInfo:
    library = runtime.library
    if library is None:
        return RuntimeInfo(runtime.kind, "", "", "", "")
    return RuntimeInfo(runtime.kind, library.library, library.version, library.api, runtime.optimize)


def _memory(usage: Usage, board: Board, settings: Settings, reserved_bytes: int) -> MemoryUse:
    return MemoryUse(
        FlashUse(usage.flash_used_bytes, settings.max_flash.of(board.program_limit_bytes)),
        SramUse(usage.sram_used_bytes, reserved_bytes, settings.max_sram.of(board.sram_limit_bytes)),
    )


def _reserved(board: Board, settings: Settings, link_map: LinkMap) -> tuple[BudgetLine, ...]:
    """SRAM that this map cannot show."""
    sections = (section.name for section in link_map.sections if section.size_bytes)
    archives = {row.archive for section in link_map.sections for row in section.inputs if row.archive}
    return reserved_lines(board, settings.reserve, sections=sections, archives=archives)


def _arenas(models: Sequence[PlannedModel], elf: ElfImage) -> list[ArenaPlace]:
    """The arenas that the program holds; a shared one stands for the model whose object has it."""
    owners = [model for model in models if model.source.defines_arena]
    found = [(model, elf.symbol(model.source.arena_name)) for model in owners]
    return [
        ArenaPlace(_arena_title(model), symbol.name, symbol.address, symbol.size_bytes)
        for model, symbol in found
        if symbol is not None and symbol.size_bytes
    ]


def _arena_title(model: PlannedModel) -> str:
    return "arena of all models" if model.shared_arena else f"arena {model.name}"


def _linked(model: PlannedModel, elf: ElfImage) -> LinkedModel:
    data, arena = elf.symbol(f"{model.name}_data"), elf.symbol(model.source.arena_name)
    return LinkedModel(
        name=model.name,
        model=model.model,
        plan=model.plan,
        arena_bytes=model.arena_bytes,
        # A shared arena is no model's own: what one of them needs says nothing about its size.
        set_by_user=model.arena_method == "set" and model.shared_arena is None,
        measured_bytes=model.measured.arena_bytes if model.measured else None,
        data_address=data.address if data and data.size_bytes else None,
        arena_address=arena.address if arena and arena.size_bytes else None,
    )


def _may_share(runtime: RuntimeChoice, settings: Settings) -> bool:
    library = runtime.library
    return library is not None and library.interpreter_takes_allocator and not settings.shared_arena


class _State(NamedTuple):
    """How one memory stands: what is left of it, and with less than what it is tight."""

    memory: str
    left_bytes: int
    tight_bytes: int

    @property
    def state(self) -> Status:
        return state_of(self.left_bytes, self.tight_bytes)


def _states(memory: MemoryUse, settings: Settings) -> tuple[_State, _State]:
    """Flash, SRAM."""
    flash, sram = memory.flash, memory.sram
    sram_left = sram.limit_bytes - sram.used_bytes - sram.reserved_bytes
    return (
        _State("flash", flash.limit_bytes - flash.used_bytes, settings.tight_bytes(flash.limit_bytes)),
        _State("SRAM", sram_left, settings.tight_bytes(sram.limit_bytes)),
    )


def _tight_messages(states: Iterable[_State]) -> list[Message]:
    return [
        Message(
            "warning",
            f"{each.memory} is tight: {each.left_bytes:,} bytes are left, less than the {each.tight_bytes:,} of "
            "custom_tflm_tight.",
        )
        for each in states
        if each.state is Status.TIGHT
    ]


def _board_notes(board: Board) -> list[Message]:
    if board.regions:
        return []
    text = f"No board file for {board.id}; the limits are {board.source}'s. custom_tflm_board takes a YAML file."
    return [Message("note", text)]


def _limit_messages(memory: MemoryUse, usage: Usage, settings: Settings) -> list[Message]:
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
