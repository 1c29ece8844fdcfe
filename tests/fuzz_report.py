"""Measures programs whose map, ELF or both are damaged, in a process of its own: ``fuzz_report.py SEED COUNT``.

Prints what that cost. Whatever is no TflmError ends it with a traceback, after the files were written beside it as
``fuzz_SEED_NUMBER.map`` and ``.elf``.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from peak import peak_bytes
from tiny_firmware import TOOLCHAINS, build

from platformio_tflm.core.boards import find_board
from platformio_tflm.core.detail import memory_tree
from platformio_tflm.errors import TflmError
from platformio_tflm.measure import LinkedFiles, Measured, Project, explain, measure
from platformio_tflm.render.json_report import render_json
from platformio_tflm.render.text import render_text
from platformio_tflm.settings import read_settings

_BOARD = find_board("nucleo_f411re")
_PROJECT = Project("fuzz", "release", "1")
_SETTINGS = read_settings({})
_TEXTS = (
    *(b"\n", b"\r\n", b"\r", b" ", b"\t", b"\0", b"\xff\xfe", b"(", b")", b"0x", b"load address", b"*fill*"),
    *(b"0xffffffffffffffff", b"-0x1", b"0x10000000000000000", b"Memory Configuration", b"Linker script and memory map"),
)


def programs(folder: Path) -> list[LinkedFiles]:
    made = []
    for name, toolchain in sorted(TOOLCHAINS.items()):
        if toolchain.present:
            built = build(folder / name, toolchain)
            made.append(LinkedFiles(built.elf.read_bytes(), built.map.read_bytes()))
    return made


def damaged(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """*data* after one to four of: bits turned, a part left out, twice, moved, foreign, cut off, replaced by a text."""
    bent = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(bent) + 1), chance.choice((1, 2, 4, 8, 40, 400))
        way = chance.randrange(8)
        if way == 0 and at < len(bent):
            bent[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            del bent[at : at + length]
        elif way == 2:
            bent[at:at] = bent[at : at + length]
        elif way == 3:
            start = chance.randrange(len(other) + 1)
            bent[at:at] = other[start : start + length]
        elif way == 4:
            bent[at : at + length] = chance.randbytes(length)
        elif way == 5:
            bent[at : at + chance.choice((0, 1, length))] = chance.choice(_TEXTS)
        elif way == 6:
            # Sizes, addresses and offsets of an ELF are words.
            bent[at & ~3 : (at & ~3) + 4] = chance.choice(
                (b"\0\0\0\0", b"\xff" * 4, b"\0\0\0\x80", b"\xff\xff\xff\x7f")
            )
        elif chance.random() < 0.2:
            del bent[at:]
    return bytes(bent)


def mutant(chance: random.Random, seeds: list[LinkedFiles]) -> LinkedFiles:
    one, other = chance.choice(seeds), chance.choice(seeds)
    elf, link_map = one.elf or b"", one.map or b""
    if chance.random() < 0.05:
        link_map = other.map or b""
    what = chance.randrange(3)
    if what != 1:
        elf = damaged(elf, chance, other.elf or b"")
    if what != 0:
        link_map = damaged(link_map, chance, other.map or b"")
    alone = chance.random()
    return replace(one, elf=None if alone < 0.1 else elf, map=None if 0.1 <= alone < 0.2 else link_map)


def report(files: LinkedFiles, number: int) -> bool:
    """What `platformio-tflm report` does with them; False if they are refused."""
    board = None if number % 5 == 0 else _BOARD
    try:
        measured = measure(files, board, _SETTINGS, _PROJECT)
        explain(files, board, _PROJECT, ["main", ".data"][number % 2 :])
    except TflmError as error:
        if not error.what or "\n" in error.what or len(str(error)) > 2_000:
            raise
        return False
    require_sums(measured)
    text = render_text(measured.report, width=(20, 80, 120)[number % 3], ascii_only=number % 2 == 0)
    assert text.replace("\n", "").isprintable()
    json.loads(render_json(measured.report))
    return True


def require_sums(measured: Measured) -> None:
    """A report that is made of damaged files still has every byte once."""
    memory, report = measured.report.memory, measured.report
    assert sum(use.flash_bytes for use in report.categories) == memory.flash.used_bytes
    assert sum(use.sram_bytes for use in report.categories) == memory.sram.used_bytes
    tree = memory_tree(measured.usage, measured.elf)
    assert (tree.flash_bytes, tree.sram_bytes) == (memory.flash.used_bytes, memory.sram.used_bytes)


def run(seed: int, count: int) -> dict[str, float]:
    chance = random.Random(seed)  # noqa: S311 - no secrets
    measured, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        seeds = programs(Path(folder))
    for number in range(count):
        files = mutant(chance, seeds)
        started = time.process_time()
        try:
            measured += report(files, number)
        except BaseException:
            for data, ending in ((files.elf, "elf"), (files.map, "map")):
                if data is not None:
                    Path(f"fuzz_{seed}_{number}.{ending}").write_bytes(data)
            raise
        slowest = max(slowest, time.process_time() - started)
    return {"measured": measured, "slowest_seconds": round(slowest, 3), "peak_bytes": peak_bytes()}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
