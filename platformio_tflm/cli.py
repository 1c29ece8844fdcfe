"""The command line: the build's use cases without PlatformIO and without SCons."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from platformio_tflm import __version__
from platformio_tflm.core.boards import Board, board_from_file, find_board, known_board_ids
from platformio_tflm.core.report import ArenaRoom, Report, Status
from platformio_tflm.errors import ElfError, ExitCode, InputError, MapFileError, TflmError
from platformio_tflm.files import read_model_file
from platformio_tflm.measure import LinkedFiles, Project, describe_model, explain, measure
from platformio_tflm.render.json_report import render_json
from platformio_tflm.render.text import render_text
from platformio_tflm.settings import read_settings

# The planner and what draws its results take longer to load than a large map to read; they load where they are used.
if TYPE_CHECKING:
    from platformio_tflm.pipeline import PlannedModel, RuntimeChoice

MAX_LINKED_BYTES = 512 * 1024 * 1024

# Names of members of KernelSet.
_KERNELS = {
    "reference": ("REFERENCE",),
    "cmsis-nn": ("CMSIS_NN", "CMSIS_NN_2023"),
    "esp-nn": ("ESP_NN",),
}
_ABIS = ("arm-eabi", "ilp32", "lp64")

_JSON = click.option("--json", "as_json", is_flag=True, help="JSON on standard output, nothing else.")
_MODEL = click.argument("model", type=click.Path(path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="platformio-tflm")
def cli() -> None:
    """TensorFlow Lite models on microcontrollers: look at models, plan arenas, measure linked programs."""


@cli.command()
@_MODEL
@_JSON
def inspect(model: Path, as_json: bool) -> ExitCode:
    """Show a model's tensors, operators and planned arena."""
    from platformio_tflm.render.model_text import render_models  # noqa: PLC0415

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
    from platformio_tflm.core.arena_report import arena_report  # noqa: PLC0415
    from platformio_tflm.render.arena_text import render_arena  # noqa: PLC0415

    runtime = _runtime(kernels, abi)
    planned = _planned(model, runtime)
    made = arena_report(planned.name, planned.path, planned.model, planned.plan, runtime.abi.name)
    if board:
        made = replace(made, room=_room(_board(board), planned))
    if as_json:
        _echo(_to_json(asdict(describe_model(planned))))
    else:
        color, ascii_only = _console()
        _echo(render_arena(made, width=width, color=color, ascii_only=ascii_only))
    return ExitCode.LIMIT_EXCEEDED if made.room and not made.room.fits else ExitCode.DONE


def _runtime(kernels: str | None, abi: str | None) -> RuntimeChoice:
    from platformio_tflm.core.arena import EABI, ILP32, LP64  # noqa: PLC0415
    from platformio_tflm.core.arena_kernels import KernelSet  # noqa: PLC0415
    from platformio_tflm.pipeline import DATA_ONLY  # noqa: PLC0415

    runtime = DATA_ONLY
    if kernels:
        runtime = replace(runtime, kernels=tuple(KernelSet[name] for name in _KERNELS[kernels]))
    if abi:
        runtime = replace(runtime, abi=next(known for known in (EABI, ILP32, LP64) if known.name == abi))
    return runtime


def _room(board: Board, planned: PlannedModel) -> ArenaRoom:
    from platformio_tflm.core.arena_report import arena_room  # noqa: PLC0415

    reserved_bytes = sum(entry.size_bytes for entry in board.reserved())
    return arena_room(
        board,
        reserved_bytes=reserved_bytes,
        model_bytes=planned.model.size_bytes,
        arena_bytes=planned.arena_bytes,
    )


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
@click.option("--elf", type=click.Path(path_type=Path), help="The linked program.")
@click.option("--map", "map_file", type=click.Path(path_type=Path), help="The linker's map of it; one of both will do.")
@click.option("--hex", "hex_file", type=click.Path(path_type=Path), help="Its Intel HEX image.")
@click.option("--board", help="A known board's id, or the path of a YAML file; by default the map's own regions.")
@click.option("--model", "models", multiple=True, type=click.Path(path_type=Path), help="A model in it; repeatable.")
@click.option(
    "--explain",
    "queries",
    multiple=True,
    metavar="NAME",
    help="Say of a symbol, address, section, object or archive where it is and why it counts there; repeatable.",
)
@click.option("--width", default=100, show_default=True, help="Columns of the text.")
@_JSON
def report(  # noqa: PLR0913, PLR0917 - one parameter an option
    elf: Path | None,
    map_file: Path | None,
    hex_file: Path | None,
    board: str | None,
    models: tuple[Path, ...],
    queries: tuple[str, ...],
    width: int,
    as_json: bool,
) -> ExitCode:
    """Account for every byte of a linked program and hold it against a board."""
    if not elf and not map_file:
        raise click.UsageError("give the map with --map, the program with --elf, or both.")
    linked = LinkedFiles(
        _bytes_of(elf, ElfError) if elf else None,
        _bytes_of(map_file, MapFileError) if map_file else None,
        _bytes_of(hex_file, InputError) if hex_file else None,
        elf.name if elf else "",
        map_file.name if map_file else "",
    )
    held, project = _board(board) if board else None, Project("", "", __version__)
    planned = _planned_all(models) if models else ()
    if queries:
        _explain(linked, held, project, queries, planned, width=width, as_json=as_json)
        return ExitCode.DONE
    made = measure(linked, held, read_settings({}), project, models=planned)
    _echo(render_json(made) if as_json else _text_for_console(made, width))
    return ExitCode.LIMIT_EXCEEDED if made.status is Status.EXCEEDED else ExitCode.DONE


def _explain(  # noqa: PLR0913 - what was linked, what is asked, how it is shown
    linked: LinkedFiles,
    board: Board | None,
    project: Project,
    queries: Sequence[str],
    models: Sequence[PlannedModel],
    *,
    width: int,
    as_json: bool,
) -> None:
    from platformio_tflm.render.explain_text import render_explanations  # noqa: PLC0415

    answers = explain(linked, board, project, queries, models=models)
    color, ascii_only = _console()
    if as_json:
        _echo(_to_json([asdict(answer) for answer in answers]))
    else:
        _echo(render_explanations(answers, width=width, color=color, ascii_only=ascii_only))


def _text_for_console(made: Report, width: int) -> str:
    color, ascii_only = _console()
    return render_text(made, width=width, color=color, ascii_only=ascii_only)


def _console() -> tuple[bool, bool]:
    """Whether the console shows colours, and whether it shows ASCII only."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return sys.stdout.isatty(), encoding != "utf8"


def _echo(text: str) -> None:
    """Names of tensors and files may have letters that the console, or the file it is sent to, has not."""
    encoding = sys.stdout.encoding or "ascii"
    click.echo(text.encode(encoding, errors="replace").decode(encoding), nl=False)


def _planned(path: Path, runtime: RuntimeChoice | None = None) -> PlannedModel:
    return _planned_all([path], runtime)[0]


def _planned_all(paths: Sequence[Path], runtime: RuntimeChoice | None = None) -> tuple[PlannedModel, ...]:
    from platformio_tflm.pipeline import DATA_ONLY, plan_models, read_models  # noqa: PLC0415

    files = [read_model_file(path, Path()) for path in paths]
    return plan_models(read_models(files), read_settings({}), runtime or DATA_ONLY)


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
    # What is read is kept to the end: to look for garbage among a map's rows takes longer than to read them.
    collects = gc.isenabled()
    gc.disable()
    try:
        result = command()
    finally:
        if collects:
            gc.enable()
    return result if isinstance(result, ExitCode) else ExitCode.DONE
