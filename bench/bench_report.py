"""What the memory report costs: a large map of Espressif's beside esp-idf-size, growth up to 50 MB, and a link's share.

The map of ESP-IDF is ../shared/maps, where that is present; esp-idf-size comes from PyPI. Without them that part is
left out, and says so. Times of the first two parts are processor times of whole processes, children included.
"""

from __future__ import annotations

import importlib.util
import json
import lzma
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.child_cost import Cost, child_cost
from bench.outcome import Outcome, table

TITLE = "The memory report"
REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_MAP = REPOSITORY.parent / "shared" / "maps" / "esp32_app.map.xz"
PAIRS = 15
RATIO_LIMIT = 1.0
SIZES_MB = (5, 10, 25, 50)
# What a map costs whatever its size is within the first of these figures.
GROWTH_LIMIT = 1.15
MEMORY_LIMIT_MB = 500
LINKS = 9
LINK_LIMIT_MS = 150.0

sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tools")]

# Runs inside PlatformIO: the report's node says when it starts and when it is done.
_STOPWATCH = """\
Import("env")
import json, time
from pathlib import Path

report = env.File("$BUILD_DIR/tflm/report.txt")
started = []

def start(*_, **__):
    started.append(time.perf_counter())

def stop(*_, **__):
    Path("took.json").write_text(json.dumps(time.perf_counter() - started[-1]))

env.AddPreAction(report, start)
env.AddPostAction(report, stop)
"""


def run() -> Outcome:
    missed: list[str] = []
    parts = [part(missed) for part in (_beside_esp_idf_size, _growth, _link)]
    return Outcome(TITLE, "\n\n".join(parts), tuple(missed))


def _report_of(path: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "platformio_tflm", "report", "--map", str(path), *options]


def _beside_esp_idf_size(missed: list[str]) -> str:
    title = "A map of ESP-IDF, whole process, beside esp-idf-size (both as text)"
    if not SHARED_MAP.is_file():
        return f"{title}: left out, ../shared/maps is not here"
    if importlib.util.find_spec("esp_idf_size") is None:
        return f"{title}: left out, esp-idf-size is not installed (pip install esp-idf-size)"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "esp32_app.map"
        path.write_bytes(lzma.decompress(SHARED_MAP.read_bytes()))
        commands = (_report_of(path, "--board", "esp32dev"), [sys.executable, "-m", "esp_idf_size", str(path)])
        pairs = [tuple(child_cost(command, REPOSITORY) for command in commands) for _ in range(PAIRS)]
        size_mb = path.stat().st_size / 1e6
    ratio = median(own.seconds / other.seconds for own, other in pairs)
    if ratio > RATIO_LIMIT:
        missed.append(f"{ratio:.2f} times the processor time of esp-idf-size, {RATIO_LIMIT:.2f} are allowed")
    rows = [
        [name, f"{median(cost.seconds for cost in costs) * 1e3:.0f}", f"{_peak_mb(costs):.0f}"]
        for name, costs in zip(("platformio-tflm report", "esp-idf-size"), zip(*pairs, strict=True), strict=True)
    ]
    body = table(["", "CPU ms", "peak MB"], rows)
    return f"{title}: {size_mb:.1f} MB, medians of {PAIRS} pairs\n{body}\nratio, pair by pair: {ratio:.2f}"


def _peak_mb(costs: tuple[Cost, ...]) -> float:
    return max(cost.memory_bytes for cost in costs) / 1e6


def _growth(missed: list[str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "firmware.map"
        costs: dict[int, Cost] = {}
        for size_mb in SIZES_MB:
            with path.open("w", encoding="ascii") as file:
                file.writelines(synthetic_map(size_mb * 1_000_000))
            tries = [child_cost(_report_of(path), REPOSITORY) for _ in range(3)]
            costs[size_mb] = min(tries, key=lambda cost: cost.seconds)
    per_mb = {size_mb: cost.seconds / size_mb for size_mb, cost in costs.items()}
    growth = per_mb[SIZES_MB[-1]] / per_mb[SIZES_MB[0]]
    if growth > GROWTH_LIMIT:
        missed.append(f"{SIZES_MB[-1]} MB cost {growth:.2f} times as much a megabyte as {SIZES_MB[0]} MB")
    peak = costs[SIZES_MB[-1]].memory_bytes / 1e6
    if peak > MEMORY_LIMIT_MB:
        missed.append(f"{SIZES_MB[-1]} MB take {peak:.0f} MB of memory, {MEMORY_LIMIT_MB} are allowed")
    rows = [
        [f"{size_mb} MB", f"{cost.seconds:.2f}", f"{1e3 * per_mb[size_mb]:.0f}", f"{cost.memory_bytes / 1e6:.0f}"]
        for size_mb, cost in costs.items()
    ]
    return "Synthetic maps, the best of 3\n" + table(["map", "CPU s", "CPU ms a MB", "peak MB"], rows)


def synthetic_map(size_bytes: int) -> Iterator[str]:
    """A map of GNU ld with that many bytes: archives of 40 objects with 12 sections each, as in large firmware."""
    yield "Archive member included to satisfy reference by file (symbol)\n\n"
    yield "\nMemory Configuration\n\nName             Origin             Length             Attributes\n"
    yield "FLASH            0x400d0018         0x0fffffe8         xr\n"
    yield "RAM              0x3ffb0000         0x00060000         rw\n"
    yield "*default*        0x0000000000000000 0xffffffffffffffff\n\nLinker script and memory map\n\n"
    rows = _rows(size_bytes)
    length = sum(size for _, size in rows)
    yield f"LOAD main.o\n\n.flash.text     0x00000000400d0018 {length:#10x}\n"
    address = 0x400D0018
    for text, size in rows:
        yield text.format(address=address, symbol=address)
        address += size
    yield "\n.dram0.bss      0x000000003ffb0000       0x40\n .bss           0x000000003ffb0000       0x40 main.o\n"
    yield "OUTPUT(firmware.elf elf32-xtensa-le)\n"


def _rows(size_bytes: int) -> list[tuple[str, int]]:
    rows, written, index = [], 0, 0
    while written < size_bytes:
        name = f"_ZN4demo9Component{index % 97:02}{index:07}Ev"
        file = f"/esp/build/esp-idf/part{index // 480}/libpart{index // 480}.a(object{index // 12}.cpp.obj)"
        size = 4 + 4 * (index % 61)
        rows.append((f" .text.{name}\n                {{address:#018x}} {size:#10x} {file}\n", size))
        rows.append((f"                {{symbol:#018x}}                {name}\n", 0))
        written += sum(len(text) for text, _ in rows[-2:])
        index += 1
    return rows


def _link(missed: list[str]) -> str:
    import time  # noqa: PLC0415 - only this part counts wall time

    from make_core import make_core  # noqa: PLC0415 - found through the path set above
    from project import MAIN, Project  # noqa: PLC0415

    links, reports = [], []
    with tempfile.TemporaryDirectory() as folder:
        core = make_core(Path(folder) / "core")
        path = Path(folder) / "demo"
        path.mkdir()
        project = Project(path, core).ini("extra_scripts = post:stopwatch.py").model().write("src/main.cpp", MAIN)
        project.write("stopwatch.py", _STOPWATCH).run()
        for number in range(LINKS):
            project.write("src/main.cpp", MAIN.replace("first", f"first of {number}"))
            start = time.perf_counter()
            project.run()
            links.append((time.perf_counter() - start) * 1e3)
            reports.append(json.loads((path / "took.json").read_text()) * 1e3)
    if median(reports) > LINK_LIMIT_MS:
        missed.append(f"the report takes {median(reports):.0f} ms of a link, {LINK_LIMIT_MS:.0f} are allowed")
    rows = [
        ["pio run that compiles one file and links", f"{median(links):.0f}"],
        ["of it the report, imports included", f"{median(reports):.0f}"],
        ["allowed", f"{LINK_LIMIT_MS:.0f}"],
    ]
    return f"A link of the demo, medians of {LINKS}\n" + table(["", "ms"], rows)
