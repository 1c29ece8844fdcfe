"""The command line: JSON alone on standard output, and the exit codes of the documentation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from models import make_models
from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize, with_tensor
from project import HELLO_WORLD, REPOSITORY
from test_render import too_large

from platformio_tflm.cli import main
from platformio_tflm.cli.console import bytes_of
from platformio_tflm.errors import InputError
from platformio_tflm.render.json_report import render_json


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "inspect", HELLO_WORLD)
    assert (code, err) == (0, "")
    assert "FULLY_CONNECTED" in out
    assert "int8" in out


@pytest.mark.parametrize("command", ["inspect", "plan"])
def test_json_is_one_entry_of_models(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, out, err = run(capsys, command, HELLO_WORLD, "--json")
    entry = json.loads(out)
    assert (code, err) == (0, "")
    assert entry["name"] == "hello_world"
    assert entry["size_bytes"] == HELLO_WORLD.stat().st_size
    assert entry["arena"]["size_bytes"] % 16 == 0


def test_plan(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "plan", HELLO_WORLD)
    assert code == 0
    for words in ("arena ", "kernels, structs as in", "Lives in steps", "Head over time", "1:FULLY_CONNECTED"):
        assert words in out
    assert max(map(len, out.splitlines())) <= 100


def test_plan_for_kernels_and_struct_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {}
    for abi in ("ilp32", "lp64"):
        code, out, _ = run(capsys, "plan", HELLO_WORLD, "--kernels", "reference", "--abi", abi, "--json")
        assert code == 0
        sizes[abi] = json.loads(out)["arena"]["size_bytes"]
    assert sizes["ilp32"] < sizes["lp64"]
    assert run(capsys, "plan", HELLO_WORLD, "--kernels", "none")[0] == 2


def test_plan_for_a_board(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "plan", HELLO_WORLD, "--board", "nano33ble")
    assert code == 0
    assert "Arduino Nano 33 BLE (nano33ble)" in out
    assert "fits; what is left is for the program" in out
    convolution = REPOSITORY / "tests" / "models" / "convolution_int8.tflite"
    code, out, err = run(capsys, "plan", convolution, "--board", "uno")
    assert (code, err) == (1, "")
    assert "too many" in out
    assert run(capsys, "plan", HELLO_WORLD, "--board", "nano33bel")[0] == 3


def test_boards(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "boards")
    assert code == 0
    assert len(out.splitlines()) == len(list((REPOSITORY / "boards").glob("*.yaml")))
    code, out, _ = run(capsys, "boards", "--json")
    assert {board["id"] for board in json.loads(out)} == {path.stem for path in (REPOSITORY / "boards").glob("*.yaml")}


def test_missing_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capsys, "inspect", tmp_path / "none.tflite")
    assert (code, out) == (3, "")
    assert "none.tflite" in err


def test_not_a_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"PK\x03\x04")
    code, _, err = run(capsys, "inspect", path)
    assert code == 3
    assert err.startswith("error: ")
    assert "model.tflite" in err


def test_unknown_board(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("firmware.elf", "firmware.map"):
        (tmp_path / name).write_bytes(b"")
    arguments = ("--elf", tmp_path / "firmware.elf", "--map", tmp_path / "firmware.map")
    code, _, err = run(capsys, "report", *arguments, "--board", "nano33bel")
    assert code == 3
    assert "nano33ble" in err


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "inspect")[0] == 2
    assert run(capsys, "no-such-command")[0] == 2
    assert run(capsys, "report", "--board", "pico")[0] == 2
    code, _, err = run(capsys, "report", "--map", "a.map", "--hex", "a.hex")
    assert (code, "name it with --model" in err) == (2, True), "a file that is not looked at is no file that is right"


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version")[0] == 0
    assert "inspect" in run(capsys, "--help")[1]


def test_a_quiet_report_is_what_is_wrong_and_the_verdict(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(render_json(too_large()))
    code, out, _ = run(capsys, "show", report, "--quiet")
    assert code == 1
    lines = out.splitlines()
    assert lines[-1].startswith("EXCEEDED: ")
    assert {line.partition(":")[0] for line in lines if not line.startswith(" ")} <= {"error", "warning", "EXCEEDED"}
    assert len(lines) < 10


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_is_no_bug() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "platformio_tflm", "boards"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (3, "error: standard output: cannot be written: No space left on device\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for limit, readable in ((4, True), (3, False)):
        monkeypatch.setattr("platformio_tflm.cli.console.MAX_FILE_BYTES", limit)
        writer = Thread(target=lambda: pipe.write_bytes(b"abcd"))
        writer.start()
        if readable:
            assert bytes_of(pipe, InputError) == b"abcd"
        else:
            with pytest.raises(InputError, match="at most 3 bytes are read"):
                bytes_of(pipe, InputError)
        writer.join()


def test_a_bug_is_told_apart(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("platformio_tflm.cli.models.read_model_file", broken)
    code, _, err = run(capsys, "inspect", HELLO_WORLD)
    assert code == 70
    assert "please report" in err
    assert "broken on purpose" in err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("command", ["inspect", "plan"])
def test_names_that_the_console_has_no_letters_for(tmp_path: Path, command: str, encoding: str) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(serialize(with_tensor(make_models.specifications()["fully_connected_int8"], 0, name="入力")))
    for more in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "platformio_tflm", command, model, *more],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["inputs"][0]["name"] == "入力"


def test_a_long_name_of_an_operator_does_not_widen_all_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One name of megabytes, and hundreds of lines padded to its length."""
    names = ["n" * 1_000_000, *(f"custom {index}" for index in range(300))]
    tensors = (TensorSpec("x", "INT8", (1, 4)),)
    graph = GraphSpec(tensors, (0,), (0,), tuple(OperatorSpec(name, (0,), (0,)) for name in names))
    model = tmp_path / "long.tflite"
    model.write_bytes(serialize(ModelSpec((graph,))))
    for command in ("inspect", "plan"):
        code, out, _ = run(capsys, command, model)
        assert code == 0
        assert len(out) < 100_000
