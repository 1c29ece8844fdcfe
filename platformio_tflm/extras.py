"""Packages that only some features want: PlatformIO does not install them, and a build never does."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from platformio_tflm.errors import UsageError


def require_jinja2(asked_by: str) -> None:
    """Errors: UsageError that says what to install into which Python. asked_by: the option that wants the package."""
    if find_spec("jinja2") is None:
        raise UsageError(
            f"the HTML report is made with Jinja2, and the Python in {sys.prefix} lacks it",
            where=asked_by,
            hint=f'Run: "{sys.executable}" -m pip install jinja2',
        )
