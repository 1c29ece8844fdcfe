"""A second look at every arena plan, on every run; shares no code with the planner."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
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
    prescribed: list[tuple[int, int]] = []
    for _, entering, placement in events:
        own = prescribed if placement.prescribed else planned
        span = (placement.offset, placement.end)
        if not entering:
            del own[bisect_left(own, span)]
            continue
        _refuse_meeting_planned(placement, planned)
        if not placement.prescribed:
            _refuse_meeting(placement, prescribed)
        own.insert(bisect_right(own, span), span)


def _refuse_meeting_planned(placement: Placement, planned: list[tuple[int, int]]) -> None:
    """*planned* do not overlap each other, so that only those around the newcomer can meet it."""
    position = bisect_right(planned, (placement.offset, placement.end))
    _refuse_meeting(placement, planned[max(position - 1, 0) : position + 1])


def _refuse_meeting(placement: Placement, living: list[tuple[int, int]]) -> None:
    for start, end in living:
        if start < placement.end and placement.offset < end:
            raise PlanError(f"{placement} overlaps another living buffer at {start} to {end}")
