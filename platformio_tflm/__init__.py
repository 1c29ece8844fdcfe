"""Puts TensorFlow Lite models on microcontrollers from inside a PlatformIO build."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def attach(env: Any) -> None:
    """Hook the plugin into the PlatformIO environment *env*.

    For ``extra_scripts = pre:tflm_build.py``; projects that list the library in
    ``lib_deps`` need not call it, and calling it there as well changes nothing.
    """
    from platformio_tflm.scons.glue import attach as attach_glue  # noqa: PLC0415 - SCons is only there in a build

    attach_glue(env)


__all__ = ["__version__", "attach"]
