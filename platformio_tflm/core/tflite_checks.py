"""What a sound FlatBuffer may still get wrong: shapes, sizes of constants, the order of operators, calls of subgraphs.

Each check is one rule that TFLM relies on without looking.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from platformio_tflm.core.flatbuf import damaged, too_many
from platformio_tflm.core.foreign import shown
from platformio_tflm.core.model import Model, Operator, Subgraph, Tensor
from platformio_tflm.errors import ModelError

# What a 32-bit microcontroller could address at the very most.
MAX_TENSOR_BYTES = (1 << 31) - 1

# Inputs, outputs and intermediates of all operators and subgraphs: eight for each of the most operators that are read.
MAX_OPERANDS = 131_072

# TFLM calls subgraphs recursively, on the stack, and plans each call anew: every operator, and every tensor it touches.
MAX_CALL_DEPTH = 16
MAX_PLANNED_OPERATORS = 100_000
MAX_PLANNED_OPERANDS = 400_000

# Option fields that name subgraphs, beside those called "..._subgraph_index".
_CALL_FIELDS = ("subgraph", "branch_subgraph_indices", "called_computations")

# Operators whose options TFLM follows without a look at their type, and the type that these must have.
_CALLERS = {"IF": "IfOptions", "WHILE": "WhileOptions", "CALL_ONCE": "CallOnceOptions"}

# Operators with a window that moves in steps, and their option fields that are lengths of either.
_WINDOWED = frozenset(
    ("AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "L2_POOL_2D", "MAX_POOL_2D", "TRANSPOSE_CONV")
)
_WINDOW_FIELDS = frozenset(
    ("stride_w", "stride_h", "filter_width", "filter_height", "dilation_w_factor", "dilation_h_factor")
)

# Weights that TFLM decompresses at run time are stored smaller than their shape says.
COMPRESSION_METADATA = "COMPRESSION_METADATA"

_STATIC_SHAPE = "Convert the model with a fixed input shape: a microcontroller's memory is planned at build time."


def check_model(model: Model) -> None:
    """Raise ModelError at the first rule that *model* breaks."""
    compressed = any(entry.name == COMPRESSION_METADATA for entry in model.metadata)
    operands = sum(map(_operands, model.subgraphs))
    if operands > MAX_OPERANDS:
        raise too_many(operands, "inputs and outputs of operators", MAX_OPERANDS)
    for subgraph in model.subgraphs:
        try:
            _check_subgraph(subgraph, compressed)
        except ModelError as error:
            raise error.located(f"subgraph {subgraph.index}") from None
    _check_calls(model)
    _check_signatures(model)


def _check_subgraph(subgraph: Subgraph, compressed: bool) -> None:
    ends = {*subgraph.inputs, *subgraph.outputs}
    written = {index for operator in subgraph.operators for index in operator.outputs}
    for tensor in subgraph.tensors:
        try:
            _check_shape(tensor, at_the_ends=tensor.index in ends, written=tensor.index in written)
            _check_constant(tensor, compressed)
        except ModelError as error:
            raise error.located(f"tensor {tensor.index}{f' ({shown(tensor.name)})' if tensor.name else ''}") from None
    _check_order(subgraph)


def _check_window(operator: Operator) -> None:
    """Kernels divide by strides, and reckon their scratch memory from all of them."""
    if operator.code.name not in _WINDOWED:
        return
    for name, value in operator.options:
        if name in _WINDOW_FIELDS and isinstance(value, int) and value < 1:
            raise damaged(f"has {name} {value}, but it should be at least 1")


def _check_shape(tensor: Tensor, *, at_the_ends: bool, written: bool) -> None:
    """As MicroInterpreterGraph checks outputs, and subgraph inputs and outputs alike.

    Tensors that only carry quantization may have no elements, and shape [0] is an old spelling of a scalar.
    """
    legacy_scalar = tensor.shape == (0,) and -1 not in tensor.shape_signature
    flowing = at_the_ends or (written and not legacy_scalar)
    lowest = 1 if flowing and not tensor.is_constant else 0
    if any(extent < lowest for extent in tensor.shape):
        raise ModelError(f"has the dynamic shape {list(tensor.shape)}", hint=_STATIC_SHAPE)
    size_bytes = prod(tensor.shape) * max(tensor.type.bits, 8) // 8
    if size_bytes > MAX_TENSOR_BYTES:
        raise ModelError(
            f"needs {size_bytes:,} bytes (shape {list(tensor.shape)}), allowed are {MAX_TENSOR_BYTES:,}",
            hint="No microcontroller can address that; the file is damaged, or the model is not made for one.",
        )


def _check_constant(tensor: Tensor, compressed: bool) -> None:
    if not tensor.is_constant or tensor.type.bits == 0:
        return
    if not tensor.element_count:
        raise damaged(f"has {tensor.buffer.size_bytes:,} bytes of constant data, but its shape is {list(tensor.shape)}")
    if not compressed and not tensor.sparse and tensor.buffer.size_bytes != tensor.size_bytes:
        raise damaged(
            f"has {tensor.buffer.size_bytes:,} bytes of constant data, but {tensor.type.name} {list(tensor.shape)} "
            f"takes {tensor.size_bytes:,}"
        )


def _check_order(subgraph: Subgraph) -> None:
    """Every tensor is written before it is read; constants and variables are there from the start."""
    ready = set(subgraph.inputs)
    ready.update(tensor.index for tensor in subgraph.tensors if tensor.is_constant or tensor.is_variable)
    for operator in subgraph.operators:
        try:
            _check_operator(subgraph, operator, ready)
        except ModelError as error:
            raise error.located(f"operator {operator.index} ({shown(operator.code.name)})") from None
        ready.update(operator.outputs)
    for index in subgraph.outputs:
        if index not in ready:
            raise damaged(f"output tensor {index} is never written")


def _check_operator(subgraph: Subgraph, operator: Operator, ready: set[int]) -> None:
    _check_window(operator)
    # Custom operators may own an input as scratch memory, as Ethos-U's does.
    if operator.code.custom:
        return
    for index in operator.inputs:
        if index not in ready and index >= 0 and subgraph.tensors[index].element_count:
            raise damaged(f"tensor {index} is used before it is written")
    for index in operator.outputs:
        # It lies in flash, inside the model: to write there is a fault, or changes nothing.
        if subgraph.tensors[index].is_constant and not subgraph.tensors[index].is_variable:
            raise damaged(f"output tensor {index} is a constant, which cannot be written")


def called_subgraphs(operator: Operator) -> tuple[int, ...]:
    """Indices of the subgraphs that *operator* runs, in the order of the schema's fields."""
    called: list[int] = []
    for name, value in operator.options:
        if name in _CALL_FIELDS or name.endswith("_subgraph_index"):
            values = value if isinstance(value, tuple) else (value,)
            called.extend(index for index in values if isinstance(index, int))
    return tuple(called)


def _operands(subgraph: Subgraph) -> int:
    """Everywhere that a subgraph names a tensor."""
    ends = len(subgraph.inputs) + len(subgraph.outputs)
    return ends + sum(
        len(operator.inputs) + len(operator.outputs) + len(operator.intermediates) for operator in subgraph.operators
    )


class _Run(NamedTuple):
    """What one run of a subgraph takes, with all that it calls: operators, tensors named, subgraphs one in another."""

    operators: int
    operands: int
    depth: int


def _check_calls(model: Model) -> None:
    """Subgraphs call each other without a loop, not too deep, and not so often that planning explodes."""
    runs: dict[int, _Run] = {}
    for subgraph in model.subgraphs:
        run = _run(model, subgraph.index, (), runs)
        if run.operators > MAX_PLANNED_OPERATORS:
            raise damaged(f"runs more than {MAX_PLANNED_OPERATORS:,} operators, counting each call of a subgraph")
        if run.operands > MAX_PLANNED_OPERANDS:
            raise damaged(
                f"its operators take and give tensors {run.operands:,} times, counting each call of a subgraph; "
                f"allowed are {MAX_PLANNED_OPERANDS:,}"
            )


def _run(model: Model, index: int, path: tuple[int, ...], runs: dict[int, _Run]) -> _Run:
    """Each subgraph is looked into once, into *runs*. *path*: who called whom until here."""
    if index in path:
        loop = " -> ".join(map(str, (*path[path.index(index) :], index)))
        raise damaged(f"subgraphs call each other in a loop: {loop}")
    known = runs.get(index)
    if len(path) + (known.depth if known else 1) > MAX_CALL_DEPTH:
        raise damaged(f"subgraphs call each other more than {MAX_CALL_DEPTH} deep")
    if known is None:
        subgraph = model.subgraphs[index]
        calls = [called for operator in subgraph.operators for called in _valid_calls(model, operator)]
        inner = {called: _run(model, called, (*path, index), runs) for called in dict.fromkeys(calls)}
        known = runs[index] = _Run(
            operators=len(subgraph.operators) + sum(inner[called].operators for called in calls),
            operands=_operands(subgraph) + sum(inner[called].operands for called in calls),
            depth=1 + max((run.depth for run in inner.values()), default=0),
        )
    return known


def _valid_calls(model: Model, operator: Operator) -> tuple[int, ...]:
    called = called_subgraphs(operator)
    expected = _CALLERS.get(operator.code.name)
    if expected and (operator.options_type != expected or not called):
        raise damaged(f"operator {operator.index} ({operator.code.name}) does not say which subgraph it calls")
    for index in called:
        if not 0 <= index < len(model.subgraphs):
            raise damaged(
                f"operator {operator.index} ({shown(operator.code.name)}) calls subgraph {index}, "
                f"but there are {len(model.subgraphs)}"
            )
    return called


def _check_signatures(model: Model) -> None:
    for signature in model.signatures:
        if signature.subgraph_index >= len(model.subgraphs):
            raise damaged(
                f"signature {shown(signature.key)!r} names subgraph {signature.subgraph_index}, "
                f"but there are {len(model.subgraphs)}"
            )
        count = len(model.subgraphs[signature.subgraph_index].tensors)
        for tensor in (*signature.inputs, *signature.outputs):
            if tensor.tensor_index >= count:
                raise damaged(
                    f"signature {shown(signature.key)!r} names tensor {tensor.tensor_index}, but there are {count}"
                )
