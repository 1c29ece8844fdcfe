"""What a board file may say, and how it becomes a Board: every problem of a file is found in one go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from platformio_tflm.core.boards import MAX_BOARD_FILE_BYTES, REGION_KINDS, Board, Region, Reservation
from platformio_tflm.errors import BoardError

Path = tuple["str | int", ...]

MAX_REGIONS = 64
MAX_RESERVATIONS = 64
MAX_ADDRESS = 1 << 32
MAX_CLOCK_HZ = 10_000_000_000
MAX_PROBLEMS_SHOWN = 20
MAX_DEPTH = 16

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_CLOCK_UNITS = {"": 1, "HZ": 1, "KHZ": 1_000, "MHZ": 1_000_000, "GHZ": 1_000_000_000}
_SIZE = re.compile(r"(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,16})\s*([KMG]?)(?:iB|B)?", re.ASCII)
_CLOCK = re.compile(r"([0-9]{1,12})\s*([kKMG]?[hH][zZ])?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+-]{0,63}", re.ASCII)
_HINT = "boards/README.md describes the format of a board file."


class _Problems:
    """Collects (path, text) pairs, so that a user mends a file once and not once a run."""

    def __init__(self) -> None:
        self.found: list[tuple[Path, str]] = []

    def add(self, path: Path, text: str) -> None:
        self.found.append((path, text))

    def error(self, source: str, lines: Mapping[Path, int]) -> BoardError:
        ordered = sorted(self.found, key=lambda problem: _line_of(problem[0], lines))
        shown = [_problem_text(path, text, lines) for path, text in ordered[:MAX_PROBLEMS_SHOWN]]
        if len(ordered) > MAX_PROBLEMS_SHOWN:
            shown.append(f"... and {len(ordered) - MAX_PROBLEMS_SHOWN} more")
        count = "1 problem" if len(ordered) == 1 else f"{len(ordered)} problems"
        return BoardError("\n  ".join([f"{count} in the board file", *shown]), where=source, hint=_HINT)


def board_from_mapping(mapping: object, source: str, lines: Mapping[Path, int] | None = None) -> Board:
    """A Board from plain dictionaries and lists, as YAML and JSON give them.

    lines: the line of each entry by its path, for messages. Raises BoardError naming every problem.
    """
    problems = _Problems()
    top = _mapping(mapping, (), ("id", "name", "processor", "limits", "regions"), ("reserved",), problems)
    board_id = _name(top, (), "id", problems)
    processor = _mapping(
        top.get("processor"), ("processor",), ("core", "fpu", "clock", "source"), (), problems, given="processor" in top
    )
    limits = _mapping(
        top.get("limits"), ("limits",), ("flash", "sram"), ("app_partition",), problems, given="limits" in top
    )
    flash, flash_source = _limit(limits, "flash", problems)
    sram, sram_source = _limit(limits, "sram", problems)
    partition, partition_source = _limit(limits, "app_partition", problems)
    board = Board(
        id=board_id,
        name=_text(top, (), "name", problems),
        source=source,
        core=_name(processor, ("processor",), "core", problems),
        fpu=_flag(processor, ("processor",), "fpu", problems),
        clock_hz=_clock(processor, ("processor",), "clock", problems),
        flash_limit_bytes=flash,
        sram_limit_bytes=sram,
        regions=_regions(top, problems),
        reservations=_reservations(top, problems),
        app_partition_bytes=partition,
        processor_source=_text(processor, ("processor",), "source", problems),
        flash_source=flash_source,
        sram_source=sram_source,
        app_partition_source=partition_source,
    )
    if not problems.found:
        _check_whole(board, problems)
    if problems.found:
        raise problems.error(source, lines or {})
    return board


def mapping_from_yaml(text: str, source: str) -> tuple[object, dict[Path, int]]:
    """The plain dictionaries of a YAML text, and the line of each entry by its path.

    Raises BoardError if PyYAML is absent, the text is too long, or not the plain YAML that a board file needs.
    """
    try:
        import yaml  # noqa: PLC0415  # a build with a packed board works without PyYAML
    except ImportError as error:
        import sys  # noqa: PLC0415

        raise BoardError(
            f"PyYAML is needed to read a board file, and the Python in {sys.prefix} lacks it",
            where=source,
            hint=f'Run: "{sys.executable}" -m pip install pyyaml',
        ) from error
    if len(text) > MAX_BOARD_FILE_BYTES:
        raise BoardError(
            f"the board file is longer than the {MAX_BOARD_FILE_BYTES} bytes allowed", where=source, hint=_HINT
        )
    problems = _Problems()
    lines: dict[Path, int] = {}
    try:
        _check_tokens(yaml, text, source)
        _walk(yaml.compose(text, Loader=yaml.SafeLoader), (), lines, problems)
        mapping = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _yaml_error(error, source) from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise BoardError("not a readable YAML document", where=source, hint=_HINT) from error
    if problems.found:
        raise problems.error(source, lines)
    return mapping, lines


def _check_tokens(yaml: Any, text: str, source: str) -> None:
    """Refuse what costs a YAML reader without bound: aliases multiply through merge keys, nesting takes its square."""
    starts = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken, yaml.BlockSequenceStartToken)
    ends = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AliasToken):
            raise BoardError("YAML aliases (*name) are not allowed in a board file", where=source, hint=_HINT)
        depth += isinstance(token, (*starts, yaml.BlockMappingStartToken)) - isinstance(token, ends)
        if depth > MAX_DEPTH:
            raise BoardError(f"nested deeper than {MAX_DEPTH} levels", where=source, hint=_HINT)


def size_from_text(value: object) -> int | None:
    """Bytes of an integer or of "64K", "1M", "0x20000000", "32 KiB"; None if it is none of these. K is 1024."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match[1], 16 if match[1][:2] in ("0x", "0X") else 10) * _UNITS[match[2]] if match else None


def _walk(node: Any, path: Path, lines: dict[Path, int], problems: _Problems) -> None:
    if node is None:
        return
    lines.setdefault(path, node.start_mark.line + 1)
    if node.id == "mapping":
        seen: set[str] = set()
        for key, value in node.value:
            inner = (*path, str(key.value)[:64])
            if str(key.value) in seen:
                problems.add(inner, "given twice")
            seen.add(str(key.value))
            lines[inner] = key.start_mark.line + 1
            _walk(value, inner, lines, problems)
    elif node.id == "sequence":
        for index, value in enumerate(node.value):
            _walk(value, (*path, index), lines, problems)


def _yaml_error(error: Any, source: str) -> BoardError:
    mark = getattr(error, "problem_mark", None)
    place = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark is not None else source
    what = str(getattr(error, "problem", None) or "unreadable characters")
    return BoardError(f"not valid YAML: {_printable(what)}", where=place, hint=_HINT)


def _mapping(  # noqa: PLR0913
    value: object,
    path: Path,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    problems: _Problems,
    *,
    given: bool = True,
) -> Mapping[str, object]:
    if not given:
        return {}
    if not isinstance(value, Mapping):
        problems.add(path, f"should hold {', '.join(required)}, but is {_kind_of(value)}")
        return {}
    known = required + optional
    for key in value:
        if not isinstance(key, str) or key not in known:
            problems.add((*path, _printable(str(key))), _unknown_key(key, known))
    for key in required:
        if key not in value:
            problems.add((*path, key), "missing")
    return {key: entry for key, entry in value.items() if isinstance(key, str)}


def _unknown_key(key: object, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415

    near = get_close_matches(str(key)[:64].lower(), list(known), n=1)
    return f"unknown; did you mean {near[0]}?" if near else f"unknown; allowed here: {', '.join(known)}"


def _list(top: Mapping[str, object], key: str, most: int, problems: _Problems) -> list[object]:
    value = top.get(key, [])
    if not isinstance(value, list):
        problems.add((key,), f"should be a list, but is {_kind_of(value)}")
        return []
    if len(value) > most:
        problems.add((key,), f"has {len(value)} entries where {most} are allowed")
        return []
    return value


def _regions(top: Mapping[str, object], problems: _Problems) -> tuple[Region, ...]:
    keys = ("name", "kind", "origin", "length", "source")
    regions = []
    for index, value in enumerate(_list(top, "regions", MAX_REGIONS, problems)):
        path = ("regions", index)
        entry = _mapping(value, path, keys, (), problems)
        regions.append(
            Region(
                name=_name(entry, path, "name", problems),
                kind=_kind(entry, path, problems),
                origin=_size(entry, path, "origin", problems, least=0, most=MAX_ADDRESS - 1),
                length_bytes=_size(entry, path, "length", problems),
                source=_text(entry, path, "source", problems),
            )
        )
    return tuple(regions)


def _reservations(top: Mapping[str, object], problems: _Problems) -> tuple[Reservation, ...]:
    reservations = []
    for index, value in enumerate(_list(top, "reserved", MAX_RESERVATIONS, problems)):
        path = ("reserved", index)
        entry = _mapping(value, path, ("name", "size", "source"), ("section", "archive"), problems)
        reservations.append(
            Reservation(
                name=_name(entry, path, "name", problems),
                size_bytes=_size(entry, path, "size", problems),
                source=_text(entry, path, "source", problems),
                section=_name(entry, path, "section", problems),
                archive=_name(entry, path, "archive", problems),
            )
        )
    return tuple(reservations)


def _limit(limits: Mapping[str, object], key: str, problems: _Problems) -> tuple[int, str]:
    path = ("limits", key)
    entry = _mapping(limits.get(key), path, ("size", "source"), (), problems, given=key in limits)
    return _size(entry, path, "size", problems), _text(entry, path, "source", problems)


def _size(  # noqa: PLR0913
    entry: Mapping[str, object], path: Path, key: str, problems: _Problems, *, least: int = 1, most: int = MAX_ADDRESS
) -> int:
    if key not in entry:
        return 0
    size = size_from_text(entry[key])
    if size is None:
        problems.add((*path, key), f"should be a size like 262144, 256K or 0x40000, but is {_kind_of(entry[key])}")
    elif not least <= size <= most:
        problems.add((*path, key), f"{size} is outside {least} to {most}")
    else:
        return size
    return 0


def _clock(entry: Mapping[str, object], path: Path, key: str, problems: _Problems) -> int:
    if key not in entry:
        return 0
    value = entry[key]
    match = _CLOCK.fullmatch(str(value).strip()) if isinstance(value, (int, str)) and value is not True else None
    if match is None:
        problems.add((*path, key), f"should be a frequency like 64 MHz, but is {_kind_of(value)}")
        return 0
    clock_hz = int(match[1]) * _CLOCK_UNITS[(match[2] or "").upper()]
    if not 1 <= clock_hz <= MAX_CLOCK_HZ:
        problems.add((*path, key), f"{clock_hz} Hz is outside 1 to {MAX_CLOCK_HZ}")
        return 0
    return clock_hz


def _flag(entry: Mapping[str, object], path: Path, key: str, problems: _Problems) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        problems.add((*path, key), f"should be true or false, but is {_kind_of(value)}")
    return value is True


def _kind(entry: Mapping[str, object], path: Path, problems: _Problems) -> str:
    value = entry.get("kind", "other")
    if isinstance(value, str) and value in REGION_KINDS:
        return value
    problems.add((*path, "kind"), f"should be one of {', '.join(REGION_KINDS)}, but is {_kind_of(value)}")
    return "other"


def _name(entry: Mapping[str, object], path: Path, key: str, problems: _Problems) -> str:
    value = entry.get(key, "")
    if key not in entry or (isinstance(value, str) and _NAME.fullmatch(value)):
        return str(value)
    problems.add(
        (*path, key), f"should be up to 64 letters, digits and any of . _ - + without blanks, but is {_kind_of(value)}"
    )
    return ""


def _text(entry: Mapping[str, object], path: Path, key: str, problems: _Problems) -> str:
    value = entry.get(key, "")
    if key not in entry or (isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= 400):
        return str(value)
    problems.add((*path, key), f"should be one line of at most 400 characters, but is {_kind_of(value)}")
    return ""


def _check_whole(board: Board, problems: _Problems) -> None:
    """What no single entry shows: names used twice, ranges that overlap, limits beyond the regions."""
    for group, names in (
        ("regions", [region.name for region in board.regions]),
        ("reserved", [entry.name for entry in board.reservations]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                problems.add((group, index, "name"), f"{name} is the name of an earlier entry")
    ordered = sorted(enumerate(board.regions), key=lambda item: item[1].origin)
    for (_, before), (index, after) in pairwise(ordered):
        if after.origin < before.end:
            problems.add(
                ("regions", index, "origin"), f"{after.origin:#x} lies in {before.name}, which ends at {before.end:#x}"
            )
    for index, region in enumerate(board.regions):
        if region.end > MAX_ADDRESS:
            problems.add(("regions", index, "length"), f"the region ends at {region.end:#x}, beyond 32 bits")
    _check_limits(board, problems)


def _check_limits(board: Board, problems: _Problems) -> None:
    for key, allowed in (("flash", board.flash_limit_bytes), ("sram", board.sram_limit_bytes)):
        room = sum(region.length_bytes for region in board.regions if region.limit == key)
        if room < allowed:
            problems.add(("limits", key, "size"), f"{allowed} bytes are allowed where the regions hold {room}")
    if board.app_partition_bytes > board.flash_limit_bytes:
        problems.add(
            ("limits", "app_partition", "size"),
            f"{board.app_partition_bytes} bytes are more than the {board.flash_limit_bytes} of flash",
        )
    reserved = sum(entry.size_bytes for entry in board.reservations)
    if reserved > board.sram_limit_bytes:
        problems.add(("reserved",), f"{reserved} bytes are reserved of {board.sram_limit_bytes} of SRAM")


def _problem_text(path: Path, text: str, lines: Mapping[Path, int]) -> str:
    line = _line_of(path, lines)
    dotted = ".".join(str(part + 1) if isinstance(part, int) else part for part in path) or "the file"
    return f"line {line}: {dotted}: {text}" if line else f"{dotted}: {text}"


def _line_of(path: Path, lines: Mapping[Path, int]) -> int:
    """The line of the entry, or of the nearest one around it, for a key that is missing."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def _kind_of(value: object) -> str:
    """The value for a message; containers by kind only, as their text has no bound."""
    if value is None:
        return "empty"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple, set)):
        return "a list"
    if isinstance(value, (bytes, bool)):
        return str(value)[:40].lower()
    if isinstance(value, str) and not value.strip():
        return "empty"
    return repr(_printable(value)) if isinstance(value, str) else _printable(str(value))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:64])
