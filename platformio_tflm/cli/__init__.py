"""The command line: the build's use cases without PlatformIO and without SCons."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import click

from platformio_tflm import __version__
from platformio_tflm.errors import ExitCode, TflmError

# Where each command is. Its module loads when it runs: the planner takes longer to load than a large map to read.
_COMMANDS = {
    "boards": "boards",
    "check": "models",
    "diff": "reports",
    "inspect": "models",
    "plan": "models",
    "report": "measured",
    "show": "reports",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{module}"), cmd_name)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="platformio-tflm")
def cli() -> None:
    """TensorFlow Lite models on microcontrollers: look at models, plan arenas, measure linked programs."""


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
