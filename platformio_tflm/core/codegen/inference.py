"""``<tflm/<stem>.h>``: the class that runs a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platformio_tflm.core.codegen.inference_text import (
    ARENA_ONLY,
    CLASS_DATA,
    CLASS_TFLM,
    CONSTANTS,
    FILE,
    STATE,
    SUPPORT_TFLM,
)
from platformio_tflm.core.codegen.source import FRONT, ModelSource, fill, include_lines
from platformio_tflm.core.codegen.values import constants, element_type, shape_constants
from platformio_tflm.core.model import Tensor
from platformio_tflm.core.ops import used_operators
from platformio_tflm.core.text import c_string, comment

if TYPE_CHECKING:
    from platformio_tflm.core.codegen.begin import Begin
    from platformio_tflm.core.runtime import Runtime


def inference_header(source: ModelSource, runtime: Runtime | None) -> str:
    """``<tflm/<stem>.h>``.

    runtime: the library that runs the model; None gives the constants only, and TFLM_<STEM>_RUNTIME_TFLM is 0.
    Raises ModelError when the quantization of an input or an output cannot be written as constants.
    """
    begin = _begin(source, runtime) if runtime else None
    return fill(
        FILE,
        BANNER=source.banner(),
        GUARD=source.name,
        MACRO=source.macro,
        RUNTIME=int(runtime is not None),
        FRONT=FRONT,
        INCLUDES=_includes(source, runtime, begin),
        SUPPORT=SUPPORT_TFLM + begin.support if begin else "",
        ARENA_DECLARATION=_arena_declaration(source) if runtime else "",
        CONSTANTS=_constants(source),
        CLASS_DEFINITION=_class_tflm(source, begin) if begin else _class_data(source),
    )


def _begin(source: ModelSource, runtime: Runtime) -> Begin:
    from platformio_tflm.core.codegen.begin import begin_code  # noqa: PLC0415 - only a linked library needs it

    return begin_code(source, runtime)


def _includes(source: ModelSource, runtime: Runtime | None, begin: Begin | None) -> str:
    own = [f"{source.name}_data.h"]
    if runtime is None or begin is None:
        return include_lines("stddef.h", "stdint.h") + "".join(f'#include "../{name}"\n' for name in own)
    headers = [runtime.resolver_header, runtime.interpreter_header, runtime.schema_header, *begin.headers]
    if runtime.error_reporter_header:
        headers.append(runtime.error_reporter_header)
    own.append(f"{source.name}_op_resolver.h")
    lines = include_lines("stddef.h", "stdint.h", "limits", "new", *headers)
    return lines + "".join(f'#include "../{name}"\n' for name in own)


def _arena_declaration(source: ModelSource) -> str:
    return fill(ARENA_ONLY, ARENA_NAME=source.arena_name, ARENA=max(1, source.arena_size_bytes or 0))


def _constants(source: ModelSource) -> str:
    model = source.model
    operators = used_operators(model, {})
    inputs, outputs = model.inputs(), model.outputs()
    lines = [*constants("Input", inputs), *shape_constants("Input", inputs)]
    lines += [*constants("Output", outputs), *shape_constants("Output", outputs)]
    return fill(
        CONSTANTS,
        CLASS=source.class_name,
        ARENA=source.arena_size_bytes or 0,
        ARENA_WHAT="Tensor arena of all models" if source.shared_arena else "Tensor arena",
        ARENA_METHOD=comment(source.arena_method) or "unknown",
        NEED=source.arena_need.size_bytes if source.arena_need else 0,
        NEED_METHOD=comment(source.arena_need.method if source.arena_need else "") or "unknown",
        SIZE=model.size_bytes,
        OPS=len(operators),
        INPUTS=len(inputs),
        OUTPUTS=len(outputs),
        RESOURCES=len(model.resource_names()),
        SCHEMA=model.schema_version,
        DECLARED="".join(f"  {line.declaration()}\n" for line in lines),
        DEFINED="".join(f"{line.definition(source.class_name)}\n" for line in lines),
        NAMES="".join(f"{c_string(operator.name)}, " for operator in operators),
        TYPES=_element_types(source.class_name, "Input", inputs) + _element_types(source.class_name, "Output", outputs),
    )


def _element_types(class_name: str, kind: str, tensors: tuple[Tensor, ...]) -> str:
    """One specialization a tensor: its C++ type, and whether a float can be put into it."""
    lines = [f"template <unsigned int kIndex>\nstruct {class_name}{kind};\n"]
    lines += [
        f"template <>\nstruct {class_name}{kind}<{index}> {{  // {comment(tensor.name) or 'unnamed'}\n"
        f"  typedef {element_type(tensor.type).cpp} type;\n"
        f"  enum {{ kHasValues = {int(element_type(tensor.type).has_values)} }};\n}};\n"
        for index, tensor in enumerate(tensors)
    ]
    return "".join(lines)


def _class_data(source: ModelSource) -> str:
    return fill(CLASS_DATA, CLASS=source.class_name, NAME=source.name)


_USED_OWN = "Bytes of the arena that are in use once begin() is over. To get there it needs kArenaNeeded of them."
_USED_SHARED = "Bytes of the arena that are in use: of the shared one, by all models that have begun so far."


def _class_tflm(source: ModelSource, begin: Begin) -> str:
    values = {"CLASS": source.class_name, "NAME": source.name}
    return fill(
        CLASS_TFLM,
        STATE=fill(STATE, TENANT_DECLARED=begin.state_declared, TENANT_DEFINED=begin.state_defined, **values),
        BEGIN=begin.public,
        START=begin.private,
        STOP=begin.stop,
        WHY_NOT=begin.why_not,
        USED_WHAT=_USED_SHARED if source.shared_arena else _USED_OWN,
        CHECKS=_checks("Input", source.model.inputs()) + _checks("Output", source.model.outputs()),
        **values,
    )


def _checks(kind: str, tensors: tuple[Tensor, ...]) -> str:
    lower = kind.lower()
    return "".join(
        f"    State::{lower}s[{index}] = detail::tensor_data(interpreter->{lower}({index}), "
        f"{element_type(tensor.type).enumerator}, {tensor.size_bytes if tensor.type.bits % 8 == 0 else 0}u);\n"
        f"    matches = matches && State::{lower}s[{index}] != nullptr;\n"
        for index, tensor in enumerate(tensors)
    )
