"""Pack boards/*.yaml into platformio_tflm/boards.json, which a build reads without PyYAML.

Usage: python tools/pack_boards.py [--check]; --check writes nothing and returns 1 if the packed file is out of step.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from platformio_tflm.core.board_file import board_from_mapping, mapping_from_yaml  # noqa: E402
from platformio_tflm.errors import BoardError  # noqa: E402

PACKED = ROOT / "platformio_tflm" / "boards.json"


def pack(folder: Path) -> str:
    """The text of boards.json for the board files in *folder*. Raises BoardError for the first file with problems."""
    boards = {}
    for path in sorted(folder.glob("*.yaml")):
        source = f"boards/{path.name}"
        mapping, lines = mapping_from_yaml(path.read_text(encoding="utf-8"), source)
        board = board_from_mapping(mapping, source, lines)
        if board.id != path.stem:
            raise BoardError(f"the id is {board.id} where the file's name says {path.stem}", where=source)
        boards[board.id] = mapping
    return json.dumps(boards, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    try:
        text = pack(ROOT / "boards")
    except BoardError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    if "--check" not in arguments:
        PACKED.write_bytes(text.encode("utf-8"))
        return 0
    if PACKED.is_file() and PACKED.read_bytes() == text.encode("utf-8"):
        return 0
    sys.stderr.write("platformio_tflm/boards.json is out of step with boards/*.yaml; run tools/pack_boards.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
