"""What PyPI's ``tflite`` package reads from a model, as plain values in the shape of the plugin's own ``Model``."""

from __future__ import annotations

import struct
from typing import Any

import tflite

from platformio_tflm.core.model import Model, Operator, Subgraph, Tensor

BUILTIN_NAMES = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
OPTION_NAMES = {number: name for name, number in vars(tflite.BuiltinOptions).items() if isinstance(number, int)}
OPTION_NAMES_2 = {number: name for name, number in vars(tflite.BuiltinOptions2).items() if isinstance(number, int)}
DETAIL_NAMES = {number: name for name, number in vars(tflite.QuantizationDetails).items() if isinstance(number, int)}


def camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", errors="replace")


def numbers(table: Any, name: str) -> tuple[Any, ...]:
    return tuple(getattr(table, name)(index) for index in range(getattr(table, f"{name}Length")()))


def options(kind: str, union: Any, names: list[str]) -> tuple[tuple[str, Any], ...]:
    """The values of the named fields, by the package's own accessors."""
    table = getattr(tflite, kind)()
    table.Init(union.Bytes, union.Pos)
    values = []
    for name in names:
        accessor = camel(name)
        if hasattr(table, f"{accessor}Length"):
            values.append((name, numbers(table, accessor)))
        else:
            value = getattr(table, accessor)()
            values.append((name, text(value) if isinstance(value, bytes) else "" if value is None else value))
    return tuple(values)


def buffer_data(model: Any, number: int, data: bytes) -> bytes:
    buffer = model.Buffers(number)
    if buffer.Offset() > 1:
        return data[buffer.Offset() : buffer.Offset() + buffer.Size()]
    return bytes(buffer.DataAsNumpy()) if buffer.DataLength() else b""


def quantization(table: Any) -> tuple[Any, ...] | None:
    """TFLM's rule: nothing without scales and zero points; a single zero point stands for all channels."""
    if table is None or not table.ScaleLength() or not table.ZeroPointLength():
        return None
    scale, zero_point = numbers(table, "Scale"), numbers(table, "ZeroPoint")
    zero_point = zero_point * len(scale) if len(zero_point) == 1 else zero_point
    details = DETAIL_NAMES[table.DetailsType()]
    return scale, zero_point, table.QuantizedDimension(), "" if details == "NONE" else details


def tensor(model: Any, table: Any, data: bytes) -> dict[str, Any]:
    return {
        "name": text(table.Name()),
        "type": table.Type(),
        "shape": numbers(table, "Shape"),
        "shape_signature": numbers(table, "ShapeSignature"),
        "data": buffer_data(model, table.Buffer(), data),
        "buffer": table.Buffer(),
        "quantization": quantization(table.Quantization()),
        "is_variable": bool(table.IsVariable()),
        "has_rank": bool(table.HasRank()),
        "sparse": table.Sparsity() is not None,
    }


def our_tensor(model: Model, ours: Tensor) -> dict[str, Any]:
    quantized = ours.quantization
    return {
        "name": ours.name,
        "type": ours.type.value,
        "shape": ours.shape,
        "shape_signature": ours.shape_signature,
        "data": model.buffer_bytes(ours.buffer),
        "buffer": ours.buffer.index,
        "quantization": quantized and (quantized.scale, quantized.zero_point, quantized.dimension, quantized.details),
        "is_variable": ours.is_variable,
        "has_rank": ours.has_rank,
        "sparse": ours.sparse,
    }


def operator(model: Any, table: Any, ours: Operator) -> dict[str, Any]:
    """*ours* gives the names of the options to look up, so a field that it lacks shows up in the schema's test."""
    code = model.OperatorCodes(table.OpcodeIndex())
    number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
    kind, union = OPTION_NAMES[table.BuiltinOptionsType()], table.BuiltinOptions()
    if kind == "NONE":
        kind, union = OPTION_NAMES_2[table.BuiltinOptions2Type()], table.BuiltinOptions2()
    names = [name for name, _ in ours.options]
    return {
        "name": text(code.CustomCode()) if number == tflite.BuiltinOperator.CUSTOM else BUILTIN_NAMES[number],
        "number": number,
        "version": code.Version(),
        "inputs": numbers(table, "Inputs"),
        "outputs": numbers(table, "Outputs"),
        "intermediates": numbers(table, "Intermediates"),
        "options_type": "" if kind == "NONE" else kind,
        "options": () if kind == "NONE" else options(kind, union, names),
        "custom_options": bytes(numbers(table, "CustomOptions")),
    }


def our_operator(ours: Operator) -> dict[str, Any]:
    return {
        "name": ours.code.name,
        "number": ours.code.builtin_code,
        "version": ours.code.version,
        "inputs": ours.inputs,
        "outputs": ours.outputs,
        "intermediates": ours.intermediates,
        "options_type": ours.options_type,
        "options": ours.options,
        "custom_options": ours.custom_options,
    }


def compare_subgraph(model: Any, table: Any, ours: Model, subgraph: Subgraph) -> None:
    assert subgraph.name == text(table.Name())
    assert subgraph.inputs == numbers(table, "Inputs")
    assert subgraph.outputs == numbers(table, "Outputs")
    assert len(subgraph.tensors) == table.TensorsLength()
    assert len(subgraph.operators) == table.OperatorsLength()
    for index, each in enumerate(subgraph.tensors):
        assert each.index == index
        assert our_tensor(ours, each) == tensor(model, table.Tensors(index), ours.data)
    for index, node in enumerate(subgraph.operators):
        assert node.index == index
        assert our_operator(node) == operator(model, table.Operators(index), node)


def compare(ours: Model) -> None:
    """Assert that *ours* says of its bytes what the package says."""
    model = tflite.Model.GetRootAs(ours.data, 0)
    assert ours.schema_version == model.Version()
    assert ours.description == text(model.Description())
    assert len(ours.subgraphs) == model.SubgraphsLength()
    for index, subgraph in enumerate(ours.subgraphs):
        compare_subgraph(model, model.Subgraphs(index), ours, subgraph)
    assert len(ours.buffers) == model.BuffersLength()
    for buffer in ours.buffers:
        assert ours.buffer_bytes(buffer) == buffer_data(model, buffer.index, ours.data)
        assert buffer.external == (model.Buffers(buffer.index).Offset() > 1)
    tables = [model.Metadata(index) for index in range(model.MetadataLength())]
    assert [(entry.name, entry.buffer.index) for entry in ours.metadata] == [
        (text(table.Name()), table.Buffer()) for table in tables
    ]
    compare_signatures(model, ours)


def compare_signatures(model: Any, ours: Model) -> None:
    assert len(ours.signatures) == model.SignatureDefsLength()
    for index, signature in enumerate(ours.signatures):
        table = model.SignatureDefs(index)
        assert signature.key == text(table.SignatureKey())
        assert signature.subgraph_index == table.SubgraphIndex()
        for name, entries in (("Inputs", signature.inputs), ("Outputs", signature.outputs)):
            expected = [getattr(table, name)(position) for position in range(getattr(table, f"{name}Length")())]
            assert [(entry.name, entry.tensor_index) for entry in entries] == [
                (text(each.Name()), each.TensorIndex()) for each in expected
            ]


def float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])
