"""Writes generated files into a folder and compiles them, for the tests of code generation."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
import standins

from platformio_tflm.core import codegen
from platformio_tflm.core.codegen import ArenaNeed, ModelSource, resolver
from platformio_tflm.core.runtime import Runtime, read_runtime
from platformio_tflm.core.tflite import read_model

MODELS = Path(__file__).resolve().parent / "models"
ARM = ("arm-none-eabi-g++", "-mcpu=cortex-m4", "-mthumb")
HOST = ("g++",)
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror", "-fno-exceptions", "-fno-rtti")


def bytes_source(name: str, data: bytes, *, path: str = "", arena_size_bytes: int | None = 4096) -> ModelSource:
    return ModelSource(
        name=name,
        class_name=codegen.class_name(name),
        path=path or f"models/{name}.tflite",
        sha256=hashlib.sha256(data).hexdigest(),
        model=read_model(data),
        arena_size_bytes=arena_size_bytes,
        arena_method="upper-bound",
        arena_need=ArenaNeed(arena_size_bytes, "upper-bound") if arena_size_bytes is not None else None,
    )


@cache
def source(name: str) -> ModelSource:
    """One of the project's own test models."""
    return bytes_source(name, (MODELS / f"{name}.tflite").read_bytes())


@cache
def standin_runtime(generation: str) -> Runtime:
    return read_runtime(standins.headers(generation), f"tflm-standin-{generation}", "1.0.0")


def write(
    folder: Path,
    sources: list[ModelSource],
    runtime: Runtime | None,
    custom_ops: Mapping[str, str] | None = None,
    strategy: str = "incbin",
) -> None:
    """All files of *sources*, laid out as in $BUILD_DIR/tflm."""
    texts: dict[str, str] = {}
    for model in sources:
        names = codegen.file_names(model.name)
        (folder / "src").mkdir(parents=True, exist_ok=True)
        (folder / "src" / f"{model.name}.bin").write_bytes(model.model.data)
        texts[names.data_header] = codegen.data_header(model)
        texts[names.inference_header] = codegen.inference_header(model, runtime)
        texts[names.data_source] = codegen.data_source(
            model, strategy=strategy, incbin_name=f"{model.name}.bin", arena=runtime is not None
        )
        if runtime:
            texts[names.resolver_header] = resolver.resolver_header(model, runtime, custom_ops or {})
    if runtime:
        texts[f"include/{codegen.UNION_RESOLVER_FILE}"] = resolver.union_resolver_header(
            sources, runtime, custom_ops or {}
        )
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("ascii"))


def compile_cpp(compiler: tuple[str, ...], *arguments: str | Path) -> None:
    """Run the compiler; its output is the assertion's message. Skips where it is not installed."""
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]}")
    done = subprocess.run([*compiler, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def run_program(program: Path) -> str:
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
