"""A PlatformIO project in a temporary folder, built by the real `pio` on the emulator's boards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
HELLO_WORLD = REPOSITORY / "examples" / "hello_world" / "models" / "hello_world.tflite"
SHARED = REPOSITORY.parent / "shared"

MAIN = """\
#include <stdio.h>
#include <tflm/hello_world.h>

int main() {
  printf("model %u bytes, first %u\\n", hello_world_data_len, hello_world_data[0]);
  return 0;
}
"""

PRE_SCRIPT = """\
Import("env")
from platformio_tflm import attach
attach(env)
"""


@dataclass
class Run:
    """How one `pio` ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


@dataclass
class Project:
    """path: the project's folder; core: the environment variables that keep `pio` offline (make_core)."""

    path: Path
    core: dict[str, str]
    environment: str = "emu"
    variables: dict[str, str] = field(default_factory=dict)

    def ini(
        self,
        *lines: str,
        board: str = "emu_nano33ble",
        way: str = "A",
        platform: str = f"{REPOSITORY}/emulator",
    ) -> Project:
        """Write platformio.ini. way: A (lib_deps), B (extra_scripts), AB or "" for a project without the plugin."""
        text = [f"[env:{self.environment}]", f"platform = symlink://{platform}", f"board = {board}"]
        if "A" in way:
            text.append(f"lib_deps = platformio-tflm=symlink://{REPOSITORY}")
        if "B" in way:
            text.append("extra_scripts = pre:tflm_build.py")
            self.write("tflm_build.py", PRE_SCRIPT)
            self.variables["PYTHONPATH"] = str(REPOSITORY)
        return self.write("platformio.ini", "\n".join([*text, *lines]) + "\n")

    def write(self, name: str, text: str | bytes) -> Project:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return self

    def model(self, source: Path = HELLO_WORLD, name: str = "models/hello_world.tflite") -> Project:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, self.path / name)
        return self

    @property
    def build_dir(self) -> Path:
        return self.path / ".pio" / "build" / self.environment

    @property
    def elf(self) -> Path:
        return self.build_dir / "firmware.elf"

    def pio(self, *arguments: str, timeout: int = 120) -> Run:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env=self.process_environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            encoding="utf-8",
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "platformio", *arguments]

    def process_environment(self) -> dict[str, str]:
        # Users' Pythons keep their byte code; one that is told not to would compile the plugin in every build.
        own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**own, **self.core, "PYTHONIOENCODING": "utf-8", **self.variables}

    def run(self, *arguments: str) -> Run:
        """`pio run`, which must succeed."""
        done = self.pio("run", *arguments)
        assert done.returncode == 0, done.output
        return done

    def fail(self, *arguments: str) -> Run:
        """`pio run`, which must fail."""
        done = self.pio("run", *arguments)
        assert done.returncode != 0, done.output
        return done

    def stamps(self) -> dict[str, int]:
        """Every file of the build with its time of writing, without what PlatformIO itself rewrites each time."""
        ignored = {".sconsign311.dblite", "idedata.json", "project.checksum"}
        return {
            path.relative_to(self.build_dir).as_posix(): path.stat().st_mtime_ns
            for path in self.build_dir.rglob("*")
            if path.is_file() and path.name not in ignored and not path.name.startswith(".sconsign")
        }


Make = Callable[..., Project]
