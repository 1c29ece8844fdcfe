"""The rules: one ``constraint_*`` function each, whose docstring is the reason shown.

A rule takes an operator, its subgraph, the runtime and the user's custom operators. It returns None when it holds, else
what is wrong in this case; the message adds the docstring's first line, and RULES says what can be done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from platformio_tflm.core.model import Operator, Subgraph, Tensor, TensorType
from platformio_tflm.core.op_table import BUILTIN_METHODS, CUSTOM_METHODS
from platformio_tflm.core.op_types import (
    CONSTANT_INPUTS,
    DATA_INPUT,
    DATA_TYPES,
    HIGHEST_VERSIONS,
    INT4_WEIGHTS,
    LATER_TYPES,
    SAME_TYPE_OUTPUT,
    WEIGHT_TYPES,
    WEIGHTED,
)
from platformio_tflm.core.runtime import Generation, Runtime

Rule = Callable[[Operator, Subgraph, Runtime, Mapping[str, str]], "str | None"]

_GENERATIONS = list(Generation)
_FULL_INTEGER = "re-convert the model with full integer quantization (int8 for weights, activations, input and output)"
_OTHER_OPERATOR = "use a layer that converts to operators TensorFlow Lite Micro has"
_NEWER_LIBRARY = "use a newer TensorFlow Lite Micro library"


def constraint_known_operator(
    operator: Operator, _subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """TensorFlow Lite Micro has no kernel for this operator."""
    if operator.code.custom or operator.code.name in BUILTIN_METHODS:
        return None
    return "unknown operator"


def constraint_known_custom_operator(
    operator: Operator, _subgraph: Subgraph, _runtime: Runtime, custom_ops: Mapping[str, str]
) -> str | None:
    """A custom operator needs a kernel of its own, and its registration function must be named."""
    code = operator.code
    if not code.custom or code.name in CUSTOM_METHODS or code.name in custom_ops:
        return None
    return "unknown custom operator"


def constraint_method_in_library(
    operator: Operator, _subgraph: Subgraph, runtime: Runtime, custom_ops: Mapping[str, str]
) -> str | None:
    """The library that is linked has no method to register this operator."""
    code = operator.code
    if code.custom and code.name in custom_ops:
        return None
    method = (CUSTOM_METHODS if code.custom else BUILTIN_METHODS).get(code.name)
    if method is None or method in runtime.methods:
        return None
    return f"no {method} in MicroMutableOpResolver"


def constraint_ethos_u(
    operator: Operator, _subgraph: Subgraph, runtime: Runtime, custom_ops: Mapping[str, str]
) -> str | None:
    """The model was compiled by Vela for an Ethos-U NPU, and the library has only the empty stand-in of its driver."""
    code = operator.code
    if not code.custom or code.name != "ethos-u" or code.name in custom_ops or runtime.has_ethos_u:
        return None
    return "no Ethos-U driver in the library"


def constraint_hybrid(
    operator: Operator, subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """Hybrid operators (float activations, integer weights) do not exist in TensorFlow Lite Micro."""
    activations, weights = _activations_and_weights(operator, subgraph)
    if activations is None or weights is None or activations.type is not TensorType.FLOAT32:
        return None
    if weights.type is TensorType.FLOAT32:
        return None
    return f"float32 activations with {_name(weights.type)} weights"


def constraint_weights_type(
    operator: Operator, subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """int8 and int16 activations go with int8 weights; int4 weights exist in convolutions and dense layers only."""
    activations, weights = _activations_and_weights(operator, subgraph)
    if activations is None or weights is None or activations.type is TensorType.FLOAT32:
        return None
    allowed = WEIGHT_TYPES.get(activations.type)
    if allowed is None:
        return None  # constraint_data_type speaks of it
    if operator.code.name not in INT4_WEIGHTS:
        allowed = allowed - {TensorType.INT4}
    if weights.type in allowed:
        return None
    return f"{_name(activations.type)} activations with {_name(weights.type)} weights"


def constraint_int4_weights(
    operator: Operator, subgraph: Subgraph, runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """int4 weights came with the libraries of 2024."""
    _, weights = _activations_and_weights(operator, subgraph)
    if weights is None or weights.type is not TensorType.INT4 or runtime.generation is not Generation.ERROR_REPORTER:
        return None
    return "int4 weights"


def constraint_data_type(
    operator: Operator, subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """The kernel does not take this type."""
    allowed = DATA_TYPES.get(_builtin_name(operator))
    tensor = _data_input(operator, subgraph)
    if allowed is None or tensor is None or tensor.type in allowed:
        return None
    taken = ", ".join(_name(kind) for kind in TensorType if kind in allowed)
    return f"{_name(tensor.type)} data; it takes {taken}"


def constraint_later_type(
    operator: Operator, subgraph: Subgraph, runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """The kernel of this library's generation does not take this type yet."""
    tensor = _data_input(operator, subgraph)
    first = LATER_TYPES.get((_builtin_name(operator), tensor.type)) if tensor else None
    if tensor is None or first is None or _GENERATIONS.index(runtime.generation) >= _GENERATIONS.index(first):
        return None
    return f"{_name(tensor.type)} data, which libraries take from {first.value[:4]} on"


def constraint_output_type(
    operator: Operator, subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """Input and output must be of one type."""
    tensor, output = _data_input(operator, subgraph), _output(operator, subgraph)
    if _builtin_name(operator) not in SAME_TYPE_OUTPUT or tensor is None or output is None:
        return None
    return None if tensor.type is output.type else f"{_name(tensor.type)} in, {_name(output.type)} out"


def constraint_dequantize_output(
    operator: Operator, subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """DEQUANTIZE gives float32 only."""
    output = _output(operator, subgraph)
    if _builtin_name(operator) != "DEQUANTIZE" or output is None or output.type is TensorType.FLOAT32:
        return None
    return f"{_name(output.type)} out"


def constraint_per_channel_dense(
    operator: Operator, subgraph: Subgraph, runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """This library's FULLY_CONNECTED knows one scale for all weights and would compute wrong values."""
    _, weights = _activations_and_weights(operator, subgraph)
    if _builtin_name(operator) != "FULLY_CONNECTED" or weights is None or weights.quantization is None:
        return None
    if weights.type is TensorType.FLOAT32 or runtime.per_channel_fully_connected:
        return None
    return f"{len(weights.quantization.scale)} scales, one a channel" if weights.quantization.per_channel else None


def constraint_constant_inputs(
    operator: Operator, subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """This input must be a constant of the model, because all shapes are fixed before the first inference."""
    for position in CONSTANT_INPUTS.get(_builtin_name(operator), ()):
        tensor = _input(operator, subgraph, position)
        if tensor is not None and not tensor.is_constant:
            return f"input {position} is computed by the model"
    return None


def constraint_sparse(
    operator: Operator, subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """TensorFlow Lite Micro reads no sparse tensors."""
    for position in range(len(operator.inputs)):
        tensor = _input(operator, subgraph, position)
        if tensor is not None and tensor.sparse:
            return f"input {position} is sparse"
    return None


def constraint_version(
    operator: Operator, _subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """TensorFlow Lite Micro does not look at versions and would run this one as an older one."""
    highest = HIGHEST_VERSIONS.get(_builtin_name(operator))
    version = operator.code.version
    if highest is None or version <= highest:
        return None
    return f"version {version}; known are 1 to {highest}"


def constraint_constants_in_buffers(
    operator: Operator, subgraph: Subgraph, _runtime: Runtime, _custom_ops: Mapping[str, str]
) -> str | None:
    """TensorFlow Lite Micro does not see constants that are stored behind the FlatBuffer and would compute nonsense."""
    tensors = (subgraph.tensors[index] for index in operator.inputs if index >= 0)
    outside = [tensor.index for tensor in tensors if tensor.buffer.external]
    return f"tensor {outside[0]} is stored outside" if outside else None


RULES: tuple[tuple[Rule, str], ...] = (
    (constraint_known_operator, _OTHER_OPERATOR),
    (constraint_known_custom_operator, "name its function: custom_tflm_custom_ops = @NAME@=Register_Function"),
    (
        constraint_ethos_u,
        (
            "use the .tflite from before Vela, or a library with the Ethos-U driver, "
            "or name it: custom_tflm_custom_ops = ethos-u=Register_Function"
        ),
    ),
    (constraint_method_in_library, _NEWER_LIBRARY),
    (constraint_hybrid, _FULL_INTEGER),
    (constraint_weights_type, _FULL_INTEGER),
    (constraint_int4_weights, f"{_NEWER_LIBRARY}, or convert with int8 weights"),
    (constraint_data_type, _FULL_INTEGER),
    (constraint_later_type, f"{_NEWER_LIBRARY}, or {_FULL_INTEGER}"),
    (constraint_output_type, _FULL_INTEGER),
    (constraint_dequantize_output, "convert without float16"),
    (constraint_per_channel_dense, f"{_NEWER_LIBRARY}, or convert dense layers with one scale a tensor"),
    (constraint_constant_inputs, "fix the shapes in the model before converting it"),
    (constraint_constants_in_buffers, "convert without use_buffer_offset"),
    (constraint_sparse, "convert without sparsity"),
    (constraint_version, "convert with an older TensorFlow, or update platformio-tflm"),
)
"""All rules, with what can be done; @NAME@ is the operator's name. A later one assumes that the earlier ones hold."""


def _name(kind: TensorType) -> str:
    return kind.name.lower()


def _builtin_name(operator: Operator) -> str:
    return "" if operator.code.custom else operator.code.name


def _input(operator: Operator, subgraph: Subgraph, position: int) -> Tensor | None:
    index = operator.inputs[position] if position < len(operator.inputs) else -1
    return subgraph.tensors[index] if index >= 0 else None


def _output(operator: Operator, subgraph: Subgraph) -> Tensor | None:
    index = operator.outputs[0] if operator.outputs else -1
    return subgraph.tensors[index] if index >= 0 else None


def _data_input(operator: Operator, subgraph: Subgraph) -> Tensor | None:
    return _input(operator, subgraph, DATA_INPUT.get(_builtin_name(operator), 0))


def _activations_and_weights(operator: Operator, subgraph: Subgraph) -> tuple[Tensor | None, Tensor | None]:
    positions = WEIGHTED.get(_builtin_name(operator))
    if positions is None:
        return None, None
    return _input(operator, subgraph, positions[0]), _input(operator, subgraph, positions[1])
