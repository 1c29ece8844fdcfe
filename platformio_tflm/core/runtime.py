"""The headers of a TensorFlow Lite Micro library -> Runtime: what its C++ interface looks like.

Libraries carry snapshots of TensorFlow Lite Micro from 2022 to 2026 under other names and numbers, so nothing is
concluded from a name or a version: the headers that will be compiled are read. Only a handful is looked at, and the
1 MB ``schema_generated.h`` is not among them, because this runs in every build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from platformio_tflm.errors import LibraryError

HeaderReader = Callable[[str], "bytes | None"]

RESOLVER_HEADER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"
INTERPRETER_HEADER = "tensorflow/lite/micro/micro_interpreter.h"
ALLOCATOR_HEADER = "tensorflow/lite/micro/micro_allocator.h"
RESOURCE_VARIABLE_HEADER = "tensorflow/lite/micro/micro_resource_variable.h"
ERROR_REPORTER_HEADER = "tensorflow/lite/micro/micro_error_reporter.h"
SCHEMA_HEADER = "tensorflow/lite/schema/schema_generated.h"

_PLANNER_HEADER = "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
_ARENA_ALLOCATOR_HEADERS = (
    "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h",
    "tensorflow/lite/micro/arena_allocator/simple_memory_allocator.h",
)
_KERNEL_UTIL_HEADER = "tensorflow/lite/kernels/kernel_util.h"
_INTERNAL_COMMON_HEADER = "tensorflow/lite/kernels/internal/common.h"
_HALF_HEADER = "tensorflow/lite/types/half.h"
_C_COMMON_HEADERS = ("tensorflow/lite/core/c/common.h", "tensorflow/lite/c/common.h")
_KERNEL_FOLDER = "tensorflow/lite/micro/kernels"
_FULLY_CONNECTED_HEADER = f"{_KERNEL_FOLDER}/fully_connected.h"

_FRONT_HEADERS = (
    "TensorFlowLite.h",
    "TensorFlowLite_ESP32.h",
    "tflm_esp32.h",
    "tflm_cortexm.h",
    "MicroTFLite.h",
)
_INCLUDE_ROOTS = ("src", "", "include", "lib", "source")
_MAXIMUM_HEADER_BYTES = 4 * 1024 * 1024


class Generation(Enum):
    """Generations of the C++ interface, by what separates them; the year is that of the library it was met in."""

    ERROR_REPORTER = "2022: ErrorReporter, TfLiteRegistration"
    LITE_REGISTRATION = "2023: TfLiteRegistration"
    TFLM_REGISTRATION = "2024: TFLMRegistration"


class StaticMemory(Enum):
    """What the headers say about the macro TF_LITE_STATIC_MEMORY, which changes the layout of TfLiteTensor.

    SAME:      they test it: library and application must be compiled with the same choice.
    BUILT_IN:  the small layout is written into the headers; the macro changes nothing.
    FORBIDDEN: parts of them use what only exists without the macro (pico-tflmicro of 2024): it must not be set.
    """

    SAME = "same"
    BUILT_IN = "built-in"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True)
class ArenaAllocator:
    """The class that MicroAllocator takes its memory from; it can be derived from.

    headers: of the class, and of GreedyMemoryPlanner, which has to be created beside it.
    """

    name: str
    headers: tuple[str, str]
    takes_error_reporter: bool


@dataclass(frozen=True)
class Runtime:
    """What is known of the linked library.

    methods:            every public Add… method of MicroMutableOpResolver except AddCustom.
    registration_type:  TfLiteRegistration or TFLMRegistration.
    front_header:       the one that the Arduino IDE finds the library by, "" if there is none; generated code leaves it
                        out.
    cpp_level:          the lowest C++ standard that its headers compile with: 11, 14 or 17.
    kernels:            kernel sets found beside the headers: reference, cmsis-nn, esp-nn, ethos-u. Which of them is
                        compiled is the library's build's business.
    has_ethos_u:        the Ethos-U kernel is there and not its empty stand-in.
    per_channel_fully_connected: FULLY_CONNECTED takes one scale a channel.
    interpreter_takes_allocator: several interpreters can have one MicroAllocator.
    arena_allocator:    None where it is not of a form that was met.
    """

    library: str
    version: str
    generation: Generation
    methods: frozenset[str]
    registration_type: str
    interpreter_takes_error_reporter: bool
    allocator_takes_error_reporter: bool
    interpreter_takes_resource_variables: bool
    front_header: str = ""
    cpp_level: int = 11
    static_memory: StaticMemory = StaticMemory.SAME
    kernels: tuple[str, ...] = ()
    resolver_header: str = RESOLVER_HEADER
    interpreter_header: str = INTERPRETER_HEADER
    allocator_header: str = ALLOCATOR_HEADER
    resource_variable_header: str = RESOURCE_VARIABLE_HEADER
    error_reporter_header: str = ""
    schema_header: str = SCHEMA_HEADER
    has_ethos_u: bool = False
    per_channel_fully_connected: bool = True
    interpreter_takes_allocator: bool = True
    arena_allocator: ArenaAllocator | None = None

    @property
    def api(self) -> str:
        """One line for the report."""
        return self.generation.value

    @property
    def name(self) -> str:
        """Library and version for messages."""
        return f"{self.library} {self.version}".strip()


def find_tflm_root(exists: Callable[[str], bool]) -> str | None:
    """Include root of a library folder that carries TensorFlow Lite Micro, or None if it does not.

    exists: tells whether a file is there, by its POSIX path from the library's folder; for a known listing its
    ``__contains__``. Returns "" when the include root is the library's folder itself.
    """
    for root in _INCLUDE_ROOTS:
        prefix = f"{root}/" if root else ""
        if exists(prefix + RESOLVER_HEADER) and exists(prefix + INTERPRETER_HEADER):
            return root
    return None


def read_runtime(headers: Mapping[str, bytes] | HeaderReader, library_name: str, library_version: str) -> Runtime:
    """Read a library's headers.

    headers: the files below the include root by POSIX path, or a callable path -> bytes, None where there is no file.
    Raises LibraryError when the files that every generation has are missing or cannot be understood.
    """
    reader = _Reader(headers.get if isinstance(headers, Mapping) else headers, f"{library_name} {library_version}")
    resolver = reader.required(RESOLVER_HEADER)
    interpreter = _constructors(reader.required(INTERPRETER_HEADER), reader.library)
    allocator = reader.required(ALLOCATOR_HEADER)
    registration_type = _registration_type(resolver, reader.library)
    takes_reporter = "ErrorReporter" in interpreter
    return Runtime(
        library=library_name,
        version=library_version,
        generation=_generation(takes_reporter, registration_type),
        methods=_methods(resolver, reader.library),
        registration_type=registration_type,
        interpreter_takes_error_reporter=takes_reporter,
        allocator_takes_error_reporter=_allocator_takes_error_reporter(allocator),
        interpreter_takes_resource_variables="MicroResourceVariables" in interpreter,
        front_header=next((name for name in _FRONT_HEADERS if reader.optional(name)), ""),
        cpp_level=_cpp_level(reader),
        static_memory=_static_memory(reader),
        kernels=_kernels(reader),
        error_reporter_header=_error_reporter_header(reader) if takes_reporter else "",
        has_ethos_u=reader.any_source("ethos_u/ethosu") and not reader.any_source("ethosu"),
        per_channel_fully_connected="is_per_channel" in reader.optional(_FULLY_CONNECTED_HEADER),
        interpreter_takes_allocator="MicroAllocator" in interpreter,
        arena_allocator=_arena_allocator(reader),
    )


class _Reader:
    """Files as text without comments, so that no pattern below matches prose."""

    def __init__(self, read: HeaderReader, library: str) -> None:
        self._read = read
        self.library = library.strip()

    def bytes(self, path: str) -> bytes | None:
        data = self._read(path)
        if data is not None and len(data) > _MAXIMUM_HEADER_BYTES:
            raise LibraryError(
                f"the header has {len(data):,} bytes; at most {_MAXIMUM_HEADER_BYTES:,} are read",
                where=f"{self.library}, {path}",
            )
        return data

    def optional(self, path: str) -> str:
        data = self.bytes(path)
        return _strip_comments(data.decode("utf-8", errors="replace")) or " " if data is not None else ""

    def required(self, path: str) -> str:
        text = self.optional(path)
        if not text:
            raise LibraryError(
                f"no {path}",
                where=self.library,
                hint="Looked for the headers that every TensorFlow Lite Micro since 2022 has: "
                f"{RESOLVER_HEADER}, {INTERPRETER_HEADER}, {ALLOCATOR_HEADER}.",
            )
        return text

    def any_source(self, stem: str) -> bool:
        return any(self._read(f"{_KERNEL_FOLDER}/{stem}.{suffix}") is not None for suffix in ("cc", "cpp"))


_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def _strip_comments(text: str) -> str:
    return _COMMENT.sub(" ", text)


def _methods(resolver: str, library: str) -> frozenset[str]:
    public = resolver.split("private:", 1)[0]
    names = set(re.findall(r"\bTfLiteStatus\s+(Add\w+)\s*\(", public)) - {"AddCustom", "AddBuiltin"}
    if not names:
        raise LibraryError(
            "MicroMutableOpResolver has no Add… method that could be found",
            where=f"{library}, {RESOLVER_HEADER}",
            hint="Looked for declarations of the form: TfLiteStatus AddConv2D(",
        )
    return frozenset(names)


def _registration_type(resolver: str, library: str) -> str:
    match = re.search(r"\bAddCustom\s*\(\s*const\s+char\s*\*\s*\w*\s*,\s*(?:const\s+)?(\w+)\s*\*", resolver)
    if match is None or match.group(1) not in {"TfLiteRegistration", "TFLMRegistration"}:
        found = f"takes a {match.group(1)}" if match else "was not found"
        raise LibraryError(
            f"AddCustom {found}",
            where=f"{library}, {RESOLVER_HEADER}",
            hint="Looked for: AddCustom(const char*, TfLiteRegistration*) or the same with TFLMRegistration*.",
        )
    return match.group(1)


def _constructors(interpreter: str, library: str) -> str:
    """The parameter lists of the constructors of MicroInterpreter, joined."""
    lists: list[str] = re.findall(r"(?<![~\w])MicroInterpreter\s*\(([^)]*)\)", interpreter)
    lists = [parameters for parameters in lists if "Model" in parameters]
    if not lists:
        raise LibraryError(
            "no constructor of MicroInterpreter that takes a model was found",
            where=f"{library}, {INTERPRETER_HEADER}",
            hint="Looked for: MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t*, size_t, …).",
        )
    return " ".join(lists)


def _allocator_takes_error_reporter(allocator: str) -> bool:
    return any("ErrorReporter" in parameters for parameters in re.findall(r"\bCreate\s*\(([^)]*)\)", allocator))


def _arena_allocator(reader: _Reader) -> ArenaAllocator | None:
    """SimpleMemoryAllocator in 2022, SingleArenaBufferAllocator since; both virtual, with head() and tail()."""
    found = next(((path, text) for path in _ARENA_ALLOCATOR_HEADERS if (text := reader.optional(path))), None)
    if found is None or not reader.optional(_PLANNER_HEADER):
        return None
    path, text = found
    match = re.search(r"\bclass\s+(\w+)[^;{]*\{(.*?)\n\};", text, re.DOTALL)
    if match is None or not all(f" {method}(" in match[2] for method in ("AllocateTemp", "ResizeBuffer", "tail")):
        return None
    constructor = re.search(rf"(?<![~\w]){match[1]}\s*\(([^)]*\bsize_t\b[^)]*)\)", match[2])
    if constructor is None:
        return None
    return ArenaAllocator(match[1], (path, _PLANNER_HEADER), "ErrorReporter" in constructor[1])


def _error_reporter_header(reader: _Reader) -> str:
    if "GetMicroErrorReporter" not in reader.optional(ERROR_REPORTER_HEADER):
        raise LibraryError(
            "its interpreter wants an ErrorReporter, and GetMicroErrorReporter() was not found",
            where=f"{reader.library}, {ERROR_REPORTER_HEADER}",
            hint="The library is from before 2022. Use a newer one.",
        )
    return ERROR_REPORTER_HEADER


def _generation(takes_error_reporter: bool, registration_type: str) -> Generation:
    if takes_error_reporter:
        return Generation.ERROR_REPORTER
    if registration_type == "TfLiteRegistration":
        return Generation.LITE_REGISTRATION
    return Generation.TFLM_REGISTRATION


def _cpp_level(reader: _Reader) -> int:
    """By the two headers that raised it: is_integral_v needs C++17, the constexpr bodies of half.h C++14."""
    if re.search(r"\bstd::is_\w+_v\b", reader.optional(_INTERNAL_COMMON_HEADER)):
        return 17
    return 14 if "constexpr" in reader.optional(_HALF_HEADER) else 11


def _static_memory(reader: _Reader) -> StaticMemory:
    common = next((text for text in map(reader.optional, _C_COMMON_HEADERS) if "TfLiteTensor" in text), "")
    if "TF_LITE_STATIC_MEMORY" not in common:
        return StaticMemory.BUILT_IN
    utilities = reader.optional(_KERNEL_UTIL_HEADER)
    if "TfLiteTensorDataFree" in utilities and "TF_LITE_STATIC_MEMORY" not in utilities:
        return StaticMemory.FORBIDDEN
    return StaticMemory.SAME


def _kernels(reader: _Reader) -> tuple[str, ...]:
    sets = (
        ("reference", "conv"),
        ("cmsis-nn", "cmsis_nn/conv"),
        ("esp-nn", "esp_nn/conv"),
        ("ethos-u", "ethos_u/ethosu"),
    )
    return tuple(name for name, stem in sets if reader.any_source(stem))
