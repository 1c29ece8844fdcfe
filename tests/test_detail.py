"""The tree of symbols: every level sums to the report's totals, byte for byte, for real and for made-up programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from firmware_fixtures import firmware  # noqa: F401  # a fixture
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_firmware import ARENA_BYTES, MODEL_BYTES, TOOLCHAINS, Firmware

from platformio_tflm.core.boards import board_from_limits
from platformio_tflm.core.categories import PADDING_VERDICT, Verdict
from platformio_tflm.core.detail import memory_tree
from platformio_tflm.core.elf import ElfImage, ElfSymbol, read_elf
from platformio_tflm.core.map_model import InputKind, InputSection
from platformio_tflm.core.mapfile import parse_map
from platformio_tflm.core.memory import ModelSymbols, Span, Usage, measure_memory
from platformio_tflm.core.placement import Placement
from platformio_tflm.core.report import Category, CategoryUse, RegionUse
from platformio_tflm.core.report.detail import MemoryNode

Linked = Callable[..., Firmware]
NOWHERE = board_from_limits("bare", "Bare", 1 << 20, 1 << 18, "unknown", 0)
SINE = ModelSymbols("sine", "sine_data", "sine_arena")
ORDER = ("memory", "region", "category", "archive", "object", "symbol")


def nodes(node: MemoryNode) -> Iterator[MemoryNode]:
    yield node
    for child in node.children:
        yield from nodes(child)


def check_sums(tree: MemoryNode, usage: Usage) -> None:
    assert (tree.flash_bytes, tree.sram_bytes) == (usage.flash_used_bytes, usage.sram_used_bytes)
    found: dict[str, tuple[int, int]] = {}
    for node in nodes(tree):
        if node.children:
            assert node.flash_bytes == sum(child.flash_bytes for child in node.children), node.name
            assert node.sram_bytes == sum(child.sram_bytes for child in node.children), node.name
            assert list(node.children) == sorted(node.children, key=lambda c: (-c.flash_bytes, -c.sram_bytes, c.name))
        if node.kind == "category":
            flash, sram = found.get(node.name, (0, 0))
            found[node.name] = flash + node.flash_bytes, sram + node.sram_bytes
        if node.kind in ORDER:
            assert all(c.kind not in ORDER or ORDER.index(c.kind) > ORDER.index(node.kind) for c in node.children)
    wanted = {use.name: (use.flash_bytes, use.sram_bytes) for use in usage.categories}
    assert found == {name: sizes for name, sizes in wanted.items() if sizes != (0, 0)}


def tree_of(built: Firmware) -> tuple[MemoryNode, Usage]:
    elf = read_elf(built.elf.read_bytes())
    usage = measure_memory(parse_map(built.map.read_bytes()), elf, NOWHERE, models=(SINE,))
    return memory_tree(usage, elf), usage


@pytest.mark.parametrize("flags", [(), ("-flto",)], ids=["plain", "lto"])
@pytest.mark.parametrize("name", sorted(TOOLCHAINS))
def test_real_programs(firmware: Linked, name: str, flags: tuple[str, ...]) -> None:  # noqa: F811
    tree, usage = tree_of(firmware(name, *flags))
    check_sums(tree, usage)
    leaves = [node for node in nodes(tree) if node.kind == "symbol"]
    assert sum(leaf.flash_bytes for leaf in leaves if leaf.name == "sine_data") == len(MODEL_BYTES)
    assert sum(leaf.sram_bytes for leaf in leaves if leaf.name == "sine_arena") == ARENA_BYTES
    if flags and name == "arm":
        assert "ltrans0 (link-time optimization)" in {node.name for node in nodes(tree)}
    assert not [node for node in nodes(tree) if "tmp/" in node.full_name], "no path that differs between machines"


def path_to(tree: MemoryNode, kind: str, name: str) -> list[str]:
    def search(node: MemoryNode, path: list[str]) -> list[str] | None:
        here = [*path, node.name]
        if (node.kind, node.name) == (kind, name):
            return here
        return next((found for child in node.children if (found := search(child, here))), None)

    found = search(tree, [])
    assert found, name
    return found


def test_where_things_stand(firmware: Linked) -> None:  # noqa: F811
    tree, _ = tree_of(firmware("arm"))
    path = path_to(tree, "symbol", "tflite::Register_CONV_2D")
    assert path[1:] == ["FLASH", "tflm-kernels", "libtflm_demo.a", "conv.cpp.o", "tflite::Register_CONV_2D"]
    assert path_to(tree, "symbol", "main")[1:4] == ["FLASH", "application", "main.cpp.o"]
    # An initialised variable: its start value in flash, itself in SRAM.
    both = [node for region in tree.children for node in nodes(region) if node.name == "initialised"]
    assert sorted((node.flash_bytes, node.sram_bytes) for node in both) == [(0, 40), (40, 0)]
    vectors = next(node for node in nodes(tree) if node.name == "tflite::Register_CONV_2D")
    assert vectors.full_name.startswith("_ZN6tflite")
    archive = next(node for node in nodes(tree) if node.name == "libtflm_demo.a")
    assert archive.full_name == ".pio/build/env/lib5e0/libtflm_demo.a"
    library = next(node for node in nodes(tree) if node.kind == "archive" and node.name.startswith("libc"))
    assert library.full_name.startswith("…/")


def test_without_symbols_sections_name_the_parts(firmware: Linked) -> None:  # noqa: F811
    built = firmware("arm")
    built.run("strip", "-o", "bare.elf", "firmware.elf")
    elf = read_elf((built.folder / "bare.elf").read_bytes())
    usage = measure_memory(parse_map(built.map.read_bytes()), elf, NOWHERE)
    tree = memory_tree(usage, elf)
    check_sums(tree, usage)
    assert {"main", "tflite::Register_CONV_2D"} <= {node.name for node in nodes(tree)}


@pytest.mark.parametrize("most", [0, 1, 10, 50])
def test_few_symbols(firmware: Linked, most: int) -> None:  # noqa: F811
    built = firmware("arm")
    elf = read_elf(built.elf.read_bytes())
    usage = measure_memory(parse_map(built.map.read_bytes()), elf, NOWHERE)
    tree = memory_tree(usage, elf, most_symbols=most)
    check_sums(tree, usage)
    kept = [node for node in nodes(tree) if node.kind == "symbol"]
    assert len(kept) <= most
    assert any(node.name.endswith(" smaller symbols") for node in nodes(tree))


REGIONS = (RegionUse("FLASH", "flash", 0, 1 << 20, 0), RegionUse("RAM", "sram", 1 << 20, 1 << 20, 0))
BASE = 0x1000
NAMES = st.sampled_from(["a", "b", "main", "_ZN1a1bEv", "x" * 500, "../ccAb12.ltrans0.ltrans.o", "dir/a.o", "..", ""])
KINDS = st.sampled_from(list(InputKind))
VERDICTS = st.sampled_from([Verdict(category, "because") for category in Category if category is not Category.PADDING])


@st.composite
def programs(draw: st.DrawFn) -> tuple[Usage, ElfImage]:
    spans, address = [], BASE
    for size in draw(st.lists(st.integers(1, 64), max_size=12)):
        row = InputSection(draw(NAMES), address, size, draw(st.none() | NAMES), draw(NAMES), draw(KINDS), 1)
        counts = draw(st.tuples(st.integers(0, size), st.integers(0, size)))
        source = draw(st.none() | st.just(row))
        verdict = draw(VERDICTS) if source else PADDING_VERDICT
        spans.append(Span(address, size, *counts, verdict, draw(st.sampled_from([".text", ""])), source))
        address += size
    symbol = st.builds(
        ElfSymbol,
        NAMES,
        st.integers(BASE - 9, address + 9),
        st.integers(0, 80),
        st.just("FUNC"),
        st.just(".text"),
        st.booleans(),
    )
    symbols = tuple(draw(st.lists(symbol, max_size=20)))
    flash, sram = sum(s.flash_bytes for s in spans), sum(s.sram_bytes for s in spans)
    regions = draw(st.sampled_from([REGIONS, REGIONS[:1], ()]))
    categories: dict[str, list[int]] = {}
    for span in spans:
        sizes = categories.setdefault(span.verdict.category.value, [0, 0])
        sizes[0] += span.flash_bytes
        sizes[1] += span.sram_bytes
    uses = tuple(CategoryUse(name, *sizes) for name, sizes in categories.items())
    usage = Usage(flash, sram, flash, 0, regions, uses, (), tuple(spans), Placement((), ()))
    return usage, ElfImage("arm", 32, True, 0, (), (), symbols, b"")


@given(programs(), st.sampled_from([0, 1, 5, 1000]))
@settings(derandomize=True, deadline=None, max_examples=300)
def test_any_program_sums_up(program: tuple[Usage, ElfImage], most: int) -> None:
    usage, elf = program
    tree = memory_tree(usage, elf, most_symbols=most)
    check_sums(tree, usage)
    assert sum(node.kind == "symbol" for node in nodes(tree)) <= most
    assert all(len(node.name) <= 330 for node in nodes(tree))
    assert memory_tree(usage, elf, most_symbols=most) == tree
