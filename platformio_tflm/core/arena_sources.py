"""The sources of a TFLM library -> which rules of the planner hold for it.

What a kernel asks of the arena changes from one snapshot of TFLM to the next, while names and versions of libraries
tell little of the snapshot. So the text that asks is looked at: of each operator's files, the functions that allocate
and the structs, without comments and white space. A digest of it is looked up in ``arena_sources.json``. There stand
the texts whose needs were measured, and which generation of the planner's rules gave the same to the byte
(``tools/record_arena_sources.py``). A text that is not there is planned by the rules of all generations, and is not
called exact.

The files' layout is TFLM's own, with ``.cc`` (upstream) or ``.cpp`` (Arduino libraries).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from platformio_tflm.core.op_table import kernel_file

SourceReader = Callable[[str], "bytes | None"]

REFERENCE = "reference"
CMSIS_NN = "cmsis-nn"
ESP_NN = "esp-nn"

BOUND = "-bound"

# The generations of the planner's rules, newest first: a text that several hold for is planned by the first.
GENERATIONS = ("2026", "2023", "2022")

_PACKED = Path(__file__).resolve().parent.parent / "arena_sources.json"
_MAXIMUM_SOURCE_BYTES = 4 * 1024 * 1024
_DIGEST_DIGITS = 12
_SUFFIXES = ("cc", "cpp")
_MICRO = "tensorflow/lite/micro"
_KERNELS = f"{_MICRO}/kernels"
_SIGNAL_KERNELS = "signal/micro/kernels"
_FOLDERS = {CMSIS_NN: "cmsis_nn/", ESP_NN: "esp_nn/"}
_CMSIS_NN_ROOTS = ("third_party/cmsis_nn/", "cmsis_nn/", "CMSIS/NN/", "")
_CMSIS_NN_MARK = "Include/arm_nnfunctions.h"

_SIGNAL_PREFIX = "Signal"
_MORE_STEMS = {"UNIDIRECTIONAL_SEQUENCE_LSTM": ("lstm_shared", "lstm_eval")}

# The struct of the parsed options, in builtin_op_data.h; operators without one have none.
_OPTIONS = {
    "ADD": "Add",
    "ARG_MAX": "ArgMax",
    "ARG_MIN": "ArgMin",
    "AVERAGE_POOL_2D": "Pool",
    "BATCH_MATMUL": "BatchMatMul",
    "CALL_ONCE": "CallOnce",
    "CAST": "Cast",
    "CONCATENATION": "Concatenation",
    "CONV_2D": "Conv",
    "CUMSUM": "Cumsum",
    "DEPTHWISE_CONV_2D": "DepthwiseConv",
    "DEPTH_TO_SPACE": "DepthToSpace",
    "DIV": "Div",
    "FULLY_CONNECTED": "FullyConnected",
    "GATHER": "Gather",
    "IF": "If",
    "L2_NORMALIZATION": "L2Norm",
    "L2_POOL_2D": "Pool",
    "LEAKY_RELU": "LeakyRelu",
    "MAX_POOL_2D": "Pool",
    "MEAN": "Reducer",
    "MIRROR_PAD": "MirrorPadding",
    "MUL": "Mul",
    "PACK": "Pack",
    "REDUCE_ALL": "Reducer",
    "REDUCE_MAX": "Reducer",
    "REDUCE_MIN": "Reducer",
    "RESHAPE": "Reshape",
    "RESIZE_BILINEAR": "ResizeBilinear",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor",
    "SHAPE": "Shape",
    "SOFTMAX": "Softmax",
    "SPACE_TO_DEPTH": "SpaceToDepth",
    "SPLIT": "Split",
    "SPLIT_V": "SplitV",
    "SQUEEZE": "Squeeze",
    "STRIDED_SLICE": "StridedSlice",
    "SUB": "Sub",
    "SUM": "Reducer",
    "SVDF": "SVDF",
    "TRANSPOSE_CONV": "TransposeConv",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
    "UNPACK": "Unpack",
    "VAR_HANDLE": "VarHandle",
    "WHILE": "While",
}
_OPTION_HEADERS = (
    "tensorflow/compiler/mlir/lite/core/c/builtin_op_data.h",
    "tensorflow/lite/core/c/builtin_op_data.h",
    "tensorflow/lite/c/builtin_op_data.h",
)

# Where CMSIS-NN says how large a buffer its functions want: below Source/, of the years before and after the move to
# files of their own. "*" stands for the type, and for nothing.
_BUFFER_SIZES = {
    "AVERAGE_POOL_2D": ("PoolingFunctions", ("arm_avgpool_get_buffer_sizes_*", "arm_avgpool_*")),
    "CONV_2D": (
        "ConvolutionFunctions",
        (
            "arm_convolve_get_buffer_sizes_*",
            "arm_convolve_wrapper_*",
            "arm_convolve_*",
            "arm_convolve_1x1_*_fast",
            "arm_convolve_1_x_n_*",
            "arm_convolve_fast_*",
        ),
    ),
    "DEPTHWISE_CONV_2D": (
        "ConvolutionFunctions",
        (
            "arm_depthwise_conv_get_buffer_sizes_*",
            "arm_depthwise_conv_wrapper_*",
            "arm_depthwise_conv_*_opt",
            "arm_depthwise_conv_fast_*",
        ),
    ),
    "FULLY_CONNECTED": (
        "FullyConnectedFunctions",
        ("arm_fully_connected_get_buffer_sizes_*", "arm_fully_connected_*"),
    ),
    "SVDF": ("SVDFunctions", ("arm_svdf_get_buffer_sizes_*",)),
    "TRANSPOSE_CONV": ("ConvolutionFunctions", ("arm_transpose_conv_get_buffer_sizes_*",)),
}
_BUFFER_TYPES = ("s4", "s8", "s16")
_BUFFER_SIZE = ("_get_buffer_size", "buffer_size_mve(", "buffer_size_dsp(")

# What allocates, and the structs whose sizes are asked for.
_ASKING = (
    "AllocatePersistentBuffer",
    "RequestScratchBuffer",
    "AllocateTemp",
    "AllocateSingle",
    "ResizeBuffer",
    "GetAvailableMemory",
    "\nstruct ",
    "\ntypedef struct",
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_NO_CODE = re.compile(r"^[ \t]*#[ \t]*(?:include|ifndef \w+_H_|define \w+_H_|endif)[^\n]*", re.MULTILINE)

# The interpreter's own share: files below tensorflow/lite/micro, of which what asks is looked at, or the whole file.
_CORE_ASKING = (
    "micro_allocator",
    "micro_allocation_info",
    "micro_interpreter",
    "micro_interpreter_context",
    "micro_context",
    "kernels/kernel_util",
    "arena_allocator/single_arena_buffer_allocator",
    "arena_allocator/simple_memory_allocator",
)
_CORE_WHOLE = (
    "memory_planner/greedy_memory_planner",
    "micro_resource_variable",
)
_CORE_CLASSES = (
    "micro_allocator.h",
    "memory_planner/greedy_memory_planner.h",
    "arena_allocator/single_arena_buffer_allocator.h",
    "arena_allocator/simple_memory_allocator.h",
    "micro_resource_variable.h",
    "micro_allocation_info.h",
)
_STRUCT_HEADERS = (
    "tensorflow/lite/core/c/common.h",
    "tensorflow/lite/c/common.h",
    "tensorflow/compiler/mlir/lite/core/c/tflite_types.h",
    "tensorflow/lite/core/c/c_api_types.h",
)
_STRUCTS = ("TfLiteTensor", "TfLiteEvalTensor", "TfLiteNode", "TfLiteAffineQuantization", "TfLiteQuantization")
_INTERPRETER = "interpreter"


class Knowledge(NamedTuple):
    """The texts that were measured.

    interpreter: digests by file. operators: by operator and digest, the generation whose rules hold; with BOUND behind
    it where they ask for more than the kernel does now and then, and never for less.
    """

    interpreter: dict[str, list[str]]
    operators: dict[str, dict[str, str]]


class OperatorSource(NamedTuple):
    """What a library has of an operator's kernel.

    kernels: REFERENCE where the library has no optimized kernel of it. digest: "" if it has none at all.
    generation: "" where the text is not one that was measured. bounded: that generation's rules may ask for too much.
    """

    operator: str
    kernels: str
    digest: str
    generation: str
    bounded: bool = False


def knowledge() -> Knowledge:
    """What ``arena_sources.json`` holds."""
    import json  # noqa: PLC0415 - only builds with a library ask

    packed = json.loads(_PACKED.read_text(encoding="ascii"))
    operators = {
        name: {digest: generation for generation, digests in entry.items() for digest in digests}
        for name, entry in packed["operators"].items()
    }
    return Knowledge(packed[_INTERPRETER], operators)


def operator_sources(
    read: SourceReader, operators: Iterable[str], kernels: str, known: Knowledge
) -> tuple[OperatorSource, ...]:
    """What *operators* ask for in the library that *read* reads, with *kernels*: REFERENCE, CMSIS_NN or ESP_NN.

    read: a source's bytes by its path below the library's include root; None where there is no such file.
    """
    library = _Library(read)
    return tuple(_source(library, operator, kernels, known) for operator in operators)


def _source(library: _Library, operator: str, kernels: str, known: Knowledge) -> OperatorSource:
    own = kernels if library.implementation(operator, kernels) else REFERENCE
    text = library.asking(operator, own)
    digest = _digest(text) if text else ""
    found = known.operators.get(operator, {}).get(digest, "")
    return OperatorSource(operator, own, digest, found.removesuffix(BOUND), found.endswith(BOUND))


def interpreter_digests(read: SourceReader) -> dict[str, str]:
    """A digest for each file that TFLM's interpreter and allocator are made of, as far as the library has it."""
    return {name: _digest(text) for name, text in _Library(read).interpreter() if text}


def unknown_interpreter_files(read: SourceReader, known: Knowledge) -> tuple[str, ...]:
    """Files of the interpreter and allocator that are not as they were in any library that was measured."""
    digests = interpreter_digests(read)
    if f"{_MICRO}/micro_allocator" not in digests:
        return (f"{_MICRO}/micro_allocator.cc",)
    return tuple(name for name, digest in digests.items() if digest not in known.interpreter.get(name, ()))


def has_kernel(read: SourceReader, operator: str, kernels: str) -> bool:
    """Whether the library has a file of *kernels* for the operator."""
    return any(
        _Library(read).bytes(path) is not None for path in _paths(_folder(operator, kernels), kernel_file(operator))
    )


def asking_text(source: str) -> str:
    """Of a C++ source, the functions that allocate and the structs, without comments and white space.

    A function ends where a brace stands in the first column, as everywhere in TFLM.
    """
    parts = [part for part in source.replace("\r", "").split("\n}") if any(word in part for word in _ASKING)]
    return "}".join(_plain(part) for part in parts)


def _plain(source: str) -> str:
    return "".join(_NO_CODE.sub("", _COMMENT.sub("", source)).split())


def _struct(header: str, name: str) -> str:
    """Every definition of a C struct: there may be one for each choice of a macro."""
    parts = []
    end = header.find(f"}} {name};")
    while end >= 0:
        parts.append(_plain(header[max(header.rfind("typedef struct", 0, end), 0) : end]))
        end = header.find(f"}} {name};", end + 1)
    return "}".join(parts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def _folder(operator: str, kernels: str) -> str:
    if operator.startswith(_SIGNAL_PREFIX):
        return f"{_SIGNAL_KERNELS}/"
    return f"{_KERNELS}/{_FOLDERS.get(kernels, '')}"


def _paths(folder: str, stem: str) -> list[str]:
    # Of one signal operator, the file is called otherwise.
    endings = ("", "_kernel") if folder.startswith(_SIGNAL_KERNELS) else ("",)
    return [f"{folder}{stem}{ending}.{suffix}" for ending in endings for suffix in _SUFFIXES]


class _Library:
    """The files of a library as text."""

    def __init__(self, read: SourceReader) -> None:
        self._read = read

    def bytes(self, path: str) -> bytes | None:
        data = self._read(path)
        return data if data is None or len(data) <= _MAXIMUM_SOURCE_BYTES else None

    def text(self, *paths: str) -> str:
        """Of the first of *paths* that is there; "" if none is."""
        for path in paths:
            data = self.bytes(path)
            if data is not None:
                return data.decode("utf-8", errors="replace")
        return ""

    def implementation(self, operator: str, kernels: str) -> str:
        """The kernel's main file; "" if there is none."""
        return self.text(*_paths(_folder(operator, kernels), kernel_file(operator)))

    def asking(self, operator: str, kernels: str) -> str:
        """All that shapes what the operator asks for; "" if the library has no such kernel."""
        folder, stem = _folder(operator, REFERENCE), kernel_file(operator)
        implementation = self.implementation(operator, kernels)
        if not implementation:
            return ""
        stems = (f"{stem}_common", *_MORE_STEMS.get(operator, ()))
        texts = [self.text(f"{folder}{stem}.h"), implementation, *(self.text(*_paths(folder, each)) for each in stems)]
        texts += [self.text(f"{folder}{each}.h") for each in stems[1:]]
        parts = [self._options(operator), *map(asking_text, texts)]
        if kernels == CMSIS_NN and operator in _BUFFER_SIZES:
            parts.append(self._buffer_sizes(operator))
        return "\n".join(parts)

    def _options(self, operator: str) -> str:
        name = _OPTIONS.get(operator)
        if name is None:
            return ""
        found = (_struct(self.text(path), f"TfLite{name}Params") for path in _OPTION_HEADERS)
        return next(filter(None, found), "")

    def _buffer_sizes(self, operator: str) -> str:
        """CMSIS-NN's functions that say how large a buffer is to be; "" if its sources are not with the library."""
        root = next((root for root in _CMSIS_NN_ROOTS if self.bytes(root + _CMSIS_NN_MARK) is not None), None)
        if root is None:
            return ""
        folder, patterns = _BUFFER_SIZES[operator]
        names = dict.fromkeys(pattern.replace("*", each) for pattern in patterns for each in _BUFFER_TYPES)
        sources = [self.text(f"{root}Source/{folder}/{name}.c") for name in names]
        parts = [part for source in sources for part in source.replace("\r", "").split("\n}")]
        return "}".join(_plain(part) for part in parts if any(word in part for word in _BUFFER_SIZE))

    def interpreter(self) -> Iterable[tuple[str, str]]:
        for stem in _CORE_ASKING:
            yield f"{_MICRO}/{stem}", asking_text(self.text(*_paths(f"{_MICRO}/", stem)))
        for stem in _CORE_WHOLE:
            yield f"{_MICRO}/{stem}", _plain(self.text(*_paths(f"{_MICRO}/", stem)))
        for name in _CORE_CLASSES:
            yield f"{_MICRO}/{name}", _plain(self.text(f"{_MICRO}/{name}"))
        headers = [self.text(path) for path in _STRUCT_HEADERS]
        for name in _STRUCTS:
            yield name, next(filter(None, (_struct(header, name) for header in headers)), "")
