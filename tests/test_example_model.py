"""examples/hello_world: the committed model, and the firmware around it."""

from __future__ import annotations

import importlib
import math
import os
import re
import shutil
import zlib
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from project import HELLO_WORLD, REPOSITORY, Project, Run

from platformio_tflm.core.model import Model, TensorType
from platformio_tflm.core.tflite import read_model

EXAMPLE = REPOSITORY / "examples" / "hello_world"
LIBRARY = os.environ.get("PLATFORMIO_TFLM_LIBRARY", "")
TOLERANCE = 0.06  # as in src/main.cpp; the model itself is off by 0.045 at most
LARGEST_MODEL_BYTES = 4096
WHOLE_LIBRARY_SECONDS = 1200  # some 250 files of C++
needs_emulator = pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-g++") and shutil.which("qemu-system-arm")),
    reason="arm-none-eabi-g++ or qemu-system-arm is not on PATH",
)


@pytest.fixture(scope="module")
def model() -> Model:
    return read_model(HELLO_WORLD.read_bytes())


def test_model_is_small_static_int8(model: Model) -> None:
    assert model.size_bytes < LARGEST_MODEL_BYTES
    (source,), (sink,) = model.inputs(), model.outputs()
    assert (source.type, sink.type) == (TensorType.INT8, TensorType.INT8)
    assert (source.shape, sink.shape) == ((1, 1), (1, 1))
    assert all(-1 not in tensor.shape_signature for tensor in model.main.tensors)


def test_model_runs_on_old_libraries(model: Model) -> None:
    """One operator, of a version that every release knows, and one scale a tensor."""
    assert {(operator.code.name, operator.code.version) for operator in model.main.operators} == {
        ("FULLY_CONNECTED", 4)
    }
    assert not any(tensor.quantization.per_channel for tensor in model.main.tensors if tensor.quantization)


def test_model_is_a_sine(model: Model) -> None:
    """On TensorFlow Lite Micro itself, at each of the 256 angles that the input can hold."""
    interpreter = _runtime().Interpreter.from_bytes(HELLO_WORLD.read_bytes())
    distances = [abs(_infer(interpreter, model, stored) - math.sin(_angle(model, stored))) for stored in _stored()]
    assert max(distances) <= TOLERANCE


def test_every_environment_has_plugin_and_optional_library() -> None:
    ini = ConfigParser(interpolation=None)
    ini.read(EXAMPLE / "platformio.ini", encoding="utf-8")
    assert ini["platformio"]["default_envs"] == "emu_nano33ble"
    assert ini["env"]["lib_deps"].split() == ["platformio-tflm=symlink://../..", "${sysenv.PLATFORMIO_TFLM_LIBRARY}"]
    environments = {name: section for name, section in ini.items() if name.startswith("env:")}
    assert all(section["board"] == name.removeprefix("env:") for name, section in environments.items())
    assert not any("lib_deps" in section for section in environments.values())


@pytest.fixture(scope="module")
def without_library(tmp_path_factory: pytest.TempPathFactory, core: dict[str, str]) -> Run:
    return _example(tmp_path_factory.mktemp("hello"), core, library="").run("-t", "upload")


@needs_emulator
def test_firmware_shows_its_model(without_library: Run) -> None:
    shown = _shown(without_library)
    assert int(shown["address"], 16) % 16 == 0
    assert int(shown["alignment"].split()[0]) >= 16
    assert shown["length"] == f"{HELLO_WORLD.stat().st_size} bytes"
    assert int(shown["CRC-32"], 16) == zlib.crc32(HELLO_WORLD.read_bytes())
    assert shown["operators"] == "1: FULLY_CONNECTED"
    assert int(shown["arena"].split()[0]) > 0
    assert "arena used" not in shown


@needs_emulator
def test_firmware_says_how_to_add_a_library(without_library: Run) -> None:
    assert "No inference library is in this environment" in without_library.stdout
    assert "PLATFORMIO_TFLM_LIBRARY=symlink://" in without_library.stdout


@needs_emulator
@pytest.mark.skipif(not LIBRARY, reason="PLATFORMIO_TFLM_LIBRARY names no TensorFlow Lite Micro library")
def test_firmware_infers_what_the_host_infers(tmp_path: Path, core: dict[str, str], model: Model) -> None:
    done = _example(tmp_path, core, library=LIBRARY).pio("run", "-t", "upload", timeout=WHOLE_LIBRARY_SECONDS)
    output = done.stdout
    assert done.returncode == 0, done.output
    rows = re.findall(r"^\s*(\d\.\d{4})\s+(-?\d\.\d{4})\s+(-?\d\.\d{4})\s+(\d\.\d{4})\s*$", output, re.MULTILINE)
    assert len(rows) == 25
    interpreter = _runtime().Interpreter.from_bytes(HELLO_WORLD.read_bytes())
    for step, row in enumerate(rows):
        x, inferred, sine, error = map(float, row)
        assert x == pytest.approx(2 * math.pi * step / 24, abs=1e-4)
        assert sine == pytest.approx(math.sin(x), abs=2e-4)
        assert error <= TOLERANCE
        expected = [_infer(interpreter, model, stored) for stored in _nearest(model, 2 * math.pi * step / 24)]
        assert any(inferred == pytest.approx(value, abs=1e-4) for value in expected), (x, inferred, expected)
    assert ": good" in output


def _runtime() -> ModuleType:
    try:
        runtime: ModuleType = importlib.import_module("tflite_micro").runtime
    except ImportError as error:
        pytest.skip(f"PyPI's tflite-micro is not installed: {error}")
    return runtime


def _stored() -> range:
    return range(-128, 128)


def _angle(model: Model, stored: int) -> float:
    quantization = model.inputs()[0].quantization
    assert quantization is not None
    return quantization.scale[0] * (stored - quantization.zero_point[0])


def _nearest(model: Model, angle: float) -> list[int]:
    """The stored value nearest to *angle*; both neighbours half way between them, where single precision decides."""
    step = _angle(model, 1) - _angle(model, 0)
    return [stored for stored in _stored() if abs(_angle(model, stored) - angle) < 0.501 * step]


def _infer(interpreter: Any, model: Model, stored: int) -> float:
    numpy = importlib.import_module("numpy")
    interpreter.set_input(numpy.array([[stored]], dtype=numpy.int8), 0)
    interpreter.invoke()
    quantization = model.outputs()[0].quantization
    assert quantization is not None
    return float(quantization.scale[0] * (int(interpreter.get_output(0)[0, 0]) - quantization.zero_point[0]))


def _example(folder: Path, core: dict[str, str], *, library: str) -> Project:
    """The example as it stands, copied, so that it is built from nothing and leaves nothing in the repository."""
    place = folder / "examples" / "hello_world"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns(".pio", ".venv"))
    ini = place / "platformio.ini"
    text = ini.read_text(encoding="utf-8").replace("symlink://../..", f"symlink://{REPOSITORY}")
    ini.write_text(text, encoding="utf-8")
    return Project(place, core, environment="emu_nano33ble", variables={"PLATFORMIO_TFLM_LIBRARY": library})


def _shown(run: Run) -> dict[str, str]:
    """The "name  value" lines that the firmware printed."""
    names = ("model", "address", "alignment", "length", "CRC-32", "operators", "arena used", "arena")
    lines = run.stdout[run.stdout.rindex("model       hello_world") :].splitlines()
    return {name: line[12:].strip() for line in lines for name in names if line[:12].rstrip() == name}
