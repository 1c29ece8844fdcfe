"""Reading models: against PyPI's tflite package, against damage, and against what is no model at all."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from struct import pack_into, unpack_from

import flatbuffers
import numpy as np
import pytest
import tflite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models import authority, make_models
from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize, with_graph, with_tensor

from platformio_tflm.core import tflite_schema
from platformio_tflm.core.foreign import shown
from platformio_tflm.core.model import Model, TensorType
from platformio_tflm.core.tflite import read_model
from platformio_tflm.core.tflite_checks import called_subgraphs
from platformio_tflm.core.tflite_sniff import identify
from platformio_tflm.errors import ExitCode, ModelError

OWN = sorted(make_models.FOLDER.glob("*.tflite"))
SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "models"
PUBLIC = sorted(SHARED.glob("*.tflite"))
SPECS = make_models.specifications()
DENSE = SPECS["fully_connected_int8"]


def own(name: str) -> Model:
    return read_model((make_models.FOLDER / f"{name}.tflite").read_bytes())


# --- the models themselves


def test_models_are_what_the_script_makes() -> None:
    made = make_models.make_all()
    assert {path.stem for path in OWN} == set(made)
    for path in OWN:
        assert path.read_bytes() == made[path.stem], path.name
        assert path.stat().st_size < 4096, path.name


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_models_run_on_real_tflm(path: Path) -> None:
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="PyPI's tflite-micro is missing")
    model = read_model(path.read_bytes())

    def run() -> None:
        interpreter = runtime.Interpreter.from_bytes(model.data, arena_size=1 << 18)
        for index, tensor in enumerate(model.inputs()):
            kind = interpreter.get_input_details(index)["dtype"]
            interpreter.set_input(np.ones(tensor.shape, dtype=kind), index)
        interpreter.invoke()
        for index, tensor in enumerate(model.outputs()):
            assert interpreter.get_output(index).shape == tensor.shape

    if path.stem in make_models.REFUSED_BY_TFLM:
        with pytest.raises(RuntimeError):
            run()
    else:
        run()


# --- field by field


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_own_models_field_by_field(path: Path) -> None:
    authority.compare(read_model(path.read_bytes()))


@pytest.mark.skipif(not PUBLIC, reason="the public models (../shared/models) are not here")
def test_public_models_field_by_field() -> None:
    for path in PUBLIC:
        authority.compare(read_model(path.read_bytes()))


def test_operator_numbers() -> None:
    for number, name in authority.BUILTIN_NAMES.items():
        assert tflite_schema.OPERATOR_NAMES[number] == name


@pytest.mark.parametrize(
    ("ours", "theirs"), [("BUILTIN_OPTIONS", "OPTION_NAMES"), ("BUILTIN_OPTIONS_2", "OPTION_NAMES_2")]
)
def test_option_unions(ours: str, theirs: str) -> None:
    names = getattr(tflite_schema, ours)
    for number, name in getattr(authority, theirs).items():
        assert names[number] == name


_VALUES = {"byte": 3, "bool": True, "int": -5, "uint": 6, "long": -(1 << 40), "float": 0.75, "string": "text"}
_ITEMS = {
    "int": ("Int32", 4),
    "uint": ("Uint32", 4),
    "long": ("Int64", 8),
    "bool": ("Bool", 1),
    "float": ("Float32", 4),
}
_ITEMS["ubyte"] = ("Uint8", 1)


def _vector(builder: flatbuffers.Builder, kind: str) -> int:
    method, size_bytes = _ITEMS[kind]
    value = 2.5 if kind == "float" else 1
    builder.StartVector(size_bytes, 2, size_bytes)
    getattr(builder, f"Prepend{method}")(value)
    getattr(builder, f"Prepend{method}")(value)
    return int(builder.EndVector())


def _options_model(kind: str, fields: list[tuple[str, str]], second_union: bool) -> bytes:
    """A model of one operator whose options table has every field set, written by the tflite package."""
    builder = flatbuffers.Builder(256)
    ready = {}
    for name, type_name in fields:
        if type_name.startswith("["):
            ready[name] = _vector(builder, type_name[1:-1])
        else:
            ready[name] = builder.CreateString("text") if type_name == "string" else _VALUES[type_name]
    getattr(tflite, f"{kind}Start")(builder)
    for name, value in ready.items():
        getattr(tflite, f"{kind}Add{authority.camel(name)}")(builder, value)
    options = getattr(tflite, f"{kind}End")(builder)
    tflite.OperatorStart(builder)
    if second_union:
        tflite.OperatorAddBuiltinOptions2Type(builder, getattr(tflite.BuiltinOptions2, kind))
        tflite.OperatorAddBuiltinOptions2(builder, options)
    else:
        tflite.OperatorAddBuiltinOptionsType(builder, getattr(tflite.BuiltinOptions, kind))
        tflite.OperatorAddBuiltinOptions(builder, options)
    return _model_of_one_operator(builder, tflite.OperatorEnd(builder))


def _model_of_one_operator(builder: flatbuffers.Builder, operator: int) -> bytes:
    def vector(offset: int) -> int:
        builder.StartVector(4, 1, 4)
        builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    operators = vector(operator)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddOperators(builder, operators)
    subgraphs = vector(tflite.SubGraphEnd(builder))
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, 9)
    codes = vector(tflite.OperatorCodeEnd(builder))
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, codes)
    tflite.ModelAddSubgraphs(builder, subgraphs)
    builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _fields(kind: str) -> list[tuple[str, str]]:
    words = tflite_schema.OPTION_FIELDS[kind].split()
    pairs = [tuple(word.split("=")[0].split(":")) for word in words if not word.startswith("-")]
    return [(name, type_name) for name, type_name in pairs if hasattr(tflite, f"{kind}Add{authority.camel(name)}")]


@pytest.mark.parametrize("kind", [name for name in tflite_schema.OPTION_FIELDS if hasattr(tflite, f"{name}Start")])
def test_every_options_table(kind: str) -> None:
    """Each field of each options table, set by the package and read back; a wrong slot or type cannot hide."""
    fields = _fields(kind)
    second = kind in tflite_schema.BUILTIN_OPTIONS_2
    if any(name.endswith("subgraph_index") for name, _ in fields) or kind in (
        "CallOptions",
        "StablehloCustomCallOptions",
    ):
        # A subgraph that does not exist is refused, so here the reference is to one that calls itself.
        with pytest.raises(ModelError, match=r"calls? "):
            read_model(_options_model(kind, fields, second))
        return
    operator = read_model(_options_model(kind, fields, second)).main.operators[0]
    assert operator.options_type == kind
    read = dict(operator.options)
    for name, type_name in fields:
        if type_name.startswith("["):
            assert read[name] == ((2.5, 2.5) if type_name == "[float]" else (1, 1)), name
        else:
            assert read[name] == _VALUES[type_name], name
            assert type(read[name]) is type(_VALUES[type_name]), name


def test_defaults_come_from_the_schema() -> None:
    conv = own("convolution_int8").main.operators[0]
    assert conv.options == (
        ("padding", 0),
        ("stride_w", 1),
        ("stride_h", 1),
        ("fused_activation_function", 3),
        ("dilation_w_factor", 1),
        ("dilation_h_factor", 1),
        ("quantized_bias_type", 0),
    )
    assert own("if_subgraphs").subgraphs[1].operators[0].option("pot_scale_int16") is True


def test_options_newer_than_the_tables_are_opaque() -> None:
    data = bytearray(_options_model("SoftmaxOptions", [("beta", "float")], second_union=False))
    table = tflite.Model.GetRootAs(data, 0).Subgraphs(0).Operators(0)._tab
    data[table.Pos + table.Offset(10)] = 200
    operator = read_model(bytes(data)).main.operators[0]
    assert operator.options_type == "BuiltinOptions 200"
    assert operator.options == ()


def test_streaming_model() -> None:
    model = own("streaming_int8")
    assert model.resource_names() == ("stream/states",)
    assert [len(subgraph.operators) for subgraph in model.subgraphs] == [8, 2]
    assert called_subgraphs(model.main.operators[0]) == (1,)
    assert model.main.tensors[1].type is TensorType.RESOURCE


def test_per_channel_quantization() -> None:
    weights = own("per_channel_int8").main.tensors[1]
    assert weights.quantization is not None
    assert weights.quantization.per_channel
    assert weights.quantization.zero_point == (0,) * 8
    assert own("per_channel_int8").main.operators[0].inputs == (0, 1, -1)


def test_external_buffers() -> None:
    inside, outside = own("fully_connected_int8"), own("external_buffers")
    assert all(buffer.external for buffer in outside.buffers if buffer.size_bytes)
    for one, other in zip(inside.main.tensors, outside.main.tensors, strict=True):
        assert inside.buffer_bytes(one.buffer) == outside.buffer_bytes(other.buffer)


def test_variables_metadata_signatures_and_customs() -> None:
    assert [tensor.name for tensor in own("svdf_int8").main.tensors if tensor.is_variable] == ["state"]
    dense = own("fully_connected_int8")
    assert dense.buffer_bytes(dense.metadata[0].buffer) == b"1.14.0\0\0"
    assert dense.signatures[0].inputs[0].name == "tensor_0"
    custom = own("custom_operator").main.operators[0]
    assert (custom.code.name, custom.code.version, len(custom.custom_options)) == ("MovingMedian", 2, 12)


def test_old_operator_codes() -> None:
    """Files from before TensorFlow 2.4 have the 8-bit code only."""
    data = _options_model("SoftmaxOptions", [("beta", "float")], second_union=False)
    assert read_model(data).main.operators[0].code.name == "FULLY_CONNECTED"


# --- refusals of files that are no models

NOT_MODELS: dict[str, tuple[bytes, str]] = {
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x10", "an ONNX model"),
    "saved_model.pb": (b"\x08\x01\x12\x93\x10\x0a\x80", "a TensorFlow SavedModel"),
    "frozen.pb": (b"\x0a\x1d\x0a\x05input\x12\x0bPlaceholder*\x07", "a frozen TensorFlow graph (.pb)"),
    "keras zip": (b"PK\x03\x04" + bytes(26) + b"model.weights.h5", "a Keras model (.keras)"),
    "zip of a SavedModel": (b"PK\x03\x04" + bytes(26) + b"m/saved_model.pb", "a zipped TensorFlow SavedModel"),
    "pytorch zip": (b"PK\x03\x04" + bytes(26) + b"archive/data.pkl", "a PyTorch model"),
    "zip of a tflite": (b"PK\x03\x04" + bytes(26) + b"model_unquant.tflite", "a zip archive that holds a .tflite"),
    "zip": (b"PK\x03\x04" + bytes(26) + b"readme", "a zip archive"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file, such as a Keras .h5"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a Git LFS pointer, not the file it stands for",
    ),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(8), "a gzip archive"),
    "xz": (b"\xfd7zXZ\x00\x00\x04", "an xz archive"),
    "bzip2": (b"BZh91AY&SY", "a bzip2 archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7-Zip archive"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x58", "a zstd archive"),
    "tar": (b"model.tflite" + bytes(245) + b"ustar\x0000" + bytes(200), "a tar archive"),
    "elf": (b"\x7fELF\x01\x01\x01" + bytes(9), "an ELF file, a compiled program"),
    "xxd": (
        b"unsigned char model_tflite[] = {\n  0x20, 0x00, 0x00, 0x00, 0x54, 0x46, 0x4c, 0x33\n};\n",
        "C source, as xxd -i writes it",
    ),
    "html": (b"\n<!DOCTYPE html>\n<html><head><title>Not found</title>", "an HTML page, probably of a failed download"),
    "json": (b'{"modelTopology": {}}', "JSON text"),
    "text": (b"hello model\n", "a text file"),
    "numpy": (b"\x93NUMPY\x01\x00", "a NumPy array"),
    "pickle": (b"\x80\x04\x95\x10\x00\x00\x00\x00", "a Python pickle"),
    "executable": (b"MZ\x90\x00\x03\x00\x00\x00", "a Windows program"),
    "jpeg": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a JPEG picture"),
    "png": (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    "pdf": (b"%PDF-1.7\n\xc4\xe5", "a PDF document"),
    "zeros": (bytes(4096), "4,096 bytes of 0x00"),
    "erased flash": (b"\xff" * 64, "64 bytes of 0xff"),
    "another FlatBuffer": (b"\x1c\x00\x00\x00ET12\x00\x00\xff\xfe", 'a file with the identifier "ET12"'),
}


@pytest.mark.parametrize(("data", "what"), NOT_MODELS.values(), ids=NOT_MODELS.keys())
def test_what_is_no_model_is_named(data: bytes, what: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(data)
    assert caught.value.what == f"is not a TensorFlow Lite model but {what}"
    assert caught.value.hint
    assert caught.value.exit_code is ExitCode.INPUT


PLAIN_REFUSALS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty (0 bytes)"),
    "truncated": (b"\x1c\x00\x00\x00\xfa\x01", "has only 6 bytes, too few for a TensorFlow Lite model"),
    "no identifier": (
        b"\x1c\x00\x00\x00\x00\x01\xfe\x90" + bytes(range(128, 160)),
        'is not a TensorFlow Lite model: the identifier "TFL3" is missing at byte 4',
    ),
    "older identifier": (
        b"\x1c\x00\x00\x00TFL2" + bytes(32),
        "is written in another version of the TensorFlow Lite schema (identifier TFL2, allowed is version 3)",
    ),
    "other version": (
        serialize(replace(DENSE, version=4)),
        "is written in another version of the TensorFlow Lite schema (version 4, allowed is version 3)",
    ),
    "no subgraph": (serialize(ModelSpec(())), "has no subgraph, nothing to run"),
    "over the limit": (
        serialize(DENSE) + bytes(64 << 20),
        "has 67,110,368 bytes, more than the 67,108,864 allowed for a model",
    ),
    "offset out of range": (
        b"\xff\xff\xff\x7fTFL3" + bytes(32),
        "the root table should lie at bytes 2,147,483,647 to 2,147,483,651, but the file has 40",
    ),
    "a loop": (b"\x00\x00\x00\x00TFL3" + bytes(32), "the offset to the root table at byte 0 points at itself, a loop"),
}


@pytest.mark.parametrize(("data", "what"), PLAIN_REFUSALS.values(), ids=PLAIN_REFUSALS.keys())
def test_refusals(data: bytes, what: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(data)
    assert caught.value.what == what
    assert caught.value.hint


def test_located_error_is_one_block() -> None:
    with pytest.raises(ModelError) as caught:
        read_model(b"")
    assert str(caught.value.located("models/a.tflite")) == (
        "models/a.tflite: is empty (0 bytes)\n  Copy or convert the model again."
    )


# --- refusals of models that contradict themselves


def _calling(*calls: tuple[str, int]) -> ModelSpec:
    """A subgraph for each entry, whose only operator calls the subgraph named."""
    options = {"IF": "ThenSubgraphIndex", "CALL_ONCE": "InitSubgraphIndex", "WHILE": "CondSubgraphIndex"}
    kinds = {"IF": "IfOptions", "CALL_ONCE": "CallOnceOptions", "WHILE": "WhileOptions"}
    last = len(calls)
    extra = {"IF": {"ElseSubgraphIndex": last}, "WHILE": {"BodySubgraphIndex": last}, "CALL_ONCE": {}}
    graphs = [
        GraphSpec((), (), (), (OperatorSpec(code, (), (), (kinds[code], {options[code]: index, **extra[code]})),))
        for code, index in calls
    ]
    return ModelSpec((*graphs, GraphSpec((), (), (), ())))


def _dense_operators(*operators: OperatorSpec) -> ModelSpec:
    return with_graph(DENSE, operators=operators)


_FIRST, _SECOND = DENSE.graphs[0].operators
_DAMAGED = "The file is cut off or damaged: copy it again, or convert the model again."
_STATIC = "Convert the model with a fixed input shape: a microcontroller's memory is planned at build time."

CONTRADICTIONS: dict[str, tuple[ModelSpec, str, str, str]] = {
    "unknown batch": (
        with_tensor(DENSE, 0, shape=(-1, 8)),
        "subgraph 0, tensor 0 (input)",
        "has the dynamic shape [-1, 8]",
        _STATIC,
    ),
    "empty batch": (
        with_tensor(DENSE, 6, shape=(0, 2)),
        "subgraph 0, tensor 6 (output)",
        "has the dynamic shape [0, 2]",
        _STATIC,
    ),
    "dynamic inside": (
        with_tensor(DENSE, 3, shape=(1, 0)),
        "subgraph 0, tensor 3 (first/output)",
        "has the dynamic shape [1, 0]",
        _STATIC,
    ),
    "overflowing shape": (
        with_tensor(DENSE, 0, shape=(2_000_000, 2_000_000)),
        "subgraph 0, tensor 0 (input)",
        "needs 4,000,000,000,000 bytes (shape [2000000, 2000000]), allowed are 2,147,483,647",
        "No microcontroller can address that; the file is damaged, or the model is not made for one.",
    ),
    "seventeen dimensions": (
        with_tensor(DENSE, 0, shape=(1,) * 17),
        "subgraph 0, tensor 0 (input)",
        "has 17 dimensions, allowed are 16",
        _DAMAGED,
    ),
    "constant too short": (
        with_tensor(DENSE, 1, data=bytes(31)),
        "subgraph 0, tensor 1 (first/weights)",
        "has 31 bytes of constant data, but INT8 [4, 8] takes 32",
        _DAMAGED,
    ),
    "constant too long": (
        with_tensor(DENSE, 2, data=bytes(20)),
        "subgraph 0, tensor 2 (first/bias)",
        "has 20 bytes of constant data, but INT32 [4] takes 16",
        _DAMAGED,
    ),
    "scales and zero points": (
        with_tensor(DENSE, 1, scale=(0.1, 0.2, 0.3, 0.4), zero_point=(0, 0, 0)),
        "subgraph 0, tensor 1 (first/weights)",
        "has 4 scales, but 3 zero points",
        _DAMAGED,
    ),
    "scale not finite": (
        with_tensor(DENSE, 0, scale=(float("inf"),)),
        "subgraph 0, tensor 0 (input)",
        "has a quantization scale that is not a finite number",
        _DAMAGED,
    ),
    "operators in the wrong order": (
        _dense_operators(_SECOND, _FIRST),
        "subgraph 0, operator 0 (FULLY_CONNECTED)",
        "tensor 3 is used before it is written",
        _DAMAGED,
    ),
    "output never written": (
        _dense_operators(_FIRST),
        "subgraph 0",
        "output tensor 6 is never written",
        _DAMAGED,
    ),
    "input out of range": (
        _dense_operators(replace(_FIRST, inputs=(0, 99, 2))),
        "subgraph 0, operator 0 (FULLY_CONNECTED)",
        "the inputs name tensor 99, but there are 7 tensors",
        _DAMAGED,
    ),
    "output of -1": (
        _dense_operators(replace(_FIRST, outputs=(-1,))),
        "subgraph 0, operator 0 (FULLY_CONNECTED)",
        "the outputs name tensor -1, but there are 7 tensors",
        _DAMAGED,
    ),
    "model input out of range": (
        with_graph(DENSE, inputs=(7,)),
        "subgraph 0",
        "the inputs name tensor 7, but there are 7 tensors",
        _DAMAGED,
    ),
    "constant as an operator's output": (
        _dense_operators(_FIRST, replace(_SECOND, outputs=(1,))),
        "subgraph 0, operator 1 (FULLY_CONNECTED)",
        "output tensor 1 is a constant, which cannot be written",
        _DAMAGED,
    ),
    "stride of nothing": (
        _dense_operators(replace(_FIRST, code="CONV_2D", options=("Conv2DOptions", {"StrideH": 1}))),
        "subgraph 0, operator 0 (CONV_2D)",
        "has stride_w 0, but it should be at least 1",
        _DAMAGED,
    ),
    "stride backwards": (
        _dense_operators(
            replace(_FIRST, code="TRANSPOSE_CONV", options=("TransposeConvOptions", {"StrideW": 1, "StrideH": -100}))
        ),
        "subgraph 0, operator 0 (TRANSPOSE_CONV)",
        "has stride_h -100, but it should be at least 1",
        _DAMAGED,
    ),
    "compressed data without elements": (
        replace(with_tensor(DENSE, 1, shape=(4, 0)), metadata={"COMPRESSION_METADATA": bytes(16)}),
        "subgraph 0, tensor 1 (first/weights)",
        "has 32 bytes of constant data, but its shape is [4, 0]",
        _DAMAGED,
    ),
    "zero byte in a custom operator's name": (
        _dense_operators(OperatorSpec("Median\0Other", (0,), (6,))),
        "",
        "the name of operator code 0 (Median?Other) has a zero byte in it",
        _DAMAGED,
    ),
    "calls itself": (_calling(("CALL_ONCE", 0)), "", "subgraphs call each other in a loop: 0 -> 0", _DAMAGED),
    "calls in a circle": (
        _calling(("IF", 1), ("WHILE", 2), ("CALL_ONCE", 0)),
        "",
        "subgraphs call each other in a loop: 0 -> 1 -> 2 -> 0",
        _DAMAGED,
    ),
    "calls nothing": (
        _calling(("IF", 7)),
        "",
        "operator 0 (IF) calls subgraph 7, but there are 2",
        _DAMAGED,
    ),
    "calls by the options of another operator": (
        _dense_operators(OperatorSpec("IF", (0,), (6,), ("WhileOptions", {"BodySubgraphIndex": 0}))),
        "",
        "operator 0 (IF) does not say which subgraph it calls",
        _DAMAGED,
    ),
    "calls without saying what": (
        ModelSpec((GraphSpec((), (), (), (OperatorSpec("WHILE", (), ()),)),)),
        "",
        "operator 0 (WHILE) does not say which subgraph it calls",
        _DAMAGED,
    ),
    "calls too deep": (
        _calling(*(("CALL_ONCE", index + 1) for index in range(20))),
        "",
        "subgraphs call each other more than 16 deep",
        _DAMAGED,
    ),
    "control characters in a name": (
        with_tensor(DENSE, 0, name='a\n"; rm -rf\x1b[31m' + "x" * 100, shape=(-1,)),
        'subgraph 0, tensor 0 (a?"; rm -rf?[31m' + "x" * 41 + "...)",
        "has the dynamic shape [-1]",
        _STATIC,
    ),
}


@pytest.mark.parametrize(("spec", "where", "what", "hint"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_contradictions(spec: ModelSpec, where: str, what: str, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_model(serialize(spec))
    assert (caught.value.where, caught.value.what, caught.value.hint) == (where, what, hint)


def test_calls_that_multiply() -> None:
    """Fifteen subgraphs that call the next one nine times: small to store, endless to plan."""
    graphs = []
    for index in range(15):
        options = ("WhileOptions", {"CondSubgraphIndex": index + 1, "BodySubgraphIndex": index + 1})
        graphs.append(GraphSpec((), (), (), (OperatorSpec("WHILE", (), (), options),) * 9))
    with pytest.raises(ModelError, match="runs more than 100,000 operators"):
        read_model(serialize(ModelSpec((*graphs, GraphSpec((), (), (), ())))))


def test_depth_counts_whatever_is_looked_into_first() -> None:
    """The first subgraph calls the far end of a long chain first, then the stretches before it."""
    starts = [*range(241, 0, -14)]
    options = [("CallOnceOptions", {"InitSubgraphIndex": start}) for start in starts]
    first = GraphSpec((), (), (), tuple(OperatorSpec("CALL_ONCE", (), (), option) for option in options))
    chain = _calling(*(("CALL_ONCE", index + 1) for index in range(255))).graphs[1:]
    with pytest.raises(ModelError, match="subgraphs call each other more than 16 deep"):
        read_model(serialize(ModelSpec((first, *chain))))


def test_a_long_name_costs_once() -> None:
    """Sixteen thousand operators with one name of ten million letters."""
    operators = (OperatorSpec("n" * 10_000_000, (), ()),) * 16_000
    data = serialize(ModelSpec((GraphSpec((), (), (), operators),)))
    started = time.process_time()
    read_model(data)
    assert time.process_time() - started < 1.5


ACCEPTED: dict[str, ModelSpec] = {
    "open batch in the signature": with_tensor(DENSE, 0, signature=(-1, 8)),
    "empty tensor that nobody computes": with_graph(
        DENSE, tensors=(*DENSE.graphs[0].tensors, TensorSpec("effective_scale", "INT16", (0,)))
    ),
    "constant as output": with_graph(DENSE, outputs=(6, 1)),
    "scratch of a custom operator": _dense_operators(
        OperatorSpec("accelerator", (0, 1, 2, 3, 4, 5), (6,), custom_options=b"\x01\x04\x01")
    ),
    "compressed weights": replace(with_tensor(DENSE, 1, data=bytes(8)), metadata={"COMPRESSION_METADATA": bytes(16)}),
    "scalar": with_graph(DENSE, tensors=(*DENSE.graphs[0].tensors, TensorSpec("scalar", "FLOAT32", (), b"\0\0\0\0"))),
    "no operators": with_graph(DENSE, operators=(), outputs=(0,)),
}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_runs_is_accepted(spec: ModelSpec) -> None:
    authority.compare(read_model(serialize(spec)))


# --- damage


def _refusal(data: bytes) -> ModelError | None:
    try:
        read_model(data)
    except ModelError as error:
        return error
    return None


def _reads_or_refuses(data: bytes) -> bool:
    """True if the model was read; anything but a ModelError fails the test."""
    refusal = _refusal(data)
    if refusal:
        assert refusal.what
        assert refusal.hint
        assert "\n" not in refusal.what + refusal.where
        return False
    model = read_model(data)
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            assert len(model.buffer_bytes(tensor.buffer)) == tensor.buffer.size_bytes
    return True


SEEDS = [path.read_bytes() for path in OWN]


def test_every_truncation_is_refused() -> None:
    for seed in (SEEDS[0], (make_models.FOLDER / "streaming_int8.tflite").read_bytes()):
        for length in range(0, len(seed) - 64, 7):
            with pytest.raises(ModelError):
                read_model(seed[:length])


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A model with a few bytes, words or stretches changed."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(8, len(data) - 8))
        kind = draw(st.sampled_from(["byte", "word", "offset", "copy", "cut"]))
        if kind == "byte":
            data[position] = draw(st.integers(0, 255))
        elif kind == "word":
            word = draw(st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x01000000]))
            pack_into("<I", data, position & ~3, word)
        elif kind == "offset":
            value = unpack_from("<I", data, position & ~3)[0]
            pack_into("<I", data, position & ~3, (value + draw(st.integers(-64, 64))) & 0xFFFFFFFF)
        elif kind == "copy":
            source = draw(st.integers(8, len(data) - 8))
            length = draw(st.integers(1, 64))
            data[position : position + length] = data[source : source + length]
        else:
            del data[position : position + draw(st.integers(1, 16)) * 4]
        if len(data) < 32:
            break
    return bytes(data)


@settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutations())
def test_damaged_models_are_read_or_refused(data: bytes) -> None:
    _reads_or_refuses(data)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        read_model(data)
    with pytest.raises(ModelError):
        read_model(b"\x10\x00\x00\x00TFL3" + data)


# --- cost


def _root(builder: flatbuffers.Builder, subgraphs: int) -> bytes:
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddSubgraphs(builder, subgraphs)
    builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _shared_tensor_model(count: int, shape_length: int, name_length: int = 1, subgraphs: int = 1) -> bytes:
    """*count* references to one tensor with a long shape and name: a small file that would unfold to gigabytes."""
    builder = flatbuffers.Builder(1 << 20)
    name = builder.CreateString("n" * name_length)
    builder.StartVector(4, shape_length, 4)
    for _ in range(shape_length):
        builder.PrependInt32(1)
    shape = builder.EndVector()
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, shape)
    tflite.TensorAddName(builder, name)
    tensor = tflite.TensorEnd(builder)
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, tensors)
    subgraph = tflite.SubGraphEnd(builder)
    builder.StartVector(4, subgraphs, 4)
    for _ in range(subgraphs):
        builder.PrependUOffsetTRelative(subgraph)
    return _root(builder, builder.EndVector())


@dataclass(frozen=True)
class _Shared:
    """A subgraph that points so many times at one operator, which has so many times the tensor 0 as input."""

    operators: int
    inputs: int = 0
    calls: int = 0


def _graphs(graphs: list[_Shared]) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    tflite.TensorStart(builder)
    tflite.TensorAddIsVariable(builder, True)
    tensor = int(tflite.TensorEnd(builder))
    codes = _repeated(builder, [_operator_code(builder, number) for number in (0, tflite.BuiltinOperator.CALL_ONCE)])
    written = {graph: _shared_graph(builder, graph, tensor) for graph in dict.fromkeys(graphs)}
    subgraphs = _repeated(builder, [written[graph] for graph in graphs])
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, codes)
    tflite.ModelAddSubgraphs(builder, subgraphs)
    builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _shared_graph(builder: flatbuffers.Builder, graph: _Shared, tensor: int) -> int:
    tensors = _repeated(builder, [tensor])
    inputs, outputs = _zeros(builder, graph.inputs), _zeros(builder, 1)
    options = 0
    if graph.calls:
        tflite.CallOnceOptionsStart(builder)
        tflite.CallOnceOptionsAddInitSubgraphIndex(builder, graph.calls)
        options = tflite.CallOnceOptionsEnd(builder)
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, int(bool(graph.calls)))
    tflite.OperatorAddInputs(builder, inputs)
    if graph.inputs:
        tflite.OperatorAddOutputs(builder, outputs)
    if options:
        tflite.OperatorAddBuiltinOptionsType(builder, tflite.BuiltinOptions.CallOnceOptions)
        tflite.OperatorAddBuiltinOptions(builder, options)
    operators = _repeated(builder, [tflite.OperatorEnd(builder)] * graph.operators)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, tensors)
    tflite.SubGraphAddOperators(builder, operators)
    return int(tflite.SubGraphEnd(builder))


def _operator_code(builder: flatbuffers.Builder, number: int) -> int:
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddBuiltinCode(builder, number)
    return int(tflite.OperatorCodeEnd(builder))


def _table(builder: flatbuffers.Builder, start: Callable[..., None], end: Callable[..., int]) -> int:
    start(builder)
    return int(end(builder))


def _repeated(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _zeros(builder: flatbuffers.Builder, count: int) -> int:
    builder.StartVector(4, count, 4)
    for _ in range(count):
        builder.PrependInt32(0)
    return int(builder.EndVector())


def _signatures(count: int, tensors: int) -> bytes:
    builder = flatbuffers.Builder(1 << 16)
    entries = _repeated(builder, [_table(builder, tflite.TensorMapStart, tflite.TensorMapEnd)] * tensors)
    tflite.SignatureDefStart(builder)
    tflite.SignatureDefAddInputs(builder, entries)
    signatures = _repeated(builder, [tflite.SignatureDefEnd(builder)] * count)
    subgraphs = _repeated(builder, [_table(builder, tflite.SubGraphStart, tflite.SubGraphEnd)])
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddSubgraphs(builder, subgraphs)
    tflite.ModelAddSignatureDefs(builder, signatures)
    builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


ABSURD: dict[str, tuple[Callable[[], bytes], str]] = {
    "a million tensors": (
        lambda: _shared_tensor_model(1_000_000, 1),
        "lists 1,000,000 tensors, more than the 16,384 that are read",
    ),
    "one long shape, shared": (
        lambda: _shared_tensor_model(16_000, 200_000),
        "has 200000 dimensions, allowed are 16",
    ),
    "one long name, shared": (
        lambda: _shared_tensor_model(16_000, 1, name_length=100_000),
        "holds more names and custom options (over 16 MiB) than any model for a microcontroller",
    ),
    "a million tensors in many subgraphs": (
        lambda: _shared_tensor_model(16_000, 16, subgraphs=256),
        "lists 4,096,000 tensors, more than the 16,384 that are read",
    ),
    "a million operators in many subgraphs": (
        lambda: _graphs([_Shared(operators=16_000)] * 60),
        "lists 960,000 operators, more than the 16,384 that are read",
    ),
    "a million inputs": (
        lambda: _graphs([_Shared(operators=1, inputs=900_000)]),
        "lists 900,001 inputs and outputs of operators, more than the 131,072 that are read",
    ),
    "a million signature tensors": (
        lambda: _signatures(125, 8_000),
        "lists 1,000,000 signature tensors, more than the 4,096 that are read",
    ),
    "a subgraph with many inputs, called often": (
        lambda: _graphs([_Shared(operators=16_000, calls=1), _Shared(operators=1, inputs=100_000)]),
        "its operators take and give tensors 1,600,016,000 times, counting each call of a subgraph; allowed are 400,000",
    ),
}


@pytest.mark.parametrize(("make", "what"), ABSURD.values(), ids=ABSURD.keys())
def test_absurd_files_cost_little(make: Callable[[], bytes], what: str) -> None:
    data = make()
    started = time.process_time()
    with pytest.raises(ModelError) as caught:
        read_model(data)
    assert caught.value.what == what
    assert time.process_time() - started < 1.0
    tracemalloc.start()
    with pytest.raises(ModelError):
        read_model(data)
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()


@pytest.mark.skipif(not PUBLIC, reason="the public models (../shared/models) are not here")
def test_public_models_are_read_quickly() -> None:
    for path in PUBLIC:
        data = path.read_bytes()
        durations = []
        for _ in range(5):
            started = time.process_time()
            read_model(data)
            durations.append(time.process_time() - started)
        assert min(durations) < 0.05, path.name


def test_importing_the_reader_is_cheap() -> None:
    """Neither the tables of foreign formats nor anything of the test's own tools comes along."""
    code = "import sys, platformio_tflm.core.tflite as _; print(*sys.modules)"
    folder = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"numpy", "flatbuffers", "tflite", "json", "hashlib", "platformio_tflm.core.tflite_sniff"}


def test_names_in_messages() -> None:
    assert shown("a\tb\u202e") == "a?b?"
    assert len(shown("x" * 1000)) == 60


def test_identify_leaves_the_unknown_alone() -> None:
    assert identify(b"\x01\x02\x03\x04\x05\x06\x07\x08") is None
