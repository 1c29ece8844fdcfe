"""Fixtures over tiny_firmware: each program is linked once a run, and only if a test asks for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tiny_firmware import TOOLCHAINS, Firmware, build

# Of the module and not of the fixture: pytest makes one fixture for each test module that imports it.
_BUILT: dict[tuple[str, ...], Firmware] = {}


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Firmware]:
    """firmware("arm", "-flto") links the program for that toolchain, or skips the test if there is none."""

    def make(name: str, *flags: str) -> Firmware:
        if not TOOLCHAINS[name].present:
            pytest.skip(f"no {TOOLCHAINS[name].prefix}gcc on the path")
        key = (name, *flags)
        if key not in _BUILT:
            _BUILT[key] = build(tmp_path_factory.mktemp(name), TOOLCHAINS[name], flags=flags)
        return _BUILT[key]

    return make
