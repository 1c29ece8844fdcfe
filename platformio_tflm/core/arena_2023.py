"""What kernels of 2022 to 2024 ask of the arena where newer ones ask for something else.

Read and measured on Arduino_TensorFlowLite 2.4.0-ALPHA, whose kernels are CMSIS-NN's; the data of its reference kernels
is what they keep beside that of CMSIS-NN.
"""

from __future__ import annotations

from collections.abc import Callable

from platformio_tflm.core import arena_cmsis_nn
from platformio_tflm.core.arena_operator import (
    KernelSet,
    OperatorView,
    elements,
    extent,
    int4_weights,
    int8_or_int16,
    of_type,
)
from platformio_tflm.core.arena_sizes import KernelSizes
from platformio_tflm.core.model import TensorType

SIZES: dict[str, KernelSizes] = {
    "ABS": KernelSizes(data=(20, 20, 40)),
    "CONV_2D": KernelSizes(options=(24, 24, 24), data=(56, 56, 72), data_cmsis_nn=(60, 60, 0)),
    "FULLY_CONNECTED": KernelSizes((4, 12, 12), (36, 36, 64), (60, 60, 0), bytes_on_eabi=True),
    "MEAN": KernelSizes(options=(1, 1, 1), data=(40, 40, 40)),
    "REDUCE_MAX": KernelSizes(options=(1, 1, 1), data=(40, 40, 40)),
    "RELU6": KernelSizes(data=(2, 2, 2)),
    "RSQRT": KernelSizes(data=(20, 20, 40)),
    "SELECT_V2": KernelSizes(data=(2, 2, 2)),
    "STRIDED_SLICE": KernelSizes(options=(20, 20, 20), data=(84, 84, 84)),
    "SUM": KernelSizes(options=(1, 1, 1), data=(40, 40, 40)),
    "SVDF": KernelSizes(options=(8, 12, 12), data=(36, 36, 36)),
    "TRANSPOSE_CONV": KernelSizes(options=(16, 20, 20), data=(72, 72, 80)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": KernelSizes(options=(16, 16, 16), data=(688, 688, 728)),
}


# Since the end of 2023, FULLY_CONNECTED's options hold the type of its bias as well.
SIZES_2024 = {**SIZES, "FULLY_CONNECTED": KernelSizes((5, 16, 16), (36, 36, 64), (60, 60, 0))}


def sizes_of(name: str, kernels: KernelSet) -> KernelSizes | None:
    """What an operator's kernel of these years keeps; None where it is what it keeps today."""
    year_2024 = kernels in (KernelSet.REFERENCE_2024, KernelSet.CMSIS_NN_2024)
    return (SIZES_2024 if year_2024 else SIZES).get(name)


def _concatenation(view: OperatorView) -> None:
    """kernels/concatenation.cpp: scale and zero point of every int8 input."""
    view.borrow(view.input(0), view.output(0), *view.inputs, view.output(0))
    if of_type(view.output(0), TensorType.INT8):
        view.prepare += [4 * len(view.inputs)] * 2
        view.borrow(*view.inputs)


def _fully_connected(view: OperatorView) -> None:
    """kernels/fully_connected.cpp: one scale for all weights."""
    view.borrow(*view.inputs, *view.outputs)
    int4_weights(view)


def _fully_connected_cmsis_nn(view: OperatorView) -> None:
    """kernels/cmsis_nn/fully_connected.cpp: a scale a channel where it runs as a 1x1 convolution."""
    _fully_connected(view)
    output = view.output(0)
    as_convolution = output and len(output.shape) > 2 and extent(view.input(1), -1) % 4 == 0
    if as_convolution and of_type(view.input(0), TensorType.INT8):
        view.prepare += [4 * extent(output, -1)] * 2


def _mean_or_sum(view: OperatorView) -> None:
    """kernels/reduce_common.cpp: an accumulator for integers."""
    data, axes, output = view.input(0), view.input(1), view.output(0)
    view.borrow(data, output, axes, data, axes)
    if of_type(data, TensorType.INT8):
        view.borrow(output)
    if int8_or_int16(data):
        view.scratch.append(4 * elements(output))


def _select(view: OperatorView) -> None:
    """kernels/select.cpp."""
    view.borrow(*view.inputs, *view.outputs)
    view.borrow_in_eval(*view.inputs, *view.outputs)


def _if(view: OperatorView) -> None:
    """kernels/if.cpp."""
    view.borrow(view.input(0))
    view.borrow_in_eval(view.input(0))


def _conv_2d_cmsis_nn(view: OperatorView) -> None:
    """kernels/cmsis_nn/conv.cpp, arm_convolve_wrapper_s8_get_buffer_size() and its _s16_."""
    data, weights = view.input(0), view.input(1)
    view.borrow(data, weights, view.output(0))
    view.borrow(data, weights, view.input(2), view.output(0))
    if not int8_or_int16(data):
        return
    view.prepare += [4 * extent(weights, 0)] * 2
    int4_weights(view)
    columns = extent(weights, 1) * extent(weights, 2) * extent(data, 3)
    strided = view.number("stride_w", 1) != 1 or view.number("stride_h", 1) != 1
    if of_type(data, TensorType.INT8):
        without = columns == extent(data, 3) and not strided and not view.dilated
    else:
        without = columns >= _FAST_INT16_COLUMNS or view.dilated
    if not without:
        view.scratch.append(4 * columns)


# Above it, arm_convolve_wrapper_s16() does without a buffer.
_FAST_INT16_COLUMNS = 512


def _depthwise_conv_2d_cmsis_nn(view: OperatorView) -> None:
    """kernels/cmsis_nn/depthwise_conv.cpp, arm_depthwise_conv_wrapper_s8_get_buffer_size()."""
    data, weights, output = view.input(0), view.input(1), view.output(0)
    view.borrow(data, weights, output)
    view.borrow(data, weights, view.input(2), output)
    if int8_or_int16(data):
        view.prepare += [4 * extent(weights, 3)] * 2
    int4_weights(view)
    fast = extent(data, 3) == extent(output, 3) and extent(data, 0) == 1 and not view.dilated
    if of_type(data, TensorType.INT8) and fast:
        view.scratch.append(2 * extent(data, 3) * extent(weights, 1) * extent(weights, 2))


def _average_pool_cmsis_nn(view: OperatorView) -> None:
    """kernels/cmsis_nn/pooling.cpp, for cores with the DSP extension."""
    view.borrow(view.input(0), view.output(0), view.input(0), view.output(0))
    if int8_or_int16(view.input(0)):
        view.scratch.append(4 * extent(view.output(0), 3))


RULES: dict[str, Callable[[OperatorView], None]] = {
    "CONCATENATION": _concatenation,
    "FULLY_CONNECTED": _fully_connected,
    "IF": _if,
    "MEAN": _mean_or_sum,
    "SELECT_V2": _select,
    "SUM": _mean_or_sum,
}


def _lstm_2022(view: OperatorView) -> None:
    """kernels/unidirectional_sequence_lstm.cpp of TensorFlowLite_ESP32 1.0.0: each step borrows its tensors anew."""
    for _ in range(_LSTM_STEPS_2022):
        view.borrow(*view.inputs, *view.outputs)
    time_major = bool(view.operator.option("time_major", False))
    cells = extent(view.input(0), 1 if time_major else 0) * extent(view.input(19), -1)
    view.prepare += [4 * max(extent(view.input(18), -1), extent(view.input(19), -1))] * 12
    view.scratch += [16 * cells, *[4 * cells] * 5]
    view.bound("its memory in libraries of 2022 is bounded, not counted")


_LSTM_STEPS_2022 = 6

RULES_2022: dict[str, Callable[[OperatorView], None]] = {**RULES, "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm_2022}

CMSIS_NN_RULES: dict[str, Callable[[OperatorView], None]] = {
    **RULES,
    "AVERAGE_POOL_2D": _average_pool_cmsis_nn,
    "CONV_2D": _conv_2d_cmsis_nn,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d_cmsis_nn,
    "FULLY_CONNECTED": _fully_connected_cmsis_nn,
    "SVDF": arena_cmsis_nn.RULES["SVDF"],
}
