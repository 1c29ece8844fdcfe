"""What a .tflite file says, as frozen dataclasses.

Names follow the TensorFlow Lite schema (version 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import prod


class TensorType(Enum):
    """Element types, by the schema's numbers."""

    FLOAT32 = 0
    FLOAT16 = 1
    INT32 = 2
    UINT8 = 3
    INT64 = 4
    STRING = 5
    BOOL = 6
    INT16 = 7
    COMPLEX64 = 8
    INT8 = 9
    FLOAT64 = 10
    COMPLEX128 = 11
    UINT64 = 12
    RESOURCE = 13
    VARIANT = 14
    UINT32 = 15
    UINT16 = 16
    INT4 = 17
    BFLOAT16 = 18
    INT2 = 19
    UINT4 = 20
    FLOAT8_E4M3FN = 21
    FLOAT8_E5M2 = 22

    @property
    def bits(self) -> int:
        """Width of one element; 0 where the type has no fixed width."""
        return _TYPE_BITS[self]


_TYPE_BITS: dict[TensorType, int] = {
    TensorType.FLOAT32: 32,
    TensorType.FLOAT16: 16,
    TensorType.INT32: 32,
    TensorType.UINT8: 8,
    TensorType.INT64: 64,
    TensorType.STRING: 0,
    TensorType.BOOL: 8,
    TensorType.INT16: 16,
    TensorType.COMPLEX64: 64,
    TensorType.INT8: 8,
    TensorType.FLOAT64: 64,
    TensorType.COMPLEX128: 128,
    TensorType.UINT64: 64,
    TensorType.RESOURCE: 32,  # TFLM stores the resource's id in an int32 (TfLiteTypeSizeOf).
    TensorType.VARIANT: 0,
    TensorType.UINT32: 32,
    TensorType.UINT16: 16,
    TensorType.INT4: 4,
    TensorType.BFLOAT16: 16,
    TensorType.INT2: 2,
    TensorType.UINT4: 4,
    TensorType.FLOAT8_E4M3FN: 8,
    TensorType.FLOAT8_E5M2: 8,
}

OptionValue = bool | int | float | str | tuple[int, ...] | tuple[float, ...]


@dataclass(frozen=True)
class Quantization:
    """real = scale * (stored - zero_point); one entry per tensor, or one per channel of *dimension*.

    details: the schema's name of another scheme that should replace these figures ("BlockwiseQuantization"), which
    TFLM ignores; empty for the usual affine quantization.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    dimension: int = 0
    details: str = ""

    @property
    def per_channel(self) -> bool:
        return len(self.scale) > 1


@dataclass(frozen=True)
class Buffer:
    """Where constant data lies in the file; size 0 means that the tensor is not constant.

    ``offset`` counts from the start of the file, also for buffers outside the FlatBuffer proper
    (models over 2 GB, and those converted with offset buffers).
    """

    index: int
    offset: int
    size_bytes: int
    external: bool = False


@dataclass(frozen=True)
class Tensor:
    index: int
    name: str
    type: TensorType
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    buffer: Buffer
    quantization: Quantization | None
    is_variable: bool = False
    has_rank: bool = False
    sparse: bool = False

    @property
    def element_count(self) -> int:
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes of the data, packed types rounded up to whole bytes."""
        return (self.element_count * self.type.bits + 7) // 8

    @property
    def is_constant(self) -> bool:
        return self.buffer.size_bytes > 0


@dataclass(frozen=True)
class OperatorCode:
    """One entry of the model's operator table.

    name: the schema's name ("CONV_2D"); for a custom operator the custom name ("TFLite_Detection_PostProcess").
    builtin_code: the schema's number; 32 (CUSTOM) for custom operators.
    """

    index: int
    name: str
    builtin_code: int
    version: int
    custom: bool


@dataclass(frozen=True)
class Operator:
    """One node of a subgraph.

    inputs, outputs, intermediates: tensor indices; -1 is an optional input that is absent.
    options: the builtin options table, by the schema's field names, defaults filled in.
    custom_options: the raw bytes of a custom operator.
    """

    index: int
    code: OperatorCode
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options_type: str
    options: tuple[tuple[str, OptionValue], ...]
    custom_options: bytes = b""

    def option(self, name: str, default: OptionValue | None = None) -> OptionValue | None:
        return dict(self.options).get(name, default)


@dataclass(frozen=True)
class Subgraph:
    index: int
    name: str
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class Metadata:
    name: str
    buffer: Buffer


@dataclass(frozen=True)
class SignatureTensor:
    name: str
    tensor_index: int


@dataclass(frozen=True)
class Signature:
    key: str
    subgraph_index: int
    inputs: tuple[SignatureTensor, ...]
    outputs: tuple[SignatureTensor, ...]


@dataclass(frozen=True)
class Model:
    """A whole .tflite file.

    data: the file's bytes, kept so that buffers can be read without a second look at the disk.
    """

    schema_version: int
    description: str
    operator_codes: tuple[OperatorCode, ...]
    subgraphs: tuple[Subgraph, ...]
    buffers: tuple[Buffer, ...]
    metadata: tuple[Metadata, ...]
    signatures: tuple[Signature, ...]
    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    @property
    def main(self) -> Subgraph:
        """The subgraph that Invoke() runs."""
        return self.subgraphs[0]

    def buffer_bytes(self, buffer: Buffer) -> bytes:
        return self.data[buffer.offset : buffer.offset + buffer.size_bytes]

    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(self.main.tensors[i] for i in self.main.inputs)

    def outputs(self) -> tuple[Tensor, ...]:
        return tuple(self.main.tensors[i] for i in self.main.outputs)

    def resource_names(self) -> tuple[str, ...]:
        """Distinct shared names of VAR_HANDLE operators, in order of first appearance."""
        names: dict[str, None] = {}
        for subgraph in self.subgraphs:
            for operator in subgraph.operators:
                if operator.code.name == "VAR_HANDLE":
                    container = operator.option("container", "")
                    shared = operator.option("shared_name", "")
                    names.setdefault(f"{container}/{shared}" if container else str(shared))
        return tuple(names)
