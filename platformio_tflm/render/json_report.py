"""The report as JSON: report.json, and what ``--json`` prints."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any

from platformio_tflm.core.report import SCHEMA_VERSION, Report

if TYPE_CHECKING:
    from platformio_tflm.core.report.changes import GrowthExcess, ReportDiff


def render_json(report: Report) -> str:
    """The report in the shape of docs/report.schema.json: stable order, ASCII only, with a newline at the end."""
    return _text({"schema_version": report.schema_version, **_plain(report)})


def render_diff_json(diff: ReportDiff, excesses: tuple[GrowthExcess, ...] = ()) -> str:
    """ReportDiff in the shape of docs/report.schema.json, and in ``exceeded`` what grew by more than is allowed."""
    return _text({"schema_version": SCHEMA_VERSION, **_plain(diff), "exceeded": _plain(excesses)})


def _text(value: dict[str, Any]) -> str:
    import json  # noqa: PLC0415  # a no-op build renders nothing

    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Enum):
        return value.value
    # JSON has no name for them; a model may hold such a scale.
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
