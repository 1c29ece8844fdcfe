"""custom_tflm_baseline in real `pio run`s."""

from __future__ import annotations

import json
import shutil

import pytest
from project import REPOSITORY, Make
from test_build import changed

from platformio_tflm.cli import main

MODELS = REPOSITORY / "tests" / "models"


def test_the_report_ends_with_what_changed(make: Make) -> None:
    project = make().ini()
    project.run()
    folder = project.build_dir / "tflm"
    (project.path / "ci").mkdir()
    shutil.copy(folder / "report.json", project.path / "ci" / "report.json")
    project.ini("custom_tflm_baseline = ci/report.json")
    # PlatformIO itself builds all anew after a change of platformio.ini.
    output = project.run().stdout
    assert "Difference from ci/report.json to this build\nNothing changed: flash" in output

    before = project.stamps()
    output = project.run().stdout
    assert changed(before, project.stamps()) == set()
    assert "Nothing changed" in output, "a build that does nothing shows the report all the same"

    # Another baseline: measured again, not linked again.
    baseline = json.loads((project.path / "ci" / "report.json").read_text())
    baseline["memory"]["flash"]["used_bytes"] -= 1_000
    baseline["categories"][0]["flash_bytes"] -= 1_000
    project.write("ci/report.json", json.dumps(baseline))
    before = project.stamps()
    output = project.run("-t", "upload").stdout
    assert changed(before, project.stamps()) == {"tflm/report.json", "tflm/report.txt"}
    assert "Linking" not in output
    section = json.loads((folder / "report.json").read_text())["baseline"]
    assert section["before"] == "ci/report.json"
    assert section["memory"]["flash"]["used"]["growth_bytes"] == 1_000
    assert [(entry["name"], entry["flash"]["growth_bytes"]) for entry in section["categories"]] == [
        (baseline["categories"][0]["name"], 1_000)
    ]
    assert "+1,000" in (folder / "report.txt").read_text(encoding="utf-8").rpartition("Difference from")[2]

    # Another model: totals and categories agree on the difference.
    project.model(MODELS / "convolution_int8.tflite", "models/hello_world.tflite").run()
    section = json.loads((folder / "report.json").read_text())["baseline"]
    for memory in ("flash", "sram"):
        total = section["memory"][memory]["used"]["growth_bytes"]
        assert sum(entry[memory]["growth_bytes"] for entry in section["categories"]) == total
    assert [(entry["name"], entry["contents"]) for entry in section["models"]] == [("hello_world", True)]

    # And without the option it is gone.
    project.ini().run()
    assert json.loads((folder / "report.json").read_text())["baseline"] is None


def test_a_console_without_utf8_shows_it_too(make: Make) -> None:
    project = make().ini()
    project.run()
    shutil.copy(project.build_dir / "tflm" / "report.json", project.path / "old.json")
    project.ini("custom_tflm_baseline = old.json")
    project.variables.update(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    output = project.run().stdout
    assert output.isascii()
    assert "Difference from old.json to this build" in output


@pytest.mark.parametrize(
    ("option", "content", "says"),
    [
        (
            "ci/none.json",
            None,
            "platformio.ini: error: custom_tflm_baseline = ci/none.json: cannot be read: No such file",
        ),
        ("models", None, "custom_tflm_baseline = models: cannot be read: Is a directory"),
        ("old.json", "{", "old.json: error: custom_tflm_baseline: not a JSON report"),
        ("old.json", '{"schema_version": 1}', "old.json: error: custom_tflm_baseline: not a report of this schema"),
        (".pio/build/emu/tflm/report.json", None, "that is where this build writes its own report"),
    ],
)
def test_a_baseline_that_is_none(make: Make, option: str, content: str | None, says: str) -> None:
    project = make().ini(f"custom_tflm_baseline = {option}")
    if content is not None:
        project.write(option, content)
    done = project.fail()
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert "Compiling" not in done.stdout, "known before anything is compiled"


def test_faces_of_a_linked_program(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line's own measurement, and what the build has written."""
    project = make().ini()
    project.run()
    saved = str(project.build_dir / "tflm" / "report.json")
    linked = ["--elf", str(project.elf), "--map", str(project.build_dir / "firmware.map"), "--board", "nano33ble"]
    for form, begin in (
        ("markdown", "## Memory of <code>"),
        ("github", "::notice file=platformio.ini,title=Memory of "),
    ):
        for arguments in (["report", *linked], ["show", saved]):
            assert main([*arguments, "--format", form]) == 0
            output = capsys.readouterr()
            assert output.out.startswith(begin + ("emu" if arguments[0] == "show" else "nano33ble"))
            assert output.err == ""
    assert main(["report", *linked, "--baseline", saved, "--json"]) == 0
    baseline = json.loads(capsys.readouterr().out)["baseline"]
    assert baseline["before"].endswith("tflm/report.json")
    assert baseline["memory"]["flash"]["used"]["growth_bytes"] == 0
    assert {"name": "environment", "before": "emu", "after": ""} in baseline["context"]
