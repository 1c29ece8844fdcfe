"""Writes .tflite files from plain descriptions, with the FlatBuffers code of PyPI's ``tflite`` package.

For the test models beside it and for tests that need a file with something special in it. Nothing here uses the
plugin's own reader, so that the two can be held against each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import flatbuffers
import tflite

OFFSET_PLACEHOLDER = 2


@dataclass(frozen=True)
class TensorSpec:
    """A tensor; *data* makes it a constant."""

    name: str
    type: str
    shape: tuple[int, ...]
    data: bytes | None = None
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    dimension: int = 0
    variable: bool = False
    signature: tuple[int, ...] = ()


@dataclass(frozen=True)
class OperatorSpec:
    """An operator; a *code* that the schema does not know is a custom operator of that name.

    options: ("Conv2DOptions", {"StrideW": 1}), names as in the functions of the ``tflite`` package.
    """

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: tuple[str, dict[str, Any]] | None = None
    version: int = 1
    custom_options: bytes = b""
    intermediates: tuple[int, ...] = ()


@dataclass(frozen=True)
class GraphSpec:
    tensors: tuple[TensorSpec, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[OperatorSpec, ...]
    name: str = "main"


@dataclass(frozen=True)
class ModelSpec:
    """external: constants lie behind the FlatBuffer, found by Buffer.offset and Buffer.size."""

    graphs: tuple[GraphSpec, ...]
    description: str = "platformio-tflm test model"
    metadata: dict[str, bytes] = field(default_factory=dict)
    signature_key: str = ""
    external: bool = False
    version: int = 3


def serialize(spec: ModelSpec) -> bytes:
    """The bytes of the .tflite file; the same for the same *spec*."""
    if not spec.external:
        return _Writer(spec, {}).finish()
    draft = _Writer(spec, {})
    size_bytes = len(draft.finish())
    offsets, tail = {}, b""
    for index, data in enumerate(draft.buffers):
        if data:
            tail += bytes(-(size_bytes + len(tail)) % 16)
            offsets[index] = size_bytes + len(tail)
            tail += data
    return _Writer(spec, offsets).finish() + tail


class _Writer:
    """One pass: children before parents, as FlatBuffers wants it."""

    def __init__(self, spec: ModelSpec, offsets: dict[int, int]) -> None:
        self.spec = spec
        self.offsets = offsets
        self.builder = flatbuffers.Builder(1024)
        self.buffers: list[bytes] = [b""]
        self.codes: list[tuple[str, int]] = []

    def finish(self) -> bytes:
        builder = self.builder
        graphs = self._tables([self._graph(graph) for graph in self.spec.graphs])
        metadata = self._tables([self._metadata(name, data) for name, data in self.spec.metadata.items()])
        signatures = self._tables([self._signature(self.spec.graphs[0])] if self.spec.signature_key else [])
        codes = self._tables([self._operator_code(*code) for code in self.codes])
        buffers = self._tables([self._buffer(index, data) for index, data in enumerate(self.buffers)])
        description = builder.CreateString(self.spec.description)
        tflite.ModelStart(builder)
        tflite.ModelAddVersion(builder, self.spec.version)
        tflite.ModelAddOperatorCodes(builder, codes)
        tflite.ModelAddSubgraphs(builder, graphs)
        tflite.ModelAddDescription(builder, description)
        tflite.ModelAddBuffers(builder, buffers)
        tflite.ModelAddMetadata(builder, metadata)
        tflite.ModelAddSignatureDefs(builder, signatures)
        builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _tables(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

    def _numbers(self, kind: str, item_bytes: int, values: tuple[Any, ...]) -> int:
        self.builder.StartVector(item_bytes, len(values), item_bytes)
        for value in reversed(values):
            getattr(self.builder, f"Prepend{kind}")(value)
        return self.builder.EndVector()

    def _bytes(self, data: bytes, alignment: int = 16) -> int:
        self.builder.StartVector(1, len(data), alignment)
        self.builder.head -= len(data)
        self.builder.Bytes[self.builder.head : self.builder.head + len(data)] = data
        return self.builder.EndVector()

    def _graph(self, graph: GraphSpec) -> int:
        tensors = self._tables([self._tensor(tensor) for tensor in graph.tensors])
        operators = self._tables([self._operator(operator) for operator in graph.operators])
        inputs = self._numbers("Int32", 4, graph.inputs)
        outputs = self._numbers("Int32", 4, graph.outputs)
        name = self.builder.CreateString(graph.name)
        tflite.SubGraphStart(self.builder)
        tflite.SubGraphAddTensors(self.builder, tensors)
        tflite.SubGraphAddInputs(self.builder, inputs)
        tflite.SubGraphAddOutputs(self.builder, outputs)
        tflite.SubGraphAddOperators(self.builder, operators)
        tflite.SubGraphAddName(self.builder, name)
        return int(tflite.SubGraphEnd(self.builder))

    def _tensor(self, tensor: TensorSpec) -> int:
        buffer = 0
        if tensor.data is not None:
            self.buffers.append(tensor.data)
            buffer = len(self.buffers) - 1
        shape = self._numbers("Int32", 4, tensor.shape)
        signature = self._numbers("Int32", 4, tensor.signature) if tensor.signature else 0
        quantization = self._quantization(tensor) if tensor.scale else 0
        name = self.builder.CreateString(tensor.name)
        tflite.TensorStart(self.builder)
        tflite.TensorAddShape(self.builder, shape)
        tflite.TensorAddType(self.builder, getattr(tflite.TensorType, tensor.type))
        tflite.TensorAddBuffer(self.builder, buffer)
        tflite.TensorAddName(self.builder, name)
        if quantization:
            tflite.TensorAddQuantization(self.builder, quantization)
        if signature:
            tflite.TensorAddShapeSignature(self.builder, signature)
        tflite.TensorAddIsVariable(self.builder, tensor.variable)
        tflite.TensorAddHasRank(self.builder, True)
        return int(tflite.TensorEnd(self.builder))

    def _quantization(self, tensor: TensorSpec) -> int:
        scale = self._numbers("Float32", 4, tensor.scale)
        zero_point = self._numbers("Int64", 8, tensor.zero_point)
        tflite.QuantizationParametersStart(self.builder)
        tflite.QuantizationParametersAddScale(self.builder, scale)
        tflite.QuantizationParametersAddZeroPoint(self.builder, zero_point)
        tflite.QuantizationParametersAddQuantizedDimension(self.builder, tensor.dimension)
        return int(tflite.QuantizationParametersEnd(self.builder))

    def _operator(self, operator: OperatorSpec) -> int:
        code = (operator.code, operator.version)
        if code not in self.codes:
            self.codes.append(code)
        options = self._options(*operator.options) if operator.options else 0
        inputs = self._numbers("Int32", 4, operator.inputs)
        outputs = self._numbers("Int32", 4, operator.outputs)
        intermediates = self._numbers("Int32", 4, operator.intermediates) if operator.intermediates else 0
        custom = self._bytes(operator.custom_options) if operator.custom_options else 0
        tflite.OperatorStart(self.builder)
        tflite.OperatorAddOpcodeIndex(self.builder, self.codes.index(code))
        tflite.OperatorAddInputs(self.builder, inputs)
        tflite.OperatorAddOutputs(self.builder, outputs)
        if operator.options:
            kind = getattr(tflite.BuiltinOptions, operator.options[0])
            tflite.OperatorAddBuiltinOptionsType(self.builder, kind)
            tflite.OperatorAddBuiltinOptions(self.builder, options)
        if custom:
            tflite.OperatorAddCustomOptions(self.builder, custom)
        if intermediates:
            tflite.OperatorAddIntermediates(self.builder, intermediates)
        return int(tflite.OperatorEnd(self.builder))

    def _options(self, kind: str, values: dict[str, Any]) -> int:
        """Strings become strings and tuples vectors of int; everything else is the field's own scalar."""
        ready = {}
        for name, value in values.items():
            if isinstance(value, str):
                ready[name] = self.builder.CreateString(value)
            elif isinstance(value, tuple):
                ready[name] = self._numbers("Int32", 4, value)
            else:
                ready[name] = value
        getattr(tflite, f"{kind}Start")(self.builder)
        for name, value in ready.items():
            getattr(tflite, f"{kind}Add{name}")(self.builder, value)
        return int(getattr(tflite, f"{kind}End")(self.builder))

    def _operator_code(self, code: str, version: int) -> int:
        number = getattr(tflite.BuiltinOperator, code, None)
        custom = self.builder.CreateString(code) if number is None else 0
        number = tflite.BuiltinOperator.CUSTOM if number is None else number
        tflite.OperatorCodeStart(self.builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(self.builder, min(number, 127))
        tflite.OperatorCodeAddBuiltinCode(self.builder, number)
        tflite.OperatorCodeAddVersion(self.builder, version)
        if custom:
            tflite.OperatorCodeAddCustomCode(self.builder, custom)
        return int(tflite.OperatorCodeEnd(self.builder))

    def _buffer(self, index: int, data: bytes) -> int:
        outside = self.spec.external and data
        content = self._bytes(data) if data and not outside else 0
        tflite.BufferStart(self.builder)
        if content:
            tflite.BufferAddData(self.builder, content)
        if outside:
            tflite.BufferAddOffset(self.builder, self.offsets.get(index, OFFSET_PLACEHOLDER))
            tflite.BufferAddSize(self.builder, len(data))
        return int(tflite.BufferEnd(self.builder))

    def _metadata(self, name: str, data: bytes) -> int:
        self.buffers.append(data)
        text = self.builder.CreateString(name)
        tflite.MetadataStart(self.builder)
        tflite.MetadataAddName(self.builder, text)
        tflite.MetadataAddBuffer(self.builder, len(self.buffers) - 1)
        return int(tflite.MetadataEnd(self.builder))

    def _signature(self, graph: GraphSpec) -> int:
        maps = [
            self._tables([self._tensor_map(f"tensor_{index}", index) for index in indices])
            for indices in (graph.inputs, graph.outputs)
        ]
        key = self.builder.CreateString(self.spec.signature_key)
        tflite.SignatureDefStart(self.builder)
        tflite.SignatureDefAddInputs(self.builder, maps[0])
        tflite.SignatureDefAddOutputs(self.builder, maps[1])
        tflite.SignatureDefAddSignatureKey(self.builder, key)
        return int(tflite.SignatureDefEnd(self.builder))

    def _tensor_map(self, name: str, index: int) -> int:
        text = self.builder.CreateString(name)
        tflite.TensorMapStart(self.builder)
        tflite.TensorMapAddName(self.builder, text)
        tflite.TensorMapAddTensorIndex(self.builder, index)
        return int(tflite.TensorMapEnd(self.builder))


def with_tensor(spec: ModelSpec, index: int, **changes: Any) -> ModelSpec:
    """*spec* with fields of tensor *index* of its first graph replaced."""
    graph = spec.graphs[0]
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(spec, graphs=(replace(graph, tensors=tuple(tensors)), *spec.graphs[1:]))


def with_graph(spec: ModelSpec, **changes: Any) -> ModelSpec:
    """*spec* with fields of its first graph replaced."""
    return replace(spec, graphs=(replace(spec.graphs[0], **changes), *spec.graphs[1:]))
