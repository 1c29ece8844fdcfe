"""What of a TFLM library's sources shapes the arena, as text whose digest can be compared.

What a kernel asks of the arena changes from one snapshot of TFLM to the next, while names and versions of libraries
tell little of the snapshot. So the text that asks is looked at: of each operator's files, the functions that allocate
and the structs, without comments and white space, and how large the enumerations in them are. ``arena_library.py``
knows which texts were measured.

The files' layout is TFLM's own, with ``.cc`` (upstream) or ``.cpp`` (Arduino libraries).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

from platformio_tflm.core.op_table import kernel_file

SourceReader = Callable[[str], "bytes | None"]

REFERENCE = "reference"
CMSIS_NN = "cmsis-nn"
ESP_NN = "esp-nn"

_MAXIMUM_SOURCE_BYTES = 4 * 1024 * 1024
_DIGEST_DIGITS = 12
_SUFFIXES = ("cc", "cpp")
MICRO = "tensorflow/lite/micro"
_KERNELS = f"{MICRO}/kernels"
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
_SIZED_ENUMERATION = re.compile(r"\benum\s+(TfLite\w+)\s*:\s*(\w+)")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_NO_CODE = re.compile(r"^[ \t]*#[ \t]*(?:include|ifndef \w+_H_|define \w+_H_|endif)[^\n]*", re.MULTILINE)

# The interpreter's own share: files below tensorflow/lite/micro, of which what asks is looked at, or the whole file.
_INTERPRETER_ASKING = (
    "micro_allocator",
    "micro_allocation_info",
    "micro_interpreter",
    "micro_interpreter_context",
    "micro_context",
    "kernels/kernel_util",
    "arena_allocator/single_arena_buffer_allocator",
    "arena_allocator/simple_memory_allocator",
)
_INTERPRETER_WHOLE = (
    "memory_planner/greedy_memory_planner",
    "micro_resource_variable",
)
_INTERPRETER_HEADERS = (
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


def digest(text: str) -> str:
    """Of a text that asks."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def _folder(operator: str, kernels: str) -> str:
    if operator.startswith(_SIGNAL_PREFIX):
        return f"{_SIGNAL_KERNELS}/"
    return f"{_KERNELS}/{_FOLDERS.get(kernels, '')}"


def _paths(folder: str, stem: str) -> list[str]:
    # Of one signal operator, the file is called otherwise.
    endings = ("", "_kernel") if folder.startswith(_SIGNAL_KERNELS) else ("",)
    return [f"{folder}{stem}{ending}.{suffix}" for ending in endings for suffix in _SUFFIXES]


class LibrarySources:
    """The files of a library.

    read: a file's bytes by its path below the library's include root or CMSIS-NN's own folder; None if there is none.
    """

    def __init__(self, read: SourceReader) -> None:
        self._read = read
        self._texts: dict[str, str | None] = {}
        self._sized_enumerations: list[tuple[str, str]] | None = None

    def _text_of(self, path: str) -> str | None:
        if path not in self._texts:
            data = self._read(path)
            fits = data is not None and len(data) <= _MAXIMUM_SOURCE_BYTES
            self._texts[path] = data.decode("utf-8", errors="replace") if data is not None and fits else None
        return self._texts[path]

    def text(self, *paths: str) -> str:
        """Of the first of *paths* that is there; "" if none is."""
        return next((text for text in map(self._text_of, paths) if text is not None), "")

    def has_kernel(self, operator: str, kernels: str) -> bool:
        """Whether there is a file of *kernels* (REFERENCE, CMSIS_NN, ESP_NN) for the operator."""
        return bool(self.implementation(operator, kernels))

    def implementation(self, operator: str, kernels: str) -> str:
        """The kernel's main file; "" if there is none."""
        return self.text(*_paths(_folder(operator, kernels), kernel_file(operator)))

    def asking(self, operator: str, kernels: str) -> str:
        """All that shapes what the operator asks for; "" if the library does not have all of it."""
        folder, stem = _folder(operator, REFERENCE), kernel_file(operator)
        implementation = self.implementation(operator, kernels)
        if not implementation:
            return ""
        stems = (f"{stem}_common", *_MORE_STEMS.get(operator, ()))
        texts = [self.text(f"{folder}{stem}.h"), implementation, *(self.text(*_paths(folder, each)) for each in stems)]
        texts += [self.text(f"{folder}{each}.h") for each in stems[1:]]
        parts = [self._options(operator), *map(asking_text, texts)]
        if kernels == CMSIS_NN and operator in _BUFFER_SIZES:
            root = self._cmsis_nn_root()
            if root is None:
                return ""
            parts.append(self._buffer_sizes(operator, root))
        text = "\n".join(parts)
        return "\n".join([text, *(f"{name}:{kind}" for name, kind in self._enumerations() if name in text)])

    def _enumerations(self) -> list[tuple[str, str]]:
        """C enumerations whose size is written down. For others, ARM's compilers choose the smallest that will do."""
        if self._sized_enumerations is None:
            headers = map(self.text, (*_STRUCT_HEADERS, *_OPTION_HEADERS))
            self._sized_enumerations = sorted({found for text in headers for found in _SIZED_ENUMERATION.findall(text)})
        return self._sized_enumerations

    def _options(self, operator: str) -> str:
        name = _OPTIONS.get(operator)
        if name is None:
            return ""
        found = (_struct(self.text(path), f"TfLite{name}Params") for path in _OPTION_HEADERS)
        return next(filter(None, found), "")

    def _cmsis_nn_root(self) -> str | None:
        return next((root for root in _CMSIS_NN_ROOTS if self._text_of(root + _CMSIS_NN_MARK) is not None), None)

    def _buffer_sizes(self, operator: str, root: str) -> str:
        """CMSIS-NN's functions that say how large a buffer is to be."""
        folder, patterns = _BUFFER_SIZES[operator]
        names = dict.fromkeys(pattern.replace("*", each) for pattern in patterns for each in _BUFFER_TYPES)
        sources = [self.text(f"{root}Source/{folder}/{name}.c") for name in names]
        parts = [part for source in sources for part in source.replace("\r", "").split("\n}")]
        return "}".join(_plain(part) for part in parts if any(word in part for word in _BUFFER_SIZE))

    def interpreter(self) -> Iterator[tuple[str, str]]:
        """Name and text of each file or struct that TFLM's interpreter and allocator are made of; "" if absent."""
        for stem in _INTERPRETER_ASKING:
            yield f"{MICRO}/{stem}", asking_text(self.text(*_paths(f"{MICRO}/", stem)))
        for stem in _INTERPRETER_WHOLE:
            yield f"{MICRO}/{stem}", _plain(self.text(*_paths(f"{MICRO}/", stem)))
        for name in _INTERPRETER_HEADERS:
            yield f"{MICRO}/{name}", _plain(self.text(f"{MICRO}/{name}"))
        headers = [self.text(path) for path in _STRUCT_HEADERS]
        for name in _STRUCTS:
            yield name, next(filter(None, (_struct(header, name) for header in headers)), "")
