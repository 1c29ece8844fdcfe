"""What the environment's compiler can do: a probe, compiled once a process when a model's source is generated."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from platformio_tflm.core.codegen import incbin_probe_source

_PROBE_TIMEOUT_SECONDS = 60
# Models are generated side by side; one probe is enough for all.
_PROBING = threading.Lock()


def data_strategy(env: Any) -> str:
    """``incbin`` where the compiler's assembler takes it, else ``string``."""
    command = tuple(str(word) for word in env.subst_list("$CXX $CXXFLAGS $CCFLAGS -fno-lto")[0])
    with _PROBING:
        return "incbin" if _takes_incbin(command, str(env["ENV"].get("PATH", ""))) else "string"


@lru_cache(maxsize=8)
def _takes_incbin(command: tuple[str, ...], search_path: str) -> bool:
    # In the system's folder for such files: a killed build must not leave them in the project.
    with tempfile.TemporaryDirectory(prefix="platformio-tflm-") as scratch:
        place = Path(scratch)
        (place / "probe.bin").write_bytes(b"\0")
        (place / "probe.cc").write_text(incbin_probe_source("probe.bin"), encoding="ascii")
        words = [*command, f"-I{place}", "-c", str(place / "probe.cc"), "-o", str(place / "probe.o")]
        return _succeeds(words, search_path)


def _succeeds(words: list[str], search_path: str) -> bool:
    import os  # noqa: PLC0415
    import shutil  # noqa: PLC0415

    program = shutil.which(words[0], path=search_path) or words[0]
    try:
        done = subprocess.run(  # noqa: S603 - the project's own compiler, no shell
            [program, *words[1:]],
            env={**os.environ, "PATH": search_path},
            capture_output=True,
            timeout=_PROBE_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
