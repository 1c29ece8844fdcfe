"""Write docs/report.schema.json and docs/report-schema.md from the dataclasses of the report.

Usage: python tools/make_report_schema.py [--check]; --check writes nothing and returns 1 if a file is out of step.
"""

from __future__ import annotations

import json
import sys
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from platformio_tflm.core.report import SCHEMA_VERSION, Category, Report  # noqa: E402
from platformio_tflm.core.report.changes import ReportDiff  # noqa: E402
from platformio_tflm.core.report_io import MAX_INTEGER, SIGNED_FIELDS  # noqa: E402

MEANINGS = {
    "Report.schema_version": "Version of this schema; a change that a reader could stumble over raises it.",
    "Report.tool": "What wrote the report.",
    "Report.project": "What was built.",
    "Report.board": "The board whose limits were used.",
    "Report.runtime": "What runs the models.",
    "Report.models": "The models, in the order of custom_tflm_models.",
    "Report.memory": "Flash and SRAM of the whole firmware against their limits.",
    "Report.image_bytes": "Bytes of the image that is uploaded.",
    "Report.regions": "The board's memory regions, with what the firmware puts into each.",
    "Report.categories": "What the bytes are there for; the sums are memory's used_bytes, byte for byte.",
    "Report.operators": "Flash of each operator's kernel.",
    "Report.status": "ok: fits; tight: fits with little to spare; exceeded: over a limit.",
    "Report.baseline": "What changed since the report in custom_tflm_baseline; null without one.",
    "Report.messages": "Notes, advice, warnings and errors, for people.",
    "Report.budget": "SRAM as a worksheet that adds up to memory.sram, byte for byte.",
    "ToolInfo.name": "platformio-tflm.",
    "ToolInfo.version": "Its version.",
    "ProjectInfo.environment": "Name of the environment in platformio.ini.",
    "ProjectInfo.build_type": "release, debug or test.",
    "BoardInfo.id": "PlatformIO's id of the board, or the id in the project's own board file.",
    "BoardInfo.name": "The board's name.",
    "BoardInfo.source": "The board file the figures are from, or PlatformIO's manifest.",
    "RuntimeInfo.kind": "tflm: a TensorFlow Lite Micro library; builtin: the plugin's own; data: none, "
    "the array only; none: a linked program without a build, and none was found in it.",
    "RuntimeInfo.library": "Name of the linked library.",
    "RuntimeInfo.version": "Its version.",
    "RuntimeInfo.api": "Generation of its C++ API.",
    "RuntimeInfo.optimize": "Optimization level its files were compiled with.",
    "ModelInfo.name": "The file's stem as a C identifier; the symbols begin with it.",
    "ModelInfo.path": "The .tflite file, from the project folder, with forward slashes.",
    "ModelInfo.sha256": "SHA-256 of the .tflite file, in hexadecimal.",
    "ModelInfo.size_bytes": "Size of the .tflite file.",
    "ModelInfo.operators": "The model's operators, each once for every version of it.",
    "ModelInfo.inputs": "Input tensors, in order.",
    "ModelInfo.outputs": "Output tensors, in order.",
    "ModelInfo.arena": "The tensor arena; null where the runtime needs none.",
    "ModelInfo.address": "Address of the model's array; null if the firmware does not hold it.",
    "ModelInfo.alignment": "Alignment of that address in bytes; null without an address.",
    "ModelInfo.verified": "Images whose bytes were compared with the .tflite and found the same: elf, hex.",
    "OperatorUse.name": "Name in the TensorFlow Lite schema, or the name of the custom operator.",
    "OperatorUse.version": "Version of the operator.",
    "OperatorUse.count": "How many nodes of the model use it.",
    "TensorInfo.name": "Name of the tensor.",
    "TensorInfo.type": "Element type.",
    "TensorInfo.shape": "Dimensions.",
    "TensorInfo.scale": "real = scale * (stored - zero_point); null if not quantized per tensor.",
    "TensorInfo.zero_point": "See scale.",
    "TensorInfo.size_bytes": "Bytes of the tensor's data.",
    "ArenaInfo.size_bytes": "Bytes reserved for the arena.",
    "ArenaInfo.used_bytes": "Bytes of it that are needed; null if not known.",
    "ArenaInfo.head_bytes": "Of these, activations and scratch buffers; null if not known.",
    "ArenaInfo.tail_bytes": "Of these, what lasts as long as the interpreter; null if not known.",
    "ArenaInfo.method": "How the size was found: exact, measured, upper-bound, estimate, or set.",
    "MemoryUse.flash": "Flash of the whole firmware.",
    "MemoryUse.sram": "SRAM of the whole firmware.",
    "FlashUse.used_bytes": "Bytes that the image holds.",
    "FlashUse.limit_bytes": "Bytes that the board has for it.",
    "SramUse.used_bytes": "Bytes that the linker placed.",
    "SramUse.reserved_bytes": "Bytes on top that the map cannot show: stack, heap, radio.",
    "SramUse.limit_bytes": "Bytes that the board has for both.",
    "SramBudget.lines": "What takes SRAM, line by line.",
    "SramBudget.remaining_bytes": "What the lines leave of memory.sram.limit_bytes; below zero where they exceed it.",
    "BudgetLine.name": "What takes the memory; the user's own name for a line of custom_tflm_reserve.",
    "BudgetLine.kind": "static, arena, section (stack or heap in the map): their sum is memory.sram.used_bytes; "
    "reserved: the sum is memory.sram.reserved_bytes.",
    "BudgetLine.size_bytes": "Bytes it takes.",
    "BudgetLine.source": "Where the figure is from: the map, a board file with its own source, or an option.",
    "RegionUse.name": "Name in the board file, or in the linker script.",
    "RegionUse.kind": "flash, sram, ccm, dtcm, itcm, iram, dram, rtc, psram or other.",
    "RegionUse.origin": "First address.",
    "RegionUse.length_bytes": "Length of the region.",
    "RegionUse.used_bytes": "Bytes of it that the firmware uses.",
    "CategoryUse.name": "One of: " + ", ".join(category.value for category in Category) + ".",
    "CategoryUse.flash_bytes": "Flash of the category.",
    "CategoryUse.sram_bytes": "SRAM of the category.",
    "OperatorFlash.name": "Name of the operator.",
    "OperatorFlash.flash_bytes": "Flash of the kernel's code and constants.",
    "Message.level": "note, advice, warning or error.",
    "Message.text": "What is to be said; may have several lines.",
    "ReportDiff.before": "What the earlier report is called: its path.",
    "ReportDiff.after": "What the later report is called.",
    "ReportDiff.memory": "Totals of the whole firmware and their limits, changed or not.",
    "ReportDiff.image": "Bytes of the image that is uploaded.",
    "ReportDiff.regions": "Regions of which something changed.",
    "ReportDiff.categories": "Categories that changed; where the reports' categories sum to their totals, so do these.",
    "ReportDiff.budget": "Lines of the SRAM worksheet that changed.",
    "ReportDiff.operators": "Operators whose kernels changed.",
    "ReportDiff.models": "Models that changed.",
    "ReportDiff.context": "What was built or measured differently: board, library, build type and so on.",
    "MemoryChange.flash": "Flash of the whole firmware.",
    "MemoryChange.sram": "SRAM of the whole firmware.",
    "FlashChange.used": "Bytes that the image holds.",
    "FlashChange.limit": "Bytes that the board has for it.",
    "SramChange.used": "Bytes that the linker placed.",
    "SramChange.reserved": "Bytes on top that the map cannot show.",
    "SramChange.limit": "Bytes that the board has for both.",
    "Change.before_bytes": "Bytes in the earlier report; 0 for what it does not have.",
    "Change.after_bytes": "Bytes in the later report; 0 for what it does not have.",
    "Change.growth_bytes": "after_bytes - before_bytes.",
    "Change.growth_percent": "growth_bytes in percent of before_bytes, to the hundredth; null if these are 0.",
    "TextChange.name": "What changed.",
    "TextChange.before": "As in the earlier report.",
    "TextChange.after": "As in the later report.",
    "RegionChange.name": "Name of the region.",
    "RegionChange.kind": "added and removed: only one of the reports has it.",
    "RegionChange.used": "Bytes of it that the firmware uses.",
    "RegionChange.length": "Length of the region.",
    "CategoryChange.name": "Name of the category.",
    "CategoryChange.flash": "Flash of the category.",
    "CategoryChange.sram": "SRAM of the category.",
    "BudgetChange.name": "Name of the line.",
    "BudgetChange.kind": "added and removed: only one of the reports has it.",
    "BudgetChange.size": "Bytes of it.",
    "OperatorChange.name": "Name of the operator.",
    "OperatorChange.kind": "added and removed: only one of the reports has it.",
    "OperatorChange.flash": "Flash of the kernel's code and constants.",
    "ModelChange.name": "The model's name.",
    "ModelChange.kind": "added and removed: only one of the reports has it.",
    "ModelChange.contents": "Whether the .tflite has other bytes.",
    "ModelChange.size": "Size of the .tflite file.",
    "ModelChange.arena_size": "Bytes reserved for the arena; 0 where there is none.",
    "ModelChange.arena_used": "Bytes of it that are needed; null if one of the reports does not know.",
    "ModelChange.details": "What else changed: how the arena's size was found, which operators.",
}

_SCALARS: dict[Any, dict[str, Any]] = {str: {"type": "string"}, float: {"type": "number"}, bool: {"type": "boolean"}}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a report."""
    kinds = [kind for kind in reached(Report) if kind is not Report]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "platformio-tflm report",
        **record_schema(Report),
        "$defs": {kind.__name__: record_schema(kind) for kind in sorted(kinds, key=lambda kind: kind.__name__)},
    }


def hints_of(kind: Any) -> dict[str, Any]:
    # The report names the class of its baseline for type checkers alone.
    return get_type_hints(kind, localns={"ReportDiff": ReportDiff})


def reached(kind: Any) -> list[type]:
    """The dataclass and all that its fields lead to, each once, outermost first."""
    found = [kind]
    for value in hints_of(kind).values():
        for inner in inner_types(value):
            if is_dataclass(inner) and inner not in found:
                found += [entry for entry in reached(inner) if entry not in found]
    return found


def inner_types(kind: Any) -> list[Any]:
    arguments = [argument for argument in get_args(kind) if argument not in (NoneType, Ellipsis)]
    return [entry for argument in arguments for entry in inner_types(argument)] if arguments else [kind]


def record_schema(kind: type) -> dict[str, Any]:
    hints = hints_of(kind)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [entry.name for entry in ordered_fields(kind)],
        "properties": {
            entry.name: {**value_schema(hints[entry.name], entry.name), "description": meaning(kind, entry)}
            for entry in ordered_fields(kind)
        },
    }


def ordered_fields(kind: Any) -> list[Field[Any]]:
    """The fields as the JSON has them: schema_version leads, though a default makes it the dataclass's last."""
    return sorted(fields(kind), key=lambda entry: entry.name != "schema_version")


def meaning(kind: type, entry: Field[Any]) -> str:
    return MEANINGS[f"{kind.__name__}.{entry.name}"]


def value_schema(kind: Any, name: str) -> dict[str, Any]:
    if name == "schema_version":
        return {"const": SCHEMA_VERSION}
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        inner = value_schema(inner_types(kind)[0], name)
        return {"anyOf": [inner, {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": value_schema(get_args(kind)[0], name)}
    if is_dataclass(kind) and isinstance(kind, type):
        return {"$ref": f"#/$defs/{kind.__name__}"}
    return scalar_schema(kind, name)


def scalar_schema(kind: type, name: str) -> dict[str, Any]:
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if kind is int:
        return {"type": "integer", "minimum": -MAX_INTEGER if name in SIGNED_FIELDS else 0, "maximum": MAX_INTEGER}
    return dict(_SCALARS[kind])


def page() -> str:
    """docs/report-schema.md."""
    lines = [
        "# report.json",
        "",
        "Generated by `tools/make_report_schema.py` from `platformio_tflm/core/report`; do not edit.",
        "",
        f"Schema version {SCHEMA_VERSION}. [report.schema.json](report.schema.json) says the same for programs.",
        "Sizes are bytes, addresses are in the device's memory, paths are relative to the project.",
        "Every field is present; one that is not known is `null` where the type allows it.",
    ]
    for kind in reached(Report):
        lines += ["", f"## {kind.__name__}", "", "| field | type | meaning |", "|---|---|---|"]
        hints = hints_of(kind)
        lines += [
            f"| `{entry.name}` | {type_words(hints[entry.name])} | {meaning(kind, entry)} |"
            for entry in ordered_fields(kind)
        ]
    return "\n".join(lines) + "\n"


def type_words(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return f"{type_words(inner_types(kind)[0])} or null"
    if origin is tuple:
        return f"list of {type_words(get_args(kind)[0])}"
    if is_dataclass(kind) and isinstance(kind, type):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    return {int: "integer", float: "number", str: "text", bool: "true or false"}[kind]


def outputs() -> dict[Path, str]:
    return {
        ROOT / "docs" / "report.schema.json": json.dumps(schema(), indent=2) + "\n",
        ROOT / "docs" / "report-schema.md": page(),
    }


def main(arguments: list[str]) -> int:
    stale = [path for path, text in outputs().items() if not path.is_file() or path.read_text("utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of step; run tools/make_report_schema.py\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(outputs()[path].encode("utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
