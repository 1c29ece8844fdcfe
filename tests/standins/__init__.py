"""Stand-ins of TensorFlow Lite Micro, one a generation of its C++ interface.

They declare what generated code uses, in the shape of that generation, and do just enough to link and run: the
interpreter lays inputs and outputs into the arena as the test says, and Invoke() calls the test's function; interpreters
with one MicroAllocator do so over each other, and each keeps 64 bytes at the arena's end. They are no TensorFlow Lite
Micro: no kernel, no planner. methods.txt says which Add… method came with which generation, as counted
in the headers of real libraries of that year.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent
GENERATIONS = ("2022", "2023", "2024", "2026")
CPP_LEVELS = {"2022": 11, "2023": 11, "2024": 11, "2026": 17}
FRONT_HEADERS = {"2022": "TensorFlowLite_ESP32.h", "2023": "TensorFlowLite.h"}


def methods(generation: str) -> list[str]:
    """Names of the Add… methods that this generation has."""
    lines = [line.split() for line in (HERE / "methods.txt").read_text(encoding="ascii").splitlines()]
    return [name for first, name in lines if first <= generation]


def write_standin(folder: Path, generation: str) -> Path:
    """Write the stand-in as a PlatformIO library into *folder*; returns its include root."""
    for name, text in files(generation).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "src"


def headers(generation: str) -> dict[str, bytes]:
    """The stand-in's files below its include root."""
    below = {name.removeprefix("src/"): text for name, text in files(generation).items() if name.startswith("src/")}
    return {name: text.encode() for name, text in below.items()}


def files(generation: str) -> dict[str, str]:
    """All files of the stand-in by their paths in the library."""
    registration = "TfLiteRegistration" if generation <= "2023" else "TFLMRegistration"
    reporter = generation == "2022"
    values = {
        "@REGISTRATION@": registration,
        "@REPORTER@": ", ErrorReporter* error_reporter" if reporter else "",
        "@REPORTER_INCLUDE@": '#include "tensorflow/lite/micro/micro_error_reporter.h"\n' if reporter else "",
        "@CHECK_REPORTER@": "if (error_reporter == nullptr) ready_ = false;" if reporter else "",
        "@FIRST_REPORTER@": "ErrorReporter* error_reporter, " if reporter else "",
        "@CHECK_FIRST_REPORTER@": "if (error_reporter == nullptr) tail_ = buffer;" if reporter else "",
        "@ARENA_ALLOCATOR@": "SimpleMemoryAllocator" if reporter else "SingleArenaBufferAllocator",
        "@ARENA_ALLOCATOR_HEADER@": _arena_allocator_header(generation),
        "@METHODS@": "".join(_method(name, registration, generation) for name in methods(generation)),
        "@CONST@": "const " if generation >= "2024" else "",
    }
    found = {"library.json": f'{{"name": "tflm-standin-{generation}", "version": "1.0.0"}}\n'}
    for path in sorted((HERE / "templates").rglob("*.h")):
        text = path.read_text(encoding="ascii")
        for key, value in values.items():
            text = text.replace(key, value)
        found[f"src/{path.relative_to(HERE / 'templates').as_posix()}"] = text
    return found | _only_in(generation, found)


def _arena_allocator_header(generation: str) -> str:
    name = "simple_memory_allocator" if generation == "2022" else "single_arena_buffer_allocator"
    return f"tensorflow/lite/micro/arena_allocator/{name}.h"


def _method(name: str, registration: str, generation: str) -> str:
    argument = f"const {registration}& registration = {registration}()" if generation >= "2024" else ""
    body = "static_cast<void>(registration); " if argument else ""
    return f'  TfLiteStatus {name}({argument}) {{ {body}return AddBuiltin("{name}"); }}\n'


def _only_in(generation: str, found: dict[str, str]) -> dict[str, str]:
    lite = "src/tensorflow/lite"
    more = {f"{lite}/micro/kernels/conv.cpp": "// stand-in: no kernel\n"}
    allocator = found.pop(f"src/{_arena_allocator_header('2026')}")
    more[f"src/{_arena_allocator_header(generation)}"] = allocator
    if generation in FRONT_HEADERS:
        more[f"src/{FRONT_HEADERS[generation]}"] = "// stand-in of a front header\n"
    if generation != "2022":
        found.pop(f"{lite}/micro/micro_error_reporter.h")
    if generation < "2024":
        found.pop(f"{lite}/micro/kernels/fully_connected.h")
    if generation == "2026":
        more[f"{lite}/kernels/internal/common.h"] = (
            '#include <type_traits>\nstatic_assert(std::is_integral_v<int>, "C++17");\n'
        )
    return more
