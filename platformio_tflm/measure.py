"""After the link: map, ELF and images against the board -> Report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from platformio_tflm.core.advice import LinkedModel, Situation, advise
from platformio_tflm.core.alone import ELF_ALONE, MAP_ALONE, MAP_LIMITS, board_of_map, elf_of_map, map_of_elf
from platformio_tflm.core.boards import Board
from platformio_tflm.core.budget import ArenaPlace, reserved_lines, sram_budget, total_bytes, worst
from platformio_tflm.core.categories import Origins, section_symbol
from platformio_tflm.core.elf import ElfImage, ElfSymbol, read_elf
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
    BoardInfo,
    BudgetLine,
    Category,
    Message,
    ModelInfo,
    ProjectInfo,
    Report,
    ToolInfo,
)
from platformio_tflm.describe import describe_model, describe_runtime, found_runtime
from platformio_tflm.errors import TflmError, UsageError
from platformio_tflm.limits import limit_messages, limit_states, memory_use, tight_messages
from platformio_tflm.settings import Settings

if TYPE_CHECKING:
    # At run time these would load the planner and the code generators, which a report of a map has no use for.
    from platformio_tflm.core.report.detail import Detail
    from platformio_tflm.core.report.explained import Explanation
    from platformio_tflm.pipeline import PlannedModel, RuntimeChoice


_NAMES_SHOWN = 4


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


def read_program(linked: LinkedFiles, *, reasons: bool = False) -> Program:
    """Read what there is of map and ELF. reasons: with what the map says of why files were linked or dropped.

    Errors: MapFileError, ElfError.
    """
    link_map = _read(lambda data: parse_map(data, reasons=reasons), linked.map, linked.map_name)
    elf = _read(read_elf, linked.elf, linked.elf_name)
    if link_map is None and elf is None:
        raise UsageError("Neither a map nor an ELF is given.", hint="Name the linked program's, with --map and --elf.")
    if link_map is None:
        return Program(map_of_elf(elf), elf, (Message("note", ELF_ALONE),))
    if elf is None:
        return Program(link_map, elf_of_map(link_map), (Message("note", MAP_ALONE),))
    return Program(link_map, elf)


@dataclass(frozen=True)
class Measured:
    """The report, and what it was made from; models: as the plan has them. detail() makes a tree of it."""

    report: Report
    usage: Usage
    elf: ElfImage
    models: tuple[PlannedModel, ...]
    runtime: RuntimeChoice | None


def measure(  # noqa: PLR0913 - what was linked, on what, by which rules, from where, with what in it
    linked: LinkedFiles,
    board: Board | None,
    settings: Settings,
    project: Project,
    *,
    models: Sequence[PlannedModel] = (),
    runtime: RuntimeChoice | None = None,
) -> Measured:
    """Account for the linked program and hold it against the board, or where there is none against the map's regions.

    Errors: MapFileError and ElfError for unreadable files or a pair that does not belong together; TflmError when the
    image carries other bytes than a model's.
    """
    program = read_program(linked)
    link_map, elf = program.link_map, program.elf
    board = board or program.board()
    infos, notes = _models(models, runtime, elf, linked)
    usage = measure_memory(link_map, elf, board, models=_symbols(models, elf), origins=project.origins)
    reserved = _reserved(board, settings, link_map)
    memory = memory_use(usage, board, settings, total_bytes(reserved))
    arenas = _arenas(models, elf, usage)
    budget = sram_budget(usage.spans, board, reserved, arenas=arenas, limit_bytes=memory.sram.limit_bytes)
    states = limit_states(memory, settings)
    library = runtime.library if runtime else None
    situation = Situation(
        usage=usage,
        board=board,
        memory=memory,
        flash_state=states[0].state,
        sram_state=states[1].state,
        models=tuple(_linked(model, elf) for model in models),
        library=library.library if library else "",
        level=runtime.optimize if runtime else "",
        kernels=runtime.kernels if runtime else (),
        abi=runtime.abi if runtime else None,
        may_share=library is not None and library.interpreter_takes_allocator and not settings.shared_arena,
    )
    report = Report(
        tool=ToolInfo("platformio-tflm", project.tool_version),
        project=ProjectInfo(project.environment, project.build_type),
        board=BoardInfo(board.id, board.name, board.source),
        runtime=describe_runtime(runtime) if runtime else found_runtime(usage),
        models=infos,
        memory=memory,
        image_bytes=usage.image_bytes,
        regions=usage.regions,
        categories=usage.categories,
        operators=usage.operators,
        status=worst(*(each.state for each in states)),
        messages=(
            *program.notes,
            *_board_notes(board),
            *_elsewhere(board, usage),
            *notes,
            *advise(situation),
            *limit_messages(memory, usage, settings),
            *tight_messages(states),
        ),
        budget=budget,
    )
    return Measured(report, usage, elf, tuple(models), runtime)


def detail(measured: Measured) -> Detail:
    """What the HTML report shows beyond the Report: every symbol, and each model's arena over time."""
    from platformio_tflm.core.arena_report import arena_report  # noqa: PLC0415 - only the HTML report draws it
    from platformio_tflm.core.detail import memory_tree  # noqa: PLC0415
    from platformio_tflm.core.report.detail import Detail  # noqa: PLC0415
    from platformio_tflm.pipeline import DATA_ONLY  # noqa: PLC0415

    abi = (measured.runtime or DATA_ONLY).abi.name
    return Detail(
        memory=memory_tree(measured.usage, measured.elf),
        arenas=tuple(arena_report(m.name, m.path, m.model, m.plan, abi) for m in measured.models),
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

    program = read_program(linked, reasons=True)
    usage = measure_memory(
        program.link_map,
        program.elf,
        board or program.board(),
        models=_symbols(models, program.elf),
        origins=project.origins,
    )
    explainer = Explainer(usage, program.elf, program.link_map)
    return tuple(answer for query in queries for answer in explainer.explain(query))


def _read(reader, data: bytes | None, name: str):  # type: ignore[no-untyped-def]
    try:
        return None if data is None else reader(data)
    except TflmError as error:
        raise error.located(name) from None


def _symbols(models: Sequence[PlannedModel], elf: ElfImage) -> tuple[ModelSymbols, ...]:
    # A shared arena is one symbol, which counts for the model whose object has it.
    named = (
        ModelSymbols(model.name, f"{model.name}_data", model.source.arena_name if model.source.defines_arena else None)
        for model in models
    )
    return (*named, *_generated(models, elf))


def _generated(models: Sequence[PlannedModel], elf: ElfImage) -> Iterator[ModelSymbols]:
    """Models that nobody named: the two names of one array are what the generated objects have (docs/guide.md)."""
    known = {model.name for model in models}
    for symbol in elf.symbols:
        name = symbol.name.removesuffix("_tflite")
        if symbol.size_bytes and name != symbol.name and name not in known:
            array = elf.symbol(f"{name}_data")
            if array and (array.address, array.size_bytes) == (symbol.address, symbol.size_bytes):
                yield ModelSymbols(name, array.name, f"{name}_arena")


def _models(
    models: Sequence[PlannedModel], runtime: RuntimeChoice | None, elf: ElfImage, linked: LinkedFiles
) -> tuple[tuple[ModelInfo, ...], list[Message]]:
    infos: list[ModelInfo] = []
    notes: list[_Note] = []
    for model in models:
        proofs = _proofs(model, elf, linked)
        for proof in proofs:
            require_same(proof, model.path)
        # That a model is not in the firmware stands beside its name.
        unproven = (proof for proof in proofs if proof.outcome not in (Outcome.SAME, Outcome.ABSENT))
        notes += [_Note("note", proof.image, proof.text, model.name) for proof in unproven]
        if runtime and runtime.kind == "tflm" and model.arena_method not in ("set", "measured"):
            notes += [_Note("note", "arena", text, model.name) for text in model.plan.notes]
        notes += [_Note("note", "arena", text, model.name) for text in model.notes]
        notes += [_Note("warning", "arena", text, model.name) for text in model.warnings]
        info = describe_model(model, with_arena=runtime is not None and runtime.kind == "tflm")
        infos.append(_placed(info, proofs) if linked.elf is not None else _found_in_map(info, elf))
        notes += _alignment_warning(infos[-1])
    return tuple(infos), _grouped(notes)


class _Note(NamedTuple):
    """about: of the model, what is meant."""

    level: str
    about: str
    text: str
    model: str


def _grouped(notes: Iterable[_Note]) -> list[Message]:
    """What is the same of several models is said once."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for level, about, text, model in notes:
        groups.setdefault((level, about, text), []).append(model)
    messages = []
    for (level, about, text), names in groups.items():
        more = [f"{len(names) - _NAMES_SHOWN} more models"] if len(names) > _NAMES_SHOWN else []
        messages.append(Message(level, f"{', '.join([*names[:_NAMES_SHOWN], *more])}, {about}: {text}."))
    return messages


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


def _alignment_warning(info: ModelInfo) -> list[_Note]:
    if info.alignment is None or info.alignment >= 16:
        return []
    return [_Note("warning", "data", f"aligned to {info.alignment} bytes; TFLM wants 16", info.name)]


def _reserved(board: Board, settings: Settings, link_map: LinkMap) -> tuple[BudgetLine, ...]:
    """SRAM that this map cannot show."""
    sections = (section.name for section in link_map.sections if section.size_bytes)
    archives = {row.archive for section in link_map.sections for row in section.inputs if row.archive}
    return reserved_lines(board, settings.reserve, sections=sections, archives=archives)


def _arenas(models: Sequence[PlannedModel], elf: ElfImage, usage: Usage) -> list[ArenaPlace]:
    """The arenas that the program holds; a shared one stands for the model whose object has it.

    Those of models that nobody named are known by the array's two names, or by their input sections.
    """
    owners = [model for model in models if model.source.defines_arena]
    found: list[tuple[PlannedModel | None, ElfSymbol | None]]
    found = [(model, elf.symbol(model.source.arena_name)) for model in owners]
    found += [(None, elf.symbol(each.arena_symbol or "")) for each in _generated(models, elf)]
    places = [
        ArenaPlace(_arena_title(model, symbol.name), symbol.name, symbol.address, symbol.size_bytes)
        for model, symbol in found
        if symbol is not None and symbol.size_bytes
    ]
    for span in usage.spans:
        name = section_symbol(span.source.name) if span.source and span.verdict.category is Category.ARENA else ""
        if name and not any(place.holds(span.address) for place in places):
            places.append(ArenaPlace(_arena_title(None, name), name, span.address, span.size_bytes))
    return places


def _arena_title(model: PlannedModel | None, symbol: str) -> str:
    if model is None:
        return f"arena {symbol.removesuffix('_arena')}"
    return "arena of all models" if model.shared_arena else f"arena {model.name}"


def _linked(model: PlannedModel, elf: ElfImage) -> LinkedModel:
    data, arena = elf.symbol(f"{model.name}_data"), elf.symbol(model.source.arena_name)
    # The program may have been planned for other kernels than the report's command supposes.
    own = arena.size_bytes if arena and model.shared_arena is None else 0
    return LinkedModel(
        name=model.name,
        model=model.model,
        plan=model.plan,
        arena_bytes=own or model.arena_bytes,
        # A shared arena is no model's own: what one of them needs says nothing about its size.
        set_by_user=model.arena_method == "set" and model.shared_arena is None,
        measured_bytes=model.measured.arena_bytes if model.measured else None,
        data_address=data.address if data and data.size_bytes else None,
        arena_address=arena.address if arena and arena.size_bytes else None,
    )


def _board_notes(board: Board) -> list[Message]:
    if board.regions:
        return []
    if board.source == MAP_LIMITS:
        text = "No board is named: the limits are the lengths of the memory regions in the map, which may be addresses."
        return [Message("note", text)]
    text = f"No board file for {board.id}; the limits are {board.source}'s. custom_tflm_board takes a YAML file."
    return [Message("note", text)]


def _elsewhere(board: Board, usage: Usage) -> list[Message]:
    """A program of which no byte lies in the board's flash was linked for another one."""
    flash = [region for region in board.regions if region.kind == "flash"]
    held = [(s.load_address, s.load_address + s.size_bytes) for s in usage.placement.sections if s.held]
    if not flash or not held or any(start < r.end and r.origin < stop for start, stop in held for r in flash):
        return []
    where = " and ".join(f"{region.origin:#010x}" for region in flash)
    text = (
        f"Nothing of the program lies in the flash of {board.id}, which begins at {where}; the program begins at "
        f"{min(held)[0]:#010x}. Was it linked for another board?"
    )
    return [Message("warning", text)]
