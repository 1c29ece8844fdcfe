"""platformio-tflm boards."""

from __future__ import annotations

from dataclasses import asdict

import click

from platformio_tflm.cli.console import JSON, echo, to_json
from platformio_tflm.core.boards import find_board, known_board_ids
from platformio_tflm.errors import ExitCode


@click.command()
@JSON
def boards(as_json: bool) -> ExitCode:
    """List the boards whose memory is known."""
    known = [find_board(board_id) for board_id in known_board_ids()]
    if as_json:
        echo(to_json([asdict(board) for board in known]))
        return ExitCode.DONE
    for board in known:
        limits = f"flash {board.program_limit_bytes:>9,}  SRAM {board.sram_limit_bytes:>7,}"
        echo(f"{board.id:<20} {limits}  {board.core:<12} {board.name}\n")
    return ExitCode.DONE
