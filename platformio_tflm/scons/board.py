"""The board of an environment: a board file, or what PlatformIO's own manifest says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from platformio_tflm.core.boards import Board, board_from_file, board_from_limits, find_board, known_board_ids
from platformio_tflm.settings import Settings


def board_of(env: Any, settings: Settings, project_dir: Path) -> Board | None:
    """None for an environment without a board (platform = native) that names none in custom_tflm_board.

    Errors: BoardError for an unknown id or an unreadable file.
    """
    if settings.board:
        return _named(settings.board, project_dir)
    if "BOARD" not in env:
        return None
    board_id = str(env["BOARD"])
    if board_id in known_board_ids():
        return find_board(board_id)
    return _from_manifest(env, board_id)


def _named(name: str, project_dir: Path) -> Board:
    if name.lower().endswith((".yaml", ".yml")):
        return board_from_file(project_dir / name, source=name)
    return find_board(name)


def _from_manifest(env: Any, board_id: str) -> Board:
    manifest = env.BoardConfig()
    return board_from_limits(
        board_id,
        str(manifest.get("name", board_id)),
        flash_limit_bytes=int(manifest.get("upload.maximum_size", 0)),
        sram_limit_bytes=int(manifest.get("upload.maximum_ram_size", 0)),
        mcu=str(manifest.get("build.mcu", "")),
        clock_hz=_hertz(str(manifest.get("build.f_cpu", ""))),
    )


def _hertz(text: str) -> int:
    digits = text.rstrip("ULul")
    return int(digits) if digits.isdigit() else 0
