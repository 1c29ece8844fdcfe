"""ArenaPlan -> ArenaReport: the plan in the words and steps that people read."""

from __future__ import annotations

from platformio_tflm.core.arena import ArenaPlan
from platformio_tflm.core.foreign import shown
from platformio_tflm.core.liveness import Liveness, live_ranges
from platformio_tflm.core.model import Model, Tensor
from platformio_tflm.core.packing import Placement
from platformio_tflm.core.report.arena import ArenaBuffer, ArenaReport


def arena_report(name: str, path: str, model: Model, plan: ArenaPlan, abi: str) -> ArenaReport:
    """What `platformio-tflm plan` shows. abi: the name of the struct layout that the plan was made for."""
    return ArenaReport(
        model=name,
        path=path,
        size_bytes=plan.size_bytes,
        used_bytes=plan.used_bytes,
        head_bytes=plan.head_bytes,
        tail_bytes=plan.tail_bytes,
        temporary_bytes=plan.temporary_bytes,
        lower_bound_bytes=plan.lower_bound_bytes,
        method=plan.method,
        kernels=plan.kernels.value,
        abi=abi,
        steps=_steps(model, live_ranges(model), plan.scope_count),
        peak_step=max(plan.peak_scope, 0),
        buffers=tuple(described(placement, model) for placement in plan.placements),
        notes=plan.notes,
    )


def _steps(model: Model, liveness: Liveness, count: int) -> tuple[str, ...]:
    """The operator of each step; inside of an IF or WHILE the operator of the subgraph that runs.

    The shortest scopes first, each only where no other has been: ``free`` leads to the next such step, so that
    thousands of operators that live through thousands of steps cost no more than both together.
    """
    names = ["start"] * count
    free = list(range(count + 1))

    def next_free(step: int) -> int:
        while free[step] != step:
            free[step] = free[free[step]]
            step = free[step]
        return step

    widest_first = sorted(liveness.operators.items(), key=lambda item: item[1].first - item[1].last)
    for (subgraph, operator), scope in reversed(widest_first):
        name = shown(model.subgraphs[subgraph].operators[operator].code.name)
        step = next_free(scope.first)
        while step <= scope.last:
            names[step] = name
            free[step] = step + 1
            step = next_free(step)
    return tuple(names)


def described(placement: Placement, model: Model) -> ArenaBuffer:
    subgraph = model.subgraphs[placement.subgraph]
    if placement.tensor is None:
        operator = subgraph.operators[placement.operator or 0]
        name, kind, tensor = f"scratch of operator {operator.index}, {shown(operator.code.name)}", "scratch", None
    else:
        tensor = subgraph.tensors[placement.tensor]
        name = tensor.name or f"tensor {tensor.index}"
        kind = "prescribed" if placement.prescribed else "tensor"
    where = f" (subgraph {placement.subgraph})" if placement.subgraph else ""
    return ArenaBuffer(
        name=name + where,
        kind=kind,
        type=_type(tensor),
        shape=tensor.shape if tensor else (),
        size_bytes=placement.size_bytes,
        offset=placement.offset,
        first=placement.first,
        last=placement.last,
    )


def _type(tensor: Tensor | None) -> str:
    return tensor.type.name.lower() if tensor else ""
