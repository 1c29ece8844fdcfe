"""The report: everything a build measured, frozen, in the shape of report.json (schema 1).

Field names are the JSON's names. Sizes are bytes; addresses are in memory; offsets are inside the arena.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Few reports have a baseline; report_io.py names the class where hints are resolved.
    from platformio_tflm.core.report.changes import ReportDiff

SCHEMA_VERSION = 1
# The operator that helpers of several kernels count for.
SHARED_BY_SEVERAL = "shared by several"


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

    @property
    def operators_by_size(self) -> list[OperatorFlash]:
        """The largest first; what several share stands apart, at the end."""
        return sorted(self.operators, key=lambda use: (use.name == SHARED_BY_SEVERAL, -use.flash_bytes, use.name))
