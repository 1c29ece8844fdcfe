"""The project's own test models: tiny, made with a fixed seed, each there for one thing that a reader can get wrong.

``python -m models.make_models`` in ``tests/`` writes them beside this file; a test checks that the committed bytes
are what this script makes. Weights are random: the models compute something, and mean nothing.
"""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

from flatbuffers import flexbuffers

from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize

FOLDER = Path(__file__).resolve().parent
SEED = 20_240_229

# What real TensorFlow Lite Micro refuses, and why. It runs external_buffers, but on uninitialized memory: it does not
# look for constants outside the FlatBuffer.
REFUSED_BY_TFLM = {
    "custom_operator": "the operator is the user's own",
    "hybrid_fully_connected": "float activations with int8 weights",
}


def _packed(letter: str, values: list[int] | list[float]) -> bytes:
    return struct.pack(f"<{len(values)}{letter}", *values)


class _Data:
    """Random constants; one generator per model, so that models do not depend on each other."""

    def __init__(self, name: str) -> None:
        self.random = Random(f"{SEED} {name}")  # noqa: S311 - weights, not secrets

    def int8(self, count: int) -> bytes:
        return _packed("b", [self.random.randint(-127, 127) for _ in range(count)])

    def int16(self, count: int) -> bytes:
        return _packed("h", [self.random.randint(-32767, 32767) for _ in range(count)])

    def int32(self, count: int) -> bytes:
        return _packed("i", [self.random.randint(-2000, 2000) for _ in range(count)])

    def int64(self, count: int) -> bytes:
        return _packed("q", [self.random.randint(-2000, 2000) for _ in range(count)])

    def float32(self, count: int) -> bytes:
        return _packed("f", [self.random.uniform(-1, 1) for _ in range(count)])

    def scales(self, count: int) -> tuple[float, ...]:
        return tuple(round(self.random.uniform(0.005, 0.02), 5) for _ in range(count))


def _int8(name: str, *shape: int, scale: float = 0.05, zero_point: int = 3) -> TensorSpec:
    """An int8 activation; its batch is open in the signature, as converters leave it."""
    return TensorSpec(name, "INT8", shape, scale=(scale,), zero_point=(zero_point,), signature=(-1, *shape[1:]))


def _weights(
    name: str, shape: tuple[int, ...], data: bytes, scale: tuple[float, ...], dimension: int = 0
) -> TensorSpec:
    return TensorSpec(name, "INT8", shape, data, scale, (0,) * len(scale), dimension)


def _bias(name: str, data: bytes, input_scale: float, scale: tuple[float, ...]) -> TensorSpec:
    return TensorSpec(
        name, "INT32", (len(data) // 4,), data, tuple(input_scale * each for each in scale), (0,) * len(scale)
    )


def _indices(name: str, *values: int) -> TensorSpec:
    return TensorSpec(name, "INT32", (len(values),), _packed("i", list(values)))


def fully_connected_int8(data: _Data) -> ModelSpec:
    tensors = (
        _int8("input", 1, 8),
        _weights("first/weights", (4, 8), data.int8(32), (0.01,)),
        _bias("first/bias", data.int32(4), 0.05, (0.01,)),
        _int8("first/output", 1, 4, zero_point=-128),
        _weights("second/weights", (2, 4), data.int8(8), (0.02,)),
        _bias("second/bias", data.int32(2), 0.05, (0.02,)),
        _int8("output", 1, 2),
    )
    operators = (
        OperatorSpec("FULLY_CONNECTED", (0, 1, 2), (3,), ("FullyConnectedOptions", {"FusedActivationFunction": 1}), 4),
        OperatorSpec("FULLY_CONNECTED", (3, 4, 5), (6,), ("FullyConnectedOptions", {}), 4),
    )
    graph = GraphSpec(tensors, (0,), (6,), operators)
    return ModelSpec((graph,), metadata={"min_runtime_version": b"1.14.0\0\0"}, signature_key="serving_default")


def convolution_int8(data: _Data) -> ModelSpec:
    first, second = data.scales(4), data.scales(4)
    tensors = (
        _int8("image", 1, 8, 8, 1),
        _weights("conv/weights", (4, 3, 3, 1), data.int8(36), first),
        _bias("conv/bias", data.int32(4), 0.05, first),
        _int8("conv/output", 1, 8, 8, 4, zero_point=-128),
        _weights("depthwise/weights", (1, 3, 3, 4), data.int8(36), second, 3),
        _bias("depthwise/bias", data.int32(4), 0.05, second),
        _int8("depthwise/output", 1, 4, 4, 4, zero_point=-128),
        _int8("pool/output", 1, 1, 1, 4, zero_point=-128),
        _indices("shape", -1, 4),
        _int8("flat", 1, 4, zero_point=-128),
        _weights("dense/weights", (3, 4), data.int8(12), (0.01,)),
        _bias("dense/bias", data.int32(3), 0.05, (0.01,)),
        _int8("logits", 1, 3),
        _int8("probabilities", 1, 3, scale=1 / 256, zero_point=-128),
    )
    stride = {"StrideW": 2, "StrideH": 2}
    operators = (
        OperatorSpec("CONV_2D", (0, 1, 2), (3,), ("Conv2DOptions", _conv_options(1)), 3),
        OperatorSpec(
            "DEPTHWISE_CONV_2D",
            (3, 4, 5),
            (6,),
            ("DepthwiseConv2DOptions", {**_conv_options(2), "DepthMultiplier": 1}),
            3,
        ),
        OperatorSpec(
            "AVERAGE_POOL_2D",
            (6,),
            (7,),
            ("Pool2DOptions", {"Padding": 1, **stride, "FilterWidth": 4, "FilterHeight": 4}),
            2,
        ),
        OperatorSpec("RESHAPE", (7, 8), (9,), ("ReshapeOptions", {"NewShape": (-1, 4)})),
        OperatorSpec("FULLY_CONNECTED", (9, 10, 11), (12,), ("FullyConnectedOptions", {}), 4),
        OperatorSpec("SOFTMAX", (12,), (13,), ("SoftmaxOptions", {"Beta": 1.0}), 2),
    )
    return ModelSpec((GraphSpec(tensors, (0,), (13,), operators),), signature_key="serving_default")


def _conv_options(stride: int) -> dict[str, int]:
    """Padding SAME, ReLU6; the dilation must be written, its default of 1 comes from the schema."""
    return {"Padding": 0, "StrideW": stride, "StrideH": stride, "FusedActivationFunction": 3}


def fully_connected_float(data: _Data) -> ModelSpec:
    tensors = (
        TensorSpec("input", "FLOAT32", (1, 4), signature=(-1, 4)),
        TensorSpec("weights", "FLOAT32", (6, 4), data.float32(24)),
        TensorSpec("bias", "FLOAT32", (6,), data.float32(6)),
        TensorSpec("hidden", "FLOAT32", (1, 6)),
        TensorSpec("output", "FLOAT32", (1, 6)),
    )
    operators = (
        OperatorSpec("FULLY_CONNECTED", (0, 1, 2), (3,), ("FullyConnectedOptions", {"FusedActivationFunction": 1})),
        OperatorSpec("LOGISTIC", (3,), (4,)),
    )
    return ModelSpec((GraphSpec(tensors, (0,), (4,), operators),))


def hybrid_fully_connected(data: _Data) -> ModelSpec:
    tensors = (
        TensorSpec("input", "FLOAT32", (1, 8)),
        _weights("weights", (4, 8), data.int8(32), (0.01,)),
        TensorSpec("bias", "FLOAT32", (4,), data.float32(4)),
        TensorSpec("output", "FLOAT32", (1, 4)),
    )
    options = ("FullyConnectedOptions", {"AsymmetricQuantizeInputs": True})
    operators = (OperatorSpec("FULLY_CONNECTED", (0, 1, 2), (3,), options, 7),)
    return ModelSpec((GraphSpec(tensors, (0,), (3,), operators),))


def per_channel_int8(data: _Data) -> ModelSpec:
    """One convolution without a bias: an absent optional input beside scales per channel."""
    tensors = (
        _int8("input", 1, 6, 6, 2),
        _weights("weights", (8, 3, 3, 2), data.int8(144), data.scales(8)),
        _int8("output", 1, 4, 4, 8),
    )
    options = ("Conv2DOptions", {"Padding": 1, "StrideW": 1, "StrideH": 1})
    operators = (OperatorSpec("CONV_2D", (0, 1, -1), (2,), options, 3),)
    return ModelSpec((GraphSpec(tensors, (0,), (2,), operators),))


def several_inputs_outputs(data: _Data) -> ModelSpec:
    tensors = (
        _int8("left", 1, 2, 2, 3),
        _int8("right", 1, 2, 2, 3),
        _int8("sum", 1, 2, 2, 3, scale=0.1),
        _int8("both", 1, 2, 2, 6),
        _int8("unused", 1, 5),
        _int8("larger", 1, 2, 2, 3),
    )
    operators = (
        OperatorSpec("ADD", (0, 1), (2,), ("AddOptions", {"PotScaleInt16": True}), 2),
        OperatorSpec("MAXIMUM", (0, 1), (5,), ("MaximumMinimumOptions", {}), 2),
        OperatorSpec("CONCATENATION", (5, 0), (3,), ("ConcatenationOptions", {"Axis": 3}), 2),
    )
    del data
    return ModelSpec((GraphSpec(tensors, (0, 1), (3, 2), operators),), signature_key="serving_default")


def custom_operator(data: _Data) -> ModelSpec:
    tensors = (_int8("input", 1, 16), _int8("output", 1, 16))
    operators = (OperatorSpec("MovingMedian", (0,), (1,), version=2, custom_options=data.int8(12)),)
    return ModelSpec((GraphSpec(tensors, (0,), (1,), operators),))


def cumsum_padv2(data: _Data) -> ModelSpec:
    """The two operators whose names upstream's own generator gets wrong."""
    tensors = (
        TensorSpec("input", "FLOAT32", (1, 4)),
        TensorSpec("axis", "INT32", (), _packed("i", [1])),
        TensorSpec("sums", "FLOAT32", (1, 4)),
        TensorSpec("paddings", "INT32", (2, 2), _packed("i", [0, 0, 1, 2])),
        TensorSpec("filler", "FLOAT32", (1,), data.float32(1)),
        TensorSpec("output", "FLOAT32", (1, 7)),
    )
    operators = (
        OperatorSpec("CUMSUM", (0, 1), (2,), ("CumsumOptions", {"Exclusive": True, "Reverse": False})),
        OperatorSpec("PADV2", (2, 3, 4), (5,), ("PadV2Options", {})),
    )
    return ModelSpec((GraphSpec(tensors, (0,), (5,), operators),))


def streaming_int8(data: _Data) -> ModelSpec:
    """A ring of the last three inputs in a resource variable, as streaming keyword spotters keep it."""
    handle = ("VarHandleOptions", {"Container": "", "SharedName": "stream/states"})
    tensors = (
        _int8("input", 1, 1, 4),
        TensorSpec("handle", "RESOURCE", (1,)),
        _int8("past", 1, 3, 4),
        _int8("window", 1, 4, 4),
        _indices("begin", 0, 1, 0),
        _indices("end", 0, 4, 4),
        _indices("strides", 1, 1, 1),
        _int8("next", 1, 3, 4),
        _indices("flat_shape", 1, 16),
        _int8("flat", 1, 16),
        _weights("weights", (2, 16), data.int8(32), (0.01,)),
        _bias("bias", data.int32(2), 0.05, (0.01,)),
        _int8("output", 1, 2),
    )
    slice_options = ("StridedSliceOptions", {"BeginMask": 5, "EndMask": 5})
    operators = (
        OperatorSpec("CALL_ONCE", (), (), ("CallOnceOptions", {"InitSubgraphIndex": 1})),
        OperatorSpec("VAR_HANDLE", (), (1,), handle),
        OperatorSpec("READ_VARIABLE", (1,), (2,), ("ReadVariableOptions", {})),
        OperatorSpec("CONCATENATION", (2, 0), (3,), ("ConcatenationOptions", {"Axis": 1}), 2),
        OperatorSpec("STRIDED_SLICE", (3, 4, 5, 6), (7,), slice_options, 2),
        OperatorSpec("ASSIGN_VARIABLE", (1, 7), (), ("AssignVariableOptions", {})),
        OperatorSpec("RESHAPE", (3, 8), (9,), ("ReshapeOptions", {"NewShape": (1, 16)})),
        OperatorSpec("FULLY_CONNECTED", (9, 10, 11), (12,), ("FullyConnectedOptions", {}), 4),
    )
    init_tensors = (
        TensorSpec("init_handle", "RESOURCE", (1,)),
        TensorSpec("zeros", "INT8", (1, 3, 4), bytes([3]) * 12, (0.05,), (3,)),
    )
    init_operators = (
        OperatorSpec("VAR_HANDLE", (), (0,), handle),
        OperatorSpec("ASSIGN_VARIABLE", (0, 1), (), ("AssignVariableOptions", {})),
    )
    main = GraphSpec(tensors, (0,), (12,), operators)
    return ModelSpec((main, GraphSpec(init_tensors, (), (), init_operators, "initialize")))


def signal_window(data: _Data) -> ModelSpec:
    tensors = (
        TensorSpec("frame", "INT16", (1, 16)),
        TensorSpec("window", "INT16", (16,), data.int16(16)),
        TensorSpec("windowed", "INT16", (1, 16)),
    )
    options = bytes(flexbuffers.Dumps({"shift": 12}))
    operators = (OperatorSpec("SignalWindow", (0, 1), (2,), custom_options=options),)
    return ModelSpec((GraphSpec(tensors, (0,), (2,), operators),))


def if_subgraphs(data: _Data) -> ModelSpec:
    """Two branches, called with the same shapes."""
    tensors = (
        TensorSpec("condition", "BOOL", (1,)),
        TensorSpec("input", "FLOAT32", (1, 4)),
        TensorSpec("result", "FLOAT32", (1, 4)),
    )
    call = OperatorSpec("IF", (0, 1), (2,), ("IfOptions", {"ThenSubgraphIndex": 1, "ElseSubgraphIndex": 2}))
    branch = (
        TensorSpec("x", "FLOAT32", (1, 4)),
        TensorSpec("constant", "FLOAT32", (1, 4), data.float32(4)),
        TensorSpec("y", "FLOAT32", (1, 4)),
    )
    then = OperatorSpec("ADD", (0, 1), (2,), ("AddOptions", {}))
    otherwise = OperatorSpec("MUL", (0, 1), (2,), ("MulOptions", {}))
    return ModelSpec(
        (
            GraphSpec(tensors, (0, 1), (2,), (call,)),
            GraphSpec(branch, (0,), (2,), (then,), "then"),
            GraphSpec(branch, (0,), (2,), (otherwise,), "otherwise"),
        )
    )


def while_subgraphs(data: _Data) -> ModelSpec:
    """Adds one until the limit is reached."""
    number = TensorSpec("number", "INT32", (1,))
    call = OperatorSpec("WHILE", (0,), (1,), ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 2}))
    condition = (number, _indices("limit", 10), TensorSpec("go_on", "BOOL", (1,)))
    body = (number, _indices("one", 1), TensorSpec("next", "INT32", (1,)))
    del data
    return ModelSpec(
        (
            GraphSpec((number, TensorSpec("last", "INT32", (1,))), (0,), (1,), (call,)),
            GraphSpec(condition, (0,), (2,), (OperatorSpec("LESS", (0, 1), (2,), ("LessOptions", {})),), "condition"),
            GraphSpec(body, (0,), (2,), (OperatorSpec("ADD", (0, 1), (2,), ("AddOptions", {})),), "body"),
        )
    )


def int16_activations(data: _Data) -> ModelSpec:
    tensors = (
        TensorSpec("input", "INT16", (1, 8), scale=(0.001,), zero_point=(0,)),
        _weights("weights", (4, 8), data.int8(32), (0.01,)),
        TensorSpec("bias", "INT64", (4,), data.int64(4), (0.001 * 0.01,), (0,)),
        TensorSpec("output", "INT16", (1, 4), scale=(0.002,), zero_point=(0,)),
    )
    operators = (OperatorSpec("FULLY_CONNECTED", (0, 1, 2), (3,), ("FullyConnectedOptions", {}), 4),)
    return ModelSpec((GraphSpec(tensors, (0,), (3,), operators),))


def external_buffers(data: _Data) -> ModelSpec:
    """Constants behind the FlatBuffer, as the converter writes models over 2 GB."""
    del data
    inside = fully_connected_int8(_Data("fully_connected_int8"))
    return ModelSpec(inside.graphs, external=True)


def svdf_int8(data: _Data) -> ModelSpec:
    """A state that TFLM keeps between inferences: a tensor marked as variable."""
    tensors = (
        _int8("input", 1, 6),
        _weights("weights_feature", (4, 6), data.int8(24), (0.01,)),
        TensorSpec("weights_time", "INT16", (4, 5), data.int16(20), (0.0001,), (0,)),
        TensorSpec("bias", "INT32", (4,), data.int32(4), (0.001 * 0.0001,), (0,)),
        TensorSpec("state", "INT16", (1, 20), scale=(0.001,), zero_point=(0,), variable=True),
        _int8("output", 1, 4),
    )
    options = ("SVDFOptions", {"Rank": 1, "FusedActivationFunction": 1})
    operators = (OperatorSpec("SVDF", (0, 1, 2, 3, 4), (5,), options, 3),)
    return ModelSpec((GraphSpec(tensors, (0,), (5,), operators),))


MODELS = (
    fully_connected_int8,
    convolution_int8,
    fully_connected_float,
    hybrid_fully_connected,
    per_channel_int8,
    several_inputs_outputs,
    custom_operator,
    cumsum_padv2,
    streaming_int8,
    signal_window,
    if_subgraphs,
    while_subgraphs,
    int16_activations,
    external_buffers,
    svdf_int8,
)


def specifications() -> dict[str, ModelSpec]:
    """Every model by its name."""
    return {make.__name__: make(_Data(make.__name__)) for make in MODELS}


def make_all() -> dict[str, bytes]:
    """Every model's bytes by its name."""
    return {name: serialize(spec) for name, spec in specifications().items()}


if __name__ == "__main__":
    for model_name, content in make_all().items():
        (FOLDER / f"{model_name}.tflite").write_bytes(content)
