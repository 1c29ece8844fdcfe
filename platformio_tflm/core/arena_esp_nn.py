"""What ESP-NN's kernels ask of the arena: exact for the chips that get its portable code, a bound for the others.

Sources: kernels/esp_nn/*.cc of esp-tflite-micro 1.4.0, and the esp_nn_get_*_scratch_size() of ESP-NN 1.0.0 to 1.2.3,
of which its include/esp_nn.h picks one for each chip. Those of ESP32, S2, C3, C6 and H2 have never changed: nothing for
convolutions, a sum a column for SOFTMAX. Those of the ESP32-S3 and the ESP32-P4 change from version to version.
"""

from __future__ import annotations

from collections.abc import Callable

from platformio_tflm.core.arena_operator import KernelSet, OperatorView, elements, extent, int4_weights, of_type
from platformio_tflm.core.model import TensorType

_BOUND = "its scratch with ESP-NN is a bound over all chips"
_NO_WIDTH = "ESP-NN takes its scratch from a second dimension that its input does not have"

# Room that the kernels add for alignment and for reading past the ends.
_MARGIN_BYTES = 64

# Beginnings of build.mcu of the chips with code of their own; any other esp32 has the portable code.
_OWN_CODE = ("esp32s3", "esp32p4")


def esp_nn_of(microcontroller: str) -> KernelSet:
    """By a board's ``build.mcu``; the bound over all chips where it is not known."""
    portable = microcontroller.startswith("esp32") and not microcontroller.startswith(_OWN_CODE)
    return KernelSet.ESP_NN_PORTABLE if portable else KernelSet.ESP_NN


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _reach(view: OperatorView) -> int:
    """Pixels of the input with all padding that any of the paths adds."""
    data, weights, output = view.input(0), view.input(1), view.output(0)
    sides = []
    for dimension, stride in ((1, "stride_h"), (2, "stride_w")):
        window = extent(weights, dimension)
        dilated = (window - 1) * max(view.number(f"dilation_{stride[-1]}_factor", 1), 1)
        far = extent(output, dimension) * max(view.number(stride, 1), 1) + window - 1
        sides.append(max(far, extent(data, dimension)) + max(2 * (window // 2), dilated))
    return sides[0] * sides[1]


def _begin(view: OperatorView, channels: int) -> bool:
    """What both have in common with the reference kernels; true if scratch of their own follows."""
    data, weights = view.input(0), view.input(1)
    view.borrow(view.output(0), data, weights)
    view.borrow(data, weights, view.input(2), view.output(0))
    view.prepare += [4 * channels] * 2
    int4_weights(view)
    return of_type(data, TensorType.INT8)


def _conv_2d(view: OperatorView) -> None:
    """kernels/esp_nn/conv.cc; weights with channels rounded up, the padded input, and sums.

    Beyond 1.2.3 perhaps the output of a grouped convolution as well.
    """
    if not _begin(view, extent(view.input(1), 0)) or view.kernels is KernelSet.ESP_NN_PORTABLE:
        return
    data, weights, output = view.input(0), view.input(1), view.output(0)
    channels, outputs = extent(data, 3), extent(output, 3)
    rows, columns = extent(weights, 1), extent(weights, 2)
    wide = _round_up(max(channels, 1), 16)
    size_bytes = rows * columns * wide * outputs
    size_bytes += _round_up(columns * channels, 16) * rows * outputs
    size_bytes += 2 * _reach(view) * max(channels, wide if rows * columns * channels < 16 else 0)
    size_bytes += elements(output) if extent(weights, 3) < channels else 0
    size_bytes += 32 * _round_up(channels, 8) + 16 * outputs + 3 * _MARGIN_BYTES
    view.scratch.append(size_bytes)
    view.bound(_BOUND)


def _depthwise_conv_2d(view: OperatorView) -> None:
    """kernels/esp_nn/depthwise_conv.cc; weights, input and perhaps output as int16 or with channels rounded up."""
    if not _begin(view, extent(view.input(1), 3)) or view.kernels is KernelSet.ESP_NN_PORTABLE:
        return
    data, weights, output = view.input(0), view.input(1), view.output(0)
    channels = _round_up(max(extent(data, 3), 1), 16)
    size_bytes = 2 * extent(weights, 1) * extent(weights, 2) * max(channels, extent(output, 3))
    size_bytes += 2 * _reach(view) * channels + extent(output, 1) * extent(output, 2) * channels
    view.scratch.append(size_bytes + 12 * channels + 2 * _MARGIN_BYTES)
    view.bound(_BOUND)


def _softmax(view: OperatorView) -> None:
    """kernels/esp_nn/softmax.cc: an int32 for each of the second dimension, whichever is summed over."""
    view.borrow(*view.inputs, *view.outputs)
    data = view.input(0)
    if of_type(data, TensorType.INT16):
        view.prepare += [1026, 1026]
    if data is None or not of_type(data, TensorType.INT8) or not of_type(view.output(0), TensorType.INT8):
        return
    view.scratch.append(4 * (extent(data, 1) if len(data.shape) > 1 else max(extent(data, 0), 1)))
    if len(data.shape) < 2:
        view.bound(_NO_WIDTH)


RULES: dict[str, Callable[[OperatorView], None]] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "SOFTMAX": _softmax,
}
