"""The platform's build script: run by SCons once for each environment."""

from __future__ import annotations

from emulator_options import linker_script, memory_layout, processor_flags
from emulator_run import run_firmware
from emulator_tools import spawn_with_hints
from SCons.Script import COMMAND_LINE_TARGETS, AlwaysBuild, Builder, Default, DefaultEnvironment

env = DefaultEnvironment()
platform = env.PioPlatform()
board = env.BoardConfig()
platform_dir = platform.get_dir()
flags = processor_flags(board)

env.Replace(
    AR="arm-none-eabi-gcc-ar",
    AS="arm-none-eabi-as",
    CC="arm-none-eabi-gcc",
    CXX="arm-none-eabi-g++",
    LINK="$CXX",
    GDB="gdb-multiarch",
    OBJCOPY="arm-none-eabi-objcopy",
    RANLIB="arm-none-eabi-gcc-ranlib",
    SIZETOOL="arm-none-eabi-size",
    ARFLAGS=["rc"],
    SPAWN=spawn_with_hints(env["SPAWN"]),
    PROGSUFFIX=".elf",
    SIZEPROGREGEXP=r"^\.(?:isr_vector|text|rodata|ARM\.extab|ARM\.exidx|preinit_array|init_array|fini_array|data)\s+(\d+)",
    SIZEDATAREGEXP=r"^\.(?:stack|data|bss|noinit)\s+(\d+)",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
)

if env.get("PROGNAME", "program") == "program":
    env.Replace(PROGNAME="firmware")

env.Append(
    ASFLAGS=flags,
    ASPPFLAGS=["-x", "assembler-with-cpp"],
    CFLAGS=["-std=gnu11"],
    CXXFLAGS=["-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"],
    CCFLAGS=[*flags, "-Os", "-Wall", "-ffunction-sections", "-fdata-sections", "--specs=nano.specs"],
    CPPDEFINES=["EMULATOR", ("F_CPU", "$BOARD_F_CPU")],
    LINKFLAGS=[
        *flags,
        "-Os",
        "-nostartfiles",
        "--specs=nano.specs",
        "-Wl,--gc-sections",
        "-Wl,-u,_printf_float",
        *memory_layout(board),
    ],
    BUILDERS={
        "ElfToBin": Builder(
            action=env.VerboseAction("$OBJCOPY -O binary $SOURCES $TARGET", "Building $TARGET"), suffix=".bin"
        ),
        "ElfToHex": Builder(
            action=env.VerboseAction("$OBJCOPY -O ihex $SOURCES $TARGET", "Building $TARGET"), suffix=".hex"
        ),
    },
)

if "nobuild" in COMMAND_LINE_TARGETS:
    target_elf = "$BUILD_DIR/${PROGNAME}.elf"
    images = ["$BUILD_DIR/${PROGNAME}.bin", "$BUILD_DIR/${PROGNAME}.hex"]
else:
    env.BuildSources("$BUILD_DIR/FrameworkEmulator", f"{platform_dir}/runtime")
    arduino_library = env.BuildLibrary("$BUILD_DIR/FrameworkEmulatorArduino", f"{platform_dir}/arduino")
    env.Append(LIBS=[arduino_library])
    target_elf = env.BuildProgram()
    env.Depends(target_elf, linker_script(env))
    images = [
        env.ElfToBin("$BUILD_DIR/${PROGNAME}", target_elf),
        env.ElfToHex("$BUILD_DIR/${PROGNAME}", target_elf),
    ]
    env.Depends(images, "checkprogsize")

AlwaysBuild(env.Alias("nobuild", images))
target_program = env.Alias("buildprog", images)

target_size = env.AddPlatformTarget(
    "size",
    target_elf,
    env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE"),
    "Program Size",
    "Calculate program size",
)

env.AddPlatformTarget(
    "upload",
    target_elf,
    "$UPLOADCMD" if env.subst("$UPLOAD_PROTOCOL") == "custom" else env.VerboseAction(run_firmware, "Running $SOURCE"),
    "Run in QEMU",
    "Run the firmware in QEMU and show its output",
)

Default([target_program, target_size])
