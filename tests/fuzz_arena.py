"""Reads and plans damaged models in a process of its own, and says what that cost: ``fuzz_arena.py SEED COUNT``.

``--public`` also damages the public models (../shared/models), if they are there. Whatever is no TflmError ends it with a traceback, after the model was written beside it as ``fuzz_SEED_NUMBER.tflite``.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import islice
from pathlib import Path

from models import make_models
from models.mutants import mutants
from peak import peak_bytes

from platformio_tflm.core.arena import EABI, ILP32_FULL_STRUCTS, plan_arena
from platformio_tflm.core.arena_abi import LP64_PYPI
from platformio_tflm.core.arena_kernels import KernelSet
from platformio_tflm.core.arena_report import arena_report
from platformio_tflm.core.tflite import read_model
from platformio_tflm.errors import TflmError
from platformio_tflm.render.arena_text import render_arena

_ABIS = (EABI, ILP32_FULL_STRUCTS, LP64_PYPI)
_WIDTHS = (20, 100, 500)
_PUBLIC = Path(__file__).resolve().parents[2] / "shared" / "models"


def seeds(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.tflite"))]


def plan(data: bytes, number: int) -> bool:
    """Everything that `platformio-tflm plan` does; False if the model is refused."""
    try:
        model = read_model(data)
        for kernels in KernelSet:
            made = plan_arena(model, kernels=[kernels], abi=_ABIS[number % 3])
    except TflmError as error:
        if not (error.what and error.hint):
            raise
        return False
    report = arena_report("fuzz", "fuzz.tflite", model, made, "any")
    text = render_arena(report, width=_WIDTHS[number % 3], ascii_only=number % 2 == 0)
    assert text.replace("\n", "").isprintable()
    return True


def run(seed: int, count: int, *, with_public: bool) -> dict[str, float]:
    files = seeds(make_models.FOLDER) + (seeds(_PUBLIC) if with_public else [])
    planned, slowest = 0, 0.0
    for number, data in enumerate(islice(mutants(seed, files), count)):
        started = time.process_time()
        try:
            planned += plan(data, number)
        except BaseException:
            Path(f"fuzz_{seed}_{number}.tflite").write_bytes(data)
            raise
        slowest = max(slowest, time.process_time() - started)
    return {"planned": planned, "slowest_seconds": round(slowest, 3), "peak_bytes": peak_bytes()}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), with_public="--public" in sys.argv)))
