"""Model -> ArenaPlan: how large the tensor arena must be, and what lies where in it.

TFLM grows two stacks towards each other. The tail (from the end) holds what stays: structs, kernel data, variables.
The head (from the start) holds the activations and scratch buffers, placed by live range, and before that, while
AllocateTensors() runs, temporary tables that may need more room than what stays. This module replays TFLM's allocations
in their order, and takes the largest sum of both stacks ever reached.

Sources (tensorflow/tflite-micro, commit 90b983c): micro_allocator.cc, micro_interpreter.cc,
arena_allocator/single_arena_buffer_allocator.cc, memory_planner/greedy_memory_planner.cc. What kernels ask for is in
``arena_kernels.py``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from platformio_tflm.core.arena_kernels import KernelMemory, KernelSet, kernel_memory
from platformio_tflm.core.liveness import (
    Liveness,
    LiveRange,
    live_ranges,
    offline_offsets,
    runtime_bytes,
)
from platformio_tflm.core.model import Model, Operator, Tensor
from platformio_tflm.core.tflite_checks import shown

# What TFLM calls MicroArenaBufferAlignment.
ALIGNMENT_BYTES = 16

# Scratch buffers that TFLM keeps room for in every operator (kMaxScratchBuffersPerOp).
_SCRATCH_REQUESTS_PER_OPERATOR = 12

# GreedyMemoryPlanner::per_buffer_size(): ten 32-bit integers on every ABI.
_PLANNER_BYTES_PER_BUFFER = 40

# Above it the buffers are stacked, not packed: TFLM's own planner would take minutes as well.
_MAX_PACKED_BUFFERS = 2_000

METHOD_UPPER_BOUND = "upper-bound"

# What a TFLM library for a core without vector extension may hold; name the set to plan more closely.
DEFAULT_KERNELS = (KernelSet.REFERENCE, KernelSet.REFERENCE_2023, KernelSet.CMSIS_NN, KernelSet.CMSIS_NN_2023)


class Abi(NamedTuple):
    """sizeof() of TFLM's structs; all are aligned to *pointer_bytes*.

    tensor: TfLiteTensor. quantization: TfLiteAffineQuantization. scratch_request: ScratchBufferRequest.
    """

    name: str
    pointer_bytes: int
    tensor: int
    eval_tensor: int
    node_and_registration: int
    allocation_info: int
    scratch_handle: int
    scratch_request: int
    quantization: int
    single_arena_allocator: int
    greedy_memory_planner: int
    micro_allocator: int
    builtin_data_allocator: int
    subgraph_allocations: int
    resource_variables: int
    resource_variable: int


# With 32-bit enumerations, as on RISC-V and Xtensa. ARM's are short: there TfLiteTensor takes 32 bytes instead of 40,
# and the options of a few operators 4 to 8 bytes less, so that this serves as the bound for all.
ILP32 = Abi("ilp32", 4, 40, 12, 32, 24, 4, 12, 12, 36, 44, 36, 8, 8, 12, 20)

# The same without TF_LITE_STATIC_MEMORY, as the Arduino IDE builds libraries: with TensorFlow Lite's fuller structs.
ILP32_FULL_STRUCTS = ILP32._replace(name="ilp32-full-structs", tensor=64, node_and_registration=44)

LP64 = Abi("lp64", 8, 64, 24, 64, 32, 8, 16, 24, 72, 72, 72, 16, 16, 16, 40)


class Placement(NamedTuple):
    """A buffer in the head: *size_bytes* at *offset*, from scope *first* to scope *last* (see ``liveness.py``).

    tensor: index in *subgraph*, None for a scratch buffer of *operator*.
    prescribed: the model's own offline plan put it there; such buffers may overlap each other on purpose.
    """

    subgraph: int
    tensor: int | None
    operator: int | None
    offset: int
    size_bytes: int
    first: int
    last: int
    prescribed: bool = False

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes


@dataclass(frozen=True)
class ArenaPlan:
    """What an arena must hold.

    size_bytes: to reserve, a multiple of 16, with the temporary room of AllocateTensors().
    used_bytes: what arena_used_bytes() would answer; None where only a bound is known.
    head_bytes, tail_bytes: the two stacks once AllocateTensors() is done.
    temporary_bytes: how much of size_bytes only AllocateTensors() needs.
    method: "upper-bound". kernels: the kernel set that needed most. notes: what had to be guessed, for the report.
    """

    size_bytes: int
    used_bytes: int | None
    head_bytes: int
    tail_bytes: int
    temporary_bytes: int
    method: str
    kernels: KernelSet
    placements: tuple[Placement, ...]
    notes: tuple[str, ...] = ()


def plan_upper_bound(
    model: Model, *, kernels: Iterable[KernelSet] = DEFAULT_KERNELS, abi: Abi = ILP32_FULL_STRUCTS
) -> ArenaPlan:
    """An arena that is never too small for *model* with any of the kernel sets *kernels*.

    By default any TFLM library of the last years will do, on any 32-bit core without vector extension. Who knows that
    the library is built with TF_LITE_STATIC_MEMORY gives abi=ILP32, who knows its kernels names them, and saves some.

    Built from TFLM's allocations in their order. It is an upper bound because a kernel's temporary tensors are counted
    as if none were given back within its Prepare(), and because custom operators are guessed (with a note).
    Every plan has passed ``verify``.
    """
    liveness = live_ranges(model)
    plans = [_Replay(model, liveness, kernel_set, abi).run() for kernel_set in dict.fromkeys(kernels)]
    return max(plans, key=lambda plan: plan.size_bytes)


def align(size_bytes: int, alignment: int = ALIGNMENT_BYTES) -> int:
    """*size_bytes* rounded up to a multiple of *alignment*."""
    return -(-size_bytes // alignment) * alignment


class Buffer(NamedTuple):
    """What the planner is to place; size_bytes is a multiple of 16."""

    subgraph: int
    tensor: int | None
    operator: int | None
    size_bytes: int
    first: int
    last: int
    offline_offset: int | None = None


def place(buffers: list[Buffer]) -> list[Placement]:
    """TFLM's greedy planner: prescribed offsets first, then the largest first into the lowest gap.

    Equally large buffers go in reverse order of their arrival (CalculateOffsetsIfNeeded fills its list from the end).
    """
    if len(buffers) > _MAX_PACKED_BUFFERS:
        return _stack(buffers)
    fixed = [buffer for buffer in buffers if buffer.offline_offset is not None]
    free = [buffer for buffer in reversed(buffers) if buffer.offline_offset is None]
    free.sort(key=lambda buffer: -buffer.size_bytes)
    placed: list[Placement] = []
    starts: list[int] = []
    for buffer in (*fixed, *free):
        offset = _lowest_gap(buffer, placed) if buffer.offline_offset is None else buffer.offline_offset
        position = bisect_right(starts, offset)
        starts.insert(position, offset)
        placed.insert(position, _placement(buffer, offset))
    return placed


def _lowest_gap(buffer: Buffer, placed: list[Placement]) -> int:
    """*placed* is in order of its offsets; only what lives at the same time is in the way."""
    candidate = 0
    for other in placed:
        if other.first > buffer.last or other.last < buffer.first:
            continue
        if other.offset - candidate >= buffer.size_bytes:
            break
        candidate = max(candidate, other.end)
    return candidate


def _stack(buffers: list[Buffer]) -> list[Placement]:
    placed = []
    offset = max((b.offline_offset + b.size_bytes for b in buffers if b.offline_offset is not None), default=0)
    for buffer in buffers:
        if buffer.offline_offset is None:
            placed.append(_placement(buffer, offset))
            offset += buffer.size_bytes
        else:
            placed.append(_placement(buffer, buffer.offline_offset))
    return placed


def _placement(buffer: Buffer, offset: int) -> Placement:
    return Placement(
        subgraph=buffer.subgraph,
        tensor=buffer.tensor,
        operator=buffer.operator,
        offset=offset,
        size_bytes=buffer.size_bytes,
        first=buffer.first,
        last=buffer.last,
        prescribed=buffer.offline_offset is not None,
    )


class _Stacks:
    """The two ends of the arena; *need* is the smallest arena in which everything so far succeeded."""

    def __init__(self) -> None:
        self.tail = 0
        self.head = 0
        self.temporary = 0
        self.need = 0

    def persist(self, size_bytes: int, alignment: int) -> None:
        """AllocatePersistentBuffer(): the end of the arena is aligned, so the distance from it can be."""
        self.tail = align(self.tail + size_bytes, alignment)
        self._reach()

    def borrow(self, size_bytes: int, alignment: int) -> None:
        """AllocateTemp()."""
        self.temporary = align(self.temporary, alignment) + size_bytes
        self._reach()

    def resize_head(self, size_bytes: int) -> None:
        """ResizeBuffer(): gives back all that was borrowed."""
        self.head = self.temporary = size_bytes
        self._reach()

    def _reach(self) -> None:
        self.need = max(self.need, self.temporary + self.tail)


class _Replay:
    """TFLM's allocations for one model and one kernel set, in their order."""

    def __init__(self, model: Model, liveness: Liveness, kernels: KernelSet, abi: Abi) -> None:
        self.model = model
        self.liveness = liveness
        self.kernels = kernels
        self.abi = abi
        self.stacks = _Stacks()
        self.scratches: list[tuple[int, int, int]] = []
        self.notes: dict[str, None] = {}

    def run(self) -> ArenaPlan:
        asked = {
            (subgraph.index, operator.index): self._kernel_memory(subgraph.tensors, operator)
            for subgraph in self.model.subgraphs
            for operator in subgraph.operators
        }
        self._create()
        self._start_model()
        self._build_and_init(asked)
        self._prepare(asked)
        placements = self._plan_memory()
        self._expose(self.model.inputs())
        self._expose(self.model.outputs())
        return self._result(placements)

    def _kernel_memory(self, tensors: tuple[Tensor, ...], operator: Operator) -> KernelMemory:
        memory = kernel_memory(operator, tensors, self.kernels, self.abi.pointer_bytes)
        if memory.guessed:
            self.notes.setdefault(
                f"operator {shown(operator.code.name)}: what it needs is not known; "
                f"{sum(memory.prepare_bytes)} bytes of persistent memory and {sum(memory.scratch_bytes)} bytes of "
                "scratch are assumed"
            )
        return memory

    def _create(self) -> None:
        """MicroAllocator::Create() and, for streaming models, MicroResourceVariables::Create()."""
        for size_bytes in (
            self.abi.single_arena_allocator,
            self.abi.greedy_memory_planner,
            self.abi.micro_allocator,
        ):
            self.stacks.persist(size_bytes, self.abi.pointer_bytes)
        count = len(self.model.resource_names())
        if count:
            self.stacks.persist(self.abi.resource_variables, ALIGNMENT_BYTES)
            self.stacks.persist(self.abi.resource_variable * count, ALIGNMENT_BYTES)

    def _start_model(self) -> None:
        """StartModelAllocation()."""
        pointer = self.abi.pointer_bytes
        self.stacks.persist(self.abi.builtin_data_allocator, pointer)
        self._reserve_scratch_requests()
        self.stacks.persist(self.abi.subgraph_allocations * len(self.model.subgraphs), pointer)
        for subgraph in self.model.subgraphs:
            self.stacks.persist(self.abi.eval_tensor * len(subgraph.tensors), pointer)
        for subgraph in self.model.subgraphs:
            self.stacks.persist(self.abi.node_and_registration * len(subgraph.operators), pointer)

    def _reserve_scratch_requests(self) -> None:
        self.stacks.resize_head(self.abi.scratch_request * (len(self.scratches) + _SCRATCH_REQUESTS_PER_OPERATOR))

    def _build_and_init(self, asked: dict[tuple[int, int], KernelMemory]) -> None:
        """The operators' builtin data, then every Init()."""
        for memory in asked.values():
            if memory.builtin_data_bytes:
                self.stacks.persist(memory.builtin_data_bytes, self.abi.pointer_bytes)
        for memory in asked.values():
            for size_bytes in memory.init_bytes:
                self.stacks.persist(size_bytes, ALIGNMENT_BYTES)

    def _prepare(self, asked: dict[tuple[int, int], KernelMemory]) -> None:
        """Every Prepare(); what it borrows is given back at its end at the earliest."""
        variables = _ResourceVariables(self.model)
        for (subgraph_index, operator_index), memory in asked.items():
            subgraph = self.model.subgraphs[subgraph_index]
            operator = subgraph.operators[operator_index]
            for index in memory.temporary_tensors:
                self._borrow_tensor(subgraph.tensors[index])
            for size_bytes in (*memory.prepare_bytes, *variables.allocated_by(subgraph_index, operator)):
                self.stacks.persist(size_bytes, ALIGNMENT_BYTES)
            for size_bytes in memory.scratch_bytes:
                self.scratches.append((subgraph_index, operator_index, size_bytes))
            self._reserve_scratch_requests()

    def _borrow_tensor(self, tensor: Tensor) -> None:
        self.stacks.borrow(self.abi.tensor, self.abi.pointer_bytes)
        if tensor.quantization:
            self.stacks.borrow(self.abi.quantization, self.abi.pointer_bytes)
            self.stacks.borrow(_zero_point_bytes(tensor), 4)

    def _plan_memory(self) -> list[Placement]:
        """FinishModelAllocation() and CommitStaticMemoryPlan()."""
        abi = self.abi
        if self.scratches:
            self.stacks.persist(abi.scratch_handle * len(self.scratches), abi.pointer_bytes)
        self.stacks.borrow(abi.pointer_bytes * len(self.model.subgraphs), abi.pointer_bytes)
        infos = self.liveness.tensor_count + len(self.scratches)
        self.stacks.borrow(abi.allocation_info * infos, abi.pointer_bytes)
        for size_bytes in self._variable_bytes():
            self.stacks.persist(size_bytes, ALIGNMENT_BYTES)
        buffers = self._buffers()
        # The planner gets what lies between two aligned ends, so the aligned tail counts here.
        unaligned = self.stacks.tail
        self.stacks.tail = align(unaligned)
        self.stacks.borrow(_PLANNER_BYTES_PER_BUFFER * len(buffers), ALIGNMENT_BYTES)
        self.stacks.tail = unaligned
        placements = place(buffers)
        self.stacks.resize_head(max((placement.end for placement in placements), default=0))
        return placements

    def _variable_bytes(self) -> list[int]:
        """Variable tensors that the model's offline plan, if it has one, does not place."""
        offline = offline_offsets(self.model)
        tensors = [tensor for subgraph in self.model.subgraphs for tensor in subgraph.tensors]
        return [
            runtime_bytes(tensor)
            for position, tensor in enumerate(tensors)
            if tensor.is_variable and not (offline and offline[position] is not None)
        ]

    def _buffers(self) -> list[Buffer]:
        buffers = [_tensor_buffer(live) for live in self.liveness.ranges]
        for subgraph, operator, size_bytes in self.scratches:
            scope = self.liveness.operators.get((subgraph, operator))
            first, last = (scope.first, scope.last) if scope else (-1, -1)
            buffers.append(Buffer(subgraph, None, operator, align(size_bytes), first, last))
        return buffers

    def _expose(self, tensors: tuple[Tensor, ...]) -> None:
        """The persistent TfLiteTensor of every model input or output."""
        self.stacks.persist(self.abi.pointer_bytes * len(tensors), ALIGNMENT_BYTES)
        for tensor in tensors:
            self.stacks.persist(self.abi.tensor, self.abi.pointer_bytes)
            if tensor.quantization:
                self.stacks.persist(self.abi.quantization, self.abi.pointer_bytes)
                self.stacks.persist(_zero_point_bytes(tensor), 4)

    def _result(self, placements: list[Placement]) -> ArenaPlan:
        stays = align(self.stacks.head + self.stacks.tail)
        size_bytes = align(self.stacks.need)
        plan = ArenaPlan(
            size_bytes=size_bytes,
            used_bytes=None,
            head_bytes=self.stacks.head,
            tail_bytes=self.stacks.tail,
            temporary_bytes=size_bytes - stays,
            method=METHOD_UPPER_BOUND,
            kernels=self.kernels,
            placements=tuple(placements),
            notes=tuple(self.notes),
        )
        verify(plan)
        return plan


def _tensor_buffer(live: LiveRange) -> Buffer:
    return Buffer(live.subgraph, live.tensor, None, align(live.size_bytes), live.first, live.last, live.offline_offset)


def _zero_point_bytes(tensor: Tensor) -> int:
    """TfLiteIntArray of one entry a channel."""
    return 4 + 4 * len(tensor.quantization.scale) if tensor.quantization else 0


class _ResourceVariables:
    """Which ASSIGN_VARIABLE allocates the buffer of which resource variable: the first to prepare."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._names: dict[tuple[int, int], tuple[str, str]] = {}
        self._allocated: set[tuple[str, str]] = set()

    def allocated_by(self, subgraph: int, operator: Operator) -> tuple[int, ...]:
        if operator.code.name == "VAR_HANDLE" and operator.outputs:
            name = (str(operator.option("container", "")), str(operator.option("shared_name", "")))
            self._names[subgraph, operator.outputs[0]] = name
        if operator.code.name != "ASSIGN_VARIABLE" or len(operator.inputs) < 2:
            return ()
        known = self._names.get((subgraph, operator.inputs[0]))
        if known is None or known in self._allocated or operator.inputs[1] < 0:
            return ()
        self._allocated.add(known)
        return (runtime_bytes(self._model.subgraphs[subgraph].tensors[operator.inputs[1]]),)


class PlanError(AssertionError):
    """A plan that would let two living buffers share bytes: a bug of ours."""


def verify(plan: ArenaPlan) -> None:
    """Raise PlanError unless every placement is aligned, inside the head, and apart from all that live with it.

    Written without the planner: buffers are entered and left in order of time, and neighbours by offset compared.
    """
    if plan.size_bytes % ALIGNMENT_BYTES or plan.size_bytes < plan.head_bytes + plan.tail_bytes:
        raise PlanError(f"{plan.size_bytes} bytes do not hold {plan.head_bytes} + {plan.tail_bytes}")
    for placement in plan.placements:
        if placement.offset < 0 or placement.offset % ALIGNMENT_BYTES or placement.end > plan.head_bytes:
            raise PlanError(f"{placement} is misplaced in a head of {plan.head_bytes} bytes")
    prescribed = [placement for placement in plan.placements if placement.prescribed]
    planned = [placement for placement in plan.placements if not placement.prescribed and placement.size_bytes]
    _verify_apart(planned)
    for placement in planned:
        for other in prescribed:
            if _meet(placement, other):
                raise PlanError(f"{placement} overlaps {other}")


def _meet(one: Placement, other: Placement) -> bool:
    in_time = one.first <= other.last and other.first <= one.last
    return in_time and one.offset < other.end and other.offset < one.end


def _verify_apart(placements: list[Placement]) -> None:
    """Walk through time with the living spans in order of offset; a newcomer can only meet its neighbours."""
    events = [(placement.first, 1, placement) for placement in placements]
    events += [(placement.last + 1, 0, placement) for placement in placements]
    events.sort(key=lambda event: event[:2])
    living: list[tuple[int, int]] = []
    for _, entering, placement in events:
        span = (placement.offset, placement.end)
        if not entering:
            living.remove(span)
            continue
        position = bisect_right(living, span)
        neighbours = living[max(position - 1, 0) : position + 1]
        if any(start < placement.end and placement.offset < end for start, end in neighbours):
            raise PlanError(f"{placement} overlaps another living buffer")
        living.insert(position, span)
