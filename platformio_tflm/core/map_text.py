"""What the readers of the linkers' maps share: text from bytes, names of files in archives, excerpts for errors."""

from __future__ import annotations


def decoded(data: bytes) -> str:
    """Paths are bytes in whatever encoding the file system has; a name that is not UTF-8 must not end the report."""
    text = data.decode("utf-8", "backslashreplace")
    return text.replace("\r\n", "\n") if "\r" in text else text


def split_archive(text: str) -> tuple[str | None, str]:
    """``lib.a(member.o)`` -> ("lib.a", "member.o"); a plain object file -> (None, its path).

    Directories ("C:\\x (86)\\a.o") and members may have brackets of their own.
    """
    before, inside = split_last_bracket(text)
    return (None, text) if not before or before[-1] in " /\\" else (before, inside)


def split_last_bracket(text: str) -> tuple[str, str]:
    """("lib.a(b.o)", "f(int)") of "lib.a(b.o)(f(int))": the bracket that the last character closes; else ("", text)."""
    if text.endswith(")"):
        depth = 0
        for index in range(len(text) - 1, -1, -1):
            if text[index] == ")":
                depth += 1
            elif text[index] == "(":
                depth -= 1
                if depth == 0:
                    return text[:index], text[index + 1 : -1]
    return "", text
