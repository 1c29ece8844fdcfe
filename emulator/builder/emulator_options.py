"""From a board's manifest and platformio.ini to flags for compiler, linker and QEMU."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

DEFAULT_TIMEOUT_SECONDS = 60


class OptionError(Exception):
    """A value of platformio.ini or of a board manifest that cannot be used."""


def processor_flags(board: Any) -> list[str]:
    """The flags that compiler and linker must agree on."""
    flags = ["-mthumb", f"-mcpu={board.get('build.cpu')}"]
    fpu = board.get("build.fpu", "")
    return [*flags, f"-mfpu={fpu}", "-mfloat-abi=hard"] if fpu else [*flags, "-mfloat-abi=soft"]


def memory_layout(board: Any) -> list[str]:
    """Symbols that the linker script takes its memory regions from."""
    layout = {
        "__flash_origin": board.get("build.flash_origin"),
        "__flash_size": board.get("upload.maximum_size"),
        "__sram_origin": board.get("build.sram_origin"),
        "__sram_size": board.get("upload.maximum_ram_size"),
        "__stack_size": board.get("build.stack_size"),
    }
    return [f"-Wl,--defsym={name}={value}" for name, value in layout.items()]


def linker_script(env: Any) -> str:
    """The linker script's path, so that a changed script links anew; ``board_build.ldscript`` may name another one."""
    name = env.subst("$LDSCRIPT_PATH")
    own = Path(env.PioPlatform().get_dir(), "ldscripts", name)
    return str(own if own.is_file() else Path(env.subst("$PROJECT_DIR"), name))


def timeout_seconds(env: Any) -> float:
    """Seconds a run may take: custom_emulator_timeout, else the board's own."""
    value = env.GetProjectOption("custom_emulator_timeout", None)
    if value is None:
        value = env.BoardConfig().get("emulator.timeout", DEFAULT_TIMEOUT_SECONDS)
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise OptionError(f"custom_emulator_timeout = {value}: expected a number of seconds above 0, such as 60")
    return seconds


def emulator_arguments(env: Any) -> list[str]:
    """Further arguments for QEMU: the board's, then those of custom_emulator_args."""
    text = env.subst(env.GetProjectOption("custom_emulator_args", "") or "")
    try:
        return [*env.BoardConfig().get("emulator.args", []), *shlex.split(text)]
    except ValueError as error:
        raise OptionError(f"custom_emulator_args = {text}: {error}") from None
