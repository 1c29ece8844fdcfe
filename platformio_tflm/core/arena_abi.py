"""How large TFLM's structs are: by the compiler's rules, and by the macros that a library is built with.

Sizes are sizeof() in tensorflow/tflite-micro 90b983c, compiled for each of them; Arduino_TensorFlowLite 2.4.0-ALPHA of
2023 gives the same. Libraries of 2022 have an ErrorReporter* more in some (see ``with_error_reporter``).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Layout(Enum):
    """A compiler's rules.

    EABI:  ARM's, where an enumeration takes no more bytes than its values need.
    ILP32: 32-bit pointers and enumerations (RISC-V, Xtensa).
    LP64:  64-bit pointers, 32-bit enumerations (the computer's own, for tests).
    """

    EABI = 0
    ILP32 = 1
    LP64 = 2


class Abi(NamedTuple):
    """sizeof() of TFLM's structs; all are aligned to *pointer_bytes*.

    layout: picks the column of the tables in ``arena_sizes.py``.
    tensor: TfLiteTensor. quantization: TfLiteAffineQuantization. scratch_request: ScratchBufferRequest.
    resource_variables, resource_variable: MicroResourceVariables and one entry of its table.
    other_options: operators whose parsed options are not those of the tables: name, size, alignment.
    compression: built with USE_TFLM_COMPRESSION, which makes the data of some kernels larger.
    exact: no figure here is only a bound.
    """

    name: str
    layout: Layout
    pointer_bytes: int
    tensor: int
    eval_tensor: int
    node_and_registration: int
    allocation_info: int
    scratch_handle: int
    scratch_request: int
    quantization: int
    single_arena_allocator: int
    greedy_memory_planner: int
    micro_allocator: int
    builtin_data_allocator: int
    subgraph_allocations: int
    resource_variables: int
    resource_variable: int
    other_options: tuple[tuple[str, int, int], ...] = ()
    compression: bool = False
    exact: bool = True


EABI = Abi("arm-eabi", Layout.EABI, 4, 32, 12, 32, 24, 4, 12, 12, 36, 44, 36, 8, 8, 12, 20)

ILP32 = EABI._replace(name="ilp32", layout=Layout.ILP32, tensor=40)

# Without TF_LITE_STATIC_MEMORY, as the Arduino IDE builds libraries: TensorFlow Lite's fuller structs.
EABI_FULL_STRUCTS = EABI._replace(name="arm-eabi-full-structs", tensor=64, node_and_registration=44)
ILP32_FULL_STRUCTS = ILP32._replace(name="ilp32-full-structs", tensor=64, node_and_registration=44)

LP64 = Abi("lp64", Layout.LP64, 8, 64, 24, 64, 32, 8, 16, 24, 72, 72, 72, 16, 16, 16, 40)


def with_error_reporter(abi: Abi) -> Abi:
    """The structs of a library of 2022 (TensorFlowLite_ESP32 1.0.0), whose two allocators keep an ErrorReporter*.

    What its kernels ask for is bounded by KernelSet.REFERENCE_2022, not counted: no plan for it is called exact.
    """
    return abi._replace(
        name=f"{abi.name}-2022",
        single_arena_allocator=abi.single_arena_allocator + abi.pointer_bytes,
        micro_allocator=abi.micro_allocator + abi.pointer_bytes,
        exact=False,
    )


# PyPI's tflite-micro: allocators that keep records, compression, and from a later commit a FULLY_CONNECTED whose
# options take 16 bytes more and hold a pointer.
LP64_PYPI = LP64._replace(
    name="lp64-pypi",
    single_arena_allocator=104,
    micro_allocator=272,
    subgraph_allocations=24,
    other_options=(("FULLY_CONNECTED", 32, 8),),
    compression=True,
)
