"""What the plugin adds to a `pio run` that has nothing to do: one project with and without it, in turn."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.outcome import Outcome, table

if TYPE_CHECKING:
    from project import Project

TITLE = "A second `pio run` of an untouched project"
REPOSITORY = Path(__file__).resolve().parents[1]
PAIRS = 20
LIMIT_MS = 60.0

# The project that the tests build serves here, too.
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tools")]


def run() -> Outcome:
    from make_core import make_core  # noqa: PLC0415 - found through the path set above

    with tempfile.TemporaryDirectory() as folder:
        core = make_core(Path(folder) / "core")
        plugin, plain = (_project(Path(folder) / name, core, way) for name, way in (("with", "A"), ("without", "")))
        pairs = [(_milliseconds(plugin), _milliseconds(plain)) for _ in range(PAIRS)]
    difference = median(one - other for one, other in pairs)
    rows = [
        ["with the plugin", f"{median(one for one, _ in pairs):.0f}"],
        ["without", f"{median(other for _, other in pairs):.0f}"],
        ["difference, pair by pair", f"{difference:.0f}"],
        ["allowed", f"{LIMIT_MS:.0f}"],
    ]
    missed = (f"{difference:.0f} ms more than without, {LIMIT_MS:.0f} are allowed",) if difference > LIMIT_MS else ()
    return Outcome(TITLE, f"Medians of {PAIRS} pairs.\n" + table(["whole process", "ms"], rows), missed)


def _project(path: Path, core: dict[str, str], way: str) -> Project:
    from project import MAIN, Project  # noqa: PLC0415

    path.mkdir()
    main = MAIN if way else "int main() { return 0; }\n"
    made = Project(path, core).ini(way=way).model().write("src/main.cpp", main)
    made.run()
    made.run()
    return made


def _milliseconds(project: Project) -> float:
    start = time.perf_counter()
    project.run()
    return (time.perf_counter() - start) * 1000
