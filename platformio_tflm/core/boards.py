"""Boards: memory regions, limits and reserved memory of the boards whose figures are known.

The figures are kept in ``boards/*.yaml``, each with its source; ``boards.json`` beside this package is packed from
them, because a build must not need PyYAML. A project's own board file and PlatformIO's manifest become the same
:class:`Board`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from platformio_tflm.errors import BoardError

REGION_KINDS = ("flash", "sram", "ccm", "dtcm", "itcm", "iram", "dram", "rtc", "psram", "other")

MAX_BOARD_FILE_BYTES = 64 * 1024

_PACKED = Path(__file__).resolve().parent.parent / "boards.json"

# ccm, itcm and iram are left out of the SRAM limit because PlatformIO's manifests leave them out, too.
_LIMIT_OF_KIND = {"flash": "flash", "sram": "sram", "dtcm": "sram", "dram": "sram"}


@dataclass(frozen=True)
class Region:
    """A range of addresses, as the linker script of the board's core lays it out. kind: one of REGION_KINDS."""

    name: str
    kind: str
    origin: int
    length_bytes: int
    source: str = ""

    @property
    def end(self) -> int:
        """The first address after the region."""
        return self.origin + self.length_bytes

    @property
    def limit(self) -> str:
        """The limit that what lies here counts against: "flash", "sram", or "" for neither."""
        return _LIMIT_OF_KIND.get(self.kind, "")

    def holds(self, address: int) -> bool:
        return self.origin <= address < self.end


@dataclass(frozen=True)
class Reservation:
    """SRAM that the core or the radio takes beside what the program's own variables take.

    section: the output section that shows this memory in a map; where the map has it, the bytes are counted there.
    archive: the library that takes the memory; where the map does not link it, nothing is taken.
    """

    name: str
    size_bytes: int
    source: str
    section: str = ""
    archive: str = ""


@dataclass(frozen=True)
class Board:
    """One board; source: the file that describes it.

    flash_limit_bytes: what PlatformIO's manifest allows; app_partition_bytes: what the default partition table
    leaves to the program, 0 where there is no such table. regions: empty if only the limits are known.
    """

    id: str
    name: str
    source: str
    core: str
    fpu: bool
    clock_hz: int
    flash_limit_bytes: int
    sram_limit_bytes: int
    regions: tuple[Region, ...]
    reservations: tuple[Reservation, ...]
    app_partition_bytes: int = 0
    processor_source: str = ""
    flash_source: str = ""
    sram_source: str = ""
    app_partition_source: str = ""

    @property
    def program_limit_bytes(self) -> int:
        """Flash that a program may fill when nothing is known of the project's own partition table."""
        return self.app_partition_bytes or self.flash_limit_bytes

    @property
    def reads_constants_from_sram(self) -> bool:
        """Whether constants are copied to SRAM at start-up, as on GNU's AVR families without flash among the addresses.

        Those are avr1 to avr6 with their variants; avrxmega and avrtiny map flash.
        """
        return self.core.lower().rstrip("0123456789") == "avr"

    def region_at(self, address: int) -> Region | None:
        return next((region for region in self.regions if region.holds(address)), None)

    def reserved(self, sections: Iterable[str] = (), archives: Iterable[str] = ()) -> tuple[Reservation, ...]:
        """The reservations that come on top of a map with these output *sections* and linked *archives*.

        Of the sections, name those that hold at least one byte. An archive is compared by its file name; a path
        before it does not matter.
        """
        shown = frozenset(sections)
        linked = frozenset(archive.replace("\\", "/").rpartition("/")[2] for archive in archives)
        return tuple(
            entry
            for entry in self.reservations
            if entry.section not in shown and (not entry.archive or entry.archive in linked)
        )

    def with_limits(self, *, flash_limit_bytes: int = 0, sram_limit_bytes: int = 0) -> Board:
        """The same board with limits a build knows better (a partition table, board_build options); 0 keeps one."""
        return replace(
            self,
            flash_limit_bytes=flash_limit_bytes or self.flash_limit_bytes,
            sram_limit_bytes=sram_limit_bytes or self.sram_limit_bytes,
            app_partition_bytes=0 if flash_limit_bytes else self.app_partition_bytes,
        )


def known_board_ids() -> tuple[str, ...]:
    """Ids of the packed boards, sorted."""
    return tuple(sorted(_packed()))


def find_board(board_id: str) -> Board:
    """The packed board of this id, which is PlatformIO's.

    Raises BoardError, naming the nearest ids, if there is none.
    """
    from platformio_tflm.core.board_file import board_from_mapping  # noqa: PLC0415  # only a build that measures needs it

    packed = _packed()
    if board_id not in packed:
        raise _unknown_board(board_id, packed)
    return board_from_mapping(packed[board_id], f"boards/{board_id}.yaml")


def board_from_yaml(text: str, source: str) -> Board:
    """A board from the text of a board file; *source* is the file's name in errors and in the report.

    Raises BoardError with every problem of the file at once, or if PyYAML is not installed.
    """
    from platformio_tflm.core.board_file import board_from_mapping, mapping_from_yaml  # noqa: PLC0415

    mapping, lines = mapping_from_yaml(text, source)
    return board_from_mapping(mapping, source, lines)


def board_from_file(path: Path, source: str) -> Board:
    """A board from the file at *path*, at most MAX_BOARD_FILE_BYTES long. Raises BoardError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BOARD_FILE_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise BoardError(
            f"the board file cannot be read: {error.strerror or error}",
            where=source,
            hint="custom_tflm_board, or --board, takes the id of a known board or the path of a YAML file.",
        ) from error
    except UnicodeDecodeError as error:
        raise BoardError(
            f"byte {error.start} is not UTF-8 text", where=source, hint="Save the board file as UTF-8."
        ) from error
    return board_from_yaml(text, source)


def board_from_limits(  # noqa: PLR0913, PLR0917  # one parameter a figure of PlatformIO's manifest
    board_id: str, name: str, flash_limit_bytes: int, sram_limit_bytes: int, mcu: str, clock_hz: int
) -> Board:
    """The fallback for a board without a file: the two limits of PlatformIO's own manifest and nothing more.

    core is the manifest's mcu, fpu False, for neither is known. Raises BoardError if a limit is missing.
    """
    if flash_limit_bytes <= 0 or sram_limit_bytes <= 0:
        raise BoardError(
            f"PlatformIO's manifest of board {board_id} gives no limits"
            f" (flash {flash_limit_bytes} bytes, SRAM {sram_limit_bytes} bytes)",
            where=f"board {board_id}",
            hint="Describe the board in a YAML file (boards/README.md has the format); name it in custom_tflm_board.",
        )
    source = f"PlatformIO's board manifest ({board_id})"
    return Board(
        id=board_id,
        name=name,
        source=source,
        core=mcu,
        fpu=False,
        clock_hz=max(clock_hz, 0),
        flash_limit_bytes=flash_limit_bytes,
        sram_limit_bytes=sram_limit_bytes,
        regions=(),
        reservations=(),
        flash_source=f"{source}, upload.maximum_size",
        sram_source=f"{source}, upload.maximum_ram_size",
    )


def _packed() -> dict[str, object]:
    import json  # noqa: PLC0415  # a no-op build never looks a board up

    loaded: dict[str, object] = json.loads(_PACKED.read_text(encoding="utf-8"))
    return loaded


def _unknown_board(board_id: str, known: Iterable[str]) -> BoardError:
    from difflib import get_close_matches  # noqa: PLC0415

    ids = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in ids}
    near = [lowered[match] for match in get_close_matches(board_id[:100].lower(), list(lowered), n=3, cutoff=0.5)]
    nearest = f"Did you mean {' or '.join(near)}? " if near else f"Known: {', '.join(ids)}. "
    return BoardError(
        f"no board file for {board_id[:100]!r}",
        where="board",
        hint=f"{nearest}custom_tflm_board, or --board, also takes the path of a YAML file (boards/README.md).",
    )
