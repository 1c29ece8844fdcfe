"""After the link: map, ELF and images against the board -> Report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from platformio_tflm.core.alone import ELF_ALONE, MAP_ALONE, MAP_LIMITS, board_of_map, elf_of_map, map_of_elf
from platformio_tflm.core.boards import Board
from platformio_tflm.core.categories import Origins
from platformio_tflm.core.elf import ElfImage, read_elf
from platformio_tflm.core.images import (
    ImageProof,
    Outcome,
    alignment_of,
    load_address_of,
    require_same,
    verify_elf,
    verify_hex,
)
from platformio_tflm.core.map_model import LinkMap
from platformio_tflm.core.mapfile import parse_map
from platformio_tflm.core.memory import ModelSymbols, Usage, measure_memory
from platformio_tflm.core.report import (
    ArenaInfo,
    BoardInfo,
    Explanation,
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
from platformio_tflm.errors import LimitExceededError, TflmError, UsageError
from platformio_tflm.settings import Settings

if TYPE_CHECKING:
    # At run time these would load the planner and the code generators, which a report of a map has no use for.
    from platformio_tflm.core.model import Tensor
    from platformio_tflm.pipeline import PlannedModel, RuntimeChoice

# "tight": less than a tenth of the memory is left, or less than this, whichever is smaller.
TIGHT_BYTES = 20 * 1024
_LARGEST_SHOWN = 3


@dataclass(frozen=True)
class LinkedFiles:
    """The linker's outputs as bytes, and what they are called in messages.

    None stands for a file that is not there: of the ELF and the map, one is enough.
    """

    elf: bytes | None
    map: bytes | None
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


@dataclass(frozen=True)
class Program:
    """The linked program as it was read. What one of the two files does not say is inferred from the other."""

    link_map: LinkMap
    elf: ElfImage
    notes: tuple[Message, ...] = ()

    def board(self) -> Board:
        """Where no board is named: the limits are the linker script's own regions. Raises UsageError if it has none."""
        board = board_of_map(self.link_map)
        if board is None or not board.flash_limit_bytes or not board.sram_limit_bytes:
            raise UsageError(
                "These files do not say how much flash and SRAM there is.",
                hint="Name a board with --board (platformio-tflm boards lists them), or a YAML file of your own.",
            )
        return board


def read_program(linked: LinkedFiles, *, discarded: bool = False) -> Program:
    """Read what there is of map and ELF. discarded: with the map's list of what the linker dropped.

    Errors: MapFileError, ElfError.
    """
    link_map = _read(lambda data: parse_map(data, discarded=discarded), linked.map, linked.map_name)
    elf = _read(read_elf, linked.elf, linked.elf_name)
    if link_map is None and elf is None:
        raise UsageError("Neither a map nor an ELF is given.", hint="Name the linked program's, with --map and --elf.")
    if link_map is None:
        return Program(map_of_elf(elf), elf, (Message("note", ELF_ALONE),))
    if elf is None:
        return Program(link_map, elf_of_map(link_map), (Message("note", MAP_ALONE),))
    return Program(link_map, elf)


def measure(  # noqa: PLR0913 - what was linked, on what, by which rules, from where, with what in it
    linked: LinkedFiles,
    board: Board | None,
    settings: Settings,
    project: Project,
    *,
    models: Sequence[PlannedModel] = (),
    runtime: RuntimeChoice | None = None,
) -> Report:
    """Account for the linked program and hold it against the board, or where there is none against the map's regions.

    Errors: MapFileError and ElfError for unreadable files or a pair that does not belong together; TflmError when the
    image carries other bytes than a model's.
    """
    program = read_program(linked)
    link_map, elf = program.link_map, program.elf
    board = board or program.board()
    infos, notes = _models(models, runtime, elf, linked)
    usage = measure_memory(link_map, elf, board, models=_symbols(models), origins=project.origins)
    memory = _memory(usage, board, settings, link_map)
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
        status=_status(memory),
        messages=(*program.notes, *_board_notes(board), *notes, *_limit_messages(memory, usage, settings)),
    )


def explain(
    linked: LinkedFiles,
    board: Board | None,
    project: Project,
    queries: Sequence[str],
    *,
    models: Sequence[PlannedModel] = (),
) -> tuple[Explanation, ...]:
    """Why the bytes that *queries* name are counted where they are.

    Errors: as measure(); UsageError, with the nearest names, for what is not in the program.
    """
    from platformio_tflm.core.explain import Explainer  # noqa: PLC0415 - a build never asks

    program = read_program(linked, discarded=True)
    usage = measure_memory(
        program.link_map,
        program.elf,
        board or program.board(),
        models=_symbols(models),
        origins=project.origins,
    )
    explainer = Explainer(usage, program.elf, program.link_map)
    return tuple(answer for query in queries for answer in explainer.explain(query))


def _read(reader, data: bytes | None, name: str):  # type: ignore[no-untyped-def]
    try:
        return None if data is None else reader(data)
    except TflmError as error:
        raise error.located(name) from None


def _symbols(models: Iterable[PlannedModel]) -> tuple[ModelSymbols, ...]:
    # A shared arena is one symbol, which counts for the model whose object has it.
    return tuple(
        ModelSymbols(model.name, f"{model.name}_data", model.source.arena_name if model.source.defines_arena else None)
        for model in models
    )


def _models(
    models: Sequence[PlannedModel], runtime: RuntimeChoice | None, elf: ElfImage, linked: LinkedFiles
) -> tuple[tuple[ModelInfo, ...], list[Message]]:
    infos: list[ModelInfo] = []
    notes: list[Message] = []
    for model in models:
        proofs = _proofs(model, elf, linked)
        for proof in proofs:
            require_same(proof, model.path)
            if proof.outcome is not Outcome.SAME:
                notes.append(Message("note", f"{model.name}, {proof.image}: {proof.text}."))
        if runtime and runtime.kind == "tflm" and model.arena_method not in ("set", "measured"):
            notes += [Message("note", f"{model.name}, arena: {note}.") for note in model.plan.notes]
        notes += [Message("note", f"{model.name}, arena: {note}.") for note in model.notes]
        notes += [Message("warning", f"{model.name}, arena: {text}.") for text in model.warnings]
        info = describe_model(model, with_arena=runtime is not None and runtime.kind == "tflm")
        infos.append(_placed(info, proofs) if linked.elf is not None else _found_in_map(info, elf))
        notes += _alignment_warning(infos[-1])
    return tuple(infos), notes


def _proofs(model: PlannedModel, elf: ElfImage, linked: LinkedFiles) -> list[ImageProof]:
    """The ELF first; the .hex only where the ELF has the model, for its address comes from there."""
    if linked.elf is None:
        return []
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


def _found_in_map(info: ModelInfo, inferred: ElfImage) -> ModelInfo:
    symbol = inferred.symbol(f"{info.name}_data")
    return replace(info, address=symbol.address, alignment=alignment_of(symbol.address)) if symbol else info


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


def describe_runtime(runtime: RuntimeChoice | None) -> RuntimeInfo:
    if runtime is None:
        return RuntimeInfo("data", "", "", "", "")
    library = runtime.library
    if library is None:
        return RuntimeInfo(runtime.kind, "", "", "", "")
    return RuntimeInfo(runtime.kind, library.library, library.version, library.api, runtime.optimize)


def _memory(usage: Usage, board: Board, settings: Settings, link_map: LinkMap) -> MemoryUse:
    return MemoryUse(
        FlashUse(usage.flash_used_bytes, settings.max_flash.of(board.program_limit_bytes)),
        SramUse(
            usage.sram_used_bytes,
            _reserved_bytes(board, settings, link_map),
            settings.max_sram.of(board.sram_limit_bytes),
        ),
    )


def _reserved_bytes(board: Board, settings: Settings, link_map: LinkMap) -> int:
    """SRAM that the map cannot show: the board's figures, replaced or completed by the user's."""
    sections = (section.name for section in link_map.sections if section.size_bytes)
    archives = {row.archive for section in link_map.sections for row in section.inputs if row.archive}
    entries = {entry.name: entry.size_bytes for entry in board.reserved(sections, archives)}
    entries.update(settings.reserve)
    return sum(entries.values())


def _status(memory: MemoryUse) -> Status:
    flash, sram = memory.flash, memory.sram
    states = (
        _state(flash.limit_bytes - flash.used_bytes, flash.limit_bytes),
        _state(sram.limit_bytes - sram.used_bytes - sram.reserved_bytes, sram.limit_bytes),
    )
    return max(states, key=list(Status).index)


def _state(left_bytes: int, limit_bytes: int) -> Status:
    if left_bytes < 0:
        return Status.EXCEEDED
    return Status.TIGHT if left_bytes < min(limit_bytes // 10, TIGHT_BYTES) else Status.OK


def _board_notes(board: Board) -> list[Message]:
    if board.regions:
        return []
    if board.source == MAP_LIMITS:
        text = "No board is named: the limits are the lengths of the memory regions in the map, which may be addresses."
        return [Message("note", text)]
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
