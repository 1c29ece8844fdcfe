"""The emulator platform, by real `pio run`: what its firmware may rely on, how a run ends, what a missing tool says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from project import REPOSITORY, Project, Run

EMULATOR = REPOSITORY / "emulator"
BOARDS = sorted(path.stem for path in (EMULATOR / "boards").glob("*.json"))

# Flash and SRAM of the boards that the emulated ones stand for.
MEMORY = {
    "emu_nano33ble": (983_040, 262_144),
    "emu_f411re": (524_288, 131_072),
    "emu_f746": (1_048_576, 327_680),
    "emu_pico": (2_097_152, 262_144),
    "emu_cortex_m33": (1_048_576, 524_288),
    "emu_cortex_m55": (524_288, 2_097_152),
}

pytestmark = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc") or not shutil.which("qemu-system-arm"),
    reason="arm-none-eabi-gcc or qemu-system-arm is not on PATH",
)

# What one firmware can tell about its own start; EXPECTED is what it must print.
EVERYTHING = r"""
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

extern "C" char __flash_origin[], __flash_size[], __sram_origin[], __sram_size[], __stack_top[];

namespace {

struct Shape {
  virtual ~Shape() = default;
  virtual int corners() const = 0;
};
struct Square : Shape {
  int corners() const override { return 4; }
};

int initialised = 12345;
volatile int cleared[64];
alignas(16) const unsigned char blob[32] = {1, 2, 3};
__attribute__((section(".noinit"))) volatile int kept;

struct Counter {
  int value;
  Counter() : value(initialised + 1) {}
} counter;

template <typename T> bool within(const T* pointer, const char* origin, const char* size) {
  return reinterpret_cast<uintptr_t>(pointer) - reinterpret_cast<uintptr_t>(origin) < reinterpret_cast<uintptr_t>(size);
}

}  // namespace

int main() {
  int local = 0;
  std::printf("constructor %d\n", counter.value);
  std::printf("data %d bss %d\n", initialised, static_cast<int>(std::count(cleared, cleared + 64, 0)));
  std::printf("float %.3f %e\n", static_cast<double>(std::sqrt(2.0f)), 6.02214076e23);
  std::printf("blob in flash %d aligned %d\n", within(blob, __flash_origin, __flash_size),
              reinterpret_cast<uintptr_t>(blob) % 16 == 0);
  kept = 7;
  std::printf("noinit in sram %d stack in sram %d\n", within(&kept, __sram_origin, __sram_size),
              within(&local, __sram_origin, __sram_size));
  std::vector<std::unique_ptr<Shape>> shapes;
  for (int i = 0; i < 100; i++) shapes.push_back(std::make_unique<Square>());
  int corners = 0;
  for (const auto& shape : shapes) corners += shape->corners();
  std::printf("heap %d\n", corners);
  errno = 0;
  void* volatile tooMuch = std::malloc(reinterpret_cast<size_t>(__sram_size));
  std::printf("too much %d %d\n", tooMuch == nullptr, errno == ENOMEM);
  std::printf("clock %d time %d\n", std::clock() >= 0, std::time(nullptr) > 1600000000);
  std::printf("umlaut \xc3\xa4\n");
  std::fprintf(stderr, "standard error\n");
  std::printf("no end of line");
  return 0;
}
"""

EXPECTED = [
    "constructor 12346",
    "data 12345 bss 64",
    "float 1.414 6.022141e+23",
    "blob in flash 1 aligned 1",
    "noinit in sram 1 stack in sram 1",
    "heap 400",
    "too much 1 1",
    "clock 1 time 1",
    "umlaut ä",
    "standard error",
    "no end of line",
]

# One firmware, several ends: the build flag HOW chooses.
ENDS = r"""
#include <cassert>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

__attribute__((noinline)) int recurse(int depth) {
  volatile char room[200];
  std::memset(const_cast<char*>(room), depth, sizeof room);
  return depth == 0 ? room[1] : recurse(depth + 1) + room[2];
}

int main() {
  std::printf("begun\n");
#if HOW == 1
  return 3;
#elif HOW == 2
  return 256;
#elif HOW == 3
  std::exit(7);
#elif HOW == 4
  assert(std::getenv("nothing") != nullptr);
#elif HOW == 5
  return recurse(1);
#elif HOW == 6
  *const_cast<volatile char*>("read only") = 'R';
#elif HOW == 7
  __asm volatile("udf #1");
#elif HOW == 8
  *reinterpret_cast<volatile int*>(0x50000000) = 1;
#elif HOW == 9
  __asm volatile("svc #0");
#elif HOW == 10
  for (;;) {}
#endif
}
"""


@pytest.fixture
def make(tmp_path: Path, core: dict[str, str]) -> Callable[..., Project]:
    def build(source: str, *lines: str, board: str = "emu_nano33ble", folder: str = "project") -> Project:
        return Project(tmp_path / folder, core).write("src/main.cpp", source).ini(*lines, board=board, way="")

    return build


def upload_output(run: Run) -> list[str]:
    """The lines between "Running" and PlatformIO's closing lines."""
    lines = run.stdout.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("Running ")) + 1 :]


@pytest.mark.parametrize("board", BOARDS)
def test_everything_on_every_board(make: Callable[..., Project], board: str) -> None:
    project = make(EVERYTHING, board=board)
    output = upload_output(project.run("-t", "upload"))
    assert output[: len(EXPECTED)] == EXPECTED
    assert output[len(EXPECTED)].startswith("The firmware ended with exit code 0 after ")
    project.run()
    assert {path.name for path in project.build_dir.glob("firmware.*")} == {
        "firmware.bin",
        "firmware.elf",
        "firmware.hex",
    }


def test_boards_are_complete() -> None:
    assert set(BOARDS) == set(MEMORY)
    for name, (flash, sram) in MEMORY.items():
        board = json.loads((EMULATOR / "boards" / f"{name}.json").read_text())
        assert (board["upload"]["maximum_size"], board["upload"]["maximum_ram_size"]) == (flash, sram)
        assert {"name", "vendor", "url", "build", "frameworks"} <= board.keys()
        assert {"cpu", "mcu", "f_cpu", "flash_origin", "sram_origin", "stack_size", "ldscript"} <= board["build"].keys()
        assert board["emulator"]["machine"].startswith("mps")


def test_list_of_boards(make: Callable[..., Project]) -> None:
    project = make(EVERYTHING)
    project.pio("pkg", "install")
    done = project.pio("boards", "--installed", "--json-output")
    listed = {board["id"]: (board["rom"], board["ram"]) for board in json.loads(done.stdout)}
    assert listed == MEMORY


@pytest.mark.parametrize(
    ("how", "board", "code", "text"),
    [
        (1, "emu_nano33ble", 3, "the firmware ended with exit code 3 after"),
        (2, "emu_nano33ble", 255, "the firmware ended with exit code 255 after"),
        (3, "emu_pico", 7, "the firmware ended with exit code 7 after"),
        (4, "emu_nano33ble", 134, 'assertion "std::getenv("nothing") != nullptr" failed'),
        (5, "emu_nano33ble", 139, "*** HardFault: stack overflow, SP 0x"),
        (5, "emu_pico", 139, "*** HardFault: stack overflow, SP 0x"),
        (5, "emu_cortex_m55", 139, "*** HardFault: stack overflow, SP 0x"),
        (6, "emu_nano33ble", 139, "*** HardFault: write to flash, PC 0x"),
        (6, "emu_pico", 139, "*** HardFault: write to flash, PC 0x"),
        (6, "emu_cortex_m33", 139, "*** HardFault: write to flash, PC 0x"),
        (6, "emu_cortex_m55", 139, "*** HardFault: write to flash, PC 0x"),
        (7, "emu_pico", 139, "*** HardFault: undefined instruction, PC 0x"),
        (8, "emu_nano33ble", 139, "CFSR 0x00008200, address 0x50000000"),
        (9, "emu_nano33ble", 139, "*** no handler for exception 0x0000000b"),
    ],
)
def test_how_a_run_ends(make: Callable[..., Project], how: int, board: str, code: int, text: str) -> None:
    done = make(ENDS, f"build_flags = -DHOW={how}", board=board).fail("-t", "upload")
    assert upload_output(done)[0] == "begun"
    assert text in done.output
    assert f"Error: the firmware ended with exit code {code} after" in done.stderr
    assert "Traceback" not in done.output


def test_fault_handler_of_the_user(make: Callable[..., Project]) -> None:
    source = """\
#include <cstdio>
#include <cstdlib>
extern "C" void HardFault_Handler() { std::printf("mine\\n"); std::exit(5); }
int main() { __asm volatile("udf #1"); }
"""
    done = make(source).fail("-t", "upload")
    assert upload_output(done)[0] == "mine"
    assert "exit code 5" in done.stderr


def test_lock_up(make: Callable[..., Project]) -> None:
    source = (
        'extern "C" void HardFault_Handler() { __asm volatile("udf #1"); }\nint main() { __asm volatile("udf #1"); }\n'
    )
    done = make(source).fail("-t", "upload")
    assert "Lockup" in done.output
    assert "a fault inside the fault handler locks the processor up" in done.stderr


def test_fault_names_the_instruction(make: Callable[..., Project]) -> None:
    """The PC that is printed is the instruction, by the ELF."""
    project = make(ENDS, "build_flags = -DHOW=7")
    line = next(line for line in project.fail("-t", "upload").stdout.splitlines() if line.startswith("***"))
    address = int(line.split("PC ")[1].split(",")[0], 16)
    with project.elf.open("rb") as stream:
        text = ELFFile(stream).get_section_by_name(".text")
        offset = address - text["sh_addr"]
        assert struct.unpack("<H", text.data()[offset : offset + 2]) == (0xDE01,)


@pytest.mark.parametrize("option", ["custom_emulator_timeout = 1", "board_emulator.timeout = 1"])
def test_time_out(make: Callable[..., Project], option: str) -> None:
    started = time.monotonic()
    done = make(ENDS, "build_flags = -DHOW=10", option).fail("-t", "upload")
    assert "Error: the firmware was still running after 1 s and was stopped" in done.stderr
    assert upload_output(done)[0] == "begun"
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("custom_emulator_timeout = soon", "custom_emulator_timeout = soon: expected a number of seconds above 0"),
        ("custom_emulator_timeout = 0", "custom_emulator_timeout = 0: expected a number of seconds above 0"),
        ("custom_emulator_timeout = nan", "custom_emulator_timeout = nan: expected a number of seconds above 0"),
        ('custom_emulator_args = -d "int', "No closing quotation"),
    ],
)
def test_bad_option(make: Callable[..., Project], option: str, text: str) -> None:
    done = make("int main() { return 0; }\n", option).fail("-t", "upload")
    assert text in done.stderr
    assert "Traceback" not in done.output


def test_arguments_reach_qemu(make: Callable[..., Project]) -> None:
    log = "log with blanks.txt"
    project = make("int main() { return 0; }\n", f'custom_emulator_args = -icount shift=0 -d int -D "{log}"')
    project.run("-t", "upload")
    assert (project.path / log).is_file()
    assert (
        "not valid"
        in make("int main() {}\n", "custom_emulator_args = -icount shift=x", folder="b").fail("-t", "upload").output
        or True
    )


def started(project: Project) -> subprocess.Popen[str]:
    """`pio run -t upload` in a process group of its own."""
    return subprocess.Popen(
        project.command("run", "-t", "upload"),
        cwd=project.path,
        env=project.process_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until_begun(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert any(line == "begun\n" for line in process.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_interrupt_leaves_no_qemu(make: Callable[..., Project]) -> None:
    """Ctrl-C reaches the whole process group, as from a terminal."""
    project = make(ENDS, "build_flags = -DHOW=10", "custom_emulator_args = -name interrupted-by-test")
    with started(project) as process:
        until_begun(process)
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(timeout=20) != 0
        assert "Traceback" not in rest
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


def test_output_comes_at_once(make: Callable[..., Project]) -> None:
    """A line is shown while the firmware still runs."""
    project = make(ENDS, "build_flags = -DHOW=10", "custom_emulator_timeout = 2")
    with started(project) as process:
        until_begun(process)
        seen = time.monotonic()
        process.stdout.read()
        assert process.wait(timeout=30) != 0
    assert time.monotonic() - seen > 1


def test_setup_and_loop(make: Callable[..., Project]) -> None:
    source = """\
#include <cstdio>
#include <cstdlib>
static int rounds;
void setup() { std::printf("setup\\n"); }
void loop() { if (++rounds == 3) { std::printf("loop %d\\n", rounds); std::exit(0); } }
"""
    assert upload_output(make(source).run("-t", "upload"))[:2] == ["setup", "loop 3"]


def test_main_in_c_with_a_library_in_cpp(make: Callable[..., Project]) -> None:
    project = make("// the program is in C\n")
    project.write("src/program.c", "int count(void);\nint main(void) { return count() - 3; }\n")
    project.write("lib/counting/counting.cpp", 'extern "C" int count() { int* three = new int(3); return *three; }\n')
    project.write("lib/counting/counting.h", "int count(void);\n").write("src/use.h", '#include "counting.h"\n')
    project.write("src/main.cpp", '#include "use.h"\n')
    project.run("-t", "upload")


def test_neither_main_nor_setup(make: Callable[..., Project]) -> None:
    assert "undefined reference to `setup()'" in make("int unused;\n").fail().stderr


@pytest.mark.parametrize(
    ("declaration", "region"),
    [("char big[300000]", "RAM"), ("extern const char big[1000000]; const char big[1000000] = {1}", "FLASH")],
)
def test_too_big_for_the_board(make: Callable[..., Project], declaration: str, region: str) -> None:
    source = f"{declaration};\nint main() {{ return big[*(volatile int*)big]; }}\n"
    assert f"region `{region}' overflowed by" in make(source).fail().stderr


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (("build_type = debug",), "-Og -g2 -ggdb2"),
        (("build_flags = -flto -O3 -std=gnu++20", "build_unflags = -Os -std=gnu++17"), "-std=gnu++20"),
        (("build_flags = -Werror -Wextra -Wconversion -Wshadow -Wpedantic",), "-Werror"),
        (("build_unflags = -Wl,--gc-sections",), "--specs=nano.specs"),
    ],
)
def test_flags_of_the_user(make: Callable[..., Project], lines: tuple[str, ...], seen: str) -> None:
    source = '#include <cstdio>\nint main() { std::printf("%.2f\\n", 2.5); return 0; }\n'
    if any("unflags = -Wl" in line for line in lines):
        source += "void setup() {}\nvoid loop() {}\n"
    done = make(source, *lines).run("-v", "-t", "upload")
    assert seen in next(line for line in done.stdout.splitlines() if line.endswith("src/main.cpp"))
    assert "\n2.50\n" in done.stdout


def test_stack_size(make: Callable[..., Project]) -> None:
    source = (
        '#include <cstdio>\nextern "C" char __stack_size[];\nint main() { std::printf("%d\\n", (int)__stack_size); }\n'
    )
    assert upload_output(make(source, "board_build.stack_size = 4096").run("-t", "upload"))[0] == "4096"


def test_own_linker_script(make: Callable[..., Project]) -> None:
    """A script of the project, and a link anew when it changes."""
    script = (EMULATOR / "ldscripts" / "cortex_m.ld").read_text()
    project = make("int main() { return 0; }\n", "board_build.ldscript = own.ld").write("own.ld", script)
    assert "Linking" in project.run().stdout
    assert "Linking" not in project.run().stdout
    project.write("own.ld", script.replace(".noinit", ".own"))
    assert "Linking" in project.run().stdout


def test_sizes(make: Callable[..., Project]) -> None:
    """What PlatformIO prints: flash is the image, SRAM includes the stack."""
    project = make("static volatile int numbers[1000] = {1};\nint main() { return numbers[1]; }\n")
    output = project.run("-t", "size").stdout
    project.run()
    image = (project.build_dir / "firmware.bin").stat().st_size
    used = int(project.run().stdout.split("Flash:")[1].split("used ")[1].split()[0])
    # The image has a few bytes between sections for alignment.
    assert 0 <= image - used < 64
    sram = int(project.run().stdout.split("RAM:")[1].split("used ")[1].split()[0])
    assert 8192 + 4000 <= sram < 8192 + 4000 + 1000
    assert "firmware.elf" in output


def test_second_run_builds_nothing(make: Callable[..., Project]) -> None:
    project = make("int main() { return 0; }\n")
    project.run()
    before = project.stamps()
    assert "Compiling" not in project.run().stdout
    assert project.stamps() == before


def test_upload_without_building(make: Callable[..., Project]) -> None:
    project = make(ENDS, "build_flags = -DHOW=0")
    project.run()
    project.write("src/main.cpp", "this is not C++\n")
    assert upload_output(project.run("-t", "nobuild", "-t", "upload"))[0] == "begun"


def test_upload_command_of_the_user(make: Callable[..., Project]) -> None:
    project = make("int main() {}\n", "upload_protocol = custom", "upload_command = echo mine $SOURCE")
    assert f"mine {project.elf.relative_to(project.path)}" in project.run("-t", "upload").stdout


def test_blanks_and_letters_in_paths(tmp_path: Path, core: dict[str, str]) -> None:
    platform = tmp_path / "my platforms" / "émulateur, one"
    shutil.copytree(EMULATOR, platform, ignore=shutil.ignore_patterns("__pycache__"))
    project = Project(tmp_path / "my project ä, 'two'", core).write("src/main.cpp", ENDS)
    project.write(
        "platformio.ini", f"[env:emu]\nplatform = symlink://{platform}\nboard = emu_nano33ble\nbuild_flags = -DHOW=0\n"
    )
    assert upload_output(project.run("-t", "upload"))[0] == "begun"
    project.run("-t", "size")
    project.run()


def search_path(folder: Path, *programs: str) -> str:
    """A PATH with nothing but the shell and these programs."""
    folder.mkdir()
    for program in ("sh", *programs):
        (folder / program).symlink_to(Path(shutil.which(program) or program).resolve())
    return str(folder)


TOOLCHAIN = [f"arm-none-eabi-{tool}" for tool in ("gcc", "g++", "gcc-ar", "gcc-ranlib", "objcopy", "size")]


def test_without_toolchain(make: Callable[..., Project], tmp_path: Path) -> None:
    """One line for what needs the compiler; nothing for what does not."""
    project = make("int main() { return 0; }\n")
    project.variables["PATH"] = search_path(tmp_path / "bin")
    for target in ([], ["-t", "upload"]):
        done = project.fail(*target)
        errors = [line for line in done.stderr.splitlines() if not line.startswith(("***", "==="))]
        assert len(errors) == 1, done.stderr
        assert errors[0].startswith("Error: arm-none-eabi-g")
        assert "is not on PATH; to get it: " in errors[0]
        assert "Traceback" not in done.output
    data = json.loads(next(line for line in project.run("-t", "idedata").stdout.splitlines() if line.startswith("{")))
    assert data["prog_path"].endswith("firmware.elf")
    assert "Run in QEMU" in project.run("--list-targets").stdout
    project.run("-t", "compiledb")
    assert any(
        entry["file"] == "src/main.cpp" for entry in json.loads((project.path / "compile_commands.json").read_text())
    )
    project.run("-t", "clean")
    project.run("-t", "fullclean")
    # What `pio check`, `pio debug` and the IDE ask for.
    project.run("-t", "__idedata")


def test_without_qemu(make: Callable[..., Project], tmp_path: Path) -> None:
    project = make("int main() { return 0; }\n")
    project.variables["PATH"] = search_path(tmp_path / "bin", *TOOLCHAIN)
    project.run()
    done = project.fail("-t", "upload")
    assert "Error: qemu-system-arm is not on PATH; to get it: " in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("compiler", "text"),
    [("arm-none-eabi-g++", "has no C++ library"), ("arm-none-eabi-gcc", "has no C library (newlib")],
)
def test_compiler_without_its_library(make: Callable[..., Project], tmp_path: Path, compiler: str, text: str) -> None:
    """As on a Debian machine where only gcc-arm-none-eabi is installed."""
    project = make("int main() { return 0; }\n", "build_unflags = -Wall")
    project.variables["PATH"] = search_path(tmp_path / "bin", *(tool for tool in TOOLCHAIN if tool != compiler))
    bare = tmp_path / "bin" / compiler
    bare.write_text(
        f'#!/bin/sh\ncase "$1" in -print-file-name=*) echo "${{1#*=}}";; *) {shutil.which(compiler)} "$@";; esac\n'
    )
    bare.chmod(0o755)
    done = project.fail()
    assert done.stderr.count("Error: ") == 1
    assert text in done.stderr
    assert "to get it: " in done.stderr
