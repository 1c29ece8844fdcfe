"""platformio-tflm report: a linked program, without PlatformIO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from platformio_tflm import __version__
from platformio_tflm.cli.console import JSON, WIDTH, board_named, bytes_of, console, echo, to_json
from platformio_tflm.cli.faces import ANNOTATE, BASELINE, FORMAT, QUIET, Face, against, chosen_face, show_report
from platformio_tflm.core.boards import Board
from platformio_tflm.errors import ElfError, ExitCode, InputError, MapFileError
from platformio_tflm.extras import require_jinja2
from platformio_tflm.files import write_if_changed
from platformio_tflm.measure import LinkedFiles, Measured, Project, detail, explain, measure
from platformio_tflm.settings import read_settings

if TYPE_CHECKING:
    from platformio_tflm.pipeline import PlannedModel


@click.command()
@click.option("--elf", type=click.Path(path_type=Path), help="The linked program.")
@click.option("--map", "map_file", type=click.Path(path_type=Path), help="The linker's map of it; one of both will do.")
@click.option("--hex", "hex_file", type=click.Path(path_type=Path), help="Its Intel HEX image, to find --model in.")
@click.option("--board", help="A known board's id, or the path of a YAML file; by default the map's own regions.")
@click.option("--model", "models", multiple=True, type=click.Path(path_type=Path), help="A model in it; repeatable.")
@click.option(
    "--explain",
    "queries",
    multiple=True,
    metavar="NAME",
    help="Say where a symbol, address, section, object, archive or operator is and why it counts there; repeatable.",
)
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write the HTML report to this file, too.")
@BASELINE
@WIDTH
@FORMAT
@ANNOTATE
@QUIET
@JSON
def report(  # noqa: PLR0913, PLR0917 - one parameter an option
    elf: Path | None,
    map_file: Path | None,
    hex_file: Path | None,
    board: str | None,
    models: tuple[Path, ...],
    queries: tuple[str, ...],
    html_file: Path | None,
    baseline: Path | None,
    width: int,
    form: str | None,
    annotate: str,
    quiet: bool,
    as_json: bool,
) -> ExitCode:
    """Account for every byte of a linked program and hold it against a board."""
    if not elf and not map_file:
        raise click.UsageError("give the map with --map, the program with --elf, or both.")
    if hex_file and not (elf and models):
        raise click.UsageError(
            "--hex is for comparing a model with the image: name it with --model, the ELF with --elf."
        )
    face = chosen_face(form, width, annotate, as_json=as_json, quiet=quiet)
    if html_file:
        require_jinja2("--html")
    linked = LinkedFiles(
        bytes_of(elf, ElfError) if elf else None,
        bytes_of(map_file, MapFileError) if map_file else None,
        bytes_of(hex_file, InputError) if hex_file else None,
        elf.name if elf else "",
        map_file.name if map_file else "",
    )
    held, project = board_named(board) if board else None, Project("", "", __version__)
    planned = _planned(models)
    if queries:
        return _explain(linked, held, project, queries, planned, face)
    measured = measure(linked, held, read_settings({}), project, models=planned)
    measured = replace(measured, report=against(measured.report, baseline))
    if html_file:
        _write_html(measured, html_file)
    return show_report(measured.report, face)


def _write_html(measured: Measured, path: Path) -> None:
    from platformio_tflm.render.html_report import render_html  # noqa: PLC0415 - the only user of Jinja2

    write_if_changed(path, render_html(measured.report, detail(measured)).encode("utf-8"))


def _planned(models: Sequence[Path]) -> tuple[PlannedModel, ...]:
    if not models:
        return ()
    from platformio_tflm.cli.models import planned_models  # noqa: PLC0415 - with it the planner, which takes a while

    return planned_models(models)


def _explain(  # noqa: PLR0913, PLR0917 - what was linked, what is asked, how it is shown
    linked: LinkedFiles,
    board: Board | None,
    project: Project,
    queries: Sequence[str],
    models: Sequence[PlannedModel],
    face: Face,
) -> ExitCode:
    from platformio_tflm.render.explain_text import render_explanations  # noqa: PLC0415 - few ask

    if face.form not in ("text", "json"):
        raise click.UsageError(f"--explain has no --format {face.form}; it has text and json.")
    answers = explain(linked, board, project, queries, models=models)
    if face.form == "json":
        echo(to_json([asdict(answer) for answer in answers]))
    else:
        color, ascii_only = console()
        echo(render_explanations(answers, width=face.width, color=color, ascii_only=ascii_only))
    return ExitCode.DONE
