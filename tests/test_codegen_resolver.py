"""<stem>_op_resolver.h: exactly the model's operators, by the methods' real names, for each generation."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import standins
from generated import ARM, HOST, STRICT, compile_cpp, run_program, source, standin_runtime, write

from platformio_tflm.core.codegen import resolver

PRINT = """\
#include <stdio.h>
#include <tflm_models_op_resolver.h>
#include <cumsum_padv2_op_resolver.h>
#include <signal_window_op_resolver.h>

template <class Resolver>
void print(const Resolver& resolver, TfLiteStatus status) {
  printf("%d:", status);
  for (unsigned int index = 0; index < resolver.size(); ++index) printf(" %s", resolver.name(index));
  printf("\\n");
}

int main() {
  TfLiteStatus status = kTfLiteError;
  const tflm::CumsumPadv2OpResolver& one = tflm::cumsum_padv2_op_resolver(&status);
  print(one, status);
  print(tflm::cumsum_padv2_op_resolver(), kTfLiteOk);
  const tflm::AllModelsOpResolver& all = tflm::all_models_op_resolver(&status);
  print(all, status);
  tflite::MicroMutableOpResolver<8> larger;
  status = tflm::register_signal_window_ops(larger);
  print(larger, status);
  status = tflm::register_signal_window_ops(larger);
  print(larger, status);
}
"""


def test_registers_exactly_the_models_operators(tmp_path: Path) -> None:
    include = standins.write_standin(tmp_path / "library", "2024")
    models = [source("cumsum_padv2"), source("signal_window"), source("fully_connected_int8")]
    write(tmp_path, models, standin_runtime("2024"))
    (tmp_path / "main.cc").write_text(PRINT)
    compile_cpp(
        (*HOST, *STRICT),
        *("-std=c++11", "-isystem", include, f"-I{tmp_path}/include", tmp_path / "main.cc"),
        *("-o", tmp_path / "program"),
    )
    assert run_program(tmp_path / "program").splitlines() == [
        "0: AddCumSum AddPadV2",
        "0: AddCumSum AddPadV2",
        "0: AddCumSum AddPadV2 AddWindow AddFullyConnected",
        "0: AddWindow",
        "1: AddWindow",
    ]


def test_size_is_exact() -> None:
    for name in ("cumsum_padv2", "streaming_int8", "convolution_int8"):
        text = resolver.resolver_header(source(name), standin_runtime("2026"), {})
        count = len(re.findall(r"resolver\.Add\w+\(", text))
        assert f"::tflite::MicroMutableOpResolver<{count}>;" in text


def test_too_small_a_resolver_is_a_compile_error(tmp_path: Path) -> None:
    include = standins.write_standin(tmp_path / "library", "2024")
    write(tmp_path, [source("cumsum_padv2")], standin_runtime("2024"))
    (tmp_path / "use.cc").write_text(
        "#include <cumsum_padv2_op_resolver.h>\n"
        "int main() { tflite::MicroMutableOpResolver<1> small; return tflm::register_cumsum_padv2_ops(small); }\n"
    )
    with pytest.raises(AssertionError, match="cumsum_padv2 needs room for 2 operators"):
        compile_cpp(HOST, "-fsyntax-only", "-isystem", include, f"-I{tmp_path}/include", tmp_path / "use.cc")


@pytest.mark.parametrize("generation", ["2022", "2026"])
def test_custom_operator_of_the_user(tmp_path: Path, generation: str) -> None:
    include = standins.write_standin(tmp_path / "library", generation)
    runtime = standin_runtime(generation)
    write(tmp_path, [source("custom_operator")], runtime, {"MovingMedian": "my::ops::Register_MOVING_MEDIAN"})
    kind = runtime.registration_type
    (tmp_path / "main.cc").write_text(
        "#include <stdio.h>\n#include <custom_operator_op_resolver.h>\n"
        "namespace my { namespace ops {\n"
        f"{kind}* Register_MOVING_MEDIAN() {{ static {kind} one; return &one; }}\n"
        "} }\n"
        'int main() { TfLiteStatus status; printf("%s", tflm::custom_operator_op_resolver(&status).name(0)); '
        "return status; }\n"
    )
    level = "-std=gnu++17" if generation == "2026" else "-std=c++11"
    compile_cpp(
        (*HOST, *STRICT),
        *(level, "-isystem", include, f"-I{tmp_path}/include", tmp_path / "main.cc", "-o", tmp_path / "program"),
    )
    assert run_program(tmp_path / "program") == "MovingMedian"


def test_nothing_is_pulled_in_from_the_cpp_library(tmp_path: Path) -> None:
    include = standins.write_standin(tmp_path / "library", "2024")
    write(tmp_path, [source("cumsum_padv2")], standin_runtime("2024"))
    (tmp_path / "use.cc").write_text(
        "#include <cumsum_padv2_op_resolver.h>\nvoid use();\nvoid use() { tflm::cumsum_padv2_op_resolver(); }\n"
    )
    assembly = tmp_path / "use.s"
    compile_cpp(
        ARM,
        "-S",
        "-O0",
        "-std=c++11",
        "-isystem",
        include,
        f"-I{tmp_path}/include",
        tmp_path / "use.cc",
        "-o",
        assembly,
    )
    text = assembly.read_text()
    assert "__cxa_guard" not in text
    assert re.search(r"\b_Znwj\b", text) is None  # operator new; _ZnwjPv is placement
    assert ".init_array" not in text


@pytest.mark.parametrize("generation", ["2022", "2026"])
def test_golden(golden: Callable[[str, str], None], generation: str) -> None:
    text = resolver.resolver_header(
        source("custom_operator"), standin_runtime(generation), {"MovingMedian": "my::Register"}
    )
    golden(f"codegen/op_resolver_{generation}.h.txt", text)


def test_golden_of_the_union(golden: Callable[[str, str], None]) -> None:
    models = [source("cumsum_padv2"), source("signal_window")]
    golden("codegen/op_resolver_union.h.txt", resolver.union_resolver_header(models, standin_runtime("2026"), {}))
