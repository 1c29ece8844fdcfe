"""Columns, bars and wrapping for text on a console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import combining, east_asian_width

from platformio_tflm.core.report import Status

MIN_WIDTH = 72

# Of a longer text, that many letters at either end are looked at: names in a model may have millions.
_MAX_END_LETTERS = 2_000

_EIGHTHS = " ▏▎▍▌▋▊▉"
STATUS_COLOURS = {Status.OK: "green", Status.TIGHT: "yellow", Status.EXCEEDED: "red"}
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


@dataclass(frozen=True)
class Style:
    """How to draw. width: columns of the console; ascii_only: for consoles without UTF-8; color: ANSI colours."""

    width: int
    ascii_only: bool = False
    color: bool = False

    @property
    def ellipsis(self) -> str:
        return "..." if self.ascii_only else "…"

    def paint(self, text: str, colour: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.color and text else text

    def clean(self, text: str) -> str:
        """Foreign text made safe to print: control characters could move the cursor or change colours.

        What is longer than any console is wide loses its middle here.
        """
        if len(text) > 2 * _MAX_END_LETTERS:
            text = text[:_MAX_END_LETTERS] + self.ellipsis + text[-_MAX_END_LETTERS:]
        if self.ascii_only:
            text = text.encode("ascii", "backslashreplace").decode("ascii")
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    def bar(self, length: int, share: float, reserved: float = 0.0) -> str:
        """A bar of *length* cells; shares are of the whole bar. More than nothing shows, too much fills the bar."""
        used = _clamp(share)
        both = _clamp(share + reserved)
        if self.ascii_only:
            filled = _cells_of(used, length)
            return ("#" * filled + "=" * (_cells_of(both, length) - filled)).ljust(length, ".")
        eighths = max(round(used * length * 8), 1 if used else 0)
        text = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
        return (text + "▒" * (_cells_of(both, length) - len(text))).ljust(length, "░")

    def fit(self, text: str, cells: int) -> str:
        """The text cut to *cells*, keeping both ends, which tell names apart."""
        if cells_of(text) <= cells:
            return text
        room = max(cells - len(self.ellipsis), 0)
        tail = _cut(text[::-1], room // 2)[::-1]
        return _cut(_cut(text, room - cells_of(tail)) + self.ellipsis, cells - cells_of(tail)) + tail

    def wrap(self, text: str, first: str, rest: str) -> list[str]:
        """Lines of words; *first* stands before the first line and *rest* before the others."""
        lines: list[str] = []
        line, prefix = "", first
        for word in self._words(text, self.width - max(cells_of(first), cells_of(rest))):
            joined = f"{line} {word}" if line else word
            if line and cells_of(prefix) + cells_of(joined) > self.width:
                lines.append(prefix + line)
                line, prefix = word, rest
            else:
                line = joined
        return [*lines, (prefix + line).rstrip()]

    def _words(self, text: str, room: int) -> Iterable[str]:
        for word in text.split():
            while cells_of(word) > room:
                piece = _cut(word, room)
                yield piece
                word = word[len(piece) :]  # noqa: PLW2901
            yield word

    def table(self, rows: Sequence[Sequence[str]], align: str) -> list[str]:
        """Rows in columns, two blanks apart; align has "l" or "r" for each; the first column gives way if need be."""
        widths = [max(cells_of(row[column]) for row in rows) for column in range(len(align))]
        widths[0] = max(min(widths[0], self.width - sum(widths[1:]) - 2 * (len(align) - 1)), 4)
        return ["  ".join(self._columns(row, align, widths)).rstrip() for row in rows]

    def _columns(self, row: Sequence[str], align: str, widths: Sequence[int]) -> Iterable[str]:
        for text, side, width in zip(row, align, widths, strict=True):
            fitted = self.fit(text, width)
            blanks = " " * (width - cells_of(fitted))
            yield blanks + fitted if side == "r" else fitted + blanks


def cells_of(text: str) -> int:
    """Columns that a console gives the text: wide letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _cut(text: str, cells: int) -> str:
    """As many letters from the start as there is room for."""
    for position, letter in enumerate(text):
        cells -= cells_of(letter)
        if cells < 0:
            return text[:position]
    return text


def _clamp(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _cells_of(share: float, length: int) -> int:
    return max(round(share * length), 1 if share else 0)
