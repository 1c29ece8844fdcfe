"""Proof that an image carries a model's bytes unchanged: the linked ELF, an Intel HEX file, a raw binary."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from platformio_tflm.core.elf import ElfImage
from platformio_tflm.errors import InputError, TflmError

MAXIMUM_HEX_BYTES = 256 << 20


class Outcome(str, Enum):
    """SAME is the proof; ABSENT means that the linker dropped the model, because nothing uses it."""

    SAME = "same"
    DIFFERENT = "different"
    ABSENT = "absent"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class ImageProof:
    """image: "elf", "hex" or "bin".

    address: run-time address in the ELF's case, load address in the others. alignment: see alignment_of().
    text: one sentence for the report; the reason if the outcome is not SAME.
    """

    image: str
    outcome: Outcome
    address: int | None
    alignment: int | None
    text: str


def alignment_of(address: int) -> int:
    """The largest power of two that divides the address; of address 0, which all divide, 2**32."""
    return address & -address if address else 1 << 32


def verify_elf(elf: ElfImage, data_symbol: str, model: bytes) -> ImageProof:
    """Compare the object at *data_symbol* with the model; its length is the symbol's size."""
    symbol = elf.symbol(data_symbol)
    if symbol is None:
        return _proof(
            "elf", Outcome.ABSENT, None, f"the program has no symbol {data_symbol}; nothing in it uses the model"
        )
    if symbol.size_bytes != len(model):
        what = f"{data_symbol} has {symbol.size_bytes:,} bytes, the model {len(model):,}"
        return _proof("elf", Outcome.DIFFERENT, symbol.address, what)
    found = elf.bytes_at(symbol.address, symbol.size_bytes)
    if found is None:
        what = f"the ELF holds no bytes at {symbol.address:#x}, the address of {data_symbol}"
        return _proof("elf", Outcome.DIFFERENT, symbol.address, what)
    return _compared("elf", symbol.address, found, model)


def find_bytes(elf: ElfImage, model: bytes) -> int | None:
    """The run-time address of the model's bytes wherever they are in the ELF (a stripped one has no symbols)."""
    if not model:
        return None
    for section in elf.sections:
        if section.has_contents:
            start = section.offset
            found = elf.data.find(model, start, start + section.size_bytes)
            if found >= 0:
                return section.address + found - start
    return None


def load_address_of(elf: ElfImage, address: int) -> int | None:
    """Where the byte with this run-time address lies in the image, None if no section holds it."""
    section = elf.section_at(address)
    return None if section is None else elf.load_address(section) + address - section.address


def verify_hex(hex_file: bytes, load_address: int, model: bytes) -> ImageProof:
    """Compare an Intel HEX file's bytes at *load_address* with the model, read with ``intelhex``.

    Without that package the outcome is NOT_CHECKED. A damaged file raises InputError.
    """
    try:
        from intelhex import IntelHex, IntelHexError  # noqa: PLC0415  # comes with platformio-tflm[hex] only
    except ImportError:
        what = "not checked: the package intelhex is not installed (pip install 'platformio-tflm[hex]')"
        return _proof("hex", Outcome.NOT_CHECKED, None, what)
    if len(hex_file) > MAXIMUM_HEX_BYTES:
        raise InputError(f"{len(hex_file):,} bytes are more than the {MAXIMUM_HEX_BYTES:,} that are read.")
    from io import StringIO  # noqa: PLC0415

    records = _records_around(hex_file, load_address, len(model))
    try:
        image = IntelHex()
        image.loadhex(StringIO(records))
    except (IntelHexError, ValueError, IndexError) as error:
        raise InputError(f"Not a sound Intel HEX file: {error}", hint="Build again.") from error
    held = image.todict()
    window = range(load_address, load_address + len(model))
    missing = next((address for address in window if address not in held), None)
    if missing is not None:
        return _proof("hex", Outcome.DIFFERENT, load_address, f"the hex file holds no byte at {missing:#x}")
    return _compared("hex", load_address, bytes(held[address] for address in window), model)


def verify_bin(image: bytes, first_load_address: int, load_address: int, model: bytes) -> ImageProof:
    """As verify_hex, for a raw binary whose first byte lies at *first_load_address*."""
    start = load_address - first_load_address
    if start < 0 or start + len(model) > len(image):
        what = f"the model at {load_address:#x} lies outside of the {len(image):,} bytes from {first_load_address:#x}"
        return _proof("bin", Outcome.DIFFERENT, load_address, what)
    return _compared("bin", load_address, image[start : start + len(model)], model)


def require_same(proof: ImageProof, where: str) -> None:
    """Raise TflmError if the image carries something else than the model."""
    if proof.outcome is Outcome.DIFFERENT:
        raise TflmError(
            f"The {proof.image} image does not carry the model: {proof.text}.",
            where=where,
            hint="Clean and build again; if it stays, another object defines the same symbol.",
        )


def _compared(image: str, address: int, found: bytes, model: bytes) -> ImageProof:
    if found == model:
        what = f"all {len(model):,} bytes at {address:#x} are the model's"
        return _proof(image, Outcome.SAME, address, what)
    at = next(index for index, (one, other) in enumerate(zip(found, model, strict=True)) if one != other)
    place = f"byte {at:,} of {len(model):,} (address {address + at:#x})"
    what = f"{place} is {found[at]:#04x}, the model's is {model[at]:#04x}"
    return _proof(image, Outcome.DIFFERENT, address, what)


def _proof(image: str, outcome: Outcome, address: int | None, text: str) -> ImageProof:
    return ImageProof(image, outcome, address, None if address is None else alignment_of(address), text)


def _records_around(hex_file: bytes, load_address: int, size_bytes: int) -> str:
    """The address records, and the data records that touch the wanted range.

    intelhex keeps every byte as an entry of a dictionary, a second a megabyte; the range is all that is compared.
    """
    kept = []
    base = 0
    for line in hex_file.split(b"\n"):
        record = line.strip()
        kind = record[7:9]
        if kind == b"00" and record[:1] == b":":
            try:
                start = base + int(record[3:7], 16)
                inside = start < load_address + size_bytes and start + int(record[1:3], 16) > load_address
            except ValueError:
                inside = True  # intelhex says what is wrong with the line
            if not inside:
                continue
        elif kind in (b"02", b"04"):
            try:
                base = int(record[9:13], 16) << (4 if kind == b"02" else 16)
            except ValueError:
                base = 0
        if record:
            kept.append(record.decode("ascii", "replace"))
    return "\n".join(kept) + "\n"
