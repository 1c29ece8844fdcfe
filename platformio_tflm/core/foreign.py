"""Foreign text, of models, maps and ELFs, made fit for one line of a message."""

from __future__ import annotations

_MAXIMUM_NAME = 60
_MAXIMUM_EXCERPT = 120


def shown(name: str) -> str:
    """A name: without control characters, at most 60 letters."""
    # Cut first: a name may have millions of letters, and stands in many places.
    clean = "".join(letter if letter.isprintable() else "?" for letter in name[:_MAXIMUM_NAME])
    return clean if len(name) <= _MAXIMUM_NAME else f"{clean[: _MAXIMUM_NAME - 3]}..."


def excerpt(text: str) -> str:
    """A line that was not understood: quoted, without control characters, at most 120 letters."""
    return repr(text if len(text) <= _MAXIMUM_EXCERPT else text[: _MAXIMUM_EXCERPT - 3] + "...")
