"""Fixtures for every test: projects that the real `pio` builds, and golden files (golden_files.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from project import MAIN, Make, Project

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

pytest_plugins = ["golden_files"]


@pytest.fixture(scope="session")
def core(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables of a PlatformIO core folder that needs no network."""
    from make_core import make_core  # noqa: PLC0415

    return make_core(tmp_path_factory.mktemp("core"))


@pytest.fixture
def make(tmp_path: Path, core: dict[str, str]) -> Make:
    """A project with a model and a main that uses it; ini() is still to be called."""

    def build(folder: str = "project") -> Project:
        path = tmp_path / folder
        path.mkdir(parents=True)
        return Project(path, core).model().write("src/main.cpp", MAIN)

    return build
