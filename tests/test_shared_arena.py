"""One arena for all models: how large it must be, what the options say about it, and models that take turns in it.

The stand-ins are no TensorFlow Lite Micro. With PLATFORMIO_TFLM_LIBRARY set, the last tests run a real one in QEMU.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from generated import MODELS, standin_runtime
from hypothesis import given, settings
from hypothesis import strategies as st
from project import HELLO_WORLD, REPOSITORY, Make, Project
from standins import write_standin
from test_codegen_begin import program

from platformio_tflm import pipeline
from platformio_tflm.core.arena import EABI, ILP32_FULL_STRUCTS, ArenaPlan, align, plan_arena
from platformio_tflm.core.arena_kernels import KernelSet
from platformio_tflm.core.model import Metadata
from platformio_tflm.core.shared_arena import Tenant, borrowed_bytes, exposed_variable, plan_shared_arena, plan_tenants
from platformio_tflm.core.tflite import read_model
from platformio_tflm.errors import UnsupportedError, UsageError
from platformio_tflm.files import ModelFile
from platformio_tflm.pipeline import DATA_ONLY, PlannedModel, RuntimeChoice
from platformio_tflm.settings import read_settings

CREATED_BYTES = 36 + 44 + 36
BASE = plan_arena(read_model(HELLO_WORLD.read_bytes()), kernels=(KernelSet.REFERENCE,), abi=EABI)


def plan(size_bytes: int, head_bytes: int, tail_bytes: int, method: str = "exact") -> ArenaPlan:
    return replace(BASE, size_bytes=size_bytes, head_bytes=head_bytes, tail_bytes=tail_bytes, method=method)


# -- the formula


def test_largest_head_and_all_tails() -> None:
    shared = plan_shared_arena([plan(5216, 5000, 216), plan(3316, 3000, 316), plan(1136, 1000, 136)], EABI)
    # 100, 200 and 20 bytes of their own, each to a multiple of 16
    assert shared.tail_bytes == CREATED_BYTES + 112 + 208 + 32
    assert shared.head_bytes == 5000
    assert shared.size_bytes == align(5000) + align(shared.tail_bytes)
    assert shared.method == "exact"


def test_temporary_room_beside_the_tails_of_the_others() -> None:
    shared = plan_shared_arena([plan(9008, 1008, 516), plan(1316, 1000, 316)], EABI)
    assert shared.size_bytes == 9008 + 208


def test_one_model_needs_what_it_needs_alone() -> None:
    assert plan_shared_arena([BASE], EABI).size_bytes == BASE.size_bytes


def test_a_bound_makes_a_bound() -> None:
    assert plan_shared_arena([plan(400, 100, 200), plan(400, 100, 200, "upper-bound")], EABI).method == "upper-bound"
    with pytest.raises(ValueError, match="no model"):
        plan_shared_arena([], EABI)


def test_room_that_kernels_borrow_while_they_run() -> None:
    plans = [plan(1216, 1000, 216)] * 2
    assert plan_shared_arena(plans, EABI, running_bytes=900).size_bytes == align(1900) + align(CREATED_BYTES + 224)
    assert borrowed_bytes(read_model((MODELS / "if_subgraphs.tflite").read_bytes()), EABI) == 4 * 56
    assert borrowed_bytes(read_model(HELLO_WORLD.read_bytes()), EABI) == 0


@dataclass(frozen=True)
class Script:
    """What a model asks of the allocator, in order: (persistent or borrowed, bytes, alignment); then its head."""

    requests: tuple[tuple[bool, int, int], ...]
    head_bytes: int
    exposed_bytes: int


def need_of(scripts: Sequence[Script]) -> tuple[int, int]:
    """(smallest arena, tail) when *scripts* begin in this order. Written anew, on purpose not with arena.py."""
    need = tail = CREATED_BYTES
    largest_head = 0
    for script in scripts:
        borrowed = 0
        for persistent, size_bytes, alignment in script.requests:
            if persistent:
                tail = align(tail + size_bytes, alignment)
            else:
                borrowed = align(borrowed, alignment) + size_bytes
            need = max(need, borrowed + tail)
        largest_head = max(largest_head, script.head_bytes)
        tail = align(tail + script.exposed_bytes, 4)
        need = max(need, largest_head + tail)
    return need, tail


_REQUEST = st.tuples(st.booleans(), st.integers(1, 90), st.sampled_from([4, 8, 16]))
_SCRIPT = st.builds(
    Script,
    st.lists(_REQUEST, max_size=8).map(tuple),
    st.integers(0, 40).map(lambda count: 16 * count),
    st.integers(0, 90),
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(_SCRIPT, min_size=1, max_size=4))
def test_enough_in_every_order_and_little_more_than_the_worst_needs(scripts: list[Script]) -> None:
    plans = []
    for script in scripts:
        need_bytes, tail_bytes = need_of([script])
        plans.append(plan(align(need_bytes), script.head_bytes, tail_bytes))
    planned = plan_shared_arena(plans, EABI).size_bytes
    worst = max(need_of(order)[0] for order in itertools.permutations(scripts))
    assert worst <= planned <= align(worst) + 16 * len(scripts)


def test_a_kernel_set_that_needs_less_may_have_the_longer_tails() -> None:
    tenants = [
        Tenant(read_model((MODELS / f"{name}.tflite").read_bytes())) for name in ("svdf_int8", "convolution_int8")
    ]
    sets = (KernelSet.REFERENCE, KernelSet.CMSIS_NN)
    single = [plan_tenants(tenants, (kernels,), EABI) for kernels in sets]
    both = plan_tenants(tenants, sets, EABI)
    assert both.size_bytes == max(shared.size_bytes for shared in single)
    assert [shared.method for shared in single] == ["exact", "exact"]
    assert both.method == "upper-bound"


def test_what_was_measured_takes_the_place_of_the_plan() -> None:
    model = read_model(HELLO_WORLD.read_bytes())
    sets = (KernelSet.REFERENCE,)
    planned = plan_tenants([Tenant(model), Tenant(model)], sets, EABI).size_bytes
    assert plan_tenants([Tenant(model, BASE.size_bytes), Tenant(model)], sets, EABI).size_bytes == planned
    more = plan_tenants([Tenant(model, BASE.size_bytes + 64), Tenant(model)], sets, EABI).size_bytes
    assert more == planned + 64


def test_variables_that_would_not_outlive_another_model() -> None:
    model = read_model((MODELS / "svdf_int8.tflite").read_bytes())
    assert exposed_variable(model) is None
    tensors = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors]
    variable = next(index for index, tensor in enumerate(tensors) if tensor.is_variable)
    offsets = [0 if index == variable else -1 for index in range(len(tensors))]
    words = b"".join(word.to_bytes(4, "little", signed=True) for word in (1, 0, len(tensors), *offsets))
    buffer = replace(model.buffers[0], offset=len(model.data), size_bytes=len(words))
    metadata = (Metadata("OfflineMemoryAllocation", buffer),)
    exposed = replace(model, data=model.data + words, metadata=metadata)
    assert exposed_variable(exposed) == tensors[variable].name
    named = replace(planned()[1], model=exposed)
    with pytest.raises(UnsupportedError, match=f"puts the variable {tensors[variable].name} where other models"):
        pipeline.plan_models([named], read_settings({"custom_tflm_shared_arena": "yes"}), RUNTIME)


# -- options


RUNTIME = RuntimeChoice("tflm", standin_runtime("2026"), "-Os", (KernelSet.REFERENCE,), EABI)


def planned(runtime: RuntimeChoice = RUNTIME, *names: str, **options: str) -> tuple[PlannedModel, ...]:
    paths = [MODELS / f"{name}.tflite" for name in names or ("convolution_int8", "svdf_int8")]
    files = [ModelFile(f"models/{path.name}", path, path.read_bytes()) for path in paths]
    asked = read_settings({f"custom_tflm_{name}": value for name, value in options.items()})
    return pipeline.plan_models(pipeline.read_models(files), asked, runtime)


def bound(runtime: RuntimeChoice = RUNTIME) -> RuntimeChoice:
    return replace(runtime, kernels=(KernelSet.REFERENCE, KernelSet.CMSIS_NN), abi=ILP32_FULL_STRUCTS)


def test_less_than_is_needed_is_an_error_with_figures() -> None:
    need = planned()[0].need
    assert not need.is_bound
    with pytest.raises(UsageError) as caught:
        planned(arena=str(need.size_bytes - 16))
    assert caught.value.what == (
        f"custom_tflm_arena sets {need.size_bytes - 16:,} bytes, but {need.size_bytes:,} are needed (planned, exactly): "
        "16 too few"
    )
    assert caught.value.where == "models/convolution_int8.tflite"
    assert f"Set custom_tflm_arena to {need.size_bytes} or more" in caught.value.hint
    assert planned(arena=str(need.size_bytes))[0].warnings == ()
    assert planned(DATA_ONLY, arena="16")[0].arena_bytes == 16


def test_less_than_a_bound_is_a_warning() -> None:
    model = planned(bound(), "convolution_int8", arena="1024")[0]
    assert model.need.is_bound
    assert model.arena_bytes == 1024
    assert len(model.warnings) == 1
    assert f"sets 1,024 bytes, but {model.need.size_bytes:,} are planned as an upper bound" in model.warnings[0]
    library = replace(standin_runtime("2026"), arena_allocator=None)
    with pytest.raises(UsageError, match="needed \\(an upper bound\\)"):
        planned(replace(bound(), library=library), "convolution_int8", arena="1024")


def test_margin() -> None:
    need = planned()[0].need.size_bytes
    assert planned(arena_margin="20")[0].arena_bytes == need + 32
    shared = planned(shared_arena="yes")[0].arena_bytes
    assert planned(shared_arena="yes", arena_margin="100")[0].arena_bytes == align(shared + 100)


def test_shared() -> None:
    first, second = planned(shared_arena="yes")
    assert first.shared_arena == second.shared_arena
    assert first.shared_arena is not None
    assert first.shared_arena.owner == first.name
    assert first.arena_bytes == second.arena_bytes == first.shared_arena.size_bytes
    assert max(first.need.size_bytes, second.need.size_bytes) < first.arena_bytes
    assert first.arena_bytes < first.need.size_bytes + second.need.size_bytes
    assert first.source.defines_arena
    assert not second.source.defines_arena
    assert "shared arena" in first.describe(with_arena=True)
    assert f"shared with svdf_int8; alone it needs {first.need.size_bytes:,}" in first.notes[-1]
    assert planned(DATA_ONLY, shared_arena="yes")[0].shared_arena is None


def test_shared_and_set() -> None:
    need = planned(shared_arena="yes")[0].arena_bytes
    assert planned(shared_arena="yes", arena=str(need + 100))[1].arena_bytes == need + 100
    with pytest.raises(UsageError, match=f"{need:,} are needed"):
        planned(shared_arena="yes", arena=str(need - 16))
    low = planned(bound(), shared_arena="yes", arena="1024")
    assert [len(model.warnings) for model in low] == [1, 0]
    with pytest.raises(UsageError, match="has a size for svdf_int8, but all models share one arena"):
        planned(shared_arena="yes", arena="svdf_int8 = 4K")


def test_a_library_whose_interpreters_cannot_share() -> None:
    library = replace(standin_runtime("2026"), interpreter_takes_allocator=False)
    with pytest.raises(UnsupportedError, match="its MicroInterpreter takes no MicroAllocator") as caught:
        planned(replace(RUNTIME, library=library), shared_arena="yes")
    assert caught.value.where == library.name


# -- taking turns, with stand-ins


TURNS = """\
#include <stdio.h>
#include <tflm/fully_connected_int8.h>
#include <tflm/svdf_int8.h>

static tflm::FullyConnectedInt8 plain;
static tflm::SvdfInt8 keeps;

static TfLiteStatus add(TfLiteTensor* inputs, TfLiteTensor* outputs) {
  outputs[0].data.int8[0] = static_cast<int8_t>(inputs[0].data.int8[0] + 1);
  return kTfLiteOk;
}
static bool begin_plain() {
  standin::plan().inputs[0].bytes = tflm::FullyConnectedInt8::kInputBytes[0];
  standin::plan().outputs[0].bytes = tflm::FullyConnectedInt8::kOutputBytes[0];
  return plain.begin();
}
static bool begin_keeps() {
  standin::plan().inputs[0].bytes = tflm::SvdfInt8::kInputBytes[0];
  standin::plan().outputs[0].bytes = tflm::SvdfInt8::kOutputBytes[0];
  return keeps.begin();
}
template <class Model>
int turn(Model& model, int8_t value) {
  if (model.input() == nullptr) return -1;
  model.input()[0] = value;
  return model.invoke() ? model.output()[0] : -2;
}
static void turns() {
  for (int8_t value = 0; value < 30; value = static_cast<int8_t>(value + 10)) {
    const int first = turn(plain, value), second = turn(keeps, static_cast<int8_t>(value + 5));
    printf("%d %d ", first, second);
  }
  printf("|%s|%s|%d alive\\n", plain.error(), keeps.error(), standin::plan().alive);
}

int main() {
  standin::plan() = {1, 1, {{kTfLiteInt8, 0}}, {{kTfLiteInt8, 0}}, add, 0, 0, 0};
  @FIRST@
  bool same = static_cast<void*>(plain.input()) == tflm_shared_arena;
  same = same && static_cast<void*>(keeps.input()) == tflm_shared_arena;
  printf("%d %d\\n", same, static_cast<int>(sizeof(tflm_shared_arena)));
  turns();
  bool done = begin_plain();
  printf("again %d\\n", done);
  turns();
  done = begin_keeps();
  printf("anew %d\\n", done);
  turns();
  done = begin_plain();
  printf("both %d\\n", done);
  turns();
  alignas(16) static unsigned char own[4096];
  standin::plan().inputs[0].bytes = tflm::SvdfInt8::kInputBytes[0];
  standin::plan().outputs[0].bytes = tflm::SvdfInt8::kOutputBytes[0];
  done = keeps.begin(own, sizeof(own));
  printf("own %d %d\\n", done, static_cast<void*>(keeps.input()) == own);
  turns();
  done = begin_keeps();
  printf("back %d\\n", done);
  turns();
  standin::plan().outputs[0].bytes = 4095;
  done = plain.begin();
  printf("fails %d\\n", done);
  turns();
}
"""

TURNS_EXPECTED = """\
1 @SIZE@
1 6 11 16 21 26 |||2 alive
again 1
1 6 11 16 21 26 |||2 alive
anew 1
-1 6 -1 16 -1 26 |a model of the shared arena began anew: begin() again||1 alive
both 1
1 6 11 16 21 26 |||2 alive
own 1 1
1 6 11 16 21 26 |||2 alive
back 1
-1 6 -1 16 -1 26 |a model of the shared arena began anew: begin() again||1 alive
fails 0
-1 -1 -1 -1 -1 -1 |@FAILED@|a model of the shared arena could not begin: begin() again|@ALIVE@ alive
"""


@pytest.mark.parametrize("generation", ["2022", "2023", "2024", "2026"])
@pytest.mark.parametrize("order", ["begin_plain(); begin_keeps();", "begin_keeps(); begin_plain();"])
def test_turns_in_one_arena(tmp_path: Path, generation: str, order: str) -> None:
    runtime = replace(RUNTIME, library=standin_runtime(generation))
    models = planned(runtime, "fully_connected_int8", "svdf_int8", shared_arena="yes")
    output = program(tmp_path, generation, [model.source for model in models], TURNS.replace("@FIRST@", order))
    size_bytes = models[0].arena_bytes
    failed = (
        f"AllocateTensors failed: an operator refuses its tensors, or the arena needs more than the {size_bytes} bytes "
        "planned"
    )
    expected = TURNS_EXPECTED.replace("@SIZE@", str(size_bytes)).replace("@FAILED@", failed)
    # The interpreter that failed is left alive: no destructor for operators that were never prepared.
    assert output == expected.replace("@ALIVE@", "1")


@pytest.mark.parametrize("generation", ["2022", "2026"])
def test_shared_and_set_below_a_bound_every_size_is_tried(tmp_path: Path, generation: str) -> None:
    runtime = bound(replace(RUNTIME, library=standin_runtime(generation)))
    answers = []
    for size_bytes in (16, 96, 200, 280, 360, 440, 1024):
        models = planned(runtime, "fully_connected_int8", "svdf_int8", shared_arena="yes", arena=str(size_bytes))
        main = TURNS.split("  bool same", maxsplit=1)[0].replace(
            "@FIRST@", "bool done = begin_plain() && begin_keeps();"
        ) + ('  printf("%d|%s|%s\\n", done, plain.error(), keeps.error());\n}\n')
        folder = tmp_path / str(size_bytes)
        answers.append(program(folder, generation, [model.source for model in models], main, "-Wno-unused-function"))
    need = models[0].shared_arena.need.size_bytes if models[0].shared_arena else 0
    assert answers[0] == (
        f"0|the arena has 16 bytes, but the models that share it need more, at most {need}|begin() has not been called\n"
    )
    assert answers[-1] == "1||\n"
    assert [answer[0] for answer in answers] == sorted(answer[0] for answer in answers)


# -- inside of a build


MAIN = """\
#include <stdio.h>
#include <tflm/convolution_int8.h>
#include <tflm/hello_world.h>

template <class Model>
static bool same(const Model&) { return sizeof(tflm_shared_arena) == Model::kArenaSize; }

int main() {
  tflm::HelloWorld sine;
  tflm::ConvolutionInt8 convolution;
  printf("one arena %d\\n", same(sine) && same(convolution));
  return 0;
}
"""


def two_models(project: Project, library: str, *lines: str, main: str = MAIN) -> Project:
    project.model(MODELS / "convolution_int8.tflite", "models/convolution_int8.tflite").write("src/main.cpp", main)
    lib_deps = f"lib_deps =\n  platformio-tflm=symlink://{REPOSITORY}\n  tflm={library}"
    return project.ini(lib_deps, "custom_tflm_shared_arena = yes", *lines, way="")


def test_a_build_with_one_arena(make: Make, tmp_path: Path) -> None:
    write_standin(tmp_path / "standin", "2026")
    main = MAIN.replace("return 0", "return tflm_shared_arena[0]")
    project = two_models(make(), f"symlink://{tmp_path / 'standin'}", main=main)
    assert "one arena 1" in project.run("-t", "upload").stdout
    report = report_of(project)
    sizes = {model["arena"]["size_bytes"] for model in report["models"]}
    (arena,) = (row["sram_bytes"] for row in report["categories"] if row["name"] == "arena")
    assert sizes == {arena}
    assert any("bytes are shared with hello_world" in message["text"] for message in report["messages"])
    before = project.stamps()
    project.run()
    assert project.stamps()["tflm/src/hello_world_data.o"] == before["tflm/src/hello_world_data.o"]
    two_models(project, f"symlink://{tmp_path / 'standin'}", "custom_tflm_arena = 1024", main=main)
    done = project.run()
    text = f"custom_tflm_arena sets 1,024 bytes, but {arena:,} are planned as an estimate: begin() tries"
    assert f"warning: models/convolution_int8.tflite: {text}" in done.stderr
    assert any(message["level"] == "warning" for message in report_of(project)["messages"])


def report_of(project: Project) -> dict:  # type: ignore[type-arg]
    return json.loads((project.build_dir / "tflm" / "report.json").read_text())  # type: ignore[no-any-return]


# -- with a real library


LIBRARY = os.environ.get("PLATFORMIO_TFLM_LIBRARY", "")
needs_library = pytest.mark.skipif(not LIBRARY, reason="PLATFORMIO_TFLM_LIBRARY names no TensorFlow Lite Micro library")

REAL_TURNS = """\
#include <stdio.h>
#include <tflm/convolution_int8.h>
#include <tflm/hello_world.h>

static const int kTurns = 5;
static tflm::HelloWorld sine;
static tflm::ConvolutionInt8 convolution;
alignas(16) static unsigned char pool[16384];

template <class Model>
static unsigned turn(Model& model, unsigned seed) {
  unsigned char* const input = reinterpret_cast<unsigned char*>(model.input());
  for (unsigned index = 0; index < Model::kInputBytes[0]; ++index) {
    seed = seed * 1664525u + 1013904223u;
    input[index] = static_cast<unsigned char>(seed >> 24);
  }
  if (!model.invoke()) printf("%s\\n", model.error());
  const unsigned char* const output = reinterpret_cast<const unsigned char*>(model.output());
  unsigned sum = 2166136261u;
  for (unsigned index = 0; index < Model::kOutputBytes[0]; ++index) sum = (sum ^ output[index]) * 16777619u;
  return sum;
}

template <class Model>
static void alone(Model& model, unsigned* sums) {
  if (!model.begin(pool, sizeof(pool))) printf("alone: %s\\n", model.error());
  for (int index = 0; index < kTurns; ++index) sums[index] = turn(model, static_cast<unsigned>(index));
  model.end();
}

template <class Model>
static void sweep(Model& model) {
  unsigned began = 0, refused = 0;
  for (unsigned size = Model::kArenaNeeded / 5; size < Model::kArenaNeeded; size += 4) {
    if (model.begin(pool, size)) ++began; else ++refused;
    model.end();
  }
  const bool enough = model.begin(pool, Model::kArenaNeeded);
  model.end();
  printf("sweep: %u began, %d refused, enough %d\\n", began, refused > 200, enough);
}

int main() {
  unsigned sums[2][kTurns];
  alone(sine, sums[0]);
  alone(convolution, sums[1]);
  sweep(sine);
  sweep(convolution);
  const bool begun = @FIRST@.begin() && @SECOND@.begin();
  int same = 0;
  for (int index = 0; begun && index < kTurns; ++index) {
    same += turn(sine, static_cast<unsigned>(index)) == sums[0][index];
    same += turn(convolution, static_cast<unsigned>(index)) == sums[1][index];
  }
  printf("shared: begun %d, %d of %d the same\\n", begun, same, 2 * kTurns);
  return 0;
}
"""


@needs_library
def test_real_models_in_one_arena_give_what_they_give_alone(make: Make) -> None:
    project = make()
    for first, second in itertools.permutations(("sine", "convolution")):
        main = REAL_TURNS.replace("@FIRST@", first).replace("@SECOND@", second)
        project = two_models(project, LIBRARY, main=main)
        output = project.pio("run", "-t", "upload", timeout=900).stdout
        assert "shared: begun 1, 10 of 10 the same" in output
        assert output.count("sweep: 0 began, 1 refused, enough 1") == 2
