"""What the commands have in common: options, files, and the way to the console."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from platformio_tflm.core.boards import Board, board_from_file, find_board
from platformio_tflm.errors import InputError

MAX_FILE_BYTES = 512 * 1024 * 1024

JSON = click.option("--json", "as_json", is_flag=True, help="JSON on standard output, nothing else.")
WIDTH = click.option("--width", default=100, show_default=True, help="Columns of the text.")


def console() -> tuple[bool, bool]:
    """Whether the console shows colours, and whether it shows ASCII only."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return sys.stdout.isatty(), encoding != "utf8"


def echo(text: str) -> None:
    """Names of tensors and files may have letters that the console, or the file it is sent to, has not."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        click.echo(text.encode(encoding, errors="replace").decode(encoding), nl=False)
    except BrokenPipeError:
        raise  # click ends the command: whoever reads has read enough
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where="standard output") from error


def to_json(value: Any) -> str:
    # Where letters are missing, JSON has a way to write them all the same.
    _, ascii_only = console()
    return json.dumps(value, indent=2, ensure_ascii=ascii_only) + "\n"


def board_named(name: str) -> Board:
    """The known board, or the one that a YAML file describes."""
    if name.lower().endswith((".yaml", ".yml")):
        return board_from_file(Path(name), source=name)
    return find_board(name)


def bytes_of(path: Path, error_type: type[InputError]) -> bytes:
    """The file's contents; an *error_type* with its name where there are none, or too many."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise error_type(f"{size_bytes:,} bytes, at most {MAX_FILE_BYTES:,} are read", where=str(path))
        if path.is_file():
            return path.read_bytes()
        with path.open("rb") as stream:  # A pipe has no size, and a device may have no end.
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise error_type(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(data) > MAX_FILE_BYTES:
        raise error_type(f"at most {MAX_FILE_BYTES:,} bytes are read", where=str(path))
    return data
