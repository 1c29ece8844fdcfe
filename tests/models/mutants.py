"""Damaged models without end: of a seed, always the same ones.

Two kinds. Bytes of a model changed, cut or mixed with another's mostly make files that cannot be read. Models that are
changed before they are written are sound FlatBuffers and say absurd things, which reach the planner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from struct import pack, pack_into, unpack_from
from typing import Any

from models import make_models
from models.builder import GraphSpec, ModelSpec, OperatorSpec, TensorSpec, serialize
from models.single_operators import single_operators

_WORDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x01000000, 0x10000)
_NUMBERS = (-(2**31), -65536, -3, -1, 0, 1, 2, 3, 4, 16, 127, 255, 65536, 2**24, 2**31 - 1)
_EXTENTS = (-1, 0, 1, 1, 2, 3, 4, 8, 16, 17, 255, 4096, 65536, 2**31 - 1)
_TYPES = ("FLOAT32", "INT8", "INT16", "INT32", "INT64", "UINT8", "BOOL", "INT4", "STRING", "RESOURCE", "COMPLEX128")
_CODES = (
    *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    *("BATCH_MATMUL", "AVERAGE_POOL_2D", "MEAN", "SOFTMAX", "CONCATENATION", "IF", "WHILE", "CALL_ONCE", "VAR_HANDLE"),
    *("ASSIGN_VARIABLE", "SignalRfft", "SignalFilterBank", "TFLite_Detection_PostProcess", "of nobody\x1b[2J"),
)

# Options of 32 bits; most others are enumerations, of one byte.
_WIDE_FIELDS = frozenset(
    (
        *("StrideW", "StrideH", "DilationWFactor", "DilationHFactor", "FilterWidth", "FilterHeight"),
        *("DepthMultiplier", "Rank", "Axis", "BlockSize", "NumSplits"),
        *("ThenSubgraphIndex", "ElseSubgraphIndex", "CondSubgraphIndex", "BodySubgraphIndex", "InitSubgraphIndex"),
    )
)


def mutants(seed: int, files: Sequence[bytes]) -> Iterator[bytes]:
    """By turns a file with other bytes, and one that says something else. *files*: .tflite files, at least one."""
    random = Random(seed)  # noqa: S311 - to be repeated, not to be secret
    specs = [*make_models.specifications().values(), *single_operators().values()]
    while True:
        yield _other_bytes(random, files)
        yield serialize(_other_words(random, random.choice(specs)))


def _other_bytes(random: Random, files: Sequence[bytes]) -> bytes:
    data = bytearray(random.choice(files))
    for _ in range(random.randint(1, 4)):
        random.choice((_flip, _set_byte, _set_word, _move_offset, _splice, _cut, _truncate))(random, data, files)
        if len(data) < 32:
            break
    return bytes(data)


def _place(random: Random, data: bytearray) -> int:
    """Tables are more worth damaging than weights: most of them lie at the ends of a file."""
    reach = min(len(data), random.choice((256, 4096, len(data))))
    place = random.randrange(reach)
    return place if random.random() < 0.5 else len(data) - reach + place


def _flip(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[_place(random, data)] ^= 1 << random.randrange(8)


def _set_byte(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    data[_place(random, data)] = random.randrange(256)


def _word(random: Random, data: bytearray) -> int:
    return min(_place(random, data), len(data) - 4) & ~3


def _set_word(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    pack_into("<I", data, _word(random, data), random.choice(_WORDS))


def _move_offset(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = _word(random, data)
    pack_into("<I", data, place, (unpack_from("<I", data, place)[0] + random.randint(-64, 64)) & 0xFFFFFFFF)


def _splice(random: Random, data: bytearray, files: Sequence[bytes]) -> None:
    other = random.choice(files)
    start, length = random.randrange(len(other)), random.randint(1, 256)
    place = _place(random, data)
    data[place : place + length] = other[start : start + length]


def _cut(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = _place(random, data)
    del data[place : place + 4 * random.randint(1, 16)]


def _truncate(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[_place(random, data) :]


def _other_words(random: Random, spec: ModelSpec) -> ModelSpec:
    for _ in range(random.randint(1, 3)):
        spec = random.choice((_other_graph, _other_graph, _other_graph, _other_metadata))(random, spec)
    return spec


def _other_metadata(random: Random, spec: ModelSpec) -> ModelSpec:
    count = sum(len(graph.tensors) for graph in spec.graphs) + random.choice((0, 0, 0, 0, 1))
    offsets = [random.choice((-1, -1, 0, 16, 16 * random.randrange(100), 2**31 - 16, 8)) for _ in range(count)]
    plan = pack(f"<3I{count}i", 1, 0, count, *offsets)
    return replace(spec, metadata={random.choice(("OfflineMemoryAllocation", "COMPRESSION_METADATA")): plan})


def _other_graph(random: Random, spec: ModelSpec) -> ModelSpec:
    graphs = list(spec.graphs)
    place = random.randrange(len(graphs))
    change = random.choice((_other_tensor, _other_tensor, _other_operator, _other_operator, _other_ends))
    graphs[place] = change(random, graphs[place])
    # A signature cannot be written for an index below zero.
    return replace(spec, graphs=tuple(graphs), signature_key="")


def _other_tensor(random: Random, graph: GraphSpec) -> GraphSpec:
    if not graph.tensors:
        return graph
    place = random.randrange(len(graph.tensors))
    changed = replace(graph.tensors[place], **_tensor_change(random, graph.tensors[place]))
    return replace(graph, tensors=(*graph.tensors[:place], changed, *graph.tensors[place + 1 :]))


def _tensor_change(random: Random, tensor: TensorSpec) -> dict[str, Any]:
    shape = list(tensor.shape)
    if shape and random.random() < 0.6:
        shape[random.randrange(len(shape))] = random.choice(_EXTENTS)
    else:
        shape = [random.choice(_EXTENTS) for _ in range(random.randint(0, 6))]
    scales = random.choice((0, 1, 2, 8))
    return random.choice(
        (
            {"shape": tuple(shape)},
            {"shape": tuple(shape), "data": None},
            {"type": random.choice(_TYPES)},
            {"variable": not tensor.variable},
            {"data": random.choice((None, b"\0", bytes(16)))},
            {"scale": (0.5,) * scales, "zero_point": (0,) * scales},
        )
    )


def _other_operator(random: Random, graph: GraphSpec) -> GraphSpec:
    operators = list(graph.operators)
    if not operators:
        return graph
    place = random.randrange(len(operators))
    operator = operators[place]
    last = len(graph.tensors) - 1
    change = random.choice(
        (
            {"code": random.choice(_CODES)},
            {"inputs": _indices(random, operator.inputs, last)},
            {"outputs": _indices(random, operator.outputs, last)},
            {"options": _other_options(random, operator)},
            {"options": _other_options(random, operator)},
            None,
        )
    )
    if change is None:
        operators.insert(random.randrange(len(operators)), operators.pop(place))
    else:
        operators[place] = replace(operator, **change)
    return replace(graph, operators=tuple(operators))


def _indices(random: Random, indices: tuple[int, ...], last: int) -> tuple[int, ...]:
    kind = random.choice(("one", "fewer", "more", "many"))
    one = random.randint(-1, max(last, 0))
    if kind == "many":
        return (one,) * random.choice((20, 300))
    if kind == "more" or not indices:
        return (*indices, one)
    place = random.randrange(len(indices))
    return (*indices[:place], *((one,) if kind == "one" else ()), *indices[place + 1 :])


def _other_options(random: Random, operator: OperatorSpec) -> tuple[str, dict[str, Any]] | None:
    """Numbers that nobody would write, in fields that the operator has; now and then none at all."""
    if operator.options is None or random.random() < 0.1:
        return None
    kind, values = operator.options
    changed = {
        name: random.choice(_NUMBERS) if name in _WIDE_FIELDS and random.random() < 0.6 else value
        for name, value in values.items()
    }
    return kind, changed


def _other_ends(random: Random, graph: GraphSpec) -> GraphSpec:
    last = len(graph.tensors) - 1
    if random.random() < 0.5:
        return replace(graph, inputs=_indices(random, graph.inputs, last))
    return replace(graph, outputs=_indices(random, graph.outputs, last))
