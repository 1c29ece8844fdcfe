"""A library's sources -> the Kernels that its arenas are planned for.

``arena_sources.json`` has the digests of the texts whose needs were measured, and which generation of the planner's
rules gave the same to the byte (``tools/record_arena_sources.py`` writes it). A text that is not there is planned by
the rules of all generations, and is not called exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from platformio_tflm.core.arena_operator import Kernels, KernelSet
from platformio_tflm.core.arena_sources import CMSIS_NN, ESP_NN, MICRO, REFERENCE, LibrarySources, digest

# The generations of the planner's rules, newest first: a text that several hold for is planned by the first.
GENERATIONS = ("2026", "2024", "2023", "2022")
BOUND = "-bound"

_PACKED = Path(__file__).resolve().parent.parent / "arena_sources.json"
_INTERPRETER = "interpreter"

KERNEL_SETS: dict[tuple[str, str], KernelSet] = {
    (REFERENCE, "2026"): KernelSet.REFERENCE,
    (REFERENCE, "2024"): KernelSet.REFERENCE_2024,
    (REFERENCE, "2023"): KernelSet.REFERENCE_2023,
    (REFERENCE, "2022"): KernelSet.REFERENCE_2022,
    (CMSIS_NN, "2026"): KernelSet.CMSIS_NN,
    (CMSIS_NN, "2024"): KernelSet.CMSIS_NN_2024,
    (CMSIS_NN, "2023"): KernelSet.CMSIS_NN_2023,
    (CMSIS_NN, "2022"): KernelSet.CMSIS_NN_2023,
    (ESP_NN, "2026"): KernelSet.ESP_NN,
    (ESP_NN, "2024"): KernelSet.ESP_NN,
    (ESP_NN, "2023"): KernelSet.ESP_NN,
    (ESP_NN, "2022"): KernelSet.ESP_NN,
}
"""By kind and generation; CMSIS-NN's on a core with the DSP extension."""


class Knowledge(NamedTuple):
    """The texts that were measured.

    interpreter: digests by file. operators: by operator and digest, the generation whose rules hold; with BOUND behind
    it where they ask for more than the kernel does now and then, and never for less.
    """

    interpreter: dict[str, list[str]]
    operators: dict[str, dict[str, str]]


class OperatorSource(NamedTuple):
    """What a library has of an operator's kernel.

    kernels: REFERENCE where the library has no optimized kernel of it. digest: "" if it has none at all.
    generation: "" where the text is not one that was measured. bounded: that generation's rules may ask for too much.
    """

    operator: str
    kernels: str
    digest: str
    generation: str
    bounded: bool = False


def knowledge() -> Knowledge:
    """What ``arena_sources.json`` holds."""
    import json  # noqa: PLC0415 - only builds with a library ask

    packed = json.loads(_PACKED.read_text(encoding="ascii"))
    operators = {
        name: {digest: generation for generation, digests in entry.items() for digest in digests}
        for name, entry in packed["operators"].items()
    }
    return Knowledge(packed[_INTERPRETER], operators)


def operator_sources(
    library: LibrarySources, operators: Iterable[str], kernels: str, known: Knowledge
) -> tuple[OperatorSource, ...]:
    """What *operators* ask for in the library, with *kernels*: REFERENCE, CMSIS_NN or ESP_NN."""
    return tuple(_source(library, operator, kernels, known) for operator in operators)


def _source(library: LibrarySources, operator: str, kernels: str, known: Knowledge) -> OperatorSource:
    own = kernels if library.has_kernel(operator, kernels) else REFERENCE
    text = library.asking(operator, own)
    found_digest = digest(text) if text else ""
    found = known.operators.get(operator, {}).get(found_digest, "")
    return OperatorSource(operator, own, found_digest, found.removesuffix(BOUND), found.endswith(BOUND))


def interpreter_digests(library: LibrarySources) -> dict[str, str]:
    """A digest for each file that TFLM's interpreter and allocator are made of, as far as the library has it."""
    return {name: digest(text) for name, text in library.interpreter() if text}


def unknown_interpreter_files(library: LibrarySources, known: Knowledge) -> tuple[str, ...]:
    """Files of the interpreter and allocator that are not as they were in any library that was measured."""
    digests = interpreter_digests(library)
    if f"{MICRO}/micro_allocator" not in digests:
        return (f"{MICRO}/micro_allocator.cc",)
    return tuple(name for name, found in digests.items() if found not in known.interpreter.get(name, ()))


def library_kernels(
    library: LibrarySources,
    operators: Sequence[str],
    kernels: str,
    known: Knowledge,
    *,
    optimized: KernelSet | None = None,
) -> tuple[Kernels, ...]:
    """What *operators* are planned with: one entry if every kernel is one that was measured, else one a generation.

    kernels: REFERENCE, CMSIS_NN or ESP_NN.
    optimized: today's CMSIS-NN or ESP-NN on the core in question.
    """
    sets = {**KERNEL_SETS, **({(kernels, GENERATIONS[0]): optimized} if optimized else {})}
    sources = operator_sources(library, operators, kernels, known)
    if kernels == CMSIS_NN and optimized not in (None, KernelSet.CMSIS_NN):
        sources = tuple(_of_this_core(source) for source in sources)
    bounded = frozenset(source.operator for source in sources if source.bounded)
    unknown = frozenset(source.operator for source in sources if not source.generation)
    unknown_files = unknown_interpreter_files(library, known)
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


def linked_kernels(library: LibrarySources, operators: Sequence[str], optimized: str) -> tuple[str, ...]:
    """Which kernels the library's files say are linked where no macro tells: REFERENCE, *optimized*, or perhaps either.

    A library for the Arduino IDE, which compiles every file it has, keeps one file an operator: then it is that one.
    """
    if not any(library.has_kernel(operator, optimized) for operator in operators):
        return (REFERENCE,)
    both = any(
        library.has_kernel(operator, optimized) and library.has_kernel(operator, REFERENCE) for operator in operators
    )
    return (REFERENCE, optimized) if both else (optimized,)
