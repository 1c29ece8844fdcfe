"""``<stem>_data.h`` and ``<stem>_data.cc``: the model's bytes as a constant array in flash."""

from __future__ import annotations

from enum import Enum

from platformio_tflm.core.codegen.source import ModelSource, fill
from platformio_tflm.core.text import ESCAPES, c_string


class Strategy(str, Enum):
    """How the bytes get into the object.

    INCBIN: the assembler copies the file; 1 MiB costs hundredths of a second.
    STRING: an octal string literal, for compilers and object formats without it.
    """

    INCBIN = "incbin"
    STRING = "string"


_HEADER = """\
@BANNER@#ifndef TFLM_GENERATED_@GUARD@_DATA_H_
#define TFLM_GENERATED_@GUARD@_DATA_H_

#ifdef __cplusplus
extern "C" {
#endif

/* The .tflite file, constant and aligned to 16 bytes. On AVR it lies in program memory: read it with pgm_read_byte. */
extern const unsigned char @NAME@_data[@SIZE@];
extern const unsigned int @NAME@_data_len;

/* The same object by the name that `xxd -i` would give it. */
#ifdef __ELF__
extern const unsigned char @NAME@_tflite[@SIZE@];
extern const unsigned int @NAME@_tflite_len;
#else
#define @NAME@_tflite @NAME@_data
#define @NAME@_tflite_len @NAME@_data_len
#endif

#ifdef __cplusplus
}
#endif

#endif
"""

_LENGTHS = """\
#if @SIZE@ > 0xFFFF && defined(__INT_MAX__) && __INT_MAX__ <= 0x7FFF
#error "the model has @SIZE@ bytes, more than an unsigned int of this processor counts"
#endif

extern "C" {
extern const unsigned int @NAME@_data_len;
const unsigned int @NAME@_data_len = @SIZE@;
#ifdef __ELF__
extern const unsigned int @NAME@_tflite_len __attribute__((alias("@NAME@_data_len")));
#endif
}
"""

# A section of its own lets --gc-sections drop the model; on AVR only .progmem stays out of SRAM.
_SECTION = """\
#ifdef __AVR__
#define TFLM_DATA_SECTION ".progmem.data.@NAME@_data"
#else
#define TFLM_DATA_SECTION ".rodata.@NAME@_data"
#endif
"""

# %progbits and %object rather than @progbits: @ begins a comment in ARM assembly. The count of .incbin makes a file
# that has become shorter an error of the assembler.
_INCBIN = """\
#ifndef __ELF__
#error "this file is for ELF targets; for this one the model is generated as a string literal"
#endif

#define TFLM_TEXT_(text) #text
#define TFLM_TEXT(text) TFLM_TEXT_(text)
#define TFLM_SYMBOL(name) TFLM_TEXT(__USER_LABEL_PREFIX__) name

__asm__(
    ".pushsection " TFLM_DATA_SECTION ",\\"a\\",%progbits\\n"
    ".balign 16\\n"
    ".global " TFLM_SYMBOL("@NAME@_data") "\\n"
    ".type " TFLM_SYMBOL("@NAME@_data") ",%object\\n"
    ".global " TFLM_SYMBOL("@NAME@_tflite") "\\n"
    ".type " TFLM_SYMBOL("@NAME@_tflite") ",%object\\n"
    TFLM_SYMBOL("@NAME@_data") ":\\n"
    TFLM_SYMBOL("@NAME@_tflite") ":\\n"
    ".incbin " @INCBIN_TEXT@ ",0,@SIZE@\\n"
    ".size " TFLM_SYMBOL("@NAME@_data") ",@SIZE@\\n"
    ".size " TFLM_SYMBOL("@NAME@_tflite") ",@SIZE@\\n"
    ".popsection\\n");
"""

_STRING = """\
#ifdef __ELF__
#define TFLM_DATA_ATTRIBUTES __attribute__((aligned(16), used, section(TFLM_DATA_SECTION)))
#else
#define TFLM_DATA_ATTRIBUTES __attribute__((aligned(16)))
#endif

namespace {
struct Bytes {
@FIELDS@};
}

extern "C" {
extern const Bytes @NAME@_data;
TFLM_DATA_ATTRIBUTES const Bytes @NAME@_data = {
@VALUES@};
#ifdef __ELF__
extern const Bytes @NAME@_tflite __attribute__((alias("@NAME@_data")));
#endif
}

static_assert(sizeof(Bytes) == @SIZE@, "the array is not as long as the model");
"""

_ARENA = """\
// The tensor arena: one object of its own, so that map and report show it by name.
#ifdef __ELF__
#define TFLM_ARENA_ATTRIBUTES __attribute__((aligned(16), section(".bss.@ARENA_NAME@")))
#else
#define TFLM_ARENA_ATTRIBUTES __attribute__((aligned(16)))
#endif

extern "C" {
extern unsigned char @ARENA_NAME@[@ARENA@];
TFLM_ARENA_ATTRIBUTES unsigned char @ARENA_NAME@[@ARENA@];
}
"""

_PROBE = """\
// Compiled to find out whether this compiler's assembler has .incbin and sections as ELF has them.
#ifndef __ELF__
#error "not ELF"
#endif
__asm__(
    ".pushsection .rodata.tflm_probe,\\"a\\",%progbits\\n"
    ".balign 16\\n"
    ".global tflm_probe\\n"
    ".type tflm_probe,%object\\n"
    "tflm_probe:\\n"
    ".incbin " @INCBIN_TEXT@ ",0,1\\n"
    ".size tflm_probe,1\\n"
    ".popsection\\n");
"""


def data_header(source: ModelSource) -> str:
    """``<stem>_data.h``, for C and C++."""
    return fill(_HEADER, BANNER=source.banner(), **_common(source))


def data_source(source: ModelSource, *, strategy: Strategy | str, incbin_name: str = "", arena: bool = False) -> str:
    """``<stem>_data.cc``.

    incbin_name: the file's name as the assembler is to look it up on the -I path; plain ASCII, made by the caller.
    arena:       define the arena of source.arena_size_bytes as well, unless another model's object has it.
    Raises ValueError for an empty model or another incbin_name.
    """
    if not source.model.data:
        raise ValueError("an empty model cannot be an array")
    body = _incbin(source, incbin_name) if Strategy(strategy) is Strategy.INCBIN else _string(source)
    parts = [source.banner(), fill(_LENGTHS, **_common(source)), fill(_SECTION, **_common(source)), body]
    if arena and source.defines_arena:
        parts.append(fill(_ARENA, ARENA=max(1, source.arena_size_bytes or 0), ARENA_NAME=source.arena_name))
    return "\n".join(parts)


def incbin_probe_source(file: str) -> str:
    """A C++ file that compiles to an object if the compiler can do what Strategy.INCBIN needs.

    file: a file of at least one byte, found through -I.
    """
    return fill(_PROBE, INCBIN_TEXT=_assembler_string(file))


def _common(source: ModelSource) -> dict[str, object]:
    return {"NAME": source.name, "GUARD": source.name, "SIZE": source.model.size_bytes}


def _assembler_string(file: str) -> str:
    """*file* as an assembler string inside a C string literal."""
    if not file or not all(c.isascii() and (c.isalnum() or c in "._-") for c in file):
        raise ValueError(f"not a plain file name: {file!r}")
    return c_string(f'"{file}"')


def _incbin(source: ModelSource, file: str) -> str:
    return fill(_INCBIN, INCBIN_TEXT=_assembler_string(file), **_common(source))


def _string(source: ModelSource) -> str:
    """The bytes as a literal up to the last zero byte, which is the literal's own end, and a list after it.

    C++ forbids ``char a[3] = "abc"``: an array of exactly the model's size would need the model's last byte to be zero.
    Two arrays in one structure have no such need and no padding between them.
    """
    data = source.model.data
    split = data.rfind(b"\0") + 1
    fields, values = [], []
    if split:
        fields.append(f"  unsigned char head[{split}];\n")
        values.append(_literal(data[: split - 1]) + ",\n")
    if split < len(data):
        fields.append(f"  unsigned char tail[{len(data) - split}];\n")
        values.append(_list(data[split:]) + ",\n")
    return fill(_STRING, FIELDS="".join(fields), VALUES="".join(values), **_common(source))


def _literal(data: bytes, line_bytes: int = 64) -> str:
    text = "\n".join(
        '    "' + "".join([ESCAPES[byte] for byte in data[start : start + line_bytes]]) + '"'
        for start in range(0, len(data), line_bytes)
    )
    return text or '    ""'


def _list(data: bytes, line_bytes: int = 16) -> str:
    lines = (
        "     " + ",".join(f"{byte}" for byte in data[start : start + line_bytes])
        for start in range(0, len(data), line_bytes)
    )
    return "    {\n" + ",\n".join(lines) + "}"
