"""Which rules of the planner hold for a library: by the text of its sources that allocates."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import make_models

from platformio_tflm.core.arena import (
    EABI,
    UNKNOWN_INTERPRETER_BYTES,
    UNKNOWN_OPERATOR_BYTES,
    Kernels,
    KernelSet,
    plan_arena,
)
from platformio_tflm.core.arena_library import (
    BOUND,
    GENERATIONS,
    KERNEL_SETS,
    Knowledge,
    interpreter_digests,
    knowledge,
    library_kernels,
    linked_kernels,
    operator_sources,
    unknown_interpreter_files,
)
from platformio_tflm.core.arena_sources import CMSIS_NN, ESP_NN, REFERENCE, LibrarySources, asking_text
from platformio_tflm.core.op_table import BUILTIN_METHODS, CUSTOM_METHODS
from platformio_tflm.core.tflite import read_model

MICRO = "tensorflow/lite/micro"
NOTHING = Knowledge({}, {})

KERNEL = """\
// Licence.
#include "tensorflow/lite/micro/kernels/scale.h"

namespace tflite {
namespace {

struct OpData {
  int32_t multiplier;
  int buffer;  // index of the scratch buffer
};

void* Init(TfLiteContext* context, const char* buffer, size_t length) {
  return context->AllocatePersistentBuffer(context, sizeof(OpData));
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  /* One byte an element. */
  return context->RequestScratchBufferInArena(context, 64, &data->buffer);
}

TfLiteStatus Eval(TfLiteContext* context, TfLiteNode* node) {
  return kTfLiteOk;
}

}  // namespace
}  // namespace tflite
"""

INTERPRETER = {
    f"{MICRO}/micro_allocator.cc": "void* F() {\n  return AllocatePersistentBuffer(16);\n}\n",
    f"{MICRO}/memory_planner/greedy_memory_planner.cc": "void Sort() {}\n",
    "tensorflow/lite/core/c/common.h": "typedef struct TfLiteTensor {\n  int type;\n} TfLiteTensor;\n",
}


CMSIS_NN_MARK = {"third_party/cmsis_nn/Include/arm_nnfunctions.h": b" "}


def library(**kernels: str) -> dict[str, bytes]:
    """A library by path; keyword: the file below micro/kernels, without its ending and with __ for the slash."""
    texts = {f"{MICRO}/kernels/{name.replace('__', '/')}.cc": text for name, text in kernels.items()}
    return {path: text.encode() for path, text in {**INTERPRETER, **texts}.items()}


def known_as(files: dict[str, bytes], kind: str = REFERENCE, **generations: str) -> Knowledge:
    """As if the library had been measured and found to follow these generations, by operator."""
    found = operator_sources(LibrarySources(files.get), list(generations), kind, NOTHING)
    operators = {source.operator: {source.digest: generations[source.operator]} for source in found}
    return Knowledge(
        {name: [digest] for name, digest in interpreter_digests(LibrarySources(files.get)).items()}, operators
    )


def generation_of(files: dict[str, bytes], operator: str, known: Knowledge, kind: str = REFERENCE) -> str:
    (source,) = operator_sources(LibrarySources(files.get), [operator], kind, known)
    return source.generation


# --- what of a source counts


def test_what_allocates_counts_and_nothing_else() -> None:
    text = asking_text(KERNEL)
    assert "AllocatePersistentBuffer" in text
    assert "RequestScratchBufferInArena(context,64," in text
    assert "structOpData{int32_tmultiplier;intbuffer;" in text
    assert "Eval" not in text
    assert "Licence" not in text
    assert "include" not in text


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(["\n", "  ", "\t", "/* x */", "// a brace }\n", "\r\n"]), min_size=1, max_size=6))
def test_layout_and_comments_do_not_count(inserted: list[str]) -> None:
    """Inserted inside of the functions, between two statements."""
    other = KERNEL.replace("{\n  return", "{\n  " + "".join(inserted) + "return").replace("\n", "\r\n")
    assert asking_text(other) == asking_text(KERNEL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("int32_t multiplier;", "int64_t multiplier;"),
        ("int buffer;", "int buffer;\n  int another;"),
        ("context, 64,", "context, 65,"),
        ("sizeof(OpData)", "2 * sizeof(OpData)"),
    ],
)
def test_a_change_of_what_is_asked_for_counts(before: str, after: str) -> None:
    assert asking_text(KERNEL.replace(before, after)) != asking_text(KERNEL)


def test_a_change_of_what_is_computed_does_not_count() -> None:
    assert asking_text(KERNEL.replace("return kTfLiteOk;", "return Compute(context);")) == asking_text(KERNEL)


# --- operators


def test_a_known_text_tells_its_generation() -> None:
    files = library(conv=KERNEL, conv_common=KERNEL)
    known = known_as(files, CONV_2D="2023")
    assert generation_of(files, "CONV_2D", known) == "2023"
    assert generation_of(files, "DEPTHWISE_CONV_2D", known) == ""
    assert generation_of(library(conv=KERNEL, conv_common=KERNEL.replace("64", "128")), "CONV_2D", known) == ""
    assert generation_of(library(conv=KERNEL), "CONV_2D", known) == ""


def test_arduino_libraries_have_other_endings() -> None:
    files = library(conv=KERNEL)
    renamed = {path.replace(".cc", ".cpp"): data for path, data in files.items()}
    assert generation_of(renamed, "CONV_2D", known_as(files, CONV_2D="2026")) == "2026"


def test_the_options_count() -> None:
    header = "tensorflow/lite/core/c/builtin_op_data.h"
    one, other = (
        {**library(conv=KERNEL), header: f"typedef struct {{\n  {kind} padding;\n}} TfLiteConvParams;\n".encode()}
        for kind in ("int", "char")
    )
    known = known_as(one, CONV_2D="2026")
    assert generation_of(one, "CONV_2D", known) == "2026"
    assert generation_of(other, "CONV_2D", known) == ""
    assert generation_of(library(conv=KERNEL), "CONV_2D", known) == ""


def test_the_size_of_an_enumeration_counts() -> None:
    """Without it, ARM's compilers take a byte; in a struct of a kernel's own, too."""
    header = "tensorflow/lite/core/c/common.h"
    kernel = KERNEL.replace("int buffer;", "TfLiteType type;")
    small, large = (
        {**library(conv=kernel), header: f"typedef enum TfLiteType{size} {{ kTfLiteInt8 }} TfLiteType;".encode()}
        for size in ("", " : int")
    )
    known = known_as(small, CONV_2D="2023")
    assert generation_of(small, "CONV_2D", known) == "2023"
    assert generation_of(large, "CONV_2D", known) == ""
    other = {**library(conv=KERNEL), header: large[header]}
    assert generation_of(other, "CONV_2D", known_as(library(conv=KERNEL), CONV_2D="2023")) == "2023"


def test_optimized_kernels_are_looked_at_where_they_are() -> None:
    files = library(conv=KERNEL, cmsis_nn__conv=KERNEL.replace("64", "32"), add=KERNEL) | CMSIS_NN_MARK
    known = known_as(files, CMSIS_NN, CONV_2D="2026", ADD="2026")
    assert generation_of(files, "CONV_2D", known, CMSIS_NN) == "2026"
    assert generation_of(files, "CONV_2D", known, REFERENCE) == ""
    assert generation_of(files, "ADD", known, CMSIS_NN) == generation_of(files, "ADD", known, REFERENCE) == "2026"


def test_buffer_sizes_of_cmsis_nn_count() -> None:
    root = "third_party/cmsis_nn"
    place = f"{root}/Source/ConvolutionFunctions/arm_convolve_get_buffer_sizes_s8.c"
    body = "int32_t arm_convolve_s8_get_buffer_size(int n) {{\n  return {} * n;\n}}\n"
    files = library(cmsis_nn__conv=KERNEL) | CMSIS_NN_MARK
    one, other = ({**files, place: body.format(factor).encode()} for factor in (2, 4))
    known = known_as(one, CMSIS_NN, CONV_2D="2026")
    assert generation_of(one, "CONV_2D", known, CMSIS_NN) == "2026"
    assert generation_of(other, "CONV_2D", known, CMSIS_NN) == ""
    assert generation_of(files, "CONV_2D", known, CMSIS_NN) == ""
    without = library(cmsis_nn__conv=KERNEL)
    (source,) = operator_sources(LibrarySources(without.get), ["CONV_2D"], CMSIS_NN, NOTHING)
    assert source.digest == "", "without CMSIS-NN's sources nothing is known of its buffers"


def test_a_source_of_absurd_size_is_not_read() -> None:
    files = {**library(), f"{MICRO}/kernels/conv.cc": KERNEL.encode() + b" " * (4 << 20)}
    assert operator_sources(LibrarySources(files.get), ["CONV_2D"], REFERENCE, NOTHING)[0].digest == ""


# --- the interpreter


def test_the_interpreter_is_looked_at_file_by_file() -> None:
    files = library()
    known = known_as(files)
    assert unknown_interpreter_files(LibrarySources(files.get), known) == ()
    name = f"{MICRO}/memory_planner/greedy_memory_planner"
    changed = {**files, f"{name}.cc": b"void Sort() { Otherwise(); }\n"}
    assert unknown_interpreter_files(LibrarySources(changed.get), known) == (name,)
    assert unknown_interpreter_files(LibrarySources({}.get), known) == (f"{MICRO}/micro_allocator.cc",)


# --- from sources to kernels and plans


def test_each_operator_gets_the_rules_of_its_year() -> None:
    files = library(conv=KERNEL, softmax=KERNEL)
    known = known_as(files, CONV_2D="2023", SOFTMAX="2026")
    assert library_kernels(LibrarySources(files.get), ["CONV_2D", "SOFTMAX"], REFERENCE, known) == (
        Kernels(KernelSet.REFERENCE, (("CONV_2D", KernelSet.REFERENCE_2023),)),
    )


def test_an_unknown_kernel_is_planned_by_the_rules_of_all_years() -> None:
    files = library(conv=KERNEL, softmax=KERNEL)
    known = known_as(files, SOFTMAX="2026")
    made = library_kernels(LibrarySources(files.get), ["CONV_2D", "SOFTMAX"], REFERENCE, known)
    assert [kernels.of("CONV_2D") for kernels in made] == [KERNEL_SETS[REFERENCE, year] for year in GENERATIONS]
    assert {kernels.of("SOFTMAX") for kernels in made} == {KernelSet.REFERENCE}
    assert {kernels.unknown for kernels in made} == {frozenset({"CONV_2D"})}


def test_a_kernel_may_need_less_than_the_rules_say() -> None:
    files = library(softmax=KERNEL)
    (kernels,) = library_kernels(
        LibrarySources(files.get), ["SOFTMAX"], REFERENCE, known_as(files, SOFTMAX=f"2023{BOUND}")
    )
    assert (kernels.of("SOFTMAX"), kernels.bounded) == (KernelSet.REFERENCE_2023, frozenset({"SOFTMAX"}))
    model = read_model((make_models.FOLDER / "convolution_int8.tflite").read_bytes())
    plan = plan_arena(model, kernels=[kernels], abi=EABI)
    assert plan.method == "upper-bound"
    assert plan.notes == ("operator SOFTMAX: of this library's kernel, only a bound is known",)


def test_older_cmsis_nn_on_a_core_that_was_not_measured_is_a_bound() -> None:
    files = library(cmsis_nn__conv=KERNEL, add=KERNEL) | CMSIS_NN_MARK
    known = known_as(files, CMSIS_NN, CONV_2D="2023", ADD="2023")
    (measured,) = library_kernels(LibrarySources(files.get), ["CONV_2D", "ADD"], CMSIS_NN, known)
    assert not measured.unknown
    plain = library_kernels(
        LibrarySources(files.get), ["CONV_2D", "ADD"], CMSIS_NN, known, optimized=KernelSet.CMSIS_NN_PLAIN
    )
    assert {kernels.unknown for kernels in plain} == {frozenset({"CONV_2D"})}
    assert {kernels.of("CONV_2D") for kernels in plain} == {
        KernelSet.CMSIS_NN_PLAIN,
        KernelSet.CMSIS_NN_2024,
        KernelSet.CMSIS_NN_2023,
    }


def test_which_kernels_are_linked() -> None:
    assert linked_kernels(LibrarySources(library(conv=KERNEL).get), ["CONV_2D"], CMSIS_NN) == (REFERENCE,)
    assert linked_kernels(
        LibrarySources(library(cmsis_nn__conv=KERNEL, add=KERNEL).get), ["CONV_2D", "ADD"], CMSIS_NN
    ) == (CMSIS_NN,)
    both = library(conv=KERNEL, esp_nn__conv=KERNEL)
    assert linked_kernels(LibrarySources(both.get), ["CONV_2D"], ESP_NN) == (REFERENCE, ESP_NN)


def test_a_plan_for_unknown_sources_says_so_and_takes_more() -> None:
    model = read_model((make_models.FOLDER / "convolution_int8.tflite").read_bytes())
    exact = plan_arena(model, kernels=[Kernels(KernelSet.REFERENCE)], abi=EABI)
    assert exact == plan_arena(model, kernels=[KernelSet.REFERENCE], abi=EABI)
    bound = plan_arena(model, kernels=[Kernels(KernelSet.REFERENCE, unknown=frozenset({"SOFTMAX"}))], abi=EABI)
    assert (exact.method, bound.method) == ("exact", "estimate")
    assert bound.tail_bytes >= exact.tail_bytes + UNKNOWN_OPERATOR_BYTES
    (note,) = bound.notes
    assert note == (
        "the library's kernels of SOFTMAX are none that were measured; 64 bytes more are assumed for each such operator"
    )
    files = Kernels(KernelSet.REFERENCE, unknown_files=(f"{MICRO}/micro_allocator",))
    bound = plan_arena(model, kernels=[files], abi=EABI)
    assert bound.tail_bytes >= exact.tail_bytes + UNKNOWN_INTERPRETER_BYTES
    assert bound.notes == (
        f"the library's {MICRO}/micro_allocator are none that were measured; 256 bytes more are assumed",
    )


# --- the table


def test_the_table_is_well_formed() -> None:
    known = knowledge()
    names = {*BUILTIN_METHODS, *CUSTOM_METHODS}
    assert set(known.operators) <= names
    years = {year for entry in known.operators.values() for year in entry.values()}
    assert years <= {*GENERATIONS, *(f"{year}{BOUND}" for year in GENERATIONS)}
    digests = [digest for entry in known.operators.values() for digest in entry]
    digests += [digest for entry in known.interpreter.values() for digest in entry]
    assert all(re.fullmatch(r"[0-9a-f]{12}", digest) for digest in digests)


def real_library() -> LibrarySources:
    """The library that PLATFORMIO_TFLM_LIBRARY names."""
    place = os.environ.get("PLATFORMIO_TFLM_LIBRARY", "").removeprefix("symlink://")
    if not place:
        pytest.skip("PLATFORMIO_TFLM_LIBRARY names no TensorFlow Lite Micro library")
    root = next(root for root in (Path(place) / "src", Path(place)) if (root / MICRO).is_dir())
    return LibrarySources(lambda name: (root / name).read_bytes() if (root / name).is_file() else None)


def test_a_real_library_is_known() -> None:
    sources_of = real_library()
    kind = next(iter(linked_kernels(sources_of, ["CONV_2D"], CMSIS_NN)))
    sources = operator_sources(sources_of, ["CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "RESHAPE"], kind, knowledge())
    assert {source.operator for source in sources if not source.generation} == set()
    assert unknown_interpreter_files(sources_of, knowledge()) == ()


def test_every_operator_of_the_measured_models_is_in_the_table() -> None:
    """Measured with the newest TFLM, for both kernel sets."""
    figures = json.loads((make_models.FOLDER / "measured_arena.json").read_text())
    names = {name.split()[0] for name in figures["operators"]}
    known = knowledge()
    assert {name for name in names if "2026" not in known.operators.get(name, {}).values()} == set()
