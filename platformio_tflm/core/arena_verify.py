"""A second look at every arena plan, on every run; shares no code with the planner."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platformio_tflm.core.arena import ArenaPlan
    from platformio_tflm.core.packing import Placement

_ALIGNMENT_BYTES = 16


class PlanError(AssertionError):
    """A plan that would let two living buffers share bytes: a bug of ours."""


def verify(plan: ArenaPlan) -> None:
    """Raise PlanError unless every placement is aligned, inside the head, and apart from all that live with it."""
    if plan.size_bytes % _ALIGNMENT_BYTES or plan.size_bytes < plan.head_bytes + plan.tail_bytes:
        raise PlanError(f"{plan.size_bytes} bytes do not hold {plan.head_bytes} + {plan.tail_bytes}")
    for placement in plan.placements:
        if placement.size_bytes < 0:
            raise PlanError(f"{placement} has less than no bytes")
        if placement.offset < 0 or placement.offset % _ALIGNMENT_BYTES or placement.end > plan.head_bytes:
            raise PlanError(f"{placement} is misplaced in a head of {plan.head_bytes} bytes")
    if plan.head_bytes < plan.lower_bound_bytes:
        raise PlanError(f"a head of {plan.head_bytes} bytes is below its lower bound, {plan.lower_bound_bytes}")
    _verify_apart([placement for placement in plan.placements if placement.size_bytes])


def _verify_apart(placements: Sequence[Placement]) -> None:
    """Walk through time. What the planner placed keeps apart from everything; the prescribed may overlap each other."""
    events = [(placement.first, 1, placement) for placement in placements]
    events += [(placement.last + 1, 0, placement) for placement in placements]
    events.sort(key=lambda event: event[:2])
    planned: list[tuple[int, int]] = []
    prescribed = _Prescribed()
    for _, entering, placement in events:
        span = (placement.offset, placement.end)
        if entering:
            _refuse_meeting_planned(placement, planned)
        if placement.prescribed:
            (prescribed.add if entering else prescribed.remove)(span)
        elif entering:
            prescribed.refuse_meeting(placement)
            insort(planned, span)
        else:
            del planned[bisect_left(planned, span)]


def _refuse_meeting_planned(placement: Placement, planned: list[tuple[int, int]]) -> None:
    """*planned* do not overlap each other, so that only those around the newcomer can meet it."""
    position = bisect_right(planned, (placement.offset, placement.end))
    for start, end in planned[max(position - 1, 0) : position + 1]:
        if start < placement.end and placement.offset < end:
            raise _overlap(placement, f"at {start} to {end}")


class _Prescribed:
    """Living buffers that may overlap each other: where they begin, and where they end, each in order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, span: tuple[int, int]) -> None:
        insort(self._starts, span[0])
        insort(self._ends, span[1])

    def remove(self, span: tuple[int, int]) -> None:
        del self._starts[bisect_left(self._starts, span[0])]
        del self._ends[bisect_left(self._ends, span[1])]

    def refuse_meeting(self, placement: Placement) -> None:
        """Those that begin before its end, without those that end before it begins: they meet it.

        Counted, not compared one by one: a model may prescribe thousands.
        """
        meeting = bisect_left(self._starts, placement.end) - bisect_right(self._ends, placement.offset)
        if meeting:
            raise _overlap(placement, f"that the model prescribes ({meeting})")


def _overlap(placement: Placement, other: str) -> PlanError:
    return PlanError(f"{placement} overlaps another living buffer {other}")
