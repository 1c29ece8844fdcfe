"""Finding the smallest arena by trial: what the probe is asked, what it answers, and which size to try next.

The probe (``codegen/probe.py``) runs one model in an arena of one size. Where it runs, a trial may end in a fault or
never; whoever runs it answers None then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from struct import pack

from platformio_tflm.errors import InputError

ALIGNMENT_BYTES = 16

# Sixteen bytes that no program has by chance; the request follows them in the image.
REQUEST_MARK = bytes((0x74, 0x66, 0x6C, 0x6D, 0x9D, 0x1B, 0xE2, 0x70, 0xC4, 0x8A, 0x35, 0xF6, 0x58, 0xA7, 0x0E, 0x93))
READY = "tflm-probe ready"

# The probe's numbers have 32 bits; what a disturbed line makes of them may be longer than Python takes for a number.
_ANSWER = re.compile(
    r"tflm-probe model ([0-9]{1,10}) arena ([0-9]{1,10}) used ([0-9]{1,10}) outputs ([0-9a-f]{8}) ([a-z]+)\s*$",
    re.MULTILINE,
)
OK = "ok"


@dataclass(frozen=True)
class Request:
    """One trial: the model's index in the probe's table, and the arena's size (a multiple of 16)."""

    model: int
    arena_bytes: int

    def line(self) -> bytes:
        """As it is sent to a device."""
        return f"{self.model} {self.arena_bytes}\n".encode("ascii")


@dataclass(frozen=True)
class Answer:
    """What the probe said of one trial. outputs: a checksum of the model's outputs; failed: "" or the step."""

    model: int
    arena_bytes: int
    used_bytes: int
    outputs: str
    failed: str = ""


Trial = Callable[[Request], "Answer | None"]


def with_request(image: bytes, request: Request) -> bytes:
    """The probe's image asked for one trial at its start. Raises InputError if it is not the image of a probe."""
    place = image.find(REQUEST_MARK)
    if place < 0 or image.find(REQUEST_MARK, place + 1) >= 0 or place + len(REQUEST_MARK) + 8 > len(image):
        raise InputError("the probe's image has no single place for a request", hint="Build it again.")
    start = place + len(REQUEST_MARK)
    return image[:start] + pack("<II", request.model, request.arena_bytes) + image[start + 8 :]


def read_answer(output: str, request: Request) -> Answer | None:
    """The probe's answer to this request among all else that was printed; None if there is none."""
    for match in _ANSWER.finditer(output):
        failed = "" if match[5] == OK else match[5]
        answer = Answer(int(match[1]), int(match[2]), int(match[3]), match[4], failed)
        # More used than there is: a disturbed line, and nothing that the lock file would take.
        if answer.used_bytes <= answer.arena_bytes == request.arena_bytes and answer.model == request.model:
            return answer
    return None


@dataclass(frozen=True)
class Found:
    """The smallest arena that works. trials: how many were made; faults: how many of them ended without an answer."""

    answer: Answer
    trials: int
    faults: int


class TrialError(InputError):
    """The model does not run in the largest arena that the probe has."""


def find_smallest(run: Trial, model: int, *, planned_bytes: int, largest_bytes: int) -> Found:
    """The smallest arena in which the model gives the outputs that it gives in *largest_bytes*.

    The plan is tried first, then its neighbour 16 bytes below: three trials where the plan is exact. It is taken for
    granted that what works in one arena works in every larger one; of 11,639 undersized arenas that were tried for
    ``arena.json``, none worked. Raises TrialError if the model does not run in the largest.
    """
    reference = run(Request(model, largest_bytes))
    if reference is None or reference.failed:
        raise TrialError(_does_not_run(reference, largest_bytes))
    answers = {largest_bytes: reference}
    tried: list[Answer | None] = [reference]

    def works(size_bytes: int) -> bool:
        answer = run(Request(model, size_bytes))
        tried.append(answer)
        if answer is None or answer.failed or answer.outputs != reference.outputs:
            return False
        answers[size_bytes] = answer
        return True

    smallest = smallest_working(works, planned_bytes, largest_bytes)
    return Found(answers[smallest], len(tried), tried.count(None))


def _does_not_run(answer: Answer | None, largest_bytes: int) -> str:
    how = f"failed at '{answer.failed}'" if answer else "ended in a fault or did not end"
    return f"in an arena of {largest_bytes:,} bytes, far above the plan, the model {how}"


def smallest_working(works: Callable[[int], bool], guess_bytes: int, largest_bytes: int) -> int:
    """The smallest multiple of 16 that works, *largest_bytes* being one that is known to.

    From the guess in growing steps to where it turns, then by halves.
    """
    low, high = 0, largest_bytes
    step = ALIGNMENT_BYTES
    size = min(max(_up(guess_bytes), ALIGNMENT_BYTES), high - ALIGNMENT_BYTES)
    turned = False
    while high - low > ALIGNMENT_BYTES:
        if works(size):
            turned = turned or low > 0
            high, ahead = size, size - step
        else:
            turned = turned or high < largest_bytes
            low, ahead = size, size + step
        step *= 2
        size = ahead if not turned and low < ahead < high else _middle(low, high)
    return high


def _up(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _middle(low: int, high: int) -> int:
    return (low + high) // (2 * ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def pool_bytes(planned: Iterable[int], sram_bytes: int = 0) -> int:
    """How large an arena the probe has: a quarter and 4 KB above the largest plan.

    sram_bytes: the board's, 0 if not known; the pool leaves a quarter of it to the program, as far as the plan lets it.
    """
    largest = max(planned)
    wanted = largest * 5 // 4 + 4096
    return _up(min(wanted, max(sram_bytes * 3 // 4, largest + 1024)) if sram_bytes else wanted)
