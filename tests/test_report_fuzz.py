"""Damaged maps and ELFs through readers, accounting and faces: an error or a report, at once, without much memory.

``PLATFORMIO_TFLM_FUZZ=20000`` tries more of them than the usual 2,000; ``PLATFORMIO_TFLM_FUZZ_SEED`` others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import REPOSITORY
from tiny_firmware import TOOLCHAINS

USUAL_COUNT = 2_000
SECONDS_EACH = 1.0
PEAK_BYTES = 300 * 1024 * 1024


@pytest.mark.skipif(not any(toolchain.present for toolchain in TOOLCHAINS.values()), reason="no compiler at all")
def test_damaged_programs_are_measured_or_refused(tmp_path: Path) -> None:
    count = int(os.environ.get("PLATFORMIO_TFLM_FUZZ", USUAL_COUNT))
    seed = os.environ.get("PLATFORMIO_TFLM_FUZZ_SEED", "1")
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests" / "fuzz_report.py", seed, str(count)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cost = json.loads(done.stdout)
    print(cost)
    # Damage that no file survives would test the readers only.
    assert cost["measured"] > count / 5
    assert cost["slowest_seconds"] < SECONDS_EACH
    assert cost["peak_bytes"] < PEAK_BYTES
