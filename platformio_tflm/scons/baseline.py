"""custom_tflm_baseline: the earlier report that this build's is compared with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from platformio_tflm.errors import InputError, TflmError, UsageError
from platformio_tflm.files import display_path
from platformio_tflm.scons.plan import Plan

if TYPE_CHECKING:
    from platformio_tflm.core.report import Report

_OPTION = "custom_tflm_baseline"
_HINT = "It wants the report.json of an earlier build (.pio/build/<environment>/tflm/report.json), copied."


def baseline_digest(plan: Plan) -> str:
    """What of the baseline the report hangs on: its bytes; "" without one.

    Errors: InputError and UsageError, before anything is compiled, for a baseline that the report could not use.
    """
    if not plan.settings.baseline:
        return ""
    data = _baseline_bytes(plan)
    _parsed(data, plan)
    return hashlib.sha256(data).hexdigest()


def compared(report: Report, plan: Plan) -> Report:
    """The report with its difference to the baseline, if there is one."""
    if not plan.settings.baseline:
        return report
    from platformio_tflm.core.diff import with_baseline  # noqa: PLC0415 - few builds have a baseline

    return with_baseline(report, _parsed(_baseline_bytes(plan), plan), display_path(_path(plan), plan.project_dir))


def _path(plan: Plan) -> Path:
    return plan.project_dir / plan.settings.baseline


def _baseline_bytes(plan: Plan) -> bytes:
    path = _path(plan)
    if path.resolve() == (plan.output_dir / "report.json").resolve():
        raise UsageError(
            f"{_OPTION} = {plan.settings.baseline}: that is where this build writes its own report",
            where="platformio.ini",
            hint="Copy it to another place: comparing with what is written anew each time shows nothing.",
        )
    from platformio_tflm.core.report_io import MAX_REPORT_BYTES  # noqa: PLC0415 - few builds have a baseline

    try:
        with path.open("rb") as file:
            return file.read(MAX_REPORT_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{_OPTION} = {plan.settings.baseline}: cannot be read: {error.strerror}",
            where="platformio.ini",
            hint=_HINT,
        ) from error


def _parsed(data: bytes, plan: Plan) -> Report:
    from platformio_tflm.core.report_io import report_from_bytes  # noqa: PLC0415 - few builds have a baseline

    try:
        return report_from_bytes(data, plan.settings.baseline)
    except TflmError as error:
        raise InputError(f"{_OPTION}: {error.what}", where=plan.settings.baseline, hint=error.hint) from error
