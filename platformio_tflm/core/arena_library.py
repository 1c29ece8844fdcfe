"""A library's sources -> the Kernels that its arenas are planned for."""

from __future__ import annotations

from collections.abc import Sequence

from platformio_tflm.core.arena_operator import Kernels, KernelSet
from platformio_tflm.core.arena_sources import (
    CMSIS_NN,
    ESP_NN,
    GENERATIONS,
    REFERENCE,
    Knowledge,
    OperatorSource,
    SourceReader,
    has_kernel,
    operator_sources,
    unknown_interpreter_files,
)

KERNEL_SETS: dict[tuple[str, str], KernelSet] = {
    (REFERENCE, "2026"): KernelSet.REFERENCE,
    (REFERENCE, "2023"): KernelSet.REFERENCE_2023,
    (REFERENCE, "2022"): KernelSet.REFERENCE_2022,
    (CMSIS_NN, "2026"): KernelSet.CMSIS_NN,
    (CMSIS_NN, "2023"): KernelSet.CMSIS_NN_2023,
    (CMSIS_NN, "2022"): KernelSet.CMSIS_NN_2023,
    (ESP_NN, "2026"): KernelSet.ESP_NN,
    (ESP_NN, "2023"): KernelSet.ESP_NN,
    (ESP_NN, "2022"): KernelSet.ESP_NN,
}
"""By kind and generation; CMSIS-NN's on a core with the DSP extension."""


def library_kernels(
    read: SourceReader,
    operators: Sequence[str],
    kernels: str,
    known: Knowledge,
    *,
    optimized: KernelSet | None = None,
) -> tuple[Kernels, ...]:
    """What *operators* are planned with: one entry if every kernel is one that was measured, else one a generation.

    read: a source's bytes by its path below the library's include root. kernels: REFERENCE, CMSIS_NN or ESP_NN.
    optimized: today's CMSIS-NN or ESP-NN on the core in question.
    """
    sets = {**KERNEL_SETS, **({(kernels, GENERATIONS[0]): optimized} if optimized else {})}
    sources = operator_sources(read, operators, kernels, known)
    if kernels == CMSIS_NN and optimized not in (None, KernelSet.CMSIS_NN):
        sources = tuple(_of_this_core(source) for source in sources)
    bounded = frozenset(source.operator for source in sources if source.bounded)
    unknown = frozenset(source.operator for source in sources if not source.generation)
    unknown_files = unknown_interpreter_files(read, known)
    usual = sets[kernels, GENERATIONS[0]]
    return tuple(
        dict.fromkeys(
            Kernels(
                usual=usual,
                others=_others(sources, generation, sets, usual),
                bounded=bounded,
                unknown=unknown,
                unknown_files=unknown_files,
            )
            for generation in (GENERATIONS if unknown else GENERATIONS[:1])
        )
    )


def _of_this_core(source: OperatorSource) -> OperatorSource:
    """CMSIS-NN's older kernels were measured on cores with the DSP extension only."""
    older = source.kernels == CMSIS_NN and source.generation != GENERATIONS[0]
    return source._replace(generation="", bounded=False) if older else source


def _others(
    sources: Sequence[OperatorSource], otherwise: str, sets: dict[tuple[str, str], KernelSet], usual: KernelSet
) -> tuple[tuple[str, KernelSet], ...]:
    """Operators whose rules are not the usual. otherwise: the generation of those that are not known."""
    chosen = ((source.operator, sets[source.kernels, source.generation or otherwise]) for source in sources)
    return tuple((name, kernel_set) for name, kernel_set in chosen if kernel_set is not usual)


def linked_kernels(read: SourceReader, operators: Sequence[str], optimized: str) -> tuple[str, ...]:
    """Which kernels the library's files say are linked where no macro tells: REFERENCE, *optimized*, or perhaps either.

    A library for the Arduino IDE, which compiles every file it has, keeps one file an operator: then it is that one.
    """
    if not any(has_kernel(read, operator, optimized) for operator in operators):
        return (REFERENCE,)
    both = any(
        has_kernel(read, operator, optimized) and has_kernel(read, operator, REFERENCE) for operator in operators
    )
    return (REFERENCE, optimized) if both else (optimized,)
