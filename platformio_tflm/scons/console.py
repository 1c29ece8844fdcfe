"""What the build says to the user, on standard output and standard error."""

from __future__ import annotations

import locale
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from platformio_tflm.errors import ExitCode, TflmError


def shows_utf8() -> bool:
    """Whether the console takes the blocks that bars are drawn with; many a Windows console does not.

    PlatformIO reads this process's output as UTF-8 and prints it again in the encoding of the system's locale, so that
    is the one to ask for, not standard output's own.
    """
    return locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"


def say(text: str) -> None:
    encoding = "utf-8" if shows_utf8() else locale.getpreferredencoding(False)
    click.echo(text.encode(encoding, errors="replace").decode(encoding))


def warn(text: str) -> None:
    click.secho(f"warning: {text}", fg="yellow", err=True)


def show_warning(where: str, text: str) -> None:
    """``place: warning: text``, as compilers write it."""
    click.secho(f"{where}: warning: {text}", fg="yellow", err=True)


def show_error(error: TflmError) -> None:
    """``place: error: what``, the form that the problem matcher of VS Code reads, then what to do."""
    click.secho(f"{error.where or 'platformio-tflm'}: error: {error.what}", fg="red", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


def show_bug() -> None:
    import traceback  # noqa: PLC0415 - only wanted on the way to an error

    traceback.print_exc()
    click.secho("error: this is a bug in platformio-tflm; please report it with the lines above.", fg="red", err=True)


def build_action(action: Callable[[list[Any], list[Any], Any], None]) -> Callable[[list[Any], list[Any], Any], int]:
    """A function as SCons runs it: errors are shown, and become the failed node's exit code."""

    def run(target: list[Any], source: list[Any], env: Any) -> int:
        try:
            action(target, source, env)
        except TflmError as error:
            show_error(error)
            return int(error.exit_code)
        except Exception:
            # SCons would show its own traceback, without a word on where to send it.
            show_bug()
            return int(ExitCode.BUG)
        return 0

    return run


def stop(env: Any, error: TflmError) -> NoReturn:
    """End the SCons process with the error's exit code."""
    show_error(error)
    sys.stdout.flush()
    env.Exit(int(error.exit_code))
    raise AssertionError("SCons' Exit does not return")


def stop_for_bug(env: Any) -> NoReturn:
    show_bug()
    env.Exit(int(ExitCode.BUG))
    raise AssertionError("SCons' Exit does not return")
