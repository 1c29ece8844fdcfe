"""What kernels ask of the arena, operator by operator: their own data, and scratch buffers.

Struct sizes stand in ``arena_sizes.py``. Formulas follow the Prepare() of the kernel named in each function (paths in
tensorflow/lite/micro, TFLM 90b983c), and the arm_*_get_buffer_size() of CMSIS-NN 99f736a.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from platformio_tflm.core.arena_sizes import BORROW_ONCE, KERNEL_SIZES, SIGNAL_OPERATORS, KernelSizes
from platformio_tflm.core.model import Operator, Tensor, TensorType


class KernelSet(Enum):
    """Whose kernels are linked.

    CMSIS_NN: cores up to Cortex-M33. CMSIS_NN_2023: the same in libraries of 2023 and before (Arduino_TensorFlowLite
    2.4.0-ALPHA), where a 3x3 depthwise convolution takes scratch as well.
    REFERENCE_2023, REFERENCE_2022: the reference kernels of those years (the last is TensorFlowLite_ESP32 1.0.0's).
    CMSIS_NN_MVE: cores with Helium (Cortex-M55).
    ESP_NN is an estimate: that library tells its scratch sizes at run time only, and they differ between chips.
    """

    REFERENCE = "reference"
    REFERENCE_2023 = "reference-2023"
    REFERENCE_2022 = "reference-2022"
    CMSIS_NN = "cmsis-nn"
    CMSIS_NN_2023 = "cmsis-nn-2023"
    CMSIS_NN_MVE = "cmsis-nn-mve"
    ESP_NN = "esp-nn"

    @property
    def is_cmsis_nn(self) -> bool:
        return self in (KernelSet.CMSIS_NN, KernelSet.CMSIS_NN_2023, KernelSet.CMSIS_NN_MVE)


class KernelMemory(NamedTuple):
    """What one operator takes.

    builtin_data_bytes: its options, parsed. init_bytes, prepare_bytes: persistent buffers of Init() and Prepare().
    scratch_bytes: buffers that live while it runs. temporary_tensors: indices of the TfLiteTensors that Prepare()
    borrows, one entry each time. guessed: the operator is the user's own, or its needs hang on its custom options.
    """

    builtin_data_bytes: int
    init_bytes: tuple[int, ...]
    prepare_bytes: tuple[int, ...]
    scratch_bytes: tuple[int, ...]
    temporary_tensors: tuple[int, ...]
    guessed: bool = False


class _Context:
    """An operator's tensors; absent ones are None."""

    def __init__(self, operator: Operator, tensors: tuple[Tensor, ...], kernels: KernelSet, pointer_bytes: int) -> None:
        self.operator = operator
        self.kernels = kernels
        self.pointer_bytes = pointer_bytes
        self.inputs = [tensors[index] if index >= 0 else None for index in operator.inputs]
        self.outputs = [tensors[index] for index in operator.outputs]

    def input(self, position: int) -> Tensor | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def output(self, position: int) -> Tensor | None:
        return self.outputs[position] if position < len(self.outputs) else None

    def number(self, name: str, default: int) -> int:
        value = self.operator.option(name, default)
        return value if isinstance(value, int) else default


class _Wants:
    """What a rule adds to the fixed sizes."""

    def __init__(self) -> None:
        self.prepare: list[int] = []
        self.scratch: list[int] = []


_Rule = Callable[[_Context, _Wants], None]


_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
_EARLY = (KernelSet.REFERENCE_2022, KernelSet.REFERENCE_2023, KernelSet.CMSIS_NN_2023)

# Calls that borrow a tensor in kernels/unidirectional_sequence_lstm.cpp of TensorFlowLite_ESP32 1.0.0; what is given
# back within one Prepare() is not used again before its end.
_LSTM_2022_BORROWED = 79


def _early(context: _Context, wants: _Wants) -> None:
    """What kernels of 2022 and 2023 keep beyond today's, in concatenation.cpp and unidirectional_sequence_lstm.cpp."""
    name = context.operator.code.name
    if name == "CONCATENATION":
        # Scales and zero points of all inputs, 4 bytes each.
        wants.prepare += [4 * len(context.inputs)] * 2
    elif name == _LSTM and context.kernels is KernelSet.REFERENCE_2022:
        # A row of folded zero points for each of the eight weight matrices.
        wants.prepare += [4 * _extent(context.input(18), 1)] * 8


def kernel_memory(
    operator: Operator, tensors: tuple[Tensor, ...], kernels: KernelSet, pointer_bytes: int
) -> KernelMemory:
    """What *operator*, whose indices count in *tensors*, asks of the arena when *kernels* run it.

    pointer_bytes: above 4, the fixed sizes are doubled, which no struct exceeds.
    """
    context = _Context(operator, tensors, kernels, pointer_bytes)
    wants = _Wants()
    name = operator.code.name
    factor = 1 if pointer_bytes <= 4 else 2
    rule = _RULES.get(name)
    sizes = KERNEL_SIZES.get(name)
    guessed = sizes is None and (rule is None or rule is _signal)
    if kernels in _EARLY:
        _early(context, wants)
    if rule:
        rule(context, wants)
    elif sizes is None:
        _guess(context, wants)
    sizes = sizes or KernelSizes()
    own = sizes.data_cmsis_nn if kernels.is_cmsis_nn and sizes.data_cmsis_nn is not None else sizes.data
    borrowed = tuple(index for index in (*operator.inputs, *operator.outputs) if index >= 0)
    if kernels is KernelSet.REFERENCE_2022 and name == _LSTM:
        borrowed *= -(-_LSTM_2022_BORROWED // len(borrowed))
    return KernelMemory(
        builtin_data_bytes=sizes.options * factor,
        init_bytes=(own * factor,) if own else (),
        prepare_bytes=tuple(wants.prepare),
        scratch_bytes=tuple(wants.scratch),
        temporary_tensors=borrowed if name in BORROW_ONCE else borrowed * 2,
        guessed=guessed,
    )


def _elements(tensor: Tensor | None) -> int:
    return tensor.element_count if tensor else 0


def _extent(tensor: Tensor | None, dimension: int) -> int:
    """One dimension of the shape, counted from either end; 1 where it does not exist, as TFLM extends shapes."""
    if tensor is None or not -len(tensor.shape) <= dimension < len(tensor.shape):
        return 1
    return tensor.shape[dimension]


def _quantized(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.type in (TensorType.INT8, TensorType.INT16, TensorType.UINT8)


def _int4_filter(context: _Context, wants: _Wants) -> None:
    """Reference kernels unpack 4-bit weights to a byte each."""
    weights = context.input(1)
    if weights and weights.type is TensorType.INT4 and not context.kernels.is_cmsis_nn:
        wants.scratch.append(weights.element_count)


def _per_channel(wants: _Wants, channels: int) -> None:
    """Multiplier and shift, an int32 a channel."""
    wants.prepare += [4 * channels, 4 * channels]


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _convolution_columns(context: _Context, columns: int, int16: bool) -> int:
    """arm_convolve_s8_get_buffer_size(), _s16_: the im2col buffer for *columns* weights an output channel."""
    if context.kernels is KernelSet.CMSIS_NN_MVE:
        return 4 * _round_up(columns, 8) * 2 if int16 else 4 * _round_up(columns, 16)
    return 2 * columns * 2 if int16 else 2 * _round_up(columns, 4) * 2


def _conv_2d(context: _Context, wants: _Wants) -> None:
    """kernels/conv_common.cc, kernels/cmsis_nn/conv.cc."""
    data, weights, output = context.input(0), context.input(1), context.output(0)
    if _quantized(data):
        _per_channel(wants, _extent(weights, 0))
    _int4_filter(context, wants)
    if data is None or not _quantized(data):
        return
    if context.kernels is KernelSet.ESP_NN:
        wants.scratch.append(_esp_convolution(data, weights, output))
    if context.kernels.is_cmsis_nn and not _is_pointwise(context, data, weights):
        columns = _extent(weights, 1) * _extent(weights, 2) * _extent(data, 3)
        wants.scratch.append(_convolution_columns(context, columns, data.type is TensorType.INT16))


def _is_pointwise(context: _Context, data: Tensor, weights: Tensor | None) -> bool:
    """arm_nn_is_convolve_1x1() of int8: no buffer. Padding is nought for a 1x1 window whatever its scheme."""
    window = _extent(weights, 1) * _extent(weights, 2)
    dilated = context.number("dilation_w_factor", 1) != 1 or context.number("dilation_h_factor", 1) != 1
    grouped = _extent(data, 3) != _extent(weights, 3)
    return window == 1 and not dilated and not grouped and data.type is TensorType.INT8


def _depthwise_conv_2d(context: _Context, wants: _Wants) -> None:
    """kernels/depthwise_conv_common.cc, kernels/cmsis_nn/depthwise_conv.cc (int8 only)."""
    data, weights, output = context.input(0), context.input(1), context.output(0)
    if _quantized(data):
        _per_channel(wants, _extent(weights, 3))
    _int4_filter(context, wants)
    if data is None or data.type is not TensorType.INT8:
        return
    if context.kernels is KernelSet.ESP_NN:
        wants.scratch.append(_esp_convolution(data, weights, output))
    if context.kernels.is_cmsis_nn:
        size_bytes = _cmsis_depthwise(context, data, weights, output)
        if size_bytes:
            wants.scratch.append(size_bytes)


def _cmsis_depthwise(context: _Context, data: Tensor, weights: Tensor | None, output: Tensor | None) -> int:
    """arm_depthwise_conv_wrapper_s8_get_buffer_size()."""
    window = _extent(weights, 1) * _extent(weights, 2)
    mve = context.kernels is KernelSet.CMSIS_NN_MVE
    if mve and _extent(data, 3) == 1:
        return _convolution_columns(context, window, int16=False) + window * _extent(output, 3)
    dilated = context.number("dilation_w_factor", 1) != 1 or context.number("dilation_h_factor", 1) != 1
    if _extent(data, 3) != _extent(output, 3) or _extent(data, 0) != 1 or dilated:
        return 0
    if mve:
        return 4 * _MVE_CHANNEL_BLOCK * window
    int4 = weights is not None and weights.type is TensorType.INT4
    # A 3x3 window has padding of at most 1 on either side, which the fast path takes without a buffer.
    shape_is_fast = _extent(weights, 1) == 3 and _extent(weights, 2) == 3 and not int4
    fast = shape_is_fast and context.kernels is not KernelSet.CMSIS_NN_2023
    return 0 if fast else _extent(data, 3) * window * 2


# CH_IN_BLOCK_MVE of arm_nnsupportfunctions.h
_MVE_CHANNEL_BLOCK = 124


def _esp_convolution(data: Tensor, weights: Tensor | None, output: Tensor | None) -> int:
    """An estimate of esp_nn_get_*_scratch_size(): weights and padded input as 16-bit, and rows for transposing."""
    rows, columns = _extent(weights, 1), _extent(weights, 2)
    padded = (_extent(data, 1) + rows) * (_extent(data, 2) + columns) * _round_up(_extent(data, 3), 8)
    return 2 * (_elements(weights) + padded) + 16 * max(_extent(data, 3), _extent(output, 3)) + 64


def _fully_connected(context: _Context, wants: _Wants) -> None:
    """kernels/fully_connected_common.cc, kernels/cmsis_nn/fully_connected.cc."""
    data, weights, output = context.input(0), context.input(1), context.output(0)
    channels = len(weights.quantization.scale) if weights and weights.quantization else 0
    if _quantized(data) and channels > 1:
        _per_channel(wants, channels)
    _int4_filter(context, wants)
    int8 = data is not None and data.type is TensorType.INT8
    if not context.kernels.is_cmsis_nn or not int8 or weights is None or weights.type is TensorType.INT4:
        return
    depth = _extent(output, -1)
    if output and len(output.shape) > 2 and _extent(weights, -1) % 4 == 0:
        if channels <= 1:
            wants.scratch.append(8 * depth)
    elif context.kernels is KernelSet.CMSIS_NN_MVE:
        _kernel_sums(wants, 4 * depth)


def _kernel_sums(wants: _Wants, size_bytes: int) -> None:
    """Persistent when built for speed, scratch when built for size: both are counted."""
    wants.prepare.append(size_bytes)
    wants.scratch.append(size_bytes)


def _average_pool(context: _Context, wants: _Wants) -> None:
    """kernels/cmsis_nn/pooling.cc."""
    if context.kernels in (KernelSet.CMSIS_NN, KernelSet.CMSIS_NN_2023) and _quantized(context.input(0)):
        wants.scratch.append(4 * _extent(context.output(0), 3))


def _softmax(context: _Context, wants: _Wants) -> None:
    """kernels/softmax_common.cc: two tables of 513 int16 for int16 input."""
    data = context.input(0)
    if data and data.type is TensorType.INT16:
        wants.prepare += [1026, 1026]


def _svdf(context: _Context, wants: _Wants) -> None:
    """kernels/svdf_common.cc, kernels/cmsis_nn/svdf.cc."""
    data = context.input(0)
    batch, filters = _extent(data, 0), _extent(context.input(1), 0)
    wants.scratch.append(4 * batch * filters)
    if data and data.type is TensorType.INT8:
        wants.scratch.append(4 * batch * (filters // max(context.number("rank", 1), 1)))
        if context.kernels is KernelSet.CMSIS_NN_MVE:
            _kernel_sums(wants, 4 * filters)


def _lstm(context: _Context, wants: _Wants) -> None:
    """kernels/unidirectional_sequence_lstm.cc, kernels/cmsis_nn/unidirectional_sequence_lstm.cc.

    Inputs 0, 18 and 19 are data, hidden state and cell state.
    """
    data, hidden, cell = context.input(0), context.input(18), context.input(19)
    time_major = bool(context.operator.option("time_major", False))
    batch = _extent(data, 1 if time_major else 0)
    state = _extent(hidden, 1)
    width = max(cell.type.bits, 8) // 8 if cell else 4
    integer = _quantized(data)
    if context.kernels.is_cmsis_nn and integer:
        wide = data is not None and data.type is TensorType.INT16
        wants.prepare += [state * (8 if wide else 4)] * 8
    buffers = 3 if context.kernels.is_cmsis_nn and integer else 4
    wants.scratch += [batch * state * width] * buffers


def _transpose_conv(context: _Context, wants: _Wants) -> None:
    """kernels/transpose_conv.cc, kernels/cmsis_nn/transpose_conv.cc. Inputs: output shape, weights, data, bias."""
    weights, data, bias = context.input(1), context.input(2), context.input(3)
    output = context.output(0)
    _per_channel(wants, _extent(weights, 0))
    if data is None:
        return
    if data.type is TensorType.INT16:
        wants.scratch.append(8 * _elements(output))
        if bias and bias.type is TensorType.INT16:
            wants.scratch.append(8 * _elements(bias))
    elif data.type is TensorType.INT8 and context.kernels.is_cmsis_nn:
        _cmsis_transpose_conv(context, wants, data, weights, output)
    elif data.type is TensorType.INT8:
        wants.scratch.append(4 * _elements(output))


def _cmsis_transpose_conv(
    context: _Context, wants: _Wants, data: Tensor, weights: Tensor | None, output: Tensor | None
) -> None:
    """arm_transpose_conv_s8_get_buffer_size() and its _reverse_conv_; the larger of the two ways is taken."""
    stride_w, stride_h = context.number("stride_w", 1), context.number("stride_h", 1)
    rows, columns = _extent(weights, 1), _extent(weights, 2)
    width = ((_extent(data, 2) - 1) * stride_w + max(columns, stride_h)) * _extent(output, 3)
    direct = width * max(rows, stride_h) * 4
    reverse = _convolution_columns(context, rows * columns * _extent(data, 3), int16=False)
    wants.scratch += [max(direct, reverse), _elements(weights)]


def _batch_matmul(context: _Context, wants: _Wants) -> None:
    """kernels/batch_matmul.cc and its CMSIS-NN twin: quantization, and room for transposed operands."""
    left, right = context.input(0), context.input(1)
    wants.prepare.append(32)
    _writable_shape(context, wants)
    transposed = (
        left if context.operator.option("adj_x", False) else None,
        None if context.operator.option("adj_y", False) else right,
    )
    for tensor in transposed:
        if tensor:
            size_bytes = tensor.element_count * max(tensor.type.bits, 8) // 8
            wants.prepare += [3 * context.pointer_bytes, 4 + 4 * len(tensor.shape), size_bytes]
    if context.kernels is KernelSet.CMSIS_NN_MVE:
        wants.scratch.append(4 * _extent(context.output(0), -1))


def _reduce(context: _Context, wants: _Wants) -> None:
    """kernels/reduce_common.cc: an iterator, the axes, and for sums of integers an accumulator."""
    data, axes = context.input(0), context.input(1)
    if context.operator.code.name in ("MEAN", "SUM") and _quantized(data):
        wants.scratch.append(4 * _elements(context.output(0)))
    wants.scratch += [4 * len(data.shape) if data else 0, 4 * max(_elements(axes), 1)]


def _mirror_pad(context: _Context, wants: _Wants) -> None:
    """kernels/mirror_pad.cc."""
    data = context.input(0)
    wants.scratch += [4 * len(data.shape) if data else 0] * 2


def _add_n(context: _Context, wants: _Wants) -> None:
    """kernels/add_n.cc."""
    wants.prepare.append(40)
    wants.scratch.append(context.pointer_bytes * len(context.inputs))


def _writable_shape(context: _Context, wants: _Wants) -> None:
    """CreateWritableTensorDimsWithCopy(): the output's shape is copied to the arena to be corrected there."""
    output = context.output(0)
    wants.prepare.append(4 + 4 * len(output.shape) if output else 4)


def _embedding_lookup(context: _Context, wants: _Wants) -> None:
    _writable_shape(context, wants)
    wants.prepare.append(2 * context.pointer_bytes)


def _fixed(size_bytes: int) -> _Rule:
    """Data of a constant size that Prepare() allocates."""

    def rule(_: _Context, wants: _Wants) -> None:
        wants.prepare.append(size_bytes)

    return rule


def _detection_postprocess(context: _Context, wants: _Wants) -> None:
    """kernels/detection_postprocess.cc; its outputs hold at least as many boxes as it may detect."""
    boxes, scores = context.input(0), context.input(1)
    count, classes = _extent(boxes, 1), _extent(scores, 2)
    found = max(_extent(context.output(0), 1), 1)
    wants.scratch += [count, 16 * count, 4 * count * classes, 4 * count, 4 * count, 4 * found * count]
    wants.scratch += [4 * found * count, 4 * count, 4 * found * count, 4 * max(classes, found) * count]
    wants.scratch.append(4 * min(count, found) * count)


def _filter_bank(context: _Context, wants: _Wants) -> None:
    """signal/micro/kernels/filter_bank.cc: a 64-bit sum a channel, and one more."""
    wants.prepare.append(8 * (_elements(context.output(0)) + 1))


def _spectral_subtraction(context: _Context, wants: _Wants) -> None:
    """signal/micro/kernels/filter_bank_spectral_subtraction.cc: a noise estimate a channel."""
    wants.prepare.append(4 * _elements(context.output(0)))


def _signal(context: _Context, wants: _Wants) -> None:
    """signal/micro/kernels: parameters and state, in practice no more than some multiple of the data's size."""
    data_bytes = sum(tensor.size_bytes for tensor in (*context.inputs, *context.outputs) if tensor)
    wants.prepare += [256, 12 * data_bytes + 512]
    output = context.output(0)
    if context.operator.code.name == "SignalRfft" and output:
        wants.scratch.append(output.size_bytes)


def _guess(context: _Context, wants: _Wants) -> None:
    """For custom operators: a struct, and scratch as large as all data that flows through."""
    data_bytes = sum(tensor.size_bytes for tensor in (*context.inputs, *context.outputs) if tensor)
    wants.prepare.append(256)
    wants.scratch.append(data_bytes)


_RULES: dict[str, _Rule] = {
    "ADD_N": _add_n,
    "AVERAGE_POOL_2D": _average_pool,
    "BATCH_MATMUL": _batch_matmul,
    "CONV_2D": _conv_2d,
    "CUMSUM": _fixed(36),
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "DEPTH_TO_SPACE": _writable_shape,
    "EMBEDDING_LOOKUP": _embedding_lookup,
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _writable_shape,
    "GATHER_ND": _writable_shape,
    "L2_POOL_2D": _writable_shape,
    "LOG_SOFTMAX": _fixed(28),
    "MEAN": _reduce,
    "MIRROR_PAD": _mirror_pad,
    "REDUCE_ALL": _reduce,
    "REDUCE_MAX": _reduce,
    "REDUCE_MIN": _reduce,
    "RESHAPE": _writable_shape,
    "SOFTMAX": _softmax,
    "SPACE_TO_DEPTH": _writable_shape,
    "SignalFilterBank": _filter_bank,
    "SignalFilterBankSpectralSubtraction": _spectral_subtraction,
    "SUM": _reduce,
    "SVDF": _svdf,
    "TFLite_Detection_PostProcess": _detection_postprocess,
    "TRANSPOSE_CONV": _transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
    **dict.fromkeys(SIGNAL_OPERATORS, _signal),
}
