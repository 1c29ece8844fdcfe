"""A bounds-checked reader of FlatBuffers, for bytes that nobody vouches for.

Layout (FlatBuffers internals): little-endian; a table starts with a signed offset back to its vtable; the vtable
holds its own size, the table's size and, for each slot, the field's place inside the table (0: absent). Vectors and
strings start with a 32-bit count. Offsets to tables, vectors and strings are unsigned and count forward, so a chain
of offsets can never come back, except by an offset of 0, which points at itself and is refused.

What offsets cannot do by looping they can by sharing: a small file may point at one large vector a million times.
Every object that is decoded is therefore paid for from a budget (``Budget``).
"""

from __future__ import annotations

from struct import Struct, calcsize, unpack_from

from platformio_tflm.errors import ModelError

_UINT16 = Struct("<H")
_INT32 = Struct("<i")
_UINT32 = Struct("<I")

# The widest table of the schema has 18 slots; a longer vtable comes from a newer schema or from an attacker.
_SLOTS_READ = 64

_DAMAGED = "The file is cut off or damaged: copy it again, or convert the model again."


def damaged(what: str) -> ModelError:
    """The error for bytes that contradict themselves."""
    return ModelError(what, hint=_DAMAGED)


def too_many(count: int, what: str, limit: int) -> ModelError:
    """The error for more of something, in the plural, than is read."""
    return ModelError(
        f"lists {count:,} {what}, more than the {limit:,} that are read",
        hint="No microcontroller runs such a model; if it was not made on purpose, the file is damaged.",
    )


class Budget:
    """What may still be decoded: vector elements and tables together, and bytes of text and raw data."""

    __slots__ = ("data_bytes", "elements")

    def __init__(self, elements: int = 1 << 20, data_bytes: int = 16 << 20) -> None:
        self.elements = elements
        self.data_bytes = data_bytes

    def pay_elements(self, count: int) -> None:
        self.elements -= count
        if self.elements < 0:
            raise damaged("holds more tables and numbers (over a million) than any model for a microcontroller")

    def pay_bytes(self, count: int) -> None:
        self.data_bytes -= count
        if self.data_bytes < 0:
            raise damaged("holds more names and custom options (over 16 MiB) than any model for a microcontroller")


class FlatBuffer:
    """The bytes, the budget, and the vtables seen so far.

    Positions are counted in bytes from the start of the file.
    """

    __slots__ = ("_vtables", "budget", "data", "size_bytes")

    def __init__(self, data: bytes, budget: Budget | None = None) -> None:
        self.data = data
        self.size_bytes = len(data)
        self.budget = budget or Budget()
        self._vtables: dict[int, tuple[int, ...]] = {}

    def need(self, position: int, size_bytes: int, what: str) -> None:
        """Raise unless *size_bytes* at *position* lie inside the file."""
        if position < 0 or position + size_bytes > self.size_bytes:
            end = position + size_bytes
            raise damaged(f"{what} should lie at bytes {position:,} to {end:,}, but the file has {self.size_bytes:,}")

    def follow(self, position: int, what: str) -> int:
        """The place that the offset stored at *position* leads to."""
        self.need(position, 4, f"the offset to {what}")
        offset: int = _UINT32.unpack_from(self.data, position)[0]
        if offset == 0:
            raise damaged(f"the offset to {what} at byte {position:,} points at itself, a loop")
        self.need(position + offset, 4, what)
        if (position + offset) % 4:
            raise damaged(f"{what} at byte {position + offset:,} is not aligned to 4 bytes")
        return position + offset

    def vector(self, position: int, item_bytes: int, what: str) -> tuple[int, int]:
        """(position of the first item, count) of the vector whose offset is stored at *position*."""
        start = self.follow(position, what)
        count: int = _UINT32.unpack_from(self.data, start)[0]
        self.need(start + 4, count * item_bytes, what)
        return start + 4, count

    def root(self) -> Table:
        """The table that the file's first four bytes lead to."""
        return Table(self, self.follow(0, "the root table"), "the root table")

    def vtable(self, position: int, what: str) -> tuple[int, ...]:
        """(size of the table, place of slot 0, of slot 1, ...) of the vtable at *position*."""
        known = self._vtables.get(position)
        if known is not None:
            return known
        self.need(position, 4, f"the vtable of {what}")
        size_bytes: int = _UINT16.unpack_from(self.data, position)[0]
        if size_bytes < 4 or size_bytes % 2 or position % 2:
            raise damaged(f"the vtable of {what} at byte {position:,} is malformed ({size_bytes} bytes)")
        self.need(position, size_bytes, f"the vtable of {what}")
        entries = unpack_from(f"<{min(size_bytes // 2 - 1, _SLOTS_READ + 1)}H", self.data, position + 2)
        self._vtables[position] = entries
        return entries


class Table:
    """One table. A slot that is absent reads as its default; every read is checked against the table's own size."""

    __slots__ = ("_buffer", "_entries", "_position", "_what")

    def __init__(self, buffer: FlatBuffer, position: int, what: str) -> None:
        buffer.budget.pay_elements(1)
        buffer.need(position, 4, what)
        back: int = _INT32.unpack_from(buffer.data, position)[0]
        self._buffer = buffer
        self._position = position
        self._what = what
        self._entries = buffer.vtable(position - back, what)
        buffer.need(position, self._entries[0], what)

    def _place(self, slot: int, size_bytes: int) -> int:
        """Position of the field in *slot*, 0 if it is absent (no field can be at 0, the root offset's place)."""
        entries = self._entries
        if slot + 1 >= len(entries) or not entries[slot + 1]:
            return 0
        inside = entries[slot + 1]
        if inside < 4 or inside + size_bytes > entries[0]:
            raise damaged(f"field {slot} of {self._what} lies outside its table of {entries[0]} bytes")
        return self._position + inside

    def has(self, slot: int) -> bool:
        return bool(self._place(slot, 1))

    def number(self, slot: int, form: Struct, default: int = 0) -> int:
        """An integer or boolean stored as *form*."""
        place = self._place(slot, form.size)
        return int(form.unpack_from(self._buffer.data, place)[0]) if place else default

    def real(self, slot: int, form: Struct, default: float = 0.0) -> float:
        place = self._place(slot, form.size)
        return float(form.unpack_from(self._buffer.data, place)[0]) if place else default

    def table(self, slot: int, what: str) -> Table | None:
        place = self._place(slot, 4)
        return Table(self._buffer, self._buffer.follow(place, what), what) if place else None

    def count(self, slot: int, what: str) -> int:
        """How many entries a vector of tables has; none of them is read."""
        place = self._place(slot, 4)
        return self._buffer.vector(place, 4, f"the list of {what}s")[1] if place else 0

    def tables(self, slot: int, what: str, limit: int) -> list[Table]:
        """The tables of a vector of at most *limit* of them, each named ``what N`` in errors."""
        place = self._place(slot, 4)
        if not place:
            return []
        start, count = self._buffer.vector(place, 4, f"the list of {what}s")
        if count > limit:
            raise too_many(count, f"{what}s", limit)
        follow = self._buffer.follow
        places = [(f"{what} {index}", start + 4 * index) for index in range(count)]
        return [Table(self._buffer, follow(item, name), name) for name, item in places]

    def numbers(self, slot: int, letter: str, what: str) -> tuple[int, ...]:
        """A vector of integers or booleans, *letter* as in ``struct``."""
        return tuple(self._unpacked(slot, letter, what))

    def reals(self, slot: int, what: str) -> tuple[float, ...]:
        """A vector of 32-bit floats."""
        return tuple(self._unpacked(slot, "f", what))

    def _unpacked(self, slot: int, letter: str, what: str) -> tuple[int, ...]:
        place = self._place(slot, 4)
        if not place:
            return ()
        start, count = self._buffer.vector(place, calcsize(f"<{letter}"), what)
        self._buffer.budget.pay_elements(count)
        return unpack_from(f"<{count}{letter}", self._buffer.data, start)

    def extent(self, slot: int, what: str) -> tuple[int, int]:
        """(position, size in bytes) of a byte vector; (0, 0) if it is absent. Nothing is copied."""
        place = self._place(slot, 4)
        return self._buffer.vector(place, 1, what) if place else (0, 0)

    def raw(self, slot: int, what: str) -> bytes:
        start, size_bytes = self.extent(slot, what)
        self._buffer.budget.pay_bytes(size_bytes)
        return self._buffer.data[start : start + size_bytes]

    def raw_outside(self, position: int, size_bytes: int, what: str) -> bytes:
        """Bytes at a place counted from the start of the file, behind the FlatBuffer proper."""
        self._buffer.need(position, size_bytes, what)
        self._buffer.budget.pay_bytes(size_bytes)
        return self._buffer.data[position : position + size_bytes]

    def text(self, slot: int, what: str) -> str:
        """A string; bytes that are no UTF-8 become U+FFFD."""
        return self.raw(slot, what).decode("utf-8", errors="replace")
