"""Which operators a model uses, how TensorFlow Lite Micro registers them, and whether it can run them.

The rules are in op_rules.py, one ``constraint_*`` function each. ``check_model`` applies all of them to all operators
and reports every problem at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platformio_tflm.core.model import Model, Operator, Subgraph
from platformio_tflm.core.op_table import BUILTIN_METHODS, CUSTOM_METHODS
from platformio_tflm.core.text import is_function_name
from platformio_tflm.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from platformio_tflm.core.runtime import Runtime


@dataclass(frozen=True)
class UsedOperator:
    """An operator of a model, once, however often it occurs.

    method:   of MicroMutableOpResolver; "" if it has none.
    function: the user's registration function from custom_tflm_custom_ops; "" for TensorFlow Lite Micro's own.
    """

    name: str
    custom: bool
    method: str
    function: str = ""

    @property
    def key(self) -> str:
        return f"CUSTOM:{self.name}" if self.custom else self.name


def resolver_method(name: str, *, custom: bool) -> str:
    """``CONV_2D`` -> ``AddConv2D``; "" for an operator that TensorFlow Lite Micro does not have."""
    return (CUSTOM_METHODS if custom else BUILTIN_METHODS).get(name, "")


def used_operators(model: Model, custom_ops: Mapping[str, str]) -> tuple[UsedOperator, ...]:
    """The distinct operators of all subgraphs, in order of first use.

    The model's own table is not enough: it may list operators that no subgraph uses, and one operator once a version.
    """
    used: dict[str, UsedOperator] = {}
    for operator in all_operators(model):
        code = operator.code
        entry = UsedOperator(
            name=code.name,
            custom=code.custom,
            method=resolver_method(code.name, custom=code.custom),
            function=custom_ops.get(code.name, "") if code.custom else "",
        )
        used.setdefault(entry.key, entry)
    return tuple(used.values())


def all_operators(model: Model) -> tuple[Operator, ...]:
    return tuple(operator for subgraph in model.subgraphs for operator in subgraph.operators)


def check_custom_ops(custom_ops: Mapping[str, str]) -> None:
    """UsageError unless every name has a registration function that is a C++ name.

    Names of operators are the model's own and may be anything: generated code quotes them.
    """
    for name, function in custom_ops.items():
        if not name or not is_function_name(function):
            raise UsageError(
                f"{name!r} = {function!r} is not an operator's name and a C++ function",
                where="custom_tflm_custom_ops",
                hint="Write one a line: OpName=Register_Function, or OpName=my_namespace::Register_Function.",
            )


@dataclass(frozen=True)
class Problem:
    """Operators of one kind that break one rule in one way.

    operators: their indices in their subgraphs, as shown: "3" or "1:3" for subgraph 1.
    """

    name: str
    case: str
    reason: str
    remedy: str
    types: str
    operators: tuple[str, ...]

    def __str__(self) -> str:
        indices = ", ".join(self.operators[:4]) + (", …" if len(self.operators) > 4 else "")
        count = f"operator {indices}" if len(self.operators) == 1 else f"{len(self.operators)} operators ({indices})"
        return f"{self.name} ({self.types}), {count}: {self.case}. {self.reason}"


def find_problems(model: Model, runtime: Runtime, custom_ops: Mapping[str, str]) -> tuple[Problem, ...]:
    """Every way in which the model's operators break a rule; the first rule an operator breaks counts."""
    found: dict[tuple[str, str, str], list[str]] = {}
    details: dict[tuple[str, str, str], tuple[str, str]] = {}
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            broken = _first_broken_rule(operator, subgraph, runtime, custom_ops)
            if broken is None:
                continue
            case, reason, remedy = broken
            key = (operator.code.name, case, _types(operator, subgraph))
            index = f"{subgraph.index}:{operator.index}" if subgraph.index else f"{operator.index}"
            found.setdefault(key, []).append(index)
            details[key] = (reason, remedy)
    return tuple(
        Problem(_shown(name), case, *details[name, case, types], types, tuple(indices))
        for (name, case, types), indices in found.items()
    )


def check_model(model: Model, runtime: Runtime, custom_ops: Mapping[str, str]) -> None:
    """UnsupportedError that lists all operators the runtime cannot run, or UsageError for wrong custom_ops."""
    check_custom_ops(custom_ops)
    problems = find_problems(model, runtime, custom_ops)
    if not problems:
        return
    if len(problems) == 1:
        what = f"{runtime.name} cannot run {problems[0]}"
    else:
        what = f"{runtime.name} cannot run {len(problems)} kinds of operators:" + "".join(
            f"\n    {p}" for p in problems
        )
    remedies = dict.fromkeys(problem.remedy for problem in problems)
    raise UnsupportedError(what, hint="What can be done: " + "; ".join(remedies) + ".")


def _first_broken_rule(
    operator: Operator, subgraph: Subgraph, runtime: Runtime, custom_ops: Mapping[str, str]
) -> tuple[str, str, str] | None:
    from platformio_tflm.core.op_rules import RULES  # noqa: PLC0415 - only a linked library needs the rules

    for rule, remedy in RULES:
        case = rule(operator, subgraph, runtime, custom_ops)
        if case is not None:
            reason = (rule.__doc__ or "").strip().splitlines()[0]
            return case, reason, remedy.replace("@NAME@", _shown(operator.code.name))
    return None


def _types(operator: Operator, subgraph: Subgraph) -> str:
    """``int8, int8, int32 -> int8``."""
    inputs = [subgraph.tensors[index].type.name.lower() if index >= 0 else "-" for index in operator.inputs]
    outputs = [subgraph.tensors[index].type.name.lower() for index in operator.outputs if index >= 0]
    return f"{', '.join(inputs) or 'nothing'} -> {', '.join(outputs) or 'nothing'}"


def _shown(name: str) -> str:
    """A custom operator's name is the model's and may hold anything; messages show one printable line of it."""
    text = "".join(c if c.isprintable() else "?" for c in name[:80])
    return text if len(name) <= 80 else text[:77] + "..."
