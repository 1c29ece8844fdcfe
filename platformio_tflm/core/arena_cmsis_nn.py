"""What CMSIS-NN's kernels ask of the arena where they ask for other than the reference kernels do.

Sources: kernels/cmsis_nn/*.cc of TFLM 90b983c, and the arm_*_get_buffer_size() of CMSIS-NN 99f736a.
"""

from __future__ import annotations

from collections.abc import Callable
from math import fmod

from platformio_tflm.core.arena_operator import (
    KernelSet,
    OperatorView,
    elements,
    extent,
    int8_or_int16,
    item_bytes,
    of_type,
    scales,
    shape_bytes,
    transposed,
)
from platformio_tflm.core.model import Tensor, TensorType

# Of arm_nnsupportfunctions.h: CH_IN_BLOCK_MVE, REVERSE_TCOL_EFFICIENT_THRESHOLD.
_MVE_CHANNEL_BLOCK = 124
_REVERSE_EFFICIENT_ABOVE = 16


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _columns_bytes(view: OperatorView, columns: int, *, int16: bool = False) -> int:
    """arm_convolve_s8_get_buffer_size(), _s16_: the im2col buffer for *columns* weights an output channel."""
    if view.kernels is KernelSet.CMSIS_NN_MVE:
        return 4 * _round_up(columns, 8) * 2 if int16 else 4 * _round_up(columns, 16)
    return 2 * columns * 2 if int16 else 2 * _round_up(columns, 4) * 2


def _request(view: OperatorView, size_bytes: int) -> None:
    """Kernels ask for scratch only if the size is not nought."""
    if size_bytes > 0:
        view.scratch.append(size_bytes)


def _per_channel(view: OperatorView, channels: int) -> None:
    if int8_or_int16(view.input(0)):
        view.prepare += [4 * channels] * 2


def _borrow_for_convolution(view: OperatorView) -> None:
    view.borrow(view.input(0), view.input(1), view.output(0))
    view.borrow(view.input(0), view.input(1), view.input(2), view.output(0))


def _conv_2d(view: OperatorView) -> None:
    """kernels/cmsis_nn/conv.cc.

    It looks for the bias among the outputs, so that every int16 convolution takes the buffer.
    """
    _borrow_for_convolution(view)
    data, weights = view.input(0), view.input(1)
    _per_channel(view, extent(weights, 0))
    if data is None or not int8_or_int16(data):
        return
    int8 = data.type is TensorType.INT8
    if int8 and _is_pointwise(view, data, weights):
        return
    columns = extent(weights, 1) * extent(weights, 2) * extent(data, 3)
    narrow = _one_row_bytes(view) if int8 and view.kernels is KernelSet.CMSIS_NN_MVE else None
    _request(view, _columns_bytes(view, columns, int16=not int8) if narrow is None else narrow)


def _one_row_bytes(view: OperatorView) -> int | None:
    """arm_convolve_1_x_n_s8_get_buffer_size_mve(); None if the convolution is not of that kind."""
    data, weights, output = view.input(0), view.input(1), view.output(0)
    channels, width, reach = extent(data, 3), extent(data, 2), extent(weights, 2)
    stride, out_width = view.number("stride_w", 1), extent(output, 2)
    one_row = extent(data, 1) == 1 and extent(weights, 1) == 1 and not view.dilated
    if not one_row or (stride * channels) % 4 or channels != extent(weights, 3) or of_type(weights, TensorType.INT4):
        return None
    total = (out_width - 1) * stride + reach - width
    pad = max(total, 0) // 2
    odd = int(fmod(total, 2))
    right = max(1, (pad + odd + stride - 1) // stride) if pad + odd else 0
    left = max(1, (pad + stride - 1) // stride) if pad else 0
    if right + max(out_width - right - left, 0) + left != out_width:
        return None
    after = right * channels if odd else pad * channels
    return max((reach + pad) * channels, (reach - 1) * channels + after)


def _is_pointwise(view: OperatorView, data: Tensor, weights: Tensor | None) -> bool:
    """arm_nn_is_convolve_1x1() of int8: no buffer. Padding is nought for a 1x1 window whatever its scheme."""
    window = extent(weights, 1) * extent(weights, 2)
    return window == 1 and not view.dilated and extent(data, 3) == extent(weights, 3)


def _depthwise_conv_2d(view: OperatorView) -> None:
    """kernels/cmsis_nn/depthwise_conv.cc."""
    _borrow_for_convolution(view)
    data, weights, output = view.input(0), view.input(1), view.output(0)
    _per_channel(view, extent(weights, 3))
    if of_type(data, TensorType.INT8):
        _request(view, _depthwise_bytes(view, data, weights, output))


def _depthwise_bytes(view: OperatorView, data: Tensor | None, weights: Tensor | None, output: Tensor | None) -> int:
    """arm_depthwise_conv_wrapper_s8_get_buffer_size(), _s4_."""
    window = extent(weights, 1) * extent(weights, 2)
    mve = view.kernels is KernelSet.CMSIS_NN_MVE
    int4 = of_type(weights, TensorType.INT4)
    if mve and extent(data, 3) == 1 and extent(output, 3) > 1 and not int4:
        return _columns_bytes(view, window) + window * extent(output, 3)
    if extent(data, 3) != extent(output, 3) or extent(data, 0) != 1 or view.dilated:
        return 0
    if mve:
        return 4 * _MVE_CHANNEL_BLOCK * window
    # A 3x3 window has padding of at most 1 on either side, which the fast path takes without a buffer.
    fast = extent(weights, 1) == 3 and extent(weights, 2) == 3
    without = fast or view.kernels is KernelSet.CMSIS_NN_PLAIN
    return 0 if without and not int4 else extent(data, 3) * window * 2


def _fully_connected(view: OperatorView) -> None:
    """kernels/cmsis_nn/fully_connected.cc: fakes a scale a channel where it runs as a 1x1 convolution."""
    view.borrow(*view.inputs, *view.outputs)
    data, weights, output = view.input(0), view.input(1), view.output(0)
    channels = scales(weights)
    if channels > 1 and not of_type(data, TensorType.FLOAT32):
        view.prepare += [4 * channels] * 2
    if not of_type(data, TensorType.INT8) or of_type(weights, TensorType.INT4):
        return
    depth = extent(output, -1)
    if output and len(output.shape) > 2 and extent(weights, -1) % 4 == 0:
        if channels <= 1:
            view.scratch.append(8 * depth)
    elif view.kernels is KernelSet.CMSIS_NN_MVE:
        _kernel_sums(view, 4 * depth)


def _kernel_sums(view: OperatorView, size_bytes: int) -> None:
    """Persistent when built for speed, scratch when built for size: both are counted."""
    view.prepare.append(size_bytes)
    view.scratch.append(size_bytes)
    view.bound("sums of its weights are counted both as persistent memory and as scratch")


def _average_pool(view: OperatorView) -> None:
    """kernels/cmsis_nn/pooling.cc: a sum a channel, only with the DSP extension."""
    view.borrow(view.input(0), view.output(0), view.input(0), view.output(0))
    if int8_or_int16(view.input(0)) and view.kernels is KernelSet.CMSIS_NN:
        _request(view, 4 * extent(view.output(0), 3))


def _svdf(view: OperatorView) -> None:
    """kernels/cmsis_nn/svdf.cc."""
    view.borrow(*view.inputs, *view.outputs)
    data = view.input(0)
    batch, filters = extent(data, 0), extent(view.input(1), 0)
    view.scratch.append(4 * batch * filters)
    if of_type(data, TensorType.INT8):
        view.scratch.append(4 * batch * (filters // max(view.number("rank", 1), 1)))
        if view.kernels is KernelSet.CMSIS_NN_MVE:
            _kernel_sums(view, 4 * filters)


def _lstm(view: OperatorView) -> None:
    """kernels/cmsis_nn/unidirectional_sequence_lstm.cc: eight sums of weights. Inputs 0, 18, 19: data, states."""
    view.borrow(*view.inputs, *view.outputs)
    data, cell = view.input(0), view.input(19)
    state = extent(view.input(18), 1)
    integer = int8_or_int16(data) and of_type(cell, TensorType.INT16)
    if integer:
        view.prepare += [state * (8 if of_type(data, TensorType.INT16) else 4)] * 8
    time_major = bool(view.operator.option("time_major", False))
    batch = extent(data, 1 if time_major else 0)
    view.scratch += [batch * state * item_bytes(cell)] * (3 if integer else 4)


def _transpose_conv(view: OperatorView) -> None:
    """kernels/cmsis_nn/transpose_conv.cc. Inputs: output shape, weights, data, bias."""
    weights, data, bias, output = view.input(1), view.input(2), view.input(3), view.output(0)
    view.borrow(output, data, weights)
    view.prepare += [4 * extent(weights, 0)] * 2
    if of_type(data, TensorType.INT8):
        _transpose_conv_int8(view, data, weights, output)
    if of_type(data, TensorType.INT16):
        view.scratch.append(8 * elements(output))
        if of_type(bias, TensorType.INT16):
            view.scratch.append(8 * elements(bias))
    if not of_type(data, TensorType.FLOAT32):
        view.borrow(data, weights, bias, output)


def _transpose_conv_int8(
    view: OperatorView, data: Tensor | None, weights: Tensor | None, output: Tensor | None
) -> None:
    """arm_transpose_conv_s8_get_buffer_size(), arm_transpose_conv_s8_get_reverse_conv_buffer_size()."""
    stride_w, stride_h = view.number("stride_w", 1), view.number("stride_h", 1)
    rows, columns = extent(weights, 1), extent(weights, 2)
    if stride_w <= 2 and stride_h <= 2 and extent(data, 3) > _REVERSE_EFFICIENT_ABOVE:
        view.scratch += [_columns_bytes(view, rows * columns * extent(data, 3)), elements(weights)]
    else:
        width = ((extent(data, 2) - 1) * stride_w + max(columns, stride_h)) * extent(output, 3)
        view.scratch += [width * max(rows, stride_h) * 4, 0]


def _batch_matmul(view: OperatorView) -> None:
    """kernels/cmsis_nn/batch_matmul.cc."""
    view.borrow(*view.inputs, *view.outputs)
    left, right = view.input(0), view.input(1)
    if view.operator.option("adj_x", False):
        transposed(view, left)
    if not view.operator.option("adj_y", False):
        transposed(view, right)
    view.prepare.append(shape_bytes(view.output(0)))
    if int8_or_int16(left):
        view.prepare.append(28)
    if of_type(left, TensorType.INT8) and view.kernels is KernelSet.CMSIS_NN_MVE:
        view.scratch.append(4 * extent(view.output(0), -1))


RULES: dict[str, Callable[[OperatorView], None]] = {
    "AVERAGE_POOL_2D": _average_pool,
    "BATCH_MATMUL": _batch_matmul,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "SVDF": _svdf,
    "TRANSPOSE_CONV": _transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
