"""A difference as the HTML report shows it: all rows as text, in groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from platformio_tflm.core.report.changes import Change, ChangeKind, ReportDiff, TextChange
from platformio_tflm.render.diff_text import (
    NEUTRAL_ENDINGS,
    changes_by_list,
    growth_words,
    model_changes,
    nothing_words,
    percent_words,
    total_changes,
)


@dataclass(frozen=True)
class ChangeRow:
    """tone: grew, shrank, or "" where neither is good or bad news."""

    name: str
    before: str
    after: str
    growth: str
    share: str
    tone: str


@dataclass(frozen=True)
class ChangeGroup:
    heading: str
    rows: tuple[ChangeRow, ...]


@dataclass(frozen=True)
class DifferenceView:
    """nothing: the sentence that says that nothing changed, else ""."""

    before: str
    nothing: str
    groups: tuple[ChangeGroup, ...] = ()
    texts: tuple[TextChange, ...] = ()


def difference_view(diff: ReportDiff) -> DifferenceView:
    """Every list of the difference, the largest change of each first."""
    if diff.is_empty:
        return DifferenceView(diff.before, nothing_words(diff))
    groups = [ChangeGroup("", tuple(_row(name, change) for name, change in total_changes(diff)))]
    groups += [ChangeGroup(heading, _ordered(entries)) for heading, entries in changes_by_list(diff)]
    groups.append(ChangeGroup("Model", tuple(_model_rows(diff))))
    details = [
        TextChange(f"{model.name}, {entry.name}", entry.before, entry.after)
        for model in diff.models
        for entry in model.details
    ]
    return DifferenceView(diff.before, "", tuple(group for group in groups if group.rows), (*diff.context, *details))


def _ordered(entries: Iterable[tuple[str, ChangeKind, Change]]) -> tuple[ChangeRow, ...]:
    ordered = sorted(entries, key=lambda entry: (-abs(entry[2].growth_bytes), entry[0]))
    return tuple(_row(name, change, kind) for name, kind, change in ordered)


def _model_rows(diff: ReportDiff) -> Iterable[ChangeRow]:
    for model in diff.models:
        changes = model_changes(model)
        yield from (_row(f"{model.name}, {name}", change, model.kind) for name, change in changes)
        if not changes:
            words = "other contents" if model.contents else "see below"
            yield ChangeRow(model.name, "", "", words if model.kind is ChangeKind.CHANGED else model.kind.value, "", "")


def _row(name: str, change: Change, kind: ChangeKind = ChangeKind.CHANGED) -> ChangeRow:
    tone = "grew" if change.growth_bytes > 0 else "shrank"
    return ChangeRow(
        name=name,
        before="" if kind is ChangeKind.ADDED else f"{change.before_bytes:,}",
        after="" if kind is ChangeKind.REMOVED else f"{change.after_bytes:,}",
        growth=growth_words(change),
        share=percent_words(change) if kind is ChangeKind.CHANGED else kind.value,
        tone="" if not change.growth_bytes or name.endswith(NEUTRAL_ENDINGS) else tone,
    )
