"""Tools from PATH, and one line of help for each that is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

Spawn = Callable[[str, Callable[[str], str], str, list[str], dict[str, str]], int]

COMMAND_NOT_FOUND = 127

INSTALL_TOOLCHAIN = {
    "linux": "sudo apt install gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    "darwin": "brew install --cask gcc-arm-embedded",
    "win32": "winget install Arm.GnuArmEmbeddedToolchain",
}
INSTALL_QEMU = {
    "linux": "sudo apt install qemu-system-arm",
    "darwin": "brew install qemu",
    "win32": "winget install SoftwareFreedomConservancy.QEMU",
}


def how_to_install(commands: dict[str, str]) -> str:
    """The command for this operating system; Debian's where the system is another Unix."""
    return commands.get(sys.platform, commands["linux"])


def missing_qemu(program: str, search_path: str) -> str:
    """A line that says how to get QEMU, or nothing if it is there."""
    if shutil.which(program, path=search_path):
        return ""
    return f"{program} is not on PATH; to get it: {how_to_install(INSTALL_QEMU)}"


@cache
def missing_tool(program: str, search_path: str) -> str:
    """A line that says how to get what a call of this program would miss, or nothing.

    Debian packs the C and the C++ library apart from the compiler, which then fails with a puzzling missing header.
    """
    if not program.startswith("arm-none-eabi-"):
        return ""
    found = shutil.which(program, path=search_path)
    remedy = f"to get it: {how_to_install(INSTALL_TOOLCHAIN)}"
    if not found:
        return f"{program} is not on PATH; {remedy}"
    if program.endswith("-gcc") and not _has_library(found, "libc_nano.a"):
        return f"{found} has no C library (newlib nano); {remedy}"
    if program.endswith("-g++") and not _has_library(found, "libstdc++_nano.a"):
        return f"{found} has no C++ library (libstdc++ nano); {remedy}"
    return ""


def _has_library(compiler: str, name: str) -> bool:
    """GCC prints the bare name of a file that it cannot find."""
    try:
        answer = subprocess.run(  # noqa: S603  (a compiler found on PATH)
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return answer.returncode != 0 or answer.stdout.strip() != name


def spawn_with_hints(spawn: Spawn) -> Spawn:
    """Wrap SCons's way to start a command: only a command that is really needed is ever missed."""
    untold = threading.Lock()

    def checked(sh: str, escape: Callable[[str], str], command: str, arguments: list[str], env: dict[str, str]) -> int:
        program = Path(arguments[0].strip('"')).name
        problem = missing_tool(program, env.get("PATH", ""))
        if not problem:
            return spawn(sh, escape, command, arguments, env)
        # Commands run side by side, and all of them miss it.
        if untold.acquire(blocking=False):
            sys.stderr.write(f"Error: {problem}\n")
            sys.stderr.flush()
        return COMMAND_NOT_FOUND

    return checked
