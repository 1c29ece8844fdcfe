"""What changed from one report to another, and whether memory grew by more than is allowed.

Entries are paired by name, the second of one name with the second of the other report: reports come from files, where
names may repeat, and no byte is to be lost by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from platformio_tflm.core.report import (
    ArenaInfo,
    BudgetKind,
    BudgetLine,
    CategoryUse,
    ModelInfo,
    OperatorFlash,
    RegionUse,
    Report,
)
from platformio_tflm.core.report.changes import (
    BudgetChange,
    CategoryChange,
    Change,
    ChangeKind,
    FlashChange,
    GrowthExcess,
    MemoryChange,
    ModelChange,
    OperatorChange,
    RegionChange,
    ReportDiff,
    SramChange,
    TextChange,
)

if TYPE_CHECKING:
    from fractions import Fraction


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=_Named)

_NO_ARENA = ArenaInfo(0, 0, 0, 0, "none")


@dataclass(frozen=True)
class MaxGrowth:
    """How much flash, and how much SRAM, may grow: a share of what was used before, or bytes.

    text: as it was asked for; exactly one of percent and size_bytes is set.
    """

    text: str
    percent: Fraction | None = None
    size_bytes: int | None = None

    def of(self, before_bytes: int) -> int:
        """Bytes allowed on top of *before_bytes*; a share of a byte does not count."""
        if self.size_bytes is not None:
            return self.size_bytes
        return int(before_bytes * (self.percent or 0) / 100)


def diff_reports(before: Report, after: Report, *, names: tuple[str, str] = ("", "")) -> ReportDiff:
    """The changes from *before* to *after*; names: what the two are called.

    With the reports exchanged every change is exchanged, and nothing else. Reports whose categories sum to their
    totals give changes of categories that sum to the changes of the totals.
    """
    return ReportDiff(
        before=names[0],
        after=names[1],
        memory=_memory(before, after),
        image=Change(before.image_bytes, after.image_bytes),
        regions=tuple(_regions(before, after)),
        categories=tuple(_categories(before, after)),
        budget=tuple(_budget(before, after)),
        operators=tuple(_operators(before, after)),
        models=tuple(_models(before, after)),
        context=_context(before, after),
    )


def with_baseline(report: Report, baseline: Report, name: str) -> Report:
    """The report with its difference to an earlier one; name: what the earlier one is called."""
    return replace(report, baseline=diff_reports(baseline, report, names=(name, "this build")))


def growth_excesses(diff: ReportDiff, allowed: MaxGrowth) -> tuple[GrowthExcess, ...]:
    """Flash and SRAM that grew by more than is allowed; SRAM counts with what is reserved, as against its limit."""
    totals = (("flash", diff.memory.flash.used), ("SRAM", diff.memory.sram.needed))
    return tuple(
        GrowthExcess(memory, change, allowed.text, allowed.of(change.before_bytes))
        for memory, change in totals
        if change.growth_bytes > allowed.of(change.before_bytes)
    )


def _memory(before: Report, after: Report) -> MemoryChange:
    flash, sram = (before.memory.flash, after.memory.flash), (before.memory.sram, after.memory.sram)
    return MemoryChange(
        FlashChange(
            Change(flash[0].used_bytes, flash[1].used_bytes), Change(flash[0].limit_bytes, flash[1].limit_bytes)
        ),
        SramChange(
            Change(sram[0].used_bytes, sram[1].used_bytes),
            Change(sram[0].reserved_bytes, sram[1].reserved_bytes),
            Change(sram[0].limit_bytes, sram[1].limit_bytes),
        ),
    )


def _pairs(before: Iterable[Entry], after: Iterable[Entry]) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    """Entries of one name together, ordered by name, so that the order is the same whichever report comes first."""
    first, second = _by_name(before), _by_name(after)
    for key in sorted(first.keys() | second.keys()):
        yield key[0], first.get(key), second.get(key)


def _by_name(entries: Iterable[Entry]) -> dict[tuple[str, int], Entry]:
    found: dict[tuple[str, int], Entry] = {}
    seen: dict[str, int] = {}
    for entry in entries:
        seen[entry.name] = seen.get(entry.name, 0) + 1
        found[entry.name, seen[entry.name]] = entry
    return found


def _kind(old: object | None, new: object | None) -> ChangeKind:
    if old is None:
        return ChangeKind.ADDED
    return ChangeKind.REMOVED if new is None else ChangeKind.CHANGED


def _regions(before: Report, after: Report) -> Iterator[RegionChange]:
    for name, old, new in _pairs(before.regions, after.regions):
        nothing = RegionUse(name, "", 0, 0, 0)
        one, other = old or nothing, new or nothing
        used, length = Change(one.used_bytes, other.used_bytes), Change(one.length_bytes, other.length_bytes)
        kind = _kind(old, new)
        if kind is not ChangeKind.CHANGED or used.growth_bytes or length.growth_bytes:
            yield RegionChange(name, kind, used, length)


def _categories(before: Report, after: Report) -> Iterator[CategoryChange]:
    for name, old, new in _pairs(before.categories, after.categories):
        nothing = CategoryUse(name, 0, 0)
        one, other = old or nothing, new or nothing
        flash, sram = Change(one.flash_bytes, other.flash_bytes), Change(one.sram_bytes, other.sram_bytes)
        # A category without bytes and one that is not listed are the same.
        if flash.growth_bytes or sram.growth_bytes:
            yield CategoryChange(name, flash, sram)


def _budget(before: Report, after: Report) -> Iterator[BudgetChange]:
    for name, old, new in _pairs(before.budget.lines, after.budget.lines):
        nothing = BudgetLine(name, BudgetKind.STATIC, 0, "")
        size = Change((old or nothing).size_bytes, (new or nothing).size_bytes)
        # As with categories: a line without bytes and one that is not there are the same.
        if size.growth_bytes:
            yield BudgetChange(name, _kind(old, new), size)


def _operators(before: Report, after: Report) -> Iterator[OperatorChange]:
    for name, old, new in _pairs(before.operators, after.operators):
        nothing = OperatorFlash(name, 0)
        flash = Change((old or nothing).flash_bytes, (new or nothing).flash_bytes)
        kind = _kind(old, new)
        if kind is not ChangeKind.CHANGED or flash.growth_bytes:
            yield OperatorChange(name, kind, flash)


def _models(before: Report, after: Report) -> Iterator[ModelChange]:
    for name, old, new in _pairs(before.models, after.models):
        if old is None or new is None or _measures(old) != _measures(new):
            yield _model(name, old, new)


def _measures(model: ModelInfo) -> tuple[object, ...]:
    return model.sha256, model.size_bytes, model.arena


def _model(name: str, old: ModelInfo | None, new: ModelInfo | None) -> ModelChange:
    one, other = _arena(old), _arena(new)
    used = None
    if one.used_bytes is not None and other.used_bytes is not None:
        used = Change(one.used_bytes, other.used_bytes)
    return ModelChange(
        name=name,
        kind=_kind(old, new),
        contents=(old.sha256 if old else None) != (new.sha256 if new else None),
        size=Change(old.size_bytes if old else 0, new.size_bytes if new else 0),
        arena_size=Change(one.size_bytes, other.size_bytes),
        arena_used=used,
        details=_model_details(old, new) if old and new else (),
    )


def _arena(model: ModelInfo | None) -> ArenaInfo:
    return model.arena if model and model.arena else _NO_ARENA


def _model_details(old: ModelInfo, new: ModelInfo) -> tuple[TextChange, ...]:
    one, other = _arena(old), _arena(new)
    texts = [
        ("arena method", one.method, other.method),
        ("operators", _operator_words(old, new), _operator_words(new, old)),
    ]
    if None in (one.used_bytes, other.used_bytes):
        texts.append(("arena used bytes", _known(one.used_bytes), _known(other.used_bytes)))
    return _texts(*texts)


def _known(size_bytes: int | None) -> str:
    return "not known" if size_bytes is None else f"{size_bytes:,}"


def _operator_words(model: ModelInfo, other: ModelInfo) -> str:
    """The operators that the other model does not use in the same way."""
    uses = sorted(set(model.operators) - set(other.operators), key=lambda use: (use.name, use.version))
    return ", ".join(f"{use.name} version {use.version} x{use.count}" for use in uses) or "none"


def _context(before: Report, after: Report) -> tuple[TextChange, ...]:
    one, other = before, after
    return _texts(
        ("platformio-tflm", one.tool.version, other.tool.version),
        ("environment", one.project.environment, other.project.environment),
        ("build type", one.project.build_type, other.project.build_type),
        ("board", one.board.id, other.board.id),
        ("runtime", one.runtime.kind, other.runtime.kind),
        ("library", one.runtime.library, other.runtime.library),
        ("library version", one.runtime.version, other.runtime.version),
        ("library interface", one.runtime.api, other.runtime.api),
        ("optimization", one.runtime.optimize, other.runtime.optimize),
        ("status", one.status.value, other.status.value),
    )


def _texts(*candidates: tuple[str, str, str]) -> tuple[TextChange, ...]:
    return tuple(TextChange(name, before, after) for name, before, after in candidates if before != after)
