"""platformio-tflm show, diff: reports that builds have written."""

from __future__ import annotations

import re
from pathlib import Path

import click

from platformio_tflm.cli.console import JSON, WIDTH, echo
from platformio_tflm.cli.faces import (
    ANNOTATE,
    BASELINE,
    FORMAT,
    QUIET,
    against,
    chosen_face,
    render_difference,
    report_in,
    show_report,
)
from platformio_tflm.core.diff import MaxGrowth, diff_reports, growth_excesses
from platformio_tflm.errors import ExitCode
from platformio_tflm.render.diff_text import excess_words
from platformio_tflm.settings import parse_bytes


@click.command()
@click.argument("report", type=click.Path(path_type=Path))
@BASELINE
@WIDTH
@FORMAT
@ANNOTATE
@QUIET
@JSON
def show(  # noqa: PLR0913, PLR0917 - one parameter an option
    report: Path,
    baseline: Path | None,
    width: int,
    form: str | None,
    annotate: str,
    quiet: bool,
    as_json: bool,
) -> ExitCode:
    """Show a report.json that a build has written."""
    face = chosen_face(form, width, annotate, as_json=as_json, quiet=quiet)
    return show_report(against(report_in(report), baseline), face)


@click.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--max-growth", help="How much flash, and how much SRAM, may grow: 2%, or bytes (512, 4K).")
@WIDTH
@FORMAT
@ANNOTATE
@JSON
def diff(  # noqa: PLR0913, PLR0917 - one parameter an option
    before: Path, after: Path, max_growth: str | None, width: int, form: str | None, annotate: str, as_json: bool
) -> ExitCode:
    """Show what changed from one report.json to another; exit code 1 if memory grew by more than is allowed."""
    face = chosen_face(form, width, annotate, as_json=as_json)
    allowed = None if max_growth is None else _max_growth(max_growth)
    names = (before.as_posix(), after.as_posix())
    made = diff_reports(report_in(before), report_in(after), names=names)
    excesses = growth_excesses(made, allowed) if allowed else ()
    echo(render_difference(made, excesses, face))
    if excesses and face.form in ("json", "markdown"):
        # These go into a file, and the log of a failed job is to say why it failed.
        click.echo("\n".join(f"error: {excess_words(excess)}" for excess in excesses), err=True)
    return ExitCode.LIMIT_EXCEEDED if excesses else ExitCode.DONE


def _max_growth(text: str) -> MaxGrowth:
    percent = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*%", text.strip(), re.ASCII)
    if percent:
        from fractions import Fraction  # noqa: PLC0415 - takes longer to load than a diff

        return MaxGrowth(text.strip(), percent=Fraction(percent[1]))
    try:
        return MaxGrowth(text.strip(), size_bytes=parse_bytes(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}; or a share: 2%", param_hint="--max-growth") from error
