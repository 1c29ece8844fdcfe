"""ESP32 partition tables (CSV) -> room for the program.

Format: ESP-IDF's partition table documentation; name, type, subtype, offset, size, flags, with ``#`` comments.
"""

from __future__ import annotations

from platformio_tflm.errors import BoardError

MAX_TABLE_BYTES = 64 * 1024
_APPLICATION = ("app", "0", "0x00")


def application_bytes(table: bytes, source: str) -> int | None:
    """Size of the partition that the program is written to: factory where there is one, else the first of the apps.

    None if the table has no app partition. Errors: BoardError for a size that is none, or a table over 64 KiB.
    """
    if len(table) > MAX_TABLE_BYTES:
        raise BoardError(f"{len(table):,} bytes, at most {MAX_TABLE_BYTES:,} are read", where=source)
    sizes: dict[str, int] = {}
    for number, line in enumerate(table.decode("utf-8", errors="replace").splitlines(), 1):
        cells = [cell.strip().lower() for cell in line.partition("#")[0].split(",")]
        if len(cells) >= 5 and cells[1] in _APPLICATION and cells[4]:
            sizes.setdefault(cells[2], _size(cells[4], f"{source}, line {number}"))
    return sizes.get("factory", sizes.get("0x00", next(iter(sizes.values()), None)))


def _size(text: str, where: str) -> int:
    digits, scale = (text[:-1], {"k": 1024, "m": 1024 * 1024}[text[-1]]) if text[-1] in "km" else (text, 1)
    try:
        return int(digits, 0) * scale
    except ValueError:
        raise BoardError(
            f"'{text}' is not a partition's size", where=where, hint="Write 1280K, 1M or 0x140000."
        ) from None
