"""Usage and the ELF's symbols as one tree: region, category, archive, object, symbol; to the byte at every level.

A span's bytes stand under the region they are loaded into (flash) and under the one they have at run time (SRAM), so
initialised variables appear twice, each time with that memory's bytes alone.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from platformio_tflm.core.category_rules import SECTION_PREFIX
from platformio_tflm.core.demangle import readable
from platformio_tflm.core.elf import ElfImage, ElfSection, ElfSymbol
from platformio_tflm.core.map_model import InputKind, InputSection
from platformio_tflm.core.memory import Span, Usage
from platformio_tflm.core.placement import COPIED_KINDS, SRAM_KINDS
from platformio_tflm.core.report import Category, RegionUse
from platformio_tflm.core.report.detail import MemoryNode

MOST_SYMBOLS = 20_000
_LONGEST_NAME = 300
_SHOWN_FOLDERS = 3
_FLASH_KINDS = COPIED_KINDS | {"flash"}

# What lies beside an object's named bytes: literals, strings, unwinding tables.
_SECTION_HEAD = re.compile(r"\.?[A-Za-z_]\w*(?:\.(?:extab|exidx|linkonce))?")
# The driver's temporary file has another name in every link.
_LTO_OBJECT = re.compile(r"^.*\.(ltrans\d+)\.ltrans\.o$")


class _Key(NamedTuple):
    """One step of a path through the tree. identity tells namesakes apart, and is shown where it says more."""

    kind: str
    name: str
    identity: str = ""


class _Part(NamedTuple):
    """A run of a span's bytes that one symbol, or none, names."""

    name: str
    named: bool
    flash_bytes: int
    sram_bytes: int


@dataclass
class _Branch:
    flash_bytes: int = 0
    sram_bytes: int = 0
    children: dict[_Key, _Branch] = field(default_factory=dict)

    def add(self, path: Sequence[_Key], flash_bytes: int, sram_bytes: int) -> None:
        branch = self
        for key in path:
            branch.flash_bytes += flash_bytes
            branch.sram_bytes += sram_bytes
            branch = branch.children.setdefault(key, _Branch())
        branch.flash_bytes += flash_bytes
        branch.sram_bytes += sram_bytes


def memory_tree(usage: Usage, elf: ElfImage, *, most_symbols: int = MOST_SYMBOLS) -> MemoryNode:
    """The whole program's bytes; the root's sums are the usage's totals.

    At most *most_symbols* symbols stand alone; each object's smaller ones are one node then.
    """
    places = _Places(usage.regions, elf)
    root = _Branch()
    for span in usage.spans:
        flash_region, sram_region = places.flash_region(span), places.sram_region(span)
        owner = _owner(span)
        for part in _parts(span, elf):
            leaf = _leaf(span, part)
            if part.flash_bytes:
                root.add((flash_region, *owner, leaf), part.flash_bytes, 0)
            if part.sram_bytes:
                root.add((sram_region, *owner, leaf), 0, part.sram_bytes)
    return _limited(_node(_Key("memory", "memory"), root), most_symbols)


class _Places:
    """Which region a span is loaded into, and in which it lies at run time."""

    def __init__(self, regions: Sequence[RegionUse], elf: ElfImage) -> None:
        self._flash = [region for region in regions if region.kind in _FLASH_KINDS]
        self._sram = [region for region in regions if region.kind in SRAM_KINDS]
        # A section's name need not be its own alone.
        self._loaded: dict[str, list[tuple[ElfSection, int]]] = {}
        for section in elf.sections:
            if section.has_contents:
                shift = elf.load_address(section) - section.address
                self._loaded.setdefault(section.name, []).append((section, shift))

    def flash_region(self, span: Span) -> _Key:
        return self._region(span.address + self._shift(span), self._flash)

    def sram_region(self, span: Span) -> _Key:
        return self._region(span.address, self._sram)

    def _shift(self, span: Span) -> int:
        """From a run-time to a load address; a hole between sections is known by its load address already."""
        sections = self._loaded.get(span.section, ()) if span.section else ()
        return next((shift for section, shift in sections if section.address <= span.address < section.end), 0)

    def _region(self, address: int, usable: Sequence[RegionUse]) -> _Key:
        holding = [region for region in usable if 0 <= address - region.origin < region.length_bytes]
        if not holding and len(usable) != 1:
            return _Key("region", "outside of all regions")
        region = min(holding or usable, key=lambda region: region.length_bytes)
        return _Key("region", region.name, f"{region.name} ({region.kind}) from {region.origin:#010x}")


def _parts(span: Span, elf: ElfImage) -> Iterator[_Part]:
    """The span cut at its symbols. Of overlapping ones the first wins, of those at one address the longest."""
    source = span.source
    if span.verdict.category is Category.PADDING or source is None or source.kind not in _WITH_SYMBOLS:
        yield _Part("", False, span.flash_bytes, span.sram_bytes)
        return
    counted = _counter(span)
    cursor, end = span.address, span.address + span.size_bytes
    rest = _rest_name(source)
    symbols = elf.symbols_in(span.address, span.size_bytes)
    for symbol in sorted(symbols, key=_longest_first):
        start, stop = max(symbol.address, cursor), min(symbol.address + symbol.size_bytes, end)
        if stop > start:
            yield _Part(rest, False, *counted(cursor, start))
            yield _Part(symbol.name, True, *counted(start, stop))
            cursor = stop
    # Without a symbol table the section still says what was compiled into it.
    unnamed = source.name[found.end() :] if not elf.symbols and (found := SECTION_PREFIX.match(source.name)) else ""
    yield _Part(unnamed or rest, bool(unnamed), *counted(cursor, end))


_WITH_SYMBOLS = (InputKind.SECTION, InputKind.COMMON)


def _longest_first(symbol: ElfSymbol) -> tuple[int, int, bool, str]:
    return symbol.address, -symbol.size_bytes, not symbol.is_global, symbol.name


def _counter(span: Span) -> Callable[[int, int], tuple[int, int]]:
    """How many bytes of [start, stop) count in flash and in SRAM: of an overlay it may be the span's end alone."""
    end = span.address + span.size_bytes
    flash_from, sram_from = end - span.flash_bytes, end - span.sram_bytes

    def counted(start: int, stop: int) -> tuple[int, int]:
        return max(0, stop - max(start, flash_from)), max(0, stop - max(start, sram_from))

    return counted


def _rest_name(source: InputSection) -> str:
    head = _SECTION_HEAD.match(source.name)
    return head[0] if head else source.name


def _owner(span: Span) -> tuple[_Key, ...]:
    category = _Key("category", span.verdict.category.value)
    source = span.source
    if span.verdict.category is Category.PADDING or source is None or source.kind not in _WITH_SYMBOLS:
        return (category,)
    if source.archive:
        return category, _file("archive", source.archive), _Key("object", _cut(source.member))
    return category, _file("object", source.member)


def _file(kind: str, path: str) -> _Key:
    """A file by its last name; its folders as far as they are the same on every machine."""
    path = path.replace("\\", "/")
    partition = _LTO_OBJECT.match(path)
    if partition:
        return _Key(kind, f"{partition[1]} (link-time optimization)")
    path = posixpath.normpath(path)
    parts = path.split("/")
    absolute = not parts[0] or parts[0].endswith(":") or parts[0] == ".."
    shown = "/".join(["…", *parts[-_SHOWN_FOLDERS:]]) if absolute else path
    return _Key(kind, _cut(parts[-1]), _cut(shown))


def _leaf(span: Span, part: _Part) -> _Key:
    if part.named:
        return _Key("symbol", _cut(readable(part.name)), _cut(part.name))
    if part.name:
        return _Key("rest", f"{_cut(part.name)}, no symbol")
    where = f"in {_cut(span.section)}" if span.section else "between sections"
    if span.verdict.category is Category.PADDING:
        return _Key("linker", f"alignment {where}")
    return _Key("linker", f"made by the linker {where}")


def _cut(name: str) -> str:
    """Names of templates grow to thousands of letters; both ends tell them apart."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _node(key: _Key, branch: _Branch) -> MemoryNode:
    full_name = key.identity if key.identity != key.name else ""
    children = tuple(sorted((_node(*item) for item in branch.children.items()), key=_largest_first))
    return MemoryNode(key.name, key.kind, branch.flash_bytes, branch.sram_bytes, children, full_name)


def _largest_first(node: MemoryNode) -> tuple[int, int, str, str, str]:
    return -node.flash_bytes, -node.sram_bytes, node.name, node.full_name, node.kind


def symbol_sizes(node: MemoryNode) -> Iterator[int]:
    """Bytes of every symbol below the node."""
    if node.kind == "symbol":
        yield node.flash_bytes + node.sram_bytes
    for child in node.children:
        yield from symbol_sizes(child)


def _limited(root: MemoryNode, most: int) -> MemoryNode:
    sizes = sorted(symbol_sizes(root), reverse=True)
    return _merged(root, sizes[most]) if len(sizes) > most else root


def _merged(node: MemoryNode, too_small: int) -> MemoryNode:
    """The tree with the symbols of at most that size as one node an object."""
    children = [_merged(child, too_small) for child in node.children]
    small: list[MemoryNode] = []
    kept: list[MemoryNode] = []
    for child in children:
        is_small = child.kind == "symbol" and child.flash_bytes + child.sram_bytes <= too_small
        (small if is_small else kept).append(child)
    if not small:
        return replace(node, children=tuple(children))
    flash, sram = sum(child.flash_bytes for child in small), sum(child.sram_bytes for child in small)
    kept.append(MemoryNode(f"{len(small):,} smaller symbols", "rest", flash, sram))
    return replace(node, children=tuple(sorted(kept, key=_largest_first)))
