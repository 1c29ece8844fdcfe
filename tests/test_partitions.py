"""Partition tables as ESP-IDF and Arduino write them."""

from __future__ import annotations

import pytest

from platformio_tflm.core.partitions import application_bytes
from platformio_tflm.errors import BoardError

TWO_SLOTS = b"""\
# Name,   Type, SubType, Offset,  Size, Flags
nvs,      data, nvs,     0x9000,  0x5000,
otadata,  data, ota,     0xe000,  0x2000,
app0,     app,  ota_0,   0x10000, 0x140000,
app1,     app,  ota_1,   0x150000,0x140000,
spiffs,   data, spiffs,  0x290000,0x170000,
"""


@pytest.mark.parametrize(
    ("table", "size_bytes"),
    [
        (TWO_SLOTS, 1310720),
        (b"app0,app,ota_0,0x10000,3M,\r\n", 3 << 20),
        (b"ota_0,app,ota_0,,1M\nfactory, app, factory, , 1280K, encrypted\n", 1280 << 10),
        (b"x,0,0x00,0x10000,0x100000\n", 1 << 20),
        (b"", None),
        (b"nvs, data, nvs, 0x9000, 0x5000\n# a, app, factory, 0, 1M\n", None),
    ],
)
def test_room_for_the_program(table: bytes, size_bytes: int | None) -> None:
    assert application_bytes(table, "table.csv") == size_bytes


def test_bad_size_names_the_line() -> None:
    with pytest.raises(BoardError) as caught:
        application_bytes(b"\napp0, app, ota_0, 0, much\n", "table.csv")
    assert "table.csv, line 2" in str(caught.value)


def test_oversized_table() -> None:
    with pytest.raises(BoardError):
        application_bytes(b"#" * 70000, "table.csv")
