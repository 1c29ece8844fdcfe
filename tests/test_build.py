"""The plugin inside real `pio run`s: ways in, what is rebuilt when, and what a user may do to a project."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from project import HELLO_WORLD, MAIN, REPOSITORY, Make, Project
from standins import write_standin

MODELS = REPOSITORY / "tests" / "models"


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.mark.parametrize("way", ["A", "B", "AB"])
def test_ways_in(make: Make, way: str) -> None:
    project = make().ini(way=way)
    output = project.run("-t", "upload").stdout
    assert f"model {HELLO_WORLD.stat().st_size} bytes, first {HELLO_WORLD.read_bytes()[0]}" in output
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert report["models"][0]["verified"] == ["elf", "hex"]
    assert report["status"] == "ok"


def test_second_build_does_nothing(make: Make) -> None:
    project = make().ini()
    project.run()
    before = project.stamps()
    os.utime(project.path / "models" / "hello_world.tflite")
    output = project.run().stdout
    assert changed(before, project.stamps()) == set()
    assert "Linking" not in output
    assert "Compiling" not in output


def test_replaced_model_rebuilds_it_and_what_includes_it(make: Make) -> None:
    project = make().ini().write("src/other.cpp", "int other() { return 1; }\n")
    project.model(MODELS / "fully_connected_int8.tflite", "models/second.tflite").run()
    before = project.stamps()
    project.model(MODELS / "fully_connected_float.tflite", "models/hello_world.tflite").run()
    names = changed(before, project.stamps())
    assert {"src/main.o", "tflm/src/hello_world_data.o", "firmware.elf", "tflm/report.json"} <= names
    assert not names & {"src/other.o", "tflm/src/second_data.o", "tflm/include/second_data.h"}
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert [model["verified"] for model in report["models"]] == [["elf", "hex"], []]


def test_removed_model_takes_its_outputs_along(make: Make) -> None:
    project = make().ini().model(name="models/second.tflite")
    project.write("src/maybe.cpp", '#if __has_include("second_data.h")\n#include "second_data.h"\n#endif\n')
    project.run()
    folder = project.build_dir / "tflm"
    assert (folder / "include" / "tflm" / "second.h").is_file()
    (project.path / "models" / "second.tflite").unlink()
    project.run()
    assert [path for path in folder.rglob("*") if path.name.startswith("second")] == []
    (project.path / "models" / "hello_world.tflite").unlink()
    project.write("src/main.cpp", "int main() { return 0; }\n").run()
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_without_models_nothing_is_said_or_done(make: Make) -> None:
    project = make().ini().write("src/main.cpp", "int main() { return 0; }\n")
    (project.path / "models" / "hello_world.tflite").unlink()
    done = project.run()
    assert "TensorFlow" not in done.output
    assert not (project.build_dir / "tflm").exists()
    assert not list(project.build_dir.glob("*.map"))


@pytest.mark.parametrize("mode", ["chain", "chain+", "deep", "deep+", "off"])
def test_ldf_modes(make: Make, mode: str) -> None:
    project = make().ini(f"lib_ldf_mode = {mode}")
    project.run()
    before = project.stamps()
    project.run()
    assert changed(before, project.stamps()) == set()


def test_project_path_with_letters_for_the_shell(make: Make) -> None:
    project = make("it's 50%s (a; b & `c`)").ini()
    project.run()
    assert (project.build_dir / "firmware.map").is_file()


@pytest.mark.parametrize("way", ["A", "B"])
def test_path_with_blanks_and_other_letters(make: Make, way: str) -> None:
    project = make("mein Projekt, größer als es scheint").ini(way=way)
    project.model(name="models/größtes Modell.tflite").run("-t", "upload")
    assert (project.build_dir / "tflm" / "include" / "gro_tes_Modell_data.h").is_file()
    project.run()
    before = project.stamps()
    project.run()
    assert changed(before, project.stamps()) == set()


def test_two_environments(make: Make) -> None:
    project = make()
    common = f"platform = symlink://{REPOSITORY}/emulator\nlib_deps = platformio-tflm=symlink://{REPOSITORY}\n"
    project.model(MODELS / "fully_connected_int8.tflite", "other/fully_connected.tflite")
    project.write(
        "platformio.ini",
        f"[env:one]\nboard = emu_nano33ble\nbuild_src_filter = +<main.cpp>\n{common}"
        f"[env:two]\nboard = emu_f746\nbuild_src_filter = +<two.c>\n{common}custom_tflm_models = other/*.tflite\n",
    )
    project.write(
        "src/two.c", '#include "fully_connected_data.h"\nint main(void) { return fully_connected_data[0]; }\n'
    )
    project.run()
    for name, stem in (("one", "hello_world"), ("two", "fully_connected")):
        folder = project.path / ".pio" / "build" / name / "tflm" / "include"
        assert [path.name for path in folder.glob("*_data.h")] == [f"{stem}_data.h"]


def test_build_cache(make: Make) -> None:
    project = make().ini()
    project.write(
        "platformio.ini", (project.path / "platformio.ini").read_text() + "[platformio]\nbuild_cache_dir = cache\n"
    )
    project.run("-t", "upload")
    first = project.elf.read_bytes()
    project.run("-t", "clean")
    assert not project.elf.exists()
    output = project.run("-t", "upload").stdout
    assert "Retrieved" in output
    assert project.elf.read_bytes() == first
    project.model(MODELS / "fully_connected_float.tflite", "models/hello_world.tflite")
    project.run()
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert report["models"][0]["verified"] == ["elf", "hex"]


def test_debug_build(make: Make) -> None:
    project = make().ini("build_type = debug")
    project.run("-t", "upload")
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert report["project"]["build_type"] == "debug"


def test_idedata_lists_the_headers_and_builds_nothing(make: Make) -> None:
    project = make().ini()
    done = project.run("-t", "idedata")
    line = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    includes = json.loads(line)["includes"]["build"]
    assert str(project.build_dir / "tflm" / "include") in includes
    assert (project.build_dir / "tflm" / "include" / "tflm" / "hello_world.h").is_file()
    assert not list(project.build_dir.rglob("*.o"))


def test_idedata_survives_a_broken_model(make: Make) -> None:
    project = make().ini().write("models/broken.tflite", b"this is no model")
    done = project.run("-t", "idedata")
    assert json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert "models/broken.tflite: error:" in done.stderr


def test_compiledb(make: Make) -> None:
    project = make().ini()
    project.run("-t", "compiledb")
    entries = json.loads((project.path / "compile_commands.json").read_text())
    main = next(entry for entry in entries if entry["file"].endswith("main.cpp"))
    assert "tflm/include" in main["command"].replace("\\", "/")
    assert not list(project.build_dir.rglob("*.o"))


def test_check_metadata(make: Make) -> None:
    """`pio check` and `pio debug` ask for the metadata by this command."""
    project = make().ini()
    done = project.pio("project", "metadata", "--json-output")
    assert done.returncode == 0, done.output
    metadata = json.loads(done.stdout.splitlines()[-1])["emu"]
    assert str(project.build_dir / "tflm" / "include") in metadata["includes"]["build"]


def test_targets_are_listed(make: Make) -> None:
    project = make().ini()
    output = project.run("--list-targets").stdout
    for words in ("TensorFlow Lite Micro", "tflm-inspect", "Inspect models", "tflm-report", "Memory report"):
        assert words in output


def test_inspect_target_builds_nothing(make: Make) -> None:
    project = make().ini()
    output = project.run("-t", "tflm-inspect").stdout
    assert "FULLY_CONNECTED" in output
    assert not project.elf.exists()


def test_report_target(make: Make) -> None:
    project = make().ini()
    output = project.run("-t", "tflm-report").stdout
    assert "TensorFlow Lite Micro report" in output
    assert project.elf.exists()


def test_report_target_with_json_alone_and_before_an_upload(make: Make) -> None:
    project = make().ini("custom_tflm_report = json")
    assert "TensorFlow Lite Micro report" not in project.run().stdout
    for targets in (("tflm-report",), ("tflm-report", "upload")):
        output = project.run(*(word for target in targets for word in ("-t", target))).stdout
        assert output.count("TensorFlow Lite Micro report") == 1
    project.ini()
    assert project.run("-t", "tflm-report", "-t", "upload").stdout.count("TensorFlow Lite Micro report") == 1


def test_unknown_board_names_the_option(make: Make) -> None:
    stderr = make().ini("custom_tflm_board = nano33bel").fail().stderr
    assert "platformio.ini: error: custom_tflm_board: no board file for 'nano33bel'" in stderr
    assert "nano33ble" in stderr


def test_clean(make: Make) -> None:
    project = make().ini()
    project.run()
    project.run("-t", "clean")
    assert not project.build_dir.exists() or not list(project.build_dir.rglob("*"))
    project.run()


def test_over_the_limit_nothing_is_uploaded(make: Make) -> None:
    project = make().ini("custom_tflm_max_flash = 4K")
    done = project.fail("-t", "upload")
    assert "flash:" in done.stderr
    assert "too many" in done.stderr
    assert f"model {HELLO_WORLD.stat().st_size} bytes" not in done.stdout
    assert project.fail("-t", "upload").stderr.count("too many") == done.stderr.count("too many")
    project.ini("custom_tflm_max_flash = 4K", "custom_tflm_over_limit = warn")
    assert "too many" in project.run("-t", "upload").stdout


def test_a_silent_build_says_what_is_wrong_and_nothing_else(make: Make) -> None:
    project = make().ini("custom_tflm_tight = 100%%", "custom_tflm_max_flash = 512K")
    project.run()  # PlatformIO says even then what it installs.
    project.write("src/main.cpp", MAIN.replace("first", "the first"))
    lines = project.run("--silent").output.strip().splitlines()
    assert [line[:30] for line in lines] == ["emu: warning: flash is tight: ", "emu: warning: SRAM is tight: 2"]
    assert project.run("--silent").output.strip() == "", "said once"
    fits = make("fits").ini()
    fits.run()
    fits.write("src/main.cpp", MAIN.replace("first", "the first"))
    assert fits.run("--silent").output.strip() == ""


def test_unknown_option_names_the_nearest(make: Make) -> None:
    done = make().ini("custom_tflm_modells = a.tflite", "custom_tflm_arena = big").fail()
    assert "custom_tflm_modells: no such option; did you mean custom_tflm_models?" in done.stderr
    assert "custom_tflm_arena: 'big' is not a size" in done.stderr


def test_broken_model_stops_the_build(make: Make) -> None:
    done = make().ini().write("models/broken.tflite", b"PK\x03\x04 nothing").fail()
    assert "models/broken.tflite: error:" in done.stderr
    assert "Traceback" not in done.output


def test_two_models_with_one_name(make: Make) -> None:
    done = make().ini().model(name="src/hello_world.tflite").fail()
    assert "models/hello_world.tflite and src/hello_world.tflite" in done.stderr


def test_asking_for_tflm_without_a_library(make: Make) -> None:
    done = make().ini("custom_tflm_runtime = tflm").fail()
    assert "no TensorFlow Lite Micro library is linked" in done.stderr


def test_model_with_a_name_for_trouble(make: Make) -> None:
    name = 'models/a "quoted" $(name) $PATH `x` %s.tflite'
    # The assembler looks for what it includes in the project folder first.
    project = make().ini().model(name=name).write("hello_world_data.bin", b"not the model")
    project.run()
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert name in [model["path"] for model in report["models"]]


def test_killed_build_leaves_nothing_to_trust(make: Make) -> None:
    """SIGKILL at some moments of the first build; the build after it gives what a clean one gives."""
    project = make().ini()
    project.run()
    wanted = project.elf.read_bytes()
    for moment in (0.5, 0.8, 1.1):
        project.run("-t", "clean")
        victim = subprocess.Popen(
            project.command("run"),
            cwd=project.path,
            env=project.process_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moment)
        os.killpg(victim.pid, signal.SIGKILL)
        victim.wait()
        project.run()
        assert project.elf.read_bytes() == wanted
        assert {path.name for path in (project.build_dir / "tflm" / "src").iterdir()} == {
            f"hello_world_data.{suffix}" for suffix in ("cc", "incbin", "o")
        }
        assert not list((project.build_dir / "tflm").rglob("*.tmp"))


def test_parallel_build_of_many_models(make: Make) -> None:
    project = make().ini()
    for number in range(12):
        project.model(name=f"models/copy_{number}.tflite")
    project.run("-j", "8")
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert len(report["models"]) == 13


def test_board_without_a_file_uses_platformio_limits(make: Make) -> None:
    project = make().ini(board="custom")
    manifest = json.loads((REPOSITORY / "emulator" / "boards" / "emu_nano33ble.json").read_text())
    project.write("boards/custom.json", json.dumps(manifest)).run()
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert report["memory"]["flash"]["limit_bytes"] == manifest["upload"]["maximum_size"]
    assert "No board file for custom" in report["messages"][0]["text"]


def test_console_without_utf8(make: Make) -> None:
    project = make().ini()
    project.variables.update(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    output = project.run().stdout
    assert "TensorFlow Lite Micro report" in output
    assert output.isascii()
    assert "OK: fits" in output


def test_project_limit_beats_the_board_file(make: Make) -> None:
    project = make().ini("board_upload.maximum_size = 2000000")
    project.run()
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert report["memory"]["flash"]["limit_bytes"] == 2000000


def test_partition_table_sets_the_limit(make: Make) -> None:
    """The variable is the one that PlatformIO's ESP32 platform sets."""
    project = make().ini("extra_scripts = pre:table.py").write("table.csv", "app0, app, factory, 0x10000, 4K\n")
    project.write("table.py", 'Import("env")\nenv.Replace(PARTITIONS_TABLE_CSV="table.csv")\n')
    assert "of 4,096 bytes allowed" in project.fail().stderr


def test_attached_twice_by_one_script(make: Make) -> None:
    project = make().ini(way="B")
    script = (project.path / "tflm_build.py").read_text()
    project.write("tflm_build.py", script + "attach(env)\n").run("-t", "upload")


def test_program_with_link_time_optimization(make: Make) -> None:
    project = make().ini("build_flags = -flto")
    assert f"model {HELLO_WORLD.stat().st_size} bytes" in project.run("-t", "upload").stdout
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert report["models"][0]["verified"] == ["elf", "hex"]
    assert report["models"][0]["alignment"] >= 16


NO_INCBIN = """\
#!/bin/sh
for word in "$@"; do
  case "$word" in *.cc) if grep -q '\\.incbin' "$word"; then echo "unknown directive .incbin" >&2; exit 1; fi ;; esac
done
exec arm-none-eabi-g++ "$@"
"""


def test_compiler_without_incbin(make: Make) -> None:
    project = make().ini("extra_scripts = pre:compiler.py").write("g++-old", NO_INCBIN)
    (project.path / "g++-old").chmod(0o755)
    script = 'Import("env")\nimport os\nenv["TFLM_TEST_CXX"] = os.path.abspath("g++-old")\n'
    project.write("compiler.py", script).write("late.py", 'Import("env")\nenv.Replace(CXX=env["TFLM_TEST_CXX"])\n')
    project.ini("extra_scripts =\n  pre:compiler.py\n  late.py")
    assert f"model {HELLO_WORLD.stat().st_size} bytes" in project.run("-t", "upload").stdout
    source = (project.build_dir / "tflm" / "src" / "hello_world_data.cc").read_text()
    assert ".incbin" not in source
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert report["models"][0]["verified"] == ["elf", "hex"]


def test_model_replaced_while_the_build_runs(make: Make) -> None:
    """A post script runs after the headers are written and before anything is built."""
    project = make().ini("extra_scripts = replace.py")
    project.write("replace.py", 'open("models/hello_world.tflite", "ab").write(bytes(16))\n')
    done = project.fail()
    assert "models/hello_world.tflite: error: was replaced while the build was running" in done.stderr
    project.write("replace.py", "").run()


def test_libraries_of_the_project_see_the_headers(make: Make) -> None:
    """aaa is made before the plugin runs, zzz after it."""
    project = make().ini("build_flags = -include src/config.h").write("src/config.h", "#define CONFIGURED 1\n")
    for name in ("aaa", "zzz"):
        project.write(f"lib/{name}/{name}.h", f"int {name}();\n")
        project.write(
            f"lib/{name}/{name}.cpp",
            f'#include "{name}.h"\n#include <tflm/hello_world.h>\nint {name}() {{ return hello_world_data[CONFIGURED]; }}\n',
        )
    project.write("src/main.cpp", '#include "aaa.h"\n#include "zzz.h"\nint main() { return aaa() - zzz(); }\n')
    project.run()
    # The probe is compiled where the project's files are, or a flag with a relative path would make it fail.
    assert ".incbin" in (project.build_dir / "tflm" / "src" / "hello_world_data.cc").read_text()
    before = project.stamps()
    project.run()
    assert changed(before, project.stamps()) == set()


def test_plugin_in_the_projects_lib_folder(make: Make) -> None:
    project = make().ini(way="")
    for name in ("library.json", "extra_script.py"):
        project.write(f"lib/platformio-tflm/{name}", (REPOSITORY / name).read_bytes())
    (project.path / "lib" / "platformio-tflm" / "platformio_tflm").symlink_to(REPOSITORY / "platformio_tflm")
    assert f"model {HELLO_WORLD.stat().st_size} bytes" in project.run("-t", "upload").stdout


def test_static_memory_reaches_the_projects_libraries(make: Make) -> None:
    project = make().ini()
    write_standin(project.path / "lib" / "standin", "2024")
    manifest = {"name": "standin", "version": "1.0.0", "build": {"flags": "-DTF_LITE_STATIC_MEMORY"}}
    project.write("lib/standin/library.json", json.dumps(manifest)).write("lib/mine/mine.h", "int mine();\n")
    project.write(
        "lib/mine/mine.cpp",
        '#include "tensorflow/lite/micro/micro_interpreter.h"\n#include "mine.h"\n'
        "#ifndef TF_LITE_STATIC_MEMORY\n#error standin has it\n#endif\nint mine() { return 0; }\n",
    )
    project.write("src/main.cpp", '#include "mine.h"\nint main() { return mine(); }\n').run()


def test_percentages_as_platformio_wants_them(make: Make) -> None:
    """PlatformIO itself refuses a single %."""
    project = make().ini("custom_tflm_max_flash = 50%%", "build_flags = -Wl,--Map=own.map")
    project.run()
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    assert report["memory"]["flash"]["limit_bytes"] == 983040 // 2
    assert not (project.build_dir / "firmware.map").exists()


def test_model_that_is_a_folder_or_a_link_to_nowhere(make: Make) -> None:
    project = make().ini("custom_tflm_models = models/folder.tflite")
    project.model(name="models/folder.tflite/inside.tflite")
    assert "It is a folder; models/folder.tflite/*.tflite" in project.fail().stderr
    project.ini()
    (project.path / "models" / "link.tflite").symlink_to("nowhere")
    assert "models/link.tflite: error: cannot be read: No such file" in project.fail().stderr


def test_a_library_of_the_platform_s_packages_is_the_framework_s(make: Make) -> None:
    """As Arduino's SPI is, which every core brings along; a library of the project stays the application's."""
    project = make()
    package, platform = project.path / "package", project.path / "platform"
    for library, folder in (("Bus", "package/libraries"), ("Own", "lib")):
        name = library.lower()
        source = f"volatile int {name}[{len(folder)}];\nint {name}_begin(int a) {{ return {name}[a]; }}\n"
        project.write(f"{folder}/{library}/{library}.h", f'extern "C" int {name}_begin(int);\n')
        project.write(f"{folder}/{library}/{library}.c", source)
    project.write("package/package.json", '{"name": "framework-demo", "version": "1.0.0"}')
    shutil.copytree(REPOSITORY / "emulator", platform)
    manifest = json.loads((platform / "platform.json").read_text())
    manifest["packages"] = {"framework-demo": {"type": "framework", "version": "~1.0.0"}}
    (platform / "platform.json").write_text(json.dumps(manifest))
    main = "#include <Bus.h>\n#include <Own.h>\nint main() { return bus_begin(1) + own_begin(1); }\n"
    project.write("src/main.cpp", main).ini(
        f"platform_packages = framework-demo@symlink://{package}",
        f"lib_extra_dirs = {package}/libraries",
        platform=str(platform),
    )
    project.run()
    report = json.loads((project.build_dir / "tflm" / "report.json").read_text())
    sram = {entry["name"]: entry["sram_bytes"] for entry in report["categories"]}
    assert sram["application"] == 4 * len("lib")
    alone = measured(project)
    assert alone["framework"] == sram["framework"] - 4 * len("package/libraries"), "without its build nobody knows"


def measured(project: Project) -> dict[str, int]:
    """SRAM by category, of the linked files alone."""
    command = [sys.executable, "-m", "platformio_tflm", "report", "--board", "nano33ble", "--json"]
    command += ["--elf", str(project.elf), "--map", str(project.build_dir / "firmware.map")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return {entry["name"]: entry["sram_bytes"] for entry in json.loads(done.stdout)["categories"]}
