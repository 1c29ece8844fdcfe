"""`pio run -t tflm-arena`: the probe in the emulator, with stand-ins whose arena has a known least size.

The stand-ins are no TensorFlow Lite Micro. With PLATFORMIO_TFLM_LIBRARY set, the last test measures with a real one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from project import REPOSITORY, SHARED, Make, Project
from standins import CPP_LEVELS, GENERATIONS, write_standin

from platformio_tflm.core.lock import LOCK_FILE

MODELS = REPOSITORY / "tests" / "models"
STREAMING = MODELS / "streaming_int8.tflite"
MAIN = """\
#include <stdio.h>
#include <tflm/hello_world.h>
tflm::HelloWorld model;
int main() {
  printf("begin %d, arena %u\\n", model.begin(), static_cast<unsigned>(model.kArenaSize));
  return 0;
}
"""


def with_standin(make: Make, tmp_path: Path, flags: str, *lines: str, generation: str = "2024") -> Project:
    library = tmp_path / "standin"
    write_standin(library, generation)
    text = f"-std=gnu++{CPP_LEVELS[generation]} {flags}"
    return project_with(make(), f"standin=symlink://{library}", f"build_flags = {text}", *lines)


def project_with(project: Project, library: str, *lines: str) -> Project:
    plugin = f"platformio-tflm=symlink://{REPOSITORY}"
    unflags = "build_unflags = -std=gnu++17"
    lines = (*lines, unflags) if "build_flags = -std" in "".join(lines) else lines
    project.write("src/main.cpp", MAIN)
    return project.ini(f"lib_deps =\n  {plugin}\n  {library}", *lines, way="")


def measurements(project: Project) -> list[dict]:  # type: ignore[type-arg]
    loaded = json.loads((project.path / "tflm-lock.json").read_text(encoding="ascii"))
    return loaded["measurements"]  # type: ignore[no-any-return]


def arena_of(project: Project) -> dict:  # type: ignore[type-arg]
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    return report["models"][0]["arena"]  # type: ignore[no-any-return]


def test_measures_and_later_builds_use_it(make: Make, tmp_path: Path) -> None:
    project = with_standin(make, tmp_path, "-DSTANDIN_NEEDS=1040 -DSTANDIN_FAULTS_BELOW=900")
    project.run()
    before = project.elf.read_bytes()
    output = project.run("-t", "tflm-arena").stdout
    assert project.elf.read_bytes() == before, "the project's own program is left alone"
    row = next(line.split() for line in output.splitlines() if line.startswith("hello_world "))
    assert row[1] == "1,040"
    assert row[4] == "940"
    assert "Error: the firmware ended" not in output
    (entry,) = measurements(project)
    assert (entry["model"], entry["arena_bytes"], entry["used_bytes"]) == ("hello_world", 1040, 940)
    assert (entry["build"]["core"], entry["measured_on"]) == ("cortex-m4", "emu_nano33ble")
    assert str(tmp_path) not in (project.path / "tflm-lock.json").read_text()

    assert "arena 1040" in project.run("-t", "upload").stdout
    assert arena_of(project)["method"] == "measured"
    assert (arena_of(project)["size_bytes"], arena_of(project)["used_bytes"]) == (1040, 940)
    kept = (project.path / "tflm-lock.json").read_bytes()
    stamps = project.stamps()
    assert "has had it" in project.run("-t", "tflm-arena").stdout
    assert (project.path / "tflm-lock.json").read_bytes() == kept
    assert "Linking" not in project.run().stdout
    assert project.stamps()["firmware.elf"] == stamps["firmware.elf"]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_and_several_models(make: Make, tmp_path: Path, generation: str) -> None:
    project = with_standin(make, tmp_path, "-DSTANDIN_NEEDS=2000 -Wall -Wextra -Werror", generation=generation)
    project.model(STREAMING, "models/streaming.tflite").run("-t", "tflm-arena")
    assert [(entry["model"], entry["arena_bytes"]) for entry in measurements(project)] == [
        ("hello_world", 2000),
        ("streaming", 2000),
    ]


def test_what_no_longer_matches_does_not_count(make: Make, tmp_path: Path) -> None:
    project = with_standin(make, tmp_path, "-DSTANDIN_NEEDS=1040")
    project.run("-t", "tflm-arena")
    ini = project.path / "platformio.ini"
    text = ini.read_text()
    ini.write_text(text.replace("-DSTANDIN", "-DTF_LITE_SHOW_ERRORS -DSTANDIN"))
    output = project.run().stdout
    assert "note: tflm-lock.json has a measured arena that does not count here: it was with" in output
    assert arena_of(project)["method"] != "measured"
    ini.write_text(text)
    assert "does not count" not in project.run().stdout
    project.model(MODELS / "fully_connected_int8.tflite", "models/hello_world.tflite")
    assert "does not count here: the model's bytes have changed" in project.run().stdout
    project.run("-t", "tflm-arena")
    assert len(measurements(project)) == 1
    project.run()
    assert arena_of(project)["method"] == "measured"


def test_set_by_hand_beats_measured_and_margin_adds(make: Make, tmp_path: Path) -> None:
    project = with_standin(make, tmp_path, "-DSTANDIN_NEEDS=1040")
    project.run("-t", "tflm-arena")
    ini = project.path / "platformio.ini"
    text = ini.read_text()
    ini.write_text(text + "custom_tflm_arena_margin = 100\n")
    project.run()
    assert (arena_of(project)["size_bytes"], arena_of(project)["method"]) == (1152, "measured")
    ini.write_text(text + "custom_tflm_arena = 4000\n")
    project.run()
    assert (arena_of(project)["size_bytes"], arena_of(project)["method"]) == (4000, "set")
    ini.write_text(text + "custom_tflm_arena = 512\n")
    done = project.fail()
    figures = "custom_tflm_arena sets 512 bytes, but 1,040 are needed (measured, see tflm-lock.json): 528 too few"
    assert f"models/hello_world.tflite: error: {figures}" in done.stderr
    assert "Set custom_tflm_arena to 1040 or more, or leave it out." in done.stderr


def test_plan_that_is_too_small_is_said(make: Make, tmp_path: Path) -> None:
    project = with_standin(make, tmp_path, "-DSTANDIN_NEEDS=3000")
    output = project.run("-t", "tflm-arena").stdout
    assert "warning: hello_world: the plan" in output
    assert "bytes too small for this library" in output
    assert measurements(project)[0]["arena_bytes"] == 3008


def test_model_that_never_runs(make: Make, tmp_path: Path) -> None:
    project = with_standin(make, tmp_path, "-DSTANDIN_NEEDS=100000 -DSTANDIN_FAULTS_BELOW=100000")
    done = project.fail("-t", "tflm-arena")
    assert "models/hello_world.tflite: error: in an arena of" in done.stderr
    assert "ended in a fault or did not end" in done.stderr
    assert "Traceback" not in done.output
    assert not (project.path / "tflm-lock.json").exists()


def test_without_a_library(make: Make) -> None:
    done = make().ini().fail("-t", "tflm-arena")
    assert "platformio.ini: error: no TensorFlow Lite Micro library is linked" in done.stderr
    assert "Compiling" not in done.stdout


def test_without_a_model(make: Make, tmp_path: Path) -> None:
    project = with_standin(make, tmp_path, "").write("src/main.cpp", "int main() { return 0; }\n")
    (project.path / "models" / "hello_world.tflite").unlink()
    assert "error: no model in this environment" in project.fail("-t", "tflm-arena").stderr


def test_not_together_with_other_targets(make: Make, tmp_path: Path) -> None:
    done = with_standin(make, tmp_path, "").fail("-t", "tflm-arena", "-t", "upload")
    assert "tflm-arena together with upload" in done.stderr


def test_damaged_lock_stops_the_build(make: Make, tmp_path: Path) -> None:
    project = with_standin(make, tmp_path, "").write("tflm-lock.json", "<<<<<<< ours\n")
    assert "tflm-lock.json: error: not a JSON lock file" in project.fail().stderr


def test_listed(make: Make) -> None:
    output = make().ini().run("--list-targets").stdout
    assert "tflm-arena" in output
    assert "Measure arenas" in output


@pytest.mark.skipif(
    not os.environ.get("PLATFORMIO_TFLM_LIBRARY"), reason="PLATFORMIO_TFLM_LIBRARY names no real TensorFlow Lite Micro"
)
def test_a_real_library_needs_what_was_measured_elsewhere(make: Make) -> None:
    """truth/arena.json has what this model needs with upstream's kernels and with CMSIS-NN, on the same core."""
    project = project_with(make(), f"tflm={os.environ['PLATFORMIO_TFLM_LIBRARY']}")
    known = SHARED / "models" / "tflm_hello_world_int8.tflite"
    if known.is_file():
        project.model(known)
    done = project.pio("run", "-t", "tflm-arena", timeout=1800)
    assert done.returncode == 0, done.output
    least = measurements(project)[0]["arena_bytes"]
    if known.is_file():
        models = json.loads((SHARED / "truth" / "arena.json").read_text(encoding="utf-8"))["models"]
        entry = next(model for model in models if model["file"] == known.name)
        assert least in {entry[kernels]["min_working_arena_bytes"] for kernels in ("m4_ref", "m4_cmsis_nn")}
    assert f"begin 1, arena {least}" in project.run("-t", "upload").stdout


def test_the_lock_has_one_name() -> None:
    """The build names it itself, so as not to import what reads it."""
    text = (REPOSITORY / "platformio_tflm" / "scons" / "probe.py").read_text(encoding="utf-8")
    assert f'\nLOCK_FILE = "{LOCK_FILE}"\n' in text
