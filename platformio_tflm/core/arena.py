"""Model -> ArenaPlan: how large the tensor arena must be, and what lies where in it.

TFLM grows two stacks towards each other. The tail (from the end) holds what stays: structs, kernel data, variables.
The head (from the start) holds the activations and scratch buffers, placed by live range, and before that, while
AllocateTensors() runs, temporary tables that may need more room than what stays. This module replays TFLM's allocations
in their order, and takes the largest sum of both stacks ever reached.

Sources (tensorflow/tflite-micro, commit 90b983c): micro_allocator.cc, micro_interpreter.cc,
arena_allocator/single_arena_buffer_allocator.cc. The planner is in ``packing.py``, what kernels ask for in
``arena_kernels.py``, the structs' sizes in ``arena_abi.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from platformio_tflm.core.arena_abi import EABI, EABI_FULL_STRUCTS, ILP32, ILP32_FULL_STRUCTS, LP64, Abi
from platformio_tflm.core.arena_kernels import KernelMemory, KernelSet, kernel_memory
from platformio_tflm.core.arena_operator import Kernels
from platformio_tflm.core.arena_verify import PlanError, verify
from platformio_tflm.core.foreign import shown
from platformio_tflm.core.liveness import (
    Liveness,
    LiveRange,
    live_ranges,
    offline_offsets,
    runtime_bytes,
)
from platformio_tflm.core.model import Model, Operator, Tensor
from platformio_tflm.core.packing import ALIGNMENT_BYTES, Buffer, Packing, Placement, align, place
from platformio_tflm.errors import ModelError

__all__ = [
    "ALIGNMENT_BYTES",
    "DEFAULT_KERNELS",
    "EABI",
    "EABI_FULL_STRUCTS",
    "ILP32",
    "ILP32_FULL_STRUCTS",
    "LP64",
    "METHOD_ESTIMATE",
    "METHOD_EXACT",
    "METHOD_UPPER_BOUND",
    "Abi",
    "ArenaPlan",
    "Buffer",
    "KernelSet",
    "Kernels",
    "PeakOperator",
    "Placement",
    "PlanError",
    "align",
    "least_sure",
    "persistent_allocations",
    "place",
    "plan_arena",
    "verify",
]

# Scratch buffers that TFLM keeps room for in every operator (kMaxScratchBuffersPerOp).
_SCRATCH_REQUESTS_PER_OPERATOR = 12

# GreedyMemoryPlanner::per_buffer_size(): ten 32-bit integers on every ABI.
_PLANNER_BYTES_PER_BUFFER = 40

# What is added where the library's source is none that was measured: for each such operator, room for a struct or two
# more than it keeps elsewhere, and once some for the interpreter.
UNKNOWN_OPERATOR_BYTES = 64
UNKNOWN_INTERPRETER_BYTES = 256

# What a 32-bit microcontroller could address at the very most.
MAX_ARENA_BYTES = (1 << 31) - 1

METHOD_EXACT = "exact"
METHOD_UPPER_BOUND = "upper-bound"
METHOD_ESTIMATE = "estimate"
_FROM_SURE_TO_UNSURE = (METHOD_EXACT, METHOD_UPPER_BOUND, METHOD_ESTIMATE)

# What a TFLM library for a core without vector extension may hold; name the set to plan more closely. Libraries of
# 2024 have today's kernels, but for a CONCATENATION that keeps more. What CMSIS-NN's TRANSPOSE_CONV took in that year
# is not covered.
DEFAULT_KERNELS: tuple[KernelSet | Kernels, ...] = (
    KernelSet.REFERENCE,
    KernelSet.REFERENCE_2022,
    KernelSet.REFERENCE_2023,
    Kernels(KernelSet.REFERENCE, (("CONCATENATION", KernelSet.REFERENCE_2023),)),
    KernelSet.CMSIS_NN,
    KernelSet.CMSIS_NN_2023,
    Kernels(KernelSet.CMSIS_NN, (("CONCATENATION", KernelSet.CMSIS_NN_2023),)),
)


@dataclass(frozen=True)
class PeakOperator:
    """Who runs when most activations and scratch buffers live at the same time."""

    subgraph: int
    operator: int
    name: str


@dataclass(frozen=True)
class ArenaPlan:
    """What an arena must hold.

    size_bytes: to reserve, a multiple of 16, with the temporary room of AllocateTensors().
    used_bytes: what arena_used_bytes() answers; None where only a bound is known.
    head_bytes, tail_bytes: the two stacks once AllocateTensors() is done.
    temporary_bytes: how much of size_bytes only AllocateTensors() needs.
    method: "exact" if every operator's needs are known for the kernels and structs in question; "upper-bound" if some
    are only known not to be more; "estimate" if the library's source, or a custom operator's, is not known.
    kernels: the kernel set that needed most. notes: what had to be guessed, for the report.
    placements: every tensor and scratch buffer of the head.
    scope_count: moments of the clock that placements are timed with (see ``liveness.py``), from 0.
    peak_scope, peak_operator: when most bytes of the head are alive, and who runs then; None where nobody does.
    lower_bound_bytes: no head can be smaller, because so much is alive at peak_scope or is prescribed.
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
    scope_count: int = 1
    peak_scope: int = 0
    peak_operator: PeakOperator | None = None
    lower_bound_bytes: int = 0

    @property
    def overhead_bytes(self) -> int:
        """By how much the head is larger than it would have to be at least."""
        return self.head_bytes - self.lower_bound_bytes


def plan_arena(
    model: Model, *, kernels: Iterable[KernelSet | Kernels] = DEFAULT_KERNELS, abi: Abi = ILP32_FULL_STRUCTS
) -> ArenaPlan:
    """The smallest arena that *model* works in, with any of *kernels* on *abi*.

    By default any TFLM library of the last years will do, on any 32-bit core without vector extension. One entry
    and the right ABI give an exact size, unless an operator's needs are not known exactly; several sets that differ
    give the largest, which is an upper bound for each. Every plan has passed ``verify``.

    Raises ModelError if the model's own memory plan is unusable, or if the arena would be beyond all addresses.
    """
    liveness = live_ranges(model)
    choices = (Kernels(choice) if isinstance(choice, KernelSet) else choice for choice in kernels)
    plans = [_Replay(model, liveness, choice, abi).run() for choice in dict.fromkeys(choices)]
    largest = max(plans, key=lambda plan: plan.size_bytes)
    if all(_agree(plan, largest) for plan in plans):
        return largest
    return replace(largest, method=least_sure(METHOD_UPPER_BOUND, *(plan.method for plan in plans)), used_bytes=None)


def persistent_allocations(model: Model, kernels: Kernels, abi: Abi) -> tuple[tuple[int, int], ...]:
    """Size and alignment of everything that stays in the arena, in the order in which TFLM asks for it.

    For comparison with what a library asks of its SingleArenaBufferAllocator. Raises ModelError as plan_arena does.
    """
    replay = _Replay(model, live_ranges(model), kernels, abi)
    replay.run()
    return tuple(replay.stacks.persisted)


def least_sure(*methods: str) -> str:
    """The method that says the least of several."""
    return max(methods, key=_FROM_SURE_TO_UNSURE.index)


def _agree(one: ArenaPlan, other: ArenaPlan) -> bool:
    same_size = (one.size_bytes, one.used_bytes) == (other.size_bytes, other.used_bytes)
    return one.method == METHOD_EXACT and same_size


class _Stacks:
    """The two ends of the arena.

    need: the smallest arena in which everything so far succeeded. persisted: size and alignment of each persistent
    allocation, which a library can be compared with.
    """

    def __init__(self) -> None:
        self.persisted: list[tuple[int, int]] = []
        self.tail = 0
        self.head = 0
        self.temporary = 0
        self.need = 0

    def persist(self, size_bytes: int, alignment: int) -> None:
        """AllocatePersistentBuffer(): the end of the arena is aligned, so the distance from it can be.

        TFLM looks only whether it would run into the head. Whether it overwrites what Prepare() has borrowed, TFLM does
        not see (a FULLY_CONNECTED with a scale a channel in a tiny arena); here it counts, so that it never does.
        """
        self.persisted.append((size_bytes, alignment))
        self.tail = align(self.tail + size_bytes, alignment)
        self._reach(self.tail)

    def borrow(self, size_bytes: int, alignment: int) -> None:
        """AllocateTemp(). Giving back one buffer frees nothing; only giving back all at once does."""
        self.temporary = align(self.temporary, alignment) + size_bytes
        self._reach(self.tail)

    def borrow_for_planner(self, size_bytes: int) -> None:
        """GetAvailableMemory(): the planner gets what lies between two aligned ends."""
        self.temporary = align(self.temporary) + size_bytes
        self._reach(align(self.tail))

    def resize_head(self, size_bytes: int) -> None:
        """ResizeBuffer(): gives back all that was borrowed."""
        self.head = self.temporary = size_bytes
        self._reach(self.tail)

    def return_borrowed(self) -> None:
        """ResetTempAllocations()."""
        self.temporary = self.head

    def _reach(self, tail: int) -> None:
        need = self.temporary + tail
        if need > self.need:  # noqa: PLR1730 - a call of max() for each of a million allocations takes noticeable time
            self.need = need


class _Replay:
    """TFLM's allocations for one model and the kernels of one library, in their order."""

    def __init__(self, model: Model, liveness: Liveness, kernels: Kernels, abi: Abi) -> None:
        self.model = model
        self.liveness = liveness
        self.kernels = kernels
        self.abi = abi
        self.stacks = _Stacks()
        self.scratches: list[tuple[int, int, int]] = []
        self.notes: dict[str, None] = {}
        self.unknown: dict[str, None] = {}
        self.guessed = False

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
        packing = self._plan_memory()
        self._expose(self.model.inputs())
        self._expose(self.model.outputs())
        self._invoke(asked)
        return self._result(packing)

    def _kernel_memory(self, tensors: tuple[Tensor, ...], operator: Operator) -> KernelMemory:
        name = operator.code.name
        memory = kernel_memory(operator, tensors, self.kernels.of(name), self.abi)
        if name in self.kernels.bounded and not memory.uncertain:
            memory = memory._replace(uncertain="of this library's kernel, only a bound is known")
        if memory.uncertain:
            self.notes.setdefault(f"operator {shown(name)}: {memory.uncertain}")
            self.guessed = self.guessed or memory.guessed
        elif name in self.kernels.unknown:
            self.unknown.setdefault(shown(name))
        if name in self.kernels.unknown:
            return memory._replace(prepare_bytes=(*memory.prepare_bytes, UNKNOWN_OPERATOR_BYTES))
        return memory

    def _create(self) -> None:
        """MicroAllocator::Create() and, for streaming models, MicroResourceVariables::Create()."""
        for size_bytes in (
            self.abi.single_arena_allocator,
            self.abi.greedy_memory_planner,
            self.abi.micro_allocator,
        ):
            self.stacks.persist(size_bytes, self.abi.pointer_bytes)
        if self.kernels.unknown_files:
            self.stacks.persist(UNKNOWN_INTERPRETER_BYTES, ALIGNMENT_BYTES)
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
            size_bytes, alignment = memory.builtin_data
            if size_bytes:
                self.stacks.persist(size_bytes, alignment)
        for memory in asked.values():
            for size_bytes in memory.init_bytes:
                self.stacks.persist(size_bytes, ALIGNMENT_BYTES)

    def _prepare(self, asked: dict[tuple[int, int], KernelMemory]) -> None:
        """Every Prepare(); what it borrows is given back at its end."""
        variables = _ResourceVariables(self.model)
        for (subgraph_index, operator_index), memory in asked.items():
            operator = self.model.subgraphs[subgraph_index].operators[operator_index]
            for tensor in memory.borrowed:
                self._borrow_tensor(tensor)
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

    def _plan_memory(self) -> Packing:
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
        self.stacks.borrow_for_planner(_PLANNER_BYTES_PER_BUFFER * len(buffers))
        packing = place(buffers)
        self.stacks.resize_head(max((placement.end for placement in packing.placements), default=0))
        return packing

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
            # TFLM learns the size of a scratch buffer only when its operator runs.
            buffers.append(Buffer(subgraph, None, operator, align(size_bytes) if scope else 0, first, last))
        return buffers

    def _expose(self, tensors: tuple[Tensor, ...]) -> None:
        """The persistent TfLiteTensor of every model input or output."""
        self.stacks.persist(self.abi.pointer_bytes * len(tensors), ALIGNMENT_BYTES)
        for tensor in tensors:
            self.stacks.persist(self.abi.tensor, self.abi.pointer_bytes)
            if tensor.quantization:
                self.stacks.persist(self.abi.quantization, self.abi.pointer_bytes)
                self.stacks.persist(_zero_point_bytes(tensor), 4)

    def _invoke(self, asked: dict[tuple[int, int], KernelMemory]) -> None:
        """Kernels of 2023 borrow tensors while they run; each gives them back at its end."""
        for memory in asked.values():
            for tensor in memory.borrowed_by_eval:
                self._borrow_tensor(tensor)
            self.stacks.return_borrowed()

    def _result(self, packing: Packing) -> ArenaPlan:
        head, tail = self.stacks.head, self.stacks.tail
        size_bytes = align(self.stacks.need)
        if size_bytes > MAX_ARENA_BYTES:
            raise ModelError(
                f"needs a tensor arena of {size_bytes:,} bytes, allowed are {MAX_ARENA_BYTES:,}",
                hint="No microcontroller can address that; the file is damaged, or the model is not made for one.",
            )
        if not packing.same_as_tflm:
            self.notes.setdefault("too many tensors live at the same time to place them as the library does")
        self._note_unknown_sources()
        method = self._method()
        peak_scope, lower_bound_bytes = _peak(packing.placements)
        plan = ArenaPlan(
            size_bytes=size_bytes,
            used_bytes=head + tail if method == METHOD_EXACT else None,
            head_bytes=head,
            tail_bytes=tail,
            temporary_bytes=size_bytes - align(head + tail),
            method=method,
            kernels=self.kernels.usual,
            placements=packing.placements,
            notes=tuple(self.notes),
            scope_count=self.liveness.scope_count,
            peak_scope=peak_scope,
            peak_operator=self._running_at(peak_scope),
            lower_bound_bytes=lower_bound_bytes,
        )
        verify(plan)
        return plan

    def _method(self) -> str:
        if self.guessed or self.unknown or self.kernels.unknown_files:
            return METHOD_ESTIMATE
        return METHOD_EXACT if self.abi.exact and not self.notes else METHOD_UPPER_BOUND

    def _note_unknown_sources(self) -> None:
        if self.unknown:
            self.notes.setdefault(
                f"the library's kernels of {', '.join(self.unknown)} are none that were measured; "
                f"{UNKNOWN_OPERATOR_BYTES} bytes more are assumed for each such operator"
            )
        if self.kernels.unknown_files:
            self.notes.setdefault(
                f"the library's {', '.join(self.kernels.unknown_files)} are none that were measured; "
                f"{UNKNOWN_INTERPRETER_BYTES} bytes more are assumed"
            )

    def _running_at(self, moment: int) -> PeakOperator | None:
        """The innermost operator: a caller's scope encloses those of the subgraphs that it enters."""
        running = [
            (scope.last - scope.first, key)
            for key, scope in self.liveness.operators.items()
            if scope.first <= moment <= scope.last
        ]
        if not running:
            return None
        subgraph, operator = min(running)[1]
        name = self.model.subgraphs[subgraph].operators[operator].code.name
        return PeakOperator(subgraph, operator, name)


def _peak(placements: Iterable[Placement]) -> tuple[int, int]:
    """When most bytes live, and the bytes that any head must have. Prescribed buffers may share room on purpose."""
    changes: dict[int, int] = {}
    prescribed_end = 0
    for placement in placements:
        if placement.prescribed:
            prescribed_end = max(prescribed_end, placement.end)
            continue
        changes[placement.first] = changes.get(placement.first, 0) + placement.size_bytes
        changes[placement.last + 1] = changes.get(placement.last + 1, 0) - placement.size_bytes
    living = most = peak_scope = 0
    for moment in sorted(changes):
        living += changes[moment]
        if living > most:
            most, peak_scope = living, moment
    return peak_scope, max(most, prescribed_end)


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
