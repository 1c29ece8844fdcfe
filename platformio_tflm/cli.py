"""The command line: the build's use cases without PlatformIO and without SCons."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from platformio_tflm import __version__
from platformio_tflm.core.arena import EABI, ILP32, LP64
from platformio_tflm.core.arena_kernels import KernelSet
from platformio_tflm.core.arena_report import arena_report
from platformio_tflm.core.boards import Board, board_from_file, find_board, known_board_ids
from platformio_tflm.core.diff import MaxGrowth, diff_reports, growth_excesses, with_baseline
from platformio_tflm.core.fit import room_on
from platformio_tflm.core.report import GrowthExcess, Report, ReportDiff, Status
from platformio_tflm.core.report_io import report_from_bytes
from platformio_tflm.errors import ElfError, ExitCode, InputError, MapFileError, TflmError
from platformio_tflm.files import read_model_file
from platformio_tflm.measure import LinkedFiles, Project, describe_model, measure
from platformio_tflm.pipeline import (
    DATA_ONLY,
    PlannedModel,
    RuntimeChoice,
    check_boards,
    need_of,
    plan_models,
    read_models,
    terms_of,
)
from platformio_tflm.render.arena_text import render_arena
from platformio_tflm.render.check_text import render_check
from platformio_tflm.render.diff_text import excess_words, render_diff
from platformio_tflm.render.json_report import render_diff_json, render_json
from platformio_tflm.render.model_text import render_models
from platformio_tflm.render.text import render_text
from platformio_tflm.settings import parse_bytes, read_settings

MAX_LINKED_BYTES = 512 * 1024 * 1024

_KERNELS = {
    "reference": (KernelSet.REFERENCE,),
    "cmsis-nn": (KernelSet.CMSIS_NN, KernelSet.CMSIS_NN_2023),
    "esp-nn": (KernelSet.ESP_NN,),
}
_ABIS = {abi.name: abi for abi in (EABI, ILP32, LP64)}

_JSON = click.option("--json", "as_json", is_flag=True, help="JSON on standard output, nothing else.")
_MODEL = click.argument("model", type=click.Path(path_type=Path))
_WIDTH = click.option("--width", default=100, show_default=True, help="Columns of the text.")
_FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "markdown", "github")),
    help="text; json, as --json; markdown, for $GITHUB_STEP_SUMMARY; github, annotations of GitHub Actions.",
)
_ANNOTATE = click.option(
    "--annotate", default="platformio.ini", show_default=True, help="The file that --format github annotates."
)
_BASELINE = click.option("--baseline", type=click.Path(path_type=Path), help="An earlier report.json to compare with.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="platformio-tflm")
def cli() -> None:
    """TensorFlow Lite models on microcontrollers: look at models, plan arenas, measure linked programs."""


@cli.command()
@_MODEL
@_JSON
def inspect(model: Path, as_json: bool) -> ExitCode:
    """Show a model's tensors, operators and planned arena."""
    info = describe_model(_planned(model))
    _echo(_to_json(asdict(info)) if as_json else render_models([info]))
    return ExitCode.DONE


@cli.command()
@_MODEL
@click.option("--board", help="A known board's id, or the path of a YAML file: does the arena fit, what is left.")
@click.option("--kernels", type=click.Choice(tuple(_KERNELS)), help="Whose kernels the library has; by default any.")
@click.option("--abi", type=click.Choice(tuple(_ABIS)), help="Struct sizes: Arm, other 32-bit cores, 64-bit.")
@click.option("--width", default=100, show_default=True, help="Columns of the text.")
@_JSON
def plan(  # noqa: PLR0913, PLR0917 - one parameter an option
    model: Path, board: str | None, kernels: str | None, abi: str | None, width: int, as_json: bool
) -> ExitCode:
    """Show how large a tensor arena the model needs, what lies in it when, and how that was found."""
    runtime = RuntimeChoice("data")
    if kernels:
        runtime = replace(runtime, kernels=_KERNELS[kernels])
    if abi:
        runtime = replace(runtime, abi=_ABIS[abi])
    planned = _planned(model, runtime)
    made = arena_report(planned.name, planned.path, planned.model, planned.plan, runtime.abi.name)
    if board:
        need = need_of([planned], with_arena=True)
        made = replace(made, room=room_on(_board(board), need, terms_of(read_settings({}))))
    if as_json:
        _echo(_to_json(asdict(describe_model(planned))))
    else:
        color, ascii_only = _console()
        _echo(render_arena(made, width=width, color=color, ascii_only=ascii_only))
    return ExitCode.LIMIT_EXCEEDED if made.room and not made.room.fits else ExitCode.DONE


@cli.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--board", help="A known board's id, or the path of a YAML file.")
@click.option("--all-boards", is_flag=True, help="All known boards, those with the least SRAM first.")
@click.option("--kernels", type=click.Choice(tuple(_KERNELS)), help="Whose kernels the library has; by default any.")
@click.option("--width", default=100, show_default=True, help="Columns of the text.")
@_JSON
def check(  # noqa: PLR0913, PLR0917 - one parameter an option
    models: tuple[Path, ...], board: str | None, all_boards: bool, kernels: str | None, width: int, as_json: bool
) -> ExitCode:
    """Say whether models and their arenas fit a board, and what is left for the program."""
    if not board and not all_boards:
        raise click.UsageError("name a board with --board, or ask for --all-boards.")
    settings = read_settings({})
    runtime = replace(DATA_ONLY, kernels=_KERNELS[kernels]) if kernels else DATA_ONLY
    planned = plan_models(read_models([read_model_file(path, Path()) for path in models]), settings, runtime)
    made = check_boards(planned, settings, _board(board) if board else None, all_boards=all_boards)
    infos = tuple(describe_model(model) for model in planned)
    if as_json:
        _echo(_to_json({"models": [asdict(info) for info in infos], **asdict(made)}))
    else:
        color, ascii_only = _console()
        _echo(render_check(infos, made, width=width, color=color, ascii_only=ascii_only))
    return ExitCode.LIMIT_EXCEEDED if made.chosen and not made.chosen.fits else ExitCode.DONE


@cli.command()
@_JSON
def boards(as_json: bool) -> ExitCode:
    """List the boards whose memory is known."""
    known = [find_board(board_id) for board_id in known_board_ids()]
    if as_json:
        _echo(_to_json([asdict(board) for board in known]))
        return ExitCode.DONE
    for board in known:
        limits = f"flash {board.program_limit_bytes:>9,}  SRAM {board.sram_limit_bytes:>7,}"
        click.echo(f"{board.id:<20} {limits}  {board.core:<12} {board.name}")
    return ExitCode.DONE


@cli.command()
@click.option("--elf", required=True, type=click.Path(path_type=Path), help="The linked program.")
@click.option("--map", "map_file", required=True, type=click.Path(path_type=Path), help="The linker's map of it.")
@click.option("--hex", "hex_file", type=click.Path(path_type=Path), help="Its Intel HEX image.")
@click.option("--board", required=True, help="A known board's id, or the path of a YAML file.")
@click.option("--model", "models", multiple=True, type=click.Path(path_type=Path), help="A model in it; repeatable.")
@_BASELINE
@_WIDTH
@_FORMAT
@_ANNOTATE
@_JSON
def report(  # noqa: PLR0913, PLR0917 - one parameter an option
    elf: Path,
    map_file: Path,
    hex_file: Path | None,
    board: str,
    models: tuple[Path, ...],
    baseline: Path | None,
    width: int,
    form: str | None,
    annotate: str,
    as_json: bool,
) -> ExitCode:
    """Account for every byte of a linked program and hold it against a board."""
    form = _one_format(form, as_json)
    linked = LinkedFiles(
        _bytes_of(elf, ElfError),
        _bytes_of(map_file, MapFileError),
        _bytes_of(hex_file, InputError) if hex_file else None,
        elf.name,
        map_file.name,
    )
    settings = read_settings({})
    planned = plan_models(read_models([read_model_file(path, Path()) for path in models]), settings)
    made = measure(linked, _board(board), settings, Project("", "", __version__), models=planned)
    return _show(made, baseline, form, width, annotate)


@cli.command()
@click.argument("report", type=click.Path(path_type=Path))
@_BASELINE
@_WIDTH
@_FORMAT
@_ANNOTATE
@_JSON
def show(  # noqa: PLR0913, PLR0917 - one parameter an option
    report: Path, baseline: Path | None, width: int, form: str | None, annotate: str, as_json: bool
) -> ExitCode:
    """Show a report.json that a build has written."""
    form = _one_format(form, as_json)
    return _show(_report_in(report), baseline, form, width, annotate)


@cli.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--max-growth", help="How much flash, and how much SRAM, may grow: 2%, or bytes (512, 4K).")
@_WIDTH
@_FORMAT
@_ANNOTATE
@_JSON
def diff(  # noqa: PLR0913, PLR0917 - one parameter an option
    before: Path, after: Path, max_growth: str | None, width: int, form: str | None, annotate: str, as_json: bool
) -> ExitCode:
    """Show what changed from one report.json to another; exit code 1 if memory grew by more than is allowed."""
    form = _one_format(form, as_json)
    allowed = None if max_growth is None else _max_growth(max_growth)
    names = (before.as_posix(), after.as_posix())
    made = diff_reports(_report_in(before), _report_in(after), names=names)
    excesses = growth_excesses(made, allowed) if allowed else ()
    _echo(_diff_as(made, excesses, form, width, annotate))
    if excesses and form in ("json", "markdown"):
        # These go into a file, and the log of a failed job is to say why it failed.
        click.echo("\n".join(f"error: {excess_words(excess)}" for excess in excesses), err=True)
    return ExitCode.LIMIT_EXCEEDED if excesses else ExitCode.DONE


def _one_format(form: str | None, as_json: bool) -> str:
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} exclude each other.")
    return "json" if as_json else form or "text"


def _show(made: Report, baseline: Path | None, form: str, width: int, annotate: str) -> ExitCode:
    if baseline is not None:
        made = with_baseline(made, _report_in(baseline), baseline.as_posix())
    _echo(_report_as(made, form, width, annotate))
    return ExitCode.LIMIT_EXCEEDED if made.status is Status.EXCEEDED else ExitCode.DONE


def _report_as(made: Report, form: str, width: int, annotate: str) -> str:
    if form == "json":
        return render_json(made)
    if form == "markdown":
        from platformio_tflm.render.markdown import render_markdown  # noqa: PLC0415 - a face loads when it is shown

        return render_markdown(made)
    if form == "github":
        from platformio_tflm.render.github import render_github  # noqa: PLC0415

        return render_github(made, file=annotate)
    color, ascii_only = _console()
    return render_text(made, width=width, color=color, ascii_only=ascii_only)


def _diff_as(made: ReportDiff, excesses: tuple[GrowthExcess, ...], form: str, width: int, annotate: str) -> str:
    if form == "json":
        return render_diff_json(made, excesses)
    if form == "markdown":
        from platformio_tflm.render.markdown import render_diff_markdown  # noqa: PLC0415

        return render_diff_markdown(made, excesses)
    if form == "github":
        from platformio_tflm.render.github import render_diff_github  # noqa: PLC0415

        return render_diff_github(made, excesses, file=annotate)
    color, ascii_only = _console()
    return render_diff(made, excesses, width=width, color=color, ascii_only=ascii_only)


def _max_growth(text: str) -> MaxGrowth:
    percent = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*%", text.strip(), re.ASCII)
    if percent:
        from fractions import Fraction  # noqa: PLC0415 - takes longer to load than a diff

        return MaxGrowth(text.strip(), percent=Fraction(percent[1]))
    try:
        return MaxGrowth(text.strip(), size_bytes=parse_bytes(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}; or a share: 2%", param_hint="--max-growth") from error


def _report_in(path: Path) -> Report:
    return report_from_bytes(_bytes_of(path, InputError), str(path))


def _console() -> tuple[bool, bool]:
    """Whether the console shows colours, and whether it shows ASCII only."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return sys.stdout.isatty(), encoding != "utf8"


def _echo(text: str) -> None:
    """Names of tensors and files may have letters that the console, or the file it is sent to, has not."""
    encoding = sys.stdout.encoding or "ascii"
    click.echo(text.encode(encoding, errors="replace").decode(encoding), nl=False)


def _planned(path: Path, runtime: RuntimeChoice = DATA_ONLY) -> PlannedModel:
    return plan_models(read_models([read_model_file(path, Path())]), read_settings({}), runtime)[0]


def _board(name: str) -> Board:
    if name.lower().endswith((".yaml", ".yml")):
        return board_from_file(Path(name), source=name)
    return find_board(name)


def _bytes_of(path: Path, error_type: type[InputError]) -> bytes:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_LINKED_BYTES:
            raise error_type(f"{size_bytes:,} bytes, at most {MAX_LINKED_BYTES:,} are read", where=str(path))
        return path.read_bytes()
    except OSError as error:
        raise error_type(f"cannot be read: {error.strerror}", where=str(path)) from error


def _to_json(value: Any) -> str:
    # Where letters are missing, JSON has a way to write them all the same.
    _, ascii_only = _console()
    return json.dumps(value, indent=2, ensure_ascii=ascii_only) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code of errors.ExitCode."""
    try:
        return int(_run(lambda: cli.main(args=arguments, prog_name="platformio-tflm", standalone_mode=False)))
    except TflmError as error:
        click.echo(f"error: {error}", err=True)
        return int(error.exit_code)
    except click.ClickException as error:
        error.show()
        return int(ExitCode.USAGE)
    except click.exceptions.Abort:
        return int(ExitCode.USAGE)
    except Exception:
        import traceback  # noqa: PLC0415

        traceback.print_exc()
        click.echo("error: this is a bug in platformio-tflm; please report it with the lines above.", err=True)
        return int(ExitCode.BUG)


def _run(command: Callable[[], Any]) -> ExitCode:
    result = command()
    return result if isinstance(result, ExitCode) else ExitCode.DONE
