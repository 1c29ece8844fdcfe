"""Record that the planner's rules hold for the sources of a TensorFlow Lite Micro library, as measured.

    python tools/record_arena_sources.py FIGURES.json INCLUDE_ROOT [CMSIS_NN] [--kernels cmsis-nn]

INCLUDE_ROOT: the folder that ``tensorflow/lite/micro`` lies in. CMSIS_NN: CMSIS-NN's, if it is not in there.
FIGURES: what the models of ``tests/models/single_operators.py`` and ``tests/models`` need with that library on a
Cortex-M4, ``{"models": {name: {"need": …, "used": …, "head": …, "persistent": [[size, alignment], …]}}}``; a model of
the project is called ``own/<stem>``. persistent: what the library asks of its persistent allocator, in that order.

An operator's source is recorded under the newest generation of rules that gives the same figures for every model of
that operator; else under one that never gives less, and at most a fiftieth or 64 bytes more, as a bound. One that no
rules give is named and not recorded. The interpreter's files are recorded if any operator's
are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from models.builder import serialize  # noqa: E402 - found only now
from models.single_operators import single_operators  # noqa: E402

from platformio_tflm.core.arena import EABI, Abi, Kernels, persistent_allocations, plan_arena  # noqa: E402
from platformio_tflm.core.arena_abi import with_error_reporter  # noqa: E402
from platformio_tflm.core.arena_library import (  # noqa: E402
    BOUND,
    GENERATIONS,
    KERNEL_SETS,
    Knowledge,
    OperatorSource,
    interpreter_digests,
    operator_sources,
)
from platformio_tflm.core.arena_sources import CMSIS_NN, REFERENCE, LibrarySources, SourceReader  # noqa: E402
from platformio_tflm.core.model import Model  # noqa: E402
from platformio_tflm.core.runtime import Generation, read_runtime  # noqa: E402
from platformio_tflm.core.tflite import read_model  # noqa: E402

TABLE = REPOSITORY / "platformio_tflm" / "arena_sources.json"
Figures = dict[str, Any]


def measured_models(figures: dict[str, Figures]) -> Iterator[tuple[str, Model, Figures]]:
    """Every model of ours that ran: its name, itself, its figures."""
    singles = single_operators()
    for name, measured in figures.items():
        if "need" not in measured:
            continue
        if name in singles:
            yield name, read_model(serialize(singles[name])), measured
        elif name.startswith("own/"):
            path = REPOSITORY / "tests" / "models" / f"{name.removeprefix('own/')}.tflite"
            yield name, read_model(path.read_bytes()), measured


def operators_of(model: Model) -> set[str]:
    return {operator.code.name for graph in model.subgraphs for operator in graph.operators}


class Recorder:
    """Which generation's rules give what was measured, operator by operator."""

    def __init__(self, kinds: dict[str, str], abi: Abi, measured: list[tuple[str, Model, Figures]]) -> None:
        self.kinds = kinds
        self.abi = abi
        self.measured = measured
        self.generations: dict[str, str] = {}
        self.all_generations: dict[str, list[str]] = {}
        self.bounded: set[str] = set()
        self.wrong: dict[str, list[str]] = {}

    def run(self) -> None:
        """First the models of one operator; then those of several, for operators that never stand alone."""
        alone: dict[str, list[tuple[str, Model, Figures]]] = {}
        for entry in self.measured:
            operators = operators_of(entry[1])
            if len(operators) == 1 and not entry[0].startswith("own/"):
                alone.setdefault(operators.pop(), []).append(entry)
        for operator, entries in sorted(alone.items()):
            self._try({operator}, entries)
        for entry in self.measured:
            operators = operators_of(entry[1])
            left = operators - set(self.generations)
            # What is only bounded, or wrong, would be laid at the others' door.
            if left and not left & set(self.wrong) and not operators & self.bounded:
                self._try(left, [entry])

    def _try(self, operators: set[str], entries: list[tuple[str, Model, Figures]]) -> None:
        texts = {
            generation: [text for entry in entries if (text := self._difference(entry, operators, generation))]
            for generation in GENERATIONS
        }
        right = [generation for generation in GENERATIONS if not texts[generation]]
        if not right:
            right = [each for each in GENERATIONS if all(self._bounds(entry, operators, each) for entry in entries)]
            self.bounded |= operators if right else set()
            if right:
                print(f"only a bound: {', '.join(sorted(operators))}: {texts[right[0]][0]}")
        if right:
            self.generations.update(dict.fromkeys(operators, right[0]))
            self.all_generations.update(dict.fromkeys(operators, right))
        else:
            lines = [f"{generation}: {'; '.join(found[:3])}" for generation, found in texts.items()]
            self.wrong["+".join(sorted(operators))] = lines

    def _kernels(self, model: Model, operators: set[str], generation: str) -> Kernels:
        chosen = {**self.generations, **dict.fromkeys(operators, generation)}
        others = tuple((each, KERNEL_SETS[self.kinds[each], chosen[each]]) for each in sorted(operators_of(model)))
        return Kernels(KERNEL_SETS[REFERENCE, GENERATIONS[0]], others)

    def _bounds(self, entry: tuple[str, Model, Figures], operators: set[str], generation: str) -> bool:
        """No less than the need, nor than any persistent request: else a model of several operators may need more."""
        _, model, figures = entry
        kernels = self._kernels(model, operators, generation)
        over = plan_arena(model, kernels=[kernels], abi=self.abi).size_bytes - figures["need"]
        stays = sorted((size for size, _ in persistent_allocations(model, kernels, self.abi)), reverse=True)
        asked = sorted((size for size, _ in figures["persistent"]), reverse=True)
        covers = len(stays) >= len(asked) and all(one >= other for one, other in zip(stays, asked, strict=False))
        return covers and bool(0 <= over <= max(64, figures["need"] // 50))

    def _difference(self, entry: tuple[str, Model, Figures], operators: set[str], generation: str) -> str:
        name, model, figures = entry
        kernels = self._kernels(model, operators, generation)
        plan = plan_arena(model, kernels=[kernels], abi=self.abi)
        planned = (plan.size_bytes, plan.head_bytes + plan.tail_bytes, plan.head_bytes)
        found = (figures["need"], figures["used"], figures["head"])
        if planned != found:
            return f"{name}: planned {planned}, measured {found}"
        stays = persistent_allocations(model, kernels, self.abi)
        asked = tuple((size, alignment) for size, alignment in figures["persistent"])
        differing = next(
            (pair for pair in zip(stays, asked, strict=False) if pair[0] != pair[1]), (len(stays), len(asked))
        )
        return "" if stays == asked else f"{name}: planned {differing[0]}, asked for {differing[1]}"


def source_reader(roots: list[Path]) -> SourceReader:
    def read(name: str) -> bytes | None:
        found = next((root / name for root in roots if (root / name).is_file()), None)
        return found.read_bytes() if found else None

    return read


def record(entry: dict[str, list[str]], source: OperatorSource, recorder: Recorder) -> None:
    """One operator's text, where it was perhaps met before: what is known of it then is the lesser of both."""
    if not source.digest:
        return
    generations = recorder.all_generations.get(source.operator, [])
    before = next((each for each, digests in entry.items() if source.digest in digests), None)
    if before:
        entry[before].remove(source.digest)
        generations = [each for each in generations if each == before.removesuffix(BOUND)]
    if not generations:
        # Something else than this text decides what the operator needs: nothing can be said of it.
        if before:
            print(f"taken out: {source.operator} {source.digest}, recorded as of {before}")
        return
    bounded = source.operator in recorder.bounded or (before or "").endswith(BOUND)
    entry.setdefault(generations[0] + (BOUND if bounded else ""), []).append(source.digest)


def updated(
    table: dict[str, Any], library: LibrarySources, sources: tuple[OperatorSource, ...], recorder: Recorder
) -> dict[str, Any]:
    for source in sources:
        if source.operator not in recorder.generations and source.operator not in recorder.wrong:
            continue
        record(table["operators"].setdefault(source.operator, {}), source, recorder)
    for name, digest in interpreter_digests(library).items():
        known = table["interpreter"].setdefault(name, [])
        known += [digest] if digest not in known else []
    return sorted_table(table)


def sorted_table(table: dict[str, Any]) -> dict[str, Any]:
    operators = {
        name: {generation: sorted(digests) for generation, digests in sorted(entry.items(), reverse=True) if digests}
        for name, entry in sorted(table["operators"].items())
    }
    return {
        "interpreter": {name: sorted(digests) for name, digests in sorted(table["interpreter"].items())},
        "operators": operators,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("roots", type=Path, nargs="+")
    parser.add_argument("--kernels", choices=(REFERENCE, CMSIS_NN), default=REFERENCE)
    arguments = parser.parse_args()
    read = source_reader(arguments.roots)
    runtime = read_runtime(read, arguments.roots[0].name, "")
    abi = with_error_reporter(EABI) if runtime.generation is Generation.ERROR_REPORTER else EABI
    figures = json.loads(arguments.figures.read_text(encoding="utf-8"))["models"]
    measured = list(measured_models(figures))
    operators = sorted({operator for _, model, _ in measured for operator in operators_of(model)})
    library = LibrarySources(read)
    sources = operator_sources(library, operators, arguments.kernels, Knowledge({}, {}))
    recorder = Recorder({source.operator: source.kernels for source in sources}, abi, measured)
    recorder.run()
    for operator, texts in recorder.wrong.items():
        print(f"not recorded: {operator}", *texts, sep="\n    ")
    if not recorder.generations:
        return 1
    table = json.loads(TABLE.read_text()) if TABLE.is_file() else {"interpreter": {}, "operators": {}}
    TABLE.write_text(json.dumps(updated(table, library, sources, recorder), indent=1) + "\n", encoding="ascii")
    print(f"{len(recorder.generations)} operators recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
