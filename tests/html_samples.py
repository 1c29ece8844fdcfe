"""Reports with their detail, for the tests of the HTML report; sizes are made up, but add up."""

from __future__ import annotations

from dataclasses import replace

from test_diff import grown
from test_render import person_detect, too_large

from platformio_tflm.core.diff import with_baseline
from platformio_tflm.core.report import Category, Message, Report
from platformio_tflm.core.report.arena import ArenaBuffer, ArenaReport
from platformio_tflm.core.report.detail import Detail, MemoryNode

HOSTILE = "</script><script>alert(1)</script><!--\"'&\u202e\x1b[31m"


def arena(name: str = "person_detect", count: int = 12) -> ArenaReport:
    buffers = tuple(
        ArenaBuffer(
            f"tensor {index}",
            "scratch" if index % 5 == 4 else "tensor",
            "int8",
            (1, 48, 48, 8),
            18_432,
            18_432 * (index % 3),
            index,
            index + 1,
        )
        for index in range(count)
    )
    steps = ("start", *(f"CONV_2D_{index}" for index in range(count)))
    return ArenaReport(
        name,
        f"models/{name}.tflite",
        83_000,
        82_740,
        55_296,
        27_444,
        260,
        36_864,
        "upper-bound",
        "reference",
        "eabi",
        steps,
        5,
        buffers,
        ("a note",),
    )


def tree(report: Report, symbols: int = 300, prefix: str = "symbol") -> MemoryNode:
    """Two regions with the report's categories, each with archives, objects and *symbols* symbols in all."""
    regions = []
    for region, memory in (("FLASH", "flash"), ("RAM", "sram")):
        children = [
            category(use.name, getattr(use, f"{memory}_bytes"), memory, max(symbols // 20, 1), prefix)
            for use in report.categories
            if getattr(use, f"{memory}_bytes")
        ]
        regions.append(above(region, "region", children))
    return above("memory", "memory", regions)


def category(name: str, size: int, memory: str, symbols: int, prefix: str) -> MemoryNode:
    objects = [share(size, 3, index) for index in range(3)]
    nodes = [
        above(
            f"{name}_{index}.o",
            "object",
            [
                leaf(f"{prefix}_{name}_{index}_{at}", share(part, symbols, at), memory)
                for at in range(symbols)
                if share(part, symbols, at)
            ],
        )
        for index, part in enumerate(objects)
        if part
    ]
    archive = above(f"lib{name}.a", "archive", nodes[:-1], f"lib5e0/lib{name}.a") if len(nodes) > 1 else None
    return above(name, "category", [*([archive] if archive else []), nodes[-1]])


def share(size: int, count: int, index: int) -> int:
    """Of *count* parts that halve until they are small, the one of that index; they sum to *size*."""
    left = size
    for _ in range(index):
        left -= max(left // 2, left // count)
    return left if index == count - 1 else max(left // 2, left // count)


def leaf(name: str, size: int, memory: str) -> MemoryNode:
    flash, sram = (size, 0) if memory == "flash" else (0, size)
    return MemoryNode(name, "symbol", flash, sram, (), f"_Z{name}")


def above(name: str, kind: str, children: list[MemoryNode], full_name: str = "") -> MemoryNode:
    flash, sram = sum(c.flash_bytes for c in children), sum(c.sram_bytes for c in children)
    return MemoryNode(name, kind, flash, sram, tuple(children), full_name)


def fitting() -> tuple[Report, Detail]:
    report = person_detect()
    return report, Detail(tree(report), (arena(),))


def exceeding() -> tuple[Report, Detail]:
    report = too_large()
    return report, Detail(tree(report), (arena(), arena("second", 900)))


def changed() -> tuple[Report, Detail]:
    report = with_baseline(grown(), person_detect(), "ci/report.json")
    return report, Detail(tree(report), (arena(),))


def unchanged() -> tuple[Report, Detail]:
    report = with_baseline(person_detect(), person_detect(), "ci/report.json")
    return report, Detail(tree(report), ())


def hostile() -> tuple[Report, Detail]:
    """Every text that comes from somewhere else tries to break out."""
    report = person_detect()
    model = replace(
        report.models[0], name=HOSTILE, path=HOSTILE, operators=(replace(report.models[0].operators[0], name=HOSTILE),)
    )
    report = replace(
        report,
        tool=replace(report.tool, name=HOSTILE),
        project=replace(report.project, environment=HOSTILE, build_type=HOSTILE),
        board=replace(report.board, id=HOSTILE, name=HOSTILE, source=HOSTILE),
        runtime=replace(report.runtime, library=HOSTILE, version=HOSTILE, optimize=HOSTILE),
        models=(model,),
        regions=tuple(replace(region, name=HOSTILE, kind=HOSTILE) for region in report.regions),
        operators=tuple(replace(use, name=HOSTILE) for use in report.operators),
        messages=(Message(HOSTILE, HOSTILE), Message("error", HOSTILE)),
    )
    lines = tuple(replace(line, name=HOSTILE, source=HOSTILE) for line in report.budget.lines)
    report = with_baseline(replace(report, budget=replace(report.budget, lines=lines)), grown(), HOSTILE)
    drawn = arena(HOSTILE)
    drawn = replace(
        drawn,
        path=HOSTILE,
        steps=(HOSTILE,) * len(drawn.steps),
        notes=(HOSTILE,),
        kernels=HOSTILE,
        abi=HOSTILE,
        buffers=tuple(replace(buffer, name=HOSTILE, kind=HOSTILE, type=HOSTILE) for buffer in drawn.buffers),
    )
    return report, Detail(tree(report, 60, HOSTILE), (drawn,))


assert sum(share(1000, 7, index) for index in range(7)) == 1000
assert {use.name for use in person_detect().categories} == {category.value for category in Category}
