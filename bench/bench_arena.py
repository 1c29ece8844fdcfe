"""The planned arena against what real TFLM needs, beside what mcufit says, and how planning time grows.

Measurements: ../shared/truth/arena.json for public models, tests/models/measured_arena.json for the project's own; both
from TFLM 90b983c on an emulated Cortex-M4. mcufit (PyPI) runs TFLM built for wasm32 under node.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.outcome import Outcome, table
from platformio_tflm.core.arena import EABI, METHOD_EXACT, ArenaPlan, plan_arena
from platformio_tflm.core.arena_kernels import KernelSet
from platformio_tflm.core.model import Model
from platformio_tflm.core.tflite import read_model

TITLE = "Planned arenas against real TFLM"
REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"
OWN = REPOSITORY / "tests" / "models"

EXACT_SHARE = 0.95
EXACT_MARGIN_BYTES = 16
CMSIS_NN_MARGIN = (256, 0.01)
LIMITS_MS = ((300_000, 100.0), (4_000_000, 1_000.0))
GROWTH = (10, 100, 1_000, 10_000)
_TRUTH_KEYS = {"m4_ref": KernelSet.REFERENCE, "m4_cmsis_nn": KernelSet.CMSIS_NN}


@dataclass(frozen=True)
class Pair:
    """A model with one kernel set: what was measured and what is planned."""

    name: str
    path: Path | None
    kernels: KernelSet
    figures: dict[str, Any]
    plan: ArenaPlan

    @property
    def over_bytes(self) -> int:
        return self.plan.size_bytes - int(self.figures["min_working_arena_bytes"])

    @property
    def all_equal(self) -> bool:
        """used, head and, where it was measured, tail."""
        plan, figures = self.plan, self.figures
        same_tail = plan.tail_bytes == figures.get("tail_bytes", plan.tail_bytes)
        return (plan.used_bytes, plan.head_bytes) == (figures["arena_used_bytes"], figures["head_bytes"]) and same_tail


def _pair(name: str, path: Path | None, model: Model, kernels: KernelSet, figures: dict[str, Any]) -> Pair:
    return Pair(name, path, kernels, figures, plan_arena(model, kernels=[kernels], abi=EABI))


def public_pairs() -> list[Pair]:
    truth = SHARED / "truth" / "arena.json"
    if not truth.is_file():
        return []
    pairs = []
    for entry in json.loads(truth.read_text())["models"]:
        path = SHARED / "models" / entry["file"]
        model = None
        for key, kernels in _TRUTH_KEYS.items():
            if "min_working_arena_bytes" in entry.get(key, {}):
                model = model or read_model(path.read_bytes())
                pairs.append(_pair(path.stem, path, model, kernels, entry[key]))
    return pairs


def own_pairs() -> list[Pair]:
    pairs = []
    for name, runs in json.loads((OWN / "measured_arena.json").read_text())["models"].items():
        path = OWN / f"{name}.tflite"
        model = read_model(path.read_bytes())
        pairs += [_pair(name, path, model, KernelSet(kernels), figures) for kernels, figures in runs.items()]
    return pairs


def operator_pairs() -> list[Pair]:
    sys.path.append(str(REPOSITORY / "tests"))
    from models.builder import serialize  # noqa: PLC0415 - found only now
    from models.single_operators import single_operators  # noqa: PLC0415

    figures = json.loads((OWN / "measured_arena.json").read_text())["operators"]
    pairs = []
    for name, spec in single_operators().items():
        model = read_model(serialize(spec))
        pairs += [_pair(name, None, model, KernelSet(kernels), run) for kernels, run in figures[name].items()]
    return pairs


def _row(pair: Pair, others: dict[str, int | None]) -> tuple[str, ...]:
    needed = int(pair.figures["min_working_arena_bytes"])
    other = others.get(pair.name)
    beside = "" if other is None else f"{other - needed:+,}"
    equal = "equal" if pair.all_equal else "DIFFER"
    return (
        pair.name,
        pair.kernels.value,
        f"{needed:,}",
        f"{pair.plan.size_bytes:,}",
        f"{pair.over_bytes:+,}",
        equal,
        pair.plan.method,
        beside,
    )


def mcufit_arenas(pairs: list[Pair]) -> tuple[dict[str, int | None], str]:
    """What mcufit says an arena must have, by model; and why there is nothing, if so."""
    command = shutil.which("mcufit", path=str(Path(sys.executable).parent)) or shutil.which("mcufit")
    if command is None:
        return {}, "mcufit: skipped, it is not installed (pip install mcufit)"
    if shutil.which("node") is None:
        return {}, "mcufit: skipped, it needs node"
    paths = {pair.name: pair.path for pair in pairs if pair.path}
    return {name: _mcufit(command, path) for name, path in paths.items()}, ""


def _mcufit(command: str, path: Path) -> int | None:
    done = subprocess.run(
        [command, "check", str(path), "--board", "esp32", "--json"], capture_output=True, text=True, check=False
    )
    try:
        answer = json.loads(done.stdout)["estimate"]
    except (ValueError, KeyError):
        return None
    return int(answer["total_arena_bytes"]) if answer["method"] == "tflm-wasm32-measurement" else None


def _misses(pairs: list[Pair]) -> list[str]:
    lines = [
        f"{pair.name}, {pair.kernels.value}: {-pair.over_bytes} bytes too few" for pair in pairs if pair.over_bytes < 0
    ]
    lines += [f"{pair.name}, {pair.kernels.value}: used, head or tail differ" for pair in pairs if not pair.all_equal]
    reference = [pair for pair in pairs if pair.kernels is KernelSet.REFERENCE]
    exact = [pair for pair in reference if 0 <= pair.over_bytes <= EXACT_MARGIN_BYTES]
    if len(exact) < EXACT_SHARE * len(reference):
        lines.append(f"reference kernels: {len(exact)} of {len(reference)} models exact")
    for pair in pairs:
        needed = int(pair.figures["min_working_arena_bytes"])
        if pair.kernels.is_cmsis_nn and pair.over_bytes > max(CMSIS_NN_MARGIN[0], CMSIS_NN_MARGIN[1] * needed):
            lines.append(f"{pair.name}, {pair.kernels.value}: {pair.over_bytes} bytes over")
    return lines


def _summary(title: str, pairs: list[Pair]) -> str:
    equal = sum(pair.all_equal and pair.over_bytes == 0 for pair in pairs)
    exact = sum(pair.plan.method == METHOD_EXACT for pair in pairs)
    return f"{title}: {len(pairs)} pairs of a model and a kernel set, {equal} equal to the byte, {exact} called exact"


def _mcufit_summary(pairs: list[Pair], others: dict[str, int | None]) -> str:
    errors = [
        other - int(pair.figures["min_working_arena_bytes"])
        for pair in pairs
        if pair.kernels is KernelSet.REFERENCE and (other := others.get(pair.name)) is not None
    ]
    if not errors:
        return ""
    ours = [pair.over_bytes for pair in pairs if pair.kernels is KernelSet.REFERENCE]
    return (
        f"reference kernels: mcufit {min(errors):+,} to {max(errors):+,} bytes on {len(errors)} models, "
        f"the plan {min(ours):+,} to {max(ours):+,} on {len(ours)}"
    )


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def synthetic(operators: int, weight_bytes: int = 8 * 64) -> Model:
    """A chain of FULLY_CONNECTED with additions that reach back, of so many operators."""
    sys.path.append(str(REPOSITORY / "tests"))
    from models.builder import GraphSpec, ModelSpec, OperatorSpec, serialize  # noqa: PLC0415 - found only now
    from models.single_operators import constant, tensor  # noqa: PLC0415

    columns = 64
    tensors = [tensor("INT8", 1, columns), constant("INT8", weight_bytes // columns, columns)]
    nodes = []
    for index in range(operators):
        tensors.append(tensor("INT8", 1, columns + index % 7))
        back = len(tensors) - 2 if index else 0
        if index % 3 == 2:
            nodes.append(OperatorSpec("ADD", (back, max(back - 2, 2)), (len(tensors) - 1,), ("AddOptions", {})))
        else:
            options = ("FullyConnectedOptions", {})
            nodes.append(OperatorSpec("FULLY_CONNECTED", (back, 1, -1), (len(tensors) - 1,), options))
    graph = GraphSpec(tuple(tensors), (0,), (len(tensors) - 1,), tuple(nodes))
    return read_model(serialize(ModelSpec((graph,))))


def growth() -> tuple[str, list[str]]:
    rows, missed = [], []
    for operators in GROWTH:
        model = synthetic(operators)
        taken = _milliseconds(lambda model=model: plan_arena(model, kernels=[KernelSet.REFERENCE], abi=EABI))  # type: ignore[misc]
        rows.append((f"{operators:,} operators", f"{taken:,.1f}", f"{taken / operators * 1e3:,.0f}"))
    for size_bytes, limit in LIMITS_MS:
        model = synthetic(100, size_bytes)
        taken = _milliseconds(lambda model=model: plan_arena(model))  # type: ignore[misc]
        rows.append((f"{model.size_bytes:,} bytes, 100 operators, all sets", f"{taken:,.1f}", ""))
        if taken > limit:
            missed.append(f"{size_bytes:,} bytes: {taken:,.1f} ms to plan, {limit:,.0f} ms is the limit")
    return table(("synthetic graph", "plan ms", "us an operator"), rows), missed


def run() -> Outcome:
    public, own, operators = public_pairs(), own_pairs(), operator_pairs()
    others, skipped = mcufit_arenas(public + own)
    head = ("model", "kernels", "needed", "planned", "over", "used, head, tail", "method", "mcufit")
    shown = [pair for pair in public + own if pair.kernels in (KernelSet.REFERENCE, KernelSet.CMSIS_NN)]
    lines = [
        table(head, [_row(pair, others) for pair in shown]),
        _summary("public models", public) if public else "public models: skipped, ../shared/truth is not here",
        _summary("own models", own),
        _summary("single operators", operators),
        skipped or _mcufit_summary(public + own, others),
    ]
    times, slow = growth()
    return Outcome(TITLE, "\n".join([*filter(None, lines), times]), tuple(_misses(public + own + operators) + slow))
