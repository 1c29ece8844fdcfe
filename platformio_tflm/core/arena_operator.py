"""An operator as the rules of ``arena_kernels.py`` see it: its tensors, its options, who runs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from platformio_tflm.core.arena_abi import Abi
from platformio_tflm.core.model import Operator, Tensor, TensorType


class KernelSet(Enum):
    """Whose kernels are linked.

    REFERENCE_2022: those of TensorFlowLite_ESP32 1.0.0, mostly bounded by those of the year after.
    REFERENCE_2023, CMSIS_NN_2023: those of libraries of 2023 (Arduino_TensorFlowLite 2.4.0-ALPHA).
    REFERENCE_2024, CMSIS_NN_2024: the same, but FULLY_CONNECTED's options have grown (tflm_esp32 of July 2024).
    CMSIS_NN: cores with the DSP extension (Cortex-M4, M7, M33).
    CMSIS_NN_PLAIN: cores without it (M0+, M3, M23).
    CMSIS_NN_MVE: cores with Helium (M52, M55, M85).
    ESP_NN_PORTABLE: Espressif's chips without code of their own in ESP-NN (ESP32, S2, C3, C6, H2).
    ESP_NN: those with (ESP32-S3, ESP32-P4), a bound, because they differ from version to version.
    """

    REFERENCE = "reference"
    REFERENCE_2022 = "reference-2022"
    REFERENCE_2023 = "reference-2023"
    REFERENCE_2024 = "reference-2024"
    CMSIS_NN = "cmsis-nn"
    CMSIS_NN_PLAIN = "cmsis-nn-plain"
    CMSIS_NN_2023 = "cmsis-nn-2023"
    CMSIS_NN_2024 = "cmsis-nn-2024"
    CMSIS_NN_MVE = "cmsis-nn-mve"
    ESP_NN = "esp-nn"
    ESP_NN_PORTABLE = "esp-nn-portable"

    @property
    def is_cmsis_nn(self) -> bool:
        return self.value.startswith("cmsis-nn")

    @property
    def is_esp_nn(self) -> bool:
        return self.value.startswith("esp-nn")

    @property
    def is_older(self) -> bool:
        return self.value.endswith(("-2022", "-2023", "-2024"))


@dataclass(frozen=True)
class Kernels:
    """The kernels that one library links.

    usual: those of every operator that *others* does not name. others: an operator's name and its kernels: a library's
    files need not all be of one year.
    bounded: operators whose kernel was measured, and found to need no more than what the rules say.
    unknown: operators whose kernel is none that was measured. unknown_files: files of the interpreter and the allocator
    that are none that were measured. Both are planned by the nearest rules, and with some room more.
    """

    usual: KernelSet
    others: tuple[tuple[str, KernelSet], ...] = ()
    bounded: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    unknown_files: tuple[str, ...] = ()

    def of(self, operator: str) -> KernelSet:
        return next((kernels for name, kernels in self.others if name == operator), self.usual)


class OperatorView:
    """An operator's tensors; absent ones are None.

    init, prepare, scratch: bytes of the persistent buffers that its Init(), beside its data, and its Prepare() ask for,
    and of the scratch buffers; filled in by the rules.
    borrowed, borrowed_by_eval: the TfLiteTensors that its Prepare() and its Eval() borrow, one entry each time.
    uncertain: what is not known exactly; "" where everything is. guessed: it may be more than what the rules say.
    """

    def __init__(self, operator: Operator, tensors: tuple[Tensor, ...], kernels: KernelSet, abi: Abi) -> None:
        self.operator = operator
        self.kernels = kernels
        self.abi = abi
        self.inputs = [tensors[index] if index >= 0 else None for index in operator.inputs]
        self.outputs = [tensors[index] if index >= 0 else None for index in operator.outputs]
        self.init: list[int] = []
        self.prepare: list[int] = []
        self.scratch: list[int] = []
        self.borrowed: list[Tensor] = []
        self.borrowed_by_eval: list[Tensor] = []
        self.uncertain = ""
        self.guessed = False

    def input(self, position: int) -> Tensor | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def output(self, position: int) -> Tensor | None:
        return self.outputs[position] if position < len(self.outputs) else None

    def number(self, name: str, default: int) -> int:
        value = self.operator.option(name, default)
        return value if isinstance(value, int) else default

    def borrow(self, *tensors: Tensor | None) -> None:
        self.borrowed += [tensor for tensor in tensors if tensor]

    def borrow_in_eval(self, *tensors: Tensor | None) -> None:
        self.borrowed_by_eval += [tensor for tensor in tensors if tensor]

    def bound(self, reason: str) -> None:
        """Say why what the rules ask for is not exact, though never too little."""
        self.uncertain = self.uncertain or reason

    @property
    def dilated(self) -> bool:
        return self.number("dilation_w_factor", 1) != 1 or self.number("dilation_h_factor", 1) != 1

    @property
    def data_bytes(self) -> int:
        """Of everything that flows through the operator."""
        return sum(tensor.size_bytes for tensor in (*self.inputs, *self.outputs) if tensor)


def elements(tensor: Tensor | None) -> int:
    return tensor.element_count if tensor else 0


def extent(tensor: Tensor | None, dimension: int) -> int:
    """One dimension of the shape, counted from either end; 1 where it does not exist, as TFLM extends shapes."""
    if tensor is None or not -len(tensor.shape) <= dimension < len(tensor.shape):
        return 1
    return tensor.shape[dimension]


def of_type(tensor: Tensor | None, *types: TensorType) -> bool:
    return tensor is not None and tensor.type in types


def int8_or_int16(tensor: Tensor | None) -> bool:
    return of_type(tensor, TensorType.INT8, TensorType.INT16)


def scales(tensor: Tensor | None) -> int:
    """How many scales the tensor has: one, or one a channel; 0 if it is not quantized."""
    return len(tensor.quantization.scale) if tensor and tensor.quantization else 0


def item_bytes(tensor: Tensor | None) -> int:
    """TfLiteTypeGetSize(): types below 8 bits take a whole byte."""
    return max(tensor.type.bits, 8) // 8 if tensor else 0


def shape_bytes(tensor: Tensor | None) -> int:
    """The TfLiteIntArray of a shape."""
    return 4 + 4 * len(tensor.shape) if tensor else 4


def int4_weights(view: OperatorView) -> None:
    """Weights of four bits are unpacked to a byte each."""
    if of_type(view.input(1), TensorType.INT4):
        view.scratch.append(elements(view.input(1)))


def transposed(view: OperatorView, tensor: Tensor | None) -> None:
    """AllocInitTransposeTensorFromTfLiteTensor(): a transposed copy of one of BATCH_MATMUL's operands."""
    view.prepare += [view.abi.eval_tensor, shape_bytes(tensor), elements(tensor) * item_bytes(tensor)]
