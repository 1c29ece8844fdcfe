"""The headers of a library -> Runtime: stand-ins of every generation, broken ones, and a real library where given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import standins
from generated import standin_runtime

from platformio_tflm.core.op_table import BUILTIN_METHODS, CUSTOM_METHODS
from platformio_tflm.core.runtime import (
    INTERPRETER_HEADER,
    RESOLVER_HEADER,
    Generation,
    StaticMemory,
    find_tflm_root,
    read_runtime,
)
from platformio_tflm.errors import LibraryError

METHODS = set(BUILTIN_METHODS.values()) | set(CUSTOM_METHODS.values())


@pytest.mark.parametrize(
    ("generation", "expected", "count", "level", "front"),
    [
        ("2022", Generation.ERROR_REPORTER, 92, 11, "TensorFlowLite_ESP32.h"),
        ("2023", Generation.LITE_REGISTRATION, 97, 11, "TensorFlowLite.h"),
        ("2024", Generation.TFLM_REGISTRATION, 113, 11, ""),
        ("2026", Generation.TFLM_REGISTRATION, 118, 17, ""),
    ],
)
def test_generations(generation: str, expected: Generation, count: int, level: int, front: str) -> None:
    runtime = standin_runtime(generation)
    assert runtime.generation is expected
    assert runtime.api.startswith(expected.value[:4])
    assert runtime.methods == set(standins.methods(generation))
    assert len(runtime.methods) == count
    assert runtime.registration_type == ("TfLiteRegistration" if generation < "2024" else "TFLMRegistration")
    assert runtime.cpp_level == level
    assert runtime.front_header == front
    assert runtime.interpreter_takes_error_reporter == (generation == "2022")
    assert runtime.allocator_takes_error_reporter == (generation == "2022")
    assert bool(runtime.error_reporter_header) == (generation == "2022")
    assert runtime.interpreter_takes_resource_variables
    assert runtime.interpreter_takes_allocator
    allocator = runtime.arena_allocator
    assert allocator is not None
    assert allocator.name == ("SimpleMemoryAllocator" if generation == "2022" else "SingleArenaBufferAllocator")
    assert allocator.takes_error_reporter == (generation == "2022")
    assert all(path in standins.headers(generation) for path in allocator.headers)
    assert runtime.per_channel_fully_connected == (generation >= "2024")
    assert runtime.static_memory is StaticMemory.SAME
    assert runtime.kernels == ("reference",)
    assert runtime.name == f"tflm-standin-{generation} 1.0.0"


def test_the_table_knows_every_method_of_every_generation() -> None:
    assert set(standins.methods("2026")) == METHODS
    assert len(BUILTIN_METHODS) == 100
    assert len(CUSTOM_METHODS) == 18


def test_reads_from_a_callable() -> None:
    headers = standins.headers("2024")
    asked: list[str] = []

    def read(path: str) -> bytes | None:
        asked.append(path)
        return headers.get(path)

    assert read_runtime(read, "tflm-standin-2024", "1.0.0") == standin_runtime("2024")
    assert len(asked) < 40


def test_static_memory() -> None:
    headers = standins.headers("2024")
    common = "tensorflow/lite/core/c/common.h"
    baked = headers | {
        common: headers[common].replace(b"#ifdef TF_LITE_STATIC_MEMORY", b"#if 1  // TF_LITE_STATIC_MEMORY")
    }
    assert read_runtime(baked, "x", "1").static_memory is StaticMemory.BUILT_IN
    heap = {"tensorflow/lite/kernels/kernel_util.h": b"inline void f() { TfLiteTensorDataFree(0); }"}
    assert read_runtime(headers | heap, "x", "1").static_memory is StaticMemory.FORBIDDEN


def test_arena_allocator_of_another_form() -> None:
    headers = standins.headers("2024")
    path = "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"
    whole = headers[path]
    for text in (
        None,
        b"class X;",
        whole.replace(b"AllocateTemp", b"Borrow"),
        whole.replace(b"size_t buffer_size", b""),
    ):
        headers[path] = text or b""
        if text is None:
            del headers[path]
        assert read_runtime(headers, "x", "1").arena_allocator is None
    interpreter = headers[INTERPRETER_HEADER].replace(b"MicroAllocator* allocator", b"Other* allocator")
    assert not read_runtime(headers | {INTERPRETER_HEADER: interpreter}, "x", "1").interpreter_takes_allocator


def test_kernel_sets() -> None:
    kernels = "tensorflow/lite/micro/kernels"
    headers = standins.headers("2024")
    more = {f"{kernels}/cmsis_nn/conv.cc": b"", f"{kernels}/ethos_u/ethosu.cc": b""}
    runtime = read_runtime(headers | more, "x", "1")
    assert runtime.kernels == ("reference", "cmsis-nn", "ethos-u")
    assert runtime.has_ethos_u
    assert not read_runtime(headers | more | {f"{kernels}/ethosu.cc": b""}, "x", "1").has_ethos_u


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (RESOLVER_HEADER, None, "no tensorflow/lite/micro/micro_mutable_op_resolver.h"),
        (INTERPRETER_HEADER, None, "no tensorflow/lite/micro/micro_interpreter.h"),
        (RESOLVER_HEADER, b"TfLiteStatus AddCustom(const char* n, Other* r)", "AddCustom takes a Other"),
        (RESOLVER_HEADER, b"// TfLiteStatus AddCustom(const char*, TFLMRegistration*)", "AddCustom was not found"),
        (RESOLVER_HEADER, b"TfLiteStatus AddCustom(const char* n, TFLMRegistration* r)", "no Add… method"),
        (RESOLVER_HEADER, b"\xff\xfe" * 100, "AddCustom was not found"),
        (INTERPRETER_HEADER, b"class MicroInterpreter;", "no constructor of MicroInterpreter"),
        (INTERPRETER_HEADER, b"MicroInterpreter(const Model* m, ErrorReporter* e)", "wants an ErrorReporter"),
        (RESOLVER_HEADER, b" " * (4 * 1024 * 1024 + 1), "at most 4,194,304 are read"),
    ],
)
def test_what_cannot_be_understood_is_said(path: str, text: bytes | None, message: str) -> None:
    headers = standins.headers("2024")
    if text is None:
        del headers[path]
    else:
        headers[path] = text
    with pytest.raises(LibraryError, match=message) as error:
        read_runtime(headers, "odd-library", "9.9")
    assert error.value.where.startswith("odd-library 9.9")
    assert error.value.hint or "at most" in error.value.what


@pytest.mark.parametrize("root", ["src", "", "include"])
def test_find_root(root: str) -> None:
    prefix = f"{root}/" if root else ""
    listing = {prefix + RESOLVER_HEADER, prefix + INTERPRETER_HEADER}
    assert find_tflm_root(listing.__contains__) == root


def test_find_root_of_another_library() -> None:
    assert find_tflm_root({"src/Servo.h", f"src/{RESOLVER_HEADER}"}.__contains__) is None


def test_real_library() -> None:
    given = os.environ.get("PLATFORMIO_TFLM_LIBRARY", "")
    folder = Path(given.removeprefix("symlink://").removeprefix("file://"))
    if not given or not folder.is_dir():
        pytest.skip("PLATFORMIO_TFLM_LIBRARY names no folder")
    root = find_tflm_root(lambda path: (folder / path).is_file())
    assert root is not None

    def read(path: str) -> bytes | None:
        file = folder / root / path
        return file.read_bytes() if file.is_file() else None

    runtime = read_runtime(read, folder.name, "")
    assert runtime.methods <= METHODS
    assert len(runtime.methods) >= 90
    generations = [g for g in standins.GENERATIONS if standin_runtime(g).generation is runtime.generation]
    assert any(runtime.methods == standin_runtime(g).methods for g in generations)
