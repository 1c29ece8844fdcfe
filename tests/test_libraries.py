"""TensorFlow Lite Micro libraries in a project, as stand-ins of four generations: found, fitted, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from project import REPOSITORY, Make, Project
from standins import CPP_LEVELS, GENERATIONS, write_standin

MODELS = REPOSITORY / "tests" / "models"

MAIN = """\
#include <stdio.h>
#include <tflm/hello_world.h>
#include "hello_world_op_resolver.h"
#include "tflm_models_op_resolver.h"

tflm::HelloWorld model;

int main() {
  const bool ready = model.begin();
  printf("begin %d, %s, operators %u\\n", ready, ready ? "no error" : model.error(), (unsigned)model.kOpCount);
  return 0;
}
"""


def with_library(make: Make, library: Path, *lines: str, main: str = MAIN) -> Project:
    plugin = f"platformio-tflm=symlink://{REPOSITORY}"
    project = make().write("src/main.cpp", main)
    return project.ini(f"lib_deps =\n  {plugin}\n  standin=symlink://{library}", *lines, way="")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    write_standin(tmp_path / "standin", "2024")
    return tmp_path / "standin"


def report_of(project: Project) -> dict:  # type: ignore[type-arg]
    return json.loads((project.build_dir / "tflm" / "report.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_links(make: Make, tmp_path: Path, generation: str) -> None:
    write_standin(tmp_path / "standin", generation)
    flags = f"build_flags = -std=gnu++{CPP_LEVELS[generation]}\nbuild_unflags = -std=gnu++17"
    project = with_library(make, tmp_path / "standin", flags if CPP_LEVELS[generation] < 17 else "")
    output = project.run("-t", "upload").stdout
    assert "operators 1" in output
    runtime = report_of(project)["runtime"]
    assert (runtime["kind"], runtime["library"]) == ("tflm", f"tflm-standin-{generation}")
    # What stand-ins need was never measured.
    assert report_of(project)["models"][0]["arena"]["method"] == "estimate"
    text = (project.build_dir / "tflm" / "report.txt").read_text(encoding="utf-8")
    assert "kernels of FULLY_CONNECTED are none that were measured" in " ".join(text.split())
    before = project.stamps()
    project.run()
    assert project.stamps() == {**project.stamps(), **{k: v for k, v in before.items() if k != "firmware.bin"}}


def test_data_runtime_leaves_the_library_alone(make: Make, library: Path) -> None:
    main = '#include "hello_world_data.h"\nint main() { return hello_world_data[0] == 1; }\n'
    project = with_library(make, library, "custom_tflm_runtime = data", main=main)
    project.run()
    assert report_of(project)["runtime"]["kind"] == "data"
    assert report_of(project)["models"][0]["arena"] is None


def test_two_libraries(make: Make, tmp_path: Path, library: Path) -> None:
    write_standin(tmp_path / "other", "2023")
    project = with_library(make, library)
    ini = project.path / "platformio.ini"
    ini.write_text(ini.read_text() + f"  other=symlink://{tmp_path / 'other'}\n")
    done = project.fail()
    assert "2 TensorFlow Lite Micro libraries are linked" in done.stderr
    assert "tflm-standin-2024 1.0.0" in done.stderr
    assert "tflm-standin-2023 1.0.0" in done.stderr
    assert "lib_ignore" in done.stderr


def test_library_that_nothing_includes(make: Make) -> None:
    project = make().ini()
    write_standin(project.path / "lib" / "standin", "2024")
    done = project.run()
    assert "warning: tflm-standin-2024 lies in this environment but nothing includes it" in done.stderr
    assert report_of(project)["runtime"]["kind"] == "data"
    project.ini("custom_tflm_runtime = tflm")
    assert "tflm-standin-2024 is there, but nothing includes it" in project.fail().stderr


def test_unsupported_operator_stops_the_build(make: Make, library: Path) -> None:
    project = with_library(make, library).model(MODELS / "hybrid_fully_connected.tflite", "models/hello_world.tflite")
    done = project.fail()
    assert "models/hello_world.tflite: error:" in done.stderr
    assert "FULLY_CONNECTED" in done.stderr
    assert "tflm-standin-2024 1.0.0" in done.stderr
    assert "Compiling" not in done.stdout


def test_custom_operator_is_named_by_the_user(make: Make, library: Path) -> None:
    main = MAIN + (
        "namespace ops {\nTFLMRegistration* Register_MOVING_MEDIAN() { static TFLMRegistration r = {}; return &r; }\n}\n"
    )
    project = with_library(make, library, main=main).model(
        MODELS / "custom_operator.tflite", "models/hello_world.tflite"
    )
    assert "custom_tflm_custom_ops = MovingMedian=Register_Function" in project.fail().stderr
    option = "custom_tflm_custom_ops = MovingMedian=ops::Register_MOVING_MEDIAN"
    ini = project.path / "platformio.ini"
    ini.write_text(ini.read_text() + option + "\n")
    project.run("-t", "upload")


@pytest.mark.parametrize(("asked", "level"), [("speed", "-O2"), ("size", "-Os"), ("inherit", "-Os")])
def test_optimization_of_the_library_alone(make: Make, library: Path, asked: str, level: str) -> None:
    project = with_library(make, library, f"custom_tflm_optimize = {asked}")
    commands = [line for line in project.run("-v").stdout.splitlines() if " -c " in line and "g++" in line]
    of_library = [line for line in commands if "kernels/conv.cpp" in line]
    of_project = [line for line in commands if line.endswith("src/main.cpp")]
    assert of_library
    assert of_project
    assert all(level in line.split() for line in of_library)
    assert all("-Os" in line.split() and "-O2" not in line.split() for line in of_project)
    assert report_of(project)["runtime"]["optimize"] == level


def test_static_memory_is_what_the_library_has(make: Make, library: Path) -> None:
    (library / "library.json").write_text(
        '{"name": "standin", "version": "1.0.0", "build": {"flags": "-DTF_LITE_STATIC_MEMORY"}}'
    )
    main = MAIN + "#ifndef TF_LITE_STATIC_MEMORY\n#error the library has it\n#endif\n"
    with_library(make, library, main=main).run()


def test_own_arena_and_margin(make: Make, library: Path) -> None:
    project = with_library(make, library, "custom_tflm_arena = 3000")
    project.run()
    assert report_of(project)["models"][0]["arena"] == {
        "size_bytes": 3000,
        "used_bytes": None,
        "head_bytes": report_of(project)["models"][0]["arena"]["head_bytes"],
        "tail_bytes": report_of(project)["models"][0]["arena"]["tail_bytes"],
        "method": "set",
    }
    arena = next(row for row in report_of(project)["categories"] if row["name"] == "arena")
    assert arena["sram_bytes"] == 3000
