"""The bounds-checked FlatBuffers reader, on bytes written by hand."""

from __future__ import annotations

import struct

import pytest

from platformio_tflm.core.flatbuf import Budget, FlatBuffer
from platformio_tflm.errors import ModelError

INT = struct.Struct("<i")
FLOAT = struct.Struct("<f")


def file_of(*, root: int = 12, vtable: bytes = b"", table: bytes = b"", rest: bytes = b"") -> bytes:
    """root offset, 4 bytes of padding, 4 bytes more; then a table at 12, its vtable behind it, and *rest*."""
    body = struct.pack("<i", -(4 + len(table))) + table + vtable + rest
    return struct.pack("<I", root) + bytes(8) + body


def one_field(value: bytes, rest: bytes = b"") -> bytes:
    """A table whose slot 0 holds *value*; its vtable names a second slot that is absent."""
    return file_of(vtable=struct.pack("<HHHH", 8, 4 + len(value), 4, 0), table=value, rest=rest)


def test_scalars_and_defaults() -> None:
    table = FlatBuffer(one_field(INT.pack(-7))).root()
    assert table.number(0, INT) == -7
    assert table.number(1, INT, 42) == 42, "a slot of 0 is absent"
    assert table.number(9, INT, 43) == 43, "so is one behind the vtable's end"
    assert table.real(1, FLOAT, 0.5) == 0.5
    assert table.has(0)
    assert not table.has(1)


def test_reals() -> None:
    assert FlatBuffer(one_field(FLOAT.pack(1.5))).root().real(0, FLOAT) == 1.5


def vector_file(count: int, payload: bytes) -> bytes:
    """Slot 0 leads to a vector behind the vtable."""
    return one_field(struct.pack("<I", 12), struct.pack("<I", count) + payload)


def test_vectors_strings_and_bytes() -> None:
    table = FlatBuffer(vector_file(4, b"ab\xffd\0")).root()
    assert table.text(0, "text") == "ab\ufffdd"
    assert table.raw(0, "bytes") == b"ab\xffd"
    assert table.extent(0, "bytes") == (32, 4)
    assert table.extent(1, "bytes") == (0, 0)
    assert table.text(1, "text") == ""
    numbers = FlatBuffer(vector_file(2, struct.pack("<ii", 1, -1))).root()
    assert numbers.numbers(0, "i", "numbers") == (1, -1)
    assert numbers.numbers(1, "i", "numbers") == ()
    assert FlatBuffer(vector_file(1, struct.pack("<f", 0.25))).root().reals(0, "reals") == (0.25,)


REFUSED = {
    "root offset outside": (
        file_of(root=4000),
        "the root table should lie at bytes 4,000 to 4,004, but the file has 16",
    ),
    "root offset of nought": (file_of(root=0), "the offset to the root table at byte 0 points at itself, a loop"),
    "root not aligned": (file_of(root=10), "the root table at byte 10 is not aligned to 4 bytes"),
    "vtable before the file": (
        struct.pack("<Ii", 4, 5000),
        "the vtable of the root table should lie at bytes -4,996 to -4,992, but the file has 8",
    ),
    "vtable too short": (
        file_of(vtable=struct.pack("<HH", 2, 4)),
        "the vtable of the root table at byte 16 is malformed (2 bytes)",
    ),
    "vtable of odd size": (
        file_of(vtable=struct.pack("<HHH", 5, 4, 0)),
        "the vtable of the root table at byte 16 is malformed (5 bytes)",
    ),
    "vtable cut off": (
        file_of(vtable=struct.pack("<HH", 400, 4)),
        "the vtable of the root table should lie at bytes 16 to 416, but the file has 20",
    ),
    "table longer than the file": (
        file_of(vtable=struct.pack("<HH", 4, 9000)),
        "the root table should lie at bytes 12 to 9,012, but the file has 20",
    ),
    "field outside its table": (
        file_of(vtable=struct.pack("<HHH", 6, 4, 4)),
        "field 0 of the root table lies outside its table of 4 bytes",
    ),
    "field inside the vtable offset": (
        file_of(vtable=struct.pack("<HHH", 6, 8, 2), table=bytes(4)),
        "field 0 of the root table lies outside its table of 8 bytes",
    ),
    "file of three bytes": (b"abc", "the offset to the root table should lie at bytes 0 to 4, but the file has 3"),
}


@pytest.mark.parametrize(("data", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_broken_tables(data: bytes, what: str) -> None:
    with pytest.raises(ModelError) as caught:
        FlatBuffer(data).root().number(0, INT)
    assert caught.value.what == what
    assert caught.value.hint.startswith("The file is cut off or damaged")


VECTORS = {
    "longer than the file": (vector_file(1000, b""), "the list should lie at bytes 32 to 4,032, but the file has 32"),
    "count overflows": (
        vector_file(0xFFFFFFFF, b""),
        "the list should lie at bytes 32 to 17,179,869,212, but the file has 32",
    ),
    "offset outside": (
        one_field(struct.pack("<I", 1 << 31)),
        "the list should lie at bytes 2,147,483,664 to 2,147,483,668, but the file has 28",
    ),
    "offset of nought": (one_field(struct.pack("<I", 0)), "the offset to the list at byte 16 points at itself, a loop"),
}


@pytest.mark.parametrize(("data", "what"), VECTORS.values(), ids=VECTORS.keys())
def test_broken_vectors(data: bytes, what: str) -> None:
    with pytest.raises(ModelError) as caught:
        FlatBuffer(data).root().numbers(0, "i", "the list")
    assert caught.value.what == what


def test_too_many_tables() -> None:
    with pytest.raises(ModelError) as caught:
        FlatBuffer(vector_file(3, bytes(12))).root().tables(0, "thing", 2)
    assert caught.value.what == "lists 3 things, more than the 2 that are read"


def test_budget_of_elements() -> None:
    buffer = FlatBuffer(vector_file(4, bytes(16)), Budget(elements=12))
    table = buffer.root()
    table.numbers(0, "i", "the list")
    table.numbers(0, "i", "the list")
    with pytest.raises(ModelError, match="holds more tables and numbers"):
        table.numbers(0, "i", "the list")


def test_budget_of_bytes() -> None:
    table = FlatBuffer(vector_file(8, bytes(8)), Budget(data_bytes=12)).root()
    assert table.raw(0, "bytes") == bytes(8)
    with pytest.raises(ModelError, match="holds more names and custom options"):
        table.text(0, "text")


def test_bytes_outside_the_flatbuffer() -> None:
    table = FlatBuffer(one_field(INT.pack(1), b"weights!")).root()
    assert table.raw_outside(28, 7, "the options") == b"weights"
    with pytest.raises(ModelError, match="the options should lie at bytes 28 to 37, but the file has 36"):
        table.raw_outside(28, 9, "the options")
