"""``tflm-lock.json``: arenas that were measured, kept beside platformio.ini and under version control.

A measurement holds for one model in one build of a TFLM library: the same bytes of the model, the same library, the
same core, the same flags. Nothing else is in the file, no date and no path, so that two machines write the same text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from platformio_tflm.errors import InputError

LOCK_FILE = "tflm-lock.json"
LOCK_VERSION = 1
ARENA_ALIGNMENT_BYTES = 16
# Some thousands of measurements.
MAX_LOCK_BYTES = 2 * 1024 * 1024

_HINT = "Take the file from version control again, or delete it and run `pio run -t tflm-arena`."
_SHA256 = re.compile(r"[0-9a-f]{64}")

# Macros that choose kernels or the layout of TFLM's structs; all others leave the arena as it is.
_RELEVANT_MACRO = re.compile(r"TF_|TFLITE_|TFLM_|USE_TFLM_|(?:ARM_)?CMSIS_NN|ARM_MATH_|ESP_NN|XTENSA|HIFI|VISION_")
# Flags that change the size of enumerations and structs.
_RELEVANT_FLAG = re.compile(r"-f(?:no-)?(?:short-enums|pack-struct)|-mabi=")
_CORE_FLAG = re.compile(r"-m(?:cpu|arch)=(.+)")


@dataclass(frozen=True)
class LibraryKey:
    """The TFLM library. fingerprint: of its headers and its manifest (``fingerprint``)."""

    name: str
    version: str
    fingerprint: str


@dataclass(frozen=True)
class BuildKey:
    """What the arena depends on beside the model. core: as the compiler is told, else the microcontroller's name.

    A board in the emulator and the real one have the same key if their library is built for the same core.
    """

    library: LibraryKey
    core: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Measurement:
    """arena_bytes: the smallest arena that allocates and invokes, a multiple of 16. used_bytes: what
    arena_used_bytes() answered in it. measured_on: the board's id, for the reader.
    """

    model: str
    sha256: str
    build: BuildKey
    arena_bytes: int
    used_bytes: int
    measured_on: str


@dataclass(frozen=True)
class Lock:
    """The whole file."""

    measurements: tuple[Measurement, ...] = ()
    schema_version: int = LOCK_VERSION

    def find(self, sha256: str, build: BuildKey) -> Measurement | None:
        """The measurement of this model in this build."""
        return next((entry for entry in self.measurements if (entry.sha256, entry.build) == (sha256, build)), None)

    def why_not(self, name: str, sha256: str, build: BuildKey) -> str:
        """Why no measurement of the model called *name* counts in this build; "" if there is none of it, or one does.

        Of several, the one that is nearest to this build is named.
        """
        if self.find(sha256, build):
            return ""
        differences: list[list[str]] = [
            _differences(entry, sha256, build)
            for entry in self.measurements
            if sha256 == entry.sha256 or name == entry.model
        ]
        if not differences:
            return ""
        nearest = min(differences, key=len)
        return ", ".join(nearest)

    def updated(self, made: Iterable[Measurement]) -> Lock:
        """With these measurements in the place of those of the same models (by bytes or by name) in the same build."""
        new = tuple(made)
        replaced = {(entry.sha256, entry.build) for entry in new} | {(entry.model, entry.build) for entry in new}
        kept = [
            entry
            for entry in self.measurements
            if (entry.sha256, entry.build) not in replaced and (entry.model, entry.build) not in replaced
        ]
        return Lock((*kept, *new))


def _differences(entry: Measurement, sha256: str, build: BuildKey) -> list[str]:
    texts = ["the model's bytes have changed"] if entry.sha256 != sha256 else []
    before, now = entry.build, build
    if (before.library.name, before.library.version) != (now.library.name, now.library.version):
        texts.append(f"it was {_shown(before.library)}, now {_shown(now.library)} is linked")
    elif before.library.fingerprint != now.library.fingerprint:
        texts.append(f"the files of {_shown(now.library)} have changed")
    if before.core != now.core:
        texts.append(f"it was for {before.core}, this build is for {now.core}")
    if before.flags != now.flags:
        texts.append(f"it was with {_flags(before)}, this build has {_flags(now)}")
    return texts


def _shown(library: LibraryKey) -> str:
    return f"{library.name} {library.version}".strip()


def _flags(build: BuildKey) -> str:
    return " ".join(build.flags) or "no flags"


def refuse_large_lock(size_bytes: int, source: str = LOCK_FILE) -> None:
    """InputError if a file of this size is no lock: it need not even be read."""
    if size_bytes > MAX_LOCK_BYTES:
        raise InputError(f"has {size_bytes:,} bytes, allowed are {MAX_LOCK_BYTES:,}", where=source, hint=_HINT)


def lock_from_text(text: str, source: str = LOCK_FILE) -> Lock:
    """Raises InputError that names every field that is missing, unknown or impossible."""
    from platformio_tflm.core.report_io import record_from_json  # noqa: PLC0415 - most projects have no lock

    lock = record_from_json(
        text, Lock, "lock file", version=LOCK_VERSION, source=source, hint=_HINT, max_characters=MAX_LOCK_BYTES
    )
    problems = [
        f"measurements[{index}]{problem}" for index, entry in enumerate(lock.measurements) for problem in _wrong(entry)
    ]
    first: dict[tuple[str, BuildKey], int] = {}
    problems += [
        f"measurements[{index}] is of the same model and build as measurements[{before}]"
        for index, entry in enumerate(lock.measurements)
        if (before := first.setdefault((entry.sha256, entry.build), index)) != index
    ]
    if problems:
        raise InputError("\n  ".join(["not a lock file of this schema", *problems[:20]]), where=source, hint=_HINT)
    return lock


def _wrong(entry: Measurement) -> Iterable[str]:
    if not _SHA256.fullmatch(entry.sha256):
        yield ".sha256 should be 64 hexadecimal digits"
    if not _SHA256.fullmatch(entry.build.library.fingerprint):
        yield ".build.library.fingerprint should be 64 hexadecimal digits"
    if not entry.arena_bytes or entry.arena_bytes % ARENA_ALIGNMENT_BYTES:
        yield f".arena_bytes should be a multiple of {ARENA_ALIGNMENT_BYTES}, but is {entry.arena_bytes}"
    if entry.used_bytes > entry.arena_bytes:
        yield f".used_bytes should be at most arena_bytes, {entry.arena_bytes}, but is {entry.used_bytes}"


def lock_to_text(lock: Lock) -> str:
    """The file's text: sorted, so that its order tells nothing and merges are easy; ends with a newline."""
    ordered = sorted(lock.measurements, key=lambda entry: (entry.model, entry.sha256, repr(entry.build)))
    content = {"schema_version": lock.schema_version, "measurements": [asdict(entry) for entry in ordered]}
    return json.dumps(content, indent=2, ensure_ascii=True) + "\n"


def fingerprint(files: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over names and contents, whatever their order and whichever line ends a checkout gave them."""
    digest = hashlib.sha256()
    for name, content in sorted(files):
        plain = content.replace(b"\r\n", b"\n")
        digest.update(f"{name}\n{len(plain)}\n".encode())
        digest.update(plain)
    return digest.hexdigest()


def relevant_flags(macros: Iterable[str], flags: Iterable[str]) -> tuple[str, ...]:
    """Of a compiler's macros (``NAME`` or ``NAME=value``) and flags, those that the arena may depend on; sorted."""
    chosen = {f"-D{macro}" for macro in macros if _RELEVANT_MACRO.match(macro)}
    return tuple(sorted(chosen | {flag for flag in flags if _RELEVANT_FLAG.match(flag)}))


def core_of(flags: Iterable[str], microcontroller: str) -> str:
    """The core that the compiler is told to compile for (the last word counts), else the microcontroller."""
    named = [match[1] for match in map(_CORE_FLAG.fullmatch, flags) if match]
    return named[-1] if named else microcontroller
