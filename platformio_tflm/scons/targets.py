"""The plugin's targets, as `pio run --list-targets` and the IDE show them."""

from __future__ import annotations

from typing import Any

from SCons.Script import COMMAND_LINE_TARGETS

from platformio_tflm.scons import console, probe
from platformio_tflm.scons.plan import Plan

GROUP = "TensorFlow Lite Micro"
INSPECT = "tflm-inspect"
_LOOKING = frozenset((INSPECT, "compiledb", "envdump"))


def only_looks() -> bool:
    """Whether this run compiles nothing anyway."""
    return bool(COMMAND_LINE_TARGETS) and _LOOKING.issuperset(COMMAND_LINE_TARGETS)


def add_inspect(env: Any, plan: Plan) -> None:
    def inspect(target: Any, source: Any, env: Any) -> None:  # noqa: ARG001 - the signature of an action
        from platformio_tflm.describe import describe_model, describe_runtime  # noqa: PLC0415 - not in every build
        from platformio_tflm.render.model_text import render_models  # noqa: PLC0415

        infos = tuple(describe_model(model) for model in plan.models)
        console.say(render_models(infos, describe_runtime(plan.runtime)))

    _add(env, INSPECT, inspect, ("Inspect models", "Show each model's operators, tensors and arena"))


def add_report(env: Any, nodes: Any) -> None:
    if nodes is not None:
        _add(env, "tflm-report", None, ("Memory report", "Build, measure and show the memory report"), nodes)


def add_arena(env: Any, nodes: Any) -> None:
    texts = ("Measure arenas", "Run the models on the emulator or the board, find their smallest arenas, keep them")
    _add(env, probe.TARGET, probe.measure_arenas, texts, nodes)


def _add(env: Any, name: str, action: Any, texts: tuple[str, str], nodes: Any = None) -> None:
    if name in (env.get("__PIO_TARGETS") or {}):
        return
    env.AddTarget(
        name=name,
        dependencies=nodes,
        actions=env.VerboseAction(action, " ") if action else None,
        title=texts[0],
        description=texts[1],
        group=GROUP,
    )
