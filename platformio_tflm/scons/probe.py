"""``pio run -t tflm-arena``: the probe in the program's place, its trials, and tflm-lock.json.

While this target is asked for, the program that PlatformIO declares is the probe: under a name of its own, with the
project's sources taken out and the probe's put in. So it is linked with the same library, start-up code, linker script
and flags as the firmware, and uploaded the way this platform uploads, whatever platform that is. The project's own
program and its report stay as they are.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SCons.Script import COMMAND_LINE_TARGETS

from platformio_tflm.errors import InputError, TflmError, UsageError
from platformio_tflm.files import write_if_changed
from platformio_tflm.pipeline import PlannedModel, probe_text
from platformio_tflm.scons import console
from platformio_tflm.scons.libraries import project_environment
from platformio_tflm.scons.plan import Plan

if TYPE_CHECKING:
    from platformio_tflm.core.arena_search import Answer, Found, Request
    from platformio_tflm.core.lock import Lock, Measurement

# That of core.lock, which only a project with such a file shall have to import.
LOCK_FILE = "tflm-lock.json"

TARGET = "tflm-arena"
_PROGRAM = "tflm_probe"
_DEFAULT_BAUD = 115200


def asked_for() -> bool:
    """Whether this run is to build the probe and not the firmware."""
    return TARGET in COMMAND_LINE_TARGETS


def claim_program(env: Any) -> None:
    """Give the program another name, before PlatformIO declares it.

    Errors: UsageError when other targets are asked for as well: they would get the probe.
    """
    others = [name for name in COMMAND_LINE_TARGETS if name != TARGET and not name.startswith("__")]
    if others:
        raise UsageError(
            f"{TARGET} together with {', '.join(others)}",
            where="pio run",
            hint=f"Run `pio run -t {TARGET}` by itself, then the other targets: it builds another program.",
        )
    env.Replace(PROGNAME=_PROGRAM)


def read_lock(project_dir: Path) -> Lock | None:
    """The project's lock; None where there is none. Errors: InputError."""
    path = project_dir / LOCK_FILE
    if not path.is_file():
        return None
    from platformio_tflm.core.lock import lock_from_text, refuse_large_lock  # noqa: PLC0415 - most projects have none

    try:
        refuse_large_lock(path.stat().st_size)
        return lock_from_text(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"cannot be read: {reason}", where=LOCK_FILE) from error


def declare_probe(env: Any, sources: Sequence[Any], plan: Plan) -> list[Any]:
    """The program's sources with the probe's in the place of the project's.

    Errors: UsageError where there is nothing to measure, or nothing to measure it with.
    """
    _require_something_to_measure(plan)
    _require_a_way_to_run(env)
    folder = plan.output_dir / "probe"
    text = probe_text(plan.models, plan.runtime, _pool_bytes(plan), _baud(env))
    write_if_changed(folder / "probe.cc", text.encode())
    (node,) = (project_environment() or env).Object(str(folder / "probe.cc"))
    own = Path(env.subst("$BUILD_SRC_DIR")).absolute()
    return [*(source for source in sources if own not in Path(source.get_abspath()).parents), node]


def _pool_bytes(plan: Plan) -> int:
    from platformio_tflm.core.arena_search import pool_bytes  # noqa: PLC0415 - not in every build

    planned = [model.plan.size_bytes for model in plan.models]
    return pool_bytes(planned, plan.board.sram_limit_bytes if plan.board else 0)


def _require_something_to_measure(plan: Plan) -> None:
    if not plan.models:
        raise UsageError(
            "no model in this environment, so there is no arena to measure",
            where="platformio.ini",
            hint="Put a .tflite into models/, or name one in custom_tflm_models.",
        )
    if plan.runtime.library is None:
        raise UsageError(
            "no TensorFlow Lite Micro library is linked, so there is no arena to measure",
            where="platformio.ini",
            hint="Add one to lib_deps; `platformio-tflm plan` shows what a model needs without one.",
        )


def _require_a_way_to_run(env: Any) -> None:
    if not _on_emulator(env) and "arduino" not in env.get("PIOFRAMEWORK", []):
        raise UsageError(
            "measuring needs the emulator platform, or a board with the Arduino framework, whose Serial the probe uses",
            where="platformio.ini",
            hint="Measure in an environment for the emulator: what was measured counts for every board with this core.",
        )


def _on_emulator(env: Any) -> bool:
    return str(env["PIOPLATFORM"]) == "emulator"


def _baud(env: Any) -> int:
    return int(env.GetProjectOption("monitor_speed", _DEFAULT_BAUD))


def target_dependencies(env: Any, program: Any) -> Any:
    """What must be done before the first trial: on the emulator the link, on a device the upload."""
    if not asked_for():
        return None
    return program if _on_emulator(env) else env.Alias("upload")


@console.build_action
def measure_arenas(target: list[Any], source: list[Any], env: Any) -> None:  # noqa: ARG001 - SCons names them
    """Action: find every model's smallest arena, show it beside the plan, keep it in the lock file."""
    from platformio_tflm.core.lock import Lock, lock_to_text  # noqa: PLC0415 - not in every build
    from platformio_tflm.render.measured_text import render_measured  # noqa: PLC0415

    plan = Plan.of(env)
    with _trials(env, plan) as run:
        found = [_find(run, index, model, plan) for index, model in enumerate(plan.models)]
    made = [_measurement(model, entry, plan) for model, entry in zip(plan.models, found, strict=True)]
    rows = tuple(_row(model, entry) for model, entry in zip(plan.models, found, strict=True))
    lock = (read_lock(plan.project_dir) or Lock()).updated(made)
    changed = write_if_changed(plan.project_dir / LOCK_FILE, lock_to_text(lock).encode("ascii"))
    console.say(render_measured(rows, _place(plan), lock_changed=changed))


def _find(run: Callable[[Request], Answer | None], index: int, model: PlannedModel, plan: Plan) -> Found:
    from platformio_tflm.core.arena_search import find_smallest  # noqa: PLC0415 - not in every build

    console.say(f"Measuring {model.path}")
    try:
        return find_smallest(run, index, planned_bytes=model.plan.size_bytes, largest_bytes=_pool_bytes(plan))
    except TflmError as error:
        raise error.located(model.path) from None


def _measurement(model: PlannedModel, found: Found, plan: Plan) -> Measurement:
    from platformio_tflm.core.lock import Measurement  # noqa: PLC0415 - not in every build

    assert plan.runtime.build is not None, "a linked library has a key"  # noqa: S101
    answer = found.answer
    board = plan.board.id if plan.board else ""
    return Measurement(model.name, model.sha256, plan.runtime.build, answer.arena_bytes, answer.used_bytes, board)


def _row(model: PlannedModel, found: Found) -> Any:
    from platformio_tflm.core.report.arena import MeasuredArena  # noqa: PLC0415

    return MeasuredArena(
        model=model.name,
        measured_bytes=found.answer.arena_bytes,
        planned_bytes=model.plan.size_bytes,
        method=model.plan.method,
        used_bytes=found.answer.used_bytes,
        trials=found.trials,
        faults=found.faults,
    )


def _place(plan: Plan) -> str:
    library, build = plan.runtime.library, plan.runtime.build
    board = plan.board.id if plan.board else "this board"
    return f"{board} ({build.core if build else ''}) with {library.name if library else ''}"


@contextlib.contextmanager
def _trials(env: Any, plan: Plan) -> Iterator[Callable[[Request], Answer | None]]:
    if _on_emulator(env):
        yield _EmulatorTrials(env, plan.output_dir / "probe")
        return
    from platformio_tflm.scons.probe_device import DeviceTrials, probe_port  # noqa: PLC0415 - needs pyserial

    trials = DeviceTrials(lambda: probe_port(env), _baud(env), lambda: _upload_again(env))
    with contextlib.closing(trials):
        yield trials


class _EmulatorTrials:
    """Each trial is a fresh start of the emulator: a fault ends one trial and disturbs no other."""

    def __init__(self, env: Any, folder: Path) -> None:
        self._env = env
        self._image = Path(env.subst("$PROGPATH")).read_bytes()
        self._copy = folder / "trial.elf"

    def __call__(self, request: Request) -> Answer | None:
        from platformio_tflm.core.arena_search import read_answer, with_request  # noqa: PLC0415 - not in every build

        write_if_changed(self._copy, with_request(self._image, request))
        with tempfile.TemporaryFile() as output:
            with _output_into(output):
                status = _upload(self._env, [self._env.File(str(self._copy))])
            output.seek(0)
            text = output.read().decode("utf-8", errors="replace")
        answer = read_answer(text, request)
        if answer is None and status == _COMMAND_NOT_FOUND:
            raise InputError(text.strip().removeprefix("Error: "), where="emulator")
        # A probe that answered and then faulted has spoilt memory.
        return answer if answer and (status == 0) == (not answer.failed) else None


_COMMAND_NOT_FOUND = 127


def _upload(env: Any, sources: list[Any]) -> int:
    """The environment's own upload action, with other sources; its exit code."""
    alias = env.Alias("upload")[0]
    for action in alias.get_executor().action_list:
        result = action([alias], sources, env, exitstatfunc=lambda status: status, show=0)
        status = int(getattr(result, "status", result) or 0)
        if status:
            return status
    return 0


def _upload_again(env: Any) -> None:
    """Errors: InputError when the upload fails."""
    alias = env.Alias("upload")[0]
    if _upload(env, list(alias.sources)):
        raise InputError("the board could not be started again after a trial that did not end", where="upload")


@contextlib.contextmanager
def _output_into(file: Any) -> Iterator[None]:
    """Everything that this process and its children print goes into the file: trials may end in faults, on purpose."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
