"""<tflm/<stem>.h>: compiles for every generation of the C++ interface, and does what it says, run on this machine."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import standins
from generated import ARM, HOST, STRICT, bytes_source, compile_cpp, run_program, source, standin_runtime, write
from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize

from platformio_tflm.core import codegen
from platformio_tflm.core.codegen.values import float_literal
from platformio_tflm.core.model import Quantization
from platformio_tflm.errors import ModelError

MODELS = ["fully_connected_int8", "streaming_int8", "several_inputs_outputs", "custom_operator", "if_subgraphs"]
CUSTOM_OPS = {"MovingMedian": "my_ops::Register_MOVING_MEDIAN"}

EVERY_MODEL = """\
#include <tflm/custom_operator.h>
#include <tflm/fully_connected_int8.h>
#include <tflm/if_subgraphs.h>
#include <tflm/several_inputs_outputs.h>
#include <tflm/streaming_int8.h>
#include <tflm_models_op_resolver.h>

#ifdef STANDIN_REGISTRATION
namespace my_ops {
STANDIN_REGISTRATION* Register_MOVING_MEDIAN() { return nullptr; }
}
#endif

template <class Model>
float use(float value) {
  Model model;
  if (!model.begin() || !model.set_input(0, value) || !model.invoke()) {
    return model.error()[0] == 0 ? 0.0f : 1.0f;
  }
  const uint32_t& size = Model::kArenaSize;  // takes the constant's address
  return model.output_value(0) + static_cast<float>(model.top()) + static_cast<float>(model.arena_used_bytes() + size);
}

float use_all(float value);
float use_all(float value) {
  tflm::SeveralInputsOutputs several;
  several.set_input<1>(2, value);
  several.input<1>()[0] = 1;
  value += several.output_value<1>(0) + static_cast<float>(several.top<1>());
  tflm::IfSubgraphs branch;
  branch.input()[0] = true;
  branch.set_input<1>(0, value);
  return value + use<tflm::FullyConnectedInt8>(value) + use<tflm::StreamingInt8>(value) +
         use<tflm::SeveralInputsOutputs>(value) + use<tflm::CustomOperator>(value) + use<tflm::IfSubgraphs>(value) +
         static_cast<float>(tflm::all_models_op_resolver().size());
}
"""

RUN = """\
#include <math.h>
#include <stdio.h>
#include <tflm/fully_connected_int8.h>

tflm::FullyConnectedInt8 model;

static TfLiteStatus largest_last(TfLiteTensor* inputs, TfLiteTensor* outputs) {
  for (size_t index = 0; index < outputs[0].bytes; ++index) {
    outputs[0].data.int8[index] = static_cast<int8_t>(inputs[0].data.int8[index] + static_cast<int8_t>(index));
  }
  return kTfLiteOk;
}
static TfLiteStatus fails(TfLiteTensor*, TfLiteTensor*) { return kTfLiteError; }

int main() {
  standin::Plan& plan = standin::plan();
  bool done = model.invoke();
  printf("%d %d %u %d|%s\\n", done, model.top(), static_cast<unsigned>(model.arena_used_bytes()),
         model.input() == nullptr, model.error());
  done = model.begin();
  printf("%d|%s\\n", done, model.error());
  plan.input_count = plan.output_count = 1;
  plan.inputs[0] = {kTfLiteInt8, 8};
  plan.outputs[0] = {kTfLiteFloat32, 8};
  done = model.begin();
  printf("%d|%s\\n", done, model.error());
  plan.outputs[0] = {kTfLiteInt8, 100000};
  done = model.begin();
  printf("%d|%s\\n", done, model.error());
  plan.outputs[0] = {kTfLiteInt8, 2};
  done = model.begin();
  printf("%d|%s\\n", done, model.error());
  plan.invoke = largest_last;
  const float values[] = {0.0f, 0.024f, 0.026f, -0.0251f, 1000.0f, -1000.0f, 6.2f, NAN};
  for (size_t index = 0; index < 8; ++index) model.set_input(index, values[index]);
  for (size_t index = 0; index < 8; ++index) printf("%d ", model.input()[index]);
  printf("%d\\n", model.set_input(8, 1.0f));
  done = model.invoke();
  printf("%d %.3f %.3f %.3f %d %u\\n", done, static_cast<double>(model.output_value(0)),
         static_cast<double>(model.output_value(1)), static_cast<double>(model.output_value(2)), model.top(),
         static_cast<unsigned>(model.arena_used_bytes()));
  plan.invoke = fails;
  done = model.invoke();
  printf("%d|%s\\n", done, model.error());
  done = model.begin();
  printf("%d|%s|%d alive, %u operators\\n", done, model.error(), plan.alive, plan.operators);
  printf("%u %s|%s|\\n", static_cast<unsigned>(tflm::FullyConnectedInt8::kOpCount),
         tflm::FullyConnectedInt8::operator_name(0), tflm::FullyConnectedInt8::operator_name(1));
}
"""

EXPECTED = """\
0 -1 0 1|invoke() before a begin() that succeeded
0|the linked model is not the one that this header was generated from
0|an input or output is not of the type and size that this header was generated for
0|AllocateTensors failed: an operator refuses its tensors, or the arena needs more than the 4096 bytes planned
1|
3 3 4 2 127 -128 127 3 0
1 0.000 0.050 0.000 1 32
0|an operator failed while the model ran
1||2 alive, 1 operators
1 FULLY_CONNECTED||
"""


def _levels(generation: str) -> list[str]:
    return ["gnu++17"] if standins.CPP_LEVELS[generation] == 17 else ["c++11", "gnu++17"]


@pytest.mark.parametrize("generation", standins.GENERATIONS)
@pytest.mark.parametrize("compiler", [HOST, ARM], ids=["host", "arm"])
def test_compiles_for_every_generation(tmp_path: Path, generation: str, compiler: tuple[str, ...]) -> None:
    include = standins.write_standin(tmp_path / "library", generation)
    runtime = standin_runtime(generation)
    write(tmp_path, [source(name) for name in MODELS], runtime, CUSTOM_OPS)
    (tmp_path / "use.cc").write_text(EVERY_MODEL)
    for level in _levels(generation):
        compile_cpp(
            (*compiler, *STRICT),
            *("-fsyntax-only", f"-std={level}", f"-DSTANDIN_REGISTRATION={runtime.registration_type}"),
            *("-isystem", include, f"-I{tmp_path}/include", tmp_path / "use.cc"),
        )


@pytest.mark.parametrize("generation", standins.GENERATIONS)
def test_runs(tmp_path: Path, generation: str) -> None:
    include = standins.write_standin(tmp_path / "library", generation)
    write(tmp_path, [source("fully_connected_int8")], standin_runtime(generation))
    (tmp_path / "main.cc").write_text(RUN)
    program = tmp_path / "program"
    compile_cpp(
        (*HOST, *STRICT),
        *(f"-std={_levels(generation)[0]}", "-fsanitize=undefined", "-fno-sanitize-recover=undefined"),
        *("-isystem", include, f"-I{tmp_path}/include", f"-I{tmp_path}/src"),
        *(tmp_path / "main.cc", tmp_path / "src" / "fully_connected_int8_data.cc", "-o", program),
    )
    assert run_program(program) == EXPECTED


def test_streaming_model_gets_its_resource_variables(tmp_path: Path) -> None:
    include = standins.write_standin(tmp_path / "library", "2022")
    write(tmp_path, [source("streaming_int8")], standin_runtime("2022"))
    (tmp_path / "main.cc").write_text(
        "#include <stdio.h>\n#include <tflm/streaming_int8.h>\n"
        "int main() {\n"
        "  tflm::StreamingInt8 model;\n"
        "  standin::plan() = {1, 1, {{kTfLiteInt8, 4}}, {{kTfLiteInt8, 2}}, nullptr, 0, 0, 0};\n"
        '  const bool done = model.begin();\n  printf("%d %d %u", done, standin::plan().resource_variables,'
        " static_cast<unsigned>(tflm::StreamingInt8::kResourceVariableCount));\n}\n"
    )
    compile_cpp(
        (*HOST, *STRICT),
        *("-std=c++11", "-isystem", include, f"-I{tmp_path}/include", f"-I{tmp_path}/src", tmp_path / "main.cc"),
        *(tmp_path / "src" / "streaming_int8_data.cc", "-o", tmp_path / "program"),
    )
    assert run_program(tmp_path / "program") == "1 1 1"


def test_another_schema_version_is_an_error_of_begin(tmp_path: Path) -> None:
    include = standins.write_standin(tmp_path / "library", "2024")
    header = include / "tensorflow/lite/micro/micro_interpreter.h"
    header.write_text(header.read_text().replace("TFLITE_SCHEMA_VERSION (3)", "TFLITE_SCHEMA_VERSION (4)"))
    write(tmp_path, [source("fully_connected_int8")], standin_runtime("2024"))
    (tmp_path / "main.cc").write_text(
        "#include <stdio.h>\n#include <tflm/fully_connected_int8.h>\n"
        "int main() { tflm::FullyConnectedInt8 model; const bool done = model.begin();"
        ' printf("%d %s", done, model.error()); }\n'
    )
    compile_cpp(
        HOST,
        *("-std=c++11", "-isystem", include, f"-I{tmp_path}/include", f"-I{tmp_path}/src", tmp_path / "main.cc"),
        *(tmp_path / "src" / "fully_connected_int8_data.cc", "-o", tmp_path / "program"),
    )
    text = "the model's schema version is not the one that this TensorFlow Lite Micro reads"
    assert run_program(tmp_path / "program") == f"0 {text}"


@pytest.mark.parametrize("compiler", [HOST, ARM], ids=["host", "arm"])
def test_without_a_runtime_there_are_constants_only(tmp_path: Path, compiler: tuple[str, ...]) -> None:
    write(tmp_path, [source("several_inputs_outputs"), source("while_subgraphs")], None)
    (tmp_path / "use.cc").write_text(
        "#include <tflm/several_inputs_outputs.h>\n#include <tflm/while_subgraphs.h>\n"
        "#if TFLM_SEVERAL_INPUTS_OUTPUTS_RUNTIME_TFLM\n#error runtime\n#endif\n"
        "typedef tflm::SeveralInputsOutputs Model;\n"
        'static_assert(Model::kOpCount == 3 && Model::kInputCount == 2 && Model::kOutputCount == 2, "counts");\n'
        'static_assert(Model::kArenaSize == 4096 && Model::kModelSize > 1000, "sizes");\n'
        'static_assert(Model::kOutput0Shape[3] == 6 && Model::kOutputElementCounts[1] == 12, "shapes");\n'
        'static_assert(Model::kInputZeroPoints[1] == 3 && Model::kInputScales[0] < 0.0500001f, "quantization");\n'
        "const char* name(uint32_t index);\n"
        "const char* name(uint32_t index) { return Model::operator_name(index); }\n"
        "const unsigned char* bytes();\n"
        "const unsigned char* bytes() { return tflm::WhileSubgraphs::data(); }\n"
    )
    for level in ("c++11", "gnu++17"):
        options = ("-fsyntax-only", f"-std={level}", f"-I{tmp_path}/include")
        compile_cpp((*compiler, *STRICT), *options, tmp_path / "use.cc")


@pytest.mark.parametrize("generation", ["2022", "2026"])
def test_golden(golden: Callable[[str, str], None], generation: str) -> None:
    golden(
        f"codegen/inference_{generation}.h.txt",
        codegen.inference_header(source("streaming_int8"), standin_runtime(generation)),
    )


def test_golden_without_runtime(golden: Callable[[str, str], None]) -> None:
    golden("codegen/inference_data.h.txt", codegen.inference_header(source("several_inputs_outputs"), None))


def test_names_from_a_hostile_model_stay_text(tmp_path: Path) -> None:
    evil = 'x*/ \n#error "tensor"\n??/\nint evil; // \\'
    tensors = (TensorSpec(evil, "FLOAT32", (1, 4)), TensorSpec(f"{evil}2", "FLOAT32", (1, 4)))
    operator = 'Evil"); system("x"); ("??/\n\\é*/'
    spec = ModelSpec((GraphSpec(tensors, (0,), (1,), (OperatorSpec(operator, (0,), (1,)),)),))
    path = 'C:\\Users\\*/ "x"\n#error path ??/\\'
    model = bytes_source("evil", serialize(spec), path=path)
    include = standins.write_standin(tmp_path / "library", "2024")
    write(tmp_path, [model], standin_runtime("2024"), {operator: "Register_EVIL"}, strategy="string")
    (tmp_path / "use.cc").write_text(
        "#include <tflm/evil.h>\n#include <evil_data.h>\nTFLMRegistration* Register_EVIL() { return nullptr; }\n"
        "bool use();\nbool use() { tflm::Evil model; return model.begin(); }\n"
    )
    includes = ("-isystem", include, f"-I{tmp_path}/include")
    for level in ("c++11", "gnu++17"):
        options = ("-fsyntax-only", "-trigraphs", f"-std={level}", *includes)
        compile_cpp((*HOST, *STRICT), *options, tmp_path / "use.cc", tmp_path / "src" / "evil_data.cc")


def test_wild_quantization_is_a_model_error() -> None:
    model = source("fully_connected_int8").model
    main = model.main
    for scale, zero_point, text in (
        ((float("nan"),), (0,), "the scale is nan"),
        ((0.0,), (0,), "the scale is 0.0"),
        ((0.5, 0.25), (0, 0), "2 scales"),
        ((0.5,), (2**40,), "beyond 32 bits"),
    ):
        tensors = list(main.tensors)
        index = main.inputs[0]
        tensors[index] = replace(tensors[index], quantization=Quantization(scale, zero_point))
        wild = replace(model, subgraphs=(replace(main, tensors=tuple(tensors)), *model.subgraphs[1:]))
        with pytest.raises(ModelError, match=text):
            codegen.inference_header(replace(source("fully_connected_int8"), model=wild), None)


@pytest.mark.parametrize("value", [1.0, 0.1, 1e-45, 3e38, 1 / 3, 16777217.0])
def test_float_literal_reads_back_as_the_same_float32(value: float) -> None:
    text = float_literal(struct.unpack("<f", struct.pack("<f", value))[0])
    assert text.endswith("f")
    assert any(c in text for c in ".e")
    assert struct.pack("<f", float(text[:-1])) == struct.pack("<f", value)
