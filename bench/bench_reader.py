"""How long a model takes to read and to plan.

Each model gets a Python process of its own, as in ``pio run``. "first" is the first call there, which also fills the
reader's own tables; the other column is the median of the calls after it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.outcome import Outcome, table

TITLE = "Reading and planning models"
REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = (REPOSITORY / "examples", REPOSITORY / "tests" / "models", REPOSITORY.parent / "shared" / "models")
READ_LIMIT_MS = 50.0
PLAN_LIMIT_MS = 100.0
REPEATS = 9

_CHILD = f"""\
import json, sys, time
from statistics import median
from platformio_tflm.core.arena import plan_arena
from platformio_tflm.core.tflite import read_model
from platformio_tflm.errors import TflmError

def times(call):
    taken = []
    for _ in range({REPEATS} + 1):
        start = time.perf_counter()
        value = call()
        taken.append((time.perf_counter() - start) * 1e3)
    return value, (taken[0], median(taken[1:]))

data = open(sys.argv[1], "rb").read()
try:
    model, read = times(lambda: read_model(data))
    _, plan = times(lambda: plan_arena(model))
    print(json.dumps({{"read": read, "plan": plan}}))
except TflmError as error:
    print(json.dumps({{"refused": error.what}}))
"""


@dataclass(frozen=True)
class Timing:
    """Milliseconds of the first call, and the median of the later ones."""

    first_ms: float
    median_ms: float


@dataclass(frozen=True)
class ModelTiming:
    """refused: why the model cannot be read or planned; the timings are None then."""

    path: Path
    read: Timing | None
    plan: Timing | None
    refused: str = ""


def models() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted(folder.rglob("*.tflite")) if ".pio" not in path.parts]


def time_model(path: Path) -> ModelTiming:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    if "refused" in answer:
        return ModelTiming(path, None, None, str(answer["refused"]))
    return ModelTiming(path, Timing(*answer["read"]), Timing(*answer["plan"]))


def _row(timing: ModelTiming) -> tuple[str, ...]:
    size = f"{timing.path.stat().st_size:,}"
    if timing.read is None or timing.plan is None:
        return (timing.path.stem, size, "refused", "", "", "")
    figures = (timing.read.first_ms, timing.read.median_ms, timing.plan.first_ms, timing.plan.median_ms)
    return (timing.path.stem, size, *(f"{figure:.1f}" for figure in figures))


def _missed(timing: ModelTiming) -> list[str]:
    lines = []
    for what, taken, limit in (("read", timing.read, READ_LIMIT_MS), ("plan", timing.plan, PLAN_LIMIT_MS)):
        if taken is not None and taken.first_ms > limit:
            lines.append(f"{timing.path.name}: {taken.first_ms:.1f} ms to {what}; {limit:.0f} ms is the limit")
    return lines


def run() -> Outcome:
    timings = [time_model(path) for path in models()]
    head = ("model", "bytes", "read first ms", "median", "plan first ms", "median")
    text = table(head, [_row(timing) for timing in timings])
    limits = f"limits: {READ_LIMIT_MS:.0f} ms to read, {PLAN_LIMIT_MS:.0f} ms to plan; median of {REPEATS}"
    return Outcome(TITLE, f"{text}\n{limits}", tuple(line for timing in timings for line in _missed(timing)))
