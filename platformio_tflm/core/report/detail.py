"""What the HTML report shows beside the Report; too much for report.json (core/detail.py)."""

from __future__ import annotations

from dataclasses import dataclass

from platformio_tflm.core.report.arena import ArenaReport


@dataclass(frozen=True)
class MemoryNode:
    """A part of the linked program; what it is divided into sums to its own bytes, in flash and in SRAM.

    kind: "memory" (the whole), "region", "category", "archive", "object", "symbol"; below an object "rest", bytes
    that no symbol names; below a category "linker", what the linker made or filled.
    full_name: more exact than name where that is short for it (a mangled symbol, an archive's path), else "".
    """

    name: str
    kind: str
    flash_bytes: int
    sram_bytes: int
    children: tuple[MemoryNode, ...] = ()
    full_name: str = ""


@dataclass(frozen=True)
class Detail:
    """What the HTML report shows beside the Report; too much for report.json."""

    memory: MemoryNode
    arenas: tuple[ArenaReport, ...] = ()
