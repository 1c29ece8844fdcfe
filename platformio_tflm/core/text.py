"""Text that is safe in C++: names and literals for anything that a file or a model may be called."""

from __future__ import annotations

import keyword
import re
import unicodedata

_C_KEYWORDS = frozenset(
    word
    for words in (
        "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t",
        "char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr",
        "constinit continue decltype default delete do double dynamic_cast else enum explicit export extern",
        "false float for friend goto if import inline int long module mutable namespace new noexcept not",
        "not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires",
        "restrict return short signed sizeof static static_assert static_cast struct switch template this",
        "thread_local throw true try typedef typeid typename typeof union unsigned using virtual void",
        "volatile wchar_t while xor xor_eq",
    )
    for word in words.split()
)
# Names of our own files and namespaces.
_RESERVED = frozenset({"tflm", "tflm_models", "tflite", "std", "main"})
_RESERVED_CLASS = "AllModels"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


def identifier(stem: str) -> str:
    """C identifier for a model's file stem; an ASCII identifier stays as it is.

    Accents are dropped (in either Unicode normal form), other characters become one underscore a run; what would begin
    with a digit, or is a keyword or one of our own names, gets ``model_`` in front. Two stems may meet in one
    identifier: the caller reports that.
    """
    text = "".join(c for c in unicodedata.normalize("NFKD", stem) if not unicodedata.combining(c))
    if not _IDENTIFIER.match(text):
        text = re.sub(r"[^A-Za-z0-9_]+", "_", text, flags=re.ASCII).strip("_") or "model"
    if text[0].isdigit() or text in _C_KEYWORDS or text in _RESERVED or class_name(text) == _RESERVED_CLASS:
        text = f"model_{text}"
    return text


def class_name(stem_identifier: str) -> str:
    """``hello_world`` -> ``HelloWorld``; letters that are upper case already stay so."""
    name = "".join(part[0].upper() + part[1:] for part in stem_identifier.split("_") if part)
    if not name or name[0].isdigit() or keyword.iskeyword(name):
        name = f"Model{name}"
    return name


def is_function_name(text: str) -> bool:
    """Whether *text* is a possibly qualified C++ name: ``Register_X``, ``my::ops::Register_X``, ``::Register_X``."""
    parts = text.removeprefix("::").split("::")
    return all(_IDENTIFIER.match(part) and part not in _C_KEYWORDS for part in parts)


_COMMENT_UNSAFE = re.compile(r"[^A-Za-z0-9 ._/:+@=,()\-~#%&$!\[\]{}']", re.ASCII)


def comment(text: str, maximum: int = 160) -> str:
    r"""*text* for a comment of either style: no line end, no backslash, no ``*``, no trigraph; cut at *maximum*."""
    safe = _COMMENT_UNSAFE.sub("_", text.replace("\\", "/"))
    return safe if len(safe) <= maximum else safe[: maximum - 3] + "..."


def _escape_table() -> tuple[str, ...]:
    # A question mark is escaped because of trigraphs; always three digits, so that a digit may follow.
    plain = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\?')
    return tuple(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in range(256))


ESCAPES = _escape_table()
"""How each byte is written inside a C string literal."""


def c_string(text: str) -> str:
    """A C string literal for *text*, as UTF-8; ends at a zero byte, as C would."""
    data = text.encode("utf-8", errors="surrogatepass").split(b"\0", 1)[0]
    return '"' + "".join(ESCAPES[byte] for byte in data) + '"'
