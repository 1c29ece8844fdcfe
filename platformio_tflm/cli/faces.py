"""The faces that a report and a difference can have on the console, and the options that choose one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from platformio_tflm.cli.console import bytes_of, console, echo
from platformio_tflm.core.report import Report, Status
from platformio_tflm.errors import ExitCode, InputError
from platformio_tflm.render.json_report import render_diff_json, render_json
from platformio_tflm.render.text import render_text

if TYPE_CHECKING:
    from platformio_tflm.core.report.changes import GrowthExcess, ReportDiff

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "markdown", "github")),
    help="text; json, as --json; markdown, for $GITHUB_STEP_SUMMARY; github, annotations of GitHub Actions.",
)
ANNOTATE = click.option(
    "--annotate", default="platformio.ini", show_default=True, help="The file that --format github annotates."
)

QUIET = click.option("-q", "--quiet", is_flag=True, help="Of the text only what is wrong, and the verdict.")
BASELINE = click.option("--baseline", type=click.Path(path_type=Path), help="An earlier report.json to compare with.")


class Face(NamedTuple):
    """form: text, json, markdown or github; width: columns of text; annotate: the file of github's annotations.

    quiet: of text, what is wrong and the verdict alone.
    """

    form: str
    width: int
    annotate: str
    quiet: bool = False


def chosen_face(form: str | None, width: int, annotate: str, *, as_json: bool, quiet: bool = False) -> Face:
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} exclude each other.")
    return Face("json" if as_json else form or "text", width, annotate, quiet)


def render_report(made: Report, face: Face) -> str:
    if face.form == "json":
        return render_json(made)
    if face.form == "markdown":
        from platformio_tflm.render.markdown import render_markdown  # noqa: PLC0415 - a face loads when it is shown

        return render_markdown(made)
    if face.form == "github":
        from platformio_tflm.render.github import render_github  # noqa: PLC0415

        return render_github(made, file=face.annotate)
    color, ascii_only = console()
    return render_text(made, width=face.width, color=color, ascii_only=ascii_only, quiet=face.quiet)


def render_difference(made: ReportDiff, excesses: tuple[GrowthExcess, ...], face: Face) -> str:
    if face.form == "json":
        return render_diff_json(made, excesses)
    if face.form == "markdown":
        from platformio_tflm.render.markdown import render_diff_markdown  # noqa: PLC0415

        return render_diff_markdown(made, excesses)
    if face.form == "github":
        from platformio_tflm.render.github import render_diff_github  # noqa: PLC0415

        return render_diff_github(made, excesses, file=face.annotate)
    from platformio_tflm.render.diff_text import render_diff  # noqa: PLC0415

    color, ascii_only = console()
    return render_diff(made, excesses, width=face.width, color=color, ascii_only=ascii_only)


def show_report(made: Report, face: Face) -> ExitCode:
    echo(render_report(made, face))
    return ExitCode.LIMIT_EXCEEDED if made.status is Status.EXCEEDED else ExitCode.DONE


def against(made: Report, baseline: Path | None) -> Report:
    """The report with its difference to the one in *baseline*, if that is asked for."""
    if baseline is None:
        return made
    from platformio_tflm.core.diff import with_baseline  # noqa: PLC0415 - few compare

    return with_baseline(made, report_in(baseline), baseline.as_posix())


def report_in(path: Path) -> Report:
    """The report.json of an earlier build. Errors: InputError."""
    from platformio_tflm.core.report_io import report_from_bytes  # noqa: PLC0415 - few compare

    return report_from_bytes(bytes_of(path, InputError), str(path))
