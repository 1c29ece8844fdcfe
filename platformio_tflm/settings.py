"""platformio.ini options -> frozen Settings.

OPTIONS is the one place where an option's name, default and meaning stand; docs/options.md is generated from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from platformio_tflm.errors import UsageError

PREFIX = "custom_tflm_"
MAX_BYTES = 1 << 32


@dataclass(frozen=True)
class Limit:
    """A share of the board's memory in percent, or bytes; exactly one of both is set."""

    percent: float | None = None
    size_bytes: int | None = None

    def of(self, available_bytes: int) -> int:
        """Bytes allowed of *available_bytes*."""
        if self.size_bytes is not None:
            return self.size_bytes
        return int(available_bytes * (self.percent or 0.0) / 100.0)


@dataclass(frozen=True)
class Margin:
    """Room added to the arena: bytes plus a share of the planned size."""

    size_bytes: int = 0
    percent: float = 0.0

    def of(self, planned_bytes: int) -> int:
        return self.size_bytes + int(planned_bytes * self.percent / 100.0)


@dataclass(frozen=True)
class Settings:
    """What one environment of platformio.ini asks of the plugin; one field an option."""

    models: tuple[str, ...]
    runtime: str
    arena: tuple[tuple[str, int], ...]
    arena_margin: Margin | None
    shared_arena: bool
    custom_ops: tuple[tuple[str, str], ...]
    board: str
    reserve: tuple[tuple[str, int], ...]
    max_flash: Limit
    max_sram: Limit
    tight: tuple[Limit, ...]
    over_limit: str
    optimize: str
    report: tuple[str, ...]
    baseline: str

    def arena_bytes(self, model_name: str) -> int | None:
        """The size set for this model; an entry without a name counts for every model without one of its own."""
        sizes = dict(self.arena)
        return sizes.get(model_name, sizes.get(""))

    def tight_bytes(self, limit_bytes: int) -> int:
        """With less than how many bytes left a memory of *limit_bytes* is tight."""
        return min(bound.of(limit_bytes) for bound in self.tight)


@dataclass(frozen=True)
class Option:
    """One platformio.ini option; field is its name in Settings, parse raises ValueError on a bad value."""

    field: str
    default: str
    meaning: str
    parse: Callable[[str], Any]
    example: str

    @property
    def name(self) -> str:
        return PREFIX + self.field


def parse_bytes(text: str) -> int:
    """``12288``, ``12K``, ``1M``, ``0x3000`` -> bytes. Errors: ValueError."""
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|[0-9]+)\s*([kKmM]?)(?:i?[bB])?", text.strip())
    if match is None:
        raise ValueError(f"'{text.strip()}' is not a size; write bytes, or K or M for multiples of 1024 (12288, 12K)")
    size_bytes: int = int(match[1], 0) * {"": 1, "k": 1024, "m": 1024 * 1024}[match[2].lower()]
    if size_bytes > MAX_BYTES:
        raise ValueError(f"'{text.strip()}' is {size_bytes:,} bytes; at most {MAX_BYTES:,} are allowed")
    return size_bytes


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _globs(text: str) -> tuple[str, ...]:
    patterns = tuple(_lines(text.replace(", ", "\n")))
    if not patterns:
        raise ValueError("is empty; name at least one file or pattern, or leave the option out")
    return patterns


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        value = text.strip().lower()
        if value not in allowed:
            raise ValueError(f"'{text.strip()}' is not one of {', '.join(allowed)}{_nearest(value, allowed)}")
        return value

    return parse


def _yes_no(text: str) -> bool:
    value = text.strip().lower()
    if value in ("yes", "true", "on", "1"):
        return True
    if value in ("no", "false", "off", "0"):
        return False
    raise ValueError(f"'{text.strip()}' is neither yes nor no")


def _arena(text: str) -> tuple[tuple[str, int], ...]:
    if text.strip().lower() == "auto":
        return ()
    sizes: dict[str, int] = {}
    for line in _lines(text):
        name, _, size = line.rpartition("=")
        sizes[_c_name(name.strip()) if name else ""] = parse_bytes(size)
    return tuple(sizes.items())


def _c_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise ValueError(f"'{text}' is not a model's name; write it as in the generated code (my_model = 12K)")
    return text


def _margin(text: str) -> Margin | None:
    value = text.strip()
    if value.lower() in ("", "auto"):
        return None
    if value.endswith("%"):
        return Margin(percent=_percent(value))
    return Margin(size_bytes=parse_bytes(value))


def _percent(text: str) -> float:
    try:
        value = float(text.strip().rstrip("%"))
    except ValueError:
        raise ValueError(f"'{text.strip()}' is not a percentage; write for example 90%%") from None
    if not 0 <= value <= 100:
        raise ValueError(f"'{text.strip()}' is not between 0% and 100%")
    return value


def _limit(text: str) -> Limit:
    if text.strip().endswith("%"):
        return Limit(percent=_percent(text))
    return Limit(size_bytes=parse_bytes(text))


def _bounds(text: str) -> tuple[Limit, ...]:
    words = [word for word in re.split(r"[,\n]", text) if word.strip()]
    if not words:
        raise ValueError("is empty; write bytes, a percentage, or both (10%%, 20K)")
    return tuple(map(_limit, words))


def _custom_ops(text: str) -> tuple[tuple[str, str], ...]:
    functions: dict[str, str] = {}
    for line in _lines(text):
        name, equals, function = (part.strip() for part in line.partition("="))
        if not equals or not name or not re.fullmatch(r"[A-Za-z_]\w*(::[A-Za-z_]\w*)*", function, re.ASCII):
            raise ValueError(f"'{line}' is not of the form OpName=Register_Function")
        functions[name] = function
    return tuple(functions.items())


def _reserve(text: str) -> tuple[tuple[str, int], ...]:
    entries: dict[str, int] = {}
    for line in _lines(text):
        name, equals, size = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise ValueError(f"'{line}' is not of the form name = size, for example stack = 8K")
        entries[name] = parse_bytes(size)
    return tuple(entries.items())


def _formats(text: str) -> tuple[str, ...]:
    choose = _choice("text", "json", "html")
    return tuple(dict.fromkeys(choose(item) for item in re.split(r"[,\s]+", text.strip()) if item))


# PlatformIO reads its file with Python's configparser, to which a single % begins a reference.
_SIGN = "(`5%%`: platformio.ini wants the sign twice)"

OPTIONS: tuple[Option, ...] = (
    Option(
        "models",
        "models/**/*.tflite\nsrc/**/*.tflite",
        "Which models: paths or patterns, one a line, from the project folder.",
        _globs,
        "models/gesture.tflite",
    ),
    Option(
        "runtime",
        "auto",
        "What runs the model: `tflm`, a TensorFlow Lite Micro library of this environment; `data`, the array alone; "
        "`auto`, `tflm` where the environment links such a library, else `data`.",
        _choice("auto", "tflm", "data", "builtin"),
        "tflm",
    ),
    Option(
        "arena",
        "auto",
        "Size of the tensor arena in bytes, or `name = bytes` lines for several models. Less than what is known to be "
        "needed is an error; less than an upper bound is a warning.",
        _arena,
        "12K",
    ),
    Option(
        "arena_margin",
        "auto",
        f"Room added to a planned or measured arena: bytes or a percentage {_SIGN}. `auto` is 0: what is exact or "
        "measured is enough, and an upper bound has room of its own.",
        _margin,
        "256",
    ),
    Option(
        "shared_arena",
        "no",
        "Whether all models share one arena: room for the largest head and for every tail.",
        _yes_no,
        "yes",
    ),
    Option(
        "custom_ops",
        "",
        "Operators of your own, `OpName=Register_Function` lines.",
        _custom_ops,
        "MyOp=tflite::Register_MY_OP",
    ),
    Option(
        "board",
        "",
        "A board file's id, or the path of a YAML file of your own; by default the environment's `board`.",
        str.strip,
        "nano33ble",
    ),
    Option(
        "reserve",
        "",
        "SRAM that the linker map cannot show, `name = size` lines, on top of what the board file reserves; "
        "the same name replaces the board's figure.",
        _reserve,
        "stack = 8K",
    ),
    Option("max_flash", "100%", f"Flash that may be used: bytes, or a share of the board's {_SIGN}.", _limit, "90%%"),
    Option("max_sram", "100%", f"SRAM that may be used: bytes, or a share of the board's {_SIGN}.", _limit, "200K"),
    Option(
        "tight",
        "10%, 20K",
        f"With less than this left of flash or SRAM, the report says `tight`: bytes, or a share of the limit {_SIGN}; "
        "of several, the smallest counts.",
        _bounds,
        "8K",
    ),
    Option(
        "over_limit",
        "error",
        "What a firmware over a limit does: `error` fails the build before the upload, `warn` only says so. A model "
        "or an arena that cannot fit the board at all fails it before the first file is compiled.",
        _choice("error", "warn"),
        "warn",
    ),
    Option(
        "optimize",
        "inherit",
        "Optimization of the TensorFlow Lite Micro library's files: `speed` (-O2), `size` (-Os), `inherit` (as is).",
        _choice("inherit", "speed", "size"),
        "speed",
    ),
    Option("report", "text, json", "Which reports to make: any of `text`, `json`, `html`.", _formats, "json"),
    Option(
        "baseline",
        "",
        "An earlier `report.json`, from the project folder: the reports end with what changed since.",
        str.strip,
        "ci/report.json",
    ),
)

# Options of the documented interface whose part of the plugin is not built yet: a value is an error, not silence.
_NOT_YET: tuple[tuple[str, Callable[[Settings], bool], str], ...] = (
    ("runtime", lambda s: s.runtime == "builtin", "the built-in runtime is not part of this version; use tflm or data"),
)


def _nearest(name: str, known: tuple[str, ...]) -> str:
    import difflib  # noqa: PLC0415 - only wanted on the way to an error

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _unknown_problems(options: Mapping[str, str]) -> list[str]:
    known = tuple(option.name for option in OPTIONS)
    return [
        f"{name}: no such option{_nearest(name, known)}"
        for name in options
        if name.startswith(PREFIX) and name not in known
    ]


def read_settings(options: Mapping[str, str], *, where: str = "platformio.ini") -> Settings:
    """Settings of one environment from its options (other names than ``custom_tflm_*`` are passed over).

    Errors: UsageError that lists every unknown name and every bad value at once.
    """
    problems = _unknown_problems(options)
    values: dict[str, Any] = {}
    for option in OPTIONS:
        try:
            values[option.field] = option.parse(options.get(option.name, option.default))
        except ValueError as error:
            problems.append(f"{option.name}: {error}")
    if not problems:
        settings = Settings(**values)
        problems = [f"{PREFIX}{field}: {text}" for field, asked, text in _NOT_YET if asked(settings)]
    if problems:
        raise UsageError("\n  ".join(problems), where=where, hint="The options are described in docs/options.md.")
    return settings
