"""What the environment's compiler can do: a probe, compiled once a process when a model's source is generated."""

from __future__ import annotations

import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from platformio_tflm.core.codegen import incbin_probe_source

_PROBE_TIMEOUT_SECONDS = 60


def data_strategy(env: Any, folder: Path) -> str:
    """``incbin`` where the compiler's assembler takes it, else ``string``. folder: where scratch files may be put."""
    command = tuple(str(word) for word in env.subst_list("$CXX $CXXFLAGS $CCFLAGS -fno-lto")[0])
    folder.mkdir(parents=True, exist_ok=True)
    return "incbin" if _takes_incbin(command, str(env["ENV"].get("PATH", "")), str(folder)) else "string"


@lru_cache(maxsize=8)
def _takes_incbin(command: tuple[str, ...], search_path: str, folder: str) -> bool:
    with tempfile.TemporaryDirectory(dir=folder, prefix="probe") as scratch:
        place = Path(scratch)
        (place / "probe.bin").write_bytes(b"\0")
        (place / "probe.cc").write_text(incbin_probe_source("probe.bin"), encoding="ascii")
        words = [*command, "-I.", "-c", "probe.cc", "-o", "probe.o"]
        return _succeeds(words, search_path, place)


def _succeeds(words: list[str], search_path: str, place: Path) -> bool:
    import os  # noqa: PLC0415
    import shutil  # noqa: PLC0415

    program = shutil.which(words[0], path=search_path) or words[0]
    try:
        done = subprocess.run(  # noqa: S603 - the project's own compiler, no shell
            [program, *words[1:]],
            cwd=place,
            env={**os.environ, "PATH": search_path},
            capture_output=True,
            timeout=_PROBE_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
