"""Damaged models through reader, planner and drawing: an error or a plan, at once, and without much memory.

``PLATFORMIO_TFLM_FUZZ=20000`` tries more of them than the usual 2,000, of the public models as well;
``PLATFORMIO_TFLM_FUZZ_SEED`` others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from project import REPOSITORY

USUAL_COUNT = 2_000
SECONDS_EACH = 1.0
PEAK_BYTES = 300 * 1024 * 1024


def test_damaged_models_are_planned_or_refused(tmp_path: Path) -> None:
    count = int(os.environ.get("PLATFORMIO_TFLM_FUZZ", USUAL_COUNT))
    seed = os.environ.get("PLATFORMIO_TFLM_FUZZ_SEED", "1")
    more = ["--public"] if count > USUAL_COUNT else []
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests" / "fuzz_arena.py", seed, str(count), *more],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cost = json.loads(done.stdout)
    print(cost)
    # Damage that no model survives would test the reader only.
    assert cost["planned"] > count / 4
    assert cost["slowest_seconds"] < SECONDS_EACH
    assert cost["peak_bytes"] < PEAK_BYTES
