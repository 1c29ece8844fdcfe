"""The report: everything a build measured, frozen, in the shape of report.json (schema 1).

Field names are the JSON's names. Sizes are bytes; addresses are in memory; offsets are inside the arena.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

SCHEMA_VERSION = 1


class Status(str, Enum):
    OK = "ok"
    TIGHT = "tight"
    EXCEEDED = "exceeded"


class Category(str, Enum):
    """What a byte is there for."""

    MODEL = "model"
    ARENA = "arena"
    TFLM_KERNELS = "tflm-kernels"
    TFLM_CORE = "tflm-core"
    BUILTIN = "builtin"
    FRAMEWORK = "framework"
    LIBC = "libc"
    APPLICATION = "application"
    PADDING = "padding"
    OTHER = "other"


@dataclass(frozen=True)
class ToolInfo:
    name: str
    version: str


@dataclass(frozen=True)
class ProjectInfo:
    environment: str
    build_type: str


@dataclass(frozen=True)
class BoardInfo:
    id: str
    name: str
    source: str


@dataclass(frozen=True)
class RuntimeInfo:
    """kind: tflm, builtin, data; none where nothing but a linked program is known and it has no runtime.

    api: the generation of the C++ API; optimize: what custom_tflm_optimize did.
    """

    kind: str
    library: str
    version: str
    api: str
    optimize: str


@dataclass(frozen=True)
class OperatorUse:
    name: str
    version: int
    count: int


@dataclass(frozen=True)
class TensorInfo:
    name: str
    type: str
    shape: tuple[int, ...]
    scale: float | None
    zero_point: int | None
    size_bytes: int


@dataclass(frozen=True)
class ArenaInfo:
    """size_bytes is what is reserved; method says how it was found: exact, measured, upper-bound, estimate, or set."""

    size_bytes: int
    used_bytes: int | None
    head_bytes: int | None
    tail_bytes: int | None
    method: str


@dataclass(frozen=True)
class ModelInfo:
    """address and alignment are None until the model was found in a linked image.

    verified: which images were compared byte for byte with the .tflite ("elf", "hex"); empty if none.
    """

    name: str
    path: str
    sha256: str
    size_bytes: int
    operators: tuple[OperatorUse, ...]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    arena: ArenaInfo | None
    address: int | None = None
    alignment: int | None = None
    verified: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlashUse:
    used_bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class SramUse:
    used_bytes: int
    reserved_bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class MemoryUse:
    flash: FlashUse
    sram: SramUse


class BudgetKind(str, Enum):
    """static, arena, section: bytes that the linker placed; reserved: bytes that its map cannot show."""

    STATIC = "static"
    ARENA = "arena"
    SECTION = "section"
    RESERVED = "reserved"


@dataclass(frozen=True)
class BudgetLine:
    """One line of the SRAM worksheet. source: where the figure is from: the map, a board file, an option."""

    name: str
    kind: BudgetKind
    size_bytes: int
    source: str


@dataclass(frozen=True)
class SramBudget:
    """SRAM as a worksheet: the lines of kind reserved are memory.sram's reserved_bytes, the others its used_bytes.

    remaining_bytes: what they leave of the limit; below zero where they exceed it.
    """

    lines: tuple[BudgetLine, ...] = ()
    remaining_bytes: int = 0


@dataclass(frozen=True)
class RegionUse:
    """kind: flash, sram, or what the board file says (ccm, dtcm, itcm, iram, dram, rtc, psram, other)."""

    name: str
    kind: str
    origin: int
    length_bytes: int
    used_bytes: int


@dataclass(frozen=True)
class CategoryUse:
    name: str
    flash_bytes: int
    sram_bytes: int


@dataclass(frozen=True)
class OperatorFlash:
    """Kernel code of one operator, or, named "shared by several", of helpers that no operator has to itself."""

    name: str
    flash_bytes: int


@dataclass(frozen=True)
class Message:
    """level: note, advice, warning or error."""

    level: str
    text: str


class ChangeKind(str, Enum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class Change:
    """A size in two reports; one that a report has no entry for is 0 there.

    growth_percent is of before_bytes, in hundredths, and None where there was nothing to grow from.
    """

    before_bytes: int
    after_bytes: int
    growth_bytes: int = field(init=False)
    growth_percent: float | None = field(init=False)

    def __post_init__(self) -> None:
        growth_bytes = self.after_bytes - self.before_bytes
        percent = round(100.0 * growth_bytes / self.before_bytes, 2) if self.before_bytes else None
        object.__setattr__(self, "growth_bytes", growth_bytes)
        object.__setattr__(self, "growth_percent", percent)


@dataclass(frozen=True)
class TextChange:
    name: str
    before: str
    after: str


@dataclass(frozen=True)
class FlashChange:
    used: Change
    limit: Change


@dataclass(frozen=True)
class SramChange:
    used: Change
    reserved: Change
    limit: Change

    @property
    def needed(self) -> Change:
        """What is held against the limit: used and reserved."""
        return Change(
            self.used.before_bytes + self.reserved.before_bytes, self.used.after_bytes + self.reserved.after_bytes
        )


@dataclass(frozen=True)
class MemoryChange:
    flash: FlashChange
    sram: SramChange


@dataclass(frozen=True)
class RegionChange:
    name: str
    kind: ChangeKind
    used: Change
    length: Change


@dataclass(frozen=True)
class CategoryChange:
    name: str
    flash: Change
    sram: Change


@dataclass(frozen=True)
class BudgetChange:
    name: str
    kind: ChangeKind
    size: Change


@dataclass(frozen=True)
class OperatorChange:
    name: str
    kind: ChangeKind
    flash: Change


@dataclass(frozen=True)
class ModelChange:
    """arena_size: 0 where there is no arena; arena_used: None if it is not known in one of the reports.

    contents: whether the .tflite has other bytes. details: what else changed, as text.
    """

    name: str
    kind: ChangeKind
    contents: bool
    size: Change
    arena_size: Change
    arena_used: Change | None
    details: tuple[TextChange, ...]


@dataclass(frozen=True)
class ReportDiff:
    """What changed from one report to another; the lists have only what differs.

    before, after: what the reports are called. context: what was built or measured differently, as text.
    """

    before: str
    after: str
    memory: MemoryChange
    image: Change
    regions: tuple[RegionChange, ...]
    categories: tuple[CategoryChange, ...]
    budget: tuple[BudgetChange, ...]
    operators: tuple[OperatorChange, ...]
    models: tuple[ModelChange, ...]
    context: tuple[TextChange, ...]

    @property
    def is_empty(self) -> bool:
        flash, sram = self.memory.flash, self.memory.sram
        totals = (flash.used, flash.limit, sram.used, sram.reserved, sram.limit, self.image)
        lists = (self.regions, self.categories, self.budget, self.operators, self.models, self.context)
        return not any(total.growth_bytes for total in totals) and not any(lists)


@dataclass(frozen=True)
class GrowthExcess:
    """Growth beyond what `platformio-tflm diff --max-growth` allows.

    memory: "flash" or "SRAM"; allowed: as it was asked for.
    """

    memory: str
    change: Change
    allowed: str
    allowed_bytes: int


@dataclass(frozen=True)
class Report:
    tool: ToolInfo
    project: ProjectInfo
    board: BoardInfo
    runtime: RuntimeInfo
    models: tuple[ModelInfo, ...]
    memory: MemoryUse
    image_bytes: int
    regions: tuple[RegionUse, ...]
    categories: tuple[CategoryUse, ...]
    operators: tuple[OperatorFlash, ...]
    status: Status
    messages: tuple[Message, ...] = ()
    budget: SramBudget = field(default_factory=SramBudget)
    baseline: ReportDiff | None = None
    schema_version: int = field(default=SCHEMA_VERSION)


@dataclass(frozen=True)
class MeasuredArena:
    """A model's arena by trial beside its plan. method: how the plan was made; faults: trials without an answer."""

    model: str
    measured_bytes: int
    planned_bytes: int
    method: str
    used_bytes: int
    trials: int
    faults: int


@dataclass(frozen=True)
class ArenaBuffer:
    """A tensor or scratch buffer in the arena's head, from step *first* to step *last*, both counted.

    kind: "tensor", "scratch" or "prescribed" (a tensor that the model's own plan placed). first is -1 for
    what nothing makes, and last as well for what nothing reads.
    """

    name: str
    kind: str
    type: str
    shape: tuple[int, ...]
    size_bytes: int
    offset: int
    first: int
    last: int

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes


@dataclass(frozen=True)
class BoardRoom:
    """What a board has for models and their arenas, before any program is linked.

    board: its id. The limits are those of the project, if it has set any; reserved_bytes: SRAM that no program gets.
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


@dataclass(frozen=True)
class ArenaReport:
    """One model's arena over time, for `platformio-tflm plan`.

    size_bytes: what is needed. used_bytes: what arena_used_bytes() answers, None where that is not known.
    temporary_bytes: how much of size_bytes only AllocateTensors() needs.
    lower_bound_bytes: the most that lives in any one step: no placement of the buffers takes less.
    steps: the operator that runs in each step; step 0 comes before the first. peak_step: where most lives.
    """

    model: str
    path: str
    size_bytes: int
    used_bytes: int | None
    head_bytes: int
    tail_bytes: int
    temporary_bytes: int
    lower_bound_bytes: int
    method: str
    kernels: str
    abi: str
    steps: tuple[str, ...]
    peak_step: int
    buffers: tuple[ArenaBuffer, ...]
    notes: tuple[str, ...] = ()
    room: BoardRoom | None = None


@dataclass(frozen=True)
class ExplainedBytes:
    """A run of bytes of one origin: where it is, and why it is counted where it is.

    region: "" where no region holds the address. load_address: where the bytes lie in the image, if elsewhere.
    input_section, archive, member: "" where there is none; reason: the rule that chose the category.
    """

    address: int
    size_bytes: int
    flash_bytes: int
    sram_bytes: int
    region: str
    region_kind: str
    load_address: int | None
    load_region: str
    section: str
    input_section: str
    archive: str
    member: str
    category: str
    operator: str
    reason: str


@dataclass(frozen=True)
class Explanation:
    """What --explain found. kind: symbol, address, section, object, archive or discarded; name: as the files have it.

    readable: a C++ symbol's name without its types, else "". notes: why it was linked, what else is to be known.
    """

    query: str
    kind: str
    name: str
    readable: str
    size_bytes: int
    runs: tuple[ExplainedBytes, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MemoryNode:
    """A part of the linked program; what it is divided into sums to its own bytes, in flash and in SRAM.

    kind: "memory" (the whole), "region", "category", "archive", "object", "symbol"; below an object "rest", bytes
    that no symbol names; below a category "linker", what the linker made or filled.
    full_name: more exact than name where that is short for it (a mangled symbol, an archive's path), else "".
    """

    name: str
    kind: str
    flash_bytes: int
    sram_bytes: int
    children: tuple[MemoryNode, ...] = ()
    full_name: str = ""


@dataclass(frozen=True)
class Detail:
    """What the HTML report shows beside the Report; too much for report.json."""

    memory: MemoryNode
    arenas: tuple[ArenaReport, ...] = ()
