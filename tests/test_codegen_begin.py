"""begin(): arenas of the user's own, and arenas that are too small. Run on this machine with stand-ins, which fault
where TensorFlow Lite Micro would go on with a null pointer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import standins
from generated import ARM, HOST, STRICT, compile_cpp, run_program, source, standin_runtime, write

from platformio_tflm.core import codegen
from platformio_tflm.core.codegen import ArenaNeed, ModelSource
from platformio_tflm.core.codegen.begin import begin_code
from platformio_tflm.core.runtime import Runtime

# The stand-in of the test's model: 8 bytes in and 2 bytes out, 16 each in the arena.
PLAN = "  standin::plan() = {1, 1, {{kTfLiteInt8, 8}}, {{kTfLiteInt8, 2}}, nullptr, 0, 0, 0};\n"

GIVEN = """\
#include <stdio.h>
#include <tflm/fully_connected_int8.h>

alignas(16) static unsigned char pool[4096];
static tflm::FullyConnectedInt8 model;

static void attempt(unsigned char* arena, size_t size) {
  const bool done = model.begin(arena, size);
  printf("%d %d|%s\\n", done, model.input() == nullptr ? -1 : static_cast<int>(model.input() - signed_pool()),
         model.error());
}

int main() {
@PLAN@  attempt(nullptr, sizeof(pool));
  attempt(pool + 8, sizeof(pool) - 8);
  attempt(pool, 1071);
  attempt(pool, 0);
  attempt(pool, 1072);
  attempt(pool + 16, 2000);
  model.end();
  const bool done = model.invoke();
  printf("%d %d|%s|%d alive\\n", done, model.input() == nullptr, model.error(), standin::plan().alive);
  printf("%u %u\\n", static_cast<unsigned>(tflm::FullyConnectedInt8::kArenaNeeded),
         static_cast<unsigned>(tflm::FullyConnectedInt8::kArenaSize));
}
""".replace("@PLAN@", PLAN).replace("signed_pool()", "static_cast<int8_t*>(static_cast<void*>(pool))")

GIVEN_EXPECTED = """\
0 -1|no arena was given to begin()
0 -1|the arena given to begin() is not aligned to 16 bytes: declare it alignas(16)
0 -1|the arena has 1071 bytes, but the model needs @UP_TO@1072
0 -1|the arena has 0 bytes, but the model needs @UP_TO@1072
1 0|
1 16|
0 1|invoke() before a begin() that succeeded|0 alive
1072 1088
"""

EVERY_SIZE = """\
#include <stdio.h>
#include <tflm/@NAME@.h>

alignas(16) static unsigned char pool[4096];

int main() {
@PLAN@  tflm::@CLASS@ model;
  unsigned least = 0, wrong = 0;
  for (unsigned size = 0; size <= 1024; ++size) {
    const bool done = model.begin(pool, size);
    if (done && least == 0) least = size;
    if (!done && least != 0) ++wrong;
    if (size == 40) printf("%s\\n", model.error());
  }
  const bool own = model.begin();
  printf("%d wrong, least known %d, own %d|%s\\n", wrong, least > 64 && least < 512, own, model.error());
}
"""


def sized(name: str, size_bytes: int, need: ArenaNeed | None) -> ModelSource:
    return replace(source(name), arena_size_bytes=size_bytes, arena_need=need)


def program(tmp_path: Path, generation: str, sources: list[ModelSource], main: str, *flags: str) -> str:
    include = standins.write_standin(tmp_path / "library", generation)
    write(tmp_path, sources, standin_runtime(generation))
    (tmp_path / "main.cc").write_text(main)
    compile_cpp(
        (*HOST, *STRICT),
        *(f"-std=gnu++{standins.CPP_LEVELS[generation]}", "-fsanitize=undefined", "-fno-sanitize-recover=undefined"),
        *("-O2", *flags, "-isystem", include, f"-I{tmp_path}/include", f"-I{tmp_path}/src", tmp_path / "main.cc"),
        *(tmp_path / "src" / f"{model.name}_data.cc" for model in sources),
        *("-o", tmp_path / "program"),
    )
    return run_program(tmp_path / "program")


@pytest.mark.parametrize("generation", standins.GENERATIONS)
@pytest.mark.parametrize("is_bound", [False, True], ids=["exact", "bound"])
def test_an_arena_of_the_users_own(tmp_path: Path, generation: str, is_bound: bool) -> None:
    model = sized("fully_connected_int8", 1088, ArenaNeed(1072, "x", is_bound=is_bound))
    expected = GIVEN_EXPECTED.replace("@UP_TO@", "up to " if is_bound else "")
    assert program(tmp_path, generation, [model], GIVEN) == expected


@pytest.mark.parametrize("generation", standins.GENERATIONS)
@pytest.mark.parametrize("name", ["fully_connected_int8", "streaming_int8"])
def test_set_below_a_bound_every_size_is_tried_and_none_faults(tmp_path: Path, generation: str, name: str) -> None:
    model = sized(name, 512, ArenaNeed(2048, "upper-bound"))
    text = EVERY_SIZE.replace("@NAME@", name).replace("@CLASS@", model.class_name).replace("@PLAN@", PLAN)
    if name == "streaming_int8":
        text = text.replace("{{kTfLiteInt8, 8}}", "{{kTfLiteInt8, 4}}")
    assert program(tmp_path, generation, [model], text) == (
        "the arena has 40 bytes, but the model needs more, at most 2048\n0 wrong, least known 1, own 1|\n"
    )


@pytest.mark.parametrize("generation", standins.GENERATIONS)
def test_an_estimate_that_was_too_low_is_no_crash(tmp_path: Path, generation: str) -> None:
    """Reserved is what was estimated, and the library needs more: begin() says so, with no arena of the user's."""
    name = "fully_connected_int8"
    model = sized(name, 512, ArenaNeed(512, "estimate", is_sure=False))
    text = EVERY_SIZE.replace("@NAME@", name).replace("@CLASS@", model.class_name).replace("@PLAN@", PLAN)
    assert program(tmp_path, generation, [model], text) == (
        "the arena has 40 bytes, but the model needs more: the estimate was 512\n0 wrong, least known 1, own 1|\n"
    )


def without_checked_arena(generation: str) -> Runtime:
    return replace(standin_runtime(generation), arena_allocator=None)


@pytest.mark.parametrize(
    ("need", "runtime"),
    [
        (ArenaNeed(1072, "exact", is_bound=False), standin_runtime("2026")),
        (ArenaNeed(1072, "upper-bound"), without_checked_arena("2026")),
    ],
    ids=["exact", "nothing to check with"],
)
def test_too_small_for_sure_is_refused_without_asking_the_library(need: ArenaNeed, runtime: Runtime) -> None:
    begin = begin_code(sized("fully_connected_int8", 1056, need), runtime)
    assert "the arena of 1056 bytes is smaller than the 1072 that are needed; raise custom_tflm_arena" in begin.public
    assert "start(fully_connected_int8_arena" not in begin.public
    assert "CheckedArena" not in begin.support + begin.private


@pytest.mark.parametrize("size_bytes", [1072, 4096])
@pytest.mark.parametrize("is_bound", [False, True])
def test_a_large_enough_arena_costs_nothing(size_bytes: int, is_bound: bool) -> None:
    begin = begin_code(
        sized("fully_connected_int8", size_bytes, ArenaNeed(1072, "", is_bound=is_bound)), standin_runtime("2026")
    )
    assert begin.support == ""
    assert begin.headers == ()
    assert "return start(fully_connected_int8_arena, sizeof(fully_connected_int8_arena));" in begin.public


@pytest.mark.parametrize("generation", standins.GENERATIONS)
def test_compiles_for_arm(tmp_path: Path, generation: str) -> None:
    include = standins.write_standin(tmp_path / "library", generation)
    model = sized("streaming_int8", 512, ArenaNeed(2048, "upper-bound"))
    write(tmp_path, [model], standin_runtime(generation))
    (tmp_path / "use.cc").write_text(
        "#include <tflm/streaming_int8.h>\nbool use(unsigned char* arena);\n"
        "bool use(unsigned char* arena) { tflm::StreamingInt8 model; return model.begin() && model.begin(arena, 99); }\n"
    )
    levels = {f"gnu++{standins.CPP_LEVELS[generation]}", "gnu++17"}
    for level, optimize in [(level, optimize) for level in sorted(levels) for optimize in ("-O0", "-Os", "-O2")]:
        options = (f"-std={level}", optimize, "-c", "-o", tmp_path / "use.o", "-isystem", include)
        compile_cpp((*ARM, *STRICT), *options, f"-I{tmp_path}/include", tmp_path / "use.cc")


def test_golden(golden: Callable[[str, str], None]) -> None:
    model = sized("fully_connected_int8", 512, ArenaNeed(2048, "upper-bound"))
    golden("codegen/inference_checked.h.txt", codegen.inference_header(model, standin_runtime("2022")))
