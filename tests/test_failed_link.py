"""A link that fails: the report of its map where room was lacking, and nothing where something else was wrong."""

from __future__ import annotations

import pytest
from project import MAIN, Make

LARGE = MAIN.replace("int main() {", "static char large[300000];\n\nint main() {\n  large[hello_world_data[1]]++;")


def test_an_overflow_is_reported_from_the_map(make: Make) -> None:
    project = make().ini("custom_tflm_reserve = buffers = 1K").write("src/main.cpp", LARGE)
    done = project.fail()
    assert "overflowed by" in done.stderr
    assert "The link failed for want of room; this is what its map shows." in done.stdout
    assert "EXCEEDED: does not fit: over the limit of SRAM by " in done.stdout
    assert "main.o 300,000" in done.stdout.replace("\n  ", " "), "what takes the room is what the linker does not say"
    assert "custom_tflm_reserve" in done.stdout
    assert "--elf" not in done.stdout
    assert not (project.build_dir / "tflm" / "report.json").exists(), "a program that is not there has no report"
    # As of any other link that failed, silence is about this report, too.
    assert "does not fit" not in project.fail("--silent").output


@pytest.mark.parametrize(
    "source", [MAIN.replace("return 0", "return missing()").replace("int main", "int missing();\nint main"), "wrong"]
)
def test_another_failure_has_no_report(make: Make, source: str) -> None:
    project = make().ini().write("src/main.cpp", LARGE)
    project.fail()
    done = project.write("src/main.cpp", source).fail()
    assert "this is what its map shows" not in done.output
    assert "Traceback" not in done.output
