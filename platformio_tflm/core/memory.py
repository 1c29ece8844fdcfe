"""LinkMap and ELF, against a Board, into Usage: every byte of flash and SRAM once, with its category and the reason.

Counting rules
- Flash is what the image holds: every section with contents whose load address lies in flash (vectors, tables for
  start-up and unwinding, custom sections, the initial values of .data), and the holes between them, which a .bin fills.
- SRAM is what lies in it at run time, with or without contents: .data, .bss, .noinit, stack and heap sections, code
  that runs from SRAM; holes only where the next section's alignment makes them.
- Bytes that no input section explains, fills and holes are the category "padding", so the categories sum to the totals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from platformio_tflm.core.boards import Board
from platformio_tflm.core.categories import PADDING_VERDICT, Classifier, Origins, Verdict
from platformio_tflm.core.elf import ElfImage
from platformio_tflm.core.map_model import InputKind, InputSection, LinkMap, OutputSection
from platformio_tflm.core.placement import (
    SRAM_KINDS,
    Area,
    PlacedSection,
    Placement,
    image_bytes,
    place,
)
from platformio_tflm.core.report import SHARED_BY_SEVERAL, Category, CategoryUse, OperatorFlash, RegionUse


@dataclass(frozen=True)
class ModelSymbols:
    """Symbols of one model: the data array, and the arena's array where the program has one."""

    name: str
    data_symbol: str
    arena_symbol: str | None = None


class Span(NamedTuple):
    """A run of bytes of one origin. section: the output section's name, "" for a hole between sections.

    flash_bytes, sram_bytes: how much of it counts in either total; both for initialised variables.
    """

    address: int
    size_bytes: int
    flash_bytes: int
    sram_bytes: int
    verdict: Verdict
    section: str
    source: InputSection | None

    @property
    def origin(self) -> str:
        """The archive, or the object file, or what else made the bytes."""
        if self.verdict.category is Category.PADDING:
            return "padding"
        if self.source is None:
            return self.section
        return self.source.archive or self.source.member or self.section


@dataclass(frozen=True)
class Usage:
    """growing_heap_bytes: heap sections that only cover what is left of a region; not in sram_used_bytes.

    operators: the kernels' flash by operator; under SHARED_BY_SEVERAL what several of them use.
    """

    flash_used_bytes: int
    sram_used_bytes: int
    image_bytes: int
    growing_heap_bytes: int
    regions: tuple[RegionUse, ...]
    categories: tuple[CategoryUse, ...]
    operators: tuple[OperatorFlash, ...]
    spans: tuple[Span, ...]
    placement: Placement

    def largest_origins(self, memory: str, count: int = 5) -> tuple[tuple[str, int], ...]:
        """The archives and objects that take most of "flash" or "sram", as (name, bytes), largest first."""
        sizes: dict[str, int] = {}
        for span in self.spans:
            size = span.flash_bytes if memory == "flash" else span.sram_bytes
            sizes[span.origin] = sizes.get(span.origin, 0) + size
        ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
        return tuple((name, size) for name, size in ordered[:count] if size)

    def span_at(self, address: int) -> Span | None:
        """The span that explains a run-time address."""
        return next((span for span in self.spans if 0 <= address - span.address < span.size_bytes), None)


def measure_memory(
    link_map: LinkMap,
    elf: ElfImage,
    board: Board,
    *,
    models: tuple[ModelSymbols, ...] = (),
    origins: Origins | None = None,
) -> Usage:
    """Account for every byte of the linked program.

    Raises MapFileError if map and ELF do not belong together. Nothing is compared with the board's limits here.
    """
    placement = place(link_map, elf, board)
    splitter = _Splitter(elf, Classifier(origins), models)
    spans = _count(placement, splitter)
    flash = sum(span.flash_bytes for span in spans)
    sram = sum(span.sram_bytes for span in spans)
    return Usage(
        flash_used_bytes=flash,
        sram_used_bytes=sram,
        image_bytes=image_bytes(placement, board.flash_limit_bytes),
        growing_heap_bytes=sum(section.size_bytes for section in placement.sections if section.grows),
        regions=_region_uses(placement, board, flash, sram),
        categories=_category_uses(spans),
        operators=_operator_uses(spans),
        spans=tuple(spans),
        placement=placement,
    )


class _Piece(NamedTuple):
    address: int
    size_bytes: int
    verdict: Verdict
    source: InputSection | None


class _Splitter:
    """Cuts an output section into pieces of one verdict."""

    def __init__(self, elf: ElfImage, classifier: Classifier, models: tuple[ModelSymbols, ...]) -> None:
        self._elf = elf
        self._classifier = classifier
        self._marks = sorted(_marks(elf, models))

    def pieces(self, output: OutputSection) -> Iterator[_Piece]:
        for address, size, row in output.spans():
            if row is None:
                yield _Piece(address, size, self._classifier.of_gap(output.name), None)
                continue
            verdict = self._classifier.of_input(output.name, row)
            if verdict.category is Category.OTHER and row.kind is InputKind.SECTION:
                yield from self._by_symbols(address, size, row, verdict)
            else:
                yield from self._marked(_Piece(address, size, verdict, row))

    def _by_symbols(self, address: int, size: int, row: InputSection, verdict: Verdict) -> Iterator[_Piece]:
        """Link-time optimization leaves one object for all; the symbols still tell the runtime from the rest."""
        cursor, end = address, address + size
        for symbol in self._elf.symbols_in(address, size):
            found = self._classifier.of_symbol(symbol.name)
            start, stop = max(symbol.address, cursor), min(symbol.address + symbol.size_bytes, end)
            if found is None or stop <= start:
                continue
            if start > cursor:
                yield from self._marked(_Piece(cursor, start - cursor, verdict, row))
            yield from self._marked(_Piece(start, stop - start, found, row))
            cursor = stop
        if cursor < end:
            yield from self._marked(_Piece(cursor, end - cursor, verdict, row))

    def _marked(self, piece: _Piece) -> Iterator[_Piece]:
        """Cut out the parts that are a model's data or an arena, whoever's object they lie in."""
        cursor, end = piece.address, piece.address + piece.size_bytes
        inside = [mark for mark in self._marks if mark[0] < end and cursor < mark[1]]
        if not inside:
            yield piece
            return
        for mark_start, mark_stop, verdict in inside:
            start, stop = max(mark_start, cursor), min(mark_stop, end)
            if stop <= start:
                continue
            if start > cursor:
                yield piece._replace(address=cursor, size_bytes=start - cursor)
            yield _Piece(start, stop - start, verdict, piece.source)
            cursor = stop
        if cursor < end:
            yield piece._replace(address=cursor, size_bytes=end - cursor)


def _marks(elf: ElfImage, models: tuple[ModelSymbols, ...]) -> Iterator[tuple[int, int, Verdict]]:
    for model in models:
        for name, category, what in (
            (model.data_symbol, Category.MODEL, "the data"),
            (model.arena_symbol, Category.ARENA, "the tensor arena"),
        ):
            symbol = elf.symbol(name) if name else None
            if symbol is not None and symbol.size_bytes:
                verdict = Verdict(category, f"{what} of model {model.name} (symbol {symbol.name})")
                yield symbol.address, symbol.address + symbol.size_bytes, verdict


def _count(placement: Placement, splitter: _Splitter) -> list[Span]:
    """Spans of all sections, then those of the holes between them."""
    flash_from = _first_uncounted((s, s.load_address) for s in placement.sections if s.held)
    sram_from = _first_uncounted((s, s.address) for s in placement.sections if s.in_sram)
    spans: list[Span] = []
    for section in placement.sections:
        index = id(section)
        flash_start = flash_from[index] - section.load_address + section.address if index in flash_from else None
        sram_start = sram_from.get(index)
        for piece in splitter.pieces(section.output):
            end = piece.address + piece.size_bytes
            flash = min(piece.size_bytes, max(0, end - flash_start)) if flash_start is not None else 0
            sram = min(piece.size_bytes, max(0, end - sram_start)) if sram_start is not None else 0
            spans.append(Span(piece.address, piece.size_bytes, flash, sram, piece.verdict, section.name, piece.source))
    spans.extend(_holes(placement))
    return spans


def _first_uncounted(placed: Iterable[tuple[PlacedSection, int]]) -> dict[int, int]:
    """For each section the first address that no section before it took (overlays share addresses), by id."""
    first: dict[int, int] = {}
    cursor = -1
    for section, start in sorted(placed, key=lambda item: (item[1], item[0].elf.index)):
        first[id(section)] = max(start, cursor)
        cursor = max(cursor, start + section.size_bytes)
    return first


def _holes(placement: Placement) -> Iterator[Span]:
    for area in placement.areas:
        if area.kind == "flash":
            held = [(s.load_address, s.size_bytes, 0) for s in placement.sections if s.held and s.load_area is area]
            for address, size in _gaps(held, every=True):
                yield Span(address, size, size, 0, PADDING_VERDICT, "", None)
        elif area.kind in SRAM_KINDS:
            for address, size in _gaps(_residents(placement, area), every=False):
                yield Span(address, size, 0, size, PADDING_VERDICT, "", None)
    # Where no region is known, a hole may be anything but what an alignment makes.
    held = [(s.load_address, s.size_bytes, s.elf.alignment) for s in placement.sections if s.held and not s.load_area]
    for address, size in _gaps(held, every=False):
        yield Span(address, size, size, 0, PADDING_VERDICT, "", None)
    resident = [(s.address, s.size_bytes, s.elf.alignment) for s in placement.sections if s.in_sram and not s.area]
    for address, size in _gaps(resident, every=False):
        yield Span(address, size, 0, size, PADDING_VERDICT, "", None)


def _residents(placement: Placement, area: Area) -> list[tuple[int, int, int]]:
    """(address, size, alignment) of what takes room in a region: run-time places, and load places elsewhere."""
    taken = [(s.address, s.size_bytes, s.elf.alignment) for s in placement.sections if s.area is area and not s.grows]
    taken += [
        (s.load_address, s.size_bytes, 0)
        for s in placement.sections
        if s.elf.has_contents and s.load_area is area and s.load_address != s.address
    ]
    return taken


def _gaps(taken: list[tuple[int, int, int]], *, every: bool) -> Iterator[tuple[int, int]]:
    """(address, size) of the holes; with every=False only those that the following section's alignment makes."""
    cursor: int | None = None
    for address, size, alignment in sorted(taken):
        if cursor is not None and address > cursor and (every or address - cursor < alignment):
            yield cursor, address - cursor
        cursor = max(cursor or 0, address + size)


def _region_uses(placement: Placement, board: Board, flash: int, sram: int) -> tuple[RegionUse, ...]:
    if not placement.areas:
        flash_from = min((s.load_address for s in placement.sections if s.held), default=0)
        sram_from = min((s.address for s in placement.sections if s.in_sram), default=0)
        return (
            RegionUse("flash", "flash", flash_from, board.flash_limit_bytes, flash),
            RegionUse("sram", "sram", sram_from, board.sram_limit_bytes, sram),
        )
    return tuple(
        RegionUse(area.name, area.kind, area.origin, area.length_bytes, _region_used(placement, area))
        for area in placement.areas
    )


def _region_used(placement: Placement, area: Area) -> int:
    """Bytes of the region that no longer can be had, NOLOAD sections and holes included; overlays count once."""
    taken = _residents(placement, area)
    used, cursor = 0, 0
    for address, size, _ in sorted(taken):
        end = address + size
        used += max(0, end - max(address, cursor))
        cursor = max(cursor, end)
    return used + sum(size for _, size in _gaps(taken, every=area.kind == "flash"))


def _category_uses(spans: list[Span]) -> tuple[CategoryUse, ...]:
    flash = dict.fromkeys(Category, 0)
    sram = dict.fromkeys(Category, 0)
    for span in spans:
        flash[span.verdict.category] += span.flash_bytes
        sram[span.verdict.category] += span.sram_bytes
    return tuple(CategoryUse(category.value, flash[category], sram[category]) for category in Category)


def _operator_uses(spans: list[Span]) -> tuple[OperatorFlash, ...]:
    """Largest first; the shared part last, so that all of them sum to the kernels' category."""
    sizes: dict[str, int] = {}
    for span in spans:
        verdict = span.verdict
        if span.flash_bytes and (verdict.operator or verdict.category is Category.TFLM_KERNELS):
            sizes[verdict.operator] = sizes.get(verdict.operator, 0) + span.flash_bytes
    shared = sizes.pop("", 0)
    ordered = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return tuple(OperatorFlash(name, size) for name, size in [*ordered, (SHARED_BY_SEVERAL, shared)] if size)
