"""Processor time and peak memory of one command, its children included."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Linux counts the memory of the process that forks as the child's own until it executes something else, so a small
# interpreter does the forking, not this process with whatever it holds.
_LAUNCHER = """\
import os, sys
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Cost:
    """seconds: user and system time. memory_bytes: the largest resident size of any one process of the command."""

    seconds: float
    memory_bytes: int


def child_cost(command: Sequence[str], folder: Path) -> Cost:
    """Run *command* in *folder*. Raises RuntimeError with its output if it fails."""
    # Users' Pythons keep their byte code; one that is told not to would compile the plugin each time.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        cwd=folder,
        env=own,
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, memory = done.stdout.splitlines()[-1].split()
    if code != "0":
        raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{done.stdout}{done.stderr}")
    return Cost(float(seconds), int(memory) * _RSS_UNIT_BYTES)
