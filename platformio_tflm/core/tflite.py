"""bytes -> Model: the .tflite reader.

Everything is read by the slots of ``tflite_schema.py`` through the bounds-checked ``flatbuf.py``; what a sound
FlatBuffer may still get wrong (indices, shapes, order, calls) is checked here and in ``tflite_checks.py``.
The reader raises ``ModelError`` without a file name; callers add it with ``.located(path)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from math import isfinite
from struct import Struct
from typing import NamedTuple

from platformio_tflm.core.flatbuf import FlatBuffer, Table, damaged, too_many
from platformio_tflm.core.foreign import shown
from platformio_tflm.core.model import (
    Buffer,
    Metadata,
    Model,
    Operator,
    OperatorCode,
    OptionValue,
    Quantization,
    Signature,
    SignatureTensor,
    Subgraph,
    Tensor,
    TensorType,
)
from platformio_tflm.core.tflite_checks import check_model
from platformio_tflm.core.tflite_schema import (
    BUILTIN_OPTIONS,
    BUILTIN_OPTIONS_2,
    FILE_IDENTIFIER,
    OPERATOR_NAMES,
    OPTION_FIELDS,
    QUANTIZATION_DETAILS,
    SCHEMA_VERSION,
    BufferSlot,
    MetadataSlot,
    ModelSlot,
    OperatorCodeSlot,
    OperatorSlot,
    QuantizationSlot,
    SignatureSlot,
    SubgraphSlot,
    TensorMapSlot,
    TensorSlot,
)
from platformio_tflm.errors import ModelError

DEFAULT_MAX_SIZE_BYTES = 64 << 20

# Far above any model for a microcontroller, far below what costs noticeable time or memory to read. Tensors, operators
# and signatures' tensors count over the whole model: a file may point at one subgraph many times.
MAX_SUBGRAPHS = 256
MAX_TENSORS = 16_384
MAX_OPERATORS = 16_384
MAX_OPERATOR_CODES = 1_024
MAX_BUFFERS = 65_536
MAX_METADATA = 1_024
MAX_SIGNATURES = 256
MAX_SIGNATURE_TENSORS = 4_096
MAX_RANK = 16

_CUSTOM = 32

_FORMS: dict[str, Struct] = {
    "byte": Struct("<b"),
    "ubyte": Struct("<B"),
    "bool": Struct("<?"),
    "int": Struct("<i"),
    "uint": Struct("<I"),
    "long": Struct("<q"),
    "ulong": Struct("<Q"),
    "float": Struct("<f"),
}
_BYTE, _UBYTE, _BOOL, _INT, _UINT, _ULONG = (_FORMS[name] for name in ("byte", "ubyte", "bool", "int", "uint", "ulong"))
_LETTERS = {name: form.format[-1] for name, form in _FORMS.items()}


def read_model(data: bytes, *, max_size_bytes: int = DEFAULT_MAX_SIZE_BYTES) -> Model:
    """The model in *data*, the bytes of a .tflite file of at most *max_size_bytes*.

    Raises ModelError, one line of what is wrong and one of what to do; ``where`` is the place inside the file.
    """
    _refuse_other_files(data, max_size_bytes)
    root = FlatBuffer(data).root()
    version = root.number(ModelSlot.VERSION, _UINT)
    if version != SCHEMA_VERSION:
        raise _other_version(f"version {version}")
    buffers = _read_buffers(root, len(data))
    codes = _read_operator_codes(root)
    model = Model(
        schema_version=version,
        description=root.text(ModelSlot.DESCRIPTION, "the description"),
        operator_codes=codes,
        subgraphs=_read_subgraphs(root, codes, buffers),
        buffers=buffers,
        metadata=_read_metadata(root, buffers),
        signatures=_read_signatures(root),
        data=data,
    )
    check_model(model)
    return model


def _refuse_other_files(data: bytes, max_size_bytes: int) -> None:
    if not data:
        raise ModelError("is empty (0 bytes)", hint="Copy or convert the model again.")
    if len(data) > max_size_bytes:
        raise ModelError(
            f"has {len(data):,} bytes, more than the {max_size_bytes:,} allowed for a model",
            hint="No supported board can hold it: is it the right file?",
        )
    identifier = data[4:8]
    if identifier == FILE_IDENTIFIER:
        return
    if identifier[:3] == FILE_IDENTIFIER[:3] and len(identifier) == 4:
        raise _other_version(f"identifier {shown(identifier.decode('latin-1'))}")
    from platformio_tflm.core.tflite_sniff import identify  # noqa: PLC0415 - only broken builds pay for it

    kind = identify(data)
    if kind:
        raise ModelError(f"is not a TensorFlow Lite model but {kind.what}", hint=kind.hint)
    if len(data) < 8:
        raise damaged(f"has only {len(data)} bytes, too few for a TensorFlow Lite model")
    raise ModelError(
        'is not a TensorFlow Lite model: the identifier "TFL3" is missing at byte 4',
        hint="Give the .tflite that tf.lite.TFLiteConverter writes.",
    )


def _other_version(found: str) -> ModelError:
    return ModelError(
        f"is written in another version of the TensorFlow Lite schema ({found}, allowed is version {SCHEMA_VERSION})",
        hint="Convert the model again with a current TensorFlow.",
    )


def _read_buffers(root: Table, file_bytes: int) -> tuple[Buffer, ...]:
    return tuple(
        _read_buffer(table, i, file_bytes)
        for i, table in enumerate(root.tables(ModelSlot.BUFFERS, "buffer", MAX_BUFFERS))
    )


def _read_buffer(table: Table, index: int, file_bytes: int) -> Buffer:
    """The schema's rule: offset and size count only if the offset is above 1."""
    offset = table.number(BufferSlot.OFFSET, _ULONG)
    if offset <= 1:
        start, size_bytes = table.extent(BufferSlot.DATA, f"the data of buffer {index}")
        return Buffer(index, start if size_bytes else 0, size_bytes)
    size_bytes = table.number(BufferSlot.SIZE, _ULONG)
    if offset + size_bytes > file_bytes:
        raise damaged(
            f"buffer {index} should lie at bytes {offset:,} to {offset + size_bytes:,} (outside the FlatBuffer), "
            f"but the file has {file_bytes:,}"
        )
    return Buffer(index, offset, size_bytes, external=True)


def _read_operator_codes(root: Table) -> tuple[OperatorCode, ...]:
    tables = root.tables(ModelSlot.OPERATOR_CODES, "operator code", MAX_OPERATOR_CODES)
    return tuple(_read_operator_code(table, index) for index, table in enumerate(tables))


def _read_operator_code(table: Table, index: int) -> OperatorCode:
    # Codes up to 127 may stand in the old 8-bit field only (files written before TensorFlow 2.4).
    code = max(
        table.number(OperatorCodeSlot.DEPRECATED_BUILTIN_CODE, _BYTE),
        table.number(OperatorCodeSlot.BUILTIN_CODE, _INT),
    )
    custom = code == _CUSTOM
    if code < 0:
        raise damaged(f"operator code {index} has the negative number {code}")
    if custom:
        name = table.text(OperatorCodeSlot.CUSTOM_CODE, f"the name of operator code {index}")
        if not name:
            raise damaged(f"operator code {index} is a custom operator without a name")
        if "\0" in name:
            # TFLM ends it there, and two names that are different here would be one in the generated resolver.
            raise damaged(f"the name of operator code {index} ({shown(name)}) has a zero byte in it")
    else:
        name = OPERATOR_NAMES[code] if code < len(OPERATOR_NAMES) else f"BUILTIN_{code}"
    return OperatorCode(index, name, code, table.number(OperatorCodeSlot.VERSION, _INT, 1), custom)


def _read_subgraphs(root: Table, codes: tuple[OperatorCode, ...], buffers: tuple[Buffer, ...]) -> tuple[Subgraph, ...]:
    tables = root.tables(ModelSlot.SUBGRAPHS, "subgraph", MAX_SUBGRAPHS)
    if not tables:
        raise ModelError("has no subgraph, nothing to run", hint="Convert the model again; the file holds no graph.")
    _refuse_more(tables, (SubgraphSlot.TENSORS,), "tensor", MAX_TENSORS)
    _refuse_more(tables, (SubgraphSlot.OPERATORS,), "operator", MAX_OPERATORS)
    return tuple(_read_subgraph(table, index, codes, buffers) for index, table in enumerate(tables))


def _refuse_more(tables: Iterable[Table], slots: tuple[int, ...], what: str, limit: int) -> None:
    """Counted before anything is read."""
    count = sum(table.count(slot, what) for table in tables for slot in slots)
    if count > limit:
        raise too_many(count, f"{what}s", limit)


def _read_subgraph(table: Table, index: int, codes: tuple[OperatorCode, ...], buffers: tuple[Buffer, ...]) -> Subgraph:
    try:
        tensors = tuple(
            _read_tensor(item, i, buffers)
            for i, item in enumerate(table.tables(SubgraphSlot.TENSORS, "tensor", MAX_TENSORS))
        )
        return Subgraph(
            index=index,
            name=table.text(SubgraphSlot.NAME, "the subgraph's name"),
            tensors=tensors,
            inputs=_tensor_indices(table, SubgraphSlot.INPUTS, "inputs", len(tensors)),
            outputs=_tensor_indices(table, SubgraphSlot.OUTPUTS, "outputs", len(tensors)),
            operators=tuple(
                _read_operator(item, i, codes, len(tensors))
                for i, item in enumerate(table.tables(SubgraphSlot.OPERATORS, "operator", MAX_OPERATORS))
            ),
        )
    except ModelError as error:
        raise error.located(f"subgraph {index}") from None


def _tensor_indices(table: Table, slot: int, what: str, count: int, lowest: int = 0) -> tuple[int, ...]:
    indices = table.numbers(slot, "i", f"the {what}")
    for index in indices:
        if not lowest <= index < count:
            raise damaged(f"the {what} name tensor {index}, but there are {count} tensors")
    return indices


def _read_tensor(table: Table, index: int, buffers: tuple[Buffer, ...]) -> Tensor:
    name = ""
    try:
        name = table.text(TensorSlot.NAME, "the tensor's name")
        shape = table.numbers(TensorSlot.SHAPE, "i", "the shape")
        if len(shape) > MAX_RANK:
            raise damaged(f"has {len(shape)} dimensions, allowed are {MAX_RANK}")
        return Tensor(
            index=index,
            name=name,
            type=_tensor_type(table.number(TensorSlot.TYPE, _BYTE)),
            shape=shape,
            shape_signature=table.numbers(TensorSlot.SHAPE_SIGNATURE, "i", "the shape signature"),
            buffer=_tensor_buffer(table, buffers),
            quantization=_read_quantization(table.table(TensorSlot.QUANTIZATION, "the quantization")),
            is_variable=bool(table.number(TensorSlot.IS_VARIABLE, _BOOL)),
            has_rank=bool(table.number(TensorSlot.HAS_RANK, _BOOL)),
            sparse=table.has(TensorSlot.SPARSITY),
        )
    except ModelError as error:
        raise error.located(f"tensor {index}{f' ({shown(name)})' if name else ''}") from None


def _tensor_type(number: int) -> TensorType:
    try:
        return TensorType(number)
    except ValueError:
        raise ModelError(
            f"has element type {number}, unknown to TensorFlow Lite (known are 0 to {len(TensorType) - 1})",
            hint="The file is damaged, or newer than this plugin: update it.",
        ) from None


def _tensor_buffer(table: Table, buffers: tuple[Buffer, ...]) -> Buffer:
    if table.number(TensorSlot.EXTERNAL_BUFFER, _UINT):
        raise ModelError(
            "keeps its data in another file (external_buffer)",
            hint="Convert the model with its weights inside the .tflite.",
        )
    number = table.number(TensorSlot.BUFFER, _UINT)
    if number == 0 and not buffers:
        return Buffer(0, 0, 0)
    if number >= len(buffers):
        raise damaged(f"names buffer {number}, but there are {len(buffers)} buffers")
    return buffers[number]


def _read_quantization(table: Table | None) -> Quantization | None:
    """As TFLM does it: without both scales and zero points there is none, and one zero point serves all channels."""
    if table is None:
        return None
    scale = table.reals(QuantizationSlot.SCALE, "the scales")
    zero_point = table.numbers(QuantizationSlot.ZERO_POINT, "q", "the zero points")
    if not scale or not zero_point:
        return None
    if len(zero_point) == 1:
        zero_point *= len(scale)
    if len(zero_point) != len(scale):
        raise damaged(f"has {len(scale)} scales, but {len(zero_point)} zero points")
    if not all(map(isfinite, scale)):
        raise damaged("has a quantization scale that is not a finite number")
    # Not compared with the shape: published models give 1-dimensional biases the dimension of their weights.
    dimension = table.number(QuantizationSlot.QUANTIZED_DIMENSION, _INT)
    details = table.number(QuantizationSlot.DETAILS_TYPE, _UBYTE)
    return Quantization(scale, zero_point, dimension, _entry(QUANTIZATION_DETAILS, details, "QuantizationDetails"))


def _entry(names: tuple[str, ...], number: int, union: str) -> str:
    """The name of a union's member; "" for none, the bare number for one that is newer than the tables."""
    if number == 0:
        return ""
    return names[number] if number < len(names) else f"{union} {number}"


def _read_operator(table: Table, index: int, codes: tuple[OperatorCode, ...], tensor_count: int) -> Operator:
    name = ""
    try:
        number = table.number(OperatorSlot.OPCODE_INDEX, _UINT)
        if number >= len(codes):
            raise damaged(f"names operator code {number}, but there are {len(codes)}")
        name = codes[number].name
        options_type, options = _read_options(table)
        return Operator(
            index=index,
            code=codes[number],
            inputs=_tensor_indices(table, OperatorSlot.INPUTS, "inputs", tensor_count, lowest=-1),
            outputs=_tensor_indices(table, OperatorSlot.OUTPUTS, "outputs", tensor_count),
            intermediates=_tensor_indices(table, OperatorSlot.INTERMEDIATES, "intermediates", tensor_count),
            options_type=options_type,
            options=options,
            custom_options=_read_custom_options(table),
        )
    except ModelError as error:
        raise error.located(f"operator {index}{f' ({shown(name)})' if name else ''}") from None


def _read_custom_options(table: Table) -> bytes:
    """Options behind the FlatBuffer proper count only if their offset is above 1, as with buffers."""
    offset = table.number(OperatorSlot.LARGE_CUSTOM_OPTIONS_OFFSET, _ULONG)
    if offset <= 1:
        return table.raw(OperatorSlot.CUSTOM_OPTIONS, "the custom options")
    size_bytes = table.number(OperatorSlot.LARGE_CUSTOM_OPTIONS_SIZE, _ULONG)
    return table.raw_outside(offset, size_bytes, "the custom options")


class _Field(NamedTuple):
    slot: int
    name: str
    type: str
    default: str


@cache
def _option_fields(options_type: str) -> tuple[_Field, ...]:
    """The fields of an options table, parsed from OPTION_FIELDS when a model first needs them."""
    fields = []
    for slot, text in enumerate(OPTION_FIELDS.get(options_type, "").split()):
        name, _, rest = text.partition(":")
        kind, _, default = rest.partition("=")
        if not name.startswith("-"):
            fields.append(_Field(slot, name, kind, default))
    return tuple(fields)


def _read_options(table: Table) -> tuple[str, tuple[tuple[str, OptionValue], ...]]:
    """(type, fields) of the first of the two unions that is set; types newer than the tables have no fields."""
    unions = (
        (OperatorSlot.BUILTIN_OPTIONS_TYPE, OperatorSlot.BUILTIN_OPTIONS, BUILTIN_OPTIONS, "BuiltinOptions"),
        (OperatorSlot.BUILTIN_OPTIONS_2_TYPE, OperatorSlot.BUILTIN_OPTIONS_2, BUILTIN_OPTIONS_2, "BuiltinOptions2"),
    )
    for type_slot, value_slot, names, union in unions:
        number = table.number(type_slot, _UBYTE)
        options = table.table(value_slot, "the options") if number else None
        if options is not None:
            name = _entry(names, number, union)
            return name, tuple((field.name, _read_option(options, field)) for field in _option_fields(name))
    return "", ()


def _read_option(table: Table, field: _Field) -> OptionValue:
    if field.type == "string":
        return table.text(field.slot, field.name)
    if field.type == "float":
        return table.real(field.slot, _FORMS["float"], float(field.default or 0))
    if field.type == "[float]":
        return table.reals(field.slot, field.name)
    if field.type.startswith("["):
        return table.numbers(field.slot, _LETTERS[field.type[1:-1]], field.name)
    value = table.number(field.slot, _FORMS[field.type], int(field.default or 0))
    return bool(value) if field.type == "bool" else value


def _read_metadata(root: Table, buffers: tuple[Buffer, ...]) -> tuple[Metadata, ...]:
    entries = []
    for index, table in enumerate(root.tables(ModelSlot.METADATA, "metadata entry", MAX_METADATA)):
        number = table.number(MetadataSlot.BUFFER, _UINT)
        if number >= len(buffers):
            raise damaged(f"metadata entry {index} names buffer {number}, but there are {len(buffers)} buffers")
        entries.append(Metadata(table.text(MetadataSlot.NAME, "the name of a metadata entry"), buffers[number]))
    return tuple(entries)


def _read_signatures(root: Table) -> tuple[Signature, ...]:
    tables = root.tables(ModelSlot.SIGNATURE_DEFS, "signature", MAX_SIGNATURES)
    _refuse_more(tables, (SignatureSlot.INPUTS, SignatureSlot.OUTPUTS), "signature tensor", MAX_SIGNATURE_TENSORS)
    return tuple(
        Signature(
            key=table.text(SignatureSlot.SIGNATURE_KEY, "the key of a signature"),
            subgraph_index=table.number(SignatureSlot.SUBGRAPH_INDEX, _UINT),
            inputs=_read_tensor_map(table, SignatureSlot.INPUTS),
            outputs=_read_tensor_map(table, SignatureSlot.OUTPUTS),
        )
        for table in tables
    )


def _read_tensor_map(table: Table, slot: int) -> tuple[SignatureTensor, ...]:
    return tuple(
        SignatureTensor(
            item.text(TensorMapSlot.NAME, "the name of a signature's tensor"),
            item.number(TensorMapSlot.TENSOR_INDEX, _UINT),
        )
        for item in table.tables(slot, "signature tensor", MAX_SIGNATURE_TENSORS)
    )
