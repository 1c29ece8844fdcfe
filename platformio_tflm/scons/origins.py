"""Whose path is whose, so that the report can say what a byte is there for."""

from __future__ import annotations

from typing import Any

from platformio_tflm.core.categories import Origins
from platformio_tflm.scons.plan import Plan


def origins_of(env: Any, plan: Plan) -> Origins:
    """The folders that PlatformIO compiles the TFLM library, the framework and the project into."""
    build_dir = env.subst("$BUILD_DIR")
    libraries = tuple(env.subst(builder.build_dir) for builder in env.GetLibBuilders() if _is(builder, plan))
    archives = tuple(_archive_of(folder) for folder in libraries)
    frameworks = tuple(f"{build_dir}/{name}" for name in ("FrameworkArduino", "FrameworkArduinoVariant"))
    project = (env.subst("$BUILD_SRC_DIR"), env.subst("$BUILD_TEST_DIR"))
    return Origins(tflm=(*libraries, *archives), framework=frameworks, project=project)


def _is(builder: Any, plan: Plan) -> bool:
    return plan.runtime.library is not None and str(builder.name) == plan.runtime.library.library


def _archive_of(build_dir: str) -> str:
    folder, _, name = build_dir.replace("\\", "/").rpartition("/")
    return f"{folder}/lib{name}.a"
