"""What changed from one report to another (core/diff.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


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
