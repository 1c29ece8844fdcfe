"""What kernels ask of the arena, operator by operator: their own data, scratch buffers, and borrowed tensors.

Struct sizes stand in ``arena_sizes.py``. Formulas follow the Prepare() of the kernel named in each function (paths in
tensorflow/lite/micro, TFLM 90b983c). What CMSIS-NN's and ESP-NN's kernels ask for instead is in ``arena_cmsis_nn.py``
and ``arena_esp_nn.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from platformio_tflm.core import arena_2023, arena_cmsis_nn, arena_esp_nn
from platformio_tflm.core.arena_abi import Abi, Layout
from platformio_tflm.core.arena_operator import (
    KernelSet,
    OperatorView,
    elements,
    extent,
    int4_weights,
    int8_or_int16,
    item_bytes,
    of_type,
    scales,
    shape_bytes,
    transposed,
)
from platformio_tflm.core.arena_sizes import KERNEL_SIZES, NOTHING_BORROWED, SIGNAL_OPERATORS, KernelSizes
from platformio_tflm.core.model import Operator, Tensor, TensorType

__all__ = ["KernelMemory", "KernelSet", "kernel_memory"]


class KernelMemory(NamedTuple):
    """What one operator takes.

    builtin_data: its options, parsed: size and alignment.
    init_bytes, prepare_bytes: persistent buffers of Init() and Prepare().
    scratch_bytes: buffers that live while it runs.
    borrowed, borrowed_by_eval: the TfLiteTensors that Prepare() and Eval() borrow, one entry each time.
    uncertain: what is not known exactly; "" where all is. guessed: it may be more than what stands here.
    """

    builtin_data: tuple[int, int]
    init_bytes: tuple[int, ...]
    prepare_bytes: tuple[int, ...]
    scratch_bytes: tuple[int, ...]
    borrowed: tuple[Tensor, ...]
    borrowed_by_eval: tuple[Tensor, ...] = ()
    uncertain: str = ""
    guessed: bool = False


_Rule = Callable[[OperatorView], None]


def kernel_memory(operator: Operator, tensors: tuple[Tensor, ...], kernels: KernelSet, abi: Abi) -> KernelMemory:
    """What *operator*, whose indices count in *tensors*, asks of the arena when *kernels* run it."""
    view = OperatorView(operator, tensors, kernels, abi)
    name = operator.code.name
    sizes = (arena_2023.sizes_of(name, kernels) if kernels.is_older else None) or KERNEL_SIZES.get(name)
    if sizes is None:
        sizes = KernelSizes()
        (_signal if name in SIGNAL_OPERATORS else _guess)(view)
    else:
        _rule(name, kernels)(view)
    own = _own_data(sizes, kernels, abi)
    return KernelMemory(
        builtin_data=_builtin_data(name, sizes, abi),
        init_bytes=(*((own,) if own else ()), *view.init),
        prepare_bytes=tuple(view.prepare),
        scratch_bytes=tuple(view.scratch),
        borrowed=tuple(view.borrowed),
        borrowed_by_eval=tuple(view.borrowed_by_eval),
        uncertain=view.uncertain,
        guessed=view.guessed,
    )


def _rule(name: str, kernels: KernelSet) -> _Rule:
    rule = _RULES_OF.get(kernels, {}).get(name) or _RULES.get(name)
    if rule:
        return rule
    return _nothing if name in NOTHING_BORROWED else _borrow_all


def _own_data(sizes: KernelSizes, kernels: KernelSet, abi: Abi) -> int:
    column = abi.layout.value
    if kernels.is_cmsis_nn and sizes.data_cmsis_nn:
        # CMSIS-NN runs on 32-bit cores; twice the size is more than any struct grows by on a computer.
        return sizes.data_cmsis_nn[column] if abi.layout is not Layout.LP64 else 2 * sizes.data_cmsis_nn[0]
    own = sizes.data[column] if sizes.data else 0
    if kernels.is_esp_nn:
        own += sizes.more_with_esp_nn
    return own + (sizes.more_with_compression if abi.compression else 0)


def _builtin_data(name: str, sizes: KernelSizes, abi: Abi) -> tuple[int, int]:
    """Size and alignment; a struct of bytes only is what is no multiple of 4."""
    for other, size_bytes, alignment in abi.other_options:
        if other == name:
            return size_bytes, alignment
    size_bytes = sizes.options[abi.layout.value] if sizes.options else 0
    if name == _HOLDS_POINTERS:
        return size_bytes, abi.pointer_bytes
    bytes_only = size_bytes % 4 != 0 or (sizes.bytes_on_eabi and abi.layout is Layout.EABI)
    return size_bytes, 1 if bytes_only else 4


# The only operator whose parsed options hold pointers: to the names of its variable.
_HOLDS_POINTERS = "VAR_HANDLE"


def _nothing(_: OperatorView) -> None:
    pass


def _borrow_all(view: OperatorView) -> None:
    """What most kernels do: every input and output once."""
    view.borrow(*view.inputs, *view.outputs)


def _borrow_ends(view: OperatorView) -> None:
    """The first input and the output."""
    view.borrow(view.input(0), view.output(0))


def _borrow_inputs(*positions: int) -> _Rule:
    def rule(view: OperatorView) -> None:
        view.borrow(*(view.input(position) for position in positions))

    return rule


def _twice(view: OperatorView) -> None:
    """Convolutions: in Prepare() output, input and weights, then in CalculateOpData() all of them."""
    view.borrow(view.output(0), view.input(0), view.input(1))
    view.borrow(view.input(0), view.input(1), view.input(2), view.output(0))


def _conv_2d(view: OperatorView) -> None:
    """kernels/conv_common.cc: multiplier and shift, an int32 a channel, whatever the type."""
    _twice(view)
    view.prepare += [4 * extent(view.input(1), 0)] * 2
    int4_weights(view)


def _depthwise_conv_2d(view: OperatorView) -> None:
    """kernels/depthwise_conv_common.cc."""
    _twice(view)
    view.prepare += [4 * extent(view.input(1), 3)] * 2
    int4_weights(view)


def _fully_connected(view: OperatorView) -> None:
    """kernels/fully_connected.cc, kernels/fully_connected_common.cc."""
    _borrow_all(view)
    int4_weights(view)
    if scales(view.input(1)) > 1 and not of_type(view.input(0), TensorType.FLOAT32):
        view.prepare += [4 * scales(view.input(1))] * 2


def _transpose_conv(view: OperatorView) -> None:
    """kernels/transpose_conv.cc. Inputs: output shape, weights, data, bias."""
    weights, data, bias, output = view.input(1), view.input(2), view.input(3), view.output(0)
    view.borrow(output, data, weights)
    view.prepare += [4 * extent(weights, 0)] * 2
    if of_type(data, TensorType.INT8):
        view.scratch.append(4 * elements(output))
    if of_type(data, TensorType.INT16):
        view.scratch.append(8 * elements(output))
    if not of_type(data, TensorType.FLOAT32):
        view.borrow(data, weights, bias, output)
    if of_type(data, TensorType.INT16) and of_type(bias, TensorType.INT16):
        view.scratch.append(8 * elements(bias))


def _softmax(view: OperatorView) -> None:
    """kernels/softmax_common.cc: two tables of 513 int16 for int16 input."""
    _borrow_all(view)
    if of_type(view.input(0), TensorType.INT16):
        view.prepare += [1026, 1026]


def _svdf(view: OperatorView) -> None:
    """kernels/svdf_common.cc."""
    _borrow_all(view)
    data = view.input(0)
    batch, filters = extent(data, 0), extent(view.input(1), 0)
    view.scratch.append(4 * batch * filters)
    if of_type(data, TensorType.INT8):
        view.scratch.append(4 * batch * (filters // max(view.number("rank", 1), 1)))


def _lstm(view: OperatorView) -> None:
    """kernels/unidirectional_sequence_lstm.cc. Inputs 0, 18 and 19 are data, hidden state and cell state."""
    _borrow_all(view)
    time_major = bool(view.operator.option("time_major", False))
    batch = extent(view.input(0), 1 if time_major else 0)
    view.scratch += [batch * extent(view.input(18), 1) * item_bytes(view.input(19))] * 4


def _batch_matmul(view: OperatorView) -> None:
    """kernels/batch_matmul.cc: quantization, and room for transposed operands."""
    _borrow_all(view)
    left, right = view.input(0), view.input(1)
    if int8_or_int16(left):
        view.prepare.append(_BATCH_MATMUL_QUANTIZATION_BYTES)
    if view.operator.option("adj_x", False):
        transposed(view, left)
    if not view.operator.option("adj_y", False):
        transposed(view, right)
    view.prepare.append(shape_bytes(view.output(0)))


_BATCH_MATMUL_QUANTIZATION_BYTES = 28


def _reduce(view: OperatorView) -> None:
    """kernels/reduce_common.cc: an iterator, the axes, and for sums of integers an accumulator."""
    data, axes, output = view.input(0), view.input(1), view.output(0)
    view.borrow(data, output, axes, data, axes)
    if of_type(data, TensorType.INT8):
        view.borrow(output)
    if view.operator.code.name in ("MEAN", "SUM") and int8_or_int16(data):
        view.scratch.append(4 * elements(output))
    view.scratch += [4 * len(data.shape) if data else 0, 4 * elements(axes)]


def _concatenation(view: OperatorView) -> None:
    """kernels/concatenation.cc: the first input twice."""
    view.borrow(view.input(0), view.output(0), *view.inputs)


def _tanh(view: OperatorView) -> None:
    """kernels/tanh.cc."""
    view.borrow(view.input(0), view.input(0), view.output(0))


def _mirror_pad(view: OperatorView) -> None:
    """kernels/mirror_pad.cc."""
    _borrow_all(view)
    data = view.input(0)
    view.scratch += [4 * len(data.shape) if data else 0] * 2


def _add_n(view: OperatorView) -> None:
    """kernels/add_n.cc."""
    _borrow_all(view)
    if of_type(view.output(0), TensorType.INT8):
        view.prepare.append(40)
    view.scratch.append(view.abi.pointer_bytes * len(view.inputs))


def _writable_shape(view: OperatorView) -> None:
    """CreateWritableTensorDimsWithCopy(): the output's shape is copied to the arena to be corrected there."""
    _borrow_all(view)
    view.prepare.append(shape_bytes(view.output(0)))


def _reshape(view: OperatorView) -> None:
    """kernels/reshape_common.cc: only an output with an open dimension has its shape copied."""
    output = view.output(0)
    view.borrow(view.input(0), output)
    if output and -1 in output.shape:
        view.prepare.append(shape_bytes(output))


def _embedding_lookup(view: OperatorView) -> None:
    """kernels/embedding_lookup.cc."""
    _writable_shape(view)
    view.prepare.append(2 * view.abi.pointer_bytes)


def _cumsum(view: OperatorView) -> None:
    """kernels/cumsum.cc: nine integers for int8."""
    _borrow_all(view)
    if of_type(view.output(0), TensorType.INT8):
        view.prepare.append(36)


def _log_softmax(view: OperatorView) -> None:
    """kernels/log_softmax.cc: five integers and two sizes for int8."""
    _borrow_all(view)
    if of_type(view.output(0), TensorType.INT8):
        view.prepare.append(28 if view.abi.pointer_bytes == 4 else 40)


def _detection_postprocess(view: OperatorView) -> None:
    """kernels/detection_postprocess.cc; its outputs hold at least as many boxes as it may detect."""
    view.borrow(view.input(0), view.input(1), view.input(2))
    view.bound("how many boxes it may detect is taken from the shape of its output")
    count, classes = extent(view.input(0), 1), extent(view.input(1), 2)
    found = max(extent(view.output(0), 1), 1)
    view.scratch += [count, 16 * count, 4 * count * classes, 4 * count, 4 * count, 4 * found * count]
    view.scratch += [4 * found * count, 4 * count, 4 * found * count, 4 * max(classes, found) * count]
    view.scratch.append(4 * max(classes, found) * count)


def _filter_bank(view: OperatorView) -> None:
    """signal/micro/kernels/filter_bank.cc: a 64-bit sum a channel, and one more."""
    _borrow_all(view)
    view.init.append(8 * (elements(view.output(0)) + 1))


def _spectral_subtraction(view: OperatorView) -> None:
    """signal/micro/kernels/filter_bank_spectral_subtraction.cc: a noise estimate a channel."""
    _borrow_all(view)
    view.init.append(4 * elements(view.output(0)))


def _rfft(view: OperatorView) -> None:
    """signal/micro/kernels/rfft.cc, and kiss_fftr_alloc(): its state, a transform of half the length, and factors.

    The length of the transform is that of its output, which holds one complex number more than half of it.
    """
    _borrow_all(view)
    length = max(extent(view.output(0), -1) - 2, 2)
    complex_bytes = 2 * item_bytes(view.output(0))
    half = length // 2
    transform = _KISS_FFT_STATE_BYTES + complex_bytes * half
    view.init.append(3 * view.abi.pointer_bytes + transform + complex_bytes * (half * 3 // 2))
    view.scratch.append(length * item_bytes(view.output(0)))


# Length, direction and 64 factors, as integers.
_KISS_FFT_STATE_BYTES = 264


def _signal(view: OperatorView) -> None:
    """signal/micro/kernels: parameters and state, in practice no more than some multiple of the data's size."""
    _borrow_all(view)
    view.prepare += [256, 12 * view.data_bytes + 512]
    _say_guess(view)


def _guess(view: OperatorView) -> None:
    """For custom operators: a struct, and scratch as large as all data that flows through."""
    view.borrow(*view.inputs, *view.outputs, *view.inputs, *view.outputs)
    view.prepare.append(256)
    view.scratch.append(view.data_bytes)
    _say_guess(view)


def _say_guess(view: OperatorView) -> None:
    view.guessed = True
    view.bound(
        f"what it needs is not known; {sum(view.prepare)} bytes of persistent memory and {sum(view.scratch)} bytes of "
        "scratch are assumed"
    )


_RULES: dict[str, _Rule] = {
    "ADD_N": _add_n,
    "ASSIGN_VARIABLE": _borrow_inputs(1),
    "BATCH_MATMUL": _batch_matmul,
    "BATCH_TO_SPACE_ND": _borrow_ends,
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv_2d,
    "CUMSUM": _cumsum,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "DEPTH_TO_SPACE": _writable_shape,
    "EMBEDDING_LOOKUP": _embedding_lookup,
    "EQUAL": _borrow_inputs(0, 1),
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _writable_shape,
    "GATHER_ND": _writable_shape,
    "GREATER": _borrow_inputs(0, 1),
    "GREATER_EQUAL": _borrow_inputs(0, 1),
    "IF": _borrow_inputs(0),
    "L2_POOL_2D": _writable_shape,
    "LESS": _borrow_inputs(0, 1),
    "LESS_EQUAL": _borrow_inputs(0, 1),
    "LOG_SOFTMAX": _log_softmax,
    "MEAN": _reduce,
    "MIRROR_PAD": _mirror_pad,
    "NOT_EQUAL": _borrow_inputs(0, 1),
    "READ_VARIABLE": _borrow_inputs(0),
    "REDUCE_ALL": _reduce,
    "REDUCE_MAX": _reduce,
    "REDUCE_MIN": _reduce,
    "RELU6": _borrow_inputs(0),
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "SPACE_TO_BATCH_ND": _borrow_ends,
    "SPACE_TO_DEPTH": _writable_shape,
    "SPLIT": _borrow_inputs(0),
    "SPLIT_V": _borrow_inputs(2),
    "SUM": _reduce,
    "SVDF": _svdf,
    "SignalFilterBank": _filter_bank,
    "SignalFilterBankSpectralSubtraction": _spectral_subtraction,
    "SignalRfft": _rfft,
    "TANH": _tanh,
    "TFLite_Detection_PostProcess": _detection_postprocess,
    "TRANSPOSE_CONV": _transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}

_RULES_OF: dict[KernelSet, dict[str, _Rule]] = {
    KernelSet.REFERENCE_2022: arena_2023.RULES_2022,
    KernelSet.REFERENCE_2023: arena_2023.RULES,
    KernelSet.REFERENCE_2024: arena_2023.RULES,
    KernelSet.CMSIS_NN: arena_cmsis_nn.RULES,
    KernelSet.CMSIS_NN_PLAIN: arena_cmsis_nn.RULES,
    KernelSet.CMSIS_NN_2023: arena_2023.CMSIS_NN_RULES,
    KernelSet.CMSIS_NN_2024: arena_2023.CMSIS_NN_RULES,
    KernelSet.CMSIS_NN_MVE: arena_cmsis_nn.RULES,
    KernelSet.ESP_NN: arena_esp_nn.RULES,
    KernelSet.ESP_NN_PORTABLE: arena_esp_nn.RULES,
}
"""What each set does otherwise than the reference kernels."""
