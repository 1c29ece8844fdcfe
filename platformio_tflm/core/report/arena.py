"""An arena: what lies in it when, and what a measurement found."""

from __future__ import annotations

from dataclasses import dataclass

from platformio_tflm.core.report.room import BoardRoom


@dataclass(frozen=True)
class MeasuredArena:
    """A model's arena by trial beside its plan. method: how the plan was made; faults: trials without an answer."""

    model: str
    measured_bytes: int
    planned_bytes: int
    method: str
    used_bytes: int
    trials: int
    faults: int


@dataclass(frozen=True)
class ArenaBuffer:
    """A tensor or scratch buffer in the arena's head, from step *first* to step *last*, both counted.

    kind: "tensor", "scratch" or "prescribed" (a tensor that the model's own plan placed). first is -1 for
    what nothing makes, and last as well for what nothing reads.
    """

    name: str
    kind: str
    type: str
    shape: tuple[int, ...]
    size_bytes: int
    offset: int
    first: int
    last: int

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes


@dataclass(frozen=True)
class ArenaReport:
    """One model's arena over time, for `platformio-tflm plan`.

    size_bytes: what is needed. used_bytes: what arena_used_bytes() answers, None where that is not known.
    temporary_bytes: how much of size_bytes only AllocateTensors() needs.
    lower_bound_bytes: the most that lives in any one step: no placement of the buffers takes less.
    steps: the operator that runs in each step; step 0 comes before the first. peak_step: where most lives.
    """

    model: str
    path: str
    size_bytes: int
    used_bytes: int | None
    head_bytes: int
    tail_bytes: int
    temporary_bytes: int
    lower_bound_bytes: int
    method: str
    kernels: str
    abi: str
    steps: tuple[str, ...]
    peak_step: int
    buffers: tuple[ArenaBuffer, ...]
    notes: tuple[str, ...] = ()
    room: BoardRoom | None = None
