"""The offline PlatformIO core folder: made once, kept, and enough to build without the network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import make_core
import pytest
from project import Project

# Python's audit events see every connection and name lookup, whichever module asks for it. Like PlatformIO's own
# `requests`, binding a socket to the machine itself (to learn whether it has IPv6) is no use of the network.
NETWORK_ALARM = """\
import sys


def alarm(event, arguments):
    if event in {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"}:
        with open(%r, "a") as log:
            log.write(f"{event} {arguments[1:]}\\n")
        raise OSError(f"network used: {event}")


sys.addaudithook(alarm)
"""


def files_of(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_second_call_changes_nothing(tmp_path: Path) -> None:
    first = make_core.make_core(tmp_path / "core")
    before = files_of(tmp_path / "core")
    assert make_core.make_core(tmp_path / "core") == first
    assert files_of(tmp_path / "core") == before
    assert sorted(path.name for path in (tmp_path / "core").iterdir()) == ["appstate.json", "packages"]


def test_several_at_once(tmp_path: Path) -> None:
    command = [sys.executable, make_core.__file__, "--core-dir", str(tmp_path / "core")]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: subprocess.run(command, capture_output=True, text=True, check=False), range(4)))
    assert [(run.returncode, run.stderr) for run in done] == [(0, "")] * 4
    assert sorted(path.name for path in (tmp_path / "core" / "packages").iterdir()) == ["tool-scons"]
    assert (tmp_path / "core" / "packages" / "tool-scons" / "SCons" / "Script" / "Main.py").is_file()


def test_older_package_is_replaced(tmp_path: Path) -> None:
    make_core.make_core(tmp_path)
    package = tmp_path / "packages" / "tool-scons"
    wanted = (package / ".piopm").read_text()
    (package / ".piopm").write_text(wanted.replace('"version": "4.', '"version": "3.'))
    (package / "left_over.py").write_text("")
    make_core.make_core(tmp_path)
    assert (package / ".piopm").read_text() == wanted
    assert not (package / "left_over.py").exists()


@pytest.mark.parametrize("content", ["", "not JSON", "[]", '{"settings": 3, "projects": 1}'])
def test_state_survives_and_is_mended(tmp_path: Path, content: str) -> None:
    (tmp_path / "appstate.json").write_text(content)
    make_core.make_core(tmp_path)
    state = json.loads((tmp_path / "appstate.json").read_text())
    assert state["settings"]["enable_telemetry"] is False
    assert ("projects" in state) == ("projects" in content)


@pytest.mark.parametrize(("scons", "package"), [("4.11.1", "4.41101.0"), ("4.9.0", "4.40900.0"), ("4.10", "4.41000.0")])
def test_version_of_package(scons: str, package: str) -> None:
    assert make_core.package_version_of(scons) == package


def test_python_without_scons(tmp_path: Path) -> None:
    """Python alone, without its installed packages."""
    command = [sys.executable, "-S", "-I", make_core.__file__, "--core-dir", str(tmp_path / "core")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install scons" in done.stderr
    assert not (tmp_path / "core").exists()


def test_build_uses_no_network(tmp_path: Path) -> None:
    """With the folder alone, and none of the environment variables that go with it."""
    core = make_core.make_core(tmp_path / "core")
    log = tmp_path / "network.log"
    hook = tmp_path / "hook" / "sitecustomize.py"
    hook.parent.mkdir()
    hook.write_text(NETWORK_ALARM % str(log))
    project = Project(tmp_path / "project", {"PLATFORMIO_CORE_DIR": core["PLATFORMIO_CORE_DIR"]})
    project.write("src/main.cpp", "int main() { return 0; }\n").ini(way="")
    project.variables["PYTHONPATH"] = str(hook.parent)
    project.run()
    project.run("-t", "idedata")
    assert not log.exists(), log.read_text()
    probe = "import socket; socket.create_connection(('localhost', 9))"
    alarmed = subprocess.run([sys.executable, "-c", probe], env=project.process_environment(), check=False)
    assert alarmed.returncode != 0
    assert log.exists(), "the alarm itself does not work"


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_build_connects_to_nothing(tmp_path: Path, core: dict[str, str]) -> None:
    """The kernel's own word, for every process of the build."""
    project = Project(tmp_path / "project", core).write("src/main.cpp", "int main() { return 0; }\n").ini(way="")
    trace = tmp_path / "trace"
    # PlatformIO's import of requests binds a socket to ::1 and closes it: allowed. Connecting and sending are not.
    command = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-e", "signal=none", "-o", str(trace)]
    done = subprocess.run(
        [*command, *project.command("run")],
        cwd=project.path,
        env={**os.environ, **core},
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip("this machine does not let strace trace")
    assert done.returncode == 0, done.stdout + done.stderr
    assert trace.read_text() == ""
