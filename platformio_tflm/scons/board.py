"""The board of an environment: a board file, or what PlatformIO's own manifest says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from platformio_tflm.core.boards import Board, board_from_file, board_from_limits, find_board, known_board_ids
from platformio_tflm.core.partitions import application_bytes
from platformio_tflm.errors import BoardError
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
    if board_id not in known_board_ids():
        return _from_manifest(env, board_id)
    board = find_board(board_id)
    return board.with_limits(flash_limit_bytes=_flash_limit(env, board), sram_limit_bytes=_sram_limit(env))


def _flash_limit(env: Any, board: Board) -> int:
    """What this project knows better than the board file: its partition table, or its board_upload.maximum_size."""
    table = Path(env.subst("$PARTITIONS_TABLE_CSV") or "none")
    if table.is_file():
        room = application_bytes(table.read_bytes(), table.name)
        if room is not None:
            return room
    allowed = int(env.BoardConfig().get("upload.maximum_size", 0))
    return allowed if allowed != board.flash_limit_bytes else 0


def _sram_limit(env: Any) -> int:
    asked = str(env.GetProjectOption("board_upload.maximum_ram_size", ""))
    return int(asked) if asked.isdigit() else 0


def _named(name: str, project_dir: Path) -> Board:
    if name.lower().endswith((".yaml", ".yml")):
        return board_from_file(project_dir / name, source=name)
    try:
        return find_board(name)
    except BoardError as error:
        raise BoardError(f"custom_tflm_board: {error.what}", where="platformio.ini", hint=error.hint) from None


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
