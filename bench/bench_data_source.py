"""What it costs to compile 1 MiB of model: as a hex array, as a string literal, by .incbin.

The hex array is made here in the form of ``xxd -i``; the other two are the plugin's own generated files. The compiler
is the one that PlatformIO's Arm platforms use. Time is user and system time, so a busy machine changes little.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.child_cost import Cost, child_cost
from bench.outcome import Outcome, table
from platformio_tflm.core import codegen
from platformio_tflm.core.model import Model

TITLE = "Compiling 1 MiB of model data"
COMPILER = "arm-none-eabi-g++"
FLAGS = ("-mcpu=cortex-m4", "-mthumb", "-Os", "-ffunction-sections", "-fdata-sections")
MODEL_BYTES = 1 << 20
RUNS = 5
LEAST_SPEEDUP = 20.0
LARGEST_MEMORY_SHARE = 0.2
_BLOB = "model_data.bin"


def model_bytes() -> bytes:
    """Random bytes: trained weights hardly repeat themselves either."""
    return random.Random(2).randbytes(MODEL_BYTES)  # noqa: S311


def hex_array(data: bytes) -> str:
    """What ``xxd -i`` writes, with the const that everybody adds."""
    lines = (", ".join(f"0x{byte:02x}" for byte in data[start : start + 12]) for start in range(0, len(data), 12))
    body = ",\n  ".join(lines)
    return (
        f"extern const unsigned char model_tflite[];\nextern const unsigned int model_tflite_len;\n"
        f"alignas(16) const unsigned char model_tflite[] = {{\n  {body}\n}};\n"
        f"const unsigned int model_tflite_len = {len(data)};\n"
    )


def generated(data: bytes, strategy: codegen.Strategy) -> str:
    model = Model(3, "", (), (), (), (), (), data)
    source = codegen.ModelSource("model", "Model", "model.tflite", hashlib.sha256(data).hexdigest(), model)
    return codegen.data_source(source, strategy=strategy, incbin_name=_BLOB)


WAYS: dict[str, Callable[[bytes], str]] = {
    "hex array": hex_array,
    "string literal": lambda data: generated(data, codegen.Strategy.STRING),
    ".incbin": lambda data: generated(data, codegen.Strategy.INCBIN),
}


def write_sources(folder: Path) -> dict[str, Path]:
    """One source file for each way; the .incbin's bytes beside them."""
    data = model_bytes()
    (folder / _BLOB).write_bytes(data)
    sources = {name: folder / f"way_{index}.cc" for index, name in enumerate(WAYS)}
    for name, path in sources.items():
        path.write_text(WAYS[name](data), encoding="ascii")
    return sources


def compile_cost(source: Path, runs: int) -> Cost:
    """Medians of *runs* compilations."""
    command = (COMPILER, *FLAGS, "-I.", "-c", source.name, "-o", f"{source.stem}.o")
    costs = [child_cost(command, source.parent) for _ in range(runs)]
    return Cost(median(cost.seconds for cost in costs), round(median(cost.memory_bytes for cost in costs)))


def measure(runs: int = RUNS) -> tuple[dict[str, Cost], dict[str, int]]:
    """Cost of each way, and the length of its source in bytes."""
    with tempfile.TemporaryDirectory() as name:
        sources = write_sources(Path(name))
        lengths = {way: path.stat().st_size for way, path in sources.items()}
        return {way: compile_cost(path, runs) for way, path in sources.items()}, lengths


def ratios(costs: dict[str, Cost]) -> tuple[float, float]:
    """How many times faster .incbin is than the hex array, and the share of its memory."""
    array, incbin = costs["hex array"], costs[".incbin"]
    return array.seconds / max(incbin.seconds, 1e-6), incbin.memory_bytes / array.memory_bytes


def missed(speedup: float, memory_share: float) -> tuple[str, ...]:
    lines = []
    if speedup < LEAST_SPEEDUP:
        lines.append(f".incbin is {speedup:.1f} times faster than a hex array; {LEAST_SPEEDUP:.0f} times is the aim")
    if memory_share > LARGEST_MEMORY_SHARE:
        lines.append(f".incbin takes {memory_share:.2f} of a hex array's memory; {LARGEST_MEMORY_SHARE} is the aim")
    return tuple(lines)


def compiler_version() -> str:
    done = subprocess.run([COMPILER, "-dumpfullversion"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run() -> Outcome:
    if shutil.which(COMPILER) is None:
        return Outcome(TITLE, f"skipped: {COMPILER} is not on PATH")
    costs, lengths = measure()
    array = costs["hex array"]
    rows = [
        (
            way,
            f"{lengths[way] / 1e6:.2f}",
            f"{cost.seconds:.3f}",
            f"{cost.memory_bytes / 1e6:.1f}",
            f"{array.seconds / max(cost.seconds, 1e-6):.1f}",
            f"{cost.memory_bytes / array.memory_bytes:.2f}",
        )
        for way, cost in costs.items()
    ]
    head = ("way", "source MB", "CPU s", "peak MB", "times faster", "memory share")
    speedup, share = ratios(costs)
    text = (
        f"{COMPILER} {compiler_version()} {' '.join(FLAGS[:3])}, median of {RUNS}\n{table(head, rows)}\n"
        f".incbin against the hex array: {speedup:.0f} times faster (aim: {LEAST_SPEEDUP:.0f}), "
        f"{share:.2f} of the memory (aim: {LARGEST_MEMORY_SHARE})"
    )
    return Outcome(TITLE, text, missed(speedup, share))
