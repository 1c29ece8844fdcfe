"""platformio-tflm inspect, plan, check: what can be said of models before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from platformio_tflm.cli.console import JSON, WIDTH, board_named, console, echo, to_json
from platformio_tflm.core.arena import EABI, ILP32, LP64
from platformio_tflm.core.arena_kernels import KernelSet
from platformio_tflm.core.arena_report import arena_report
from platformio_tflm.core.fit import room_on
from platformio_tflm.describe import describe_model
from platformio_tflm.errors import ExitCode
from platformio_tflm.files import read_model_file
from platformio_tflm.pipeline import DATA_ONLY, PlannedModel, RuntimeChoice, plan_models, read_models
from platformio_tflm.render.arena_text import render_arena
from platformio_tflm.render.check_text import render_check
from platformio_tflm.render.model_text import render_models
from platformio_tflm.room import check_boards, need_of, terms_of
from platformio_tflm.settings import read_settings

_KERNELS = {
    "reference": (KernelSet.REFERENCE,),
    "cmsis-nn": (KernelSet.CMSIS_NN, KernelSet.CMSIS_NN_2023),
    "esp-nn": (KernelSet.ESP_NN,),
}
_ABIS = {abi.name: abi for abi in (EABI, ILP32, LP64)}

_MODEL = click.argument("model", type=click.Path(path_type=Path))
_KERNELS_OPTION = click.option(
    "--kernels", type=click.Choice(tuple(_KERNELS)), help="Whose kernels the library has; by default any."
)


@click.command()
@_MODEL
@JSON
def inspect(model: Path, as_json: bool) -> ExitCode:
    """Show a model's tensors, operators and planned arena."""
    info = describe_model(planned_models([model])[0])
    echo(to_json(asdict(info)) if as_json else render_models([info]))
    return ExitCode.DONE


@click.command()
@_MODEL
@click.option("--board", help="A known board's id, or the path of a YAML file: does the arena fit, what is left.")
@_KERNELS_OPTION
@click.option("--abi", type=click.Choice(tuple(_ABIS)), help="Struct sizes: Arm, other 32-bit cores, 64-bit.")
@WIDTH
@JSON
def plan(  # noqa: PLR0913, PLR0917 - one parameter an option
    model: Path, board: str | None, kernels: str | None, abi: str | None, width: int, as_json: bool
) -> ExitCode:
    """Show how large a tensor arena the model needs, what lies in it when, and how that was found."""
    runtime = _runtime(kernels, abi)
    (planned,) = planned_models([model], runtime)
    made = arena_report(planned.name, planned.path, planned.model, planned.plan, runtime.abi.name)
    if board:
        need = need_of([planned], with_arena=True)
        made = replace(made, room=room_on(board_named(board), need, terms_of(read_settings({}))))
    if as_json:
        echo(to_json(asdict(describe_model(planned))))
    else:
        color, ascii_only = console()
        echo(render_arena(made, width=width, color=color, ascii_only=ascii_only))
    return ExitCode.LIMIT_EXCEEDED if made.room and not made.room.fits else ExitCode.DONE


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--board", help="A known board's id, or the path of a YAML file.")
@click.option("--all-boards", is_flag=True, help="All known boards, those with the least SRAM first.")
@_KERNELS_OPTION
@WIDTH
@JSON
def check(  # noqa: PLR0913, PLR0917 - one parameter an option
    models: tuple[Path, ...], board: str | None, all_boards: bool, kernels: str | None, width: int, as_json: bool
) -> ExitCode:
    """Say whether models and their arenas fit a board, and what is left for the program."""
    if not board and not all_boards:
        raise click.UsageError("name a board with --board, or ask for --all-boards.")
    planned = planned_models(models, _runtime(kernels))
    made = check_boards(planned, read_settings({}), board_named(board) if board else None, all_boards=all_boards)
    infos = tuple(describe_model(model) for model in planned)
    if as_json:
        echo(to_json({"models": [asdict(info) for info in infos], **asdict(made)}))
    else:
        color, ascii_only = console()
        echo(render_check(infos, made, width=width, color=color, ascii_only=ascii_only))
    return ExitCode.LIMIT_EXCEEDED if made.chosen and not made.chosen.fits else ExitCode.DONE


def planned_models(paths: Sequence[Path], runtime: RuntimeChoice = DATA_ONLY) -> tuple[PlannedModel, ...]:
    """The models of *paths* with their arenas, as the default settings have them."""
    files = [read_model_file(path, Path()) for path in paths]
    return plan_models(read_models(files), read_settings({}), runtime)


def _runtime(kernels: str | None, abi: str | None = None) -> RuntimeChoice:
    runtime = replace(DATA_ONLY, kernels=_KERNELS[kernels]) if kernels else DATA_ONLY
    return replace(runtime, abi=_ABIS[abi]) if abi else runtime
