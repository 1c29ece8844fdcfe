"""Packaging. The version stands in platformio_tflm/__init__.py alone; library.json is kept in step by a test."""

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "platformio_tflm" / "__init__.py").read_text("utf-8"))[1]

setup(
    name="platformio-tflm",
    version=VERSION,
    description="TensorFlow Lite models in a PlatformIO build: model data, op resolver, tensor arena, memory report",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[
        "platformio_tflm",
        "platformio_tflm.boards",
        "platformio_tflm.cli",
        "platformio_tflm.core",
        "platformio_tflm.core.codegen",
        "platformio_tflm.core.report",
        "platformio_tflm.render",
        "platformio_tflm.scons",
    ],
    # The board files lie at the top of the repository, where users look for them.
    package_dir={"platformio_tflm.boards": "boards"},
    package_data={
        "platformio_tflm": ["arena_sources.json", "boards.json", "py.typed"],
        "platformio_tflm.boards": ["*.yaml", "*.md"],
        "platformio_tflm.render": ["templates/*"],
    },
    install_requires=["click"],
    extras_require={
        "boards": ["PyYAML"],
        "hex": ["intelhex"],
        "html": ["Jinja2"],
        "dev": [
            "cmarkgfm",
            "hypothesis",
            "intelhex",
            "Jinja2",
            "jsonschema",
            "mypy",
            "numpy",
            "platformio>=6.1",
            "pyelftools",
            "pytest",
            "PyYAML",
            "ruff",
            "scons",
            "setuptools>=70.1",
            "tflite",
        ],
    },
    entry_points={"console_scripts": ["platformio-tflm = platformio_tflm.cli:main"]},
)
