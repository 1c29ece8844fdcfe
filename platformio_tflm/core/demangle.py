"""The C++ name that a mangled symbol stands for, without parameters and with template arguments as ``<…>``.

Source: Itanium C++ ABI, 5.1 "External Names". Only names are built; types are parsed in order to be passed over, so no
table of substitutions is needed: a name begins with them only where they abbreviate ``std``. What goes beyond that
(expressions in template arguments) is left mangled, which is the form that the map and nm show.
"""

from __future__ import annotations

import re

_MOST_LETTERS = 4_000
_MOST_DEPTH = 64

_SPECIAL = {
    "TV": "vtable for ",
    "TT": "VTT for ",
    "TI": "typeinfo for ",
    "TS": "typeinfo name for ",
    "GV": "guard variable for ",
}
_STANDARD = {
    "St": "std",
    "Sa": "std::allocator",
    "Sb": "std::basic_string",
    "Ss": "std::string",
    "Si": "std::istream",
    "So": "std::ostream",
    "Sd": "std::iostream",
}
_OPERATORS = {
    "nw": " new", "na": " new[]", "dl": " delete", "da": " delete[]", "ps": "+", "ng": "-", "ad": "&", "de": "*",
    "co": "~", "pl": "+", "mi": "-", "ml": "*", "dv": "/", "rm": "%", "an": "&", "or": "|", "eo": "^", "aS": "=",
    "pL": "+=", "mI": "-=", "mL": "*=", "dV": "/=", "rM": "%=", "aN": "&=", "oR": "|=", "eO": "^=", "ls": "<<",
    "rs": ">>", "lS": "<<=", "rS": ">>=", "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=",
    "ss": "<=>", "nt": "!", "aa": "&&", "oo": "||", "pp": "++", "mm": "--", "cm": ",", "pm": "->*", "pt": "->",
    "cl": "()", "ix": "[]", "qu": "?",
}  # fmt: skip
_LENGTH = re.compile(r"[1-9][0-9]*")
_SUBSTITUTION = re.compile(r"S[0-9A-Z]*_")
_PARAMETER = re.compile(r"T[0-9]*_")
_DISCRIMINATOR = re.compile(r"_(?:[0-9]|_[0-9]+_)")
_CLONE = re.compile(r"\.[A-Za-z_][\w.]*\Z", re.ASCII)
_BUILTIN = frozenset("vwbcahstijlmxynofdegz")
_BUILTIN_LONG = re.compile(r"D[adefhinsuc]|DF[0-9]+_")


class _UnknownError(Exception):
    """Something that this reader does not know; the symbol stays as it is."""


def readable(symbol: str) -> str:
    """``_ZN6tflite16MicroInterpreter6InvokeEv`` -> ``tflite::MicroInterpreter::Invoke``; C names stay as they are."""
    if not symbol.startswith("_Z") or len(symbol) > _MOST_LETTERS:
        return symbol
    clone = _CLONE.search(symbol)
    mangled = symbol[: clone.start()] if clone else symbol
    try:
        name = _Reader(mangled).symbol()
    except (_UnknownError, IndexError, RecursionError):
        return symbol
    return f"{name} [{clone[0]}]" if clone else name


def scopes_of(written: str) -> tuple[str, ...]:
    """The parts of a C++ name as somebody writes it; its parameters and template arguments are left out.

    ``tflite::(anonymous namespace)::Eval<float>(int)`` -> ``("tflite", "(anonymous namespace)", "Eval")``.
    """
    text = written.replace("(anonymous namespace)", "\0")
    kept, depth = [], 0
    for letter in text.partition("(")[0]:
        depth += letter == "<"
        kept.append("" if depth else letter)
        depth -= letter == ">"
    parts = "".join(kept).replace("\0", "(anonymous namespace)").split("::")
    return tuple(part.strip() for part in parts if part.strip())


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 2
        self._depth = 0

    def symbol(self) -> str:
        name = self._encoding(until_end=False)
        if not name:
            raise _UnknownError
        return name

    def _encoding(self, *, until_end: bool) -> str:
        """A function or variable; the parameters are only passed over where something stands behind them."""
        prefix = _SPECIAL.get(self._text[self._at : self._at + 2])
        if prefix:
            self._at += 2
        elif self._text[self._at] in "TG":
            raise _UnknownError
        name = (prefix or "") + self._name()
        while until_end and not self._take("E"):
            self._type()
        return name

    def _take(self, letters: str) -> bool:
        if self._text.startswith(letters, self._at):
            self._at += len(letters)
            return True
        return False

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _name(self) -> str:
        if self._take("N"):
            return self._nested()
        if self._take("Z"):
            return self._local()
        parts = [self._standard()] if self._text.startswith("S", self._at) else []
        if not parts or parts == ["std"]:
            parts.append(self._unqualified(parts))
        return "::".join(parts) + self._arguments()

    def _standard(self) -> str:
        name = _STANDARD.get(self._text[self._at : self._at + 2])
        if name is None:
            raise _UnknownError
        self._at += 2
        return name

    def _nested(self) -> str:
        while self._text[self._at] in "rVKRO":
            self._at += 1
        parts: list[str] = []
        while not self._take("E"):
            letter = self._text[self._at]
            if letter == "S":
                is_standard = not parts and self._text[self._at : self._at + 2] in _STANDARD
                parts.append(self._standard() if is_standard else self._passed())
            elif letter == "T":
                parts.append(self._passed())
            elif letter == "I" and parts:
                parts[-1] += self._arguments()
            else:
                parts.append(self._unqualified(parts))
        return "::".join(parts)

    def _passed(self) -> str:
        """A substitution or template parameter in a name: only inside of types, whose names nobody sees."""
        if self._match(_SUBSTITUTION) is None and self._match(_PARAMETER) is None:
            raise _UnknownError
        return "…"

    def _local(self) -> str:
        function = self._encoding(until_end=True)
        if self._take("s"):
            self._match(_DISCRIMINATOR)
            return f"{function}::string literal"
        entity = self._name()
        self._match(_DISCRIMINATOR)
        return f"{function}::{entity}"

    def _unqualified(self, parts: list[str]) -> str:
        self._take("L")
        length = self._match(_LENGTH)
        if length is not None:
            return self._tagged(self._letters(int(length)))
        code = self._text[self._at : self._at + 2]
        self._at += 2
        if code in ("C1", "C2", "C3", "D0", "D1", "D2") and parts:
            plain = re.split(r"[<\[]", parts[-1])[0].rpartition("::")[2]
            return self._tagged(plain if code[0] == "C" else f"~{plain}")
        if code == "cv":
            self._type()
            return "operator …"
        if code == "Ul":
            while not self._take("E"):
                self._type()
            return self._numbered("{lambda}")
        if code == "Ut":
            return self._numbered("{unnamed}")
        if code not in _OPERATORS:
            raise _UnknownError
        return self._tagged("operator" + _OPERATORS[code])

    def _letters(self, count: int) -> str:
        name = self._text[self._at : self._at + count]
        if len(name) < count:
            raise _UnknownError
        self._at += count
        return "(anonymous namespace)" if name.startswith("_GLOBAL__N") else name

    def _tagged(self, name: str) -> str:
        while self._take("B"):
            length = self._match(_LENGTH)
            if length is None:
                raise _UnknownError
            name += f"[abi:{self._letters(int(length))}]"
        return name

    def _numbered(self, name: str) -> str:
        self._match(re.compile(r"[0-9]*"))
        if not self._take("_"):
            raise _UnknownError
        return name

    def _arguments(self) -> str:
        if not self._take("I"):
            return ""
        while not self._take("E"):
            self._argument()
        return "<…>"

    def _argument(self) -> None:
        if self._take("J"):
            while not self._take("E"):
                self._argument()
        elif self._take("L"):
            self._literal()
        else:
            self._type()

    def _literal(self) -> None:
        if self._take("_Z"):
            self._encoding(until_end=True)
            return
        self._type()
        end = self._text.find("E", self._at)
        if end < 0:
            raise _UnknownError
        self._at = end + 1

    def _type(self) -> None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise _UnknownError
        letter = self._text[self._at]
        if letter in "rVKPROCG" or self._text.startswith("Dp", self._at):
            self._at += 2 if letter == "D" else 1
            self._type()
        elif letter in _BUILTIN:
            self._at += 1
        elif letter == "D":
            if self._match(_BUILTIN_LONG) is None:
                raise _UnknownError
        elif letter in "FAM":
            self._compound(letter)
        else:
            self._named_type(letter)
        self._depth -= 1

    def _compound(self, letter: str) -> None:
        self._at += 1
        if letter == "F":
            self._take("Y")
            while not self._take("E"):
                self._type()
        elif letter == "A":
            if self._match(re.compile(r"[0-9]*_")) is None:
                raise _UnknownError
            self._type()
        else:
            self._type()
            self._type()

    def _named_type(self, letter: str) -> None:
        if letter == "T" or (letter == "S" and self._text[self._at : self._at + 2] not in _STANDARD):
            self._passed()
            self._arguments()
        elif letter in "NZS" or letter.isdigit():
            self._name()
        else:
            raise _UnknownError
