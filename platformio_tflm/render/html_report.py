"""The report as one HTML file: no network, no other files; the only module that needs Jinja2.

Everything foreign goes through autoescape, or into a block of JSON with every "<" escaped. A Content-Security-Policy
names the style sheet and the script by their digests and forbids everything else, so that even what slipped
through could neither run nor fetch anything. Widths of bars are SVG attributes, because the policy forbids style="".
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformio_tflm.core.report import Report
from platformio_tflm.core.report.detail import Detail, MemoryNode
from platformio_tflm.render.arena_view import arena_view
from platformio_tflm.render.difference_view import difference_view
from platformio_tflm.render.layout import Style
from platformio_tflm.render.text import METHODS

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_STYLE = Style(width=100)
_LEVELS = ("error", "warning", "advice", "note")

MemoryRow = list[Any]


def render_html(report: Report, detail: Detail) -> str:
    """The whole page; the same text for the same report."""
    import jinja2  # noqa: PLC0415 - a report without HTML works without it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_clean,
    )
    environment.filters |= {"count": _count, "percent": _percent, "svg": _svg, "address": _address}
    style, script = _text_of("report.css"), _text_of("report.js")
    return environment.get_template("report.html").render(
        report=report,
        difference=difference_view(report.baseline) if report.baseline else None,
        levels=_LEVELS,
        messages=sorted(report.messages, key=_level_rank),
        bars=[_flash_bar(report), _sram_bar(report)],
        categories=[use for use in report.categories if use.flash_bytes or use.sram_bytes],
        operators=report.operators_by_size,
        arenas=[arena_view(arena) for arena in detail.arenas],
        methods=METHODS,
        memory_json=_memory_json(detail.memory),
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
    )


def _text_of(name: str) -> str:
    # The digest is of the letters between the tags; a checkout for Windows may have other line ends.
    return (_TEMPLATES / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _clean(value: Any) -> Any:
    return _STYLE.clean(value) if type(value) is str else value


def _count(value: int) -> str:
    return f"{value:,}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole > 0 else "-"


def _svg(share: float) -> str:
    """A share as an SVG length; SVG knows no thousandths of pixels."""
    return f"{100 * share:.3f}%"


def _address(value: int) -> str:
    return f"{value:#010x}"


def _level_rank(message: Any) -> int:
    return _LEVELS.index(message.level) if message.level in _LEVELS else len(_LEVELS)


@dataclass(frozen=True)
class Piece:
    """A piece of a bar: start and share are of the bar's length."""

    name: str
    size_bytes: int
    start: float
    share: float


@dataclass(frozen=True)
class Bar:
    """One memory against its limit. limit_at: where on the bar the limit is, 1 where it is the bar's end."""

    title: str
    used_bytes: int
    reserved_bytes: int
    limit_bytes: int
    pieces: tuple[Piece, ...]
    limit_at: float

    @property
    def left_bytes(self) -> int:
        return self.limit_bytes - self.used_bytes - self.reserved_bytes


def _flash_bar(report: Report) -> Bar:
    flash = report.memory.flash
    sizes = [(use.name, use.flash_bytes) for use in report.categories]
    return _bar("Flash", sizes, flash.used_bytes, 0, flash.limit_bytes)


def _sram_bar(report: Report) -> Bar:
    sram = report.memory.sram
    sizes = [(use.name, use.sram_bytes) for use in report.categories]
    return _bar("SRAM", sizes, sram.used_bytes, sram.reserved_bytes, sram.limit_bytes)


def _bar(title: str, sizes: Sequence[tuple[str, int]], used: int, reserved: int, limit: int) -> Bar:
    scale = max(limit, used + reserved, 1)
    pieces: list[Piece] = []
    start = 0
    for name, size in (*sorted(sizes, key=lambda item: (-item[1], item[0])), ("reserved", reserved)):
        if size:
            pieces.append(Piece(name, size, start / scale, size / scale))
            start += size
    return Bar(title, used, reserved, limit, tuple(pieces), limit / scale)


def _memory_json(root: MemoryNode) -> str:
    """The tree for the script; "<" is escaped, so that no name can end the block of JSON."""
    kinds: dict[str, int] = {}
    tree = _memory_row(root, kinds)
    text = json.dumps({"kinds": list(kinds), "tree": tree}, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026").replace(">", "\\u003e")


def _memory_row(node: MemoryNode, kinds: dict[str, int]) -> MemoryRow:
    """[kind, name, flash, SRAM, full name, children]; what is empty at the end is left out."""
    kind = kinds.setdefault(node.kind, len(kinds))
    row: MemoryRow = [kind, _STYLE.clean(node.name), node.flash_bytes, node.sram_bytes]
    if node.full_name or node.children:
        row.append(_STYLE.clean(node.full_name))
    if node.children:
        row.append([_memory_row(child, kinds) for child in node.children])
    return row
