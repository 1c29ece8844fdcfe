"""Links little programs with the real cross compilers, in folders as PlatformIO lays them out.

The folder's name has a blank and letters that are not ASCII, for the paths of a map have both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MODEL_BYTES = bytes(range(256)) * 4 + b"end of the model"
ARENA_BYTES = 4096

_MAIN = r"""
#ifdef HOSTED
#include <stdio.h>
#endif
extern const unsigned char sine_data[];
extern int framework_tick(void);
#ifdef __cplusplus
#define C extern "C"
namespace tflite { int Register_CONV_2D(int); int AllocateTensors(int); }
using namespace tflite;
#else
#define C
int Register_CONV_2D(int);
int AllocateTensors(int);
#endif
C int work(int);
int initialised[10] = {1, 2, 3};
static char zeroed[100];
__attribute__((aligned(16))) unsigned char sine_arena[4096];
int tentative[30];
__attribute__((section(".noinit"))) char survives_reset[64];
__attribute__((section(".custom_table"), used)) const int custom_table[5] = {1, 2, 3, 4, 5};
__attribute__((section(".a_section_with_a_really_long_name"), used)) const char long_named[3] = {1, 2, 3};
const char *text = "a string that two objects share";
__attribute__((noinline)) int unused_function(int a) { return a * 3; }
C int main(void) {
  zeroed[3] = survives_reset[1];
  sine_arena[7] = sine_data[5];
#ifdef HOSTED
  printf("%d %s", work(3), text);
#endif
  return zeroed[initialised[2]] + tentative[2] + sine_arena[8] + work(text[2]) + Register_CONV_2D(2)
    + AllocateTensors(1) + framework_tick();
}
"""
_WORK = r"""
#ifdef __cplusplus
template <class T> struct Doubler { virtual ~Doubler() {} virtual T twice(T a) { return a + a; } T kept; };
static Doubler<short> doubler;
extern "C" int work(int a) { Doubler<short> *d = &doubler; d->kept = a; return d->twice(a); }
#else
int work(int a) { return a + a; }
#endif
extern const char *other_text;
const char *other_text = "a string that two objects share";
"""
_CONV = r"""
#ifdef __cplusplus
namespace tflite {
#endif
const int kTable[64] = {1, 2, 3};
__attribute__((noinline)) int Register_CONV_2D(int a) {
  int sum = 0;
  while (a < 64) sum += kTable[a++];
  return sum;
}
#ifdef __cplusplus
}
#endif
"""
_CORE = r"""
#ifdef __cplusplus
namespace tflite {
#endif
static int state[8];
__attribute__((noinline)) int AllocateTensors(int a) { return state[a & 7]++; }
#ifdef __cplusplus
}
#endif
"""
_FRAMEWORK = "volatile int ticks;\nint framework_tick(void) { return ++ticks; }\n"
_MODEL = """.section .rodata.sine_data,"a"
.balign 16
.global sine_data
.type sine_data, %object
sine_data:
{}
.size sine_data, . - sine_data
.section .note.GNU-stack,"",%progbits
"""

SCRIPT = """
MEMORY {
  FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 512K
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 128K
  CCMRAM (rw) : ORIGIN = 0x10000000, LENGTH = 64K
}
_estack = ORIGIN(RAM) + LENGTH(RAM);
_Min_Stack_Size = 0x400;
ENTRY(main)
SECTIONS {
  .isr_vector : { KEEP(*(.isr_vector)) LONG(_estack) LONG(main) . = ALIGN(64); } >FLASH
  .text : {
    *(.literal .text .literal.* .text.*) KEEP(*(.init)) KEEP(*(.fini)) *(.rodata .rodata.*) . = ALIGN(16);
  } >FLASH
  .custom_table : { KEEP(*(.custom_table)) } >FLASH
  .a_section_with_a_really_long_name : { KEEP(*(.a_section_with_a_really_long_name)) } >FLASH
  .never_made : { *(.never_made) }
  .ARM.extab : { *(.ARM.extab*) } >FLASH
  .ARM.exidx : { __exidx_start = .; *(.ARM.exidx*) __exidx_end = .; } >FLASH
  .eh_frame : { KEEP(*(.eh_frame)) } >FLASH
  .init_array : { KEEP(*(.init_array*)) } >FLASH
  .settings (NOLOAD) : { . = ALIGN(256); . = . + 512; } >FLASH
  _sidata = LOADADDR(.data);
  .data : ALIGN(8) { _sdata = .; *(.data .data.*) *(.sdata .sdata.*) _edata = .; } >RAM AT>FLASH
  .bss (NOLOAD) : { *(.bss .bss.* .sbss .sbss.*) *(COMMON) } >RAM
  .noinit (NOLOAD) : { *(.noinit*) } >RAM
  ._user_heap_stack (NOLOAD) : { . = ALIGN(8); end = .; _end = .; . = . + _Min_Stack_Size; . = ALIGN(8); } >RAM
  /DISCARD/ : { *(.comment) }
}
"""


@dataclass(frozen=True)
class Toolchain:
    """prefix: of the binutils' names; hosted: there is a C library; plus: C++ works."""

    prefix: str
    flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    script: bool = True
    hosted: bool = False
    plus: bool = False

    def tool(self, name: str) -> str:
        return self.prefix + name

    @property
    def present(self) -> bool:
        return all(shutil.which(self.tool(name)) for name in ("gcc", "ld", "objcopy", "readelf", "size", "nm"))


ARM = Toolchain(
    "arm-none-eabi-",
    ("-mcpu=cortex-m4", "-mthumb"),
    ("--specs=nano.specs", "--specs=nosys.specs"),
    hosted=True,
    plus=True,
)
RISCV = Toolchain("riscv64-unknown-elf-", ("-march=rv32imc", "-mabi=ilp32"), ("-nostdlib", "-lgcc"))
XTENSA = Toolchain("xtensa-lx106-elf-", ("-mlongcalls",), ("-nostdlib", "-lgcc"))
AVR = Toolchain("avr-", ("-mmcu=atmega2560",), ("-mmcu=atmega2560",), script=False)
HOST = Toolchain("", (), (), script=False, hosted=True, plus=True)
TOOLCHAINS = {"arm": ARM, "riscv": RISCV, "xtensa": XTENSA, "avr": AVR, "host": HOST}


@dataclass(frozen=True)
class Firmware:
    """linker_output: what the linker printed, --print-memory-usage among it."""

    toolchain: Toolchain
    folder: Path
    linker_output: str

    @property
    def elf(self) -> Path:
        return self.folder / "firmware.elf"

    @property
    def map(self) -> Path:
        return self.folder / "firmware.map"

    def run(self, tool: str, *arguments: str) -> str:
        return _run(self.folder, self.toolchain.tool(tool), *arguments)

    def binary(self) -> bytes:
        return self._converted("binary", "firmware.bin")

    def hex(self) -> bytes:
        return self._converted("ihex", "firmware.hex")

    def _converted(self, target: str, name: str) -> bytes:
        self.run("objcopy", "-O", target, "firmware.elf", name)
        return (self.folder / name).read_bytes()


def build(root: Path, toolchain: Toolchain, *, flags: tuple[str, ...] = (), script: str = SCRIPT) -> Firmware:
    """Compile and link the program below *root*."""
    folder = root / "pröj ect" / "Straße (2)"
    language = "cpp" if toolchain.plus else "c"
    hosted = ("-DHOSTED",) if toolchain.hosted else ()
    common = ("-Os", "-ffunction-sections", "-fdata-sections", "-fcommon", *toolchain.flags, *flags)
    sources = {
        f".pio/build/env/src/main.{language}": _MAIN,
        f".pio/build/env/src/work.{language}": _WORK,
        ".pio/build/env/lib5e0/tflm_demo/conv.c": _CONV,
        ".pio/build/env/lib5e0/tflm_demo/micro_interpreter.c": _CORE,
        ".pio/build/env/FrameworkDemo/tick.c": _FRAMEWORK,
        ".pio/build/env/tflm/src/sine_data.s": _MODEL.format("\n".join(f".byte {byte}" for byte in MODEL_BYTES)),
    }
    if toolchain.plus:
        for name in ("lib5e0/tflm_demo/conv.c", "lib5e0/tflm_demo/micro_interpreter.c", "FrameworkDemo/tick.c"):
            sources[f".pio/build/env/{name}pp"] = sources.pop(f".pio/build/env/{name}")
    for name, text in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        _run(folder, toolchain.tool("gcc"), "-c", *common, *hosted, name, "-o", _object(name))
    objects = [_object(name) for name in sources]
    archive = ".pio/build/env/lib5e0/libtflm_demo.a"
    members = [name for name in objects if "tflm_demo" in name]
    _run(folder, toolchain.tool("gcc-ar" if shutil.which(toolchain.tool("gcc-ar")) else "ar"), "rcs", archive, *members)
    inputs = [*(name for name in objects if name not in members), archive]
    return _link(folder, toolchain, inputs, flags=common, script=script)


def _object(source: str) -> str:
    return source.removesuffix(".s") + ".o"


def _link(folder: Path, toolchain: Toolchain, inputs: list[str], *, flags: tuple[str, ...], script: str) -> Firmware:
    options = ["-Wl,--gc-sections", "-Wl,-Map=firmware.map", "-Wl,--cref", "-Wl,--print-memory-usage"]
    if toolchain.script:
        (folder / "link.ld").write_text(script)
        options += ["-T", "link.ld"]
    driver = toolchain.tool("g++" if toolchain.plus else "gcc")
    printed = _run(folder, driver, *flags, *options, *inputs, *toolchain.link_flags, "-o", "firmware.elf")
    return Firmware(toolchain, folder, printed)


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=_environment())
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}
