"""Model -> live ranges: which tensors take room in the arena, and from when to when.

The clock is TFLM's "allocation scope": it starts at 0, advances by one for every operator of the main subgraph, and by
one more for every subgraph that an IF, WHILE or CALL_ONCE enters, whose operators advance it further. Ranges include
both ends. Source: AllocationInfoBuilder in tensorflow/lite/micro/micro_allocation_info.cc (commit 90b983c).
"""

from __future__ import annotations

from struct import unpack_from
from typing import NamedTuple

from platformio_tflm.core.model import Model, Operator, Subgraph, Tensor
from platformio_tflm.errors import ModelError

OFFLINE_PLAN_METADATA = "OfflineMemoryAllocation"

# TFLM's marks for "never" and for "placed by the planner on the device".
NEVER = -1
_ONLINE = -1

_ENTERED_BY: dict[str, tuple[str, ...]] = {
    "IF": ("then_subgraph_index", "else_subgraph_index"),
    "WHILE": ("cond_subgraph_index", "body_subgraph_index"),
    "CALL_ONCE": ("init_subgraph_index",),
}


class LiveRange(NamedTuple):
    """A tensor in the arena, from scope *first* to scope *last*; both are NEVER (-1) if nothing touches it.

    size_bytes: as TFLM counts, 4-bit types at a byte an element, not rounded up.
    offline_offset: the place that the model itself prescribes, None usually.
    """

    subgraph: int
    tensor: int
    size_bytes: int
    first: int
    last: int
    offline_offset: int | None = None


class OperatorScope(NamedTuple):
    """When an operator runs: its scratch buffers live from *first* to *last*."""

    first: int
    last: int


class Liveness(NamedTuple):
    """ranges: in TFLM's order, by subgraph and tensor index.

    operators: by (subgraph, operator); operators of subgraphs that are never entered are absent.
    tensor_count: of all subgraphs, whether in the arena or not. scope_count: how far the clock ran, and one.
    """

    ranges: tuple[LiveRange, ...]
    operators: dict[tuple[int, int], OperatorScope]
    tensor_count: int
    scope_count: int


def live_ranges(model: Model) -> Liveness:
    """The live ranges of every tensor of *model* that TFLM places in the arena.

    Raises ModelError if the model prescribes an offline plan that does not fit its tensors.
    """
    clock = _Clock(model)
    clock.run(0)
    offline = offline_offsets(model)
    handles = _resource_handles(model)
    ranges = []
    position = 0
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            offset = offline[position] if offline else None
            if _takes_room(tensor, offset) and (subgraph.index, tensor.index) not in handles:
                first, last = clock.tensors.get((subgraph.index, tensor.index), (NEVER, NEVER))
                ranges.append(LiveRange(subgraph.index, tensor.index, runtime_bytes(tensor), first, last, offset))
            position += 1
    return Liveness(tuple(ranges), clock.operators, position, clock.now + 1)


def runtime_bytes(tensor: Tensor) -> int:
    """Bytes that TFLM counts for the tensor's data (TfLiteTypeSizeOf: types below 8 bits take a whole byte)."""
    return tensor.element_count * max(tensor.type.bits, 8) // 8


def constant_at_run_time(tensor: Tensor) -> bool:
    """TFLM reads constants inside the FlatBuffer only; those behind it look like empty tensors to it."""
    return tensor.is_constant and not tensor.buffer.external


def _takes_room(tensor: Tensor, offline_offset: int | None) -> bool:
    """Variables live in the persistent part, unless the offline plan gives them a place among the others."""
    if tensor.is_variable and offline_offset is not None:
        return True
    return not tensor.is_variable and not constant_at_run_time(tensor) and runtime_bytes(tensor) > 0


def _resource_handles(model: Model) -> set[tuple[int, int]]:
    """Outputs of VAR_HANDLE: the kernel lets them point at its own data (kernels/var_handle.cc)."""
    return {
        (subgraph.index, index)
        for subgraph in model.subgraphs
        for operator in subgraph.operators
        if operator.code.name == "VAR_HANDLE"
        for index in operator.outputs
    }


def offline_offsets(model: Model) -> tuple[int | None, ...]:
    """One offset per tensor of all subgraphs (None: planned on the device); () if the model prescribes no plan.

    Layout of the metadata: int32 version, subgraph, count, then count offsets.
    """
    count = sum(len(subgraph.tensors) for subgraph in model.subgraphs)
    for entry in model.metadata:
        if entry.name != OFFLINE_PLAN_METADATA:
            continue
        data = model.buffer_bytes(entry.buffer)
        if len(data) < 12 or len(data) < 12 + 4 * unpack_from("<I", data, 8)[0]:
            raise _bad_plan(f"has {len(data)} bytes, fewer than its offsets need")
        if unpack_from("<I", data, 8)[0] != count:
            raise _bad_plan(f"is made for {unpack_from('<I', data, 8)[0]:,} tensors, but the model has {count:,}")
        offsets = unpack_from(f"<{count}i", data, 12)
        if any(offset != _ONLINE and (offset < 0 or offset % 16) for offset in offsets):
            raise _bad_plan("holds offsets that are negative or not multiples of 16")
        return tuple(None if offset == _ONLINE else offset for offset in offsets)
    return ()


def _bad_plan(what: str) -> ModelError:
    return ModelError(
        f"the model's own memory plan ({OFFLINE_PLAN_METADATA}) {what}",
        hint="Run again the tool that wrote it, or convert the model without it.",
    )


class _Clock:
    """Runs the graph as TFLM's planner does, marking when each tensor is first made and last used."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.now = 0
        self.tensors: dict[tuple[int, int], tuple[int, int]] = {}
        self.operators: dict[tuple[int, int], OperatorScope] = {}

    def run(self, index: int) -> None:
        subgraph = self.model.subgraphs[index]
        for tensor in subgraph.inputs:
            self._make(index, tensor)
            self._use(index, tensor)
        for operator in subgraph.operators:
            self._run_operator(subgraph, operator)
        for tensor in subgraph.outputs:
            self._make(index, tensor)
            self._use(index, tensor)

    def _run_operator(self, subgraph: Subgraph, operator: Operator) -> None:
        self.now += 1
        start = self.now
        for tensor in operator.outputs:
            self._make(subgraph.index, tensor)
        for name in _ENTERED_BY.get(operator.code.name, ()):
            called = operator.option(name)
            if isinstance(called, int):
                self.now += 1
                self.run(called)
        for tensor in (*operator.inputs, *operator.outputs):
            if tensor >= 0:
                self._use(subgraph.index, tensor)
        key = (subgraph.index, operator.index)
        earlier = self.operators.get(key)
        self.operators[key] = OperatorScope(earlier.first if earlier else start, self.now)

    def _make(self, subgraph: int, tensor: int) -> None:
        first, last = self.tensors.get((subgraph, tensor), (NEVER, NEVER))
        self.tensors[subgraph, tensor] = (self.now if first == NEVER else first, last)

    def _use(self, subgraph: int, tensor: int) -> None:
        first, _ = self.tensors.get((subgraph, tensor), (NEVER, NEVER))
        self.tensors[subgraph, tensor] = (first, self.now)
