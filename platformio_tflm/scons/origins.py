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
    """The folders that PlatformIO compiles the TFLM library, the framework and the project into.

    From the project folder where they lie below it, as the linker was given them and as the map has them.
    """
    build_dir = Path(env.subst("$BUILD_DIR"))
    builders = env.GetLibBuilders()
    packages = _package_dirs(env)
    supplied = [builder for builder in builders if not _is(builder, plan) and _lies_in(Path(builder.path), packages)]
    project = [Path(env.subst(name)) for name in ("$BUILD_SRC_DIR", "$BUILD_TEST_DIR")]
    return Origins(
        tflm=_shown(_built([builder for builder in builders if _is(builder, plan)], env), plan),
        framework=_shown([*_framework_dirs(build_dir), *_built(supplied, env)], plan),
        project=_shown(project, plan),
    )


def _built(builders: list[Any], env: Any) -> list[Path]:
    """The folders that libraries are compiled into, and their archives."""
    folders = [Path(env.subst(builder.build_dir)) for builder in builders]
    return [*folders, *(folder.with_name(f"lib{folder.name}.a") for folder in folders)]


def _package_dirs(env: Any) -> list[Path]:
    """The folders of the platform's packages: libraries in there come with the framework, as Arduino's SPI does."""
    platform = env.PioPlatform()
    found = (platform.get_package_dir(name) for name in platform.packages)
    return [Path(folder).resolve() for folder in found if folder]


def _lies_in(path: Path, folders: list[Path]) -> bool:
    resolved = path.resolve()
    return any(resolved.is_relative_to(folder) for folder in folders)


def _shown(paths: list[Path], plan: Plan) -> tuple[str, ...]:
    inside = (path.relative_to(plan.project_dir) if path.is_relative_to(plan.project_dir) else path for path in paths)
    return tuple(path.as_posix() for path in inside)


def _framework_dirs(build_dir: Path) -> list[Path]:
    """What is neither the project's, nor a library's, nor ours is compiled by the framework's script."""
    folders = (path for path in sorted(build_dir.iterdir()) if path.is_dir())
    return [path for path in folders if not _NOT_FRAMEWORK.fullmatch(path.name)]


def _is(builder: Any, plan: Plan) -> bool:
    return plan.runtime.library is not None and str(builder.name) == plan.runtime.library.library
