"""<stem>_data.{h,cc}: the same bytes and symbols whichever way, in objects and in linked ELFs of several toolchains."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from generated import ARM, HOST, STRICT, compile_cpp, run_program, source

from platformio_tflm.core import codegen
from platformio_tflm.core.codegen import ModelSource

STRATEGIES = ["incbin", "string"]
ARM_LINK = ("-specs=nosys.specs", "-specs=nano.specs")
COMPILERS = {
    "host": HOST,
    "arm": ARM,
    "riscv": ("riscv64-unknown-elf-g++", "-march=rv32imc", "-mabi=ilp32"),
    "xtensa": ("xtensa-lx106-elf-g++",),
    "clang": ("clang++",),
    "clang-arm": ("clang++", "--target=arm-none-eabi", "-mcpu=cortex-m4"),
}

# Bytes that are hard to write down: quotes, backslashes, trigraphs, digits after escapes, no zero, zeros only.
HARD = {
    "one": b"\x01",
    "zero": b"\0",
    "zeros": bytes(40),
    "no_zero": bytes(range(1, 256)),
    "all": bytes(range(256)) * 2,
    "ends_in_zero": b"abc\0",
    "text": b'"\\??/ ??= %d \x000123\x0089\n\r\t\x7f*/ //',
    "random": random.Random(7).randbytes(5000),  # noqa: S311
}


def bytes_model(data: bytes, name: str = "raw") -> ModelSource:
    """A source of any bytes: this part of code generation does not look into the model."""
    base = source("fully_connected_int8")
    return replace(base, name=name, class_name="Raw", model=replace(base.model, data=data), arena_size_bytes=48)


def write_data(folder: Path, model: ModelSource, strategy: str, *, arena: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(model.model.data)
    (folder / f"{model.name}_data.h").write_text(codegen.data_header(model), encoding="ascii")
    path = folder / f"{model.name}_data.cc"
    path.write_text(
        codegen.data_source(model, strategy=strategy, incbin_name="model.bin", arena=arena), encoding="ascii"
    )
    return path


def symbols(path: Path) -> dict[str, tuple[int, int, str, bytes]]:
    """Global objects of an ELF by name: size, alignment of the section, the section's name, bytes."""
    found = {}
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        linked = elf.header["e_type"] != "ET_REL"
        table = elf.get_section_by_name(".symtab")
        for symbol in table.iter_symbols():
            index = symbol["st_shndx"]
            if symbol["st_info"]["type"] != "STT_OBJECT" or not isinstance(index, int):
                continue
            section = elf.get_section(index)
            offset = symbol["st_value"] - (section["sh_addr"] if linked else 0)
            data = b"" if section["sh_type"] == "SHT_NOBITS" else section.data()[offset : offset + symbol["st_size"]]
            alignment = symbol["st_value"] % 16 if linked else section["sh_addralign"]
            found[symbol.name] = (symbol["st_size"], alignment, section.name, data)
    return found


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_object(tmp_path: Path, compiler: str, strategy: str) -> None:
    model = bytes_model(HARD["random"])
    path = write_data(tmp_path / "a folder", model, strategy)
    flags = [flag for flag in STRICT if "clang" not in compiler or flag != "-Wshadow"]
    compile_cpp(
        (*COMPILERS[compiler], *flags),
        *("-c", "-std=c++11", "-Os", "-fno-lto", "-fdata-sections", f"-I{path.parent}", path, "-o", tmp_path / "o.o"),
    )
    found = symbols(tmp_path / "o.o")
    assert found["raw_data"] == (5000, 16, ".rodata.raw_data", HARD["random"])
    assert found["raw_tflite"] == found["raw_data"]
    assert found["raw_data_len"][3] == found["raw_tflite_len"][3] == (5000).to_bytes(4, "little")
    assert found["raw_arena"] == (48, 16, ".bss.raw_arena", b"")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", HARD)
def test_bytes(tmp_path: Path, name: str, strategy: str) -> None:
    path = write_data(tmp_path, bytes_model(HARD[name]), strategy)
    options = ("-c", "-std=c++11", "-trigraphs", f"-I{tmp_path}", path, "-o", tmp_path / "o.o")
    compile_cpp((*HOST, *STRICT), *options)
    found = symbols(tmp_path / "o.o")
    assert found["raw_data"][3] == found["raw_tflite"][3] == HARD[name]


def test_avr_keeps_the_model_out_of_sram(tmp_path: Path) -> None:
    path = write_data(tmp_path, bytes_model(HARD["random"]), "string", arena=False)
    compile_cpp(("avr-g++", "-mmcu=atmega328p", *STRICT), "-c", "-std=c++11", path, "-o", tmp_path / "o.o")
    found = symbols(tmp_path / "o.o")
    assert found["raw_data"] == (5000, 16, ".progmem.data.raw_data", HARD["random"])
    assert found["raw_data_len"][3] == (5000).to_bytes(2, "little")


def test_a_model_too_long_for_an_unsigned_int_of_avr(tmp_path: Path) -> None:
    path = write_data(tmp_path, bytes_model(bytes(70_000)), "string", arena=False)
    with pytest.raises(AssertionError, match="more than an unsigned int of this processor counts"):
        compile_cpp(("avr-g++", "-mmcu=atmega2560"), "-c", "-std=c++11", path, "-o", tmp_path / "o.o")


@pytest.mark.parametrize("lto", [False, True], ids=["plain", "lto"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_linked(tmp_path: Path, strategy: str, lto: bool) -> None:
    """Kept with its bytes when used, gone when not, also where the rest of the program is optimized at link time."""
    data = (Path(__file__).parent / "models" / "convolution_int8.tflite").read_bytes()
    path = write_data(tmp_path, bytes_model(data), strategy)
    data_object = tmp_path / "data.o"
    # Without -fdata-sections, as some frameworks build: the model's sections are its own anyway.
    compile_cpp(ARM, "-c", "-std=c++11", "-Os", "-fno-lto", f"-I{tmp_path}", path, "-o", data_object)
    used = "#include <raw_data.h>\nint main() { return raw_tflite[raw_data_len - 1] + raw_data[0]; }\n"
    for name, main in (("used", used), ("unused", "int main() { return 0; }\n")):
        program = tmp_path / name
        program.with_suffix(".cc").write_text(main)
        compile_cpp(
            ARM,
            *("-std=c++11", "-O2", *(["-flto"] if lto else []), "-Wl,--gc-sections", *ARM_LINK, f"-I{tmp_path}", "-w"),
            *(program.with_suffix(".cc"), data_object, "-o", program, "-Wl,--no-warnings"),
        )
        found = symbols(program)
        assert ("raw_data" in found) == (name == "used")
        assert "raw_arena" not in found
        if name == "used":
            assert found["raw_data"][1] == 0
            assert found["raw_data"][3] == found["raw_tflite"][3] == data


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_header_is_for_c_and_cpp(tmp_path: Path, strategy: str) -> None:
    path = write_data(tmp_path, bytes_model(HARD["text"]), strategy)
    use = (
        "#include <stdio.h>\n#include <raw_data.h>\n#include <raw_data.h>\n"
        'int main(void) { unsigned int i; for (i = 0; i < raw_data_len; ++i) printf("%02x", raw_tflite[i]);\n'
        # Through volatile: a compiler may take two arrays for two objects.
        "  { const unsigned char *volatile one = raw_data; const unsigned char *volatile other = raw_tflite;\n"
        '  printf(" %d %d", one == other, sizeof(raw_data) == raw_tflite_len); } return 0; }\n'
    )
    compile_cpp(HOST, "-c", "-std=c++11", f"-I{tmp_path}", path, "-o", tmp_path / "data.o")
    for name, compiler in (("main.c", ("gcc", "-std=c99")), ("main.cc", ("g++", "-std=c++11"))):
        (tmp_path / name).write_text(use)
        program = tmp_path / f"{name}.out"
        options = ("-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{tmp_path}", "-o", program)
        compile_cpp(compiler, *options, tmp_path / name, tmp_path / "data.o")
        assert run_program(program) == f"{HARD['text'].hex()} 1 1"


def test_a_file_that_became_shorter_is_an_error_of_the_assembler(tmp_path: Path) -> None:
    path = write_data(tmp_path, bytes_model(HARD["random"]), "incbin")
    (tmp_path / "model.bin").write_bytes(b"short")
    with pytest.raises(AssertionError, match=r"incbin|\.size|file"):
        compile_cpp(HOST, "-c", "-std=c++11", f"-I{tmp_path}", path, "-o", tmp_path / "o.o")


@pytest.mark.parametrize("compiler", ["host", "arm", "clang"])
def test_probe(tmp_path: Path, compiler: str) -> None:
    (tmp_path / "probe.bin").write_bytes(b"x")
    (tmp_path / "probe.cc").write_text(codegen.incbin_probe_source("probe.bin"))
    options = ("-c", f"-I{tmp_path}", tmp_path / "probe.cc", "-o", tmp_path / "probe.o")
    compile_cpp(COMPILERS[compiler], *options)
    assert symbols(tmp_path / "probe.o")["tflm_probe"][3] == b"x"


def test_probe_fails_where_the_object_format_is_another(tmp_path: Path) -> None:
    (tmp_path / "probe.bin").write_bytes(b"x")
    (tmp_path / "probe.cc").write_text(codegen.incbin_probe_source("probe.bin"))
    data = write_data(tmp_path, bytes_model(HARD["all"]), "string")
    if shutil.which("clang++") is None:
        pytest.skip("no clang++")
    for target in ("x86_64-apple-macos", "x86_64-pc-windows-gnu"):
        command = [
            "clang++",
            f"--target={target}",
            "-std=c++11",
            "-nostdinc",
            "-nostdinc++",
            "-c",
            f"-I{tmp_path}",
            "-o",
            tmp_path / "o.o",
        ]
        probe = subprocess.run([*command, tmp_path / "probe.cc"], capture_output=True, check=False, text=True)
        assert "not ELF" in probe.stderr
        compile_cpp(("clang++",), *command[1:], "-Wall", "-Wextra", "-pedantic", "-Werror", data)


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a/b", "a\\b", "é.bin", "a\nb", "$(x)"])
def test_incbin_names_are_plain(name: str) -> None:
    with pytest.raises(ValueError, match="not a plain file name"):
        codegen.data_source(source("fully_connected_int8"), strategy="incbin", incbin_name=name)
    with pytest.raises(ValueError, match="not a plain file name"):
        codegen.incbin_probe_source(name)


def test_an_empty_model_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        codegen.data_source(bytes_model(b""), strategy="string")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_mebibyte_compiles_in_time(tmp_path: Path, strategy: str) -> None:
    data = random.Random(3).randbytes(1 << 20)  # noqa: S311
    path = write_data(tmp_path, bytes_model(data), strategy, arena=False)
    compile_cpp((*ARM, *STRICT), "-c", "-std=c++11", f"-I{tmp_path}", path, "-o", tmp_path / "o.o")
    assert symbols(tmp_path / "o.o")["raw_data"][3] == data


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_golden(golden: Callable[[str, str], None], strategy: str) -> None:
    text = codegen.data_source(source("svdf_int8"), strategy=strategy, incbin_name="svdf.tflite", arena=True)
    golden(f"codegen/data_{strategy}.cc.txt", text)


def test_golden_header(golden: Callable[[str, str], None]) -> None:
    golden("codegen/data.h.txt", codegen.data_header(source("svdf_int8")))
