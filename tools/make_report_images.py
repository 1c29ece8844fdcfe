"""Build the example and write docs/report-light.png and docs/report-dark.png: its HTML report in a browser.

PLATFORMIO_TFLM_LIBRARY=symlink:///folder links a TensorFlow Lite Micro library, as in examples/hello_world.
--html FILE shows a report that is there already.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from browser import Browser, what_is_missing
from make_core import DEFAULT_CORE_DIR, make_core

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLE = REPOSITORY / "examples" / "hello_world"
ENVIRONMENT = "emu_nano33ble"
WIDTH = 1280


def build() -> Path:
    """The example's report.html, for which its platformio.ini gets one line more, in a copy."""
    text = (EXAMPLE / "platformio.ini").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "platformio.ini"
        configuration.write_text(text.replace("[env]\n", "[env]\ncustom_tflm_report = text, json, html\n"), "utf-8")
        command = [sys.executable, "-m", "platformio", "run", "-d", str(EXAMPLE), "-c", str(configuration)]
        environment = {**os.environ, **make_core(DEFAULT_CORE_DIR)}
        subprocess.run([*command, "-e", ENVIRONMENT], env=environment, check=True)
    return EXAMPLE / ".pio" / "build" / ENVIRONMENT / "tflm" / "report.html"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--html", type=Path)
    options = parser.parse_args()
    missing = what_is_missing()
    if missing:
        print(f"make_report_images.py: {missing}", file=sys.stderr)
        return 1
    report = options.html or build()
    with Browser() as browser:
        for scheme in ("light", "dark"):
            browser.show(WIDTH, 900, dark=scheme == "dark")
            browser.open(report)
            end = "return Math.ceil(document.getElementById('explorer').getBoundingClientRect().bottom) + 24"
            browser.show(WIDTH, browser.run(end), dark=scheme == "dark")
            (REPOSITORY / "docs" / f"report-{scheme}.png").write_bytes(browser.screenshot())
    return 0


if __name__ == "__main__":
    sys.exit(main())
