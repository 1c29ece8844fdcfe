"""What is shipped, and that generated files and repeated facts are in step."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from project import REPOSITORY

import platformio_tflm


def test_one_version() -> None:
    assert json.loads((REPOSITORY / "library.json").read_text())["version"] == platformio_tflm.__version__
    assert f"## {platformio_tflm.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()


def test_public_surface() -> None:
    assert platformio_tflm.__all__ == ["__version__", "attach"]


def test_options_reference_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, "tools/make_docs.py", "--check"], cwd=REPOSITORY, check=False)
    assert done.returncode == 0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Built from a copy: setuptools would leave its build folder in the repository, and later wheels would carry it.
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(REPOSITORY, folder / "source", ignore=ignored)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        ".",
    ]
    done = subprocess.run(command, cwd=folder / "source", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_wheel_holds_every_module_and_board(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "platformio_tflm").rglob("*.py")
        if "__pycache__" not in path.parts
    }
    boards = {f"platformio_tflm/boards/{path.name}" for path in (REPOSITORY / "boards").glob("*.yaml")}
    assert modules - names == set()
    assert boards - names == set()
    assert "platformio_tflm/boards.json" in names
    assert "platformio_tflm/py.typed" in names


def test_wheel_has_the_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    name = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "platformio-tflm = platformio_tflm.cli:main" in archive.read(name).decode()
