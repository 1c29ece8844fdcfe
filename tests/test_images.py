"""The proof that an image carries the model: real ELF, hex and binary files, and what is said when they do not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from firmware_fixtures import firmware  # noqa: F401  # a fixture
from tiny_firmware import MODEL_BYTES, TOOLCHAINS, Firmware

from platformio_tflm.core.elf import ElfImage, read_elf
from platformio_tflm.core.images import (
    Outcome,
    alignment_of,
    find_bytes,
    load_address_of,
    require_same,
    verify_bin,
    verify_elf,
    verify_hex,
)
from platformio_tflm.errors import InputError, TflmError

Linked = Callable[..., Firmware]
EVERYWHERE = pytest.mark.parametrize("name", sorted(set(TOOLCHAINS) - {"host"}))


def model_place(image: ElfImage) -> tuple[int, int]:
    symbol = image.symbol("sine_data")
    assert symbol is not None
    load = load_address_of(image, symbol.address)
    assert load is not None
    return symbol.address, load


@EVERYWHERE
def test_elf_hex_and_bin_carry_the_model(firmware: Linked, name: str) -> None:  # noqa: F811
    built = firmware(name)
    image = read_elf(built.elf.read_bytes())
    address, load = model_place(image)
    in_elf = verify_elf(image, "sine_data", MODEL_BYTES)
    assert (in_elf.outcome, in_elf.address) == (Outcome.SAME, address)
    assert in_elf.alignment is not None
    assert in_elf.alignment >= 16
    assert address % in_elf.alignment == 0
    assert address % (2 * in_elf.alignment) != 0
    in_hex = verify_hex(built.hex(), load, MODEL_BYTES)
    assert (in_hex.outcome, in_hex.text) == (Outcome.SAME, f"all 1,040 bytes at {load:#x} are the model's")
    first = min(image.load_address(section) for section in image.sections if section.has_contents)
    assert verify_bin(built.binary(), first, load, MODEL_BYTES).outcome is Outcome.SAME
    assert find_bytes(image, MODEL_BYTES) == address
    require_same(in_hex, "firmware.hex")


def test_another_model_is_told_from_this_one(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    image = read_elf(built.elf.read_bytes())
    _, load = model_place(image)
    other = MODEL_BYTES[:1000] + b"\xee" + MODEL_BYTES[1001:]
    for proof in (verify_elf(image, "sine_data", other), verify_hex(built.hex(), load, other)):
        assert proof.outcome is Outcome.DIFFERENT
        assert "byte 1,000 of 1,040" in proof.text
        assert "is 0xe8, the model's is 0xee" in proof.text
        with pytest.raises(TflmError, match="does not carry the model"):
            require_same(proof, "firmware")
    longer = verify_elf(image, "sine_data", MODEL_BYTES + b"x")
    assert longer.text == "sine_data has 1,040 bytes, the model 1,041"
    assert find_bytes(image, other) is None


def test_a_model_that_is_not_linked_is_absent(firmware: Linked) -> None:  # noqa: F811
    image = read_elf(firmware("arm").elf.read_bytes())
    proof = verify_elf(image, "cosine_data", MODEL_BYTES)
    assert (proof.outcome, proof.address, proof.alignment) == (Outcome.ABSENT, None, None)


def test_a_model_in_memory_without_contents_differs(firmware: Linked) -> None:  # noqa: F811
    image = read_elf(firmware("arm").elf.read_bytes())
    assert verify_elf(image, "sine_arena", bytes(4096)).outcome is Outcome.DIFFERENT


def test_hex_files_with_holes_and_damage(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    _, load = model_place(read_elf(built.elf.read_bytes()))
    text = built.hex()
    lines = text.splitlines(keepends=True)
    inside = next(
        index
        for index, line in enumerate(lines)
        if line[7:9] == b"00" and MODEL_BYTES[64:76].hex().upper().encode() in line
    )
    hole = verify_hex(b"".join(lines[:inside] + lines[inside + 1 :]), load, MODEL_BYTES)
    assert hole.outcome is Outcome.DIFFERENT
    assert "holds no byte at" in hole.text
    wrong_sum = lines[inside][:-4] + (b"00" if lines[inside][-4:-2] != b"00" else b"01") + lines[inside][-2:]
    for bad in (wrong_sum, b":zz\n", b"not hex at all\n", b":0400\n"):
        with pytest.raises(InputError, match="Intel HEX"):
            verify_hex(b"".join([*lines[:inside], bad, *lines[inside + 1 :]]), load, MODEL_BYTES)
    assert verify_hex(b"", load, MODEL_BYTES).outcome is Outcome.DIFFERENT


def test_without_intelhex_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "intelhex", None)
    proof = verify_hex(b":00000001FF\n", 0, MODEL_BYTES)
    assert proof.outcome is Outcome.NOT_CHECKED
    assert "platformio-tflm[hex]" in proof.text
    require_same(proof, "firmware.hex")


def test_a_binary_too_short(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    _, load = model_place(read_elf(built.elf.read_bytes()))
    assert verify_bin(built.binary()[:100], 0x08000000, load, MODEL_BYTES).outcome is Outcome.DIFFERENT
    assert verify_bin(built.binary(), load + 1, load, MODEL_BYTES).outcome is Outcome.DIFFERENT


def test_stripped_elf_still_finds_the_bytes(firmware: Linked) -> None:  # noqa: F811
    image = read_elf(firmware("arm").elf.read_bytes())
    address, _ = model_place(image)
    assert find_bytes(replace(image, symbols=()), MODEL_BYTES) == address
    assert find_bytes(image, b"") is None


@pytest.mark.parametrize(("address", "alignment"), [(1, 1), (0x20000010, 16), (0x08001000, 0x1000), (6, 2)])
def test_alignment(address: int, alignment: int) -> None:
    assert alignment_of(address) == alignment
    assert alignment_of(0) == 1 << 32
