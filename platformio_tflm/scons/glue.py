"""The door from PlatformIO: attach() runs while the scripts load, the rest when the program node is declared.

The program builder's emitter is the hook. PlatformIO calls it once, after the library dependency finder has decided
which libraries are linked and before the program node exists, whichever way the plugin came in and whatever the
framework does, so headers are written with the linked library known, and objects can still join the program.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from SCons.Script import DefaultEnvironment

from platformio_tflm.errors import TflmError
from platformio_tflm.scons import console
from platformio_tflm.scons.build import Build

_STATE = "PLATFORMIO_TFLM"


def attach(env: Any) -> None:
    """Hook the plugin into this build.

    A second call, from a second script or a second way in, only adds the include folder to its environment.
    """
    default = DefaultEnvironment()
    if env.IsCleanTarget():
        return
    include_dir = default.subst("$BUILD_DIR/tflm/include")
    for scope in {id(scope): scope for scope in (env, default)}.values():
        scope.AppendUnique(CPPPATH=[include_dir])
    if default.get(_STATE):
        return
    default[_STATE] = True
    try:
        build = Build(default)
    except TflmError as error:
        _fail(default, error)
        return
    except Exception:
        console.stop_for_bug(default)
    emitters = default.get("PROGEMITTER") or []
    default["PROGEMITTER"] = [*(emitters if isinstance(emitters, list) else [emitters]), _Emitter(build)]


class _Emitter:
    """Called with the program's nodes when the program is declared."""

    def __init__(self, build: Build) -> None:
        self._build = build

    def __call__(self, target: list[Any], source: list[Any], env: Any) -> tuple[list[Any], list[Any]]:
        # Some frameworks declare further programs (boot loaders); only the firmware itself carries models.
        if Path(str(target[0].get_abspath())) != Path(env.subst("$PROGPATH")).absolute():
            return target, source
        try:
            return target, self._build.declare(target[0], source)
        except TflmError as error:
            _fail(env, error)
        except Exception:
            console.stop_for_bug(env)
        return target, source


def _fail(env: Any, error: TflmError) -> None:
    # An IDE that asks for include paths must get its answer even while a model is broken, else IntelliSense goes dark.
    if env.IsIntegrationDump():
        console.show_error(error)
    else:
        console.stop(env, error)
