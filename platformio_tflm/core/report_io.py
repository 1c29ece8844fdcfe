"""report.json -> Report, for baselines and differences: strict, with every problem at once.

``record_from_json`` does the same for any frozen dataclass that is kept as JSON with a schema_version.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import islice
from math import isfinite
from types import NoneType, UnionType
from typing import Any, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from platformio_tflm.core.report import SCHEMA_VERSION, Report
from platformio_tflm.errors import InputError

MAX_REPORT_CHARACTERS = 16 * 1024 * 1024
MAX_REPORT_BYTES = 4 * MAX_REPORT_CHARACTERS  # in UTF-8
MAX_PROBLEMS_SHOWN = 20
# No further ones are looked for: a list of millions of wrong entries would fill gigabytes with words about them.
MAX_PROBLEMS_COUNTED = 1_000
MAX_INTEGER = (1 << 53) - 1  # what every reader of JSON keeps exactly

Record = TypeVar("Record")

# The integers of a report that may be below zero; all others are sizes, addresses, counts and versions.
SIGNED_FIELDS = frozenset({"zero_point", "growth_bytes", "remaining_bytes"})
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HINT = "Build the report anew with this version of platformio-tflm."


def report_from_json(text: str, source: str = "report.json") -> Report:
    """The Report that render_json wrote. source: the file's name, for errors.

    Raises InputError naming every field that is missing, unknown or of another type, or the other schema version.
    """
    return record_from_json(text, Report, "report", version=SCHEMA_VERSION, source=source, hint=_HINT)


def report_from_bytes(data: bytes, source: str) -> Report:
    """The Report in a file's bytes. source: the file's name, for errors.

    Raises InputError as report_from_json does, and for what is not UTF-8; a byte order mark is passed over. With one it
    may be UTF-16, which is what PowerShell's ``>`` makes of it.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise InputError(f"longer than the {MAX_REPORT_BYTES:,} bytes allowed", where=source, hint=_HINT)
    try:
        text = data.decode("utf-16" if data[:2] in _UTF_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"not {error.encoding.upper()} at byte {error.start:,}, so no JSON report", where=source, hint=_HINT
        ) from error
    return report_from_json(text, source)


def record_from_json(  # noqa: PLR0913 - what is read, and the words of its errors
    text: str,
    kind: type[Record],
    noun: str,
    *,
    version: int,
    source: str,
    hint: str,
    max_characters: int = MAX_REPORT_CHARACTERS,
) -> Record:
    """The dataclass *kind* from its JSON. noun: what errors call it; source: the file's name; hint: what to do.

    Raises InputError naming every field that is missing, unknown or of another type, or the other schema version.
    """
    if len(text) > max_characters:
        raise InputError(
            f"the {noun} is longer than the {max_characters:,} characters allowed", where=source, hint=hint
        )
    try:
        loaded = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not a JSON {noun}: {_reason(error)}", where=source, hint=hint) from error
    found = loaded.get("schema_version") if isinstance(loaded, dict) else None
    if found != version or isinstance(found, (bool, float)):
        raise InputError(f"schema_version is {_shown(found)} where {version} is read", where=source, hint=hint)
    problems: list[str] = []
    record = _value(loaded, kind, "", problems)
    if problems:
        shown = problems[:MAX_PROBLEMS_SHOWN]
        if len(problems) > len(shown):
            more = len(problems) - len(shown) if len(problems) <= MAX_PROBLEMS_COUNTED else "many"
            shown.append(f"... and {more} more")
        raise InputError("\n  ".join([f"not a {noun} of this schema", *shown]), where=source, hint=hint)
    return cast("Record", record)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"{_shown(key)} is given twice")
        result[key] = value
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _value(value: object, kind: Any, path: str, problems: list[str]) -> Any:
    """The value as *kind*, a type of the report's fields; None, with a problem noted, if it is none."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        inner = next(argument for argument in get_args(kind) if argument is not NoneType)
        return None if value is None else _value(value, inner, path, problems)
    if origin is tuple:
        return _sequence(value, get_args(kind)[0], path, problems)
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(value, kind, path, problems)
    if issubclass(kind, Enum):
        return _member(value, kind, path, problems)
    return _scalar(value, kind, path, problems)


def _sequence(value: object, kind: Any, path: str, problems: list[str]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        problems.append(f"{path} should be a list, but is {_shown(value)}")
        return ()
    entries = []
    for index, entry in enumerate(value):
        if len(problems) > MAX_PROBLEMS_COUNTED:
            break
        entries.append(_value(entry, kind, f"{path}[{index}]", problems))
    return tuple(entries)


def _record(value: object, kind: type, path: str, problems: list[str]) -> Any:
    if not isinstance(value, dict):
        problems.append(f"{path or 'the report'} should be an object, but is {_shown(value)}")
        return None
    types = _types(kind)
    before = len(problems)
    unknown = islice((key for key in value if key not in types), MAX_PROBLEMS_COUNTED + 1)
    problems += [f"{_joined(path, _clean(key))} is unknown{_nearest(key, types)}" for key in unknown]
    given: dict[str, Any] = {}
    derived: dict[str, Any] = {}
    for entry in fields(kind):
        inner = _joined(path, entry.name)
        if entry.name in value:
            found = given if entry.init else derived
            found[entry.name] = _value(value[entry.name], types[entry.name], inner, problems)
        elif entry.default is MISSING and entry.default_factory is MISSING:
            problems.append(f"{inner} is missing")
    if len(problems) > before:
        return None
    record = kind(**given)
    for name, read in derived.items():
        expected = getattr(record, name)
        if read != expected:
            shown = f"should be {_shown(expected)} by the other fields, but is {_shown(read)}"
            problems.append(f"{_joined(path, name)} {shown}")
    return record


@cache
def _types(kind: type) -> dict[str, Any]:
    from platformio_tflm.core.report.changes import ReportDiff  # noqa: PLC0415 - the report names it for type checkers

    return get_type_hints(kind, localns={"ReportDiff": ReportDiff})


def _member(value: object, kind: type[Enum], path: str, problems: list[str]) -> Enum | None:
    allowed = [member.value for member in kind]
    if value in allowed:
        return kind(value)
    problems.append(f"{path} should be one of {', '.join(allowed)}, but is {_shown(value)}")
    return None


def _scalar(value: object, kind: type, path: str, problems: list[str]) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = _as_float(value)
    if type(value) is not kind:
        problems.append(f"{path} should be {_WORDS[kind]}, but is {_shown(value)}")
    elif isinstance(value, float) and not isfinite(value):
        problems.append(f"{path} is beyond what a number can be")
    elif isinstance(value, int) and not _least(path) <= value <= MAX_INTEGER:
        problems.append(f"{path} should be at least {_least(path)} and at most {MAX_INTEGER}, but is {_shown(value)}")
    return value


def _least(path: str) -> int:
    return -MAX_INTEGER if path.rpartition(".")[2] in SIGNED_FIELDS else 0


_WORDS = {int: "an integer", float: "a number", str: "text", bool: "true or false"}


def _as_float(value: int) -> object:
    try:
        return float(value)
    except OverflowError:
        return value


def _nearest(key: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415

    near = get_close_matches(key[:64], list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: object) -> str:
    """The value for a message; containers by kind only, as their text has no bound."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"'{_clean(value)}'"
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "an integer of more than 64 bits"
    return str(value).lower()


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:64])


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else _clean(str(error)) or "unreadable"
