"""Answers to `report --explain` (core/explain.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExplainedBytes:
    """A run of bytes of one origin: where it is, and why it is counted where it is.

    region: "" where no region holds the address. load_address: where the bytes lie in the image, if elsewhere.
    input_section, archive, member: "" where there is none; reason: the rule that chose the category.
    """

    address: int
    size_bytes: int
    flash_bytes: int
    sram_bytes: int
    region: str
    region_kind: str
    load_address: int | None
    load_region: str
    section: str
    input_section: str
    archive: str
    member: str
    category: str
    operator: str
    reason: str


@dataclass(frozen=True)
class Explanation:
    """What --explain found. name: as the files have it.

    kind: symbol, address, section, object, archive, operator or discarded.
    readable: a C++ symbol's name without its types, else "". notes: why it was linked, what else is to be known.
    """

    query: str
    kind: str
    name: str
    readable: str
    size_bytes: int
    runs: tuple[ExplainedBytes, ...]
    notes: tuple[str, ...] = ()
