"""Whose path is whose, so that the report can say what a byte is there for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from platformio_tflm.core.categories import Origins
from platformio_tflm.scons.plan import Plan

# PlatformIO compiles a library into lib and three hexadecimal digits.
_NOT_FRAMEWORK = re.compile(r"src|test|tflm|lib[0-9a-f]{3}")


def origins_of(env: Any, plan: Plan) -> Origins:
    """The folders that PlatformIO compiles the TFLM library, the framework and the project into."""
    build_dir = env.subst("$BUILD_DIR")
    libraries = tuple(env.subst(builder.build_dir) for builder in env.GetLibBuilders() if _is(builder, plan))
    archives = tuple(_archive_of(folder) for folder in libraries)
    project = (env.subst("$BUILD_SRC_DIR"), env.subst("$BUILD_TEST_DIR"))
    return Origins(tflm=(*libraries, *archives), framework=_framework_dirs(Path(build_dir)), project=project)


def _framework_dirs(build_dir: Path) -> tuple[str, ...]:
    """What is neither the project's, nor a library's, nor ours is compiled by the framework's script."""
    folders = (path for path in sorted(build_dir.iterdir()) if path.is_dir())
    return tuple(str(path) for path in folders if not _NOT_FRAMEWORK.fullmatch(path.name))


def _is(builder: Any, plan: Plan) -> bool:
    return plan.runtime.library is not None and str(builder.name) == plan.runtime.library.library


def _archive_of(build_dir: str) -> str:
    folder, _, name = build_dir.replace("\\", "/").rpartition("/")
    return f"{folder}/lib{name}.a"
