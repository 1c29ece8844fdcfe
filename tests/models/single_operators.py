"""Models of one operator each, of every type that it takes: what one kernel asks of the arena, and nothing else.

They are made when a test needs them; what real TFLM takes for each stands in ``measured_arena.json``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec

_BITS = {"FLOAT32": 32, "INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64, "BOOL": 8, "INT4": 4}
_QUANTIZED = ("INT8", "INT16", "INT4")
_TYPES = ("FLOAT32", "INT8", "INT16")
_SHAPE = (1, 6, 5, 8)

# What kernels demand of an output's quantization.
_OUTPUT_SCALES = {
    ("LOGISTIC", "INT8"): (1 / 256, -128),
    ("LOGISTIC", "INT16"): (1 / 32768, 0),
    ("TANH", "INT8"): (1 / 128, 0),
    ("TANH", "INT16"): (1 / 32768, 0),
    ("SOFTMAX", "INT8"): (1 / 256, -128),
    ("SOFTMAX", "INT16"): (1 / 32768, 0),
    ("LOG_SOFTMAX", "INT8"): (16 / 256, 127),
    ("L2_NORMALIZATION", "INT8"): (1 / 128, 0),
}

Case = tuple[str, tuple[TensorSpec | None, ...], tuple[TensorSpec, ...], tuple[str, dict[str, Any]] | None]


def tensor(kind: str, *shape: int, scales: int = 1, dimension: int = 0) -> TensorSpec:
    """An activation; quantized if its type is one that is."""
    count = scales if kind in _QUANTIZED else 0
    return TensorSpec("tensor", kind, shape, None, (0.05,) * count, (0,) * count, dimension)


def constant(kind: str, *shape: int, scales: int = 1, dimension: int = 0) -> TensorSpec:
    """All zeros. 32- and 64-bit biases are quantized as well if *scales* is not 1."""
    made = tensor(kind, *shape, scales=scales, dimension=dimension)
    return replace(made, data=bytes((prod(shape) * _BITS[kind] + 7) // 8))


def numbers(*values: int, shape: tuple[int, ...] | None = None) -> TensorSpec:
    return TensorSpec(
        "numbers", "INT32", (len(values),) if shape is None else shape, struct.pack(f"<{len(values)}i", *values)
    )


def variable(kind: str, *shape: int, scale: float = 0.05) -> TensorSpec:
    made = replace(tensor(kind, *shape), variable=True)
    return replace(made, scale=(scale,)) if made.scale else made


def single_operators() -> dict[str, ModelSpec]:
    """By name: the operator and a number, the same on every run."""
    made: dict[str, ModelSpec] = {}
    counts: dict[str, int] = {}
    for case in _cases():
        name = case[0]
        counts[name] = counts.get(name, 0) + 1
        made[f"{name} {counts[name]}"] = _model(*case)
    return made


def _model(
    name: str,
    inputs: tuple[TensorSpec | None, ...],
    outputs: tuple[TensorSpec, ...],
    options: tuple[str, dict[str, Any]] | None,
) -> ModelSpec:
    tensors = [each for each in inputs if each] + list(outputs)
    given = iter(range(len(tensors)))
    indices = tuple(next(given) if each else -1 for each in inputs)
    results = tuple(given)
    flowing = tuple(i for i in indices if i >= 0 and tensors[i].data is None and not tensors[i].variable)
    operator = OperatorSpec(name, indices, results, options, 1)
    return ModelSpec((GraphSpec(tuple(tensors), flowing, results, (operator,)),))


def _cases() -> Iterator[Case]:
    yield from _of_one_input()
    yield from _of_two_inputs()
    for kind in _TYPES:
        yield from _convolutions(kind)
        yield from _fully_connected(kind)
        yield from _transposed_convolutions(kind)
        yield from _matrices_and_memory(kind)
        yield from _reductions(kind)
        yield from _shapes(kind)
    yield from _lookups()


_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "LEAKY_RELU": ("LeakyReluOptions", {"Alpha": 0.1}),
    "SOFTMAX": ("SoftmaxOptions", {"Beta": 1.0}),
    "L2_NORMALIZATION": ("L2NormOptions", {}),
    "ADD": ("AddOptions", {}),
    "SUB": ("SubOptions", {}),
    "MUL": ("MulOptions", {}),
    "DIV": ("DivOptions", {}),
}


def _of_one_input() -> Iterator[Case]:
    for name, kinds in (
        ("CEIL COS EXP FLOOR LOG NEG ROUND SIN SQRT SQUARE", ("FLOAT32",)),
        ("ELU HARD_SWISH LOG_SOFTMAX L2_NORMALIZATION", ("FLOAT32", "INT8")),
        ("ABS LEAKY_RELU LOGISTIC RELU RELU6 RSQRT SOFTMAX TANH", _TYPES),
        ("ZEROS_LIKE", ("FLOAT32", "INT8", "INT32")),
        ("LOGICAL_NOT", ("BOOL",)),
    ):
        for operator in name.split():
            for kind in kinds:
                output = tensor(kind, *_SHAPE)
                if (operator, kind) in _OUTPUT_SCALES:
                    scale, zero_point = _OUTPUT_SCALES[operator, kind]
                    output = replace(output, scale=(scale,), zero_point=(zero_point,))
                yield operator, (tensor(kind, *_SHAPE),), (output,), _OPTIONS.get(operator)


def _of_two_inputs() -> Iterator[Case]:
    for name, kinds in (
        ("FLOOR_DIV FLOOR_MOD", ("FLOAT32",)),
        ("DIV", ("FLOAT32", "INT8")),
        ("ADD SUB MUL MAXIMUM MINIMUM SQUARED_DIFFERENCE", (*_TYPES, "INT32")),
        ("PRELU", ("FLOAT32", "INT8")),
    ):
        for operator in name.split():
            for kind in kinds:
                yield operator, (tensor(kind, *_SHAPE),) * 2, (tensor(kind, *_SHAPE),), _OPTIONS.get(operator)
    for operator in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"):
        for kind in ("FLOAT32", "INT8"):
            yield operator, (tensor(kind, *_SHAPE),) * 2, (tensor("BOOL", *_SHAPE),), None
    for operator in ("LOGICAL_AND", "LOGICAL_OR"):
        yield operator, (tensor("BOOL", *_SHAPE),) * 2, (tensor("BOOL", *_SHAPE),), None
    for kind in ("FLOAT32", "INT8"):
        yield "ADD_N", (tensor(kind, *_SHAPE),) * 3, (tensor(kind, *_SHAPE),), None


def _weights_of(kind: str) -> tuple[str, ...]:
    return {"FLOAT32": ("FLOAT32",), "INT8": ("INT8", "INT4"), "INT16": ("INT8",)}[kind]


def _bias(kind: str, channels: int, scales: int) -> TensorSpec:
    made = constant({"FLOAT32": "FLOAT32", "INT8": "INT32", "INT16": "INT64"}[kind], channels)
    count = scales if kind != "FLOAT32" else 0
    return replace(made, scale=(0.0025,) * count, zero_point=(0,) * count)


def _convolutions(kind: str) -> Iterator[Case]:
    # window, input and output channels, stride, dilation
    for window, channels, outputs, stride, dilation in (
        (3, 3, 8, 1, 1),
        (1, 8, 8, 1, 1),
        (1, 8, 8, 2, 1),
        (5, 1, 6, 1, 1),
        (3, 4, 4, 1, 2),
    ):
        height, width = -(-10 // stride), -(-12 // stride)
        options = {
            "StrideW": stride,
            "StrideH": stride,
            "DilationWFactor": dilation,
            "DilationHFactor": dilation,
        }
        data = tensor(kind, 1, 10, 12, channels)
        for weights in _weights_of(kind):
            yield (
                "CONV_2D",
                (data, constant(weights, outputs, window, window, channels, scales=outputs), _bias(kind, outputs, 1)),
                (tensor(kind, 1, height, width, outputs),),
                ("Conv2DOptions", options),
            )
            filters = constant(weights, 1, window, window, channels, scales=channels, dimension=3)
            yield (
                "DEPTHWISE_CONV_2D",
                (data, filters, _bias(kind, channels, 1)),
                (tensor(kind, 1, height, width, channels),),
                ("DepthwiseConv2DOptions", {**options, "DepthMultiplier": 1}),
            )
    grouped = constant(_weights_of(kind)[0], 8, 1, 1, 4, scales=8)
    options = {"StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1}
    yield "CONV_2D", (tensor(kind, 1, 8, 8, 8), grouped, None), (tensor(kind, 1, 8, 8, 8),), ("Conv2DOptions", options)
    row = constant(_weights_of(kind)[0], 8, 1, 3, 8, scales=8)
    yield "CONV_2D", (tensor(kind, 1, 1, 12, 8), row, None), (tensor(kind, 1, 1, 12, 8),), ("Conv2DOptions", options)


def _fully_connected(kind: str) -> Iterator[Case]:
    for shape in ((1, 16), (1, 4, 16), (1, 4, 15)):
        for weights in _weights_of(kind):
            for scales in (1, 8) if weights != "INT4" else (1,):
                filters = constant(weights, 8, shape[-1], scales=scales)
                options = ("FullyConnectedOptions", {"KeepNumDims": len(shape) > 2})
                outputs = (tensor(kind, *shape[:-1], 8),)
                yield "FULLY_CONNECTED", (tensor(kind, *shape), filters, _bias(kind, 8, scales)), outputs, options


def _transposed_convolutions(kind: str) -> Iterator[Case]:
    for stride, channels, window in ((1, 4, 3), (2, 20, 3), (3, 20, 2)):
        shape = (1, 4 * stride, 5 * stride, 6)
        weights = constant(_weights_of(kind)[0], 6, window, window, channels, scales=6)
        inputs = (numbers(*shape), weights, tensor(kind, 1, 4, 5, channels), _bias(kind, 6, 6))
        yield "TRANSPOSE_CONV", inputs, (tensor(kind, *shape),), ("TransposeConvOptions", _strides(stride))


def _strides(stride: int) -> dict[str, int]:
    return {"Padding": 0, "StrideW": stride, "StrideH": stride}


def _matrices_and_memory(kind: str) -> Iterator[Case]:
    for adjoint_left in (False, True):
        for adjoint_right in (False, True):
            left = (2, 5, 3) if adjoint_left else (2, 3, 5)
            right = (2, 7, 5) if adjoint_right else (2, 5, 7)
            options = ("BatchMatMulOptions", {"AdjX": adjoint_left, "AdjY": adjoint_right})
            yield "BATCH_MATMUL", (tensor(kind, *left), tensor(kind, *right)), (tensor(kind, 2, 3, 7),), options
    if kind != "INT16":
        yield from _svdf(kind)
    yield from _lstm(kind)


def _svdf(kind: str) -> Iterator[Case]:
    for rank in (1, 2):
        time_kind = "INT16" if kind == "INT8" else kind
        bias = replace(_bias(kind, 8 // rank, 1), scale=(0.0025,) if kind == "INT8" else ())
        inputs = (tensor(kind, 2, 10), constant(kind, 8, 10), constant(time_kind, 8, 6), bias)
        yield (
            "SVDF",
            (*inputs, variable(time_kind, 2, 48)),
            (tensor(kind, 2, 8 // rank),),
            ("SVDFOptions", {"Rank": rank}),
        )


def _lstm(kind: str) -> Iterator[Case]:
    for time_major in (False, True):
        weights = _weights_of(kind)[0]
        cell = variable("FLOAT32" if kind == "FLOAT32" else "INT16", 1, 5, scale=2**-11)
        shape = (4, 1) if time_major else (1, 4)
        inputs = (
            tensor(kind, *shape, 6),
            *(constant(weights, 5, 6),) * 4,
            *(constant(weights, 5, 5),) * 4,
            *(None,) * 3,
            *(_bias(kind, 5, 1),) * 4,
            *(None,) * 2,
            variable(kind, 1, 5),
            cell,
            *(None,) * 4,
        )
        options = {"FusedActivationFunction": 4, "TimeMajor": time_major}
        yield (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            inputs,
            (tensor(kind, *shape, 5),),
            ("UnidirectionalSequenceLSTMOptions", options),
        )


def _reductions(kind: str) -> Iterator[Case]:
    for operator in ("AVERAGE_POOL_2D", "MAX_POOL_2D", *(("L2_POOL_2D",) if kind == "FLOAT32" else ())):
        options = {"Padding": 1, "StrideW": 2, "StrideH": 2, "FilterWidth": 2, "FilterHeight": 2}
        yield operator, (tensor(kind, 1, 8, 8, 6),), (tensor(kind, 1, 4, 4, 6),), ("Pool2DOptions", options)
    for operator in ("MEAN", "SUM", *(() if kind == "INT16" else ("REDUCE_MAX", "REDUCE_MIN"))):
        yield operator, (tensor(kind, *_SHAPE), numbers(1, 2)), (tensor(kind, 1, 8),), ("ReducerOptions", {})
    if kind != "INT16":
        for operator in ("ArgMax", "ArgMin"):
            name = {"ArgMax": "ARG_MAX", "ArgMin": "ARG_MIN"}[operator]
            yield name, (tensor(kind, 1, 10), numbers(1)), (tensor("INT32", 1),), (f"{operator}Options", {})


def _shapes(kind: str) -> Iterator[Case]:
    data = tensor(kind, *_SHAPE)
    flat = ("ReshapeOptions", {"NewShape": (1, 240)})
    yield "RESHAPE", (data, numbers(1, 240)), (tensor(kind, 1, 240),), flat
    yield "RESHAPE", (data,), (tensor(kind, 1, 240),), flat
    yield "SQUEEZE", (data,), (tensor(kind, 6, 5, 8),), ("SqueezeOptions", {"SqueezeDims": (0,)})
    yield "EXPAND_DIMS", (tensor(kind, 6, 5), numbers(0)), (tensor(kind, 1, 6, 5),), None
    yield "TRANSPOSE", (data, numbers(0, 2, 1, 3)), (tensor(kind, 1, 5, 6, 8),), None
    for count in (2, 4):
        joined = tensor(kind, 1, 6, 5, 8 * count)
        yield "CONCATENATION", (data,) * count, (joined,), ("ConcatenationOptions", {"Axis": 3})
    part = tensor(kind, 4, 5)
    yield "PACK", (part,) * 3, (tensor(kind, 3, 4, 5),), ("PackOptions", {"ValuesCount": 3})
    yield "UNPACK", (tensor(kind, 3, 4, 5),), (part,) * 3, ("UnpackOptions", {"Num": 3})
    axis, half = numbers(3, shape=()), tensor(kind, 1, 6, 5, 4)
    yield "SPLIT", (axis, data), (half,) * 2, ("SplitOptions", {"NumSplits": 2})
    yield "SPLIT_V", (data, numbers(4, 4), axis), (half,) * 2, ("SplitVOptions", {"NumSplits": 2})
    corner, end, sliced = numbers(0, 0, 0, 0), numbers(1, 3, 5, 8), tensor(kind, 1, 3, 5, 8)
    yield "SLICE", (data, corner, end), (sliced,), None
    yield "STRIDED_SLICE", (data, corner, end, numbers(1, 1, 1, 1)), (sliced,), ("StridedSliceOptions", {})
    margins, padded = numbers(0, 0, 1, 1, 1, 1, 0, 0, shape=(4, 2)), tensor(kind, 1, 8, 7, 8)
    yield "PAD", (data, margins), (padded,), None
    yield "PADV2", (data, margins, constant(kind, 1)), (padded,), None
    yield "REVERSE_V2", (data, numbers(1)), (data,), None
    yield "SELECT_V2", (tensor("BOOL", *_SHAPE), data, data), (data,), None
    yield "BROADCAST_TO", (tensor(kind, 1, 1, 5), numbers(3, 4, 5)), (tensor(kind, 3, 4, 5),), None
    yield "DYNAMIC_UPDATE_SLICE", (tensor(kind, 6, 5), tensor(kind, 2, 2), numbers(0, 0)), (tensor(kind, 6, 5),), None
    yield "SHAPE", (data,), (tensor("INT32", 4),), ("ShapeOptions", {"OutType": 2})
    yield "CAST", (data,), (tensor("INT32", *_SHAPE),), ("CastOptions", {})
    small = tensor(kind, 1, 4, 4, 2)
    yield (
        "RESIZE_NEAREST_NEIGHBOR",
        (small, numbers(8, 8)),
        (tensor(kind, 1, 8, 8, 2),),
        (
            "ResizeNearestNeighborOptions",
            {},
        ),
    )
    if kind != "FLOAT32":
        yield "QUANTIZE", (tensor("FLOAT32", *_SHAPE),), (data,), None
        yield "DEQUANTIZE", (data,), (tensor("FLOAT32", *_SHAPE),), None
    if kind == "INT16":
        return
    square, blocks = tensor(kind, 1, 4, 4, 1), numbers(2, 2)
    nothing = numbers(0, 0, 0, 0, shape=(2, 2))
    yield "MIRROR_PAD", (data, margins), (padded,), ("MirrorPadOptions", {})
    yield "GATHER", (data, numbers(0, 2)), (tensor(kind, 1, 2, 5, 8),), ("GatherOptions", {"Axis": 1})
    yield "GATHER_ND", (tensor(kind, 6, 5), numbers(0, 2, shape=(2, 1))), (tensor(kind, 2, 5),), None
    yield "BATCH_TO_SPACE_ND", (tensor(kind, 4, 2, 2, 1), blocks, nothing), (square,), None
    yield "SPACE_TO_BATCH_ND", (square, blocks, nothing), (tensor(kind, 4, 2, 2, 1),), None
    yield "SPACE_TO_DEPTH", (square,), (tensor(kind, 1, 2, 2, 4),), ("SpaceToDepthOptions", {"BlockSize": 2})
    yield "DEPTH_TO_SPACE", (tensor(kind, 1, 2, 2, 4),), (square,), ("DepthToSpaceOptions", {"BlockSize": 2})
    yield "RESIZE_BILINEAR", (small, numbers(8, 8)), (tensor(kind, 1, 8, 8, 2),), ("ResizeBilinearOptions", {})
    yield "CUMSUM", (tensor(kind, 1, 6), numbers(1)), (tensor(kind, 1, 6),), ("CumsumOptions", {})
    yield "EMBEDDING_LOOKUP", (numbers(0, 1, 2), constant(kind, 7, 4)), (tensor(kind, 3, 4),), None
    yield "FILL", (numbers(3, 4), constant(kind)), (tensor(kind, 3, 4),), None


def _lookups() -> Iterator[Case]:
    yield "BROADCAST_ARGS", (numbers(1, 3), numbers(2, 1)), (tensor("INT32", 2),), None
    yield "REDUCE_ALL", (tensor("BOOL", 1, 6), numbers(1)), (tensor("BOOL", 1),), ("ReducerOptions", {})
    yield "CIRCULAR_BUFFER", (tensor("INT8", 1, 1, 1, 8),), (tensor("INT8", 1, 5, 1, 8),), None
