"""What a byte of the firmware is there for: applies the tables of category_rules.py to rows of the map.

The reason of the rule that decided is kept with each verdict: it is the answer to "why is this byte counted here".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from platformio_tflm.core.category_rules import (
    ARENA_RULE,
    KERNEL_ENDING,
    KERNEL_OPERATORS,
    KIND_RULES,
    LIBRARY_OPERATORS,
    OBJECT_RULES,
    REGISTRATION,
    SECTION_PREFIX,
    SHARED_KERNELS,
    SYMBOL_RULES,
    Rule,
)
from platformio_tflm.core.map_model import InputKind, InputSection
from platformio_tflm.core.report import Category

_ARENA = re.compile(ARENA_RULE.pattern)
_RUNTIME = (Category.TFLM_CORE, Category.TFLM_KERNELS)


@dataclass(frozen=True)
class Origins:
    """Paths that the build knows to belong to somebody, as files or folders, absolute or relative.

    A path matches an object that lies in it; a relative one may also stand in the middle of the object's path.
    """

    tflm: tuple[str, ...] = ()
    builtin: tuple[str, ...] = ()
    framework: tuple[str, ...] = ()
    project: tuple[str, ...] = ()


class Verdict(NamedTuple):
    """operator: the operator that the code serves alone, "" if there is none."""

    category: Category
    reason: str
    operator: str = ""


PADDING_VERDICT = Verdict(Category.PADDING, "alignment: no input section stands here")


class Classifier:
    """Applies the rules; remembers the verdict of every object, of which there are few."""

    def __init__(self, origins: Origins | None = None) -> None:
        self._rules = _object_rules(origins or Origins())
        self._patterns = [re.compile(rule.pattern) for rule in self._rules]
        self._kind_patterns = [re.compile(rule.pattern) for rule in KIND_RULES]
        self._symbol_patterns = [re.compile(rule.pattern) for rule in SYMBOL_RULES]
        self._objects: dict[tuple[str | None, str], Verdict] = {}
        self._kinds: dict[tuple[str, str], Verdict | None] = {}

    def of_input(self, output_name: str, row: InputSection) -> Verdict:
        """The verdict on one row of the map, in the output section of that name."""
        verdict = self._of_kind(output_name, row.kind.value)
        if verdict is not None:
            return verdict
        verdict = self.of_object(row.archive, row.member)
        if verdict.category is Category.MODEL and _ARENA.search(row.name):
            return Verdict(ARENA_RULE.category, ARENA_RULE.reason)
        if verdict.category in (Category.APPLICATION, Category.OTHER):
            return self.of_symbol(section_symbol(row.name)) or verdict
        return verdict

    def of_gap(self, output_name: str) -> Verdict:
        """The verdict on bytes of the output section that no row explains."""
        verdict = self._of_kind(output_name, InputKind.FILL.value)
        return PADDING_VERDICT if verdict is None or verdict.category is Category.PADDING else verdict

    def of_object(self, archive: str | None, member: str) -> Verdict:
        key = (archive, member)
        verdict = self._objects.get(key)
        if verdict is None:
            verdict = self._objects[key] = self._judge_object(archive, member)
        return verdict

    def of_symbol(self, symbol: str) -> Verdict | None:
        """The verdict on a symbol's (mangled) name, None where only its object can tell."""
        if symbol:
            for rule, pattern in zip(SYMBOL_RULES, self._symbol_patterns, strict=True):
                if pattern.search(symbol):
                    return Verdict(rule.category, rule.reason, _library_operator(symbol))
        return None

    def _of_kind(self, output_name: str, kind: str) -> Verdict | None:
        key = (output_name, kind)
        if key not in self._kinds:
            self._kinds[key] = self._judge_kind(output_name, kind)
        return self._kinds[key]

    def _judge_kind(self, output_name: str, kind: str) -> Verdict | None:
        for rule, pattern in zip(KIND_RULES, self._kind_patterns, strict=True):
            # In a stack's section an object's own variable is still that object's.
            if rule.subject == "output" and kind != InputKind.FILL.value:
                continue
            if pattern.search(output_name if rule.subject == "output" else kind):
                return Verdict(rule.category, rule.reason)
        return None

    def _judge_object(self, archive: str | None, member: str) -> Verdict:
        subject = (f"{archive}({member})" if archive else member).replace("\\", "/")
        for rule, pattern in zip(self._rules, self._patterns, strict=True):
            if pattern.search(subject):
                verdict = Verdict(rule.category, rule.reason)
                return _kernel(verdict, subject) if rule.category in _RUNTIME else verdict
        return Verdict(Category.OTHER, "no rule knows this object's path")


def _kernel(verdict: Verdict, subject: str) -> Verdict:
    """Split a TFLM library's objects into kernels, each with its operator, and the rest."""
    stem = subject.rstrip(")").rpartition("(")[2].rpartition("/")[2].partition(".")[0]
    base = KERNEL_ENDING.sub("", stem)
    operator = KERNEL_OPERATORS.get(stem) or KERNEL_OPERATORS.get(base)
    if operator:
        return Verdict(Category.TFLM_KERNELS, f"the kernel of {operator} ({stem})", operator)
    operator = _library_operator(stem)
    if operator:
        return Verdict(Category.TFLM_KERNELS, f"{verdict.reason}, used by {operator} alone", operator)
    if (
        SHARED_KERNELS.match(stem)
        or SHARED_KERNELS.match(base)
        or "/kernels/" in subject
        or stem.startswith(("arm_", "esp_nn_"))
    ):
        return Verdict(Category.TFLM_KERNELS, "shared by several kernels")
    return verdict


def _library_operator(name: str) -> str:
    registration = REGISTRATION.search(name)
    if registration:
        # A mangled name says how long it is; what follows are the parameters' types.
        length = int(registration[1]) - len("Register_") if registration[1] else None
        return registration[2][:length]
    return next((operator for pattern, operator in LIBRARY_OPERATORS if pattern.match(name)), "")


def section_symbol(section_name: str) -> str:
    """The symbol in an input section's name: ``.text.startup.main`` -> ``main``, "" where there is none."""
    found = SECTION_PREFIX.match(section_name)
    return section_name[found.end() :] if found else ""


def _object_rules(origins: Origins) -> tuple[Rule, ...]:
    """The rules with those of *origins* among them, each before what would take its objects for something else."""
    general = next(i for i, rule in enumerate(OBJECT_RULES) if rule.category is Category.APPLICATION)
    return (
        OBJECT_RULES[0],  # The generated object lies in the project's build folder, and is no application code.
        *_path_rules(origins.builtin, Category.BUILTIN, "the plugin's own runtime"),
        *_path_rules(origins.tflm, Category.TFLM_CORE, "the TensorFlow Lite Micro library of this environment"),
        *_path_rules(origins.framework, Category.FRAMEWORK, "a folder of the framework"),
        *OBJECT_RULES[1:general],
        *_path_rules(origins.project, Category.APPLICATION, "the project's own code and libraries"),
        *OBJECT_RULES[general:],
    )


def _path_rules(paths: Iterable[str], category: Category, reason: str) -> Iterable[Rule]:
    for path in paths:
        text = path.replace("\\", "/").strip("/")
        if text:
            yield Rule("object", category, reason, rf"(?:^|/){re.escape(text)}(?:[/(]|$)")
