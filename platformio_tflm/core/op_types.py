"""What the kernels of TensorFlow Lite Micro take: types, versions, tensors that must be constant.

Sources, read kernel by kernel: upstream at 90b983c (2026-08-20), pico-tflmicro of 2024-12, tflm_esp32 2.0.0 (2024),
Arduino_TensorFlowLite 2.4.0-ALPHA (2023), TensorFlowLite_ESP32 1.0.0 (2022); versions: the registrations of
TensorFlow Lite's own interpreter (LiteRT, tflite/core/kernels/register.cc).
An operator or a type that is not here is not judged: a wrong refusal is worse than an error of AllocateTensors.
"""

from __future__ import annotations

from platformio_tflm.core.model import TensorType
from platformio_tflm.core.runtime import Generation

_LETTERS = {
    "f": TensorType.FLOAT32,
    "b": TensorType.INT8,
    "h": TensorType.INT16,
    "w": TensorType.INT32,
    "l": TensorType.INT64,
    "B": TensorType.UINT8,
    "W": TensorType.UINT32,
    "?": TensorType.BOOL,
}

_TYPES_AND_OPERATORS = (
    ("f", "CEIL COS EXP FLOOR FLOOR_DIV FLOOR_MOD L2_POOL_2D LOG NEG ROUND SIN SQRT SQUARE"),
    ("fb", "ADD_N ARG_MAX ARG_MIN BATCH_TO_SPACE_ND CUMSUM DEPTH_TO_SPACE ELU GATHER GATHER_ND HARD_SWISH"),
    ("fb", "L2_NORMALIZATION LOG_SOFTMAX MIRROR_PAD RESIZE_BILINEAR SPACE_TO_BATCH_ND SPACE_TO_DEPTH SVDF"),
    ("fbh", "ABS AVERAGE_POOL_2D BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED LEAKY_RELU"),
    ("fbh", "LOGISTIC MAX_POOL_2D MEAN PRELU REDUCE_MAX REDUCE_MIN RELU RELU6 RESIZE_NEAREST_NEIGHBOR RSQRT"),
    ("fbh", "SELECT_V2 SOFTMAX SUM TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM"),
    ("fbw", "DIV"),
    ("fbhw", "ADD MUL PAD PADV2 SPLIT SPLIT_V SQUARED_DIFFERENCE SUB UNPACK"),
    ("fbhw?", "SLICE STRIDED_SLICE"),
    ("fbwl", "ZEROS_LIKE"),
    ("fbhwl", "MAXIMUM MINIMUM PACK"),
    ("fbhwl?", "CONCATENATION EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL NOT_EQUAL"),
    ("fbhwW?", "CAST"),
    ("fbhwB", "QUANTIZE"),
    ("bhB", "DEQUANTIZE"),
    ("?", "LOGICAL_AND LOGICAL_NOT LOGICAL_OR REDUCE_ALL"),
)

DATA_TYPES: dict[str, frozenset[TensorType]] = {
    operator: frozenset(_LETTERS[letter] for letter in letters)
    for letters, operators in _TYPES_AND_OPERATORS
    for operator in operators.split()
}
"""Types of the tensor an operator works on (input DATA_INPUT), in the newest kernels."""

DATA_INPUT: dict[str, int] = {"SPLIT": 1, "SELECT_V2": 1, "TRANSPOSE_CONV": 2}
"""Which input that tensor is, where it is not the first."""

_H, _W, _BOOL = TensorType.INT16, TensorType.INT32, TensorType.BOOL

LATER_TYPES: dict[tuple[str, TensorType], Generation] = {
    **{(name, _H): Generation.TFLM_REGISTRATION for name in ("RELU", "RELU6", "EXPAND_DIMS", "MAXIMUM", "MINIMUM")},
    **{(name, _H): Generation.TFLM_REGISTRATION for name in ("PACK", "UNPACK", "PRELU", "TRANSPOSE")},
    **{
        (name, _H): Generation.TFLM_REGISTRATION
        for name in ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL")
    },
    ("SLICE", _BOOL): Generation.TFLM_REGISTRATION,
    ("CAST", _BOOL): Generation.TFLM_REGISTRATION,
    ("SUB", _W): Generation.TFLM_REGISTRATION,
}
"""The first generation with a type, where the library of the generation before was seen without it."""

WEIGHTED: dict[str, tuple[int, int]] = {
    "CONV_2D": (0, 1),
    "DEPTHWISE_CONV_2D": (0, 1),
    "FULLY_CONNECTED": (0, 1),
    "SVDF": (0, 1),
    "TRANSPOSE_CONV": (2, 1),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (0, 1),
}
"""Operators with weights: which input the activations are, and which the weights."""

WEIGHT_TYPES: dict[TensorType, frozenset[TensorType]] = {
    TensorType.FLOAT32: frozenset({TensorType.FLOAT32}),
    TensorType.INT8: frozenset({TensorType.INT8, TensorType.INT4}),
    TensorType.INT16: frozenset({TensorType.INT8}),
}
"""Type of the activations -> types of the weights."""

INT4_WEIGHTS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})

SAME_TYPE_OUTPUT = frozenset(
    name
    for names in (
        "ABS AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED LEAKY_RELU",
        "MAX_POOL_2D PACK PRELU RELU RELU6 RESHAPE SPLIT SPLIT_V STRIDED_SLICE TANH TRANSPOSE UNPACK",
    )
    for name in names.split()
)
"""Operators whose Prepare wants the first output to be of the data input's type."""

CONSTANT_INPUTS: dict[str, tuple[int, ...]] = {
    "BROADCAST_TO": (1,),
    "EXPAND_DIMS": (1,),
    "FILL": (0,),
    "PAD": (1,),
    "PADV2": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SPLIT": (0,),
    "SPLIT_V": (2,),
    "STRIDED_SLICE": (1, 2, 3),
    "TRANSPOSE": (1,),
}
"""Inputs that must be constants, because shapes are fixed before the first inference."""

HIGHEST_VERSIONS: dict[str, int] = {
    name: version
    for version, names in (
        (2, "DEPTH_TO_SPACE DIV EXP FLOOR_MOD L2_NORMALIZATION LEAKY_RELU LOG LOG_SOFTMAX SELECT_V2"),
        (2, "GREATER LESS_EQUAL SPACE_TO_DEPTH SPLIT_V SQRT SQUARED_DIFFERENCE SQUEEZE SUM"),
        (3, "ARG_MAX ARG_MIN AVERAGE_POOL_2D BROADCAST_TO FLOOR_DIV GREATER_EQUAL LESS LOGISTIC MAX_POOL_2D MEAN"),
        (3, "MIRROR_PAD REDUCE_MAX REDUCE_MIN RELU RELU6 REVERSE_V2 RSQRT SOFTMAX TANH"),
        (4, "BATCH_MATMUL BATCH_TO_SPACE_ND FILL MAXIMUM MINIMUM NOT_EQUAL PACK RESIZE_BILINEAR SPLIT SVDF UNPACK"),
        (4, "RESIZE_NEAREST_NEIGHBOR SPACE_TO_BATCH_ND UNIDIRECTIONAL_SEQUENCE_LSTM"),
        (5, "ABS ADD CONCATENATION EMBEDDING_LOOKUP EQUAL GATHER_ND PAD PADV2 QUANTIZE SUB TRANSPOSE_CONV"),
        (7, "DEPTHWISE_CONV_2D GATHER MUL SLICE TRANSPOSE"),
        (8, "CAST CONV_2D DEQUANTIZE STRIDED_SLICE"),
        (14, "FULLY_CONNECTED"),
    )
    for name in names.split()
}
"""Highest version of an operator that TensorFlow Lite itself registers.

TensorFlow Lite Micro does not look at versions: it would run a newer one as if it were an older one.
"""
