"""ArenaPlans of several models -> how large one arena for all of them must be.

TFLM calls it multi-tenant: one MicroAllocator, an interpreter for each model. The models' heads lie over each other,
because only one model runs at a time; their tails are stacked, because what lies there stays.

Sources (tensorflow/tflite-micro, commit 90b983c, and the same in 2022): micro_allocator.cc (StartModelAllocation goes
on where the last model's tail ended; CommitStaticMemoryPlan keeps room for the largest head so far,
max_head_buffer_usage_), single_arena_buffer_allocator.cc (both ends of the arena).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from platformio_tflm.core.arena import METHOD_UPPER_BOUND, Abi, ArenaPlan, align, least_sure, plan_arena
from platformio_tflm.core.arena_operator import Kernels, KernelSet
from platformio_tflm.core.foreign import shown
from platformio_tflm.core.liveness import offline_offsets
from platformio_tflm.core.model import Model

# The array's name in the generated C++.
SHARED_ARENA = "tflm_shared_arena"

# Their Eval() borrows TfLiteTensors, up to four, in libraries until 2023 (if.cc, select.cc).
_BORROWING = frozenset(("IF", "SELECT", "SELECT_V2"))


@dataclass(frozen=True)
class Tenant:
    """A model that is to share an arena. measured_bytes: the smallest arena that it was seen to work in alone."""

    model: Model
    measured_bytes: int | None = None


@dataclass(frozen=True)
class SharedPlan:
    """What an arena of several models must hold.

    size_bytes: to reserve, a multiple of 16. head_bytes: the largest head. tail_bytes: all tails, one below the other.
    method: that of the plan that is known least; if it is "exact", the size is at most 16 bytes a model over the
    smallest that works.
    """

    size_bytes: int
    head_bytes: int
    tail_bytes: int
    method: str


def plan_tenants(tenants: Sequence[Tenant], kernels: Iterable[KernelSet | Kernels], abi: Abi) -> SharedPlan:
    """The arena in which all *tenants* work together, with any of the kernel sets on *abi*.

    Kernel set by kernel set: the one that needs most for a model alone need not be the one with the longest tail.
    Raises ModelError as plan_arena does; ValueError without a tenant.
    """
    running_bytes = max((borrowed_bytes(tenant.model, abi) for tenant in tenants), default=0)
    shared = [
        plan_shared_arena([_plan(tenant, kernel_set, abi) for tenant in tenants], abi, running_bytes=running_bytes)
        for kernel_set in dict.fromkeys(kernels)
    ]
    largest = max(shared, key=lambda plan: plan.size_bytes)
    if all(plan == largest for plan in shared):
        return largest
    return replace(largest, method=least_sure(METHOD_UPPER_BOUND, *(plan.method for plan in shared)))


def _plan(tenant: Tenant, kernels: KernelSet | Kernels, abi: Abi) -> ArenaPlan:
    """With what was measured in the plan's place. What that is more than planned may belong to the tail."""
    plan = plan_arena(tenant.model, kernels=(kernels,), abi=abi)
    if tenant.measured_bytes is None:
        return plan
    more_bytes = max(0, tenant.measured_bytes - plan.size_bytes)
    return replace(plan, size_bytes=tenant.measured_bytes, tail_bytes=plan.tail_bytes + more_bytes)


def plan_shared_arena(plans: Sequence[ArenaPlan], abi: Abi, *, running_bytes: int = 0) -> SharedPlan:
    """The arena in which all models work together, whichever begins first. *plans*: with one kernel set, on *abi*.

    With c for the three structs of MicroAllocator::Create(), which are there once, and the model's own tail
    ``own = tail - c``, the arena needs the largest of

    - for each model, as the last to begin: what it needs alone (AllocateTensors' temporary room included), and the
      ``own`` of all others above it;
    - once all have begun: c, every ``own``, and the largest head, which TFLM keeps for all of them.

    Each ``own`` is rounded up to 16. TFLM aligns what it puts into the tail to at most 16 bytes, so a tail that begins
    a multiple of 16 below where it began alone has the same gaps, and one that begins above that ends no lower.
    running_bytes: what kernels borrow above the head while a model runs (``borrowed_bytes``); alone, they find the
    temporary room of AllocateTensors there.

    Raises ValueError without a plan.
    """
    if not plans:
        raise ValueError("no model, no arena")
    created_bytes = _created_bytes(abi)
    own_bytes = [align(max(0, plan.tail_bytes - created_bytes)) for plan in plans]
    tail_bytes = created_bytes + sum(own_bytes)
    head_bytes = max(plan.head_bytes for plan in plans)
    beginning = [plan.size_bytes + sum(own_bytes) - own for plan, own in zip(plans, own_bytes, strict=True)]
    running = align(head_bytes + running_bytes) + align(tail_bytes)
    return SharedPlan(
        size_bytes=align(max(*beginning, running)),
        head_bytes=head_bytes,
        tail_bytes=tail_bytes,
        method=least_sure(*(plan.method for plan in plans)),
    )


def borrowed_bytes(model: Model, abi: Abi) -> int:
    """Room that kernels may borrow above the head while *model* runs: tensors with the quantization of one scale."""
    names = {operator.code.name for subgraph in model.subgraphs for operator in subgraph.operators}
    return 4 * align(abi.tensor + abi.quantization + 8, 8) if names & _BORROWING else 0


def exposed_variable(model: Model) -> str | None:
    """A variable tensor that would not outlive another model's inference; None if there is none.

    Variables lie in the tail, unless the model's own memory plan gives them an offset in the head.
    """
    offsets = offline_offsets(model)
    tensors = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors]
    placed = (tensor for tensor, offset in zip(tensors, offsets, strict=False) if offset is not None)
    return next((shown(tensor.name) or "unnamed" for tensor in placed if tensor.is_variable), None)


def _created_bytes(abi: Abi) -> int:
    """MicroAllocator::Create(): SingleArenaBufferAllocator, GreedyMemoryPlanner, MicroAllocator."""
    size_bytes = 0
    for struct_bytes in (abi.single_arena_allocator, abi.greedy_memory_planner, abi.micro_allocator):
        size_bytes = align(size_bytes + struct_bytes, abi.pointer_bytes)
    return size_bytes
