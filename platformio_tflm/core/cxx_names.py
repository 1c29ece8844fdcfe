"""Readable names of mangled C++ symbols, without a demangler: the scopes and the name, no types.

Itanium C++ ABI, "Mangling": _Z, then a nested name (N ... E) or one name, each part as its length and its letters.
Template arguments and parameters are skipped; what is not understood gives "", and the mangled name serves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ENTITIES = re.compile(r"_Z(?:TV|TI|TS|TT|GV|GR|TC|L)?")
_NESTED = re.compile(r"N[rVKRO]*")
_LENGTH = re.compile(r"\d{1,4}")
_SUBSTITUTION = re.compile(r"S[0-9A-Z]*_|S[abiod]|T[0-9]*_")
_LITERAL = re.compile(r"L[a-z](?:n?\d+)?E")
_KINDS = {"TV": "vtable for ", "TI": "typeinfo for ", "TS": "typeinfo name for ", "GV": "guard variable for "}
_ANONYMOUS = "_GLOBAL__N_1"


def qualified_name(mangled: str) -> str:
    """``_ZN6tflite16MicroInterpreter6InvokeEv`` -> ``tflite::MicroInterpreter::Invoke``; "" if it is not understood."""
    start = _ENTITIES.match(mangled)
    if start is None:
        return ""
    parts = list(_parts(mangled, start.end()))
    return _KINDS.get(start[0][2:], "") + "::".join(parts) if parts not in ([], ["std"]) and "" not in parts else ""


def scopes_of(written: str) -> tuple[str, ...]:
    """The parts of a name as somebody writes it: parameters, template arguments and the word const are left out."""
    text = written.replace("(anonymous namespace)", _ANONYMOUS)
    kept, depth = [], 0
    for letter in text.partition("(")[0]:
        depth += letter == "<"
        kept.append("" if depth else letter)
        depth -= letter == ">"
    return tuple(part.strip() for part in "".join(kept).split("::") if part.strip())


def _parts(text: str, at: int) -> Iterator[str]:
    begin = _NESTED.match(text, at)
    nested = begin is not None
    at = begin.end() if begin else at
    last = ""
    while at < len(text):
        if text.startswith("St", at):
            last, at = "std", at + 2
        elif text[at] == "L" and text[at + 1 : at + 2].isdigit():
            at += 1
            continue
        elif text[at] == "I":
            at = _after_arguments(text, at)
            continue
        elif nested and text[at] in "CD" and text[at + 1 : at + 2].isdigit():
            last, at = (f"~{last}" if text[at] == "D" else last), at + 2
        elif text[at].isdigit():
            last, at = _name(text, at)
        else:
            if nested and text[at] != "E":
                yield ""
            return
        yield "(anonymous namespace)" if last == _ANONYMOUS else last
        if not nested and last != "std":
            return


def _name(text: str, at: int) -> tuple[str, int]:
    length = _LENGTH.match(text, at)
    assert length is not None, "the caller saw a digit"  # noqa: S101
    end = length.end() + int(length[0])
    return text[length.end() : end] if end <= len(text) else "", end


def _after_arguments(text: str, at: int) -> int:
    """Where the template arguments that begin at *at* have ended; the end of the text if they are not understood."""
    depth = 0
    while at < len(text):
        letter = text[at]
        if letter.isdigit():
            at = _name(text, at)[1]
            continue
        skipped = _LITERAL.match(text, at) or _SUBSTITUTION.match(text, at)
        if skipped:
            at = skipped.end()
            continue
        depth += letter in "INJXF"
        depth -= letter == "E"
        at += 1
        if depth == 0:
            return at
    return at
