"""Make a PlatformIO core folder that never needs PlatformIO's registry.

PlatformIO builds through the package ``tool-scons``, which it normally downloads. This script makes that package from
the ``scons`` distribution installed in the Python that runs the script, and writes an ``appstate.json`` that keeps
``pio`` from looking for upgrades or sending telemetry. Nothing is downloaded, and a second run changes nothing.

    python tools/make_core.py [--core-dir FOLDER]

Tests and other scripts call :func:`make_core` and add what it returns to the environment of ``pio``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
import uuid
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DEFAULT_CORE_DIR = REPOSITORY / ".pio-core"

# A moment in the year 2100: "checked then" keeps both of PlatformIO's periodic checks asleep.
NEVER_AGAIN = 4102444800

# Documentation tool chains and tests: two thirds of the distribution, and no firmware needs them.
NOT_COPIED = shutil.ignore_patterns("docbook", "*Tests.py", "*Tests.*.pyc")

SCONS_PY = """\
import sys

from SCons.Script.Main import main

sys.exit(main())
"""


class CoreFolderError(Exception):
    """The core folder cannot be made; the text says what to install."""


def make_core(core_dir: Path = DEFAULT_CORE_DIR) -> dict[str, str]:
    """Make the core folder, or bring it up to date, and return the environment variables that ``pio`` needs.

    Safe to call from several processes at once. Raises CoreFolderError when no fitting SCons is installed.
    """
    core_dir = Path(core_dir).resolve()
    scons_dir, scons_version = _installed_scons()
    package_version = package_version_of(scons_version)
    _check_wanted_by_platformio(package_version, scons_version)
    (core_dir / "packages").mkdir(parents=True, exist_ok=True)
    _make_tool_scons(core_dir, scons_dir, package_version)
    _write_state(core_dir / "appstate.json")
    return core_environment(core_dir)


def core_environment(core_dir: Path) -> dict[str, str]:
    """Environment variables that make ``pio`` use the folder and stay off the network."""
    return {
        "PLATFORMIO_CORE_DIR": str(core_dir),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
    }


def package_version_of(scons_version: str) -> str:
    """PlatformIO's number for a SCons release: 4.11.1 is packaged as 4.41101.0."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", scons_version)
    if not match:
        raise CoreFolderError(f"SCons has the version {scons_version!r}, which is not of the form 4.11.1")
    major, minor, patch = (int(part or 0) for part in match.groups())
    return f"4.{major}{minor:02d}{patch:02d}.0"


def _installed_scons() -> tuple[Path, str]:
    spec = importlib.util.find_spec("SCons")
    if spec is None or not spec.submodule_search_locations:
        raise CoreFolderError(
            f"SCons is not installed in {sys.executable}: run `{sys.executable} -m pip install scons`"
        )
    return Path(next(iter(spec.submodule_search_locations))), metadata.version("SCons")


def _check_wanted_by_platformio(package_version: str, scons_version: str) -> None:
    """With another version than the one it asks for, PlatformIO would go to its registry."""
    try:
        from platformio.dependencies import get_core_dependencies  # noqa: PLC0415  (PlatformIO may live elsewhere)
    except ImportError:
        return
    match = re.search(r"4\.(\d+)(\d\d)(\d\d)\.", get_core_dependencies().get("tool-scons", ""))
    if match and package_version != f"4.{''.join(match.groups())}.0":
        wanted = ".".join(str(int(part)) for part in match.groups())
        raise CoreFolderError(
            f"PlatformIO asks for SCons {wanted}, but {scons_version} is installed: "
            f"run `{sys.executable} -m pip install scons=={wanted}`"
        )


def _make_tool_scons(core_dir: Path, scons_dir: Path, package_version: str) -> None:
    target = core_dir / "packages" / "tool-scons"
    manifest, record = _manifests(package_version)
    if _text_of(target / "package.json") == manifest and _text_of(target / ".piopm") == record:
        return
    # Beside `packages`, not in it: PlatformIO takes every folder in there for a package.
    with tempfile.TemporaryDirectory(prefix=".making-", dir=core_dir) as temporary:
        made = Path(temporary) / "tool-scons"
        shutil.copytree(scons_dir, made / "SCons", ignore=NOT_COPIED)
        for name, text in {"scons.py": SCONS_PY, "package.json": manifest, ".piopm": record}.items():
            (made / name).write_text(text, encoding="utf-8")
        _replace_folder(made, target, aside=Path(temporary) / "old")


def _replace_folder(made: Path, target: Path, aside: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        target.rename(aside)
    try:
        made.rename(target)
    except OSError:
        # Another process was quicker; it made the same thing.
        if not (target / ".piopm").is_file():
            raise


def _manifests(package_version: str) -> tuple[str, str]:
    manifest = {
        "name": "tool-scons",
        "version": package_version,
        "description": "SCons from PyPI, packaged by tools/make_core.py",
        "homepage": "https://scons.org",
        "license": "MIT",
        "system": "*",
    }
    record = {
        "type": "tool",
        "name": "tool-scons",
        "version": package_version,
        "spec": {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None, "uri": None},
    }
    return json.dumps(manifest, indent=2) + "\n", json.dumps(record)


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def _write_state(path: Path) -> None:
    """Settings that PlatformIO reads even when none of our environment variables is set."""
    state = _readable_state(path)
    before = json.dumps(state, sort_keys=True)
    settings = state.get("settings")
    state["settings"] = {**(settings if isinstance(settings, dict) else {}), "enable_telemetry": False}
    state["last_check"] = {"platformio_upgrade": NEVER_AGAIN, "prune_system": NEVER_AGAIN}
    # Without an identity PlatformIO asks the network interfaces for one, at each start.
    state.setdefault("cid", str(uuid.uuid5(uuid.NAMESPACE_URL, str(path.parent))))
    with contextlib.suppress(metadata.PackageNotFoundError):
        # Another version than the last one seen makes PlatformIO update its packages from the registry.
        state["last_version"] = metadata.version("platformio")
    if json.dumps(state, sort_keys=True) != before:
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(state), encoding="utf-8")
        temporary.replace(path)


def _readable_state(path: Path) -> dict[str, object]:
    try:
        state = json.loads(_text_of(path) or "{}")
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make a PlatformIO core folder that never needs the network.")
    parser.add_argument("--core-dir", type=Path, default=DEFAULT_CORE_DIR, help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        environment = make_core(options.core_dir)
    except CoreFolderError as error:
        print(f"make_core.py: {error}", file=sys.stderr)
        return 1
    for name, value in environment.items():
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
