"""Which operators a model uses, how TensorFlow Lite Micro registers them, and whether it can run them.

Each ``constraint_*`` function below is one rule; it returns None, or the reason (its docstring is the general form of
it). ``check_model`` applies all of them to all operators and reports every problem at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from platformio_tflm.core.model import Model, Operator
from platformio_tflm.core.op_table import BUILTIN_METHODS, CUSTOM_METHODS


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
