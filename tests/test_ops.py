"""Which models a runtime can run: the table, each rule, and the messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from generated import MODELS, source, standin_runtime
from hypothesis import given, settings
from hypothesis import strategies as st
from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize

from platformio_tflm.core import op_rules
from platformio_tflm.core.model import Model
from platformio_tflm.core.op_rules import RULES
from platformio_tflm.core.op_table import BUILTIN_METHODS, CUSTOM_METHODS
from platformio_tflm.core.op_types import (
    CONSTANT_INPUTS,
    DATA_INPUT,
    DATA_TYPES,
    HIGHEST_VERSIONS,
    LATER_TYPES,
    SAME_TYPE_OUTPUT,
    WEIGHTED,
)
from platformio_tflm.core.ops import all_operators, check_custom_ops, check_model, find_problems, used_operators
from platformio_tflm.core.tflite import read_model
from platformio_tflm.core.tflite_schema import OPERATOR_NAMES
from platformio_tflm.errors import ExitCode, UnsupportedError, UsageError

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
REFUSED = {"mlperf_model_ToyCar_quant.tflite": "hybrid", "tflm_person_detect_vela.tflite": "ethos-u"}


def model_of(code: str, tensors: Iterable[TensorSpec], version: int = 1, output_count: int = 1) -> Model:
    """One operator; the last tensors are its outputs, the others its inputs."""
    specs = tuple(tensors)
    inputs = tuple(range(len(specs) - output_count))
    outputs = tuple(range(len(specs) - output_count, len(specs)))
    dynamic = tuple(index for index in inputs if specs[index].data is None)
    graph = GraphSpec(specs, dynamic, outputs, (OperatorSpec(code, inputs, outputs, version=version),))
    return read_model(serialize(ModelSpec((graph,))))


def tensor(kind: str, *shape: int, data: bytes | None = None, scale: tuple[float, ...] = (0.5,)) -> TensorSpec:
    quantized = kind.startswith(("INT8", "INT16", "INT4"))
    return TensorSpec(
        kind, kind, shape or (4,), data, scale if quantized else (), (0,) * len(scale) if quantized else ()
    )


def dense(activations: str, weights: str, output: str = "", scale: tuple[float, ...] = (0.5,)) -> Model:
    size = {"FLOAT32": 4, "INT8": 1, "INT16": 2, "INT32": 4, "UINT8": 1}.get(weights, 1)
    count = 16 * size if weights != "INT4" else 8
    tensors = (
        tensor(activations, 1, 4),
        tensor(weights, 4, 4, data=bytes(count), scale=scale),
        tensor(output or activations, 1, 4),
    )
    return model_of("FULLY_CONNECTED", tensors)


def problems(model: Model, generation: str = "2026", custom_ops: dict[str, str] | None = None) -> str:
    found = find_problems(model, standin_runtime(generation), custom_ops or {})
    return "; ".join(str(problem) for problem in found)


def test_tables_speak_of_operators_that_exist() -> None:
    assert set(BUILTIN_METHODS) <= set(OPERATOR_NAMES)
    for table in (DATA_TYPES, DATA_INPUT, CONSTANT_INPUTS, HIGHEST_VERSIONS, SAME_TYPE_OUTPUT, WEIGHTED):
        assert set(table) <= set(BUILTIN_METHODS)
    assert {name for name, _ in LATER_TYPES} <= set(DATA_TYPES)
    assert all(kind in DATA_TYPES[name] for name, kind in LATER_TYPES)


def test_names_that_a_rule_of_capitals_gets_wrong() -> None:
    assert BUILTIN_METHODS["CUMSUM"] == "AddCumSum"
    assert BUILTIN_METHODS["PADV2"] == "AddPadV2"
    assert BUILTIN_METHODS["BATCH_MATMUL"] == "AddBatchMatMul"
    assert BUILTIN_METHODS["UNIDIRECTIONAL_SEQUENCE_LSTM"] == "AddUnidirectionalSequenceLSTM"
    assert CUSTOM_METHODS["TFLM_DECODE"] == "AddDecode"
    assert CUSTOM_METHODS["TFLite_Detection_PostProcess"] == "AddDetectionPostprocess"
    signal = {name: method for name, method in CUSTOM_METHODS.items() if name.startswith("Signal")}
    assert len(signal) == 14
    assert all(method == f"Add{name.removeprefix('Signal')}" for name, method in signal.items())


def test_every_rule_is_listed_and_has_a_reason() -> None:
    rules = {value for name, value in vars(op_rules).items() if name.startswith("constraint_")}
    assert rules == {rule for rule, _ in RULES}
    for rule in rules:
        assert (rule.__doc__ or "").strip().splitlines()[0].endswith(".")


REFUSED_OWN = {
    "hybrid_fully_connected": "float32 activations with int8 weights",
    "external_buffers": "tensor 1 is stored outside",
}


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.tflite")), ids=lambda path: path.stem)
def test_own_models(path: Path) -> None:
    model = source(path.stem).model
    custom_ops = {"MovingMedian": "Register_MOVING_MEDIAN"}
    if path.stem in REFUSED_OWN:
        with pytest.raises(UnsupportedError, match=REFUSED_OWN[path.stem]):
            check_model(model, standin_runtime("2026"), custom_ops)
    else:
        check_model(model, standin_runtime("2026"), custom_ops)


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason="no shared models")
@pytest.mark.parametrize("generation", ["2022", "2023", "2024", "2026"])
def test_public_models(generation: str) -> None:
    for path in sorted((SHARED / "models").glob("*.tflite")):
        found = problems(read_model(path.read_bytes()), generation)
        expected = REFUSED.get(path.name, "")
        assert bool(found) == bool(expected), f"{path.name}: {found}"
        assert expected in found.lower()


def test_message_says_what_where_and_what_to_do() -> None:
    with pytest.raises(UnsupportedError) as error:
        check_model(source("hybrid_fully_connected").model, standin_runtime("2024"), {})
    assert error.value.exit_code == ExitCode.UNSUPPORTED
    text = str(error.value.located("models/hybrid.tflite"))
    for part in ("models/hybrid.tflite", "tflm-standin-2024 1.0.0", "FULLY_CONNECTED", "operator 0", "float32, int8"):
        assert part in text
    assert "re-convert the model with full integer quantization" in text


def test_all_problems_at_once() -> None:
    base = source("fully_connected_float").model
    operators = base.main.operators
    codes = [
        replace(operators[0].code, name="RANGE", builtin_code=96),
        replace(operators[1].code, name="Mine", builtin_code=32, custom=True),
    ]
    changed = tuple(replace(o, code=code) for o, code in zip(operators, codes, strict=True))
    model = replace(base, subgraphs=(replace(base.main, operators=changed),))
    with pytest.raises(UnsupportedError) as error:
        check_model(model, standin_runtime("2026"), {})
    assert "2 kinds of operators" in error.value.what
    assert "RANGE" in error.value.what
    assert "custom_tflm_custom_ops = Mine=Register_Function" in error.value.hint


def test_methods_that_the_library_lacks() -> None:
    model = source("signal_window").model
    assert "no AddWindow in MicroMutableOpResolver" in problems(model, "2023")
    assert problems(model, "2024") == ""
    assert problems(model, "2022", {"SignalWindow": "Register_WINDOW"}) == ""


def test_custom_operators() -> None:
    model = source("custom_operator").model
    assert "unknown custom operator" in problems(model)
    assert problems(model, custom_ops={"MovingMedian": "Register_MOVING_MEDIAN"}) == ""


def test_hybrid_and_weights() -> None:
    assert problems(dense("INT8", "INT8")) == ""
    assert problems(dense("INT16", "INT8")) == ""
    assert problems(dense("FLOAT32", "FLOAT32")) == ""
    assert "float32 activations with int8 weights" in problems(dense("FLOAT32", "INT8"))
    assert "int16 activations with int16 weights" in problems(dense("INT16", "INT16"))
    assert "uint8 data; it takes" in problems(dense("UINT8", "UINT8"))
    assert "int8 in, int16 out" in problems(dense("INT8", "INT8", "INT16"))


def test_int4_weights() -> None:
    assert problems(dense("INT8", "INT4")) == ""
    assert "int4 weights" in problems(dense("INT8", "INT4"), "2022")


def test_per_channel_dense_layers() -> None:
    model = dense("INT8", "INT8", scale=(0.5, 0.25, 0.5, 0.25))
    assert "4 scales, one a channel" in problems(model, "2023")
    assert problems(model, "2024") == ""


def test_data_types_by_generation() -> None:
    assert problems(model_of("RELU", [tensor("INT16"), tensor("INT16")]), "2024") == ""
    assert "int16 data, which libraries take from 2024 on" in problems(
        model_of("RELU", [tensor("INT16"), tensor("INT16")]), "2022"
    )
    assert "int8 data; it takes float32" in problems(model_of("SIN", [tensor("INT8"), tensor("INT8")]))


def test_dequantize_gives_float32() -> None:
    assert problems(model_of("DEQUANTIZE", [tensor("INT8"), tensor("FLOAT32")])) == ""
    assert "float16 out" in problems(model_of("DEQUANTIZE", [tensor("INT8"), tensor("FLOAT16")]))


def test_inputs_that_must_be_constant() -> None:
    shape = tensor("INT32", 4, 2)
    computed = model_of("PAD", [tensor("FLOAT32", 1, 2, 2, 1), shape, tensor("FLOAT32", 1, 4, 4, 1)])
    constant = replace(shape, data=bytes(32))
    assert "input 1 is computed by the model" in problems(computed)
    fixed = model_of("PAD", [tensor("FLOAT32", 1, 2, 2, 1), constant, tensor("FLOAT32", 1, 4, 4, 1)])
    assert problems(fixed) == ""


def test_versions() -> None:
    tensors = [tensor("FLOAT32"), tensor("FLOAT32")]
    assert problems(model_of("SOFTMAX", tensors, version=3)) == ""
    assert "version 4; known are 1 to 3" in problems(model_of("SOFTMAX", tensors, version=4))


def test_sparse_tensors() -> None:
    model = dense("INT8", "INT8")
    tensors = tuple(replace(one, sparse=one.is_constant) for one in model.main.tensors)
    sparse = replace(model, subgraphs=(replace(model.main, tensors=tensors),))
    assert "input 1 is sparse" in problems(sparse)


def test_used_operators_come_once_and_in_order() -> None:
    used = used_operators(source("streaming_int8").model, {})
    assert len({operator.key for operator in used}) == len(used)
    assert [operator.name for operator in used][:2] == ["CALL_ONCE", "VAR_HANDLE"]
    names = {operator.code.name for operator in all_operators(source("streaming_int8").model)}
    assert {operator.name for operator in used} == names


@pytest.mark.parametrize("function", ["", "f()", "f; int x", "a b", "int", "f\n", '"'])
def test_functions_of_custom_operators_are_names(function: str) -> None:
    with pytest.raises(UsageError, match="C\\+\\+ function"):
        check_custom_ops({"Op": function})


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.text(min_size=1))
def test_messages_stay_one_line_a_problem(name: str) -> None:
    base = source("custom_operator").model
    operator = base.main.operators[0]
    changed = replace(operator, code=replace(operator.code, name=name))
    model = replace(base, subgraphs=(replace(base.main, operators=(changed,)),))
    if name in CUSTOM_METHODS:
        return
    with pytest.raises(UnsupportedError) as error:
        check_model(model, standin_runtime("2026"), {})
    assert error.value.what.isprintable()
    assert error.value.hint.isprintable()
