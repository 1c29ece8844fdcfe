"""After a link that failed for want of room: the report of the map that ld has written all the same.

ld reports an overflow in bytes and names neither what takes the room nor what could be done, and where there is no
program the report's node does not run. SCons tells what has failed when the process ends.
"""

from __future__ import annotations

import atexit
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from SCons.Script import GetBuildFailures

from platformio_tflm.errors import TflmError
from platformio_tflm.scons import console


def report_overflow(env: Any, program: Any) -> None:
    """Show the report at the end of this process if the link of *program* has failed and its map shows an overflow."""
    atexit.register(_at_exit, env, env.File(program).get_abspath(), time.time())


def _at_exit(env: Any, program: str, started: float) -> None:
    failed = (str(failure.node) for failure in GetBuildFailures())
    if not any(Path(env.subst("$PROJECT_DIR"), node) == Path(program) for node in failed):
        return
    try:
        _show(env, started)
    except TflmError:
        return  # The linker has said what is wrong, and wrote half a map.
    except Exception:
        console.show_bug()


def _show(env: Any, started: float) -> None:
    from platformio_tflm.core.alone import MAP_ALONE  # noqa: PLC0415 - only a link that failed wants it
    from platformio_tflm.core.report import Status  # noqa: PLC0415
    from platformio_tflm.measure import LinkedFiles  # noqa: PLC0415
    from platformio_tflm.render.text import render_text  # noqa: PLC0415
    from platformio_tflm.scons.link import map_path, measure_files  # noqa: PLC0415

    path = map_path(env)
    # A map of an earlier link says nothing; file systems keep times as coarse as two seconds.
    if path is None or not path.is_file() or path.stat().st_mtime < started - 2:
        return
    report = measure_files(LinkedFiles(None, Path(path).read_bytes(), map_name=path.name), env).report
    if report.status is Status.EXCEEDED or any(region.used_bytes > region.length_bytes for region in report.regions):
        # There is no ELF to be given, so none is asked for.
        messages = tuple(message for message in report.messages if message.text != MAP_ALONE)
        console.say("The link failed for want of room; this is what its map shows.")
        console.say(render_text(replace(report, messages=messages), ascii_only=not console.shows_utf8()))
