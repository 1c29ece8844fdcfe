"""Shapes, scales and zero points of inputs and outputs as C++ constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from platformio_tflm.core.model import Quantization, Tensor, TensorType
from platformio_tflm.errors import ModelError


@dataclass(frozen=True)
class ElementType:
    """cpp: C++ type; enumerator: of TfLiteType, if every generation has it; has_values: floats can be stored in it."""

    cpp: str
    enumerator: str
    has_values: bool = True


_BYTES = ElementType("unsigned char", "kTfLiteNoType", has_values=False)
_ELEMENT_TYPES: dict[TensorType, ElementType] = {
    TensorType.FLOAT32: ElementType("float", "kTfLiteFloat32"),
    TensorType.FLOAT64: ElementType("double", "kTfLiteFloat64"),
    TensorType.FLOAT16: ElementType("uint16_t", "kTfLiteFloat16", has_values=False),
    TensorType.BFLOAT16: ElementType("uint16_t", "kTfLiteNoType", has_values=False),
    TensorType.INT8: ElementType("int8_t", "kTfLiteInt8"),
    TensorType.UINT8: ElementType("uint8_t", "kTfLiteUInt8"),
    TensorType.INT16: ElementType("int16_t", "kTfLiteInt16"),
    TensorType.UINT16: ElementType("uint16_t", "kTfLiteNoType"),
    TensorType.INT32: ElementType("int32_t", "kTfLiteInt32"),
    TensorType.UINT32: ElementType("uint32_t", "kTfLiteUInt32"),
    TensorType.INT64: ElementType("int64_t", "kTfLiteInt64"),
    TensorType.UINT64: ElementType("uint64_t", "kTfLiteUInt64", has_values=False),
    TensorType.BOOL: ElementType("bool", "kTfLiteBool"),
}


def element_type(kind: TensorType) -> ElementType:
    """Packed and foreign types are handed out as bytes."""
    return _ELEMENT_TYPES.get(kind, _BYTES)


@dataclass(frozen=True)
class Constant:
    """A static constexpr member of a class template: declared with its value, defined without it (C++11's ODR)."""

    type: str
    name: str
    values: tuple[str, ...]

    def declaration(self) -> str:
        return f"static constexpr {self.type} {self.name}[{len(self.values)}] = {{{', '.join(self.values)}}};"

    def definition(self, class_name: str) -> str:
        return (
            f"template <class Unused>\n"
            f"constexpr {self.type} {class_name}Constants<Unused>::{self.name}[{len(self.values)}];"
        )


def constants(kind: str, tensors: Sequence[Tensor]) -> list[Constant]:
    """Element counts, byte sizes, scales and zero points, one entry a tensor; a lone zero where there is none."""
    scaled = [_scale(kind, index, tensor) for index, tensor in enumerate(tensors)]
    columns: list[tuple[str, str, list[str]]] = [
        ("uint32_t", "ElementCounts", [f"{tensor.element_count}u" for tensor in tensors]),
        ("uint32_t", "Bytes", [f"{tensor.size_bytes}u" for tensor in tensors]),
        ("uint32_t", "Ranks", [f"{len(tensor.shape)}u" for tensor in tensors]),
        ("float", "Scales", [float_literal(scale) for scale, _ in scaled]),
        ("int32_t", "ZeroPoints", [_integer(zero) for _, zero in scaled]),
    ]
    return [Constant(ctype, f"k{kind}{name}", tuple(values) or ("0",)) for ctype, name, values in columns]


def shape_constants(kind: str, tensors: Sequence[Tensor]) -> list[Constant]:
    """``kInput0Shape`` and so on; a scalar's shape is one zero, its rank says that it has none."""
    return [
        Constant("int32_t", f"k{kind}{index}Shape", tuple(map(_integer, tensor.shape)) or ("0",))
        for index, tensor in enumerate(tensors)
    ]


def float_literal(value: float) -> str:
    """A C++ float literal that reads back as the same float32."""
    text = f"{value:.9g}"
    return f"{text}f" if any(c in text for c in ".e") else f"{text}.0f"


def _integer(value: int) -> str:
    # -2147483648 is an expression of type long in C++, and narrowing it in a list is an error on 16-bit targets.
    return f"({value + 1} - 1)" if value == -(2**31) else str(value)


def _scale(kind: str, index: int, tensor: Tensor) -> tuple[float, int]:
    """Scale and zero point of the whole tensor; 1 and 0 where stored values are the real ones."""
    quantization = tensor.quantization
    if quantization is None or not quantization.scale or tensor.type is TensorType.FLOAT32:
        return 1.0, 0
    where = f"{kind.lower()} {index}"
    if quantization.per_channel:
        raise ModelError(f"{len(quantization.scale)} scales, one a channel; an input or output has one", where=where)
    scale = quantization.scale[0]
    if not (math.isfinite(scale) and 0 < scale < 3.4e38):
        raise ModelError(f"the scale is {scale}, not a positive number", where=where)
    return scale, _zero_point(quantization, where)


def _zero_point(quantization: Quantization, where: str) -> int:
    zero_point = quantization.zero_point[0] if quantization.zero_point else 0
    if not -(2**31) <= zero_point < 2**31:
        raise ModelError(f"the zero point is {zero_point}, beyond 32 bits", where=where)
    return zero_point
