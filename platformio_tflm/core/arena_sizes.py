"""Sizes of what TFLM's kernels allocate, operator by operator: a table for ``arena_kernels.py``.

Each is what the library itself asked for when its parser and its Init() were called: TFLM 90b983c and CMSIS-NN 99f736a
built for Cortex-M4 with short enumerations (ARM's), with 32-bit ones (as on RISC-V and Xtensa), and for x86-64.
"""

from __future__ import annotations

from typing import NamedTuple

# By arena_abi.Layout: EABI, ILP32, LP64.
ByLayout = tuple[int, int, int]


class KernelSizes(NamedTuple):
    """sizeof() of the parsed options and of the data of Init(); the latter for CMSIS-NN where it differs.

    bytes_on_eabi: with short enumerations, the options are bytes only although their size is a multiple of 4.
    more_with_compression: what USE_TFLM_COMPRESSION adds to the data on LP64. more_with_esp_nn: what ESP-NN's adds.
    """

    options: ByLayout | tuple[()] = ()
    data: ByLayout | tuple[()] = ()
    data_cmsis_nn: ByLayout | tuple[()] = ()
    bytes_on_eabi: bool = False
    more_with_compression: int = 0
    more_with_esp_nn: int = 0


KERNEL_SIZES: dict[str, KernelSizes] = {
    "ABS": KernelSizes(data=(28, 28, 28)),
    "ADD": KernelSizes(options=(2, 8, 8), data=(60, 60, 60)),
    "ADD_N": KernelSizes(),
    "ARG_MAX": KernelSizes(options=(1, 4, 4)),
    "ARG_MIN": KernelSizes(options=(1, 4, 4)),
    "ASSIGN_VARIABLE": KernelSizes(more_with_compression=4),
    "AVERAGE_POOL_2D": KernelSizes(options=(40, 40, 40), data=(32, 32, 32), data_cmsis_nn=(36, 36, 0)),
    "BATCH_MATMUL": KernelSizes(options=(3, 3, 3), data=(16, 16, 32), data_cmsis_nn=(36, 36, 0)),
    "BATCH_TO_SPACE_ND": KernelSizes(),
    "BROADCAST_ARGS": KernelSizes(),
    "BROADCAST_TO": KernelSizes(),
    "CALL_ONCE": KernelSizes(options=(4, 4, 4), data=(8, 8, 8)),
    "CAST": KernelSizes(options=(2, 8, 8)),
    "CEIL": KernelSizes(),
    "CONCATENATION": KernelSizes(options=(8, 8, 8), data=(24, 24, 40), more_with_compression=40),
    "CONV_2D": KernelSizes(
        options=(28, 28, 28), data=(56, 56, 72), data_cmsis_nn=(60, 60, 0), more_with_compression=8, more_with_esp_nn=4
    ),
    "COS": KernelSizes(),
    "CUMSUM": KernelSizes(options=(2, 2, 2)),
    "DEPTHWISE_CONV_2D": KernelSizes(
        options=(28, 28, 28), data=(56, 56, 72), data_cmsis_nn=(60, 60, 0), more_with_compression=8, more_with_esp_nn=4
    ),
    "DEPTH_TO_SPACE": KernelSizes(options=(4, 4, 4)),
    "DEQUANTIZE": KernelSizes(data=(32, 32, 32)),
    "DIV": KernelSizes(options=(1, 4, 4), data=(28, 28, 28)),
    "DYNAMIC_UPDATE_SLICE": KernelSizes(),
    "ELU": KernelSizes(data=(256, 256, 256)),
    "EMBEDDING_LOOKUP": KernelSizes(),
    "EQUAL": KernelSizes(data=(32, 32, 32)),
    "EXP": KernelSizes(),
    "EXPAND_DIMS": KernelSizes(),
    "FILL": KernelSizes(),
    "FLOOR": KernelSizes(),
    "FLOOR_DIV": KernelSizes(),
    "FLOOR_MOD": KernelSizes(),
    "FULLY_CONNECTED": KernelSizes(
        options=(5, 16, 16), data=(48, 48, 64), data_cmsis_nn=(72, 72, 0), more_with_compression=8
    ),
    "GATHER": KernelSizes(options=(8, 8, 8)),
    "GATHER_ND": KernelSizes(),
    "GREATER": KernelSizes(data=(32, 32, 32)),
    "GREATER_EQUAL": KernelSizes(data=(32, 32, 32)),
    "HARD_SWISH": KernelSizes(data=(20, 20, 20)),
    "IF": KernelSizes(options=(8, 8, 8), data=(8, 8, 8)),
    "L2_NORMALIZATION": KernelSizes(options=(1, 4, 4), data=(4, 4, 4)),
    "L2_POOL_2D": KernelSizes(options=(40, 40, 40)),
    "LEAKY_RELU": KernelSizes(options=(4, 4, 4), data=(24, 24, 24)),
    "LESS": KernelSizes(data=(32, 32, 32)),
    "LESS_EQUAL": KernelSizes(data=(32, 32, 32)),
    "LOG": KernelSizes(),
    "LOGICAL_AND": KernelSizes(),
    "LOGICAL_NOT": KernelSizes(),
    "LOGICAL_OR": KernelSizes(),
    "LOGISTIC": KernelSizes(data=(16, 16, 16)),
    "LOG_SOFTMAX": KernelSizes(),
    "MAXIMUM": KernelSizes(),
    "MAX_POOL_2D": KernelSizes(options=(40, 40, 40), data=(32, 32, 32), data_cmsis_nn=(36, 36, 0)),
    "MEAN": KernelSizes(options=(1, 1, 1), data=(44, 44, 44)),
    "MINIMUM": KernelSizes(),
    "MIRROR_PAD": KernelSizes(options=(1, 4, 4), data=(20, 20, 20)),
    "MUL": KernelSizes(options=(1, 4, 4), data=(36, 36, 36)),
    "NEG": KernelSizes(),
    "NOT_EQUAL": KernelSizes(data=(32, 32, 32)),
    "PACK": KernelSizes(options=(8, 8, 8)),
    "PAD": KernelSizes(data=(56, 56, 56)),
    "PADV2": KernelSizes(data=(56, 56, 56)),
    "PRELU": KernelSizes(data=(28, 28, 28)),
    "QUANTIZE": KernelSizes(data=(32, 32, 32)),
    "READ_VARIABLE": KernelSizes(),
    "REDUCE_ALL": KernelSizes(options=(1, 1, 1), data=(44, 44, 44)),
    "REDUCE_MAX": KernelSizes(options=(1, 1, 1), data=(44, 44, 44)),
    "REDUCE_MIN": KernelSizes(options=(1, 1, 1), data=(44, 44, 44)),
    "RELU": KernelSizes(data=(28, 28, 28)),
    "RELU6": KernelSizes(data=(8, 8, 8)),
    "RESHAPE": KernelSizes(options=(36, 36, 36)),
    "RESIZE_BILINEAR": KernelSizes(options=(2, 2, 2)),
    "RESIZE_NEAREST_NEIGHBOR": KernelSizes(options=(2, 2, 2)),
    "REVERSE_V2": KernelSizes(),
    "ROUND": KernelSizes(),
    "RSQRT": KernelSizes(data=(28, 28, 28)),
    "SELECT_V2": KernelSizes(data=(1, 1, 1)),
    "SHAPE": KernelSizes(options=(1, 4, 4)),
    "SIN": KernelSizes(),
    "SLICE": KernelSizes(),
    "SOFTMAX": KernelSizes(options=(4, 4, 4), data=(56, 56, 80), data_cmsis_nn=(64, 64, 0), more_with_esp_nn=8),
    "SPACE_TO_BATCH_ND": KernelSizes(data=(4, 4, 4)),
    "SPACE_TO_DEPTH": KernelSizes(options=(4, 4, 4)),
    "SPLIT": KernelSizes(options=(4, 4, 4)),
    "SPLIT_V": KernelSizes(options=(4, 4, 4)),
    "SQRT": KernelSizes(),
    "SQUARE": KernelSizes(),
    "SQUARED_DIFFERENCE": KernelSizes(data=(112, 112, 112)),
    "SQUEEZE": KernelSizes(options=(36, 36, 36)),
    "STRIDED_SLICE": KernelSizes(options=(24, 24, 24), data=(84, 84, 84)),
    "SUB": KernelSizes(options=(2, 8, 8), data=(52, 52, 52)),
    "SUM": KernelSizes(options=(1, 1, 1), data=(44, 44, 44)),
    "SVDF": KernelSizes(options=(8, 12, 12), data=(36, 36, 36), data_cmsis_nn=(40, 40, 0)),
    "TANH": KernelSizes(data=(16, 16, 16)),
    "TRANSPOSE": KernelSizes(),
    "TRANSPOSE_CONV": KernelSizes(
        options=(16, 20, 20), data=(72, 72, 80), data_cmsis_nn=(76, 76, 0), more_with_compression=8
    ),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": KernelSizes(
        options=(16, 16, 16), data=(688, 688, 688), data_cmsis_nn=(912, 912, 0)
    ),
    "UNPACK": KernelSizes(options=(8, 8, 8)),
    "VAR_HANDLE": KernelSizes(options=(8, 8, 16), data=(4, 4, 4)),
    "WHILE": KernelSizes(options=(8, 8, 8), data=(8, 8, 8)),
    "ZEROS_LIKE": KernelSizes(),
    "CIRCULAR_BUFFER": KernelSizes(data=(8, 8, 8)),
    "SignalEnergy": KernelSizes(data=(8, 8, 8)),
    "SignalFftAutoScale": KernelSizes(),
    "SignalFilterBank": KernelSizes(data=(36, 36, 64)),
    "SignalFilterBankLog": KernelSizes(data=(8, 8, 8)),
    "SignalFilterBankSpectralSubtraction": KernelSizes(data=(44, 44, 56)),
    "SignalFilterBankSquareRoot": KernelSizes(),
    "SignalPCAN": KernelSizes(data=(4, 4, 4)),
    "SignalRfft": KernelSizes(data=(32, 32, 48)),
    "SignalWindow": KernelSizes(data=(8, 8, 8)),
    "TFLite_Detection_PostProcess": KernelSizes(data=(112, 112, 112)),
}

# Kernels whose Prepare(), if they have one, borrows no tensor.
NOTHING_BORROWED = frozenset(
    (
        "ARG_MAX",
        "ARG_MIN",
        "CALL_ONCE",
        "FLOOR",
        "LOGICAL_AND",
        "LOGICAL_OR",
        "MAXIMUM",
        "MINIMUM",
        "NEG",
        "PACK",
        "SHAPE",
        "UNPACK",
        "VAR_HANDLE",
        "WHILE",
    )
)

# Operators whose state is as large as their custom options say (signal/micro/kernels, kernels/decode.cc).
SIGNAL_OPERATORS = (
    "SignalDelay",
    "SignalFramer",
    "SignalIrfft",
    "SignalOverlapAdd",
    "SignalStacker",
    "TFLM_DECODE",
)
