"""What ESP-NN's kernels ask of the arena: a bound over the chips that it is written for.

Sources: kernels/esp_nn/*.cc of esp-tflite-micro, and the esp_nn_get_*_scratch_size() of ESP-NN d45b843 (1.2.3). They
differ between chips (nothing for the ESP32 and ESP32-C3, most for the ESP32-S3) and between versions.
"""

from __future__ import annotations

from collections.abc import Callable

from platformio_tflm.core.arena_operator import OperatorView, elements, extent, of_type
from platformio_tflm.core.model import TensorType

_BOUND = "its scratch with ESP-NN is a bound over all chips"

# Room that the kernels add for alignment and for reading past the ends.
_MARGIN_BYTES = 64


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


class _Window:
    """The figures that both convolutions are computed from. padded: with all padding that any of the paths adds."""

    def __init__(self, view: OperatorView) -> None:
        data, weights, output = view.input(0), view.input(1), view.output(0)
        self.height, self.width, self.channels = extent(data, 1), extent(data, 2), extent(data, 3)
        self.rows, self.columns = extent(weights, 1), extent(weights, 2)
        self.out_height, self.out_width, self.out_channels = extent(output, 1), extent(output, 2), extent(output, 3)
        stride_h, stride_w = view.number("stride_h", 1), view.number("stride_w", 1)
        self.reach_height = max(self.out_height * stride_h + self.rows - 1, self.height) + 2 * (self.rows // 2)
        self.reach_width = max(self.out_width * stride_w + self.columns - 1, self.width) + 2 * (self.columns // 2)

    @property
    def taps(self) -> int:
        return self.rows * self.columns

    def padded(self, channels: int) -> int:
        return self.reach_height * self.reach_width * channels


def _begin(view: OperatorView, channels: int) -> bool:
    """What both have in common with the reference kernels; true if scratch of their own follows."""
    data, weights = view.input(0), view.input(1)
    view.borrow(view.output(0), data, weights)
    view.borrow(data, weights, view.input(2), view.output(0))
    view.prepare += [4 * channels] * 2
    if of_type(weights, TensorType.INT4):
        view.scratch.append(elements(weights))
    return of_type(data, TensorType.INT8)


def _conv_2d(view: OperatorView) -> None:
    """kernels/esp_nn/conv.cc; weights with channels rounded up, the padded input, and sums."""
    if not _begin(view, extent(view.input(1), 0)):
        return
    window = _Window(view)
    outputs = window.out_channels
    wide = max(_round_up(window.channels, 16), 16)
    weights = window.taps * wide * outputs
    aligned_rows = _round_up(window.columns * window.channels, 16) * window.rows * outputs
    inputs = 2 * window.padded(max(window.channels, wide if window.taps * window.channels < 16 else 0))
    transposed = 2 * 8 * _round_up(window.channels, 8)
    view.scratch.append(weights + aligned_rows + inputs + transposed + 8 * outputs + 2 * _MARGIN_BYTES)
    view.bound(_BOUND)


def _depthwise_conv_2d(view: OperatorView) -> None:
    """kernels/esp_nn/depthwise_conv.cc; weights, input and sometimes output as 16-bit or with channels rounded up."""
    if not _begin(view, extent(view.input(1), 3)):
        return
    window = _Window(view)
    channels = _round_up(max(window.channels, 1), 16)
    multiplied = max(channels, window.out_channels)
    weights = 2 * window.taps * multiplied
    outputs = window.out_height * window.out_width * channels
    view.scratch.append(weights + 2 * window.padded(channels) + outputs + 12 * channels + 2 * _MARGIN_BYTES)
    view.bound(_BOUND)


def _softmax(view: OperatorView) -> None:
    """kernels/esp_nn/softmax.cc: an int32 for each of the second dimension."""
    view.borrow(*view.inputs, *view.outputs)
    if of_type(view.input(0), TensorType.INT16):
        view.prepare += [1026, 1026]
    if of_type(view.input(0), TensorType.INT8):
        view.scratch.append(4 * max(extent(view.input(0), 1), extent(view.input(0), -1)))
        view.bound(_BOUND)


RULES: dict[str, Callable[[OperatorView], None]] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "SOFTMAX": _softmax,
}
