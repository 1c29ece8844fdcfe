"""What is known of models and of the library before anything is linked, as the report has it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from platformio_tflm.core.report import ArenaInfo, Category, ModelInfo, OperatorUse, RuntimeInfo, TensorInfo

if TYPE_CHECKING:
    # At run time these would load the planner and the code generators, which a report of a map has no use for.
    from platformio_tflm.core.memory import Usage
    from platformio_tflm.core.model import Tensor
    from platformio_tflm.pipeline import PlannedModel, RuntimeChoice

_KINDS = {Category.TFLM_CORE: "tflm", Category.BUILTIN: "builtin"}


def describe_model(model: PlannedModel, *, with_arena: bool = True) -> ModelInfo:
    """The model as it is planned; with_arena: whether the program reserves one."""
    graph = model.model
    counts = Counter(
        (operator.code.name, operator.code.version) for subgraph in graph.subgraphs for operator in subgraph.operators
    )
    plan = model.plan
    # What the plan says was used is about the planned size, not about a size that the user set.
    arena = ArenaInfo(model.arena_bytes, plan.used_bytes, plan.head_bytes, plan.tail_bytes, model.arena_method)
    if model.measured:
        # How the measured bytes divide is only known where the plan has come to the same sum.
        agrees = model.measured.used_bytes == plan.head_bytes + plan.tail_bytes
        head_bytes, tail_bytes = (plan.head_bytes, plan.tail_bytes) if agrees else (None, None)
        used_bytes = model.measured.used_bytes
        arena = ArenaInfo(model.arena_bytes, used_bytes, head_bytes, tail_bytes, model.arena_method)
    return ModelInfo(
        name=model.name,
        path=model.path,
        sha256=model.sha256,
        size_bytes=graph.size_bytes,
        operators=tuple(OperatorUse(name, version, count) for (name, version), count in sorted(counts.items())),
        inputs=tuple(_tensor(tensor) for tensor in graph.inputs()),
        outputs=tuple(_tensor(tensor) for tensor in graph.outputs()),
        arena=arena if with_arena else None,
    )


def _tensor(tensor: Tensor) -> TensorInfo:
    quantization = tensor.quantization
    single = quantization is not None and len(quantization.scale) == 1
    return TensorInfo(
        name=tensor.name,
        type=tensor.type.name.lower(),
        shape=tensor.shape,
        scale=quantization.scale[0] if single and quantization else None,
        zero_point=quantization.zero_point[0] if single and quantization and quantization.zero_point else None,
        size_bytes=tensor.size_bytes,
    )


def found_runtime(usage: Usage) -> RuntimeInfo:
    """The runtime of a program that nothing but its bytes is known of: whose code takes most of them."""
    sizes: dict[tuple[str, str], int] = {}
    for span in usage.spans:
        kind = _KINDS.get(span.verdict.category)
        if kind and span.flash_bytes:
            key = kind, (span.source.archive or "") if span.source else ""
            sizes[key] = sizes.get(key, 0) + span.flash_bytes
    if not sizes:
        return RuntimeInfo("none", "", "", "", "")
    kind, archive = max(sizes, key=lambda key: (sizes[key], key))
    library = archive.replace("\\", "/").rpartition("/")[2].removeprefix("lib").removesuffix(".a")
    return RuntimeInfo(kind, library, "", "", "")


def describe_runtime(runtime: RuntimeChoice) -> RuntimeInfo:
    library = runtime.library
    if library is None:
        return RuntimeInfo(runtime.kind, "", "", "", "")
    return RuntimeInfo(runtime.kind, library.library, library.version, library.api, runtime.optimize)
