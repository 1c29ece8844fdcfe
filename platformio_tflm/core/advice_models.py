"""What a user can do about memory and speed, as far as it hangs on the models (see advice.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from platformio_tflm.core.advice import CMSIS_NN_RATIOS, Advice, LinkedModel, Situation, percent, share_of
from platformio_tflm.core.arena_operator import Kernels, KernelSet
from platformio_tflm.core.arena_report import described
from platformio_tflm.core.foreign import shown
from platformio_tflm.core.model import Model, TensorType
from platformio_tflm.core.report import SHARED_BY_SEVERAL, Category, RegionUse, Status

# Those that were compared, and their like on cores with more vector instructions.
_FAST = {
    KernelSet.CMSIS_NN: "CMSIS-NN",
    KernelSet.CMSIS_NN_2023: "CMSIS-NN",
    KernelSet.CMSIS_NN_MVE: "CMSIS-NN",
}
_METHODS = {"exact": "exactly", "upper-bound": "as an upper bound", "estimate": "as an estimate"}
_FAST_OPERATORS = frozenset(
    ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SVDF", "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM")
)
_CONVERSIONS = frozenset(("QUANTIZE", "DEQUANTIZE", "CAST"))


def _unused_kernels(situation: Situation) -> Iterator[Advice]:
    """A resolver with more operators than the models have, AllOpsResolver above all."""
    wanted = {name.upper() for model in situation.models for name in model.operators}
    apart = (use for use in situation.usage.operators if use.name != SHARED_BY_SEVERAL)
    unused = [use for use in apart if not _parts(use.name) & wanted]
    if not situation.models or not unused or _has_others(situation):
        return
    size_bytes = sum(use.flash_bytes for use in unused)
    count = f"{len(unused)} operator{'s' if len(unused) > 1 else ''}"
    largest = ", ".join(f"{use.name} {use.flash_bytes:,}" for use in unused[:3])
    yield from situation.saving(
        "flash",
        size_bytes,
        f"Kernels of {count} that no model has take {size_bytes:,} bytes of flash ({largest}). Register the "
        f"models' own operators alone: {situation.models[0].name}_op_resolver.h has them.",
    )


def _has_others(situation: Situation) -> bool:
    """Whether an arena is linked whose model was not named: the report's command takes what models it is given."""
    known = {model.arena_address for model in situation.models}
    return any(s.verdict.category is Category.ARENA and s.address not in known for s in situation.usage.spans)


def _parts(name: str) -> set[str]:
    return {part.upper() for part in name.split("/")}


def _shared_arena(situation: Situation) -> Iterator[Advice]:
    linked = [model for model in situation.models if model.arena_address is not None]
    if not situation.may_share or situation.abi is None or len(linked) < 2:
        return
    apart = sum(model.arena_bytes for model in linked)
    # Together they need the largest head and every tail: planning it is only worth its time if that could matter.
    heads = [model.plan.head_bytes for model in linked]
    if not list(situation.saving("SRAM", sum(heads) - max(heads), "")):
        return
    from platformio_tflm.core.shared_arena import Tenant, exposed_variable, plan_tenants  # noqa: PLC0415 - seldom

    if any(exposed_variable(model.model) is not None for model in linked):
        return
    tenants = [Tenant(model.model, model.measured_bytes) for model in linked]
    together = plan_tenants(tenants, situation.kernels, situation.abi).size_bytes
    yield from situation.saving(
        "SRAM",
        apart - together,
        f"One arena for all {len(linked)} models takes {together:,} bytes where theirs take {apart:,}: "
        f"custom_tflm_shared_arena = yes saves {apart - together:,} bytes of SRAM.",
    )


def _oversized_arena(situation: Situation) -> Iterator[Advice]:
    """An arena set by hand to more than what is planned, or was measured."""
    for model in situation.models:
        need = model.measured_bytes or model.plan.size_bytes
        if not model.set_by_user or model.arena_address is None:
            continue
        how = "measured" if model.measured_bytes else f"planned, {_METHODS.get(model.plan.method, model.plan.method)}"
        yield from situation.saving(
            "SRAM",
            model.arena_bytes - need,
            f"custom_tflm_arena gives {model.name} {model.arena_bytes:,} bytes where {need:,} are {how}: leaving the "
            f"option out saves {model.arena_bytes - need:,} bytes of SRAM.",
        )


def _slow_memory(situation: Situation) -> Iterator[Advice]:
    """An arena in external memory although the chip's own has room for it."""
    left = situation.sram_left_bytes
    for model in situation.models:
        region = _region_at(situation.usage.regions, model.arena_address)
        if region and region.kind == "psram" and model.arena_bytes <= left:
            yield Advice(
                "time",
                share_of(model.arena_bytes, situation.memory.sram.limit_bytes),
                f"The arena of {model.name}, {model.arena_bytes:,} bytes, lies in external memory ({region.name}), "
                f"which every operator reads and writes; the chip's own SRAM has {left:,} bytes left for it.",
            )
    for model in situation.models:
        region = _region_at(situation.usage.regions, model.data_address)
        if region and region.kind == "psram":
            yield Advice(
                "time",
                0.0,
                f"The data of model {model.name}, {model.model.size_bytes:,} bytes that never change, lies in external "
                f"memory ({region.name}): in flash it takes none of it.",
            )


def _spare_bank(situation: Situation) -> Iterator[Advice]:
    """A bank of SRAM outside the limit with room for an arena, where SRAM is short; the largest arena that fits."""
    if situation.sram_state is Status.OK:
        return
    regions = situation.usage.regions
    homes = [(model, _region_at(regions, model.arena_address)) for model in situation.models]
    movable = [model for model, home in homes if home and home.kind in ("sram", "dtcm")]
    for model in sorted(movable, key=lambda model: -model.arena_bytes):
        for region in regions:
            free = region.length_bytes - region.used_bytes
            if region.kind == "ccm" and free >= model.arena_bytes:
                text = (
                    f"{region.name} has {free:,} bytes free, which do not count as SRAM: the arena of {model.name}, "
                    f"{model.arena_bytes:,} bytes, fits there (in the linker script, .bss.{model.name}_arena)."
                )
                yield from situation.saving("SRAM", model.arena_bytes, text)
                return


def _region_at(regions: Iterable[RegionUse], address: int | None) -> RegionUse | None:
    if address is None:
        return None
    return next((r for r in regions if r.origin <= address < r.origin + r.length_bytes), None)


def _fast_kernels(situation: Situation) -> Iterator[Advice]:
    """The library may link CMSIS-NN's kernels, but the map shows none."""
    sets = [kernels.usual if isinstance(kernels, Kernels) else kernels for kernels in situation.kernels]
    name = next((_FAST[kernel_set] for kernel_set in sets if kernel_set in _FAST), "")
    if not situation.library or not name or situation.has_fast_kernels:
        return
    served = sum(_served(model) for model in situation.models)
    if not served:
        return
    least, most, median = CMSIS_NN_RATIOS
    yield Advice(
        "time",
        1 - 1 / median,
        f"{situation.library} has {name}'s kernels, but none is linked: {served} int8 operators of the models run "
        f"reference kernels, which took {least} to {most} times the instructions, {median} times in the middle (six "
        "models on a Cortex-M4). Compile the library's cmsis_nn folder in place of theirs, with -DCMSIS_NN.",
    )


def _served(model: LinkedModel) -> int:
    """Operators that CMSIS-NN has int8 kernels for."""
    return sum(
        operator.code.name in _FAST_OPERATORS
        and bool(operator.outputs)
        and graph.tensors[operator.outputs[0]].type is TensorType.INT8
        for graph in model.model.subgraphs
        for operator in graph.operators
    )


def _float_without_unit(situation: Situation) -> Iterator[Advice]:
    """A manifest does not tell of floating-point units, a board file does."""
    if situation.board.fpu or not situation.board.regions:
        return
    for model in situation.models:
        count, total = _float_operators(model.model), len(model.operators)
        if not count:
            continue
        weights = sum(
            tensor.buffer.size_bytes
            for graph in model.model.subgraphs
            for tensor in graph.tensors
            if tensor.type is TensorType.FLOAT32
        )
        saved = f" and saves about {weights * 3 // 4:,} of {weights:,} bytes of weights" if weights else ""
        yield Advice(
            "time",
            share_of(count, total),
            f"{count} of {total} operators of {model.name} compute in float32, which {situation.board.core} does in "
            f"software: it has no floating-point unit. Converted to int8, the model needs none{saved}.",
        )


def _float_operators(model: Model) -> int:
    return sum(
        operator.code.name not in _CONVERSIONS
        and any(graph.tensors[index].type is TensorType.FLOAT32 for index in operator.outputs if index >= 0)
        for graph in model.subgraphs
        for operator in graph.operators
    )


def _largest_operator(situation: Situation) -> Iterator[Advice]:
    wanted = {name.upper() for model in situation.models for name in model.operators}
    used = [use for use in situation.usage.operators if _parts(use.name) & wanted]
    if not used:
        return
    largest = max(used, key=lambda use: use.flash_bytes)
    kernels = sum(use.flash_bytes for use in situation.usage.operators)
    nodes = [
        (model.name, sum(name.upper() in _parts(largest.name) for name in model.operators))
        for model in situation.models
    ]
    by_whom = ", ".join(f"{count} in {name}" for name, count in nodes if count)
    yield from situation.finding(
        "flash",
        largest.flash_bytes,
        f"{largest.name} takes most flash of all operators: {largest.flash_bytes:,} bytes, "
        f"{percent(largest.flash_bytes, kernels)} of theirs and "
        f"{percent(largest.flash_bytes, situation.limit('flash'))} of the limit. Nodes: {by_whom}; "
        "only a model without any does without its kernel.",
    )


def _peak_buffer(situation: Situation) -> Iterator[Advice]:
    """What the largest arena is so large for."""
    linked = [model for model in situation.models if model.arena_address is not None]
    if not linked:
        return
    model = max(linked, key=lambda model: model.arena_bytes)
    plan, peak = model.plan, model.plan.peak_scope
    living = [placement for placement in plan.placements if placement.first <= peak <= placement.last]
    if not living or plan.peak_operator is None:
        return
    buffer = described(max(living, key=lambda placement: placement.size_bytes), model.model)
    shape = "x".join(str(length) for length in buffer.shape[:6])
    what = f"{shown(buffer.name)} ({buffer.type} {shape})" if buffer.shape else shown(buffer.name)
    size_bytes = sum(placement.size_bytes for placement in living)
    where = f"operator {plan.peak_operator.operator}, {shown(plan.peak_operator.name)}"
    yield from situation.finding(
        "SRAM",
        size_bytes,
        f"The arena of {model.name}, {model.arena_bytes:,} bytes, is at its fullest in {where}: {size_bytes:,} bytes "
        f"live then, {buffer.size_bytes:,} of them ({percent(buffer.size_bytes, size_bytes)}) in {what}. "
        "A smaller input or fewer channels there is what makes it smaller.",
    )


MODEL_ADVISERS: tuple[Callable[[Situation], Iterator[Advice]], ...] = (
    _unused_kernels,
    _shared_arena,
    _oversized_arena,
    _spare_bank,
    _slow_memory,
    _fast_kernels,
    _float_without_unit,
    _largest_operator,
    _peak_buffer,
)
